"""Networks of the gradient-flow view: blocks, dropout, formulas, and several of them in one link."""

from __future__ import annotations

import json
import re
from typing import Any, get_args

import httpx
import pytest
from playwright.sync_api import Page, expect

from app.contract import blocks
from tests.page.conftest import FAILED, Visitor

SMALL = "#/flow?activation=relu&depth=4&width=16&networks=2"


def called(page: Page) -> dict[str, Any]:
    """The body of the call that the page shows."""
    call = page.locator(".call code").inner_text()
    body: dict[str, Any] = json.loads(call[call.index("-d '") + 4 : call.rindex("'")])
    return body


def judged(page: Page, count: int) -> list[str]:
    """The networks' names, once ``count`` of them are there and each has its verdict."""
    expect(page.locator(".verdict")).to_have_count(count)
    return page.locator(".verdict strong").all_inner_texts()


def test_the_page_offers_what_the_contract_has(visitor: Visitor) -> None:
    page = visitor.open("#/compare")
    offered = page.evaluate("import('./page/blocks.js').then(({ BLOCKS }) => BLOCKS)")
    models = {name: getattr(blocks, f"{name.title()}BlockFields") for name in blocks.KINDS}
    assert list(offered) == list(blocks.KINDS)
    for kind, model in models.items():
        fields = {name: each for name, each in model.model_fields.items() if name != "kind"}
        assert list(offered[kind]) == list(fields)
        for name, field in fields.items():
            shown = offered[kind][name]
            if isinstance(shown, list):
                assert shown[0] == field.default
                listed = {False, True} if field.annotation is bool else set(literals(field.annotation))
                assert set(shown) == listed, (kind, name)
            else:
                assert shown["usual"] == field.default
                assert shown.get("word") in literals(field.annotation) or "word" not in shown


def literals(annotation: Any) -> list[Any]:
    """All values that an annotation names, null among them."""
    if annotation is type(None):
        return [None]
    return [
        each
        for part in get_args(annotation)
        for each in ([part] if isinstance(part, str | int) else literals(part))
    ]


@pytest.mark.parametrize(
    ("kind", "changes", "expected"),
    [
        ("transformer", {"Heads": "4", "Attention sees": "false"}, {"heads": 4, "causal": False}),
        ("residual", {"Norm placement": "null", "Skip": "0.5"}, {"norm": None, "skip": 0.5}),
        ("convolution", {"Kernel": "5", "Padding": "zeros"}, {"kernel": 5, "padding": "zeros"}),
        ("recurrent", {"Cell": "lstm"}, {"cell": "lstm"}),
    ],
)
def test_a_network_of_blocks_is_asked_for_and_its_link_asks_the_same(
    visitor: Visitor, kind: str, changes: dict[str, str], expected: dict[str, Any]
) -> None:
    page = visitor.open(SMALL)
    judged(page, 1)
    page.get_by_label("Built from").select_option(kind)
    for label, value in changes.items():
        control = page.get_by_label(label)
        is_list = control.evaluate("(element) => element.tagName === 'SELECT'")
        control.select_option(value) if is_list else control.fill(value)
    assert called(page)["block"] == {"kind": kind, **expected}
    page.get_by_role("button", name="Simulate").click()
    judged(page, 2)
    found = httpx.post(f"{visitor.base}/gradient-flow", json=called(page), timeout=60).json()
    summary = found["verdict"]["summary"]["en"]
    expect(page.locator(".verdict").last).to_contain_text(re.sub(r"10\^(\S+)", r"10\1", summary))
    expect(page).to_have_url(re.compile("also="))  # the address follows a moment later
    again = visitor.open(page.url.removeprefix(f"{visitor.base}/"))
    judged(again, 2)
    assert called(again) == called(page)


def test_a_factor_of_blocks_may_follow_their_number(visitor: Visitor) -> None:
    page = visitor.open(f"{SMALL}&block=residual")
    page.get_by_label("1/√branches").check()
    assert called(page)["block"] == {"kind": "residual", "branch": "depth_scaled"}
    page.get_by_label("1/√branches").uncheck()
    page.get_by_label("Branch, scale", exact=True).fill("half")
    page.get_by_role("button", name="Simulate").click()
    expect(page.locator("form").get_by_role("alert")).to_contain_text("Branch")
    page.get_by_label("Branch, scale", exact=True).fill("0.5")
    assert called(page)["block"] == {"kind": "residual", "branch": 0.5}


def test_what_a_network_does_not_have_is_neither_shown_nor_asked_for(visitor: Visitor) -> None:
    page = visitor.open(f"{SMALL}&residual=0.5&dropout=0.2&normalization=layer_norm")
    judged(page, 1)
    assert called(page)["dropout"] == {"rate": 0.2}
    page.get_by_label("Built from").select_option("recurrent")
    for label in ("Dropout rate", "Residual branch", "Normalisation"):
        expect(page.locator("form").get_by_label(label)).to_be_hidden()
    assert not {"dropout", "residual", "normalization"} & called(page).keys()


def test_a_formula_is_simulated_and_has_its_phase_diagram(visitor: Visitor) -> None:
    page = visitor.open(SMALL)
    judged(page, 1)
    page.get_by_label("Activation").select_option("formula")
    formula = page.get_by_label("Formula", exact=True)
    formula.fill("x * sigmoid(b * x)")
    formula.press("Enter")
    assert "x * sigmoid(b * x)" in judged(page, 2)[1]
    page.locator(".parameter input[type=text]").fill("2")
    assert called(page)["params"] == {"b": 2}
    page.locator("nav").get_by_role("link", name="Phase diagram").click()
    page.get_by_label("Activation").select_option("formula")
    formula.fill("x * sigmoid(b * x)")
    formula.press("Enter")
    expect(page.locator(".drawing")).to_have_attribute("aria-label", re.compile(r"x \* sigmoid"))
    expect(page).to_have_url(re.compile(r"activation=formula.*b~1"))
    again = visitor.open(page.url.removeprefix(f"{visitor.base}/"))
    expect(again.locator(".diagram svg .mark-rect path").first).to_be_visible()
    expect(again.get_by_label("Formula", exact=True)).to_have_value("x * sigmoid(b * x)")


def test_an_unreadable_formula_is_reported_with_its_column(visitor: Visitor) -> None:
    visitor.expected = (FAILED,)
    page = visitor.open(SMALL)
    judged(page, 1)
    page.get_by_label("Activation").select_option("formula")
    page.get_by_label("Formula", exact=True).fill("x +* 2")
    page.get_by_label("Formula", exact=True).press("Tab")
    expect(page.locator("form").get_by_role("alert")).to_contain_text("column 4")
    page.get_by_label("Formula", exact=True).fill("x + 2")
    expect(page.locator("form").get_by_role("alert")).to_have_count(0)
    moved = visitor.open("#/flow?activation=formula:c*x(d~2)&depth=2&width=4&networks=1")
    expect(moved.get_by_role("alert")).to_contain_text("is not a parameter")
    judged(moved, 1)
    assert called(moved)["params"] == {"c": 1}


def test_networks_laid_over_each_other_are_in_the_link(visitor: Visitor) -> None:
    page = visitor.open(SMALL)
    judged(page, 1)
    page.get_by_label("Initialisation").select_option("xavier_normal")
    page.get_by_role("button", name="Simulate").click()
    names = judged(page, 2)
    strengths = "(all) => all.map((each) => Number(each.getAttribute('opacity')))"
    lines = page.locator('.flow-stage svg path[stroke-width="4"]')
    expect(lines).to_have_count(2)
    first, last = lines.evaluate_all(strengths)
    assert first < 0.5 * last
    expect(page).to_have_url(re.compile("also="))  # the address follows a moment later
    again = visitor.open(page.url.removeprefix(f"{visitor.base}/"))
    assert judged(again, 2) == names
    again.get_by_role("button", name=f"Remove {names[0]}").click()
    judged(again, 1)
    expect(again).not_to_have_url(re.compile("also="))


KINDS = {
    "": ("layer", "층"),
    "convolution(size~4)": ("layer", "층"),
    "residual": ("block", "블록"),
    "transformer(heads~4)": ("block", "블록"),
    "recurrent": ("step", "시점"),
    "recurrent(cell~lstm)": ("step", "시점"),
}
"""What the service's sentences call the parts of each kind of network, in both languages."""


def address(kind: str) -> str:
    return f"{SMALL}&block={kind}" if kind else SMALL


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("locale", ["en-US", "ko-KR"])
def test_labels_name_what_the_network_is_made_of(visitor: Visitor, kind: str, locale: str) -> None:
    """As the verdict does: no layer where there are blocks or time steps."""
    korean = locale == "ko-KR"
    part, others = KINDS[kind][korean], {each[korean] for each in KINDS.values()} - {KINDS[kind][korean]}
    page = visitor.open(address(kind), locale=locale)
    judged(page, 1)
    assert called(page).get("block", {}).get("kind", "") == kind.partition("(")[0]
    labels = page.locator(".verdict dt").all_inner_texts()
    about = [each.lower() for index, each in enumerate(labels) if index in (0, 1, 3)]
    about += [page.locator("details.layers summary").inner_text().lower()]
    about += [page.locator("details.layers th[scope=col]").first.text_content() or ""]
    expect(page.locator(".drawing svg").first).to_be_visible()
    about += [page.locator(".drawing").get_attribute("aria-label") or ""]
    axes = page.locator(".drawing svg").first.text_content() or ""
    assert part in axes, axes
    symbol = "∂L/∂c" if "lstm" in kind else "∂L/∂h" if kind else "∂L/∂z"
    assert symbol in axes
    assert symbol in about[-1]
    for text in about:
        assert part in text.lower(), text
        assert not any(each in text.lower() for each in others), text


def test_an_lstm_is_shown_by_the_gradient_of_its_cells(visitor: Visitor) -> None:
    """By which it is judged; what the loss's own h gets is another figure."""
    page = visitor.open(address("recurrent(cell~lstm)"))
    judged(page, 1)
    body = called(page)
    answer = httpx.post(f"{visitor.base}/gradient-flow", json=body, timeout=60).json()
    cells = [each["cell_gradient_log10_rms"]["median"] for each in answer["layers"]]
    hidden = answer["gradient"]["log10_ratio"]["median"]
    assert abs(cells[0] - cells[-1] - hidden) > 0.05
    value = page.locator(".verdict dd sup").first.inner_text().replace("−", "-")
    assert float(value) == pytest.approx(cells[0] - cells[-1], abs=0.006)
    page.locator("details.layers summary").click()
    assert "cells" in page.locator("details.layers th[scope=col]").nth(1).inner_text()
    first = page.locator("details.layers tbody td").first.inner_text().replace("−", "-")
    assert float(first) == pytest.approx(cells[0], rel=1e-3)


def test_the_picture_of_an_lstm_under_way_is_that_of_its_cells(visitor: Visitor) -> None:
    body = {
        "activation": "tanh",
        "depth": 6,
        "width": 8,
        "networks": 2,
        "block": {"kind": "recurrent", "cell": "lstm"},
    }
    with httpx.stream(
        "POST",
        f"{visitor.base}/gradient-flow",
        json=body,
        headers={"Accept": "text/event-stream"},
        timeout=60,
    ) as stream:
        lines = [line.removeprefix("data: ") for line in stream.iter_lines() if line.startswith("data: ")]
    *events, answer = map(json.loads, lines)
    last = [each for each in events if each["networks"] == 2][-1]
    for name in ("gradient_log10_rms", "cell_gradient_log10_rms"):
        assert last[name] == [each[name]["median"] for each in answer["layers"]]
    page = visitor.open("#/compare")
    shown = page.evaluate(
        "(figures) => import('./page/verdict.js').then(({ judged }) => judged(figures))", last
    )
    assert shown == last["cell_gradient_log10_rms"]


def test_tokens_that_become_one_are_called_tokens(visitor: Visitor) -> None:
    page = visitor.open("#/compare")
    words = """() => import('./page/verdict.js').then(({ nouns, stateOf }) =>
        ['transformer', 'residual'].map((kind) => stateOf('collapsed', nouns({ block: { kind } }))))"""
    assert page.evaluate(words) == ["Tokens alike", "Inputs alike"]
