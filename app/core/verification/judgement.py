"""How far a kernel's numbers are from the exact ones, counted and listed.

An ulp is the spacing of the format at the exact answer; among subnormal numbers the smallest spacing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from app.core.activations.registry import Call
from app.core.arithmetic import Array
from app.core.verification.exact import Digits, Exact, call_at, digits, doubles

BINS = (0.5, 1.0, 2.0, 4.0, 10.0, 100.0, 1e3, 1e4, 1e6, np.inf)
"""Upper ends of the histogram's bins."""

WORST = 10
"""The number of inputs that are shown."""


@dataclass(frozen=True)
class Bin:
    """How many errors lie above the bin before it and are at most so large."""

    ulp_up_to: float
    count: int


@dataclass(frozen=True)
class Worst:
    """One of the largest errors. ``condition`` is |x f′/f|; None at a kink or a root.

    ``place`` is its index in the outputs, for functions that mix elements or have arrays as parameters.
    """

    input: float
    output: float
    exact: str
    rounded: float
    ulp: float
    condition: float | None
    place: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Special:
    """A kind of special input: how many there were, how many answers are wrong, and one of them."""

    name: str
    count: int
    wrong: int
    input: float
    output: float
    expected: float


@dataclass(frozen=True)
class Judgement:
    """The judgement of one order. Shares are of ``count``, the numbers whose right answer is known."""

    order: int
    count: int
    unproved: int
    max_ulp: float
    mean_ulp: float
    correctly_rounded: float
    faithful: float
    histogram: tuple[Bin, ...]
    worst: tuple[Worst, ...]
    special_values: tuple[Special, ...]
    wrong_sign: int
    false_zeros: int
    false_infinities: int
    false_nans: int
    not_monotone: int | None


@dataclass(frozen=True)
class Errors:
    """The errors of one order, number by number: signed ulps, and which answers are right."""

    x: Array
    output: Array
    exact: Exact
    ulps: Array
    correct: NDArray[np.bool_]
    faithful: NDArray[np.bool_]
    smallest_normal: float

    @property
    def judged(self) -> NDArray[np.bool_]:
        """Where the right answer is known."""
        return self.exact.known


def errors(x: Array, output: Array, exact: Exact, dtype: np.dtype[Any], *, flush: bool = False) -> Errors:
    """Compares the outputs with the exact answers; all are numbers of the format, as doubles."""
    right = exact.rounded
    correct = (output == right) | (np.isnan(output) & np.isnan(right))
    ulps = ulps_of(output, exact, dtype)
    with np.errstate(all="ignore"):
        largest = float(ml_dtypes.finfo(dtype).max)  # type: ignore[no-untyped-call]
        beyond = (np.abs(exact.value) > largest) & np.isfinite(x)
        saturated = beyond & np.isfinite(output) & (output == np.copysign(largest, exact.value))
        saturated |= beyond & (np.isinf(output) & (np.sign(output) == np.sign(exact.value)))
    if flush:
        correct |= (output == 0) & (right == 0)
    ulps = np.where(correct & (beyond | ~np.isfinite(ulps)), 0.0, ulps)
    ulps = np.where(saturated & ~correct, np.copysign(1.0, ulps), ulps)
    smallest = float(ml_dtypes.finfo(dtype).smallest_normal)  # type: ignore[no-untyped-call]
    faithful = correct | saturated | _beside(output, exact, dtype)
    return Errors(x, output, exact, ulps, correct, faithful, smallest)


def ulps_of(output: Array, exact: Exact, dtype: np.dtype[Any]) -> Array:
    """Signed errors; infinite where only one of the two is a number."""
    with np.errstate(all="ignore"):
        difference = (output - exact.value) - exact.rest
        found: Array = difference / spacing(exact, dtype)
    unlike = ~np.isfinite(output) | ~np.isfinite(exact.value)
    ulps: Array = np.where(unlike, np.inf, found)
    return ulps


def spacing(exact: Exact, dtype: np.dtype[Any]) -> Array:
    """The spacing of the format at the exact answers."""
    facts = ml_dtypes.finfo(dtype)  # type: ignore[no-untyped-call]
    with np.errstate(all="ignore"):
        size = np.minimum(np.abs(exact.value), float(facts.max))
        mantissa, exponent = np.frexp(size)
        below = (mantissa == 0.5) & (exact.rest * np.sign(exact.value) < 0)
        found = np.where(size == 0, 0.0, np.ldexp(1.0, exponent - 1 - int(facts.nmant) - below))
        steps: Array = np.maximum(found, float(facts.smallest_subnormal))
        return steps


def _beside(output: Array, exact: Exact, dtype: np.dtype[Any]) -> NDArray[np.bool_]:
    """Where the output is the number of the format on the other side of the exact answer.

    Where that lies so close to a number of the format that the margin contains it, either neighbour is
    accepted.
    """
    with np.errstate(all="ignore"):
        difference = (exact.value - exact.rounded) + exact.rest
        up, down = _neighbour(exact.rounded, dtype, np.inf), _neighbour(exact.rounded, dtype, -np.inf)
        above = (difference > -exact.margin) & ((exact.margin > 0) | (difference > 0))
        below = (difference < exact.margin) & ((exact.margin > 0) | (difference < 0))
        beside: NDArray[np.bool_] = (above & (output == up)) | (below & (output == down))
        return beside


def _neighbour(values: Array, dtype: np.dtype[Any], towards: float) -> Array:
    with np.errstate(all="ignore"):
        if dtype in (np.dtype(np.float64), np.dtype(np.float32), np.dtype(np.float16)):
            return doubles(np.nextafter(values.astype(dtype), dtype.type(towards)))
        facts = ml_dtypes.finfo(dtype)  # type: ignore[no-untyped-call]
        sign = np.where(values == 0, 1.0, np.sign(values)) * np.sign(towards)
        mantissa, exponent = np.frexp(np.abs(values))
        inwards = (sign < 0) & (mantissa == 0.5)
        step = np.where(values == 0, 0.0, np.ldexp(1.0, exponent - 1 - int(facts.nmant) - inwards))
        step = np.maximum(step, float(facts.smallest_subnormal))
        moved: Array = values + np.copysign(step, towards)
        return moved


def judgement(call: Call, order: int, found: Errors, shape: tuple[int, ...]) -> Judgement:
    """The errors of one order, counted; the worst with their digits. The kernel's arrays have a ``shape``."""
    varies = len(call.scalars) < len(call.params)
    return replace(
        counted(order, found),
        worst=tuple(_worst(call, order, found, shape if varies else None)),
        not_monotone=None if varies else _breaks(found),
    )


def counted(order: int, found: Errors) -> Judgement:
    """The errors of one order, counted, the worst and breaks of monotonicity left out."""
    judged = found.judged
    size = np.abs(found.ulps[judged])
    count = int(judged.sum())
    finite = np.isfinite(size)
    output, right = found.output[judged], found.exact.rounded[judged]
    number = np.isfinite(right)
    return Judgement(
        order=order,
        count=count,
        unproved=int((~judged).sum()),
        max_ulp=float(size.max(initial=0.0)),
        mean_ulp=float(size[finite].mean()) if finite.any() else 0.0,
        correctly_rounded=_share(found.correct[judged]),
        faithful=_share(found.faithful[judged]),
        histogram=tuple(_histogram(size)),
        worst=(),
        special_values=tuple(_special_values(found)),
        wrong_sign=int((_opposite(output, right) & number).sum()),
        false_zeros=int(((output == 0) & (right != 0) & number).sum()),
        false_infinities=int((np.isinf(output) & number & ~found.faithful[judged]).sum()),
        false_nans=int((np.isnan(output) & number).sum()),
        not_monotone=None,
    )


def _opposite(output: Array, right: Array) -> NDArray[np.bool_]:
    """Where the signs differ; zero and NaN have none."""
    found: NDArray[np.bool_] = ((output < 0) & (right > 0)) | ((output > 0) & (right < 0))
    return found


def _share(right: NDArray[np.bool_]) -> float:
    return float(right.mean()) if right.size else 1.0


def _histogram(size: Array) -> Iterator[Bin]:
    before = -1.0
    for end in BINS:
        yield Bin(end, int(((size > before) & (size <= end)).sum()))
        before = end


def _worst(call: Call, order: int, found: Errors, shape: tuple[int, ...] | None) -> Iterator[Worst]:
    """The worst errors, one per input; with a ``shape``, where an input may recur, each with its place."""
    size = np.where(found.judged & ~found.correct, np.abs(found.ulps), 0.0)
    first = np.unique(found.x, return_index=True)[1] if shape is None else np.arange(size.size)
    ranked = first[np.argsort(-size[first], kind="stable")][:WORST]
    for place in ranked.tolist():
        if size[place] == 0:
            return
        x, right = float(found.x[place]), float(found.exact.rounded[place])
        shown = digits(call_at(call, place), order, x) if np.isfinite(x) else None
        if shown is None:
            shown = Digits(named(right), None)
        where = None if shape is None else tuple(int(each) for each in np.unravel_index(place, shape))
        output = float(found.output[place])
        yield Worst(x, output, shown.text, right, float(size[place]), shown.condition, where)


def named(value: float) -> str:
    """A number, or the JSON name of a non-finite one."""
    if np.isnan(value):
        return "NaN"
    return f"{value:.20g}" if np.isfinite(value) else "Infinity" if value > 0 else "-Infinity"


def _special_values(found: Errors) -> Iterator[Special]:
    """NaN, the infinities, the zeros and the subnormal numbers among the inputs and the exact answers."""
    x, right = found.x, found.exact.rounded
    zero, positive = x == 0, ~np.signbit(x)
    kinds = {
        "nan": np.isnan(x),
        "infinity": np.isposinf(x),
        "-infinity": np.isneginf(x),
        "zero": zero & positive,
        "-zero": zero & ~positive,
        "subnormal_input": ~zero & (np.abs(x) < found.smallest_normal),
        "subnormal_output": (right != 0) & (np.abs(right) < found.smallest_normal),
        "undefined": np.isfinite(x) & np.isnan(right) & np.isnan(found.exact.value),
    }
    for name, mask in kinds.items():
        places = np.flatnonzero(mask & found.judged)
        if not places.size:
            continue
        wrong = places[~found.faithful[places]]
        shown = (wrong if wrong.size else places)[0]
        yield Special(
            name,
            places.size,
            wrong.size,
            *(float(each[shown]) for each in (x, found.output, right)),
        )


def _breaks(found: Errors) -> int | None:
    """How often the outputs change in the wrong direction; None if the exact answers are not monotone."""
    use = found.judged & np.isfinite(found.x) & ~np.isnan(found.exact.rounded)
    x, places = np.unique(found.x[use], return_index=True)
    if x.size < 2:
        return None
    right, output = found.exact.rounded[use][places], found.output[use][places]
    rises, falls = bool((right[1:] >= right[:-1]).all()), bool((right[1:] <= right[:-1]).all())
    if rises == falls:  # both (constant) or neither
        return None
    step = (output[1:] < output[:-1]) if rises else (output[1:] > output[:-1])
    return int(step.sum())
