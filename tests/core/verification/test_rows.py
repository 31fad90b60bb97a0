"""Kernels of gated units and of the softmax family: planted faults, and kernels without one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import special

from app.core.activations import REGISTRY
from app.core.activations.definition import Rowwise
from app.core.arithmetic import Array
from app.core.arithmetic.formats import FORMATS, round_to
from app.core.evaluation import activate
from app.core.jobs import ignore
from app.core.verification.exact import doubles
from app.core.verification.job import Report
from app.core.verification.rows import RowVerification
from app.core.verification.suspects.rows import has_weights
from tests.support.oracle import exact

ENTRIES = sorted(
    name for name, entry in REGISTRY.items() if isinstance(entry, Rowwise) and not has_weights(entry)
)
GATED = ("geglu", "glu", "reglu", "swiglu")
assert set(GATED) < set(ENTRIES)


def held(values: NDArray[Any], dtype: str) -> Array:
    return doubles(round_to(np.asarray(values, np.float64), FORMATS[dtype]))


def drawn(*shape: int, dtype: str, scale: float = 2.0) -> Array:
    return held(np.random.default_rng(0).normal(scale=scale, size=shape), dtype)


def verify(name: str, dtype: str, x: Array, output: NDArray[Any], axis: Any = None, **params: Any) -> Report:
    call = REGISTRY.resolve(name, params, axis)
    return RowVerification(call, FORMATS[dtype], x, held(output, dtype))(map, ignore)


def first_cause(report: Report) -> tuple[str, str]:
    assert report.verdict.state == "faulty"
    return report.causes[0][:2]


def gate(name: str, x: Array) -> Array:
    gates: dict[str, Callable[[Array], Any]] = {
        "glu": special.expit,
        "swiglu": lambda z: z * special.expit(z),
        "geglu": lambda z: z * special.ndtr(z),
        "reglu": lambda z: np.maximum(z, 0),
    }
    return np.asarray(gates[name](x))


def gated(name: str, gates: Array, values: Array) -> Array:
    return gate(name, gates) * values


def halves(name: str, x: Array) -> tuple[Array, Array]:
    """Gate and value."""
    first, second = np.split(x, 2, axis=-1)
    return (second, first) if name == "glu" else (first, second)


# Right kernels


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "float8_e4m3fn", "float64"])
@pytest.mark.parametrize("name", ENTRIES)
def test_our_own_numbers_are_correctly_rounded(name: str, dtype: str) -> None:
    x = drawn(6, 8, dtype=dtype)
    call = REGISTRY.resolve(name, {})
    outputs = doubles(activate(call, x, order=0, dtype=FORMATS[dtype]).orders[0])
    report = verify(name, dtype, x, outputs)
    (order,) = report.orders
    assert order.count > 0.9 * outputs.size
    assert order.max_ulp <= (2 if dtype == "float64" else 0.5 + 1e-6)
    states = {"correctly_rounded", "faithful"} if dtype == "float64" else {"correctly_rounded"}
    assert report.verdict.state in states
    assert not report.causes


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", GATED)
def test_products_that_are_ties_are_decided(name: str, dtype: str) -> None:
    values = held(np.linspace(-8, 8, 400), dtype)
    x = np.stack([values, np.roll(values, 7)], axis=1)
    outputs = doubles(activate(REGISTRY.resolve(name, {}), x, order=0, dtype=FORMATS[dtype]).orders[0])
    report = verify(name, dtype, x, outputs)
    assert report.orders[0].unproved == 0
    assert report.verdict.state == "correctly_rounded"


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", [*GATED, "softmax", "softmin", "log_softmax"])
def test_kernels_in_float32_are_not_accused(name: str, dtype: str) -> None:
    x = drawn(50, 64, dtype=dtype).astype(np.float32)
    one = np.float32(1)
    allowed = 4.0
    if name in GATED:
        z, value = halves(name, x)
        kernels: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
            "glu": lambda z: one / (one + np.exp(-z)),
            "swiglu": lambda z: z / (one + np.exp(-z)),
            "geglu": lambda z: z * special.ndtr(z),
            "reglu": lambda z: np.maximum(z, 0),
        }
        outputs = kernels[name](z) * value
    else:
        scores = -x if name == "softmin" else x
        shifted = scores - scores.max(axis=1, keepdims=True)
        allowed += float(np.abs(shifted).max())  # the difference, rounded, is off by |x| units of 2⁻²⁴
        powers = np.exp(shifted)
        total = powers.sum(axis=1, keepdims=True)
        outputs = shifted - np.log(total) if name == "log_softmax" else powers / total
    assert outputs.dtype == np.float32
    report = verify(name, dtype, x.astype(np.float64), outputs)
    assert not report.causes, report.causes
    assert report.orders[0].max_ulp < allowed


# Planted faults


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", GATED)
def test_halves(name: str, dtype: str) -> None:
    x = drawn(40, 32, dtype=dtype)
    z, value = halves(name, x)
    assert first_cause(verify(name, dtype, x, gated(name, value, z))) == ("halves", "swapped")
    pairs = x[:, ::2], x[:, 1::2]
    own = pairs[::-1] if name == "glu" else pairs
    assert first_cause(verify(name, dtype, x, gated(name, *own))) == ("halves", "interleaved")
    assert first_cause(verify(name, dtype, x, gated(name, *own[::-1]))) == (
        "halves",
        "interleaved and swapped",
    )


def test_another_gate() -> None:
    x = drawn(40, 64, dtype="float32")
    z, value = halves("geglu", x)
    tanh = 0.5 * z * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)))
    assert first_cause(verify("geglu", "float32", x, tanh * value)) == (
        "other_variant",
        "gelu_tanh of the first half",
    )
    assert first_cause(verify("geglu", "float32", x, gated("reglu", z, value)))[0] == "other_variant"


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_gate_whose_digits_cancel(dtype: str) -> None:
    x = drawn(60, 64, dtype=dtype, scale=4.0).astype(np.float32)
    z, value = halves("geglu", x)
    one, half = np.float32(1), np.float32(0.5)
    outputs = half * z * (one + special.erf(z / np.sqrt(np.float32(2)))) * value
    report = verify("geglu", dtype, x.astype(np.float64), outputs)
    assert first_cause(report) == ("cancellation", "1 + erf in float32"), report.causes


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("name", ["softmax", "softmin", "log_softmax"])
def test_the_maximum_is_not_subtracted(name: str, dtype: str) -> None:
    inside = np.float16 if dtype == "float16" else np.float32
    x = drawn(60, 16, dtype=dtype, scale=8.0 if dtype == "float16" else 60.0)
    scores = (-x if name == "softmin" else x).astype(inside)
    with np.errstate(all="ignore"):
        powers = np.exp(scores)
        total = powers.sum(axis=1, keepdims=True)
        outputs = scores - np.log(total) if name == "log_softmax" else powers / total
    report = verify(name, dtype, x, outputs)
    assert first_cause(report)[0] == "overflow", report.causes
    assert report.orders[0].false_nans or report.orders[0].false_infinities


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_logarithm_of_softmax(dtype: str) -> None:
    x = drawn(60, 16, dtype=dtype, scale=60.0)
    scores = x.astype(np.float32)
    with np.errstate(all="ignore"):
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        outputs = np.log(powers / powers.sum(axis=1, keepdims=True))
    report = verify("log_softmax", dtype, x, outputs)
    assert first_cause(report) == ("cancellation", "log of softmax in float32"), report.causes


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_all_steps_in_a_short_format(dtype: str) -> None:
    x = drawn(30, 64, dtype=dtype)
    powers = held(np.exp(held(x - x.max(axis=1, keepdims=True), dtype)), dtype)
    total: Array = np.zeros((30, 1))
    for column in powers.T:
        total = held(total + column[:, None], dtype)
    assert first_cause(verify("softmax", dtype, x, powers / total)) == ("low_precision", dtype)


def test_another_axis_another_function_no_mask() -> None:
    x = drawn(12, 12, dtype="float32")
    report = verify("softmax", "float32", x, special.softmax(x, axis=0))
    assert first_cause(report) == ("wrong_parameter", "axis=0")
    report = verify("softmax", "float32", x, special.log_softmax(x, axis=1))
    assert first_cause(report) == ("other_variant", "log_softmax")
    mask = np.where(np.arange(12) < 7, 1.0, 0.0)
    report = verify("softmax", "float32", x, special.softmax(x, axis=1), mask=mask)
    assert first_cause(report) == ("wrong_parameter", "mask")
    kept = np.zeros_like(x)
    kept[:, :7] = special.softmax(x[:, :7], axis=1)
    assert not verify("softmax", "float32", x, kept, mask=mask).causes


@pytest.mark.parametrize(
    ("name", "changed", "detail"),
    [
        ("swiglu_oai", {"alpha": 1.0}, "alpha 1 for 1.702"),
        ("swiglu_oai", {"limit": 5.0}, "limit 5 for 7"),
        ("clamped_swiglu", {"limit": 3.0}, "limit 3 for 7"),
        ("clamped_swiglu", {"offset": 1.0}, "offset 1 for 0"),
        ("gated_fatrelu", {"threshold": 0.5}, "threshold 0.5 for 0.01"),
        ("softmax_sink", {"sink": 1.0}, "sink 1 for 0"),
        ("entmax", {"alpha": 1.25}, "alpha 1.25 for 1.5"),
    ],
)
def test_another_parameter(name: str, changed: dict[str, float], detail: str) -> None:
    shape, scale = ((8, 32), 0.5) if name == "entmax" else ((40, 32), 4.0)
    x = drawn(*shape, dtype="float32", scale=scale)
    outputs = activate(REGISTRY.resolve(name, changed), x, order=0).orders[0]
    assert first_cause(verify(name, "float32", x, outputs)) == ("wrong_parameter", detail)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float8_e4m3fn", "float8_e5m2"])
def test_a_gate_that_is_rounded_first(dtype: str) -> None:
    x = drawn(64, 64, dtype=dtype, scale=3.0)
    z, value = halves("swiglu", x)
    outputs = held(gate("swiglu", z), dtype) * value
    assert first_cause(verify("swiglu", dtype, x, outputs)) == ("low_precision", f"{dtype} gate")


@pytest.mark.parametrize("dtype", ["float16", "float8_e4m3fn", "float8_e5m2"])
def test_flushed_shares(dtype: str) -> None:
    x = drawn(64, 64, dtype=dtype, scale=9.0)
    shares = held(special.softmax(x, axis=1), dtype)
    smallest = {"float16": 2.0**-14, "float8_e4m3fn": 2.0**-6, "float8_e5m2": 2.0**-14}[dtype]
    shares[shares < smallest] = 0
    assert first_cause(verify("softmax", dtype, x, shares)) == ("flushed_subnormals", "outputs")


def test_numbers_of_a_shorter_format() -> None:
    x = drawn(64, 64, dtype="float32", scale=6.0)
    shares = special.softmax(x, axis=1)
    cut = (shares.astype(np.float32).view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
    powers = np.exp(x - x.max(axis=1, keepdims=True))
    faults = {
        "bfloat16 inputs": special.softmax(held(x, "bfloat16"), axis=1),
        "float16 answers": held(shares, "float16"),
        "to bfloat16": cut,
        "sum in bfloat16": powers / held(powers.sum(axis=1, keepdims=True), "bfloat16"),
    }
    for detail, outputs in faults.items():
        cause = "truncation" if detail == "to bfloat16" else "low_precision"
        assert first_cause(verify("softmax", "float32", x, outputs)) == (cause, detail)


def test_a_half_that_is_clamped() -> None:
    x = drawn(64, 64, dtype="float32", scale=6.0)
    z, value = halves("swiglu", x)
    outputs = gated("swiglu", np.clip(z, -3, 3), value)
    assert first_cause(verify("swiglu", "float32", x, outputs)) == ("clamp", "first half at ±3")


def test_a_row_function_for_another() -> None:
    x = drawn(64, 64, dtype="bfloat16", scale=3.0)
    sparse = activate(REGISTRY.resolve("sparsemax"), x, order=0).orders[0]
    assert first_cause(verify("softmax", "bfloat16", x, sparse)) == ("other_variant", "sparsemax")
    shares = held(special.softmax(x, axis=1), "bfloat16")
    report = verify("log_softmax", "bfloat16", x, np.log(shares))
    assert first_cause(report) == ("cancellation", "log of softmax in bfloat16")


def test_no_sink_is_softmax() -> None:
    x = drawn(40, 32, dtype="float32", scale=4.0)
    report = verify("softmax_sink", "float32", x, special.softmax(x, axis=1))
    assert first_cause(report) == ("other_variant", "softmax")


def test_scores_that_are_scaled() -> None:
    x = drawn(40, 32, dtype="float32", scale=4.0)
    report = verify("softmax", "float32", x, special.softmax(x / 8, axis=1))
    assert first_cause(report) == ("wrong_parameter", "scale of the scores 0.125 for 1")


def test_noise_has_no_cause_but_being_unrelated() -> None:
    x = drawn(12, 12, dtype="float32")
    noise = np.random.default_rng(1).normal(size=x.shape)
    report = verify("softmax", "float32", x, noise)
    assert [each.cause for each in report.causes] == ["unrelated"]
    z, value = halves("swiglu", x)
    close = gated("swiglu", z, value) * (1 + 1e-3 * noise[:, :6])
    assert not verify("swiglu", "float32", x, close).causes


@pytest.mark.parametrize("value", [0.0, 1.0, np.nan, np.inf])
@pytest.mark.parametrize("name", ENTRIES)
def test_the_same_answer_everywhere_is_no_other_function(name: str, value: float) -> None:
    x = drawn(12, 12, dtype="bfloat16")
    shape = activate(REGISTRY.resolve(name, {}), x, order=0).orders[0].shape
    report = verify(name, "bfloat16", x, np.full(shape, value))
    assert report.verdict.state == "faulty"
    assert {each.cause for each in report.causes} <= {"unrelated"}


# What is shown


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "swiglu", "glu"])
def test_the_worst_is_shown_with_its_place_and_digits(name: str, axis: int) -> None:
    x = drawn(4, 6, dtype="float32")
    outputs = doubles(
        activate(REGISTRY.resolve(name, {}, axis), x, order=0, dtype=FORMATS["float32"]).orders[0]
    )
    place = (1, 2)
    outputs[place] *= 2
    (worst,) = verify(name, "float32", x, outputs, axis).orders[0].worst
    assert worst.place == place
    assert worst.input == x[place]
    assert worst.output == outputs[place]
    with mpmath.workdps(40):
        row, i = (x[:, 2], 1) if axis == 0 else (x[1], 2)
        row = [mpmath.mpf(float(each)) for each in row]
        if name in {"softmax", "log_softmax"}:
            share = mpmath.exp(row[i]) / mpmath.fsum(mpmath.exp(each) for each in row)
            exact = mpmath.log(share) if name == "log_softmax" else share
        else:
            first, second = row[i], row[i + len(row) // 2]
            exact = (
                first / (1 + mpmath.exp(-second))
                if name == "glu"
                else first / (1 + mpmath.exp(-first)) * second
            )
        assert abs(mpmath.mpf(worst.exact) / exact - 1) < 1e-19


def test_rows_over_several_axes_and_infinite_inputs() -> None:
    x = drawn(3, 4, 5, dtype="float32")
    right = special.softmax(x, axis=(0, 2))
    assert verify("softmax", "float32", x, right, (0, 2)).verdict.state in {"correctly_rounded", "faithful"}
    x = np.array([[0.0, np.inf, 1.0], [-np.inf, 0.0, 0.0], [np.nan, 0.0, 0.0], [np.inf, np.inf, 0.0]])
    right = np.array([[0.0, 1.0, 0.0], [0.0, 0.5, 0.5], [np.nan] * 3, [np.nan] * 3])
    for dtype in ("float32", "bfloat16"):
        report = verify("softmax", dtype, x, right)
        assert report.verdict.state == "correctly_rounded"
        assert report.orders[0].count == 12
    wrong = np.where(np.isnan(right), 0.0, right)
    assert verify("softmax", "float32", x, wrong).orders[0].special_values


def test_false_zeros() -> None:
    x = np.array([[0.0, -90.0, -95.0]])
    report = verify("softmax", "float32", x, np.array([[1.0, 0.0, 0.0]]))
    assert report.orders[0].false_zeros == 2


# Jacobians


def true_jacobian(name: str, rows: Array, dtype: str) -> Array:
    """By mpmath, each element rounded once more from the nearest double."""
    entry = REGISTRY[name]
    assert isinstance(entry, Rowwise)
    params = REGISTRY.resolve(name).params
    width = entry.width(rows.shape[1], **params)
    found = np.empty((len(rows), width, rows.shape[1]))
    for row, i, k in np.ndindex(found.shape):
        names = {"x": rows[row], "n": rows.shape[1], "m": width, "i": i, "k": k, **params}
        found[row, i, k] = float(exact(entry, entry.formulas.slope, names))
    return held(found, dtype)


@pytest.mark.parametrize("name", ["softmax", "swiglu", "swiglu_oai", "entmax15"])
def test_jacobians_are_judged(name: str) -> None:
    """One gate is the zero of swish's slope, where its value is all rounding error: the formula decides."""
    x = drawn(3, 4, dtype="float32")
    x[0] = held(np.full(4, -1.278464542761074), "float32")
    call = REGISTRY.resolve(name)
    outputs, jacobian = (
        activate(call, x, order=1, dtype=FORMATS["float32"]).orders[0],
        true_jacobian(name, x, "float32"),
    )
    right = RowVerification(call, FORMATS["float32"], x, doubles(outputs), jacobian=jacobian)(map, ignore)
    assert [each.correctly_rounded for each in right.orders] == [1, 1]
    assert right.orders[1].count == jacobian.size
    wrong = jacobian.copy()
    wrong[1, 1, 1] += 1
    found = RowVerification(call, FORMATS["float32"], x, doubles(outputs), jacobian=wrong)(map, ignore)
    assert found.verdict.state == "faulty"
    assert found.orders[1].worst[0].place == (1, 1, 1)
    assert found.orders[1].worst[0].input == x[1, 1]
    assert found.orders[1].faithful == pytest.approx(1 - 1 / jacobian.size)


def test_masked_elements_have_no_slope() -> None:
    x = drawn(2, 5, dtype="bfloat16")
    call = REGISTRY.resolve("softmax", {"mask": np.array([1.0, 0.0, 1.0, 1.0, 1.0])})
    outputs, jacobian = map(doubles, activate(call, x, order=1, dtype=FORMATS["bfloat16"]).orders)
    found = RowVerification(call, FORMATS["bfloat16"], x, outputs, jacobian=jacobian)(map, ignore)
    assert found.verdict.state == "correctly_rounded"
    assert found.orders[1].unproved == 0


# Sums, tiles, thresholds and bounds


def powers(x: Array) -> Array:
    return np.asarray(np.exp(x - x.max(axis=-1, keepdims=True)))


def test_a_number_added_to_every_sum() -> None:
    x = drawn(24, 40, dtype="float32")
    output = powers(x) / (powers(x).sum(axis=-1, keepdims=True) + 1e-3)
    found = first_cause(verify("softmax", "float32", x, output))
    assert found == ("normalisation", "divided by their sum and 0.001")
    bare = np.exp(x) / (np.exp(x).sum(axis=-1, keepdims=True) + 0.5)
    found = first_cause(verify("softmax", "float32", x, bare))
    assert found == ("normalisation", "divided by their sum and 0.5, the maximum not subtracted")


@pytest.mark.parametrize("where", ["shares and sum", "shares", "sum"])
def test_tiles_that_are_not_rescaled(where: str) -> None:
    x = drawn(16, 64, dtype="float32")
    tiles = powers(x.reshape(16, 4, 16)).reshape(16, 64)
    above, below = (tiles if each in where else powers(x) for each in ("shares", "sum"))
    output = above / below.sum(axis=-1, keepdims=True)
    found = first_cause(verify("softmax", "float32", x, output))
    assert found == ("normalisation", f"tiles of 16, {where} not rescaled")


def test_thresholds_in_a_short_format() -> None:
    x = drawn(32, 24, dtype="float16", scale=1.0)
    right = activate(REGISTRY.resolve("sparsemax", {}), x, order=0).orders[0]
    threshold = (x - right).max(axis=-1, keepdims=True, where=right > 0, initial=-np.inf)
    output = np.maximum(x - held(threshold, "bfloat16"), 0)
    cause, detail = first_cause(verify("sparsemax", "float16", x, output))
    assert cause == "low_precision"
    assert detail.startswith("thresholds, off by 0.00")


def test_a_bound_that_one_half_is_not_held_at() -> None:
    x = drawn(24, 40, dtype="float32", scale=6.0)
    first, second = x[:, ::2], x[:, 1::2]
    output = first * special.expit(1.702 * first) * (np.clip(second, -7, 7) + 1)
    found = first_cause(verify("swiglu_oai", "float32", x, output))
    assert found == ("wrong_parameter", "limit not applied to the first half")


def test_a_constant_of_the_gate() -> None:
    x = drawn(24, 40, dtype="float32")
    first, second = np.split(x, 2, axis=-1)
    output = first * special.expit(1.7 * first) * second
    assert first_cause(verify("geglu_quick", "float32", x, output)) == ("rounded_constant", "1.7 for 1.702")
