"""Vega-Lite specifications: pure functions of curves and answers.

Each specification uses named datasets, inlined under ``datasets``, with stable names and fields. A page can
fetch the specification once (``.vl.json``) and replace the rows of the datasets; a ``null`` cuts a line.

`functions`: ``vconcat``, a panel for each order.
    curves   {series, order, x: [...], y: [...]}: a row is a line; ``series`` is the function as it was named
    jumps    {series, order, x, y, limit}: where a line is cut, the value there and, with ``limit`` true, the
             one-sided limits that differ from it
`gradient_flow`: ``layer``.
    layers   {network, layer, median, low, high, faint}: log10 of the gradient's root mean square
    theory   {network, layer, log10_rms, faint}: the same at infinite width
    limits   {format, log10}: below it gradients round to zero; only those near the gradients
`mean_field`: ``layer``.
    cells    {sigma_w, sigma_b, w_low, w_high, b_low, b_high, chi_1, log10_chi_1, xi_gradient, phase};
             ``log10_chi_1`` is clipped to ±`DECADES`
    edge     {sigma_w, sigma_b}: the edge of chaos, χ₁ = 1
    regions  {sigma_w, sigma_b, label}: the positions of the phases' names

The colours are Okabe and Ito's (https://jfly.uni-koeln.de/color/), which can be distinguished with every
common kind of colour vision; dashes and labels repeat the information.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from textwrap import wrap
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from app.contract.blocks import BlockKind
from app.contract.pictures import MOST_CURVES, MOST_NETWORKS
from app.core.activations.definition import Text
from app.core.arithmetic.formats import FORMATS, log10_of_zero
from app.core.errors import InvalidValue
from app.pictures.curves import Curve

Spec: TypeAlias = dict[str, Any]
Theme: TypeAlias = Literal["light", "dark"]
Language: TypeAlias = Literal["en", "ko"]
LayerFigure: TypeAlias = Literal["gradient", "activation_mean"]

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
"""vl-convert includes the first; text in a font that neither it nor the machine has is missing in a PNG. The
others are for viewers of SVG: Arial has the same widths."""

MOST_LAYERS = 2_000
"""Most layers of a network that are drawn: more than a screen has columns of pixels."""

DECADES = 1.0
"""χ₁ is coloured from 10⁻¹ to 10¹: beyond, a gradient vanishes or explodes within a few layers."""

FACTORS = (0.33, 0.5, 0.7, 1.0, 1.4, 2.0, 3.0)
"""√χ₁ at the ticks of the colour scale."""

PALE = 0.4
"""Factor of the opacity of a faint network."""

REACH = 1.0
"""A format's limit is drawn if the lowest figure is below it, or less than so many decades above."""


class _Palette(NamedTuple):
    background: str
    text: str
    muted: str
    grid: str
    hues: tuple[str, ...]
    diverging: tuple[str, ...]


PALETTES: Mapping[Theme, _Palette] = {
    "light": _Palette(
        background="#ffffff",
        text="#1f2328",
        muted="#59636e",
        grid="#e3e6ea",
        hues=("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000"),
        diverging=("#0072b2", "#f7f7f7", "#d55e00"),
    ),
    "dark": _Palette(
        background="#0d1117",
        text="#e6edf3",
        muted="#9aa4af",
        grid="#2a313b",
        hues=("#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#f0e442", "#d55e00", "#ffffff"),
        diverging=("#56b4e9", "#1b222b", "#e69f00"),
    ),
}

DASHES = ([1, 0], [7, 3], [2, 2])

WHOLE: Spec = {"tickMinStep": 1, "format": "d", "labelExpr": "datum.value % 1 ? '' : datum.label"}
"""An axis of integers: ticks between them have no label."""

# The two counts are coprime, so that all pairs of hue and dash occur before one repeats.
assert all(len(palette.hues) == MOST_NETWORKS for palette in PALETTES.values())
assert len(DASHES) * MOST_NETWORKS == MOST_CURVES


@dataclass(frozen=True)
class Look:
    """How a picture is to look: theme, language, and the size of each panel in pixels."""

    theme: Theme = "light"
    lang: Language = "en"
    width: int = 560
    height: int = 300

    @property
    def palette(self) -> _Palette:
        """The theme's colours."""
        return PALETTES[self.theme]

    def say(self, text: Text) -> str:
        """``text`` in the picture's language."""
        return text.ko if self.lang == "ko" else text.en


@dataclass(frozen=True)
class Run:
    """A network: its label and answer of `POST /gradient-flow`, whether it is drawn faintly, its blocks."""

    label: str
    answer: Mapping[str, Any]
    faint: bool = False
    block: BlockKind | None = None


_ORDERS = (
    Text("value f(x)", "함숫값 f(x)"),
    Text("slope f′(x)", "기울기 f′(x)"),
    Text("curvature f″(x)", "이계도함수 f″(x)"),
)
_LAYER = Text("layer (1 receives the input)", "층(1이 입력 쪽)")
_BLOCK = Text("block (1 receives the input)", "블록(1이 입력 쪽)")
_STEP = Text("time step (1 is the first)", "시점(1이 처음)")
_MIXED = Text("layer, block or time step", "층, 블록 또는 시점")
_PARTS: Mapping[BlockKind | None, Text] = {
    None: _LAYER,
    "convolution": _LAYER,
    "residual": _BLOCK,
    "transformer": _BLOCK,
    "recurrent": _STEP,
}
_GRADIENT = Text("log10 of the gradient {of} (RMS)", "그래디언트 {of}의 RMS(log10)")
_MEAN = Text("mean activation", "활성값의 평균")
_SIMULATED = Text("simulated, median and 5–95 %", "시뮬레이션: 중앙값과 5–95%")
_THEORY = Text("theory", "이론")
_ZERO = Text("{format} rounds to 0", "{format}에서는 0")
_HEIGHTS: Mapping[LayerFigure, Text] = {"gradient": _GRADIENT, "activation_mean": _MEAN}
_FIELDS: Mapping[LayerFigure, str] = {
    "gradient": "gradient_log10_rms",
    "activation_mean": "activation_mean",
}
_NOTHING: Spec = {"median": None, "low": None, "high": None}
_SIGMA_W = Text("σ_w (standard deviation of weights × √fan_in)", "σ_w(가중치의 표준편차 × √fan_in)")
_SIGMA_B = Text("σ_b (standard deviation of biases)", "σ_b(편향의 표준편차)")
_FACTOR = (
    Text("the gradient is", "그래디언트에"),
    Text("multiplied per layer", "층마다 곱해지는"),
    Text("by √χ", "배율 √χ"),
)
_EDGE = Text(
    "On the line, the edge of chaos, a gradient keeps its size from layer to layer.",
    "선은 혼돈의 가장자리입니다. 여기에서는 그래디언트의 크기가 층을 지나도 유지됩니다.",
)
NARROW = 400
"""Pixels below which a picture is laid out for a phone."""

_PHASES = {
    "ordered": Text("ordered: gradients vanish", "질서: 그래디언트 소실"),
    "chaotic": Text("chaotic: gradients explode", "혼돈: 그래디언트 폭발"),
}


def functions(curves: Mapping[str, Sequence[Curve]], orders: Sequence[int], look: Look) -> Spec:
    """f, f′, f″ of several activations: a panel for each of ``orders``, a line for each of ``curves``."""
    chosen = [
        (name, order, series[order])
        for name, series in curves.items()
        for order in range(3)
        if order in orders
    ]
    return {
        **frame(look),
        "datasets": {
            "curves": [
                {"series": name, "order": order, "x": curve.x.tolist(), "y": _numbers(curve.y)}
                for name, order, curve in chosen
            ],
            "jumps": [
                {"series": name, "order": order, "x": x, "y": y, "limit": limit}
                for name, order, curve in chosen
                for points, limit in ((curve.limits, True), (curve.values, False))
                for x, y in points
            ],
        },
        "vconcat": [_panel(order, order == orders[-1], curves, look) for order in orders],
    }


def _panel(order: int, last: bool, names: Iterable[str], look: Look) -> Spec:
    widest = 7 * max(map(len, names), default=0) + 40
    legend = {
        "title": None,
        "orient": "top",
        "columns": max(1, look.width // widest),
        "labelLimit": look.width,
        "symbolType": "stroke",
        "symbolSize": 400,
    }
    colour = {"field": "series", "type": "nominal", "sort": None, "legend": legend}
    dash = {**colour, "scale": {"range": DASHES}}  # on points too: legends merge where domains are the same
    x = {"field": "x", "type": "quantitative", "scale": {"nice": False, "zero": False}}
    y = {"field": "y", "type": "quantitative", "title": look.say(_ORDERS[order])}
    here = {"filter": f"datum.order === {order}"}
    point = {"type": "point", "filled": True, "opacity": 1, "aria": False}
    return {
        "width": look.width,
        "height": look.height,
        "encoding": {"x": {**x, "title": "x" if last else None}, "y": y, "color": colour},
        "layer": [
            {
                "data": {"name": "curves"},
                "transform": [here, {"flatten": ["x", "y"]}],
                "mark": {"type": "line", "strokeWidth": 2},
                "encoding": {"strokeDash": dash},
            },
            {
                "data": {"name": "jumps"},
                "transform": [here],
                "mark": {**point, "size": 50},
                "encoding": {"strokeDash": dash},
            },
            {
                "data": {"name": "jumps"},
                "transform": [here, {"filter": "datum.limit"}],
                "mark": {**point, "size": 18},
                "encoding": {"color": {"value": look.palette.background}},
            },
        ],
    }


def gradient_flow(runs: Sequence[Run], look: Look, figure: LayerFigure = "gradient") -> Spec:
    """The gradient of every layer over the networks, with theory and the limits of formats.

    A single run has its label as title and its verdict as subtitle; several have a legend. Another ``figure``
    is drawn the same way, without theory and formats.
    """
    layers = [row for run in runs for row in _layers(run, figure)]
    if figure != "gradient":
        runs = [
            replace(run, answer={**run.answer, "theory": None, "gradient": {"underflow": {}}}) for run in runs
        ]
    theory = [row for run in runs for row in _theory(run)]
    formats = {name for run in runs for name in run.answer["gradient"]["underflow"]}
    figures = [row[name] for row in layers for name in ("low", "high") if row[name] is not None]
    parts = {_PARTS[run.block] for run in runs}
    return {
        **frame(look),
        **_verdict(runs, look),
        "width": look.width,
        "height": look.height,
        "datasets": {"layers": layers, "theory": theory, "limits": _limits(formats, figures)},
        "encoding": {
            "x": {
                "field": "layer",
                "type": "quantitative",
                "title": look.say(parts.pop() if len(parts) == 1 else _MIXED),
                "scale": {"nice": False, "zero": False},
                "axis": WHOLE,
            },
        },
        "layer": [
            _flushed(look),
            *_flows(look, _height(runs, figure), several=len(runs) > 1, theory=bool(theory)),
        ],
    }


def _height(runs: Sequence[Run], figure: LayerFigure) -> Text:
    """What is drawn: of plain layers ∂L/∂z, of blocks ∂L/∂h, of an LSTM ∂L/∂c."""
    kinds = dict.fromkeys(
        "∂L/∂c"
        if any(layer.get("cell_gradient_log10_rms") for layer in run.answer["layers"][:1])
        else "∂L/∂z"
        if run.block is None
        else "∂L/∂h"
        for run in runs
    )
    title = _HEIGHTS[figure]
    return Text(*(each.format(of=", ".join(kinds)) for each in title))


def _flows(look: Look, title: Text, *, several: bool, theory: bool) -> list[Spec]:
    """Band, theory and median, with a legend for several networks."""
    legend = {
        "title": None,
        "orient": "top",
        "columns": 1,
        "labelLimit": look.width,
        "symbolType": "square",
        "symbolOpacity": 1,
    }
    colour = {"field": "network", "type": "nominal", "sort": None, "legend": legend if several else None}
    names = [look.say(_SIMULATED), look.say(_THEORY)]
    dashes = {"domain": names, "range": [[1, 0], [6, 4]]}
    kind = {
        "title": None,
        "orient": "top",
        "labelLimit": look.width,
        "symbolType": "stroke",
        "symbolStrokeColor": look.palette.text,
        "symbolSize": 400,
        "values": names if theory else names[:1],
    }

    def height(field: str) -> Spec:
        return {"field": field, "type": "quantitative", "title": look.say(title)}

    def dashed(name: str) -> Spec:
        return {"datum": name, "scale": dashes, "legend": kind}

    def opacity(usual: float) -> Spec:
        return {"condition": {"test": "datum.faint", "value": PALE * usual}, "value": usual}

    return [
        {
            "data": {"name": "layers"},
            "mark": "area",
            "encoding": {
                "y": height("low"),
                "y2": {"field": "high"},
                "color": colour,
                "opacity": opacity(0.25),
            },
        },
        {
            "data": {"name": "layers"},
            "mark": {"type": "line", "strokeWidth": 4},
            "encoding": {
                "y": height("median"),
                "color": colour,
                "strokeDash": dashed(names[0]),
                "opacity": opacity(0.7),
            },
        },
        {
            "data": {"name": "layers"},
            "mark": {"type": "point", "filled": True, "size": 10, "aria": False},
            "encoding": {"y": height("median"), "color": colour, "opacity": opacity(0.7)},
        },
        {
            "data": {"name": "theory"},
            "mark": {"type": "line", "strokeWidth": 1.5, "color": look.palette.text},
            "encoding": {
                "y": height("log10_rms"),
                "strokeDash": dashed(names[1]),
                "detail": {"field": "network"},
                "opacity": opacity(1.0),
            },
        },
    ]


def _flushed(look: Look) -> Spec:
    """A line and a label for each format's limit."""
    label = look.say(_ZERO).format(format="' + datum.format + '")
    y = {"field": "log10", "type": "quantitative"}
    text = {"type": "text", "align": "right", "baseline": "top", "dy": 4, "dx": -4, "fontSize": 11}
    line = {"type": "rule", "strokeDash": [2, 2], "aria": False}  # its label is read aloud instead
    return {
        "data": {"name": "limits"},
        "transform": [{"calculate": f"'{label}'", "as": "label"}],
        "layer": [
            {
                "mark": {**line, "color": look.palette.muted},
                "encoding": {"x": {"value": 0}, "x2": {"value": "width"}, "y": y},
            },
            {
                "mark": {**text, "color": look.palette.muted},
                "encoding": {"x": {"value": "width"}, "y": y, "text": {"field": "label"}},
            },
        ],
    }


def _layers(run: Run, figure: LayerFigure) -> list[Spec]:
    return [
        {
            "network": run.label,
            "faint": run.faint,
            "layer": each["layer"],
            **{name: number(value) for name, value in (_drawn(each, figure) or _NOTHING).items()},
        }
        for each in _thinned(run.answer["layers"])
    ]


def _drawn(layer: Mapping[str, Any], figure: LayerFigure) -> Spec | None:
    """A layer's figure; of an LSTM's gradients that of the cell, by which it is judged."""
    cell: Spec | None = layer.get("cell_gradient_log10_rms") if figure == "gradient" else None
    found: Spec | None = cell or layer[_FIELDS[figure]]
    return found


def _theory(run: Run) -> list[Spec]:
    if run.answer["theory"] is None:
        return []
    rows = [
        {
            "network": run.label,
            "faint": run.faint,
            "layer": layer,
            "log10_rms": number(each["gradient_log10_rms"]),
        }
        for layer, each in enumerate(run.answer["theory"]["layers"], start=1)
    ]
    return _thinned(rows)


def _thinned(rows: Sequence[Any]) -> list[Any]:
    """At most `MOST_LAYERS` of the rows, evenly spaced, always with the last one."""
    step = -(-len(rows) // MOST_LAYERS)
    return [*rows[:-1:step], *rows[-1:]]


def _limits(formats: Iterable[str], figures: Sequence[float]) -> list[Spec]:
    if not figures:
        return []
    lowest = min(figures) - REACH
    limits = {name: log10_of_zero(FORMATS[name]) for name in formats}
    return [
        {"format": name, "log10": limit}
        for name, limit in sorted(limits.items(), key=lambda pair: -pair[1])
        if lowest <= limit <= max(figures)
    ]


def _verdict(runs: Sequence[Run], look: Look) -> Spec:
    if len(runs) != 1 or runs[0].answer["verdict"] is None:
        return {}
    return heading(runs[0].label, look.say(Text(**runs[0].answer["verdict"]["summary"])), look)


def check_grid(sigma_w: ArrayLike, sigma_b: ArrayLike) -> None:
    """Raises `InvalidValue` unless the pairs form a grid with at least two values of each."""
    weight, bias = np.broadcast_arrays(np.asarray(sigma_w, np.float64), np.asarray(sigma_b, np.float64))
    places = {"sigma_w": weight, "sigma_b": bias}
    for name, values in places.items():
        if len(np.unique(values)) < 2:
            raise InvalidValue("a phase diagram needs two different values or more", loc=(name,))
    pairs = np.unique(np.stack([weight.ravel(), bias.ravel()]), axis=1)
    if pairs.shape[1] != math.prod(len(np.unique(values)) for values in places.values()):
        raise InvalidValue(
            "must form a grid with sigma_b: each value of one beside each of the other, "
            "[[1, 2, 3]] beside [[0], [1]]",
            loc=("sigma_w",),
        )


def mean_field(
    label: str, sigma_w: ArrayLike, sigma_b: ArrayLike, answer: Mapping[str, Any], look: Look
) -> Spec:
    """The phase diagram over σ_w and σ_b: χ₁ as colour, χ₁ = 1 as a line, and the names of the phases.

    Raises `InvalidValue` as `check_grid` does.
    """
    check_grid(sigma_w, sigma_b)
    weight, bias = np.broadcast_arrays(np.asarray(sigma_w, np.float64), np.asarray(sigma_b, np.float64))
    cells = _cells(weight.ravel(), bias.ravel(), answer)
    across, up = (
        {"type": "quantitative", "scale": {"zero": False, "nice": False}, "title": look.say(title)}
        for title in (_SIGMA_W, _SIGMA_B)
    )
    return {
        **frame(look),
        **heading(label, look.say(_EDGE), look),
        "width": look.width,
        "height": look.height,
        "datasets": {
            "cells": cells,
            "edge": _edge(np.asarray(sigma_b, np.float64).ravel(), answer, cells),
            "regions": _regions(cells, look),
        },
        "layer": [
            {
                "data": {"name": "cells"},
                # Cells overlap by a pixel, or the background would show between them.
                "mark": {"type": "rect", "x2Offset": 1, "y2Offset": -1, "clip": True, "aria": False},
                "encoding": {
                    "x": {"field": "w_low", **across},
                    "x2": {"field": "w_high"},
                    "y": {"field": "b_low", **up},
                    "y2": {"field": "b_high"},
                    "color": _chi(look),
                },
            },
            {
                "data": {"name": "edge"},
                "mark": {"type": "line", "strokeWidth": 2.5, "color": look.palette.text},
                "encoding": {
                    "x": {"field": "sigma_w", **across},
                    "y": {"field": "sigma_b", **up},
                    "order": {"field": "sigma_b"},
                },
            },
            *_names(across, up, look),
        ],
    }


def _chi(look: Look) -> Spec:
    return {
        "field": "log10_chi_1",
        "type": "quantitative",
        "scale": {
            "domain": [-DECADES, 0, DECADES],
            "range": look.palette.diverging,
            "clamp": True,
            "interpolate": "lab",
        },
        "legend": {
            "title": [look.say(line) for line in _FACTOR],
            "values": [2 * math.log10(factor) for factor in FACTORS],
            "labelExpr": "format(pow(10, datum.value / 2), '.2~r')",
            "gradientLength": look.height - 30,
        },
    }


def _names(across: Spec, up: Spec, look: Look) -> list[Spec]:
    """The phases' names, outlined in the background's colour."""
    rim = {"stroke": look.palette.background, "strokeWidth": 3, "strokeJoin": "round", "strokeOpacity": 0.8}
    return [
        {
            "data": {"name": "regions"},
            "mark": {"type": "text", "fontSize": 13, "color": look.palette.text, **more},
            "encoding": {
                "x": {"field": "sigma_w", **across},
                "y": {"field": "sigma_b", **up},
                "text": {"field": "label"},
            },
        }
        for more in (rim, {})
    ]


def _cells(weight: NDArray[np.float64], bias: NDArray[np.float64], answer: Mapping[str, Any]) -> list[Spec]:
    chi, reach = (np.asarray(answer[name], np.float64).ravel() for name in ("chi_1", "xi_gradient"))
    phases = np.asarray(answer["phase"]).ravel()
    (w_low, w_high), (b_low, b_high) = _borders(weight), _borders(bias)
    with np.errstate(divide="ignore"):
        logarithm = np.clip(np.log10(chi), -DECADES, DECADES)
    columns = {
        "sigma_w": weight,
        "sigma_b": bias,
        "w_low": w_low,
        "w_high": w_high,
        "b_low": b_low,
        "b_high": b_high,
        "chi_1": chi,
        "log10_chi_1": logarithm,
        "xi_gradient": reach,
    }
    rows = zip(*(_numbers(each) for each in columns.values()), phases.tolist(), strict=True)
    return [dict(zip((*columns, "phase"), row, strict=True)) for row in rows]


def _borders(places: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper ends of the cells around ``places``: half-way to their neighbours."""
    centres, which = np.unique(places, return_inverse=True)
    between = (centres[:-1] + centres[1:]) / 2
    ends = np.array([max(0.0, 2 * centres[0] - between[0]), *between, 2 * centres[-1] - between[-1]])
    return ends[which], ends[which + 1]


def _edge(bias: NDArray[np.float64], answer: Mapping[str, Any], cells: Sequence[Spec]) -> list[Spec]:
    """The part of the critical line that lies in the picture."""
    critical = np.asarray(answer["critical_sigma_w"], np.float64).ravel()
    low, high = min(each["w_low"] for each in cells), max(each["w_high"] for each in cells)
    rows = sorted(set(zip(bias.tolist(), critical.tolist(), strict=True)))
    return [
        {"sigma_w": sigma_w if low <= sigma_w <= high else None, "sigma_b": sigma_b}
        for sigma_b, sigma_w in rows
    ]


def _regions(cells: Sequence[Spec], look: Look) -> list[Spec]:
    """The name of each phase that covers a sixth of the picture or more, at the median of its cells.

    In a narrow picture it takes two lines, so that it does not overlap the other phase's.
    """
    found = []
    for phase, name in _PHASES.items():
        own = [each for each in cells if each["phase"] == phase]
        if 6 * len(own) >= len(cells):
            middle = {key: float(np.median([each[key] for each in own])) for key in ("sigma_w", "sigma_b")}
            words = look.say(name)
            found.append({**middle, "label": words.split(": ") if look.width < NARROW else words})
    return found


def frame(look: Look) -> Spec:
    """The part that all pictures share: schema, colours, fonts."""
    colours = look.palette
    zero = {"condition": {"test": "datum.value === 0", "value": colours.muted}, "value": colours.grid}
    return {
        "$schema": SCHEMA,
        "background": colours.background,
        "padding": 12,
        "config": {
            "font": FONT,
            "axis": {
                "labelColor": colours.muted,
                "titleColor": colours.text,
                "titleFontWeight": "normal",
                "titleFontSize": 12,
                "labelFontSize": 11,
                "gridColor": zero,
                "domain": False,
                "ticks": False,
                "labelFlush": False,
                "labelPadding": 6,
                "titlePadding": 10,
            },
            "legend": {
                "layout": {"top": {"direction": "vertical", "anchor": "start"}},
                "labelColor": colours.text,
                "labelFontSize": 12,
                "titleColor": colours.text,
                "titleFontSize": 12,
                "titleFontWeight": "normal",
            },
            "title": {
                "color": colours.text,
                "subtitleColor": colours.muted,
                "anchor": "start",
                "fontSize": 15,
                "subtitleFontSize": 12,
                "subtitlePadding": 6,
                "offset": 12,
            },
            "view": {"stroke": None},
            "range": {"category": colours.hues},
        },
    }


def heading(title: str, subtitle: str, look: Look) -> Spec:
    """A title and a subtitle, wrapped to the picture's width."""
    letters = look.width // (9 if look.lang == "ko" else 6)
    return {"title": {"text": wrap(title, look.width // 8), "subtitle": wrap(subtitle, letters)}}


def _numbers(values: NDArray[np.float64]) -> list[float | None]:
    return [number(value) for value in values.tolist()]


def number(value: Any) -> float | None:
    """A number to draw, or None for a gap."""
    figure = math.nan if value is None else float(value)
    return figure if math.isfinite(figure) else None
