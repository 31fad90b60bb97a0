"""Functions with an exponential or algebraic tail: bounded or vanishing on the left, open on the right."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
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
from app.core.activations.papers import DUGAS_2000
from app.core.activations.parameters import NON_NEGATIVE, NONZERO, Parameter
from app.core.activations.piecewise import finite, level, unless_nan
from app.core.arithmetic.double_double import (
    FARTHEST,
    LARGEST,
    DoubleDouble,
    Scaled,
    add_double,
    at_least,
    at_most,
    constant,
    exp_scaled,
    expm1,
    polynomial,
    product,
    product_unnormalised,
    scalar,
    two_product,
    two_sum,
)
from app.core.arithmetic.functions import as_exponent, log1p_of_exp, sigmoids
from app.core.arithmetic.loops import Kernel
from app.core.arithmetic.scaled import (
    Orders,
    apart,
    choose,
    exactly,
    mantissa,
    negative,
    over,
    plus,
    root,
    times,
    times_power,
    unscaled,
    with_exponent,
)

_SCALE: Final = Fraction("1.0507009873554804934193349852946")
_LAMBDA: Final = constant(_SCALE)
_LAMBDA_ALPHA: Final = constant(_SCALE * Fraction("1.6732632423543772848170429916717"))


@scalar
def _line_and_exponential(x: float, slope: Scaled, weight: Scaled, ordinary: int) -> Orders:
    """slope·x for x > 0, weight·(e^x − 1) elsewhere."""
    left = at_most(x, 0.0)
    m = expm1(left, 0.0, ordinary)
    change = unscaled(DoubleDouble(math.copysign(m.high, left), m.low))
    tail = times(weight, exp_scaled(left, 0.0, ordinary))  # not f + α: that is 0 from x = −37 on
    tail = choose(not ordinary and x < -FARTHEST, exactly(0.0), tail)
    # What is tiny is scaled up first: the weights would round it as a subnormal number.
    tiny = not ordinary and abs(x) < 2.0**-600
    right = DoubleDouble(x * 2.0**200 if tiny else x, -0.0)
    line = with_exponent(
        product_unnormalised(mantissa(slope), right), slope.exponent - (200.0 if tiny else 0.0)
    )
    line = choose(
        not ordinary and slope.high == 0, slope, line
    )  # 0·∞ = 0: a flat line is flat out to infinity
    change = choose(tiny, Scaled(left * 2.0**200, 0.0, -200.0), change)
    value = choose(x > 0, line, times(weight, change))
    return value, choose(x > 0, slope, tail), choose(x >= 0, exactly(0.0), tail)


@Kernel
def _elu(x: float, alpha: float, ordinary: int = False) -> Orders:
    return _line_and_exponential(x, exactly(1.0), apart(alpha, ordinary), ordinary)


@Kernel
def _elu_gradient(x: float, alpha: float) -> tuple[Scaled]:  # noqa: ARG001 - f is linear in α
    return (choose(x > 0, exactly(0.0), unscaled(expm1(at_most(x, 0.0)))),)


@Kernel
def _selu(x: float, ordinary: int = False) -> Orders:
    return _line_and_exponential(x, unscaled(_LAMBDA), unscaled(_LAMBDA_ALPHA), ordinary)


@Kernel
def _elu_with_gamma(x: float, alpha: float, gamma: float) -> Orders:
    return _line_and_exponential(x, apart(gamma), times(apart(gamma), apart(alpha)), False)


@Kernel
def _celu(x: float, alpha: float, ordinary: int = False) -> Orders:
    width = apart(alpha, ordinary)
    q = over(apart(at_most(x if ordinary else finite(x), 0.0), ordinary), width)
    exponent = as_exponent(q, ordinary)
    e = exp_scaled(exponent.high, exponent.low, ordinary)
    # Where e^q is 1 to the last bit, f is x and a trace: α·(x/α) would leave another trace.
    near = abs(exponent.high) < 2.0**-54
    trace = DoubleDouble(x, 0.5 * x * exponent.high)
    moderate = unscaled(expm1(exponent.high, exponent.low, ordinary))  # of no use beyond 700
    far = choose(exponent.high > 40, plus(e, exactly(-1.0), ordinary), moderate)
    value = choose(near, unscaled(trace), times(width, far))
    right, vanished = not x <= 0, not ordinary and exponent.high < -FARTHEST
    slope = choose(right, level(1.0, x), choose(vanished, exactly(0.0), e))
    curvature = choose(x >= 0 or vanished, exactly(0.0), choose(right, exactly(x), over(e, width)))
    return choose(right, exactly(x), value), slope, curvature


@Kernel
def _celu_gradient(x: float, alpha: float) -> tuple[Scaled]:
    """∂f/∂α = e^q·(1 − q) − 1 with q = x/α; −q²/2 − q³/3 − q⁴/8 − … near 0, where that cancels."""
    q = over(apart(at_most(finite(x), 0.0)), apart(alpha))
    exponent = as_exponent(q)
    size = at_most(at_least(exponent.high, -1.0), 1.0)
    series = add_double(two_product(size, polynomial(size, _CELU_SERIES)), 0.5)
    near = times(negative(times(q, q)), unscaled(series))
    e = exp_scaled(exponent.high, exponent.low)
    far = plus(times(e, plus(exactly(1.0), negative(q))), exactly(-1.0))
    left = choose(abs(exponent.high) < 1, near, choose(exponent.high < -FARTHEST, exactly(-1.0), far))
    return (choose(x <= 0, left, level(0.0, x)),)


_CELU_SERIES: Final = tuple((n - 1) / math.factorial(n) for n in range(20, 2, -1))
"""1/3 + q/8 + q²/30 + …, the terms (n − 1)/n!·qⁿ⁻³ of ∂f/∂α from the cubic one on."""


@Kernel
def _exponential(x: float) -> Orders:
    e = choose(x < -FARTHEST, exactly(0.0), choose(x > FARTHEST, exactly(math.inf), exp_scaled(x)))
    return e, e, e


@scalar
def _smooth_hinge(x: float, beta: float, ordinary: int = False) -> Orders:
    """ln(1 + e^βx)/β and its derivatives: x where βx > 0, and ln(1 + e^−|βx|)/β."""
    rate, a = apart(beta, ordinary), apart(x if ordinary else finite(x), ordinary)
    u = as_exponent(times(rate, a), ordinary)
    opened = x if u.high > 0 else unless_nan(0.0, x)
    line = exactly(x if u.high > 0 else 0.0) if ordinary else choose(u.high > 0, a, level(0.0, x))
    value = plus(line, over(log1p_of_exp(u, ordinary), rate), ordinary)
    both = sigmoids(u, ordinary)
    least, most = with_exponent(both.least, both.exponent), unscaled(both.most)
    curvature = times(rate, times(least, most))
    return (
        value if ordinary else choose(abs(x) <= LARGEST, value, exactly(opened)),
        choose(u.high > 0, most, least),
        choose(not ordinary and abs(u.high) >= FARTHEST, level(0.0, x), curvature),
    )


@Kernel
def _softplus(x: float, beta: float, ordinary: int = False) -> Orders:
    return _smooth_hinge(x, beta, ordinary)


@Kernel
def _softplus_gradient(x: float, beta: float) -> tuple[Scaled]:
    """∂f/∂β = −(|x|·σ(−|βx|) + ln(1 + e^−|βx|)/|β|)/|β|: x·σ(βx) − f(x) cancels."""
    rate, size = apart(abs(beta)), apart(finite(abs(x)))
    u = as_exponent(times(rate, size))
    both = sigmoids(u)
    total = plus(times(size, with_exponent(both.least, both.exponent)), over(log1p_of_exp(u), rate))
    gradient = choose(u.high >= FARTHEST, level(0.0, x), over(total, rate))
    return (negative(gradient),)


@partial(Kernel, places=("threshold",))
def _softplus_with_threshold(x: float, beta: float, threshold: float, ordinary: int = False) -> Orders:
    if ordinary:
        exact = two_product(beta, x)
        excess = (exact.high - threshold) + exact.low  # rounded, but of the right sign
    else:
        product = times(apart(beta), apart(x))
        excess = plus(product, negative(apart(threshold))).high if math.isfinite(x) else beta * x
    value, slope, curvature = _smooth_hinge(x, beta, ordinary)
    return (
        choose(excess > 0, exactly(x), value),
        choose(excess > 0, exactly(1.0), slope),
        choose(excess >= 0, exactly(0.0), curvature),
    )


@Kernel
def _squareplus(x: float, b: float, ordinary: int = False) -> Orders:
    width = apart(b if ordinary or abs(x) < math.inf else 0.0, ordinary)
    size = apart(abs(x) if ordinary else at_most(abs(x), LARGEST), ordinary)
    square = unscaled(add_double(two_product(x, x), b)) if ordinary else plus(times(size, size), width)
    distance = root(square)
    half = exactly(0.5 * b) if ordinary else times_power(width, -1.0)
    # (√(x² + b) + x)/2 is x + b/(√(x² + b) + x)/2, which spares the left side its cancellation.
    bend = over(half, plus(distance, size, ordinary))
    tail = over(bend, distance)
    curvature = over(half, times(distance, square))
    corner = x == 0 and b == 0
    right = plus(size, bend, ordinary)
    value = choose(x < 0, bend, right if ordinary else choose(x < math.inf, right, exactly(x)))
    slope = choose(x >= 0, plus(exactly(1.0), negative(tail), ordinary), tail)
    return (
        choose(corner, exactly(0.0), value),
        choose(corner, exactly(0.5), slope),
        choose(corner, exactly(0.0), curvature),
    )


@Kernel
def _sparse_plus(x: float) -> Orders:
    s = two_sum(1.0, x)  # squaring doubles the weight of the rounding of 1 + x
    parabola = with_exponent(product(s, s), -2.0)
    inside, line = abs(x) < 1, with_exponent(s, -1.0)
    value = choose(inside, parabola, level(x if x >= 1 else 0.0, x))
    slope = choose(inside, line, level(1.0 if x >= 1 else 0.0, x))
    return value, slope, level(0.5 if inside else 0.0, x)


_KLAMBAUER = Reference(
    authors="Klambauer, Unterthiner, Mayr, Hochreiter",
    title="Self-Normalizing Neural Networks",
    year=2017,
    identifier="arXiv:1706.02515",
)
_DUGAS = DUGAS_2000

ELU = Elementwise(
    name="elu",
    title=Text("Exponential linear unit (ELU)", "지수 선형 유닛(ELU)"),
    summary=Text(
        "The identity on the right, an exponential that levels off at −α on the left. Negative outputs bring "
        "the mean towards zero, and no unit dies completely; but far to the left the gradient does vanish, "
        "and unless α = 1 the slope jumps at zero.",
        "오른쪽은 항등 함수이고, 왼쪽은 −α로 수렴하는 지수 함수입니다. 음수 출력이 평균을 0에 가깝게 "
        "만들고, 완전히 죽는 유닛이 생기지 않습니다. 다만 왼쪽 멀리에서는 포화되어 그래디언트가 사라지며, "
        "α가 1이 아니면 0에서 기울기가 불연속입니다.",
    ),
    parameters=(
        Parameter(
            name="alpha",
            symbol=r"\alpha",
            description=("minus the limit on the left", "왼쪽 극한의 부호를 바꾼 값"),
            default=1.0,
            typical=(0.1, 4.0),
            learnable=True,
            gradient=Expression("0 if x > 0 else expm1(x)"),
        ),
    ),
    formulas=formulas(
        "x if x > 0 else alpha * expm1(x)",
        "1 if x > 0 else alpha * exp(x)",
        "alpha * exp(x) if x < 0 else 0",
    ),
    kernel=_elu,
    parameter_gradients=_elu_gradient,
    range="(-alpha, inf)",
    limits=("-alpha", "inf"),
    largest_slope="1",
    zero_centred=False,
    monotone=True,
    smoothness=1,
    saturates=frozenset({"negative"}),
    kinks=("0",),
    references=(
        Reference(
            authors="Clevert, Unterthiner, Hochreiter",
            title="Fast and Accurate Deep Network Learning by Exponential Linear Units (ELUs)",
            year=2015,
            identifier="arXiv:1511.07289",
        ),
    ),
)

SELU = Elementwise(
    name="selu",
    title=Text("Scaled ELU (SELU)", "스케일된 지수 선형 유닛(SELU)"),
    summary=Text(
        "ELU with the two constants for which mean 0 and variance 1 are a stable fixed point, given LeCun "
        "initialisation: activations normalise themselves without batch normalisation. The gradient does "
        "not: at that fixed point its second moment grows by 7 % a layer.",
        "르쿤 초기화에서 평균 0, 분산 1이 안정된 고정점이 되도록 두 상수를 정한 ELU입니다. 배치 정규화 "
        "없이도 활성값이 스스로 정규화됩니다. 그러나 그래디언트는 그렇지 않아서, 이 고정점에서 그래디언트의 "
        "2차 모멘트는 층마다 7%씩 커집니다.",
    ),
    constants={
        "scale": (r"\lambda", "1.0507009873554804934193349852946"),
        "alpha": (r"\alpha", "1.6732632423543772848170429916717"),
    },
    formulas=formulas(
        "scale * x if x > 0 else scale * alpha * expm1(x)",
        "scale if x > 0 else scale * alpha * exp(x)",
        "scale * alpha * exp(x) if x < 0 else 0",
    ),
    kernel=_selu,
    range="(-scale * alpha, inf)",
    limits=("-scale * alpha", "inf"),
    largest_slope="scale * alpha",
    zero_centred=True,
    monotone=True,
    smoothness=0,
    saturates=frozenset({"negative"}),
    kinks=("0",),
    references=(_KLAMBAUER,),
)

SCALED_ELU = Elementwise(
    name="scaled_elu",
    title=Text("ELU times a factor", "배율이 있는 ELU"),
    summary=Text(
        "SELU with its two constants as parameters, as ONNX defines it. The defaults are ONNX's: the "
        "constants of SELU rounded to 24 bits, so that the self-normalising fixed point is met to seven "
        "digits only.",
        "SELU의 두 상수를 매개변수로 둔 함수로, ONNX의 정의를 따릅니다. 기본값은 ONNX의 값, 곧 SELU의 "
        "상수를 24비트로 반올림한 수입니다. 따라서 자기 정규화 고정점도 유효숫자 일곱 자리까지만 맞습니다.",
    ),
    parameters=(
        Parameter(
            name="alpha",
            symbol=r"\alpha",
            description=(
                "minus the limit on the left, before the factor",
                "배율을 곱하기 전, 왼쪽 극한의 부호를 바꾼 값",
            ),
            default=1.67326319217681884765625,
            typical=(0.1, 4.0),
        ),
        Parameter(
            name="gamma",
            symbol=r"\gamma",
            description=("factor of the whole", "전체에 곱하는 배율"),
            default=1.05070102214813232421875,
            typical=(0.1, 4.0),
        ),
    ),
    formulas=formulas(
        "gamma * x if x > 0 else gamma * alpha * expm1(x)",
        "gamma if x > 0 else gamma * alpha * exp(x)",
        "gamma * alpha * exp(x) if x < 0 else 0",
    ),
    kernel=_elu_with_gamma,
    range="(-gamma * alpha, inf)",
    limits=("-gamma * alpha", "inf"),
    largest_slope="gamma * alpha",
    zero_centred=False,
    monotone=True,
    smoothness=0,
    saturates=frozenset({"negative"}),
    kinks=("0",),
    references=(_KLAMBAUER,),
)

CELU = Elementwise(
    name="celu",
    title=Text("Continuously differentiable ELU (CELU)", "연속 미분 가능 ELU(CELU)"),
    summary=Text(
        "ELU with x/α in the exponent, so that the slope is continuous at zero, and never above 1, for "
        "every α. Small α brings it close to ReLU, large α close to the identity. To the left it saturates "
        "as ELU does.",
        "ELU의 지수에 x/α를 넣어 어떤 α에서도 0에서 기울기가 연속이고 1을 넘지 않게 한 함수입니다. α가 "
        "작으면 ReLU에, 크면 항등 함수에 가까워집니다. 왼쪽에서는 ELU처럼 포화됩니다.",
    ),
    parameters=(
        Parameter(
            name="alpha",
            symbol=r"\alpha",
            description=(
                "minus the limit on the left, and the width of the bend",
                "왼쪽 극한의 부호를 바꾼 값이자 굽은 구간의 너비",
            ),
            domain=NONZERO,
            default=1.0,
            typical=(0.05, 10.0),
            learnable=True,
            gradient=Expression("0 if x > 0 else exp(x / alpha) * (1 - x / alpha) - 1"),
        ),
    ),
    formulas=formulas(
        "x if x > 0 else alpha * expm1(x / alpha)",
        "1 if x > 0 else exp(x / alpha)",
        "exp(x / alpha) / alpha if x < 0 else 0",
    ),
    kernel=_celu,
    parameter_gradients=_celu_gradient,
    range="(-alpha, inf)",
    limits=("-alpha", "inf"),
    largest_slope="1",
    zero_centred=False,
    monotone=True,
    smoothness=1,
    saturates=frozenset({"negative"}),
    kinks=("0",),
    references=(
        Reference(
            authors="Barron",
            title="Continuously Differentiable Exponential Linear Units",
            year=2017,
            identifier="arXiv:1704.07483",
        ),
    ),
)

EXPONENTIAL = Elementwise(
    name="exponential",
    title=Text("Exponential", "지수 함수"),
    summary=Text(
        "e^x: positive outputs from any input, for rates and scales, and for first layers whose filters are "
        "to be interpreted. It is its own derivative, so large inputs make outputs and gradients explode "
        "together, and very negative ones make both vanish.",
        "어떤 입력에서도 양수를 내는 e^x입니다. 비율이나 척도를 출력할 때, 또는 필터를 해석하려는 첫 층에 "
        "씁니다. 도함수가 자기 자신이므로 입력이 크면 출력과 그래디언트가 함께 폭발하고, 아주 작으면 함께 "
        "사라집니다.",
    ),
    formulas=formulas("exp(x)", "exp(x)", "exp(x)"),
    kernel=_exponential,
    range="(0, inf)",
    limits=("0", "inf"),
    largest_slope="inf",
    zero_centred=False,
    monotone=True,
    smoothness=np.inf,
    saturates=frozenset({"negative"}),
    references=(
        Reference(
            authors="Koo, Ploenzke",
            title=(
                "Improving representations of genomic sequence motifs in convolutional networks with "
                "exponential activations"
            ),
            year=2021,
            identifier="doi:10.1038/s42256-020-00291-x",
        ),
    ),
)

_BETA = Parameter(
    name="beta",
    symbol=r"\beta",
    description=("sharpness of the bend", "꺾임이 날카로운 정도"),
    domain=NONZERO,
    default=1.0,
    typical=(0.05, 50.0),
)

SOFTPLUS = Elementwise(
    name="softplus",
    title=Text("Softplus", "소프트플러스"),
    summary=Text(
        "A smooth ReLU, whose slope is the sigmoid of βx. Always positive and never flat, it is used where "
        "the output is a variance or a rate. Its outputs are not centred, and to the left the gradient "
        "vanishes like e^βx.",
        "ReLU를 매끄럽게 다듬은 함수이며, 기울기는 βx의 시그모이드입니다. 항상 양수이고 평평한 곳이 없어 "
        "분산이나 비율을 출력할 때 씁니다. 출력의 중심이 0이 아니고, 왼쪽에서는 그래디언트가 e^βx처럼 "
        "사라집니다.",
    ),
    parameters=(
        replace(
            _BETA,
            learnable=True,
            gradient=Expression(
                "-(abs(x) / (1 + exp(abs(beta * x))) + log1p(exp(-abs(beta * x))) / abs(beta)) / abs(beta)"
            ),
        ),
    ),
    formulas=formulas(
        "softplus(beta * x) / beta",
        "sigmoid(beta * x)",
        "beta * sigmoid(beta * x) * sigmoid(-beta * x)",
    ),
    kernel=_softplus,
    parameter_gradients=_softplus_gradient,
    range="(0, inf)",
    limits=("0", "inf"),
    largest_slope="1",
    zero_centred=False,
    monotone=True,
    smoothness=np.inf,
    saturates=frozenset({"negative"}),
    references=(_DUGAS,),
)

SOFTPLUS_THRESHOLD = Elementwise(
    name="softplus_threshold",
    title=Text("Softplus with a threshold", "문턱값이 있는 소프트플러스"),
    summary=Text(
        "Softplus that is replaced by the identity where βx exceeds a threshold, as PyTorch computes it. "
        "The replacement is not needed for stability, and it makes f jump down by about e^−threshold/β: "
        "2e-9 at the default threshold of 20.",
        "βx가 문턱값보다 크면 항등 함수로 바꾸는 소프트플러스로, PyTorch의 계산 방식입니다. 수치 안정성에 "
        "꼭 필요한 처리는 아니며, 그 지점에서 함숫값이 e^−문턱값/β만큼, 기본 문턱값 20에서는 약 2e-9만큼 "
        "아래로 뜁니다.",
    ),
    parameters=(
        _BETA,
        Parameter(
            name="threshold",
            symbol="t",
            description=(
                "value of βx beyond which f is the identity",
                "βx가 이 값을 넘으면 f는 항등 함수입니다",
            ),
            default=20.0,
            typical=(1.0, 40.0),
        ),
    ),
    formulas=formulas(
        "x if beta * x > threshold else softplus(beta * x) / beta",
        "1 if beta * x > threshold else sigmoid(beta * x)",
        "beta * sigmoid(beta * x) * sigmoid(-beta * x) if beta * x < threshold else 0",
    ),
    kernel=_softplus_with_threshold,
    range="(0, inf)",
    limits=("0", "inf"),
    largest_slope="1",
    zero_centred=False,
    monotone=False,
    smoothness=-1,
    saturates=frozenset({"negative"}),
    kinks=("threshold / beta",),
    references=(
        _DUGAS,
        Reference(
            authors="Paszke and others",
            title="PyTorch: An Imperative Style, High-Performance Deep Learning Library",
            year=2019,
            identifier="arXiv:1912.01703",
        ),
    ),
)

SQUAREPLUS = Elementwise(
    name="squareplus",
    title=Text("Squareplus", "스퀘어플러스"),
    summary=Text(
        "A smooth ReLU made of a square root alone, useful where exponentials are expensive. b sets the "
        "width of the bend; at b = 4 the curve has softplus's slope and curvature at zero. Its left tail is "
        "b/(4|x|), so the gradient fades slowly, like 1/x².",
        "제곱근만으로 만든 매끄러운 ReLU로, 지수 함수 계산이 비싼 곳에서 유용합니다. b는 굽은 구간의 너비를 "
        "정하며, b = 4이면 0에서의 기울기와 곡률이 소프트플러스와 같습니다. 왼쪽 꼬리가 b/(4|x|)이므로 "
        "그래디언트가 1/x²처럼 천천히 줄어듭니다.",
    ),
    parameters=(
        Parameter(
            name="b",
            symbol="b",
            description=("square of the width of the bend", "굽은 구간 너비의 제곱"),
            domain=NON_NEGATIVE,
            default=4.0,
            typical=(0.01, 100.0),
        ),
    ),
    formulas=formulas(
        "(x + sqrt(x**2 + b)) / 2",
        "1 / 2 if x == 0 else (1 + x / sqrt(x**2 + b)) / 2",
        "0 if b == 0 else b / (2 * (x**2 + b)**(3 / 2))",
    ),
    kernel=_squareplus,
    range="(0, inf)",
    limits=("0", "inf"),
    largest_slope="1",
    zero_centred=False,
    monotone=True,
    smoothness=np.inf,
    saturates=frozenset({"negative"}),
    references=(
        Reference(
            authors="Barron",
            title="Squareplus: A Softplus-Like Algebraic Rectifier",
            year=2021,
            identifier="arXiv:2112.11687",
        ),
    ),
)

SPARSE_PLUS = Elementwise(
    name="sparse_plus",
    title=Text("Sparse plus", "스파스플러스"),
    summary=Text(
        "The sparse counterpart of softplus: exactly 0 up to −1, exactly x from 1 on, a parabola between. "
        "Its slope is the sparse sigmoid; as a function of −x it is the Huber classification loss, to which "
        "the sparsemax loss reduces for two classes. Left of −1 a unit gets no gradient at all.",
        "소프트플러스의 희소한 짝입니다. −1까지는 정확히 0, 1부터는 정확히 x이고 그 사이는 포물선입니다. "
        "기울기는 희소 시그모이드이며, −x의 함수로 보면 클래스가 둘일 때의 스파스맥스 손실인 후버 분류 "
        "손실과 같습니다. −1보다 왼쪽에서는 그래디언트가 전혀 흐르지 않습니다.",
    ),
    formulas=formulas(
        "0 if x <= -1 else (x + 1)**2 / 4 if x < 1 else x",
        "0 if x <= -1 else (x + 1) / 2 if x < 1 else 1",
        "1 / 2 if -1 < x < 1 else 0",
    ),
    kernel=_sparse_plus,
    range="[0, inf)",
    limits=("0", "inf"),
    largest_slope="1",
    zero_centred=False,
    monotone=True,
    smoothness=1,
    saturates=frozenset({"negative"}),
    kinks=("-1", "1"),
    references=(
        Reference(
            authors="Martins, Astudillo",
            title=("From Softmax to Sparsemax: A Sparse Model of Attention and Multi-Label Classification"),
            year=2016,
            identifier="arXiv:1602.02068",
        ),
    ),
)

FAMILY = (
    ELU,
    SELU,
    SCALED_ELU,
    CELU,
    EXPONENTIAL,
    SOFTPLUS,
    SOFTPLUS_THRESHOLD,
    SQUAREPLUS,
    SPARSE_PLUS,
)
