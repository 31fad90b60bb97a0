"""See it happen: the frame around the scenes, and the introduction's claims by each scene's own numbers."""

from __future__ import annotations

import math
import re

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Page, expect

from app.api.page import FILES
from tests.conftest import Server
from tests.page.conftest import FAILED, Contexts, Visitor

SCENES = re.findall(r'^  "(\w+)",$', (FILES / "learn" / "learn.js").read_text(), re.MULTILINE)

LINES = ".plot svg .mark-line path"


def opened(visitor: Visitor, scene: str, value: str = "", **options: object) -> Page:
    """The scene with its control at ``value``."""
    return visitor.open(f"#/learn/{scene}?lang=en{value and f'&v={value}'}", **options)


def read(page: Page, name: str) -> float:
    """The reading of this name with all of its digits, once there is a number."""
    place = page.locator(f"data[data-reading={name}]")
    expect(place).to_have_attribute("value", re.compile(r"^-?(\d|Infinity)"))
    return float(place.get_attribute("value") or "nan")


def column(page: Page, number: int) -> list[float]:
    """A column of the figures behind the scene; counted from 0."""
    cells = page.locator(f".behind tbody td:nth-child({number + 1})")
    expect(cells.first).to_have_attribute("title", re.compile("."))
    return [float(each.get_attribute("title") or "nan") for each in cells.all()]


def to_the_end(page: Page) -> None:
    """Plays a scene's film to its end, as a keyboard does."""
    page.locator(".board").press("End")


@pytest.mark.parametrize("x", [-8.0, -1.5, 0.0, 2.0, 6.0])
def test_claims_2_to_5_and_7_the_sigmoid(visitor: Visitor, x: float) -> None:
    page = opened(visitor, "sigmoid", f"{x}")
    expect(page.locator("data[data-reading=x]")).to_have_attribute("value", f"{x:g}")
    value, slope = read(page, "value"), read(page, "slope")
    assert 0 < value < 1
    assert value == pytest.approx(1 / (1 + math.exp(-x)), rel=1e-15)
    assert slope == pytest.approx(value * (1 - value), rel=1e-12)  # where 1 − σ has its digits still
    assert slope <= 0.25
    assert (slope == 0.25) == (x == 0)
    words = "on" if value > 0.9 else "off" if value < 0.1 else "in between"
    expect(page.locator("data[data-reading=state]")).to_have_text(words)
    assert (slope < 0.25 / 50) == (abs(x) >= 6)  # the further from 0, the more is lost


def test_claim_4_goes_wrong_where_the_scene_says(visitor: Visitor) -> None:
    page = opened(visitor, "sigmoid", "37")
    expect(page.locator("data[data-reading=x]")).to_have_attribute("value", "37")
    assert read(page, "slope") == pytest.approx(math.exp(-37), rel=1e-15)
    assert read(page, "product") == 0
    assert read(page, "error") == 1
    lost = dict(zip(column(page, 0), column(page, 3), strict=True))
    assert lost[5] < 1e-12
    assert lost[35] > 1e-3
    assert lost[40] == 1
    page.get_by_text("It nearly disappears").click()
    expect(page.locator(".exception")).to_contain_text("from x = 37 on it is 0")


def test_the_point_is_dragged_along_the_curve(visitor: Visitor) -> None:
    page = opened(visitor, "sigmoid")
    plot = page.locator(".plot").first
    expect(plot.locator("svg .mark-line path").first).to_be_visible()
    frame = plot.locator("svg path.background").first.bounding_box()
    assert frame is not None
    middle = frame["y"] + frame["height"] / 2
    page.mouse.move(frame["x"] + frame["width"] / 2, middle)
    page.mouse.down()
    page.mouse.move(frame["x"] + 0.75 * frame["width"], middle)
    page.mouse.up()
    expect(page.locator("data[data-reading=x]")).to_have_attribute("value", re.compile(r"^(3\.9|4|4\.1)$"))
    expect(page).to_have_url(re.compile(r"#/learn/sigmoid\?lang=en&v=(3\.9|4|4\.1)$"))


@pytest.mark.parametrize("depth", [3, pytest.param(12, marks=pytest.mark.slow)])
def test_claims_6_and_14_the_gradient_vanishes_and_relu_lets_it_through(visitor: Visitor, depth: int) -> None:
    page = opened(visitor, "vanishing", str(depth))
    assert read(page, "quarter") == 0.25 ** (depth - 1)
    read(page, "xavier")
    expect(page.locator(".telling")).to_have_text("")  # all networks are measured
    sigmoid, relu, xavier = (read(page, each) for each in ("sigmoid", "relu", "xavier"))
    assert 0.2 ** (depth - 1) < sigmoid <= 0.26 ** (depth - 1)
    assert 0.7 < relu < 1.4
    assert xavier == pytest.approx(math.sqrt(0.5) ** (depth - 1), rel=0.3)  # the exception
    assert column(page, 1) == [0.25 ** (depth - layer) for layer in range(1, depth + 1)]
    measured = column(page, 2)
    assert measured[-1] == 1
    assert measured == sorted(measured)


def test_claim_9_one_sign_for_a_single_example_and_not_for_a_batch(visitor: Visitor) -> None:
    page = opened(visitor, "zigzag")
    assert read(page, "alike") == 1
    assert read(page, "turns") > 30
    assert read(page, "alikeBatch") == 0  # the exception: a mean may point anywhere
    single, batch = column(page, 1), column(page, 2)  # in networks: sigmoid, tanh, ReLU
    assert single[0] == 1
    assert single[1] < 0.95
    assert batch[0] < 0.9
    assert column(page, 3)[0] == pytest.approx(0.5, abs=0.1)


def test_claims_8_and_12_inputs_around_0_are_learned_sooner(visitor: Visitor) -> None:
    page = opened(visitor, "zigzag")
    before = read(page, "arrived"), read(page, "arrivedBatch")
    page.get_by_role("slider").fill("0")
    expect(page.locator("data[data-reading=alike]")).not_to_have_attribute("value", "1")
    assert read(page, "arrived") < before[0] / 4
    assert read(page, "arrivedBatch") < before[1] / 4
    assert read(page, "turns") < 3


def test_play_step_and_reset(visitor: Visitor) -> None:
    page = opened(visitor, "zigzag")
    expect(page.locator(LINES)).not_to_have_count(0)
    board = page.locator(".board")
    lengths = (
        "() => [...document.querySelectorAll('.plot svg .mark-line path')].at(-1).getAttribute('d').length"
    )
    start = page.evaluate(lengths)
    page.get_by_role("button", name="Step").click()
    page.wait_for_function(f"({lengths})() > {start}")
    one = page.evaluate(lengths)
    board.press("ArrowRight")
    page.wait_for_function(f"({lengths})() > {one}")
    board.press("Space")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    board.press("Space")
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    board.press("Home")
    page.wait_for_function(f"({lengths})() == {start}")


def test_readers_who_prefer_reduced_motion_step(visitor: Visitor) -> None:
    page = visitor.page()
    page.emulate_media(reduced_motion="reduce")
    page.goto(f"{visitor.base}/#/learn/zigzag?lang=en")
    expect(page.get_by_role("button", name="Step")).to_be_visible()
    expect(page.get_by_role("button", name="Play")).to_be_hidden()
    page.locator(".board").press("Space")
    expect(page.get_by_role("button", name="Pause", include_hidden=True)).to_have_count(0)


def test_a_scene_has_its_own_address_in_its_own_language(visitor: Visitor) -> None:
    page = visitor.open("#/learn/zigzag?lang=ko")
    expect(page.get_by_role("heading", level=1)).to_have_text("지그재그")
    assert page.evaluate("document.documentElement.lang") == "ko"
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("The zigzag")
    expect(page).to_have_url(re.compile(r"#/learn/zigzag\?lang=en$"))
    page.evaluate("localStorage.clear(); sessionStorage.clear()")


def test_another_site_frames_a_scene_and_nothing_else(contexts: Contexts, server: Server) -> None:
    page = contexts("en-US").new_page()
    page.goto(f"http://localhost:{server.port}/healthz")  # another site than 127.0.0.1 to the browser
    for address in ("?embed=1#/learn/zigzag?lang=ko", ""):
        framed = f"{server.url}/{address}"
        page.evaluate(
            "src => document.body.append(Object.assign(document.createElement('iframe'), {src}))", framed
        )
    expect(page.frame_locator("iframe >> nth=0").get_by_role("heading", level=1)).to_have_text("지그재그")
    assert page.frame_locator("iframe >> nth=1").locator("main").count() == 0
    page.close()


def test_a_prediction_is_answered_and_the_call_is_one_click_away(visitor: Visitor) -> None:
    page = opened(visitor, "vanishing")
    expect(page.locator(".answer")).to_be_empty()
    page.get_by_role("button", name="About a tenth").click()
    expect(page.locator(".answer")).to_contain_text("Not quite.")
    page.get_by_role("button", name="A millionth or less").click()
    expect(page.locator(".answer")).to_contain_text("As you said.")
    expect(page.locator(".call code")).to_be_hidden()
    page.get_by_text("The numbers behind it").click()
    expect(page.locator(".call code")).to_contain_text("/gradient-flow")
    page.get_by_role("button", name="Python").click()
    expect(page.locator(".call code")).to_contain_text("httpx.post(")


def test_a_scene_in_another_pages_frame_is_alone_there(visitor: Visitor) -> None:
    page = visitor.open("?embed=1#/learn/zigzag?lang=en")
    expect(page.get_by_role("heading", level=1)).to_have_text("The zigzag")
    expect(page.locator("header.top")).to_be_hidden()
    expect(page.locator("nav.scenes")).to_be_hidden()
    page.goto(f"{visitor.base}/?embed=1#/phase")
    expect(page.locator(".learn h1")).to_be_visible()


def trained(page: Page) -> None:
    """Waits until a scene's training has ended, and shows its end."""
    expect(page.locator(".telling")).to_have_text(re.compile(r"^Step \d+ of \d+$"))
    to_the_end(page)
    expect(page.locator(".telling")).to_have_text(re.compile(r"^Step (\d+) of \1$"))


@pytest.mark.parametrize("slope", [pytest.param(0.5, marks=pytest.mark.slow), 1.2])
def test_claim_1_three_linear_layers_are_one(visitor: Visitor, slope: float) -> None:
    page = opened(visitor, "nonlinear", f"{slope}")
    trained(page)
    assert read(page, "cubed") == pytest.approx(slope**3, rel=1e-14)
    assert read(page, "thrice") == pytest.approx(slope**3, rel=1e-14)
    assert read(page, "off") < 1e-13
    assert read(page, "linear") < 0.7
    assert read(page, "relu") > 0.95


@pytest.mark.slow
def test_claim_10_an_output_is_a_probability_and_pays_the_logistic_cost(visitor: Visitor) -> None:
    page = opened(visitor, "probability", "1.5")
    trained(page)
    p = read(page, "p")
    assert 0.5 < p < 1  # of class 1, to which it does not belong
    assert read(page, "cost") == pytest.approx(-math.log(1 - p), rel=1e-12)
    assert read(page, "loss") == pytest.approx(
        read(page, "meanCost"), rel=2e-3
    )  # the service sends p with three decimals
    assert read(page, "meanP") == pytest.approx(read(page, "share"), abs=5e-3)
    before = read(page, "cost")
    page.get_by_role("slider").fill("3")
    expect(page.locator("data[data-reading=cost]")).not_to_have_attribute("value", f"{before}")
    trained(page)
    assert read(page, "cost") > max(1, before)


def test_a_point_of_the_regression_is_dragged(visitor: Visitor) -> None:
    page = opened(visitor, "probability")
    trained(page)
    frame = page.locator(".plot svg path.background").first.bounding_box()
    assert frame is not None

    def at(x: float) -> float:
        return frame["x"] + (x + 3.4) / 6.8 * frame["width"]

    lane = frame["y"] + frame["height"] * (1.12 - 1.06) / 1.24
    page.mouse.move(at(0.7), lane)
    page.mouse.down()
    page.mouse.move(at(-2.5), lane)
    page.mouse.up()
    trained(page)
    assert column(page, 0)[7] == pytest.approx(-2.5, abs=0.11)


def test_claims_11_to_13_tanh_is_a_sigmoid_centred_and_still_saturates(visitor: Visitor) -> None:
    page = opened(visitor, "tanh")
    sigmoid = {name: read(page, name) for name in ("mean", "steepest", "saturated")}
    assert sigmoid == pytest.approx({"mean": 0.5, "steepest": 0.25, "saturated": 0.04517666}, rel=1e-6)
    assert read(page, "difference") > 0.5
    to_the_end(page)
    expect(page.locator("data[data-reading=mean]")).to_have_attribute("value", "0")
    assert read(page, "difference") < 1e-15
    assert read(page, "steepest") == 1
    assert read(page, "saturated") == pytest.approx(1 - math.tanh(3) ** 2, rel=1e-12)
    assert read(page, "saturated") < sigmoid["saturated"]
    naive, exact = column(page, 4), column(page, 5)
    assert naive == pytest.approx(exact, rel=1e-11)


@pytest.mark.slow
def test_claims_17_18_and_25_the_race(visitor: Visitor) -> None:
    page = opened(visitor, "race")
    trained(page)
    sigmoid, tanh, relu = (read(page, f"to99\\.{name}") for name in ("sigmoid", "tanh", "relu"))
    assert relu < tanh < sigmoid
    assert read(page, r"ns\.relu") < min(read(page, rf"ns\.{name}") for name in ("sigmoid", "tanh"))


def test_claims_15_16_and_20_units_of_relu_die_and_leaky_ones_do_not(visitor: Visitor) -> None:
    page = opened(visitor, "dying")
    trained(page)
    assert (read(page, r"slope\.above"), read(page, r"slope\.below")) == (1, 0)
    assert read(page, r"slope\.leaky") == 0.01
    assert read(page, r"dead\.relu") == read(page, r"forGood\.relu") == 27
    assert page.locator(".units").first.locator(".dead").count() == 27
    assert read(page, r"dead\.leaky_relu") == read(page, r"forGood\.leaky_relu") == 0
    assert read(page, r"accuracy\.relu") < 0.6 < read(page, r"accuracy\.leaky_relu")
    page.get_by_role("slider").fill("0.5")  # the exception
    expect(page.locator(r"data[data-reading=dead\.relu]")).to_have_attribute("value", "0")


@pytest.mark.slow
def test_claims_19_and_21_a_slope_is_chosen_or_learned(visitor: Visitor) -> None:
    page = opened(visitor, "prelu", "0.01")
    trained(page)
    assert read(page, "fixed") == 0.01
    assert read(page, r"to99\.leaky") < 300
    first, second = column(page, 1), column(page, 2)
    assert first[0] == second[0] == 0.01
    assert abs(first[-1] - 0.01) > 0.1
    assert abs(second[-1] - 0.01) > 0.1
    page.get_by_role("slider").fill("1")  # the exception: a straight line learns no rings
    expect(page.locator(r"data[data-reading=to99\.leaky]")).to_have_text("not in 300")


@pytest.mark.slow
def test_claims_22_to_24_elu_is_nearly_centred_and_maxout_can_be_relu(visitor: Visitor) -> None:
    page = opened(visitor, "elu")
    elu = math.exp(0.5) * 0.15865525393145707 - 0.5 + 1 / math.sqrt(2 * math.pi)
    assert read(page, r"mean\.elu") == pytest.approx(elu, abs=1e-4)
    assert read(page, r"mean\.relu") == pytest.approx(1 / math.sqrt(2 * math.pi), abs=1e-4)
    assert read(page, r"slope\.elu") == pytest.approx(math.exp(-3), rel=1e-15)
    assert read(page, r"ns\.elu") > read(page, r"ns\.relu")
    assert read(page, "off") == 0
    assert column(page, 2) == column(page, 3)  # the service's Maxout is ReLU
    assert read(page, r"parameters\.maxout") > 1.8 * read(page, r"parameters\.relu")
    page.get_by_role("slider").fill("-1")
    expect(page.locator("data[data-reading=least]")).to_have_attribute("value", "1")  # |x|: no unit dies
    assert read(page, "off") == 3


@pytest.mark.slow
def test_claim_25_the_scoreboard(visitor: Visitor) -> None:
    page = opened(visitor, "choice")
    trained(page)
    names = page.locator(".scoreboard tbody th").all_text_contents()
    assert len(names) == page.locator(".sketch svg polyline").count() == 7
    to90 = dict(zip(names, column(page, 1), strict=True))
    assert max(to90, key=lambda name: to90[name]) == "Sigmoid"
    assert min(to90, key=lambda name: to90[name]) == "Maxout"
    assert to90["ReLU"] < to90["Tanh"]
    page.get_by_role("button", name="Moons").click()  # the exception
    expect(page.locator(".scoreboard tbody tr").first.locator("td").nth(2)).not_to_have_text("–")
    trained(page)
    to90 = dict(zip(names, column(page, 1), strict=True))
    assert to90["ELU"] > to90["Sigmoid"]
    assert to90["ReLU"] < to90["Tanh"] < math.inf


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("scene", SCENES)
def test_axe_finds_nothing_and_a_phone_is_wide_enough(
    visitor: Visitor, scene: str, language: str, theme: str
) -> None:
    page = visitor.open(f"#/learn/{scene}?lang={language}", theme=theme)
    expect(page.locator("data[data-reading]").first).to_be_visible()
    page.locator(".prediction .option").first.click()
    page.locator(".behind summary").click()
    page.wait_for_load_state("networkidle")
    found = Axe().run(page).response["violations"]
    assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found] == []
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_timeout(300)
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_on_a_phone_the_stage_stays_while_the_words_pass(visitor: Visitor) -> None:
    page = opened(visitor, "zigzag", width=390, height=700)
    expect(page.locator(LINES)).not_to_have_count(0)
    page.locator(".behind summary").click()
    page.mouse.wheel(0, 900)
    page.wait_for_function("scrollY > 500")
    assert page.evaluate("document.querySelector('.board').getBoundingClientRect().top") == pytest.approx(
        0, abs=1
    )


def test_a_scene_or_a_picture_that_fails_to_load_is_reported(visitor: Visitor) -> None:
    visitor.expected = (FAILED,)
    page = visitor.page()
    page.route("**/vega.js", lambda route: route.abort())
    page.goto(f"{visitor.base}/#/learn/zigzag?lang=en")
    expect(page.locator(".board").get_by_role("alert")).to_be_visible()
    assert read(page, "turns") > 30  # the figures are there all the same
    page.route("**/scenes/*.js", lambda route: route.abort())
    page.goto(f"{visitor.base}/#/learn/tanh?lang=en")
    expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
    expect(page.get_by_role("button", name="Try again")).to_be_visible()


@pytest.mark.parametrize(
    ("scene", "route", "figure"),
    [
        ("race", "training", r"data[data-reading=to99\.relu][value='…']"),
        ("zigzag", "training", ".behind td"),
        ("elu", "training", r"data[data-reading=ns\.elu]:not([value='…'])"),
        ("sigmoid", "activate", "data[data-reading=slope]"),
    ],
)
def test_a_refusal_by_the_service_is_reported_in_the_scene(
    visitor: Visitor, scene: str, route: str, figure: str
) -> None:
    visitor.expected = (FAILED,)
    page = visitor.page()
    page.route(f"**/{route}", lambda each: each.fulfill(status=503, json={"status": 503}))
    page.goto(f"{visitor.base}/#/learn/{scene}?lang=en")
    expect(page.get_by_role("alert")).to_contain_text("busy")
    page.unroute(f"**/{route}")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(figure).first).to_be_attached()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_link_to_the_next_scene_takes_the_focus_along(visitor: Visitor) -> None:
    page = opened(visitor, "zigzag")
    page.locator("nav.neighbours").get_by_role("link", name="Tanh").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Tanh, a sigmoid transformed")
    expect(page.locator("nav.scenes").get_by_role("link", name="Tanh")).to_be_focused()
    expect(page).to_have_title(re.compile(r"^Tanh, a sigmoid transformed – "))
