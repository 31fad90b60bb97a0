"""Formulas in place of functions' names, proofs and policies, and the description of a formula."""

from __future__ import annotations

import io
import math
import time
from typing import Any

import numpy as np
import pytest

from app.api.describe import _computed_here
from app.core.activations import REGISTRY
from app.core.activations.from_formula import FormulaActivation
from app.core.card import Description
from tests.conftest import InProcess

SELU = (
    "1.0507009873554804934193349852946 * (x if x > 0 else 1.6732632423543772848170429916717 * (exp(x) - 1))"
)
PAIRS = [
    ("tanh", "tanh(x)"),
    ("relu", "max(0, x)"),
    ("gelu", "0.5 * x * (1 + erf(x / sqrt(2)))"),
    ("selu", SELU),
]
"""Entries, and equivalent formulas."""


def post(client: InProcess, path: str, **body: Any) -> Any:
    return client.post(path, json=body)


def test_a_formula_s_values_are_proved(client: InProcess) -> None:
    answer = post(client, "/activate", function="formula:x * tanh(softplus(x))", inputs=[0.5, -800, "NaN"])
    fields = answer.json()
    assert fields["proof"] == {"proved": 6, "unproved": 0}
    assert fields["outputs"][0] == 0.37524521130489513
    assert fields["outputs"][2] == "NaN"
    assert fields["function"] == "formula:x * tanh(softplus(x))"


@pytest.mark.parametrize("count", [9, 1000], ids=["few numbers", "many numbers"])
def test_a_proof_respects_the_client_s_deadline(client: InProcess, count: int) -> None:
    body = {
        "function": "formula:erf(tanh(exp(x) * x))",
        "inputs": [0.01 * n for n in range(count)],
        "order": 8,
    }
    answer = client.post("/activate", json=body, headers={"Request-Timeout": "1e-6"})
    assert answer.status_code == 504
    assert answer.json()["detail"] == "the computation did not finish before its deadline"


def test_parameters_upstream_and_the_binary_twin(client: InProcess) -> None:
    body = {"inputs": [[0.5, -8.0], [1.0, 2.0]], "upstream": [[1, 1], [2, 3]]}
    fields = post(
        client, "/activate", function="formula:x * sigmoid(beta * x)", params={"beta": [1, 2]}, **body
    ).json()
    assert fields["params"] == {"beta": [1.0, 2.0]}
    assert len(fields["param_gradients"]["beta"]) == 2
    raw = io.BytesIO()
    np.save(raw, np.array([0.0, 1.0, 2.0]))
    answer = client.post(
        "/activate?function=formula:x%20*%20sin(b%20*%20x)&order=3&params=%7B%22b%22:2%7D",
        content=raw.getvalue(),
        headers={"content-type": "application/x-npy", "accept": "application/x-npy"},
    )
    assert answer.headers["proof"] == "12/0"
    assert np.load(io.BytesIO(answer.content)).shape == (4, 3)


def test_higher_orders(client: InProcess) -> None:
    fields = post(client, "/activate", function="gelu", inputs=[0.0], rounding="proved", order=8).json()
    assert len(fields["higher_derivatives"]) == 6
    assert fields["higher_derivatives"][1] == [-4 * math.sqrt(2 / math.pi) / 2]
    assert post(client, "/activate", function="gelu", inputs=[0.0], order=3).status_code == 422


def test_policies(client: InProcess) -> None:
    body = {"function": "formula:exp(x)", "inputs": [20.0], "order": 0, "dtype": "float8_e4m3fn"}
    assert post(client, "/activate", **body).json()["outputs"] == ["NaN"]
    assert post(client, "/activate", **body, overflow="saturate").json()["outputs"] == [448.0]
    entry = {"function": "exponential", "inputs": [20.0], "order": 0, "dtype": "float8_e4m3fn"}
    assert post(client, "/activate", **entry, overflow="saturate").json()["outputs"] == [448.0]
    mixing = {"function": "softmax", "inputs": [20.0], "order": 0}
    assert post(client, "/activate", **mixing, overflow="saturate").status_code == 422
    small = {"function": "formula:x", "inputs": [2.0**-8], "order": 0, "dtype": "float8_e4m3fn"}
    assert post(client, "/activate", **small).json()["outputs"] == [2.0**-8]
    assert post(client, "/activate", **small, subnormals="flush").json()["outputs"] == [0.0]


@pytest.mark.parametrize("function", ["formula:9**9**9**9", "formula:x.__class__", "formula:ｘ", "formula:"])
@pytest.mark.parametrize(
    ("path", "field", "rest"),
    [
        ("/activate", "function", {"inputs": [1]}),
        ("/gradient-flow", "activation", {}),
        ("/mean-field", "activation", {"sigma_w": 1}),
        ("/functions/describe", "function", {}),
    ],
)
def test_invalid_formulas_are_refused_at_their_field(
    client: InProcess, function: str, path: str, field: str, rest: dict[str, Any]
) -> None:
    answer = post(client, path, **{field: function}, **rest)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["loc"] == ["body", field]
    assert "__class__" not in answer.text


def test_a_name_without_a_value_is_refused(client: InProcess) -> None:
    answer = post(client, "/activate", function="formula:beta * x", inputs=[1])
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("column 1: ")
    assert "beta" not in answer.text


@pytest.mark.parametrize(("name", "text"), PAIRS, ids=[name for name, _ in PAIRS])
def test_gradient_flow_and_theory_are_the_entry_s(client: InProcess, name: str, text: str) -> None:
    network = {"depth": 8, "width": 48, "networks": 2, "init": {"sigma_w": 1.3}, "seed": 3}
    own, typed = (
        post(client, "/gradient-flow", activation=each, **network).json()
        for each in (name, f"formula:{text}")
    )
    assert typed["gradient"]["log10_ratio"]["median"] == pytest.approx(
        own["gradient"]["log10_ratio"]["median"], abs=1e-10
    )
    for ours, theirs in zip(own["layers"], typed["layers"], strict=True):
        for figure in ("preactivation_variance", "gradient_log10_rms", "activation_mean"):
            assert theirs[figure]["median"] == pytest.approx(ours[figure]["median"], rel=1e-10, abs=1e-10)
    accuracy = typed["formula"]
    assert accuracy["points"] == 1000
    assert accuracy["low"] < 0 < accuracy["high"]
    assert accuracy["largest_error"] < 1e-13
    diagrams = [
        post(client, "/mean-field", activation=each, sigma_w=[1.0, 1.4], sigma_b=0.2).json()
        for each in (name, f"formula:{text}")
    ]
    for figure in ("q_star", "chi_1", "c_star"):
        ours, theirs = (diagram[figure] for diagram in diagrams)
        for one, other in zip(ours, theirs, strict=True):
            assert one == other or other == pytest.approx(one, rel=1e-9)


def test_pictures_and_sweeps_take_formulas(client: InProcess) -> None:
    picture = client.get("/plots/functions.svg", params={"name": "formula:x * sin(beta * x); beta=2"})
    assert picture.status_code == 200
    sweep = post(
        client,
        "/gradient-flow/sweep",
        base={"activation": "tanh", "depth": 3, "width": 16, "networks": 1},
        grid={"activation": ["tanh", "formula:x * exp(-x**2)"]},
    )
    assert '"completed":2,"failed":0' in sweep.text


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("x * sigmoid(x)", "silu"),
        ("x / (1 + exp(-x))", "silu"),
        ("max(0, x)", "relu"),
        ("0.5 * x * (1 + erf(x / sqrt(2)))", "gelu"),
        ("x * sin(x)", None),
    ],
)
def test_the_card_says_which_entry_it_is(client: InProcess, text: str, name: str | None) -> None:
    assert post(client, "/functions/describe", function=f"formula:{text}").json()["same_as"] == name


def test_the_card_of_silu_is_the_catalogue_s(client: InProcess) -> None:
    found = post(client, "/functions/describe", function="formula:x / (1 + exp(-x))").json()
    known = client.get("/functions/silu").json()
    for fact in ("limits", "monotone", "zero_centred", "saturates", "smoothness"):
        assert found[fact] == known[fact], fact
    assert found["largest_slope"] == pytest.approx(known["largest_slope"], rel=1e-12)
    for gain in ("standard", "he"):
        assert found["gains"][gain] == pytest.approx(known["gains"][gain], rel=1e-12)
    assert found["range"] == {
        "low": pytest.approx(-0.2784645427610738, rel=1e-15),
        "high": "Infinity",
        "low_attained": True,
        "high_attained": False,
    }
    assert found["computed"] is True


def test_the_card_leaves_open_what_is_undecided(client: InProcess) -> None:
    found = post(client, "/functions/describe", function="formula:log(x)").json()
    assert found["range"] is None
    assert found["monotone"] is None
    assert found["limits"] == [None, "Infinity"]
    kinked = post(client, "/functions/describe", function="formula:x if x > a else 0", params={"a": 1.5})
    assert kinked.json()["kinks"] == [{"at": 1.5, "derivative": 0.0, "second_derivative": 0.0}]
    assert kinked.json()["smoothness"] == -1.0


@pytest.mark.parametrize(
    "text", ["x * tanh(softplus(1.07 * x))", "x * erf(log(1.5 + exp(x)))", "max(x, sin(3 * x)) / (1 + x**2)"]
)
def test_a_card_is_found_sooner_than_a_worker_is_started(text: str) -> None:
    """In processor time, whatever the load of the machine."""
    call = REGISTRY.resolve(f"formula:{text}", {})
    assert isinstance(call.activation, FormulaActivation)
    start = time.thread_time()
    assert _computed_here(Description(call.activation)) is not None
    assert time.thread_time() - start < 0.3


@pytest.mark.parametrize(
    "text",
    [
        " * ".join(f"(x + {number})" for number in range(49)),
        " / ".join(f"(x**2 + {number})" for number in range(1, 33)),
        "tanh(" * 38 + "x" + ")" * 38,
        " + ".join(f"x**{number} * sin({number} * x)" for number in range(1, 20)),
        " + ".join(f"erf({number} * x)" for number in range(1, 33)),
    ],
    ids=["product", "quotient", "nested", "waves", "errors"],
)
def test_no_formula_blocks_the_event_loop(text: str) -> None:
    """Parsing takes milliseconds; derivatives and curves are computed elsewhere, on demand."""
    start = time.thread_time()
    REGISTRY.resolve(f"formula:{text}", {})
    assert time.thread_time() - start < 0.05


HARD = (
    "sin(1e300 * x)",
    "sin(exp(x**50))",
    "x**x**x**x",
    "exp(exp(exp(exp(x))))",
    "1e308 * 1e308 * x",
    "1 / sin(1e5 * x)",
)
"""Formulas whose values or derivatives exceed the range or resolution of doubles."""


@pytest.mark.parametrize("text", HARD)
def test_hard_formulas_are_answered_soon(client: InProcess, text: str) -> None:
    """Descriptions, values and pictures take seconds of processor time; undecided facts are left null."""
    name = f"formula:{text}"
    start = time.process_time()
    numbers = [-1e300, -2.0, -0.0, 0.5, 3.0, 1e300]
    for path, fields in (("/functions/describe", {}), ("/activate", {"inputs": numbers, "order": 2})):
        answer = post(client, path, function=name, **fields)
        assert answer.status_code == 200, answer.text
    for order in (0, 2):
        answer = client.get("/plots/functions.vl.json", params={"name": name, "order": order})
        assert answer.status_code == 200, answer.text
    assert time.process_time() - start < 10


@pytest.mark.slow
@pytest.mark.parametrize("text", HARD)
def test_theory_of_hard_formulas_ends(client: InProcess, text: str) -> None:
    """With an answer, a refusal, or at the deadline: the integrals may take half a minute."""
    answer = post(client, "/mean-field", activation=f"formula:{text}", sigma_w=1.5, sigma_b=0.1)
    assert answer.status_code in {200, 422, 504}, answer.text
