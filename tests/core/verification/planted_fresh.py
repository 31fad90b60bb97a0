"""Kernels as people write them, drawn from bug reports and sources of public kernels; unknown to the judge.

The ``FOURTH`` set, and the right kernels with it, was written before the judge was tried on it; the ``FIFTH``
before too, when what the fourth had shown was mended, and the ``SIXTH`` when what the fifth had shown was.
docs/kernels.md says how many were named at first sight.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from tests.core.verification.planted import BF16, F16, F32, Kernel, Numbers, gelu, sigmoid, silu, softplus
from tests.core.verification.planted_examiner import E4M3, E5M2
from tests.core.verification.planted_public import (
    Specimen,
    added,
    cast,
    double,
    drawn,
    every,
    exact,
    fault,
    halves,
    inside,
    keeping_nan,
    line,
    number,
    quick,
    right,
    shares,
    swiglu_with,
    tanh_by_exponentials,
    tanh_gelu,
)

ROOT = np.sqrt(2 / np.pi)


# tanh and exp as devices have them


def tanh_by_four(x: Numbers) -> Numbers:
    """(e^x − e^−x)/(e^x + e^−x), as some drivers have it."""
    up, down = np.exp(x), np.exp(-x)
    found: Numbers = (up - down) / (up + down)
    return found


def gelu_of(tanh: Kernel) -> Kernel:
    def kernel(x: Numbers) -> Numbers:
        x = cast(x, F32)
        found: Numbers = F32(0.5) * x * (F32(1) + tanh(F32(ROOT) * (x + F32(0.044715) * x * x * x)))
        return found

    return kernel


ABOVE = (
    -2.76076847742355e-16,
    2.00018790482477e-13,
    -8.60467152213735e-11,
    5.12229709037114e-08,
    1.48572235717979e-05,
    6.37261928875436e-04,
    4.89352455891786e-03,
)
BELOW = (1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03)


def tanh_by_quotient(x: Numbers) -> Numbers:
    """The quotient of polynomials that Eigen made for float32, in the format of its inputs."""
    kind = x.dtype.type
    held = np.clip(x, kind(-9), kind(9))
    square = held * held
    top, bottom = kind(ABOVE[0]), kind(BELOW[0])
    for each in ABOVE[1:]:
        top = top * square + kind(each)
    for each in BELOW[1:]:
        bottom = bottom * square + kind(each)
    found: Numbers = held * top / bottom
    return found


def reduced_exp(x: Numbers, terms: tuple[float, ...]) -> Numbers:
    """2^n times a polynomial of the rest, in float32."""
    x = np.clip(cast(x, F32), F32(-87), F32(88))
    whole = np.rint(x * F32(1.44269504))
    rest = x - whole * F32(0.693147181)
    found = np.full_like(rest, F32(terms[0]))
    for each in terms[1:]:
        found = found * rest + F32(each)
    answer: Numbers = np.ldexp(found, cast(np.nan_to_num(whole), np.int32))
    return answer


def sigmoid_of_cubic(x: Numbers) -> Numbers:
    return F32(1) / (F32(1) + reduced_exp(-x, (1 / 6, 0.5, 1, 1)))


def silu_of_reduced(x: Numbers) -> Numbers:
    """exp with ln 2 in one part: the rest is off by as many roundings as there are halvings."""
    return x / (F32(1) + reduced_exp(-x, (1 / 5040, 1 / 720, 1 / 120, 1 / 24, 1 / 6, 0.5, 1, 1)))


def estimated_root(x: Numbers) -> Numbers:
    """1/√x by a table of 8 bits and one step of Newton's."""
    first = cast(cast(1 / np.sqrt(double(x)), BF16), F32)
    found: Numbers = first * (F32(1.5) - F32(0.5) * x * first * first)
    return found


def isru_by_estimate(x: Numbers) -> Numbers:
    found: Numbers = x * estimated_root(F32(1) + x * x)
    return found


def in_lines(x: Numbers) -> Numbers:
    """The sigmoid in four lines on each side (PLAN)."""
    size = np.abs(x)
    up = np.select(
        [size >= 5, size >= 2.375, size >= 1],
        [1.0, 0.03125 * size + 0.84375, 0.125 * size + 0.625],
        0.25 * size + 0.5,
    )
    return np.where(x < 0, 1 - up, up)


def fast_arctan(x: Numbers) -> Numbers:
    """x(π/4 + 0.273(1 − |x|)) below 1, the rest of a quarter turn above."""
    small = np.where(np.abs(x) <= 1, x, 1 / np.where(x == 0, 1, x))
    near = small * (np.pi / 4 + 0.273 * (1 - np.abs(small)))
    return np.where(np.abs(x) <= 1, near, np.copysign(np.pi / 2, x) - near)


# Steps in a format


def squareplus_half(x: Numbers) -> Numbers:
    found: Numbers = F16(0.5) * (x + np.sqrt(x * x + F16(4)))
    return found


def softplus_by_log(x: Numbers) -> Numbers:
    found: Numbers = np.maximum(x, x.dtype.type(0)) + np.log(x.dtype.type(1) + np.exp(-np.abs(x)))
    return found


def log_sigmoid_half(x: Numbers) -> Numbers:
    found: Numbers = np.minimum(x, F16(0)) - np.log(F16(1) + np.exp(-np.abs(x)))
    return found


def logcosh_by_softplus(x: Numbers) -> Numbers:
    size = np.abs(cast(x, F32))
    found: Numbers = size + np.log1p(np.exp(F32(-2) * size)) - F32(np.log(2))
    return found


def mish_by_products(x: Numbers) -> Numbers:
    e = np.exp(x)
    n = e * (e + F32(2))
    found: Numbers = x * n / (n + F32(2))
    return found


def tanh_in_eight_bits(x: Numbers) -> Numbers:
    up = np.exp(cast(cast(2, E4M3) * x, E4M3))
    found: Numbers = (up - cast(1, E4M3)) / (up + cast(1, E4M3))
    return found


def sigmoid_in_eight_bits(x: Numbers) -> Numbers:
    half = cast(0.5, E5M2)
    found: Numbers = half * np.tanh(half * x) + half
    return found


def silu_slope_half(x: Numbers) -> Numbers:
    x = cast(x, F16)
    s = F16(1) / (F16(1) + np.exp(-x))
    found: Numbers = s + x * s * (F16(1) - s)
    return found


def summed_in_bfloat16(x: Numbers) -> Numbers:
    up = np.exp(cast(x, F32) - cast(x, F32).max(-1, keepdims=True))
    return cast(up, F32) / cast(added(up, BF16), F32)


# Slopes that are wrong


def mish_slope(x: Numbers) -> Numbers:
    """sech² of x, where it should be of softplus(x)."""
    found: Numbers = np.tanh(softplus(x)) + x * sigmoid(x) / np.cosh(np.clip(x, -300, 300)) ** 2
    return found


def selu_slope(x: Numbers) -> Numbers:
    """λ(f + α) of what is λ times the exponential already."""
    scale, alpha = 1.0507009873554805, 1.6732632423543772
    value = scale * alpha * np.expm1(np.minimum(x, 0))
    return np.where(x > 0, scale, scale * (value + alpha))


def phi(x: Numbers) -> Numbers:
    found: Numbers = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
    return found


def silu_slope_of_other_sign(x: Numbers) -> Numbers:
    s = sigmoid(x)
    found: Numbers = s * (1 - x * (1 - s))
    return found


def slope_of_slope(function: Kernel, slope: Kernel) -> Kernel:
    """The slope at the answer: what takes the answer is called with it, and works it out again."""
    return lambda x: slope(function(x))


def sigmoid_slope(x: Numbers) -> Numbers:
    return sigmoid(x) * sigmoid(-x)


def tanh_slope(x: Numbers) -> Numbers:
    found: Numbers = 1 / np.cosh(np.clip(x, -300, 300)) ** 2
    return found


# Rows


def padded(x: Numbers, count: int = 16) -> Numbers:
    """The last block's padding is 0, not −∞."""
    top = np.maximum(x.max(-1, keepdims=True), 0)
    up = np.exp(x - top)
    found: Numbers = up / (up.sum(-1, keepdims=True) + count * np.exp(-top))
    return found


def plus_jacobian(x: Numbers) -> Numbers:
    share = shares(x)
    found: Numbers = share[..., None] * np.eye(x.shape[-1]) + share[..., None] * share[..., None, :]
    return found


def log_softmax_without_log(x: Numbers) -> Numbers:
    apart = x - x.max(-1, keepdims=True)
    found: Numbers = apart - np.exp(apart).sum(-1, keepdims=True)
    return found


def oai_held_twice(x: Numbers) -> Numbers:
    """The gate held at −7 too."""
    gate, value = np.clip(x[..., 0::2], -7, 7), np.clip(x[..., 1::2], -7, 7)
    found: Numbers = gate * sigmoid(1.702 * gate) * (value + 1)
    return found


FOURTH: tuple[Specimen, ...] = (
    fault(
        "tanh by four exponentials",
        "gelu_tanh",
        F32,
        line(-40, 40),
        "overflow cancellation",
        gelu_of(tanh_by_four),
    ),
    fault(
        "tanh by two exponentials",
        "gelu_tanh",
        F16,
        every(F16),
        "overflow cancellation",
        gelu_of(tanh_by_exponentials),
    ),
    fault(
        "inputs held at 5.5",
        "gelu_tanh",
        F32,
        line(-12, 12),
        "clamp threshold",
        exact(lambda x: tanh_gelu(np.clip(x, -5.5, 5.5))),
    ),
    fault(
        "float32's quotient in float16",
        "tanh",
        F16,
        every(F16),
        "low_precision approximation",
        tanh_by_quotient,
    ),
    fault(
        "slope of the input",
        "elu",
        F32,
        drawn(60),
        "other_variant",
        None,
        exact(lambda x: np.where(x > 0, 1, x + 1)),
    ),
    fault("scaled twice", "selu", F32, drawn(61), "other_variant wrong_parameter", None, exact(selu_slope)),
    fault("sign inside", "silu", F32, drawn(62), "other_variant", None, exact(silu_slope_of_other_sign)),
    fault("sech of x", "mish", BF16, every(BF16), "other_variant", None, exact(mish_slope)),
    fault(
        "slope at the answer",
        "tanh",
        F32,
        drawn(63),
        "other_variant",
        None,
        exact(slope_of_slope(np.tanh, tanh_slope)),
    ),
    fault(
        "slope at the answer",
        "sigmoid",
        F16,
        every(F16),
        "other_variant",
        None,
        exact(slope_of_slope(sigmoid, sigmoid_slope)),
    ),
    fault(
        "sum in bfloat16",
        "softmax",
        BF16,
        drawn(64, 4, 2048, scale=1.0, dtype=BF16),
        "low_precision",
        summed_in_bfloat16,
    ),
    fault(
        "no maximum",
        "softmin",
        F32,
        drawn(65, 64, 32, scale=40.0),
        "overflow",
        lambda x: np.exp(-x) / np.exp(-x).sum(-1, keepdims=True),
    ),
    fault("root estimated", "isru", F32, drawn(66), "low_precision approximation", isru_by_estimate),
    fault("exp by a cubic", "sigmoid", F32, drawn(67), "approximation low_precision", sigmoid_of_cubic),
    fault("ln 2 in one part", "silu", F32, line(-80, 20), "low_precision approximation", silu_of_reduced),
    fault(
        "four lines",
        "tanh",
        F16,
        every(F16),
        "table approximation",
        exact(lambda x: keeping_nan(x, 2 * in_lines(2 * number(x)) - 1)),
    ),
    fault("no sign", "gelu", F32, drawn(68), "other_variant", exact(lambda x: x * special.ndtr(np.abs(x)))),
    fault(
        "1.702 in bfloat16",
        "quick_gelu",
        BF16,
        every(BF16),
        "rounded_constant wrong_parameter",
        quick(1.703125),
    ),
    fault(
        "sign of the slope",
        "leaky_relu",
        BF16,
        every(BF16),
        "wrong_parameter other_variant",
        exact(lambda x: np.where(x > 0, x, -0.01 * x)),
    ),
    fault(
        "0.1667",
        "hard_sigmoid",
        F32,
        line(-5, 5),
        "rounded_constant",
        exact(lambda x: np.clip(x + 3, 0, 6) * 0.1667),
    ),
    fault(
        "product first",
        "hard_swish",
        F16,
        every(F16),
        "overflow",
        lambda x: x * np.minimum(np.maximum(x + F16(3), F16(0)), F16(6)) / F16(6),
    ),
    fault("log of 1 + exp", "softplus", F32, line(-80, 20), "cancellation", softplus_by_log),
    fault("log of 1 + exp", "log_sigmoid", F16, every(F16), "cancellation low_precision", log_sigmoid_half),
    fault("by softplus", "logcosh", BF16, every(BF16), "cancellation", logcosh_by_softplus),
    fault(
        "reciprocal in float16",
        "softsign",
        F32,
        drawn(69),
        "low_precision",
        exact(lambda x: x * double(cast(1 / (1 + np.abs(x)), F16))),
    ),
    fault(
        "times alpha inside",
        "celu",
        F32,
        drawn(70),
        "wrong_parameter other_variant",
        exact(lambda x: np.where(x > 0, x, 2 * np.expm1(2 * np.minimum(x, 0)))),
        params={"alpha": 2.0},
    ),
    fault(
        "argument in bfloat16",
        "sine",
        F32,
        drawn(71, scale=1.0),
        "low_precision",
        exact(lambda x: np.sin(double(cast(30 * x, BF16)))),
        params={"omega": 30.0},
    ),
    fault(
        "all in float16",
        "squareplus",
        F16,
        every(F16),
        "overflow cancellation low_precision",
        squareplus_half,
    ),
    fault("fast", "arctan", BF16, every(BF16), "approximation table", exact(fast_arctan)),
    fault(
        "gate held twice",
        "swiglu_oai",
        F32,
        drawn(72, 64, 64, scale=6.0),
        "clamp threshold other_variant wrong_parameter",
        exact(oai_held_twice),
    ),
    fault(
        "at 6",
        "reglu",
        BF16,
        drawn(73, 64, 64, scale=6.0, dtype=BF16),
        "other_variant clamp",
        exact(swiglu_with(lambda x: np.clip(x, 0, 6))),
    ),
    fault(
        "quick",
        "swiglu",
        BF16,
        drawn(74, 64, 64, dtype=BF16),
        "other_variant wrong_parameter",
        exact(swiglu_with(quick(1.702))),
    ),
    fault(
        "to base 2",
        "softmax",
        F32,
        drawn(75, 64, 64),
        "wrong_parameter rounded_constant",
        exact(lambda x: shares(x * np.log(2))),
    ),
    fault(
        "sign beside the diagonal",
        "softmax",
        F32,
        drawn(76, 16, 8),
        "other_variant",
        exact(shares),
        exact(plus_jacobian),
    ),
    fault(
        "sum without log",
        "log_softmax",
        F32,
        drawn(77, 64, 32),
        "other_variant normalisation",
        exact(log_softmax_without_log),
    ),
    fault("padding of 0", "softmax", F32, drawn(78, 64, 48), "normalisation", exact(padded)),
    fault(
        "not below 0",
        "relu6",
        E4M3,
        every(E4M3),
        "other_variant threshold wrong_parameter",
        exact(lambda x: np.minimum(x, 6)),
    ),
    fault(
        "in eight bits", "tanh", E4M3, every(E4M3), "low_precision cancellation overflow", tanh_in_eight_bits
    ),
    fault("in eight bits", "sigmoid", E5M2, every(E5M2), "low_precision cancellation", sigmoid_in_eight_bits),
    fault(
        "1 for 2",
        "gelu",
        F32,
        drawn(79),
        "other_variant wrong_parameter",
        None,
        None,
        exact(lambda x: phi(x) * (1 - x**2)),
    ),
)


def softmax_online(x: Numbers, width: int = 16) -> Numbers:
    """Block after block, what was summed rescaled to the new maximum; in float32."""
    x = cast(x, F32)
    top = np.full((*x.shape[:-1], 1), -np.inf, F32)
    total = np.zeros_like(top)
    for start in range(0, x.shape[-1], width):
        block = x[..., start : start + width]
        new = np.maximum(top, block.max(-1, keepdims=True))
        total = total * np.exp(top - new) + np.exp(block - new).sum(-1, keepdims=True)
        top = new
    found: Numbers = np.exp(x - top) / total
    return found


def tanh_by_expm1(x: Numbers) -> Numbers:
    e = np.expm1(F32(-2) * np.abs(x))
    return np.copysign(-e / (F32(2) + e), x)


def silu_by_sides(x: Numbers) -> Numbers:
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, x, x * e) / (F32(1) + e)


def mish_guarded(x: Numbers) -> Numbers:
    e = np.exp(np.minimum(x, F32(20)))
    n = e * (e + F32(2))
    return np.where(x > 20, x, x * (n / (n + F32(2))))


def gelu_slope(x: Numbers) -> Numbers:
    found: Numbers = special.ndtr(x) + x * phi(x)
    return found


FRESH_RIGHT: tuple[Specimen, ...] = (
    right("by expm1", "tanh", F32, drawn(80), tanh_by_expm1),
    right("on both sides", "silu", F32, line(-80, 80), silu_by_sides),
    right("in blocks", "softmax", F16, drawn(81, 64, 64, dtype=F16), softmax_online),
    right("in blocks", "softmax", F32, drawn(82, 64, 64), softmax_online),
    right("guarded", "mish", F32, drawn(83), mish_guarded),
    right(
        "linear from 20",
        "softplus",
        BF16,
        every(BF16),
        inside(lambda x: np.where(x > 20, x, np.log1p(np.exp(np.minimum(x, F32(20)))))),
    ),
    right(
        "in float32",
        "elu",
        F32,
        drawn(84),
        lambda x: np.where(x > 0, x, F32(0.7) * np.expm1(np.minimum(x, 0))),
        alpha=0.7,
    ),
    right(
        "times a sixth", "hard_swish", F32, line(-5, 5), lambda x: x * np.clip(x + F32(3), 0, 6) * F32(1 / 6)
    ),
    right(
        "with slopes",
        "gelu",
        BF16,
        every(BF16),
        exact(gelu),
        exact(lambda x: gelu_slope(np.clip(x, -40, 40))),
    ),
    right(
        "in float32",
        "quick_gelu",
        F16,
        every(F16),
        inside(lambda x: np.where(np.isneginf(x), F32(-0.0), x * special.expit(F32(1.702) * x))),
    ),
    right("in float16", "softplus", E4M3, every(E4M3), lambda x: np.logaddexp(F16(0), cast(x, F16))),
    right("in float32", "swiglu", F16, drawn(85, 64, 64, dtype=F16), inside(swiglu_with(silu))),
)


# The fifth set


def erf_of_buermann(x: Numbers) -> Numbers:
    """Two terms of Bürmann's series."""
    e = np.exp(-x * x)
    root = np.sqrt(np.pi)
    found: Numbers = np.sign(x) * 2 / root * np.sqrt(1 - e) * (root / 2 + 31 / 200 * e - 341 / 8000 * e * e)
    return found


def erf_with_slip(x: Numbers) -> Numbers:
    """Abramowitz and Stegun 7.1.26, two digits of one constant swapped."""
    t = 1 / (1 + 0.3275911 * np.abs(x))
    terms = (1.061405429, -1.453152027, 1.421431741, -0.284496736, 0.254829592)
    found: Numbers = np.sign(x) * (1 - t * np.polyval(terms, t) * np.exp(-x * x))
    return found


def tanh_by_lambert(x: Numbers) -> Numbers:
    square = x * x
    found: Numbers = np.clip(
        x * (10 + square) * (60 + square) / (600 + square * (270 + square * (11 + square / 24))), -1, 1
    )
    return found


def log1p_by_series(u: Numbers) -> Numbers:
    found: Numbers = u - u**2 / 2 + u**3 / 3 - u**4 / 4
    return found


def silu_slope(x: Numbers) -> Numbers:
    s = sigmoid(x)
    found: Numbers = s * (1 + x * (1 - s))
    return found


def selu_without_scale_below(x: Numbers) -> Numbers:
    return np.where(x > 0, 1.0507009873554805 * x, 1.6732632423543772 * np.expm1(np.minimum(x, 0)))


def hard_sigmoid_in_eight_bits(x: Numbers) -> Numbers:
    shifted = cast(x + cast(3, E4M3), E4M3)
    held = np.clip(double(shifted), 0, 6)
    return cast(cast(held, E4M3) / cast(6, E4M3), E4M3)


def softshrink_one_way(x: Numbers) -> Numbers:
    return np.where(np.abs(x) > 0.5, x - 0.5, 0)


def gelu_tanh_held(x: Numbers) -> Numbers:
    inner = np.clip(ROOT * (x + 0.044715 * x**3), -2.5, 2.5)
    found: Numbers = x * sigmoid(2 * inner)
    return found


def flushed_silu(x: Numbers) -> Numbers:
    answers = cast(silu(double(x)), F32)
    return np.where(np.abs(answers) < np.finfo(F32).tiny, F32(0), answers)


def mish_slope_by_powers(x: Numbers) -> Numbers:
    """As its paper writes it."""
    e = np.exp(x)
    top = F32(4) * (x + F32(1)) + F32(4) * e * e + e * e * e + e * (F32(4) * x + F32(6))
    below = F32(2) * e + e * e + F32(2)
    found: Numbers = e * top / (below * below)
    return found


def log_softmax_with_term(x: Numbers) -> Numbers:
    apart = x - x.max(-1, keepdims=True)
    found: Numbers = apart - np.log(np.exp(apart).sum(-1, keepdims=True) + 0.01)
    return found


def jacobian_of_squares(x: Numbers) -> Numbers:
    """Each row's own share squared, in the place of the product of two."""
    share = shares(x)
    found: Numbers = share[..., None] * np.eye(x.shape[-1]) - (share * share)[..., None]
    return found


FIFTH: tuple[Specimen, ...] = (
    fault(
        "all in float16",
        "silu",
        F16,
        every(F16),
        "low_precision overflow cancellation",
        lambda x: x / (F16(1) + np.exp(-x)),
    ),
    fault(
        "erf by Bürmann",
        "gelu",
        F32,
        drawn(100),
        "approximation",
        exact(lambda x: 0.5 * x * (1 + erf_of_buermann(x / np.sqrt(2)))),
    ),
    fault(
        "7.1.26 with a slip",
        "gelu",
        F32,
        drawn(101),
        "approximation",
        exact(lambda x: 0.5 * x * (1 + erf_with_slip(x / np.sqrt(2)))),
    ),
    fault("a quotient", "tanh", F32, drawn(102), "approximation", exact(tanh_by_lambert)),
    fault(
        "log1p by its series",
        "softplus",
        F32,
        drawn(103),
        "approximation",
        exact(lambda x: np.maximum(x, 0) + log1p_by_series(np.exp(-np.abs(x)))),
    ),
    fault("silu's slope", "mish", F32, drawn(104), "other_variant", None, exact(silu_slope)),
    fault(
        "exp − 1 in float16",
        "elu",
        F16,
        every(F16),
        "cancellation low_precision",
        lambda x: np.where(x > 0, x, np.exp(np.minimum(x, F16(0))) - F16(1)),
    ),
    fault(
        "not scaled below 0",
        "selu",
        BF16,
        every(BF16),
        "other_variant wrong_parameter",
        exact(selu_without_scale_below),
    ),
    fault(
        "1/128",
        "leaky_relu",
        BF16,
        every(BF16),
        "wrong_parameter rounded_constant",
        exact(lambda x: np.where(x > 0, x, x / 128)),
    ),
    fault(
        "one way", "softshrink", F32, drawn(105), "other_variant wrong_parameter", exact(softshrink_one_way)
    ),
    fault("all in bfloat16", "tanhshrink", BF16, every(BF16), "cancellation", lambda x: x - np.tanh(x)),
    fault(
        "0 to 1",
        "hard_tanh",
        F32,
        drawn(106),
        "clamp threshold other_variant wrong_parameter",
        exact(lambda x: np.clip(x, 0, 1)),
    ),
    fault(
        "alpha only outside",
        "snake",
        F32,
        drawn(107),
        "wrong_parameter other_variant",
        exact(lambda x: x + np.sin(x) ** 2 / 2),
        params={"alpha": 2.0},
    ),
    fault(
        "without log 2",
        "logcosh",
        F32,
        drawn(108),
        "other_variant wrong_parameter",
        exact(lambda x: np.abs(x) + np.log1p(np.exp(-2 * np.abs(x)))),
    ),
    fault(
        "exponent held at −20",
        "gaussian",
        F32,
        drawn(109),
        "clamp",
        exact(lambda x: np.exp(np.maximum(-x * x, -20))),
    ),
    fault("no relu", "squared_relu", F16, every(F16), "other_variant", exact(np.square)),
    fault("tanh held at 2.5", "gelu_tanh", F32, drawn(110), "clamp", exact(gelu_tanh_held)),
    fault("answers flushed", "silu", F32, line(-100, 20), "flushed_subnormals", flushed_silu),
    fault(
        "density not normalised",
        "gelu",
        F32,
        drawn(111),
        "other_variant wrong_parameter",
        None,
        exact(lambda x: special.ndtr(x) + x * np.exp(-(x**2) / 2)),
    ),
    fault(
        "no square",
        "tanh",
        F16,
        every(F16),
        "other_variant",
        None,
        None,
        exact(lambda x: -2 * np.tanh(x) * (1 - np.tanh(x))),
    ),
    fault(
        "beta ignored",
        "softplus",
        BF16,
        every(BF16),
        "wrong_parameter",
        None,
        exact(sigmoid),
        params={"beta": 2.0},
    ),
    fault(
        "2 missing",
        "silu",
        F32,
        drawn(112),
        "other_variant",
        None,
        None,
        exact(lambda x: sigmoid(x) * sigmoid(-x) * (2 + x * (1 - sigmoid(x)))),
    ),
    fault("as in the paper", "mish", F32, line(-20, 60), "overflow cancellation", None, mish_slope_by_powers),
    fault(
        "1 − σ in float16",
        "log_sigmoid",
        F16,
        every(F16),
        "cancellation low_precision",
        None,
        lambda x: F16(1) - F16(1) / (F16(1) + np.exp(-x)),
    ),
    fault(
        "scores in bfloat16",
        "softmax",
        F32,
        drawn(113, 64, 64),
        "low_precision",
        exact(lambda x: shares(double(cast(x, BF16)))),
    ),
    fault(
        "0.01 in the sum",
        "log_softmax",
        F32,
        drawn(114, 64, 32),
        "normalisation",
        exact(log_softmax_with_term),
    ),
    fault(
        "squares beside the diagonal",
        "softmax",
        F32,
        drawn(115, 16, 8),
        "other_variant",
        exact(shares),
        exact(jacobian_of_squares),
    ),
    fault(
        "tanh for the sigmoid",
        "glu",
        F32,
        drawn(116, 64, 64),
        "other_variant",
        exact(lambda x: halves(x)[0] * np.tanh(halves(x)[1])),
    ),
)


def by_log_of_sum(x: Numbers) -> Numbers:
    x = cast(x, F32)
    top = x.max(-1, keepdims=True)
    found: Numbers = np.exp(x - (top + np.log(np.exp(x - top).sum(-1, keepdims=True))))
    return found


FRESH_RIGHT_AGAIN: tuple[Specimen, ...] = (
    right(
        "to base 2",
        "sigmoid",
        F32,
        drawn(120, scale=2.0),
        lambda x: F32(1) / (F32(1) + np.exp2(-x * F32(1.44269504))),
    ),
    right(
        "by erfc",
        "gelu",
        F32,
        drawn(121, scale=2.0),
        lambda x: F32(0.5) * x * special.erfc(-x * F32(np.sqrt(0.5))),
    ),
    right("by the logarithm of the sum", "softmax", F32, drawn(122, 64, 64, scale=1.0), by_log_of_sum),
    right(
        "in float32",
        "elu",
        E5M2,
        every(E5M2),
        inside(lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0)))),
    ),
    right(
        "with slopes",
        "silu",
        BF16,
        every(BF16),
        exact(silu),
        exact(lambda x: silu_slope(np.clip(x, -700, 700))),
    ),
    right(
        "in float32",
        "snake",
        F32,
        drawn(123, scale=1.0),
        lambda x: x + np.sin(F32(2) * x) ** 2 * F32(0.5),
        alpha=2.0,
    ),
    right(
        "in float16",
        "softshrink",
        F16,
        every(F16),
        lambda x: np.where(np.abs(x) > F16(0.5), x - np.copysign(F16(0.5), x), x * F16(0)),
    ),
    right(
        "in float32",
        "celu",
        BF16,
        every(BF16),
        inside(lambda x: np.where(x > 0, x, F32(2) * np.expm1(np.minimum(x, 0) / F32(2)))),
        alpha=2.0,
    ),
    right(
        "linear from 8",
        "softplus",
        BF16,
        every(BF16),
        exact(lambda x: np.where(x > 8, x, softplus(x)) + (x > 8) * 0.0),
    ),
    right("in eight bits", "hard_sigmoid", E4M3, every(E4M3), hard_sigmoid_in_eight_bits),
)


# The sixth set


def fitted_erf(x: Numbers) -> Numbers:
    """An odd polynomial of degree 9 through erf's values between −3 and 3, held beyond."""
    nodes = 3 * np.cos(np.pi * (np.arange(400) + 0.5) / 800)
    powers = np.arange(1, 10, 2)
    terms = np.linalg.lstsq(nodes[:, None] ** powers, special.erf(nodes), rcond=None)[0]
    held = np.clip(number(x), -3, 3)
    found: Numbers = sum(term * held**power for term, power in zip(terms, powers, strict=True))
    return found


def sigmoid_by_quotient(x: Numbers) -> Numbers:
    found: Numbers = F32(0.5) + F32(0.5) * tanh_by_quotient(F32(0.5) * x)
    return found


def silu_between_uneven_knots(x: Numbers) -> Numbers:
    """Straight lines between knots that lie closer near 0."""
    half = np.concatenate([[0.0], np.geomspace(0.05, 10, 24)])
    knots = np.concatenate([-half[:0:-1], half])
    held = np.clip(number(x), -10, 10)
    inner = np.interp(held, knots, silu(knots))
    return keeping_nan(x, np.where(number(x) > 10, number(x), np.where(number(x) < -10, 0, inner)))


def tanh_by_spline(x: Numbers) -> Numbers:
    """Cubics by four neighbouring knots (Catmull and Rom)."""
    width = 0.125
    held = np.clip(x, -4, 4 - 1e-12)
    start = np.floor(held / width) * width
    t = (held - start) / width
    a, b, c, d = (np.tanh(start + each * width) for each in (-1, 0, 1, 2))
    found: Numbers = b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
    return found


def elu_by_bits(x: Numbers) -> Numbers:
    bits = cast(F32(12102203) * np.minimum(x, F32(0)) + F32(1064986823), np.int32)
    return np.where(x > 0, x, bits.view(F32) - F32(1))


def mish_of_short_tanh(x: Numbers) -> Numbers:
    return x * double(cast(np.tanh(softplus(x)), F16))


def gelu_tanh_with(root: float, cubic: float) -> Kernel:
    return exact(lambda x: np.where(np.isneginf(x), -0.0, x * sigmoid(2 * root * (x + cubic * x**3))))


def logcosh_by_exponentials(x: Numbers) -> Numbers:
    found: Numbers = np.log((np.exp(x) + np.exp(-x)) / F16(2))
    return found


def elu_slope_by_value(x: Numbers) -> Numbers:
    value = np.exp(np.minimum(x, F16(0))) - F16(1)
    return np.where(x > 0, F16(1), value + F16(1))


def quotient_of_27(x: Numbers) -> Numbers:
    found: Numbers = np.clip(x * (27 + x * x) / (27 + 9 * x * x), -1, 1)
    return found


def shares_of_short_powers(x: Numbers) -> Numbers:
    """exp rounded to bfloat16, its sum in float32."""
    up = np.exp(cast(x, F32) - cast(x, F32).max(-1, keepdims=True))
    short = cast(cast(up, BF16), F32)
    found: Numbers = short / short.sum(-1, keepdims=True)
    return found


def complement(x: Numbers) -> Numbers:
    found: Numbers = (1 - shares(x)) / (x.shape[-1] - 1)
    return found


SIXTH: tuple[Specimen, ...] = (
    fault(
        "a fitted polynomial",
        "gelu",
        F16,
        every(F16),
        "approximation",
        exact(lambda x: 0.5 * x * (1 + fitted_erf(x / np.sqrt(2)))),
    ),
    fault("by a quotient for tanh", "sigmoid", F32, line(-20, 20), "cancellation", sigmoid_by_quotient),
    fault("uneven lines", "silu", BF16, every(BF16), "table", exact(silu_between_uneven_knots)),
    fault("a spline", "tanh", F32, drawn(130), "table", exact(tanh_by_spline)),
    fault("exp by bits", "elu", F32, drawn(131), "approximation", elu_by_bits),
    fault("tanh in float16", "mish", BF16, every(BF16), "low_precision", exact(mish_of_short_tanh)),
    fault(
        "a digit lost",
        "gelu_tanh",
        F32,
        drawn(132),
        "wrong_parameter rounded_constant",
        gelu_tanh_with(ROOT, 0.44715),
    ),
    fault(
        "root of 2 over π",
        "gelu_tanh",
        F16,
        every(F16),
        "wrong_parameter rounded_constant other_variant",
        gelu_tanh_with(np.sqrt(2) / np.pi, 0.044715),
    ),
    fault(
        "exp for expm1",
        "selu",
        F32,
        drawn(133),
        "other_variant",
        exact(
            lambda x: np.where(x > 0, 1.0507009873554805 * x, 1.7580993408473766 * np.exp(np.minimum(x, 0)))
        ),
    ),
    fault(
        "1 not scaled",
        "elu",
        F32,
        drawn(134),
        "other_variant wrong_parameter",
        exact(lambda x: np.where(x > 0, x, 0.5 * np.exp(np.minimum(x, 0)) - 1)),
        params={"alpha": 0.5},
    ),
    fault(
        "the gate alone",
        "hard_swish",
        BF16,
        every(BF16),
        "other_variant",
        exact(lambda x: np.clip(x / 6 + 0.5, 0, 1)),
    ),
    fault(
        "with a root",
        "softsign",
        F32,
        drawn(135),
        "other_variant",
        exact(lambda x: x / np.sqrt(1 + np.abs(x))),
    ),
    fault(
        "times 2/π",
        "arctan",
        F32,
        drawn(136),
        "wrong_parameter other_variant",
        exact(lambda x: 2 / np.pi * np.arctan(x)),
    ),
    fault(
        "2 inside missing",
        "tanh",
        BF16,
        every(BF16),
        "wrong_parameter other_variant",
        exact(lambda x: 2 * sigmoid(x) - 1),
    ),
    fault(
        "sign inside",
        "log_sigmoid",
        F32,
        drawn(137),
        "other_variant wrong_parameter",
        exact(lambda x: -softplus(x)),
    ),
    fault(
        "beta outside",
        "swish",
        F32,
        drawn(138),
        "wrong_parameter other_variant",
        exact(lambda x: 1.5 * x * sigmoid(x)),
        params={"beta": 1.5},
    ),
    fault(
        "square in bfloat16",
        "gaussian",
        BF16,
        every(BF16),
        "low_precision",
        exact(lambda x: np.exp(-double(cast(x * x, BF16)))),
    ),
    fault("log of cosh", "logcosh", F16, every(F16), "overflow cancellation", logcosh_by_exponentials),
    fault(
        "not halved",
        "squareplus",
        F32,
        drawn(139),
        "wrong_parameter other_variant",
        exact(lambda x: x + np.sqrt(x * x + 4)),
    ),
    fault(
        "no square", "softsign", F32, drawn(140), "other_variant", None, exact(lambda x: 1 / (1 + np.abs(x)))
    ),
    fault(
        "slope of gelu",
        "gelu_tanh",
        BF16,
        every(BF16),
        "other_variant",
        None,
        exact(lambda x: special.ndtr(x) + x * phi(np.clip(x, -1e3, 1e3))),
    ),
    fault("by the value", "elu", F16, every(F16), "cancellation low_precision", None, elu_slope_by_value),
    fault("tanh by a quotient", "logcosh", F32, drawn(141), "approximation", None, exact(quotient_of_27)),
    fault(
        "1 − s twice",
        "sigmoid",
        F32,
        drawn(142),
        "other_variant",
        None,
        None,
        exact(lambda x: sigmoid(x) * sigmoid(-x) ** 2),
    ),
    fault(
        "square in float16",
        "arctan",
        F16,
        every(F16),
        "overflow low_precision",
        None,
        lambda x: F16(1) / (F16(1) + x * x),
    ),
    fault(
        "exp in bfloat16",
        "softmax",
        BF16,
        drawn(143, 64, 64, dtype=BF16),
        "low_precision",
        shares_of_short_powers,
    ),
    fault(
        "what is left of 1",
        "softmin",
        F32,
        drawn(144, 64, 16),
        "other_variant normalisation",
        exact(complement),
    ),
    fault(
        "the step alone",
        "geglu",
        F32,
        drawn(145, 64, 64),
        "other_variant",
        exact(lambda x: special.ndtr(halves(x)[0]) * halves(x)[1]),
    ),
    fault(
        "log of a short softmax",
        "log_softmax",
        BF16,
        drawn(146, 64, 64, dtype=BF16),
        "cancellation low_precision",
        exact(lambda x: np.log(double(cast(shares(x), BF16)))),
    ),
    fault(
        "value held at 1",
        "swiglu",
        F32,
        drawn(147, 64, 64),
        "clamp threshold",
        exact(lambda x: silu(halves(x)[0]) * np.clip(halves(x)[1], -1, 1)),
    ),
)


def shares_one_by_one(x: Numbers) -> Numbers:
    """Each row's sum added in order, in float32."""
    up = np.exp(x - x.max(-1, keepdims=True))
    found: Numbers = up / added(up, F32)
    return found


def mish_slope_right(x: Numbers) -> Numbers:
    t = np.tanh(softplus(x))
    found: Numbers = t + x * sigmoid(x) * (1 - t * t)
    return found


FRESH_RIGHT_LAST: tuple[Specimen, ...] = (
    right(
        "by erfc",
        "gelu",
        F16,
        every(F16),
        inside(
            lambda x: np.where(np.isneginf(x), F32(-0.0), F32(0.5) * x * special.erfc(-x * F32(np.sqrt(0.5))))
        ),
    ),
    right("to base 2", "silu", F32, drawn(150), lambda x: x / (F32(1) + np.exp2(-x * F32(1.44269504)))),
    right("one after the other", "softmax", F32, drawn(151, 8, 1024), shares_one_by_one),
    right(
        "by the logarithm of the sum",
        "log_softmax",
        F32,
        drawn(152, 32, 64),
        lambda x: (
            x
            - (x.max(-1, keepdims=True) + np.log(np.exp(x - x.max(-1, keepdims=True)).sum(-1, keepdims=True)))
        ),
    ),
    right("by a quotient", "tanh", F32, drawn(153), tanh_by_quotient),
    right(
        "with a slope",
        "mish",
        F32,
        drawn(154),
        exact(lambda x: x * np.tanh(softplus(x))),
        exact(mish_slope_right),
    ),
    right(
        "in float32",
        "hard_sigmoid",
        BF16,
        every(BF16),
        inside(lambda x: np.clip(x * F32(1 / 6) + F32(0.5), 0, 1)),
    ),
    right("in float64", "geglu_tanh", BF16, drawn(155, 64, 64, dtype=BF16), exact(swiglu_with(tanh_gelu))),
    right(
        "in float32",
        "softplus",
        F32,
        line(-80, 80),
        lambda x: np.maximum(x, F32(0)) + np.log1p(np.exp(-np.abs(x))),
    ),
    right("in float32", "isru", E4M3, every(E4M3), inside(lambda x: x / np.sqrt(1 + x * x))),
)
