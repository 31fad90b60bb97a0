"""Many roots at once, each in its own bracket."""

from __future__ import annotations

import numpy as np
import pytest

from app.core.theory.roots import Array, Cells, bisect, descend

TARGETS = np.array([1e-9, 1e-3, 0.5, 2.0, 1e6])


def test_every_root_is_found_to_the_last_digits() -> None:
    """t − x³, whose slope is 0 at the lower end of the bracket."""
    roots = descend(lambda x, cells: (TARGETS[cells] - x**3, -3 * x**2), np.zeros(5), np.full(5, 200.0))
    assert roots == pytest.approx(np.cbrt(TARGETS), rel=1e-14)


def test_newton_is_kept_inside_the_bracket() -> None:
    """1/2 − arctan: from the middle, Newton's steps alone run off to infinity."""
    roots = descend(lambda x, _: (0.5 - np.arctan(x), -1 / (1 + x**2)), np.array([-50.0]), np.array([90.0]))
    assert roots == pytest.approx(np.tan(0.5), rel=1e-14)


def test_a_wrong_slope_costs_time_only() -> None:
    roots = descend(lambda x, _: (2 - x**2, np.zeros(x.size)), np.zeros(1), np.full(1, 2.0))
    assert roots == pytest.approx(np.sqrt(2), rel=1e-14)


def test_finished_cells_are_not_evaluated_again() -> None:
    counts: list[int] = []

    def curve(x: Array, cells: Cells) -> tuple[Array, Array]:
        counts.append(cells.size)
        return np.where(cells == 0, 0.25 - x, TARGETS[2] - x**5), np.where(cells == 0, -1.0, -5 * x**4)

    descend(curve, np.zeros(2), np.ones(2))
    assert counts[0] == 2
    assert counts[-1] == 1


def test_no_cells() -> None:
    assert descend(lambda x, _: (x, x), np.empty(0), np.empty(0)).size == 0
    assert bisect(lambda x: x, np.empty(0), np.empty(0)).size == 0


def test_bisection() -> None:
    assert bisect(np.cos, np.zeros(1), np.full(1, 3.0)) == pytest.approx(np.pi / 2, rel=1e-15)
