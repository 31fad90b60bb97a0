"""Periodic functions, and the bell."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.core.activations.definition import Derivatives, Elementwise, Reference, Text, Wave, formulas
from app.core.activations.formula import Expression
from app.core.activations.parameters import POSITIVE, Parameter
from app.core.arithmetic import Array, Value
from app.core.arithmetic.accurate import finite, rescaled_tail, two_product, two_quotient
from app.core.arithmetic.summation import two_sum

_HALF_PI = (1.5707963267341256, 6.077100506303966e-11, 2.0222662487111665e-21, 8.4784276603689e-32)
"""π/2 in parts of 33, 33, 33 and 53 bits: multiples of the first three up to 2²⁰ are exact."""

_LARGE = 2.0**20
_BITS = 2500
"""Bits below the binary point for reducing larger ωx: up to 2²⁰⁴⁸, with a last bit of at least 2⁻²¹⁴⁸."""


class _Angle(NamedTuple):
    """θ = quarters·π/2 + r with |r| ≤ π/4: sin r and 1 − cos r, each as an unevaluated sum of two."""

    quarters: NDArray[np.int64]
    sine: Array
    sine_low: Array
    versine: Array
    versine_low: Array


def _angle(omega: Value, x: Array) -> _Angle:
    """θ = ωx, the exact product: all digits of sin θ, cos θ and 1 ± sin θ are right, near their zeros too."""
    quarters, r, low = _reduce(omega, x)
    z = r * r
    sine_low = low - low * z / 2 + r * z * _horner(_SINE, z)
    return _Angle(quarters, r, sine_low, z / 2, r * low + z * z * _horner(_COSINE, z))


_SINE = tuple((-1) ** k / math.factorial(2 * k + 1) for k in range(1, 10))
_COSINE = tuple(-((-1) ** k) / math.factorial(2 * k) for k in range(2, 11))
"""Taylor coefficients of sin r from r³ and of 1 − cos r from r⁴ on; the next ones are below 2⁻⁵⁷."""


def _horner(coefficients: tuple[float, ...], z: Array) -> Array:
    total = np.full_like(z, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        total *= z
        total += coefficient
    return total


def _reduce(omega: Value, x: Array) -> tuple[NDArray[np.int64], Array, Array]:
    """quarters, r and low with ωx = quarters·π/2 + r + low, the first modulo 4 (Cody and Waite 1980)."""
    p, e = two_product(omega, x)
    k = np.rint(p * (2 / math.pi))
    first, second, third, fourth = _HALF_PI
    r, low = two_sum(p - k * first, -k * second)
    r, error = two_sum(r, e)
    low += error
    r, error = two_sum(r, -k * third)
    low += error - k * fourth
    quarters = k.astype(np.int64) & 3
    large = np.asarray((np.abs(p) > _LARGE) & np.isfinite(x) & np.isfinite(omega))
    return _reduce_exactly(omega, x, large, (quarters, r, low)) if large.any() else (quarters, r, low)


def _reduce_exactly(
    omega: Value, x: Array, lanes: NDArray[np.bool_], rough: tuple[NDArray[np.int64], Array, Array]
) -> tuple[NDArray[np.int64], Array, Array]:
    """``rough`` with the ``lanes`` reduced one by one, in integers."""
    quarters, r, low = np.array(rough[0]), np.array(rough[1]), np.array(rough[2])
    frequencies = np.broadcast_to(omega, lanes.shape)[lanes].tolist()
    points = np.asarray(x)[lanes].tolist()
    quarters[lanes], r[lanes], low[lanes] = np.transpose([*map(_reduced, frequencies, points)])
    return quarters, r, low


def _reduced(omega: float, x: float) -> tuple[int, float, float]:
    (a, b), (c, d) = omega.as_integer_ratio(), x.as_integer_ratio()
    quarters, rest = divmod((a * c << _BITS) // (b * d), _half_pi())
    if 2 * rest > _half_pi():
        quarters, rest = quarters + 1, rest - _half_pi()
    r = rest / (1 << _BITS)
    over, under = r.as_integer_ratio()
    return quarters % 4, r, (rest * under - (over << _BITS)) / (under << _BITS)


@cache
def _half_pi() -> int:
    """π/2·2^_BITS, by Machin's π/4 = 4 arctan(1/5) − arctan(1/239)."""
    return (8 * _arctan_of_inverse(5) - 2 * _arctan_of_inverse(239)) >> 64


def _arctan_of_inverse(n: int) -> int:
    """arctan(1/n)·2^(_BITS + 64): 1/n − 1/(3n³) + 1/(5n⁵) and so on."""
    power = (1 << (_BITS + 64)) // n
    total, k = 0, 1
    while power:
        total += power // k if k % 4 == 1 else -(power // k)
        power //= n * n
        k += 2
    return total


def _sine_of(angle: _Angle, turn: int = 0) -> tuple[Array, Array]:
    """sin(θ + turn·π/2) as an unevaluated sum."""
    quarters = angle.quarters + turn
    odd, sign = quarters & 1 == 1, (1 - (quarters & 2)).astype(angle.sine.dtype)
    cosine = 1 - angle.versine
    low = ((1 - cosine) - angle.versine) - angle.versine_low
    return sign * np.where(odd, cosine, angle.sine), sign * np.where(odd, low, angle.sine_low)


def _versine_of(angle: _Angle, turn: int = 0) -> tuple[Array, Array]:
    """1 − cos(θ + turn·π/2) as an unevaluated sum."""
    quarters = angle.quarters + turn
    odd, sign = quarters & 1 == 1, (1 - (quarters & 2)).astype(angle.sine.dtype)
    base = np.where(odd, 1, quarters & 2).astype(angle.sine.dtype)
    term = sign * np.where(odd, angle.sine, angle.versine)
    total = base + term
    return total, (term - (total - base)) + sign * np.where(odd, angle.sine_low, angle.versine_low)


def _still(omega: Value, x: Array) -> Array:
    """x, with 0 for ±∞ where ω = 0: there ωx is 0 out to infinity."""
    if np.all(omega):
        return x
    return np.where(np.isinf(x) & (np.asarray(omega) == 0), np.zeros_like(x), x)


def _sine(x: Array, omega: Value) -> Derivatives:
    x = _still(omega, x)
    p = omega * x
    tiny = np.abs(p) < 1e-290  # the rounding error of ωx may be lost there, and sin ωx is ωx
    angle = _angle(omega, x)
    high, low = _sine_of(angle)
    yield np.where(tiny, p, high + low)
    cosine, cosine_low = _sine_of(angle, 1)
    product, rest = two_product(omega, cosine)
    yield product + (rest + omega * cosine_low)
    yield np.where(tiny, -(omega * omega * omega) * x, -omega * (omega * (high + low)))


def _sine_gradients(x: Array, omega: Value) -> Mapping[str, Array]:
    high, low = _sine_of(_angle(omega, _still(omega, x)), 1)
    product, rest = two_product(high, x)
    return {"omega": product + finite(rest + x * low)}


def _snake(x: Array, alpha: Value) -> Derivatives:
    angle = _angle(2 * alpha, x)
    bend, low = _snake_bend(angle, alpha)
    yield np.where((bend == 0) | np.isinf(x), x, (x + bend) + low)
    # 1 + sin θ is the versine of θ + π/2, which keeps its digits where it touches zero.
    slope, low = _versine_of(angle, 1)
    yield slope + low
    high, low = _sine_of(angle, 1)
    yield 2 * alpha * (high + low)


def _snake_bend(angle: _Angle, alpha: Value) -> tuple[Array, Array]:
    """sin²(αx)/α = (1 − cos 2αx)/(2α) as an unevaluated sum."""
    versine, low = _versine_of(angle)
    q, rest = two_quotient(versine, 2 * alpha)
    return q, rest + low / (2 * alpha)


def _snake_gradients(x: Array, alpha: Value) -> Mapping[str, Array]:
    """∂f/∂α = (x·sin 2αx − sin²(αx)/α)/α."""
    angle = _angle(2 * alpha, x)
    bend, low = _snake_bend(angle, alpha)
    sine, sine_low = _sine_of(angle)
    product, rest = two_product(sine, x)
    gradient = ((product - bend) + (rest + x * sine_low - low)) / alpha
    # x² is the limit at zero, without α·x² on the way, which may be subnormal.
    return {"alpha": np.where(np.abs(alpha * x) < 1e-9, x * x, gradient)}


def _gaussian(x: Array) -> Derivatives:
    square, low = two_product(x, x)
    e = np.exp(-square)
    yield e - e * low  # the rounding of x² is an error of x²·2⁻⁵³ in e^−x²
    product, rest = two_product(-2 * x, e)
    yield rescaled_tail(product + (rest - product * low), -2 * x, -square, -low)
    factor = (4 * square - 2) + 4 * low
    product = factor * e
    yield rescaled_tail(product - product * low, factor, -square, -low)


SINE = Elementwise(
    name="sine",
    title=Text("Sine (SIREN)", "사인 (SIREN)"),
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
    derivatives=_sine,
    wave=Wave("omega", sine="1"),
    parameter_gradients=_sine_gradients,
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
        "range of the training data, where ReLU and tanh networks go straight or flat. Larger α means a "
        "higher frequency; the slope swings between 0 and 2 for ever.",
        "항등 함수에 주기 성분을 더한 함수입니다. 감소하는 구간이 없으면서도 훈련 데이터 범위 밖까지 주기를 "
        "이어 갈 수 있습니다. ReLU나 tanh 신경망은 그곳에서 직선이 되거나 평평해집니다. α가 클수록 진동수가 "
        "높고, 기울기는 0과 2 사이를 끝없이 오갑니다.",
    ),
    parameters=(
        Parameter(
            name="alpha",
            symbol=r"\alpha",
            description=("frequency of the periodic part", "주기 성분의 진동수"),
            domain=POSITIVE,
            default=1.0,
            typical=(0.1, 50.0),
            learnable=True,
            gradient=Expression("x * sin(2 * alpha * x) / alpha - sin(alpha * x)**2 / alpha**2"),
        ),
    ),
    formulas=formulas(
        "x + sin(alpha * x)**2 / alpha", "1 + sin(2 * alpha * x)", "2 * alpha * cos(2 * alpha * x)"
    ),
    derivatives=_snake,
    wave=Wave("2 * alpha", slope="1", versine="1 / (2 * alpha)"),
    parameter_gradients=_snake_gradients,
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
        "A bell, e^−x² with neither centre nor width of its own: the weights set both. A unit answers only "
        "near its centre, which suits radial basis networks and networks of coordinates. Away from it the "
        "gradient vanishes faster than that of any sigmoid.",
        "종 모양의 함수 e^−x²입니다. 중심과 너비는 따로 두지 않고 가중치가 정합니다. 중심 근처에서만 "
        "반응하므로 방사 기저 신경망이나 좌표를 입력으로 받는 신경망에 알맞습니다. 중심에서 멀어지면 "
        "그래디언트가 시그모이드류보다도 훨씬 빨리 사라집니다.",
    ),
    formulas=formulas("exp(-x**2)", "-2 * x * exp(-x**2)", "(4 * x**2 - 2) * exp(-x**2)"),
    derivatives=_gaussian,
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
