"""The input, or an exponential, times one of the less common smooth steps; and one such step alone."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import partial
from typing import Final

import numpy as np

from app.core.activations.definition import Elementwise, Reference, Text, formulas
from app.core.activations.gated import GELU
from app.core.activations.parameters import POSITIVE, Parameter
from app.core.activations.piecewise import finite, level
from app.core.arithmetic.double_double import (
    DoubleDouble,
    Scaled,
    at_most,
    constant,
    exp_scaled,
    expm1,
    product_unnormalised,
    scalar,
    two_product,
)
from app.core.arithmetic.functions import as_exponent, erf_and_slope_of, log1p_of_exp, one_minus, sigmoids
from app.core.arithmetic.loops import Kernel
from app.core.arithmetic.normal_tail import END, mills
from app.core.arithmetic.scaled import (
    Orders,
    apart,
    choose,
    exactly,
    negative,
    over,
    plus,
    times,
    times_power,
    unscaled,
    with_exponent,
)

_THIRD: Final = constant(Fraction(1, 3))
_TWO_BY_ROOT_PI: Final = constant("1.12837916709551257389615890312154517169")
"""2/√π."""
_DENSITY_AT_0: Final = constant("0.398942280401432677939946059934381868475858631164934657665926")
"""φ(0) = 1/√(2π)."""

_gelu = GELU.kernel.function


@partial(Kernel, low="any")
def _gelu_10(x: float) -> Orders:
    value, slope, curvature = _gelu(x)
    cut = x >= 10
    return (
        choose(cut, exactly(10.0), value),
        choose(cut, exactly(0.0), slope),
        choose(cut, exactly(0.0), curvature),
    )


@partial(Kernel, low="any")
def _laplace(x: float, mu: float, sigma: float) -> Orders:
    """Φ(z), φ(z)/σ and −z·φ(z)/σ² with z = (x − μ)/σ."""
    width = apart(sigma)
    distance = plus(apart(finite(x)), negative(apart(mu)))
    far = math.isinf(x)
    z = choose(far, exactly(x), over(distance, width))
    u = as_exponent(z)
    left = u.high < 0
    size = abs(u.high)
    a = at_most(size, END)
    low = (-u.low if left else u.low) if a == size else 0.0
    square = two_product(a, a)
    e = exp_scaled(-0.5 * square.high, -0.5 * (square.low + 2 * a * low))
    density = product_unnormalised(_DENSITY_AT_0, DoubleDouble(e.high, e.low))
    tail = product_unnormalised(density, mills(a, low))
    value = choose(left, with_exponent(tail, e.exponent), unscaled(one_minus(tail, e.exponent)))
    slope = over(with_exponent(density, e.exponent), width)
    curvature = negative(over(times(slope, choose(far, exactly(0.0), z)), width))
    gone = size > END
    nothing = exactly(0.0)
    value = choose(gone and left, nothing, value)
    return value, choose(gone, nothing, slope), choose(gone, nothing, curvature)


@Kernel
def _elish(x: float) -> Orders:
    """x·σ(x) right of 0, (e^x − 1)·σ(x) left of it.

    There, with s = σ(x) and r = σ(−x), f′ = s·(e^x + (e^x − 1)·r) and
    f″ = s·(e^x·(1 + 2r) + (e^x − 1)·r·(r − s)).
    """
    a = apart(finite(x))
    u = as_exponent(a)
    both = sigmoids(u)
    left = u.high < 0
    s = choose(left, with_exponent(both.least, both.exponent), unscaled(both.most))
    r = choose(left, unscaled(both.most), with_exponent(both.least, both.exponent))
    one = exactly(1.0)

    through = times(a, s)
    silu = times(s, plus(one, times(a, r)))
    product = times(s, r)
    balance = plus(r, negative(s))
    bend = times(product, plus(exactly(2.0), times(a, balance)))

    edge = at_most(u.high, 0.0)
    m, e = unscaled(expm1(edge)), exp_scaled(edge)
    below = times(s, plus(e, times(m, r)))
    curve = plus(times(e, plus(one, times_power(r, 1.0))), times(times(m, r), balance))
    value = choose(left, times(m, s), choose(x == math.inf, exactly(x), through))
    gone = abs(u.high) >= 4000
    nothing = exactly(0.0)
    value = choose(gone and left, nothing, value)
    slope = choose(gone, exactly(0.0 if left else 1.0), choose(left, below, silu))
    second = choose(gone or x == 0, nothing, choose(left, times(s, curve), bend))
    return value, slope, second


@scalar
def _erf(y: Scaled) -> tuple[Scaled, Scaled]:
    """erf y and 2/√π·e^−y², for y ≥ 0. Near 0 the first is 2/√π·(y − y³/3): a double may not hold y."""
    u = as_exponent(y)
    value, slope = erf_and_slope_of(u)
    cube = times(times(times(y, y), y), unscaled(_THIRD))
    near = times(unscaled(_TWO_BY_ROOT_PI), plus(y, negative(cube)))
    gone = u.high > 46.5
    return (
        choose(u.high < 2.0**-30, near, unscaled(value)),
        choose(gone, exactly(0.0), slope),
    )


@partial(Kernel, low="any")
def _serf(x: float) -> Orders:
    """x·erf(L) with L = ln(1 + e^x).

    With g = 2/√π·e^−L², s = σ(x) and r = σ(−x), f′ = erf(L) + x·g·s and f″ = g·s·(2 + x·(r − 2L·s)).
    """
    a = apart(finite(x))
    u = as_exponent(a)
    both = sigmoids(u)
    left = u.high < 0
    s = choose(left, with_exponent(both.least, both.exponent), unscaled(both.most))
    r = choose(left, unscaled(both.most), with_exponent(both.least, both.exponent))
    softplus = choose(left, log1p_of_exp(u), plus(a, log1p_of_exp(u)))
    step, bell = _erf(softplus)
    weight = times(bell, s)
    slope = plus(step, times(a, weight))
    pull = plus(r, negative(times_power(times(softplus, s), 1.0)))
    second = times(weight, plus(exactly(2.0), times(a, pull)))
    gone = abs(u.high) >= 4000
    nothing = exactly(0.0)
    value = choose(gone and left, nothing, choose(x == math.inf, exactly(x), times(a, step)))
    slope = choose(gone, level(0.0 if left else 1.0, x), slope)
    return value, slope, choose(gone, nothing, second)


GELU_10 = Elementwise(
    name="gelu_10",
    title=Text("GELU cut off at 10", "10에서 자른 GELU"),
    summary=Text(
        "GELU whose values stay between −10 and 10, of which only the upper bound ever holds: it makes room "
        "for the small negative values when outputs are quantised to 8 bits. At 10, x·Φ(x) falls short of "
        "10 by 7.6e-23.",
        "값을 −10과 10 사이로 제한한 GELU이며, 실제로는 위쪽 한계만 쓰입니다. 출력을 8비트로 양자화할 때 "
        "작은 음수 값을 나타낼 단계를 남겨 줍니다. x = 10에서 x·Φ(x)는 10보다 7.6e-23만큼 작습니다.",
    ),
    formulas=formulas(
        "10 if x >= 10 else x * Phi(x)",
        "0 if x >= 10 else Phi(x) + x * phi(x)",
        "0 if x >= 10 else 2 * phi(x) - x**2 * phi(x)",
    ),
    kernel=_gelu_10,
    range="[-0.1699712074799036616939, 10]",
    limits=("0", "10"),
    largest_slope="Phi(sqrt(2)) + sqrt(2) * phi(sqrt(2))",
    zero_centred=False,
    monotone=False,
    smoothness=-1,
    saturates=frozenset({"negative", "positive"}),
    kinks=("10",),
    references=(
        Reference(
            authors="Wu, Judd, Zhang, Isaev, Micikevicius",
            title="Integer Quantization for Deep Learning Inference: Principles and Empirical Evaluation",
            year=2020,
            identifier="arXiv:2004.09602",
        ),
    ),
)

LAPLACE = Elementwise(
    name="laplace",
    title=Text("Laplace function", "라플라스 함수"),
    summary=Text(
        "The distribution function of a normal variable: a step with centre μ and width σ. MEGA's attention "
        "uses it in the place of squared ReLU, whose value and slope it meets at √2/2 without growing.",
        "정규분포의 누적분포함수로, 중심이 μ, 너비가 σ인 계단입니다. MEGA의 어텐션이 제곱 ReLU 대신 쓰며, "
        "√2/2에서 제곱 ReLU와 값과 기울기가 같으면서도 커지지 않습니다.",
    ),
    parameters=(
        Parameter(
            name="mu",
            symbol=r"\mu",
            description=("where f is 1/2", "값이 1/2인 곳"),
            default=0.707107,
        ),
        Parameter(
            name="sigma",
            symbol=r"\sigma",
            description=("width of the step", "계단의 너비"),
            domain=POSITIVE,
            default=0.282095,
            typical=(0.05, 2.0),
        ),
    ),
    formulas=formulas("Phi(z)", "phi(z) / sigma", "-z * phi(z) / sigma**2", z="(x - mu) / sigma"),
    kernel=_laplace,
    range="(0, 1)",
    limits=("0", "1"),
    largest_slope="1 / (sigma * sqrt(2 * pi))",
    zero_centred=False,
    monotone=True,
    smoothness=np.inf,
    saturates=frozenset({"negative", "positive"}),
    references=(
        Reference(
            authors="Ma, Zhou, Kong, He, Gui, Neubig, May, Zettlemoyer",
            title="Mega: Moving Average Equipped Gated Attention",
            year=2022,
            identifier="arXiv:2209.10655",
        ),
    ),
)

ELISH = Elementwise(
    name="elish",
    title=Text("ELiSH", "ELiSH"),
    summary=Text(
        "SiLU on the right, ELU times a sigmoid on the left: value and slope are continuous at 0, the "
        "curvature is not. It dips to −0.172 and returns to zero on the left.",
        "오른쪽은 SiLU, 왼쪽은 ELU에 시그모이드를 곱한 함수입니다. 0에서 값과 기울기는 이어지지만 곡률은 "
        "끊깁니다. 왼쪽에서 −0.172까지 내려갔다가 0으로 돌아갑니다.",
    ),
    formulas=formulas(
        "x * sigmoid(x) if x >= 0 else expm1(x) * sigmoid(x)",
        "sigmoid(x) + x * sigmoid(x) * sigmoid(-x) if x >= 0 else"
        " exp(x) * sigmoid(x) + expm1(x) * sigmoid(x) * sigmoid(-x)",
        "0 if x == 0 else"
        " 2 * sigmoid(x) * sigmoid(-x) - x * sigmoid(x) * sigmoid(-x) * tanh(x / 2) if x > 0 else"
        " exp(x) * sigmoid(x) * (1 + 2 * sigmoid(-x))"
        " - expm1(x) * sigmoid(x) * sigmoid(-x) * tanh(x / 2)",
    ),
    kernel=_elish,
    range="[-0.1715728752538099023966, inf)",
    limits=("0", "inf"),
    largest_slope="1.099839320128866916958",
    zero_centred=False,
    monotone=False,
    smoothness=1,
    saturates=frozenset({"negative"}),
    kinks=("0",),
    references=(
        Reference(
            authors="Basirat, Roth",
            title="The Quest for the Golden Activation Function",
            year=2018,
            identifier="arXiv:1808.00783",
        ),
    ),
)

SERF = Elementwise(
    name="serf",
    title=Text("Serf", "Serf"),
    summary=Text(
        "x·erf(softplus(x)): Mish with the error function in the place of tanh. It dips to −0.348 and "
        "approaches the identity faster than any similar function.",
        "x·erf(softplus(x))로, Mish의 tanh를 오차 함수로 바꾼 것입니다. −0.348까지 내려가며, 비슷한 함수 "
        "가운데 가장 빨리 항등 함수에 가까워집니다.",
    ),
    formulas=formulas(
        "x * erf(softplus(x))",
        "erf(softplus(x)) + x * g * sigmoid(x)",
        "2 * g * sigmoid(x) + x * g * sigmoid(x) * (sigmoid(-x) - 2 * softplus(x) * sigmoid(x))",
        g="2 / sqrt(pi) * exp(-softplus(x)**2)",
    ),
    kernel=_serf,
    range="[-0.348437458759606420222, inf)",
    limits=("0", "inf"),
    largest_slope="1.086125444150997153376",
    zero_centred=False,
    monotone=False,
    smoothness=np.inf,
    saturates=frozenset({"negative"}),
    references=(
        Reference(
            authors="Nag, Bhattacharyya",
            title="SERF: Towards better training of deep neural networks using log-Softplus ERror activation "
            "Function",
            year=2021,
            identifier="arXiv:2108.09598",
        ),
    ),
)

FAMILY = (GELU_10, LAPLACE, ELISH, SERF)
