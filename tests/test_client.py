"""The client against the real application: both kinds, both forms, every error readable."""

from __future__ import annotations

import asyncio

import ml_dtypes
import numpy as np
import pytest

from app.client import BIG, AsyncClient, Client, ServiceError, activate, describe
from app.core.activations import REGISTRY
from tests.conftest import Server


@pytest.mark.parametrize("size", [1, BIG - 1, BIG, 30_000])
def test_numpy_in_and_out(server: Server, size: int) -> None:
    inputs = np.linspace(-30, 30, size)
    with Client(server.url) as lab:
        values = lab.send(activate("tanh", inputs, order=2))
    assert values.derivative is not None
    assert values.second_derivative is not None
    assert values.outputs.dtype == np.float64
    # tanh, 1 − tanh² and −2 tanh (1 − tanh²), to what these plain forms are good for.
    np.testing.assert_allclose(values.outputs, np.tanh(inputs), rtol=1e-14)
    np.testing.assert_allclose(values.derivative, 1 - np.tanh(inputs) ** 2, atol=1e-14)
    np.testing.assert_allclose(values.second_derivative, -2 * np.tanh(inputs) * values.derivative, rtol=1e-12)


@pytest.mark.parametrize("size", [3, 2 * BIG])
def test_formats(server: Server, size: int) -> None:
    with Client(server.url) as lab:
        values = lab.send(activate("sigmoid", np.full(size, np.nan), dtype="bfloat16", order=0))
    assert values.outputs.dtype == ml_dtypes.bfloat16
    assert np.isnan(values.outputs.astype(float)).all()
    assert values.derivative is None


def test_async_answers_the_same(server: Server) -> None:
    inputs = np.linspace(-3, 3, 50)

    async def ask() -> np.ndarray:
        async with AsyncClient(server.url) as lab:
            many = await asyncio.gather(*(lab.send(activate("sigmoid", inputs)) for _ in range(8)))
        return np.stack([values.outputs for values in many])

    answers = asyncio.run(ask())
    with Client(server.url) as lab:
        assert (answers == lab.send(activate("sigmoid", inputs)).outputs).all()


def test_gradients(server: Server) -> None:
    with Client(server.url) as lab:
        values = lab.send(activate("sigmoid", np.zeros(2 * BIG), upstream=np.full(2 * BIG, 4.0)))
    assert values.input_gradient is not None
    np.testing.assert_array_equal(values.input_gradient, np.ones(2 * BIG))


def test_errors_say_what_the_service_said(server: Server) -> None:
    with Client(server.url) as lab, pytest.raises(ServiceError, match="did you mean sigmoid") as caught:
        lab.send(activate("sigmoyd", 1.0))
    assert caught.value.problem.status == 422


def test_facts(server: Server) -> None:
    with Client(server.url) as lab:
        facts = lab.send(describe("tanh"))
    assert facts.latex[0] == REGISTRY["tanh"].formulas.value.latex({})
