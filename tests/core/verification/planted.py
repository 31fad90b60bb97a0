"""Kernels with a known fault, as people write them, in NumPy; and kernels without one.

Each is a function from numbers of its format to numbers of its format.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import ml_dtypes
import numpy as np
from numpy.typing import NDArray
from scipy import special

from app.core.arithmetic import Array
from app.core.arithmetic.formats import FORMATS, round_to
from app.core.verification.exact import doubles, every_number

Numbers: TypeAlias = NDArray[Any]
Kernel: TypeAlias = Callable[[Numbers], Numbers]

F32 = np.float32
F16 = np.float16
BF16: Any = ml_dtypes.bfloat16


class Planted(NamedTuple):
    """``cause`` should be named first; None for a correct kernel."""

    name: str
    function: str
    dtype: str
    cause: str | None
    kernel: Kernel
    params: Mapping[str, float] = MappingProxyType({})


def inputs(dtype: str) -> Numbers:
    """All numbers of a short format; for float32 and float64 a spread of them."""
    numbers = every_number(FORMATS[dtype])
    if numbers is None:
        near = np.concatenate([np.linspace(-12, 12, 3001), np.linspace(-110, 110, 881)])
        tiny = np.geomspace(1e-44, 1, 500)
        numbers = np.concatenate([near, tiny, -tiny, [0.0, np.inf, -np.inf, np.nan]])
    with np.errstate(invalid="ignore"):
        return round_to(numbers, FORMATS[dtype])


def outputs(planted: Planted) -> tuple[Array, Array]:
    """Its inputs and outputs, as doubles."""
    x = inputs(planted.dtype)
    with np.errstate(all="ignore"):
        answers = planted.kernel(x)
        if answers.dtype != FORMATS[planted.dtype]:
            answers = round_to(answers.astype(np.float64), FORMATS[planted.dtype])
    return doubles(x), doubles(answers)


def wide(function: Kernel, inside: Any = F32) -> Kernel:
    """Computes in another format and rounds the answer once."""
    return lambda x: function(x.astype(inside)).astype(x.dtype)


def single(function: Callable[[Numbers], Numbers]) -> Kernel:
    """Computes in float64 and rounds the answer once, correctly."""
    return lambda x: round_to(function(x.astype(np.float64)), x.dtype)


def sigmoid(x: Numbers) -> Numbers:
    found: Numbers = special.expit(x)
    return found


def gelu(x: Numbers) -> Numbers:
    return np.where(np.isneginf(x), -0.0, x * special.ndtr(x))


def gelu_tanh(x: Numbers, root: float = 0.7978845608028654, cubic: float = 0.044715) -> Numbers:
    t = x.dtype.type
    inner = t(root) * (x + t(cubic) * x * x * x)
    found: Numbers = t(0.5) * x * (t(1) + np.tanh(inner))
    return found


def exact_gelu_tanh(x: Numbers, root: float = 0.7978845608028654, cubic: float = 0.044715) -> Numbers:
    """In float64, without cancellation."""
    return x * special.expit(2 * root * (x + cubic * x**3))


def softplus(x: Numbers) -> Numbers:
    return np.logaddexp(0.0, x)


def silu(x: Numbers) -> Numbers:
    return np.where(np.isneginf(x), -0.0, x * special.expit(x))


def cut(function: Kernel) -> Kernel:
    """float32 results, their last 16 bits dropped."""

    def kernel(x: Numbers) -> Numbers:
        bits = function(x.astype(F32)).astype(F32).view(np.uint32) & np.uint32(0xFFFF0000)
        return bits.view(F32).astype(x.dtype)

    return kernel


def towards_zero(function: Kernel) -> Kernel:
    """The neighbour towards zero of the exact answer."""

    def kernel(x: Numbers) -> Numbers:
        exact = function(x.astype(np.float64))
        near = round_to(exact, x.dtype)
        if x.dtype.itemsize == 1:
            numbers = np.unique(np.abs(every_number(x.dtype)))  # type: ignore[arg-type]
            numbers = numbers[np.isfinite(numbers)]
            place = np.clip(np.searchsorted(numbers, np.abs(exact), side="right") - 1, 0, None)
            return np.where(np.isfinite(exact), np.copysign(numbers[place], exact), exact).astype(x.dtype)
        beyond = np.abs(near.astype(np.float64)) > np.abs(exact)
        return np.where(beyond, np.nextafter(near, x.dtype.type(0)), near)

    return kernel


def flushed(function: Kernel, *, given: bool = False, taken: bool = False) -> Kernel:
    """Subnormal inputs taken, or answers given, as zero."""

    def kernel(x: Numbers) -> Numbers:
        tiny = float(ml_dtypes.finfo(x.dtype).smallest_normal)  # type: ignore[no-untyped-call]
        values = x.astype(np.float64)
        if taken:
            values = np.where(np.abs(values) < tiny, 0.0, values)
        answers = round_to(function(values), x.dtype)
        if given:
            answers = np.where(np.abs(answers.astype(np.float64)) < tiny, x.dtype.type(0), answers)
        return answers

    return kernel


def ggml_gelu(x: Numbers) -> Numbers:
    """ggml_vec_gelu_f32 with its table of all float16 numbers."""
    table = gelu_tanh(x.astype(F16).astype(F32)).astype(F16).astype(F32)
    return np.where(x <= -10, F32(0), np.where(x >= 10, x, table))


def table_of(function: Kernel, low: float, high: float, segments: int, degree: int = 1) -> Kernel:
    """Pieces between evenly spaced knots, the ends' values beyond: nearest step, line, or polynomial."""
    knots = np.linspace(low, high, segments + 1)

    def kernel(x: Numbers) -> Numbers:
        u = np.clip(x.astype(np.float64), low, high)
        if degree == 0:
            return round_to(function(knots[np.rint((u - low) / (knots[1] - knots[0])).astype(int)]), x.dtype)
        if degree == 1:
            return round_to(np.interp(u, knots, function(knots)), x.dtype)
        place = np.clip(((u - low) / (knots[1] - knots[0])).astype(int), 0, segments - 1)
        answer = np.zeros_like(u)
        for number in range(segments):
            grid = np.linspace(knots[number], knots[number + 1], 4 * degree)
            piece = np.polynomial.Polynomial.fit(grid, function(grid), degree)
            here = place == number
            answer[here] = piece(u[here])
        return round_to(answer, x.dtype)

    return lambda x: np.where(
        np.isnan(x.astype(F32)), x, kernel(np.nan_to_num(x.astype(F32)).astype(x.dtype))
    )


def selu(x: Numbers, alpha: float = 1.6732632423543772, scale: float = 1.0507009873554805) -> Numbers:
    return scale * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def elu(x: Numbers, alpha: float = 1.0) -> Numbers:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def mish(x: Numbers) -> Numbers:
    return x * np.tanh(softplus(x))


def silu_short(x: Numbers) -> Numbers:
    """Every step in x's own format."""
    one = x.dtype.type(1)
    found: Numbers = x * (one / (one + np.exp(-x)))
    return found


def naive_gelu(x: Numbers) -> Numbers:
    t = x.dtype.type
    found: Numbers = t(0.5) * x * (t(1) + special.erf(x.astype(F32) / np.sqrt(F32(2))).astype(x.dtype))
    return found


def erf_7_1_26(x: Numbers) -> Numbers:
    """Abramowitz and Stegun, formula 7.1.26, as shader code has it: an absolute error of 1.5e-7."""
    t = 1 / (1 + F32(0.3275911) * np.abs(x))
    terms = (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)
    powers = np.zeros_like(x)
    for term in terms:
        powers = (powers + F32(term)) * t
    found: Numbers = np.copysign(1 - powers * np.exp(-x * x), x)
    return found


def int8_sigmoid(x: Numbers) -> Numbers:
    """TensorFlow Lite's logistic of 8 bits: 256 outputs of scale 1/256 and zero point −128."""
    found = np.clip(np.rint(sigmoid(x.astype(np.float64)) * 256) - 128, -128, 127)
    scaled: Numbers = (found + 128) / 256
    return scaled


FAULTS: tuple[Planted, ...] = (
    Planted(
        "by half a tanh",
        "sigmoid",
        "float32",
        "cancellation",
        lambda x: F32(0.5) * np.tanh(F32(0.5) * x) + F32(0.5),
    ),
    Planted(
        "erf by 7.1.26",
        "gelu",
        "float32",
        "cancellation",
        lambda x: F32(0.5) * x * (1 + erf_7_1_26(x / np.sqrt(F32(2)))),
    ),
    Planted(
        "2^(1.4427x) for e^x",
        "sigmoid",
        "float32",
        "rounded_constant",
        lambda x: 1 / (1 + np.exp2(-x * F32(1.4427))),
    ),
    Planted("8 bits", "sigmoid", "float32", "low_precision", int8_sigmoid),
    Planted(
        "log of sigmoid",
        "log_sigmoid",
        "float32",
        "cancellation",
        lambda x: np.log(1 / (1 + np.exp(-x))),
    ),
    Planted(
        "through float16",
        "tanh",
        "bfloat16",
        "low_precision",
        wide(lambda x: np.tanh(x.astype(F16).astype(F32))),
    ),
    Planted("1 + erf in float32", "gelu", "float32", "cancellation", naive_gelu),
    Planted("1 + erf in float32", "gelu", "bfloat16", "cancellation", wide(naive_gelu)),
    Planted(
        "exp − 1 in float32",
        "elu",
        "float32",
        "cancellation",
        lambda x: np.where(x > 0, x, np.exp(x) - F32(1)),
    ),
    Planted(
        "log(1 + exp) in float32",
        "softplus",
        "bfloat16",
        "cancellation",
        wide(lambda x: np.log(F32(1) + np.exp(x))),
    ),
    Planted("tanh form for erf", "gelu", "float16", "other_variant", single(exact_gelu_tanh)),
    Planted(
        "quick form for erf", "gelu", "bfloat16", "other_variant", single(lambda x: x * sigmoid(1.702 * x))
    ),
    Planted(
        "hard swish for silu",
        "silu",
        "float8_e4m3fn",
        "other_variant",
        single(lambda x: x * np.clip(x + 3, 0, 6) / 6),
    ),
    Planted("erf form for tanh's", "gelu_tanh", "float32", "other_variant", single(gelu)),
    Planted("SiLU step by step", "silu", "bfloat16", "low_precision", silu_short),
    Planted(
        "mish step by step",
        "mish",
        "float16",
        "low_precision",
        lambda x: x * np.tanh(np.log1p(np.exp(-abs(x))) + np.maximum(x, F16(0))),
    ),
    Planted(
        "sigmoid in bfloat16",
        "sigmoid",
        "float32",
        "low_precision",
        lambda x: (1 / (1 + np.exp(-x.astype(BF16)))).astype(F32),
    ),
    Planted(
        "TF32 inputs",
        "tanh",
        "float32",
        "low_precision",
        lambda x: np.tanh((x.view(np.uint32) & np.uint32(0xFFFFE000)).view(F32).astype(np.float64)).astype(
            F32
        ),
    ),
    Planted(
        "float32 in float64",
        "sigmoid",
        "float64",
        "low_precision",
        lambda x: (1 / (1 + np.exp(-x.astype(F32)))).astype(np.float64),
    ),
    Planted(
        "0.7978", "gelu_tanh", "float32", "rounded_constant", single(lambda x: exact_gelu_tanh(x, 0.7978))
    ),
    Planted("0.79788", "gelu_tanh", "float32", "rounded_constant", lambda x: gelu_tanh(x, 0.79788)),
    Planted(
        "1.7 for 1.702", "quick_gelu", "float16", "rounded_constant", single(lambda x: x * sigmoid(1.7 * x))
    ),
    Planted(
        "SELU with 1.67 and 1.05",
        "selu",
        "bfloat16",
        "rounded_constant",
        single(lambda x: selu(x, 1.67, 1.05)),
    ),
    Planted(
        "exp clamped at ±88",
        "sigmoid",
        "bfloat16",
        "clamp",
        wide(lambda x: 1 / (1 + np.exp(-np.clip(x, F32(-88), F32(88))))),
    ),
    Planted("tanh clamped at ±3", "tanh", "float16", "clamp", single(lambda x: np.tanh(np.clip(x, -3, 3)))),
    Planted(
        "tanh is ±1 beyond 5",
        "tanh",
        "float32",
        "clamp",
        single(lambda x: np.where(abs(x) > 5, np.sign(x), np.tanh(x))),
    ),
    Planted(
        "softplus linear from 10",
        "softplus",
        "float32",
        "threshold",
        single(lambda x: np.where(x > 10, x, softplus(x))),
    ),
    Planted(
        "SiLU zero below −8",
        "silu",
        "bfloat16",
        "threshold",
        single(lambda x: np.where(x < -8, 0.0, silu(x))),
    ),
    Planted("ggml's table", "gelu_tanh", "float32", "table", ggml_gelu),
    Planted("16 lines", "sigmoid", "bfloat16", "table", table_of(sigmoid, -8, 8, 16)),
    Planted("64 lines", "sigmoid", "float16", "table", table_of(sigmoid, -8, 8, 64)),
    Planted("256 steps", "tanh", "float16", "table", table_of(np.tanh, -4, 4, 256, 0)),
    Planted(
        "slope 0.01 for 0.1",
        "leaky_relu",
        "float8_e5m2",
        "wrong_parameter",
        single(lambda x: np.where(x > 0, x, 0.01 * x)),
        {"negative_slope": 0.1},
    ),
    Planted("alpha 1.5 for 1", "elu", "bfloat16", "wrong_parameter", single(lambda x: elu(x, 1.5))),
    Planted("outputs flushed", "sigmoid", "bfloat16", "flushed_subnormals", flushed(sigmoid, given=True)),
    Planted("inputs flushed", "gelu", "float16", "flushed_subnormals", flushed(gelu, taken=True)),
    Planted("bits dropped", "silu", "bfloat16", "truncation", cut(silu)),
    Planted("towards zero", "tanh", "float8_e4m3fn", "truncation", towards_zero(np.tanh)),
    Planted(
        "float16 read as bfloat16",
        "tanh",
        "bfloat16",
        "wrong_dtype",
        lambda x: np.tanh(x.view(F16).astype(F32)).astype(F16).view(BF16),
    ),
    Planted(
        "0.7978 and 1 + tanh", "gelu_tanh", "float32", "rounded_constant", lambda x: gelu_tanh(x, 0.7978)
    ),
    Planted(
        "1.67326 and 1.0507",
        "selu",
        "float32",
        "rounded_constant",
        single(lambda x: selu(x, 1.67326, 1.0507)),
    ),
    Planted(
        "slope 0.1666667",
        "hard_sigmoid",
        "float32",
        "rounded_constant",
        lambda x: np.clip(x * F32(0.1666667) + F32(0.5), F32(0), F32(1)),
    ),
    Planted(
        "exp clamped at ±88",
        "silu",
        "bfloat16",
        "clamp",
        wide(lambda x: x / (1 + np.exp(-np.clip(x, F32(-88), F32(88))))),
    ),
    Planted(
        "linear from 20",
        "softplus",
        "float64",
        "threshold",
        lambda x: np.where(x > 20, x, np.log1p(np.exp(np.minimum(x, 20.0)))),
    ),
    Planted("64 lines", "sigmoid", "bfloat16", "table", table_of(sigmoid, -8, 8, 64)),
    Planted("1024 steps", "sigmoid", "float32", "table", table_of(sigmoid, -8, 8, 1024, 0)),
    Planted("16 cubics", "tanh", "float32", "table", table_of(np.tanh, -4, 4, 16, 3)),
    Planted("alpha 0.5 for 1", "elu", "float8_e4m3fn", "wrong_parameter", single(lambda x: elu(x, 0.5))),
    Planted("zeros", "gelu", "float32", "unrelated", np.zeros_like),
)
"""Every cause but `halves`, which elementwise functions do not have."""

RIGHT: tuple[Planted, ...] = (
    Planted(
        "float32, two branches",
        "sigmoid",
        "float32",
        None,
        lambda x: np.where(x < 0, np.exp(-abs(x)), F32(1)) / (1 + np.exp(-abs(x))),
    ),
    Planted(
        "float32, stable",
        "log_sigmoid",
        "float32",
        None,
        lambda x: np.minimum(x, F32(0)) - np.log1p(np.exp(-abs(x))),
    ),
    Planted("float32, by abs", "softsign", "float32", None, lambda x: x / (1 + abs(x))),
    Planted("float32, by expm1", "selu", "float32", None, lambda x: selu(x).astype(F32)),
    Planted("through float32", "elu", "float16", None, wide(elu)),
    Planted("correctly rounded", "gelu", "bfloat16", None, single(gelu)),
    Planted("correctly rounded", "silu", "float16", None, single(silu)),
    Planted("correctly rounded", "tanh", "float32", None, single(np.tanh)),
    Planted("correctly rounded", "mish", "float8_e4m3fn", None, single(mish)),
    Planted("correctly rounded", "softplus", "float8_e5m2", None, single(softplus)),
    Planted("correctly rounded", "elu", "bfloat16", None, single(elu)),
    Planted("through float32", "silu", "bfloat16", None, wide(silu, np.float64)),
    Planted("float32, by expm1", "elu", "float32", None, lambda x: np.where(x > 0, x, np.expm1(x))),
    Planted("float32, NumPy's", "tanh", "float32", None, np.tanh),
    Planted(
        "float32, stable",
        "softplus",
        "float32",
        None,
        lambda x: np.maximum(x, F32(0)) + np.log1p(np.exp(-abs(x))),
    ),
)
"""Fifteen, at least three of which are not correctly rounded."""
