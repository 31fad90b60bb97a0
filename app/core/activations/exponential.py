"""Functions with an exponential or algebraic tail: bounded or vanishing on the left, open on the right."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from app.core.activations.definition import (
    Elementwise,
    Reference,
    Text,
    formulas,
)
from app.core.activations.formula import Expression
from app.core.activations.parameters import POSITIVE, Parameter
from app.core.activations.piecewise import proportional, select, unless_nan
from app.core.arithmetic import Array, Value, accurate, summation
from app.core.arithmetic.double_double import (
    LARGEST,
    Pair,
    Power,
    at_least,
    at_most,
    expm1,
    fma,
    inverse,
    inverse_of_sum,
    log1p,
    plus,
    power,
    power_of_two,
    product,
    quotient,
    rounded,
    scalar,
    scaled,
    square_root,
    times,
    two_product,
    two_sum,
)
from app.core.arithmetic.loops import Fused

_LAMBDA = 1.0507009873554804934193349852946
_LAMBDA_ALPHA = 1.7580993408473768, 1.41535193800845e-17  # λ·α as a pair


@scalar
def _line_and_exponential(x: float, slope: float, weight: Power) -> tuple[float, float, float]:
    """slope·x for x > 0, weight·(e^x − 1) elsewhere."""
    left = at_most(x, 0.0)
    m, e, mantissa = expm1(left), power(left), Pair(weight.high, weight.low)
    value = scaled(rounded(mantissa, m), weight.exponent)
    # Half of e^x's mantissa is below 1, so that the product overflows only where it ends beyond the doubles.
    half = rounded(mantissa, Pair(e.high / 2, e.low / 2))
    tail = scaled(half, e.exponent + 1 + weight.exponent)  # not f + α: that is 0 from x = −37 on
    tail = 0.0 if x < -2000 else tail  # `power` falls no further
    return proportional(slope, x) if x > 0 else value, slope if x > 0 else tail, 0.0 if x >= 0 else tail


@scalar
def _ratio(a: Pair, b: float) -> float:
    """a/b, rounded once, whatever b: 1/b neither overflows nor loses digits."""
    unit = 2.0**60 if b < 2.0**-960 else 2.0**-60 if b > 2.0**960 else 1.0
    return rounded(a, inverse(Pair(b * unit, 0.0))) * unit


@Fused
def _elu(x: float, alpha: float) -> tuple[float, float, float]:
    return _line_and_exponential(x, 1.0, Power(alpha, 0.0, 0.0))


def _elu_gradients(x: Array, alpha: Value) -> Mapping[str, Array]:  # noqa: ARG001 - f is linear in α
    return {"alpha": select(x > 0, 0.0, np.expm1(x))}


@Fused
def _selu(x: float) -> tuple[float, float, float]:
    return _line_and_exponential(x, _LAMBDA, Power(*_LAMBDA_ALPHA, 0.0))


@Fused
def _elu_with_gamma(x: float, alpha: float, gamma: float) -> tuple[float, float, float]:
    beyond = abs(gamma * alpha) > LARGEST
    unit = 2.0**-512 if beyond else 1.0
    product = two_product(gamma * unit, alpha * unit)
    return _line_and_exponential(x, gamma, Power(product.high, product.low, 1024.0 if beyond else 0.0))


@Fused
def _celu(x: float, alpha: float) -> tuple[float, float, float]:
    tiny = alpha < 2.0**-960  # x/α's remainder would lose digits, and 1/α overflow
    unit = 2.0**60 if tiny else 1.0
    left, width = at_most(x, 0.0) * unit, alpha * unit
    q = left / width
    low = fma(-q, width, left) / width  # the rounding of x/α is an error of q·2⁻⁵³ in e^q
    m, e = expm1(q, low), power(q, low)
    # Where e^q is 1 to the last bit, f is x; α·(x/α) would lose digits to a subnormal quotient.
    value = x if q > -(2.0**-54) else fma(alpha, m.high, alpha * m.low)
    slope = scaled(e.high, e.exponent)
    half = _ratio(Pair(e.high / 2, e.low / 2), width)
    curvature = scaled(half, e.exponent + (61.0 if tiny else 1.0))
    return value, 1.0 if x > 0 else slope, 0.0 if x >= 0 else curvature


def _celu_gradients(x: Array, alpha: Value) -> Mapping[str, Array]:
    """∂f/∂α = e^q·(1 − q) − 1 with q = x/α ≤ 0; −q²/2 − q³/3 − q⁴/8 − … near 0, where that cancels."""
    q, low = accurate.two_quotient(np.minimum(x, 0.0), alpha)
    square, rest = accurate.two_product(q, q)
    near = -square / 2 - (square * q * _celu_series(np.maximum(q, -1.0)) + rest / 2 + q * low)
    e, relative = accurate.exp_pair(q, low)
    s = 1 - q
    product, rest = accurate.two_product(e, s)
    far = (product - 1) + (rest + product * relative + e * ((1 - s) - q - low))
    return {"alpha": select(q > -0.5, near, np.where(e == 0, -1.0, far))}


def _celu_series(q: Array) -> Array:
    """1/3 + q/8 + q²/30 + …, the terms (n − 1)/n!·qⁿ⁻³ of ∂f/∂α from the cubic one on."""
    total = np.zeros_like(q)
    for n in range(18, 2, -1):
        total = total * q + (n - 1) / math.factorial(n)
    return total


@Fused
def _exponential(x: float) -> tuple[float, float, float]:
    e = power(x)
    value = scaled(e.high, e.exponent)
    return value, value, value


@scalar
def _smooth_hinge(x: float, beta: float) -> tuple[float, float, float]:
    """ln(1 + e^βx)/β and its derivatives."""
    p = two_product(beta, abs(x))
    e = power(-p.high, -p.low)
    # What is 2⁻¹⁰⁰⁰ and less counts as that until β has been applied, which may make it an ordinary number.
    exponent = at_least(e.exponent, -1000.0)
    rest = e.exponent - exponent
    unit = power_of_two(exponent)
    small = Pair(e.high * unit, e.low * unit)
    share = inverse_of_sum(1.0, small)
    tail = product(small, share)
    value = at_least(x, 0.0) + scaled(_ratio(log1p(small), beta), rest)
    curvature = scaled(beta * rounded(tail, share), rest)
    slope = share.high + share.low if x >= 0 else scaled(tail.high + tail.low, rest)
    return value, slope, curvature


@Fused
def _softplus(x: float, beta: float) -> tuple[float, float, float]:
    return _smooth_hinge(x, beta)


def _bend(e: Array, correction: Array, beta: Value) -> Array:
    """(ln(1 + e) + ``correction``)/β, rounded once."""
    q, low = accurate.two_quotient(np.log1p(e), beta)
    return q + (low + correction / beta)


def _softplus_gradients(x: Array, beta: Value) -> Mapping[str, Array]:
    """∂f/∂β = −(|x|·e/(1 + e) + ln(1 + e)/β)/β with e = e^{−β|x|}: βx·σ(βx) − ln(1 + e^{βx}) cancels."""
    size = np.abs(x)
    p, low = accurate.two_product(beta, size)
    e, relative = accurate.exp_pair(-p, -low)
    tail = accurate.logistic_tail(e, relative)
    product, rest = accurate.two_product(size, tail)
    total, error = summation.two_sum(product, _bend(e, relative * tail, beta))
    q, low_q = accurate.two_quotient(total, beta)
    slope = q + (low_q + accurate.finite(rest + error) / beta)
    return {"beta": -accurate.rescaled_tail(slope, (size + 1 / beta) / beta, -p, -low)}


@Fused
def _softplus_with_threshold(x: float, beta: float, threshold: float) -> tuple[float, float, float]:
    p = two_product(beta, x)
    excess = (p.high - threshold) + p.low if threshold != 0 else x  # β·x may vanish
    value, slope, curvature = _smooth_hinge(x, beta)
    return (
        x if excess > 0 else value,
        1.0 if excess > 0 else slope,
        0.0 if excess >= 0 else curvature,
    )


@Fused
def _squareplus(x: float, b: float) -> tuple[float, float, float]:
    b = b if abs(x) < math.inf else 0.0
    size = at_most(abs(x), LARGEST)
    # With t²·x for x and t⁴·b for b, neither of x² + b's terms overflows, nor vanishes if it counts.
    t = 2.0**150 if size < 2.0**-400 and b < 2.0**-800 else 1.0
    t = 2.0**-258 if size > 2.0**500 or b > 2.0**1000 else t
    size = size * (t * t)
    root = square_root(plus(two_product(size, size), b * (t * t) * (t * t)))
    # (√(x² + b) + x)/2 is x + b/(√(x² + b) + x)/2, which spares the left side its cancellation.
    bend = quotient(Pair(b * t, 0.0), plus(root, size))
    tail = quotient(bend, root)
    unit = t * t * t / 2
    cube = quotient(quotient(quotient(Pair(b * t, 0.0), root), root), root).high
    value = at_least(x, 0.0) + bend.high * (t / 2)
    slope = (1 - tail.high * unit) - tail.low * unit if x >= 0 else (tail.high + tail.low) * unit
    return value, slope, cube * unit * (t * t)


@Fused
def _sparse_plus(x: float) -> tuple[float, float, float]:
    s = two_sum(1.0, x)  # squaring doubles the weight of the rounding of 1 + x
    parabola = times(s, s).high / 4
    value = 0.0 if x <= -1 else x if x >= 1 else parabola
    return value, at_most(at_least(s.high / 2, 0.0), 1.0), 0.5 if abs(x) < 1 else unless_nan(0.0, x)


_KLAMBAUER = Reference(
    authors="Klambauer, Unterthiner, Mayr, Hochreiter",
    title="Self-Normalizing Neural Networks",
    year=2017,
    identifier="arXiv:1706.02515",
)
_DUGAS = Reference(
    authors="Dugas, Bengio, Bélisle, Nadeau, Garcia",
    title="Incorporating Second-Order Functional Knowledge for Better Option Pricing",
    year=2000,
)

ELU = Elementwise(
    name="elu",
    title=Text("Exponential linear unit (ELU)", "지수 선형 유닛 (ELU)"),
    summary=Text(
        "The identity on the right, an exponential that levels off at −α on the left. Negative outputs "
        "bring the mean towards zero, and no unit is dead outright; but far to the left the gradient does "
        "vanish, and unless α = 1 the slope jumps at zero.",
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
    derivatives=_elu,
    parameter_gradients=_elu_gradients,
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
    title=Text("Scaled ELU (SELU)", "스케일된 지수 선형 유닛 (SELU)"),
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
    derivatives=_selu,
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
    derivatives=_elu_with_gamma,
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
    title=Text("Continuously differentiable ELU (CELU)", "연속 미분 가능 ELU (CELU)"),
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
                "왼쪽 극한의 부호를 바꾼 값이자 굽는 구간의 너비",
            ),
            domain=POSITIVE,
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
    derivatives=_celu,
    parameter_gradients=_celu_gradients,
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
        "to be read. It is its own derivative, so large inputs make outputs and gradients explode together, "
        "and very negative ones make both vanish.",
        "어떤 입력에서도 양수를 내는 e^x입니다. 비율이나 척도를 출력할 때, 또는 필터를 해석하려는 첫 층에 "
        "씁니다. 도함수가 자기 자신이므로 입력이 크면 출력과 그래디언트가 함께 폭발하고, 아주 작으면 함께 "
        "사라집니다.",
    ),
    formulas=formulas("exp(x)", "exp(x)", "exp(x)"),
    derivatives=_exponential,
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
    description=("sharpness of the bend", "굽는 정도"),
    domain=POSITIVE,
    default=1.0,
    typical=(0.05, 50.0),
)

SOFTPLUS = Elementwise(
    name="softplus",
    title=Text("Softplus", "소프트플러스"),
    summary=Text(
        "A smooth ReLU, whose slope is the sigmoid of βx. Always positive and never flat, it serves where a "
        "variance or a rate must come out. Its outputs are not centred, and to the left the gradient "
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
                "-(abs(x) / (1 + exp(beta * abs(x))) + log1p(exp(-beta * abs(x))) / beta) / beta"
            ),
        ),
    ),
    formulas=formulas(
        "softplus(beta * x) / beta",
        "sigmoid(beta * x)",
        "beta * sigmoid(beta * x) * sigmoid(-beta * x)",
    ),
    derivatives=_softplus,
    parameter_gradients=_softplus_gradients,
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
    title=Text("Softplus with a threshold", "임곗값이 있는 소프트플러스"),
    summary=Text(
        "Softplus that is replaced by the identity where βx exceeds a threshold, as PyTorch computes it. "
        "The replacement is not needed for stability, and it makes f jump down by about e^−threshold/β: "
        "2e-9 at the default threshold of 20.",
        "βx가 임곗값보다 크면 항등 함수로 바꾸는 소프트플러스로, PyTorch의 계산 방식입니다. 수치 안정성에 "
        "꼭 필요한 처리는 아니며, 그 지점에서 함숫값이 e^−임곗값/β만큼, 기본 임곗값 20에서는 약 2e-9만큼 "
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
    derivatives=_softplus_with_threshold,
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
        "A smooth ReLU made of a square root alone, cheap where exponentials are dear. b sets the width of "
        "the bend; at b = 4 the curve has softplus's slope and curvature at zero. Its left tail is "
        "b/(4|x|), so the gradient fades slowly, like 1/x².",
        "제곱근만으로 만든 매끄러운 ReLU로, 지수 함수 계산이 비싼 곳에서 유용합니다. b는 굽은 구간의 너비를 "
        "정하며, b = 4이면 0에서의 기울기와 곡률이 소프트플러스와 같습니다. 왼쪽 꼬리가 b/(4|x|)이므로 "
        "그래디언트가 1/x²처럼 천천히 줄어듭니다.",
    ),
    parameters=(
        Parameter(
            name="b",
            symbol="b",
            description=("square of the width of the bend", "굽는 구간 너비의 제곱"),
            domain=POSITIVE,
            default=4.0,
            typical=(0.01, 100.0),
        ),
    ),
    formulas=formulas(
        "(x + sqrt(x**2 + b)) / 2",
        "(1 + x / sqrt(x**2 + b)) / 2",
        "b / (2 * (x**2 + b)**(3 / 2))",
    ),
    derivatives=_squareplus,
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
        "Softplus's sparse twin: exactly 0 up to −1, exactly x from 1 on, a parabola between. Its slope is "
        "the sparse sigmoid; as a function of −x it is the Huber classification loss, to which the "
        "sparsemax loss reduces for two classes. Left of −1 a unit gets no gradient at all.",
        "소프트플러스의 희소한 짝입니다. −1까지는 정확히 0, 1부터는 정확히 x이고 그 사이는 포물선입니다. "
        "기울기는 희소 시그모이드이며, −x의 함수로 보면 클래스가 둘일 때의 스파스맥스 손실인 후버 분류 "
        "손실과 같습니다. −1보다 왼쪽에서는 그래디언트가 전혀 흐르지 않습니다.",
    ),
    formulas=formulas(
        "0 if x <= -1 else (x + 1)**2 / 4 if x < 1 else x",
        "0 if x <= -1 else (x + 1) / 2 if x < 1 else 1",
        "1 / 2 if -1 < x < 1 else 0",
    ),
    derivatives=_sparse_plus,
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
