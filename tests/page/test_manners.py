"""Language, links, keyboard, accessibility, and a service that is slow, down or locked."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Route, expect

from tests.conftest import Server, started
from tests.page.conftest import FAILED, Contexts, Visitor
from tests.page.test_flow import SMALL as HEALTHY
from tests.page.test_train import SMALL as TRAINING
from tests.page.test_views import CURVES, SMALL

READY = {
    "#/explore?f=sigmoid&f=leaky_relu&f=softmax&numbers=1%202": CURVES,
    "#/compare": "table.compare tbody tr",
    f"{SMALL}&change=%7B%22init%22%3A%22orthogonal%22%7D": ".verdict >> nth=1",
    HEALTHY: ".verdict",
    "#/phase": ".diagram svg .mark-rect path",
    TRAINING: ".results tbody tr",
    "#/verify": "#main form",
}
"""Addresses of the views, each with an element that is there once the view is ready."""


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["en-US", "ko-KR"])
@pytest.mark.parametrize(
    ("address", "ready"), READY.items(), ids=[each.split("?")[0].removeprefix("#/") for each in READY]
)
def test_axe_finds_no_fault_and_a_phone_is_wide_enough(
    visitor: Visitor, address: str, ready: str, theme: str, locale: str
) -> None:
    page = visitor.open(address, theme=theme, locale=locale)
    page.wait_for_selector(ready)
    for summary in page.locator("summary").all():
        summary.click()
    found = Axe().run(page).response["violations"]
    assert [each["id"] for each in found] == []
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_timeout(300)  # pictures are redrawn for the width
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_the_page_has_the_browsers_language_and_the_switch_loses_nothing(visitor: Visitor) -> None:
    page = visitor.open("#/explore?f=gelu", locale="ko-KR")
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("기울기"))
    assert page.evaluate("document.documentElement.lang") == "ko"
    expect(page.locator(CURVES).first).to_be_visible()
    expect(page.locator("svg.marks")).to_contain_text("기울기 f′(x)")
    long = "\n".join(str(number / 8) for number in range(400))
    page.locator("textarea").fill(long)
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("slope"))
    expect(page.locator("textarea")).to_have_value(long)
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("slope"))
    page.evaluate("localStorage.clear()")


def test_errors_are_in_the_pages_language(visitor: Visitor) -> None:
    visitor.expected = (FAILED,)
    page = visitor.open("#/flow?activation=tanh&depth=1000000000", locale="ko-KR")
    problem = page.locator(".picture").get_by_role("alert")
    expect(problem).to_contain_text("허용하는 계산량을 넘습니다")
    expect(problem.locator("[lang=en]")).to_contain_text("the limit is")


def test_a_link_brings_everything_back(visitor: Visitor) -> None:
    page = visitor.open("#/explore?f=leaky_relu&f=elu")
    page.locator(".parameter input[type=text]").first.fill("0.3")
    page.get_by_role("textbox", name="x").fill("-1.5")
    page.get_by_role("textbox", name="from").fill("-4")
    page.get_by_role("textbox", name="from").press("Enter")
    page.get_by_role("button", name="Exponential linear unit").last.click()
    page.locator("textarea").fill("1e-3 -2")
    expect(page).to_have_url(re.compile("focus=1.*numbers=1e-3"))
    again = visitor.open(page.url.removeprefix(f"{visitor.base}/"))
    expect(again.locator(".parameter input[type=text]").first).to_have_value("0.3")
    expect(again.get_by_role("textbox", name="x")).to_have_value("−1.5")
    expect(again.get_by_role("textbox", name="from")).to_have_value("−4")
    expect(again.locator(".about [aria-pressed=true]")).to_have_text("Exponential linear unit (ELU)")
    expect(again.locator(".own tbody tr")).to_have_count(2)


def test_the_keyboard_reaches_everything(visitor: Visitor) -> None:
    page = visitor.open("#/explore?f=leaky_relu")
    expect(page.locator(CURVES).first).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Remove Leaky ReLU")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".parameter input[type=text]")).to_have_value("0.02")
    page.locator("nav").get_by_role("link", name="Compare").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("All functions, side by side")
    page.go_back()
    expect(page.locator(".parameter input[type=text]")).to_have_value("0.02")


def test_a_slow_service_leaves_the_page_usable(visitor: Visitor) -> None:
    held: list[Route] = []
    page = visitor.page()
    page.route("**/plots/**", lambda route: held.append(route))  # noqa: PLW0108  Playwright marks what it is given
    page.goto(f"{visitor.base}/#/explore?f=tanh&f=relu")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.locator(".about")).to_contain_text("Largest slope")
    page.locator("textarea").fill("0.5")
    page.get_by_role("button", name="Compute").click()
    expect(page.locator(".own tbody tr")).to_have_count(1)
    assert page.locator(CURVES).count() == 0
    for route in held:
        route.continue_()
    page.unroute("**/plots/**")
    expect(page.locator(CURVES)).to_have_count(6)


def test_a_service_that_is_down_is_reported_where_it_matters_and_can_be_retried(visitor: Visitor) -> None:
    visitor.expected = (FAILED,)
    page = visitor.open("#/explore?f=leaky_relu")
    expect(page.locator(CURVES)).to_have_count(3)
    page.route("**/plots/**", lambda route: route.abort())
    page.locator(".parameter input[type=text]").fill("0.25")
    expect(page.locator(".picture").get_by_role("alert")).to_contain_text("cannot be reached")
    expect(page.locator(".parameter input[type=text]")).to_have_value("0.25")
    page.unroute("**/plots/**")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".picture").get_by_role("alert")).to_have_count(0)
    expect(page.locator(".parameter input[type=text]")).to_have_value("0.25")


@pytest.mark.parametrize(
    ("status", "words"), [(503, "busy"), (504, "did not end"), (500, "went wrong"), (413, "more than")]
)
def test_each_failure_has_its_sentence(visitor: Visitor, status: int, words: str) -> None:
    visitor.expected = (FAILED,)
    page = visitor.page()
    page.route("**/gradient-flow", lambda route: route.fulfill(status=status, json={"status": status}))
    page.goto(f"{visitor.base}/{SMALL}")
    expect(page.get_by_role("alert")).to_contain_text(words)


def test_a_stream_that_breaks_is_reported(visitor: Visitor) -> None:
    page = visitor.page()
    half = 'event: progress\ndata: {"stage": "networks", "percent": 40, "gradient_log10_rms": null}\n\n'
    page.route("**/gradient-flow", lambda route: route.fulfill(content_type="text/event-stream", body=half))
    page.goto(f"{visitor.base}/{SMALL}")
    expect(page.get_by_role("alert")).to_contain_text("connection broke")


@pytest.fixture(scope="module")
def locked() -> Iterator[Server]:
    """A service that asks for a key."""
    yield from started(api_keys="sesame")


def test_a_locked_service_is_opened_with_its_key(contexts: Contexts, locked: Server) -> None:
    visiting = Visitor(contexts, locked.url)
    visiting.expected = (FAILED,)
    page = visiting.open("#/explore?f=tanh")
    field = page.get_by_label("API key")
    field.fill("sesame")
    field.press("Enter")
    expect(page.locator(CURVES)).to_have_count(3)
    expect(page.locator(".call code")).to_contain_text("Authorization: Bearer $API_KEY")
    assert "sesame" not in page.content()
    visiting.close()
