"""A formula's kinks, largest slope, saturation and monotonicity, estimated by sampling.

All of it is found in double precision on a grid that is dense near zero and extends to ±10¹². It places the
nodes of quadratures and decides what counts as saturated; it proves nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from app.core.formulas.calculus import derivative, minus
from app.core.formulas.tree import CONDITIONS, Tree, names, walk
from app.core.formulas.vectorised import evaluate, evaluator

Doubles: TypeAlias = NDArray[np.float64]
Side: TypeAlias = Literal["negative", "positive"]

_DENSE = np.linspace(-40.0, 40.0, 8001)
_FAR = np.geomspace(40.0, 1e12, 400)
GRID: Doubles = np.unique(np.concatenate([-_FAR, _DENSE, _FAR]))
"""The sample points."""

VARIABLE = "x"

MOST_KINKS = 64
_FLAT = 1e-6
_STEP = 1e-7


@dataclass(frozen=True)
class Facts:
    """What sampling shows of one formula with its parameters.

    ``kinks`` are where f, f′ or f″ jumps, ``smoothness`` how many derivatives are continuous (−1 where f
    jumps), ``largest_slope`` sup |f′|, ``saturates`` the sides on which f′ tends to zero.
    """

    kinks: tuple[float, ...]
    smoothness: float
    largest_slope: float
    saturates: frozenset[Side]
    monotone: bool


def look(orders: Sequence[Tree], params: Mapping[str, float]) -> Facts:
    """The facts of f, given the trees of f, f′ and f″ in numerically stable form."""
    jumps = dict(_jumps(orders, params))
    (slope,) = evaluate(orders[1:2], {VARIABLE: GRID}, params)
    known = slope[np.isfinite(slope)]
    largest = float(np.abs(known).max(initial=0.0))
    far = GRID.size // 20
    if _grows(np.abs(slope[-far:])) or _grows(np.abs(slope[:far][::-1])):
        largest = math.inf
    scale = largest if 0 < largest < math.inf else 1.0
    ends: dict[Side, float] = (
        {"negative": float(known[0]), "positive": float(known[-1])} if known.size else {}
    )
    saturates = frozenset(side for side, end in ends.items() if abs(end) < _FLAT * scale)
    falls = any(order == -1 and step < 0 for order, step in jumps.values())
    return Facts(
        kinks=tuple(sorted(jumps)),
        smoothness=min((order for order, _ in jumps.values()), default=math.inf),
        largest_slope=largest,
        saturates=saturates,
        monotone=bool((known >= 0).all()) and not falls,
    )


def _grows(sizes: Doubles) -> bool:
    """Whether a slope goes on growing with x over the last decades of the grid."""
    if not np.isfinite(sizes).all():
        return bool(np.isinf(sizes).any())
    half = len(sizes) // 2
    return bool(sizes[half:].max() > 1.1 * sizes[:half].max() > 0)


def _jumps(orders: Sequence[Tree], params: Mapping[str, float]) -> Iterator[tuple[float, tuple[int, float]]]:
    """Where f, f′ or f″ jumps: the order of the last continuous derivative (−1: none), and the jump."""
    for place in candidates(orders[0], params)[:MOST_KINKS]:
        width = _STEP * max(abs(place), 1e-3)
        sides = np.array([place - 2 * width, place - width, place + width, place + 2 * width])
        for order, values in enumerate(evaluate(orders, {VARIABLE: sides}, params)):
            before, left, right, after = values.tolist()
            step = right - left
            drift = abs(left - before) + abs(after - right)
            if not math.isfinite(step) or abs(step) > 4 * drift + 1e-9 * (abs(left) + abs(right)) + 1e-300:
                yield place, (order - 1, step)
                break


def candidates(root: Tree, params: Mapping[str, float]) -> list[float]:
    """Where a condition in the formula switches, or abs, sign, min or max changes branch; sorted."""
    places: set[float] = set()
    for difference in dict.fromkeys(_differences(root)):
        if "x" in names(difference):
            places.update(_roots(difference, params))
    return sorted(places)


def extrema(orders: Sequence[Tree], params: Mapping[str, float]) -> list[float]:
    """Where the slope changes its sign, as far as the grid shows."""
    slope = orders[1]
    if VARIABLE not in names(slope):
        return []
    (values,) = evaluate([slope], {VARIABLE: GRID}, params)
    points, signs = GRID[values != 0], np.sign(values[values != 0])
    left = np.flatnonzero(signs[:-1] * signs[1:] < 0)[:MOST_KINKS]
    low, high = points[left], points[left + 1]
    # An exact zero between them, where there is one, is the place.
    exact = [float(each) for each in GRID[values == 0] if ((low < each) & (each < high)).any()]
    return [*exact, *_bisected(slope, params, low, high)]


def _differences(root: Tree) -> Iterator[Tree]:
    for node in walk(root):
        if node.op in CONDITIONS and node.op != "and":
            yield minus(node.args[0], node.args[1])
        elif node.op in {"abs", "sign"}:
            yield node.args[0]
        elif node.op in {"min", "max"}:
            yield from (minus(a, b) for place, a in enumerate(node.args) for b in node.args[place + 1 :])


def _roots(difference: Tree, params: Mapping[str, float]) -> list[float]:
    """Its zeros: in closed form where it is linear, else bisected between grid points."""
    slope = derivative(difference)
    if "x" not in names(slope):
        at_zero, steepness = (
            float(each[0]) for each in evaluate([difference, slope], {"x": np.zeros(1)}, params)
        )
        root = -at_zero / steepness if steepness else math.nan
        return [root + 0.0] if math.isfinite(root) else []
    values = evaluate([difference], {"x": GRID}, params)[0]
    exact = GRID[values == 0].tolist()
    signs = np.sign(values)
    left = np.flatnonzero(signs[:-1] * signs[1:] < 0)
    return [*exact[:MOST_KINKS], *(_bisected(difference, params, GRID[left], GRID[left + 1])[:MOST_KINKS])]


def _bisected(difference: Tree, params: Mapping[str, float], low: Doubles, high: Doubles) -> list[float]:
    if not low.size:
        return []
    at = evaluator([difference], [VARIABLE], params)
    sign = np.sign(at([low])[0])
    for _ in range(200):
        middle = low + (high - low) / 2
        if ((middle == low) | (middle == high)).all():  # adjacent doubles
            break
        same = np.sign(at([middle])[0]) == sign
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    return [float(each) for each in high]
