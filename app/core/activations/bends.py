"""Smooth functions made of tanh and softplus: scaled, shifted, multiplied by the input, or under a root."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import partial
from typing import Final, Literal

import numpy as np

from app.core.activations.definition import Elementwise, Reference, Text, formulas
from app.core.activations.formula import Expression
from app.core.activations.papers import DUGAS_2000
from app.core.activations.parameters import POSITIVE, Parameter
from app.core.activations.piecewise import finite, level
from app.core.activations.sigmoidal import SIGMOID
from app.core.arithmetic.double_double import (
    DoubleDouble,
    Scaled,
    constant,
    expm1,
    log1p,
    power_of_two,
    scalar,
    two_product,
)
from app.core.arithmetic.functions import as_exponent, log1p_of_exp, sigmoids, tanh_and_slope
from app.core.arithmetic.loops import Kernel
from app.core.arithmetic.scaled import (
    Orders,
    apart,
    choose,
    exactly,
    negative,
    over,
    plus,
    root,
    signed,
    times,
    times_power,
    unscaled,
    with_exponent,
)

_BOTH: Final[frozenset[Literal["negative", "positive"]]] = frozenset({"negative", "positive"})
_THIRD: Final = constant(Fraction(1, 3))
_LN_2: Final = constant("0.693147180559945309417232121458176568075500134360255254")

_sigmoid = SIGMOID.kernel.function


@scalar
def _tanh(y: Scaled) -> tuple[Scaled, Scaled]:
    """tanh y and 1/cosh² y. Near 0 it is y − y³/3: y may be smaller than a double can be."""
    u = as_exponent(y)
    left = u.high < 0
    t, slope = tanh_and_slope(abs(u.high), -u.low if left else u.low)
    square = times(y, y)
    trace = plus(y, negative(times(times(square, y), unscaled(_THIRD))))
    near = abs(u.high) < 2.0**-30
    value = choose(near, trace, signed(unscaled(t), u.high))
    return value, choose(abs(u.high) >= 4000, exactly(0.0), slope)


@scalar
def _argument(x: float, rate: Scaled) -> Scaled:
    """rate·x, infinite where x is and rate is not 0."""
    far = math.isinf(x) and rate.high != 0
    return choose(far, exactly(math.copysign(1.0, rate.high) * x), times(rate, apart(finite(x))))


@scalar
def _scaled_tanh_of(x: float, height: Scaled, rate: Scaled) -> Orders:
    """height·tanh(rate·x)."""
    t, slope = _tanh(_argument(x, rate))
    first = times(times(height, rate), slope)
    second = times_power(negative(times(times(first, rate), t)), 1.0)
    return times(height, t), first, second


@Kernel
def _scaled_tanh(x: float, alpha: float, beta: float) -> Orders:
    return _scaled_tanh_of(x, apart(alpha), apart(beta))


@Kernel
def _softcap(x: float, cap: float) -> Orders:
    height = apart(cap)
    return _scaled_tanh_of(x, height, over(exactly(1.0), height))


@Kernel
def _dyt(x: float, alpha: float, gamma: float, beta: float) -> Orders:
    height, rate = apart(gamma), apart(alpha)
    value, slope, curvature = _scaled_tanh_of(x, height, rate)
    # Beyond ±1 tanh is ±(1 − r), and γ and β come first: where they cancel, γr is what is left.
    u = as_exponent(_argument(x, rate))
    twice = sigmoids(DoubleDouble(2 * u.high, 2 * u.low))
    rest = choose(abs(u.high) >= 4000, exactly(0.0), with_exponent(twice.least, twice.exponent + 1))
    end = plus(apart(beta), signed(height, u.high))
    far = plus(end, negative(signed(times(height, rest), u.high)))
    return choose(abs(u.high) > 1, far, plus(value, apart(beta))), slope, curvature


@Kernel
def _dyt_gradients(
    x: float,
    alpha: float,
    gamma: float,
    beta: float,  # noqa: ARG001 - f is linear in it
) -> tuple[Scaled, Scaled, Scaled]:
    """γx/cosh²(αx), tanh(αx) and 1."""
    t, slope = _tanh(_argument(x, apart(alpha)))
    weight = times(apart(gamma), slope)
    far = math.isinf(x) and alpha == 0 and gamma != 0
    return choose(far, exactly(gamma * x), times(weight, apart(finite(x)))), t, level(1.0, x)


@Kernel
def _lisht(x: float) -> Orders:
    size = apart(finite(abs(x)))
    t, slope = _tanh(size)
    first = plus(t, times(size, slope))
    second = times_power(times(slope, plus(exactly(1.0), negative(times(size, t)))), 1.0)
    return choose(math.isinf(x), exactly(math.inf), times(size, t)), signed(first, x), second


_TWELFTH, _FORTY_FIFTH, _LAST = 1 / 12, 1 / 45, 17 / 2520
"""ln cosh h = h²/2 − h⁴/12 + h⁶/45 − 17h⁸/2520 + …."""


@scalar
def _near_log_cosh(h: float) -> Scaled:
    """ln cosh h for |h| < 0.88: half of ln(1 + sinh² h), or its series where that loses its trace."""
    square = two_product(h, h)
    z = square.high
    bend = z * (_TWELFTH - z * (_FORTY_FIFTH - z * _LAST))
    series = plus(times_power(unscaled(square), -1.0), exactly(-z * bend))
    m = expm1(h)
    sinh = times_power(plus(unscaled(m), over(unscaled(m), plus(unscaled(m), exactly(1.0)))), -1.0)
    squared = times(sinh, sinh)
    half = times_power(unscaled(log1p(_plain(squared))), -1.0)
    return choose(abs(h) < 2.0**-13, series, half)


@scalar
def _plain(a: Scaled) -> DoubleDouble:
    """a, for exponents that a double has."""
    unit = power_of_two(a.exponent)
    return DoubleDouble(a.high * unit, a.low * unit)


@Kernel
def _logcosh(x: float) -> Orders:
    size = abs(x)
    near = size < 0.85
    u = as_exponent(times_power(apart(finite(size)), 1.0))
    far = plus(plus(apart(finite(size)), log1p_of_exp(u)), negative(unscaled(_LN_2)))
    tiny = apart(x)  # its square may be smaller than a double can be
    value = choose(near, _near_log_cosh(x if near else 0.5), far)
    value = choose(size < 2.0**-200, times_power(times(tiny, tiny), -1.0), value)
    t, slope = _tanh(apart(finite(x)))
    second = choose(math.isnan(x), exactly(x), slope)
    return choose(math.isinf(x), exactly(math.inf), value), t, second


@Kernel
def _shifted_softplus(x: float) -> Orders:
    half = 0.5 * x
    near = abs(half) < 0.85
    a = apart(finite(x))
    rest = log1p_of_exp(as_exponent(a))
    softplus = choose(x > 0, plus(a, rest), rest)
    far = plus(softplus, negative(unscaled(_LN_2)))
    small = abs(half) < 2.0**-200
    bend = choose(small, times_power(times(a, a), -3.0), _near_log_cosh(half if near else 0.5))
    value = choose(near, plus(times_power(a, -1.0), bend), far)
    first, second, _ = _sigmoid(x)
    return choose(x == math.inf, exactly(x), value), first, second


@partial(Kernel, low="any")
def _parametric_softplus(x: float, alpha: float, beta: float) -> Orders:
    height, rate = apart(alpha), apart(beta)
    y = times(rate, apart(finite(x)))
    u = as_exponent(y)
    both = sigmoids(u)
    left = u.high < 0
    gate = choose(left, with_exponent(both.least, both.exponent), unscaled(both.most))
    weight = times(times(height, rate), rate)
    slope = times(times(height, rate), gate)
    second = times(weight, times(with_exponent(both.least, both.exponent), unscaled(both.most)))
    hinge = choose(left, log1p_of_exp(u), plus(y, log1p_of_exp(u)))
    open_end = math.isinf(x) and beta * x > 0 and alpha != 0
    value = choose(open_end, exactly(alpha * math.inf), times(height, hinge))
    vanished = abs(u.high) >= 4000
    gone = exactly(0.0)
    value = choose(vanished and left, gone, value)
    return value, choose(vanished and left, gone, slope), choose(vanished, gone, second)


@Kernel
def _sqrtsoftplus(x: float) -> Orders:
    """√L with L = ln(1 + e^x); f′ = σ/(2√L) and f″ = σ·(2Lσ(−x) − σ)/(4L√L)."""
    a = apart(finite(x))
    u = as_exponent(a)
    both = sigmoids(u)
    left = x < 0
    gate = choose(left, with_exponent(both.least, both.exponent), unscaled(both.most))
    rest = choose(left, unscaled(both.most), with_exponent(both.least, both.exponent))
    softplus = choose(left, log1p_of_exp(u), plus(a, log1p_of_exp(u)))
    value = root(softplus)
    slope = times_power(over(gate, value), -1.0)
    pull = plus(times_power(times(softplus, rest), 1.0), negative(gate))
    second = times_power(over(times(gate, pull), times(softplus, value)), -2.0)
    gone = exactly(0.0)
    vanished = x < -4000
    value = choose(math.isinf(x) and not left, exactly(x), choose(vanished, gone, value))
    slope = choose(vanished or x == math.inf, gone, slope)
    return value, slope, choose(vanished or x == math.inf, gone, second)


_HEIGHT: Final = Parameter(
    name="alpha",
    symbol=r"\alpha",
    description=("factor of the whole", "전체에 곱하는 수"),
    default=1.0,
)
_RATE: Final = Parameter(
    name="beta",
    symbol=r"\beta",
    description=("factor of the input", "입력에 곱하는 수"),
    default=1.0,
)

SCALED_TANH = Elementwise(
    name="scaled_tanh",
    title=Text("Scaled tanh", "크기를 조정한 tanh"),
    summary=Text(
        "α·tanh(βx): tanh with an adjustable height and steepness. LeCun's tanh is the case of α = 1.7159 "
        "and β = 2/3; inference runtimes leave both free.",
        "α·tanh(βx), 곧 높이와 가파르기를 정할 수 있는 tanh입니다. 르쿤 tanh는 α = 1.7159, β = 2/3인 "
        "경우이며, 추론용 런타임은 두 값을 자유롭게 받습니다.",
    ),
    parameters=(_HEIGHT, _RATE),
    formulas=formulas(
        "alpha * tanh(beta * x)",
        "alpha * beta * sech(beta * x)**2",
        "-2 * alpha * beta**2 * tanh(beta * x) * sech(beta * x)**2",
    ),
    kernel=_scaled_tanh,
    range="(-alpha, alpha)",
    limits=("-alpha", "alpha"),
    largest_slope="abs(alpha * beta)",
    zero_centred=True,
    monotone=True,
    smoothness=np.inf,
    saturates=_BOTH,
    references=(
        Reference(
            authors="LeCun, Bottou, Orr, Müller",
            title="Efficient BackProp",
            year=1998,
        ),
    ),
)

SOFTCAP = Elementwise(
    name="softcap",
    title=Text("Soft cap", "소프트 캡"),
    summary=Text(
        "c·tanh(x/c): nearly the identity for inputs well below c, and never above it. Gemma 2 caps "
        "attention scores at 50 and logits at 30 with it; beyond the cap gradients fade like tanh's.",
        "c·tanh(x/c)로, c보다 훨씬 작은 입력에서는 항등 함수에 가깝고 c를 넘지 않습니다. Gemma 2가 어텐션 "
        "점수를 50, 로짓을 30으로 제한하는 데 썼습니다. 상한을 넘으면 그래디언트가 tanh처럼 사라집니다.",
    ),
    parameters=(
        Parameter(
            name="cap",
            symbol="c",
            description=("the bound", "상한"),
            domain=POSITIVE,
            default=30.0,
            typical=(1.0, 60.0),
        ),
    ),
    formulas=formulas(
        "cap * tanh(x / cap)", "sech(x / cap)**2", "-2 / cap * tanh(x / cap) * sech(x / cap)**2"
    ),
    kernel=_softcap,
    range="(-cap, cap)",
    limits=("-cap", "cap"),
    largest_slope="1",
    zero_centred=True,
    monotone=True,
    smoothness=np.inf,
    saturates=_BOTH,
    references=(
        Reference(
            authors="Gemma Team",
            title="Gemma 2: Improving Open Language Models at a Practical Size",
            year=2024,
            identifier="arXiv:2408.00118",
        ),
    ),
)

DYT = Elementwise(
    name="dyt",
    title=Text("Dynamic tanh (DyT)", "동적 tanh(DyT)"),
    summary=Text(
        "γ·tanh(αx) + β with all three learned, γ and β by channel: a replacement for layer normalisation in "
        "transformers that needs no statistics of the row. α starts at 0.5.",
        "γ·tanh(αx) + β이며 셋 다 학습하고 γ와 β는 채널마다 둡니다. 트랜스포머의 층 정규화를 대신하며, 행의 "
        "통계량이 필요 없습니다. α는 0.5에서 시작합니다.",
    ),
    parameters=(
        Parameter(
            name="alpha",
            symbol=r"\alpha",
            description=("factor of the input", "입력에 곱하는 수"),
            default=0.5,
            typical=(0.1, 2.0),
            gradient=Expression("gamma * x * sech(alpha * x)**2"),
            learnable=True,
        ),
        Parameter(
            name="gamma",
            symbol=r"\gamma",
            description=("factor of tanh, one per channel", "tanh에 곱하는 수. 채널마다 하나"),
            default=1.0,
            gradient=Expression("tanh(alpha * x)"),
            learnable=True,
        ),
        Parameter(
            name="beta",
            symbol=r"\beta",
            description=("what is added, one per channel", "더하는 수. 채널마다 하나"),
            default=0.0,
            gradient=Expression("1"),
            learnable=True,
        ),
    ),
    formulas=formulas(
        "gamma * tanh(alpha * x) + beta",
        "alpha * gamma * sech(alpha * x)**2",
        "-2 * alpha**2 * gamma * tanh(alpha * x) * sech(alpha * x)**2",
    ),
    kernel=_dyt,
    parameter_gradients=_dyt_gradients,
    range="(beta - gamma, beta + gamma)",
    limits=("beta - gamma", "beta + gamma"),
    largest_slope="abs(alpha * gamma)",
    zero_centred=True,
    monotone=True,
    smoothness=np.inf,
    saturates=_BOTH,
    references=(
        Reference(
            authors="Zhu, Chen, He, LeCun, Liu",
            title="Transformers without Normalization",
            year=2025,
            identifier="arXiv:2503.10622",
        ),
    ),
)

LISHT = Elementwise(
    name="lisht",
    title=Text("LiSHT", "LiSHT"),
    summary=Text(
        "x·tanh(x): even, never negative, |x| far out and a parabola at zero. Inputs of both signs pass a "
        "gradient, but the output no longer shows the sign.",
        "x·tanh(x)로, 우함수이며 음수가 되지 않습니다. 멀리서는 |x|, 0 근처에서는 포물선입니다. 어느 부호의 "
        "입력이든 그래디언트가 흐르지만, 출력만으로는 부호를 구별할 수 없습니다.",
    ),
    formulas=formulas(
        "x * tanh(x)", "tanh(x) + x * sech(x)**2", "2 * sech(x)**2 - 2 * x * tanh(x) * sech(x)**2"
    ),
    kernel=_lisht,
    range="[0, inf)",
    limits=("inf", "inf"),
    largest_slope="1.199678640257733833916369848641141944",
    zero_centred=False,
    monotone=False,
    smoothness=np.inf,
    references=(
        Reference(
            authors="Roy, Manna, Dubey, Chaudhuri",
            title="LiSHT: Non-Parametric Linearly Scaled Hyperbolic Tangent Activation Function for Neural "
            "Networks",
            year=2019,
            identifier="arXiv:1901.05894",
        ),
    ),
)

LOGCOSH = Elementwise(
    name="logcosh",
    title=Text("Log-cosh", "로그 하이퍼볼릭 코사인(log-cosh)"),
    summary=Text(
        "ln cosh x, whose slope is tanh: x²/2 at zero and |x| − ln 2 far out. It is a loss between squared "
        "and absolute error more often than an activation.",
        "ln cosh x이며 기울기가 tanh입니다. 0 근처에서는 x²/2, 멀리서는 |x| − ln 2입니다. 활성화 함수보다는 "
        "제곱 오차와 절대 오차 사이의 손실로 더 자주 쓰입니다.",
    ),
    formulas=formulas("abs(x) + log1p(exp(-2 * abs(x))) - log(2)", "tanh(x)", "sech(x)**2"),
    kernel=_logcosh,
    range="[0, inf)",
    limits=("inf", "inf"),
    largest_slope="1",
    zero_centred=False,
    monotone=False,
    smoothness=np.inf,
    references=(
        Reference(
            authors="Saleh, Saleh",
            title="Statistical Properties of the log-cosh Loss Function Used in Machine Learning",
            year=2022,
            identifier="arXiv:2208.04564",
        ),
    ),
)

SHIFTED_SOFTPLUS = Elementwise(
    name="shifted_softplus",
    title=Text("Shifted softplus", "이동한 소프트플러스"),
    summary=Text(
        "Softplus less ln 2, so that zero stays zero. Infinitely differentiable, as molecular energies must "
        "be, whose slopes are forces; SchNet uses it.",
        "소프트플러스에서 ln 2를 뺀 함수로, 0을 0으로 보냅니다. 무한히 미분할 수 있어 기울기가 힘이 되는 "
        "분자 에너지에 알맞으며 SchNet이 씁니다.",
    ),
    formulas=formulas("softplus(x) - log(2)", "sigmoid(x)", "sigmoid(x) * sigmoid(-x)"),
    kernel=_shifted_softplus,
    range="(-log(2), inf)",
    limits=("-log(2)", "inf"),
    largest_slope="1",
    zero_centred=False,
    monotone=True,
    smoothness=np.inf,
    saturates=frozenset({"negative"}),
    references=(
        Reference(
            authors="Schütt, Kindermans, Sauceda, Chmiela, Tkatchenko, Müller",
            title="SchNet: A continuous-filter convolutional neural network for modeling quantum "
            "interactions",
            year=2017,
            identifier="arXiv:1706.08566",
        ),
    ),
)

PARAMETRIC_SOFTPLUS = Elementwise(
    name="parametric_softplus",
    title=Text("Parametric softplus", "매개변수 소프트플러스"),
    summary=Text(
        "α·ln(1 + e^βx), with a height that is not tied to the steepness: softplus with a steepness divides "
        "by it, this one multiplies by a number of its own.",
        "α·ln(1 + e^βx)로, 높이를 가파르기와 따로 정합니다. 가파르기가 있는 소프트플러스는 그 값으로 "
        "나누지만, 이 함수는 주어진 수를 곱합니다.",
    ),
    parameters=(_HEIGHT, _RATE),
    formulas=formulas(
        "alpha * softplus(beta * x)",
        "alpha * beta * sigmoid(beta * x)",
        "alpha * beta**2 * sigmoid(beta * x) * sigmoid(-beta * x)",
    ),
    kernel=_parametric_softplus,
    range="(0, inf)",
    limits=("0", "inf"),
    largest_slope="abs(alpha * beta)",
    zero_centred=False,
    monotone=True,
    smoothness=np.inf,
    saturates=frozenset({"negative"}),
    references=(DUGAS_2000,),
)

SQRTSOFTPLUS = Elementwise(
    name="sqrtsoftplus",
    title=Text("Square root of softplus", "소프트플러스의 제곱근"),
    summary=Text(
        "√ln(1 + e^x): positive, growing like √x on the right and decaying like e^(x/2) on the left. It "
        "scores experts in the router of a mixture-of-experts model.",
        "√ln(1 + e^x)로, 항상 양수이며 오른쪽에서는 √x처럼 커지고 왼쪽에서는 e^(x/2)처럼 줄어듭니다. 전문가 "
        "혼합(MoE) 모델의 라우터가 전문가의 점수를 매기는 데 씁니다.",
    ),
    formulas=formulas(
        "sqrt(softplus(x))",
        "sigmoid(x) / (2 * sqrt(softplus(x)))",
        "sigmoid(x) * sigmoid(-x) / (2 * sqrt(softplus(x))) - sigmoid(x)**2 / (4 * softplus(x)**(3 / 2))",
    ),
    kernel=_sqrtsoftplus,
    range="(0, inf)",
    limits=("0", "inf"),
    largest_slope="0.3190863431694757404676736846176647332",
    zero_centred=False,
    monotone=True,
    smoothness=np.inf,
    saturates=_BOTH,
    references=(
        Reference(
            authors="Wolf and others",
            title="Transformers: State-of-the-Art Natural Language Processing",
            year=2020,
            identifier="doi:10.18653/v1/2020.emnlp-demos.6",
        ),
    ),
)

FAMILY = (
    SCALED_TANH,
    SOFTCAP,
    DYT,
    LISHT,
    LOGCOSH,
    SHIFTED_SOFTPLUS,
    PARAMETRIC_SOFTPLUS,
    SQRTSOFTPLUS,
)
