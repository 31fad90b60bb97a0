"""The facts that the catalogue states of an entry, computed for a formula; None where undecided."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from app.core.activations import REGISTRY
from app.core.activations.definition import Activation, Elementwise
from app.core.activations.from_formula import FormulaActivation, tree_of
from app.core.arithmetic import Array
from app.core.arithmetic.rounding import Rounding
from app.core.errors import LimitExceeded
from app.core.evaluation import Mapper
from app.core.formulas.facts import GRID, Side, extrema
from app.core.formulas.language import Expression, FloatArithmetic, define
from app.core.formulas.limits import limits
from app.core.formulas.proving import Part, prove
from app.core.formulas.tree import Tree, text, with_infinite, written_size
from app.core.formulas.vectorised import evaluate, stable
from app.core.jobs import Progress, ignore
from app.core.theory.duals import Gains, gains

LONGEST_PRINTED = 1500
"""Size of the largest derivative that is printed (`written_size`); longer ones are unreadable."""

_DOUBLE = Rounding(np.dtype(np.float64))
_PROBES = np.array([-7.31, -4.2, -2.9, -1.13, -0.37, -0.01, 0.21, 0.83, 1.9, 3.3, 5.7, 6.4, 11.3])
"""Where two functions are compared: on every side of every usual kink."""

_ALIKE = 1e-6
"""Functions that differ by more are not the same; others are compared by their proved values."""


class Kink(NamedTuple):
    """A point where f, f′ or f″ jumps, and the derivatives that are answered there."""

    at: float
    derivative: float
    second_derivative: float


class Range(NamedTuple):
    """The least and the greatest value, or their bounds where a limit is not attained."""

    low: float
    high: float
    low_attained: bool
    high_attained: bool


@dataclass(frozen=True)
class Card:
    """The facts about one formula with its parameters."""

    latex: tuple[str | None, str | None, str | None]
    kinks: tuple[Kink, ...]
    limits: tuple[float | None, float | None]
    range: Range | None
    largest_slope: float | None
    monotone: bool | None
    smoothness: float
    zero_centred: bool | None
    saturates: frozenset[Side]
    gains: Gains | None
    same_as: str | None


@dataclass(frozen=True)
class Description:
    """The job: the card of a formula, which may be any entry of the catalogue."""

    activation: FormulaActivation

    def __call__(self, _: Mapper, progress: Progress, /) -> Card:
        """Executes it."""
        return card(self.activation, REGISTRY.values(), progress)


def card(activation: FormulaActivation, entries: Iterable[Activation], progress: Progress = ignore) -> Card:
    """All facts about the activation at its parameters; ``entries`` are those that it may be."""
    facts = activation.facts
    defined = not np.isnan(_orders(activation, GRID, 1)).any()
    ends = tuple(_limit(activation.formula.tree, activation.defaults, side) for side in (-1, 1))
    parts: dict[str, Callable[[], Any]] = {
        "latex": lambda: tuple(_latex(each, activation) for each in activation.trees),
        "kinks": lambda: tuple(_kinks(activation)),
        "range": lambda: _range(activation, ends) if defined else None,
        "largest_slope": lambda: _largest_slope(activation) if defined else None,
        "zero_centred": lambda: _zero_centred(activation) if defined else None,
        "gains": lambda: _gains(activation) if defined else None,
        "same_as": lambda: _same(activation, entries),
    }
    found: dict[str, Any] = {}
    for number, (name, part) in enumerate(parts.items()):
        progress(number / len(parts))
        found[name] = part()
    return Card(
        **found,
        limits=ends,  # type: ignore[arg-type]
        monotone=facts.monotone if defined else None,
        smoothness=facts.smoothness,
        saturates=facts.saturates,
    )


def _orders(activation: FormulaActivation, x: Array, count: int) -> Array:
    """f(x), f′(x), … at the activation's own parameters."""
    params: dict[str, Any] = dict(activation.defaults)
    return activation.orders(x, count, **params)


def _latex(root: Tree, activation: FormulaActivation) -> str | None:
    if written_size(root) > LONGEST_PRINTED:
        return None
    return Expression(text(root)).latex(activation.symbols)


def _limit(root: Tree, params: Mapping[str, float], side: int) -> float | None:
    (found,) = limits(root, params, side, 0, _DOUBLE)
    return None if found is None or math.isnan(found) else found + 0.0


def _kinks(activation: FormulaActivation) -> Iterator[Kink]:
    places = np.array(activation.facts.kinks)
    if not places.size:
        return
    found = prove(Part(activation.formula.tree, 0, 2), {"x": places, **activation.defaults}, _DOUBLE).orders
    for place, slope, curvature in zip(places.tolist(), *found[1:].tolist(), strict=True):
        yield Kink(place, slope, curvature)


def _range(activation: FormulaActivation, ends: tuple[float | None, ...]) -> Range | None:
    """From the extrema and the limits; None where one of these is unknown or f is undefined somewhere."""
    places = np.array([*extrema(activation.stable_trees, activation.defaults), *activation.facts.kinks, 0.0])
    near = np.concatenate([places, np.nextafter(places, -np.inf), np.nextafter(places, np.inf)])
    (values,) = _orders(activation, np.concatenate([near, GRID]), 1)
    low_end, high_end = ends
    if low_end is None or high_end is None:
        return None
    low, high = float(values.min()), float(values.max())
    least, greatest = min(low, low_end, high_end), max(high, low_end, high_end)
    # A bound that only the far end of the grid reaches is a limit that is not attained.
    inner = values[: len(near)]
    return Range(
        _rounded(least, low_end, high_end),
        _rounded(greatest, low_end, high_end),
        least not in (low_end, high_end) or bool((inner == least).any()),
        greatest not in (low_end, high_end) or bool((inner == greatest).any()),
    )


def _rounded(bound: float, *ends: float) -> float:
    """The bound, or the limit that it equals up to rounding error."""
    near = [end for end in ends if math.isfinite(end) and abs(bound - end) <= 1e-14 * abs(end)]
    return near[0] if near else bound


def _largest_slope(activation: FormulaActivation) -> float | None:
    """On the grid, or where the slope has an extremum; None where it grows without bound."""
    largest = activation.facts.largest_slope
    if not math.isfinite(largest):
        return None
    places = np.array(extrema(activation.stable_trees[1:], activation.defaults))
    slopes = _orders(activation, places, 2)[1] if places.size else np.zeros(0)
    return float(np.abs(slopes).max(initial=largest))


def _zero_centred(activation: FormulaActivation) -> bool | None:
    """Whether E f(Z) is 0 to ten digits of E |f(Z)|, Z standard normal."""
    x = (np.arange(60_000) + 0.5) * 2e-4
    weights = np.exp(-x * x / 2)
    both = [_orders(activation, sign * x, 1)[0] for sign in (1, -1)]
    mean = float(weights @ (both[0] + both[1]))
    size = float(weights @ (np.abs(both[0]) + np.abs(both[1])))
    return None if math.isnan(mean) else abs(mean) <= 1e-10 * size


def _gains(activation: FormulaActivation) -> Gains | None:
    if activation.undefined_at(activation.defaults) is not None:
        return None
    try:
        with np.errstate(all="ignore"):
            found = gains(activation, activation.defaults)
    except LimitExceeded:
        return None
    return found if math.isfinite(found.standard) and math.isfinite(found.he) else None


def _same(activation: FormulaActivation, entries: Iterable[Activation]) -> str | None:
    """The entry that, at its defaults, has the same values at all probes, bit for bit."""
    mine = _values(activation.formula.tree, activation.defaults)
    for entry in entries:
        if not isinstance(entry, Elementwise) or len(entry.defaults) < len(entry.parameters):
            continue
        if np.allclose(_by_default(entry.name), mine, rtol=_ALIKE, atol=0):
            tree, params = _default_tree(entry)
            theirs = prove(Part(tree), {"x": _PROBES, **params}, _DOUBLE)
            own = prove(Part(activation.formula.tree), {"x": _PROBES, **activation.defaults}, _DOUBLE)
            if (theirs.proved & own.proved & (theirs.orders == own.orders)).all():
                return entry.name
    return None


@cache
def _by_default(name: str) -> Array:
    """An entry's values at the probes, one by one, as a compiled loop would have to be loaded first."""
    formulas, numbers, arithmetic = REGISTRY[name].formulas, REGISTRY[name].numbers, FloatArithmetic()
    values = []
    for x in _PROBES.tolist():
        try:
            at = define(formulas.where, arithmetic, {**numbers, "x": x})
            values.append(float(formulas.value.evaluate(arithmetic, at)))
        except ArithmeticError:
            values.append(math.inf)
    return np.array(values)


def _default_tree(entry: Elementwise) -> tuple[Tree, dict[str, float]]:
    finite = {name: value for name, value in entry.defaults.items() if math.isfinite(value)}
    infinite = {name: 1 if entry.defaults[name] > 0 else -1 for name in entry.defaults.keys() - finite.keys()}
    return with_infinite(tree_of(entry, entry.formulas.value), infinite), finite


def _values(root: Tree, params: Mapping[str, float]) -> Array:
    return evaluate([stable(root)], {"x": _PROBES}, params)[0]
