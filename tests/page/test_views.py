"""Each view does its job, in the browser, against the service."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.page.conftest import Visitor

CURVES = "svg.marks .mark-line path"
SMALL = "#/flow?activation=sigmoid&init=xavier_normal&depth=30&width=64&networks=2"


def figures(page: Page, row: str) -> list[float]:
    """The numbers in the table's row, all of their digits."""
    cells = page.locator("tr", has=page.get_by_role("rowheader", name=row, exact=True)).get_by_role("cell")
    return [float(cell.get_attribute("title") or "nan") for cell in cells.all()]


def eventually(page: Page, row: str, expected: list[float]) -> None:
    """Waits until the table's row holds these numbers."""
    last = (
        page.locator("tr", has=page.get_by_role("rowheader", name=row, exact=True)).get_by_role("cell").last
    )
    expect(last).to_have_attribute("title", re.compile("."))
    for _ in range(40):
        if np.allclose(figures(page, row), expected, rtol=1e-12, atol=1e-15):
            return
        page.wait_for_timeout(50)
    assert figures(page, row) == expected


def test_the_first_view_shows_what_an_introduction_claims(visitor: Visitor) -> None:
    page = visitor.open("#/explore")
    expect(page.locator(CURVES)).to_have_count(9)  # three functions, each with two derivatives
    expect(page.get_by_role("link", name="Explore")).to_have_attribute("aria-current", "page")
    page.get_by_role("slider", name="x").fill("0")
    eventually(page, "Sigmoid", [0.5, 0.25, 0.0])  # the slope is nowhere larger
    eventually(page, "Hyperbolic tangent", [0.0, 1.0, 0.0])
    page.get_by_role("textbox", name="x").fill("-3")
    eventually(page, "ReLU", [0.0, 0.0, 0.0])  # no slope, no learning
    expect(page.locator(".about math")).not_to_have_count(0)
    expect(page.locator(".about")).to_contain_text("Largest slope0.25")


def test_pointing_at_a_curve_reads_it(visitor: Visitor) -> None:
    page = visitor.open("#/explore?f=linear&from=-2&to=2")
    expect(page.locator(CURVES).first).to_be_visible()
    frame = page.locator(".concat_1_group path.background").first.bounding_box()
    assert frame is not None
    page.mouse.move(frame["x"] + 0.75 * frame["width"], frame["y"] + 5)
    expect(page.locator(".rule")).to_be_visible()
    page.wait_for_timeout(500)
    value, slope, _ = figures(page, "Linear")
    assert value == pytest.approx(1.0, abs=0.02)
    assert slope == 1.0


def test_a_parameter_moves_the_curve_and_stands_in_the_call(visitor: Visitor) -> None:
    page = visitor.open("#/explore?f=leaky_relu&x=-2")
    eventually(page, "Leaky ReLU", [-0.02, 0.01, 0.0])
    before = page.locator(CURVES).first.get_attribute("d")
    page.locator(".parameter input[type=range]").fill("0.5")
    eventually(page, "Leaky ReLU", [-1.0, 0.5, 0.0])
    assert page.locator(CURVES).first.get_attribute("d") != before
    expect(page.locator(".call code")).to_contain_text('"negative_slope":0.5')
    page.get_by_role("button", name="Python").click()
    expect(page.locator(".call code")).to_contain_text('"params": {"negative_slope": 0.5}')


def test_functions_are_found_added_and_removed(visitor: Visitor) -> None:
    page = visitor.open("#/explore?f=tanh")
    page.get_by_text("Add or remove functions").click()
    page.get_by_role("searchbox").fill("gelu_t")
    page.get_by_label("GELU (tanh form)").check()
    expect(page.locator(".card")).to_have_count(2)
    expect(page.locator(CURVES)).to_have_count(6)
    page.get_by_role("button", name="Remove Hyperbolic tangent").click()
    expect(page.locator(".card")).to_have_count(1)
    expect(page.locator(CURVES)).to_have_count(3)


def test_numbers_of_ones_own_are_typed_chosen_and_dropped(visitor: Visitor) -> None:
    page = visitor.open("#/explore?f=relu")
    own = page.locator(".own")
    own.get_by_role("textbox").fill("value\n-1, 2\n∞, nan")
    own.get_by_role("button", name="Compute").click()
    expect(own.locator("tbody tr")).to_have_count(4)
    expect(own.locator("tbody tr").nth(1)).to_have_text("2210")
    file = io.BytesIO()
    np.save(file, np.array([[0.5, -0.25, 4.0]], np.float32))
    own.locator("input[type=file]").set_input_files(
        {"name": "batch.npy", "mimeType": "application/octet-stream", "buffer": file.getvalue()}
    )
    expect(own.get_by_role("textbox")).to_have_value("0.5, -0.25, 4")
    expect(own.locator("tbody tr")).to_have_count(3)
    data = page.evaluate_handle(
        "() => { const data = new DataTransfer();"
        " data.items.add(new File(['7'], 'seven.csv')); return data; }"
    )
    page.dispatch_event(".own", "drop", {"dataTransfer": data})
    expect(own.locator("tbody tr")).to_have_text(["7710"])
    with page.expect_download() as download:
        own.get_by_role("button", name="Save as CSV").click()
    assert Path(download.value.path()).read_text() == "x,f(x),f′(x),f″(x)\n7,7,1,0\n"


def test_unreadable_input_is_reported_with_its_line_and_kept(visitor: Visitor) -> None:
    page = visitor.open("#/explore?f=relu")
    own = page.locator(".own")
    own.get_by_role("textbox").fill("1\n2\nthree")
    own.get_by_role("button", name="Compute").click()
    expect(own.get_by_role("alert")).to_contain_text("line 3")
    expect(own.get_by_role("textbox")).to_have_value("1\n2\nthree")


def test_a_function_that_mixes_a_row_shows_its_jacobian(visitor: Visitor) -> None:
    page = visitor.open("#/explore?f=softmax&numbers=0%200")
    expect(page.locator(".own tbody tr")).to_have_text(["00.50.25−0.25", "00.5−0.250.25"])
    expect(page.locator(".card")).to_contain_text("no curve")


def test_the_table_sorts_filters_measures_and_opens(visitor: Visitor) -> None:
    page = visitor.open("#/compare")
    rows = page.locator("table.compare tbody tr")
    expect(rows.first).to_contain_text("Sigmoid")
    page.get_by_role("button", name="Largest slope").click()
    expect(page.get_by_role("columnheader", name="Largest slope")).to_have_attribute(
        "aria-sort", "descending"
    )
    expect(rows.first.get_by_role("cell").nth(4)).to_have_text("∞")
    page.get_by_role("button", name="Largest slope").click()
    expect(rows.first.get_by_role("cell").nth(4)).to_have_text("0")
    page.get_by_label("zero-centred").check()
    page.get_by_role("searchbox").fill("shrink")
    expect(rows).to_have_count(4)
    expect(rows.first.get_by_role("cell").last).to_have_text(re.compile(r"^\d"))
    rows.first.get_by_role("link").click()
    expect(page.locator(".card")).to_have_count(1)


def test_what_is_selected_in_the_table_stays_and_a_function_joins_those_explored(visitor: Visitor) -> None:
    page = visitor.open("#/explore?f=tanh&f=elu")
    expect(page.locator(".card")).to_have_count(2)
    page.locator("nav").get_by_role("link", name="Compare").click()
    rows = page.locator("table.compare tbody tr")
    expect(page.locator(".thumbnail .curve").first).to_be_attached()
    rows.nth(1).locator("code").select_text()
    chosen = page.evaluate("getSelection().toString()")
    expect(page.get_by_role("button", name="Measure cost again")).to_be_enabled(timeout=60_000)
    assert page.evaluate("getSelection().toString()") == chosen != ""
    rows.locator("a", has_text="Leaky ReLU").first.click()
    expect(page.locator(".card")).to_have_count(3)


def test_a_gradient_vanishes_in_words_and_a_remedy_is_drawn_over_it(visitor: Visitor) -> None:
    page = visitor.open(SMALL)
    expect(page.locator(".verdict")).to_contain_text("The gradient vanishes")
    expect(page.locator(".verdict .badge")).to_have_text("Vanishing")
    expect(page.locator(".flow-stage svg .mark-line path")).to_have_count(2)  # simulated, and theory
    page.locator(".remedy").first.click()
    expect(page.locator(".verdict")).to_have_count(2)
    expect(page.locator(".verdict .badge").nth(1)).to_have_text("Healthy")
    expect(page.locator(".remedy").first).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".flow-stage svg .mark-line path").nth(2)).to_be_attached()
    page.get_by_role("button", name="Back to the first network").click()
    expect(page.locator(".verdict")).to_have_count(1)
    page.get_by_text("Figures of every layer").click()
    expect(page.locator(".layers tbody tr")).to_have_count(30)


def test_controls_that_are_no_numbers_or_too_large_are_reported_in_place(visitor: Visitor) -> None:
    visitor.expected = ("Failed to load resource",)
    page = visitor.open(SMALL)
    expect(page.locator(".verdict")).to_have_count(1)
    page.get_by_label("Depth").fill("many")
    page.get_by_role("button", name="Simulate").click()
    expect(page.locator("form").get_by_role("alert")).to_contain_text("Depth")
    expect(page.get_by_label("Depth")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Depth").fill("1000000000")
    page.get_by_role("button", name="Simulate").click()
    expect(page.locator(".picture").get_by_role("alert")).to_contain_text("the limit is")
    expect(page.get_by_label("Depth")).to_have_value("1000000000")
    expect(page.locator(".verdict")).to_have_count(1)


def test_a_point_of_the_phase_diagram_opens_its_network(visitor: Visitor) -> None:
    page = visitor.open("#/phase")
    expect(page.locator(".diagram svg .mark-rect path").first).to_be_visible(timeout=30_000)
    frame = page.locator(".diagram svg .role-frame path.background").first.bounding_box()
    assert frame is not None
    page.mouse.move(frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] / 2)
    expect(page.locator(".hover")).to_contain_text("σ_w = 1")
    expect(page.locator(".marker")).to_be_visible()
    page.mouse.click(frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] / 2)
    expect(page.locator(".point").get_by_label("σw")).to_have_value(re.compile("^(0.99|1)"))
    page.get_by_role("button", name="Simulate a network there").click()
    expect(page.get_by_label("σw", exact=True)).to_have_value(re.compile(r"^(0\.99|1)"))
    expect(page.get_by_label("σb")).to_have_value(re.compile(r"^0\.(49|5)"))
    expect(page.locator(".verdict")).to_have_count(1)


def test_the_diagrams_range_holds_the_critical_line(visitor: Visitor) -> None:
    page = visitor.open("#/phase")
    for name, critical, most in (("sigmoid", "10.1496", "20"), ("relu", "1.41421", "3")):
        page.get_by_label("Activation").select_option(name)
        expect(page.locator(".point .facts dd").last).to_have_text(critical)
        expect(page.get_by_label("σw up to")).to_have_value(most)
    page.get_by_label("Activation").select_option("formula")
    page.get_by_label("Formula", exact=True).fill("c * x")
    page.get_by_label("Formula", exact=True).press("Enter")
    expect(page.get_by_label("σw up to")).to_have_value("2")
    page.locator(".parameter input[type=text]").fill("0.1")
    expect(page.get_by_label("σw up to")).to_have_value("20")


def test_a_point_of_the_phase_diagram_is_reached_by_numbers_too(visitor: Visitor) -> None:
    page = visitor.open("#/phase?activation=relu")
    point = page.locator(".point")
    point.get_by_label("σw").fill("1.4142135623730951")
    point.get_by_label("σb").fill("1e-9")
    expect(point.locator(".facts")).to_contain_text("critical")  # He: 2/fan_in is ReLU's edge of chaos
    point.get_by_role("button").click()
    expect(page.get_by_label("Activation")).to_have_value("relu")


def test_a_simulation_tells_its_progress_and_can_be_cancelled(visitor: Visitor) -> None:
    page = visitor.open("#/flow?activation=tanh&depth=60&width=1024&networks=1000")
    expect(page.locator(".flow-stage svg .mark-line path")).not_to_have_count(0)  # before it is done
    expect(page.get_by_role("progressbar")).to_have_attribute("value", re.compile(r"\d"))
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("status").first).to_contain_text("Cancelled")
    expect(page.get_by_role("button", name="Cancel")).to_be_hidden()
    expect(page.locator(".flow-stage svg .mark-line path")).not_to_have_count(0)


def test_networks_are_laid_over_the_first_and_their_means_drawn(visitor: Visitor) -> None:
    page = visitor.open("#/flow?activation=sigmoid&init=xavier_normal&depth=8&width=16&networks=2")
    expect(page.locator(".verdict")).to_have_count(1)
    for init, count in (("fair", 2), ("he_normal", 2)):  # the first stays, the one between goes
        page.get_by_label("Initialisation").select_option(init)
        page.get_by_role("button", name="Simulate").click()
        expect(page.locator(".verdict")).to_have_count(count)
        expect(page.locator(".verdict strong").last).to_contain_text(
            init.split("_")[0].title()[:2], ignore_case=True
        )
    expect(page.locator(".verdict strong").first).to_contain_text("Xavier")
    expect(page.locator(".flow-stage svg .role-legend-symbol path")).to_have_count(4)
    page.get_by_label("Figure drawn").select_option("activation_mean")
    expect(page.locator(".flow-stage svg")).to_contain_text("mean activation")
    page.get_by_role("button", name="Remove Sigmoid · 8 × 16 · Xavier, normal").click()
    expect(page.locator(".verdict")).to_have_count(1)
