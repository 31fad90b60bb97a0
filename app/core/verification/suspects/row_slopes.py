"""Supposed Jacobians of functions that mix elements: terms left out, halves swapped, shares rounded first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from app.core.activations import REGISTRY
from app.core.activations.definition import Rowwise, Text
from app.core.activations.registry import Call
from app.core.activations.softmax import SOFTMIN
from app.core.arithmetic import Array
from app.core.evaluation import activate
from app.core.verification.evidence import Base, Evidence, Mask, Places, Suspect
from app.core.verification.suspects.formulas import catalogue
from app.core.verification.suspects.insides import SHORT, exactly, own_format, stepwise_kernels
from app.core.verification.suspects.normalisation import normalised
from app.core.verification.suspects.rows import RowKernel, gate_of, has_weights


def row_slopes(kernel: RowKernel, seen: Evidence) -> Iterator[Suspect]:
    """The supposed Jacobians of ``kernel``, whose ``use`` counts the elements of its Jacobians."""
    if kernel.scores is not None:
        yield from _of_shares(kernel, kernel.scores)
    if kernel.gates:
        yield from _of_halves(kernel, seen)
    yield from _of_others(kernel)


def _suspect(
    kernel: RowKernel, cause: str, detail: str, en: str, ko: str, values: Array, price: float = 0.0
) -> Suspect:
    return kernel.suspect(cause, detail, Text(en, ko), values, price)


def _of_shares(kernel: RowKernel, scores: Array) -> Iterator[Suspect]:
    with np.errstate(all="ignore"):
        shares = normalised(scores, logarithm=False)
    sign = -1.0 if kernel.call.activation is SOFTMIN else 1.0
    logarithm = kernel.is_logarithm

    def jacobian(s: Array, one: float = 1.0, others: float = 1.0) -> Array:
        unit = one * np.eye(s.shape[1])
        if logarithm:
            return np.asarray(unit - others * s[:, None, :])
        return np.asarray(sign * (s[:, :, None] * unit - others * s[:, :, None] * s[:, None, :]))

    whole = jacobian(shares)
    own = np.eye(shares.shape[1])
    ways = (
        ("the diagonal alone", "Only the diagonal is computed.", "대각선만 계산했습니다.", whole * own),
        (
            "no cross terms",
            "The products of two probabilities are left out.",
            "두 확률의 곱이 빠졌습니다.",
            jacobian(shares, others=0.0),
        ),
        (
            "no unit matrix",
            "The 1 of the diagonal is left out.",
            "대각선의 1이 빠졌습니다.",
            jacobian(shares, one=0.0),
        ),
        (
            "the row's own square",
            "The square of the output's own probability stands for the product of two.",
            "두 확률의 곱 대신 그 출력 확률의 제곱을 썼습니다.",
            jacobian(shares, others=0.0) - sign * (shares**2)[:, :, None],
        ),
        (
            "the column's own square",
            "The square of the input's own probability stands for the product of two.",
            "두 확률의 곱 대신 그 입력 확률의 제곱을 썼습니다.",
            jacobian(shares, others=0.0) - sign * (shares**2)[:, None, :],
        ),
        (
            "the sign of the products",
            "The products of two probabilities have the wrong sign.",
            "두 확률의 곱의 부호가 반대입니다.",
            jacobian(shares, others=-1.0),
        ),
        ("sign", "The sign is reversed.", "부호가 반대입니다.", -whole),
        ("transposed", "Rows and columns are swapped.", "행과 열이 바뀌었습니다.", whole.transpose(0, 2, 1)),
    )
    for detail, en, ko, values in ways:
        yield _suspect(kernel, "other_variant", detail, en, ko, values)
    for inside in dict.fromkeys((own_format(kernel.dtype), *SHORT)):
        if inside.bits > SHORT[0].bits or (inside.bits == SHORT[0].bits and kernel.dtype.itemsize > 2):
            continue
        en = f"It is computed from probabilities that were rounded to {inside.name}."
        ko = f"{inside.name}(으)로 반올림한 확률로 계산했습니다."
        rounded = inside.rounded(shares)
        if logarithm:
            values = jacobian(rounded)
        else:
            values = sign * rounded[:, :, None] * inside.rounded(own - rounded[:, None, :])
        yield _suspect(kernel, "low_precision", f"shares in {inside.name}", en, ko, values, 0.01)


def _of_halves(kernel: RowKernel, seen: Evidence) -> Iterator[Suspect]:
    """Wrong columns of the Jacobians: the derivative is by the other element of the pair."""
    exact = np.zeros(len(kernel.rows) * kernel.width * kernel.rows.shape[1])
    exact[kernel.use] = seen.exact
    whole = exact.reshape(len(kernel.rows), kernel.width, -1)
    assert isinstance(kernel.call.activation, Rowwise)
    apart = not kernel.call.activation.interleaved
    columns = np.arange(whole.shape[2])
    partner = (columns + kernel.width) % columns.size if apart else columns ^ 1
    first = columns < kernel.width if apart else columns % 2 == 0
    en, ko = "The derivatives by the two halves are swapped.", "두 절반에 대한 미분이 서로 바뀌었습니다."
    yield _suspect(kernel, "halves", "swapped", en, ko, whole[:, :, partner])
    for name, korean, mine in (("first", "앞쪽", first), ("second", "뒤쪽", ~first)):
        en, ko = f"The derivative by the {name} half is left out.", f"{korean} 절반에 대한 미분이 빠졌습니다."
        yield _suspect(kernel, "other_variant", f"{name} half left out", en, ko, np.where(mine, 0.0, whole))
        yield from _of_the_gate(kernel, seen, mine)


def _of_the_gate(kernel: RowKernel, seen: Evidence, mine: Mask) -> Iterator[Suspect]:
    """The gate's own slope in every writing, with every step rounded, if the gate is ``mine``."""
    gate, value = kernel.pairs if mine[0] else kernel.pairs[::-1]
    row, output, by = np.unravel_index(kernel.use, (len(kernel.rows), kernel.width, mine.size))
    x, other = gate[row, output], value[row, output]
    outputs = kernel.of_rows(kernel.rows).reshape(gate.shape)[row, output]
    call = gate_of(replace(seen, order=0, exact=outputs), x, other)
    if call is None:
        return
    here = mine[by] & (seen.exact != 0)
    gates = replace(seen, call=call, order=1, x=x)
    if not gates.has_formula:
        return
    with np.errstate(all="ignore"):
        there = np.abs(exactly(gates.base, x) * other - seen.exact) <= 2.0**-40 * np.abs(seen.exact)
    if there[here].mean() < 0.5:
        return
    with np.errstate(all="ignore"):
        step = outputs / x
    held = np.where(here, step, seen.exact)
    summary = Text("The slope of the gate's own step is left out.", "게이트 안쪽 함수의 기울기가 빠졌습니다.")
    yield Suspect("other_variant", "the step's slope left out", summary, lambda places: held[places])
    yield from _other_slopes(seen, here, x, other)
    for suspect in stepwise_kernels(gates, gates.base, kernel.compute):

        def predicted(places: Places, suspect: Suspect = suspect) -> Array:
            with np.errstate(all="ignore"):
                slope = suspect.predicted(places) * other[places]
            return np.where(here[places], slope, seen.exact[places])

        if suspect.room is None:
            yield replace(suspect, predicted=predicted, base=None, noisy=False, key=None)


def _other_slopes(seen: Evidence, here: Mask, x: Array, other: Array) -> Iterator[Suspect]:
    """The slope, or the value, of another function in the place of the gate's slope."""
    for order in (1, 0):
        for label, base in catalogue(order):

            def predicted(places: Places, base: Base = base) -> Array:
                with np.errstate(all="ignore"):
                    return np.where(
                        here[places], exactly(base, x[places]) * other[places], seen.exact[places]
                    )

            name = f"the slope of {label}" if order else label
            korean = f"{label}의 기울기" if order else label
            summary = Text(
                f"The gate's slope is taken to be {name}.", f"게이트의 기울기로 {korean}을(를) 썼습니다."
            )
            yield Suspect("other_variant", f"{name} for the gate's", summary, predicted, price=0.05)


def _of_others(kernel: RowKernel) -> Iterator[Suspect]:
    """The Jacobians of every other function that makes as many outputs of a row."""
    length = kernel.rows.shape[1]
    for name, entry in REGISTRY.items():
        if entry is kernel.call.activation or not isinstance(entry, Rowwise) or has_weights(entry):
            continue
        call: Call = REGISTRY.resolve(name, {})
        if (length % 2 and not entry.several_axes) or entry.width(length, **call.params) != kernel.width:
            continue
        values = activate(call, kernel.rows, order=1).orders[1]
        en, ko = f"The derivatives are those of {name}.", f"미분이 {name}의 것과 같습니다."
        yield _suspect(kernel, "other_variant", name, en, ko, values, 0.05)
