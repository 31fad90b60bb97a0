"""Planted faults are named; kernels without them have none attributed to them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from app.core.activations import REGISTRY
from app.core.arithmetic import Array
from app.core.arithmetic.formats import FORMATS, round_to
from app.core.evaluation import activate
from app.core.verification.exact import doubles
from tests.core.verification.test_judgement import numbers, verify

SPREAD = np.concatenate([np.linspace(-12, 12, 1500), np.geomspace(1e-8, 1, 400), -np.geomspace(1e-8, 1, 400)])
SINGLE = doubles(SPREAD.astype(np.float32))


def held(values: Array, dtype: str) -> Array:
    return doubles(round_to(np.asarray(values, np.float64), FORMATS[dtype]))


def right(name: str, x: Array, dtype: str) -> list[Array]:
    return [doubles(each) for each in activate(REGISTRY.resolve(name, {}), x, dtype=FORMATS[dtype]).orders]


def named(name: str, dtype: str, x: Array, *outputs: Array | None) -> list[tuple[str, str]]:
    return [(each.cause, each.detail) for each in verify(name, dtype, x, *outputs).causes]


def test_cancellation() -> None:
    x = SINGLE.astype(np.float32)
    one = np.float32(1)
    erf = np.float32(0.5) * x * (one + special.erf(x / np.sqrt(np.float32(2))))
    assert named("gelu", "float32", SINGLE, held(erf, "float32")) == [("cancellation", "1 + erf in float32")]
    value = right("tanh", SINGLE, "float32")[0]
    tanh = np.tanh(x)
    assert named("tanh", "float32", SINGLE, value, held(one - tanh * tanh, "float32")) == [
        ("cancellation", "1 − tanh² in float32")
    ]
    value = right("sigmoid", SINGLE, "float32")[0]
    sigmoid = special.expit(x)
    assert named("sigmoid", "float32", SINGLE, value, held(sigmoid * (one - sigmoid), "float32")) == [
        ("cancellation", "s(1 − s) in float32")
    ]
    elu = np.where(x > 0, x, np.exp(x) - one)
    assert named("elu", "float32", SINGLE, held(elu, "float32")) == [("cancellation", "exp − 1 in float32")]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_slope_of_an_elu_by_its_value(dtype: str) -> None:
    """f + α loses the digits of exp that are below float32's last place beside 1."""
    x = SINGLE if dtype == "float32" else numbers(dtype)
    x = x[np.isfinite(x)]
    single = x.astype(np.float32)
    with np.errstate(over="ignore"):
        slope = np.where(single > 0, np.float32(1), (np.exp(single) - np.float32(1)) + np.float32(1))
    value = right("elu", x, dtype)[0]
    assert named("elu", dtype, x, value, held(slope, dtype))[0] == ("cancellation", "f + α in float32")


def test_cancellation_inside_a_shorter_format() -> None:
    x = numbers("bfloat16")
    single = x.astype(np.float32)
    with np.errstate(invalid="ignore"):
        answer = np.float32(0.5) * single * (1 + special.erf(single / np.sqrt(np.float32(2))))
    assert named("gelu", "bfloat16", x, held(answer, "bfloat16"))[0] == (
        "cancellation",
        "1 + erf in float32",
    )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float8_e5m2"])
def test_flushed_subnormals(dtype: str) -> None:
    x = numbers(dtype)
    output = right("tanh", x, dtype)[0]
    smallest = {"float16": 2.0**-14, "bfloat16": 2.0**-126, "float8_e5m2": 2.0**-14}[dtype]
    output[np.abs(output) < smallest] = 0
    (cause,) = named("tanh", dtype, x, output) or [("none", "")]
    if dtype != "float8_e5m2":  # three numbers on each side are no pattern
        assert cause[0] == "flushed_subnormals"


def test_truncation() -> None:
    exact = np.tanh(SINGLE)
    near = exact.astype(np.float32)
    beyond = np.abs(near.astype(np.float64)) > np.abs(exact)
    cut = np.where(beyond, np.nextafter(near, np.float32(0)), near)
    assert named("tanh", "float32", SINGLE, doubles(cut)) == [("truncation", "towards zero")]


def test_unrelated() -> None:
    noise = np.random.default_rng(1).normal(size=SINGLE.size)
    for output in (held(noise, "float32"), np.zeros(SINGLE.size)):
        assert [cause for cause, _ in named("tanh", "float32", SINGLE, output)] == ["unrelated"]


@pytest.mark.parametrize("name", ["tanh", "silu", "gelu", "sigmoid", "elu", "softplus", "mish"])
def test_correct_kernels_are_not_accused(name: str) -> None:
    """Correctly rounded, and faithful: now and then the neighbour on either side."""
    value, slope = right(name, SINGLE, "float32")
    assert not named(name, "float32", SINGLE, value, slope)
    chance = np.random.default_rng(2)
    exact = right(name, SINGLE, "float64")[0]
    away = np.where(exact > value, np.inf, -np.inf).astype(np.float32)
    other = doubles(np.nextafter(value.astype(np.float32), away))
    faithful = np.where((chance.random(value.size) < 0.2) & (exact != value), other, value)
    assert not named(name, "float32", SINGLE, faithful)


def test_the_verdict_says_that_no_cause_fits() -> None:
    output = right("tanh", SINGLE, "float32")[0]
    output[::7] *= 1 + 2.0**-12
    report = verify("tanh", "float32", SINGLE, held(output, "float32"))
    assert not report.causes
    assert "No known cause fits." in report.verdict.summary.en


def test_a_handful_of_errors_is_no_pattern() -> None:
    """Three of 65,536 numbers, each two ulp off: any constant could be bent to meet them."""
    x = numbers("float16")
    output = right("gelu", x, "float16")[0]
    places = np.flatnonzero((x > 0.3) & (x < 0.31))[::7]
    step = np.float16(np.inf)
    output[places] = np.nextafter(np.nextafter(output[places].astype(np.float16), step), step)
    assert 2 < places.size < 8
    assert not named("gelu", "float16", x, output)
