"""Attention among the tokens of one sequence (Vaswani et al. 2017), forward and back.

The scores of a tile of queries are an array, keys × queries, so that sums over keys run down its columns and
are vectorised over the queries; where it is causal, scores of later keys are computed only in the tile on the
diagonal.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from app.core.arithmetic import Array
from app.core.arithmetic.compiled import compiled
from app.core.propagation.block import Workshop
from app.core.propagation.blocks import Blocks

_SCORES = 65_536
"""Scores made at a time: they and their exponentials stay in a core's second-level cache."""

_FEWEST = 32
"""Queries at a time, at least."""

Column: TypeAlias = NDArray[np.float64]


class Attention:
    """Σⱼ pᵢⱼ vⱼ for each token i and head, from 3d × B: queries over keys over values.

    ``attention_entropy`` is reported, the mean of −Σⱼ pᵢⱼ ln pᵢⱼ.
    """

    def __init__(self, heads: int, causal: bool, workshop: Workshop) -> None:
        self._heads = heads
        self._causal = causal
        self._workshop = workshop
        self._left_out: tuple[NDArray[np.bool_], np.floating] | None = None

    def forward(self, h: Array) -> Array:
        """d × B."""
        rows, tokens = h.shape
        self._asked = h.reshape(3, self._heads, rows // (3 * self._heads), tokens)
        self._tiles = self._cut(tokens)
        self._shares: list[list[Array]] = [[] for _ in range(self._heads)]
        answer: Array = np.empty_like(self._asked[0])
        dropped = self._workshop.mask(self._heads * tokens)
        if dropped is not None:
            mask, factor = dropped
            self._left_out = mask.reshape(self._heads, tokens, tokens), h.dtype.type(factor)

        def look(heads: slice) -> float:
            return sum(self._look(head, answer[head]) for head in range(heads.start, heads.stop))

        entropy = sum(self._blocks(rows, tokens).each(self._heads, look))
        self._workshop.report("attention_entropy", entropy / (self._heads * tokens))
        return answer.reshape(-1, tokens)

    def backward(self, gradient: Array) -> Array:
        """3d × B."""
        tokens = gradient.shape[1]
        delta = gradient.reshape(self._asked.shape[1:])
        answer = np.empty_like(self._asked)

        def pull(heads: slice) -> None:
            for head in range(heads.start, heads.stop):
                self._pull(head, delta[head], answer[:, head])

        self._blocks(3 * len(gradient), tokens).each(self._heads, pull)
        return answer.reshape(-1, tokens)

    def _cut(self, tokens: int) -> list[slice]:
        """Tiles of queries that are processed together."""
        step = max(_FEWEST, _SCORES // tokens)
        return [slice(start, min(start + step, tokens)) for start in range(0, tokens, step)]

    def _seen(self, tile: slice) -> int:
        """How many keys, from the first on, the queries of a tile attend to."""
        return tile.stop if self._causal else self._asked.shape[-1]

    def _look(self, head: int, answer: Array) -> float:
        """One head's output, and the sum of its entropies."""
        queries, keys, values = self._asked[:, head]
        scale = queries.dtype.type(1 / math.sqrt(len(values)))
        entropy = 0.0
        for tile in self._tiles:
            seen = self._seen(tile)
            scores = np.ascontiguousarray(keys[:, :seen].T) @ (queries[:, tile] * scale)
            largest, total, along = np.empty(scores.shape[1], scores.dtype), *np.zeros((2, scores.shape[1]))
            _shift(scores, tile.start if self._causal else seen, largest)
            shares = np.exp(scores)
            _add(shares, scores, total, along)
            _divide(shares, total.astype(scores.dtype))
            # −Σ p ln p = ln Σ w − Σ w ln w / Σ w.
            entropy += float(np.sum(np.log(total) - along / total))
            self._shares[head].append(shares)
            np.matmul(values[:, :seen], self._kept(shares, head, tile), out=answer[:, tile])
        return entropy

    def _pull(self, head: int, delta: Array, answer: Array) -> None:
        """One head's gradients of queries, keys and values."""
        queries, keys, values = self._asked[:, head]
        scale = queries.dtype.type(1 / math.sqrt(len(values)))
        answer[1:] = 0
        for tile, shares in zip(self._tiles, self._shares[head], strict=True):
            seen = self._seen(tile)
            own = np.ascontiguousarray(delta[:, tile])
            answer[2, :, :seen] += own @ self._kept(shares, head, tile).T
            pulled = self._kept(np.ascontiguousarray(values[:, :seen].T) @ own, head, tile)
            _through(pulled, shares, np.zeros(pulled.shape[1]), scale)
            np.matmul(keys[:, :seen], pulled, out=answer[0, :, tile])
            answer[1, :, :seen] += queries[:, tile] @ pulled.T

    def _kept(self, shares: Array, head: int, tile: slice) -> Array:
        """The attention weights, with dropout applied where there is any."""
        if self._left_out is None:
            return shares
        mask, factor = self._left_out
        kept: Array = shares * factor
        kept *= mask[head, tile, : len(shares)].T
        return kept

    def _blocks(self, rows: int, tokens: int) -> Blocks:
        """Blocks of heads, by the size of a head's rows and scores."""
        return Blocks((rows // self._heads + tokens) * tokens, self._workshop.blocks.map_blocks)


@compiled("void(f4[:,::1], i8, f4[::1])", "void(f8[:,::1], i8, f8[::1])")
def _shift(scores: Array, first: int, largest: Array) -> None:
    """Subtracts each query's largest score; −∞ for keys after query ``first`` + column."""
    keys, queries = scores.shape
    for query in range(queries):
        largest[query] = -np.inf
    for key in range(keys):
        for query in range(max(0, key - first), queries):
            score = scores[key, query]
            largest[query] = max(largest[query], score)
    for key in range(keys):
        later = min(queries, max(0, key - first))
        for query in range(later):
            scores[key, query] = -np.inf
        for query in range(later, queries):
            scores[key, query] -= largest[query]


@compiled(
    "void(f4[:,::1], f4[:,::1], f8[::1], f8[::1])",
    "void(f8[:,::1], f8[:,::1], f8[::1], f8[::1])",
)
def _add(weights: Array, scores: Array, total: Column, along: Column) -> None:
    """Adds Σ w and Σ w ln w; that is 0 where w is."""
    for key in range(weights.shape[0]):
        for query in range(weights.shape[1]):
            weight = np.float64(weights[key, query])
            total[query] += weight
            along[query] += weight * np.float64(scores[key, query]) if weight != 0 else 0.0


@compiled("void(f4[:,::1], f4[::1])", "void(f8[:,::1], f8[::1])")
def _divide(weights: Array, total: Array) -> None:
    for key in range(weights.shape[0]):
        for query in range(weights.shape[1]):
            weights[key, query] /= total[query]


@compiled(
    "void(f4[:,::1], f4[:,::1], f8[::1], f4)",
    "void(f8[:,::1], f8[:,::1], f8[::1], f8)",
)
def _through(pulled: Array, shares: Array, along: Column, scale: float) -> None:
    """From dL/dp to dL/d(scores): scale · p (dL/dp − Σ p dL/dp)."""
    keys, queries = shares.shape
    for key in range(keys):
        for query in range(queries):
            along[query] += np.float64(pulled[key, query]) * np.float64(shares[key, query])
    for key in range(keys):
        for query in range(queries):
            rest = np.float64(pulled[key, query]) - along[query]
            pulled[key, query] = rest * shares[key, query] * scale
