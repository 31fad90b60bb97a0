"""The rows of the softmax family, compiled: exponentials, their sum and every quotient as `Scaled` numbers.

Only differences of inputs matter, so everything starts from x_j − max x, kept with its rounding error. What
cancels is never subtracted: 1 − s of the largest share is the sum of the others, and of an upstream gradient
only the differences from its element at the largest share count.

``keep`` marks the elements of a row that take part; the others are masked out.

The gradients of a row of moderate numbers, where nothing under- or overflows, are computed in double-doubles
without exponents of their own, in loops that become vector instructions.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from app.core.activations.piecewise import difference
from app.core.arithmetic import Array
from app.core.arithmetic.compiled import compiled
from app.core.arithmetic.double_double import (
    FARTHEST,
    LARGEST,
    DoubleDouble,
    Scaled,
    add,
    add_double,
    beside_one,
    constant,
    exp_scaled,
    inverse_unnormalised,
    log1p,
    multiple,
    power_of_two,
    product,
    product_unnormalised,
    scalar,
    two_sum,
)
from app.core.arithmetic.exact_sum import Digits, add_product, clear, empty_sum, scaled_sum
from app.core.arithmetic.scaled import (
    apart,
    choose,
    exactly,
    mantissa,
    nearest_double,
    negative,
    normal,
    odd_double,
    over,
    plus,
    root,
    times,
    times_power,
    unscaled,
)

Kept = NDArray[np.bool_]

_LN2: Final = constant("0.693147180559945309417232121458176568075500134360255254120680")
_ONE: Final = DoubleDouble(1.0, 0.0)
_SIGNATURE: Final = "void(f8[:,::1], b1[:,::1], b1, {})"


@scalar
def _rounded(a: Scaled, odd: bool) -> float:
    return odd_double(a) if odd else nearest_double(a)


@njit(error_model="numpy")
def _largest(x: Array, keep: Kept) -> int:
    """The first of the largest elements that are kept; −1 where there is none, −2 where there is no limit."""
    first, infinite = -1, 0
    for k in range(x.size):
        if keep[k]:
            if math.isnan(x[k]):
                return -2
            infinite += x[k] == math.inf
            if first < 0 or x[k] > x[first]:
                first = k
    if infinite > 1 or (first >= 0 and x[first] == -math.inf):
        return -2
    return first


@scalar
def _below(x: float, top: float) -> DoubleDouble:
    """x − top, which may have overflowed."""
    exact = two_sum(x, -top)
    return DoubleDouble(exact.high, exact.low if abs(exact.high) <= LARGEST else 0.0)


@scalar
def _exponential(x: float, top: float) -> Scaled:
    z = _below(x, top)
    return choose(z.high < -FARTHEST, exactly(0.0), exp_scaled(z.high, z.low))


@njit(error_model="numpy")
def _sum_of_others(x: Array, keep: Kept, first: int) -> Scaled:
    """Σ e^(x_j − x_first) over all others."""
    total = exactly(0.0)
    for k in range(x.size):
        if keep[k] and k != first:
            total = plus(total, _exponential(x[k], x[first]))
    return total


@scalar
def _share(x: Array, k: int, first: int, whole: Scaled) -> Scaled:
    """The softmax of element k; ``whole`` is the sum of all exponentials."""
    return over(exactly(1.0) if k == first else _exponential(x[k], x[first]), whole)


@scalar
def _complement(share: Scaled, k: int, first: int, others: Scaled, whole: Scaled) -> Scaled:
    """1 − share."""
    return normal(choose(k == first, over(others, whole), plus(exactly(1.0), negative(share))))


@scalar
def _log1p(a: Scaled) -> Scaled:
    """ln(1 + a) for a ≥ 0."""
    small = beside_one(mantissa(a), a.exponent if a.exponent < 500 else 500.0)
    total = add(DoubleDouble(1.0, 0.0), small)
    octaves = apart(total.high).exponent - 1
    unit = power_of_two(-octaves)
    rest = small if octaves == 0 else add(multiple(unit, total), DoubleDouble(-1.0, 0.0))
    near = add(product(_LN2, DoubleDouble(octaves, 0.0)), log1p(rest))
    return choose(a.high == 0 or a.exponent < -100, a, unscaled(near))


@compiled(_SIGNATURE.format("f8[:,::1]"))
def softmax(x: Array, keep: Kept, odd: bool, out: Array) -> None:
    """e^(x_i) / Σ e^(x_j)."""
    for row in range(len(x)):
        first = _largest(x[row], keep[row])
        others = _sum_of_others(x[row], keep[row], first)
        whole = plus(exactly(1.0), others)
        for k in range(x.shape[1]):
            share = _rounded(_share(x[row], k, first, whole), odd)
            out[row, k] = math.nan if first == -2 else share if keep[row, k] else 0.0


@compiled(_SIGNATURE.format("f8[:,:,::1]"))
def softmax_jacobian(x: Array, keep: Kept, odd: bool, out: Array) -> None:
    """s_i·(1 − s_i) on the diagonal, −s_i·s_k beside it."""
    for row in range(len(x)):
        first = _largest(x[row], keep[row])
        others = _sum_of_others(x[row], keep[row], first)
        whole = plus(exactly(1.0), others)
        for i in range(x.shape[1]):
            own = _share(x[row], i, first, whole)
            for k in range(x.shape[1]):
                other = negative(_share(x[row], k, first, whole))
                factor = _complement(own, i, first, others, whole) if i == k else other
                both = keep[row, i] and keep[row, k]
                slope = _rounded(times(own, factor), odd) if both else 0.0
                out[row, i, k] = math.nan if first == -2 else slope


@njit(error_model="numpy")
def _is_moderate(x: Array, keep: Kept, first: int, upstream: Array) -> bool:
    """Whether a row's exponentials are above e^−512, and double-doubles hold sums of ``upstream`` exactly.

    All are multiples of the last bit of the smallest, and so are their sums, whose low parts then have no
    more than 53 bits.
    """
    if first < 0:
        return False
    least, most = 2.0**100, 0.0
    moderate = True
    for k in range(x.size):
        size = abs(upstream[k])
        most = max(most, size)
        least = size if 0 < size < least else least
        moderate &= (not keep[k]) | ((x[first] - x[k] <= 512) & (size <= 2.0**100))
    return moderate and (most == 0 or (least >= 2.0**-100 and x.size * most <= 2.0**45 * (least / x.size)))


@njit(error_model="numpy")
def _moderate_exponentials(x: Array, keep: Kept, first: int, e: Array) -> DoubleDouble:
    """e^(x_k − x_first), 0 where an element is left out, and the sum of all but the first, which is 1."""
    for k in range(x.size):
        z = two_sum(x[k], -x[first])
        one = exp_scaled(z.high, z.low, True)
        counts = keep[k] and k != first
        e[0, k], e[1, k] = one.high if counts else 0.0, one.low if counts else 0.0
    others = DoubleDouble(0.0, 0.0)
    for k in range(x.size):
        others = add(others, DoubleDouble(e[0, k], e[1, k]))
    e[0, first] = 1.0
    return others


@njit(error_model="numpy")
def _moderate_softmax_pullback(
    x: Array, keep: Kept, first: int, odd: bool, upstream: Array, e: Array, out: Array
) -> None:
    others = _moderate_exponentials(x, keep, first, e)
    inverse = inverse_unnormalised(add(_ONE, others))
    top = upstream[first]
    mean = DoubleDouble(0.0, 0.0)
    for k in range(x.size):
        share = product_unnormalised(DoubleDouble(e[0, k], e[1, k]), inverse)
        mean = add(mean, product(share, two_sum(upstream[k] if keep[k] else top, -top)))
    for k in range(x.size):
        share = product_unnormalised(DoubleDouble(e[0, k], e[1, k]), inverse)
        rest = add(two_sum(upstream[k], -top), multiple(-1.0, mean))
        out[k] = _rounded(unscaled(product(share, rest)), odd) if keep[k] else 0.0


@njit(error_model="numpy")
def _moderate_log_softmax_pullback(
    x: Array, keep: Kept, first: int, odd: bool, upstream: Array, e: Array, out: Array
) -> None:
    others = _moderate_exponentials(x, keep, first, e)
    inverse = inverse_unnormalised(add(_ONE, others))
    total = DoubleDouble(0.0, 0.0)
    for k in range(x.size):
        total = add_double(total, upstream[k] if keep[k] else 0.0)
    at_first = product_unnormalised(others, inverse)
    for k in range(x.size):
        share = product_unnormalised(DoubleDouble(e[0, k], e[1, k]), inverse)
        beside = add(_ONE, multiple(-1.0, share))
        high, low = at_first.high if k == first else beside.high, at_first.low if k == first else beside.low
        own = product(DoubleDouble(high, low), DoubleDouble(upstream[k], 0.0))
        shared = product(share, add_double(total, -upstream[k]))
        out[k] = _rounded(unscaled(add(own, multiple(-1.0, shared))), odd) if keep[k] else 0.0


@compiled(_SIGNATURE.format("f8[:,::1], f8[:,::1]"))
def softmax_pullback(x: Array, keep: Kept, odd: bool, upstream: Array, out: Array) -> None:
    """s_k·(v_k − Σ s_j·v_j), with v_j = u_j − u of the largest share."""
    digits = empty_digits()
    e = np.empty((2, x.shape[1]))
    for row in range(len(x)):
        first = _largest(x[row], keep[row])
        if _is_moderate(x[row], keep[row], first, upstream[row]):
            _moderate_softmax_pullback(x[row], keep[row], first, odd, upstream[row], e, out[row])
            continue
        whole = plus(exactly(1.0), _sum_of_others(x[row], keep[row], first))
        clear(digits)
        strange = 0.0
        for k in range(x.shape[1]):
            if first >= 0 and keep[row, k] and k != first:
                share, v = _share(x[row], k, first, whole), difference(upstream[row, k], upstream[row, first])
                share = times_power(share, v.exponent)
                strange += add_product(digits, share, v.high)
                strange += add_product(digits, share, v.low) if abs(v.high) <= LARGEST else 0.0
        mean = scaled_sum(digits)
        for k in range(x.shape[1]):
            share = _share(x[row], k, first, whole)
            v = normal(difference(upstream[row, k], upstream[row, max(first, 0)]))
            pulled = _rounded(times(share, normal(plus(v, negative(mean)))), odd)
            unknown = first == -2 or (strange != 0 and keep[row, k])
            out[row, k] = math.nan if unknown else pulled if keep[row, k] else 0.0


@compiled(_SIGNATURE.format("f8[:,::1]"))
def log_softmax(x: Array, keep: Kept, odd: bool, out: Array) -> None:
    """x_i − max x − ln Σ e^(x_j − max x)."""
    for row in range(len(x)):
        first = _largest(x[row], keep[row])
        log = _log1p(_sum_of_others(x[row], keep[row], first))
        # What is below 2⁻¹⁰⁰⁰ counts as that beside a number: it decides ties.
        beside = multiple(-1.0, beside_one(mantissa(log), log.exponent))
        for k in range(x.shape[1]):
            z = _below(x[row, k], x[row, max(first, 0)])
            value = choose(k == first, negative(log), unscaled(add(z, beside)))
            value = choose(k == first or abs(z.high) <= LARGEST, value, exactly(z.high))
            kept = first == -2 or keep[row, k]
            found = math.nan if first == -2 else _rounded(value, odd) + 0.0  # the logarithm of 1 is 0, not −0
            out[row, k] = found if kept else -math.inf


@compiled(_SIGNATURE.format("f8[:,:,::1]"))
def log_softmax_jacobian(x: Array, keep: Kept, odd: bool, out: Array) -> None:
    """1 − s_k on the diagonal, −s_k beside it."""
    for row in range(len(x)):
        first = _largest(x[row], keep[row])
        others = _sum_of_others(x[row], keep[row], first)
        whole = plus(exactly(1.0), others)
        for k in range(x.shape[1]):
            share = _share(x[row], k, first, whole)
            rest = _rounded(_complement(share, k, first, others, whole), odd)
            beside = _rounded(negative(share), odd)
            for i in range(x.shape[1]):
                both = keep[row, i] and keep[row, k]
                slope = (rest if i == k else beside) if both else 0.0
                out[row, i, k] = math.nan if first == -2 else slope


@compiled(_SIGNATURE.format("f8[:,::1], f8[:,::1]"))
def log_softmax_pullback(x: Array, keep: Kept, odd: bool, upstream: Array, out: Array) -> None:
    """u_k·(1 − s_k) − s_k·Σ u_j over all others."""
    digits = empty_digits()
    e = np.empty((2, x.shape[1]))
    for row in range(len(x)):
        first = _largest(x[row], keep[row])
        if _is_moderate(x[row], keep[row], first, upstream[row]):
            _moderate_log_softmax_pullback(x[row], keep[row], first, odd, upstream[row], e, out[row])
            continue
        others = _sum_of_others(x[row], keep[row], first)
        whole = plus(exactly(1.0), others)
        clear(digits)
        strange = 0.0
        for k in range(x.shape[1]):
            if keep[row, k]:
                strange += add_product(digits, exactly(1.0), upstream[row, k])
        for k in range(x.shape[1]):
            if not keep[row, k] or first == -2 or strange != 0:
                out[row, k] = math.nan if first == -2 or keep[row, k] else 0.0
                continue
            u = upstream[row, k]
            add_product(digits, exactly(-1.0), u)
            rest = scaled_sum(digits)
            add_product(digits, exactly(1.0), u)
            share = _share(x[row], k, first, whole)
            own = times(_complement(share, k, first, others, whole), apart(u))
            out[row, k] = _rounded(plus(own, negative(times(share, rest))), odd)


@compiled(_SIGNATURE.format("f8[:,::1]"))
def hardmax(x: Array, keep: Kept, odd: bool, out: Array) -> None:  # noqa: ARG001 - exact as it is
    """1 for the first of the largest, 0 for the others."""
    for row in range(len(x)):
        best, unknown = -1, False
        for k in range(x.shape[1]):
            if keep[row, k]:
                unknown = unknown or math.isnan(x[row, k])
                if best < 0 or x[row, k] > x[row, best]:
                    best = k
        for k in range(x.shape[1]):
            out[row, k] = math.nan if unknown else 1.0 if k == best else 0.0


@njit(error_model="numpy")
def _support(x: Array, keep: Kept, first: int, inside: Kept) -> tuple[int, Scaled]:
    """How many elements sparsemax makes positive, marked in ``inside``, and 1 − Σ (x_j − max x) over them.

    Newton's method for Σ max(x_i − t, 0) = 1 from the left (Michelot 1986): t is what the support at hand
    gives, and what t reaches leaves it. A step divides the excess times the count by 4 or more, so a few
    tens are the worst case; the support it ends with is the right one, not an approximation.
    """
    for k in range(x.size):
        z = _below(x[k], x[first])
        inside[k] = keep[k] and (k == first or (z.high + 1) + z.low > 0)
    while True:
        count, total = 0, DoubleDouble(1.0, 0.0)
        for k in range(x.size):
            if inside[k]:
                count += 1
                if k != first:
                    total = add(total, multiple(-1.0, _below(x[k], x[first])))
        left = 0
        for k in range(x.size):
            if inside[k] and k != first and not _excess(x[k], x[first], count, total).high > 0:
                inside[k] = False
                left += 1
        if left == 0:
            return count, unscaled(total)


@scalar
def _excess(x: float, top: float, count: int, slack: DoubleDouble) -> DoubleDouble:
    """count·sparsemax(x)."""
    return add(product(DoubleDouble(float(count), 0.0), _below(x, top)), slack)


@compiled(_SIGNATURE.format("f8[:,::1]"))
def sparsemax(x: Array, keep: Kept, odd: bool, out: Array) -> None:
    """max(x_i − t, 0), t such that the sum is 1."""
    inside = np.empty(x.shape[1], np.bool_)
    for row in range(len(x)):
        first = _largest(x[row], keep[row])
        out[row] = 0.0 if first == -1 else math.nan
        if first >= 0:
            count, slack = _support(x[row], keep[row], first, inside)
            for k in range(x.shape[1]):
                top = (
                    slack
                    if k == first
                    else unscaled(_excess(x[row, k], x[row, first], count, mantissa(slack)))
                )
                out[row, k] = _rounded(over(top, exactly(float(count))), odd) if inside[k] else 0.0


@compiled(_SIGNATURE.format("f8[:,:,::1]"))
def sparsemax_jacobian(x: Array, keep: Kept, odd: bool, out: Array) -> None:
    """1 − 1/count on the diagonal of the support, −1/count beside it."""
    inside = np.empty(x.shape[1], np.bool_)
    for row in range(len(x)):
        first = _largest(x[row], keep[row])
        out[row] = math.nan if first == -2 else 0.0
        if first >= 0:
            count, _ = _support(x[row], keep[row], first, inside)
            whole = exactly(float(count))
            beside = _rounded(over(exactly(-1.0), whole), odd)
            own = _rounded(over(exactly(float(count - 1)), whole), odd)
            for i in range(x.shape[1]):
                for k in range(x.shape[1]):
                    if inside[i] and inside[k]:
                        out[row, i, k] = own if i == k else beside


@compiled(_SIGNATURE.format("f8[:,::1], f8[:,::1]"))
def sparsemax_pullback(x: Array, keep: Kept, odd: bool, upstream: Array, out: Array) -> None:
    """u_k − the mean of u over the support, in it; 0 outside."""
    inside = np.empty(x.shape[1], np.bool_)
    digits = empty_digits()
    for row in range(len(x)):
        first = _largest(x[row], keep[row])
        out[row] = math.nan if first == -2 else 0.0
        if first >= 0:
            count, _ = _support(x[row], keep[row], first, inside)
            whole = exactly(float(count))
            clear(digits)
            strange = 0.0
            for k in range(x.shape[1]):
                if inside[k]:
                    strange += add_product(digits, exactly(-1.0), upstream[row, k])
            total = scaled_sum(digits)
            for k in range(x.shape[1]):
                if inside[k]:
                    rest = plus(times(whole, apart(upstream[row, k])), total)
                    out[row, k] = math.nan if strange != 0 else _rounded(over(normal(rest), whole), odd)


_NEAR: Final = 1e-7
"""From the threshold: whether an element that is nearer lies in entmax's support is decided exactly."""


@njit(error_model="numpy")
def _room(x: Array, inside: Kept, low: int, digits: Digits) -> Scaled:
    """4 − Σ (x_j − x_low)² over the elements ``inside``, exactly but for the last rounding."""
    clear(digits)
    add_product(digits, exactly(4.0), 1.0)
    for k in range(x.size):
        if inside[k] and k != low:
            z = _below(x[k], x[low])
            less = Scaled(-z.high, -z.low, 0.0)
            add_product(digits, less, z.high)
            add_product(digits, less, z.low)
    return scaled_sum(digits)


@njit(error_model="numpy")
def _newton(x: Array, keep: Kept, first: int) -> float:
    """t with Σ max(x_j − max x − t, 0)² = 4, from the left, to the digits of a double.

    The sum is convex and falls: no step goes too far.
    """
    t = -2.0
    for _ in range(80):
        total, slope = 0.0, 0.0
        for k in range(x.size):
            gap = (0.0 if k == first else x[k] - x[first]) - t
            if keep[k] and gap > 0:
                total += gap * gap
                slope += gap
        step = (total - 4.0) / (2.0 * slope)
        t += step
        if step <= 1e-15:
            break
    return t


@njit(error_model="numpy")
def _middle(x: Array, among: Kept) -> int:
    """The element nearest to the middle between the least and the largest ``among`` x; −1 where none is."""
    least, most = math.inf, -math.inf
    for k in range(x.size):
        if among[k]:
            least, most = min(least, x[k]), max(most, x[k])
    middle, found = least + (most - least) / 2, -1
    for k in range(x.size):
        if among[k] and (found < 0 or abs(x[k] - middle) < abs(x[found] - middle)):
            found = k
    return found


@njit(error_model="numpy")
def _entmax_support(x: Array, keep: Kept, first: int, inside: Kept, digits: Digits) -> int:
    """The least element that entmax makes positive; all of them are marked in ``inside``.

    An element is one of them if Σ (x_j − x_k)² over those above it is less than 4. What lies too near to the
    threshold for doubles to see its side is bisected.
    """
    t = _newton(x, keep, first)
    above, open_ = np.zeros(x.size, np.bool_), np.zeros(x.size, np.bool_)
    for k in range(x.size):
        gap = (0.0 if k == first else x[k] - x[first]) - t
        inside[k] = keep[k] and gap > _NEAR
        open_[k] = keep[k] and abs(gap) <= _NEAR
    pivot = _middle(x, open_)
    while pivot >= 0:
        for k in range(x.size):
            above[k] = keep[k] and x[k] > x[pivot]
        joins = _room(x, above, pivot, digits).high > 0
        for k in range(x.size):
            if open_[k] and (x[k] >= x[pivot] if joins else x[k] <= x[pivot]):
                open_[k], inside[k] = False, joins
        pivot = _middle(x, open_)
    low = first
    for k in range(x.size):
        if inside[k] and x[k] < x[low]:
            low = k
    return low


@njit(error_model="numpy")
def _entmax_roots(x: Array, keep: Kept, first: int, digits: Digits, inside: Kept, w: Array) -> Scaled:
    """2√p_k = x_k − t of entmax for α = 3/2 as rows of ``w``, high, low and exponent; their sum is returned.

    Counted from the least element of the support, x_low: with A = Σ (x_j − x_low), C = 4 − Σ (x_j − x_low)²
    and c elements, x_low − t = C/(A + √(A² + cC)), and what is added to it for the others is positive.
    """
    low = _entmax_support(x, keep, first, inside, digits)
    count, rise = 0, DoubleDouble(0.0, 0.0)
    for k in range(x.size):
        if inside[k]:
            count += 1
            if k != low:
                rise = add(rise, _below(x[k], x[low]))
    room = normal(_room(x, inside, low, digits))
    span = normal(unscaled(rise))
    square = plus(times(span, span), times(apart(float(count)), room))
    least = normal(over(room, normal(plus(span, normal(root(normal(square)))))))
    total = exactly(0.0)
    for k in range(x.size):
        size = exactly(0.0)
        if inside[k]:
            size = least if k == low else normal(plus(least, normal(unscaled(_below(x[k], x[low])))))
            total = plus(total, size)
        w[0, k], w[1, k], w[2, k] = size.high, size.low, size.exponent
    return normal(total)


@scalar
def _root_at(w: Array, k: int) -> Scaled:
    return Scaled(w[0, k], w[1, k], w[2, k])


@compiled(_SIGNATURE.format("f8[:,::1]"))
def entmax15(x: Array, keep: Kept, odd: bool, out: Array) -> None:
    """max(x_i − t, 0)²/4, t such that the sum is 1."""
    inside, digits, w = np.empty(x.shape[1], np.bool_), empty_digits(), np.empty((3, x.shape[1]))
    for row in range(len(x)):
        first = _largest(x[row], keep[row])
        out[row] = 0.0 if first == -1 else math.nan
        if first >= 0:
            _entmax_roots(x[row], keep[row], first, digits, inside, w)
            for k in range(x.shape[1]):
                size = _root_at(w, k)
                out[row, k] = _rounded(times_power(times(size, size), -2.0), odd)


@compiled(_SIGNATURE.format("f8[:,:,::1]"))
def entmax15_jacobian(x: Array, keep: Kept, odd: bool, out: Array) -> None:
    """r_i·(1 − r_i/Σ r) on the diagonal of the support, −r_i·r_k/Σ r beside it, with r = √p."""
    inside, digits, w = np.empty(x.shape[1], np.bool_), empty_digits(), np.empty((3, x.shape[1]))
    for row in range(len(x)):
        first = _largest(x[row], keep[row])
        out[row] = math.nan if first == -2 else 0.0
        if first >= 0:
            whole = _entmax_roots(x[row], keep[row], first, digits, inside, w)
            others = exactly(0.0)
            for k in range(x.shape[1]):
                others = plus(others, _root_at(w, k)) if k != first else others
            for i in range(x.shape[1]):
                own = _root_at(w, i)
                share = over(own, whole)
                rest = _complement(share, i, first, normal(others), whole)
                for k in range(x.shape[1]):
                    if inside[i] and inside[k]:
                        factor = rest if i == k else negative(over(_root_at(w, k), whole))
                        out[row, i, k] = _rounded(times_power(times(own, factor), -1.0), odd)


@compiled(_SIGNATURE.format("f8[:,::1], f8[:,::1]"))
def entmax15_pullback(x: Array, keep: Kept, odd: bool, upstream: Array, out: Array) -> None:
    """r_k·(v_k − Σ r_j·v_j/Σ r) in the support, with v_j = u_j − u of the largest; 0 outside."""
    inside, digits, w = np.empty(x.shape[1], np.bool_), empty_digits(), np.empty((3, x.shape[1]))
    for row in range(len(x)):
        first = _largest(x[row], keep[row])
        out[row] = math.nan if first == -2 else 0.0
        if first >= 0:
            whole = _entmax_roots(x[row], keep[row], first, digits, inside, w)
            clear(digits)
            strange = 0.0
            for k in range(x.shape[1]):
                if inside[k] and k != first:
                    v = difference(upstream[row, k], upstream[row, first])
                    size = times_power(_root_at(w, k), v.exponent)
                    strange += add_product(digits, size, v.high)
                    strange += add_product(digits, size, v.low) if abs(v.high) <= LARGEST else 0.0
            mean = over(normal(scaled_sum(digits)), whole)
            for k in range(x.shape[1]):
                if inside[k]:
                    v = normal(difference(upstream[row, k], upstream[row, first]))
                    pulled = times(_root_at(w, k), normal(plus(v, negative(mean))))
                    unknown = strange != 0 or math.isnan(upstream[row, first])
                    out[row, k] = math.nan if unknown else _rounded(times_power(pulled, -1.0), odd)


@njit(error_model="numpy")
def empty_digits() -> Digits:
    """Room for a sum."""
    return np.zeros(_LENGTH, np.int64)


_LENGTH: Final = empty_sum().size
