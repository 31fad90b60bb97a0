"""Transformer blocks: attention among the tokens, then a network for each token (Vaswani et al. 2017).

    pre     h ← h + branch · att(n(h)),  then  h ← h + branch · mlp(n(h))
    post    h ← n(h + branch · att(h)),  then  h ← n(h + branch · mlp(h))
    null    the same without n

att(u): queries, keys and values of each head are d/heads rows of W_Q u, W_K u, W_V u; token i takes Σⱼ pᵢⱼ vⱼ
with p the softmax over the keys of qᵢ·kⱼ / √(d/heads), keys after i left out where it is causal; W_O on top.
mlp(u) = W₂ φ(W₁ u) with mlp_ratio · d units. Dropout is where `torch.nn.TransformerEncoderLayer` has it: of
the shares p, after φ and at the end of both branches (alpha dropout after φ alone). The batch's columns are
the tokens of one sequence, so that ``correlation`` is that of the tokens: 1 is the rank collapse of Dong,
Cordonnier and Loukas 2021 (arXiv:2103.03404).
``attention_entropy`` is the mean of −Σⱼ pᵢⱼ ln pᵢⱼ over heads and tokens.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from app.core.arithmetic import Array
from app.core.errors import InvalidValue
from app.core.propagation.block import Load, Part, Scale, Where, Workshop, scale_of
from app.core.propagation.block_parts import Chain
from app.core.propagation.blocks import Blocks
from app.core.propagation.layer import Layer, Matrix

_QUERY, _OUTPUT, _INNER, _OUTER = "query", "output", "mlp_1", "mlp_2"

_FLOPS_PER_SCORE = 60
"""A softmax forward and back, for each pair of tokens in each head (measured: 1 ns of a core)."""


@dataclass(frozen=True, kw_only=True)
class TransformerBlock:
    """``heads`` that divide the width; the factor of both branches."""

    heads: int = 8
    mlp_ratio: float = 4.0
    norm: Where | None = "pre"
    causal: bool = True
    branch: Scale = 1.0
    kind: ClassVar[str] = "transformer"
    figures: ClassVar[tuple[str, ...]] = ("attention_entropy",)

    @property
    def passes(self) -> bool:
        """As `Block.passes`."""
        return self.norm != "post"

    def check(self, width: int) -> None:
        """As `Block.check`."""
        if width % self.heads:
            raise InvalidValue(f"must divide the width, {width:,}", loc=("block", "heads"))
        if not self.mlp_ratio * width >= 1:
            raise InvalidValue("must leave one unit or more", loc=("block", "mlp_ratio"))

    def shapes(self, width: int, pieces: int) -> tuple[Matrix, ...]:
        """As `Block.shapes`: queries, keys and values are asked about the same tokens."""
        hidden = self._hidden(width)
        return (
            Matrix((_QUERY, "key", "value"), Layer(width, width, 3)),
            Matrix((_OUTPUT,), Layer(width, width, 1)),
            Matrix((_INNER,), Layer(width, hidden, pieces)),
            Matrix((_OUTER,), Layer(hidden, width, 1)),
        )

    def load(self, width: int, batch: int, pieces: int) -> Load:
        """As `Block.load`: scores; kept are queries, keys, values, shares, slopes and normalised values."""
        pairs = float(self.heads * batch**2)
        return Load(
            12.0 * width * batch**2 + _FLOPS_PER_SCORE * pairs,
            (5.0 * width + pieces * self._hidden(width)) * batch + 1.25 * pairs,
        )

    def build(self, workshop: Workshop) -> Part:
        """As `Block.build`."""
        width = workshop.width
        attention = Chain(
            [
                workshop.linear(_QUERY),
                Attention(self.heads, self.causal, workshop),
                workshop.linear(_OUTPUT),
            ]
        )
        mlp = Chain(
            [
                workshop.linear(_INNER),
                workshop.activation(self._hidden(width)),
                workshop.linear(_OUTER),
            ]
        )
        scale = scale_of(self.branch, 2 * workshop.depth)
        ends = (workshop.dropout(), workshop.dropout())
        branches = [
            Chain([each, end] if end else [each]) for each, end in zip((attention, mlp), ends, strict=True)
        ]
        return Chain([workshop.branched(each, self.norm, 1.0, scale) for each in branches])

    def _hidden(self, width: int) -> int:
        return int(self.mlp_ratio * width)


class Attention:
    """Σⱼ pᵢⱼ vⱼ for each token i and head, from 3d × B: queries over keys over values."""

    def __init__(self, heads: int, causal: bool, workshop: Workshop) -> None:
        self._heads = heads
        self._causal = causal
        self._workshop = workshop
        self._left_out: tuple[NDArray[np.bool_], np.floating[Any]] | None = None

    def forward(self, h: Array) -> Array:
        """d × B."""
        rows, tokens = h.shape
        self._asked = h.reshape(3, self._heads, rows // (3 * self._heads), tokens)
        queries, keys, values = self._asked
        self._shares = np.empty((self._heads, tokens, tokens), h.dtype)
        answer = np.empty_like(values)
        later = np.triu(np.ones((tokens, tokens), bool), 1) if self._causal else None
        scale = h.dtype.type(1 / math.sqrt(values.shape[1]))
        dropped = self._workshop.mask(self._heads * tokens)
        if dropped is not None:
            mask, factor = dropped
            self._left_out = mask.reshape(self._shares.shape), h.dtype.type(factor)

        def look(heads: slice) -> float:
            shares = self._shares[heads]
            np.matmul(queries[heads].transpose(0, 2, 1) * scale, keys[heads], out=shares)
            if later is not None:
                shares[:, later] = -np.inf
            entropy = _softmax(shares)
            np.matmul(values[heads], self._kept(shares, heads).transpose(0, 2, 1), out=answer[heads])
            return entropy

        entropy = sum(self._blocks(rows, tokens).each(self._heads, look))
        self._workshop.report("attention_entropy", entropy / (self._heads * tokens))
        return answer.reshape(-1, tokens)

    def backward(self, gradient: Array) -> Array:
        """3d × B."""
        queries, keys, values = self._asked
        delta = gradient.reshape(values.shape)
        answer = np.empty_like(self._asked)
        tokens = gradient.shape[1]
        scale = gradient.dtype.type(1 / math.sqrt(values.shape[1]))

        def pull(heads: slice) -> None:
            shares = self._shares[heads]
            np.matmul(delta[heads], self._kept(shares, heads), out=answer[2, heads])
            pulled = self._kept(delta[heads].transpose(0, 2, 1) @ values[heads], heads)
            pulled -= np.einsum("hij,hij->hi", pulled, shares)[:, :, None]
            pulled *= shares
            pulled *= scale
            np.matmul(keys[heads], pulled.transpose(0, 2, 1), out=answer[0, heads])
            np.matmul(queries[heads], pulled, out=answer[1, heads])

        self._blocks(3 * len(gradient), tokens).each(self._heads, pull)
        return answer.reshape(-1, tokens)

    def _kept(self, shares: Array, heads: slice) -> Array:
        """The same with some left out, where there is dropout."""
        if self._left_out is None:
            return shares
        mask, factor = self._left_out
        kept: Array = shares * factor
        kept *= mask[heads]
        return kept

    def _blocks(self, rows: int, tokens: int) -> Blocks:
        """Blocks of heads: what one has to do with are its rows and its scores."""
        return Blocks((rows // self._heads + tokens) * tokens, self._workshop.blocks.map_blocks)


def _softmax(scores: Array) -> float:
    """Over the last axis, in place; returns Σ −p ln p, all of them together."""
    scores -= scores.max(axis=-1, keepdims=True)
    weights = np.exp(scores)
    total = weights.sum(axis=-1, keepdims=True, dtype=np.float64)
    # −Σ p ln p = ln Σ w − Σ w ln w / Σ w, and w ln w is 0 where a key is left out.
    scores[weights == 0] = 0
    along = np.einsum("hij,hij->hi", weights, scores, dtype=np.float64)
    entropy = float(np.sum(np.log(total[..., 0]) - along / total[..., 0]))
    np.divide(weights, total, out=scores, casting="same_kind")
    return entropy
