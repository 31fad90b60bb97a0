"""Captions of pictures."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from app.api.experiments import complete
from app.contract.gradient_flow import GradientFlowRequest
from app.pictures.captions import caption


def layers(*sizes: int) -> dict[str, Any]:
    return {"layers": [{"fan_in": before, "fan_out": after} for before, after in pairwise(sizes)]}


@pytest.mark.parametrize(
    ("fields", "sizes", "said"),
    [
        ({}, (8, 8, 8), "tanh · depth 2, width 8 · xavier_normal"),
        (
            {"init": {"sigma_w": 1.5, "sigma_b": 0.05}},
            (8, 8),
            "tanh · depth 1, width 8 · σ_w = 1.5, σ_b = 0.05",
        ),
        ({"init": "critical", "sigma_b": 0.1}, (784, 512, 10), "tanh · 784–512–10 · critical, σ_b = 0.1"),
        ({"normalization": "layer_norm"}, (4, 4), "tanh · depth 1, width 4 · xavier_normal · layer_norm"),
        ({"residual": {"scale": 0.5}}, (4, 4), "tanh · depth 1, width 4 · xavier_normal · residual × 0.5"),
        ({}, (1, 2, 3, 4, 5, 6, 7), "tanh · 1–2–3–4–…–7 · xavier_normal"),
    ],
)
def test_networks(fields: dict[str, Any], sizes: tuple[int, ...], said: str) -> None:
    body = complete(GradientFlowRequest(activation="tanh", **fields))
    assert caption(body, layers(*sizes), "en") == said


def test_korean() -> None:
    body = complete(GradientFlowRequest(activation="leaky_relu", params={"negative_slope": 0.2}))
    said = "leaky_relu(negative_slope=0.2) · 깊이 2, 너비 8 · he_normal"
    assert caption(body, layers(8, 8, 8), "ko") == said


def test_an_array_is_not_spelled_out() -> None:
    body = complete(GradientFlowRequest(activation="prelu", params={"weight": [0.1, 0.2]}))
    assert caption(body, layers(2, 2), "en").startswith("prelu(weight=…)")
