"""The error of formulas in double precision, as reported in the answers, checked with mpmath.

The formula here, x + tanh(x) for x > −c, is written such that it loses digits; its slope does not.
"""

from __future__ import annotations

import json
import math
import re
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save

from app.core.formulas.language import Expression
from tests.conftest import InProcess
from tests.support.oracle import arithmetic
from tests.support.sent import form

LOSSY = "sqrt(c**2 + 2 * c * x + x**2) - c + tanh(x)"
JUDGE = arithmetic(220)


def lossy(x: NDArray[np.float64], c: float) -> NDArray[np.float64]:
    return np.sqrt(c**2 + 2 * c * x + x**2) - c + np.tanh(x)


def check(accuracy: dict[str, Any], c: float) -> None:
    """Checks the reported errors against mpmath, at 1,000 points of the interval."""
    assert accuracy["points"] == 1000
    x = np.linspace(accuracy["low"], accuracy["high"], 1000)
    context, expression = JUDGE.context, Expression(LOSSY)
    exact = [expression.evaluate(JUDGE, {"x": context.mpf(at), "c": context.mpf(c)}) for at in x.tolist()]
    errors = [abs(context.mpf(got) - true) for got, true in zip(lossy(x, c).tolist(), exact, strict=True)]
    assert accuracy["largest_error"] == pytest.approx(float(max(errors)), rel=1e-9)
    shares = [error / abs(true) for error, true in zip(errors, exact, strict=True)]
    assert accuracy["largest_relative_error"] == pytest.approx(float(max(shares)), rel=1e-9)
    assert accuracy["largest_error"] > 0.1 * c * 2.0**-53  # or no digits were lost, and the test is void


def test_gradient_flow_reports_it_over_the_arguments_in_the_layers(client: InProcess) -> None:
    source, sizes, c = np.random.default_rng(4), (5, 8, 8, 3), 1e8
    matrices = [source.normal(size=(rows, columns)) for columns, rows in pairwise(sizes)]
    batch = source.normal(size=(4, 5))
    fields = {"activation": f"formula:{LOSSY}", "params": {"c": c}, "inputs": batch.tolist()}
    weights = save({f"{number}.weight": each for number, each in enumerate(matrices)})
    accuracy = client.post("/gradient-flow", **form(weights, fields)).json()["formula"]
    h, seen = batch, []
    for matrix in matrices:
        seen.append(h @ matrix.T)
        h = lossy(seen[-1], c)
    assert accuracy["low"] == pytest.approx(min(z.min() for z in seen), rel=1e-6)
    assert accuracy["high"] == pytest.approx(max(z.max() for z in seen), rel=1e-6)
    check(accuracy, c)


def test_mean_field_reports_it_over_nine_standard_deviations(client: InProcess) -> None:
    c = 1e3
    body = {"activation": f"formula:{LOSSY}", "params": {"c": c}, "sigma_w": [0.3, 3.0], "sigma_b": 2}
    answer = client.post("/mean-field", json=body).json()
    largest, infinite = map(float, answer["q_star"])
    assert 2 < largest < infinite == math.inf
    reach = 9 * math.sqrt(largest)
    assert answer["formula"]["high"] == -answer["formula"]["low"] == pytest.approx(reach, rel=1e-12)
    check(answer["formula"], c)


def test_each_cell_of_a_sweep_reports_its_own(client: InProcess) -> None:
    base = {"activation": f"formula:{LOSSY}", "depth": 3, "width": 16, "normalization": "rms_norm"}
    body = {"base": base, "grid": {"params.c": [1e3, 1e8], "seed": [0, 1]}}
    lines = map(json.loads, client.post("/gradient-flow/sweep", json=body).text.splitlines())
    cells = [each for each in lines if each["type"] == "cell"]
    assert len(cells) == 4
    assert len({each["formula"]["high"] for each in cells}) > 1  # each from its own networks
    for each in cells:
        check(each["formula"], each["point"]["params.c"])


@pytest.mark.parametrize(
    "block",
    [
        None,
        {"kind": "residual"},
        {"kind": "transformer", "heads": 2},
        {"kind": "convolution", "size": 4},
        {"kind": "recurrent"},
    ],
    ids=lambda each: each and each["kind"],
)
def test_networks_of_every_kind_report_it(client: InProcess, block: dict[str, Any] | None) -> None:
    body = {"activation": f"formula:{LOSSY}", "params": {"c": 1e8}, "depth": 2, "width": 8, "networks": 1}
    accuracy = client.post("/gradient-flow", json={**body, "block": block}).json()["formula"]
    assert accuracy["low"] < accuracy["high"]
    check(accuracy, 1e8)


@pytest.mark.parametrize("c", [30.0, pytest.param(1e4, marks=pytest.mark.slow)])
def test_where_theory_cannot_follow_a_formula_the_networks_are_simulated(client: InProcess, c: float) -> None:
    body = {"activation": f"formula:{LOSSY}", "params": {"c": c}, "depth": 3, "width": 16, "networks": 2}
    answer = client.post("/gradient-flow", json=body)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["theory"] is None) == (c == 30)
    check(answer.json()["formula"], c)


def test_of_several_formulas_the_worst_is_reported(client: InProcess) -> None:
    body = {"depth": 3, "width": 8, "networks": 1, "params": {"c": 1e8}}
    listed = ["formula:tanh(x)", "relu", "formula:" + re.sub(r"\bc\b", "1e8", LOSSY)]
    answer = client.post("/gradient-flow", json={**body, "activation": listed, "params": {}}).json()
    check(answer["formula"], 1e8)
    plain = client.post("/gradient-flow", json={**body, "activation": ["tanh"] * 3, "params": {}}).json()
    assert plain.get("formula") is None
