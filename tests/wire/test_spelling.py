"""Functions with their parameters in one line."""

from __future__ import annotations

import math

import pytest

from app.wire.errors import Unsuitable
from app.wire.spelling import read, spell


@pytest.mark.parametrize(
    ("text", "name", "settings"),
    [
        ("relu", "relu", {}),
        (" relu ( ) ", "relu", {}),
        ("leaky_relu(negative_slope=0.2)", "leaky_relu", {"negative_slope": 0.2}),
        ("torch:GELU(approximate=tanh)", "torch:GELU", {"approximate": "tanh"}),
        ("f( a = -1e-3 , b=.5, c=+2. )", "f", {"a": -1e-3, "b": 0.5, "c": 2.0}),
        ("f(x=Infinity, y=-Infinity)", "f", {"x": math.inf, "y": -math.inf}),
        ("f(on=true, off=false)", "f", {"on": True, "off": False}),
    ],
)
def test_valid_lines(text: str, name: str, settings: dict[str, object]) -> None:
    assert read(text) == (name, settings)


@pytest.mark.parametrize(
    "text", ["", "relu(", "relu)", "f(a)", "f(a=)", "f(a=1", "f(a=1,)", "f(a=1, a=2)", "f(a=[1])", "a b"]
)
def test_invalid_lines(text: str) -> None:
    with pytest.raises(Unsuitable):
        read(text)


@pytest.mark.parametrize(
    "settings", [{}, {"a": 0.1}, {"a": 2.0, "b": 1e300}, {"a": math.inf}, {"a": True, "b": "tanh"}]
)
def test_round_trip(settings: dict[str, object]) -> None:
    assert read(spell("f", settings)) == ("f", settings)
