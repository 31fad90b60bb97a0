"""Attention among the tokens of one sequence, or to those of another (Vaswani et al. 2017), and back.

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
from app.core.propagation.block import MemoryMap, Part, Workshop
from app.core.propagation.blocks import Blocks

_SCORES = 65_536
"""Scores made at a time: they and their exponentials stay in a core's second-level cache."""

_FEWEST = 32
"""Queries at a time, at least."""

Column: TypeAlias = NDArray[np.float64]


class Attention:
    """Σⱼ pᵢⱼ vⱼ for each token i and head. ``figure`` is reported, the mean of −Σⱼ pᵢⱼ ln pᵢⱼ."""

    def __init__(self, heads: int, causal: bool, workshop: Workshop, figure: str) -> None:
        self._heads = heads
        self._causal = causal
        self._workshop = workshop
        self._figure = figure
        self._left_out: tuple[NDArray[np.bool_], np.floating] | None = None

    def forward(self, queries: Array, keys: Array, values: Array) -> Array:
        """d × T, from queries d × T, keys and values d × S."""
        self._inputs = tuple(self._by_head(each) for each in (queries, keys, values))
        (width, tokens), others = queries.shape, keys.shape[1]
        self._tiles = self._cut(tokens, others)
        self._shares: list[list[Array]] = [[] for _ in range(self._heads)]
        answer: Array = np.empty_like(self._inputs[0])
        dropped = self._workshop.mask(self._heads * others)
        if dropped is not None:
            mask, factor = dropped
            self._left_out = mask.reshape(self._heads, others, tokens), queries.dtype.type(factor)

        def attend(heads: slice) -> float:
            return sum(self._attend(head, answer[head]) for head in range(heads.start, heads.stop))

        entropy = sum(self._blocks(width).each(self._heads, attend))
        self._workshop.report(self._figure, entropy / (self._heads * tokens))
        return answer.reshape(-1, tokens)

    def backward(self, gradient: Array, queries: Array, keys: Array, values: Array) -> None:
        """Writes the gradients of queries, keys and values into these arrays."""
        delta = self._by_head(gradient)
        answers = [self._by_head(each) for each in (queries, keys, values)]

        def pull(heads: slice) -> None:
            for head in range(heads.start, heads.stop):
                self._pull(head, delta[head], *(each[head] for each in answers))

        self._blocks(len(gradient)).each(self._heads, pull)

    def _by_head(self, rows: Array) -> Array:
        return rows.reshape(self._heads, -1, rows.shape[1])

    def _cut(self, tokens: int, others: int) -> list[slice]:
        """Tiles of queries that are processed together."""
        step = max(_FEWEST, _SCORES // others)
        return [slice(start, min(start + step, tokens)) for start in range(0, tokens, step)]

    def _seen(self, tile: slice) -> int:
        """How many keys, from the first on, the queries of a tile attend to."""
        return tile.stop if self._causal else int(self._inputs[1].shape[-1])

    def _attend(self, head: int, answer: Array) -> float:
        """One head's output, and the sum of its entropies."""
        queries, keys, values = (each[head] for each in self._inputs)
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

    def _pull(self, head: int, delta: Array, queries_: Array, keys_: Array, values_: Array) -> None:
        """One head's gradients."""
        queries, keys, values = (each[head] for each in self._inputs)
        scale = queries.dtype.type(1 / math.sqrt(len(values)))
        keys_[:] = values_[:] = 0
        for tile, shares in zip(self._tiles, self._shares[head], strict=True):
            seen = self._seen(tile)
            own = np.ascontiguousarray(delta[:, tile])
            values_[:, :seen] += own @ self._kept(shares, head, tile).T
            pulled = self._kept(np.ascontiguousarray(values[:, :seen].T) @ own, head, tile)
            _through(pulled, shares, np.zeros(pulled.shape[1]), scale)
            np.matmul(keys[:, :seen], pulled, out=queries_[:, tile])
            keys_[:, :seen] += queries[:, tile] @ pulled.T

    def _kept(self, shares: Array, head: int, tile: slice) -> Array:
        """The attention weights, with dropout applied where there is any."""
        if self._left_out is None:
            return shares
        mask, factor = self._left_out
        kept: Array = shares * factor
        kept *= mask[head, : len(shares), tile]
        return kept

    def _blocks(self, width: int) -> Blocks:
        """Blocks of heads, by the size of a head's rows and scores."""
        tokens, others = (each.shape[-1] for each in self._inputs[:2])
        return Blocks((3 * width // self._heads + others) * tokens, self._workshop.blocks.map_blocks)


class SelfAttention:
    """Attention of tokens to each other, from 3d × B: queries over keys over values."""

    def __init__(self, attention: Attention) -> None:
        self._attention = attention

    def forward(self, h: Array) -> Array:
        """d × B."""
        return self._attention.forward(*np.split(h, 3))

    def backward(self, gradient: Array) -> Array:
        """3d × B."""
        answer: Array = np.empty((3, *gradient.shape), gradient.dtype)
        self._attention.backward(gradient, *answer)
        return answer.reshape(-1, gradient.shape[1])


class CrossAttention:
    """Attention of tokens, d × B, to those of another sequence, whose keys lie over its values."""

    def __init__(self, queries: Part, memory: MemoryMap, attention: Attention) -> None:
        self._queries = queries
        self._memory = memory
        self._attention = attention

    def forward(self, h: Array) -> Array:
        """d × B."""
        queries = self._queries.forward(h)
        return self._attention.forward(queries, *np.split(self._memory.forward(), 2))

    def backward(self, gradient: Array) -> Array:
        """d × B; the gradient of the other sequence ends at its keys and values."""
        queries: Array = np.empty_like(gradient)
        others: Array = np.empty((2, len(gradient), self._memory.tokens), gradient.dtype)
        self._attention.backward(gradient, queries, *others)
        self._memory.backward(others.reshape(-1, self._memory.tokens))
        return self._queries.backward(queries)


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
