"""Contour lines of values on a grid: marching squares (Lorensen and Cline's marching cubes, in the plane)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from app.core.arithmetic import Array

_Edge: TypeAlias = tuple[int, int, int]
"""An edge between neighbouring grid points: row and column of the first; 0 if horizontal, 1 if vertical."""

# A cell's corners are numbered from (row, column) to the next column, the next row, and back; its sides in
# the same order. For each set of corners above the level: the sides where lines enter and leave the cell.
_CROSSINGS: dict[int, tuple[tuple[int, int], ...]] = {
    1: ((3, 0),),
    2: ((0, 1),),
    3: ((3, 1),),
    4: ((1, 2),),
    5: ((3, 0), (1, 2)),
    6: ((0, 2),),
    7: ((3, 2),),
    8: ((2, 3),),
    9: ((2, 0),),
    10: ((0, 1), (2, 3)),
    11: ((2, 1),),
    12: ((1, 3),),
    13: ((1, 0),),
    14: ((0, 3),),
}


def contours(grid: Array, level: float) -> Iterator[NDArray[np.float64]]:
    """Closed lines around the regions where ``grid`` is at least ``level``: one (row, column) per point.

    Where a region reaches the border of the grid, its line runs along the border. Values are interpolated
    linearly between grid points; NaN counts as below.
    """
    inside = np.pad(grid >= level, 1)
    heights = np.pad(np.where(np.isnan(grid), -np.inf, grid), 1, constant_values=-np.inf)
    following = dict(_steps(inside))
    while following:
        first, edge = following.popitem()
        loop = [first]
        while edge != first:
            loop.append(edge)
            edge = following.pop(edge)
        places = np.array([_crossing(heights, each, level) for each in loop]) - 1
        yield np.clip(places, 0, np.array(grid.shape) - 1)


def simplified(line: NDArray[np.float64], tolerance: float) -> NDArray[np.float64]:
    """The line with fewer points, such that no removed point is farther than ``tolerance`` from it.

    Douglas and Peucker 1973: the point farthest from the chord is kept, and splits the line in two.
    """
    kept = np.zeros(len(line), bool)
    kept[[0, -1]] = True
    parts = [(0, len(line) - 1)]
    while parts:
        first, last = parts.pop()
        if last - first < 2:
            continue
        away = line[first + 1 : last] - line[first]
        chord = line[last] - line[first]
        length = float(np.hypot(*chord))
        distances = (
            np.abs(away[:, 0] * chord[1] - away[:, 1] * chord[0]) / length if length else np.hypot(*away.T)
        )
        farthest = int(np.argmax(distances))
        if distances[farthest] > tolerance:
            middle = first + 1 + farthest
            kept[middle] = True
            parts += [(first, middle), (middle, last)]
    return line[kept]


def _steps(inside: NDArray[np.bool_]) -> Iterator[tuple[_Edge, _Edge]]:
    """Pairs of edges that a line crosses one after the other."""
    corners = inside[:-1, :-1] + 2 * inside[:-1, 1:] + 4 * inside[1:, 1:] + 8 * inside[1:, :-1]
    for row, column in zip(*np.nonzero((corners > 0) & (corners < 15)), strict=True):
        sides = (
            (int(row), int(column), 0),
            (int(row), int(column) + 1, 1),
            (int(row) + 1, int(column), 0),
            (int(row), int(column), 1),
        )
        for enters, leaves in _CROSSINGS[int(corners[row, column])]:
            yield sides[enters], sides[leaves]


def _crossing(heights: Array, edge: _Edge, level: float) -> tuple[float, float]:
    """Where the line crosses an edge; if one of its points has no value, at the other point."""
    row, column, along = edge
    one, other = heights[row, column], heights[row + along, column + 1 - along]
    if np.isneginf(one) or np.isneginf(other):
        part = float(np.isneginf(one))
    else:
        part = float((level - one) / (other - one))
    return (row + part, float(column)) if along else (float(row), column + part)
