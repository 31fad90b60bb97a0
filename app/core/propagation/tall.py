"""Tall matrices, units × batch: Gram matrices in double precision, and orthonormal bases from them.

A network's signals and gradients are arrays of N rows (units) and B columns (inputs of the batch), N ≫ B.
A random linear map depends on such an array only through its B × B Gram matrix, which is kept in float64
whatever the dtype of the run: the product of two float32 numbers is exact there.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from app.core.arithmetic import Array
from app.core.propagation.blocks import Blocks

CONDITION_LIMIT = 1e5
"""‖L⁻¹‖², L the Cholesky factor of the correlation matrix, up to which one factorisation is enough.

Q = H R⁻¹ then has ‖QᵀQ − 1‖ below about 1e5 · 2⁻⁵² = 2e-11 in float64; in float32 its weakest direction
carries a relative error of about √1e5 · 2⁻²⁴ = 2e-5.
"""

CANCELLED = 1e-8
"""Part of ‖L‖² ‖R‖² below which ‖L Rᵀ‖² keeps fewer than eight of the digits of Gram matrices."""

CANCELLED_SINGLE = 1e-3
"""Part of ‖L‖ ‖R‖ below which ‖L Rᵀ‖ keeps fewer than about four digits of float32's products."""

_NEAR = 30
"""Exponent up to which a size is near one: products and squares of such sizes fit float32's range."""

_LEADING = 1e-4
"""The least squared distance from the pivots before it at which a unit column becomes a pivot."""

_SAFE = {np.float64: 1e250, np.float32: 1e50}
"""Sums of squares up to this, and down to its reciprocal, are far from the ends of the values' range."""

_EXTREME = 1000
"""The largest exponent of a scale whose reciprocal is representable too."""


class Batch:
    """N × B values and their Gram matrix.

    Attributes:
        scaled: H / scale; H itself where scale is 1.
        scale: 1, or 2^exponent where sums and squares of the values would leave the range before they do.
        mean_square: the mean of the squared values, over scale².
    """

    def __init__(
        self, values: Array, blocks: Blocks, gram: Array | None = None, *, gram_needed: bool = True
    ) -> None:
        """``gram`` is HᵀH where it is known already; where it may never be needed it is made on request."""
        self.values = values
        self.blocks = blocks
        self.scaled = values
        self._known = _gram(values, blocks) if gram is None and gram_needed else gram
        trace = self._trace()
        self.exponent = excess(trace, values)
        if self.exponent:
            self.scaled = np.ldexp(values, -self.exponent)
            self._known = _gram(self.scaled, blocks) if gram_needed else None
            trace = self._trace()
        self.scale = 2.0**self.exponent
        self.mean_square = trace / max(1, values.size)

    @property
    def has_gram(self) -> bool:
        """Whether the Gram matrix has been made."""
        return self._known is not None

    @property
    def gram(self) -> Array:
        """HᵀH / scale², B × B, in float64."""
        if self._known is None:
            self._known = _gram(self.scaled, self.blocks)
        return self._known

    def _trace(self) -> float:
        """‖H‖² / scale²."""
        return squares(self.scaled, self.blocks) if self._known is None else float(self._known.trace())

    def restored(self, answer: Array) -> Array:
        """``answer``, found for H / scale, multiplied by scale in place."""
        return np.ldexp(answer, self.exponent, out=answer) if self.exponent else answer


class Basis(NamedTuple):
    """H / scale = Q R with orthonormal Q = tall · small, not formed where R is well conditioned.

    ``tall`` is N × k in the run's dtype, ``small`` k × k and ``r`` k × B in float64, k the numerical rank.
    """

    tall: Array
    small: Array
    r: Array

    @property
    def rank(self) -> int:
        """k, the number of orthonormal columns."""
        return len(self.r)


def excess(square: float, values: Array) -> int:
    """The power of two by which ``values`` are too large, or too small, for sums and squares.

    ``square`` is the sum of their squares; far from the ends of the range the result is 0.
    """
    reach = _SAFE[values.dtype.type]
    if 1 / reach < square < reach or not values.any():
        return 0
    return max(-_EXTREME, min(math.frexp(largest(values))[1], _EXTREME))


def largest(values: Array) -> float:
    """max |values|; NaN if one is NaN."""
    return float(np.maximum(values.max(initial=0), -values.min(initial=0)))


def cross(left: Array, right: Array, blocks: Blocks) -> Array:
    """leftᵀ right: products in the arrays' dtype, blocks added in float64."""
    return total(blocks.each(left.shape[0], lambda block: left[block].T @ right[block]))


def total(products: list[Array]) -> Array:
    """The products of all blocks, added in float64."""
    first, *others = products
    return sum(others, start=first.astype(np.float64, copy=False))


def squares(values: Array, blocks: Blocks) -> float:
    """‖values‖², Frobenius, every sum in float64."""
    with np.errstate(over="ignore"):
        return sum(blocks.each(len(values), lambda block: _square(values[block])))


def product_norm(left: Batch, right: Batch) -> float:
    """‖L Rᵀ‖, Frobenius, of L / scale and R / scale, by the Gram matrices or by the product itself.

    By the product where that is less work and a Gram matrix is missing.
    """
    (rows, columns), fan_in = left.values.shape, len(right.values)
    by_gram = (left.has_gram and right.has_gram) or rows * fan_in >= (rows + fan_in) * columns
    return _norm_by_gram(left, right) if by_gram else _norm_by_product(left, right)


def _norm_by_product(left: Batch, right: Batch) -> float:
    """By the product, some rows at a time; in float64 where cancellation would lose float32's digits."""
    (a, a_exponent), (b, b_exponent) = _near_one(left), _near_one(right)
    norm = _product_norm(a, b, left.blocks)
    if a.dtype != np.float64:
        whole = math.sqrt(squares(a, left.blocks) * squares(b, right.blocks))
        if not norm > CANCELLED_SINGLE * whole:
            norm = _product_norm(a.astype(np.float64), b.astype(np.float64), left.blocks)
    return float(np.ldexp(norm, a_exponent + b_exponent))


def _near_one(batch: Batch) -> tuple[Array, int]:
    """H / scale over a power of two, so that squares of products stay in the range; and its exponent."""
    size = math.sqrt(batch.mean_square)
    exponent = math.frexp(size)[1] if math.isfinite(size) else 0
    if abs(exponent) <= _NEAR:
        return batch.scaled, 0
    return np.ldexp(batch.scaled, -exponent), exponent


def _product_norm(a: Array, b: Array, blocks: Blocks) -> float:
    tiles = Blocks(len(b), blocks.map_blocks)
    return math.sqrt(sum(tiles.each(len(a), lambda block: _square(a[block] @ b.T))))


def _square(values: Array) -> float:
    flat = values.reshape(-1).astype(np.float64, copy=False)
    return float(flat @ flat)


def _norm_by_gram(left: Batch, right: Batch) -> float:
    """√Σ (LᵀL) ∘ (RᵀR).

    Where the product cancels, the Gram matrices' own rounding is all that is left of the sum. The triangular
    factors of L and R then give the norm to the rounding of L and R themselves.
    """
    square = float(np.sum(left.gram * right.gram))
    if square > CANCELLED * float(left.gram.trace()) * float(right.gram.trace()):
        return math.sqrt(square)
    factors = [np.asarray(np.linalg.qr(each.scaled.astype(np.float64), mode="r")) for each in (left, right)]
    return float(np.linalg.norm(factors[0] @ factors[1].T))


def times(tall: Array, small: Array, blocks: Blocks) -> Array:
    """tall · small in tall's dtype, block by block."""
    factor = small.astype(tall.dtype)
    product = np.empty((tall.shape[0], small.shape[1]), tall.dtype)
    blocks.each(tall.shape[0], lambda block: np.matmul(tall[block], factor, out=product[block]))
    return product


def orthonormal(batch: Batch) -> Basis:
    """H / scale = Q R: Cholesky's R where H is well conditioned, else block Gram–Schmidt in float64.

    The Gram matrix squares the condition number: where inputs are nearly equal, its factor has lost their
    differences. There the leading columns are taken out, and what remains is factored at its own
    scale, again and again, every step done twice (Barlow and Smoktunowicz 2013, "Reorthogonalized block
    classical Gram–Schmidt", arXiv:1108.4209): ‖QᵀQ − 1‖ is a few roundings of the run's dtype, whatever
    H is. A column that lies within rounding of the others, `indistinct`, adds nothing to the rank.
    """
    basis = _by_cholesky(batch)
    if basis is not None:
        return basis
    values = batch.scaled.astype(np.float64)
    q = _by_deflation(values, indistinct(batch.values.dtype))
    return Basis(q.astype(batch.values.dtype), np.eye(q.shape[1]), q.T @ values)


def root(gram: Array) -> Array:
    """K, r × B, with KᵀK = gram, r the numerical rank.

    Eigenvalues that are 0 up to rounding are left out: their roots, 1e-8 of the largest, would matter.
    """
    size = np.sqrt(gram.diagonal())
    live = size > 0
    if live.all():
        return _narrow_root(gram / (size[:, None] * size)) * size
    narrow = root(gram[np.ix_(live, live)])
    factor = np.zeros((len(narrow), len(gram)))
    factor[:, live] = narrow
    return factor


def _narrow_root(correlation: Array) -> Array:
    """The same for a correlation matrix: Cholesky's factor, or the eigenvectors of nonzero eigenvalues."""
    noise = len(correlation) * 2.0**-48
    try:
        factor = np.linalg.cholesky(correlation).T
        if not len(factor) or np.diag(factor).min() ** 2 > noise:
            return factor
    except np.linalg.LinAlgError:
        pass
    values, vectors = np.linalg.eigh(correlation)
    kept = values > noise
    scaled: Array = np.sqrt(values[kept])[:, None] * vectors.T[kept]
    return scaled


def _gram(values: Array, blocks: Blocks) -> Array:
    def product(block: slice) -> Array:
        part = values[block].astype(np.float64, copy=False)
        return part.T @ part

    # Then the values are scaled. On some processors the product subtracts infinities.
    with np.errstate(over="ignore", invalid="ignore"):
        return total(blocks.each(values.shape[0], product))


def indistinct(dtype: np.dtype[Any]) -> float:
    """Distance of a unit column from the span of others below which it counts as lying in it.

    Above the rounding of one layer in the run's dtype, and above the rounding of float64's own projections.
    """
    return max(4 * float(np.finfo(dtype).eps), 64 * float(np.finfo(np.float64).eps))


def _by_cholesky(batch: Batch) -> Basis | None:
    """R from the Gram matrix of the columns scaled to length one, or None where Q would be inaccurate."""
    size = np.sqrt(batch.gram.diagonal())
    if not size.all():
        return None
    try:
        factor = np.linalg.cholesky(batch.gram / (size[:, None] * size)).T
    except np.linalg.LinAlgError:
        return None
    inverse = np.linalg.inv(factor)
    if not np.vdot(inverse, inverse) <= CONDITION_LIMIT:
        return None
    return Basis(batch.scaled, inverse / size[:, None], factor * size)


def _by_deflation(values: Array, indistinct: float) -> Array:
    """An orthonormal basis, N × k, of the columns of ``values`` (float64)."""
    size = np.linalg.norm(values, axis=0)
    rest = values[:, size > 0] / size[size > 0]
    q = np.empty((values.shape[0], 0))
    while q.shape[1] < values.shape[0]:
        rest = rest[:, np.linalg.norm(rest, axis=0) > indistinct]
        if not rest.shape[1]:
            break
        new = rest[:, _leading(rest)]
        for _ in range(2):
            new = _orthonormalised(new - q @ (q.T @ new))
        q = np.hstack([q, new])
        rest = rest - q @ (q.T @ rest)
    return q


def _leading(columns: Array) -> list[int]:
    """Columns that are far from each other's span: pivoted Cholesky of their correlations, stopped early."""
    unit = columns / np.linalg.norm(columns, axis=0)
    correlation = unit.T @ unit
    distance = np.ones(unit.shape[1])
    rows = np.empty((0, unit.shape[1]))
    chosen: list[int] = []
    while len(chosen) < min(unit.shape) and distance.max() > _LEADING:
        pivot = int(np.argmax(distance))
        row = (correlation[pivot] - rows[:, pivot] @ rows) / math.sqrt(distance[pivot])
        rows = np.vstack([rows, row])
        distance = distance - row**2
        distance[pivot] = 0.0
        chosen.append(pivot)
    return chosen


def _orthonormalised(columns: Array) -> Array:
    """Columns · R⁻¹ with R from their Gram matrix; well conditioned by choice of the columns."""
    unit = columns / np.linalg.norm(columns, axis=0)
    product: Array = unit @ np.linalg.inv(np.linalg.cholesky(unit.T @ unit)).T
    return product
