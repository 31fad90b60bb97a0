"""Rectifiers: straight lines with a corner, their powers, and the straight line itself."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from app.core.activations.definition import (
    Elementwise,
    Reference,
    Text,
    formulas,
)
from app.core.activations.formula import Expression
from app.core.activations.papers import MAAS_2013, MCCULLOCH_1943, SAXE_2013
from app.core.activations.parameters import NON_NEGATIVE, Interval, Parameter
from app.core.activations.piecewise import difference, level, proportional, unless_nan
from app.core.arithmetic.double_double import (
    DoubleDouble,
    Scaled,
    at_least,
    at_most,
    product_unnormalised,
    scalar,
)
from app.core.arithmetic.loops import Kernel
from app.core.arithmetic.scaled import Orders, choose, exactly, mantissa, times_power, with_exponent

_MAAS = MAAS_2013
_KRIZHEVSKY = Reference(
    authors="Krizhevsky",
    title="Convolutional Deep Belief Networks on CIFAR-10",
    year=2010,
)
_KONDA = Reference(
    authors="Konda, Memisevic, Krueger",
    title="Zero-bias autoencoders and the benefits of co-adapting features",
    year=2014,
    identifier="arXiv:1402.3337",
)


@partial(Kernel, linear=True)
def _linear(x: float, slope: float, rough: int = False) -> Orders:
    return proportional(slope, x, rough), level(slope, x, rough), level(0.0, x, rough)


@Kernel
def _linear_gradient(x: float, slope: float) -> tuple[Scaled]:  # noqa: ARG001 - f is linear in it
    return (exactly(x),)


LINEAR = Elementwise(
    name="linear",
    title=Text("Linear", "선형 함수"),
    summary=Text(
        "A straight line through zero; with slope 1, the identity. It is the output of a regression, and the "
        "reference for all other functions: a deep network of linear layers computes no more than a single "
        "one, yet its gradients vanish or explode like any other's.",
        "원점을 지나는 직선이며, 기울기가 1이면 항등 함수입니다. 회귀의 출력층에 쓰고, 다른 함수와 비교하는 "
        "기준이 됩니다. 선형 층은 아무리 쌓아도 한 층과 같은 함수밖에 나타내지 못하지만, 그래디언트는 다른 "
        "신경망처럼 사라지거나 폭발합니다.",
    ),
    parameters=(
        Parameter(
            name="slope",
            symbol="a",
            description=("the slope", "기울기"),
            default=1.0,
            gradient=Expression("x"),
            learnable=True,
        ),
    ),
    formulas=formulas("slope * x", "slope", "0"),
    kernel=_linear,
    parameter_gradients=_linear_gradient,
    range="(-inf, inf)",
    limits=("-inf", "inf"),
    largest_slope="abs(slope)",
    zero_centred=True,
    monotone=True,
    smoothness=np.inf,
    references=(SAXE_2013,),
)


@partial(Kernel, low="none")
def _step(x: float) -> Orders:
    return level(1.0 if x > 0 else 0.0, x), level(0.0, x), level(0.0, x)


STEP = Elementwise(
    name="step",
    title=Text("Heaviside step", "계단 함수"),
    summary=Text(
        "1 for positive inputs and 0 for all others, zero included, so that it is the slope of ReLU. The "
        "threshold unit of the perceptron: its own slope is zero everywhere, so gradient descent cannot "
        "train through it without a substitute.",
        "양수에는 1, 0을 포함한 나머지에는 0을 내놓으며, 이 약속대로라면 ReLU의 도함수와 같습니다. "
        "퍼셉트론의 문턱 함수이지만 기울기가 어디서나 0이라, 대리 그래디언트 없이는 경사 하강법으로 학습할 "
        "수 없습니다.",
    ),
    formulas=formulas("1 if x > 0 else 0", "0", "0"),
    kernel=_step,
    range="[0, 1]",
    limits=("0", "1"),
    largest_slope="0",
    zero_centred=False,
    monotone=True,
    smoothness=-1,
    saturates=frozenset({"negative", "positive"}),
    kinks=("0",),
    references=(
        MCCULLOCH_1943,
        Reference(
            authors="Rosenblatt",
            title="The perceptron: A probabilistic model for information storage and organization "
            "in the brain",
            year=1958,
            identifier="doi:10.1037/h0042519",
        ),
    ),
)


@partial(Kernel, low="none")
def _relu(x: float) -> Orders:
    flat = unless_nan(0.0, x)
    return exactly(x if x > 0 else flat), exactly(1.0 if x > 0 else flat), exactly(flat)


RELU = Elementwise(
    name="relu",
    title=Text("ReLU", "ReLU(렐루)"),
    summary=Text(
        "Passes positive inputs and cuts off the rest. The gradient of an active unit neither shrinks nor "
        "grows, which made deep networks trainable; a unit that is negative for every input gets no "
        "gradient and stays dead. With He initialisation the signal keeps its size.",
        "양수는 그대로 통과시키고 나머지는 0으로 만듭니다. 켜진 유닛의 그래디언트는 줄지도 늘지도 않아 깊은 "
        "신경망을 학습할 수 있게 했습니다. 모든 입력에서 음수가 된 유닛은 그래디언트를 받지 못해 죽은 채로 "
        "남습니다. He 초기화를 쓰면 신호의 크기가 유지됩니다.",
    ),
    formulas=formulas("max(0, x)", "1 if x > 0 else 0", "0"),
    kernel=_relu,
    range="[0, inf)",
    limits=("0", "inf"),
    largest_slope="1",
    zero_centred=False,
    monotone=True,
    smoothness=0,
    saturates=frozenset({"negative"}),
    kinks=("0",),
    references=(
        Reference(
            authors="Fukushima",
            title="Visual Feature Extraction by a Multilayered Network of Analog Threshold Elements",
            year=1969,
            identifier="doi:10.1109/TSSC.1969.300225",
        ),
        Reference(
            authors="Nair, Hinton",
            title="Rectified Linear Units Improve Restricted Boltzmann Machines",
            year=2010,
        ),
        Reference(
            authors="Glorot, Bordes, Bengio",
            title="Deep Sparse Rectifier Neural Networks",
            year=2011,
        ),
    ),
)


@partial(Kernel, low="none")
def _relu6(x: float) -> Orders:
    flat = unless_nan(0.0, x)
    value = at_most(at_least(x, 0.0), 6.0)
    return exactly(value), exactly(1.0 if 0 < x < 6 else flat), exactly(flat)


RELU6 = Elementwise(
    name="relu6",
    title=Text("ReLU6", "ReLU6(렐루6)"),
    summary=Text(
        "ReLU cut off at 6. The bound keeps outputs inside what fixed-point and 8-bit formats hold; above "
        "it, as below zero, the gradient is exactly zero.",
        "ReLU를 6에서 자른 함수입니다. 출력에 상한이 있어 고정소수점과 8비트 형식에 담기 좋지만, 6을 넘으면 "
        "음수일 때처럼 그래디언트가 정확히 0이 됩니다.",
    ),
    formulas=formulas("min(max(0, x), 6)", "1 if 0 < x < 6 else 0", "0"),
    kernel=_relu6,
    range="[0, 6]",
    limits=("0", "6"),
    largest_slope="1",
    zero_centred=False,
    monotone=True,
    smoothness=0,
    saturates=frozenset({"negative", "positive"}),
    kinks=("0", "6"),
    references=(_KRIZHEVSKY,),
)


@scalar
def _leaky(x: float, slope: float, rough: int) -> Orders:
    value = choose(x > 0, exactly(x), proportional(slope, x, rough))
    return value, level(1.0 if x > 0 else slope, x, rough), level(0.0, x, rough)


@partial(Kernel, linear=True)
def _leaky_relu(x: float, negative_slope: float, rough: int = False) -> Orders:
    return _leaky(x, negative_slope, rough)


LEAKY_RELU = Elementwise(
    name="leaky_relu",
    title=Text("Leaky ReLU", "Leaky ReLU(리키 렐루)"),
    summary=Text(
        "ReLU with a small slope for negative inputs, so that no unit can die. Frameworks disagree about "
        "the default: 0.01 in PyTorch, JAX and ONNX, 0.2 and 0.3 in Keras.",
        "음수 쪽에 작은 기울기를 주어 유닛이 죽지 않게 한 ReLU입니다. 기본 기울기는 프레임워크마다 달라, "
        "PyTorch·JAX·ONNX에서는 0.01이고 Keras에서는 함수가 0.2, 층이 0.3입니다.",
    ),
    parameters=(
        Parameter(
            name="negative_slope",
            symbol="a",
            description=("slope for negative inputs", "음의 입력에 대한 기울기"),
            default=0.01,
            typical=(-0.2, 1.0),
        ),
    ),
    formulas=formulas("x if x > 0 else negative_slope * x", "1 if x > 0 else negative_slope", "0"),
    kernel=_leaky_relu,
    range="(-inf, inf)",
    limits=("-inf", "inf"),
    largest_slope="1",
    zero_centred=False,
    monotone=True,
    smoothness=0,
    kinks=("0",),
    references=(_MAAS,),
)


@partial(Kernel, linear=True)
def _prelu(x: float, weight: float, rough: int = False) -> Orders:
    return _leaky(x, weight, rough)


@Kernel
def _prelu_gradient(x: float, weight: float) -> tuple[Scaled]:  # noqa: ARG001 - f is linear in it
    return (exactly(at_most(x, 0.0)),)


PRELU = Elementwise(
    name="prelu",
    title=Text("Parametric ReLU (PReLU)", "PReLU(매개변수 렐루)"),
    summary=Text(
        "Leaky ReLU whose negative slope is learned, one for the whole layer or one per channel. It costs "
        "almost no parameters; weight decay would pull the slope towards zero and is best not applied to it.",
        "음수 쪽 기울기를 학습하는 Leaky ReLU로, 층 전체에 하나를 두거나 채널마다 하나씩 둡니다. 늘어나는 "
        "매개변수는 거의 없습니다. 가중치 감쇠를 걸면 기울기가 0으로 끌려가므로 여기에는 걸지 않는 편이 "
        "좋습니다.",
    ),
    parameters=(
        Parameter(
            name="weight",
            symbol="a",
            description=(
                "slope for negative inputs: a number, or one per channel",
                "음의 입력에 대한 기울기. 수 하나 또는 채널마다 하나",
            ),
            default=0.25,
            typical=(-0.5, 1.0),
            gradient=Expression("0 if x > 0 else x"),
            learnable=True,
            trained=True,
        ),
    ),
    formulas=formulas("x if x > 0 else weight * x", "1 if x > 0 else weight", "0"),
    kernel=_prelu,
    parameter_gradients=_prelu_gradient,
    range="(-inf, inf)",
    limits=("-inf", "inf"),
    largest_slope="1",
    zero_centred=False,
    monotone=True,
    smoothness=0,
    kinks=("0",),
    references=(
        Reference(
            authors="He, Zhang, Ren, Sun",
            title="Delving Deep into Rectifiers: Surpassing Human-Level Performance on ImageNet "
            "Classification",
            year=2015,
            identifier="arXiv:1502.01852",
        ),
    ),
)


@Kernel
def _rrelu(x: float, lower: float, upper: float) -> Orders:
    total = difference(lower, -upper)
    half = 0.5 if abs(total.high) > 2.0**-900 else 1.0  # a subnormal number has no half
    mean = Scaled(half * total.high, half * total.low, total.exponent - (0.0 if half < 1 else 1.0))
    flat = mean.high == 0 and math.isinf(x)
    product = product_unnormalised(mantissa(mean), DoubleDouble(x, 0.0))
    left = choose(flat, mean, with_exponent(product, mean.exponent))
    slope = choose(x > 0, exactly(1.0), mean)
    return choose(x > 0, exactly(x), left), choose(math.isnan(x), exactly(x), slope), level(0.0, x)


RRELU = Elementwise(
    name="rrelu",
    title=Text("Randomised ReLU (RReLU), in evaluation", "RReLU(무작위 렐루), 평가 모드"),
    summary=Text(
        "In training, a leaky ReLU whose negative slope is drawn from [lower, upper] for every element, "
        "which regularises. What is computed here is its evaluation mode: the slope is the mean of the two "
        "bounds.",
        "학습할 때 음수 쪽 기울기를 원소마다 [lower, upper]에서 무작위로 뽑아 과적합을 줄이는 Leaky "
        "ReLU입니다. 여기서는 평가 모드를 계산하며, 기울기는 두 경계의 평균입니다.",
    ),
    parameters=(
        Parameter(
            name="lower",
            symbol="l",
            description=("least slope drawn in training", "학습할 때 뽑는 기울기의 최솟값"),
            default=1 / 8,
            typical=(0.0, 0.3),
        ),
        Parameter(
            name="upper",
            symbol="u",
            description=("greatest slope drawn in training", "학습할 때 뽑는 기울기의 최댓값"),
            default=1 / 3,
            typical=(0.3, 1.0),
        ),
    ),
    constraints=(Expression("lower <= upper"),),
    formulas=formulas(
        "x if x > 0 else (lower + upper) / 2 * x",
        "1 if x > 0 else (lower + upper) / 2",
        "0",
    ),
    kernel=_rrelu,
    range="(-inf, inf)",
    limits=("-inf", "inf"),
    largest_slope="1",
    zero_centred=False,
    monotone=True,
    smoothness=0,
    kinks=("0",),
    references=(
        Reference(
            authors="Xu, Wang, Chen, Li",
            title="Empirical Evaluation of Rectified Activations in Convolutional Network",
            year=2015,
            identifier="arXiv:1505.00853",
        ),
    ),
)


@partial(Kernel, low="none")
def _threshold(x: float, threshold: float, value: float) -> Orders:
    above = x > threshold
    return level(x if above else value, x), level(1.0 if above else 0.0, x), level(0.0, x)


THRESHOLD = Elementwise(
    name="threshold",
    title=Text("Threshold", "문턱 함수"),
    summary=Text(
        "Passes what exceeds a threshold and replaces the rest by a fixed value; thresholded ReLU is the "
        "case of value 0. It jumps at the threshold unless the two are equal, and what lies below gets no "
        "gradient.",
        "문턱값을 넘는 입력은 그대로 통과시키고 나머지는 정해진 값으로 바꿉니다. 그 값이 0이면 thresholded "
        "ReLU입니다. 문턱값과 대체값이 다르면 문턱에서 불연속이고, 문턱 아래에는 그래디언트가 전달되지 "
        "않습니다.",
    ),
    parameters=(
        Parameter(
            name="threshold",
            symbol=r"\theta",
            description=("inputs above it pass", "이 값보다 큰 입력은 그대로 나갑니다"),
            default=1.0,
        ),
        Parameter(
            name="value",
            symbol="v",
            description=("replaces the other inputs", "나머지 입력을 대신하는 값"),
            default=0.0,
        ),
    ),
    formulas=formulas("x if x > threshold else value", "1 if x > threshold else 0", "0"),
    kernel=_threshold,
    range="[0, inf)",
    limits=("value", "inf"),
    largest_slope="1",
    zero_centred=False,
    monotone=True,
    smoothness=-1,
    saturates=frozenset({"negative"}),
    kinks=("threshold",),
    references=(_KONDA,),
)


@Kernel
def _clipped_leaky_relu(x: float, negative_slope: float, max_value: float, threshold: float) -> Orders:
    above = x > threshold
    excess = difference(x, threshold)
    flat = negative_slope == 0 and math.isinf(x)
    product = product_unnormalised(DoubleDouble(negative_slope, 0.0), mantissa(excess))
    below = choose(flat, exactly(0.0), with_exponent(product, excess.exponent))
    rising = 1.0 if x < max_value or math.isinf(max_value) else 0.0
    value = choose(above, exactly(at_most(x, max_value)), below)
    return value, level(rising if above else negative_slope, x), level(0.0, x)


CLIPPED_LEAKY_RELU = Elementwise(
    name="clipped_leaky_relu",
    title=Text("ReLU with slope, ceiling and threshold (Keras)", "기울기·상한·문턱이 있는 ReLU(Keras)"),
    summary=Text(
        "ReLU as Keras generalises it: a slope below the threshold, the identity above it, a ceiling. At "
        "its defaults it is ReLU; with a threshold above zero it jumps there, because what passes is x and "
        "not x − θ.",
        "Keras가 일반화한 ReLU로, 문턱 아래에서는 정해진 기울기, 위에서는 항등 함수이며 상한을 둘 수 "
        "있습니다. 기본값에서는 ReLU와 같습니다. 문턱이 0보다 크면 x − θ가 아니라 x가 통과하므로 문턱에서 "
        "불연속입니다.",
    ),
    parameters=(
        Parameter(
            name="negative_slope",
            symbol="a",
            description=("slope below the threshold", "문턱값 아래의 기울기"),
            domain=NON_NEGATIVE,
            default=0.0,
            typical=(0.0, 1.0),
        ),
        Parameter(
            name="max_value",
            symbol="M",
            description=("ceiling; ∞ for none", "상한. 없으면 ∞"),
            domain=Interval("[0, inf]"),
            default=np.inf,
            typical=(0.5, 10.0),
        ),
        Parameter(
            name="threshold",
            symbol=r"\theta",
            description=("inputs above it pass", "이 값보다 큰 입력은 그대로 나갑니다"),
            domain=NON_NEGATIVE,
            default=0.0,
            typical=(0.0, 2.0),
        ),
    ),
    formulas=formulas(
        "negative_slope * (x - threshold) if x <= threshold else min(x, max_value)",
        "negative_slope if x <= threshold else 1 if x < max_value else 0",
        "0",
    ),
    kernel=_clipped_leaky_relu,
    range="[0, max_value)",
    limits=("0", "max_value"),
    largest_slope="1",
    zero_centred=False,
    monotone=True,
    smoothness=0,
    saturates=frozenset({"negative"}),
    kinks=("threshold", "max(threshold, max_value)"),
    references=(_MAAS, _KRIZHEVSKY, _KONDA),
)


@Kernel
def _squared_relu(x: float) -> Orders:
    flat = unless_nan(0.0, x)
    positive = x if x > 0 else flat
    twice = times_power(exactly(positive), 1.0)
    return proportional(positive, positive), twice, exactly(2.0 if x > 0 else flat)


SQUARED_RELU = Elementwise(
    name="squared_relu",
    title=Text("Squared ReLU", "제곱 ReLU"),
    summary=Text(
        "The square of ReLU: smooth at zero, where its slope sets in gradually, and quadratic beyond. Found "
        "by a search over Transformer variants; since it grows faster than its input it needs "
        "normalisation, and it leaves the range of float16 from an input of 256 on.",
        "ReLU를 제곱한 함수로, 0에서 기울기가 끊김 없이 이어지고 그 뒤로는 이차로 커집니다. 트랜스포머 "
        "변형을 탐색해 찾아낸 함수입니다. 입력보다 빨리 커지므로 정규화가 필요하고, 입력이 256 이상이면 "
        "float16의 범위를 넘습니다.",
    ),
    formulas=formulas("max(0, x)**2", "2 * max(0, x)", "2 if x > 0 else 0"),
    kernel=_squared_relu,
    range="[0, inf)",
    limits=("0", "inf"),
    largest_slope="inf",
    zero_centred=False,
    monotone=True,
    smoothness=1,
    saturates=frozenset({"negative"}),
    kinks=("0",),
    references=(
        Reference(
            authors="So, Mańke, Liu, Dai, Shazeer, Le",
            title="Primer: Searching for Efficient Transformers for Language Modeling",
            year=2021,
            identifier="arXiv:2109.08668",
        ),
    ),
)

FAMILY = (
    LINEAR,
    STEP,
    RELU,
    RELU6,
    LEAKY_RELU,
    PRELU,
    RRELU,
    THRESHOLD,
    CLIPPED_LEAKY_RELU,
    SQUARED_RELU,
)
