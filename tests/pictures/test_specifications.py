"""Specifications: named datasets with stable fields, the right rows, distinguishable colours."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import vl_convert

from app.contract.blocks import BlockKind
from app.contract.pictures import MOST_CURVES
from app.core.activations import REGISTRY
from app.core.errors import InvalidValue
from app.core.theory.diagram import diagram
from app.pictures.curves import curves
from app.pictures.specifications import (
    DASHES,
    DECADES,
    MOST_LAYERS,
    PALETTES,
    Look,
    Run,
    Spec,
    functions,
    gradient_flow,
    mean_field,
)

SPREAD = {"median": -1.0, "low": -1.5, "high": -0.5}
SUMMARY = {"en": "The gradient survives.", "ko": "그래디언트가 살아남습니다."}


def drawn_functions(*names: str, orders: tuple[int, ...] = (0, 1, 2), look: Look | None = None) -> Spec:
    found = {name: curves(REGISTRY.resolve(name), -2.0, 2.0, max(orders)) for name in names}
    return functions(found, orders, look or Look())


def answer(*medians: Any, theory: bool = True) -> dict[str, Any]:
    """An answer of `POST /gradient-flow` with layers of these gradients."""
    spreads = [{"median": each, "low": each, "high": each} for each in medians]
    layers = [
        {"layer": number, "fan_in": 8, "fan_out": 8, "gradient_log10_rms": spread}
        for number, spread in enumerate(spreads, start=1)
    ]
    rows = [{"q": 1.0, "chi": 1.0, "gradient_log10_rms": each} for each in medians]
    return {
        "layers": layers,
        "gradient": {"underflow": {"float32": None, "bfloat16": None, "float16": 1}},
        "theory": {"layers": rows} if theory else None,
        "verdict": {"summary": SUMMARY},
    }


def drawn_diagram(look: Look | None = None) -> Spec:
    sigma_w, sigma_b = np.array([[0.5, 1.0, 2.0, 4.0]]), np.array([[0.0], [0.5]])
    found = diagram(REGISTRY.resolve("tanh"), sigma_w, sigma_b)
    return mean_field("tanh", sigma_w, sigma_b, found, look or Look())


def within(spec: Any, key: str) -> Iterator[Any]:
    """Every value under this key, at any depth."""
    if isinstance(spec, dict):
        if key in spec:
            yield spec[key]
        for each in spec.values():
            yield from within(each, key)
    elif isinstance(spec, list):
        for each in spec:
            yield from within(each, key)


SPECIFICATIONS: dict[str, Callable[[Look], Spec]] = {
    "functions": lambda look: drawn_functions("relu", "hardshrink", "tanh", look=look),
    "network": lambda look: gradient_flow([Run("tanh", answer(-9.0, -1.0, 0.0))], look),
    "networks": lambda look: gradient_flow([Run("a", answer(-9.0, 0.0)), Run("b", answer(0.0))], look),
    "diagram": drawn_diagram,
}


@pytest.mark.parametrize("look", [Look(), Look("dark", "ko", 300, 200)], ids=["light", "dark"])
@pytest.mark.parametrize("name", SPECIFICATIONS)
def test_specifications_draw_from_named_data_without_a_warning(
    name: str, look: Look, capfd: pytest.CaptureFixture[str]
) -> None:
    spec = SPECIFICATIONS[name](look)
    used = {each["name"] for each in within({**spec, "datasets": None}, "data")}
    assert used == spec["datasets"].keys()
    text = json.dumps(spec, allow_nan=False)
    vl_convert.vegalite_to_vega(text, show_warnings=True)
    shown = capfd.readouterr()
    assert shown.out + shown.err == ""


def test_rows_of_functions() -> None:
    spec = drawn_functions("relu", "tanh", orders=(0, 1))
    rows = spec["datasets"]["curves"]
    assert [(each["series"], each["order"]) for each in rows] == [
        *(("relu", 0), ("relu", 1)),
        *(("tanh", 0), ("tanh", 1)),
    ]
    slope = rows[1]
    assert len(slope["x"]) == len(slope["y"])
    assert slope["y"].count(None) == 1
    jump = {"series": "relu", "order": 1, "x": 0.0}
    assert spec["datasets"]["jumps"] == [
        {**jump, "y": 1.0, "limit": True},
        {**jump, "y": 0.0, "limit": False},
    ]
    assert len(spec["vconcat"]) == 2


def test_rows_of_layers_leave_gaps_for_what_is_not_finite() -> None:
    spec = gradient_flow([Run("relu", answer("-Infinity", -3.0))], Look())
    first, second = spec["datasets"]["layers"]
    known = {"network": "relu", "faint": False}
    assert first == {**known, "layer": 1, "median": None, "low": None, "high": None}
    assert second == {**known, "layer": 2, "median": -3.0, "low": -3.0, "high": -3.0}
    assert [each["log10_rms"] for each in spec["datasets"]["theory"]] == [None, -3.0]


def test_a_very_deep_network_is_thinned_and_keeps_its_ends() -> None:
    spec = gradient_flow([Run("relu", answer(*np.linspace(-9.0, 0.0, 10_001).tolist()))], Look())
    for name in ("layers", "theory"):
        rows = spec["datasets"][name]
        assert 1_000 < len(rows) <= MOST_LAYERS + 1
        assert (rows[0]["layer"], rows[-1]["layer"]) == (1, 10_001)


def test_no_theory_draws_no_theory() -> None:
    spec = gradient_flow([Run("relu", answer(-3.0, theory=False))], Look())
    assert spec["datasets"]["theory"] == []
    assert [len(each["values"]) for each in within(spec["layer"], "legend") if each] == [1, 1]


@pytest.mark.parametrize(
    ("lowest", "formats"),
    [
        (-1.0, []),
        (-9.0, ["float16"]),
        (-42.0, ["float16", "bfloat16"]),
        (-44.5, ["float16", "bfloat16", "float32"]),  # not reached, but the next layer would
        (-50.0, ["float16", "bfloat16", "float32"]),
    ],
)
def test_formats_are_drawn_where_the_gradient_reaches_them(lowest: float, formats: list[str]) -> None:
    """Half the smallest subnormals 2⁻²⁴, 2⁻¹³³ and 2⁻¹⁴⁹ (IEEE 754; bfloat16 is float32's upper half)."""
    limits = gradient_flow([Run("tanh", answer(lowest, 0.0))], Look())["datasets"]["limits"]
    assert [each["format"] for each in limits] == formats
    exact = {"float16": -25 * np.log10(2), "bfloat16": -134 * np.log10(2), "float32": -150 * np.log10(2)}
    for each in limits:
        assert each["log10"] == pytest.approx(exact[each["format"]], rel=1e-14)


def test_one_network_is_judged_in_its_title_and_several_have_a_legend() -> None:
    one = gradient_flow([Run("tanh · 2 layers", answer(-1.0, 0.0))], Look(lang="ko"))
    assert one["title"] == {"text": ["tanh · 2 layers"], "subtitle": [SUMMARY["ko"]]}
    two = gradient_flow([Run("a", answer(0.0)), Run("b", answer(0.0))], Look())
    assert "title" not in two
    legends = [each["legend"] for each in within(two["layer"], "color") if isinstance(each, dict)]
    assert all(legends)


def test_cells_of_a_diagram_touch() -> None:
    cells = drawn_diagram()["datasets"]["cells"]
    assert len(cells) == 8
    row = sorted((each for each in cells if each["sigma_b"] == 0.0), key=lambda each: each["sigma_w"])
    assert [each["w_low"] for each in row[1:]] == [each["w_high"] for each in row[:-1]]
    assert [each["w_low"] for each in row] == [0.25, 0.75, 1.5, 3.0]
    assert all(each["w_low"] < each["sigma_w"] < each["w_high"] for each in row)


def test_colour_is_clipped_and_the_figure_is_not() -> None:
    """tanh without biases: χ₁ = σ_w² where q* = 0 (Poole et al. 2016, arXiv:1606.05340)."""
    sigma_w, sigma_b = np.array([[0.0, 0.1, 0.5]]), np.array([[0.0], [0.1]])
    spec = mean_field("tanh", sigma_w, sigma_b, diagram(REGISTRY.resolve("tanh"), sigma_w, sigma_b), Look())
    cells = [each for each in spec["datasets"]["cells"] if each["sigma_b"] == 0.0]
    assert [each["chi_1"] for each in cells] == pytest.approx([0.0, 0.01, 0.25])
    assert [each["log10_chi_1"] for each in cells] == pytest.approx([-DECADES, -DECADES, np.log10(0.25)])


def test_the_edge_of_chaos_is_a_line() -> None:
    """tanh, σ_b = 0: σ_w = 1 (Poole et al. 2016)."""
    edge = drawn_diagram()["datasets"]["edge"]
    assert [each["sigma_b"] for each in edge] == [0.0, 0.5]
    assert edge[0]["sigma_w"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("sigma_w", "sigma_b", "at"),
    [
        (1.5, [0.0, 0.1], "sigma_w"),
        ([1.0, 2.0], 0.0, "sigma_b"),
        ([1.0, 2.0], [0.0, 0.1], "sigma_w"),
    ],
)
def test_only_a_grid_is_a_diagram(sigma_w: Any, sigma_b: Any, at: str) -> None:
    places = np.asarray(sigma_w, np.float64), np.asarray(sigma_b, np.float64)
    found = diagram(REGISTRY.resolve("tanh"), *places)
    with pytest.raises(InvalidValue) as caught:
        mean_field("tanh", *places, found, Look())
    assert caught.value.loc == (at,)


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2.2 defines it."""
    channels = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("palette", PALETTES.values(), ids=PALETTES)
def test_text_is_readable(palette: Any) -> None:
    """WCAG 2.2, 1.4.3: a contrast of 4.5 to the background."""
    for colour in (palette.text, palette.muted):
        dark, light = sorted((luminance(colour), luminance(palette.background)))
        assert (light + 0.05) / (dark + 0.05) >= 4.5


def seen_without_red_or_green(colour: str) -> Any:
    """As seen with deuteranopia: the square root of linear RGB, after Viénot, Brettel and Mollon 1999."""
    channels = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    confused = np.array([[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]])
    return np.sqrt(np.clip(confused @ linear, 0.0, 1.0))


@pytest.mark.parametrize("palette", PALETTES.values(), ids=PALETTES)
def test_no_two_lines_look_alike(palette: Any) -> None:
    styles = [(palette.hues[index % 7], tuple(DASHES[index % 3])) for index in range(MOST_CURVES)]
    assert len(palette.hues) == 7
    assert len(set(styles)) == MOST_CURVES == 21
    for one, other in combinations(palette.hues, 2):
        apart = seen_without_red_or_green(one) - seen_without_red_or_green(other)
        assert np.linalg.norm(apart) > 0.1, (one, other)


@pytest.mark.parametrize(
    ("blocks", "part", "of"),
    [
        ([None], "layer (1", "∂L/∂z"),
        (["convolution"], "layer (1", "∂L/∂h"),
        (["residual", "transformer"], "block (1", "∂L/∂h"),
        (["recurrent"], "time step (1", "∂L/∂h"),
        ([None, "transformer"], "layer, block or time step", "∂L/∂z, ∂L/∂h"),
    ],
)
def test_axes_name_what_the_networks_are_made_of(blocks: list[BlockKind | None], part: str, of: str) -> None:
    runs = [Run(str(each), answer(-1.0, 0.0), block=each) for each in blocks]
    spec = gradient_flow(runs, Look())
    assert f"log10 of the gradient {of} (RMS)" in list(within(spec, "title"))
    assert spec["encoding"]["x"]["title"].startswith(part)


def test_an_lstm_is_drawn_by_its_cells_and_says_so() -> None:
    cells = answer(-1.0, 0.0)
    for layer in cells["layers"]:
        layer["cell_gradient_log10_rms"] = {"median": -5.0, "low": -5.0, "high": -5.0}
    spec = gradient_flow([Run("lstm", cells, block="recurrent")], Look(lang="ko"))
    assert {row["median"] for row in spec["datasets"]["layers"]} == {-5.0}
    assert "그래디언트 ∂L/∂c의 RMS(log10)" in str(spec)
    assert spec["encoding"]["x"]["title"] == "시점(1이 처음)"
