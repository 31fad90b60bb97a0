"""An activation made from a formula when a request asks for it: a function like any other.

Its values in double precision come from the formula's tree over arrays; where a double is not enough (an
overflow on the way to a finite answer) they come from ball arithmetic.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from app.core.activations.definition import Activation, Elementwise, Formulas, Text, formulas
from app.core.activations.formula import Expression
from app.core.activations.parameters import Parameter
from app.core.arithmetic import Array, Value
from app.core.arithmetic.loops import GIVEN
from app.core.arithmetic.rounding import Rounding
from app.core.errors import InvalidValue
from app.core.formulas.calculus import derivative
from app.core.formulas.facts import Facts, Side, look
from app.core.formulas.proving import FEW_BITS, Part, prove
from app.core.formulas.reading import PREFIX, VARIABLE, Definition, Formula, read
from app.core.formulas.tree import Tree, number, substitute, text, tree
from app.core.formulas.vectorised import evaluate, stable

MOST_REPAIRED = 2_000
"""The most numbers of an array that are computed in balls where doubles overflow; the rest stays NaN."""

CHECKED = 1000
"""Points at which values in double precision are compared with proved ones."""

_SMALLEST_NORMAL = np.finfo(np.float64).tiny

_DOUBLE = Rounding(np.dtype(np.float64))


class Accuracy(NamedTuple):
    """How far f and f′ in double precision lie from the proved ones, at ``points`` from ``low`` to ``high``.

    ``error`` is the largest difference, ``relative_error`` the largest as a share of the right value where
    that is a normal number.
    """

    low: float
    high: float
    points: int
    error: float
    relative_error: float


def worst(found: Sequence[Accuracy]) -> Accuracy:
    """The largest errors of several formulas over one range."""
    largest = [max(each) for each in zip(*((one.error, one.relative_error) for one in found), strict=True)]
    return Accuracy(found[0].low, found[0].high, found[0].points, *largest)


_STEPS = np.concatenate([np.arange(0.25, 10.25, 0.25), [16.0, 32.0, 64.0]])
_PROBES = np.concatenate([-_STEPS, _STEPS])


@dataclass(frozen=True, kw_only=True)
class FormulaActivation(Elementwise):
    """An elementwise activation that is a formula. Its defaults are the parameters that it came with.

    The facts that an entry states are computed when they are first needed: that may take long.
    """

    formula: Formula
    formulas: Formulas = field(init=False, compare=False, repr=False)
    largest_slope: str = field(init=False, compare=False, repr=False)
    monotone: bool = field(init=False, compare=False, repr=False)
    smoothness: float = field(init=False, compare=False, repr=False)
    saturates: frozenset[Side] = field(init=False, compare=False, repr=False)
    kinks: tuple[str, ...] = field(init=False, compare=False, repr=False)

    def __reduce__(self) -> tuple[object, ...]:
        return _again, (self.formula, self.defaults)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """One of the fields that are not there yet."""
            found = self._found.get(name)
            if found is None:
                raise AttributeError(name)
            object.__setattr__(self, name, found())
            return self.__dict__[name]

    @property
    def _found(self) -> dict[str, Callable[[], Any]]:
        return {
            "formulas": lambda: formulas(*map(text, self.trees[:2])),
            "largest_slope": lambda: repr(self.facts.largest_slope),
            "monotone": lambda: self.facts.monotone,
            "smoothness": lambda: self.facts.smoothness,
            "saturates": lambda: self.facts.saturates,
            "kinks": lambda: tuple(map(repr, self.facts.kinks)),
        }

    @cached_property
    def facts(self) -> Facts:
        """Its kinks, largest slope, saturation and monotonicity."""
        return look(self.stable_trees, self.defaults)

    @cached_property
    def trees(self) -> tuple[Tree, Tree, Tree]:
        """f, f′ and f″."""
        return orders_of(self.formula.tree)

    @cached_property
    def stable_trees(self) -> tuple[Tree, ...]:
        """The same in forms that are stable in double precision."""
        return orders_of(stable(self.formula.tree))

    @cached_property
    def _partial_trees(self) -> dict[str, Tree]:
        return {name: derivative(stable(self.formula.tree), name) for name in self.formula.parameters}

    def pull(self, x: Array, upstream: Array, odd: bool = False, /, **params: Value) -> Array:
        """upstream·f′(x); all have one axis."""
        return GIVEN.pull(self.orders(x, 2, False, **params)[1], upstream, {}, odd=odd)

    def parameter_derivatives(self, x: Array, **params: Value) -> dict[str, Array]:
        """∂f/∂θ at every x, for every parameter; x has one axis."""
        arrays = {name: np.broadcast_to(value, x.shape) for name, value in params.items()}
        found = evaluate(list(self._partial_trees.values()), {VARIABLE: x, **arrays}, {})
        return dict(zip(self._partial_trees, found, strict=True))

    def parameter_sums(
        self, name: str, x: Array, upstream: Array, groups: int, odd: bool = False, /, **params: Value
    ) -> Array:
        """Σ upstream·∂f/∂θ for one θ over each of as many groups of neighbours."""
        partial = np.ascontiguousarray(self.parameter_derivatives(x, **params)[name])
        return GIVEN.sums(partial, upstream, {}, groups, 0, odd=odd)

    def write(self, rows: Collection[Array], x: Array, odd: bool = False, /, **params: Value) -> None:
        """f(x), f′(x), … into as many ``rows``, each contiguous and one-dimensional like x."""
        del odd  # doubles have no low part; correctly rounded results come from `proof`
        wide = x.astype(np.float64, copy=False)
        arrays = {name: value for name, value in params.items() if isinstance(value, np.ndarray)}
        numbers = {name: float(value) for name, value in params.items() if name not in arrays}
        found = evaluate(self.stable_trees[: len(rows)], {VARIABLE: wide, **arrays}, numbers)
        lost = ~np.isfinite(found).all(axis=0)
        values = np.array(found)
        if lost.any():
            self._repair(values, lost, wide, params)
        for row, each in zip(rows, values, strict=True):
            row[...] = each

    def undefined_at(self, params: Mapping[str, float]) -> float | None:
        """The smallest of some numbers up to 64 in size where f has no value; None if there is none."""
        (values,) = self.orders(_PROBES, 1, False, **params)
        missing = _PROBES[np.isnan(values)]
        return float(missing[np.argmin(np.abs(missing))]) if missing.size else None

    def accuracy(self, low: float, high: float, params: Mapping[str, float]) -> Accuracy | None:
        """The errors of `write` between ``low`` and ``high``; None where these are no range."""
        if not (math.isfinite(low) and math.isfinite(high) and low <= high):
            return None
        x = np.linspace(low, high, CHECKED)
        values = {**self.defaults, **params}
        exact = prove(Part(self.formula.tree, 0, 1), {VARIABLE: x, **values}, _DOUBLE)
        with np.errstate(all="ignore"):
            difference = np.abs(self.orders(x, 2, False, **values) - exact.orders)
            tiny = np.abs(exact.orders) < _SMALLEST_NORMAL
            relative = np.where(tiny, 0.0, difference / np.abs(exact.orders))
        known = exact.proved & np.isfinite(difference)
        error, share = (float(each[known].max(initial=0.0)) for each in (difference, relative))
        return Accuracy(low, high, CHECKED, error, share)

    def _repair(self, values: Array, lost: Any, x: Array, params: Mapping[str, Value]) -> None:
        """Recomputes values that overflowed, and limits, in ball arithmetic."""
        places = np.flatnonzero(lost)[:MOST_REPAIRED]
        here = {
            name: value[places] if isinstance(value, np.ndarray) else value for name, value in params.items()
        }
        part = Part(self.formula.tree, 0, len(values) - 1)
        values[:, places] = prove(part, {VARIABLE: x[places], **here}, _DOUBLE, most_bits=FEW_BITS).orders
        values[:, np.isnan(x)] = np.nan

    def break_points(self, params: Mapping[str, float] | None = None) -> list[float]:
        """Where f, f′ or f″ jumps, sorted."""
        given = {**self.defaults, **(params or {})}
        facts = self.facts if given == self.defaults else look(self.stable_trees, given)
        return list(facts.kinks)


def label(activation: Activation) -> str:
    """Its name in metrics and logs: the same for all formulas, so that the labels stay few."""
    return "formula" if isinstance(activation, FormulaActivation) else activation.name


def orders_of(root: Tree) -> tuple[Tree, Tree, Tree]:
    """f, f′ and f″."""
    slope = derivative(root, VARIABLE)
    return root, slope, derivative(slope, VARIABLE)


def from_formula(
    source: str, known: Mapping[str, Definition], given: Mapping[str, Value | str | bool]
) -> tuple[FormulaActivation, dict[str, Value]]:
    """The activation that the formula ``source`` is, and its parameters, checked.

    Raises `FormulaError` for text that is no formula, `InvalidValue` and `UnknownName` for parameters.
    """
    formula = read(source, known)
    if given.keys() - set(formula.parameters):
        count = len(formula.parameters)
        message = f"unknown parameter; the formula has {count}: the names in it other than {VARIABLE}"
        raise InvalidValue(message, loc=("params",))
    params = {name: _checked(name, given.get(name), source) for name in formula.parameters}
    numbers = {name: float(np.ravel(value)[0]) if np.size(value) else 0.0 for name, value in params.items()}
    return _again(formula, numbers), params


def _checked(name: str, value: Value | str | bool | None, source: str) -> Value:
    """The parameter's number or array. Errors give its column, not its name, which is the client's own."""
    found = re.search(rf"(?<![\w.]){re.escape(name)}\b", source)
    where = f"column {found.start() + 1}: " if found else ""
    if value is None:
        raise InvalidValue(f"{where}this name in the formula needs a value here", loc=("params",))
    if isinstance(value, str | bool) or not np.isfinite(value).all():
        message = f"{where}this name's value must be a finite number, or an array of such"
        raise InvalidValue(message, loc=("params",))
    return float(value) if np.ndim(value) == 0 else np.asarray(value, np.float64)


def _again(formula: Formula, numbers: Mapping[str, float]) -> FormulaActivation:
    """The activation of a formula that was read, its defaults being ``numbers``."""
    return _made(formula, tuple(sorted(numbers.items())))


@lru_cache(maxsize=128)
def _made(formula: Formula, numbers: tuple[tuple[str, float], ...]) -> FormulaActivation:
    return FormulaActivation(
        name=f"{PREFIX}{formula.text}",
        title=Text("Formula", "수식"),
        summary=Text("A formula that came with the request.", "요청에 담긴 수식입니다."),
        parameters=tuple(
            Parameter(
                name=name,
                symbol=_symbol(name),
                description=("a parameter of the formula", "수식의 매개변수"),
                default=value,
                learnable=True,
            )
            for name, value in numbers
        ),
        kernel=GIVEN,
        parameter_gradients=GIVEN if numbers else None,
        range="(-inf, inf)",
        limits=(None, None),
        zero_centred=False,
        references=(),
        formula=formula,
    )


def _symbol(name: str) -> str:
    """A Greek letter by its name, one letter as it is, a word upright; numbers at the end as an index."""
    word = name.rstrip("0123456789_").replace("_", r"\_")
    index = name[len(name.rstrip("0123456789_")) :].strip("_")
    if not word:
        return rf"\mathrm{{{name}}}".replace("_", r"\_")
    letter = rf"\{word}" if word in _GREEK else word if len(word) == 1 else rf"\mathrm{{{word}}}"
    return f"{letter}_{{{index}}}" if index else letter


_GREEK = frozenset(
    {"alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "kappa", "mu", "nu", "xi", "rho"}
    | {"sigma", "tau", "phi", "chi", "psi", "omega"}
)


# The catalogue in formulas


def definitions(entries: Iterable[Activation]) -> dict[str, Definition]:
    """The elementwise entries as functions that a formula may call."""
    return {
        entry.name: Definition(tree_of(entry, entry.formulas.value), _defaults(entry))
        for entry in entries
        if isinstance(entry, Elementwise)
    }


def _defaults(entry: Activation) -> dict[str, float | None]:
    return {each.name: each.default for each in entry.parameters}


def tree_of(entry: Activation, expression: Expression) -> Tree:
    """An entry's formula as a tree in x and the parameters, constants and definitions written out."""
    constants = tuple((name, digits) for name, (_, digits) in entry.constants.items())
    where = tuple((name, definition.text) for name, definition in entry.formulas.where.items())
    return _written_out(expression.text, constants, where)


@lru_cache(maxsize=1024)
def _written_out(
    text: str, constants: tuple[tuple[str, str], ...], where: tuple[tuple[str, str], ...]
) -> Tree:
    names: dict[str, Tree] = {name: number(Fraction(digits)) for name, digits in constants}
    for name, definition in where:
        names[name] = substitute(tree(definition), names)
    return substitute(tree(text), names)
