"""Kernels as someone would write them who tries to get a fault past the judge; and some that are right.

They were written before the judge was tried on them; docs/kernels.md says how many it named at first sight.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
from scipy import special

from app.core.arithmetic.formats import FORMATS, round_to
from app.core.verification.exact import doubles
from tests.core.verification.planted import (
    BF16,
    F16,
    F32,
    Kernel,
    Numbers,
    Planted,
    elu,
    exact_gelu_tanh,
    gelu,
    gelu_tanh,
    inputs,
    sigmoid,
    silu,
    single,
    softplus,
    wide,
)

E4M3: Any = ml_dtypes.float8_e4m3fn
E5M2: Any = ml_dtypes.float8_e5m2


class Examined(NamedTuple):
    """A planted kernel, other causes that are as true of it, and inputs of its own."""

    planted: Planted
    also: frozenset[str] = frozenset()
    drawn: int = 0
    """So many normal numbers for inputs, in no order; 0: the usual ones."""

    @property
    def x(self) -> Numbers:
        """What the kernel is given."""
        if not self.drawn:
            return inputs(self.planted.dtype)
        values = np.random.default_rng(11).normal(scale=3.0, size=self.drawn)
        return round_to(values, FORMATS[self.planted.dtype])


def table(
    function: Callable[[Any], Any], low: float, high: float, count: int, degree: int, ends: str
) -> Kernel:
    """A lookup with interpolation at Chebyshev or end points, as activation units in hardware have it."""
    edges = np.linspace(low, high, count + 1)
    offsets = {1: np.array([0.0, 1.0]), 2: np.array([0.0, 0.5, 1.0]), 3: np.array([0.0, 1 / 3, 2 / 3, 1.0])}[
        degree
    ]
    nodes = edges[:-1, None] + offsets * (edges[1] - edges[0])
    coefficients = np.linalg.solve(np.vander(offsets, degree + 1), function(nodes).T).T

    def kernel(x: Numbers) -> Numbers:
        wide_x = x.astype(np.float64)
        inside = np.clip(np.nan_to_num(wide_x), low, high)
        place = np.minimum(((inside - low) / (edges[1] - edges[0])).astype(int), count - 1)
        t = (inside - edges[place]) / (edges[1] - edges[0])
        answer = np.zeros_like(t)
        for power in range(degree + 1):
            answer = answer * t + coefficients[place, power]
        if ends == "gate":
            answer = np.where(wide_x > high, wide_x, np.where(wide_x < low, 0.0, answer))
        return round_to(np.where(np.isnan(wide_x), np.nan, answer), x.dtype)

    return kernel


def erf_7_1_25(x: Any) -> Any:
    t = 1 / (1 + F32(0.47047) * np.abs(x))
    y = 1 - (F32(0.3480242) * t - F32(0.0958798) * t * t + F32(0.7478556) * t * t * t) * np.exp(-x * x)
    return np.copysign(y, x).astype(x.dtype)


def erf_7_1_27(x: Any) -> Any:
    z = np.abs(x)
    y = 1 + F32(0.278393) * z + F32(0.230389) * z**2 + F32(0.000972) * z**3 + F32(0.078108) * z**4
    return np.copysign(1 - 1 / y**4, x).astype(x.dtype)


def erf_7_1_28(x: Any) -> Any:
    z = np.abs(x)
    y: Any = F32(1)
    for power, each in enumerate(
        (0.0705230784, 0.0422820123, 0.0092705272, 0.0001520143, 0.0002765672, 0.0000430638)
    ):
        y = y + F32(each) * z ** (power + 1)
    return np.copysign(1 - 1 / y**16, x).astype(x.dtype)


def gelu_with(erf: Kernel) -> Kernel:
    return lambda x: F32(0.5) * x * (F32(1) + erf(x * F32(0.70710678)))


def schraudolph(x: Any) -> Any:
    """exp by the bits of float32: a straight line in each binade."""
    i = np.clip(F32(12102203.0) * x + F32(1064866805.0), 0, 2139095040)
    return np.nan_to_num(i).astype(np.int64).astype(np.int32).view(F32)


def power_256(x: Any) -> Any:
    y = F32(1) + x / F32(256)
    for _ in range(8):
        y = y * y
    return y


def pade_tanh(x: Any) -> Any:
    """x(27 + x²)/(27 + 9x²), held at ±1 from ±3."""
    u = np.clip(x, F32(-3), F32(3))
    return u * (F32(27) + u * u) / (F32(27) + F32(9) * u * u)


def lambert_tanh(x: Any) -> Any:
    """The continued fraction's seventh convergent, as audio code has it."""
    u = np.clip(x, F32(-4.97), F32(4.97))
    s = u * u
    top = u * (F32(135135) + s * (F32(17325) + s * (F32(378) + s)))
    return top / (F32(135135) + s * (F32(62370) + s * (F32(3150) + s * F32(28))))


def ftz(x: Numbers) -> Numbers:
    return np.where(np.abs(x) < F32(2.0**-126), np.copysign(F32(0), x), x)


def away(function: Callable[[Any], Any]) -> Kernel:
    def kernel(x: Numbers) -> Numbers:
        exact = function(x.astype(np.float64))
        near = round_to(exact, x.dtype)
        short = np.abs(near.astype(np.float64)) < np.abs(exact)
        return np.where(
            short & np.isfinite(near), np.nextafter(near, np.copysign(x.dtype.type(np.inf), near)), near
        )

    return kernel


def dropped(function: Kernel) -> Kernel:
    """float32 answers stored by their upper half: a cast by shifting."""
    return lambda x: (
        (function(x.astype(F32)).view(np.uint32) >> np.uint32(16)).astype(np.uint16).view(x.dtype)
    )


def stochastic(function: Callable[[Any], Any]) -> Kernel:
    """float32 answers, random bits added below bfloat16's, cut off."""

    def kernel(x: Numbers) -> Numbers:
        bits = function(x.astype(np.float64)).astype(F32).view(np.uint32)
        noise = np.random.default_rng(5).integers(0, 1 << 16, bits.shape, dtype=np.uint32)
        moved = np.where(np.isfinite(bits.view(F32)), bits + noise, bits)
        found: Numbers = (moved >> np.uint32(16)).astype(np.uint16).view(x.dtype)
        return found

    return kernel


def stable_sigmoid(x: Numbers) -> Numbers:
    z = np.exp(-np.abs(x))
    return np.where(x >= 0, F32(1) / (F32(1) + z), z / (F32(1) + z))


def stable_silu(x: Numbers) -> Numbers:
    return np.where(np.isneginf(x), F32(-0.0), x * stable_sigmoid(x))


def tf32(x: Any) -> Any:
    bits = x.astype(F32).view(np.uint32)
    return ((bits + np.uint32(0x1000)) & np.uint32(0xFFFFE000)).view(F32)


def step_by_step(*operations: Callable[[Any], Any]) -> Kernel:
    def kernel(x: Numbers) -> Numbers:
        y: Any = x
        for each in operations:
            y = each(y)
        return y  # type: ignore[no-any-return]

    return kernel


def mish_bf16(x: Any) -> Any:
    e = np.exp(x)
    n = e * (e + BF16(2))
    return np.where(x > BF16(20), x, x * (n / (n + BF16(2))))


def whole_vectors_only(function: Kernel, width: int) -> Kernel:
    """What does not fill a vector is not written."""

    def kernel(x: Numbers) -> Numbers:
        answer = np.zeros_like(x)
        whole = x.size // width * width
        answer[:whole] = function(x[:whole])
        return answer

    return kernel


def stale_tail(function: Kernel, width: int) -> Kernel:
    """The last, partial vector holds what the one before left."""

    def kernel(x: Numbers) -> Numbers:
        answer = function(x)
        whole = x.size // width * width
        answer[whole:] = answer[whole - width : whole][: x.size - whole]
        return answer

    return kernel


def other_tail(function: Kernel, tail: Kernel, width: int) -> Kernel:
    """Vectors by one formula, the remainder by another."""

    def kernel(x: Numbers) -> Numbers:
        whole = x.size // width * width
        return np.concatenate([function(x[:whole]), tail(x[whole:])])

    return kernel


def shifted(function: Kernel, by: int) -> Kernel:
    return lambda x: np.roll(function(x), by)


def quick(x: Any) -> Any:
    return x * sigmoid(1.702 * x)


def hard_swish(x: Any) -> Any:
    return x * np.clip(x + 3, 0, 6) / 6


def steps_of(dtype: Any, *, top: float, bottom: float) -> Callable[[Numbers], Numbers]:
    """8 bits, affine: what a quantised kernel puts out."""
    scale = (top - bottom) / 255
    return lambda y: (
        bottom + np.clip(np.rint((y.astype(np.float64) - bottom) / scale), 0, 255) * scale
    ).astype(dtype)


def some(*causes: str) -> frozenset[str]:
    return frozenset(causes)


def fault(
    name: str,
    function: str,
    dtype: str,
    cause: str,
    kernel: Kernel,
    *also: str,
    drawn: int = 0,
    **params: float,
) -> Examined:
    return Examined(Planted(name, function, dtype, cause, kernel, params), frozenset(also), drawn)


FAULTS: tuple[Examined, ...] = (
    fault("64 lines to ±6", "sigmoid", "bfloat16", "table", table(sigmoid, -6, 6, 64, 1, "hold"), "clamp"),
    fault("256 lines to ±8", "gelu", "float16", "table", table(gelu, -8, 8, 256, 1, "gate")),
    fault("32 parabolas to ±8", "silu", "float32", "table", table(silu, -8, 8, 32, 2, "gate")),
    fault("256 lines to ±4", "tanh", "float32", "table", table(np.tanh, -4, 4, 256, 1, "hold")),
    fault("16 cubics to ±8", "softplus", "float16", "table", table(softplus, -8, 8, 16, 3, "gate")),
    fault(
        "input at ±6", "sigmoid", "float32", "clamp", lambda x: stable_sigmoid(np.clip(x, F32(-6), F32(6)))
    ),
    fault("gate at ±8", "silu", "float16", "clamp", single(lambda x: x * sigmoid(np.clip(x, -8, 8)))),
    fault(
        "exp at 88",
        "silu",
        "float32",
        "clamp",
        lambda x: x / (1 + np.exp(np.minimum(-x, F32(88)))),
        "cancellation",
    ),
    fault(
        "0 and x beyond ±10",
        "gelu",
        "float32",
        "threshold",
        single(lambda x: np.where(x < -10, 0.0, np.where(x > 10, x, gelu(x)))),
    ),
    fault(
        "denormals to zero, both ways",
        "tanh",
        "float32",
        "flushed_subnormals",
        lambda x: ftz(np.tanh(ftz(x))),
    ),
    fault(
        "denormal inputs",
        "gelu",
        "bfloat16",
        "flushed_subnormals",
        wide(lambda x: gelu(ftz(x).astype(np.float64))),
    ),
    fault(
        "denormal answers",
        "silu",
        "float32",
        "flushed_subnormals",
        lambda x: ftz(silu(x.astype(np.float64)).astype(F32)),
    ),
    fault("shifted to bfloat16", "tanh", "bfloat16", "truncation", dropped(np.tanh)),
    fault("away from zero", "gelu", "float16", "truncation", away(gelu)),
    fault("NaN to zero", "relu", "bfloat16", "special_values", wide(lambda x: np.fmax(x, F32(0)))),
    fault(
        "NaN to the bound",
        "hard_tanh",
        "float16",
        "special_values",
        lambda x: np.fmin(np.fmax(x, F16(-1)), F16(1)),
    ),
    fault(
        "−0 for 0",
        "tanh",
        "float16",
        "special_values",
        lambda x: np.where(x == 0, -x, np.tanh(x.astype(F32)).astype(F16)),
    ),
    fault(
        "TF32 inputs",
        "gelu",
        "float32",
        "low_precision",
        lambda x: gelu(tf32(x).astype(np.float64)).astype(F32),
    ),
    fault(
        "inputs cast to bfloat16",
        "silu",
        "float32",
        "low_precision",
        lambda x: silu(x.astype(BF16).astype(np.float64)).astype(F32),
    ),
    fault("α of 0.2", "leaky_relu", "float32", "wrong_parameter", lambda x: np.where(x > 0, x, F32(0.2) * x)),
    fault("β of 1", "softplus", "bfloat16", "wrong_parameter", single(softplus), "other_variant", beta=2.0),
    fault(
        "α and scale in float16",
        "selu",
        "float32",
        "rounded_constant",
        single(
            lambda x: (
                float(F16(1.0507009873554805))
                * np.where(x > 0, x, float(F16(1.6732632423543772)) * np.expm1(np.minimum(x, 0)))
            )
        ),
    ),
    fault("tanh form for erf's", "gelu", "bfloat16", "other_variant", single(exact_gelu_tanh)),
    fault("quick form for tanh's", "gelu_tanh", "float16", "other_variant", single(quick)),
    fault("hard swish for silu", "silu", "float32", "other_variant", single(hard_swish)),
    fault("erf by 7.1.25", "gelu", "float32", "approximation", gelu_with(erf_7_1_25)),
    fault("erf by 7.1.27", "gelu", "bfloat16", "approximation", wide(gelu_with(erf_7_1_27))),
    fault("erf by 7.1.28", "gelu", "float32", "approximation", gelu_with(erf_7_1_28), "cancellation"),
    fault(
        "exp by Schraudolph",
        "sigmoid",
        "float32",
        "approximation",
        lambda x: F32(1) / (F32(1) + schraudolph(-x)),
        "table",
    ),
    fault(
        "exp by the 256th power", "silu", "float32", "approximation", lambda x: x / (F32(1) + power_256(-x))
    ),
    fault("tanh by Padé", "tanh", "float32", "approximation", pade_tanh, "table"),
    fault("step by step", "mish", "bfloat16", "low_precision", mish_bf16, "overflow"),
    fault("step by step", "gelu_tanh", "bfloat16", "low_precision", gelu_tanh, "cancellation"),
    fault(
        "cube overflows",
        "gelu_tanh",
        "float16",
        "overflow",
        lambda x: (
            F16(0.5)
            * x
            * (F16(1) + np.tanh((F16(0.79788) * x + F16(0.035677) * (x * x * x)).astype(F32)).astype(F16))
        ),
        "low_precision",
        "cancellation",
    ),
    fault(
        "log(1 + exp) in float16",
        "softplus",
        "float16",
        "overflow",
        lambda x: np.log(F16(1) + np.exp(x)),
        "cancellation",
        "low_precision",
    ),
    fault(
        "log of 1 + exp(−x)",
        "log_sigmoid",
        "float16",
        "cancellation",
        wide(lambda x: -np.log(F32(1) + np.exp(-x))),
        "overflow",
    ),
    fault(
        "2σ(2x) − 1",
        "tanh",
        "float32",
        "cancellation",
        lambda x: F32(2) * stable_sigmoid(F32(2) * x) - F32(1),
    ),
    fault(
        "exp − 1",
        "celu",
        "float32",
        "cancellation",
        lambda x: np.maximum(x, F32(0)) + np.minimum(F32(0), np.exp(x) - F32(1)),
        "overflow",
    ),
    fault(
        "0.2x + 0.5",
        "hard_sigmoid",
        "bfloat16",
        "other_variant",
        single(lambda x: np.clip(0.2 * x + 0.5, 0, 1)),
    ),
    fault("at each step", "silu", "float8_e5m2", "low_precision", lambda x: x / (E5M2(1) + np.exp(-x))),
    fault(
        "8 bits", "tanh", "float32", "low_precision", step_by_step(np.tanh, steps_of(F32, top=1, bottom=-1))
    ),
    fault(
        "1 + erf in float64",
        "gelu",
        "float64",
        "cancellation",
        lambda x: 0.5 * x * (1 + special.erf(x / np.sqrt(2.0))),
    ),
    fault(
        "whole vectors only",
        "silu",
        "float32",
        "tail",
        whole_vectors_only(stable_silu, 16),
        "misplaced",
        "unwritten",
        drawn=5003,
    ),
    fault(
        "the last vector is stale",
        "gelu",
        "bfloat16",
        "tail",
        stale_tail(single(gelu), 64),
        "misplaced",
        drawn=4133,
    ),
    fault(
        "another formula for the rest",
        "gelu",
        "float32",
        "tail",
        other_tail(single(gelu), single(quick), 128),
        "other_variant",
        drawn=6127,
    ),
    fault("one place on", "sigmoid", "float16", "misplaced", shifted(single(sigmoid), 1), drawn=5000),
)

RIGHT: tuple[Examined, ...] = (
    fault("two branches", "sigmoid", "float32", "", stable_sigmoid),
    fault("two branches", "silu", "float32", "", stable_silu),
    fault("two branches", "silu", "bfloat16", "", wide(stable_silu)),
    fault(
        "by expm1",
        "tanh",
        "float32",
        "",
        lambda x: np.copysign(-np.expm1(-2 * np.abs(x)) / (2 + np.expm1(-2 * np.abs(x))), x),
    ),
    fault(
        "by erfc",
        "gelu",
        "bfloat16",
        "",
        wide(
            lambda x: np.where(np.isneginf(x), F32(-0.0), F32(0.5) * x * special.erfc(-x * F32(0.70710678)))
        ),
    ),
    fault(
        "by expm1", "celu", "float32", "", lambda x: np.maximum(x, F32(0)) + np.minimum(F32(0), np.expm1(x))
    ),
    fault(
        "in float32",
        "selu",
        "float16",
        "",
        wide(lambda x: F32(1.0507009873554805) * np.where(x > 0, x, F32(1.6732632423543772) * np.expm1(x))),
    ),
    fault(
        "max and log1p",
        "softplus",
        "float16",
        "",
        wide(lambda x: np.maximum(x, F32(0)) + np.log1p(np.exp(-np.abs(x)))),
    ),
    fault(
        "min and log1p",
        "log_sigmoid",
        "float16",
        "",
        wide(lambda x: np.minimum(x, F32(0)) - np.log1p(np.exp(-np.abs(x)))),
    ),
    fault("stochastic rounding", "silu", "bfloat16", "", stochastic(silu)),
    fault(
        "through float64",
        "gelu",
        "float8_e4m3fn",
        "",
        lambda x: round_to(gelu(x.astype(np.float64)), np.dtype(E4M3)),
    ),
    fault("in float32", "elu", "bfloat16", "", wide(elu)),
    fault("Newton's reciprocal", "softsign", "float32", "", lambda x: x * (F32(1) / (F32(1) + np.abs(x)))),
)
"""Most of them are not correctly rounded."""


def answers(examined: Examined) -> tuple[Any, Any]:
    """Inputs and outputs, as doubles."""
    x = examined.x
    dtype = FORMATS[examined.planted.dtype]
    with np.errstate(all="ignore"):
        found = examined.planted.kernel(x)
        if found.dtype != dtype:
            found = round_to(found.astype(np.float64), dtype)
    return doubles(x), doubles(found)
