"""Where a kernel's errors come from, inferred from their pattern.

A cause predicts where a kernel goes wrong and how far. It is named where its prediction holds for most of
the errors, and where it predicts few errors that the kernel does not make.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.core.activations.definition import Elementwise, Text
from app.core.activations.from_formula import FormulaActivation, tree_of
from app.core.activations.registry import Call
from app.core.arithmetic import Array
from app.core.arithmetic.formats import round_to
from app.core.formulas.careless import careless, stepwise
from app.core.formulas.tree import Tree
from app.core.verification.exact import doubles
from app.core.verification.judgement import Errors, ulps_of

LEAST = 0.5
"""Of the errors, and of the predictions that come true: with less, a cause is not named."""

FEW = 8
"""Numbers that show no pattern."""

NEIGHBOURS = 8

Mask = NDArray[np.bool_]


class Cause(NamedTuple):
    """A cause, and the share of the errors that it explains."""

    cause: str
    detail: str
    explains: float
    summary: Text


def causes(
    call: Call, found: Mapping[int, Errors], dtype: np.dtype[Any], compute: np.dtype[Any] | None
) -> tuple[Cause, ...]:
    """The causes that fit, the best first; none where none does."""
    best: dict[str, Cause] = {}
    for order, each in found.items():
        for cause in _of_order(call, order, each, dtype, compute):
            if cause.cause not in best or cause.explains > best[cause.cause].explains:
                best[cause.cause] = cause
    return tuple(sorted(best.values(), key=lambda each: -each.explains))


def _of_order(
    call: Call, order: int, found: Errors, dtype: np.dtype[Any], compute: np.dtype[Any] | None
) -> Iterator[Cause]:
    wrong = found.judged & ~found.faithful & np.isfinite(found.x)
    if not wrong.any():
        yield from _truncation(found)
        return
    if _is_unrelated(found):
        summary = Text(
            "Most numbers have not even the right sign and size: they are not of this function.",
            "대부분의 수가 부호와 크기부터 맞지 않아, 이 함수의 값이라고 볼 수 없습니다.",
        )
        yield Cause("unrelated", "sign and size", float(wrong.sum() / max(1, found.judged.sum())), summary)
        return
    yield from _flushed(found, wrong)
    yield from _cancellation(call, order, found, wrong, dtype, compute)


def _truncation(found: Errors) -> Iterator[Cause]:
    """Every number is a neighbour of the exact one, and always the one towards zero."""
    with np.errstate(all="ignore"):
        lack = np.abs(found.output) - np.abs(found.exact.value)
        inexact = found.judged & np.isfinite(found.output) & (found.output != found.exact.value)
    off = inexact & ~found.correct
    if off.sum() < FEW or off.sum() < 0.2 * inexact.sum() or (lack[inexact] > 0).any():
        return
    summary = Text(
        "Every inexact number is the neighbour towards zero: digits are cut off instead of rounded.",
        "정확하지 않은 수가 모두 0 쪽의 이웃입니다. 반올림하지 않고 아래 자리를 잘라 냈습니다.",
    )
    yield Cause("truncation", "towards zero", 1.0, summary)


def _is_unrelated(found: Errors) -> bool:
    """Fewer than half of the numbers have the right sign and half to twice the right size."""
    right, output = found.exact.rounded, found.output
    use = found.judged & np.isfinite(found.x) & np.isfinite(right) & (right != 0)
    if use.sum() < FEW:
        return False
    with np.errstate(all="ignore"):
        ratio = output[use] / right[use]
    return bool(((ratio >= 0.5) & (ratio <= 2)).mean() < 0.5)


def _flushed(found: Errors, wrong: Mask) -> Iterator[Cause]:
    """Zero wherever the input, or the right number, is subnormal."""
    right = found.exact.rounded
    kinds = {
        "outputs": (right != 0) & (np.abs(right) < found.smallest_normal),
        "inputs": (found.x != 0) & (np.abs(found.x) < found.smallest_normal) & (right != 0),
    }
    for detail, mask in kinds.items():
        here = mask & found.judged & np.isfinite(found.x)
        lost = here & (found.output == 0)
        if here.sum() < FEW or lost.sum() < 0.9 * here.sum() or not (lost & wrong).any():
            continue
        if (lost & wrong).sum() < 0.1 * wrong.sum():
            continue
        what = Text("answers", "결과") if detail == "outputs" else Text("inputs", "입력")
        summary = Text(
            f"Subnormal {what.en} are flushed to zero.", f"비정규수인 {what.ko}을(를) 0으로 처리합니다."
        )
        yield Cause("flushed_subnormals", detail, float((lost & wrong).sum() / wrong.sum()), summary)
        return


def _cancellation(
    call: Call,
    order: int,
    found: Errors,
    wrong: Mask,
    dtype: np.dtype[Any],
    compute: np.dtype[Any] | None,
) -> Iterator[Cause]:
    best: Cause | None = None
    formats = (dtype, np.dtype(np.float32)) if compute is None else (compute,)
    for name, tree in _careless_forms(call, order):
        for inside in dict.fromkeys(formats):
            with np.errstate(all="ignore"):
                raw = stepwise(tree, found.x, call.scalars, inside)
                predicted = doubles(round_to(raw, dtype))
            share = _explained(found, wrong, predicted, dtype)
            if share >= LEAST and (best is None or share > best.explains):
                summary = Text(
                    f"The errors are those of {name} computed in {inside}: its digits cancel.",
                    f"오차가 {inside}로 계산한 {name}의 오차와 같습니다. 자릿수가 상쇄되어 사라집니다.",
                )
                best = Cause("cancellation", f"{name} in {inside}", share, summary)
    if best is not None:
        yield best


def _careless_forms(call: Call, order: int) -> Iterator[tuple[str, Tree]]:
    activation = call.activation
    assert isinstance(activation, Elementwise)
    if isinstance(activation, FormulaActivation):
        yield from careless(activation.trees[order])
    elif order < len(activation.formulas.orders):
        yield from careless(tree_of(activation, activation.formulas.orders[order]))


def _explained(found: Errors, wrong: Mask, predicted: Array, dtype: np.dtype[Any]) -> float:
    """The share of the errors that the prediction meets; 0 where it predicts many that are not made.

    An error is met where the prediction lies within a quarter of it, or two ulp, of the output; or, since
    elementary functions differ in their last digit, where it is about as large as those predicted nearby.
    """
    off = np.abs(ulps_of(predicted, found.exact, dtype))
    size = np.abs(found.ulps)
    with np.errstate(all="ignore"):
        apart = np.abs(off - size)
        same = np.sign(predicted - found.exact.value) == np.sign(found.output - found.exact.value)
        met = same & (apart <= np.maximum(2.0, size / 4)) & (off > 1)
        nearby = _largest_nearby(found.x, np.where(found.judged & np.isfinite(off), off, 0.0))
        met |= (nearby > 2) & (size <= 4 * nearby) & (size >= nearby / 16)
        met &= wrong
        made = found.judged & np.isfinite(found.x) & (off > 4)
    if made.any() and (made & wrong).sum() < LEAST * made.sum():
        return 0.0
    return float(met.sum() / wrong.sum())


def _largest_nearby(x: Array, size: Array) -> Array:
    """The largest size among the `NEIGHBOURS` inputs on each side."""
    places = np.argsort(x, kind="stable")
    padded = np.pad(size[places], NEIGHBOURS)
    found = np.empty_like(size)
    found[places] = np.lib.stride_tricks.sliding_window_view(padded, 2 * NEIGHBOURS + 1).max(axis=1)
    return found
