"""Kernels as public repositories, engineers and students write them; none was known to the judge.

The ``FIRST`` were written before the causes were known, the ``SECOND`` before what those showed was mended,
the ``THIRD`` when it was;
docs/kernels.md says how many were named at first sight. Kernels compute in NumPy's own arithmetic for the
formats that they name; what is not yet of the kernel's format is rounded to it at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
from scipy import special

from app.core.arithmetic import Array
from app.core.arithmetic.formats import round_to
from app.core.verification.exact import doubles, every_number
from tests.core.verification.planted import (
    BF16,
    F16,
    F32,
    Kernel,
    Numbers,
    erf_7_1_26,
    exact_gelu_tanh,
    gelu,
    sigmoid,
    silu,
    softplus,
)
from tests.core.verification.planted_examiner import E4M3, E5M2

F64 = np.float64
LIMIT = 1e30
"""A number in the place of infinity."""


class Specimen(NamedTuple):
    """A kernel, its inputs, and the causes that are true of it; none for a right one.

    ``kernels`` are the value's and the derivatives'; of a function of rows the outputs' and the Jacobians'.
    """

    name: str
    function: str
    dtype: Any
    x: Callable[[], Numbers]
    causes: frozenset[str]
    kernels: tuple[Kernel | None, ...]
    params: Mapping[str, Any]

    def answers(self) -> tuple[Array, tuple[Array | None, ...]]:
        """Its inputs and what it says, as doubles."""
        x = self.x()
        with np.errstate(all="ignore"):
            said = [None if each is None else self._held(each(x)) for each in self.kernels]
        return doubles(x), tuple(said)

    def _held(self, values: Numbers) -> Array:
        dtype = np.dtype(self.dtype)
        return doubles(values if values.dtype == dtype else round_to(values.astype(F64), dtype))


def fault(
    name: str,
    function: str,
    dtype: Any,
    x: Callable[[], Numbers],
    causes: str,
    *kernels: Kernel | None,
    params: Mapping[str, Any] = MappingProxyType({}),
) -> Specimen:
    return Specimen(name, function, dtype, x, frozenset(causes.split()), kernels, params)


def right(
    name: str, function: str, dtype: Any, x: Callable[[], Numbers], *kernels: Kernel, **params: Any
) -> Specimen:
    return Specimen(name, function, dtype, x, frozenset(), kernels, params)


# Inputs


def every(dtype: Any) -> Callable[[], Numbers]:
    def numbers() -> Numbers:
        found = every_number(np.dtype(dtype))
        assert found is not None
        return round_to(found, np.dtype(dtype))

    return numbers


def drawn(seed: int, *shape: int, scale: float = 3.0, dtype: Any = F32) -> Callable[[], Numbers]:
    def numbers() -> Numbers:
        normal = np.random.default_rng(seed).standard_normal(int(np.prod(shape or (20000,)))) * scale
        return normal.astype(F32).astype(dtype).reshape(shape or (20000,))

    return numbers


def line(low: float, high: float) -> Callable[[], Numbers]:
    return lambda: np.linspace(low, high, 20001).astype(F32)


def spread(seed: int, low: float, high: float) -> Callable[[], Numbers]:
    """Of all magnitudes between these powers of two, on both sides of 0."""

    def numbers() -> Numbers:
        chance = np.random.default_rng(seed)
        found: Numbers = np.exp2(chance.uniform(low, high, 20000)) * chance.choice([-1, 1], 20000)
        return found.astype(F32)

    return numbers


# What kernels are made of


def cast(values: Any, dtype: Any) -> Numbers:
    found: Numbers = np.asarray(values).astype(dtype)
    return found


def double(values: Any) -> Numbers:
    return cast(values, F64)


def short(values: Any, mask: int) -> Numbers:
    """float32 numbers without the last bits."""
    bits: Numbers = cast(values, F32).view(np.uint32) & np.uint32(mask)
    return bits.view(F32)


def number(values: Any) -> Numbers:
    """With 0 for NaN and something large for infinities."""
    found: Numbers = np.nan_to_num(values, nan=0.0, posinf=LIMIT, neginf=-LIMIT)
    return found


def keeping_nan(x: Numbers, values: Any) -> Numbers:
    return np.where(np.isnan(x), np.nan, values)


def tanh_gelu(x: Numbers) -> Numbers:
    return np.where(np.isneginf(x), -0.0, exact_gelu_tanh(x))


def pieces(function: Kernel, low: float, high: float, count: int, degree: int) -> Kernel:
    """Polynomials between evenly spaced knots, through the function's own values."""
    width, nodes = (high - low) / count, np.linspace(0, 1, degree + 1)

    def values(x: Numbers) -> Numbers:
        inside = np.clip(number(x), low, high)
        start = low + np.clip(np.floor((inside - low) / width), 0, count - 1) * width
        t, answer = (inside - start) / width, np.zeros_like(inside)
        for own in nodes:
            weight = np.prod([(t - other) / (own - other) for other in nodes if other != own], axis=0)
            answer = answer + function(start + width * own) * weight
        return keeping_nan(x, answer)

    return values


def halves(x: Numbers) -> tuple[Numbers, Numbers]:
    return x[..., : x.shape[-1] // 2], x[..., x.shape[-1] // 2 :]


def neighbours(x: Numbers) -> tuple[Numbers, Numbers]:
    return x[..., 0::2], x[..., 1::2]


def powers(x: Numbers) -> Numbers:
    found: Numbers = np.exp(x - x.max(-1, keepdims=True))
    return found


def shares(x: Numbers) -> Numbers:
    found: Numbers = powers(x) / powers(x).sum(-1, keepdims=True)
    return found


def added(values: Numbers, dtype: Any) -> Numbers:
    """One after the other, each sum in a format."""
    total = np.zeros(values.shape[:-1], dtype)
    for place in range(values.shape[-1]):
        total = (total + values[..., place].astype(dtype)).astype(dtype)
    return total[..., None]


def sparsemax(x: Numbers, dtype: Any) -> Numbers:
    """By sorting, every step in a format."""
    x = x.astype(dtype)
    ordered = -np.sort(-x, -1)
    counts = np.arange(1, x.shape[-1] + 1).astype(dtype)
    sums = np.concatenate([added(ordered[:, :stop], dtype) for stop in range(1, x.shape[-1] + 1)], axis=1)
    support = ((dtype(1) + counts * ordered) > sums).sum(-1)
    threshold = (sums[np.arange(len(x)), support - 1] - dtype(1)) / support.astype(dtype)
    found: Numbers = np.maximum(x - threshold[:, None], dtype(0))
    return found


def exact(function: Callable[[Any], Any]) -> Kernel:
    """Computed in double precision."""
    return lambda x: function(double(x))


def softplus_half(x: Numbers) -> Numbers:
    found: Numbers = np.log(F16(1) + np.exp(x))
    return found


def tanh_by_exponentials(x: Numbers) -> Numbers:
    up = np.exp(F32(2) * x)
    found: Numbers = (up - F32(1)) / (up + F32(1))
    return found


def elu_single(x: Numbers) -> Numbers:
    wide = cast(x, F32)
    return np.where(wide > 0, wide, np.exp(np.minimum(wide, 0)) - F32(1))


def sigmoid_slope_of_saved(x: Numbers) -> Numbers:
    saved = cast(sigmoid(cast(x, F32)), BF16)
    found: Numbers = saved * (BF16(1) - saved)
    return found


def gelu_by_erf(x: Numbers) -> Numbers:
    found: Numbers = F32(0.5) * x * (F32(1) + special.erf(x * F32(np.sqrt(0.5))))
    return found


def gelu_tanh_half(x: Numbers) -> Numbers:
    found: Numbers = F16(0.5) * x * (F16(1) + np.tanh(F16(0.7978845608) * (x + F16(0.044715) * x * x * x)))
    return found


def silu_second_slope(x: Any) -> Any:
    s = F32(1) / (F32(1) + np.exp(-x))
    return s * (F32(1) - s) * (F32(2) + x * (F32(1) - F32(2) * s))


def gelu_tanh_slope(x: Numbers) -> Numbers:
    """Without the inner factor 1 + 3·0.044715·x²."""
    root = np.sqrt(2 / np.pi)
    t = np.tanh(root * (x + 0.044715 * x**3))
    found: Numbers = 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * root
    return found


def quick_slope(x: Any) -> Any:
    s = sigmoid(1.702 * x)
    return s + 1.702 * x * s * (1 - s)


def quick(factor: float) -> Kernel:
    return exact(lambda x: np.where(np.isneginf(x), -0.0, x * sigmoid(factor * x)))


def selu_rounded(x: Numbers) -> Numbers:
    return np.where(x > 0, 1.0507 * x, 1.0507 * 1.67326 * np.expm1(x))


def silu_truncated(x: Numbers) -> Numbers:
    gate = short(sigmoid(cast(x, F32)), 0xFFFF0000)
    return short(cast(x, F32) * gate, 0xFFFF0000)


def table_of_steps(x: Numbers) -> Numbers:
    """256 entries from −8 to 8, each with the value in its middle."""
    place = np.clip(np.floor((number(x) + 8) * 16), 0, 255)
    return keeping_nan(x, sigmoid(-8 + (place + 0.5) / 16))


def table_of_half(function: Kernel) -> Kernel:
    """ggml's: one entry for each float16 number."""
    return lambda x: cast(function(double(cast(x, F16))), F16)


def silu_by_bits(x: Any) -> Any:
    """exp by the bits of a float (Schraudolph)."""
    bits = cast(F32(12102203) * -x + F32(1064866805), np.int32)
    return x / (F32(1) + bits.view(F32))


def tiles(x: Numbers, width: int = 32) -> Numbers:
    """exp with each tile's own maximum, divided by the sum of all."""
    apart = x.reshape(len(x), -1, width)
    ups = np.exp(apart - apart.max(-1, keepdims=True))
    found: Numbers = (ups / ups.sum((-1, -2), keepdims=True)).reshape(x.shape)
    return found


def diagonal(x: Any) -> Any:
    """The softmax Jacobian without what lies beside its diagonal."""
    share = shares(x)[..., None]
    return share * (1 - share) * np.eye(x.shape[-1])


def log_sum(x: Numbers) -> Numbers:
    found: Numbers = x - np.log(np.exp(x).sum(-1, keepdims=True))
    return found


def swiglu_with(gate: Kernel) -> Kernel:
    return lambda x: gate(halves(x)[0]) * halves(x)[1]


def oai(gate: Any, value: Any) -> Any:
    return gate * sigmoid(1.702 * gate) * (np.clip(value, -7, 7) + 1)


def flushed_below(smallest: float, function: Kernel, dtype: Any) -> Kernel:
    def kernel(x: Numbers) -> Numbers:
        answers = cast(function(double(x)), dtype)
        return np.where(np.abs(double(answers)) < smallest, dtype(0), answers)

    return kernel


FIRST: tuple[Specimen, ...] = (
    # Formulas whose digits cancel, or that overflow
    fault("1 + erf", "gelu", F32, line(-8, 8), "cancellation", gelu_by_erf),
    fault("log(1 + exp)", "softplus", F16, every(F16), "cancellation overflow", softplus_half),
    fault("by exponentials", "tanh", F32, spread(1, -30, 6), "cancellation overflow", tanh_by_exponentials),
    fault("exp − 1 inside", "elu", BF16, every(BF16), "cancellation", elu_single),
    fault(
        "1 − tanh²",
        "tanh",
        F32,
        drawn(2),
        "cancellation",
        exact(np.tanh),
        lambda x: F32(1) - np.tanh(x) * np.tanh(x),
    ),
    fault(
        "s(1 − s) of what was saved",
        "sigmoid",
        BF16,
        every(BF16),
        "cancellation",
        exact(sigmoid),
        sigmoid_slope_of_saved,
    ),
    fault(
        "log(cosh)", "logcosh", F32, spread(3, -16, 8), "cancellation overflow", lambda x: np.log(np.cosh(x))
    ),
    fault(
        "as in the paper",
        "squareplus",
        F32,
        line(-200, 200),
        "cancellation",
        lambda x: F32(0.5) * (x + np.sqrt(x * x + F32(4))),
    ),
    fault("x − tanh(x)", "tanhshrink", F32, spread(4, -12, 4), "cancellation", lambda x: x - np.tanh(x)),
    fault(
        "log of sigmoid",
        "log_sigmoid",
        F32,
        line(-110, 30),
        "cancellation overflow",
        lambda x: np.log(F32(1) / (F32(1) + np.exp(-x))),
    ),
    fault(
        "log of softmax",
        "log_softmax",
        F32,
        drawn(5, 64, 100, scale=12.0),
        "cancellation overflow",
        lambda x: np.log(shares(x)),
    ),
    fault(
        "no maximum",
        "softmax",
        F16,
        drawn(6, 32, 64, scale=6.0, dtype=F16),
        "overflow",
        lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True, dtype=F16),
    ),
    fault(
        "all in float16", "gelu_tanh", F16, every(F16), "cancellation low_precision overflow", gelu_tanh_half
    ),
    fault(
        "square of 1 + |x| in float16",
        "softsign",
        F16,
        every(F16),
        "overflow low_precision",
        None,
        lambda x: F16(1) / ((F16(1) + np.abs(x)) * (F16(1) + np.abs(x))),
    ),
    fault(
        "products",
        "silu",
        F32,
        drawn(7, scale=5.0),
        "cancellation low_precision",
        exact(silu),
        None,
        silu_second_slope,
    ),
    # Other functions
    fault("the tanh form", "gelu", BF16, every(BF16), "other_variant", exact(tanh_gelu)),
    fault("quick", "gelu", F16, every(F16), "other_variant", quick(1.702)),
    fault(
        "Keras 2's",
        "hard_sigmoid",
        F32,
        line(-5, 5),
        "other_variant",
        lambda x: np.clip(F32(0.2) * x + F32(0.5), F32(0), F32(1)),
    ),
    fault(
        "hard",
        "silu",
        BF16,
        every(BF16),
        "other_variant",
        exact(lambda x: np.where(np.isneginf(x), -0.0, x * np.clip(x / 6 + 0.5, 0, 1))),
    ),
    fault("isru", "softsign", F32, drawn(8), "other_variant", lambda x: x / np.sqrt(F32(1) + x * x)),
    fault(
        "elu",
        "selu",
        E5M2,
        every(E5M2),
        "other_variant wrong_parameter",
        exact(lambda x: np.where(x > 0, x, np.expm1(x))),
    ),
    fault("slope of quick", "gelu", F32, drawn(9), "other_variant", None, exact(quick_slope)),
    fault("slope without its second term", "silu", F32, drawn(10), "other_variant", None, exact(sigmoid)),
    fault(
        "slope without its inner factor",
        "gelu_tanh",
        F32,
        drawn(11, scale=2.0),
        "other_variant wrong_parameter",
        None,
        exact(gelu_tanh_slope),
    ),
    # Constants
    fault(
        "0.7979",
        "gelu_tanh",
        F32,
        drawn(12),
        "rounded_constant",
        exact(lambda x: x * sigmoid(2 * 0.7979 * (x + 0.044715 * x**3))),
    ),
    fault("1.7", "quick_gelu", BF16, every(BF16), "rounded_constant wrong_parameter", quick(1.7)),
    fault("five digits", "selu", F32, drawn(13), "rounded_constant other_variant", exact(selu_rounded)),
    fault(
        "0.7071",
        "gelu",
        F32,
        drawn(14, scale=2.0),
        "rounded_constant",
        exact(lambda x: 0.5 * x * special.erfc(-x * 0.7071)),
    ),
    fault(
        "0.667 for two thirds",
        "lecun_tanh",
        F16,
        every(F16),
        "rounded_constant",
        exact(lambda x: 1.7159 * np.tanh(0.667 * x)),
    ),
    fault(
        "2^(1.4427x)",
        "silu",
        F32,
        drawn(15, scale=4.0),
        "rounded_constant",
        exact(lambda x: x / (1 + np.exp2(-1.4427 * x))),
    ),
    fault(
        "a sixth in bfloat16",
        "hard_swish",
        F32,
        drawn(16),
        "rounded_constant",
        lambda x: x * np.clip(x + F32(3), F32(0), F32(6)) * F32(BF16(1 / 6)),
    ),
    fault(
        "0.8 for the root of 2/π",
        "gelu_tanh",
        BF16,
        every(BF16),
        "rounded_constant",
        exact(lambda x: np.where(np.isneginf(x), -0.0, x * sigmoid(1.6 * (x + 0.044715 * x**3)))),
    ),
    # Short formats inside
    fault(
        "in float16",
        "sigmoid",
        F32,
        drawn(17),
        "low_precision",
        lambda x: F16(1) / (F16(1) + np.exp(-cast(x, F16))),
    ),
    fault(
        "sigmoid stored in bfloat16",
        "silu",
        F32,
        drawn(18),
        "low_precision",
        lambda x: x * cast(cast(sigmoid(x), BF16), F32),
    ),
    fault(
        "input cut off to TF32",
        "tanh",
        F32,
        drawn(19),
        "low_precision truncation",
        lambda x: np.tanh(double(short(x, 0xFFFFE000))),
    ),
    fault(
        "gate in bfloat16",
        "swiglu",
        F32,
        drawn(20, 64, 256),
        "low_precision",
        swiglu_with(lambda x: cast(cast(silu(x), BF16), F32)),
    ),
    fault(
        "sum in float16",
        "softmax",
        F16,
        drawn(21, 8, 2048, scale=1.0, dtype=F16),
        "low_precision",
        lambda x: powers(cast(x, F32)) / cast(added(powers(cast(x, F32)), F16), F32),
    ),
    fault(
        "all in bfloat16",
        "softmax",
        BF16,
        drawn(22, 32, 128, scale=2.0, dtype=BF16),
        "low_precision",
        lambda x: powers(x) / added(powers(x), BF16),
    ),
    fault(
        "through float8",
        "gelu",
        BF16,
        every(BF16),
        "low_precision",
        lambda x: cast(cast(gelu(double(x)), F32), E4M3),
    ),
    fault(
        "Q7",
        "sigmoid",
        F16,
        every(F16),
        "low_precision table",
        exact(lambda x: keeping_nan(x, np.clip(np.rint(sigmoid(x) * 128), 0, 127) / 128)),
    ),
    fault(
        "all in bfloat16",
        "mish",
        BF16,
        every(BF16),
        "low_precision cancellation overflow",
        lambda x: x * np.tanh(np.log(BF16(1) + np.exp(x))),
    ),
    # Subnormals, truncation
    fault("flushed", "silu", F16, every(F16), "flushed_subnormals", flushed_below(2.0**-14, silu, F16)),
    fault(
        "flushed", "sigmoid", BF16, every(BF16), "flushed_subnormals", flushed_below(2.0**-126, sigmoid, BF16)
    ),
    fault(
        "inputs flushed",
        "leaky_relu",
        F16,
        every(F16),
        "flushed_subnormals",
        exact(lambda x: np.where(np.abs(x) < 2.0**-14, 0 * x, np.where(x > 0, x, 0.01 * x))),
    ),
    fault("truncated twice", "silu", BF16, every(BF16), "truncation low_precision", silu_truncated),
    fault(
        "stored as bfloat16, cut off",
        "gelu",
        F32,
        drawn(23),
        "truncation low_precision",
        lambda x: short(gelu(double(x)), 0xFFFF0000),
    ),
    # Bounds
    fault(
        "clamped at 8",
        "sigmoid",
        F32,
        line(-20, 20),
        "clamp threshold",
        exact(lambda x: sigmoid(np.clip(x, -8, 8))),
    ),
    fault(
        "saturates at 4",
        "tanh",
        F32,
        drawn(24),
        "clamp threshold",
        exact(lambda x: np.where(np.abs(x) > 4, np.sign(x), np.tanh(x))),
    ),
    fault(
        "linear from 8",
        "softplus",
        F32,
        line(-20, 20),
        "threshold clamp",
        exact(lambda x: np.where(x > 8, x, softplus(x))),
    ),
    fault(
        "exponent clamped",
        "elu",
        F16,
        every(F16),
        "clamp threshold",
        exact(lambda x: np.where(x > 0, x, np.expm1(np.maximum(x, -4.0)))),
    ),
    fault(
        "cut at 3",
        "gelu",
        F32,
        drawn(25),
        "threshold clamp",
        exact(lambda x: np.where(x > 3, x, np.where(x < -3, 0, gelu(x)))),
    ),
    fault(
        "gate not limited",
        "swiglu_oai",
        F32,
        drawn(26, 64, 128, scale=5.0),
        "wrong_parameter clamp threshold other_variant",
        exact(lambda x: oai(*neighbours(x))),
    ),
    # Halves
    fault(
        "swapped",
        "geglu",
        F32,
        drawn(27, 32, 256),
        "halves",
        exact(lambda x: gelu(halves(x)[1]) * halves(x)[0]),
    ),
    fault(
        "interleaved",
        "swiglu",
        BF16,
        drawn(28, 64, 128, dtype=BF16),
        "halves",
        exact(lambda x: silu(neighbours(x)[0]) * neighbours(x)[1]),
    ),
    fault(
        "interleaved and swapped",
        "glu",
        F16,
        drawn(29, 64, 128, dtype=F16),
        "halves",
        exact(lambda x: neighbours(x)[1] * sigmoid(neighbours(x)[0])),
    ),
    # Tables and approximations
    fault("256 steps", "sigmoid", BF16, every(BF16), "table", exact(table_of_steps)),
    fault("32 lines", "tanh", F16, every(F16), "table", exact(pieces(np.tanh, -4, 4, 32, 1))),
    fault("8 cubics", "gelu", F32, line(-4, 4), "table", exact(pieces(gelu, -4, 4, 8, 3))),
    fault("ggml's table", "gelu_tanh", F32, drawn(30), "table low_precision", table_of_half(tanh_gelu)),
    fault("exp by bits", "silu", F32, drawn(31), "approximation", silu_by_bits),
    # Parameters
    fault(
        "0.02", "leaky_relu", F32, drawn(32), "wrong_parameter", lambda x: np.where(x > 0, x, F32(0.02) * x)
    ),
    fault(
        "alpha ignored",
        "elu",
        BF16,
        every(BF16),
        "wrong_parameter",
        exact(lambda x: np.where(x > 0, x, np.expm1(x))),
        params={"alpha": 0.5},
    ),
    fault("beta squared", "swish", E4M3, every(E4M3), "wrong_parameter", quick(2.25), params={"beta": 1.5}),
    fault(
        "not divided by beta",
        "softplus",
        F16,
        every(F16),
        "wrong_parameter",
        exact(lambda x: softplus(2 * x)),
        params={"beta": 2.0},
    ),
    fault(
        "scores divided",
        "softmax",
        F32,
        drawn(33, 64, 64),
        "wrong_parameter",
        exact(lambda x: shares(x / 8)),
    ),
    fault(
        "not divided by alpha",
        "snake",
        F32,
        drawn(34),
        "wrong_parameter",
        exact(lambda x: x + np.sin(2 * x) ** 2),
        params={"alpha": 2.0},
    ),
    # Formats
    fault(
        "bits of float16",
        "sigmoid",
        BF16,
        every(BF16),
        "wrong_dtype",
        lambda x: cast(sigmoid(double(x)), F16).view(BF16),
    ),
    fault(
        "inputs as bfloat16",
        "tanh",
        F16,
        every(F16),
        "wrong_dtype",
        lambda x: np.tanh(double(x.view(BF16))),
    ),
    fault(
        "bits of fnuz",
        "silu",
        E4M3,
        every(E4M3),
        "wrong_dtype wrong_parameter",
        lambda x: cast(silu(double(x)), ml_dtypes.float8_e4m3fnuz).view(E4M3),
    ),
    # Rows
    fault(
        "along the other axis",
        "softmax",
        F32,
        drawn(35, 48, 48),
        "wrong_parameter other_variant",
        exact(lambda x: shares(x.T).T),
    ),
    fault("tiles not rescaled", "softmax", F32, drawn(36, 32, 128, scale=2.0), "normalisation", exact(tiles)),
    fault(
        "the diagonal alone",
        "softmax",
        F32,
        drawn(37, 32, 16),
        "other_variant",
        exact(shares),
        exact(diagonal),
    ),
    fault(
        "all in bfloat16",
        "sparsemax",
        BF16,
        drawn(38, 64, 32, scale=1.0, dtype=BF16),
        "low_precision cancellation",
        partial(sparsemax, dtype=BF16),
    ),
    fault("no maximum", "log_softmax", F32, drawn(39, 64, 64, scale=60.0), "overflow cancellation", log_sum),
)


def int8_tanh(x: Numbers) -> Numbers:
    """TensorFlow Lite's, inputs of scale 1/16 and outputs of 1/128."""
    taken = np.clip(np.rint(number(x) * 16), -128, 127) / 16
    return keeping_nan(x, np.clip(np.rint(128 * np.tanh(taken)), -128, 127) / 128)


def gelu_in_a_shader(x: Any) -> Any:
    wide = cast(x, F32)
    return 0.5 * wide * (1 + erf_7_1_26(wide * F32(0.7071067811865475)))


def estimated(values: Numbers) -> Numbers:
    """A reciprocal of 8 bits, as NEON estimates it."""
    mantissa, exponent = np.frexp(values)
    return np.ldexp(np.rint(512 / mantissa) / 512, -exponent)


KEPT = (np.arange(64) < 50).astype(float)
"""A mask of a row."""


def cube_stored(x: Numbers) -> Numbers:
    cube = double(cast(x * x * x, BF16))
    return double(x) * sigmoid(2 * np.sqrt(2 / np.pi) * (double(x) + 0.044715 * cube))


def mish_slope(x: Numbers) -> Numbers:
    """The chain rule without the sigmoid."""
    t = np.tanh(softplus(x))
    found: Numbers = t + x * (1 - t * t)
    return found


def selu_scaled_twice(x: Numbers) -> Numbers:
    scale, alpha = 1.0507009873554805, 1.6732632423543772
    return np.where(x > 0, scale * x, scale**2 * alpha * np.expm1(x))


SECOND: tuple[Specimen, ...] = (
    fault(
        "CMSIS' table",
        "sigmoid",
        F16,
        every(F16),
        "table low_precision",
        exact(pieces(sigmoid, -8, 8, 128, 1)),
    ),
    fault("8 bits", "tanh", BF16, every(BF16), "low_precision table", exact(int8_tanh)),
    fault("erf by 7.1.26", "gelu", F16, every(F16), "approximation", gelu_in_a_shader),
    fault("ggml's table", "quick_gelu", F32, drawn(70), "table low_precision", table_of_half(quick(1.702))),
    fault(
        "reciprocal estimated",
        "sigmoid",
        F32,
        drawn(71),
        "low_precision approximation",
        exact(lambda x: estimated(1 + np.exp(-x))),
    ),
    fault(
        "exp clamped at 20",
        "silu",
        F32,
        line(-60, 30),
        "clamp threshold",
        exact(lambda x: x / (1 + np.exp(np.minimum(-x, 20)))),
    ),
    fault(
        "linear from 5",
        "softplus",
        F16,
        every(F16),
        "threshold clamp",
        exact(lambda x: np.where(x > 5, x, np.log1p(np.exp(np.minimum(x, 5))))),
    ),
    fault(
        "the tanh form",
        "geglu",
        BF16,
        drawn(72, 64, 128, dtype=BF16),
        "other_variant",
        exact(swiglu_with(tanh_gelu)),
    ),
    fault(
        "swapped",
        "swiglu",
        F16,
        drawn(73, 64, 128, dtype=F16),
        "halves",
        exact(lambda x: silu(halves(x)[1]) * halves(x)[0]),
    ),
    fault(
        "halves apart",
        "swiglu_oai",
        F32,
        drawn(74, 64, 128),
        "halves",
        exact(lambda x: oai(np.minimum(halves(x)[0], 7), halves(x)[1])),
    ),
    fault(
        "masked afterwards",
        "softmax",
        F32,
        drawn(75, 32, 64),
        "normalisation wrong_parameter",
        exact(lambda x: shares(x) * KEPT),
        params={"mask": KEPT},
    ),
    fault(
        "all in bfloat16",
        "log_softmax",
        BF16,
        drawn(76, 32, 128, dtype=BF16),
        "low_precision cancellation",
        lambda x: (x - x.max(-1, keepdims=True)) - np.log(powers(x).sum(-1, keepdims=True, dtype=BF16)),
    ),
    fault(
        "2^(1.44x)",
        "softmax",
        F32,
        drawn(77, 32, 64),
        "rounded_constant wrong_parameter",
        exact(lambda x: shares(1.44 * np.log(2) * x)),
    ),
    fault(
        "0.001 in the sum",
        "softmax",
        F32,
        drawn(78, 32, 64),
        "normalisation",
        exact(lambda x: powers(x) / (powers(x).sum(-1, keepdims=True) + 1e-3)),
    ),
    fault("slope without the sigmoid", "mish", F32, drawn(79), "other_variant", None, exact(mish_slope)),
    fault(
        "slope constant",
        "elu",
        F16,
        every(F16),
        "other_variant threshold clamp",
        None,
        exact(lambda x: keeping_nan(x, np.where(x > 0, 1.0, 0.5))),
        params={"alpha": 0.5},
    ),
    fault(
        "the gate for the slope",
        "hard_swish",
        F32,
        drawn(80),
        "other_variant",
        None,
        lambda x: np.clip(x / F32(6) + F32(0.5), F32(0), F32(1)),
    ),
    fault("scaled twice", "selu", F32, drawn(81), "wrong_parameter other_variant", exact(selu_scaled_twice)),
    fault(
        "slope in float8",
        "leaky_relu",
        F32,
        drawn(82),
        "rounded_constant wrong_parameter",
        lambda x: np.where(x > 0, x, x * F32(E4M3(0.2))),
        params={"negative_slope": 0.2},
    ),
    fault(
        "1 − tanh² in float16",
        "tanh",
        F16,
        every(F16),
        "cancellation",
        None,
        lambda x: F16(1) - np.tanh(x) * np.tanh(x),
    ),
    fault(
        "Keras'",
        "logcosh",
        F32,
        spread(83, -14, 6),
        "cancellation",
        lambda x: x + np.log1p(np.exp(F32(-2) * x)) - F32(np.log(2)),
    ),
    fault(
        "square in bfloat16",
        "gaussian",
        F32,
        drawn(84, scale=1.5),
        "low_precision",
        lambda x: np.exp(-cast(cast(x * x, BF16), F32)),
    ),
    fault(
        "product in float16",
        "sine",
        F16,
        drawn(85, scale=1.0, dtype=F16),
        "low_precision cancellation",
        lambda x: np.sin(double(F16(30) * x)),
        params={"omega": 30.0},
    ),
    fault(
        "bits of e5m2",
        "sigmoid",
        E4M3,
        every(E4M3),
        "wrong_dtype",
        lambda x: cast(sigmoid(double(x)), E5M2).view(E4M3),
    ),
    fault(
        "held at 10",
        "gelu",
        BF16,
        every(BF16),
        "clamp other_variant",
        exact(lambda x: np.minimum(gelu(x), 10)),
    ),
    fault(
        "written as elu",
        "celu",
        F16,
        every(F16),
        "other_variant",
        exact(lambda x: np.where(x > 0, x, 2 * np.expm1(x))),
        params={"alpha": 2.0},
    ),
    fault(
        "hard",
        "softshrink",
        BF16,
        every(BF16),
        "other_variant wrong_parameter",
        exact(lambda x: keeping_nan(x, np.where(np.abs(x) > 0.5, x, 0 * np.sign(x)))),
    ),
    fault(
        "flushed",
        "exponential",
        F32,
        line(-104, 80),
        "flushed_subnormals",
        flushed_below(2.0**-126, np.exp, F32),
    ),
    fault(
        "inputs of 8 bits",
        "sigmoid",
        F32,
        drawn(86),
        "low_precision table",
        exact(lambda x: sigmoid(np.clip(np.rint(x * 16), -128, 127) / 16)),
    ),
    fault("NaN is 0", "relu", BF16, every(BF16), "special_values", lambda x: np.fmax(cast(x, F32), F32(0))),
    fault(
        "softplus in float16",
        "mish",
        F32,
        drawn(87),
        "low_precision",
        exact(lambda x: x * np.tanh(double(cast(softplus(x), F16)))),
    ),
    fault("cube in bfloat16", "gelu_tanh", F32, drawn(88, scale=2.0), "low_precision", cube_stored),
    fault(
        "not multiplied back",
        "softcap",
        F32,
        drawn(89, scale=20.0),
        "wrong_parameter",
        exact(lambda x: np.tanh(x / 30)),
        params={"cap": 30.0},
    ),
    fault(
        "beta left out",
        "scaled_tanh",
        F16,
        every(F16),
        "wrong_parameter",
        exact(lambda x: 1.7159 * np.tanh(x)),
        params={"alpha": 1.7159, "beta": 0.6666667},
    ),
    fault(
        "all in float16",
        "sparsemax",
        F16,
        drawn(90, 64, 32, scale=1.0, dtype=F16),
        "low_precision cancellation",
        partial(sparsemax, dtype=F16),
    ),
)


def hard_swish(x: Numbers) -> Numbers:
    return np.where(np.isneginf(x), -0.0, x * np.clip(x / F32(6) + F32(0.5), 0, 1))


def odd_by_exponentials(x: Any) -> Any:
    up, down = np.exp(x), np.exp(-x)
    return x * ((up - down) / (up + down))


def arctan_by_reciprocal(x: Numbers) -> Numbers:
    return np.where(np.abs(x) > 1, np.sign(x) * 3.1416 / 2 - np.arctan(1 / x), np.arctan(x))


def smelu(x: Numbers) -> Numbers:
    return np.where(x >= 2, x, np.where(x <= -2, 0, (x + 2) ** 2 / 8))


def entmax15(x: Any, dtype: Any) -> Any:
    """By sorting, every step in a format."""
    half = x.astype(dtype) / dtype(2)
    ordered = -np.sort(-half, -1)
    counts = np.arange(1, x.shape[-1] + 1).astype(dtype)
    mean = np.add.accumulate(ordered, -1, dtype=dtype) / counts
    rest = np.add.accumulate(ordered * ordered, -1, dtype=dtype) / counts - mean * mean
    threshold = mean - np.sqrt(np.maximum(dtype(1) / counts - rest, dtype(0)))
    support = (threshold <= ordered).sum(-1)
    share = np.maximum(half - threshold[np.arange(len(x)), support - 1][:, None], dtype(0))
    return share * share


def gelu_slope_of_short_density(x: Any) -> Any:
    density = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
    return 0.5 * special.erfc(-x / np.sqrt(2)) + x * double(cast(density, BF16))


def mish_by_lines(x: Numbers) -> Numbers:
    knots = np.linspace(-8, 8, 33)
    inner = np.interp(np.clip(number(x), -8, 8), knots, knots * np.tanh(softplus(knots)))
    return keeping_nan(x, np.where(x > 8, x, np.where(x < -8, 0, inner)))


def sigmoid_of_8_bits(x: Numbers) -> Numbers:
    return keeping_nan(x, sigmoid(np.clip(np.rint(number(x) * 8) / 8, -16, 15.875)))


def two_blocks(x: Any) -> Any:
    first, second = halves(x)
    return np.concatenate([shares(first), shares(second)], axis=1) / 2


THIRD: tuple[Specimen, ...] = (
    fault("naive", "lisht", F16, every(F16), "low_precision overflow cancellation", odd_by_exponentials),
    fault(
        "tanh of a cubic",
        "erf",
        F32,
        drawn(1, scale=1.5),
        "approximation other_variant",
        exact(lambda x: np.tanh(2 / np.sqrt(np.pi) * (x + 11 / 123 * x**3))),
    ),
    fault(
        "3.1416",
        "arctan",
        F32,
        spread(2, -6, 10),
        "rounded_constant approximation",
        exact(arctan_by_reciprocal),
    ),
    fault("isru", "isrlu", BF16, every(BF16), "other_variant", exact(lambda x: x / np.sqrt(1 + x**2))),
    fault(
        "softplus in bfloat16",
        "serf",
        F32,
        drawn(3),
        "low_precision",
        exact(lambda x: x * special.erf(double(cast(softplus(x), BF16)))),
    ),
    fault(
        "over 4",
        "hard_mish",
        F16,
        every(F16),
        "wrong_parameter rounded_constant",
        exact(lambda x: x / 4 * np.clip(x + 2, 0, 2)),
    ),
    fault("beta 2", "smelu", F32, drawn(4), "wrong_parameter", exact(smelu)),
    fault("silu throughout", "elish", F32, drawn(5), "other_variant", exact(silu)),
    fault(
        "sign of the bias",
        "star_relu",
        BF16,
        every(BF16),
        "wrong_parameter",
        exact(lambda x: 0.8944 * np.maximum(x, 0) ** 2 + 0.4472),
    ),
    fault(
        "gamma missing",
        "dyt",
        F32,
        drawn(6),
        "wrong_parameter",
        exact(lambda x: np.tanh(0.5 * x) + 0.1),
        params={"alpha": 0.5, "gamma": 1.5, "beta": 0.1},
    ),
    fault("softmax", "softmin", F32, drawn(7, 32, 64), "other_variant wrong_parameter", exact(shares)),
    fault(
        "all in float16",
        "entmax15",
        F16,
        drawn(8, 64, 32, scale=1.0, dtype=F16),
        "low_precision cancellation",
        partial(entmax15, dtype=F16),
    ),
    fault(
        "leaky",
        "reglu",
        F32,
        drawn(9, 64, 64),
        "other_variant wrong_parameter",
        exact(swiglu_with(lambda x: np.where(x > 0, x, 0.01 * x))),
    ),
    fault(
        "1.7",
        "geglu_quick",
        F32,
        drawn(10, 64, 64),
        "rounded_constant wrong_parameter",
        exact(swiglu_with(quick(1.7))),
    ),
    fault(
        "gate of the product",
        "swiglu",
        F32,
        drawn(11, 64, 64),
        "other_variant",
        exact(lambda x: silu(halves(x)[0] * halves(x)[1])),
    ),
    fault("x(1 − x)", "sigmoid", F32, drawn(12), "other_variant", None, exact(lambda x: x * (1 - x))),
    fault(
        "without its second factor",
        "tanh",
        F32,
        drawn(13),
        "other_variant",
        None,
        None,
        exact(lambda x: -2 * np.tanh(x)),
    ),
    fault(
        "density in bfloat16",
        "gelu",
        F32,
        drawn(14),
        "low_precision",
        None,
        exact(gelu_slope_of_short_density),
    ),
    fault(
        "to base 2",
        "softplus",
        F32,
        drawn(15),
        "wrong_parameter rounded_constant",
        exact(lambda x: softplus(x) / np.log(2)),
    ),
    fault(
        "cut off to TF32",
        "tanh",
        F32,
        drawn(16),
        "truncation low_precision",
        lambda x: short(np.tanh(double(x)), 0xFFFFE000),
    ),
    fault("32 lines", "mish", BF16, every(BF16), "table", exact(mish_by_lines)),
    fault("inputs of 8 bits", "sigmoid", BF16, every(BF16), "low_precision table", exact(sigmoid_of_8_bits)),
    fault(
        "gate in e5m2",
        "silu",
        E4M3,
        every(E4M3),
        "low_precision",
        exact(lambda x: x * double(cast(sigmoid(x), E5M2))),
    ),
    fault("hard", "gelu", E5M2, every(E5M2), "other_variant", exact(hard_swish)),
    fault(
        "to base 2",
        "log_softmax",
        F32,
        drawn(17, 32, 64),
        "wrong_parameter",
        exact(lambda x: np.log2(shares(x))),
    ),
    fault(
        "a row too far",
        "softmax",
        F32,
        drawn(18, 32, 64),
        "misplaced",
        exact(lambda x: np.roll(shares(x), 1, 0)),
    ),
    fault("two blocks averaged", "softmax", F32, drawn(19, 32, 64), "normalisation", exact(two_blocks)),
    fault(
        "half the exponent",
        "gaussian",
        F16,
        every(F16),
        "wrong_parameter rounded_constant",
        exact(lambda x: np.exp(-(x**2) / 2)),
    ),
    fault(
        "square in float16",
        "squared_relu",
        BF16,
        every(BF16),
        "overflow clamp low_precision",
        lambda x: cast(np.clip(double(x), 0, 1e3), F16) ** F16(2),
    ),
    fault(
        "sigma without the root of 2",
        "laplace",
        F32,
        drawn(20, scale=1.0),
        "wrong_parameter rounded_constant",
        exact(lambda x: 0.5 * (1 + special.erf((x - 0.707107) / 0.282095))),
    ),
)


def inside(function: Callable[[Any], Any]) -> Kernel:
    """Computed in float32."""
    return lambda x: function(cast(x, F32))


def sigmoid_stable(x: Numbers) -> Numbers:
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e))


def silu_stable(x: Numbers) -> Numbers:
    return np.where(np.isneginf(x), -0.0, x * sigmoid_stable(x))


def selu_single(x: Numbers) -> Numbers:
    return np.where(x > 0, F32(1.0507009873554805) * x, F32(1.7580993408473766) * np.expm1(np.minimum(x, 0)))


def squareplus(x: Numbers) -> Numbers:
    root = np.sqrt(x * x + F32(4))
    return np.where(x > 0, F32(0.5) * (x + root), F32(2) / (root - x))


def tanh_second_slope(x: Numbers) -> Numbers:
    found: Numbers = -2 * np.tanh(x) / np.cosh(x) ** 2
    return found


def log_shares(x: Numbers) -> Numbers:
    apart = x - x.max(-1, keepdims=True)
    found: Numbers = apart - np.log(np.exp(apart).sum(-1, keepdims=True))
    return found


def mish(x: Numbers) -> Numbers:
    return np.where(np.isneginf(x), -0.0, x * np.tanh(np.logaddexp(x.dtype.type(0), x)))


def logcosh(x: Any) -> Any:
    size = np.abs(x)
    return size + np.log1p(np.expm1(-2 * size) / 2)


RIGHT: tuple[Specimen, ...] = (
    right("in float64", "gelu", BF16, every(BF16), exact(gelu)),
    right("in float64", "silu", F32, drawn(50), exact(silu)),
    right("in float32", "tanh", F16, every(F16), inside(np.tanh)),
    right("in float32", "sigmoid", BF16, every(BF16), inside(sigmoid_stable)),
    right("in float32", "silu", BF16, every(BF16), inside(silu_stable)),
    right(
        "in float32",
        "softplus",
        F32,
        drawn(51, scale=8.0),
        lambda x: np.maximum(x, F32(0)) + np.log1p(np.exp(-np.abs(x))),
    ),
    right("in float32", "elu", F32, drawn(52), lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0)))),
    right("in float64", "mish", F32, drawn(53), exact(mish)),
    right("in float64", "gelu_tanh", BF16, every(BF16), exact(tanh_gelu)),
    right("in float32", "leaky_relu", E4M3, every(E4M3), inside(lambda x: np.where(x > 0, x, F32(0.01) * x))),
    right("in float32", "selu", F16, every(F16), inside(selu_single)),
    right("in float32", "hard_swish", BF16, every(BF16), inside(hard_swish)),
    right(
        "in float32",
        "softsign",
        F16,
        every(F16),
        inside(lambda x: np.where(np.isinf(x), np.sign(x), x / (1 + np.abs(x)))),
    ),
    right("in float32", "squareplus", F32, line(-200, 200), squareplus),
    right(
        "with slopes",
        "tanh",
        F32,
        drawn(54),
        exact(np.tanh),
        exact(lambda x: 1 / np.cosh(x) ** 2),
        exact(tanh_second_slope),
    ),
    right("in float32", "swiglu", F32, drawn(55, 64, 128), swiglu_with(silu)),
    right("in float32", "softmax", F32, drawn(56, 64, 128), shares),
    right("in float32", "softmax", BF16, drawn(57, 64, 128, dtype=BF16), inside(shares)),
    right("in float32", "log_softmax", F32, drawn(58, 64, 128), log_shares),
    right(
        "in float32",
        "celu",
        E5M2,
        every(E5M2),
        inside(lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0)))),
    ),
    right(
        "in float16",
        "celu",
        E4M3,
        every(E4M3),
        lambda x: np.where(
            cast(x, F16) > 0, cast(x, F16), F16(0.125) * (np.exp(cast(x, F16) / F16(0.125)) - F16(1))
        ),
        alpha=0.125,
    ),
    right("in float32", "softmax", F16, drawn(91, 64, 128, dtype=F16), inside(shares)),
    right(
        "in float32",
        "gelu",
        F32,
        drawn(92),
        lambda x: F32(0.5) * x * special.erfc(-x * F32(np.sqrt(0.5))),
    ),
    right("in float32", "mish", BF16, every(BF16), inside(mish)),
    right(
        "in float32",
        "sine",
        F16,
        drawn(93, scale=1.0, dtype=F16),
        inside(lambda x: np.sin(x * F32(30))),
        omega=30.0,
    ),
    right("in float32", "hard_sigmoid", F16, every(F16), inside(lambda x: np.clip(x / 6 + F32(0.5), 0, 1))),
    right("in float64", "geglu", F16, drawn(94, 64, 128, dtype=F16), exact(swiglu_with(gelu))),
    right("in float32", "swiglu", BF16, drawn(95, 64, 128, dtype=BF16), inside(swiglu_with(silu))),
    right("in float64", "logcosh", F32, drawn(96), exact(logcosh)),
    right(
        "in float32",
        "log_sigmoid",
        F32,
        drawn(97),
        lambda x: np.minimum(x, F32(0)) - np.log1p(np.exp(-np.abs(x))),
    ),
    right(
        "in float32",
        "sparsemax",
        BF16,
        drawn(98, 64, 32, scale=1.0, dtype=BF16),
        partial(sparsemax, dtype=F32),
    ),
    right("in float64", "erf", F32, drawn(41), exact(special.erf)),
    right("in float32", "arctan", BF16, every(BF16), inside(np.arctan)),
    right("in float64", "serf", F32, drawn(43), exact(lambda x: x * special.erf(softplus(x)))),
    right(
        "in float64",
        "entmax15",
        BF16,
        drawn(45, 64, 32, scale=1.0, dtype=BF16),
        partial(entmax15, dtype=F64),
    ),
    right("in float32", "softmin", F32, drawn(46, 32, 64), lambda x: shares(-x)),
    right("in float32", "tanh", F32, drawn(49), np.tanh),
)
