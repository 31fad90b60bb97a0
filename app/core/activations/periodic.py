"""Periodic functions, and the bell."""

from __future__ import annotations

import math

import numpy as np

from app.core.activations.definition import Elementwise, Reference, Text, Wave, formulas
from app.core.activations.formula import Expression
from app.core.activations.parameters import Parameter
from app.core.activations.piecewise import finite
from app.core.arithmetic.angles import Angle, angle, sine_of, versine_of
from app.core.arithmetic.double_double import (
    DoubleDouble,
    Scaled,
    add_double,
    at_most,
    exp_scaled,
    scalar,
    two_product,
)
from app.core.arithmetic.loops import Kernel
from app.core.arithmetic.scaled import (
    Orders,
    apart,
    choose,
    exactly,
    negative,
    over,
    plus,
    signed,
    times,
    times_power,
    unscaled,
)


@scalar
def _turned(x: float, rate: Scaled) -> Angle:
    """rate·x; NaN for an infinite x, but 0 where the rate is 0."""
    still = rate.high == 0 and math.isinf(x)
    moved = angle(rate, apart(0.0 if still else finite(x)))
    lost = math.isinf(x) and not still
    nowhere = exactly(math.nan)
    return Angle(moved.quarters, choose(lost, nowhere, moved.sine), choose(lost, nowhere, moved.versine))


@Kernel
def _sine(x: float, omega: float) -> Orders:
    rate = apart(omega)
    turned = _turned(x, rate)
    value = sine_of(turned, 0)
    return value, times(rate, sine_of(turned, 1)), negative(times(times(rate, rate), value))


@Kernel
def _sine_gradient(x: float, omega: float) -> tuple[Scaled]:
    """x·cos ωx."""
    return (times(apart(x), sine_of(_turned(x, apart(omega)), 1)),)


@Kernel
def _snake(x: float, alpha: float) -> Orders:
    rate = times_power(apart(alpha), 1.0)
    turned = _turned(x, rate)
    bend = over(versine_of(turned, 0), rate)  # sin²(αx)/α = (1 − cos 2αx)/(2α)
    value = choose(alpha == 0 or math.isinf(x), exactly(x), plus(apart(x), bend))
    # 1 + sin θ is the versine of θ + π/2, which keeps its digits where it touches zero.
    return value, versine_of(turned, 1), times(rate, sine_of(turned, 1))


@Kernel
def _snake_gradient(x: float, alpha: float) -> tuple[Scaled]:
    """(x·sin 2αx − sin²(αx)/α)/α; x² for α = 0."""
    rate = times_power(apart(alpha), 1.0)
    turned = _turned(x, rate)
    bend = over(versine_of(turned, 0), rate)
    total = plus(times(apart(x), sine_of(turned, 0)), negative(bend))
    return (choose(alpha == 0, times(apart(x), apart(x)), over(total, apart(alpha))),)


@Kernel
def _gaussian(x: float) -> Orders:
    size = at_most(abs(x), 47.0)  # e^−47² has vanished
    square = two_product(size, size)
    e = choose(abs(x) > 47, exactly(0.0), exp_scaled(-square.high, -square.low))
    slope = times(e, times_power(exactly(size), 1.0))
    bend = unscaled(add_double(DoubleDouble(4 * square.high, 4 * square.low), -2.0))
    return e, signed(slope, -x), times(e, bend)


SINE = Elementwise(
    name="sine",
    title=Text("Sine (SIREN)", "사인(SIREN)"),
    summary=Text(
        "A sine of frequency ω. Networks of sines represent images, sound and fields as functions of their "
        "coordinates, and their derivatives too, since the derivative of a sine is a sine. They learn only "
        "from an initialisation made for them: the range of the weights is divided by ω.",
        "진동수가 ω인 사인 함수입니다. 사인의 도함수는 다시 사인이므로 영상, 소리, 물리장을 좌표의 함수로 "
        "나타내는 신경망에서 값과 도함수를 함께 표현할 수 있습니다. 전용 초기화를 쓰지 않으면 거의 학습되지 "
        "않으며, 가중치 범위를 ω로 나누어 좁혀야 합니다.",
    ),
    parameters=(
        Parameter(
            name="omega",
            symbol=r"\omega",
            description=("angular frequency", "각진동수"),
            default=30.0,
            typical=(1.0, 100.0),
            learnable=True,
            gradient=Expression("x * cos(omega * x)"),
        ),
    ),
    formulas=formulas("sin(omega * x)", "omega * cos(omega * x)", "-omega**2 * sin(omega * x)"),
    kernel=_sine,
    wave=Wave("omega", sine="1"),
    parameter_gradients=_sine_gradient,
    range="[-1, 1]",
    limits=(None, None),
    largest_slope="omega",
    zero_centred=True,
    monotone=False,
    smoothness=np.inf,
    saturates=frozenset(),
    references=(
        Reference(
            authors="Sitzmann, Martel, Bergman, Lindell, Wetzstein",
            title="Implicit Neural Representations with Periodic Activation Functions",
            year=2020,
            identifier="arXiv:2006.09661",
        ),
    ),
)

SNAKE = Elementwise(
    name="snake",
    title=Text("Snake", "스네이크"),
    summary=Text(
        "The identity with a periodic part on top: it never decreases, yet it can carry a period beyond the "
        "range of the training data, where ReLU and tanh networks become straight or flat. Larger α means a "
        "higher frequency; the slope oscillates between 0 and 2 everywhere.",
        "항등 함수에 주기 성분을 더한 함수입니다. 감소하는 구간이 없으면서도 훈련 데이터 범위 밖까지 주기를 "
        "이어 갈 수 있습니다. ReLU나 tanh 신경망은 그곳에서 직선이 되거나 평평해집니다. α가 클수록 진동수가 "
        "높고, 기울기는 0과 2 사이를 끝없이 오갑니다.",
    ),
    parameters=(
        Parameter(
            name="alpha",
            symbol=r"\alpha",
            description=("frequency of the periodic part", "주기 성분의 진동수"),
            default=1.0,
            typical=(0.1, 50.0),
            learnable=True,
            gradient=Expression(
                "x**2 if alpha == 0 else x * sin(2 * alpha * x) / alpha - sin(alpha * x)**2 / alpha**2"
            ),
        ),
    ),
    formulas=formulas(
        "x if alpha == 0 else x + sin(alpha * x)**2 / alpha",
        "1 + sin(2 * alpha * x)",
        "2 * alpha * cos(2 * alpha * x)",
    ),
    kernel=_snake,
    wave=Wave("2 * alpha", slope="1", versine="1 / (2 * alpha)"),
    parameter_gradients=_snake_gradient,
    range="(-inf, inf)",
    limits=("-inf", "inf"),
    largest_slope="2",
    zero_centred=False,
    monotone=True,
    smoothness=np.inf,
    saturates=frozenset(),
    references=(
        Reference(
            authors="Ziyin, Hartwig, Ueda",
            title="Neural Networks Fail to Learn Periodic Functions and How to Fix It",
            year=2020,
            identifier="arXiv:2006.08195",
        ),
    ),
)

GAUSSIAN = Elementwise(
    name="gaussian",
    title=Text("Gaussian", "가우시안"),
    summary=Text(
        "A bell, e^−x² with neither centre nor width of its own: the weights set both. A unit responds only "
        "near its centre, which suits radial basis networks and networks of coordinates. Away from it the "
        "gradient vanishes faster than that of any sigmoid.",
        "종 모양의 함수 e^−x²입니다. 중심과 너비는 따로 두지 않고 가중치가 정합니다. 중심 근처에서만 "
        "반응하므로 방사 기저 신경망이나 좌표를 입력으로 받는 신경망에 알맞습니다. 중심에서 멀어지면 "
        "그래디언트가 시그모이드 계열보다도 훨씬 빨리 사라집니다.",
    ),
    formulas=formulas("exp(-x**2)", "-2 * x * exp(-x**2)", "(4 * x**2 - 2) * exp(-x**2)"),
    kernel=_gaussian,
    range="(0, 1]",
    limits=("0", "0"),
    largest_slope="sqrt(2) * exp(-1 / 2)",
    zero_centred=False,
    monotone=False,
    smoothness=np.inf,
    saturates=frozenset({"negative", "positive"}),
    references=(
        Reference(
            authors="Broomhead, Lowe",
            title="Multivariable Functional Interpolation and Adaptive Networks",
            year=1988,
        ),
        Reference(
            authors="Ramasinghe, Lucey",
            title="Beyond Periodicity: Towards a Unifying Framework for Activations in Coordinate-MLPs",
            year=2021,
            identifier="arXiv:2111.15135",
        ),
    ),
)

FAMILY = (SINE, SNAKE, GAUSSIAN)
