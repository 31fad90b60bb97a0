"""Properties of the page: a link holds all of its view, figures are readable, errors can be corrected."""

from __future__ import annotations

import io
import json
import re
from itertools import product
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, Route, expect

from tests.page.conftest import FAILED, Visitor
from tests.page.test_train import SMALL as TRAINING
from tests.page.test_views import CURVES, SMALL

READ = "([call, ...given]) => import('./page/numbers.js').then((module) => module[call](...given))"


def in_numbers_module(page: Page, call: str, *given: object) -> Any:
    """Result of a function of the page's module of numbers."""
    return page.evaluate(READ, [call, *given])


def moved(page: Page, address: str) -> None:
    """Opens another address in the same tab, as a link does."""
    page.evaluate("(address) => { location.hash = address; }", address)


def test_a_link_is_the_same_in_a_tab_that_holds_other_state(visitor: Visitor) -> None:
    page = visitor.open("#/flow?activation=tanh&depth=3&width=8&networks=2&residual=0.5&init=he_normal")
    expect(page.locator(".verdict")).to_have_count(1)
    moved(page, "#/flow?activation=tanh&depth=4&width=8&networks=2")
    expect(page.get_by_label("Depth")).to_have_value("4")
    expect(page.get_by_label("Residual branch")).to_have_value("")
    fresh = visitor.open("#/flow?activation=tanh&depth=4&width=8&networks=2")
    expect(fresh.locator(".verdict")).to_have_count(1)
    expect(page.locator(".verdict")).to_have_text(fresh.locator(".verdict").inner_text().replace("\n", ""))
    assert page.locator(".call code").inner_text() == fresh.locator(".call code").inner_text()


@pytest.mark.parametrize("address", ["#/explore?f=relu", "#/compare", "#/flow", "#/phase"])
def test_what_a_link_does_not_say_is_as_in_a_new_tab(visitor: Visitor, address: str) -> None:
    page = visitor.page()
    state: dict[str, dict[str, object]] = {
        "explore": {
            "functions": [{"name": "tanh", "params": {}}],
            "low": -1,
            "numbers": "1 2",
            "minus": True,
        },
        "compare": {"sort": "cost", "descending": True, "text": "tanh", "only": ["zero"]},
        "flow": {"depth": "7", "normalization": "batch_norm", "seed": "9"},
        "phase": {"sigma_w": "9"},
    }
    page.add_init_script(f"sessionStorage.setItem('state', {json.dumps(json.dumps(state))})")
    page.goto(f"{visitor.base}/{address}")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    view = address.removeprefix("#/").split("?")[0]
    held = page.evaluate("import('./page/state.js').then(({ state }) => state)")[view]
    assert {key for key, value in state[view].items() if held[key] == value} == set()


def test_numbers_that_a_link_could_not_take_are_reported_as_missing(visitor: Visitor) -> None:
    page = visitor.open("#/explore?f=relu")
    page.locator("textarea").fill("\n".join(str(number / 8) for number in range(400)))
    expect(page).to_have_url(re.compile("numbers=kept"))
    again = visitor.open(page.url.removeprefix(f"{visitor.base}/"))
    expect(again.locator(".own")).to_contain_text("more numbers than fit")


def test_a_library_that_fails_to_load_is_reported_and_can_be_retried(visitor: Visitor) -> None:
    visitor.expected = (FAILED,)
    held: list[Route] = []
    page = visitor.page()
    page.route("**/vega.js*", lambda route: held.append(route))  # noqa: PLW0108  Playwright marks what it is given
    page.goto(f"{visitor.base}/#/explore?f=tanh")
    expect(page.locator(".drawing")).to_have_text("Drawing …")
    expect(page.locator(".values tbody tr")).to_have_count(1)
    held[0].abort()
    page.unroute("**/vega.js*")
    expect(page.locator(".picture").get_by_role("alert")).to_contain_text("library that draws")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(CURVES)).to_have_count(3)
    expect(page.locator(".picture").get_by_role("alert")).to_have_count(0)


def test_a_finger_reads_the_curves(visitor: Visitor) -> None:
    page = visitor.open("#/explore?f=linear&from=-2&to=2", width=390, height=844)
    expect(page.locator(CURVES).first).to_be_visible()
    panel = page.locator(".concat_0_group path.background").first
    panel.scroll_into_view_if_needed()
    frame = panel.bounding_box()
    assert frame is not None
    session = page.context.new_cdp_session(page)
    y = frame["y"] + 20

    def touch(kind: str, part: float) -> None:
        points = [] if kind == "touchEnd" else [{"x": frame["x"] + part * frame["width"], "y": y}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", 0.3)
    for part in np.linspace(0.3, 0.75, 10):
        touch("touchMove", float(part))
    touch("touchEnd", 0.75)
    value = page.get_by_role("textbox", name="x").input_value()
    assert float(value.replace("−", "-")) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize(
    "address", ["f=exponential&from=-6&to=30", "f=linear(scale~-123456.789)", "f=gelu&f=gelu_tanh&minus=1"]
)
def test_titles_and_ticks_are_whole(visitor: Visitor, address: str) -> None:
    page = visitor.open(f"#/explore?{address}")
    expect(page.locator(CURVES).first).to_be_visible()
    clipped = page.evaluate(
        """() => {
          const frame = document.querySelector('.drawing').getBoundingClientRect();
          const texts = [...document.querySelectorAll('.drawing svg text')];
          const outside = (each) => each.left < frame.left - 1 || each.right > frame.right + 1;
          const clipped = texts.filter((each) => outside(each.getBoundingClientRect()));
          return clipped.map((each) => each.textContent);
        }"""
    )
    assert clipped == []


def test_functions_without_a_curve_are_no_empty_choice(visitor: Visitor) -> None:
    page = visitor.open("#/explore?f=softmax")
    expect(page.locator(".picture")).to_contain_text("they have no curve")
    expect(page.locator(".picture")).not_to_contain_text("Choose a function")
    expect(page.locator(".cursor")).to_be_hidden()


def test_no_value_outlives_its_function(visitor: Visitor) -> None:
    page = visitor.open("#/explore?f=tanh&numbers=1%202")
    expect(page.locator(".values tbody tr")).to_have_count(1)
    expect(page.locator(".own tbody tr")).to_have_count(2)
    page.get_by_role("button", name="Remove Hyperbolic tangent").click()
    expect(page.locator(".picture")).to_contain_text("Choose a function")
    expect(page.locator("tbody tr")).to_have_count(0)


@pytest.mark.parametrize(
    ("given", "word"), [("slope~2", "is not a parameter"), ("negative_slope~abc", "is not a number")]
)
@pytest.mark.parametrize(
    "view", ["explore?f", "flow?depth=2&width=4&networks=1&activation", "phase?activation"]
)
def test_a_wrong_parameter_in_a_link_is_reported_and_left_out(
    visitor: Visitor, view: str, given: str, word: str
) -> None:
    page = visitor.open(f"#/{view}=leaky_relu({given})")
    expect(page.get_by_role("alert").first).to_contain_text(word)
    ready = {"e": ".values tbody tr", "f": ".verdict", "p": ".diagram svg .mark-rect path"}[view[0]]
    expect(page.locator(ready).first).to_be_visible()
    page.locator(".parameter input[type=text]").fill("0.5")
    expect(page.locator(".call code")).to_contain_text('"negative_slope":0.5')


@pytest.mark.parametrize(
    ("address", "ready"),
    [
        ("explore?f=nobody", CURVES),
        ('flow?activation=softmax&depth=2&width=4&networks=1&also={"activation":7}', ".verdict"),
        (TRAINING.replace("f=relu", "f=nobody").removeprefix("#/"), ".results tbody tr"),
        (TRAINING.replace("learn~weight", "learn~slope").removeprefix("#/"), ".results tbody tr"),
        ("phase?activation=nobody", ".diagram svg .mark-rect path"),
        ("verify?activation=nobody", "form select"),
    ],
)
def test_a_wrong_function_in_a_link_is_reported_and_left_out(
    visitor: Visitor, address: str, ready: str
) -> None:
    page = visitor.open(f"#/{address}")
    expect(page.get_by_role("alert").first).to_contain_text("left out")
    expect(page.locator(ready).first).to_be_visible()


def test_a_layers_number_stands_at_its_tick_once(visitor: Visitor) -> None:
    for depth in (1, 2, 3):
        page = visitor.open(f"#/flow?activation=tanh&depth={depth}&width=8&networks=2")
        expect(page.locator(".verdict")).to_have_count(1)
        expect(page.locator(".flow-stage svg .role-axis-label").first).to_be_attached()
        ticks = page.locator(".flow-stage svg .role-axis-label").first.locator("text").all_text_contents()
        assert [each for each in ticks if each] == [str(layer) for layer in range(1, depth + 1)]


def test_numbers_are_written_as_people_do(visitor: Visitor) -> None:
    page = visitor.open("#/explore")
    assert in_numbers_module(page, "shown", 0.0) == "0"
    assert page.evaluate("import('./page/numbers.js').then(({ shown }) => shown(-0))") == "0"
    assert [
        in_numbers_module(page, "logarithm", each) for each in (2.36e-15, -2.36e-15, -18.3421, -9000.12)
    ] == [
        "0",
        "0",
        "−18.34",
        "−9000.1",
    ]


MEANT = {
    "1,5;2,5": [1.5, 2.5],
    "x;y\n1,5;2\n-3;4,25e3": [[1.5, 2], [-3, 4250]],
    "1,5\t2,5": [1.5, 2.5],
    "1, 2; 3, 4": [1, 2, 3, 4],
    "1;2;3": [1, 2, 3],
    "1.5,2.5": [1.5, 2.5],
}
"""What people type or paste, and the numbers it means."""


def test_typed_numbers_are_read_as_meant(visitor: Visitor) -> None:
    page = visitor.open("#/explore")
    assert {text: in_numbers_module(page, "parse", text) for text in MEANT} == MEANT


def test_arrays_of_every_kind_are_read(visitor: Visitor) -> None:
    page = visitor.open("#/explore")
    script = "(bytes) => import('./page/numbers.js').then(({ npy }) => npy(new Uint8Array(bytes).buffer))"
    values = np.array([[0, 1, 5.960464477539063e-08], [65504, 0.333251953125, 2]])
    for dtype, order in product(("<f2", ">f4", "<f8", "<i8", "|u1", "|b1"), ("C", "F")):
        given = np.asarray(values if "f" in dtype else values % 2, dtype=dtype)
        array = np.asfortranarray(given) if order == "F" else given
        file = io.BytesIO()
        np.save(file, array)
        found = page.evaluate(script, list(file.getvalue()))
        assert found == {"shape": [2, 3], "values": array.astype(np.float64).ravel().tolist()}, (dtype, order)


def test_a_field_s_error_is_shown_once_and_goes_when_corrected(visitor: Visitor) -> None:
    page = visitor.open(SMALL)
    expect(page.locator(".verdict")).to_have_count(1)
    page.get_by_label("Width").fill("a, b, 3")
    page.get_by_role("button", name="Simulate").click()
    expect(page.locator("form").get_by_role("alert")).to_have_text("“Width” needs a number.")
    page.get_by_label("Width").fill("8, 8")
    expect(page.locator("form").get_by_role("alert")).to_have_count(0)


def test_error_messages_disappear_with_their_cause(visitor: Visitor) -> None:
    page = visitor.open("#/explore?f=tanh&from=-2&to=2")
    expect(page.locator(CURVES)).to_have_count(3)
    low, high = (page.get_by_role("textbox", name=name) for name in ("from", "to"))
    low.fill("10")
    low.press("Enter")
    expect(page.locator(".picture").get_by_role("alert")).to_be_visible()
    high.fill("20")
    high.press("Enter")
    expect(page.locator(".picture").get_by_role("alert")).to_have_count(0)
    expect(page).to_have_url(re.compile("from=10&to=20"))
    assert page.locator("[aria-invalid=true]").count() == 0
    page.locator("textarea").fill("one")
    page.get_by_role("button", name="Compute").click()
    expect(page.locator(".own").get_by_role("alert")).to_be_visible()
    page.locator("textarea").fill("1")
    expect(page.locator(".own").get_by_role("alert")).to_have_count(0)


@pytest.mark.parametrize(
    ("address", "route", "label"), [(SMALL, "**/gradient-flow", "Depth"), (TRAINING, "**/training", "Steps")]
)
def test_a_refusal_goes_when_it_is_tried_again_or_the_controls_are_other_ones(
    visitor: Visitor, address: str, route: str, label: str
) -> None:
    visitor.expected = (FAILED,)
    page = visitor.page()
    page.route(route, lambda each: each.fulfill(status=503, json={"status": 503}))
    page.goto(f"{visitor.base}/{address}")
    refusal = page.locator(".picture").get_by_role("alert")
    expect(refusal).to_contain_text("busy")
    page.unroute(route)
    page.get_by_role("button", name="Try again").click()
    expect(refusal).to_have_count(0)
    expect(page.locator(".verdict, .results tbody tr").first).to_be_visible()
    page.route(route, lambda each: each.fulfill(status=503, json={"status": 503}))
    page.locator("form button[type=submit]").first.click()
    expect(refusal).to_contain_text("busy")
    page.get_by_label(label, exact=False).first.fill("4")
    expect(refusal).to_have_count(0)


@pytest.mark.parametrize("scene", ["sigmoid", "elu"])
def test_a_control_that_moves_asks_the_service_only_when_it_rests(visitor: Visitor, scene: str) -> None:
    page = visitor.open(f"#/learn/{scene}?lang=en")
    expect(page.locator(".behind tbody td").first).to_be_attached()
    page.wait_for_load_state("networkidle")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.evaluate(
        """async () => {
          const range = document.querySelector(".knob input[type=range]");
          for (let step = 0; step < 40; step += 1) {
            range.value = Number(range.min) + (step / 40) * (range.max - range.min);
            range.dispatchEvent(new Event("input", { bubbles: true }));
            await new Promise((moved) => setTimeout(moved, 16));
          }
        }"""
    )
    page.wait_for_timeout(500)
    assert 1 <= len(asked) <= 3


def test_what_is_no_activation_of_units_is_not_offered(visitor: Visitor) -> None:
    page = visitor.open(SMALL)
    expect(page.locator(".verdict")).to_have_count(1)
    offered = (
        page.get_by_label("Activation")
        .locator("option")
        .evaluate_all("(all) => all.map(({ value }) => value)")
    )
    assert "maxout" in offered
    assert "softmax" not in offered


def test_remedies_are_described_in_words(visitor: Visitor) -> None:
    page = visitor.open(SMALL, locale="ko-KR")
    expect(page.locator(".remedy").first).to_be_visible()
    words = " ".join(page.locator(".remedy strong").all_inner_texts())
    assert "정규화" in words
    assert "Leaky ReLU" in words
    assert not re.search(r"[a-z]_[a-z]|=|params", words)


def test_a_pointer_that_moves_asks_the_service_only_when_it_rests(visitor: Visitor) -> None:
    page = visitor.open("#/explore?f=tanh&f=relu&f=gelu")
    expect(page.locator(CURVES)).to_have_count(9)
    page.wait_for_load_state("networkidle")
    frame = page.locator(".concat_0_group path.background").first.bounding_box()
    assert frame is not None
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for step in range(60):
        page.mouse.move(frame["x"] + 5 + 5 * step, frame["y"] + 20)
    expect(page.locator(".values tbody td").first).to_have_attribute("title", re.compile("."))
    assert len(asked) <= 6


def test_a_flat_curve_is_seen_to_bend_beside_a_steep_one(visitor: Visitor) -> None:
    page = visitor.open("#/explore?f=sigmoid&f=relu")
    expect(page.locator(CURVES)).to_have_count(6)
    panel = page.locator(".concat_0_group path.background").first.bounding_box()
    curve = page.locator(CURVES).first.bounding_box()  # sigmoid's
    assert panel is not None
    assert curve is not None
    assert curve["height"] > panel["height"] / 5
    page.get_by_label("Whole height").check()
    page.wait_for_load_state("networkidle")
    whole = page.locator(CURVES).first.bounding_box()
    assert whole is not None
    assert whole["height"] < curve["height"]


def test_a_formula_has_its_card_and_its_parameters(visitor: Visitor) -> None:
    visitor.expected = (FAILED,)
    page = visitor.open("#/explore?f=tanh")
    page.get_by_label("A formula of your own").fill("x * tanh(softplus(b * x))")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator(".card")).to_have_count(2)
    expect(page.locator(".about")).to_contain_text("mish")  # with b = 1 it is that
    expect(page.locator(CURVES)).to_have_count(6)
    page.locator(".parameter input[type=text]").fill("2")
    expect(page.locator(".call code")).to_contain_text('"params":{"b":2}')
    expect(page).to_have_url(re.compile("formula.*b~2"))
    again = visitor.open(page.url.removeprefix(f"{visitor.base}/"))
    expect(again.locator(".card")).to_have_count(2)
    page.get_by_label("A formula of your own").fill("x +* 2")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator(".own-formula").get_by_role("alert")).to_contain_text("column 4")
