"""Gated linear units: half of a row, times an activation of the other half.

A row of n = 2m inputs gives m outputs y_i = value_i · g(gate_i). In `GLU` the gate is the second half, as in
Dauphin et al. and the frameworks; in the others it is the first half, as in Shazeer and ONNX.

g and g′ are carried with more digits and exponents than a double has, so that a product of value, gate and
upstream gradient is rounded once: within 2 ulp, even where a large value meets a gate that alone would be
subnormal. (The gates' own entries are right to 2 ulp, which another product can double.) Where g′ passes
through zero the ulp is that of the larger of its two terms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeAlias

import numpy as np
from numba import types
from numpy.typing import NDArray

from app.core.activations.corners import FATRELU
from app.core.activations.definition import (
    Reference,
    Rowwise,
    Text,
    formulas,
)
from app.core.activations.gated import GELU, GELU_TANH, QUICK_GELU, SWISH
from app.core.activations.parameters import Parameter
from app.core.activations.piecewise import level
from app.core.activations.rectifiers import RELU
from app.core.activations.sigmoidal import SIGMOID
from app.core.arithmetic import Array, Value
from app.core.arithmetic.compiled import Compiled
from app.core.arithmetic.double_double import Scaled, scalar
from app.core.arithmetic.loops import Kernel
from app.core.arithmetic.scaled import Orders, apart, exactly, nearest_double, normal, odd_double, times
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


Gated: TypeAlias = tuple[Scaled, Scaled, Scaled]
Unit: TypeAlias = Callable[..., Gated]


def half(n: int, **_: Value) -> int:
    """The outputs of a row of n. Raises `InvalidValue` for an odd n."""
    if n % 2:
        raise InvalidValue("the axis must have an even length: one half gates the other", loc=("inputs",))
    return n // 2


@cache
def product(gate: Kernel) -> Unit:
    """value · g(gate)."""
    function = gate.function

    @scalar
    def unit(value: float, z: float, *params: float) -> Gated:
        results = function(z, *params)
        g, slope = normal(results[0]), normal(results[1])
        factor = apart(value)
        return times(factor, g), g, times(factor, slope)

    return unit


class GatedUnit:
    """The three functions a `Rowwise` entry needs, from the ``unit`` that combines a value with its gate.

    ``unit(value, gate, *parameters)`` gives y, ∂y/∂value and ∂y/∂gate, with mantissas near 1. The gates are
    the first or the second half of a row, or where they are ``interleaved`` the elements 0, 2, 4, ….
    """

    def __init__(self, name: str, unit: Unit, *, gate_first: bool = True, interleaved: bool = False) -> None:
        self._name = f"{__name__}.{name}"
        self._unit = unit
        self._gate_first = gate_first
        self._interleaved = interleaved

    def value(self, x: Array, *, odd: bool = False, **params: Value) -> Array:
        """(..., 2m) to (..., m)."""
        return self._parts(x, None, params, odd)[0]

    def jacobian(self, x: Array, *, odd: bool = False, **params: Value) -> Array:
        """(..., 2m) to (..., m, 2m): y_i by its value and its gate, 0 elsewhere."""
        _, of_value, of_gate = self._parts(x, None, params, odd)
        jacobian = np.zeros((*of_gate.shape, x.shape[-1]))
        index = np.arange(of_gate.shape[-1])
        gates, values = self._halves(np.arange(x.shape[-1]))
        jacobian[..., index, gates], jacobian[..., index, values] = of_gate, of_value
        return jacobian

    def pullback(
        self, x: Array, upstream: Array, *, odd: bool = False, **params: Value
    ) -> tuple[Array, Mapping[str, Array]]:
        """dL/dx, (..., 2m)."""
        _, of_value, of_gate = self._parts(x, upstream, params, odd)
        pulled = np.empty(x.shape)
        gates, values = self._halves(pulled)
        gates[...], values[...] = of_gate, of_value
        return pulled, {}

    def _halves(self, x: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """The gates and the values among the elements of the last axis."""
        if self._interleaved:
            return x[..., ::2], x[..., 1::2]
        first, second = np.split(x, 2, axis=-1)
        return (first, second) if self._gate_first else (second, first)

    def _parts(
        self, x: Array, upstream: Array | None, params: Mapping[str, Value], odd: bool
    ) -> tuple[Array, Array, Array]:
        """y, and ∂/∂value and ∂/∂gate times ``upstream``, each (..., m)."""
        gate, value = self._halves(x.astype(np.float64, copy=False))
        seed = np.ones(gate.shape) if upstream is None else upstream
        parts = [np.empty(gate.size) for _ in range(3)]
        flat = [np.ascontiguousarray(each).reshape(-1) for each in (value, gate, seed)]
        _gating(self._name, self._unit, len(params), odd)(*flat, *parts, tuple(map(float, params.values())))
        output, of_value, of_gate = (part.reshape(gate.shape) for part in parts)
        return output, of_value, of_gate


@cache
def _gating(name: str, unit: Unit, parameters: int, odd: bool) -> Compiled:
    end = odd_double if odd else nearest_double

    def loop(
        value: Array, z: Array, seed: Array, output: Array, of_value: Array, of_gate: Array, params: Any
    ) -> None:
        for i in range(z.size):
            y, by_value, by_gate = unit(value[i], z[i], *params)
            weight = apart(seed[i])
            output[i] = end(y)
            of_value[i] = end(times(weight, by_value))
            of_gate[i] = end(times(weight, by_gate))

    read, write = types.Array(types.float64, 1, "C", readonly=True), types.Array(types.float64, 1, "C")
    params = types.Tuple([types.float64] * parameters)  # type: ignore[no-untyped-call]
    name = f"{name}.{'odd' if odd else 'nearest'}"
    return Compiled(loop, [(read, read, read, write, write, write, params)], name)


@Kernel
def _identity(x: float) -> Orders:
    return exactly(x), level(1.0, x), level(0.0, x)


_GLU = GatedUnit("glu", product(SIGMOID.kernel), gate_first=False)
_SWIGLU = GatedUnit("swiglu", product(SWISH.kernel))
_GEGLU = GatedUnit("geglu", product(GELU.kernel))
_GEGLU_TANH = GatedUnit("geglu_tanh", product(GELU_TANH.kernel))
_GEGLU_QUICK = GatedUnit("geglu_quick", product(QUICK_GELU.kernel))
_REGLU = GatedUnit("reglu", product(RELU.kernel))
_GATED_FATRELU = GatedUnit("gated_fatrelu", product(FATRELU.kernel))
_BILINEAR = GatedUnit("bilinear", product(_identity))

GLU = Rowwise(
    name="glu",
    title=Text("Gated linear unit", "게이트 선형 유닛(GLU)"),
    summary=Text(
        "Multiplies the first half of a row by the sigmoid of the second half: the second half decides how "
        "much of the first passes. The path through the value is linear, so its gradient is scaled by the "
        "gate alone.",
        "한 행의 앞쪽 절반에 뒤쪽 절반의 시그모이드를 곱합니다. 뒤쪽 절반이 앞쪽 절반을 얼마나 통과시킬지 "
        "정합니다. 값이 지나는 경로는 선형이어서 그래디언트에는 게이트만 곱해집니다.",
    ),
    formulas=formulas(
        "x[i] * sigmoid(x[i + m])",
        "sigmoid(x[i + m]) if k == i else x[i] * g / (1 + g)**2 if k == i + m else 0",
        g="exp(-x[i + m])",
    ),
    width=half,
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
        "their feed-forward layers; its slope has no bound, so it is usually preceded by normalisation.",
        "한 행의 앞쪽 절반에 Swish를 적용해 뒤쪽 절반과 곱합니다. 대규모 언어 모델의 피드포워드 층에 "
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
    width=half,
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
        "한 행의 앞쪽 절반에 GELU를 적용해 뒤쪽 절반과 곱합니다. 게이트가 매끄럽고 작은 음수도 조금 "
        "통과시키는 유닛입니다.",
    ),
    formulas=formulas(
        "x[i] * p * x[i + m]",
        "p * x[i + m] + x[i] * phi(x[i]) * x[i + m] if k == i else x[i] * p if k == i + m else 0",
        p="Phi(x[i])",
    ),
    width=half,
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
        "한 행의 앞쪽 절반에 ReLU를 적용해 뒤쪽 절반과 곱합니다. 계산이 싸지만, 게이트가 음수인 곳에서는 두 "
        "절반 모두 그래디언트를 받지 못합니다.",
    ),
    formulas=formulas(
        "max(x[i], 0) * x[i + m]",
        "(x[i + m] if x[i] > 0 else 0) if k == i else max(x[i], 0) if k == i + m else 0",
    ),
    width=half,
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

GEGLU_TANH = Rowwise(
    name="geglu_tanh",
    title=Text("GEGLU (tanh form)", "GEGLU(tanh 근사)"),
    summary=Text(
        "GEGLU with the tanh form of GELU in its gate, as Gemma, T5 v1.1 and ggml's `geglu` have it. It "
        "differs from GEGLU by up to 4.8e-4 times the other half: weights trained with one form need that "
        "form.",
        "게이트에 GELU의 tanh 근사를 쓰는 GEGLU로, Gemma와 T5 v1.1, ggml의 `geglu`가 이 형태입니다. "
        "GEGLU와의 차이는 나머지 절반의 최대 4.8e-4배이며, 한쪽 형태로 학습한 가중치에는 같은 형태를 써야 "
        "합니다.",
    ),
    formulas=formulas(
        "x[i] * s * x[i + m]",
        "(s + 2 * x[i] * v * s * r) * x[i + m] if k == i else x[i] * s if k == i + m else 0",
        s="sigmoid(2 * sqrt(2 / pi) * (x[i] + 0.044715 * x[i]**3))",
        r="sigmoid(-2 * sqrt(2 / pi) * (x[i] + 0.044715 * x[i]**3))",
        v="sqrt(2 / pi) * (1 + 0.134145 * x[i]**2)",
    ),
    width=half,
    value=_GEGLU_TANH.value,
    jacobian=_GEGLU_TANH.jacobian,
    pullback=_GEGLU_TANH.pullback,
    range="(-inf, inf)",
    limits=("0", "inf"),
    largest_slope="inf",
    zero_centred=True,
    monotone=False,
    smoothness=np.inf,
    saturates=frozenset({"negative"}),
    references=(_SHAZEER,),
)

GEGLU_QUICK = Rowwise(
    name="geglu_quick",
    title=Text("GEGLU (quick form)", "GEGLU(간이형)"),
    summary=Text(
        "GEGLU with x·σ(1.702x) for GELU in its gate: one exponential, and off by up to 0.021 times the "
        "other half.",
        "게이트의 GELU를 x·σ(1.702x)로 바꾼 GEGLU입니다. 지수 함수 한 번으로 계산하며, GEGLU와의 차이는 "
        "나머지 절반의 최대 0.021배입니다.",
    ),
    formulas=formulas(
        "x[i] * s * x[i + m]",
        "(s + 1.702 * x[i] * s * r) * x[i + m] if k == i else x[i] * s if k == i + m else 0",
        s="sigmoid(1.702 * x[i])",
        r="sigmoid(-1.702 * x[i])",
    ),
    width=half,
    value=_GEGLU_QUICK.value,
    jacobian=_GEGLU_QUICK.jacobian,
    pullback=_GEGLU_QUICK.pullback,
    range="(-inf, inf)",
    limits=("0", "inf"),
    largest_slope="inf",
    zero_centred=True,
    monotone=False,
    smoothness=np.inf,
    saturates=frozenset({"negative"}),
    references=(_SHAZEER,),
)

GATED_FATRELU = Rowwise(
    name="gated_fatrelu",
    title=Text("Gated FATReLU", "게이트 FATReLU"),
    summary=Text(
        "Multiplies FATReLU of the first half of a row by the second half: ReGLU with a threshold above 0, "
        "so that more products are exactly 0 and their weights need not be read.",
        "한 행의 앞쪽 절반에 FATReLU를 적용해 뒤쪽 절반과 곱합니다. 문턱이 0보다 높은 ReGLU이므로 정확히 0이 "
        "되는 곱이 더 많고, 그만큼 가중치를 읽지 않아도 됩니다.",
    ),
    parameters=FATRELU.parameters,
    formulas=formulas(
        "(x[i] if x[i] > threshold else 0) * x[i + m]",
        "(x[i + m] if x[i] > threshold else 0) if k == i"
        " else (x[i] if x[i] > threshold else 0) if k == i + m else 0",
    ),
    width=half,
    value=_GATED_FATRELU.value,
    jacobian=_GATED_FATRELU.jacobian,
    pullback=_GATED_FATRELU.pullback,
    range="(-inf, inf)",
    limits=("0", "inf"),
    largest_slope="inf",
    zero_centred=True,
    monotone=False,
    smoothness=-1,
    saturates=frozenset({"negative"}),
    references=(*FATRELU.references, _SHAZEER),
)

BILINEAR = Rowwise(
    name="bilinear",
    title=Text("Bilinear GLU", "쌍선형 GLU"),
    summary=Text(
        "Multiplies the two halves of a row, with no function between them: a gated unit without the gate's "
        "sigmoid. A layer with it is a quadratic form of its input.",
        "한 행의 두 절반을 그대로 곱합니다. 게이트에서 시그모이드를 뺀 유닛이며, 이 유닛을 쓰는 층은 입력의 "
        "이차 형식이 됩니다.",
    ),
    formulas=formulas("x[i] * x[i + m]", "x[i + m] if k == i else x[i] if k == i + m else 0"),
    width=half,
    value=_BILINEAR.value,
    jacobian=_BILINEAR.jacobian,
    pullback=_BILINEAR.pullback,
    range="(-inf, inf)",
    limits=("inf", "inf"),
    largest_slope="inf",
    zero_centred=True,
    monotone=False,
    smoothness=np.inf,
    references=(_DAUPHIN, _SHAZEER),
)

FAMILY = (GLU, SWIGLU, GEGLU, GEGLU_TANH, GEGLU_QUICK, REGLU, GATED_FATRELU, BILINEAR)
