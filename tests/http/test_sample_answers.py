"""The sample answers in the OpenAPI document are those of the service."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from app.compute.threads import Busy
from app.http import openapi
from app.http.computing import failures
from app.http.problems import Problem
from app.http.refusals import REFUSALS
from tests.conftest import InProcess
from tests.support.answers import TEXTS, questions, sample, shortened
from tests.support.document import document

ANSWERS = json.loads(openapi.ANSWERS.read_text())
SAMPLES = json.loads(openapi.TEXTS.read_text())
RIGHT = '{"function": "relu", "inputs": [1]}'
QUESTIONS = list(questions(document()))
LONG = {"/gradient-flow", "/gradient-flow/sweep", "/training"}
COUNTED = {"/v2/models/stats", "/v2/models/{name}/stats", "/v2/models/{name}/versions/{version}/stats"}
"""Statistics of requests, which differ between processes."""


def agrees(one: Any, other: Any) -> bool:
    """Whether two answers are the same, up to last digits, which depend on the processor."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(agrees(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(agrees, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-12)
    return bool(one == other)


@pytest.mark.parametrize(
    ("method", "path", "asked", "body"),
    [
        pytest.param(*each, marks=pytest.mark.slow if each[1] in LONG else ())
        for each in QUESTIONS
        if each[1] not in COUNTED
    ],
    ids=lambda each: str(each)[:40],
)
def test_a_sample_answer_is_the_answer(
    client: InProcess, method: str, path: str, asked: str, body: Any
) -> None:
    answer = client.request(method, asked, json=body)
    assert answer.status_code == 200
    shown, now = ANSWERS[path][method], shortened(json.loads(answer.text))
    if path == "/training":  # its answer has timings
        shown, now = (_untimed(each) for each in (shown, now))
    assert agrees(shown, now)


def _untimed(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: _untimed(each)
            for name, each in value.items()
            if "nanoseconds" not in name and "seconds" not in name
        }
    return [_untimed(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("media_type", "method", "path", "asked", "body"),
    [
        pytest.param(each, *question, marks=pytest.mark.slow if question[1] in LONG else ())
        for each in TEXTS
        for question in questions(document(), each)
    ],
    ids=lambda each: str(each)[:40],
)
def test_a_sample_text_is_how_the_answer_begins(
    client: InProcess, media_type: str, method: str, path: str, asked: str, body: Any
) -> None:
    answer = client.request(method, asked, json=body, headers={"Accept": media_type})
    shown, now = SAMPLES[path][method][media_type], sample(media_type, answer.text)
    if media_type == "image/svg+xml":
        assert shown == now
    else:  # streams have timings, metrics have counts
        assert shown.split("\n")[0][:20] == now.split("\n")[0][:20]


REFUSED: dict[int, tuple[str, str, dict[str, str], str | bytes]] = {
    400: ("POST", "/activate", {}, "{"),
    404: ("GET", "/functions/rellu", {}, ""),
    406: ("POST", "/activate", {"Accept": "image/png"}, RIGHT),
    413: ("POST", "/activate", {"Content-Length": "99999999999"}, RIGHT),
    415: ("POST", "/activate", {"Content-Type": "text/csv"}, "1,2"),
    422: ("POST", "/activate", {}, '{"function": "relu", "inputs": [1], "order": 9}'),
    504: ("POST", "/activate", {"Request-Timeout": "1e-6"}, RIGHT.replace("relu", "formula:sin(x)")),
}


@pytest.mark.parametrize("status", REFUSALS)
def test_a_sample_refusal_is_a_refusal(client: InProcess, status: int) -> None:
    if status in REFUSED:
        method, path, headers, body = REFUSED[status]
        answer = client.request(
            method, path, headers={"Content-Type": "application/json", **headers}, content=body
        )
        document = answer.json()
    else:  # 503
        with pytest.raises(Problem) as refused, failures:
            raise Busy
        document = json.loads(bytes(refused.value.response().body))
    assert document == REFUSALS[status]


def test_no_answer_of_the_document_is_shown_as_the_word_string() -> None:
    shown = ("json", "svg", "event-stream", "text/")
    bare = [
        (path, method, status, media_type)
        for path, methods in document()["paths"].items()
        for method, operation in methods.items()
        for status, answer in operation["responses"].items()
        for media_type, content in answer.get("content", {}).items()
        if any(each in media_type for each in shown) and "example" not in content
    ]
    assert bare == []


def test_every_operation_that_answers_in_json_shows_one() -> None:
    assert {(path, method) for method, path, _, _ in QUESTIONS} == {
        (path, method) for path, methods in ANSWERS.items() for method in methods
    }
    for path, methods in ANSWERS.items():
        for method, answer in methods.items():
            shown = document()["paths"][path][method]["responses"]["200"]["content"]["application/json"]
            assert shown["example"] == answer
