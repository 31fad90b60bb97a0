"""Kernels whose errors have the size of a shorter format's roundings, whatever steps they take."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from app.core.activations.definition import Text
from app.core.arithmetic import Array
from app.core.verification.evidence import FEW, Evidence, Places, Suspect
from app.core.verification.suspects.insides import SHORT, mantissa_bits

REACH = 4.0
"""Bits by which the middle error may differ from half an ulp of the format."""

COMMON = 0.5
"""The least share of the inexact answers that is wrong."""

CHANGES = 0.25
"""The least share of neighbouring errors with opposite signs; errors that follow a curve have hardly any."""


def noise(seen: Evidence) -> Iterator[Suspect]:
    """The format whose roundings are nearest in size, if the errors are like noise at all."""
    use = seen.wrong & np.isfinite(seen.output) & np.isfinite(seen.exact) & (seen.exact != 0)
    inexact = (seen.right != seen.exact).sum()
    if use.sum() < 4 * FEW or use.sum() < COMMON * inexact:
        return
    error = (seen.output - seen.exact)[use]
    if (np.sign(error[1:]) * np.sign(error[:-1]) < 0).mean() < CHANGES:
        return
    with np.errstate(all="ignore"):
        size = float(np.median(np.log2(np.abs(error / seen.exact[use]))))
    shorter = [each for each in SHORT if each.bits < mantissa_bits(seen.dtype)]
    if not shorter:
        return
    nearest = min(shorter, key=lambda each: abs(size + each.bits + 2))
    if abs(size + nearest.bits + 2) > REACH:
        return
    summary = Text(
        f"The errors are as large and as irregular as roundings to {nearest.name} on the way.",
        f"오차의 크기와 불규칙한 정도가 도중에 {nearest.name}(으)로 반올림할 때와 같습니다.",
    )
    yield Suspect(
        "low_precision",
        f"about {nearest.name}",
        summary,
        partial(_as_it_is, seen, nearest.bits),
        price=0.9,
    )


def _as_it_is(seen: Evidence, bits: int, places: Places) -> Array:
    """The output itself where its error is no larger than such roundings may be."""
    with np.errstate(all="ignore"):
        off = np.abs(seen.output[places] - seen.exact[places])
        likely = off <= np.abs(seen.exact[places]) * 2.0 ** (REACH - bits)
    return np.where(likely, seen.output[places], seen.right[places])
