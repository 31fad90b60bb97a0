"""``POST /mean-field`` over ASGI."""

from __future__ import annotations

import math
from typing import Any

import pytest
from httpx import Response

from app.core.activations import REGISTRY
from app.core.activations.definition import Rowwise
from tests.conftest import InProcess


def post(client: InProcess, **fields: Any) -> Response:
    return client.post("/mean-field", json=fields)


def test_the_edge_of_chaos_of_tanh_without_biases(client: InProcess) -> None:
    """Poole et al. 2016 (arXiv:1606.05340): σ_w = 1, below it every signal dies out."""
    answer = post(client, activation="tanh", sigma_w=[0.5, 2.0]).json()
    assert list(answer) == [
        *("activation", "shape", "q_star", "c_star", "chi_1", "xi_q", "xi_c", "xi_gradient", "phase"),
        "critical_sigma_w",
    ]
    assert answer["critical_sigma_w"] == pytest.approx(1.0, abs=1e-10)
    assert answer["phase"] == ["ordered", "chaotic"]
    assert answer["q_star"][0] == 0.0
    assert answer["chi_1"][0] == 0.25


def test_relu_is_critical_at_he_and_unbounded_beyond(client: InProcess) -> None:
    """He et al. 2015 (arXiv:1502.01852): E relu(z)² = q/2, so that σ_w² = 2 keeps the variance."""
    answer = post(client, activation="relu", sigma_w=[2**0.5, 2.0]).json()
    assert answer["phase"] == ["critical", "chaotic"]
    assert answer["chi_1"] == pytest.approx([1.0, 2.0], abs=1e-12)
    assert answer["q_star"][1] == "Infinity"
    assert answer["c_star"][1] == "NaN"
    assert answer["critical_sigma_w"] == pytest.approx(2**0.5, abs=1e-12)


def test_shapes_broadcast(client: InProcess) -> None:
    answer = post(client, activation="tanh", sigma_w=[[1.0, 1.5, 2.0]], sigma_b=[[0.0], [0.1]]).json()
    assert answer["shape"] == [2, 3]
    for name in ("q_star", "c_star", "chi_1", "xi_q", "xi_c", "xi_gradient", "phase"):
        assert [len(row) for row in answer[name]] == [3, 3], name
    assert [len(row) for row in answer["critical_sigma_w"]] == [1, 1]


def test_a_cell_does_not_depend_on_its_diagram(client: InProcess) -> None:
    grid = [0.5 + 0.01 * step for step in range(300)]
    row = post(client, activation="tanh", sigma_w=grid, sigma_b=0.05).json()
    alone = post(client, activation="tanh", sigma_w=grid[287], sigma_b=0.05).json()
    for name in ("q_star", "c_star", "chi_1", "xi_q", "xi_c", "xi_gradient"):
        assert row[name][287] == pytest.approx(alone[name], rel=1e-10), name


def test_an_empty_diagram(client: InProcess) -> None:
    answer = post(client, activation="tanh", sigma_w=[]).json()
    assert answer["shape"] == [0]
    assert answer["q_star"] == []


@pytest.mark.parametrize(
    ("fields", "loc"),
    [
        ({"sigma_w": -1.0}, "sigma_w"),
        ({"sigma_w": "NaN"}, "sigma_w"),
        ({"sigma_w": [1.0, 2.0], "sigma_b": [0.0, 0.1, 0.2]}, "sigma_w"),
        ({"sigma_w": 1.0, "sigma_b": "Infinity"}, "sigma_b"),
        ({"sigma_w": 1.0, "colour": 1}, "…"),
        ({}, "sigma_w"),
    ],
)
def test_bad_fields(client: InProcess, fields: dict[str, Any], loc: str) -> None:
    answer = post(client, activation="tanh", **fields)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["loc"][-1] == loc


def test_too_many_cells(client: InProcess) -> None:
    line = [1.0] * 1000
    answer = post(client, activation="tanh", sigma_w=[line], sigma_b=[[0.1]] * 1000)
    assert answer.status_code == 422
    assert "1,000,000 cells" in answer.json()["detail"]


@pytest.mark.parametrize("name", [name for name, entry in REGISTRY.items() if isinstance(entry, Rowwise)][:1])
def test_functions_that_mix_elements_are_refused(client: InProcess, name: str) -> None:
    answer = post(client, activation=name, sigma_w=1.0)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["loc"] == ["body", "activation"]


def test_gains_are_in_the_catalogue(client: InProcess) -> None:
    """ReLU: E φ² = 1/2 (He et al. 2015) and E φ = 1/√2π, so Var φ = 1/2 − 1/2π."""
    gains = client.get("/functions/relu").json()["gains"]
    assert gains["he"] == pytest.approx(math.sqrt(2), rel=1e-12)
    assert gains["standard"] == pytest.approx(1 / math.sqrt(1 / 2 - 1 / (2 * math.pi)), rel=1e-12)


def test_a_formula_without_a_value_somewhere_has_no_theory(client: InProcess) -> None:
    response = post(client, activation="formula:log(x)", sigma_w=1.0)
    assert response.status_code == 422
    (error,) = response.json()["errors"]
    assert error["loc"] == ["body", "activation"]
    assert "none at x = -0.25" in error["msg"]
