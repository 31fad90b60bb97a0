"""Bytes transferred, time until the first view is ready, time until a slider redraws."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.conftest import Server
from tests.page.conftest import Visitor
from tests.page.test_scenes import SCENES
from tests.page.test_views import CURVES

MOST_BYTES = 450_000
FIRST_VIEW = 1000.0
"""Milliseconds from the address to the drawn curves."""

REDRAWN = 100.0
"""Milliseconds from a slider's movement to the frame that shows it."""

TRIES = 20
"""The machine's other load is no property of the page: one first view in time is enough, and half of the
slider's movements."""

MOVED = """async (value) => {
  const range = document.querySelector(".parameter input[type=range]");
  const drawing = document.querySelector(".drawing");
  const drawn = new Promise((done) => {
    const seen = () => (observer.disconnect(), requestAnimationFrame(() => setTimeout(done)));
    const observer = new MutationObserver(seen);
    observer.observe(drawing, { subtree: true, attributeFilter: ["d"] });
  });
  const start = performance.now();
  range.value = value;
  range.dispatchEvent(new Event("input", { bubbles: true }));
  await drawn;
  return performance.now() - start;
}"""
"""From the event to the frame after Vega has changed a path."""

ANSWERED = MOVED.replace(".parameter input", ".knob input").replace('".drawing"', '".plot .drawing"')
"""The same of a scene's control."""


def test_the_first_view_is_small(browser: Browser, server: Server) -> None:
    context = browser.new_context()
    page = context.new_page()
    session = context.new_cdp_session(page)
    sizes: list[float] = []
    session.send("Network.enable")
    session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    page.goto(f"{server.url}/#/explore")
    page.wait_for_load_state("networkidle")
    assert page.locator(CURVES).count() == 9
    assert sum(sizes) <= MOST_BYTES
    context.close()


def test_the_first_view_is_ready_within_a_second(browser: Browser, server: Server) -> None:
    times = []
    for _ in range(TRIES):
        context = browser.new_context()  # nothing cached
        page = context.new_page()
        page.goto(f"{server.url}/#/explore", wait_until="commit")
        page.wait_for_selector(CURVES)
        times.append(page.evaluate("performance.now()"))
        context.close()
        if times[-1] <= FIRST_VIEW:
            break
    assert min(times) <= FIRST_VIEW


def test_a_slider_redraws_within_a_tenth_of_a_second(visitor: Visitor) -> None:
    page = visitor.open("#/explore?f=leaky_relu&f=tanh&f=gelu")
    expect(page.locator(CURVES)).to_have_count(9)
    page.wait_for_load_state("networkidle")
    times = []
    for attempt in range(TRIES):
        times.append(page.evaluate(MOVED, 0.1 * (attempt + 1)))
        page.wait_for_timeout(100)
    assert sorted(times)[TRIES // 2] <= REDRAWN


@pytest.mark.slow
@pytest.mark.parametrize(("bits", "longest"), [(10_000_000, 1.0), (400_000, 3.0)])
def test_the_first_view_is_read_soon_on_a_slow_network(
    browser: Browser, server: Server, bits: int, longest: float
) -> None:
    times = []
    for _ in range(4):  # the machine's other load is not the page's
        context = browser.new_context()
        page = context.new_page()
        session = context.new_cdp_session(page)
        session.send("Network.enable")
        slow = {"offline": False, "latency": 20, "downloadThroughput": bits / 8, "uploadThroughput": bits / 8}
        session.send("Network.emulateNetworkConditions", slow)
        page.goto(server.url, wait_until="commit")
        page.wait_for_selector(".prediction .option")
        times.append(page.evaluate("performance.now()") / 1000)
        context.close()
        if times[-1] <= longest:
            break
    assert min(times) <= longest


def test_a_scene_answers_its_control_within_a_tenth_of_a_second(visitor: Visitor) -> None:
    page = visitor.open("#/learn/zigzag?lang=en")
    expect(page.locator(".plot svg .mark-line path")).not_to_have_count(0)
    page.wait_for_load_state("networkidle")
    times = [page.evaluate(ANSWERED, 0.05 * (attempt % 10)) for attempt in range(TRIES)]
    assert sorted(times)[TRIES // 2] <= REDRAWN


STIRRED = """async () => {
  const places = document.querySelectorAll(".board, .telling, .readings");
  const seen = new Promise((done) => {
    const shown = () => (observer.disconnect(), requestAnimationFrame(() => setTimeout(done)));
    const observer = new MutationObserver(shown);
    for (const each of places)
      observer.observe(each, { subtree: true, childList: true, characterData: true, attributes: true });
  });
  const range = document.querySelector(".knob input[type=range]");
  const start = performance.now();
  if (range) {
    range.value = Number(range.value) === Number(range.max) ? range.min : range.max;
    range.dispatchEvent(new Event("input", { bubbles: true }));
  } else document.querySelector(".knob button[aria-pressed=false]").click();
  await seen;
  const words = document.querySelector(".telling").textContent;
  return { time: performance.now() - start, words };
}"""
"""Moves a scene's control; returns the time until something beside it changes, and the progress message."""


COMPUTED = {"nonlinear", "vanishing", "probability", "race", "dying", "prelu", "choice"}
"""Scenes whose control has the service train or simulate, which takes longer and shows its progress."""


@pytest.mark.slow
@pytest.mark.parametrize("scene", SCENES)
def test_every_scene_answers_its_control_or_tells_of_its_progress(visitor: Visitor, scene: str) -> None:
    page = visitor.open(f"#/learn/{scene}?lang=en")
    page.wait_for_selector(".readings data, .scoreboard tbody")
    page.wait_for_timeout(500)
    times = []
    for _ in range(TRIES):
        found = page.evaluate(STIRRED)
        times.append(found["time"])
        if times[-1] <= REDRAWN:
            break
        page.wait_for_timeout(200)
    assert min(times) <= REDRAWN
    assert bool(found["words"]) == (scene in COMPUTED)
