"""Kernels whose errors have the size of a shorter format's roundings, whatever steps they take."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from app.core.activations.definition import Text
from app.core.arithmetic import Array
from app.core.verification.evidence import FEW, SINGLE, Evidence, Places, Suspect
from app.core.verification.suspects.insides import SHORT, mantissa_bits

REACH = 4.0
"""Bits by which the median error may differ from half an ulp of the format."""

LEAST_WRONG_SHARE = 0.5
"""The least share of the inexact answers that is wrong."""

CHANGES = 0.25
"""The least share of neighbouring errors with opposite signs; errors that follow a curve have hardly any."""

CLOSE, UNLIKE = 512, 0.5
"""Each error is compared with the one that is 1/512 of all errors further on. The median difference must be
at least this share of the median size: errors that follow a curve differ by little."""

LEAST_LOST_BITS = 5
"""The least number of bits that a step must lose in float32 or float64: every kernel loses some."""

EVEN = 4.0
"""The most by which the median relative error of a quarter of the inputs may differ from that of all."""


def noise(seen: Evidence) -> Iterator[Suspect]:
    """The format whose roundings are nearest in size, if the errors are like noise at all."""
    use = seen.wrong & np.isfinite(seen.output) & np.isfinite(seen.exact) & (seen.exact != 0)
    inexact = (seen.right != seen.exact).sum()
    if use.sum() < 4 * FEW or use.sum() < LEAST_WRONG_SHARE * inexact:
        return
    with np.errstate(all="ignore"):
        error = ((seen.output - seen.exact) / seen.exact)[use]
        size = float(np.median(np.log2(np.abs(error))))
    signs = np.sign(seen.output - seen.exact)[use]
    own = mantissa_bits(seen.dtype)
    if (signs[1:] * signs[:-1] < 0).mean() >= CHANGES:
        shorter = [each for each in SHORT if each.bits < own]
        nearest = min(shorter, key=lambda each: abs(size + each.bits + 2), default=None)
        if nearest is not None and abs(size + nearest.bits + 2) <= REACH:
            yield _rounded(seen, nearest.name, nearest.bits)
            return
    bits = round(-size - 2)
    if seen.dtype.itemsize >= SINGLE.itemsize and bits <= own - LEAST_LOST_BITS and _is_jagged(error):
        yield _estimated(seen, bits)


def _is_jagged(error: Array) -> bool:
    """Whether relative errors have one size everywhere, and neighbours differ as much as any two."""
    size, apart = np.abs(error), max(1, error.size // CLOSE)
    middle = float(np.median(size))
    quarters = [float(np.median(each)) for each in np.array_split(size, 4)]
    even = all(middle / EVEN <= each <= middle * EVEN for each in quarters)
    return even and float(np.median(np.abs(error[apart:] - error[:-apart]))) >= UNLIKE * middle


def _rounded(seen: Evidence, name: str, bits: int) -> Suspect:
    summary = Text(
        f"The errors are as large and as irregular as roundings to {name} on the way.",
        f"오차의 크기와 불규칙한 정도가 도중에 {name}(으)로 반올림할 때와 같습니다.",
    )
    run = partial(_as_it_is, seen, bits)
    return Suspect("low_precision", f"about {name}", summary, run, price=0.9)


def _estimated(seen: Evidence, bits: int) -> Suspect:
    summary = Text(
        f"The relative errors are irregular and of one size everywhere: a step on the way is right to about "
        f"{bits} bits.",
        "상대 오차가 어디서나 비슷한 크기로 불규칙하게 나타납니다. 도중의 한 단계가 약 "
        f"{bits}비트까지만 맞습니다.",
    )
    run = partial(_as_it_is, seen, bits)
    return Suspect("low_precision", f"about {bits} bits", summary, run, price=0.9)


def _as_it_is(seen: Evidence, bits: int, places: Places) -> Array:
    """The output itself where its error is no larger than such roundings may be."""
    with np.errstate(all="ignore"):
        off = np.abs(seen.output[places] - seen.exact[places])
        likely = off <= np.abs(seen.exact[places]) * 2.0 ** (REACH - bits)
    return np.where(likely, seen.output[places], seen.right[places])
