"""Supposed kernels of functions that mix elements: halves, gates, axes, and softmax's steps one by one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.core.activations import REGISTRY
from app.core.activations.definition import Rowwise, Text
from app.core.activations.parameters import POSITIVE
from app.core.activations.registry import Call
from app.core.activations.softmax import LOG_SOFTMAX, SOFTMAX, SOFTMIN
from app.core.arithmetic import Array
from app.core.arithmetic.formats import FORMATS, round_to
from app.core.evaluation import activate, aligned, rows_of
from app.core.verification.evidence import FEW, SINGLE, Base, Evidence, Mask, Places, Suspect
from app.core.verification.exact import doubles
from app.core.verification.suspects.formulas import (
    Unknown,
    catalogue,
    edges,
    other_constants,
    other_parameter,
    searched,
    settings,
)
from app.core.verification.suspects.insides import exactly, stepwise_kernels

LONGEST = 10_000
"""The longest row whose sum is simulated step by step."""

SCALE = "scale of the scores"

STARTS = (0.5, 0.25, 2.0, 4.0, 0.1, 10.0)
"""Multiples of a parameter from which the search for another starts, where it has no effect nearby."""

MOST_NUMBERS = 500_000
"""The most inputs for which a complete other answer is computed some ten times."""

MOST_ELEMENTS, FEW_ELEMENTS = 30_000, 1_000
"""The most elements of the rows by which another parameter is found, and the most where that takes long."""

POINTS = 1000
"""The number of answers by which the gate is found."""

SAME = 2.0**-40
"""Relative difference below which two entries are the same function."""

MOST = 0.99
"""The share of the answers that must be as near; the others may have underflowed."""


@dataclass(frozen=True)
class RowKernel:
    """The kernel's inputs; ``use`` are the places of the evidence among the outputs, row by row."""

    call: Call
    inputs: Array
    axes: tuple[int, ...]
    use: Places
    dtype: np.dtype[Any]
    compute: np.dtype[Any] | None

    @cached_property
    def rows(self) -> Array:
        """(count, n)."""
        return rows_of(self.inputs, self.axes)

    @property
    def width(self) -> int:
        """Outputs of a row."""
        assert isinstance(self.call.activation, Rowwise)
        return self.call.activation.width(self.rows.shape[1], **self.call.params)

    @property
    def gates(self) -> bool:
        """Whether one half of the row gates the other."""
        return bool(2 * self.width == self.rows.shape[1])

    @property
    def pairs(self) -> tuple[Array, Array]:
        """The first and the second element of each pair that one output of a gated unit is made of."""
        assert isinstance(self.call.activation, Rowwise)
        if self.call.activation.interleaved:
            return self.rows[:, ::2], self.rows[:, 1::2]
        first, second = np.split(self.rows, 2, axis=1)
        return first, second

    def of_pairs(self, first: Array, second: Array) -> Array:
        """The gated unit of other pairs."""
        assert isinstance(self.call.activation, Rowwise)
        if self.call.activation.interleaved:
            return self.of_rows(np.stack([first, second], axis=-1).reshape(self.rows.shape))
        return self.of_rows(np.concatenate([first, second], axis=1))

    @cached_property
    def keep(self) -> NDArray[np.bool_]:
        """The elements that are not masked, row by row."""
        mask = self.call.params.get("mask", 1.0)
        spread = np.broadcast_to(
            np.asarray(aligned(mask, self.inputs.shape, self.call.axis, "mask")), self.inputs.shape
        )
        kept: NDArray[np.bool_] = rows_of(np.asarray(spread), self.axes) != 0
        return kept

    @cached_property
    def scores(self) -> Array | None:
        """Softmax's exponents, −∞ where masked; None for functions that are not of its family."""
        entry = self.call.activation
        if entry not in (SOFTMAX, SOFTMIN, LOG_SOFTMAX):
            return None
        return np.where(self.keep, -self.rows if entry is SOFTMIN else self.rows, -np.inf)

    @property
    def is_logarithm(self) -> bool:
        """Whether the outputs are logarithms of the shares."""
        return self.call.activation is LOG_SOFTMAX

    def of_rows(self, rows: Array) -> Array:
        """The function of other rows."""
        return self._answered(rows, self.keep, {}).ravel()

    def _answered(self, rows: Array, keep: Mask, changed: Mapping[str, float]) -> Array:
        """The function of ``rows`` of which these elements are kept, with some parameters ``changed``."""
        params = {**self.call.params, **changed}
        if "mask" in params:
            params["mask"] = keep.astype(np.float64)
        return activate(Call(self.call.activation, params), rows, order=0).orders[0]

    @cached_property
    def _most(self) -> float:
        """How many elements a request may hold, at these parameters or close by."""
        activation, near = self.call.activation, self.call.scalars
        assert isinstance(activation, Rowwise)
        others = ({**near, name: value * 1.1} for name, value in near.items())
        return min(activation.most(**each) for each in (near, *others))

    @property
    def is_light(self) -> bool:
        """Whether all rows can be computed again some ten times."""
        return self.rows.size <= (MOST_NUMBERS if math.isinf(self._most) else FEW_ELEMENTS)

    def of_parameter(self, name: str, value: float, places: Places) -> Array:
        """The answers at ``places`` of the evidence with another value of a parameter or the scale."""
        rows, row = np.unique(self.use[places] // self.width, return_inverse=True)
        scale, changed = (value, {}) if name == SCALE else (1.0, {name: value})
        found = self._answered(scale * self.rows[rows], self.keep[rows], changed)
        return np.asarray(found[row, self.use[places] % self.width])

    def allows(self, name: str, value: float) -> bool:
        """Whether a parameter, or a scale, may have this value."""
        domains = {each.name: each.domain for each in self.call.activation.parameters}
        return domains.get(name, POSITIVE).contains(value)

    def in_a_few_rows(self, remaining: Mask) -> Mask:
        """The errors of the first rows that have some, as many rows as can be worked out again and again."""
        row = self.use // self.width
        most = MOST_ELEMENTS if math.isinf(self._most) else FEW_ELEMENTS
        rows = np.unique(row[remaining])[: max(1, most // self.rows.shape[1])]
        found: Mask = remaining & np.isin(row, rows)
        return found

    def suspect(self, cause: str, detail: str, summary: Text, values: Array, price: float = 0.0) -> Suspect:
        """A kernel that answers ``values``, row by row."""
        found = values.ravel()[self.use]
        return Suspect(cause, detail, summary, lambda places: found[places], price=price)


# Gated units


class _Layout(NamedTuple):
    """Another way to split a row into pairs, and its description."""

    name: str
    pairs: Callable[[Array], tuple[Array, Array]]
    taken: Text
    swapped: Text


_NEIGHBOURS = _Layout(
    "interleaved",
    lambda rows: (rows[:, ::2], rows[:, 1::2]),
    Text(
        "Neighbouring elements are paired, not elements half a row apart.",
        "행의 절반만큼 떨어진 원소가 아니라 이웃한 두 원소를 짝으로 삼았습니다.",
    ),
    Text(
        "Neighbouring elements are paired, and in the wrong order.",
        "이웃한 두 원소를 짝으로 삼았고, 그 순서도 바뀌었습니다.",
    ),
)
_HALVES = _Layout(
    "half a row apart",
    lambda rows: (rows[:, : rows.shape[1] // 2], rows[:, rows.shape[1] // 2 :]),
    Text(
        "Elements half a row apart are paired, not neighbouring ones.",
        "이웃한 두 원소가 아니라 행의 절반만큼 떨어진 원소를 짝으로 삼았습니다.",
    ),
    Text(
        "Elements half a row apart are paired, and in the wrong order.",
        "행의 절반만큼 떨어진 원소를 짝으로 삼았고, 그 순서도 바뀌었습니다.",
    ),
)


def gated_kernels(kernel: RowKernel) -> Iterator[Suspect]:
    """Halves swapped or interleaved; another gate."""
    if not kernel.gates:
        return
    first, second = kernel.pairs
    swapped = Text("The two halves are swapped.", "두 절반이 서로 바뀌었습니다.")
    yield kernel.suspect("halves", "swapped", swapped, kernel.of_pairs(second, first))
    assert isinstance(kernel.call.activation, Rowwise)
    layout = _HALVES if kernel.call.activation.interleaved else _NEIGHBOURS
    front, back = layout.pairs(kernel.rows)
    yield kernel.suspect("halves", layout.name, layout.taken, kernel.of_pairs(front, back))
    both = f"{layout.name} and swapped"
    yield kernel.suspect("halves", both, layout.swapped, kernel.of_pairs(back, front))
    yield from _partly_gated(kernel, first, second)
    for half, gate, value in (("first", first, second), ("second", second, first)):
        for label, base in catalogue(0):
            yield _other_gate(half, label, base, gate.ravel()[kernel.use], value.ravel()[kernel.use])


def _partly_gated(kernel: RowKernel, first: Array, second: Array) -> Iterator[Suspect]:
    """One half alone, or the product of the two."""
    ways = {
        "the first half alone": (
            Text("The answers are the first half.", "결과가 앞쪽 절반 그대로입니다."),
            first,
        ),
        "the second half alone": (
            Text("The answers are the second half.", "결과가 뒤쪽 절반 그대로입니다."),
            second,
        ),
        "no gate": (
            Text("The halves are multiplied without a gate.", "게이트 없이 두 절반을 곱했습니다."),
            first * second,
        ),
    }
    for detail, (summary, values) in ways.items():
        yield kernel.suspect("other_variant", detail, summary, values)
    for half, value in (("first", second), ("second", first)):
        korean = {"first": "앞쪽", "second": "뒤쪽"}[half]
        ones = kernel.of_pairs(first, np.ones_like(second))
        if half == "second":
            ones = kernel.of_pairs(np.ones_like(first), second)
        left_out = Text(
            f"Only the {half} half counts: the other is left out.",
            f"{korean} 절반만 쓰였고 다른 절반은 빠졌습니다.",
        )
        yield kernel.suspect("other_variant", f"{half} half alone, the other 1", left_out, ones)
        product = (first * second, np.ones_like(second))
        values = kernel.of_pairs(*(product if half == "first" else product[::-1]))
        gated = Text("The gate is that of the product.", "두 절반의 곱에 게이트 함수를 적용했습니다.")
        yield kernel.suspect("other_variant", f"gate of the product, as the {half} half", gated, values)
        added = Text("The two halves are added, not multiplied.", "두 절반을 곱하지 않고 더했습니다.")
        yield kernel.suspect("other_variant", f"sum with the {half} half gated", added, ones + value.ravel())


def _other_gate(half: str, label: str, base: Base, gate: Array, value: Array) -> Suspect:
    def predicted(places: Places) -> Array:
        with np.errstate(all="ignore"):
            found: Array = exactly(base, gate[places]) * value[places]
        return found

    korean = {"first": "앞쪽", "second": "뒤쪽"}[half]
    summary = Text(
        f"The gate is {label} of the {half} half.", f"게이트가 {korean} 절반에 적용한 {label}입니다."
    )
    return Suspect("other_variant", f"{label} of the {half} half", summary, predicted, price=0.05)


def careless_gates(kernel: RowKernel, seen: Evidence) -> Iterator[Suspect]:
    """The gate in every writing, with every step rounded."""
    for call, gate, value in gated(kernel, seen):
        gates = replace(seen, call=call, x=gate)
        for suspect in stepwise_kernels(gates, gates.base, kernel.compute):
            # Neighbours in a row differ in size, so the test for noise does not apply.
            predicted = partial(_times, suspect.predicted, value)
            yield replace(suspect, predicted=predicted, base=None, noisy=False)


def gated(kernel: RowKernel, seen: Evidence) -> Iterator[tuple[Call, Array, Array]]:
    """The entry that is the gate, its inputs, and what it multiplies; whichever half is the gate."""
    if not kernel.gates:
        return
    first, second = (half.ravel()[kernel.use] for half in kernel.pairs)
    for gate, value in ((first, second), (second, first)):
        call = gate_of(seen, gate, value)
        if call is not None:
            yield call, gate, value


def gate_of(seen: Evidence, gate: Array, value: Array) -> Call | None:
    """The elementwise entry that ``gate`` goes through; None where the catalogue has none."""
    some = np.linspace(0, gate.size - 1, min(gate.size, POINTS)).astype(np.intp)
    right = seen.exact[some]
    for name, params in settings(0):
        call = REGISTRY.resolve(name, params)
        with np.errstate(all="ignore"):
            answers = exactly(replace(seen, call=call).base, gate[some]) * value[some]
        if (np.abs(answers - right) <= SAME * np.abs(right)).mean() >= MOST:
            return call
    return None


def gates_with_other_numbers(kernel: RowKernel, seen: Evidence, remaining: Mask) -> Iterator[Suspect]:
    """The gate with another constant, found from the outputs divided by the ungated half."""
    for call, gate, value in gated(kernel, seen):
        with np.errstate(all="ignore"):
            gates = replace(
                seen,
                call=call,
                x=gate,
                output=seen.output / value,
                exact=seen.exact / value,
                right=seen.right / value,
                unit=seen.unit / np.abs(value),
            )
        for suspect in other_constants(gates, gates.base, remaining & (value != 0)):
            predicted = partial(_times, suspect.predicted, value)
            yield replace(suspect, predicted=predicted, base=None, key=None)


def _times(predicted: Callable[[Places], Array], value: Array, places: Places) -> Array:
    with np.errstate(all="ignore"):
        found: Array = predicted(places) * value[places]
    return found


# All functions of rows


def other_axes(kernel: RowKernel) -> Iterator[Suspect]:
    """The function along another axis, or without its mask."""
    if kernel.gates:
        return
    own = kernel.axes[0] if len(kernel.axes) == 1 else None
    params = {name: value for name, value in kernel.call.params.items() if np.ndim(value) == 0}
    if own is not None and len(params) == len(kernel.call.params):
        for axis in range(kernel.inputs.ndim):
            if axis == own:
                continue
            values = activate(replace(kernel.call, axis=axis), kernel.inputs, order=0).orders[0]
            summary = Text(
                f"The function runs along axis {axis}, not {own}.",
                f"{own}번 축이 아니라 {axis}번 축을 따라 계산했습니다.",
            )
            yield kernel.suspect("wrong_parameter", f"axis={axis}", summary, rows_of(values, kernel.axes))
    if not kernel.keep.all():
        bare = Call(kernel.call.activation, {**kernel.call.params, "mask": 1.0})
        values = activate(bare, kernel.rows, order=0).orders[0]
        yield kernel.suspect(
            "wrong_parameter", "mask", Text("The mask is ignored.", "마스크를 무시했습니다."), values
        )


def other_settings(kernel: RowKernel, seen: Evidence, remaining: Mask) -> Iterator[Suspect]:
    """One of the function's numbers changed; for the softmax family also the scores times a number."""
    for unknown in _numbers(kernel):
        right = unknown.value
        yield from _without(kernel, unknown)
        for start in (right, *(right * step for step in STARTS if right)):
            found = searched(seen, unknown, kernel.in_a_few_rows(remaining), start)
            if found is not None and kernel.allows(unknown.label, found):
                yield other_parameter(seen, unknown, found)
                break
        else:
            for half in kernel.pairs if kernel.gates else ():
                for edge in edges(half.ravel()[kernel.use], remaining):
                    if kernel.allows(unknown.label, edge):
                        yield other_parameter(seen, unknown, edge)


def _without(kernel: RowKernel, unknown: Unknown) -> Iterator[Suspect]:
    """A bound that is not applied, in one half or in both."""
    largest = float(np.abs(kernel.rows[np.isfinite(kernel.rows)]).max(initial=0.0))
    if unknown.label == SCALE:
        return
    for value in (-math.inf, largest):
        if value > unknown.value > 0 or (math.isinf(value) and kernel.allows(unknown.label, value)):
            summary = Text(
                f"{unknown.label} = {unknown.value:.10g} is not applied.",
                f"{unknown.label} = {unknown.value:.10g}을(를) 적용하지 않았습니다.",
            )
            without = partial(unknown.run, value)
            yield Suspect("wrong_parameter", f"{unknown.label} not applied", summary, without)
    if kernel.gates and 0 < unknown.value < largest:
        yield from _bound_for_one_half(kernel, unknown, largest)


def _bound_for_one_half(kernel: RowKernel, unknown: Unknown, largest: float) -> Iterator[Suspect]:
    """A bound that one half is not clamped at; the other is clamped above, or on both sides."""
    boundless = replace(
        kernel, call=replace(kernel.call, params={**kernel.call.params, unknown.label: largest})
    )
    for place, (half, korean) in enumerate((("first", "앞쪽"), ("second", "뒤쪽"))):
        for low in (-np.inf, -unknown.value):
            pairs = list(kernel.pairs)
            pairs[1 - place] = np.clip(pairs[1 - place], low, unknown.value)
            summary = Text(
                f"{unknown.label} = {unknown.value:.10g} is not applied to the {half} half.",
                f"{unknown.label} = {unknown.value:.10g}을(를) {korean} 절반에 적용하지 않았습니다.",
            )
            detail = f"{unknown.label} not applied to the {half} half"
            yield kernel.suspect("wrong_parameter", detail, summary, boundless.of_pairs(*pairs), 0.01)


def _numbers(kernel: RowKernel) -> Iterator[Unknown]:
    for each in kernel.call.activation.parameters:
        value = kernel.call.params.get(each.name)
        if isinstance(value, float) and math.isfinite(value) and not each.broadcasts:
            yield Unknown(each.name, value, partial(kernel.of_parameter, each.name))
    if not kernel.gates:
        yield Unknown(SCALE, 1.0, partial(kernel.of_parameter, SCALE))


def other_rows(kernel: RowKernel) -> Iterator[Suspect]:
    """Every other function that makes as many outputs of a row."""
    for name, entry in REGISTRY.items():
        if entry is kernel.call.activation or not isinstance(entry, Rowwise) or has_weights(entry):
            continue
        length = kernel.rows.shape[1]
        call = REGISTRY.resolve(name, {})
        if (length % 2 and not entry.several_axes) or entry.width(length, **call.params) != kernel.width:
            continue
        values = activate(call, kernel.rows, order=0).orders[0]
        summary = Text(f"The numbers are those of {name}.", f"함숫값이 {name}의 값과 같습니다.")
        yield kernel.suspect("other_variant", name, summary, values, price=0.05)


def has_weights(entry: Rowwise) -> bool:
    """Whether the function has learned arrays, with shapes of their own."""
    return any(each.shape is not None for each in entry.parameters)


# Softmax step by step


def softmax_kernels(kernel: RowKernel) -> Iterator[Suspect]:
    """Without subtracting the maximum; the logarithm afterwards; all steps in a short format."""
    scores = kernel.scores
    if scores is None or kernel.rows.shape[1] > LONGEST:
        return
    usual = [kernel.dtype, *(FORMATS[each] for each in ("float32", "float16", "bfloat16"))]
    for dtype in dict.fromkeys(usual if kernel.compute is None else [kernel.compute]):
        if dtype.itemsize <= SINGLE.itemsize or dtype == kernel.dtype:
            yield from _in_format(kernel, scores, dtype, kernel.is_logarithm)


def _in_format(kernel: RowKernel, scores: Array, dtype: np.dtype[Any], logarithm: bool) -> Iterator[Suspect]:
    called = dtype.name
    overflow = Text(
        f"The maximum is not subtracted before the exponential, which overflows in {called}.",
        f"지수 함수를 취하기 전에 최댓값을 빼지 않아 {called}에서 오버플로가 납니다.",
    )
    afterwards = Text(
        f"The logarithm is taken of softmax in {called}: where that is rounded to 0 or close to 1 digits "
        "are lost.",
        f"{called}(으)로 구한 소프트맥스에 나중에 로그를 취했습니다. 0이나 1 가까이로 반올림된 곳에서 "
        "유효숫자를 잃습니다.",
    )
    short = Text(f"All steps are rounded to {called}.", f"모든 단계를 {called}(으)로 반올림했습니다.")
    steps = partial(_steps, scores, dtype)
    if logarithm:
        for end in ("log", "log of share"):
            yield kernel.suspect("cancellation", f"log of softmax in {called}", afterwards, steps(end, True))
        yield kernel.suspect(
            "overflow", f"log of exp without the maximum in {called}", overflow, steps("log", False), 0.03
        )
        yield kernel.suspect(
            "overflow", f"exp without the maximum in {called}", overflow, steps("difference", False)
        )
    else:
        yield kernel.suspect(
            "overflow", f"exp without the maximum in {called}", overflow, steps("share", False)
        )
    if dtype.itemsize < SINGLE.itemsize:  # correct kernels work in float32
        end = "difference" if logarithm else "share"
        yield kernel.suspect("low_precision", called, short, steps(end, True), 0.02)
        if dtype.itemsize < kernel.dtype.itemsize or kernel.rows.shape[1] > FEW:
            added = Text(f"The sum is added up in {called}.", f"합을 {called}(으)로 더했습니다.")
            for how in ("sum", "total"):
                values = steps(f"{end} of {how}", True)
                yield kernel.suspect("low_precision", f"sum in {called}", added, values, 0.02)
        powers = Text(f"e^x is rounded to {called}.", f"e^x을(를) {called}(으)로 반올림했습니다.")
        yield kernel.suspect(
            "low_precision", f"exp in {called}", powers, steps(f"{end} of powers", True), 0.02
        )


def _steps(scores: Array, dtype: np.dtype[Any], end: str, subtract: bool) -> Array:
    """Softmax, its logarithm taken afterwards (``log``) or x minus the sum's (``difference``).

    ``… of share``, ``… of powers``, ``… of sum``, ``… of total``: nothing is rounded but the shares, the
    exponentials, the sum at every step, or once it is complete.
    """

    def rounded(values: Array) -> Array:
        return doubles(round_to(values, dtype))

    end, _, alone = end.partition(" of ")

    def held(values: Array, what: str = "") -> Array:
        return rounded(values) if alone in ("", what) else values

    with np.errstate(all="ignore"):
        scores = held(scores)
        shifted = held(scores - scores.max(axis=1, keepdims=True)) if subtract else scores
        powers = held(np.exp(shifted), "powers")
        total: Array = np.zeros((len(scores), 1))
        for column in powers.T:
            total = held(total + column[:, None], "sum")
        total = held(total, "total")
        if end == "difference":
            return held(shifted - held(np.log(total)))
        share = held(powers / total, "share")
        return held(np.log(share)) if end == "log" else share
