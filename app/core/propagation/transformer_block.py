"""Transformer blocks: attention among the tokens, then a network for each token (Vaswani et al. 2017).

    pre     h ← h + branch · att(n(h)),  then  h ← h + branch · mlp(n(h))
    post    h ← n(h + branch · att(h)),  then  h ← n(h + branch · mlp(h))
    null    the same without n

With ``cross_attention`` there is a third branch between these two, h + branch · att(n(h), m): its queries are
those of the tokens, its keys and values W_K m, W_V m of another sequence, the memory m, all of which every
token sees (`torch.nn.TransformerDecoderLayer`). Without a memory of its own it is the network's inputs. m is
constant: its gradient enters no figure.

att(u): queries, keys and values of each head are d/heads rows of W_Q u, W_K u, W_V u; token i takes Σⱼ pᵢⱼ vⱼ
with p the softmax over the keys of qᵢ·kⱼ / √(d/heads), keys after i left out where it is causal; W_O on top.
mlp(u) = W₂ φ(W₁ u) with mlp_ratio · d units. Dropout is where `torch.nn.TransformerEncoderLayer` has it: of
the shares p, after φ and at the end of both branches (alpha dropout after φ alone). The batch's columns are
the tokens of one sequence, so that ``correlation`` is that of the tokens: 1 is the rank collapse of Dong,
Cordonnier and Loukas 2021 (arXiv:2103.03404).
``attention_entropy`` is the mean of −Σⱼ pᵢⱼ ln pᵢⱼ over heads and tokens, ``cross_attention_entropy`` that
of the second attention.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import numpy as np

from app.core.arithmetic import Array
from app.core.errors import InvalidValue
from app.core.propagation.attention import Attention, CrossAttention, SelfAttention
from app.core.propagation.block import Load, Part, Scale, Where, Workshop, inner_width, refuse, scale_of
from app.core.propagation.block_parts import Chain
from app.core.propagation.layer import Layer, Matrix
from app.core.propagation.layout import Entry, Layout, Shape, linear, norm

_QUERY, _OUTPUT, _INNER, _OUTER = "query", "output", "mlp_1", "mlp_2"
_CROSS_QUERY, _CROSS_KEY, _CROSS_VALUE, _CROSS_OUTPUT = (
    f"cross_{each}" for each in ("query", "key", "value", "output")
)

_SECOND = (
    ".multihead_attn.in_proj_weight",
    ".multihead_attn.q_proj_weight",
    ".crossattention.c_attn.weight",
    ".crossattention.q_attn.weight",
)
"""Suffixes of names that show that there is a second attention."""

_ENDS = (*linear(_OUTPUT, "self_attn.out_proj"), *linear(_INNER, "linear1"), *linear(_OUTER, "linear2"))
_ATTENTION = (
    Entry(_QUERY, "weight", ("self_attn.in_proj_weight",), required=True),
    Entry(_QUERY, "bias", ("self_attn.in_proj_bias",)),
    *_ENDS,
    *norm("norm1", "norm1", required=True),
    *norm("norm2", "norm2", required=True),
)

_CROSS_KEY_AND_VALUE = _CROSS_KEY, _CROSS_VALUE
_JOINT_WEIGHTS = Entry(_CROSS_QUERY, "weight", ("multihead_attn.in_proj_weight",), below=_CROSS_KEY_AND_VALUE)
_SEPARATE_WEIGHTS = tuple(
    Entry(f"cross_{name}", "weight", (f"multihead_attn.{name[0]}_proj_weight",))
    for name in ("query", "key", "value")
)

_DECODER = Layout(
    "torch.nn.TransformerDecoderLayer",
    (
        *_ATTENTION,
        _JOINT_WEIGHTS,
        *_SEPARATE_WEIGHTS,
        Entry(_CROSS_QUERY, "bias", ("multihead_attn.in_proj_bias",), below=_CROSS_KEY_AND_VALUE),
        *linear(_CROSS_OUTPUT, "multihead_attn.out_proj"),
        *norm("norm3", "norm3", required=True),
    ),
    either=((_JOINT_WEIGHTS,), _SEPARATE_WEIGHTS),
    counted=True,
)
"""Keys and values of another width than the queries have matrices of their own (kdim and vdim)."""

_GPT_2 = (
    *linear(_QUERY, "attn.c_attn"),
    *linear(_OUTPUT, "attn.c_proj"),
    *linear(_INNER, "mlp.c_fc"),
    *linear(_OUTER, "mlp.c_proj"),
    *norm("norm1", "ln_1", required=True),
)
_BUFFERS = frozenset({"attn.bias", "attn.masked_bias"})

_GPT_2_DECODER = Layout(
    "GPT-2 with crossattention",
    (
        *_GPT_2,
        *linear(_CROSS_QUERY, "crossattention.q_attn"),
        Entry(_CROSS_KEY, "weight", ("crossattention.c_attn.weight",), required=True, below=(_CROSS_VALUE,)),
        Entry(_CROSS_KEY, "bias", ("crossattention.c_attn.bias",), below=(_CROSS_VALUE,)),
        *linear(_CROSS_OUTPUT, "crossattention.c_proj"),
        *norm("norm2", "ln_cross_attn", required=True),
        *norm("norm3", "ln_2", required=True),
    ),
    ignored=_BUFFERS | {"crossattention.bias", "crossattention.masked_bias"},
    either_way=True,
    counted=True,
)

LAYOUTS = (
    Layout("torch.nn.TransformerEncoderLayer", _ATTENTION, counted=True),
    Layout(
        "GPT-2",
        (*_GPT_2, *norm("norm2", "ln_2", required=True)),
        ignored=_BUFFERS,
        either_way=True,
        counted=True,
    ),
)
"""GPT-2's matrices are inputs × outputs in OpenAI's and transformers' files (``Conv1D``), others' are not."""

_ENTROPY, _CROSS_ENTROPY = "attention_entropy", "cross_attention_entropy"

_FLOPS_PER_SCORE = 60
"""A softmax forward and back, for each pair of tokens in each head (measured: 1 ns of a core)."""


@dataclass(frozen=True, kw_only=True)
class TransformerBlock:
    """``heads`` that divide the width; the factor of all branches; ``memory`` is tokens × ``memory_width``.

    None means the block's width; weights may have another (kdim and vdim of `torch.nn.MultiheadAttention`).
    """

    heads: int = 8
    mlp_ratio: float = 4.0
    norm: Where | None = "pre"
    causal: bool = True
    branch: Scale = 1.0
    cross_attention: bool = False
    memory: Array | None = field(default=None, compare=False)
    memory_width: int | None = None
    kind: ClassVar[str] = "transformer"

    @property
    def figures(self) -> tuple[str, ...]:
        """As `Block.figures`."""
        return (_ENTROPY, _CROSS_ENTROPY) if self.cross_attention else (_ENTROPY,)

    @property
    def layouts(self) -> tuple[Layout, ...]:
        """As `Block.layouts`."""
        return (_DECODER, _GPT_2_DECODER) if self.cross_attention else LAYOUTS

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
        if self.memory is not None:
            self._check_memory(self.memory, self.memory_width or width)
        elif (self.memory_width or width) != width:
            message = (
                f"must be given, tokens × {self.memory_width:,}, as wide as the weights' keys and values"
            )
            raise InvalidValue(message, loc=("memory",))

    def shapes(self, width: int, pieces: int) -> tuple[Matrix, ...]:
        """As `Block.shapes`: queries, keys and values are maps of the same tokens."""
        hidden = self._hidden(width)
        tokens = None if self.memory is None else len(self.memory)
        cross = (
            Matrix((_CROSS_QUERY,), Layer(width, width, 1)),
            Matrix(_CROSS_KEY_AND_VALUE, Layer(self.memory_width or width, width, 2), tokens),
            Matrix((_CROSS_OUTPUT,), Layer(width, width, 1)),
        )
        return (
            Matrix((_QUERY, "key", "value"), Layer(width, width, 3)),
            Matrix((_OUTPUT,), Layer(width, width, 1)),
            *(cross if self.cross_attention else ()),
            Matrix((_INNER,), Layer(width, hidden, pieces)),
            Matrix((_OUTER,), Layer(hidden, width, 1)),
        )

    def norms(self, width: int) -> tuple[tuple[str, int], ...]:
        """As `Block.norms`."""
        return (
            () if self.norm is None else tuple((f"norm{place + 1}", width) for place in range(self._branches))
        )

    def infer_from_names(self, names: Iterable[str]) -> Self:
        """As `Block.infer_from_names`: whether there is a second attention."""
        return replace(self, cross_attention=any(f".{each}".endswith(_SECOND) for each in names))

    def fitted(self, shapes: Mapping[str, Shape], pieces: int) -> tuple[Self, int]:
        """As `Block.fitted`: the weights determine the ratio."""
        if len(shapes[_QUERY]) != 2 or shapes[_QUERY][0] != 3 * shapes[_QUERY][1]:
            refuse("queries, keys and values are one matrix of the width, and three times as many outputs")
        width, hidden = shapes[_QUERY][1], shapes[_INNER][0] if shapes[_INNER] else 0
        if not width or not hidden or hidden % pieces:
            refuse(
                f"the first matrix of the MLP must have a multiple of {pieces} outputs, and none may be empty"
            )
        ratio = hidden // pieces / width
        made = self if self._hidden(width) == hidden // pieces else replace(self, mlp_ratio=ratio)
        others = {shapes[each][-1] for each in _CROSS_KEY_AND_VALUE if shapes.get(each)}
        if len(others) > 1:
            refuse("keys and values of the second attention must have as many inputs: they see one memory")
        if others - {width}:
            made = replace(made, memory_width=others.pop())
        made.check(width)
        return made, width

    def load(self, width: int, batch: int, pieces: int) -> Load:
        """As `Block.load`: scores; kept are queries, keys, values, shares, slopes and normalised values."""
        others = 0 if not self.cross_attention else batch if self.memory is None else len(self.memory)
        pairs = float(batch * (batch + others))
        return Load(
            (12.0 * width + _FLOPS_PER_SCORE * self.heads) * pairs,
            (5.0 * width + pieces * self._hidden(width)) * batch
            + (2.0 * width * (batch + others) if others else 0.0)
            + 1.25 * self.heads * pairs,
        )

    def build(self, workshop: Workshop) -> Part:
        """As `Block.build`."""
        width = workshop.width
        among = SelfAttention(Attention(self.heads, self.causal, workshop, _ENTROPY))
        inside = [Chain([workshop.linear(_QUERY), among, workshop.linear(_OUTPUT)])]
        if self.cross_attention:
            other = Attention(self.heads, False, workshop, _CROSS_ENTROPY)
            queries = workshop.linear(_CROSS_QUERY)
            cross = CrossAttention(queries, workshop.memory_map(_CROSS_KEY, self.memory), other)
            inside.append(Chain([cross, workshop.linear(_CROSS_OUTPUT)]))
        mlp = Chain(
            [
                workshop.linear(_INNER),
                workshop.activation(self._hidden(width)),
                workshop.linear(_OUTER),
            ]
        )
        scale = scale_of(self.branch, self._branches * workshop.depth)
        ends = [workshop.dropout() for _ in range(self._branches)]
        branches = [
            Chain([each, end] if end else [each]) for each, end in zip((*inside, mlp), ends, strict=True)
        ]
        return Chain([workshop.branched(each, self.norm, 1.0, scale) for each in branches])

    @property
    def _branches(self) -> int:
        return 3 if self.cross_attention else 2

    def _check_memory(self, memory: Array, width: int) -> None:
        if not self.cross_attention:
            message = "must be null: the block has no second attention (cross_attention) to look at it"
            raise InvalidValue(message, loc=("memory",))
        if memory.ndim != 2 or memory.shape[1] != width or not memory.size:
            raise InvalidValue(f"must be tokens × width: rows of {width:,} numbers", loc=("memory",))
        if not np.isfinite(memory).all():
            raise InvalidValue("must be finite", loc=("memory",))

    def _hidden(self, width: int) -> int:
        return inner_width(self.mlp_ratio, width)
