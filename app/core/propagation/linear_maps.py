"""Weight matrices as a network uses them: ``forward(h) = W h``, then ``backward(δ) = Wᵀ δ``.

`Dense` holds W. The deferred maps never make it: for a Gaussian or Haar distributed W both products can be
drawn exactly, with O(N B²) work and O(N B) memory. The idea is Bolthausen's conditioning (2014, "An iterative
construction of solutions of the TAP equations", arXiv:1201.2891); as an algorithm for one matrix it is Lu's
"Householder Dice" (2021, arXiv:2101.07464). h is fan_in × B, δ is fan_out × B.

Let H = Q R with orthonormal Q. The forward product reveals Y = W Q and nothing else of W; the backward one is
drawn from the distribution of W given Y. Together they are therefore distributed as the products with one
matrix W, whatever happens in between (normalisation, residual branches, a δ that depends on the first).
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from app.core.arithmetic import Array
from app.core.propagation.blocks import Blocks
from app.core.propagation.streams import Stream
from app.core.propagation.tall import Basis, Batch, cross, largest, orthonormal, root, times, total

_FORWARD, _BACKWARD = range(2)


class LinearMap(Protocol):
    """A weight matrix that is applied once forward, then once backward."""

    def forward(self, h: Batch) -> Array:
        """W h, fan_out × B."""

    def backward(self, delta: Batch) -> Array:
        """Wᵀ δ, fan_in × B."""


class Dense:
    """An explicit matrix: the caller's own, or drawn by an initialiser."""

    def __init__(self, weights: Array, blocks: Blocks) -> None:
        self.weights = weights
        self._rows = Blocks(weights.shape[1], blocks.map_blocks)
        self._columns = Blocks(weights.shape[0], blocks.map_blocks)

    def forward(self, h: Batch) -> Array:
        """W h, by rows of W."""
        answer = np.empty((self.weights.shape[0], h.values.shape[1]), h.values.dtype)
        self._rows.each(
            len(answer), lambda block: np.matmul(self.weights[block], h.scaled, out=answer[block])
        )
        return h.restored(answer)

    def backward(self, delta: Batch) -> Array:
        """Wᵀ δ, by columns of W."""
        answer = np.empty((self.weights.shape[1], delta.values.shape[1]), delta.values.dtype)
        self._columns.each(
            len(answer), lambda block: np.matmul(self.weights[:, block].T, delta.values, out=answer[block])
        )
        return answer


class DeferredGaussian:
    """W with independent N(0, σ²) entries, never made.

    Forward: Y = σ G with G standard normal, fan_out × k, and W h = Y R.
    Backward: W = Y Qᵀ + W̃ (1 − Q Qᵀ) with W̃ an independent copy of W. Of W̃ only W̃ᵀ δ is needed, and that is
    σ V K with V standard normal, fan_in × r, and KᵀK = δᵀδ. So Wᵀ δ = σ (V K + Q (Gᵀ δ − Qᵀ V K)).
    """

    def __init__(self, fan_in: int, fan_out: int, std: float, stream: Stream) -> None:
        self._fan_in = fan_in
        self._fan_out = fan_out
        self._std = std
        self._stream = stream

    def forward(self, h: Batch) -> Array:
        """Y R."""
        self._basis = orthonormal(h)
        dtype = h.values.dtype
        self._drawn = np.empty((self._fan_out, self._basis.rank), dtype)
        answer = np.empty((self._fan_out, h.values.shape[1]), dtype)
        factor = (self._std * self._basis.r).astype(dtype)
        stream = self._stream.at(_FORWARD)

        def draw(block: slice) -> None:
            np.matmul(stream.fill(self._drawn, block), factor, out=answer[block])

        h.blocks.each(self._fan_out, draw)
        return h.restored(answer)

    def backward(self, delta: Batch) -> Array:
        """σ (V K + Q (Gᵀ δ − Qᵀ V K))."""
        factor = root(delta.gram) * delta.scale
        fresh, inside = _fresh(self._stream.at(_BACKWARD), self._basis, len(factor), delta.blocks)
        inside = inside @ factor
        along = cross(self._drawn, delta.values, delta.blocks) - inside
        return _assembled(self._basis, self._std * along, fresh, self._std * factor, delta.blocks)


class DeferredOrthogonal:
    """W = gain · O with O uniform among the N × N orthogonal matrices (Haar), never made; needs 2B ≤ N.

    A uniform N × k frame is G T for standard normal G with T⁻¹ the Cholesky factor of GᵀG.
    Forward: O Q = U, a uniform frame, and O h = U R.
    Backward: δ = U A + P S with A = Uᵀ δ, and P orthonormal and orthogonal to U, so SᵀS = δᵀδ − AᵀA. O maps
    the complement of Q uniformly onto that of U: Oᵀ δ = Q A + V S with V a uniform frame orthogonal to Q.
    """

    def __init__(self, size: int, gain: float, stream: Stream) -> None:
        self._size = size
        self._gain = gain
        self._stream = stream

    def forward(self, h: Batch) -> Array:
        """U R."""
        self._basis = orthonormal(h)
        columns = Blocks(self._basis.rank, h.blocks.map_blocks)
        self._drawn = self._stream.at(_FORWARD).normals(self._size, columns, h.values.dtype)
        self._frame = _whitening(Batch(self._drawn, h.blocks).gram)
        return h.restored(times(self._drawn, self._gain * self._frame @ self._basis.r, h.blocks))

    def backward(self, delta: Batch) -> Array:
        """Q A + V S."""
        along = self._frame.T @ cross(self._drawn, delta.values, delta.blocks)
        scaled = along / delta.scale
        beyond = root(delta.gram - scaled.T @ scaled) * delta.scale
        fresh, inside = _fresh(self._stream.at(_BACKWARD), self._basis, len(beyond), delta.blocks)
        factor = _whitening(Batch(fresh, delta.blocks).gram - inside.T @ inside) @ beyond
        rest = self._gain * (along - inside @ factor)
        return _assembled(self._basis, rest, fresh, self._gain * factor, delta.blocks)


class Interleaved:
    """Several independent maps of one input, their outputs interleaved: row u·k + p is output u of map p."""

    def __init__(self, maps: list[LinearMap]) -> None:
        self._maps = maps

    def forward(self, h: Batch) -> Array:
        """The rows of W₁ h, …, W_k h, in turn."""
        answers = [each.forward(h) for each in self._maps]
        return np.stack(answers, axis=1).reshape(-1, h.values.shape[1])

    def backward(self, delta: Batch) -> Array:
        """W₁ᵀ δ₁ + … + W_kᵀ δ_k."""
        pieces = len(self._maps)
        parts = (
            Batch(np.ascontiguousarray(delta.values[place::pieces]), delta.blocks, gram_needed=delta.has_gram)
            for place in range(pieces)
        )
        answers = [each.backward(part) for each, part in zip(self._maps, parts, strict=True)]
        total: Array = np.add.reduce(answers)
        return total


class Stacked:
    """Several independent maps of one input, their outputs one below the other."""

    def __init__(self, maps: list[LinearMap]) -> None:
        self._maps = maps

    def forward(self, h: Batch) -> Array:
        """W₁ h over W₂ h over … ."""
        return np.concatenate([each.forward(h) for each in self._maps])

    def backward(self, delta: Batch) -> Array:
        """W₁ᵀ δ₁ + … + W_kᵀ δ_k."""
        parts = np.split(delta.values, len(self._maps))
        answers = [
            each.backward(Batch(part, delta.blocks, gram_needed=delta.has_gram))
            for each, part in zip(self._maps, parts, strict=True)
        ]
        total: Array = np.add.reduce(answers)
        return total


class UnitVariance:
    """W / s, s the standard deviation of W h over units and batch: layer-sequential unit variance.

    Source: Mishkin and Matas 2016, "All you need is a good init", arXiv:1511.06422. A constant W h is not
    scaled.
    """

    def __init__(self, weights: LinearMap) -> None:
        self._weights = weights
        self._factor = 1.0

    def forward(self, h: Batch) -> Array:
        """W h / s."""
        answer = self._weights.forward(h)
        size = largest(answer)
        if 0 < size < np.inf:
            deviation = size * float(np.std(answer / answer.dtype.type(size), dtype=np.float64))
            self._factor = 1 / deviation if deviation > 0 else 1.0
        answer *= answer.dtype.type(self._factor)
        return answer

    def backward(self, delta: Batch) -> Array:
        """Wᵀ δ / s."""
        answer = self._weights.backward(delta)
        answer *= answer.dtype.type(self._factor)
        return answer


def _fresh(stream: Stream, basis: Basis, columns: int, blocks: Blocks) -> tuple[Array, Array]:
    """V, fan_in × ``columns`` standard normals, and Qᵀ V."""
    fresh = np.empty((len(basis.tall), columns), basis.tall.dtype)

    def draw(block: slice) -> Array:
        return basis.tall[block].T @ stream.fill(fresh, block)

    return fresh, basis.small.T @ total(Blocks(columns, blocks.map_blocks).each(len(fresh), draw))


def _whitening(gram: Array) -> Array:
    """T with (G T)ᵀ (G T) = 1 for GᵀG = ``gram``; T⁻¹ upper triangular with a positive diagonal."""
    return np.linalg.inv(np.linalg.cholesky(gram)).T


def _assembled(basis: Basis, along: Array, fresh: Array, factor: Array, blocks: Blocks) -> Array:
    """Q · along + fresh · factor."""
    answer = np.empty((len(fresh), factor.shape[1]), fresh.dtype)
    inner, outer = (basis.small @ along).astype(answer.dtype), factor.astype(answer.dtype)

    def add(block: slice) -> None:
        part = answer[block]
        np.matmul(fresh[block], outer, out=part)
        part += basis.tall[block] @ inner

    blocks.each(len(answer), add)
    return answer
