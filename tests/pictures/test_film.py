"""Animated pictures: they show the answer, and outlines lie at the contour level."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from app.core.arithmetic import Array
from app.pictures.contours import contours, simplified
from app.pictures.film import Points, film
from app.pictures.specifications import Look

SVG = "{http://www.w3.org/2000/svg}"


def area(loops: Sequence[Array]) -> float:
    """The area inside the lines, without holes, by the shoelace formula."""
    return abs(
        sum(
            0.5 * float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))
            for x, y in map(np.transpose, loops)
        )
    )


def ring(count: int) -> Array:
    """Above 0.5 between the radii 0.4 and 0.8 of the square [−1, 1]², linear in the radius on both sides."""
    axis = np.linspace(-1, 1, count)
    radius = np.hypot(axis[:, None], axis)
    return np.asarray(0.5 + 10 * (0.2 - np.abs(radius - 0.6)))


def test_outlines_lie_at_the_level_around_holes_too() -> None:
    loops = list(contours(ring(81), 0.5))
    assert len(loops) == 2
    radii = [np.hypot(*(loop / 40 - 1).T) for loop in loops]
    for found, radius in zip(sorted(radii, key=np.mean), (0.4, 0.8), strict=True):
        assert found == pytest.approx(radius, abs=1e-3)
    assert area(loops) / 40**2 == pytest.approx(math.pi * (0.8**2 - 0.4**2), rel=2e-3)


@pytest.mark.parametrize("seed", range(5))
def test_outlines_separate_points_above_the_level_from_others(seed: int) -> None:
    """On random grids, for each point, by the even-odd rule."""
    grid = np.random.default_rng(seed).random((9, 7))
    loops = list(contours(grid, 0.5))
    for row, column in np.ndindex(grid.shape):
        inward = (row + (1e-7 if row < 8 else -1e-7), column + (1e-7 if column < 6 else -1e-7))
        assert inside(loops, *inward) == (grid[row, column] >= 0.5), (row, column)


def inside(loops: Sequence[Array], row: float, column: float) -> bool:
    """Whether a ray to the right crosses an odd number of sides."""
    crossed = 0
    for loop in loops:
        for (r0, c0), (r1, c1) in zip(loop, np.roll(loop, -1, axis=0), strict=True):
            if (r0 > row) != (r1 > row) and column < c0 + (row - r0) / (r1 - r0) * (c1 - c0):
                crossed += 1
    return crossed % 2 == 1


@pytest.mark.parametrize(
    ("grid", "expected"), [(np.ones((4, 6)), 15.0), (np.zeros((4, 6)), 0.0), (np.full((4, 6), math.nan), 0.0)]
)
def test_a_plane_of_one_side_is_all_or_nothing(grid: Array, expected: float) -> None:
    assert area(list(contours(grid, 0.5))) == expected


def test_a_simplified_line_is_short_and_near() -> None:
    angle = np.linspace(0, 2 * math.pi, 400)
    line = 100 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    short = simplified(line, 0.3)
    assert len(short) < 70
    assert (short[0] == line[0]).all()
    assert area([short]) == pytest.approx(area([line]), rel=0.005)


def spread(value: Any) -> dict[str, Any]:
    return {"median": value, "low": value, "high": value}


def answer(count: int = 3, points: int = 21, **start: Any) -> dict[str, Any]:
    """A training of two activations; the second one diverges after the first frame."""
    place = {"low": [-1.0, -1.0], "high": [1.0, 1.0], "points": points}
    frames = []
    for index in range(count):
        diverged = spread(None if index else 0.7)
        figures = [
            {"loss": spread(0.7 / (index + 1)), "accuracy": spread(0.5), "boundary": ring(points).tolist()},
            {"loss": diverged, "accuracy": diverged, "boundary": None if index else ring(points).tolist()},
        ]
        frames.append({"step": 10 * index, "activations": figures})
    return {"start": {"runs": 2, "classes": 2, "boundary": place, **start}, "frames": frames}


def drawn(names: list[str], found: dict[str, Any], points: Points | None = None, **look: Any) -> ET.Element:
    return ET.fromstring(film(names, "rings", found, points, Look(**look)))


def test_each_frame_is_drawn_and_the_last_one_shown_without_animation() -> None:
    svg = drawn(["tanh", "formula:x < 0"], answer())
    kinds = [each.get("class") for each in svg.iter(f"{SVG}g") if each.get("class")]
    assert kinds == ["frame", "frame", "last"]
    (style,) = (each.text or "" for each in svg.iter(f"{SVG}style"))
    assert ".last{visibility" not in style  # visible without animation
    assert "prefers-reduced-motion" in style
    words = [each.text for each in svg.iter(f"{SVG}text")]
    assert "formula:x < 0" in words
    assert [each for each in words if each and each.startswith("step")] == ["step 0", "step 10", "step 20"]


@pytest.mark.parametrize(
    "start", [{"boundary": None}, {"classes": 3}, {"boundary": {"low": [0.0], "high": [1.0]}}]
)
def test_without_two_classes_in_a_plane_there_are_losses_alone(start: dict[str, Any]) -> None:
    svg = drawn(["tanh", "relu"], answer(**start))
    assert not [each for each in svg.iter(f"{SVG}path") if each.get("fill-rule")]
    assert [each for each in svg.iter(f"{SVG}path") if each.get("fill") == "none"]


def test_examples_are_dots_inside_their_maps() -> None:
    places = np.array([[0.0, 0.5, 5.0], [0.0, -0.5, 0.0]])
    svg = drawn(["tanh", "relu"], answer(), Points(places, np.array([0, 1, 1])), width=400)
    dots = [each.get("d", "") for each in svg.iter(f"{SVG}path") if each.get("stroke-linecap") == "round"]
    assert [len(re.findall("h0", each)) for each in dots] == [1, 1, 1, 1]  # points outside are left out


def test_it_speaks_korean() -> None:
    words = "".join(
        each.text or "" for each in drawn(["tanh", "relu"], answer(), lang="ko").iter(f"{SVG}text")
    )
    assert "스텝 20" in words
    assert "실행 2번의 중앙값" in words
