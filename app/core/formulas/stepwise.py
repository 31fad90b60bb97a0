"""A formula evaluated as a kernel would, each operation rounded to a short format.

Elementary functions are taken to be correctly rounded: any error beyond that is due to the formula.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from app.core.arithmetic import Array
from app.core.formulas.closures import function
from app.core.formulas.tree import Tree
from app.core.formulas.vectorised import DOUBLES

Round: TypeAlias = Callable[[Array], Array]
"""Doubles to numbers of a format, as doubles."""


class Steps(NamedTuple):
    """The values, and where intermediate results cancelled or overflowed.

    ``cancellation`` is the largest factor by which a sum of computed terms is smaller than its terms, or the
    logarithm of a number near 1 smaller than 1; ``overflow`` marks values with an intermediate result that
    was not finite though its operands were.
    """

    values: Array
    cancellation: Array
    overflow: NDArray[np.bool_]


def stepwise(
    root: Tree,
    variables: Mapping[str, Array],
    params: Mapping[str, float],
    rounded: Round,
    functions: Mapping[str, Callable[[Any], Any]] = MappingProxyType({}),
) -> Steps:
    """The formula at ``variables``, arrays of one length, with these and every operation ``rounded``.

    ``functions`` are taken for those of the same names.
    """
    given = [rounded(np.asarray(each, np.float64)) for each in variables.values()]
    watch = _Watch(given, rounded)
    table = {name: watch.step(name, operation) for name, operation in {**DOUBLES.fixed, **functions}.items()}
    arithmetic = replace(
        DOUBLES,
        number=lambda value: watch.constant(DOUBLES.number(value)),
        pi=lambda: watch.constant(DOUBLES.pi()),
        fixed=table,
        varying=table,
    )
    fixed = {name: watch.constant(value) for name, value in params.items()}
    with np.errstate(all="ignore"):
        run = function(root, arithmetic, list(variables), frozenset(), fixed)
        found: Array = np.broadcast_to(run(given), given[0].shape)
    return Steps(found, watch.cancellation, watch.overflow)


class _Watch:
    """Rounds each operation, and records cancellation and overflow."""

    def __init__(self, given: Sequence[Array], rounded: Round) -> None:
        self._given = given
        self.cancellation: Array = np.ones_like(given[0])
        self.overflow: NDArray[np.bool_] = np.zeros(given[0].shape, bool)
        self._rounded = rounded

    def constant(self, value: Any) -> Any:
        return self._rounded(np.asarray(value, np.float64))

    def step(self, name: str, operation: Callable[..., Any]) -> Callable[..., Any]:
        sum_of_two = name in {"+", "-"}

        def run(*values: Any) -> Any:
            found = self._rounded(np.asarray(operation(*values), np.float64))
            if found.ndim:
                if sum_of_two:
                    self._sum(found, values)
                if name == "log":
                    self._lost(np.where(found == 0, np.inf, 1 / np.abs(found)))
                self._watch_overflow(found, values)
            return found

        return run

    def _sum(self, found: Array, terms: tuple[Any, ...]) -> None:
        """Terms that are exact, inputs and constants, lose nothing when they cancel."""
        if all(np.ndim(term) == 0 or any(term is each for each in self._given) for term in terms):
            return
        size = np.maximum(*map(np.abs, terms))
        factor = np.where(size > 0, size / np.abs(found), 1.0)
        self._lost(np.where(np.isfinite(size), factor, 1.0))

    def _lost(self, factor: Array) -> None:
        self.cancellation = np.fmax(self.cancellation, factor)

    def _watch_overflow(self, found: Array, values: tuple[Any, ...]) -> None:
        lost = ~np.isfinite(found)
        if lost.any():
            for each in values:
                lost = lost & np.isfinite(each)
            self.overflow = self.overflow | lost
