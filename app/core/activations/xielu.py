"""xIELU: a parabola on the right, an exponential that straightens on the left, both learned."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Final

from app.core.activations.definition import Elementwise, Reference, Text, formulas
from app.core.activations.formula import Expression
from app.core.activations.parameters import Interval, Parameter
from app.core.activations.piecewise import difference, finite
from app.core.arithmetic.double_double import (
    DoubleDouble,
    Scaled,
    add,
    add_double,
    at_least,
    at_most,
    constant,
    exp_scaled,
    multiple,
    product,
    scalar,
    two_sum,
)
from app.core.arithmetic.loops import Kernel
from app.core.arithmetic.scaled import (
    Orders,
    apart,
    choose,
    exactly,
    normal,
    plus,
    times,
    times_power,
    unscaled,
)

_FAR: Final = -70.0
"""e^x is below 2⁻¹⁰⁰ there."""

_DOUBLINGS: Final = 10

_SERIES: Final = tuple(constant(Fraction(1, math.factorial(n))) for n in range(17, 1, -1))
"""e^r − 1 − r = r²·(1/2 + r/6 + …): for |r| ≤ 70/1024 the first term left out is below 2⁻¹⁰⁵."""


@scalar
def _bend(x: float) -> Scaled:
    """e^x − 1 − x to 2⁻⁹⁰, for x ≤ 0.

    From its series at x/1024, doubled: with g = e^r − 1 − r, that of 2r is (g + r)² + 2g. More digits than
    `expm1` has are needed because βx is added, which may nearly cancel it.
    """
    r = at_least(x, _FAR) / 2**_DOUBLINGS
    whole = DoubleDouble(0.0, 0.0)
    for high, low in _SERIES:
        whole = add(product(DoubleDouble(r, 0.0), whole), DoubleDouble(high, low))
    g = product(product(DoubleDouble(r, 0.0), DoubleDouble(r, 0.0)), whole)
    for _ in range(_DOUBLINGS):
        rise = add_double(g, r)
        g = add(product(rise, rise), multiple(2.0, g))
        r = 2 * r
    size = apart(x)
    tiny = times_power(times(size, size), -1.0)  # the square may be smaller than a double can be
    far = plus(normal(unscaled(two_sum(-x, -1.0))), exp_scaled(x))
    return normal(choose(x > -(2.0**-200), tiny, choose(x < _FAR, far, unscaled(g))))


@scalar
def _left(x: float, eps: float) -> Scaled:
    """e^min(x, ε) − 1 − x, for x ≤ 0."""
    y = at_most(x, eps)
    lag = normal(difference(y, x))
    return choose(x <= eps, _bend(y), normal(plus(_bend(y), lag)))


@Kernel
def _xielu(x: float, alpha_p: float, alpha_n: float, beta: float, eps: float) -> Orders:
    right = x > 0
    size, rate = apart(finite(x)), apart(beta)
    low = at_most(finite(x), 0.0)
    line = times(rate, size)
    tall, deep = apart(alpha_p), apart(alpha_n)
    steep = times(tall, size)
    value = plus(choose(right, times(steep, size), times(deep, _left(low, eps))), line)

    bent = x < eps
    e = exp_scaled(low)
    climb = choose(x < _FAR, plus(exactly(-1.0), e), plus(_bend(low), apart(low)))  # e^x − 1
    climb = choose(x <= eps, normal(climb), exactly(-1.0))
    slope = plus(choose(right, times_power(steep, 1.0), times(deep, climb)), rate)

    second = choose(bent, times(deep, e), exactly(0.0))
    second = choose(right, times_power(tall, 1.0), second)

    # At ±∞ the sign of what is largest decides.
    lean = difference(beta, alpha_n)
    end = (alpha_p if alpha_p != 0 else beta) if right else -lean.high
    value = choose(math.isinf(x) and end != 0, exactly(math.inf * end), value)
    level_end = choose(alpha_p != 0 and right, exactly(math.inf * alpha_p), choose(right, rate, lean))
    slope = choose(math.isinf(x), level_end, slope)
    second = choose(x == -math.inf, exactly(0.0), second)
    unknown = math.isnan(x)
    return (
        choose(unknown, exactly(x), value),
        choose(unknown, exactly(x), slope),
        choose(unknown, exactly(x), second),
    )


@Kernel
def _xielu_gradients(
    x: float,
    alpha_p: float,  # noqa: ARG001 - f is linear in both
    alpha_n: float,  # noqa: ARG001
    beta: float,  # noqa: ARG001
    eps: float,
) -> tuple[Scaled, Scaled]:
    """x² on the right, e^min(x, ε) − 1 − x on the left."""
    right = x > 0
    size = apart(finite(x))
    square = choose(right, times(size, size), exactly(0.0))
    bend = choose(right, exactly(0.0), _left(at_most(finite(x), 0.0), eps))
    square = choose(x == math.inf, exactly(x), square)
    bend = choose(x == -math.inf, exactly(-x), bend)
    unknown = math.isnan(x)
    return choose(unknown, exactly(x), square), choose(unknown, exactly(x), bend)


XIELU = Elementwise(
    name="xielu",
    title=Text("xIELU", "xIELU"),
    summary=Text(
        "A parabola α₊x² + βx on the right; α₋(eˣ − 1 − x) + βx on the left, where it falls to a minimum and "
        "rises again, so that negative units keep a gradient. α₊ and α₋ are learned, one pair a layer. Code "
        "in use keeps them above 0 and β by a softplus; its ε = −10⁻⁶ makes a step of that size at 0.",
        "오른쪽은 포물선 α₊x² + βx, 왼쪽은 α₋(eˣ − 1 − x) + βx입니다. 왼쪽에서 최저점을 지나 다시 올라가므로 "
        "음수 쪽 유닛에도 그래디언트가 남습니다. α₊와 α₋는 층마다 하나씩 학습합니다. 실제 코드는 "
        "소프트플러스로 이 둘을 각각 0과 β보다 크게 유지하며, ε = −10⁻⁶을 쓰기 때문에 0에 그만한 크기의 "
        "계단이 생깁니다.",
    ),
    parameters=(
        Parameter(
            name="alpha_p",
            symbol=r"\alpha_{+}",
            description=("curvature of the right side, halved", "오른쪽 곡률의 절반"),
            default=0.8,
            typical=(0.1, 2.0),
            gradient=Expression("x**2 if x > 0 else 0"),
            learnable=True,
        ),
        Parameter(
            name="alpha_n",
            symbol=r"\alpha_{-}",
            description=("curvature of the left side at 0", "0에서 왼쪽의 곡률"),
            default=0.8,
            typical=(0.1, 2.0),
            gradient=Expression("0 if x > 0 else expm1(min(x, eps)) - x"),
            learnable=True,
        ),
        Parameter(
            name="beta",
            symbol=r"\beta",
            description=("slope at 0", "0에서의 기울기"),
            default=0.5,
            typical=(0.0, 1.0),
        ),
        Parameter(
            name="eps",
            symbol=r"\varepsilon",
            description=("the exponential's largest argument", "지수 함수 인수의 상한"),
            domain=Interval("(-inf, 0]"),
            default=0.0,
            typical=(-0.1, 0.0),
        ),
    ),
    formulas=formulas(
        "alpha_p * x**2 + beta * x if x > 0 else alpha_n * (expm1(min(x, eps)) - x) + beta * x",
        "2 * alpha_p * x + beta if x > 0 else alpha_n * expm1(x) + beta if x <= eps else beta - alpha_n",
        "2 * alpha_p if x > 0 else alpha_n * exp(x) if x < eps else 0",
    ),
    kernel=_xielu,
    parameter_gradients=_xielu_gradients,
    range="[alpha_n * (-beta / alpha_n - log(1 - beta / alpha_n)) + beta * log(1 - beta / alpha_n), inf)",
    limits=("inf", "inf"),
    largest_slope="inf",
    zero_centred=False,
    monotone=False,
    smoothness=1,
    kinks=("eps", "0"),
    references=(
        Reference(
            authors="Huang, Schlag",
            title="Deriving Activation Functions Using Integration",
            year=2024,
            identifier="arXiv:2411.13010",
        ),
    ),
)

FAMILY = (XIELU,)
