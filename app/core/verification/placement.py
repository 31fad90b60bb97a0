"""Answers that are right but in the wrong places of the array, or that are missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from app.core.activations.definition import Text
from app.core.arithmetic import Array
from app.core.arithmetic.formats import round_to
from app.core.verification.evidence import FEW, QUIET, SINGLE, Cause, Mask, Places
from app.core.verification.exact import doubles
from app.core.verification.judgement import Errors
from app.core.verification.suspects.formulas import catalogue
from app.core.verification.suspects.insides import exactly

LEAST = 64
"""The number of answers below which places show no pattern."""

LONGEST = 4096
"""The longest tail, which is at most a quarter of all numbers."""

PARTIAL = 64
"""The longest tail of a sorted array that may be a partly filled vector."""

MOSTLY = 0.9
"""The share of the numbers that must be as the misplacement predicts."""

MANY_WRONG = 0.3
"""The least share of the numbers that is wrong if all are misplaced."""

SAME_UNITS = 4.0
"""The difference, in units of the last digit, up to which answers are taken for the same."""

MIXED = 0.1
"""The share of changes between rising and falling below which inputs count as sorted."""

SHIFTS = (*range(1, 17), 32, 64, 128, 256, 512, 1024)
SAMPLE_SIZE = 500
"""The number of answers that rule out most orders."""

LARGE_ERROR = 0.05
"""Size of an error at the end, relative to the median answer, below which it may come from a bound."""


def placement(found: Errors, shape: tuple[int, ...], order: int, dtype: np.dtype[Any]) -> Cause | None:
    """A tail, or another order of the whole array, which has this ``shape``."""
    found = replace(found, exact=replace(found.exact, known=found.judged & np.isfinite(found.x)))
    wrong = found.judged & ~found.faithful
    loud = found.judged & (np.abs(found.ulps) > QUIET)
    wrong = loud if dtype.itemsize >= SINGLE.itemsize and loud.any() else wrong
    if wrong.size < LEAST or not wrong.any():
        return None
    return (
        _tail(found, wrong, order, dtype)
        or _end_of_rows(wrong, shape)
        or _reordered(found, wrong, shape, dtype)
    )


def _tail(found: Errors, wrong: Mask, order: int, dtype: np.dtype[Any]) -> Cause | None:
    """Only the end of the array is wrong."""
    first = int(np.argmax(wrong))
    count = wrong.size - first
    if count > min(LONGEST, wrong.size // 4) or count < 2 or wrong[first:].mean() < MOSTLY / 2:
        return None
    x, output, right = found.x[first:], found.output[first:], found.exact.rounded[first:]
    mixed = _is_mixed(found.x[:first], x)
    what = _tail_content(found.output, first, x, order, dtype, wrong[first:], named=mixed)
    size = np.abs(found.exact.rounded[np.isfinite(found.exact.rounded)])
    with np.errstate(invalid="ignore"):
        gross = ~(np.abs(output - right) <= LARGE_ERROR * np.median(size))[wrong[first:]]
    if not mixed and (what is None or count > PARTIAL or gross.mean() < MOSTLY):
        return None
    what = what or Text("other numbers", "다른 값")
    summary = Text(
        f"Only the last {count:,} of {wrong.size:,} numbers are wrong: in their place are {what.en}.",
        f"{wrong.size:,}개 가운데 마지막 {count:,}개만 틀렸습니다. 그 자리에 있는 것은 {what.ko}입니다.",
    )
    return Cause("tail", f"last {count}: {what.en}", 1.0, summary)


def _is_mixed(before: Array, tail: Array) -> bool:
    """Whether the tail's inputs are mixed with the others: at least as many others lie in their range."""
    tail = tail[np.isfinite(tail)]
    return tail.size > 1 and int(((before > tail.min()) & (before < tail.max())).sum()) >= tail.size


def _tail_content(
    output: Array, first: int, x: Array, order: int, dtype: np.dtype[Any], wrong: Mask, *, named: bool
) -> Text | None:
    tail = output[first:]
    if (tail[wrong] == 0).all():
        return Text("zeros", "0")
    if np.isnan(tail[wrong]).all():
        return Text("NaN", "NaN")
    if (tail == x).mean() >= MOSTLY:
        return Text("the inputs", "입력")
    for back in range(1, min(first, 1024) + 1):
        if np.array_equal(tail, output[first - back : first - back + tail.size]):
            return Text(f"the answers of {back} places before", f"{back}칸 앞의 결과")
    for label, base in catalogue(order) if named else ():
        with np.errstate(all="ignore"):
            values = doubles(round_to(exactly(base, x), dtype))
        if _alike(tail, values, dtype).mean() >= MOSTLY:
            return Text(f"values of {label}", f"{label}의 값")
    return None


def _end_of_rows(wrong: Mask, shape: tuple[int, ...]) -> Cause | None:
    """Only the last columns are wrong, in all rows."""
    if len(shape) < 2 or shape[-1] < 4 or wrong.size // shape[-1] < FEW:
        return None
    share = wrong.reshape(-1, shape[-1]).mean(axis=0)
    first = int(np.argmax(share > 0))
    count = shape[-1] - first
    if first == 0 or count > shape[-1] // 4 or share[first:].min() < MOSTLY / 2:
        return None
    summary = Text(
        f"Only the last {count:,} of each row of {shape[-1]:,} numbers are wrong.",
        f"{shape[-1]:,}개로 된 행마다 마지막 {count:,}개만 틀렸습니다.",
    )
    return Cause("tail", f"last {count} of each row", 1.0, summary)


class _Order(NamedTuple):
    """Where the answer at each place comes from, and how that is reported."""

    detail: str
    summary: Text
    places: Places


def _reordered(found: Errors, wrong: Mask, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Cause | None:
    """All answers are right, but in another order."""
    if wrong.mean() < MANY_WRONG:
        return None
    right = found.exact.rounded
    rises = np.diff(found.x[np.isfinite(found.x)]) > 0
    if rises.size < LEAST or (rises[1:] != rises[:-1]).mean() < MIXED:
        return None  # sorted inputs: a neighbouring place has nearly the same answer
    some = np.linspace(0, wrong.size - 1, SAMPLE_SIZE).astype(np.intp)
    for order in _orders(wrong.size, shape):
        for places in (some, np.arange(wrong.size)):
            moved = right[order.places[places]]
            telling = ~_alike(moved, right[places], dtype) & ~np.isnan(moved)
            same = _alike(found.output[places], moved, dtype)[telling]
            if same.size < 4 * FEW or same.mean() < MOSTLY:
                break
        else:
            return Cause("misplaced", order.detail, float(same.mean()), order.summary)
    return None


def _alike(some: Array, others: Array, dtype: np.dtype[Any]) -> NDArray[np.bool_]:
    with np.errstate(all="ignore"):
        room = SAME_UNITS * 2.0 ** -int(ml_dtypes.finfo(dtype).nmant) * np.abs(others)  # type: ignore[no-untyped-call]
        near: NDArray[np.bool_] = (np.abs(some - others) <= room) | (some == others)
    return near | (np.isnan(some) & np.isnan(others))


def _orders(size: int, shape: tuple[int, ...]) -> Iterator[_Order]:
    own = np.arange(size)
    width = shape[-1] if len(shape) > 1 else 0
    for by in dict.fromkeys((width, *SHIFTS)):
        for sign, en, ko in ((-1, "on", "뒤로"), (1, "back", "앞으로")):
            if not 0 < by < size:
                continue
            summary = Text(
                f"Every answer is {by:,} places too far {en}.",
                f"모든 결과가 {by:,}칸씩 {ko} 밀려 있습니다.",
            )
            yield _Order(f"{by} places {en}", summary, (own + sign * by) % size)
    yield _Order("reversed", Text("The array is reversed.", "배열의 순서가 거꾸로입니다."), own[::-1])
    pairs = np.minimum(own ^ 1, size - 1)
    swapped = Text("Neighbours are swapped.", "이웃한 두 결과가 서로 바뀌었습니다.")
    yield _Order("neighbours swapped", swapped, pairs)
    if width > 1:
        table = own.reshape(-1, width)
        turned = Text("Rows and columns are swapped.", "행과 열이 서로 바뀌었습니다.")
        yield _Order("transposed", turned, table.T.ravel())
        for by, way, korean in ((-1, "on", "뒤로"), (1, "back", "앞으로")):
            summary = Text(
                f"In each row every answer is one place too far {way}.",
                f"행마다 모든 결과가 한 칸씩 {korean} 밀려 있습니다.",
            )
            yield _Order(f"1 place {way} in each row", summary, np.roll(table, -by, axis=1).ravel())
