"""The main job on real input: scikit-learn's handwritten digits over a real socket, compared with mpmath."""

from __future__ import annotations

import io
from typing import Any

import httpx
import numpy as np
import orjson
import pytest
from sklearn.datasets import load_digits

from app.core.activations import REGISTRY
from app.core.activations.definition import Elementwise
from tests.conftest import Server
from tests.core.activations.test_promise import ELEMENTWISE, worst

READY = [
    entry
    for entry in ELEMENTWISE
    if all(each.default is not None or not each.required for each in entry.parameters)
]
assert len(READY) >= 2
FIELDS = ("outputs", "derivative", "second_derivative")
NPY = "application/x-npy"
BOUNDS = (2.0, 2.0, 4.0)


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    """1,797 images of 64 pixels, standardised as one would before a network: mean 0, variance 1."""
    pixels: np.ndarray = load_digits().data
    assert pixels.shape == (1797, 64)
    standardised: np.ndarray = (pixels - pixels.mean()) / pixels.std()
    return standardised


def by_json(server: Server, entry: Elementwise, digits: np.ndarray) -> list[Any]:
    body = {"function": entry.name, "order": 2, "inputs": digits}
    content = orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
    headers = {"Content-Type": "application/json"}
    answer = httpx.post(f"{server.url}/activate", content=content, headers=headers, timeout=60).json()
    return [answer[field] for field in FIELDS]


def by_npy(server: Server, entry: Elementwise, digits: np.ndarray) -> np.ndarray:
    stream = io.BytesIO()
    np.save(stream, digits)
    query: dict[str, str | int] = {"function": entry.name, "order": 2}
    headers = {"Content-Type": NPY, "Accept": NPY}
    url = f"{server.url}/activate"
    answer = httpx.post(url, params=query, content=stream.getvalue(), headers=headers, timeout=60)
    stacked: np.ndarray = np.load(io.BytesIO(answer.content))
    return stacked


@pytest.mark.parametrize("entry", READY, ids=lambda entry: entry.name)
def test_digits(server: Server, digits: np.ndarray, entry: Elementwise) -> None:
    stacked = by_npy(server, entry, digits)
    assert stacked.shape == (3, 1797, 64)
    for read, exact_bits in zip(by_json(server, entry, digits), stacked, strict=True):
        np.testing.assert_array_equal(np.array(read, dtype=float), exact_bits)
    sample = np.random.default_rng(0).choice(digits.size, 40, replace=False)
    points = digits.ravel()[sample]
    for order, bound in enumerate(BOUNDS):
        answered = stacked[order].ravel()[sample]
        error, place = worst(entry, points, entry.defaults, order, answered)
        assert error <= bound, f"order {order}: {error:.3g} ulp at {place!r}"


def test_enough_functions_took_part() -> None:
    assert len(READY) >= min(12, len(REGISTRY))
