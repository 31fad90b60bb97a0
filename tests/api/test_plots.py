"""``/plots`` over ASGI: three forms of each picture, plain addresses, ETags, and refusals."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from httpx import Response
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance

from app.api.plots import FORMS, MOST_PIXELS
from app.contract.pictures import MOST_CURVES
from app.core.activations import REGISTRY
from app.core.activations.definition import Rowwise
from app.settings import Settings
from tests.conftest import InProcess
from tests.support.document import document, documented
from tests.support.drawn import without_deadline

NETWORK = {"activation": "tanh", "depth": 3, "width": 16, "batch": 4, "networks": 2}
DIAGRAM = {"activation": "tanh", "sigma_w": [[0.5, 1.5, 2.5]], "sigma_b": [[0.0], [0.5]]}
BODIES = {"gradient-flow": NETWORK, "mean-field": DIAGRAM}
STARTS = {"svg": b"<svg", "png": b"\x89PNG\r\n\x1a\n", "vl.json": b'{"$schema"'}


DOCUMENT = document()
PLAIN = [path for path, each in DOCUMENT["paths"].items() if path.startswith("/plots") and "get" in each]


def draw(client: InProcess, form: str = "vl.json", **query: Any) -> Response:
    return client.get(f"/plots/functions.{form}", params={"name": "tanh", **query})


def size(png: bytes) -> tuple[int, int]:
    """Width and height, from the first chunk."""
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def datasets(answer: Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["datasets"]
    return found


@pytest.mark.parametrize("form", FORMS)
def test_functions_in_three_forms(client: InProcess, form: Any) -> None:
    answer = draw(client, form, name=["relu", "leaky_relu(negative_slope=0.2)"], order=[0, 1])
    assert answer.status_code == 200
    assert answer.headers["content-type"] == FORMS[form]
    assert answer.content.startswith(STARTS[form])
    assert answer.headers["content-language"] == "en"


@pytest.mark.parametrize("plot", BODIES)
@pytest.mark.parametrize("form", FORMS)
def test_requests_in_three_forms(client: InProcess, plot: str, form: Any) -> None:
    answer = client.post(f"/plots/{plot}.{form}", json=BODIES[plot], params={"theme": "dark"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == FORMS[form]
    assert answer.content.startswith(STARTS[form])


@pytest.mark.parametrize("plot", BODIES)
def test_a_plain_address_gives_what_the_body_gives(client: InProcess, plot: str) -> None:
    sent = client.post(f"/plots/{plot}.vl.json", json=BODIES[plot])
    asked = client.get(f"/plots/{plot}.vl.json", params={"request": json.dumps(BODIES[plot])})
    assert asked.content == sent.content
    assert asked.headers["etag"] == sent.headers["etag"]


def test_several_networks_in_one_picture(client: InProcess) -> None:
    networks = [NETWORK, {**NETWORK, "activation": "sigmoid"}, {**NETWORK, "seed": 1}]
    requests = [json.dumps(each) for each in networks]
    rows = datasets(client.get("/plots/gradient-flow.vl.json", params={"request": requests}))["layers"]
    assert list(dict.fromkeys(each["network"] for each in rows)) == [
        "tanh · depth 3, width 16 · xavier_normal",
        "sigmoid · depth 3, width 16 · xavier_normal",
        "tanh · depth 3, width 16 · xavier_normal (2)",
    ]


def test_the_figures_are_those_of_the_answer(client: InProcess) -> None:
    answer = client.post("/gradient-flow", json=NETWORK).json()
    drawn = datasets(client.post("/plots/gradient-flow.vl.json", json=NETWORK))
    figures = [each["gradient_log10_rms"] for each in answer["layers"]]
    assert [{key: each[key] for key in ("median", "low", "high")} for each in drawn["layers"]] == figures
    theory = [each["gradient_log10_rms"] for each in answer["theory"]["layers"]]
    assert [each["log10_rms"] for each in drawn["theory"]] == theory


def test_the_cells_are_those_of_the_answer(client: InProcess) -> None:
    answer = client.post("/mean-field", json=DIAGRAM).json()
    cells = datasets(client.post("/plots/mean-field.vl.json", json=DIAGRAM))["cells"]
    assert [each["chi_1"] for each in cells] == [each for row in answer["chi_1"] for each in row]
    assert [each["phase"] for each in cells] == [each for row in answer["phase"] for each in row]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("leaky_relu(negative_slope=0.2)", "leaky_relu(negative_slope=0.2)"),
        ("leaky_relu( negative_slope = 0.01 )", "leaky_relu"),  # the default
        ("torch:LeakyReLU", "torch:LeakyReLU"),
        ("torch:GELU(approximate=tanh)", "torch:GELU(approximate=tanh)"),
    ],
)
def test_lines_are_labelled_as_they_were_requested(client: InProcess, name: str, shown: str) -> None:
    assert datasets(draw(client, name=name))["curves"][0]["series"] == shown


def test_a_function_requested_twice_is_one_line(client: InProcess) -> None:
    names = ["leaky_relu", "leaky_relu(negative_slope=0.01)"]
    assert len(datasets(draw(client, name=names))["curves"]) == 1


def test_orders_are_panels_each_once(client: InProcess) -> None:
    specification = draw(client, order=[2, 0, 2]).json()
    assert [each["order"] for each in specification["datasets"]["curves"]] == [0, 2]
    assert len(specification["vconcat"]) == 2


def test_a_current_copy_gets_a_304(client: InProcess) -> None:
    first = draw(client, "svg")
    again = client.get(
        "/plots/functions.svg", params={"name": "tanh"}, headers={"If-None-Match": first.headers["etag"]}
    )
    assert again.status_code == 304
    assert again.content == b""
    assert again.headers["etag"] == first.headers["etag"]
    other = draw(client, "svg", theme="dark")
    assert other.headers["etag"] != first.headers["etag"]


def test_a_png_has_the_requested_pixels(client: InProcess) -> None:
    plain = size(draw(client, "png", scale=1).content)
    fine = size(draw(client, "png", scale=3).content)
    assert fine == pytest.approx([3 * each for each in plain], abs=3)
    wide = size(draw(client, "png", scale=1, width=760).content)
    assert wide[0] - plain[0] == pytest.approx(200, abs=10)  # labels at the ends may overhang


def test_korean(client: InProcess) -> None:
    answer = client.post("/plots/gradient-flow.vl.json", json=NETWORK, params={"lang": "ko"})
    assert answer.headers["content-language"] == "ko"
    assert answer.json()["encoding"]["x"]["title"].startswith("층")


def test_a_png_is_in_english_where_no_font_has_hangul(
    client: InProcess, application: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(application.state.renderer, "_hangul", False)
    asked = draw(client, "png", lang="ko")
    assert asked.headers["content-language"] == "en"
    assert asked.content == draw(client, "png").content
    assert draw(client, "svg", lang="ko").headers["content-language"] == "ko"


@pytest.mark.parametrize(
    ("query", "loc", "says"),
    [
        ({"name": []}, ["query", "name"], "required"),
        ({"name": "tahn"}, ["query", "name", 0], "did you mean tanh"),
        ({"name": ["tanh", "leaky_relu(slope=1)"]}, ["query", "name", 1], "negative_slope"),
        ({"name": "leaky_relu(negative_slope=NaN)"}, ["query", "name", 0, "negative_slope"], "real number"),
        ({"name": "tanh("}, ["query", "name", 0], "name(parameter=number"),
        ({"name": ["tanh"] * (MOST_CURVES + 1)}, ["query", "name"], str(MOST_CURVES)),
        ({"name": "t" * 2_000}, ["query", "name", 0], "1500"),
        ({"order": 3}, ["query", "order", 0], "2"),
        ({"low": 2, "high": 2}, ["query", "high"], "above low"),
        ({"low": "NaN"}, ["query", "low"], ""),
        ({"high": "Infinity"}, ["query", "high"], ""),
        ({"high": 1e7}, ["query", "high"], "1000000"),
        ({"width": 10}, ["query", "width"], "160"),
        ({"theme": "blue"}, ["query", "theme"], "dark"),
        ({"colour": "blue"}, ["query", "…"], "unknown field"),
    ],
)
def test_what_is_refused(client: InProcess, query: dict[str, Any], loc: list[Any], says: str) -> None:
    answer = draw(client, **query)
    assert answer.status_code == 422
    error = answer.json()["errors"][0]
    assert error["loc"] == loc
    assert says in error["msg"].lower() or says in error["msg"]


@pytest.mark.parametrize("name", [name for name, entry in REGISTRY.items() if isinstance(entry, Rowwise)][:1])
def test_functions_that_mix_elements_are_refused(client: InProcess, name: str) -> None:
    answer = draw(client, name=name)
    assert answer.status_code == 422
    assert "elementwise" in answer.json()["detail"]


def test_more_pixels_than_a_png_may_have(client: InProcess) -> None:
    answer = draw(client, "png", order=[0, 1, 2], width=1600, height=1200, scale=4)
    assert answer.status_code == 422
    assert f"{MOST_PIXELS:,}" in answer.json()["detail"]


def test_no_other_form(client: InProcess) -> None:
    answer = draw(client, "gif")
    assert answer.status_code == 422
    assert "'svg', 'png' or 'vl.json'" in answer.json()["errors"][0]["msg"]


def test_the_form_has_to_be_acceptable(client: InProcess) -> None:
    answer = client.get("/plots/functions.png", params={"name": "tanh"}, headers={"Accept": "text/html"})
    assert answer.status_code == 406


@pytest.mark.parametrize(
    ("request_", "status", "says"),
    [
        ("{", 400, "JSON"),
        ("[]", 422, ""),
        ('{"activation": "tahn"}', 422, "did you mean tanh"),
        ('{"activation": "tanh", "depth": 0}', 422, "1"),
        ('{"activation": "tanh", "depth": NaN}', 400, ""),
    ],
)
def test_a_request_in_the_address_is_checked_like_a_body(
    client: InProcess, request_: str, status: int, says: str
) -> None:
    answer = client.get("/plots/gradient-flow.vl.json", params={"request": request_})
    assert answer.status_code == status
    assert says in answer.text
    assert len(answer.content) < 10_000


def test_a_diagram_needs_a_grid_before_anything_is_computed(client: InProcess) -> None:
    answer = client.post("/plots/mean-field.svg", json={**DIAGRAM, "sigma_b": 0.5})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["loc"] == ["body", "sigma_b"]


@pytest.mark.parametrize("path", PLAIN)
def test_every_plain_address_has_an_example_that_runs(client: InProcess, path: str) -> None:
    parameters = DOCUMENT["paths"][path]["get"]["parameters"]
    required = [each for each in parameters if each["required"] and each["in"] == "query"]
    assert required
    query = {each["name"]: each["example"] for each in required}
    assert client.get(path.format(form="vl.json"), params=query).status_code == 200


drawn = schemathesis.openapi.from_asgi("/openapi.json", documented())
drawn.config.phases.coverage.enabled = False  # test_plots_bounds.py has it
FUNCTIONS = "^/plots/functions"


def keeps_to_its_document(case: Case[Any]) -> None:
    checks = [not_a_server_error, status_code_conformance, content_type_conformance]
    without_deadline(case).call_and_validate(checks=checks, timeout=2 * Settings().request_timeout)


@drawn.include(path_regex=FUNCTIONS).parametrize()
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_functions_conform_to_their_document(case: Case[Any]) -> None:
    keeps_to_its_document(case)


TRAINED = {
    "activations": ["tanh", {"activation": "leaky_relu", "params": {"negative_slope": 0.2}}, "tanh"],
    "hidden": [6],
    "steps": 20,
    "runs": 2,
    "frames": 4,
    "watch": {"boundary": 7},
}


@pytest.mark.parametrize("form", FORMS)
def test_a_training_in_three_forms(client: InProcess, form: Any) -> None:
    answer = client.post(f"/plots/training.{form}", json=TRAINED)
    assert answer.status_code == 200, answer.text[:300]
    assert answer.headers["content-type"] == FORMS[form]
    assert answer.content.startswith(STARTS[form])


def test_a_training_s_picture_holds_its_answer(client: InProcess) -> None:
    found = datasets(client.get("/plots/training.vl.json", params={"request": json.dumps(TRAINED)}))
    answer = client.post("/training", json=TRAINED).json()
    names = ["tanh", "leaky_relu(negative_slope=0.2)", "tanh (2)"]
    assert [each["activation"] for each in found["figures"][-3:]] == names
    last = answer["frames"][-1]["activations"][1]
    assert found["figures"][-2]["loss"] == last["loss"]["median"]
    values = [each["value"] for each in found["boundary"] if each["activation"] == names[1]]
    assert values == [value for row in last["boundary"] for value in row]


def test_a_training_of_digits_and_one_that_diverges(client: InProcess) -> None:
    short = {**TRAINED, "watch": {}, "data": {"kind": "digits", "count": 50}}
    assert datasets(client.post("/plots/training.vl.json", json=short))["boundary"] == []
    fast = {**TRAINED, "optimizer": {"learning_rate": 1e300}, "data": {"kind": "blobs"}}
    for lang, word in (("en", "Diverged"), ("ko", "발산")):
        answer = client.post("/plots/training.vl.json", json=fast, params={"lang": lang})
        assert word in "".join(answer.json()["title"]["subtitle"])
    assert client.post("/plots/training.svg", json=fast).status_code == 200


@pytest.mark.parametrize("figure", ["gradient", "activation_mean"])
def test_answers_are_drawn_as_they_were_when_simulated(client: InProcess, figure: str) -> None:
    body = {"activation": "tanh", "depth": 5, "width": 8, "networks": 3, "init": "fair"}
    found = client.post("/gradient-flow", json=body).json()
    networks = [{"label": "a", "answer": found}, {"label": "a", "answer": {"layers": found["layers"]}}]
    drawn = client.post(
        f"/plots/gradient-flow-answers.vl.json?figure={figure}", json={"networks": networks}
    ).json()
    field = {"gradient": "gradient_log10_rms"}.get(figure, figure)
    rows = drawn["datasets"]["layers"]
    assert [row["network"] for row in rows] == ["a"] * 5 + ["a (2)"] * 5
    for row, layer in zip(rows, 2 * found["layers"], strict=True):
        assert {name: row[name] for name in ("median", "low", "high")} == layer[field]
    same = client.post("/plots/gradient-flow.vl.json", json=body).json()["datasets"]
    if figure == "gradient":
        assert [row["log10_rms"] for row in drawn["datasets"]["theory"]] == [
            row["log10_rms"] for row in same["theory"]
        ]


def test_a_training_film_and_its_etag(client: InProcess) -> None:
    query = {"request": json.dumps({**TRAINED, "activations": ["tanh", "relu"]}), "lang": "ko"}
    answer = client.get("/plots/training-film.svg", params=query)
    assert answer.status_code == 200, answer.text[:300]
    assert answer.headers["content-type"] == FORMS["svg"]
    assert answer.headers["content-language"] == "ko"
    assert answer.text.count('class="frame"') + 1 == 5  # steps 0, 5, 10, 15, and the last one
    same = {"If-None-Match": answer.headers["etag"]}
    assert client.get("/plots/training-film.svg", params=query, headers=same).status_code == 304
    assert client.get("/plots/training-film.svg", params={"request": "{"}).status_code == 400
    wrong = client.get("/plots/training-film.svg", params={"request": json.dumps({"activations": []})})
    assert wrong.status_code == 422
    assert wrong.json()["errors"][0]["loc"][:2] == ["query", "request"]
