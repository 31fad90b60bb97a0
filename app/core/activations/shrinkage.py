"""Shrinkage functions: odd, zero or nearly so around zero, parallel to the identity far away."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np

from app.core.activations.definition import (
    Elementwise,
    Reference,
    Text,
    formulas,
)
from app.core.activations.parameters import NON_NEGATIVE, REAL, Parameter
from app.core.activations.piecewise import difference, level
from app.core.arithmetic.double_double import (
    FARTHEST,
    LARGEST,
    DoubleDouble,
    Scaled,
    add,
    add_double,
    at_least,
    at_most,
    fast_two_sum,
    multiple,
    product,
    scalar,
    two_product,
)
from app.core.arithmetic.functions import tanh_and_slope
from app.core.arithmetic.loops import Kernel
from app.core.arithmetic.scaled import (
    Orders,
    apart,
    choose,
    exactly,
    over,
    signed,
    times,
    times_power,
    unscaled,
)

_IDEAL_ADAPTATION = Reference(
    authors="Donoho, Johnstone",
    title="Ideal spatial adaptation by wavelet shrinkage",
    year=1994,
    identifier="doi:10.1093/biomet/81.3.425",
)
_SOFT_THRESHOLDING = Reference(
    authors="Donoho",
    title="De-noising by soft-thresholding",
    year=1995,
    identifier="doi:10.1109/18.382009",
)

_LAMBD = Parameter(
    name="lambd",
    symbol=r"\lambda",
    description=("half the width of the dead zone", "불감대 너비의 절반"),
    domain=NON_NEGATIVE,
    default=0.5,
    typical=(0.0, 2.0),
)


@partial(Kernel, low="none")
def _hardshrink(x: float, lambd: float) -> Orders:
    kept = abs(x) > lambd
    return level(x if kept else 0.0, x), level(1.0 if kept else 0.0, x), level(0.0, x)


HARDSHRINK = Elementwise(
    name="hardshrink",
    title=Text("Hard shrinkage", "하드 슈링크"),
    summary=Text(
        "Sets small inputs to zero and leaves the others as they are: hard thresholding, which makes a code "
        "sparse without biasing what is kept. It jumps at ±λ, and inside the dead zone no gradient flows.",
        "작은 입력은 0으로 만들고 나머지는 그대로 두는 하드 문턱값 처리(hard thresholding)입니다. 남긴 값을 "
        "바꾸지 않으면서 표현을 희소하게 만듭니다. ±λ에서 불연속이고, 그 사이에서는 그래디언트가 흐르지 "
        "않습니다.",
    ),
    parameters=(replace(_LAMBD, domain=REAL),),
    formulas=formulas("x if abs(x) > lambd else 0", "1 if abs(x) > lambd else 0", "0"),
    kernel=_hardshrink,
    range="(-inf, inf)",
    limits=("-inf", "inf"),
    largest_slope="1",
    zero_centred=True,
    monotone=True,
    smoothness=-1,
    kinks=("-lambd", "lambd"),
    references=(_IDEAL_ADAPTATION,),
)


@partial(Kernel, ties=True)
def _softshrink(x: float, lambd: float, rough: int = False) -> Orders:
    # Up to λ nothing is left: a 0 that loses its sign when 0 is added.
    left = fast_two_sum(at_least(abs(x), lambd), -lambd)
    value = Scaled(math.copysign(left.high, x) + 0.0, math.copysign(1.0, x) * left.low, 0.0)
    return value, level(1.0 if abs(x) > lambd else 0.0, x, rough), level(0.0, x, rough)


@partial(Kernel, ties=True)
def _shrink(x: float, bias: float, lambd: float, rough: int = False) -> Orders:
    kept = abs(x) > lambd
    moved = difference(x, bias if x > lambd else -bias, rough)
    value = choose(kept, choose(bool(rough) or abs(x) <= LARGEST, moved, exactly(x)), level(0.0, x, rough))
    return value, level(1.0 if kept else 0.0, x, rough), level(0.0, x, rough)


SOFTSHRINK = Elementwise(
    name="softshrink",
    title=Text("Soft shrinkage", "소프트 슈링크"),
    summary=Text(
        "Sets small inputs to zero and moves the others towards zero by λ: soft thresholding, the proximal "
        "map of λ|x| and the nonlinearity of learned sparse coding (ISTA). It is continuous, but whatever it "
        "keeps is biased by λ.",
        "작은 입력은 0으로 만들고 나머지는 0 쪽으로 λ만큼 옮기는 소프트 문턱값 처리(soft "
        "thresholding)입니다. λ|x|의 근접 연산자이며, 희소 부호화를 학습하는 ISTA의 비선형 함수이기도 "
        "합니다. 연속이지만, 남긴 값마다 λ만큼 편향이 생깁니다.",
    ),
    parameters=(_LAMBD,),
    formulas=formulas(
        "x - lambd if x > lambd else x + lambd if x < -lambd else 0",
        "1 if abs(x) > lambd else 0",
        "0",
    ),
    kernel=_softshrink,
    range="(-inf, inf)",
    limits=("-inf", "inf"),
    largest_slope="1",
    zero_centred=True,
    monotone=True,
    smoothness=0,
    kinks=("-lambd", "lambd"),
    references=(_IDEAL_ADAPTATION, _SOFT_THRESHOLDING),
)

SHRINK = Elementwise(
    name="shrink",
    title=Text("Shrinkage with bias (ONNX Shrink)", "편향이 있는 슈링크(ONNX Shrink)"),
    summary=Text(
        "Hard and soft shrinkage in one, as ONNX defines it: what lies beyond ±λ is moved towards zero by "
        "the bias. Bias 0 is hard shrinkage, bias λ is soft shrinkage; with any other bias it jumps at ±λ.",
        "하드 슈링크와 소프트 슈링크를 하나로 묶은 ONNX의 정의로, ±λ 바깥의 입력을 편향만큼 0 쪽으로 "
        "옮깁니다. 편향이 0이면 하드, λ이면 소프트 슈링크이며, 그 밖의 값에서는 ±λ에서 불연속입니다.",
    ),
    parameters=(
        Parameter(
            name="bias",
            symbol="b",
            description=(
                "how far the inputs outside the dead zone move towards zero",
                "불감대 밖의 입력이 0 쪽으로 옮겨지는 거리",
            ),
            default=0.0,
            typical=(-1.0, 2.0),
        ),
        _LAMBD,
    ),
    formulas=formulas(
        "x - bias if x > lambd else x + bias if x < -lambd else 0",
        "1 if abs(x) > lambd else 0",
        "0",
    ),
    kernel=_shrink,
    range="(-inf, inf)",
    limits=("-inf", "inf"),
    largest_slope="1",
    zero_centred=True,
    monotone=True,
    smoothness=-1,
    kinks=("-lambd", "lambd"),
    references=(_IDEAL_ADAPTATION, _SOFT_THRESHOLDING),
)


@Kernel
def _tanhshrink(x: float, ordinary: int = False) -> Orders:
    size = abs(x)
    t, sech2 = tanh_and_slope(size, 0.0, ordinary)
    sech2 = choose(not ordinary and size > FARTHEST, exactly(0.0), sech2)
    below = add(DoubleDouble(at_most(size, LARGEST), 0.0), multiple(-1.0, t))
    far = choose(bool(ordinary) or size <= LARGEST, unscaled(below), exactly(size))
    value = choose(size < 1, _small_tanhshrink(size, ordinary), far)
    curvature = times(unscaled(t), times_power(sech2, 1.0))
    return signed(value, x), unscaled(product(t, t)), signed(curvature, x)


@scalar
def _small_tanhshrink(x: float, ordinary: int) -> Scaled:
    """x − tanh x for 0 ≤ x < 1, where the difference cancels.

    Lambert's continued fraction tanh x = x/(1 + x²/(3 + x²/(5 + …))) gives x³/(3 + x² + x²/(5 + …)), a
    quotient of sums of positive terms. Cut off after 21 it is right to 3·10⁻²⁰ up to 1.
    """
    square = two_product(x, x)
    fraction = 21.0
    for odd in (19.0, 17.0, 15.0, 13.0, 11.0, 9.0, 7.0, 5.0):
        fraction = odd + square.high / fraction
    below = add_double(add_double(square, 3.0), square.high / fraction)
    part = apart(x, ordinary)
    return over(times(times(part, part), part), unscaled(below))


TANHSHRINK = Elementwise(
    name="tanhshrink",
    title=Text("Tanh shrinkage", "tanh 슈링크"),
    summary=Text(
        "The input less its tanh: a smooth shrinkage, nearly zero around zero (x³/3) and one unit short of "
        "the identity far away. Small signals lose their gradient, which is x² there; x − tanh x as it "
        "stands loses all its digits near zero.",
        "입력에서 tanh를 뺀 매끄러운 슈링크 함수로, 0 근처에서는 x³/3으로 거의 0이고 멀리서는 항등 함수보다 "
        "절댓값이 1만큼 작습니다. 작은 신호는 기울기가 x²이라 그래디언트를 잃습니다. x − tanh x를 그대로 "
        "계산하면 0 근처에서 유효숫자가 모두 사라집니다.",
    ),
    formulas=formulas("x - tanh(x)", "tanh(x)**2", "2 * tanh(x) * sech(x)**2"),
    kernel=_tanhshrink,
    range="(-inf, inf)",
    limits=("-inf", "inf"),
    largest_slope="1",
    zero_centred=True,
    monotone=True,
    smoothness=np.inf,
    references=(
        Reference(
            authors="Collobert, Kavukcuoglu, Farabet",
            title="Torch7: A Matlab-like Environment for Machine Learning",
            year=2011,
        ),
    ),
)

FAMILY = (HARDSHRINK, SOFTSHRINK, SHRINK, TANHSHRINK)
