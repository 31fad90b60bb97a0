"""Applying an activation with every number proved: the correctly rounded one, by ball arithmetic.

What is proved are the entry's own formulas, the texts that the catalogue shows, or the formula of the
request. Derivatives beyond the second are those of f's formula.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.core.activations.definition import Activation, Elementwise
from app.core.activations.from_formula import FormulaActivation, tree_of
from app.core.activations.registry import Call
from app.core.arithmetic import Array, Value
from app.core.arithmetic.formats import check_nan
from app.core.arithmetic.rounding import Rounding
from app.core.errors import InvalidValue
from app.core.evaluation import Mapper, aligned, check_upstream
from app.core.formulas.proving import HIGHEST_ORDER, MOST_BITS, Part, prove, prove_sums
from app.core.formulas.tree import Tree, name, with_infinite
from app.core.jobs import Progress

UPSTREAM = "upstream gradient"
"""The name of the upstream gradient in a formula; no name that a request can hold."""


class ProvedEvaluation(NamedTuple):
    """The results: numbers of the format, as doubles, and how many of them are proved.

    NaN where there is no number, or none was proved, also where the format has no NaN.
    """

    orders: tuple[Array, ...]
    proved: int
    unproved: int
    input_gradient: Array | None = None
    param_gradients: Mapping[str, Array] = MappingProxyType({})


class _Found(NamedTuple):
    values: Array
    proved: NDArray[np.bool_]


@dataclass(frozen=True)
class ProvedActivation:
    """The job: f and its derivatives up to ``order`` at ``inputs``, and gradients for an ``upstream``.

    A number that ``most_bits`` do not decide is given up.
    """

    call: Call
    inputs: Array
    order: int
    rounding: Rounding
    upstream: Array | None = None
    most_bits: int = MOST_BITS

    def __call__(self, _: Mapper, progress: Progress, /) -> ProvedEvaluation:
        """Executes it."""
        shape = self.inputs.shape
        check_nan(self.inputs, self.rounding.dtype, "inputs")
        values = self._values()
        orders = self._orders(values, progress)
        found = [*orders]
        gradient, partial = None, {}
        if self.upstream is not None:
            check_upstream(self.upstream, shape)
            check_nan(self.upstream, self.rounding.dtype, "upstream")
            values[UPSTREAM] = self.rounding.array(self.upstream.ravel()).astype(np.float64)
            gradient = self._input_gradient(values)
            partial = {each: self._param_gradient(each, values) for each in self._learnable()}
            found += [gradient, *partial.values()]
        proved = sum(int(each.proved.sum()) for each in found)
        return ProvedEvaluation(
            orders=tuple(each.values.reshape(shape) for each in orders),
            proved=proved,
            unproved=sum(each.proved.size for each in found) - proved,
            input_gradient=None if gradient is None else gradient.values.reshape(shape),
            param_gradients={
                each: result.values.reshape(np.shape(self.call.params[each]))
                for each, result in partial.items()
            },
        )

    @property
    def _activation(self) -> Elementwise:
        assert isinstance(self.call.activation, Elementwise)
        return self.call.activation

    def _values(self) -> dict[str, float | Array]:
        """x and the parameters: numbers, or arrays of x's length."""
        shape = self.inputs.shape
        held = self.rounding.array(self.inputs.ravel()).astype(np.float64)
        values: dict[str, float | Array] = {"x": held}
        for each, value in self.call.params.items():
            spread = aligned(value, shape, self.call.axis, each)
            values[each] = spread.ravel() if isinstance(spread, np.ndarray) else float(spread)
        return values

    def _orders(self, values: Mapping[str, float | Array], progress: Progress) -> list[_Found]:
        parts = parts_of(self._activation, self.order)
        all_values = values
        values, infinite = finite_and_infinite(all_values)
        parts = [replace(part, tree=with_infinite(part.tree, infinite)) for part in parts]
        orders: list[_Found] = []
        for number, part in enumerate(parts):

            def report(share: float, before: int = number) -> None:
                progress((before + share) / len(parts))

            found = prove(part, values, self.rounding, report, most_bits=self.most_bits)
            orders += [_Found(*each) for each in zip(*found, strict=True)]
        return self._with_signs(orders, all_values)

    def _with_signs(self, orders: list[_Found], values: Mapping[str, float | Array]) -> list[_Found]:
        """Zeros with the sign that floating-point arithmetic gives them, which exact numbers do not have."""
        if not any((found.values == 0).any() for found in orders[:3]):
            return orders
        params: dict[str, Any] = {each: value for each, value in values.items() if each != "x"}
        quick = self._activation.orders(np.asarray(values["x"]), min(len(orders), 3), **params)
        for found, signs in zip(orders, quick, strict=False):
            zeros = (found.values == 0) & (signs == 0)
            found.values[zeros] = self.rounding.array(signs[zeros]).astype(np.float64)
        return orders

    def _input_gradient(self, values: Mapping[str, float | Array]) -> _Found:
        tree, first = _slope_of(self._activation)
        values, infinite = finite_and_infinite(values)
        part = Part(Tree("*", (name(UPSTREAM), with_infinite(tree, infinite))), first, first)
        found = prove(part, values, self.rounding, most_bits=self.most_bits)
        return _Found(found.orders[0], found.proved[0])

    def _learnable(self) -> Iterator[str]:
        return (each.name for each in self._activation.parameters if each.learnable)

    def _param_gradient(self, parameter: str, values: Mapping[str, float | Array]) -> _Found:
        """Σ upstream · ∂f/∂parameter over the inputs that share one number of the parameter."""
        count = self.inputs.size
        values, infinite = finite_and_infinite(values)
        arrays = {each: np.broadcast_to(value, (count,)) for each, value in values.items()}
        own = self.call.params[parameter]
        shape = np.shape(own)
        labels: Value = np.arange(math.prod(shape), dtype=np.float64).reshape(shape)
        spread = np.asarray(aligned(np.asarray(labels), self.inputs.shape, self.call.axis, parameter))
        owners = np.broadcast_to(spread, self.inputs.shape).ravel()
        groups = [np.flatnonzero(owners == label) for label in range(math.prod(shape))]
        tree, first = _partial_of(self._activation, parameter)
        whole = Tree("*", (name(UPSTREAM), with_infinite(tree, infinite)))
        part = Part(whole, first, first, parameter)
        return _Found(*prove_sums(part, arrays, groups, self.rounding, most_bits=self.most_bits))


def finite_and_infinite(
    values: Mapping[str, float | Array],
) -> tuple[dict[str, float | Array], dict[str, int]]:
    """The values without parameters that are infinite, and the signs of those."""
    infinite = {
        each: 1 if value > 0 else -1
        for each, value in values.items()
        if isinstance(value, float) and math.isinf(value)
    }
    return {each: value for each, value in values.items() if each not in infinite}, infinite


def parts_of(activation: Elementwise, order: int) -> list[Part]:
    """What is to be proved: the entry's formulas of f, f′ and f″ one by one, or all from f's."""
    if isinstance(activation, FormulaActivation):
        return [Part(activation.formula.tree, 0, order)]
    written = activation.formulas.orders
    parts = [Part(tree_of(activation, each)) for each in written[: order + 1]]
    if order >= len(written):
        parts.append(Part(tree_of(activation, written[0]), len(written), order))
    return parts


def _slope_of(activation: Elementwise) -> tuple[Tree, int]:
    """A tree, and which derivative of it is f′: 0 for an entry's own formula of f′, 1 for f."""
    if isinstance(activation, FormulaActivation):
        return activation.formula.tree, 1
    return tree_of(activation, activation.formulas.slope), 0


def _partial_of(activation: Elementwise, parameter: str) -> tuple[Tree, int]:
    if isinstance(activation, FormulaActivation):
        return activation.formula.tree, 1
    gradient = next(each.gradient for each in activation.parameters if each.name == parameter)
    return (
        (tree_of(activation, activation.formulas.value), 1)
        if gradient is None
        else (tree_of(activation, gradient), 0)
    )


def check_provable(activation: Activation, order: int) -> None:
    """Raises `InvalidValue` for what has no proof, or no derivative of this order."""
    if not isinstance(activation, Elementwise):
        raise InvalidValue(
            f"{activation.name} mixes elements: rounding is proved for elementwise functions",
            loc=("rounding",),
        )
    if order > HIGHEST_ORDER:
        raise InvalidValue(f"order is at most {HIGHEST_ORDER}", loc=("order",))


def as_sent(orders: tuple[Array, ...], dtype: np.dtype[Any]) -> list[Array]:
    """The orders in formats that every client knows: float16, float32, float64; all others as float32."""
    native = dtype in (np.dtype(np.float64), np.dtype(np.float32), np.dtype(np.float16))
    return [each.astype(dtype if native else np.float32) for each in orders]
