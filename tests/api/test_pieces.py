"""Answers in pieces say what the same answers in one would."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest

from app.api.pieces import encoded, json_object
from app.core.formats import number_format
from app.wire.npy import dumps, stacked
from app.wire.numbers import PIECE, json_pieces, to_json
from tests.conftest import InProcess


@pytest.mark.parametrize(
    ("fields", "read"),
    [
        ({}, {}),
        ({"a": 1}, {"a": 1}),
        ({'"': [1, 2], "b": None, "ü": {"c": []}}, {'"': [1, 2], "b": None, "ü": {"c": []}}),
        (
            {"x": np.array([[0.1, -np.inf]]), "p": {"q": np.array(2.0)}},
            {"x": [[0.1, "-Infinity"]], "p": {"q": 2}},
        ),
        ({"p": {"q": np.float64(np.nan), "r": {}}}, {"p": {"q": "NaN", "r": {}}}),
    ],
)
def test_an_object_in_pieces_is_the_object(fields: dict[str, Any], read: dict[str, Any]) -> None:
    whole = bytes(encoded(fields, {}, numbers=0).body)
    assert json.loads(whole) == read
    assert b"".join(json_object(fields)) == whole


def test_arrays_come_in_pieces_only_where_they_are_large() -> None:
    assert len(list(json_pieces(np.zeros(PIECE)))) == 1
    assert len(list(json_pieces(np.zeros(3 * PIECE)))) == 3 + 1


def test_a_large_answer_has_every_number(client: InProcess) -> None:
    x = np.linspace(-5, 5, 2 * PIECE + 1)
    content = b'{"function": "linear", "params": {"slope": 2}, "inputs": ' + to_json(x) + b"}"
    answer = client.post("/activate", content=content, headers={"Content-Type": "application/json"})
    assert answer.json()["outputs"] == (2 * x).tolist()
    assert answer.json()["derivative"] == [2.0] * x.size
    assert answer.json()["param_gradients"] is None


@pytest.mark.parametrize("size", [0, 10, 2 * PIECE])
def test_orders_in_npy_are_the_stacked_array(client: InProcess, size: int) -> None:
    x = np.linspace(-5, 5, size)
    npy = "application/x-npy"
    answer = client.post(
        "/activate?function=tanh&order=2", content=dumps(x), headers={"Content-Type": npy, "Accept": npy}
    )
    orders = np.load(io.BytesIO(answer.content))
    assert orders.shape == (3, size)
    assert orders[0].tobytes() == np.tanh(x).tobytes()


def test_stacked_pieces_are_one_file() -> None:
    arrays = [np.arange(6, dtype=number_format("bfloat16")).reshape(2, 3) + each for each in range(3)]
    assert b"".join(stacked(arrays)) == dumps(np.stack(arrays))
