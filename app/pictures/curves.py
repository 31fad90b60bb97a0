"""Samples of f, f′ and f″ for drawing: dense where they bend, cut where they jump.

A line approaches a break point from both sides. Where both limits and the value agree, it continues through
the point; elsewhere it is cut, and the point is marked with the value by convention and the one-sided limits
that differ from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from app.core.activations.definition import Elementwise
from app.core.activations.registry import Call
from app.core.errors import InvalidValue
from app.core.evaluation import activate

Points = NDArray[np.float64]

NO_CURVE = "mixes elements: elementwise functions alone are curves of one variable"

INTERVALS = 64
"""Initial intervals of the whole range."""

FEWEST = 8
"""Initial intervals of the shortest piece."""

ROUNDS = 5
"""Most halvings of an interval: 2048 intervals are finer than the pixels of most screens."""

MOST_POINTS = 2 * INTERVALS * 2**ROUNDS
"""Most points of a line, unless it has very many break points."""

RESOLUTION = 1e-3
"""Error of a line, as a fraction of the picture's height: less than half a pixel."""

MEETING = 1e-6
"""Distance below which two ends count as equal, as a fraction of the height."""


@dataclass(frozen=True)
class Curve:
    """One derivative: a line (``y`` is NaN where it is cut) and, at jumps, values and limits as points."""

    x: Points
    y: Points
    values: list[tuple[float, float]]
    limits: list[tuple[float, float]]


def curves(call: Call, low: float, high: float, order: int) -> tuple[Curve, ...]:
    """f, … up to the derivative of this order, each over [low, high].

    Raises `InvalidValue` for an activation that mixes elements: it has no curve of one variable.
    """
    if not isinstance(call.activation, Elementwise):
        raise InvalidValue(NO_CURVE)
    breaks = call.activation.break_points(call.scalars)
    kinks = [each for each in breaks if low < each < high]
    density = INTERVALS / (high - low)
    pieces = [_piece(call, order, ends, breaks, density) for ends in pairwise([low, *kinks, high])]
    at_kinks = _values(call, order, np.array(kinks))
    return tuple(
        _joined([(x, y[number]) for x, y in pieces], np.array(kinks), at_kinks[number])
        for number in range(order + 1)
    )


def _values(call: Call, order: int, x: Points) -> Points:
    """f and its derivatives at these points, (order + 1, points)."""
    return np.stack(activate(call, x, order=order).orders)


def _piece(
    call: Call, order: int, ends: tuple[float, float], breaks: list[float], density: float
) -> tuple[Points, Points]:
    """Samples between two ends, refined where chords miss the curve; at a break, the one-sided limit."""
    left, right = ends
    count = max(FEWEST, round((right - left) * density))
    x = np.linspace(left, right, count + 1)
    inside = x.copy()
    inside[0] = np.nextafter(left, right) if left in breaks else left
    inside[-1] = np.nextafter(right, left) if right in breaks else right
    y = _values(call, order, inside)
    fresh = np.ones(count, bool)
    for _ in range(ROUNDS):
        middle = (x[:-1] + x[1:])[fresh] / 2
        if not middle.size:
            break
        between = _values(call, order, middle)
        bent = _bent(y, between, fresh)
        places = np.flatnonzero(fresh)[bent] + 1
        x, y = np.insert(x, places, middle[bent]), np.insert(y, places, between[:, bent], axis=1)
        fresh = np.zeros(x.size - 1, bool)
        halves = places + np.arange(places.size)
        fresh[halves - 1] = fresh[halves] = True
    return x, y


def _bent(y: Points, middle: Points, fresh: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether, in any order, the curve leaves the chord over an interval, or becomes non-finite in it."""
    left, right = y[:, :-1][:, fresh], y[:, 1:][:, fresh]
    with np.errstate(all="ignore"):
        off = np.abs(middle - (left + right) / 2) > RESOLUTION * _height(y)[:, np.newaxis]
    ended = (np.isfinite(left) != np.isfinite(middle)) | (np.isfinite(middle) != np.isfinite(right))
    found: NDArray[np.bool_] = (off | ended).any(axis=0)
    return found


def _height(y: Points) -> Points:
    """Highest minus lowest finite value of each row."""
    finite = np.isfinite(y)
    top = np.where(finite, y, -np.inf).max(axis=-1)
    bottom = np.where(finite, y, np.inf).min(axis=-1)
    height: Points = np.maximum(top - bottom, 0.0)
    return height


def _joined(pieces: list[tuple[Points, Points]], kinks: Points, at_kinks: Points) -> Curve:
    """The pieces of one order as one line, cut where they do not agree."""
    height = float(_height(np.concatenate([y for _, y in pieces])[np.newaxis])[0])
    values, limits = [], []
    parts = [pieces[0]]
    for kink, value, (_, before), after in zip(kinks, at_kinks, pieces[:-1], pieces[1:], strict=True):
        sides = np.array([before[-1], after[1][0]])
        with np.errstate(invalid="ignore"):
            apart = ~(np.abs(sides - value) <= MEETING * height)
        if apart.any():
            values.append((float(kink), float(value)))
            limits += [(float(kink), side) for side in sides[apart].tolist()]
            parts.append((np.array([kink]), np.array([np.nan])))
        parts.append(after)
    x, y = (np.concatenate(each) for each in zip(*parts, strict=True))
    return Curve(x, np.where(np.isfinite(y), y, np.nan), values, limits)
