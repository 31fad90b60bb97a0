"""Entmax of any α: the maps between softmax (α → 1), sparsemax (α = 2) and hardmax (α → ∞).

p_i = max(z_i − t, 0)^(1/(α − 1)) with z = (α − 1)·(x − max x), and t such that the p_i add up to 1. For
α = 3/2 and 2 there are compiled loops. For any other α there is no closed form, and the power loses
digits: it is computed in ball arithmetic, which takes some tens of microseconds an element.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from flint import arb
from numpy.typing import NDArray

from app.core.activations.definition import Rowwise, Text, formulas
from app.core.activations.parameters import Interval, Parameter
from app.core.activations.softmax import ENTMAX15, MASK, SPARSEMAX
from app.core.arithmetic import Array, Value
from app.core.arithmetic.balls import power, precision

Ball: TypeAlias = Any

MOST_ELEMENTS: Final = 100_000
"""Elements of a request for an α without a compiled loop: some seconds of work."""

BITS: Final = (160, 400, 1200, 4800)
"""Precisions in bits, tried one after the other; the last holds every difference of doubles."""

DIGITS: Final = 64
"""Bits that an answer has at least."""

STEPS: Final = 200
"""Steps of Newton's method; about ten are usual."""

_LOOPS: Final = {1.5: ENTMAX15, 2.0: SPARSEMAX}


class _Shares(NamedTuple):
    """p and p^(2 − α) of the elements of a row; 0 outside the support."""

    shares: list[Ball]
    slopes: list[Ball]


@dataclass(frozen=True)
class _Support:
    """The elements with a share, by how far z of each lies above that of the least one.

    The unknown is the least one's z − t, or where α > 2 its share: Σ p is convex in it, while in the other it
    is nearly vertical.
    """

    beta: Ball
    above: list[Ball]
    bits: int

    def found(self) -> Ball | None:
        """z − t of the least element, with a radius within which the sum passes 1; None with too few bits."""
        count = arb(len(self.above))
        largest = max(self.above)
        if largest.is_zero():
            return power(1 / count, self.beta)
        steep = bool(self.beta > 1)
        most = power(1 / count, self.beta).mid()
        at = min(most, (1 - largest).mid()) if bool(largest < 1) else most
        at = power(at, 1 / self.beta).mid() if steep else at
        for _ in range(STEPS):  # from the right, where no step goes too far
            total, slope = self._sum(at, steep=steep)
            step = ((total - 1) / slope).mid()
            at = (at - step).mid() if bool(step < at) else at / 2
            if bool(abs(step) <= at * arb(2) ** (12 - self.bits)):
                break
        for lost in range(30, self.bits, 30):  # the power multiplies what rounding leaves
            room = at * arb(2) ** (lost - self.bits)
            ends = (at - room).mid(), (at + room).mid()
            below, beyond = (self._sum(each, steep=steep)[0] for each in ends)
            if bool(below < 1) and bool(beyond > 1):
                near = ends[0].union(ends[1])
                return power(near, self.beta) if steep else near
        return None

    def _sum(self, at: Ball, *, steep: bool) -> tuple[Ball, Ball]:
        """Σ p, and its derivative in the unknown."""
        gap = power(at, self.beta) if steep else at
        gaps = [gap + each for each in self.above]
        shares = [power(each, 1 / self.beta) for each in gaps]
        slope = sum((share / each for share, each in zip(shares, gaps, strict=True)), arb(0))
        return sum(shares, arb(0)), slope * (gap / at if steep else 1 / self.beta)


def _shares(x: list[float], alpha: float) -> _Shares:
    """The shares of a row whose largest element is finite."""
    for bits in BITS:
        with precision(bits):
            found = _tried(x, alpha, bits)
        if found is not None:
            return found
    unknown = [arb("nan")] * len(x)
    return _Shares(unknown, unknown)


def _tried(x: list[float], alpha: float, bits: int) -> _Shares | None:
    beta = arb(alpha) - 1
    values = sorted((value for value in x if value > -math.inf), reverse=True)
    size = _size(values, beta, last=bits == BITS[-1])
    if size is None:
        return None
    least = arb(values[size - 1])
    gap = _Support(beta, [(arb(value) - least) * beta for value in values[:size]], bits).found()
    if gap is None:
        return None
    zero = arb(0)
    gaps = [gap + (arb(value) - least) * beta if value >= values[size - 1] else zero for value in x]
    shares = [zero if each is zero else power(each, 1 / beta) for each in gaps]
    slopes = [zero if each is zero else power(each, (1 - beta) / beta) for each in gaps]
    known = all(each.is_zero() or each.rel_accuracy_bits() >= DIGITS for each in (*shares, *slopes))
    return _Shares(shares, slopes) if known else None


def _size(values: list[float], beta: Ball, *, last: bool) -> int | None:
    """How many of the ``values``, in descending order, are in the support; None with too few bits.

    A value is in it if the shares of those above it, counted from it, add up to less than 1. One that the
    ``last`` bits leave open lies on the threshold.
    """
    inside, outside = values.count(values[0]), len(values) + 1
    while outside - inside > 1:
        middle = (inside + outside) // 2
        least = values[middle - 1]
        gaps = [(arb(value) - arb(least)) * beta for value in values[:middle] if value > least]
        if any(bool(each > 1) for each in gaps[:1]):
            outside = middle
            continue
        total = sum((power(each, 1 / beta) for each in gaps), arb(0))
        if bool(total < 1):
            inside = middle
        elif bool(total >= 1) or last:
            outside = middle
        else:
            return None
    return inside


def _double(value: Ball, odd: bool) -> float:
    """The nearest double, or rounded to odd."""
    near = float(value.mid())
    if not odd or not math.isfinite(near):
        return near
    lack = (value - near).mid()
    if lack.is_zero() or np.float64(near).view(np.int64) & 1:
        return near
    return float(np.nextafter(near, math.inf if lack > 0 else -math.inf))


def _outside(x: Array, keep: NDArray[np.bool_]) -> float | None:
    """The result for a row without shares: NaN where there is no limit, 0 where all is masked; else None."""
    row = x[keep]
    if np.isnan(row).any() or (row == math.inf).sum() > 1 or (row.size and row.max() == -math.inf):
        return math.nan
    return None if row.size else 0.0


class _Entmax:
    """Value, Jacobian and pullback for any α."""

    def value(self, x: Array, *, odd: bool = False, mask: Value = 1.0, alpha: Value = 1.5) -> Array:
        """(..., n) to (..., n)."""
        loops = _LOOPS.get(float(alpha))
        if loops is not None:
            return loops.value(x, odd=odd, mask=mask)
        return self._by_rows(x, x.shape, mask, alpha, lambda found, _: _doubles(found.shares, odd))

    def jacobian(self, x: Array, *, odd: bool = False, mask: Value = 1.0, alpha: Value = 1.5) -> Array:
        """(..., n) to (..., n, n)."""
        loops = _LOOPS.get(float(alpha))
        if loops is not None:
            return loops.jacobian(x, odd=odd, mask=mask)
        return self._by_rows(
            x, (*x.shape, x.shape[-1]), mask, alpha, lambda found, _: _jacobian(found.slopes, odd)
        )

    def pullback(
        self, x: Array, upstream: Array, *, odd: bool = False, mask: Value = 1.0, alpha: Value = 1.5
    ) -> tuple[Array, Mapping[str, Array]]:
        """dL/dx, (..., n)."""
        loops = _LOOPS.get(float(alpha))
        if loops is not None:
            return loops.pullback(x, upstream, odd=odd, mask=mask)
        rows = upstream.reshape(-1, x.shape[-1])
        pulled = self._by_rows(
            x, x.shape, mask, alpha, lambda found, row: _pulled(found.slopes, rows[row], odd)
        )
        return pulled, {}

    @staticmethod
    def _by_rows(
        x: Array,
        shape: tuple[int, ...],
        mask: Value,
        alpha: Value,
        make: Callable[[_Shares, int], Array],
    ) -> Array:
        n = x.shape[-1]
        rows = x.reshape(-1, n)
        keep = np.broadcast_to(np.asarray(mask) != 0, x.shape).reshape(rows.shape)
        out: Array = np.empty((len(rows), *shape[x.ndim - 1 :]))
        for row, (elements, kept) in enumerate(zip(rows, keep, strict=True)):
            known = _outside(elements, kept)
            if known is not None:
                out[row] = known
                continue
            there = np.where(kept, elements, -math.inf)
            if there.max() == math.inf:
                there = np.where(there == math.inf, 0.0, -math.inf)
            with precision(BITS[1]):
                out[row] = make(_shares(there.tolist(), float(alpha)), row)
        return out.reshape(shape)


def _doubles(values: list[Ball], odd: bool) -> Array:
    return np.array([_double(each, odd) for each in values])


def _jacobian(slopes: list[Ball], odd: bool) -> Array:
    """g_i·(1 − g_i/Σg) on the diagonal, −g_i·g_k/Σg beside it: the others are added up, not subtracted."""
    total = sum(slopes, arb(0))
    found: Array = np.zeros((len(slopes), len(slopes)))
    support = [place for place, each in enumerate(slopes) if not each.is_zero()]
    for i in support:
        others = sum((slopes[k] for k in support if k != i), arb(0))
        for k in support:
            found[i, k] = _double(slopes[i] * (others if i == k else -slopes[k]) / total, odd)
    return found


def _pulled(slopes: list[Ball], upstream: Array, odd: bool) -> Array:
    """g_k·(u_k − Σ g_j·u_j/Σg) in the support, 0 outside."""
    support = [place for place, each in enumerate(slopes) if not each.is_zero()]
    found: Array = np.zeros(len(slopes))
    if not np.isfinite(upstream[support]).all():
        found[support] = math.nan
        return found
    seeds = {place: arb(float(upstream[place])) for place in support}
    mean = sum((slopes[k] * seeds[k] for k in support), arb(0)) / sum(slopes, arb(0))
    for k in support:
        found[k] = _double(slopes[k] * (seeds[k] - mean), odd)
    return found


_ENTMAX = _Entmax()


def _most(alpha: Value = 1.5, **_: Value) -> float:
    return math.inf if float(alpha) in _LOOPS else MOST_ELEMENTS


ENTMAX = Rowwise(
    name="entmax",
    title=Text("α-entmax", "α-엔트맥스"),
    summary=Text(
        "The family that leads from softmax (α → 1) through 1.5-entmax and sparsemax (α = 2) to hardmax "
        "(α → ∞): the larger α, the more scores get exactly 0. The edge of the support is smooth below "
        "α = 2, and has a slope without bound above it.",
        "소프트맥스(α → 1)에서 1.5-엔트맥스와 스파스맥스(α = 2)를 거쳐 하드맥스(α → ∞)로 이어지는 "
        "함수족입니다. α가 클수록 더 많은 성분이 정확히 0이 됩니다. 0이 되는 경계는 α가 2보다 작으면 "
        "매끄럽고, 2보다 크면 기울기가 한없이 커집니다.",
    ),
    formulas=formulas(
        "(z[i] - t) ** (1 / (alpha - 1)) if z[i] > t else 0",
        "g[i] * (1 - g[i] / w) if k == i else -g[i] * g[k] / w",
        **{
            "q": "max(x[j] for j in n)",
            "z[j]": "(alpha - 1) * (x[j] - q)",
            "t": "root(sum((z[j] - s) ** (1 / (alpha - 1)) for j in n if z[j] > s) - 1 for s in (-1, 0))",
            "g[j]": "(z[j] - t) ** ((2 - alpha) / (alpha - 1)) if z[j] > t else 0",
            "w": "sum(g[j] for j in n)",
        },
    ),
    parameters=(
        MASK,
        Parameter(
            name="alpha",
            symbol=r"\alpha",
            description=(
                "how sparse: close to 1 softmax, at 2 sparsemax",
                "희소한 정도. 1에 가까우면 소프트맥스, 2이면 스파스맥스",
            ),
            domain=Interval("(1, inf)"),
            default=1.5,
            typical=(1.1, 3.0),
        ),
    ),
    several_axes=True,
    width=ENTMAX15.width,
    most=_most,
    value=_ENTMAX.value,
    jacobian=_ENTMAX.jacobian,
    pullback=_ENTMAX.pullback,
    range="[0, 1]",
    limits=("0", "1"),
    largest_slope="1",
    zero_centred=False,
    monotone=True,
    smoothness=1,
    saturates=frozenset({"negative", "positive"}),
    references=ENTMAX15.references,
)

FAMILY = (ENTMAX,)
