"""Gated functions: the input times a soft step of itself. They dip below zero, then approach the identity.

What makes them hard is the left side, where the step decays and its derivative has to beat it: there every
order is a short sum times an exponential, whose exponent stays apart to the end, so that a product with a
large number keeps its digits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import numpy as np

from app.core.activations.definition import (
    Elementwise,
    Reference,
    Text,
    formulas,
)
from app.core.activations.formula import Expression
from app.core.activations.parameters import Parameter
from app.core.activations.piecewise import unless_nan
from app.core.activations.sigmoidal import sigmoids
from app.core.arithmetic import Array, Value
from app.core.arithmetic.double_double import (
    LARGEST,
    Pair,
    at_least,
    at_most,
    beside_one,
    fast_sum,
    fma,
    inverse,
    multiple,
    pair_of,
    polynomial,
    power,
    power_of_two,
    product,
    rounded,
    scalar,
    scaled,
    two_product,
    two_sum,
)
from app.core.arithmetic.loops import Fused
from app.core.arithmetic.normal_tail import END, mills

_ONE: Final = Pair(1.0, 0.0)


@scalar
def _sum(a: Pair, b: Pair) -> Pair:
    """a + b, not normalised."""
    head = two_sum(a.high, b.high)
    return Pair(head.high, head.low + (a.low + b.low))


@scalar
def _rounded(a: Pair, b: Pair, exponent: float) -> float:
    """a·b·2^exponent."""
    return scaled(rounded(a, b), exponent)


@scalar
def _finite(x: float) -> float:
    return at_most(at_least(x, -LARGEST), LARGEST)


@scalar
def _gated(x: float, gate: Pair, exponent: float) -> float:
    """x·gate·2^exponent. At infinity the gate is open if its exponent is 0, and else shut."""
    finite = _finite(x)
    value = scaled(fma(finite, gate.high, finite * gate.low), exponent)
    return value if abs(x) <= LARGEST or exponent < 0 else x


@scalar
def _sigmoid_gate(x: float, u: Pair, growth: Pair, slope: Pair, bend: Pair) -> tuple[float, float, float]:
    """x·σ(u), σ(u)·(1 + xu′·σ(−u)) and σ(u)·σ(−u)·u′·(2 + xu″/u′ − xu′·(σ(u) − σ(−u))).

    ``growth`` is xu′, of u's sign and no more than ±2¹² where e^−|u| is more than 0, ``slope`` u′ and
    ``bend`` 2 + xu″/u′.
    """
    left = u.high < 0
    most, least, exponent, tail = sigmoids(u)
    gate, rest = (least, most) if left else (most, product(tail, most))
    shift = exponent if left else 0.0
    change = fma(growth.high, rest.low, growth.low * rest.high)
    ascent = Pair(fma(growth.high, rest.high, 1.0), change)  # rounded, but where it cancels
    above = fast_sum(1.0, -tail.high)
    tilt = product(Pair(above.high, above.low - tail.low), most)  # σ(|u|) − σ(−|u|)
    pull = product(growth, tilt if left else multiple(-1.0, tilt))
    spare = at_most(at_least(-exponent, 0.0), 12.0)  # scaled before, what a huge slope makes is a number
    weight = multiple(power_of_two(-spare), product(product(least, most), slope))
    second = _rounded(weight, _sum(bend, pull), exponent + spare)
    return _gated(x, gate, shift), _rounded(gate, ascent, shift), second


@scalar
def _argument(x: float, rate: Pair) -> Pair:
    """rate·x, cut to ±4000, where e^−|u| has vanished. 0·∞ = 0: a flat gate is flat out to infinity."""
    u = product(rate, Pair(_finite(x) if rate.high == 0 else x, 0.0))
    high = at_most(at_least(u.high, -4000.0), 4000.0)
    return Pair(high, u.low if high == u.high else 0.0)


@scalar
def _swish_of(x: float, rate: Pair) -> tuple[float, float, float]:
    """x·σ(rate·x)."""
    u = _argument(x, rate)
    return _sigmoid_gate(x, u, u, rate, Pair(2.0, 0.0))


@Fused
def _silu(x: float) -> tuple[float, float, float]:
    u = Pair(at_most(at_least(x, -4000.0), 4000.0), 0.0)
    return _sigmoid_gate(x, u, u, _ONE, Pair(2.0, 0.0))


@Fused
def _swish(x: float, beta: float) -> tuple[float, float, float]:
    return _swish_of(x, Pair(beta, 0.0))


@Fused
def _swish_by_beta(x: float, beta: float) -> tuple[float]:
    """x²·σ(βx)·σ(−βx) = (x·h/(1 + h²))² with h = e^{−|βx|/2}: x² may overflow and h² vanish."""
    u = multiple(-0.5, _argument(x, Pair(beta, 0.0)))
    p = power(-abs(u.high), u.low if u.high < 0 else -u.low)
    mantissa, exponent = Pair(0.5 * p.high, 0.5 * p.low), p.exponent + 1
    below = _sum(_ONE, beside_one(product(mantissa, mantissa), 2 * exponent))
    root = product(Pair(_finite(x), 0.0), product(mantissa, inverse(below)))
    high, low = scaled(root.high, exponent), scaled(root.low, exponent)
    return (high * (high + 2 * low),)


def _swish_gradients(x: Array, *, beta: Value) -> Mapping[str, Array]:
    gradient: Array = np.empty(x.size, x.dtype)
    _swish_by_beta(x.ravel(), [gradient], beta=np.ravel(beta) if isinstance(beta, np.ndarray) else beta)
    return {"beta": gradient.reshape(x.shape)}


_QUICK_RATE: Final = pair_of("1.702")


@Fused
def _quick_gelu(x: float) -> tuple[float, float, float]:
    return _swish_of(x, _QUICK_RATE)


_LINEAR: Final = pair_of("1.5957691216057307117597842397375274739")
"""2√(2/π)."""

_CUBIC: Final = pair_of("0.0713548162726002487763387522798635409959")
"""2√(2/π)·0.044715."""


@Fused
def _gelu_tanh(x: float) -> tuple[float, float, float]:
    near = at_most(at_least(x, -100.0), 100.0)  # e^−|u| has vanished long before
    a = Pair(near, 0.0)
    cubic = product(_CUBIC, two_product(near, near))
    slope = _sum(_LINEAR, product(Pair(3.0, 0.0), cubic))
    bend = product(_sum(multiple(2.0, _LINEAR), product(Pair(12.0, 0.0), cubic)), inverse(slope))
    u, growth = product(a, _sum(_LINEAR, cubic)), product(a, slope)
    return _sigmoid_gate(x, u, growth, slope, bend)


_DENSITY_AT_0: Final = pair_of("0.398942280401432677939946059934381868475858631164934657665926")
"""φ(0) = 1/√(2π)."""


@Fused
def _gelu(x: float) -> tuple[float, float, float]:
    left = x < 0
    a = at_most(abs(x), END)
    square = two_product(a, a)
    e = power(-0.5 * square.high, -0.5 * square.low)
    density = product(_DENSITY_AT_0, Pair(e.high, e.low))
    ratio = mills(a)
    # Φ(−a), and Φ(−a) − a·φ(a).
    tail, first = product(density, ratio), product(density, _sum(ratio, Pair(-a, 0.0)))
    second = _rounded(density, _sum(Pair(2.0, 0.0), multiple(-1.0, square)), e.exponent)
    shift = e.exponent if left else 0.0
    gate = tail if left else _rest_of_one(tail, e.exponent)
    slope = first if left else _rest_of_one(first, e.exponent)
    return _gated(x, gate, shift), scaled(slope.high + slope.low, shift), second


@scalar
def _rest_of_one(a: Pair, exponent: float) -> Pair:
    """1 − a·2^exponent."""
    return _sum(_ONE, multiple(-1.0, beside_one(a, exponent)))


_ROOT_2: Final = pair_of("1.41421356237309504880168872420969807857")
_ROOT_2_BY_PI: Final = pair_of("0.797884560802865355879892119868763736952")
"""√(2/π)."""
_TWO_BY_ROOT_PI: Final = pair_of("1.12837916709551257389615890312154517169")
"""2/√π."""

_ERF_SERIES: Final = tuple(
    2 / math.sqrt(math.pi) * (-1) ** k / (math.factorial(k) * (2 * k + 1)) for k in range(12, 0, -1)
)
"""erf x = x·(2/√π + z·(…)), z = x²: for |x| ≤ 1/2 the first term left out is below 2⁻⁶⁰."""


@Fused
def _erf(x: float) -> tuple[float, float, float]:
    a = at_most(abs(x), 45.0)  # e^−45² has vanished
    square = two_product(a, a)
    e = power(-square.high, -square.low)
    gaussian = Pair(e.high, e.low)
    far = product(_ROOT_2, Pair(a, 0.0))
    # erfc a = 2Φ(−√2 a)
    outside = _rest_of_one(product(product(_ROOT_2_BY_PI, gaussian), mills(far.high, far.low)), e.exponent)
    series = square.high * polynomial(square.high, _ERF_SERIES)
    factor = fast_sum(_TWO_BY_ROOT_PI.high, series + _TWO_BY_ROOT_PI.low)
    inside = fma(a, factor.high, a * factor.low)
    value = inside if a < 0.5 else outside.high + outside.low
    slope = _rounded(_TWO_BY_ROOT_PI, gaussian, e.exponent)
    twice = Pair(math.copysign(2 * a, -x), 0.0)
    curvature = _rounded(product(_TWO_BY_ROOT_PI, gaussian), twice, e.exponent)
    return math.copysign(value, x), slope, curvature


@Fused
def _mish(x: float) -> tuple[float, float, float]:
    """With E = e^x and D = E² + 2E + 2 the step tanh ln(1 + E) is E·(E + 2)/D, its slope 4E·(E + 1)/D².

    f″ = 4E·(2(E + 1) + x·(2 + 2E − 3E² − 2E³)/D)/D². Right of 0 it is the same in e = 1/E, with the
    coefficients in the opposite order.
    """
    left = x < 0
    size = at_most(abs(x), 2000.0)
    p = power(-size)
    mantissa, exponent = Pair(0.5 * p.high, 0.5 * p.low), p.exponent + 1
    e = beside_one(mantissa, exponent)
    square = product(e, e)
    c, d = (2.0, 1.0) if left else (1.0, 2.0)
    top = _sum(Pair(c, 0.0), multiple(d, e))
    divided = inverse(_sum(_sum(Pair(c, 0.0), multiple(2.0, e)), multiple(d, square)))
    share = product(Pair(size, 0.0), divided)
    middle = _sum(_ONE, e)

    shift = exponent if left else 0.0
    step = product(mantissa, divided) if left else divided
    change = multiple(4.0, product(middle, share))
    first = _rounded(step, _sum(top, multiple(-1.0, change) if left else product(square, change)), shift)

    cubic = _sum(Pair(c + 1, 0.0), multiple(2.0, e))
    cubic = _sum(Pair(d + 1, 0.0), multiple(-1.0, product(e, cubic)))
    cubic = _sum(Pair(2.0, 0.0), product(e, cubic))
    bend = _sum(multiple(2.0, middle), multiple(-1.0, product(cubic, share)))
    scale = mantissa if left else product(mantissa, mantissa)
    weight = multiple(4.0, product(scale, product(divided, divided)))
    second = _rounded(weight, bend, at_least(exponent if left else 2 * exponent, -3000.0))
    return _gated(x, product(top, step), shift), first, second


@Fused
def _hard_swish(x: float) -> tuple[float, float, float]:
    above = two_sum(x, 3.0)
    inside = fma(x, above.high, x * above.low) / 6
    value = x if x >= 3 else 0.0 if x <= -3 else inside
    slope = 1.0 if x >= 3 else 0.0 if x <= -3 else (2 * x + 3) / 6
    return value, slope, unless_nan(0.0 if abs(x) >= 3 else 1 / 3, x)


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
)

FAMILY = (SILU, SWISH, GELU, GELU_TANH, QUICK_GELU, MISH, HARD_SWISH, ERF)
