"""Piecewise polynomials beyond the rectifiers: corners rounded, shifted or cut off, and a closed step."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from app.core.activations.definition import Elementwise, Reference, Text, formulas
from app.core.activations.formula import Expression
from app.core.activations.papers import CARLILE_2017, MAAS_2013, MCCULLOCH_1943, MISRA_2019, SAXE_2013
from app.core.activations.parameters import NON_NEGATIVE, POSITIVE, Parameter
from app.core.activations.piecewise import finite, level, proportional, unless_nan
from app.core.activations.sigmoidal import ISRU
from app.core.arithmetic.double_double import DoubleDouble, Scaled, product, scalar, two_sum
from app.core.arithmetic.loops import Kernel
from app.core.arithmetic.scaled import (
    Orders,
    apart,
    choose,
    exactly,
    over,
    plus,
    times,
    times_power,
    unscaled,
)


@scalar
def _flat_or(x: float, inside: bool, ramp: Scaled, otherwise: float) -> Scaled:
    """``ramp`` inside, else a number; NaN where x is NaN."""
    return choose(inside, ramp, level(otherwise, x))


@Kernel
def _affine(x: float, slope: float, intercept: float) -> Orders:
    line = plus(times(apart(slope), apart(finite(x))), apart(intercept))
    far = math.isinf(x) and slope != 0
    return (
        choose(far, exactly(slope * x), choose(math.isnan(x), exactly(x), line)),
        level(slope, x),
        level(0.0, x),
    )


@Kernel
def _affine_gradients(x: float, slope: float, intercept: float) -> tuple[Scaled, Scaled]:  # noqa: ARG001 - f is linear in both
    return exactly(x), level(1.0, x)


AFFINE = Elementwise(
    name="affine",
    title=Text("Affine function", "아핀 함수"),
    summary=Text(
        "A straight line that need not pass through zero. As an activation it adds nothing that weights and "
        "biases could not, but compilers for inference fold scales and shifts into it.",
        "원점을 지나지 않아도 되는 직선입니다. 활성화 함수로서는 가중치와 편향이 이미 하는 일 이상을 하지 "
        "않지만, 추론용 컴파일러는 크기 조정과 이동을 이 함수에 합쳐 넣습니다.",
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
        Parameter(
            name="intercept",
            symbol="b",
            description=("the value at 0", "0에서의 값"),
            default=0.0,
            gradient=Expression("1"),
            learnable=True,
        ),
    ),
    formulas=formulas("slope * x + intercept", "slope", "0"),
    kernel=_affine,
    parameter_gradients=_affine_gradients,
    range="(-inf, inf)",
    limits=("-inf", "inf"),
    largest_slope="abs(slope)",
    zero_centred=True,
    monotone=True,
    smoothness=np.inf,
    references=(SAXE_2013,),
)


@partial(Kernel, low="none")
def _binary_step(x: float, threshold: float) -> Orders:
    return level(1.0 if x >= threshold else 0.0, x), level(0.0, x), level(0.0, x)


BINARY_STEP = Elementwise(
    name="binary_step",
    title=Text("Binary step", "이진 계단 함수"),
    summary=Text(
        "1 from a threshold on, the threshold included, and 0 below. It differs from the Heaviside step "
        "here, which is 0 at its jump, in that one point; neither passes a gradient.",
        "문턱값을 포함해 그 이상이면 1, 미만이면 0입니다. 여기의 계단 함수는 뛰는 점에서 0이므로 그 한 "
        "점에서만 다릅니다. 그래디언트는 어느 쪽에서도 흐르지 않습니다.",
    ),
    parameters=(
        Parameter(
            name="threshold",
            symbol=r"\theta",
            description=("where f jumps", "값이 뛰는 곳"),
            default=0.0,
        ),
    ),
    formulas=formulas("1 if x >= threshold else 0", "0", "0"),
    kernel=_binary_step,
    range="[0, 1]",
    limits=("0", "1"),
    largest_slope="0",
    zero_centred=False,
    monotone=True,
    smoothness=-1,
    saturates=frozenset({"negative", "positive"}),
    kinks=("threshold",),
    references=(MCCULLOCH_1943,),
)


@Kernel
def _hard_mish(x: float) -> Orders:
    inside = -2 < x < 0
    above = two_sum(x, 2.0)
    bend = times_power(unscaled(product(above, DoubleDouble(x, 0.0))), -1.0)
    value = choose(inside, bend, exactly(x if x >= 0 else unless_nan(0.0, x)))
    slope = _flat_or(x, inside, unscaled(two_sum(x, 1.0)), 1.0 if x >= 0 else 0.0)
    return value, slope, level(1.0 if inside else 0.0, x)


HARD_MISH = Elementwise(
    name="hard_mish",
    title=Text("Hard Mish", "하드 미시"),
    summary=Text(
        "Mish made of a parabola between −2 and 0 and straight lines: no exponential at all. It dips to −1/2 "
        "at −1; below −2 units are dead as with ReLU, and the slope jumps there from 0 to −1.",
        "Mish를 −2와 0 사이의 포물선과 직선으로 바꾼 함수로, 지수 함수가 전혀 없습니다. −1에서 −1/2까지 "
        "내려갑니다. −2 아래에서는 ReLU처럼 유닛이 죽고, 그 점에서 기울기가 0에서 −1로 뜁니다.",
    ),
    formulas=formulas(
        "x if x >= 0 else 0 if x <= -2 else x * (x + 2) / 2",
        "1 if x >= 0 else 0 if x <= -2 else x + 1",
        "1 if -2 < x < 0 else 0",
    ),
    kernel=_hard_mish,
    range="[-1/2, inf)",
    limits=("0", "inf"),
    largest_slope="1",
    zero_centred=False,
    monotone=False,
    smoothness=0,
    saturates=frozenset({"negative"}),
    kinks=("-2", "0"),
    references=(MISRA_2019,),
)


@Kernel
def _smelu(x: float, beta: float) -> Orders:
    inside = abs(x) < beta
    width = apart(beta)
    above = plus(apart(finite(x)), width)
    bend = over(times(above, above), times_power(width, 2.0))
    value = choose(inside, bend, exactly(x if x >= beta else unless_nan(0.0, x)))
    slope = _flat_or(x, inside, over(above, times_power(width, 1.0)), 1.0 if x >= beta else 0.0)
    return value, slope, _flat_or(x, inside, over(exactly(0.5), width), 0.0)


SMELU = Elementwise(
    name="smelu",
    title=Text("Smooth ReLU (SmeLU)", "매끄러운 ReLU(SmeLU)"),
    summary=Text(
        "ReLU whose corner is a parabola from −β to β. A continuous slope makes the predictions of two "
        "models trained alike agree better than with ReLU, at the price of a square; below −β units are "
        "dead.",
        "ReLU의 모서리를 −β에서 β까지 포물선으로 바꾼 함수입니다. 기울기가 연속이라, 같은 방식으로 학습한 두 "
        "모델의 예측이 ReLU를 쓸 때보다 더 잘 일치합니다. 그 대신 제곱을 한 번 계산합니다. −β 아래에서는 "
        "유닛이 죽습니다.",
    ),
    parameters=(
        Parameter(
            name="beta",
            symbol=r"\beta",
            description=("half the width of the bend", "굽은 구간 너비의 절반"),
            domain=POSITIVE,
            default=1.0,
            typical=(0.1, 4.0),
        ),
    ),
    formulas=formulas(
        "x if x >= beta else 0 if x <= -beta else (x + beta)**2 / (4 * beta)",
        "1 if x >= beta else 0 if x <= -beta else (x + beta) / (2 * beta)",
        "1 / (2 * beta) if abs(x) < beta else 0",
    ),
    kernel=_smelu,
    range="[0, inf)",
    limits=("0", "inf"),
    largest_slope="1",
    zero_centred=False,
    monotone=True,
    smoothness=1,
    saturates=frozenset({"negative"}),
    kinks=("-beta", "beta"),
    references=(
        Reference(
            authors="Shamir, Lin, Coviello",
            title="Smooth Activations and Reproducibility in Deep Networks",
            year=2020,
            identifier="arXiv:2010.09931",
        ),
    ),
)


@Kernel
def _clamped_relu(x: float, alpha: float, beta: float) -> Orders:
    line = choose(x > 0, exactly(x), proportional(alpha, x))
    value = choose(x > beta, exactly(beta), line)
    return value, level(0.0 if x >= beta else 1.0 if x > 0 else alpha, x), level(0.0, x)


CLAMPED_RELU = Elementwise(
    name="clamped_relu",
    title=Text("Clamped leaky ReLU", "상한이 있는 Leaky ReLU"),
    summary=Text(
        "Leaky ReLU with a ceiling. The ceiling keeps outputs inside a fixed-point range, the slope α keeps "
        "negative units alive; above the ceiling the gradient is exactly zero.",
        "상한을 둔 Leaky ReLU입니다. 상한은 출력을 고정소수점 범위 안에 두고, 기울기 α는 음수 쪽 유닛이 죽지 "
        "않게 합니다. 상한을 넘으면 그래디언트가 정확히 0입니다.",
    ),
    parameters=(
        Parameter(
            name="alpha",
            symbol=r"\alpha",
            description=("slope for negative inputs", "음의 입력에 대한 기울기"),
            domain=NON_NEGATIVE,
            default=0.01,
            typical=(0.0, 1.0),
        ),
        Parameter(
            name="beta",
            symbol=r"\beta",
            description=("ceiling", "상한"),
            domain=NON_NEGATIVE,
            default=6.0,
            typical=(0.5, 10.0),
        ),
    ),
    formulas=formulas(
        "min(beta, x if x > 0 else alpha * x)",
        "0 if x >= beta else 1 if x > 0 else alpha",
        "0",
    ),
    kernel=_clamped_relu,
    range="(-inf, beta]",
    limits=("-inf", "beta"),
    largest_slope="1",
    zero_centred=False,
    monotone=True,
    smoothness=0,
    saturates=frozenset({"positive"}),
    kinks=("0", "beta"),
    references=(MAAS_2013,),
)


@Kernel
def _star_relu(x: float, scale: float, bias: float) -> Orders:
    positive = not x <= 0
    height, size = apart(scale), apart(finite(x))
    twice = times_power(times(height, size), 1.0)
    value = plus(times(times(height, size), size), apart(bias))
    far = math.isinf(x) and scale != 0
    value = choose(far, exactly(scale * math.inf), choose(math.isnan(x), exactly(x), value))
    slope = choose(far, exactly(scale * math.inf), choose(math.isnan(x), exactly(x), twice))
    left = level(0.0, x)
    second = choose(positive, times_power(choose(math.isnan(x), exactly(x), height), 1.0), left)
    return choose(positive, value, exactly(bias)), choose(positive, slope, left), second


@Kernel
def _star_relu_gradients(x: float, scale: float, bias: float) -> tuple[Scaled, Scaled]:  # noqa: ARG001 - f is linear in both
    positive = exactly(x if x > 0 else unless_nan(0.0, x))
    square = choose(math.isinf(x), positive, times(apart(positive.high), apart(positive.high)))
    return square, level(1.0, x)


STAR_RELU = Elementwise(
    name="star_relu",
    title=Text("StarReLU", "StarReLU(스타 렐루)"),
    summary=Text(
        "The square of ReLU, scaled and shifted so that standard normal inputs come out with mean 0 and "
        "variance 1. It costs four operations where GELU costs seventy; scale and shift may be learned.",
        "표준 정규 입력의 출력이 평균 0, 분산 1이 되도록 제곱 ReLU의 크기와 위치를 조정한 함수입니다. GELU는 "
        "연산이 70번쯤 들지만 이 함수는 네 번이면 되고, 크기와 이동을 학습할 수 있습니다.",
    ),
    parameters=(
        Parameter(
            name="scale",
            symbol="s",
            description=("factor of the square", "제곱에 곱하는 수"),
            default=0.8944,
            gradient=Expression("max(0, x)**2"),
            learnable=True,
        ),
        Parameter(
            name="bias",
            symbol="b",
            description=("what is added", "더하는 수"),
            default=-0.4472,
            gradient=Expression("1"),
            learnable=True,
        ),
    ),
    formulas=formulas("scale * max(0, x)**2 + bias", "2 * scale * max(0, x)", "2 * scale if x > 0 else 0"),
    kernel=_star_relu,
    parameter_gradients=_star_relu_gradients,
    range="[bias, inf)",
    limits=("bias", "inf"),
    largest_slope="inf",
    zero_centred=True,
    monotone=True,
    smoothness=1,
    saturates=frozenset({"negative"}),
    kinks=("0",),
    references=(
        Reference(
            authors="Yu, Si, Zhou, Luo, Zhou, Feng, Yan, Wang",
            title="MetaFormer Baselines for Vision",
            year=2022,
            identifier="arXiv:2210.13452",
        ),
    ),
)


@partial(Kernel, low="none")
def _fatrelu(x: float, threshold: float) -> Orders:
    above = x > threshold
    return level(x if above else 0.0, x), level(1.0 if above else 0.0, x), level(0.0, x)


FATRELU = Elementwise(
    name="fatrelu",
    title=Text("FATReLU", "FATReLU"),
    summary=Text(
        "ReLU with its threshold moved above 0: what does not exceed θ becomes exactly 0, the rest passes as "
        "it is. More zeros mean fewer weights to read in the next layer; the function jumps by θ, and no "
        "gradient passes below.",
        "문턱을 0보다 높인 ReLU입니다. θ를 넘지 못한 값은 정확히 0이 되고 나머지는 그대로 나갑니다. 0이 "
        "많을수록 다음 층에서 읽을 가중치가 줄어듭니다. 문턱에서 θ만큼 뛰며, 그 아래로는 그래디언트가 흐르지 "
        "않습니다.",
    ),
    parameters=(
        Parameter(
            name="threshold",
            symbol=r"\theta",
            description=("inputs above it pass", "이 값보다 큰 입력은 그대로 나갑니다"),
            domain=NON_NEGATIVE,
            default=0.01,
            typical=(0.0, 1.0),
        ),
    ),
    formulas=formulas("x if x > threshold else 0", "1 if x > threshold else 0", "0"),
    kernel=_fatrelu,
    range="[0, inf)",
    limits=("0", "inf"),
    largest_slope="1",
    zero_centred=False,
    monotone=True,
    smoothness=-1,
    saturates=frozenset({"negative"}),
    kinks=("threshold",),
    references=(
        Reference(
            authors="Kurtz, Kopinsky, Gelashvili, Matveev, Carr, Goin, Leiserson, Moore, Nell, Shavit, "
            "Alistarh",
            title="Inducing and Exploiting Activation Sparsity for Fast Inference on Deep Neural Networks",
            year=2020,
        ),
        Reference(
            authors="Song, Han, Zhang, Hu, Shi, Li, Chen, Liu, Li, Yang, Sun",
            title="ProSparse: Introducing and Enhancing Intrinsic Activation Sparsity within Large Language "
            "Models",
            year=2024,
            identifier="arXiv:2402.13516",
        ),
    ),
)

_isru = ISRU.kernel.function


@Kernel
def _isrlu(x: float, alpha: float) -> Orders:
    value, slope, curvature = _isru(x, alpha)
    right = x >= 0
    return (
        choose(right, exactly(x), value),
        choose(right, exactly(1.0), slope),
        choose(right, exactly(0.0), curvature),
    )


ISRLU = Elementwise(
    name="isrlu",
    title=Text("Inverse square root linear unit (ISRLU)", "역제곱근 선형 유닛(ISRLU)"),
    summary=Text(
        "The identity on the right, x/√(1 + αx²) on the left: ELU's shape without an exponential, with two "
        "continuous derivatives. It levels off at −1/√α, and the slope falls off as 1/|x|³ there.",
        "오른쪽은 항등 함수, 왼쪽은 x/√(1 + αx²)입니다. 지수 함수 없이 ELU와 같은 모양을 이루며 이계 "
        "도함수까지 연속입니다. −1/√α로 수렴하고, 그쪽 기울기는 1/|x|³로 줄어듭니다.",
    ),
    parameters=(
        Parameter(
            name="alpha",
            symbol=r"\alpha",
            description=("sets the lower bound −1/√α", "하한 −1/√α을 정합니다"),
            domain=POSITIVE,
            default=1.0,
            typical=(0.05, 10.0),
        ),
    ),
    formulas=formulas(
        "x if x >= 0 else x / sqrt(1 + alpha * x**2)",
        "1 if x >= 0 else 1 / (1 + alpha * x**2)**(3 / 2)",
        "0 if x >= 0 else -3 * alpha * x / (1 + alpha * x**2)**(5 / 2)",
    ),
    kernel=_isrlu,
    range="(-1 / sqrt(alpha), inf)",
    limits=("-1 / sqrt(alpha)", "inf"),
    largest_slope="1",
    zero_centred=False,
    monotone=True,
    smoothness=2,
    saturates=frozenset({"negative"}),
    references=(CARLILE_2017,),
)

FAMILY = (AFFINE, BINARY_STEP, CLAMPED_RELU, STAR_RELU, SMELU, HARD_MISH, ISRLU, FATRELU)
