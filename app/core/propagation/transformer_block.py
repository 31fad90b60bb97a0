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

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Self

from app.core.errors import InvalidValue
from app.core.propagation.attention import Attention
from app.core.propagation.block import Load, Part, Scale, Where, Workshop, inner_width, refuse, scale_of
from app.core.propagation.block_parts import Chain
from app.core.propagation.layer import Layer, Matrix
from app.core.propagation.layout import Entry, Layout, Shape, linear, norm

_QUERY, _OUTPUT, _INNER, _OUTER = "query", "output", "mlp_1", "mlp_2"

_DECODER = (
    "a decoder's layers look at another sequence too (multihead_attn, crossattention), and a block has one "
    "attention: send the layers of an encoder, or of a decoder without the other sequence (GPT-2's)"
)
_STACKED = Entry(_QUERY, "bias", ("self_attn.in_proj_bias",))

LAYOUTS = (
    Layout(
        "torch.nn.TransformerEncoderLayer",
        (
            Entry(_QUERY, "weight", ("self_attn.in_proj_weight",), required=True),
            _STACKED,
            *linear(_OUTPUT, "self_attn.out_proj"),
            *linear(_INNER, "linear1"),
            *linear(_OUTER, "linear2"),
            *norm("norm1", "norm1", required=True),
            *norm("norm2", "norm2", required=True),
        ),
        refused={"multihead_attn.in_proj_weight": _DECODER, "multihead_attn.q_proj_weight": _DECODER},
        counted=True,
    ),
    Layout(
        "GPT-2",
        (
            *linear(_QUERY, "attn.c_attn"),
            *linear(_OUTPUT, "attn.c_proj"),
            *linear(_INNER, "mlp.c_fc"),
            *linear(_OUTER, "mlp.c_proj"),
            *norm("norm1", "ln_1", required=True),
            *norm("norm2", "ln_2", required=True),
        ),
        refused={"crossattention.c_attn.weight": _DECODER},
        ignored=frozenset({"attn.bias", "attn.masked_bias"}),
        either_way=True,
        counted=True,
    ),
)
"""GPT-2's matrices are inputs × outputs in OpenAI's and transformers' files (``Conv1D``), others' are not."""

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
    layouts: ClassVar[tuple[Layout, ...]] = LAYOUTS

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
        """As `Block.shapes`: queries, keys and values are maps of the same tokens."""
        hidden = self._hidden(width)
        return (
            Matrix((_QUERY, "key", "value"), Layer(width, width, 3)),
            Matrix((_OUTPUT,), Layer(width, width, 1)),
            Matrix((_INNER,), Layer(width, hidden, pieces)),
            Matrix((_OUTER,), Layer(hidden, width, 1)),
        )

    def norms(self, width: int) -> tuple[tuple[str, int], ...]:
        """As `Block.norms`."""
        return () if self.norm is None else (("norm1", width), ("norm2", width))

    def fitted(self, shapes: Mapping[str, Shape], pieces: int) -> tuple[Self, int]:
        """As `Block.fitted`: the ratio is the weights'."""
        if len(shapes[_QUERY]) != 2 or shapes[_QUERY][0] != 3 * shapes[_QUERY][1]:
            refuse("queries, keys and values are one matrix of the width, and three times as many outputs")
        width, hidden = shapes[_QUERY][1], shapes[_INNER][0] if shapes[_INNER] else 0
        if not width or not hidden or hidden % pieces:
            refuse(
                f"the first matrix of the MLP must have a multiple of {pieces} outputs, and none may be empty"
            )
        ratio = hidden // pieces / width
        made = self if self._hidden(width) == hidden // pieces else replace(self, mlp_ratio=ratio)
        made.check(width)
        return made, width

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
        return inner_width(self.mlp_ratio, width)
