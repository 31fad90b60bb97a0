"""Gated functions: the input times a soft step of itself. They dip below zero, then approach the identity.

The left side is the difficult one, where the step and its derivatives decay: there every order is a short sum
times an exponential, whose exponent is kept separate to the end, so that a product with a large number keeps
its digits.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Final

import numpy as np

from app.core.activations.definition import (
    Elementwise,
    Reference,
    Text,
    formulas,
)
from app.core.activations.formula import Expression
from app.core.activations.papers import HOWARD_2019, MISRA_2019
from app.core.activations.parameters import Parameter
from app.core.activations.piecewise import finite, level, unless_nan
from app.core.arithmetic.double_double import (
    FARTHEST,
    LARGEST,
    DoubleDouble,
    Scaled,
    at_least,
    at_most,
    beside_one,
    constant,
    exp_scaled,
    fast_two_sum,
    fma,
    inverse_unnormalised,
    multiple,
    product_unnormalised,
    scalar,
    times_double,
    two_product,
    two_sum,
)
from app.core.arithmetic.functions import (
    as_exponent,
    divided,
    erf_and_slope,
    one_minus,
    sigmoids,
    sigmoids_by_side,
)
from app.core.arithmetic.loops import Kernel
from app.core.arithmetic.normal_tail import END, mills
from app.core.arithmetic.scaled import (
    Orders,
    apart,
    choose,
    exactly,
    mantissa,
    signed,
    sure,
    times,
    times_power,
    unscaled,
    with_exponent,
)

_ONE: Final = DoubleDouble(1.0, 0.0)


@scalar
def _sum(a: DoubleDouble, b: DoubleDouble, ordinary: int = False) -> DoubleDouble:
    """a + b, not normalised."""
    head = two_sum(a.high, b.high)
    return DoubleDouble(sure(head.high, a.high, ordinary), head.low + (a.low + b.low))


@scalar
def _gated(x: float, gate: Scaled, ordinary: int = False) -> Scaled:
    """x·gate. At infinity the gate is open if its exponent is 0, and else shut."""
    if ordinary:
        return with_exponent(times_double(mantissa(gate), x), gate.exponent)
    value = times_double(mantissa(gate), finite(x))
    limit = exactly(math.copysign(0.0, x) if gate.exponent < 0 else x)
    return choose(abs(x) <= LARGEST, with_exponent(value, gate.exponent), limit)


@scalar
def _sigmoid_gate(
    x: float, u: DoubleDouble, growth: DoubleDouble, slope: Scaled, bend: DoubleDouble, ordinary: int
) -> Orders:
    """x·σ(u), σ(u)·(1 + xu′·σ(−u)) and σ(u)·σ(−u)·u′·(2 + xu″/u′ − xu′·(σ(u) − σ(−u))).

    ``growth`` is xu′, of u's sign and no more than ±2¹² where e^−|u| is more than 0, ``slope`` u′ and
    ``bend`` 2 + xu″/u′.
    """
    (most, least, exponent, tail), left = sigmoids_by_side(u, ordinary)
    gate = with_exponent(least if left else most, exponent if left else 0.0)
    rest = most if left else product_unnormalised(tail, most)
    change = fma(growth.high, rest.low, growth.low * rest.high)
    ascent = fma(growth.high, rest.high, 1.0)  # rounded, but where it cancels
    above = fast_two_sum(1.0, -tail.high)
    tilt = product_unnormalised(DoubleDouble(above.high, above.low - tail.low), most)  # σ(|u|) − σ(−|u|)
    pull = product_unnormalised(growth, tilt if left else multiple(-1.0, tilt))
    weight = times(with_exponent(product_unnormalised(least, most), exponent), slope)
    second = times(weight, unscaled(_sum(bend, pull, ordinary)))
    slope_of_gated = times(gate, unscaled(DoubleDouble(sure(ascent, 1.0, ordinary), change)))
    return _gated(x, gate, ordinary), slope_of_gated, second


@scalar
def _argument(x: float, rate: Scaled, ordinary: int = False) -> DoubleDouble:
    """rate·x for use in an exponential. 0·∞ = 0: a flat gate is flat out to infinity."""
    return as_exponent(times(rate, apart(x if ordinary else finite(x), ordinary)), ordinary)


@scalar
def _swish_of(x: float, rate: Scaled, ordinary: int) -> Orders:
    """x·σ(rate·x)."""
    u = _argument(x, rate, ordinary)
    return _sigmoid_gate(x, u, u, rate, DoubleDouble(2.0, 0.0), ordinary)


@partial(Kernel, vectors=5)
def _silu(x: float, ordinary: int = False) -> Orders:
    u = DoubleDouble(x if ordinary else at_most(at_least(x, -4000.0), 4000.0), 0.0)
    return _sigmoid_gate(x, u, u, exactly(1.0), DoubleDouble(2.0, 0.0), ordinary)


@Kernel
def _swish(x: float, beta: float, ordinary: int = False) -> Orders:
    return _swish_of(x, apart(beta, ordinary), ordinary)


@Kernel
def _swish_gradient(x: float, beta: float) -> tuple[Scaled]:
    """x²·σ(βx)·σ(−βx)."""
    both = sigmoids(_argument(x, apart(beta)))
    size = apart(finite(x))
    slope = times(with_exponent(both.least, both.exponent), unscaled(both.most))
    limit = exactly(math.inf if beta == 0 else 0.0)
    return (choose(math.isinf(x), limit, times(times(slope, size), size)),)


_QUICK_RATE: Final = constant("1.702")


@Kernel
def _quick_gelu(x: float, ordinary: int = False) -> Orders:
    return _swish_of(x, unscaled(_QUICK_RATE), ordinary)


_LINEAR: Final = constant("1.5957691216057307117597842397375274739")
"""2√(2/π)."""

_CUBIC: Final = constant("0.0713548162726002487763387522798635409959")
"""2√(2/π)·0.044715."""


@partial(Kernel, plain=9.0)
def _gelu_tanh(x: float, rough: int = False) -> Orders:
    end = 20.0 if rough else 100.0  # e^−|u| has vanished long before, for a float32 at 20
    near = at_most(at_least(x, -end), end)
    a = DoubleDouble(near, 0.0)
    cubic = product_unnormalised(_CUBIC, two_product(near, near))
    slope = _sum(_LINEAR, product_unnormalised(DoubleDouble(3.0, 0.0), cubic))
    twelve = product_unnormalised(DoubleDouble(12.0, 0.0), cubic)
    bend = product_unnormalised(_sum(multiple(2.0, _LINEAR), twelve), inverse_unnormalised(slope))
    u, growth = product_unnormalised(a, _sum(_LINEAR, cubic)), product_unnormalised(a, slope)
    return _sigmoid_gate(x, u, growth, unscaled(slope), bend, rough)


_DENSITY_AT_0: Final = constant("0.398942280401432677939946059934381868475858631164934657665926")
"""φ(0) = 1/√(2π)."""


@Kernel
def _gelu(x: float, rough: int = False) -> Orders:
    left = x < 0
    a = at_most(abs(x), 26.0 if rough else END)  # φ(26) is nothing, even times the largest float32
    square = two_product(a, a)
    e = exp_scaled(-0.5 * square.high, -0.5 * square.low, rough)
    density = product_unnormalised(_DENSITY_AT_0, DoubleDouble(e.high, e.low))
    ratio = mills(a, 0.0, rough)
    # Φ(−a), and Φ(−a) − a·φ(a).
    tail = product_unnormalised(density, ratio)
    first = product_unnormalised(density, _sum(ratio, DoubleDouble(-a, 0.0), rough))
    bend = _sum(DoubleDouble(2.0, 0.0), multiple(-1.0, square), rough)
    shift = e.exponent if left else 0.0
    gate = tail if left else one_minus(tail, e.exponent)
    slope = first if left else one_minus(first, e.exponent)
    second = with_exponent(product_unnormalised(density, bend), e.exponent)
    return _gated(x, with_exponent(gate, shift), rough), with_exponent(slope, shift), second


@Kernel
def _erf(x: float) -> Orders:
    value, slope = erf_and_slope(abs(x))
    slope = choose(abs(x) > 46.5, exactly(0.0), slope)
    curvature = times(slope, times_power(exactly(at_most(abs(x), 50.0)), 1.0))
    return signed(unscaled(value), x), slope, signed(curvature, -x)


@Kernel
def _mish(x: float, ordinary: int = False) -> Orders:
    """With E = e^x and D = E² + 2E + 2 the step tanh ln(1 + E) is E·(E + 2)/D, its slope 4E·(E + 1)/D².

    f″ = 4E·(2(E + 1) + x·(2 + 2E − 3E² − 2E³)/D)/D². Right of 0 it is the same in e = 1/E, with the
    coefficients in the opposite order.
    """
    left = x < 0
    size = at_most(abs(x), FARTHEST)
    p = exp_scaled(-size, 0.0, ordinary)
    half = mantissa(p) if ordinary else multiple(0.5, mantissa(p))
    exponent = p.exponent + (0.0 if ordinary else 1.0)
    e = beside_one(half, exponent)
    square = product_unnormalised(e, e)
    c, d = (2.0, 1.0) if left else (1.0, 2.0)
    top = _sum(DoubleDouble(c, 0.0), multiple(d, e))
    divided = inverse_unnormalised(_sum(_sum(DoubleDouble(c, 0.0), multiple(2.0, e)), multiple(d, square)))
    share = product_unnormalised(DoubleDouble(size, 0.0), divided)
    middle = _sum(_ONE, e)

    shift = exponent if left else 0.0
    step = product_unnormalised(half, divided) if left else divided
    change = multiple(4.0, product_unnormalised(middle, share))
    more = multiple(-1.0, change) if left else product_unnormalised(square, change)
    ascent = _sum(top, more, ordinary)
    first = with_exponent(product_unnormalised(step, ascent), shift)

    cubic = _sum(DoubleDouble(c + 1, 0.0), multiple(2.0, e))
    cubic = _sum(DoubleDouble(d + 1, 0.0), multiple(-1.0, product_unnormalised(e, cubic)))
    cubic = _sum(DoubleDouble(2.0, 0.0), product_unnormalised(e, cubic))
    bend = _sum(multiple(2.0, middle), multiple(-1.0, product_unnormalised(cubic, share)), ordinary)
    scale = half if left else product_unnormalised(half, half)
    weight = multiple(4.0, product_unnormalised(scale, product_unnormalised(divided, divided)))
    second = with_exponent(product_unnormalised(weight, bend), exponent if left else 2 * exponent)
    gate = with_exponent(product_unnormalised(top, step), shift)
    return _gated(x, gate, ordinary), first, second


@partial(Kernel, ties=True, exact_infinities=True)
def _hard_swish(x: float, rough: int = False) -> Orders:
    inside = abs(x) < 3
    ramp = divided(times_double(fast_two_sum(3.0, x), x), 6.0, rough)
    ramp = DoubleDouble(ramp.high, 1.0 if rough else ramp.low)  # which may be anything: it is rounded
    value = choose(inside, unscaled(ramp), exactly(x if x >= 3 else unless_nan(0.0, x, rough)))
    # Of 3/2 + x nothing is lost where x is the larger, either: the sum then has the last place of x.
    ramp = divided(fast_two_sum(1.5, x), 3.0, rough)
    slope = choose(inside, unscaled(ramp), level(1.0 if x >= 3 else 0.0, x, rough))
    return value, slope, level(1 / 3 if inside else 0.0, x, rough)


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
        "작은 음수 입력에서도 그래디언트가 흘러 ReLU처럼 유닛이 죽지 않습니다. 기울기는 1을 넘기도 하고"
        "(최대 1.0998), 최저점 왼쪽에서는 음수가 되었다가 지수적으로 사라집니다.",
    ),
    formulas=formulas(
        "x * sigmoid(x)",
        "sigmoid(x) + x * sigmoid(x) * sigmoid(-x)",
        "2 * sigmoid(x) * sigmoid(-x) - x * sigmoid(x) * sigmoid(-x) * tanh(x / 2)",
    ),
    kernel=_silu,
    range="[-0.2784645427610737951094, inf)",
    limits=("0", "inf"),
    largest_slope="1.099839320128866916958",
    zero_centred=False,
    monotone=False,
    smoothness=np.inf,
    saturates=frozenset({"negative"}),
    references=(_HENDRYCKS, _ELFWING),
)

SWISH = Elementwise(
    name="swish",
    title=Text("Swish", "Swish"),
    summary=Text(
        "SiLU with a steepness β that can be learned: β = 0 is the line x/2, β = 1 is SiLU, and a large β "
        "approaches ReLU. The gradient for β is x²·σ(βx)·σ(−βx), which vanishes for units far from zero.",
        "가파른 정도 β를 학습할 수 있는 SiLU입니다. β = 0이면 직선 x/2, β = 1이면 SiLU이고 β가 커질수록 "
        "ReLU에 가까워집니다. β의 그래디언트는 x²·σ(βx)·σ(−βx)라서 0에서 먼 유닛에서는 사라집니다.",
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
    kernel=_swish,
    parameter_gradients=_swish_gradient,
    range="[-0.2784645427610737951094, inf)",
    limits=("0", "inf"),
    largest_slope="1.099839320128866916958",
    zero_centred=False,
    monotone=False,
    smoothness=np.inf,
    saturates=frozenset({"negative"}),
    references=(_RAMACHANDRAN,),
)

QUICK_GELU = Elementwise(
    name="quick_gelu",
    title=Text("Quick GELU", "Quick GELU"),
    summary=Text(
        "GELU with the normal distribution function replaced by σ(1.702x): cheap, and off by at most 0.021. "
        "CLIP was trained with it, and weights trained with it need it: exact GELU in its place changes the "
        "outputs.",
        "GELU의 정규분포 누적분포함수를 σ(1.702x)로 바꾼 함수입니다. 계산이 싸고 오차는 최대 0.021입니다. "
        "CLIP이 이 함수로 학습되었으며, 이 함수로 학습한 가중치에 정확한 GELU를 쓰면 출력이 달라집니다.",
    ),
    formulas=formulas(
        "x * sigmoid(1.702 * x)",
        "sigmoid(1.702 * x) + 1.702 * x * sigmoid(1.702 * x) * sigmoid(-1.702 * x)",
        "3.404 * sigmoid(1.702 * x) * sigmoid(-1.702 * x)"
        " - 1.702**2 * x * sigmoid(1.702 * x) * sigmoid(-1.702 * x) * tanh(0.851 * x)",
    ),
    kernel=_quick_gelu,
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
        "between. Cheap and well suited to fixed-point hardware (MobileNetV3); below −3 units are dead as "
        "with ReLU, and the slope jumps at both corners.",
        "Swish의 시그모이드를 직선으로 바꾼 함수입니다. −3까지는 0, 3부터는 항등 함수, 그 사이는 "
        "포물선입니다. 계산이 싸고 고정소수점 하드웨어에 알맞아 MobileNetV3에서 쓰였습니다. −3 아래에서는 "
        "ReLU처럼 유닛이 죽고, 두 모서리에서 기울기가 끊깁니다.",
    ),
    writings=(
        Expression("x * min(max(x / 6 + 1 / 2, 0), 1)"),
        Expression("x * min(max(x + 3, 0), 6) / 6"),
        Expression("x * (min(max(x + 3, 0), 6) / 6)"),
    ),
    formulas=formulas(
        "x if x >= 3 else 0 if x <= -3 else x * (x + 3) / 6",
        "1 if x >= 3 else 0 if x <= -3 else (2 * x + 3) / 6",
        "1 / 3 if abs(x) < 3 else 0",
    ),
    kernel=_hard_swish,
    range="[-3/8, inf)",
    limits=("0", "inf"),
    largest_slope="3/2",
    zero_centred=False,
    monotone=False,
    smoothness=0,
    saturates=frozenset({"negative"}),
    kinks=("-3", "3"),
    references=(HOWARD_2019,),
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
        "빨리 사라집니다. 1 + erf로 계산하면 음의 꼬리에서 유효숫자를 모두 잃습니다.",
    ),
    formulas=formulas(
        "x * Phi(x)",
        "Phi(x) + x * phi(x)",
        "2 * phi(x) - x**2 * phi(x)",
    ),
    kernel=_gelu,
    range="[-0.1699712074799036616939, inf)",
    limits=("0", "inf"),
    largest_slope="Phi(sqrt(2)) + sqrt(2) * phi(sqrt(2))",
    zero_centred=False,
    monotone=False,
    smoothness=np.inf,
    saturates=frozenset({"negative"}),
    references=(_HENDRYCKS,),
)

GELU_TANH = Elementwise(
    name="gelu_tanh",
    title=Text("GELU (tanh form)", "GELU(tanh 근사)"),
    summary=Text(
        "GELU with the normal distribution function replaced by σ(2u) = (1 + tanh u)/2, u a cubic: the form "
        "in GPT-2 and BERT and JAX's default. It differs from exact GELU by up to 4.8e-4, far more than "
        "rounding: weights trained with one form need that form.",
        "GELU의 정규분포 누적분포함수를 σ(2u) = (1 + tanh u)/2로 바꾼 함수이며 u는 삼차식입니다. GPT-2와 "
        "BERT가 쓴 형태이자 JAX의 기본값입니다. 정확한 GELU와 최대 4.8e-4 차이가 나는데, 이는 반올림 "
        "오차보다 훨씬 큽니다. 한쪽 형태로 학습한 가중치에는 같은 형태를 써야 합니다.",
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
    kernel=_gelu_tanh,
    range="[-0.1700407505712540506391, inf)",
    limits=("0", "inf"),
    largest_slope="1.128993068658771765456",
    zero_centred=False,
    monotone=False,
    smoothness=np.inf,
    saturates=frozenset({"negative"}),
    references=(_HENDRYCKS,),
)

MISH = Elementwise(
    name="mish",
    title=Text("Mish", "Mish"),
    summary=Text(
        "The input times tanh(softplus(x)): much like SiLU, with a slightly deeper dip (−0.309 at −1.19) "
        "and a step that rises faster. Used in YOLOv4. It costs more than SiLU, and its plain formula "
        "overflows for large inputs in low precision.",
        "입력에 tanh(softplus(x))를 곱한 함수입니다. SiLU와 비슷하지만 최저점이 조금 더 깊고(−1.19에서 "
        "−0.309) 더 빨리 항등 함수에 가까워집니다. YOLOv4에서 쓰였습니다. SiLU보다 계산이 비싸고, 식을 "
        "그대로 계산하면 낮은 정밀도의 큰 입력에서 오버플로가 납니다.",
    ),
    formulas=formulas(
        "x * tanh(softplus(x))",
        "tanh(softplus(x)) + x * s",
        "2 * s + x * s * (sigmoid(-x) - 2 * tanh(softplus(x)) * sigmoid(x))",
        s="sech(softplus(x))**2 * sigmoid(x)",
    ),
    slope_writings=(
        Expression(
            "exp(x) * (4 * (x + 1) + 4 * exp(2 * x) + exp(3 * x) + exp(x) * (4 * x + 6))"
            " / (2 * exp(x) + exp(2 * x) + 2)**2"
        ),
        Expression("x * (1 - tanh(softplus(x))**2) * (1 - exp(-softplus(x))) + tanh(softplus(x))"),
    ),
    kernel=_mish,
    range="[-0.3088434130172504066288, inf)",
    limits=("0", "inf"),
    largest_slope="1.088498161251727861228",
    zero_centred=False,
    monotone=False,
    smoothness=np.inf,
    saturates=frozenset({"negative"}),
    references=(MISRA_2019,),
)

ERF = Elementwise(
    name="erf",
    title=Text("Error function", "오차 함수"),
    summary=Text(
        "A sigmoid from −1 to 1 whose slope is a Gaussian. Infinitely wide networks with it have a kernel in "
        "closed form, which makes it popular in theory; in practice its gradient vanishes even faster than "
        "tanh's.",
        "−1에서 1까지 오르는 시그모이드로, 기울기가 가우스 함수입니다. 이 함수를 쓰는 무한히 넓은 신경망은 "
        "커널이 닫힌 식으로 나와 이론에서 즐겨 씁니다. 실제로는 그래디언트가 tanh보다도 빨리 사라집니다.",
    ),
    formulas=formulas(
        "erf(x)",
        "2 / sqrt(pi) * exp(-x**2)",
        "-4 * x / sqrt(pi) * exp(-x**2)",
    ),
    kernel=_erf,
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
)

FAMILY = (SILU, SWISH, GELU, GELU_TANH, QUICK_GELU, MISH, HARD_SWISH, ERF)
