"""A training as a picture: loss and accuracy by step, and the decision boundaries.

`training`: ``vconcat``, panels of lines, and below them maps, if a boundary was watched.
    figures    {activation, step, loss, loss_low, loss_high, accuracy, accuracy_low, accuracy_high}: median,
               5th and 95th percentile over the runs
    boundary   {activation, x, y, value} of the last frame: run 0's probability of class 1, or its class
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from app.core.activations.definition import Text
from app.pictures.specifications import DASHES, WHOLE, Look, Spec, frame, heading, number

MAPS_IN_A_ROW = 4

WIDEST = 180
"""Most pixels of a map's side."""

MOST_PLACES = 60
"""Most points along each axis of a map: more are thinned."""

_STEP = Text("step", "스텝")
_PANELS = {
    "loss": Text("loss (training examples)", "손실(학습 데이터)"),
    "accuracy": Text("accuracy (training examples)", "정확도(학습 데이터)"),
}
_BAND = Text(
    "Median over {runs} runs, band from the 5th to the 95th percentile.",
    "실행 {runs}번의 중앙값, 띠는 5–95백분위수입니다.",
)
_DIVERGED = Text("Diverged: {names}.", "발산: {names}.")
_SIDE = Text("class 1", "클래스 1")


def training(names: Sequence[str], title: str, answer: Mapping[str, Any], look: Look) -> Spec:
    """The answer of `POST /training` for activations with these ``names``."""
    figures = [row for seen_at in answer["frames"] for row in _rows(names, seen_at)]
    places = _places(names, answer)
    panels = [name for name in _PANELS if any(row[name] is not None for row in figures)]
    return {
        **frame(look),
        **heading(title, _subtitle(names, answer, look), look),
        "datasets": {"figures": figures, "boundary": places},
        "vconcat": [
            *(_panel(name, place == 0, look) for place, name in enumerate(panels)),
            *([_maps(names, answer, look)] if places else []),
        ],
        "resolve": {"scale": {"color": "independent", "strokeDash": "independent"}},
    }


def _subtitle(names: Sequence[str], answer: Mapping[str, Any], look: Look) -> str:
    sentences = [look.say(_BAND).format(runs=answer["start"]["runs"])]
    diverged = [
        f"{name} ({len(each['diverged'])})"
        for name, each in zip(names, answer["activations"], strict=True)
        if each["diverged"]
    ]
    if diverged:
        sentences.append(look.say(_DIVERGED).format(names=", ".join(diverged)))
    return " ".join(sentences)


def _rows(names: Sequence[str], seen: Mapping[str, Any]) -> list[Spec]:
    return [
        {
            "activation": name,
            "step": seen["step"],
            **{
                f"{figure}{suffix}": number(each[figure][key])
                for figure in _PANELS
                for suffix, key in (("", "median"), ("_low", "low"), ("_high", "high"))
            },
        }
        for name, each in zip(names, seen["activations"], strict=True)
    ]


def _panel(figure: str, first: bool, look: Look) -> Spec:
    legend = {
        "title": None,
        "orient": "top",
        "columns": max(1, look.width // 130),
        "labelLimit": look.width,
        "symbolType": "stroke",
        "symbolSize": 400,
        "symbolOpacity": 1,
        "symbolStrokeWidth": 2,
    }
    colour = {"field": "activation", "type": "nominal", "sort": None, "legend": legend if first else None}
    dash = {**colour, "scale": {"range": DASHES}, "legend": None}
    x = {
        "field": "step",
        "type": "quantitative",
        "title": look.say(_STEP),
        "scale": {"nice": False},
        "axis": WHOLE,
    }
    scale = {"type": "log"} if figure == "loss" else {"domain": [0, 1]}

    def height(suffix: str = "") -> Spec:
        y = {"field": figure + suffix, "type": "quantitative", "scale": scale}
        return {**y, "title": look.say(_PANELS[figure])}

    return {
        "width": look.width,
        "height": look.height,
        "data": {"name": "figures"},
        "encoding": {"x": x, "color": colour},
        "layer": [
            {
                "mark": {"type": "area", "opacity": 0.2, "clip": True},
                "encoding": {
                    "y": height("_low"),
                    "y2": {"field": f"{figure}_high"},
                },
            },
            {
                "mark": {"type": "line", "strokeWidth": 2, "clip": True},
                "encoding": {"y": height(), "strokeDash": dash},
            },
        ],
    }


def _places(names: Sequence[str], answer: Mapping[str, Any]) -> list[Spec]:
    """A row for each point of each activation's map in the last frame; none for a single feature."""
    place = answer["start"]["boundary"]
    if place is None or len(place["low"]) != 2:
        return []
    step = -(-place["points"] // MOST_PLACES)
    x, y = (
        np.linspace(low, high, place["points"])[::step].tolist()
        for low, high in zip(place["low"], place["high"], strict=True)
    )
    return [
        {"activation": name, "x": across, "y": up, "value": number(value)}
        for name, each in zip(names, answer["frames"][-1]["activations"], strict=True)
        if each["boundary"] is not None
        for up, row in zip(y, each["boundary"][::step], strict=True)
        for across, value in zip(x, row[::step], strict=True)
    ]


def _maps(names: Sequence[str], answer: Mapping[str, Any], look: Look) -> Spec:
    classes = answer["start"]["classes"] or 2
    columns = min(len(names), MAPS_IN_A_ROW)
    side = min(max(60, look.width // columns - 24), WIDEST)
    points = answer["start"]["boundary"]["points"]
    shown = -(-points // -(-points // MOST_PLACES))
    scale = {"domain": [0, 0.5, 1], "range": look.palette.diverging, "clamp": True}
    if classes > 2:
        scale = {"domain": list(range(classes)), "range": list(look.palette.hues)}
    band = {"type": "quantitative", "axis": None, "scale": {"zero": False, "nice": False}}
    return {
        "data": {"name": "boundary"},
        "facet": {
            "field": "activation",
            "type": "nominal",
            "sort": list(names),
            "title": None,
            "header": {"labelColor": look.palette.text, "labelFontSize": 12},
        },
        "columns": columns,
        "spacing": 12,
        "spec": {
            "width": side,
            "height": side,
            "mark": {
                "type": "square",
                "size": (side / shown + 1) ** 2,
                "opacity": 1,
                "aria": False,
                "clip": True,
            },
            "encoding": {
                "x": {"field": "x", **band},
                "y": {"field": "y", **band},
                "color": {
                    "field": "value",
                    "type": "nominal" if classes > 2 else "quantitative",
                    "scale": scale,
                    "legend": None if classes > 2 else {"title": look.say(_SIDE), "format": ".1f"},
                },
            },
        },
        "resolve": {"scale": {"color": "shared"}},
    }
