"""Gated linear units: half of a row, times an activation of the other half.

A row of n = 2m inputs gives m outputs y_i = value_i · g(gate_i). In `GLU` the gate is the second half, as in
Dauphin et al. and the frameworks; in its kin the gate is the first half, as in Shazeer and ONNX.

One product is rounded on top of what the gate's own entry answers. Where g or g′ alone would be subnormal, a
large value can bring the product back among the normal numbers: there the gate is evaluated in extended
precision, whose exponents reach further. (Where the platform's long double is a plain double, such products
keep the absolute accuracy of a subnormal gate.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from typing import NamedTuple, TypeAlias

import numpy as np

from app.core.activations.definition import (
    Argument,
    Elementwise,
    FrameworkName,
    Reference,
    Rowwise,
    Text,
    formulas,
)
from app.core.activations.gated import GELU, SWISH
from app.core.activations.parameters import Array, Parameter, Value
from app.core.activations.rectifiers import RELU
from app.core.activations.sigmoidal import SIGMOID
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


Tail: TypeAlias = Callable[..., tuple[Array, Array]]
"""g and g′ at a longdouble argument, for arguments far from zero."""


def _sigmoid_tail(z: Array) -> tuple[Array, Array]:
    e = np.exp(-np.abs(z))
    return np.where(z < 0, e, 1) / (1 + e), e / ((1 + e) * (1 + e))


def _swish_tail(z: Array, beta: Value) -> tuple[Array, Array]:
    step, slope = _sigmoid_tail(beta * z)
    return z * step, step + beta * z * slope


def _gelu_tail(z: Array) -> tuple[Array, Array]:
    """For z ≤ −30: Φ(z) = φ(z)/(t + 1/(t + 2/(t + …))) with t = −z (Laplace's continued fraction)."""
    t = np.maximum(-z, 30)
    fraction = t
    for term in range(12, 0, -1):
        fraction = t + term / fraction
    density = np.exp(-z * z / 2) / np.sqrt(2 * np.longdouble(np.pi) + 2 * np.longdouble(_PI_LOW))
    return z * density / fraction, density / fraction + z * density


_PI_LOW = 1.2246467991473532e-16
"""π − fl(π): sin of the double nearest to π."""


class _Halves(NamedTuple):
    """The value, the gate's g and g′, each (..., m); longdouble where one of g and g′ is tiny."""

    value: Array
    gate: Array
    slope: Array


class _Product:
    """y = value · g(gate): the three functions a `Rowwise` entry needs, for one gate."""

    def __init__(self, gate: Elementwise, *, gate_first: bool, tail: Tail | None = None) -> None:
        self._gate = gate
        self._gate_first = gate_first
        self._tail = tail

    def value(self, x: Array, **params: Value) -> Array:
        """(..., 2m) to (..., m)."""
        halves = self._halves(x, params)
        return _rounded(halves.value * halves.gate)

    def jacobian(self, x: Array, **params: Value) -> Array:
        """(..., 2m) to (..., m, 2m): ∂y_i/∂value_i = g, ∂y_i/∂gate_i = value_i g′, all others 0."""
        halves = self._halves(x, params)
        m = halves.value.shape[-1]
        jacobian = np.zeros((*x.shape[:-1], m, 2 * m))
        index = np.arange(m)
        to_value, to_gate = self._ordered(halves.gate, halves.value * halves.slope)
        jacobian[..., index, index] = to_value
        jacobian[..., index, index + m] = to_gate
        return jacobian

    def pullback(self, x: Array, upstream: Array, **params: Value) -> tuple[Array, Mapping[str, Array]]:
        """dL/dx, (..., 2m)."""
        halves = self._halves(x, params)
        parts = self._ordered(upstream * halves.gate, upstream * (halves.value * halves.slope))
        return _rounded(np.concatenate(parts, axis=-1)), {}

    def _halves(self, x: Array, params: Mapping[str, Value]) -> _Halves:
        first, second = np.split(x, 2, axis=-1)
        gate, value = (first, second) if self._gate_first else (second, first)
        orders = islice(self._gate.derivatives(gate.ravel(), **params), 2)
        g, slope = (each.reshape(gate.shape) for each in orders)
        tiny = np.minimum(np.abs(g), np.abs(slope)) < _TINY
        if self._tail is None or not tiny.any():
            return _Halves(value, g, slope)
        tiny &= np.isfinite(gate) & (np.abs(gate) > 1)  # near zero g is tiny because its argument is
        far, far_slope = self._tail(np.where(tiny, gate, -_FAR).astype(np.longdouble), **params)
        return _Halves(value, np.where(tiny, far, g), np.where(tiny, far_slope, slope))

    def _ordered(self, of_value: Array, of_gate: Array) -> tuple[Array, Array]:
        return (of_gate, of_value) if self._gate_first else (of_value, of_gate)


_TINY = 2.0**-900
_FAR = 40.0
"""Any argument in the tail: what stands in for those that need none."""


def _rounded(values: Array) -> Array:
    return values.astype(np.float64, copy=False)


_GLU = _Product(SIGMOID, gate_first=False, tail=_sigmoid_tail)
_SWIGLU = _Product(SWISH, gate_first=True, tail=_swish_tail)
_GEGLU = _Product(GELU, gate_first=True, tail=_gelu_tail)
_REGLU = _Product(RELU, gate_first=True)

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
    frameworks=(
        FrameworkName(framework="torch", names=("GLU", "glu"), axis=("dim", -1)),
        FrameworkName(framework="jax", names=("glu",), axis=("axis", -1)),
        FrameworkName(framework="keras", names=("glu",), axis=("axis", -1)),
    ),
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
            description="Steepness of the gate's sigmoid.",
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
    frameworks=(
        # ONNX takes the two halves as two inputs, gate first.
        FrameworkName(framework="onnx", names=("SwiGLU",), arguments=(Argument("alpha", "beta", 1.0),)),
    ),
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
