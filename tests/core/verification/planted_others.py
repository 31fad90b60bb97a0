"""More kernels with a known fault, and more that are right: other functions, formats and faults."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
from scipy import special

from app.core.arithmetic.formats import round_to
from tests.core.verification.planted import (
    BF16,
    F16,
    F32,
    Kernel,
    Numbers,
    Planted,
    cut,
    elu,
    erf_7_1_26,
    exact_gelu_tanh,
    flushed,
    gelu,
    gelu_tanh,
    selu,
    sigmoid,
    silu,
    silu_short,
    single,
    softplus,
    table_of,
    towards_zero,
    wide,
)

E4M3: Any = ml_dtypes.float8_e4m3fn
FNUZ: Any = ml_dtypes.float8_e4m3fnuz


def tf32(x: Numbers) -> Numbers:
    """float32 with ten bits behind the point."""
    bits = x.astype(F32).view(np.uint32)
    rounded = (bits + np.uint32(0xFFF) + ((bits >> np.uint32(13)) & np.uint32(1))) & np.uint32(0xFFFFE000)
    return np.where(np.isfinite(x), rounded.view(F32), x.astype(F32))


def hard_swish(x: Numbers, sixth: float = 1 / 6) -> Numbers:
    found: Numbers = x * np.clip(x + x.dtype.type(3), 0, 6) * x.dtype.type(sixth)
    return found


def hard_swish_branched(x: Numbers) -> Numbers:
    return np.where(x >= 3, x, np.where(x <= -3, x.dtype.type(0), x * (x + 3) / 6))


def stable_mish(x: Numbers) -> Numbers:
    e = np.exp(-np.abs(x))
    above = x * (1 + 2 * e) / (1 + 2 * e + 2 * e * e)
    below = x * (e * e + 2 * e) / (e * e + 2 * e + 2)
    found: Numbers = np.where(x >= 0, above, np.where(np.isneginf(x), x.dtype.type(-0.0), below))
    return found


def careless_mish(x: Numbers) -> Numbers:
    found: Numbers = x * np.tanh(np.log(F32(1) + np.exp(x)))
    return found


def stable_softplus(x: Numbers) -> Numbers:
    found: Numbers = np.maximum(x, x.dtype.type(0)) + np.log1p(np.exp(-np.abs(x)))
    return found


def stable_gate(x: Numbers, z: Numbers) -> Numbers:
    """x·σ(z)."""
    e = np.exp(-np.abs(z))
    gated = x * np.where(z < 0, e, x.dtype.type(1)) / (1 + e)
    found: Numbers = np.where(np.isneginf(x), x.dtype.type(-0.0), gated)
    return found


def gelu_by_erfc(x: Numbers) -> Numbers:
    near = x.dtype.type(0.5) * x * special.erfc(-x * x.dtype.type(np.sqrt(0.5)))
    found: Numbers = np.where(np.isneginf(x), x.dtype.type(-0.0), near)
    return found


def four_lines(x: Numbers) -> Numbers:
    """PLAN, the sigmoid of many hardware networks (Amin, Curtis and Hayes-Gill 1997)."""
    size = np.abs(x)
    lines = (0.03125 * size + 0.84375, 0.125 * size + 0.625, 0.25 * size + 0.5)
    found = np.select([size >= 5, size >= 2.375, size >= 1], [np.ones_like(size), *lines[:2]], lines[2])
    return np.where(x < 0, 1 - found, found)


def downwards(function: Kernel) -> Kernel:
    """The neighbour below the exact answer."""

    def kernel(x: Numbers) -> Numbers:
        exact = function(x.astype(np.float64))
        near = round_to(exact, x.dtype)
        beyond = near.astype(np.float64) > exact
        return np.where(beyond, np.nextafter(near, x.dtype.type(-np.inf)), near)

    return kernel


def by_chance(function: Kernel) -> Kernel:
    """Either neighbour, as stochastic rounding takes them."""

    def kernel(x: Numbers) -> Numbers:
        exact = function(x.astype(np.float64))
        near = round_to(exact, x.dtype)
        away = np.where(exact > near.astype(np.float64), np.inf, -np.inf).astype(x.dtype)
        other = (np.random.default_rng(3).random(x.shape) < 0.3) & (near.astype(np.float64) != exact)
        return np.where(other & np.isfinite(exact), np.nextafter(near, away), near)

    return kernel


def in_bits_of(function: Kernel, other: Any, *, given: bool = True) -> Kernel:
    """Bits of another format taken for inputs, if ``given``, and for answers."""

    def kernel(x: Numbers) -> Numbers:
        taken = x.view(other) if given else x
        return round_to(function(taken.astype(np.float64)), np.dtype(other)).view(x.dtype)

    return kernel


OTHER_FAULTS: tuple[Planted, ...] = (
    Planted("log(1 + exp)", "mish", "float32", "cancellation", careless_mish),
    Planted("log(1 + exp)", "mish", "bfloat16", "cancellation", wide(careless_mish)),
    Planted(
        "exp − 1",
        "elu",
        "float16",
        "cancellation",
        wide(lambda x: np.where(x > 0, x, np.exp(x) - F32(1))),
    ),
    Planted("log1p(exp)", "softplus", "float32", "overflow", lambda x: np.log1p(np.exp(x))),
    Planted(
        "0.16667", "hard_swish", "float32", "rounded_constant", lambda x: hard_swish(x, 0.16667).astype(F32)
    ),
    Planted(
        "exp − 1",
        "selu",
        "bfloat16",
        "cancellation",
        wide(lambda x: F32(1.0507) * np.where(x > 0, x, F32(1.6732632) * (np.exp(x) - F32(1)))),
    ),
    Planted(
        "1 + erf in float64",
        "gelu",
        "float32",
        "cancellation",
        single(lambda x: 0.5 * x * (1 + special.erf(x / np.sqrt(2)))),
    ),
    Planted("1 + tanh in float64", "gelu_tanh", "float32", "cancellation", single(gelu_tanh)),
    Planted(
        "half a tanh",
        "sigmoid",
        "float16",
        "cancellation",
        lambda x: F16(0.5) * np.tanh(F16(0.5) * x) + F16(0.5),
    ),
    Planted(
        "erf by 7.1.26",
        "gelu",
        "bfloat16",
        "cancellation",
        wide(lambda x: F32(0.5) * x * (1 + erf_7_1_26(x / np.sqrt(F32(2))))),
    ),
    Planted(
        "quick form, step by step",
        "gelu",
        "float32",
        "other_variant",
        lambda x: x / (1 + np.exp(-F32(1.702) * x)),
    ),
    Planted("quick form", "gelu", "float8_e5m2", "other_variant", single(lambda x: x * sigmoid(1.702 * x))),
    Planted(
        "elu for celu", "celu", "float32", "other_variant", single(lambda x: elu(x, 2.0)), {"alpha": 2.0}
    ),
    Planted(
        "Keras 2's",
        "hard_sigmoid",
        "float16",
        "other_variant",
        single(lambda x: np.clip(0.2 * x + 0.5, 0, 1)),
    ),
    Planted("towards zero", "silu", "float8_e5m2", "truncation", towards_zero(silu)),
    Planted("downwards", "softplus", "float16", "truncation", downwards(softplus)),
    Planted("to bfloat16", "silu", "float32", "truncation", cut(silu)),
    Planted("answers", "sigmoid", "float8_e4m3fn", "flushed_subnormals", flushed(sigmoid, given=True)),
    Planted("answers", "mish", "float16", "flushed_subnormals", flushed(stable_mish, given=True)),
    Planted("both", "silu", "float32", "flushed_subnormals", flushed(silu, given=True, taken=True)),
    Planted("1024 lines", "gelu", "float32", "table", table_of(gelu, -8, 8, 1024)),
    Planted("100 lines", "mish", "float32", "table", table_of(stable_mish, -5, 5, 100)),
    Planted("16 parabolas", "gelu", "float16", "table", table_of(gelu, -4, 4, 16, 2)),
    Planted("four lines", "sigmoid", "float32", "table", four_lines),
    Planted("four lines", "sigmoid", "bfloat16", "table", single(four_lines)),
    Planted(
        "0.0447",
        "gelu_tanh",
        "float32",
        "rounded_constant",
        single(lambda x: exact_gelu_tanh(x, cubic=0.0447)),
    ),
    Planted(
        "0.04", "gelu_tanh", "float16", "rounded_constant", single(lambda x: exact_gelu_tanh(x, cubic=0.04))
    ),
    Planted(
        "α and λ swapped",
        "selu",
        "float32",
        "wrong_parameter",
        single(lambda x: selu(x, 1.0507009873554805, 1.6732632423543772)),
    ),
    Planted("SELU's α", "elu", "float16", "wrong_parameter", single(lambda x: elu(x, 1.6733))),
    Planted(
        "slope 0.2",
        "leaky_relu",
        "bfloat16",
        "wrong_parameter",
        single(lambda x: np.where(x > 0, x, 0.2 * x)),
    ),
    Planted(
        "linear from 5", "softplus", "float16", "threshold", single(lambda x: np.where(x > 5, x, softplus(x)))
    ),
    Planted(
        "0 below −10", "mish", "float32", "threshold", lambda x: np.where(x < -10, F32(0), stable_mish(x))
    ),
    Planted(
        "exp at ±20", "silu", "float32", "clamp", lambda x: x / (1 + np.exp(-np.clip(x, F32(-20), F32(20))))
    ),
    Planted("at ±8", "sigmoid", "float16", "clamp", single(lambda x: sigmoid(np.clip(x, -8, 8)))),
    Planted("bfloat16's bits", "gelu", "float16", "wrong_dtype", in_bits_of(gelu, BF16)),
    Planted("the other float8", "silu", "float8_e5m2", "wrong_dtype", in_bits_of(silu, E4M3)),
    Planted("fnuz", "sigmoid", "float8_e4m3fn", "wrong_dtype", in_bits_of(sigmoid, FNUZ)),
    Planted("answers", "sigmoid", "float16", "wrong_dtype", in_bits_of(sigmoid, BF16, given=False)),
    Planted(
        "float8 answers",
        "tanh",
        "float16",
        "low_precision",
        lambda x: round_to(np.tanh(x.astype(np.float64)), np.dtype(E4M3)).astype(F16),
    ),
    Planted(
        "tanh in float16", "tanh", "float32", "low_precision", lambda x: np.tanh(x.astype(F16)).astype(F32)
    ),
    Planted(
        "SiLU in float16", "silu", "float32", "low_precision", lambda x: silu_short(x.astype(F16)).astype(F32)
    ),
    Planted(
        "TF32 at each step",
        "sigmoid",
        "float32",
        "low_precision",
        lambda x: tf32(1 / tf32(1 + tf32(np.exp(-tf32(x))))),
    ),
    Planted("TF32 answers", "silu", "float32", "low_precision", lambda x: tf32(silu(x.astype(np.float64)))),
)

OTHER_RIGHT: tuple[Planted, ...] = (
    Planted("float32, by erfc", "gelu", "float16", None, wide(gelu_by_erfc)),
    Planted("float32, by erfc", "gelu", "float32", None, gelu_by_erfc),
    Planted("float32, stable", "mish", "float32", None, stable_mish),
    Planted("float32, stable", "mish", "float16", None, wide(stable_mish)),
    Planted("float32, stable", "silu", "float32", None, lambda x: stable_gate(x, x)),
    Planted(
        "float32, stable",
        "gelu_tanh",
        "float32",
        None,
        lambda x: stable_gate(x, F32(1.5957691) * x * (1 + F32(0.044715) * x * x)),
    ),
    Planted("float32", "hard_swish", "float32", None, hard_swish_branched),
    Planted("float32", "hard_swish", "bfloat16", None, wide(hard_swish_branched)),
    Planted("float64, stable", "softplus", "float64", None, stable_softplus),
    Planted("either neighbour", "tanh", "bfloat16", None, by_chance(np.tanh)),
    Planted("either neighbour", "gelu", "float32", None, by_chance(gelu)),
    Planted("in its format", "leaky_relu", "float16", None, lambda x: np.where(x > 0, x, F16(0.01) * x)),
    Planted("float32", "elu", "float8_e4m3fn", None, wide(elu)),
)
