"""Answers in pieces are the same as answers sent as a whole."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from app.core.arithmetic.formats import number_format
from app.http.answers import FEW, encoded, in_pieces
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
        ({"l": [], "o": [{"x": np.arange(2.0)}, {}]}, {"l": [], "o": [{"x": [0, 1]}, {}]}),
        ({"p": {"q": np.float64(np.nan), "r": {}}}, {"p": {"q": "NaN", "r": {}}}),
    ],
)
def test_an_object_in_pieces_is_the_object(fields: dict[str, Any], read: dict[str, Any]) -> None:
    whole = bytes(encoded(fields, {}, numbers=0).body)
    assert json.loads(whole) == read
    assert b"".join(in_pieces(fields)) == whole


@pytest.mark.parametrize(
    "shape",
    [
        (),
        (0,),
        (PIECE,),
        (3 * PIECE + 1,),
        (1, 2 * PIECE),
        (2, PIECE + 1),
        (2, 1, PIECE),
        (PIECE, 3),
        (PIECE + 1, 1, 1),
        (1, 0, PIECE),
    ],
)
def test_pieces_of_any_shape_are_short_and_make_up_the_array(shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape) / 7
    pieces = [bytes(piece) for piece in json_pieces(array)]
    assert json.loads(b"".join(pieces)) == array.tolist()
    assert max(piece.count(b".") for piece in pieces) <= PIECE


async def in_chunks(body: bytes) -> AsyncIterator[bytes]:
    """A large body in chunks, as from the network."""
    for start in range(0, len(body), 100_000):
        yield body[start : start + 100_000]


def test_a_large_answer_has_every_number(client: InProcess) -> None:
    x = np.linspace(-5, 5, FEW + 1)
    content = b'{"function": "linear", "params": {"slope": 2}, "inputs": ' + to_json(x) + b"}"
    answer = client.post(
        "/activate", content=in_chunks(content), headers={"Content-Type": "application/json"}
    )
    assert answer.json()["outputs"] == (2 * x).tolist()
    assert answer.json()["derivative"] == [2.0] * x.size
    assert answer.json()["param_gradients"] is None


def test_a_large_inference_has_every_number(client: InProcess) -> None:
    x = np.linspace(-5, 5, FEW + 1)
    tensor = b'{"name": "inputs", "datatype": "FP64", "shape": [%d], "data": %b}' % (x.size, to_json(x))
    content = b'{"id": "7", "inputs": [%b], "outputs": [{"name": "outputs"}]}' % tensor
    answer = client.post("/v2/models/relu/infer", content=in_chunks(content))
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json() == {
        "model_name": "relu",
        "model_version": "1",
        "id": "7",
        "outputs": [
            {"name": "outputs", "datatype": "FP64", "shape": [x.size], "data": x.clip(0).tolist()},
        ],
    }


@pytest.mark.parametrize("size", [0, 10, 2 * PIECE])
def test_orders_in_npy_are_the_stacked_array(client: InProcess, size: int) -> None:
    x = np.linspace(-5, 5, size)
    npy = "application/x-npy"
    answer = client.post(
        "/activate?function=relu&order=2", content=dumps(x), headers={"Content-Type": npy, "Accept": npy}
    )
    orders = np.load(io.BytesIO(answer.content))
    assert orders.shape == (3, size)
    assert orders[0].tolist() == x.clip(0).tolist()


def test_stacked_pieces_are_one_file() -> None:
    arrays = [np.arange(6, dtype=number_format("bfloat16")).reshape(2, 3) + each for each in range(3)]
    assert b"".join(stacked(arrays)) == dumps(np.stack(arrays))
