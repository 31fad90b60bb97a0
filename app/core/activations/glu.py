"""Gated linear units: half of a row, times an activation of the other half.

A row of n = 2m inputs gives m outputs y_i = value_i · g(gate_i). In `GLU` the gate is the second half, as in
Dauphin et al. and the frameworks; in its kin the gate is the first half, as in Shazeer and ONNX.

g and g′ are carried with more digits and exponents than a double has, so that a product of value, gate and
upstream gradient is rounded once: within 2 ulp, even where a large value meets a gate that alone would be
subnormal. (The gates' own entries are right to 2 ulp, which another product can double.) Where g′ passes
through zero the ulp is that of the larger of its two terms.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from numba import types

from app.core.activations.definition import (
    Reference,
    Rowwise,
    Text,
    formulas,
)
from app.core.activations.gated import GELU, SWISH
from app.core.activations.parameters import Parameter
from app.core.activations.rectifiers import RELU
from app.core.activations.sigmoidal import SIGMOID
from app.core.arithmetic import Array, Value
from app.core.arithmetic.compiled import Compiled
from app.core.arithmetic.loops import Kernel
from app.core.arithmetic.scaled import apart, nearest_double, normal, odd_double, times
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


class _Product:
    """y = value · g(gate): the three functions a `Rowwise` entry needs, for one gate."""

    def __init__(self, gate: Kernel, *, gate_first: bool) -> None:
        self._gate = gate
        self._gate_first = gate_first

    def value(self, x: Array, *, odd: bool = False, **params: Value) -> Array:
        """(..., 2m) to (..., m)."""
        return self._parts(x, None, params, odd)[0]

    def jacobian(self, x: Array, *, odd: bool = False, **params: Value) -> Array:
        """(..., 2m) to (..., m, 2m): ∂y_i/∂value_i = g, ∂y_i/∂gate_i = value_i g′, all others 0."""
        _, *parts = self._parts(x, None, params, odd)
        m = x.shape[-1] // 2
        jacobian = np.zeros((*x.shape[:-1], m, 2 * m))
        index = np.arange(m)
        jacobian[..., index, index], jacobian[..., index, index + m] = self._ordered(*parts)
        return jacobian

    def pullback(
        self, x: Array, upstream: Array, *, odd: bool = False, **params: Value
    ) -> tuple[Array, Mapping[str, Array]]:
        """dL/dx, (..., 2m)."""
        _, *parts = self._parts(x, upstream, params, odd)
        return np.concatenate(self._ordered(*parts), axis=-1), {}

    def _parts(
        self, x: Array, upstream: Array | None, params: Mapping[str, Value], odd: bool
    ) -> tuple[Array, Array, Array]:
        """value·g, and ∂/∂value and ∂/∂gate times ``upstream``, each (..., m)."""
        first, second = np.split(x.astype(np.float64, copy=False), 2, axis=-1)
        gate, value = (first, second) if self._gate_first else (second, first)
        seed = np.ones(gate.shape) if upstream is None else upstream
        parts = [np.empty(gate.size) for _ in range(3)]
        flat = [np.ascontiguousarray(each).reshape(-1) for each in (value, gate, seed)]
        _gating(self._gate, len(params), odd)(*flat, *parts, tuple(map(float, params.values())))
        product, of_value, of_gate = (part.reshape(gate.shape) for part in parts)
        return product, of_value, of_gate

    def _ordered(self, of_value: Array, of_gate: Array) -> tuple[Array, Array]:
        return (of_gate, of_value) if self._gate_first else (of_value, of_gate)


@cache
def _gating(gate: Kernel, parameters: int, odd: bool) -> Compiled:
    function, end = gate.function, odd_double if odd else nearest_double

    def loop(
        value: Array, z: Array, seed: Array, product: Array, of_value: Array, of_gate: Array, params: Any
    ) -> None:
        for i in range(z.size):
            results = function(z[i], *params)
            g, slope = normal(results[0]), normal(results[1])
            factor, weight = apart(value[i]), apart(seed[i])
            product[i] = end(times(factor, g))
            of_value[i] = end(times(weight, g))
            of_gate[i] = end(times(weight, times(factor, slope)))

    read, write = types.Array(types.float64, 1, "C", readonly=True), types.Array(types.float64, 1, "C")
    params = types.Tuple([types.float64] * parameters)  # type: ignore[no-untyped-call]
    name = f"{__name__}.{gate.name}.{'odd' if odd else 'nearest'}"
    return Compiled(loop, [(read, read, read, write, write, write, params)], name)


_GLU = _Product(SIGMOID.kernel, gate_first=False)
_SWIGLU = _Product(SWISH.kernel, gate_first=True)
_GEGLU = _Product(GELU.kernel, gate_first=True)
_REGLU = _Product(RELU.kernel, gate_first=True)

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
