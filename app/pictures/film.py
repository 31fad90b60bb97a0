"""A training as an animated SVG, which plays wherever a picture can be shown.

Each frame has a map for each activation, with its network's decision boundary between two classes, and below
them the losses up to that frame. The animation uses CSS only. With reduced motion, and in programs without
CSS animations, the last frame is shown.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.core.activations.definition import Text
from app.core.arithmetic import Array
from app.pictures.contours import contours, simplified
from app.pictures.specifications import FONT, Look, number

SECONDS = 6.0
"""Seconds that all frames take together."""

REST = 2.5
"""Seconds that the last frame stays."""

MAPS_IN_A_ROW = 4

MOST_POINTS = 200
"""Most examples that are drawn: the first ones."""

NEAR = 0.3
"""Pixels by which a simplified outline may be off."""

SHARE = 0.22
"""Share of a class's hue in the background where the network predicts that class."""

_MARGIN, _GAP, _LINE = 12.0, 16.0, 18.0
_LEFT = 44.0
"""Left margin for the labels of the losses' axis."""

_STEP = Text("step {step}", "스텝 {step}")
_LOSS = Text("loss", "손실")
_PERCENT = Text("{percent:.0f} %", "{percent:.0f}%")
_NOTE = Text(
    "Median over {runs} runs; the maps are those of the first run.",
    "실행 {runs}번의 중앙값입니다. 지도는 첫 번째 실행의 것입니다.",
)


@dataclass(frozen=True)
class Points:
    """Examples to draw: two rows of coordinates, and the class of each, 0 or 1."""

    places: Array
    classes: NDArray[np.intp]


@dataclass(frozen=True)
class _Box:
    left: float
    top: float
    width: float
    height: float

    @property
    def bottom(self) -> float:
        return self.top + self.height

    @property
    def right(self) -> float:
        return self.left + self.width


def film(
    names: Sequence[str], title: str, answer: Mapping[str, Any], points: Points | None, look: Look
) -> str:
    """The answer of `POST /training` for activations with these ``names``, as an SVG.

    ``look.width`` is that of the picture, ``look.height`` that of the losses' panel. Maps are drawn for two
    classes in a plane, if a boundary was watched.
    """
    frames = answer["frames"]
    maps = _boxes(len(names), look.width) if _mapped(answer) else []
    top = (maps[-1].bottom + 2 * _LINE if maps else 3 * _LINE) + _MARGIN
    losses = _Box(_LEFT, top, look.width - _LEFT - _MARGIN, float(look.height))
    height = losses.bottom + 2 * _LINE
    hues = look.palette.hues[2:] + look.palette.hues[:2]  # the first two are the classes'
    panel = _Losses(names, answer, losses, hues, look)
    parts = [
        _head(title, answer["start"]["runs"], look),
        *(_field(name, box, hue, look) for name, box, hue in zip(names, maps, hues, strict=False)),
        *panel.still(),
    ]
    for index, seen in enumerate(frames):
        inside = [panel.moving(index), *_moving(seen, maps, look)]
        kind = "last" if index == len(frames) - 1 else "frame"
        delay = f' style="animation-delay:{SECONDS * index / len(frames):.3g}s"' if kind == "frame" else ""
        parts.append(f'<g class="{kind}"{delay}>{"".join(inside)}</g>')
    if points is not None:
        parts += [_dots(points, box, answer["start"]["boundary"], look) for box in maps]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {look.width} {height:g}" width="{look.width}" '
        f'height="{height:g}" font-family="{escape(FONT)}" font-size="12" fill="{look.palette.text}">'
        f"<title>{escape(title)}</title>{_style(len(frames))}"
        f'<rect width="100%" height="100%" fill="{look.palette.background}"/>{"".join(parts)}</svg>\n'
    )


def _style(count: int) -> str:
    """CSS that shows each frame for its share of the time, and the last one until the animation restarts."""
    whole = SECONDS + REST
    share = 100 * SECONDS / count / whole
    begin = 100 * SECONDS * (count - 1) / count / whole
    return (
        "<style>"
        f".frame{{visibility:hidden;animation:frame {whole:g}s step-end infinite}}"
        f".last{{animation:last {whole:g}s step-end infinite}}"
        f"@keyframes frame{{0%{{visibility:visible}}{share:.4g}%{{visibility:hidden}}}}"
        f"@keyframes last{{0%{{visibility:hidden}}{begin:.4g}%{{visibility:visible}}}}"
        "@media (prefers-reduced-motion:reduce){.frame,.last{animation:none}}"
        "</style>"
    )


def _head(title: str, runs: int, look: Look) -> str:
    note = look.say(_NOTE).format(runs=runs)
    return (
        f'<text x="{_MARGIN:g}" y="24" font-size="14" font-weight="600">{escape(title)}</text>'
        f'<text x="{_MARGIN:g}" y="42" fill="{look.palette.muted}">{escape(note)}</text>'
    )


def _mapped(answer: Mapping[str, Any]) -> bool:
    """Whether there are maps: for two classes in a plane."""
    place = answer["start"]["boundary"]
    return place is not None and len(place["low"]) == 2 and answer["start"]["classes"] == 2


def _boxes(count: int, width: int) -> list[_Box]:
    columns = min(count, MAPS_IN_A_ROW)
    side = min((width - 2 * _MARGIN - (columns - 1) * _GAP) / columns, 260.0)
    above, apart = 3 * _LINE, side + 2 * _LINE
    return [
        _Box(_MARGIN + (side + _GAP) * (index % columns), above + apart * (index // columns), side, side)
        for index in range(count)
    ]


def _field(name: str, box: _Box, hue: str, look: Look) -> str:
    """The static part of a map: its background in the hue of class 0, and the activation's name."""
    return (
        f'<rect x="{box.left:.5g}" y="{box.top:.5g}" width="{box.width:.5g}" height="{box.height:.5g}" '
        f'fill="{_ground(0, look)}"/>'
        f'<text x="{box.left:.5g}" y="{box.bottom + _LINE:.5g}" fill="{hue}" font-weight="600">'
        f"{escape(name)}</text>"
    )


def _ground(which: int, look: Look) -> str:
    """A class's hue, blended with the picture's background."""
    pairs = zip(_rgb(look.palette.hues[which]), _rgb(look.palette.background), strict=True)
    return "#" + "".join(f"{round(SHARE * hue + (1 - SHARE) * ground):02x}" for hue, ground in pairs)


def _rgb(colour: str) -> list[int]:
    return [int(colour[start : start + 2], 16) for start in (1, 3, 5)]


def _moving(seen: Mapping[str, Any], maps: Sequence[_Box], look: Look) -> Iterator[str]:
    """The maps of a frame: the region of class 1 up to the decision boundary, and the accuracy."""
    for each, box in zip(seen["activations"], maps, strict=False):
        if (grid := each["boundary"]) is not None:
            yield (
                f'<path d="{_outline(np.asarray(grid, np.float64), box)}" fill="{_ground(1, look)}" '
                f'fill-rule="evenodd" stroke="{look.palette.text}"/>'
            )
        if (share := number(each["accuracy"]["median"])) is not None:
            yield (
                f'<text x="{box.right:.5g}" y="{box.bottom + _LINE:.5g}" text-anchor="end">'
                f"{look.say(_PERCENT).format(percent=100 * share)}</text>"
            )


def _outline(grid: Array, box: _Box) -> str:
    """The outline of the region where the probability of class 1 is at least a half."""
    rows, columns = (max(each - 1, 1) for each in grid.shape)
    pieces = []
    for loop in contours(grid, 0.5):
        across = box.left + loop[:, 1] / columns * box.width
        down = box.bottom - loop[:, 0] / rows * box.height
        closed = np.stack([np.append(across, across[0]), np.append(down, down[0])], axis=1)
        places = [f"{x:.1f} {y:.1f}" for x, y in simplified(closed, NEAR)[:-1]]
        pieces.append(f"M{' '.join(places)}Z")
    return "".join(pieces)


def _dots(points: Points, box: _Box, place: Mapping[str, Any], look: Look) -> str:
    (x_low, y_low), (x_high, y_high) = place["low"], place["high"]
    across = box.left + (points.places[0] - x_low) / (x_high - x_low) * box.width
    down = box.bottom - (points.places[1] - y_low) / (y_high - y_low) * box.height
    inside = (across >= box.left) & (across <= box.right) & (down >= box.top) & (down <= box.bottom)
    parts = []
    for index in (0, 1):
        chosen = np.flatnonzero(inside & (points.classes == index))[: MOST_POINTS // 2]
        # A line of length zero with round caps is a dot, and takes half as much text as a circle.
        path = "".join(f"M{across[each]:.1f} {down[each]:.1f}h0" for each in chosen)
        parts.append(
            f'<path d="{path}" stroke="{look.palette.hues[index]}" stroke-width="4" stroke-linecap="round"/>'
        )
    return "".join(parts)


class _Losses:
    """The panel of losses over the steps, on a logarithmic scale of decades."""

    def __init__(
        self, names: Sequence[str], answer: Mapping[str, Any], box: _Box, hues: Sequence[str], look: Look
    ) -> None:
        self._names = names
        self._box = box
        self._hues = hues
        self._look = look
        self._steps: list[int] = [each["step"] for each in answer["frames"]]
        self._logs = [
            [_log10(each["activations"][which]["loss"]["median"]) for each in answer["frames"]]
            for which in range(len(names))
        ]
        drawn = [each for line in self._logs for each in line if each is not None] or [0.0]
        self._low, self._high = math.floor(min(drawn)), math.ceil(max(drawn) + 1e-9)

    def still(self) -> Iterator[str]:
        """The axes and the complete lines."""
        box, palette = self._box, self._look.palette
        for power in range(self._low, self._high + 1):
            y = self._down(power)
            yield (
                f'<path d="M{box.left:g} {y:.5g}H{box.right:g}" stroke="{palette.grid}"/>'
                f'<text x="{box.left - 6:g}" y="{y + 4:.5g}" text-anchor="end" font-size="11" '
                f'fill="{palette.muted}">{10.0**power:g}</text>'
            )
        yield (
            f'<text x="{box.left:g}" y="{box.top - 8:.5g}" fill="{palette.muted}" font-size="11">'
            f"{self._look.say(_LOSS)}</text>"
        )
        paths = "".join(
            f'<path d="{self._path(index)}" fill="none" stroke="{hue}"/>'
            for index, hue in zip(range(len(self._names)), self._hues, strict=False)
        )
        yield f'<g stroke-width="2.5" stroke-linejoin="round">{paths}</g>'

    def moving(self, frame: int) -> str:
        """A translucent cover over the lines after a frame, and the number of its step."""
        box, palette = self._box, self._look.palette
        here, beyond = self._across(frame), box.right + 2
        step = escape(self._look.say(_STEP).format(step=self._steps[frame]))
        return (
            f'<path d="M{here:.1f} {box.top:.5g}H{beyond:.1f}V{box.bottom:.5g}H{here:.1f}Z" '
            f'fill="{palette.background}" fill-opacity="0.75"/>'
            f'<path d="M{here:.1f} {box.top:.5g}V{box.bottom:.5g}" stroke="{palette.muted}"/>'
            f'<text x="{here:.1f}" y="{box.bottom + _LINE:.5g}" '
            f'text-anchor="{"start" if 2 * frame < len(self._steps) else "end"}">{step}</text>'
        )

    def _path(self, index: int) -> str:
        """The line of an activation, with gaps where there is no loss."""
        pieces = []
        pen = "M"
        for frame, value in enumerate(self._logs[index]):
            if value is None:
                pen = "M"
                continue
            pieces.append(f"{pen}{self._across(frame):.1f} {self._down(value):.1f}")
            pen = "L"
        return "".join(pieces) + ("h0" if len(pieces) == 1 else "")

    def _across(self, frame: int) -> float:
        last = max(self._steps[-1], 1)
        return self._box.left + self._steps[frame] / last * self._box.width

    def _down(self, power: float) -> float:
        return self._box.bottom - (power - self._low) / (self._high - self._low) * self._box.height


def _log10(loss: Any) -> float | None:
    value = number(loss)
    return math.log10(value) if value is not None and value > 0 else None
