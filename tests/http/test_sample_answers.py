"""The answers that the OpenAPI document shows are the service's."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from app.http import openapi
from app.main import create_app
from app.settings import Settings
from tests.conftest import InProcess
from tests.support.answers import questions, shortened

ANSWERS = json.loads(openapi.ANSWERS.read_text())
QUESTIONS = list(questions(create_app(Settings())))
LONG = {"/gradient-flow", "/training"}
COUNTED = {"/v2/models/stats", "/v2/models/{name}/stats", "/v2/models/{name}/versions/{version}/stats"}
"""What counts requests, which each process has of its own."""


def agrees(one: Any, other: Any) -> bool:
    """Whether two answers are the same, last digits left to the processor that found them."""
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
    told, now = ANSWERS[path][method], shortened(json.loads(answer.text))
    if path == "/training":  # which times its arithmetic
        told, now = (_untimed(each) for each in (told, now))
    assert agrees(told, now)


def _untimed(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: _untimed(each)
            for name, each in value.items()
            if "nanoseconds" not in name and "seconds" not in name
        }
    return [_untimed(each) for each in value] if isinstance(value, list) else value


def test_every_operation_that_answers_in_json_shows_one() -> None:
    assert {(path, method) for method, path, _, _ in QUESTIONS} == {
        (path, method) for path, methods in ANSWERS.items() for method in methods
    }
    document = create_app(Settings()).openapi()
    for path, methods in ANSWERS.items():
        for method, answer in methods.items():
            shown = document["paths"][path][method]["responses"]["200"]["content"]["application/json"]
            assert shown["example"] == answer
