"""Maps of a row to a row of scores or probabilities: softmax, its logarithm, its hard and its sparse limit.

Only differences of inputs matter, so everything starts from x_j − max x, kept with its rounding error.
Exponentials, their sum and the quotient are carried as pairs (a number and what rounding cut off it), scaled
by 2⁵¹² so that none of them is subnormal; each result is rounded when it is complete.

Values and Jacobians are within 2 ulp, and so is each element of a vector–Jacobian product, where the ulp is
that of the largest term of its sum: u_i ∂y_i/∂x_k.

Where a row holds +∞ once, or −∞ beside finite numbers, the results are the limits. Where it holds +∞ more
than once, or nothing but −∞, there is no limit (hardmax apart, which only compares): the row becomes NaN.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from app.core.activations.definition import Reference, Rowwise, Text, formulas
from app.core.arithmetic import Array
from app.core.arithmetic.accurate import two_product
from app.core.arithmetic.extended import exponential, reciprocal
from app.core.arithmetic.summation import double_sum, two_sum

_LIFT = 512
_LOWEST = -1533
"""Exponentials are kept down to 2⁻¹⁵³³, which times 2⁵¹² still is a normal number."""

_HUGE = 2.0**480
"""Upstream gradients beyond this are scaled down while they are multiplied by what is scaled up."""


def _below_maximum(x: Array) -> tuple[Array, Array]:
    """x − max x as a pair; NaN throughout a row that has no limit."""
    top = x.max(axis=-1, keepdims=True)
    high, low = two_sum(x, -top)
    low = np.where(np.isfinite(low), low, 0.0)  # differences that overflow, infinities
    if np.isfinite(top).all():
        return high, low
    at_top = x == top
    limitless = np.isinf(top) & (at_top.sum(axis=-1, keepdims=True) > 1)
    return np.where(limitless, np.nan, np.where(at_top, 0.0, high)), low


def _lifted_exp(z: Array, z_low: Array) -> tuple[Array, Array]:
    """2⁵¹²·e^(z + z_low) for z ≤ 0, as a pair that is right to 2⁻⁶²."""
    e = exponential(z, z_low)
    scale = np.ldexp(1.0, (e.exponent.clip(_LOWEST) + _LIFT).astype(np.int32))
    scale = np.where(e.exponent < _LOWEST, e.high * 0, scale)
    return e.high * scale, e.low * scale


def _weights(x: Array) -> tuple[Array, Array]:
    """2⁵¹²·softmax(x) as a pair."""
    return _shares(*_lifted_exp(*_below_maximum(x)))


def _shares(e: Array, e_low: Array) -> tuple[Array, Array]:
    """Each element of a pair's row divided by the row's sum, times 2⁵¹²."""
    total, total_low = double_sum(e, e_low)
    inverse, inverse_low = reciprocal(_drop(total)[..., None], _drop(total_low)[..., None])
    share, low = two_product(e, inverse)
    return share, low + (e * inverse_low + e_low * inverse)


def _drop(lifted: Array) -> Array:
    """2⁻⁵¹²·``lifted``."""
    return lifted * 2.0**-_LIFT


def _complements(s: Array, s_low: Array) -> tuple[Array, Array]:
    """1 − s as a pair, for s lifted; for the largest of a row the sum of the others, which cannot cancel."""
    rest, error = two_sum(np.ones_like(s), -_drop(s))
    low = error - _drop(s_low)
    first = s.argmax(axis=-1)[..., None]
    others, others_low = _sum_of_others(s, s_low, first)
    np.put_along_axis(rest, first, _drop(others)[..., None], axis=-1)
    np.put_along_axis(low, first, _drop(others_low)[..., None], axis=-1)
    return rest, low


def _sum_of_others(values: Array, low: Array, place: NDArray[np.intp]) -> tuple[Array, Array]:
    """The sum of each row of a pair without the element at ``place``."""
    values, low = values.copy(), low.copy()
    np.put_along_axis(values, place, 0.0, axis=-1)
    np.put_along_axis(low, place, 0.0, axis=-1)
    return double_sum(values, low)


def _product(a: Array, a_low: Array, b: Array, b_low: Array) -> Array:
    """The product of two pairs, right to one ulp."""
    return a * b + (a * b_low + a_low * b)


def _fill_diagonal(matrices: Array, values: Array) -> Array:
    index = np.arange(values.shape[-1])
    matrices[..., index, index] = values
    return matrices


def _softmax(x: Array) -> Array:
    s, low = _weights(x)
    return _drop(s + low)


def _softmax_jacobian(x: Array) -> Array:
    s, low = _weights(x)
    rows, columns = (s[..., :, None], low[..., :, None]), (s[..., None, :], low[..., None, :])
    jacobian = -np.ldexp(_product(*rows, *columns), -2 * _LIFT)
    return _fill_diagonal(jacobian, _drop(_product(s, low, *_complements(s, low))))


def _scaled_upstream(upstream: Array) -> tuple[Array, Array]:
    """``upstream`` small enough to be multiplied by lifted numbers, and what undoes lift and scale."""
    huge = np.abs(upstream).max(axis=-1, keepdims=True) > _HUGE
    return np.where(huge, _drop(upstream), upstream), np.where(huge, 1.0, 2.0**-_LIFT)


def _softmax_pullback(x: Array, upstream: Array) -> tuple[Array, Mapping[str, Array]]:
    s, s_low = _weights(x)
    u, undo = _scaled_upstream(upstream)
    # Where one weight is nearly 1, its own u cancels out of u − ⟨s, u⟩: it is taken off first, without error.
    first = s.argmax(axis=-1)[..., None]
    dominant = np.take_along_axis(s, first, axis=-1) > 2.0 ** (_LIFT - 1)
    u, u_low = two_sum(u, -np.where(dominant, np.take_along_axis(u, first, axis=-1), 0.0))
    product, error = two_product(s, u)
    mean, mean_low = (_drop(each)[..., None] for each in double_sum(product, error + (s * u_low + s_low * u)))
    rest, rest_low = two_sum(u, -mean)
    return _product(s, s_low, rest, rest_low + (u_low - mean_low)) * undo, {}


def _softmin(x: Array) -> Array:
    return _softmax(-x)


def _softmin_jacobian(x: Array) -> Array:
    return -_softmax_jacobian(-x)


def _softmin_pullback(x: Array, upstream: Array) -> tuple[Array, Mapping[str, Array]]:
    gradient, none = _softmax_pullback(-x, upstream)
    return -gradient, none


def _log_softmax(x: Array) -> Array:
    z, z_low = _below_maximum(x)
    first = x.argmax(axis=-1)[..., None]
    others, others_low = _sum_of_others(*_lifted_exp(z, z_low), first)
    rest = _drop(others)
    log = np.log1p(rest)[..., None]
    log_low = (_drop(others_low) / (1 + rest))[..., None]
    return (z - log) + (z_low - log_low)


def _log_softmax_jacobian(x: Array) -> Array:
    s, low = _weights(x)
    jacobian = np.repeat(-_drop(s + low)[..., None, :], x.shape[-1], axis=-2)
    rest, rest_low = _complements(s, low)
    return _fill_diagonal(jacobian, rest + rest_low)


def _log_softmax_pullback(x: Array, upstream: Array) -> tuple[Array, Mapping[str, Array]]:
    s, s_low = _weights(x)
    u, undo = _scaled_upstream(upstream)
    rest, rest_low = _complements(s, s_low)
    others, others_low = _sums_of_others(u, s.argmax(axis=-1)[..., None])
    own, own_low = two_product(u, rest)
    shared, shared_low = two_product(s, others)
    gradient, error = two_sum(np.ldexp(own, _LIFT), -shared)
    own_low = np.ldexp(own_low + u * rest_low, _LIFT)
    shared_low = shared_low + (s * others_low + s_low * others)
    return (gradient + (error + (own_low - shared_low))) * undo, {}


def _sums_of_others(values: Array, first: NDArray[np.intp]) -> tuple[Array, Array]:
    """Σ values − values as a pair; at ``first`` the sum of the others itself, which cannot cancel."""
    total, total_low = (each[..., None] for each in double_sum(values))
    others, error = two_sum(total, -values)
    low = error + total_low
    exactly, exactly_low = _sum_of_others(values, np.zeros_like(values), first)
    np.put_along_axis(others, first, exactly[..., None], axis=-1)
    np.put_along_axis(low, first, exactly_low[..., None], axis=-1)
    return others, low


def _hardmax(x: Array) -> Array:
    place = np.arange(x.shape[-1]) == x.argmax(axis=-1)[..., None]
    return np.where(np.isnan(x).any(axis=-1, keepdims=True), np.nan, place)


def _hardmax_jacobian(x: Array) -> Array:
    zeros = _hardmax(x) * 0
    return np.repeat(zeros[..., None, :], x.shape[-1], axis=-2)


def _hardmax_pullback(x: Array, upstream: Array) -> tuple[Array, Mapping[str, Array]]:
    unknown = np.isnan(x) | np.isnan(upstream)
    return np.where(unknown.any(axis=-1, keepdims=True), np.nan, np.zeros_like(x)), {}


def _support(x: Array) -> tuple[NDArray[np.bool_], Array, Array]:
    """Where sparsemax is positive, how often, and 1 + count·x_i − Σ_support x: count·sparsemax(x)_i there.

    Newton's method for Σ max(x_i − t, 0) = 1 from the left (Michelot 1986): t is what the support at hand
    gives, and what t reaches leaves it. A step divides the excess times the count by 4 or
    more, so a few tens are the worst case; the support it ends with is the right one, not an approximation.
    """
    z, z_low = _below_maximum(x)
    support = (z + 1) + z_low > 0
    while True:
        count = support.sum(axis=-1, keepdims=True).astype(np.float64)
        total, total_low = double_sum(np.where(support, z, 0.0), np.where(support, z_low, 0.0))
        slack, slack_low = two_sum(np.ones_like(count), -total[..., None])
        own, own_low = two_product(np.where(support, z, 0.0), count)
        excess, error = two_sum(own, slack)
        excess += error + (own_low + count * z_low + slack_low - total_low[..., None])
        remaining = support & (excess > 0)
        if (remaining == support).all():
            return support, np.where(np.isnan(z), np.nan, count), excess
        support = remaining


def _sparsemax(x: Array) -> Array:
    support, count, excess = _support(x)
    return np.where(support, excess, 0.0) / count


def _sparsemax_jacobian(x: Array) -> Array:
    support, count, _ = _support(x)
    inside = support[..., :, None] & support[..., None, :]
    jacobian = np.where(inside, (-1 / count)[..., None], count[..., None] * 0)
    return _fill_diagonal(jacobian, np.where(support, (count - 1) / count, count * 0))


def _sparsemax_pullback(x: Array, upstream: Array) -> tuple[Array, Mapping[str, Array]]:
    support, count, _ = _support(x)
    u, undo = _scaled_upstream(upstream)
    u = np.where(support, u, 0.0)
    total, total_low = (each[..., None] for each in double_sum(u))
    own, own_low = two_product(u, count)
    rest, error = two_sum(own, -total)
    rest += error + (own_low - total_low)
    return np.where(support, np.ldexp(rest, _LIFT), 0.0) / count * undo, {}


def _same(n: int) -> int:
    return n


_BRIDLE = Reference(
    authors="Bridle",
    title="Probabilistic Interpretation of Feedforward Classification Network Outputs, with Relationships to "
    "Statistical Pattern Recognition",
    year=1990,
    identifier="doi:10.1007/978-3-642-76153-9_28",
)

SOFTMAX = Rowwise(
    name="softmax",
    title=Text("Softmax", "소프트맥스"),
    summary=Text(
        "Turns a row of scores into probabilities: positive and adding up to 1. Adding a constant to all "
        "scores changes nothing. Once one probability is close to 1, all gradients vanish, which is why "
        "networks are trained through its logarithm.",
        "한 줄의 점수를 모두 양수이고 합이 1인 확률로 바꿉니다. 모든 점수에 같은 값을 더해도 결과는 "
        "같습니다. 확률 하나가 1에 가까워지면 그래디언트가 모두 사라지므로, 학습할 때는 로그를 취한 꼴을 "
        "씁니다.",
    ),
    formulas=formulas(
        "exp(x[i]) / sum(exp(x[j]) for j in n)",
        "s[i] * (1 - s[i]) if k == i else -s[i] * s[k]",
        **{"s[i]": "exp(x[i]) / sum(exp(x[j]) for j in n)"},
    ),
    width=_same,
    value=_softmax,
    jacobian=_softmax_jacobian,
    pullback=_softmax_pullback,
    range="(0, 1)",
    limits=("0", "1"),
    largest_slope="1/4",
    zero_centred=False,
    monotone=True,
    smoothness=np.inf,
    saturates=frozenset({"negative", "positive"}),
    references=(_BRIDLE,),
)

SOFTMIN = Rowwise(
    name="softmin",
    title=Text("Softmin", "소프트민"),
    summary=Text(
        "Softmax of the negated scores: the smallest score gets the largest probability. It turns distances "
        "or energies into probabilities, and saturates just as softmax does.",
        "점수의 부호를 뒤집어 소프트맥스를 적용합니다. 가장 작은 점수가 가장 큰 확률을 얻습니다. 거리나 "
        "에너지를 확률로 바꿀 때 쓰며, 소프트맥스와 똑같이 포화됩니다.",
    ),
    formulas=formulas(
        "exp(-x[i]) / sum(exp(-x[j]) for j in n)",
        "-s[i] * (1 - s[i]) if k == i else s[i] * s[k]",
        **{"s[i]": "exp(-x[i]) / sum(exp(-x[j]) for j in n)"},
    ),
    width=_same,
    value=_softmin,
    jacobian=_softmin_jacobian,
    pullback=_softmin_pullback,
    range="(0, 1)",
    limits=("1", "0"),
    largest_slope="1/4",
    zero_centred=False,
    monotone=False,
    smoothness=np.inf,
    saturates=frozenset({"negative", "positive"}),
    references=(_BRIDLE,),
)

LOG_SOFTMAX = Rowwise(
    name="log_softmax",
    title=Text("Log-softmax", "로그 소프트맥스"),
    summary=Text(
        "The logarithm of softmax: log-probabilities, as the cross-entropy loss wants them. Computed in one "
        "piece it neither underflows nor loses digits, and its gradient, the one-hot vector minus softmax, "
        "does not vanish for a class that is wrongly thought impossible.",
        "소프트맥스의 로그, 곧 로그 확률입니다. 교차 엔트로피 손실에 바로 쓰입니다. 한 번에 계산하므로 "
        "언더플로도 유효 숫자 손실도 없고, 그래디언트(원-핫 벡터 빼기 소프트맥스)는 정답을 거의 불가능하다고 "
        "잘못 본 경우에도 사라지지 않습니다.",
    ),
    formulas=formulas(
        "-log(sum(exp(x[j] - x[i]) for j in n))",
        "1 - s[k] if k == i else -s[k]",
        **{"s[i]": "exp(x[i]) / sum(exp(x[j]) for j in n)"},
    ),
    width=_same,
    value=_log_softmax,
    jacobian=_log_softmax_jacobian,
    pullback=_log_softmax_pullback,
    range="(-inf, 0)",
    limits=("-inf", "0"),
    largest_slope="1",
    zero_centred=False,
    monotone=True,
    smoothness=np.inf,
    saturates=frozenset({"positive"}),
    references=(_BRIDLE,),
)

HARDMAX = Rowwise(
    name="hardmax",
    title=Text("Hardmax", "하드맥스"),
    summary=Text(
        "1 for the largest score and 0 for the others: a decision, the limit of softmax for large scores. "
        "Where several scores are largest, the first one wins. Its derivative is 0, so nothing before it "
        "learns.",
        "가장 큰 점수에 1, 나머지에 0을 주는 결정 함수로, 점수를 한없이 키운 소프트맥스의 극한입니다. 가장 "
        "큰 점수가 여럿이면 맨 앞의 것이 이깁니다. 도함수가 0이라 그 앞의 층은 학습되지 않습니다.",
    ),
    formulas=formulas(
        "1 if i == w else 0",
        "0",
        w="min(j for j in n if x[j] == max(x[l] for l in n))",
    ),
    width=_same,
    value=_hardmax,
    jacobian=_hardmax_jacobian,
    pullback=_hardmax_pullback,
    range="[0, 1]",
    limits=("0", "1"),
    largest_slope="0",
    zero_centred=False,
    monotone=True,
    smoothness=-1,
    saturates=frozenset({"negative", "positive"}),
    references=(
        Reference(authors="ONNX contributors", title="Open Neural Network Exchange: Hardmax", year=2017),
    ),
)

SPARSEMAX = Rowwise(
    name="sparsemax",
    title=Text("Sparsemax", "스파스맥스"),
    summary=Text(
        "The probability vector nearest to the scores: like softmax, but scores far below the largest get "
        "exactly 0. Its gradient spreads evenly over the support and is 0 outside, so a score that has "
        "dropped out receives no signal. At the border, where a score equals the threshold t, it is outside.",
        "점수에 가장 가까운 확률 벡터입니다. 소프트맥스와 비슷하지만 가장 큰 점수보다 한참 낮은 점수는 "
        "정확히 0이 됩니다. 그래디언트는 0이 아닌 성분에만 고르게 퍼지므로, 한번 0이 된 성분은 신호를 받지 "
        "못합니다. x가 문턱값 t와 같은 경계에서는 0인 쪽으로 봅니다.",
    ),
    formulas=formulas(
        "max(x[i] - t, 0)",
        "0 if min(x[i], x[k]) <= t else 1 - 1 / c if k == i else -(1 / c)",
        t="max((sum(x[l] for l in n if x[l] >= x[j]) - 1) / sum(1 for l in n if x[l] >= x[j]) for j in n)",
        c="sum(1 for j in n if x[j] > t)",
    ),
    width=_same,
    value=_sparsemax,
    jacobian=_sparsemax_jacobian,
    pullback=_sparsemax_pullback,
    range="[0, 1]",
    limits=("0", "1"),
    largest_slope="1",
    zero_centred=False,
    monotone=True,
    smoothness=0,
    saturates=frozenset({"negative", "positive"}),
    references=(
        Reference(
            authors="Martins, Astudillo",
            title="From Softmax to Sparsemax: A Sparse Model of Attention and Multi-Label Classification",
            year=2016,
            identifier="arXiv:1602.02068",
        ),
    ),
)

FAMILY = (SOFTMAX, SOFTMIN, LOG_SOFTMAX, HARDMAX, SPARSEMAX)
