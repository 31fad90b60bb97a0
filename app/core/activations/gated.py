"""Gated functions: the input times a soft step of itself. They dip below zero, then approach the identity.

What makes them hard is the left side, where the step decays and its derivative has to beat it: there each
order is the step times a short sum whose leading term is exact, with the step as an unevaluated sum of two
numbers. The right side follows by symmetry.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.core.activations.accurate import exp_pair, finite, leading_half, rescaled_tail, two_product
from app.core.activations.definition import (
    Argument,
    Derivatives,
    Elementwise,
    FrameworkName,
    Reference,
    Text,
    formulas,
)
from app.core.activations.formula import Expression
from app.core.activations.normal_tail import NormalTail
from app.core.activations.parameters import Array, Parameter, Value
from app.core.activations.piecewise import indicator, select
from app.core.summation import two_sum


class _Argument(NamedTuple):
    """u(x), odd, with what the derivatives of x·σ(u(x)) need of it."""

    u: Array
    low: Value
    """|u(x)| − |u|."""
    growth: Array
    """|x·u′|."""
    growth_low: Value
    slope: Value
    """u′."""
    bend: Value
    """x·u″/u′."""

    def at(self, where: NDArray[np.bool_]) -> _Argument:
        """The same at some of the points."""
        low, growth_low, slope, bend = (
            each[where] if isinstance(each, np.ndarray) else each
            for each in (self.low, self.growth_low, self.slope, self.bend)
        )
        return _Argument(self.u[where], low, self.growth[where], growth_low, slope, bend)


def _linear(x: Array, rate: Value, rate_low: float = 0.0) -> _Argument:
    """u = (rate + rate_low)·x, with 0·∞ = 0: a flat gate is flat out to infinity."""
    x = _finite(x)
    u, low = two_product(x, rate)
    low = np.sign(u) * (low + rate_low * x)
    return _Argument(u, low, np.abs(u), low, rate, 0.0)


def _sigmoid_gate(x: Array, argument: _Argument) -> Derivatives:
    """x·σ(u) and its derivatives."""
    size = np.abs(argument.u)
    far = (size > _far_from(x)) | np.isinf(x)
    near = _near(x, size, argument)
    return _spliced(near, far, _far(x[far], argument.at(far))) if far.any() else near


def _finite(x: Array) -> Array:
    """x, with the largest number for ∞: its product with what has vanished is then 0."""
    limit = np.finfo(x.dtype).max
    return np.clip(x, -limit, limit)


def _far_from(x: Array) -> float:
    """Where the exponential is about to overflow."""
    return 0.9 * float(np.log(np.finfo(x.dtype).max))


def _near(x: Array, size: Array, argument: _Argument) -> Derivatives:
    """Where e^|u| is a number."""
    u, low, growth, growth_low, slope, bend = argument
    left = u < 0
    step = _reciprocal(np.exp(size), 1.0, low)
    half = leading_half(x)
    h = _times(step, half, x - half)
    yield select(left, h, x - h)
    part = leading_half(growth)
    head, tail = part * step.high, (growth - part) * step.value + part * step.low
    start = 1 - growth
    half = leading_half(start + head)
    h = _times(step, half, ((start - half) + head) + (tail - growth_low))
    yield select(left, h, 1 - h)
    start = 2 - growth
    more = bend + step.value * (2 * growth - (start + bend) - 2 * (head + tail))
    factor = slope * (start + (more - growth_low))
    half = leading_half(factor)
    yield _times(step, half, factor - half)


def _far(x: Array, argument: _Argument) -> Derivatives:
    """Where 1 + e^|u| is e^|u|, and at ±∞, where u may be 0 if the gate does not depend on x."""
    u, low, growth, _, slope, bend = argument
    size, low = -np.abs(u), -np.asarray(low, x.dtype)
    e = _exp(size, low)
    growth = _finite(growth)
    left = u < 0
    factor = _finite(x)
    yield np.where(left, rescaled_tail(factor * e, factor, size, low), x)
    full = np.where(u == 0, 0.5, 1.0)
    yield np.where(left, rescaled_tail((1 - growth) * e, 1 - growth, size, low), full).astype(x.dtype)
    curvature = _finite(np.asarray(slope, x.dtype)) * (2 - growth + bend)
    yield rescaled_tail(curvature * e, curvature, size, low)


def _exp(x: Array, low: Value) -> Array:
    """e^{x + low}."""
    e = np.exp(x)
    product: Array = e + e * low
    return product


class _Step(NamedTuple):
    """A number as high + low to some 2⁻⁷⁵, where high has half the bits; value = fl(high + low)."""

    high: Array
    low: Array
    value: Array


def _reciprocal(e: Array, offset: Value, relative: Value) -> _Step:
    """1/(E + offset) for E = e·(1 + relative) ≥ 1 and offset ≤ 1."""
    total = leading_half(e + offset)
    rest = ((e - total) + offset) + e * relative
    high = leading_half(1 / total)
    residual = (1 - high * total) - high * rest
    low = high * (residual + residual * residual)
    return _Step(high, low, high + low)


def _times(step: _Step, half: Array, rest: Array) -> Array:
    """(half + rest)·step, rounded once; ``half`` has half the bits."""
    product: Array = half * step.high + (rest * step.value + half * step.low)
    return product


def _spliced(usual: Derivatives, where: NDArray[np.bool_], special: Derivatives) -> Derivatives:
    """``usual`` with the points ``where`` replaced by ``special``."""
    for values, others in zip(usual, special, strict=True):
        values[where] = others
        yield values


def _silu(x: Array) -> Derivatives:
    yield from _sigmoid_gate(x, _Argument(x, 0.0, np.abs(x), 0.0, 1.0, 0.0))


def _swish(x: Array, *, beta: Value) -> Derivatives:
    yield from _sigmoid_gate(x, _linear(x, beta))


def _swish_gradients(x: Array, *, beta: Value) -> Mapping[str, Array]:
    u, low, *_ = _linear(x, beta)
    size = np.abs(u)
    step = _reciprocal(np.exp(size), 1.0, low)
    half = leading_half(x)
    h = _times(step, half, x - half)
    rest = x - h
    square, square_low = two_product(x, rest)
    half = leading_half(square)
    near = _times(step, half, (square - half) + (square_low + x * ((x - rest) - h)))
    far = rescaled_tail(x * x * _exp(-size, -low), x * x, -size, -low)
    bent = np.where((size > _far_from(x)) | np.isinf(square), far, near)
    return {"beta": np.where(u == 0, x * (x / 4), bent)}  # a flat gate: σ(0)·σ(0) = 1/4


def _two_floats(decimal: str) -> tuple[float, float]:
    """The number as the sum of its nearest double and a correction."""
    high = float(decimal)
    return high, float(Fraction(decimal) - Fraction(high))


_RATE: Final = _two_floats("1.702")


def _quick_gelu(x: Array) -> Derivatives:
    yield from _sigmoid_gate(x, _linear(x, *_RATE))


_LINEAR: Final = _two_floats("1.5957691216057307117597842397375274739")
"""2√(2/π)."""

_CUBIC: Final = _two_floats("0.0713548162726002487763387522798635409959")
"""2√(2/π)·0.044715."""


def _gelu_tanh(x: Array) -> Derivatives:
    square, square_low = two_product(x, x)
    cubic, cubic_low = two_product(square, _CUBIC[0])
    cubic_low += square_low * _CUBIC[0] + square * _CUBIC[1]
    factor, factor_low = two_sum(cubic, np.full_like(x, _LINEAR[0]))
    factor_low += cubic_low + _LINEAR[1]
    u, low = two_product(x, factor)
    low = finite(low + x * factor_low) * np.sign(x)
    slope, slope_low = two_sum(factor, 2 * cubic)
    size = np.abs(x)
    growth, growth_low = two_product(size, slope)
    growth_low += size * (slope_low + factor_low + 2 * cubic_low)
    argument = _Argument(u, low, growth, growth_low, slope, finite(6 * cubic / slope))
    yield from _sigmoid_gate(x, argument)


def _gelu(x: Array) -> Derivatives:
    # The table is in double precision; single precision loses nothing by passing through it.
    tail = NormalTail(np.abs(x).astype(np.float64, copy=False))
    left = x < 0
    h = tail.size * tail.probability() * tail.unit
    yield select(left, -h, x - h).astype(x.dtype, copy=False)
    h = tail.excess() * tail.unit
    yield select(left, h, 1 - h).astype(x.dtype, copy=False)
    curvature = tail.density() * (2 - tail.size * tail.size) * tail.unit
    yield curvature.astype(x.dtype, copy=False)


_ERF_SERIES: Final = [
    2 / math.sqrt(math.pi) * (-1) ** k / (math.factorial(k) * (2 * k + 1)) for k in range(19)
]


def _erf(x: Array) -> Derivatives:
    square, low = two_product(x, x)
    series = np.full_like(x, _ERF_SERIES[-1])
    for coefficient in _ERF_SERIES[-2::-1]:
        series = coefficient + square * series
    tail = NormalTail(np.abs(x).astype(np.float64, copy=False) * math.sqrt(2))
    outside = np.copysign(1 - 2 * (tail.probability() * tail.unit), x)
    yield select(square < 1, x * series, outside).astype(x.dtype, copy=False)
    e, relative = exp_pair(-square, -low)
    e = _ERF_SERIES[0] * e
    e += e * relative
    yield rescaled_tail(e, _ERF_SERIES[0], -square, -low)
    twice = _finite(-2 * x)
    yield rescaled_tail(twice * e, twice * _ERF_SERIES[0], -square, -low)


def _mish(x: Array) -> Derivatives:
    far = np.abs(x) > min(50.0, _far_from(x) / 2)  # e^−50 is nothing beside 1
    near = _mish_near(x)
    return _spliced(near, far, _mish_far(x[far])) if far.any() else near


def _mish_near(x: Array) -> Derivatives:
    """With E = e^|x|: the step tanh ln(1 + e^x) is 1/(E + offset) left of 0 and 1 − z right of it."""
    left = x <= 0
    size = np.abs(x)
    e = np.exp(size)
    s = 1 / (2 * e + 1)
    offset = 0.5 + 0.5 * s
    step = _reciprocal(e, offset, 0.0)
    total = np.exp(2 * size) + 2 * e + 2
    z = 2 / total
    half = leading_half(x)
    h = _times(step, half, x - half)
    yield np.copysign(select(left, h, x - x * z), x)
    # Left, the step's logarithm grows by 1 − weight·step a unit; right, z's falls by 2 − lack.
    weight = offset + e * s * s
    start = 1 - size
    share = weight * h
    half = leading_half(start - share)
    h = _times(step, half, (start - half) - share)
    lack = (2 * e + 4) / total
    yield select(left, h, 1 - z * (1 - size * (2 - lack)))
    yield _mish_curvature(x)


def _mish_curvature(x: Array) -> Array:
    """f″ = 4E·(2(E + 1)·D + x·(2 + 2E − 3E² − 2E³))/D³ with E = e^x, D = E² + 2E + 2.

    The sum cancels around its zeros at some distance from where a bound in its largest term would allow it:
    extended precision has the digits to spare.
    """
    wide = x.astype(np.longdouble)
    e = np.exp(wide)
    d = e * (e + 2) + 2
    total = 2 * (e + 1) * d + wide * (2 + e * (2 - e * (3 + 2 * e)))
    return np.asarray(4 * e * (total / d**3)).astype(x.dtype)


def _mish_far(x: Array) -> Derivatives:
    """Where the step is e^x, or 1 − 2·e^−2x."""
    left = x < 0
    exponent = _finite(np.where(left, x, -2 * x))
    e = np.exp(exponent)
    factor = _finite(x)
    yield np.where(left, rescaled_tail(factor * e, factor, exponent), x)
    yield np.where(left, rescaled_tail((1 + factor) * e, 1 + factor, exponent), 1.0).astype(x.dtype)
    factor = np.where(left, 2 + factor, _finite(8 * (1 - factor)))
    yield rescaled_tail(factor * e, factor, exponent)


def _hard_swish(x: Array) -> Derivatives:
    bent = np.clip(x, -3.0, 3.0)
    yield np.maximum(x, -3.0) * ((bent + 3) / 6)
    inside = indicator(np.abs(x) < 3, x)
    yield (2 * bent + 3) / 6 * inside + (x >= 3)
    yield inside / 3


_ELFWING = Reference(
    authors="Elfwing, Uchibe, Doya",
    title="Sigmoid-Weighted Linear Units for Neural Network Function Approximation in Reinforcement Learning",
    year=2017,
    identifier="arXiv:1702.03118",
)
_RAMACHANDRAN = Reference(
    authors="Ramachandran, Zoph, Le",
    title="Searching for Activation Functions",
    year=2017,
    identifier="arXiv:1710.05941",
)
_HENDRYCKS = Reference(
    authors="Hendrycks, Gimpel",
    title="Gaussian Error Linear Units (GELUs)",
    year=2016,
    identifier="arXiv:1606.08415",
)

SILU = Elementwise(
    name="silu",
    title=Text("SiLU", "SiLU"),
    summary=Text(
        "The input times its own sigmoid: a smooth ReLU that dips to −0.278 at x = −1.278. Small negative "
        "inputs still pass a gradient, so units do not die as with ReLU; the slope exceeds 1 (up to 1.0998) "
        "and is negative left of the dip, where the gradient then fades away exponentially.",
        "입력에 입력의 시그모이드를 곱한 함수로, x = −1.278에서 −0.278까지 내려가는 매끄러운 ReLU입니다. "
        "작은 음수 입력에서도 그래디언트가 흘러 ReLU처럼 뉴런이 죽지 않습니다. 기울기는 1을 넘기도 하고"
        "(최대 1.0998), 최저점 왼쪽에서는 음수가 되었다가 지수적으로 사라집니다.",
    ),
    formulas=formulas(
        "x * sigmoid(x)",
        "sigmoid(x) + x * sigmoid(x) * sigmoid(-x)",
        "2 * sigmoid(x) * sigmoid(-x) - x * sigmoid(x) * sigmoid(-x) * tanh(x / 2)",
    ),
    derivatives=_silu,
    range="[-0.2784645427610737951094, inf)",
    limits=("0", "inf"),
    largest_slope="1.099839320128866916958",
    zero_centred=False,
    monotone=False,
    smoothness=np.inf,
    saturates=frozenset({"negative"}),
    references=(_HENDRYCKS, _ELFWING),
    frameworks=(
        FrameworkName(framework="torch", names=("SiLU", "silu")),
        FrameworkName(framework="jax", names=("silu", "swish")),
        FrameworkName(framework="keras", names=("silu", "swish")),
    ),
)

SWISH = Elementwise(
    name="swish",
    title=Text("Swish", "Swish"),
    summary=Text(
        "SiLU with a steepness β that can be learned: β = 0 is the line x/2, β = 1 is SiLU, and a large β "
        "approaches ReLU. The gradient for β is x²·σ(βx)·σ(−βx), which vanishes for units far from zero.",
        "가파른 정도 β를 학습할 수 있는 SiLU입니다. β = 0이면 직선 x/2, β = 1이면 SiLU이고 β가 커질수록 "
        "ReLU에 가까워집니다. β의 그래디언트는 x²·σ(βx)·σ(−βx)라서 0에서 먼 뉴런에서는 사라집니다.",
    ),
    formulas=formulas(
        "x * sigmoid(beta * x)",
        "sigmoid(beta * x) + beta * x * sigmoid(beta * x) * sigmoid(-beta * x)",
        "2 * beta * sigmoid(beta * x) * sigmoid(-beta * x)"
        " - beta**2 * x * sigmoid(beta * x) * sigmoid(-beta * x) * tanh(beta * x / 2)",
    ),
    parameters=(
        Parameter(
            name="beta",
            symbol=r"\beta",
            description=("steepness of the gate", "게이트의 가파르기"),
            default=1.0,
            typical=(-2.0, 5.0),
            learnable=True,
            gradient=Expression("x**2 * sigmoid(beta * x) * sigmoid(-beta * x)"),
        ),
    ),
    derivatives=_swish,
    parameter_gradients=_swish_gradients,
    range="[-0.2784645427610737951094, inf)",
    limits=("0", "inf"),
    largest_slope="1.099839320128866916958",
    zero_centred=False,
    monotone=False,
    smoothness=np.inf,
    saturates=frozenset({"negative"}),
    references=(_RAMACHANDRAN,),
    frameworks=(
        FrameworkName(framework="onnx", names=("Swish",), arguments=(Argument("alpha", "beta", 1.0),)),
    ),
)

QUICK_GELU = Elementwise(
    name="quick_gelu",
    title=Text("Quick GELU", "Quick GELU"),
    summary=Text(
        "GELU with the normal distribution function replaced by σ(1.702x): cheap, and off by at most 0.021. "
        "CLIP was trained with it, and weights trained with it want it: exact GELU in its place changes the "
        "outputs.",
        "GELU의 정규 분포 함수를 σ(1.702x)로 바꾼 함수입니다. 계산이 싸고 오차는 최대 0.021입니다. CLIP이 이 "
        "함수로 학습되었으며, 이 함수로 학습한 가중치에 정확한 GELU를 쓰면 출력이 달라집니다.",
    ),
    formulas=formulas(
        "x * sigmoid(1.702 * x)",
        "sigmoid(1.702 * x) + 1.702 * x * sigmoid(1.702 * x) * sigmoid(-1.702 * x)",
        "3.404 * sigmoid(1.702 * x) * sigmoid(-1.702 * x)"
        " - 1.702**2 * x * sigmoid(1.702 * x) * sigmoid(-1.702 * x) * tanh(0.851 * x)",
    ),
    derivatives=_quick_gelu,
    range="[-0.1636101896363535811453, inf)",
    limits=("0", "inf"),
    largest_slope="1.099839320128866916958",
    zero_centred=False,
    monotone=False,
    smoothness=np.inf,
    saturates=frozenset({"negative"}),
    references=(_HENDRYCKS,),
)

HARD_SWISH = Elementwise(
    name="hard_swish",
    title=Text("Hard swish", "하드 스위시"),
    summary=Text(
        "Swish with its sigmoid replaced by straight lines: 0 up to −3, the identity from 3 on, a parabola "
        "between. Cheap and friendly to fixed-point hardware (MobileNetV3); below −3 units are dead as with "
        "ReLU, and the slope jumps at both corners.",
        "Swish의 시그모이드를 직선으로 바꾼 함수입니다. −3까지는 0, 3부터는 항등 함수, 그 사이는 "
        "포물선입니다. 계산이 싸고 고정소수점 하드웨어에 알맞아 MobileNetV3에서 쓰였습니다. −3 아래에서는 "
        "ReLU처럼 뉴런이 죽고, 두 모서리에서 기울기가 끊깁니다.",
    ),
    formulas=formulas(
        "x if x >= 3 else 0 if x <= -3 else x * (x + 3) / 6",
        "1 if x >= 3 else 0 if x <= -3 else (2 * x + 3) / 6",
        "1 / 3 if abs(x) < 3 else 0",
    ),
    derivatives=_hard_swish,
    range="[-3/8, inf)",
    limits=("0", "inf"),
    largest_slope="3/2",
    zero_centred=False,
    monotone=False,
    smoothness=0,
    saturates=frozenset({"negative"}),
    kinks=("-3", "3"),
    references=(
        Reference(
            authors="Howard, Sandler, Chu, Chen, Chen, Tan, Wang, Zhu, Pang, Vasudevan, Le, Adam",
            title="Searching for MobileNetV3",
            year=2019,
            identifier="arXiv:1905.02244",
        ),
    ),
    frameworks=(
        FrameworkName(framework="torch", names=("Hardswish", "hardswish")),
        FrameworkName(framework="jax", names=("hard_silu", "hard_swish")),
        FrameworkName(framework="keras", names=("hard_silu", "hard_swish")),
        FrameworkName(framework="onnx", names=("HardSwish",)),
    ),
)

GELU = Elementwise(
    name="gelu",
    title=Text("GELU", "GELU"),
    summary=Text(
        "The input times the probability that a standard normal variable lies below it: a smooth ReLU, the "
        "default of most transformers. The slope reaches 1.129, dips below 0 left of −0.752 and then "
        "vanishes faster than any exponential. Computed with 1 + erf it loses all digits of its left tail.",
        "입력에 표준 정규 변수가 그 값보다 작을 확률을 곱한 함수로, 매끄러운 ReLU이며 대부분의 트랜스포머가 "
        "기본으로 씁니다. 기울기는 1.129까지 오르고 −0.752 왼쪽에서는 음수가 되었다가 어떤 지수 함수보다도 "
        "빨리 사라집니다. 1 + erf로 계산하면 음의 꼬리에서 유효 숫자를 모두 잃습니다.",
    ),
    formulas=formulas(
        "x * Phi(x)",
        "Phi(x) + x * phi(x)",
        "2 * phi(x) - x**2 * phi(x)",
    ),
    derivatives=_gelu,
    range="[-0.1699712074799036616939, inf)",
    limits=("0", "inf"),
    largest_slope="Phi(sqrt(2)) + sqrt(2) * phi(sqrt(2))",
    zero_centred=False,
    monotone=False,
    smoothness=np.inf,
    saturates=frozenset({"negative"}),
    references=(_HENDRYCKS,),
    frameworks=(
        FrameworkName(framework="torch", names=("GELU", "gelu"), options={"approximate": "none"}),
        FrameworkName(framework="jax", names=("gelu",), options={"approximate": False}, preferred=False),
        FrameworkName(framework="keras", names=("gelu",), options={"approximate": False}),
        FrameworkName(framework="onnx", names=("Gelu",), options={"approximate": "none"}),
    ),
)

GELU_TANH = Elementwise(
    name="gelu_tanh",
    title=Text("GELU (tanh form)", "GELU(tanh 근사)"),
    summary=Text(
        "GELU with the normal distribution function replaced by σ(2u) = (1 + tanh u)/2, u a cubic: the form "
        "in GPT-2 and BERT and JAX's default. It differs from exact GELU by up to 4.8e-4, far more than "
        "rounding: weights trained with one form want that form.",
        "GELU의 정규 분포 함수를 σ(2u) = (1 + tanh u)/2로 바꾼 함수이며 u는 삼차식입니다. GPT-2와 BERT가 쓴 "
        "형태이자 JAX의 기본값입니다. 정확한 GELU와 최대 4.8e-4 차이가 나는데, 이는 반올림 오차보다 훨씬 "
        "큽니다. 한쪽 형태로 학습한 가중치에는 같은 형태를 써야 합니다.",
    ),
    formulas=formulas(
        "x * sigmoid(2 * u)",
        "sigmoid(2 * u) + 2 * x * v * sigmoid(2 * u) * sigmoid(-2 * u)",
        "4 * (v + w) * sigmoid(2 * u) * sigmoid(-2 * u)"
        " - 4 * x * v**2 * sigmoid(2 * u) * sigmoid(-2 * u) * tanh(u)",
        u="sqrt(2 / pi) * (x + 0.044715 * x**3)",
        v="sqrt(2 / pi) * (1 + 0.134145 * x**2)",
        w="sqrt(2 / pi) * 0.134145 * x**2",
    ),
    derivatives=_gelu_tanh,
    range="[-0.1700407505712540506391, inf)",
    limits=("0", "inf"),
    largest_slope="1.128993068658771765456",
    zero_centred=False,
    monotone=False,
    smoothness=np.inf,
    saturates=frozenset({"negative"}),
    references=(_HENDRYCKS,),
    frameworks=(
        FrameworkName(
            framework="torch", names=("GELU", "gelu"), options={"approximate": "tanh"}, preferred=False
        ),
        FrameworkName(framework="jax", names=("gelu",), options={"approximate": True}),
        FrameworkName(framework="keras", names=("gelu",), options={"approximate": True}, preferred=False),
        FrameworkName(framework="onnx", names=("Gelu",), options={"approximate": "tanh"}, preferred=False),
    ),
)

MISH = Elementwise(
    name="mish",
    title=Text("Mish", "Mish"),
    summary=Text(
        "The input times tanh(softplus(x)): much like SiLU, with a slightly deeper dip (−0.309 at −1.19) "
        "and a step that rises faster. Used in YOLOv4. It costs more than SiLU, and its plain formula "
        "overflows for large inputs in low precision.",
        "입력에 tanh(softplus(x))를 곱한 함수입니다. SiLU와 비슷하지만 최저점이 조금 더 깊고"
        "(−1.19에서 −0.309) 더 빨리 항등 함수에 가까워집니다. YOLOv4에서 쓰였습니다. SiLU보다 계산이 비싸고, "
        "식을 그대로 계산하면 낮은 정밀도의 큰 입력에서 오버플로가 납니다.",
    ),
    formulas=formulas(
        "x * tanh(softplus(x))",
        "tanh(softplus(x)) + x * s",
        "2 * s + x * s * (sigmoid(-x) - 2 * tanh(softplus(x)) * sigmoid(x))",
        s="sech(softplus(x))**2 * sigmoid(x)",
    ),
    derivatives=_mish,
    range="[-0.3088434130172504066288, inf)",
    limits=("0", "inf"),
    largest_slope="1.088498161251727861228",
    zero_centred=False,
    monotone=False,
    smoothness=np.inf,
    saturates=frozenset({"negative"}),
    references=(
        Reference(
            authors="Misra",
            title="Mish: A Self Regularized Non-Monotonic Activation Function",
            year=2019,
            identifier="arXiv:1908.08681",
        ),
    ),
    frameworks=(
        FrameworkName(framework="torch", names=("Mish", "mish")),
        FrameworkName(framework="jax", names=("mish",)),
        FrameworkName(framework="keras", names=("mish",)),
        FrameworkName(framework="onnx", names=("Mish",)),
    ),
)

ERF = Elementwise(
    name="erf",
    title=Text("Error function", "오차 함수"),
    summary=Text(
        "A sigmoid from −1 to 1 whose slope is a Gaussian. Infinitely wide networks with it have a kernel in "
        "closed form, which makes it a favourite of theory; in practice its gradient vanishes even faster "
        "than tanh's.",
        "−1에서 1까지 오르는 시그모이드로, 기울기가 가우스 함수입니다. 이 함수를 쓰는 무한히 넓은 신경망은 "
        "커널이 닫힌 식으로 나와 이론에서 즐겨 씁니다. 실제로는 그래디언트가 tanh보다도 빨리 사라집니다.",
    ),
    formulas=formulas(
        "erf(x)",
        "2 / sqrt(pi) * exp(-x**2)",
        "-4 * x / sqrt(pi) * exp(-x**2)",
    ),
    derivatives=_erf,
    range="(-1, 1)",
    limits=("-1", "1"),
    largest_slope="2 / sqrt(pi)",
    zero_centred=True,
    monotone=True,
    smoothness=np.inf,
    saturates=frozenset({"negative", "positive"}),
    references=(
        Reference(
            authors="Williams",
            title="Computing with Infinite Networks",
            year=1996,
        ),
    ),
    frameworks=(FrameworkName(framework="onnx", names=("Erf",)),),
)

FAMILY = (SILU, SWISH, GELU, GELU_TANH, QUICK_GELU, MISH, HARD_SWISH, ERF)
