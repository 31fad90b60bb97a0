"""SwiGLU with its halves clamped, as large language models keep their outputs inside a short format.

A clamped half has no slope from its bound on: the flat side holds the bound itself, as everywhere here.
(PyTorch's clamp lets the gradient through at the bound itself.)
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

from app.core.activations.definition import Reference, Rowwise, Text, formulas
from app.core.activations.gated import SWISH
from app.core.activations.glu import Gated, GatedUnit, half
from app.core.activations.papers import OPENAI_2025
from app.core.activations.parameters import POSITIVE, Parameter
from app.core.activations.piecewise import level
from app.core.arithmetic.double_double import Scaled, at_least, at_most, scalar, two_sum
from app.core.arithmetic.scaled import apart, choose, negative, normal, plus, times, unscaled

_swish = SWISH.kernel.function


@scalar
def _clamped(value: float, offset: float, limit: float) -> tuple[Scaled, bool]:
    """value between ±limit, plus offset; and whether it lies between them."""
    inside = at_most(at_least(value, -limit), limit)
    return normal(unscaled(two_sum(inside, offset))), abs(value) < limit


@scalar
def _before(value: float, z: float, limit: float, alpha: float, offset: float) -> Gated:
    """(clamp(value) + offset)·g·σ(αg) with g = min(z, limit)."""
    factor, moves = _clamped(value, offset, limit)
    swished = _swish(at_most(z, limit), alpha)
    g, slope = normal(swished[0]), normal(swished[1])
    by_value = choose(moves, g, times(level(0.0, value), level(1.0, z)))
    by_gate = choose(z < limit, times(factor, slope), times(level(1.0, value), level(0.0, z)))
    return times(factor, g), by_value, by_gate


@scalar
def _gpt_oss(value: float, z: float, alpha: float, limit: float) -> Gated:
    return _before(value, z, limit, alpha, 1.0)


@scalar
def _after(value: float, z: float, limit: float) -> Gated:
    """clamp(value)·min(z·σ(z), limit)."""
    factor, moves = _clamped(value, 0.0, limit)
    swished = _swish(z, 1.0)
    g, slope = normal(swished[0]), normal(swished[1])
    rises = plus(g, negative(apart(limit))).high < 0
    gate = choose(rises or math.isnan(z), g, apart(limit))
    by_value = choose(moves, gate, times(level(0.0, value), level(1.0, z)))
    by_gate = choose(rises, times(factor, slope), times(level(1.0, value), level(0.0, z)))
    return times(factor, gate), by_value, by_gate


_LIMIT: Final = Parameter(
    name="limit",
    symbol="c",
    description=("bound of both halves", "두 절반의 한곗값"),
    domain=POSITIVE,
    default=7.0,
    typical=(1.0, 10.0),
)
_STEEPNESS: Final = Parameter(
    name="alpha",
    symbol=r"\alpha",
    description=("steepness of the gate's sigmoid", "게이트 시그모이드의 가파르기"),
    default=1.0,
    typical=(0.25, 4.0),
)
_OFFSET: Final = Parameter(
    name="offset",
    symbol="b",
    description=("what is added to the other half", "나머지 절반에 더하는 수"),
    default=0.0,
    typical=(0.0, 1.0),
)

_GPT_OSS: Final = GatedUnit("swiglu_oai", _gpt_oss, interleaved=True)
_BEFORE: Final = GatedUnit("clamped_swiglu", _before)
_AFTER: Final = GatedUnit("swiglu_step", _after)

SWIGLU_OAI = Rowwise(
    name="swiglu_oai",
    title=Text("SwiGLU of gpt-oss", "gpt-oss의 SwiGLU"),
    summary=Text(
        "(u + 1)·g·σ(αg) of neighbours g, u in a row: gate and value alternate. The gate is cut at the limit "
        "from above, the value on both sides, so that no output exceeds 56 at the defaults; because of the "
        "1, the gate gets a gradient even where the value is 0.",
        "한 행에서 번갈아 놓인 게이트 g와 값 u로 (u + 1)·g·σ(αg)를 계산합니다. 게이트는 위쪽만, 값은 양쪽을 "
        "한계에서 자르므로 기본값에서 출력이 56을 넘지 않습니다. 1을 더하므로 값이 0이어도 게이트로 "
        "그래디언트가 흐릅니다.",
    ),
    parameters=(replace(_STEEPNESS, default=1.702), _LIMIT),
    formulas=formulas(
        "(u + 1) * g * s",
        "((u + 1) * (s + alpha * g * s * r) if x[2 * i] < limit else 0) if k == 2 * i"
        " else (g * s if -limit < x[2 * i + 1] < limit else 0) if k == 2 * i + 1 else 0",
        u="min(max(x[2 * i + 1], -limit), limit)",
        g="min(x[2 * i], limit)",
        s="sigmoid(alpha * g)",
        r="sigmoid(-alpha * g)",
    ),
    width=half,
    interleaved=True,
    value=_GPT_OSS.value,
    jacobian=_GPT_OSS.jacobian,
    pullback=_GPT_OSS.pullback,
    range="[(1 - limit) * limit * sigmoid(alpha * limit), (1 + limit) * limit * sigmoid(alpha * limit)]",
    limits=("0", "(1 + limit) * limit * sigmoid(alpha * limit)"),
    largest_slope="(1 + limit) * 1.099839320128866916958",
    zero_centred=False,
    monotone=False,
    smoothness=0,
    saturates=frozenset({"negative", "positive"}),
    references=(OPENAI_2025,),
)

CLAMPED_SWIGLU = Rowwise(
    name="clamped_swiglu",
    title=Text("Clamped SwiGLU", "한계를 둔 SwiGLU"),
    summary=Text(
        "SwiGLU whose halves are cut before they are multiplied: the first half, the gate, from above, the "
        "second half on both sides. With α = 1.702 and 1 added to the second half it is the unit of gpt-oss, "
        "with separate halves instead of alternating elements.",
        "두 절반을 곱하기 전에 잘라 두는 SwiGLU입니다. 게이트인 앞쪽 절반은 위쪽만, 뒤쪽 절반은 양쪽을 "
        "한계에서 자릅니다. α = 1.702로 두고 뒤쪽 절반에 1을 더하면, 두 절반을 나누어 놓은 gpt-oss의 유닛과 "
        "같습니다.",
    ),
    parameters=(_LIMIT, _STEEPNESS, _OFFSET),
    formulas=formulas(
        "(u + offset) * g * s",
        "((u + offset) * (s + alpha * g * s * r) if x[i] < limit else 0) if k == i"
        " else (g * s if -limit < x[i + m] < limit else 0) if k == i + m else 0",
        u="min(max(x[i + m], -limit), limit)",
        g="min(x[i], limit)",
        s="sigmoid(alpha * g)",
        r="sigmoid(-alpha * g)",
    ),
    width=half,
    value=_BEFORE.value,
    jacobian=_BEFORE.jacobian,
    pullback=_BEFORE.pullback,
    range="[(offset - limit) * limit * sigmoid(alpha * limit),"
    " (offset + limit) * limit * sigmoid(alpha * limit)]",
    limits=("0", "(offset + limit) * limit * sigmoid(alpha * limit)"),
    largest_slope="(offset + limit) * 1.099839320128866916958",
    zero_centred=True,
    monotone=False,
    smoothness=0,
    saturates=frozenset({"negative", "positive"}),
    references=(
        Reference(
            authors="vLLM contributors",
            title="vLLM: silu_and_mul_with_clamp in vllm/model_executor/layers/activation.py",
            year=2026,
        ),
        *SWISH.references,
    ),
)

SWIGLU_STEP = Rowwise(
    name="swiglu_step",
    title=Text("SwiGLU, clamped after its gate", "게이트 뒤에서 자르는 SwiGLU"),
    summary=Text(
        "SwiGLU whose gate is cut from above after SiLU, not before, and whose second half is cut on both "
        "sides. The gate still reaches the limit itself, which SiLU of the limit does not.",
        "게이트를 SiLU에 넣은 다음에 위쪽에서 자르고, 뒤쪽 절반은 양쪽에서 자르는 SwiGLU입니다. 자르고 나서 "
        "SiLU에 넣을 때와 달리 게이트가 한계값에 닿습니다.",
    ),
    parameters=(_LIMIT,),
    formulas=formulas(
        "u * min(x[i] * s, limit)",
        "(u * (s + x[i] * s * r) if x[i] * s < limit else 0) if k == i"
        " else (min(x[i] * s, limit) if -limit < x[i + m] < limit else 0) if k == i + m else 0",
        u="min(max(x[i + m], -limit), limit)",
        s="sigmoid(x[i])",
        r="sigmoid(-x[i])",
    ),
    width=half,
    value=_AFTER.value,
    jacobian=_AFTER.jacobian,
    pullback=_AFTER.pullback,
    range="[-limit * limit, limit * limit]",
    limits=("0", "limit * limit"),
    largest_slope="limit * 1.099839320128866916958",
    zero_centred=True,
    monotone=False,
    smoothness=0,
    saturates=frozenset({"negative", "positive"}),
    references=(
        Reference(
            authors="vLLM contributors",
            title="vLLM: swiglustep_and_mul in vllm/model_executor/layers/activation.py",
            year=2026,
        ),
        *SWISH.references,
    ),
)

FAMILY = (SWIGLU_OAI, CLAMPED_SWIGLU, SWIGLU_STEP)
