"""S-shaped functions: increasing, flattening out on one side or on both."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import partial
from typing import Final, Literal

import numpy as np

from app.core.activations.definition import (
    Elementwise,
    Reference,
    Text,
    formulas,
)
from app.core.activations.formula import Expression
from app.core.activations.papers import CARLILE_2017, HOWARD_2019, MARTINS_2016
from app.core.activations.parameters import POSITIVE, Interval, Parameter
from app.core.activations.piecewise import level
from app.core.arithmetic.double_double import (
    FARTHEST,
    LARGEST,
    ROUGH,
    DoubleDouble,
    Scaled,
    add_double,
    at_least,
    at_most,
    beside_one,
    constant,
    expm1,
    fast_two_sum,
    fma,
    inverse_unnormalised,
    multiple,
    product,
    product_unnormalised,
    quotient,
    square_unnormalised,
    times_double,
    two_product,
    two_sum,
)
from app.core.arithmetic.functions import (
    NEAR_ZERO,
    arctangent,
    divided,
    log1p_of_exp,
    sigmoids,
    sigmoids_by_side,
    tanh_and_slope,
)
from app.core.arithmetic.loops import Kernel
from app.core.arithmetic.scaled import (
    Orders,
    apart,
    choose,
    exactly,
    inverse,
    mantissa,
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

_EFFICIENT_BACKPROP = Reference(
    authors="LeCun, Bottou, Orr, Müller",
    title="Efficient BackProp",
    year=1998,
    identifier="doi:10.1007/3-540-49430-8_2",
)


@partial(Kernel, vectors=6)
def _sigmoid(x: float, ordinary: int = False) -> Orders:
    both, left = sigmoids_by_side(DoubleDouble(x, 0.0), ordinary)
    most, least = unscaled(both.most), with_exponent(both.least, both.exponent)
    slope = times(least, most)  # not s·(1 − s): that is 0 from x = 37 on
    m = expm1(-x if ordinary == ROUGH else -abs(x), 0.0, ordinary)
    half_tanh = product_unnormalised(DoubleDouble(-abs(m.high), m.low), both.most)  # not 1 − 2s: that cancels
    series = DoubleDouble(-0.125 * x, x * x * x / 24)
    curvature = signed(times(slope, unscaled(half_tanh)), x)
    curvature = choose(not ordinary and abs(x) < NEAR_ZERO, unscaled(series), curvature)
    gone = not ordinary and abs(x) > FARTHEST
    return (
        choose(left, choose(gone, exactly(0.0), least), most),
        choose(gone, exactly(0.0), slope),
        choose(gone, exactly(0.0), curvature),
    )


SIGMOID = Elementwise(
    name="sigmoid",
    title=Text("Sigmoid", "시그모이드"),
    summary=Text(
        "Squeezes any number into (0, 1). Its slope is at most 1/4, so gradients shrink at least fourfold "
        "in every layer at unit weights, and its outputs are all positive, which makes weight updates "
        "zigzag.",
        "모든 수를 0과 1 사이로 압축합니다. 기울기가 최대 1/4이라 가중치가 1이면 층을 지날 때마다 "
        "그래디언트가 4분의 1 이하로 줄고, 출력이 모두 양수라 가중치가 지그재그로 갱신됩니다.",
    ),
    formulas=formulas(
        "1 / (1 + exp(-x))",
        "exp(-x) / (1 + exp(-x))**2",
        "-exp(-x) * (1 - exp(-x)) / (1 + exp(-x))**3",
    ),
    kernel=_sigmoid,
    range="(0, 1)",
    limits=("0", "1"),
    largest_slope="1/4",
    zero_centred=False,
    monotone=True,
    smoothness=np.inf,
    saturates=_BOTH,
    references=(
        Reference(
            authors="Verhulst",
            title="Notice sur la loi que la population suit dans son accroissement",
            year=1838,
        ),
    ),
)


@Kernel
def _log_sigmoid(x: float, ordinary: int = False) -> Orders:
    u = DoubleDouble(x, 0.0)
    both = sigmoids(u, ordinary)
    most, least = unscaled(both.most), with_exponent(both.least, both.exponent)
    loss = log1p_of_exp(u, ordinary)
    left = add_double(multiple(-1.0, beside_one(mantissa(loss), loss.exponent)), at_most(x, 0.0))
    value = choose(x > 0, negative(loss), choose(not ordinary and x < -FARTHEST, exactly(x), unscaled(left)))
    gone = not ordinary and abs(x) > FARTHEST
    rest = choose(gone, exactly(0.0), least)
    slope = choose(x <= 0, most, rest)
    curvature = choose(gone, exactly(0.0), negative(times(least, most)))
    return choose(not ordinary and x > FARTHEST, exactly(-0.0), value), slope, curvature


LOG_SIGMOID = Elementwise(
    name="log_sigmoid",
    title=Text("Log-sigmoid", "로그 시그모이드"),
    summary=Text(
        "The logarithm of the sigmoid: a log-probability that neither overflows nor rounds to log 0. It is "
        "the loss of logistic regression with its sign changed, more often an output than a hidden layer; "
        "for large positive inputs its slope vanishes.",
        "시그모이드의 로그이며, 오버플로도 log 0도 일으키지 않고 로그 확률을 내놓습니다. 부호를 바꾸면 "
        "로지스틱 회귀의 손실이므로 은닉층보다 출력단에 주로 쓰입니다. 입력이 큰 양수이면 기울기가 "
        "사라집니다.",
    ),
    formulas=formulas("-log1p(exp(-x))", "1 / (1 + exp(x))", "-exp(x) / (1 + exp(x))**2"),
    kernel=_log_sigmoid,
    range="(-inf, 0)",
    limits=("-inf", "0"),
    largest_slope="1",
    zero_centred=False,
    monotone=True,
    smoothness=np.inf,
    saturates=frozenset({"positive"}),
    references=(
        Reference(
            authors="Mikolov, Sutskever, Chen, Corrado, Dean",
            title="Distributed Representations of Words and Phrases and their Compositionality",
            year=2013,
            identifier="arXiv:1310.4546",
        ),
    ),
)


@partial(Kernel, ties=True, exact_infinities=True)
def _hard_sigmoid(x: float, rough: int = False) -> Orders:
    # x/6 + 1/2 cancels next to the corner at −3. For a float32 x 3 + x is exact, or far from 6 times a tie.
    ramp = divided(fast_two_sum(3.0, x), 6.0, rough)
    value = choose(abs(x) < 3, unscaled(ramp), level(1.0 if x >= 3 else 0.0, x, rough))
    slope = choose(abs(x) < 3, unscaled(divided(DoubleDouble(1.0, 0.0), 6.0, rough)), level(0.0, x, rough))
    return value, slope, level(0.0, x, rough)


HARD_SIGMOID = Elementwise(
    name="hard_sigmoid",
    title=Text("Hard sigmoid", "하드 시그모이드"),
    summary=Text(
        "Three straight pieces in the place of the sigmoid: no exponential, and exact in low precision, "
        "which is why mobile networks use it. Beyond ±3 the gradient is exactly zero, so a unit that has "
        "left the ramp no longer learns from those inputs.",
        "시그모이드를 직선 세 조각으로 바꾼 함수입니다. 지수 함수가 없고 저정밀도에서도 정확해 모바일 "
        "신경망에 쓰입니다. ±3 밖에서는 그래디언트가 정확히 0이라, 경사 구간을 벗어난 유닛은 그런 입력에서 "
        "더는 학습하지 못합니다.",
    ),
    writings=(Expression("min(max(x / 6 + 1 / 2, 0), 1)"), Expression("min(max(x + 3, 0), 6) / 6")),
    formulas=formulas(
        "0 if x <= -3 else 1 if x >= 3 else (x + 3) / 6",
        "1 / 6 if -3 < x < 3 else 0",
        "0",
    ),
    kernel=_hard_sigmoid,
    range="[0, 1]",
    limits=("0", "1"),
    largest_slope="1/6",
    zero_centred=False,
    monotone=True,
    smoothness=0,
    saturates=_BOTH,
    kinks=("-3", "3"),
    references=(HOWARD_2019,),
)


@Kernel
def _clipped_affine(x: float, alpha: float, beta: float) -> Orders:
    height = fma(alpha, x, beta)  # rounded once: αx + β cancels next to the corner at −β/α
    product = two_product(alpha, x)
    total = two_sum(product.high, beta)
    rest = ((total.high - height) + total.low) + product.low
    lowered = two_sum(beta, -1.0)
    below_one = fma(alpha, x, lowered.high) + lowered.low < 0  # height may have been rounded up to 1
    rising = height > 0 and below_one
    value = choose(rising, Scaled(height, rest, 0.0), exactly(at_most(at_least(height, 0.0), 1.0)))
    return value, level(alpha if rising else 0.0, x), level(0.0, x)


CLIPPED_AFFINE = Elementwise(
    name="clipped_affine",
    title=Text("Clipped affine function (ONNX HardSigmoid)", "절단 아핀 함수(ONNX HardSigmoid)"),
    summary=Text(
        "A straight line cut off at 0 and 1: the hard sigmoid with its slope and offset as parameters, as "
        "ONNX defines it. At the defaults the ramp runs from −2.5 to 2.5 and is steeper than that of the "
        "hard sigmoid elsewhere, so a model exported without its parameters changes silently.",
        "직선을 0과 1에서 잘라 낸 함수로, ONNX가 정의한 대로 기울기와 절편을 매개변수로 둔 하드 "
        "시그모이드입니다. 기본값에서는 경사 구간이 −2.5에서 2.5까지라 다른 프레임워크의 하드 시그모이드보다 "
        "가파르므로, 매개변수 없이 내보낸 모델은 아무 경고 없이 값이 달라집니다.",
    ),
    parameters=(
        Parameter(
            name="alpha",
            symbol=r"\alpha",
            description=("slope of the ramp", "경사 구간의 기울기"),
            domain=POSITIVE,
            default=0.2,
            typical=(0.05, 2.0),
        ),
        Parameter(
            name="beta",
            symbol=r"\beta",
            description=("value at zero, before clipping", "자르기 전, 0에서의 값"),
            default=0.5,
            typical=(-1.0, 2.0),
        ),
    ),
    formulas=formulas(
        "max(0, min(1, alpha * x + beta))",
        "alpha if 0 < alpha * x + beta < 1 else 0",
        "0",
    ),
    kernel=_clipped_affine,
    range="[0, 1]",
    limits=("0", "1"),
    largest_slope="alpha",
    zero_centred=False,
    monotone=True,
    smoothness=0,
    saturates=_BOTH,
    kinks=("-beta / alpha", "(1 - beta) / alpha"),
    references=(
        Reference(
            authors="Gulcehre, Moczulski, Denil, Bengio",
            title="Noisy Activation Functions",
            year=2016,
            identifier="arXiv:1603.00391",
        ),
    ),
)


@Kernel
def _sparse_sigmoid(x: float) -> Orders:
    ramp = with_exponent(two_sum(x, 1.0), -1.0)
    value = choose(abs(x) < 1, ramp, level(1.0 if x >= 1 else 0.0, x))
    return value, level(1 / 2 if abs(x) < 1 else 0.0, x), level(0.0, x)


SPARSE_SIGMOID = Elementwise(
    name="sparse_sigmoid",
    title=Text("Sparse sigmoid", "희소 시그모이드"),
    summary=Text(
        "A sigmoid that reaches 0 and 1: sparsemax for two classes, and the slope of sparse plus. It can "
        "say that something is impossible, which the sigmoid never does; outside (−1, 1) it passes no "
        "gradient back.",
        "0과 1에 실제로 도달하는 시그모이드로, 클래스가 둘일 때의 스파스맥스이자 스파스플러스의 "
        "도함수입니다. 시그모이드와 달리 확률이 정확히 0이라고 답할 수 있지만, −1과 1 밖에서는 그래디언트를 "
        "전달하지 않습니다.",
    ),
    formulas=formulas(
        "0 if x <= -1 else 1 if x >= 1 else (x + 1) / 2",
        "1 / 2 if -1 < x < 1 else 0",
        "0",
    ),
    kernel=_sparse_sigmoid,
    range="[0, 1]",
    limits=("0", "1"),
    largest_slope="1/2",
    zero_centred=False,
    monotone=True,
    smoothness=0,
    saturates=_BOTH,
    kinks=("-1", "1"),
    references=(
        MARTINS_2016,
        Reference(
            authors="Blondel, Martins, Niculae",
            title="Learning with Fenchel-Young Losses",
            year=2019,
            identifier="arXiv:1901.02324",
        ),
    ),
)


@Kernel
def _tanh(x: float, ordinary: int = False) -> Orders:
    t, slope = tanh_and_slope(abs(x), 0.0, ordinary)
    slope = choose(not ordinary and abs(x) > FARTHEST, exactly(0.0), slope)
    series = DoubleDouble(
        2 * abs(x), 0.0 - 8 / 3 * abs(x * x * x)
    )  # not −0 at 0, where it would take the sign
    curvature = times(unscaled(t), times_power(slope, 1.0))
    curvature = choose(not ordinary and abs(x) < NEAR_ZERO, unscaled(series), curvature)
    return signed(unscaled(t), x), slope, signed(curvature, -x)


TANH = Elementwise(
    name="tanh",
    title=Text("Hyperbolic tangent", "하이퍼볼릭 탄젠트"),
    summary=Text(
        "A sigmoid stretched to (−1, 1). Its outputs are centred on zero and its slope reaches 1, but it "
        "still saturates: far from zero the gradient vanishes.",
        "시그모이드를 −1과 1 사이로 늘인 함수입니다. 출력이 0을 중심으로 퍼지고 기울기도 1까지 오르지만, "
        "0에서 멀어지면 여전히 포화되어 그래디언트가 사라집니다.",
    ),
    formulas=formulas("tanh(x)", "sech(x)**2", "-2 * tanh(x) * sech(x)**2"),
    kernel=_tanh,
    range="(-1, 1)",
    limits=("-1", "1"),
    largest_slope="1",
    zero_centred=True,
    monotone=True,
    smoothness=np.inf,
    saturates=_BOTH,
    references=(_EFFICIENT_BACKPROP,),
)


_HEIGHT = constant(Fraction("1.7159"))
_STEEPNESS = constant(Fraction("1.7159") * Fraction(2, 3))


@Kernel
def _lecun_tanh(x: float, ordinary: int = False) -> Orders:
    size = at_most(abs(x), 1e300)  # from there on, tanh and its slope are 1 and 0
    y = quotient(DoubleDouble(2 * size, 0.0), DoubleDouble(3.0, 0.0))
    t, slope = tanh_and_slope(y.high, y.low, ordinary)
    slope = choose(not ordinary and size > 2 * FARTHEST, exactly(0.0), times(unscaled(_STEEPNESS), slope))
    curvature = times(times_power(slope, 2.0), unscaled(quotient(t, DoubleDouble(3.0, 0.0))))
    return signed(unscaled(product(_HEIGHT, t)), x), slope, signed(curvature, -x)


LECUN_TANH = Elementwise(
    name="lecun_tanh",
    title=Text("LeCun's tanh", "르쿤 tanh"),
    summary=Text(
        "Tanh scaled so that f(1) = 1 and f(−1) = −1: inputs of unit variance come out with about unit "
        "variance, and targets of ±1 lie where the curvature is largest instead of at the asymptotes. It "
        "saturates like tanh.",
        "f(1) = 1, f(−1) = −1이 되도록 tanh의 크기를 조정한 함수입니다. 분산이 1인 입력은 출력의 분산도 1에 "
        "가깝고, 목푯값 ±1이 점근선이 아니라 곡률이 가장 큰 곳에 놓입니다. 포화되는 것은 tanh와 같습니다.",
    ),
    formulas=formulas(
        "1.7159 * tanh(2 * x / 3)",
        "1.7159 * 2 / 3 * sech(2 * x / 3)**2",
        "-1.7159 * 8 / 9 * tanh(2 * x / 3) * sech(2 * x / 3)**2",
    ),
    kernel=_lecun_tanh,
    range="(-1.7159, 1.7159)",
    limits=("-1.7159", "1.7159"),
    largest_slope="1.7159 * 2 / 3",
    zero_centred=True,
    monotone=True,
    smoothness=np.inf,
    saturates=_BOTH,
    references=(_EFFICIENT_BACKPROP,),
)


@partial(Kernel, low="none")
def _hard_tanh(x: float, min_val: float, max_val: float) -> Orders:
    # An end at infinity cuts nothing off: there the slope stays 1 up to the limit. Nothing is beyond NaN.
    first = min_val if min_val > -math.inf else math.nan
    last = max_val if max_val < math.inf else math.nan
    inside = not (x <= first or x >= last)
    value = at_most(at_least(x, min_val), max_val)
    return exactly(value), level(1.0 if inside else 0.0, x), level(0.0, x)


HARD_TANH = Elementwise(
    name="hard_tanh",
    title=Text("Hard tanh", "하드 tanh"),
    summary=Text(
        "The identity, cut off below and above. Cheap and exact in low precision, with tanh's bounds and "
        "none of its bend; beyond the corners the gradient is exactly zero.",
        "항등 함수를 아래위에서 잘라 낸 것입니다. 계산이 싸고 저정밀도에서도 정확하며, tanh처럼 유계이지만 "
        "굽은 곳이 없습니다. 꺾이는 점 바깥에서는 그래디언트가 정확히 0입니다.",
    ),
    parameters=(
        Parameter(
            name="min_val",
            symbol="a",
            description=("lower bound; −∞ for none", "하한. 없으면 −∞"),
            domain=Interval("[-inf, inf]"),
            default=-1.0,
            typical=(-3.0, 0.5),
        ),
        Parameter(
            name="max_val",
            symbol="b",
            description=("upper bound; ∞ for none", "상한. 없으면 ∞"),
            domain=Interval("[-inf, inf]"),
            default=1.0,
            typical=(0.0, 6.0),
        ),
    ),
    constraints=(Expression("min_val <= max_val"),),
    formulas=formulas(
        "min_val if x <= min_val else max_val if x >= max_val else x",
        "1 if min_val < x < max_val else 0",
        "0",
    ),
    kernel=_hard_tanh,
    range="[min_val, max_val]",
    limits=("min_val", "max_val"),
    largest_slope="1",
    zero_centred=True,
    monotone=True,
    smoothness=0,
    saturates=_BOTH,
    kinks=("min_val", "max_val"),
    references=(
        Reference(
            authors="Collobert, Weston, Bottou, Karlen, Kavukcuoglu, Kuksa",
            title="Natural Language Processing (Almost) from Scratch",
            year=2011,
            identifier="arXiv:1103.0398",
        ),
    ),
)


CLIP = Elementwise(
    name="clip",
    title=Text("Clip", "클립"),
    summary=Text(
        "The smaller of an upper bound and the larger of a lower bound and x. Where the lower bound is below "
        "the upper one it is hard tanh; where it is above, the value is the upper bound everywhere, as in "
        "ONNX and NumPy, and no gradient flows.",
        "x와 하한 가운데 큰 값을 구한 뒤, 그 값과 상한 가운데 작은 값을 냅니다. 하한이 상한보다 작으면 하드 "
        "tanh와 같습니다. 하한이 상한보다 크면 ONNX나 NumPy처럼 어디서나 상한이 나오고, 그래디언트는 "
        "흐르지 않습니다.",
    ),
    parameters=HARD_TANH.parameters,
    formulas=formulas(
        "min(max(x, min_val), max_val)",
        "1 if min_val < x < max_val else 0",
        "0",
    ),
    kernel=_hard_tanh,
    range="[min_val, max_val]",
    limits=("min(min_val, max_val)", "max_val"),
    largest_slope="1",
    zero_centred=True,
    monotone=True,
    smoothness=0,
    saturates=_BOTH,
    kinks=("min_val", "max_val"),
    references=(
        Reference(authors="ONNX contributors", title="Open Neural Network Exchange: Clip", year=2017),
    ),
)


@Kernel
def _softsign(x: float, ordinary: int = False) -> Orders:
    size = abs(x) if ordinary else at_most(abs(x), LARGEST)
    large = not ordinary and size > 2.0**500
    unit, shift = 2.0**-600 if large else 1.0, -600.0 if large else 0.0
    share = inverse_unnormalised(two_sum(unit, size * unit))
    value = times_double(share, size * unit)
    slope = square_unnormalised(share)
    twice = multiple(0.0 if x == 0 else 2.0, product_unnormalised(slope, share))
    curvature = signed(with_exponent(twice, 3 * shift), -x)
    return signed(unscaled(value), x), with_exponent(slope, 2 * shift), curvature


SOFTSIGN = Elementwise(
    name="softsign",
    title=Text("Softsign", "소프트사인"),
    summary=Text(
        "Saturates like tanh, but slowly: its slope falls off as 1/x² and not exponentially, so a saturated "
        "unit keeps a usable gradient. Its second derivative jumps at zero.",
        "tanh처럼 포화되지만 천천히 포화됩니다. 기울기가 지수적으로가 아니라 1/x²로 줄어, 포화된 유닛에도 "
        "쓸 만한 그래디언트가 남습니다. 이계도함수는 0에서 불연속입니다.",
    ),
    formulas=formulas(
        "x / (1 + abs(x))",
        "1 / (1 + abs(x))**2",
        "-2 * sign(x) / (1 + abs(x))**3",
    ),
    kernel=_softsign,
    range="(-1, 1)",
    limits=("-1", "1"),
    largest_slope="1",
    zero_centred=True,
    monotone=True,
    smoothness=1,
    saturates=_BOTH,
    kinks=("0",),
    references=(
        Reference(
            authors="Glorot, Bengio",
            title="Understanding the difficulty of training deep feedforward neural networks",
            year=2010,
        ),
    ),
)


@Kernel
def _arctan(x: float) -> Orders:
    size = apart(at_most(abs(x), LARGEST))
    inverse = over(exactly(1.0), plus(times(size, size), exactly(1.0)))
    curvature = times_power(times(size, times(inverse, inverse)), 1.0)
    return signed(unscaled(arctangent(at_most(abs(x), LARGEST))), x), inverse, signed(curvature, -x)


ARCTAN = Elementwise(
    name="arctan",
    title=Text("Arctangent", "아크탄젠트"),
    summary=Text(
        "Runs from −π/2 to π/2 and approaches its bounds as 1/x, far more slowly than tanh: the slope falls "
        "off as 1/x², so the gradient fades late. It is smooth everywhere.",
        "−π/2에서 π/2까지 증가하며, tanh보다 훨씬 느린 1/x의 속도로 한계에 다가갑니다. 기울기가 1/x²로 줄어 "
        "그래디언트가 늦게 사라지고, 어디서나 매끄럽습니다.",
    ),
    formulas=formulas("atan(x)", "1 / (1 + x**2)", "-2 * x / (1 + x**2)**2"),
    kernel=_arctan,
    range="(-pi / 2, pi / 2)",
    limits=("-pi / 2", "pi / 2"),
    largest_slope="1",
    zero_centred=True,
    monotone=True,
    smoothness=np.inf,
    saturates=_BOTH,
    references=(
        Reference(
            authors="Dubey, Singh, Chaudhuri",
            title="Activation Functions in Deep Learning: A Comprehensive Survey and Benchmark",
            year=2022,
            identifier="arXiv:2109.14545",
        ),
    ),
)


@Kernel
def _isru(x: float, alpha: float, ordinary: int = False) -> Orders:
    size = apart(abs(x) if ordinary else at_most(abs(x), LARGEST), ordinary)
    bend = times(apart(alpha, ordinary), size)
    below = plus(times(bend, size), exactly(1.0), ordinary)
    distance = root(below)
    slope = inverse(times(distance, below))
    curvature = times(over(bend, below), times(slope, exactly(3.0)))
    return signed(over(size, distance), x), slope, signed(curvature, -x)


ISRU = Elementwise(
    name="isru",
    title=Text("Inverse square root unit (ISRU)", "역제곱근 유닛(ISRU)"),
    summary=Text(
        "A sigmoid-shaped curve made of one square root: about as cheap as a bounded, smooth, odd function "
        "gets. α sets the bounds ±1/√α and leaves the slope at zero at 1. The slope falls off as 1/|x|³.",
        "제곱근 하나로 만든 S자 곡선으로, 유계이고 매끄러운 기함수 가운데 계산이 가장 싼 편입니다. α는 한계 "
        "±1/√α을 정하며, 0에서의 기울기는 언제나 1입니다. 기울기는 1/|x|³로 줄어듭니다.",
    ),
    parameters=(
        Parameter(
            name="alpha",
            symbol=r"\alpha",
            description=("sets the bounds ±1/√α", "치역의 양 끝 ±1/√α을 정합니다"),
            domain=POSITIVE,
            default=1.0,
            typical=(0.05, 10.0),
        ),
    ),
    formulas=formulas(
        "x / sqrt(1 + alpha * x**2)",
        "1 / (1 + alpha * x**2)**(3 / 2)",
        "-3 * alpha * x / (1 + alpha * x**2)**(5 / 2)",
    ),
    kernel=_isru,
    range="(-1 / sqrt(alpha), 1 / sqrt(alpha))",
    limits=("-1 / sqrt(alpha)", "1 / sqrt(alpha)"),
    largest_slope="1",
    zero_centred=True,
    monotone=True,
    smoothness=np.inf,
    saturates=_BOTH,
    references=(CARLILE_2017,),
)

FAMILY = (
    SIGMOID,
    LOG_SIGMOID,
    HARD_SIGMOID,
    CLIPPED_AFFINE,
    SPARSE_SIGMOID,
    TANH,
    LECUN_TANH,
    HARD_TANH,
    CLIP,
    SOFTSIGN,
    ARCTAN,
    ISRU,
)
