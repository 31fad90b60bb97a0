"""Planted faults are named; kernels without them have none attributed to them."""

from __future__ import annotations

from collections.abc import Callable

import ml_dtypes
import numpy as np
import pytest
from scipy import special

from app.core.activations import REGISTRY
from app.core.arithmetic import Array
from app.core.arithmetic.formats import FORMATS, round_to
from app.core.evaluation import activate
from app.core.jobs import ignore
from app.core.verification.exact import doubles
from app.core.verification.job import Verification
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


def test_korean_particles_fit_the_names_and_numbers_before_them() -> None:
    x = numbers("bfloat16")
    with np.errstate(over="ignore", invalid="ignore"):
        short = np.tanh(x.astype(np.float16).astype(np.float64)).astype(np.float16)
    report = verify("tanh", "bfloat16", x, held(short.astype(np.float64), "bfloat16"))
    texts = [cause.summary.ko for cause in report.causes]
    assert any("float16으로" in text for text in texts), texts
    assert not any("(를)" in text or "(으)" in text for text in texts)


def test_a_handful_of_errors_is_no_pattern() -> None:
    """Three of 65,536 numbers, each two ulp off: any constant could be bent to meet them."""
    x = numbers("float16")
    output = right("gelu", x, "float16")[0]
    places = np.flatnonzero((x > 0.3) & (x < 0.31))[::7]
    step = np.float16(np.inf)
    output[places] = np.nextafter(np.nextafter(output[places].astype(np.float16), step), step)
    assert 2 < places.size < 8
    assert not named("gelu", "float16", x, output)


def gelu_tanh_bfloat16(change: Callable[[Array], Array]) -> list[tuple[str, str]]:
    x = numbers("bfloat16")
    with np.errstate(all="ignore"):
        return named(
            "gelu_tanh", "bfloat16", x, held(change(right("gelu_tanh", x, "float64")[0]), "bfloat16")
        )


def test_what_is_added_is_named_alone() -> None:
    """Large answers move to a neighbour: no truncation. Of the half with a slope of 0.5 there is one vote."""
    assert gelu_tanh_bfloat16(lambda f: f + 0.01) == [("wrong_parameter", "answers plus 0.01")]
    x = numbers("bfloat16")
    value, slope = right("gelu_tanh", x, "float64")
    found = named("gelu_tanh", "bfloat16", x, held(value, "bfloat16"), held(slope + 0.01, "bfloat16"))
    assert found == [("wrong_parameter", "answers plus 0.01")]


def test_answers_cut_off_to_any_number_of_bits() -> None:
    def cut(values: Array) -> Array:
        bits = values.astype(np.float32).view(np.uint32) & np.uint32(0xFFF80000)
        return doubles(bits.view(np.float32))

    assert gelu_tanh_bfloat16(cut)[0] == ("truncation", "to 4 bits")


def test_scaled_inputs() -> None:
    """None of the sigmoid's formulas has a number to be wrong; a nearby table is no better an account."""
    x = numbers("bfloat16")
    with np.errstate(all="ignore"):
        scaled = held(special.expit(1.1 * x), "bfloat16")
    assert named("sigmoid", "bfloat16", x, scaled)[0] == ("wrong_parameter", "inputs times 1.1")


def test_a_factor_has_to_hold_for_the_answers() -> None:
    """Bits of float16 taken for bfloat16 are tiny numbers: no constant times the right ones."""
    x = numbers("bfloat16")
    with np.errstate(all="ignore"):
        taken = special.expit(x).astype(np.float16).view(ml_dtypes.bfloat16)
    assert named("sigmoid", "bfloat16", x, doubles(taken)) == [("wrong_dtype", "float16 outputs")]


def test_a_part_stored_in_a_short_format() -> None:
    stored = special.expit(SINGLE).astype(ml_dtypes.bfloat16)
    found = named("silu", "float32", SINGLE, held(SINGLE * doubles(stored), "float32"))
    assert found[0] == ("low_precision", "sigmoid(x) in bfloat16")


def test_half_of_a_product_rule() -> None:
    x = SINGLE.astype(np.float32)
    value = right("hard_swish", SINGLE, "float32")[0]
    gate = np.clip(x / np.float32(6) + np.float32(0.5), 0, 1)
    cause, detail = named("hard_swish", "float32", SINGLE, value, held(gate, "float32"))[0]
    assert cause == "other_variant"
    assert detail.startswith("without x * ")


def test_one_use_of_a_parameter() -> None:
    call = REGISTRY.resolve("snake", {"alpha": 2.0})
    output = held(SINGLE + np.sin(2 * SINGLE) ** 2, "float32")
    report = Verification(call, FORMATS["float32"], SINGLE, (output,))(map, ignore)
    assert report.causes[0].cause == "wrong_parameter"
    assert report.causes[0].detail == "alpha of sin(alpha * x)**2 / alpha 1 for 2"


def test_a_table_with_bounds_is_not_unrelated() -> None:
    """Beyond ±8, most bfloat16 numbers, it answers a constant: that says nothing of what lies between."""
    x = numbers("bfloat16")
    knots = np.linspace(-8, 8, 65)
    with np.errstate(all="ignore"):
        inside = np.clip(np.nan_to_num(x), -8, 8)
        lines = np.interp(inside, knots, right("gelu_tanh", knots, "float64")[0])
    output = held(np.where(np.isnan(x), np.nan, lines), "bfloat16")
    assert named("gelu_tanh", "bfloat16", x, output)[0] == ("table", "64 straight lines from -8 to 8")
