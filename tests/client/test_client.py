"""The client against the real application: synchronous and asynchronous, JSON and binary, and errors."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from app.client import (
    BIG,
    AsyncClient,
    Client,
    Exchange,
    Layer,
    ServiceError,
    TrainingOptions,
    activate,
    describe,
    describe_formula,
    gradient_flow,
    mean_field,
    sweep,
    training,
)
from app.contract.gradient_flow import SpreadFields
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
    # tanh, 1 − tanh² and −2 tanh (1 − tanh²), to the accuracy of these plain forms.
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


def test_errors_have_the_service_s_message(server: Server) -> None:
    with Client(server.url) as lab, pytest.raises(ServiceError, match="did you mean sigmoid") as caught:
        lab.send(activate("sigmoyd", 1.0))
    assert caught.value.problem.status == 422
    assert str(caught.value).count("did you mean sigmoid") == 1


def test_gradient_flow(server: Server) -> None:
    asked = gradient_flow("tanh", width=[4, 16, 3], init={"sigma_w": 0.5}, networks=2, seed=5)
    with Client(server.url) as lab:
        report = lab.send(asked)
    assert (report.networks, report.seed) == (2, 5)
    assert [(each.fan_in, each.fan_out) for each in report.layers] == [(4, 16), (16, 3)]
    assert number(report.gradient.log10_ratio).dtype == np.float64


def number(spread: SpreadFields) -> np.ndarray:
    assert spread.median is not None
    return spread.median


def read(exchange: Exchange[Any]) -> dict[str, Any]:
    assert exchange.content is not None
    fields: dict[str, Any] = json.loads(exchange.content)
    return fields


def test_only_what_is_given_is_sent() -> None:
    """Defaults are the service's."""
    assert read(gradient_flow("tanh")) == {"activation": "tanh"}
    given = gradient_flow("prelu", params={"weight": np.float32(0.5)}, inputs=np.eye(2), residual=None)
    params = {"weight": 0.5}
    assert read(given) == {
        "activation": "prelu",
        "params": params,
        "inputs": [[1.0, 0.0], [0.0, 1.0]],
        "residual": None,
    }


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, ml_dtypes.bfloat16, int])
def test_a_network_s_own_weights(server: Server, dtype: Any) -> None:
    """h(x) = x, and small integers, exact in every format: W x = (−1, −1, −1), and b makes it (−2, −1, 0)."""
    first, bias = np.array([[1, 2], [3, 4], [5, 6]], order="F").astype(dtype), np.array([-1, 0, 1])
    weights: list[Layer] = [
        (first, bias.astype(dtype)),
        (np.array([[2, 0, 1]]).astype(dtype), None),
        np.eye(1),
    ]
    with Client(server.url) as lab:
        report = lab.send(gradient_flow("linear", weights=weights, inputs=np.array([[1.0, -1.0]])))
    assert [float(number(each.activation_mean)) for each in report.layers] == [-1.0, -4.0, -4.0]
    assert report.networks == 1


def test_a_loss_gradient_of_one_s_own(server: Server) -> None:
    """h(x) = x: dL/dz of the last layer is the upstream that was sent, and Wᵀ times it below."""
    weights: list[Layer] = [np.eye(2), np.array([[3.0, 4.0]])]
    upstream = [[0.5], [-0.5]]
    with Client(server.url) as lab:
        report = lab.send(gradient_flow("linear", weights=weights, inputs=np.eye(2), upstream=upstream))
    sizes = [10 ** float(number(each.gradient_log10_rms)) for each in report.layers]
    np.testing.assert_allclose(sizes, [0.5 * np.sqrt(12.5), 0.5], rtol=1e-14)


def test_eleven_layers_stay_in_order(server: Server) -> None:
    """The tensors are named by numbers: in alphabetical order, layer 10 would precede layer 2."""
    weights = [np.full((1, 1), 1.0 + number) for number in range(11)]
    with Client(server.url) as lab:
        report = lab.send(gradient_flow("linear", weights=weights, inputs=np.ones((1, 1))))
    means = [float(number(each.activation_mean)) for each in report.layers]
    np.testing.assert_allclose(means, np.cumprod(np.arange(1.0, 12.0)), rtol=1e-15)


def test_async_sends_weights_too(server: Server) -> None:
    exchange = gradient_flow("tanh", weights=[np.eye(3)], seed=1)

    async def ask() -> Any:
        async with AsyncClient(server.url) as lab:
            return await lab.send(exchange)

    with Client(server.url) as lab:
        assert asyncio.run(ask()).model_dump_json() == lab.send(exchange).model_dump_json()


def test_weights_that_are_no_network_are_refused(server: Server) -> None:
    with (
        Client(server.url) as lab,
        pytest.raises(ServiceError, match="layer 2 must have 3 rows and 2 columns"),
    ):
        lab.send(gradient_flow("tanh", weights=[np.eye(2), np.eye(3)]))


def test_mean_field(server: Server) -> None:
    """tanh is critical at σ_w = 1 without biases (Poole et al. 2016, arXiv:1606.05340)."""
    with Client(server.url) as lab:
        diagram = lab.send(mean_field("tanh", [0.5, 1.5], [[0.0], [0.3]]))
    assert diagram.shape == [2, 2]
    assert diagram.phase == [["ordered", "chaotic"], ["ordered", "chaotic"]]
    assert diagram.q_star.shape == (2, 2)
    assert diagram.critical_sigma_w[0, 0] == pytest.approx(1.0, abs=1e-10)


def test_facts(server: Server) -> None:
    with Client(server.url) as lab:
        facts = lab.send(describe("tanh"))
    assert facts.latex[0] == REGISTRY["tanh"].formulas.value.latex({})


FORMULA = "formula:x * tanh(softplus(beta * x))"


@pytest.mark.parametrize("size", [3, BIG])
def test_a_formula_with_its_proof_and_derivatives_to_the_fourth(server: Server, size: int) -> None:
    x = np.linspace(-2, 2, size)
    with Client(server.url) as lab:
        values = lab.send(activate(FORMULA, x, params={"beta": 1.0}, order=4))
        entry = lab.send(activate("mish", x, rounding="proved", order=4))
    assert values.proof == entry.proof
    assert values.proof is not None
    assert (values.proof.proved, values.proof.unproved) == (5 * size, 0)
    for ours, theirs in zip(values.higher_derivatives, entry.higher_derivatives, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert len(values.higher_derivatives) == 2


def test_policies_of_a_format(server: Server) -> None:
    with Client(server.url) as lab:
        asked = activate("formula:exp(x)", [20.0], order=0, dtype="float8_e4m3fn", overflow="saturate")
        assert lab.send(asked).outputs.astype(float).tolist() == [448.0]


def test_the_card_and_the_picture_of_a_formula(server: Server) -> None:
    with Client(server.url) as lab:
        facts = lab.send(describe_formula(FORMULA, params={"beta": 1.0}))
        assert facts.same_as == "mish"
        assert facts.parameters == ["beta"]
        assert lab.send(describe_formula("formula:x / (1 + exp(-x))")).same_as == "silu"
        assert "<svg" in str(facts._repr_svg_())
        network = lab.send(gradient_flow(FORMULA, params={"beta": 1.0}, depth=2, width=8, networks=1))
    assert network.formula is not None
    assert network.formula.largest_error < 1e-13


GRID: dict[str, list[float]] = {"init.sigma_w": [0.5, 1.5], "depth": [3, 4]}


def test_a_sweep_as_a_whole_and_as_it_comes(server: Server) -> None:
    asked = sweep({"activation": "tanh", "width": 16, "networks": 2}, GRID)
    with Client(server.url) as lab:
        whole = lab.send(asked)
        streamed = list(lab.stream(asked))
    for found in (whole, streamed):
        assert found[0].cells == 4
        assert found[-1].completed == 4
        cells = {each.index: each for each in found if each.index is not None}
        assert sorted(cells) == [0, 1, 2, 3]
        assert cells[1].point == {"init.sigma_w": 0.5, "depth": 4}
        assert cells[1].gradient is not None
        assert number(cells[1].gradient.log10_ratio) < 0


def test_an_asynchronous_sweep(server: Server) -> None:
    async def kinds() -> list[str]:
        async with AsyncClient(server.url) as lab:
            asked = sweep({"activation": "tanh", "width": 16, "networks": 1}, GRID, cells=[2])
            return [each.type async for each in lab.stream(asked) if each.type != "progress"]

    assert asyncio.run(kinds()) == ["start", "cell", "end"]


def test_a_stream_that_is_refused_says_why(server: Server) -> None:
    with Client(server.url) as lab, pytest.raises(ServiceError, match="did you mean depth"):
        list(lab.stream(sweep({"activation": "tanh"}, {"dept": [3]})))


SMALL: TrainingOptions = {
    "hidden": [5, 4],
    "steps": 20,
    "runs": 2,
    "frames": 4,
    "watch": {"weights": [[0, 0, 0]]},
}


def test_a_training_as_a_whole_and_as_it_comes(server: Server) -> None:
    asked = training(["tanh", {"activation": "prelu", "params": {"weight": np.float32(0.5)}}], **SMALL)
    with Client(server.url) as lab:
        whole = lab.send(asked)
        start, *frames, result = lab.stream(asked)
    assert start == whole.start
    assert [each.step for each in frames if each.type == "frame"] == [0, 5, 10, 15, 20]
    assert result.type == "result"
    assert [each.activation for each in result.activations] == ["tanh", "prelu"]
    assert [each.step for each in whole.frames] == [0, 5, 10, 15, 20]
    assert whole.activations[1].learned[0].keys() == {"weight"}


def test_an_asynchronous_training_with_data_and_weights_of_one_s_own(server: Server) -> None:
    data = {"inputs": np.eye(3), "targets": np.array([0, 1, 2])}
    weights: list[Layer] = [(np.ones((4, 3)), np.zeros(4)), np.ones((3, 4))]

    async def kinds() -> list[str]:
        async with AsyncClient(server.url) as lab:
            asked = training(["relu"], weights=weights, data=data, steps=5, frames=5, runs=1)
            return [each.type async for each in lab.stream(asked)]

    assert asyncio.run(kinds()) == ["start", *["frame"] * 6, "result"]


def test_a_training_that_runs_out_of_time_says_so(server: Server) -> None:
    asked = training(["tanh"], steps=100_000, runs=2, frames=4)
    with Client(server.url, headers={"Request-Timeout": "0.5"}) as lab, pytest.raises(ServiceError) as caught:
        list(lab.stream(asked))
    assert caught.value.problem.status == 504
