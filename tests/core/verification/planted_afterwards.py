"""Kernels written after the first row and derivative causes, in the style of public kernels.

docs/kernels.md has the judge's verdicts at first sight. Three kinds of cause were added since because of
them, so these kernels no longer measure what the judge says of unknown ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
from scipy import special

from app.core.arithmetic import Array
from app.core.arithmetic.formats import FORMATS, round_to
from app.core.verification.exact import doubles

F16, F32 = np.float16, np.float32
BF16: Any = ml_dtypes.bfloat16
Kernel = Callable[[Any], Any]


class Row(NamedTuple):
    """A kernel of rows, or of their Jacobians, and the causes that are true of it; none for a right one."""

    name: str
    function: str
    dtype: str
    causes: frozenset[str]
    outputs: Kernel | None
    jacobian: Kernel | None = None
    shape: tuple[int, int] = (48, 80)
    params: Mapping[str, float] = MappingProxyType({})

    @property
    def x(self) -> Array:
        """Normal numbers of the format."""
        values = np.random.default_rng(7).normal(scale=2.5, size=self.shape)
        return doubles(round_to(values, FORMATS[self.dtype]))


class Slope(NamedTuple):
    """A kernel of f′, at all numbers of a short format, or at usual ones in float32."""

    name: str
    function: str
    dtype: str
    causes: frozenset[str]
    kernel: Kernel


def row(
    name: str,
    function: str,
    dtype: str,
    causes: str,
    outputs: Kernel | None,
    jacobian: Kernel | None = None,
    **more: Any,
) -> Row:
    return Row(name, function, dtype, frozenset(causes.split()), outputs, jacobian, **more)


def online(x: Any) -> Any:
    """The running maximum and sum of an online softmax, without rescaling the sum."""
    largest, total = np.full(len(x), -np.inf), np.zeros(len(x))
    for column in x.T:
        largest = np.maximum(largest, column)
        total = total + np.exp(column - largest)
    return np.exp(x - largest[:, None]) / total[:, None]


def tiles(x: Any, width: int = 32) -> Any:
    """Each tile of a row normalised by itself."""
    return np.concatenate(
        [special.softmax(x[:, at : at + width], axis=1) for at in range(0, x.shape[1], width)], axis=1
    )


def added_in(dtype: Any) -> Kernel:
    def kernel(x: Any) -> Any:
        powers = np.exp(x - x.max(axis=1, keepdims=True))
        total = np.zeros((len(x), 1), dtype)
        for column in powers.T:
            total = (total + column[:, None].astype(dtype)).astype(dtype)
        return powers / total.astype(np.float64)

    return kernel


def partial_sum(x: Any) -> Any:
    """Vectors of 16 are summed; what does not fill one is forgotten (80 is five of them, 75 is not)."""
    powers = np.exp(x - x.max(axis=1, keepdims=True))
    return powers / powers[:, : x.shape[1] // 16 * 16].sum(axis=1, keepdims=True)


def halves(x: Any) -> tuple[Any, Any]:
    return x[:, : x.shape[1] // 2], x[:, x.shape[1] // 2 :]


def silu(x: Any) -> Any:
    return x * special.expit(x)


def swiglu(x: Any) -> Any:
    return silu(halves(x)[0]) * halves(x)[1]


def softmax(x: Any) -> Any:
    return special.softmax(x, axis=1)


def log_softmax(x: Any) -> Any:
    return special.log_softmax(x, axis=1)


def swiglu_triton(x: Any) -> Any:
    """float32 inside, the gate cast to bfloat16 before the product."""
    gate, up = halves(x)
    return silu(gate).astype(BF16).astype(np.float64) * up


def glu_first(x: Any) -> Any:
    """GLU with σ on the first half."""
    first, second = halves(x)
    return special.expit(first) * second


def geglu_tanh(x: Any) -> Any:
    gate, up = halves(x)
    return 0.5 * gate * (1 + np.tanh(0.7978845608028654 * gate * (1 + 0.044715 * gate * gate))) * up


def reglu_leaky(x: Any) -> Any:
    gate, up = halves(x)
    return np.where(gate > 0, gate, 0.01 * gate) * up


def clamped(x: Any) -> Any:
    gate, up = halves(x)
    return silu(np.minimum(gate, 4.0)) * up


def softmax_slope(x: Any) -> Any:
    s = special.softmax(x, axis=1)
    return s[:, :, None] * (np.eye(x.shape[1]) - s[:, None, :])


def short_softmax_slope(x: Any) -> Any:
    s = special.softmax(x, axis=1).astype(BF16).astype(np.float64)
    return s[:, :, None] * (np.eye(x.shape[1]) - s[:, None, :])


def diagonal_slope(x: Any) -> Any:
    s = special.softmax(x, axis=1)
    return (s * (1 - s))[:, :, None] * np.eye(x.shape[1])


def log_slope_turned(x: Any) -> Any:
    s = special.softmax(x, axis=1)
    return s[:, None, :] - np.eye(x.shape[1])


def gated_slope(by_gate: Kernel, by_value: Kernel, *, turned: bool = False) -> Kernel:
    def kernel(x: Any) -> Any:
        gate, up = halves(x)
        count = gate.shape[1]
        found = np.zeros((len(x), count, 2 * count))
        own = np.arange(count)
        first, second = by_gate(gate) * up, by_value(gate)
        found[:, own, own] = second if turned else first
        found[:, own, own + count] = first if turned else second
        return found

    return kernel


def silu_slope(x: Any) -> Any:
    s = special.expit(x)
    return s * (1 + x * (1 - s))


def float32_rows(x: Any) -> Any:
    shifted = (x - x.max(axis=1, keepdims=True)).astype(F32)
    powers = np.exp(shifted)
    return powers / powers.sum(axis=1, keepdims=True, dtype=F32)


ROWS: tuple[Row, ...] = (
    row("the sum is not rescaled", "softmax", "float32", "normalisation", online),
    row("each tile by itself", "softmax", "bfloat16", "normalisation", tiles),
    row("the last vector forgotten", "softmax", "float32", "normalisation", partial_sum, shape=(48, 75)),
    row("added in float16", "softmax", "float32", "low_precision", added_in(F16)),
    row("added in bfloat16", "softmax", "float16", "low_precision", added_in(BF16)),
    row(
        "by the mean",
        "softmax",
        "float16",
        "normalisation",
        lambda x: (
            np.exp(x - x.max(1, keepdims=True))
            * x.shape[1]
            / np.exp(x - x.max(1, keepdims=True)).sum(1, keepdims=True)
        ),
    ),
    row(
        "by the L2 norm",
        "softmin",
        "float32",
        "normalisation",
        lambda x: np.exp(-x) / np.linalg.norm(np.exp(-x), axis=1, keepdims=True),
    ),
    row("by the whole", "log_softmax", "float32", "normalisation", lambda x: x - np.log(np.exp(x).sum())),
    row(
        "by columns",
        "log_softmax",
        "bfloat16",
        "wrong_parameter normalisation",
        lambda x: special.log_softmax(x, axis=0),
    ),
    row(
        "one row on",
        "softmin",
        "bfloat16",
        "misplaced",
        lambda x: np.roll(special.softmax(-x, axis=1), 1, axis=0),
    ),
    row(
        "the last rows not written",
        "softmax",
        "float32",
        "tail",
        lambda x: np.where(np.arange(len(x))[:, None] < 44, special.softmax(x, axis=1), 0.0),
    ),
    row(
        "temperature left in",
        "softmax",
        "float16",
        "wrong_parameter",
        lambda x: special.softmax(x / 8, axis=1),
    ),
    row("bfloat16 gate", "swiglu", "float32", "low_precision", swiglu_triton),
    row("sigmoid on the other half", "glu", "float32", "halves other_variant", glu_first),
    row("tanh form", "geglu", "float16", "other_variant", geglu_tanh),
    row("a leak", "reglu", "bfloat16", "other_variant", reglu_leaky),
    row("gate at 4", "swiglu", "float32", "clamp", clamped),
    row("interleaved", "swiglu", "bfloat16", "halves", lambda x: silu(x[:, 0::2]) * x[:, 1::2]),
    row(
        "diagonal alone",
        "softmax",
        "float32",
        "other_variant",
        softmax,
        diagonal_slope,
        shape=(6, 20),
    ),
    row(
        "shares in bfloat16",
        "softmax",
        "float32",
        "low_precision",
        softmax,
        short_softmax_slope,
        shape=(6, 20),
    ),
    row(
        "sign",
        "log_softmax",
        "bfloat16",
        "other_variant wrong_parameter",
        log_softmax,
        log_slope_turned,
        shape=(6, 20),
    ),
    row(
        "halves swapped in backward",
        "swiglu",
        "float32",
        "halves",
        swiglu,
        gated_slope(silu_slope, silu, turned=True),
        shape=(8, 24),
    ),
    row(
        "σ for silu′ in backward",
        "swiglu",
        "bfloat16",
        "other_variant",
        swiglu,
        gated_slope(special.expit, silu),
        shape=(8, 24),
    ),
    row(
        "σ′ for silu′ in backward",
        "swiglu",
        "float32",
        "other_variant",
        swiglu,
        gated_slope(lambda g: special.expit(g) * (1 - special.expit(g)), silu),
        shape=(8, 24),
    ),
)

RIGHT_ROWS: tuple[Row, ...] = (
    row("float32", "softmax", "bfloat16", "", float32_rows),
    row("float32", "softmax", "float16", "", float32_rows, shape=(16, 200)),
    row("float64", "log_softmax", "float32", "", log_softmax),
    row("float64", "swiglu", "float32", "", swiglu),
    row(
        "with slopes",
        "softmax",
        "bfloat16",
        "",
        softmax,
        softmax_slope,
        shape=(6, 20),
    ),
)


def e(x: Any) -> Any:
    return np.exp(x)


def s(x: Any) -> Any:
    return F32(1) / (F32(1) + np.exp(-x))


def mish_by_exponentials(x: Any) -> Any:
    """Forward by n/(n + 2), backward by the quotient rule."""
    w = e(x)
    n = w * (w + F32(2))
    t = n / (n + F32(2))
    dn = F32(2) * w * (w + F32(1))
    return t + x * dn * F32(2) / ((n + F32(2)) * (n + F32(2)))


def swish_by_output(x: Any) -> Any:
    y = x * s(x)
    return y + s(x) * (F32(1) - y)


def gelu_backward(x: Any) -> Any:
    cdf = F32(0.5) * (F32(1) + special.erf(x * F32(0.70710678)))
    return cdf + x * F32(0.3989422804) * e(F32(-0.5) * x * x)


def tanh_gelu_backward(x: Any) -> Any:
    k, c = F32(0.79788456), F32(0.044715)
    t = np.tanh(k * (x + c * x * x * x))
    return F32(0.5) * (F32(1) + t) + F32(0.5) * x * (F32(1) - t * t) * k * (F32(1) + F32(3) * c * x * x)


def silu_slope_in_float16(x: Any) -> Any:
    q = F16(1) / (F16(1) + np.exp(-x))
    return q + x * q * (F16(1) - q)


def mish_by_tanh(x: Any) -> Any:
    t = np.tanh(np.log1p(e(x)))
    return t + x * (F32(1) - t * t) * s(x)


def mish_by_softplus(x: Any) -> Any:
    p = np.log1p(e(x))
    return np.tanh(p) + x * (F32(1) - np.tanh(p) ** 2) * (F32(1) - e(-p))


def quick_slope(x: Any) -> Any:
    z = 1.702 * x.astype(np.float64)
    q = special.expit(z)
    return q + z * q * (1 - q)


def slope(name: str, function: str, dtype: str, causes: str, kernel: Kernel) -> Slope:
    return Slope(name, function, dtype, frozenset(causes.split()), kernel)


SLOPES: tuple[Slope, ...] = (
    slope(
        "s(1 + x(1 − s))",
        "silu",
        "float32",
        "cancellation overflow",
        lambda x: s(x) * (F32(1) + x * (F32(1) - s(x))),
    ),
    slope("y + s(1 − y)", "silu", "float32", "cancellation", swish_by_output),
    slope(
        "in float16",
        "silu",
        "float16",
        "low_precision cancellation",
        silu_slope_in_float16,
    ),
    slope(
        "tanh of log1p",
        "mish",
        "float32",
        "cancellation overflow",
        mish_by_tanh,
    ),
    slope("by exponentials", "mish", "float32", "overflow cancellation", mish_by_exponentials),
    slope(
        "1 − exp(−softplus)",
        "mish",
        "float32",
        "cancellation overflow",
        mish_by_softplus,
    ),
    slope("cdf and pdf", "gelu", "bfloat16", "cancellation", lambda x: gelu_backward(x.astype(F32))),
    slope("by tanh", "gelu_tanh", "float32", "cancellation overflow", tanh_gelu_backward),
    slope("y(1 − y)", "sigmoid", "float32", "cancellation", lambda x: s(x) * (F32(1) - s(x))),
    slope("1 − y²", "tanh", "float16", "cancellation", lambda x: F16(1) - np.tanh(x) * np.tanh(x)),
    slope("1 − exp(−y)", "softplus", "float32", "cancellation", lambda x: F32(1) - e(-np.log1p(e(x)))),
    slope("y + α", "elu", "float32", "cancellation", lambda x: np.where(x > 0, F32(1), np.expm1(x) + F32(1))),
    slope(
        "quick",
        "gelu",
        "bfloat16",
        "other_variant",
        quick_slope,
    ),
    slope(
        "the step alone", "silu", "bfloat16", "other_variant", lambda x: special.expit(x.astype(np.float64))
    ),
)
