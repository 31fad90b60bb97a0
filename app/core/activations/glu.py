"""Gated linear units: half of a row, times an activation of the other half.

A row of n = 2m inputs gives m outputs y_i = value_i · g(gate_i). In `GLU` the gate is the second half, as in
Dauphin et al. and the frameworks; in its kin the gate is the first half, as in Shazeer and ONNX.

g and g′ are carried with more digits and exponents than a double has, so that a product of value, gate and
upstream gradient is rounded once: within 2 ulp, even where a large value meets a gate that alone would be
subnormal. (The gates' own entries are right to 2 ulp, which another product can double.) Where g′ passes
through zero the ulp is that of the larger of its two terms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TypeAlias

import numpy as np

from app.core.activations.definition import (
    Reference,
    Rowwise,
    Text,
    formulas,
)
from app.core.activations.parameters import Parameter
from app.core.activations.rectifiers import RELU
from app.core.arithmetic import Array, Value
from app.core.arithmetic.accurate import two_product
from app.core.arithmetic.extended import Extended, choose, exponential, extended, reciprocal
from app.core.arithmetic.normal_tail import END, mills_ratio
from app.core.arithmetic.summation import two_sum
from app.core.errors import InvalidValue

_DAUPHIN = Reference(
    authors="Dauphin, Fan, Auli, Grangier",
    title="Language Modeling with Gated Convolutional Networks",
    year=2017,
    identifier="arXiv:1612.08083",
)
_SHAZEER = Reference(
    authors="Shazeer", title="GLU Variants Improve Transformer", year=2020, identifier="arXiv:2002.05202"
)


def _half(n: int, **_: Value) -> int:
    if n % 2:
        raise InvalidValue("the axis must have an even length: one half gates the other", loc=("inputs",))
    return n // 2


Gate: TypeAlias = Callable[..., tuple[Extended, Extended]]
"""g and g′ at an array of arguments."""


class _Product:
    """y = value · g(gate): the three functions a `Rowwise` entry needs, for one gate."""

    def __init__(self, gate: Gate, *, gate_first: bool) -> None:
        self._gate = gate
        self._gate_first = gate_first

    def value(self, x: Array, **params: Value) -> Array:
        """(..., 2m) to (..., m)."""
        value, g, _ = self._factors(x, params)
        return value.times(g).rounded()

    def jacobian(self, x: Array, **params: Value) -> Array:
        """(..., 2m) to (..., m, 2m): ∂y_i/∂value_i = g, ∂y_i/∂gate_i = value_i g′, all others 0."""
        value, g, slope = self._factors(x, params)
        m = x.shape[-1] // 2
        jacobian = np.zeros((*x.shape[:-1], m, 2 * m))
        index = np.arange(m)
        first, second = self._ordered(g.rounded(), value.times(slope).rounded())
        jacobian[..., index, index] = first
        jacobian[..., index, index + m] = second
        return jacobian

    def pullback(self, x: Array, upstream: Array, **params: Value) -> tuple[Array, Mapping[str, Array]]:
        """dL/dx, (..., 2m)."""
        value, g, slope = self._factors(x, params)
        seed = extended(upstream)
        parts = self._ordered(seed.times(g).rounded(), seed.times(value).times(slope).rounded())
        return np.concatenate(parts, axis=-1), {}

    def _factors(self, x: Array, params: Mapping[str, Value]) -> tuple[Extended, Extended, Extended]:
        """The value, the gate's g and g′, each (..., m)."""
        first, second = np.split(x.astype(np.float64, copy=False), 2, axis=-1)
        gate, value = (first, second) if self._gate_first else (second, first)
        return extended(value), *self._gate(gate, **params)

    def _ordered(self, of_value: Array, of_gate: Array) -> tuple[Array, Array]:
        return (of_gate, of_value) if self._gate_first else (of_value, of_gate)


def _sigmoid(z: Array) -> tuple[Extended, Extended]:
    step, rest = _logistic(z, np.zeros_like(z))
    return step, step.times(rest)


def _swish(z: Array, *, beta: float) -> tuple[Extended, Extended]:
    u, low = two_product(_finite(z), beta)
    step, rest = _logistic(u, low)
    argument = np.where(step.high == 0, _finite(z), z)
    return extended(argument).times(step), step.times(extended(_finite(u), low).times(rest).plus_one())


def _logistic(t: Array, low: Array) -> tuple[Extended, Extended]:
    """σ(t + low) and σ(−t − low)."""
    left = t < 0
    e = exponential(-np.abs(t), np.where(left, low, -low))
    total = e.plus_one()
    inverse, inverse_low = reciprocal(total.high, total.low)
    large = Extended(inverse, inverse_low, -total.exponent)
    small = e.times(large)
    return choose(left, small, large), choose(left, large, small)


def _gelu(z: Array) -> tuple[Extended, Extended]:
    size = np.minimum(np.abs(z), _GONE)
    ratio, low = mills_ratio(np.minimum(size, END))
    square, square_low = two_product(size, size / 2)
    density = exponential(-square, -square_low).times(_DENSITY_AT_0)
    probability, excess = density.times(extended(ratio, low)), density.times(_sum(-size, ratio, low))
    left = z < 0
    argument = np.where(left, _finite(z), z)
    step = choose(left, probability, probability.negative().plus_one())
    return extended(argument).times(step), choose(left, excess, excess.negative().plus_one())


def _relu(z: Array) -> tuple[Extended, Extended]:
    g, slope = RELU.orders(z, 2)
    return extended(g), extended(slope)


def _sum(a: Array, b: Array, low: Array) -> Extended:
    """a + b + low."""
    total, error = two_sum(a, b)
    return extended(total, error + low)


def _finite(z: Array) -> Array:
    """z, with the largest double for ∞: its product with what has vanished is 0."""
    limit = np.finfo(np.float64).max
    return z.clip(-limit, limit)


_GONE = 100.0
"""φ(100) counts as 0, not as a tiny number: times an infinite value it has no limit."""

_DENSITY = Decimal("0.398942280401432677939946059934381868475858631164934657665926")
_DENSITY_AT_0 = extended(np.array(float(_DENSITY)), float(_DENSITY - Decimal(float(_DENSITY))))
"""1/√(2π)."""

_GLU = _Product(_sigmoid, gate_first=False)
_SWIGLU = _Product(_swish, gate_first=True)
_GEGLU = _Product(_gelu, gate_first=True)
_REGLU = _Product(_relu, gate_first=True)

GLU = Rowwise(
    name="glu",
    title=Text("Gated linear unit", "게이트 선형 유닛(GLU)"),
    summary=Text(
        "Multiplies the first half of a row by the sigmoid of the second half: the second half decides how "
        "much of the first passes. The path through the value is linear, so its gradient is scaled by the "
        "gate alone.",
        "한 줄의 앞쪽 절반에 뒤쪽 절반의 시그모이드를 곱합니다. 뒤쪽 절반이 앞쪽 절반을 얼마나 통과시킬지 "
        "정합니다. 값이 지나는 길은 선형이어서 그래디언트에는 게이트만 곱해집니다.",
    ),
    formulas=formulas(
        "x[i] * sigmoid(x[i + m])",
        "sigmoid(x[i + m]) if k == i else x[i] * g / (1 + g)**2 if k == i + m else 0",
        g="exp(-x[i + m])",
    ),
    width=_half,
    value=_GLU.value,
    jacobian=_GLU.jacobian,
    pullback=_GLU.pullback,
    range="(-inf, inf)",
    limits=("0", "inf"),
    largest_slope="inf",
    zero_centred=True,
    monotone=False,
    smoothness=np.inf,
    saturates=frozenset({"negative"}),
    references=(_DAUPHIN,),
)

SWIGLU = Rowwise(
    name="swiglu",
    title=Text("SwiGLU", "SwiGLU"),
    summary=Text(
        "Multiplies Swish of the first half of a row by the second half. Large language models use it in "
        "their feed-forward layers; its slope has no bound, so normalisation usually stands before it.",
        "한 줄의 앞쪽 절반에 Swish를 적용해 뒤쪽 절반과 곱합니다. 대규모 언어 모델의 피드포워드 층에 "
        "쓰입니다. 기울기에 상한이 없어 보통 그 앞에 정규화를 둡니다.",
    ),
    parameters=(
        Parameter(
            name="beta",
            symbol=r"\beta",
            description=("steepness of the gate's sigmoid", "게이트 시그모이드의 가파르기"),
            default=1.0,
            typical=(0.25, 4.0),
        ),
    ),
    formulas=formulas(
        "x[i] * s * x[i + m]",
        "s * x[i + m] + beta * x[i] * s * r * x[i + m] if k == i else x[i] * s if k == i + m else 0",
        s="sigmoid(beta * x[i])",
        r="sigmoid(-beta * x[i])",
    ),
    width=_half,
    value=_SWIGLU.value,
    jacobian=_SWIGLU.jacobian,
    pullback=_SWIGLU.pullback,
    range="(-inf, inf)",
    limits=("0", "inf"),
    largest_slope="inf",
    zero_centred=True,
    monotone=False,
    smoothness=np.inf,
    saturates=frozenset({"negative"}),
    references=(_SHAZEER,),
)

GEGLU = Rowwise(
    name="geglu",
    title=Text("GEGLU", "GEGLU"),
    summary=Text(
        "Multiplies GELU of the first half of a row by the second half: a gated unit whose gate is smooth "
        "and lets small negative values through.",
        "한 줄의 앞쪽 절반에 GELU를 적용해 뒤쪽 절반과 곱합니다. 게이트가 매끄럽고 작은 음수도 조금 "
        "통과시키는 유닛입니다.",
    ),
    formulas=formulas(
        "x[i] * p * x[i + m]",
        "p * x[i + m] + x[i] * phi(x[i]) * x[i + m] if k == i else x[i] * p if k == i + m else 0",
        p="Phi(x[i])",
    ),
    width=_half,
    value=_GEGLU.value,
    jacobian=_GEGLU.jacobian,
    pullback=_GEGLU.pullback,
    range="(-inf, inf)",
    limits=("0", "inf"),
    largest_slope="inf",
    zero_centred=True,
    monotone=False,
    smoothness=np.inf,
    saturates=frozenset({"negative"}),
    references=(_SHAZEER,),
)

REGLU = Rowwise(
    name="reglu",
    title=Text("ReGLU", "ReGLU"),
    summary=Text(
        "Multiplies ReLU of the first half of a row by the second half. Cheap, but where the gate is "
        "negative neither half receives a gradient.",
        "한 줄의 앞쪽 절반에 ReLU를 적용해 뒤쪽 절반과 곱합니다. 계산이 싸지만, 게이트가 음수인 곳에서는 두 "
        "절반 모두 그래디언트를 받지 못합니다.",
    ),
    formulas=formulas(
        "max(x[i], 0) * x[i + m]",
        "(x[i + m] if x[i] > 0 else 0) if k == i else max(x[i], 0) if k == i + m else 0",
    ),
    width=_half,
    value=_REGLU.value,
    jacobian=_REGLU.jacobian,
    pullback=_REGLU.pullback,
    range="(-inf, inf)",
    limits=("0", "inf"),
    largest_slope="inf",
    zero_centred=True,
    monotone=False,
    smoothness=0,
    saturates=frozenset({"negative"}),
    references=(_SHAZEER,),
)

FAMILY = (GLU, SWIGLU, GEGLU, REGLU)
