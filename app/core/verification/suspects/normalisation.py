"""Functions related to softmax whose rows are divided by another number than their sum, or by none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from app.core.activations.definition import Text
from app.core.activations.entmax import ENTMAX
from app.core.activations.registry import Call
from app.core.activations.softmax import ENTMAX15, SPARSEMAX
from app.core.arithmetic import Array
from app.core.verification.evidence import SINGLE, Evidence, Places, Suspect
from app.core.verification.suspects.insides import mantissa_bits
from app.core.verification.suspects.rows import LONGEST, RowKernel

SAME, MOSTLY = 0.05, 0.9
"""Relative difference allowed between rows for a number added to all sums, and the share of rows that must
agree."""

MOST_LEFT_OUT = 64
"""The most elements at the end of a row that a sum may omit: a partly filled vector."""


SHORT_SUM = 2.0**-5
"""Relative error that a short format may cause in a sum; a larger one is another number."""

CAREFUL_SUM = 16.0
"""Relative error, in units of the last digit of float32 or float64, that a careful sum may have."""

TILES = (8, 16, 32, 64, 128, 256, 512, 1024)
"""Elements that a kernel processes at a time."""


def normalisations(kernel: RowKernel, seen: Evidence) -> Iterator[Suspect]:
    """Other divisors of e to the scores; for the logarithm, other numbers that are subtracted."""
    scores, logarithm = kernel.scores, kernel.is_logarithm
    if scores is None or kernel.rows.shape[1] > LONGEST:
        return
    with np.errstate(all="ignore"):
        largest = scores.max(axis=1, keepdims=True)
        shifted = scores - largest
        powers = np.exp(shifted)
        total = powers.sum(axis=1, keepdims=True)
        for detail, summary, divisor in _divisors(powers, total, largest):
            values = shifted - np.log(divisor) if logarithm else powers / divisor
            yield kernel.suspect("normalisation", detail, summary, values)
        yield from _tiles(kernel, scores, logarithm=logarithm)
        if logarithm:
            yield from _logarithms(kernel, shifted - np.log(total))
        apart = seen.output - seen.exact if logarithm else seen.output / seen.exact
        each_row = _Rows.of(kernel, apart)
        yield from _added(kernel, each_row, (powers, total, largest), logarithm=logarithm)
        own = _of_each_row(seen, each_row, logarithm=logarithm)
        yield from [] if own is None else [own]


def _divisors(powers: Array, total: Array, largest: Array) -> Iterator[tuple[str, Text, Array]]:
    """Wrong divisors of the rows; ``powers`` are e to the scores less the largest score."""
    count = powers.shape[1]
    one = np.ones_like(total)
    yield (
        "not divided",
        Text("The rows are not divided by their sums.", "행을 그 합으로 나누지 않았습니다."),
        one,
    )
    yield (
        "not divided, the maximum not subtracted",
        Text(
            "The rows are not divided by their sums, nor is the maximum subtracted.",
            "행을 그 합으로 나누지 않았고 최댓값도 빼지 않았습니다.",
        ),
        np.exp(-largest),
    )
    yield (
        "the maximum left out of the sum",
        Text("The maximum is subtracted in the sum alone.", "최댓값을 합에서만 뺐습니다."),
        total * np.exp(-largest),
    )
    ways = {
        "their length": ("길이", one * count),
        "the root of their length": ("길이의 제곱근", one * np.sqrt(count)),
        "the root of the sum of squares": (
            "제곱합의 제곱근",
            np.sqrt((powers**2).sum(axis=1, keepdims=True)),
        ),
        "the root of their sum": ("합의 제곱근", np.sqrt(total)),
        "the sum of the whole array": ("배열 전체의 합", one * total.sum()),
        "their sum and 1": ("합에 1을 더한 값", total + np.exp(-largest)),
        "their sum, less the largest, and 1": ("최댓값을 뺀 합에 1을 더한 값", total + 1),
        "the sum of the row before": ("앞 행의 합", np.roll(total, 1, axis=0)),
        "the sum of the row after": ("뒤 행의 합", np.roll(total, -1, axis=0)),
        "the sum of the first row": ("첫 행의 합", one * total[0]),
        "the mean": ("평균", total / count),
    }
    for way, (korean, divisor) in ways.items():
        summary = Text(f"The rows are divided by {way}.", f"행을 {korean}(으)로 나누었습니다.")
        yield f"divided by {way}", summary, divisor
    for left_out in range(1, min(MOST_LEFT_OUT, count - 1) + 1):
        summary = Text(
            f"The sums leave out the last {left_out} elements of each row.",
            f"행마다 합에 마지막 원소 {left_out}개가 빠졌습니다.",
        )
        short = powers[:, :-left_out].sum(axis=1, keepdims=True)
        yield f"sum without the last {left_out}", summary, short


def _logarithms(kernel: RowKernel, values: Array) -> Iterator[Suspect]:
    for base in (2, 10):
        summary = Text(f"The logarithm is to base {base}.", f"밑이 {base}인 로그를 취했습니다.")
        yield kernel.suspect("wrong_parameter", f"logarithm to base {base}", summary, values / np.log(base))
    sign = Text("The sign is reversed.", "부호가 반대입니다.")
    yield kernel.suspect("wrong_parameter", "sign", sign, -values)


class _Rows(NamedTuple):
    """Rows with evidence: their places, how many answers are evidence in each, and the median of those."""

    rows: Places
    counts: Places
    middles: Array

    @classmethod
    def of(cls, kernel: RowKernel, values: Array) -> _Rows:
        """The median of the ``values`` in each row of the evidence."""
        row = kernel.use // kernel.width
        starts = np.flatnonzero(np.diff(row, prepend=-1))
        middles = [_middle(each) for each in np.split(values, starts[1:])]
        return cls(row[starts], np.diff(np.append(starts, row.size)), np.array(middles))

    @property
    def spread(self) -> Array:
        """For each answer the median of its row."""
        found: Array = np.repeat(self.middles, self.counts)
        return found


def _added(
    kernel: RowKernel, each: _Rows, parts: tuple[Array, Array, Array], *, logarithm: bool
) -> Iterator[Suspect]:
    """One number that is added to all sums, with or without the maximum subtracted."""
    powers, total, largest = parts
    factor = np.exp(-each.middles) if logarithm else 1 / each.middles
    surplus = (total[:, 0][each.rows] * (factor - 1))[:, None]
    bare = Text(", the maximum not subtracted", "(최댓값을 빼지 않음)")
    for scale, how in ((np.ones_like(largest), Text("", "")), (np.exp(-largest), bare)):
        numbers = surplus / scale[each.rows]
        number = float(f"{_middle(numbers):.3g}")
        if not number or (np.abs(numbers - number) <= SAME * abs(number)).mean() < MOSTLY:
            continue
        divisor = total + number * scale
        summary = Text(
            f"{number:.3g} is added to the sum of every row{how.en}.",
            f"모든 행의 합에 {number:.3g}을(를) 더했습니다{how.ko}.",
        )
        values = np.log(powers) - np.log(divisor) if logarithm else powers / divisor
        detail = f"divided by their sum and {number:.3g}{how.en}"
        yield kernel.suspect("normalisation", detail, summary, values, 0.01)


def _of_each_row(seen: Evidence, each: _Rows, *, logarithm: bool) -> Suspect | None:
    """Answers that are off by a factor per row (logarithms: a summand); None if a careful sum explains it."""
    values = seen.exact + each.spread if logarithm else seen.exact * each.spread
    off = float(np.abs(each.middles - (0.0 if logarithm else 1.0)).max(initial=0.0))
    if seen.dtype.itemsize >= SINGLE.itemsize and off <= CAREFUL_SUM * 2.0 ** -mantissa_bits(seen.dtype):
        return None
    if off < SHORT_SUM:
        cause, detail = "low_precision", f"sums, off by {off:.2g} at most"
        summary = Text(
            f"Each row is off by a factor of its own, {off:.2g} at most: its sum is rounded.",
            f"행마다 고유한 비율(최대 {off:.2g})만큼 어긋나 있습니다. 합을 반올림했습니다.",
        )
    else:
        cause, detail = "normalisation", "a number for each row"
        summary = Text(
            "Each row is right but for a number of its own: it is not divided by its sum.",
            "행마다 고유한 값 하나만큼만 어긋나 있습니다. 행을 그 합으로 나누지 않았습니다.",
        )
    return Suspect(cause, detail, summary, lambda places: values[places], price=0.15)


def _tiles(kernel: RowKernel, scores: Array, *, logarithm: bool) -> Iterator[Suspect]:
    count = scores.shape[1]
    for width in TILES:
        if width >= count:
            return
        tiles = [scores[:, at : at + width] for at in range(0, count, width)]
        parts = [normalised(each, logarithm=logarithm) for each in tiles]
        summary = Text(
            f"Every {width} elements are normalised by themselves, not the whole row.",
            f"행 전체가 아니라 원소 {width}개마다 따로 정규화했습니다.",
        )
        yield kernel.suspect("normalisation", f"tiles of {width}", summary, np.concatenate(parts, axis=1))
        if not logarithm:
            averaged = Text(
                f"Every {width} elements are normalised by themselves, and divided by the number of tiles.",
                f"원소 {width}개마다 따로 정규화한 다음 그 묶음의 수로 나누었습니다.",
            )
            values = np.concatenate(parts, axis=1) / len(parts)
            yield kernel.suspect("normalisation", f"tiles of {width}, averaged", averaged, values)
        yield from _not_rescaled(kernel, tiles, logarithm=logarithm)


def _not_rescaled(kernel: RowKernel, tiles: list[Array], *, logarithm: bool) -> Iterator[Suspect]:
    """Each tile subtracts its own maximum, in the shares or in the sum or in both, without rescaling."""
    width, whole = tiles[0].shape[1], np.concatenate(tiles, axis=1)
    own = np.concatenate([each - each.max(axis=1, keepdims=True) for each in tiles], axis=1)
    shifted = whole - whole.max(axis=1, keepdims=True)
    ways = {
        "shares and sum": (Text("numerators and sum", "분자와 합"), own, own),
        "shares": (Text("numerators", "분자"), own, shifted),
        "sum": (Text("sum", "합"), shifted, own),
    }
    for detail, (what, above, below) in ways.items():
        summary = Text(
            f"The {what.en} subtract the largest of {width} elements, not the largest of the row.",
            f"{what.ko}에서 행의 최댓값 대신 원소 {width}개마다의 최댓값을 뺐습니다.",
        )
        total = np.exp(below).sum(axis=1, keepdims=True)
        values = above - np.log(total) if logarithm else np.exp(above) / total
        yield kernel.suspect("normalisation", f"tiles of {width}, {detail} not rescaled", summary, values)


def normalised(scores: Array, *, logarithm: bool) -> Array:
    """The shares of each row, or their logarithms."""
    shifted = scores - scores.max(axis=1, keepdims=True)
    powers = np.exp(shifted)
    total = powers.sum(axis=1, keepdims=True)
    found: Array = shifted - np.log(total) if logarithm else powers / total
    return found


def _middle(values: Array) -> float:
    values = values[np.isfinite(values)]
    return float(np.median(values)) if values.size else np.nan


def thresholds(kernel: RowKernel, seen: Evidence) -> Iterator[Suspect]:
    """For functions that cut a row off at a threshold: a threshold that is wrong by a number per row."""
    power = _power(kernel.call)
    if power is None:
        return
    scores = power * np.where(kernel.keep, kernel.rows, -np.inf).ravel()[kernel.use]
    with np.errstate(all="ignore"):
        above = seen.exact**power
        apart = np.where((seen.exact > 0) & (seen.output > 0), seen.output**power - above, np.nan)
        shift = _Rows.of(kernel, apart)
        threshold = _Rows.of(kernel, np.where(seen.exact > 0, scores - above, np.nan))
        values = np.maximum(scores - threshold.spread + shift.spread, 0.0) ** (1 / power)
    off = float(np.nanmax(np.abs(shift.middles), initial=0.0))
    cause = "low_precision" if off < SHORT_SUM else "normalisation"
    summary = Text(
        f"The threshold of each row is off by a number of its own, {off:.2g} at most.",
        f"행마다 문턱값이 고유한 값(최대 {off:.2g})만큼 어긋나 있습니다.",
    )
    detail = f"thresholds, off by {off:.2g} at most"
    yield Suspect(cause, detail, summary, lambda places: values[places], price=0.1)


def _power(call: Call) -> float | None:
    """The power of a share that grows in proportion to its score; None where there is no threshold."""
    if call.activation is ENTMAX:
        return float(call.scalars["alpha"]) - 1 if call.scalars.get("alpha", 1.0) > 1 else None
    return {SPARSEMAX.name: 1.0, ENTMAX15.name: 0.5}.get(call.activation.name)
