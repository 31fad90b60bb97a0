"""The kinds of blocks in a network: one model for each, all of them in `BlockFields`.

The field names are those of the kind's own class in `app.core.propagation`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import BeforeValidator, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from app.contract.arrays import Model

BlockKind: TypeAlias = Literal["residual", "transformer", "convolution", "recurrent"]
KINDS: tuple[BlockKind, ...] = get_args(BlockKind)

Factor: TypeAlias = Annotated[float, Field(ge=-1e6, le=1e6)]
Scale: TypeAlias = Annotated[float, Field(ge=-1e6, le=1e6)] | Literal["depth_scaled"]

_NORM = "Where n(·), `normalization` or else layer_norm, stands: before a branch, or after the sum."
_BRANCH = "Factor of a branch; `depth_scaled` is 1/√(number of branches)."


def _whole(value: Any) -> Any:
    """Refuses true, which is 1 to a list of choices."""
    if type(value) is not int:
        raise PydanticCustomError("int_type", "Input should be a valid integer")
    return value


class ResidualBlockFields(Model):
    """h ← skip · h + branch · f(n(h)), f(u) = W₂ φ(W₁ u); with one matrix f(u) = φ(W₁ u).

    With three f(u) = W₃ φ(W₂ φ(W₁ u)): with ratio 1/4 and `norm` `inside`, ResNet-50's bottleneck.
    """

    kind: Literal["residual"]
    matrices: Annotated[Literal[1, 2, 3], BeforeValidator(_whole)] = 2
    norm: Literal["pre", "post", "inside"] | None = Field(
        "pre", description=_NORM + " `inside` is after each matrix, with φ after the sum, as in ResNet."
    )
    skip: Factor = 1.0
    branch: Scale = Field(1.0, description=_BRANCH)
    ratio: float = Field(1.0, gt=0, le=1000, description="Units between the matrices over the width.")


class TransformerBlockFields(Model):
    """h ← h + branch · att(n(h)), then h ← h + branch · mlp(n(h)); the batch is the tokens of one sequence.

    The mlp is W₂ φ(W₁ u) with mlp_ratio · width units; gated where the activation gates.
    """

    kind: Literal["transformer"]
    heads: int = Field(8, ge=1, le=10**6, strict=True, description="Must divide the width.")
    mlp_ratio: float = Field(4.0, gt=0, le=1000)
    norm: Literal["pre", "post"] | None = Field("pre", description=_NORM)
    causal: bool = Field(True, strict=True, description="No token attends to later ones.")
    cross_attention: bool = Field(
        False,
        strict=True,
        description="A second attention before the mlp, to all tokens of `memory`, as in "
        "`torch.nn.TransformerDecoderLayer`.",
    )
    branch: Scale = Field(1.0, description=_BRANCH)


class ConvolutionBlockFields(Model):
    """h ← φ(W ∗ h + b) with padding that keeps the size; `width` counts channels.

    An input is channels × size, or channels × size × size, flattened in that order.
    """

    kind: Literal["convolution"]
    kernel: int = Field(3, ge=1, le=10**6, strict=True, description="At most the size.")
    size: int = Field(32, ge=1, le=10**6, strict=True, description="Positions along each dimension.")
    dimensions: Annotated[Literal[1, 2], BeforeValidator(_whole)] = 1
    padding: Literal["circular", "zeros"] = "circular"


class RecurrentBlockFields(Model):
    """h_t = φ(W h_{t−1} + U x_t + b), an LSTM or a GRU as PyTorch defines them, with one bias.

    `depth` counts the time steps, which share the weights; each x_t is drawn at random, or
    `inputs` are batch × times × features. The loss depends on the last time step. Of several `layers` the h_t
    of one is the x_t of the next; figures are over all of them, and from the second layer on the names of
    matrices end with `_l1` and so on.
    With `bidirectional` step k of K is time k of the one direction, and time K + 1 − k of the other, whose
    matrices end with `_reverse`; the loss depends on the last step of both, `upstream` is batch × 2 · width.
    """

    kind: Literal["recurrent"]
    cell: Literal["rnn", "lstm", "gru"] = "rnn"
    layers: int = Field(1, ge=1, le=100, strict=True, description="Stacked, as `num_layers`.")
    bidirectional: bool = Field(
        False,
        strict=True,
        description="Each layer also reads the time steps from last to first, with weights of its own.",
    )
    forget_bias: float = Field(
        1.0, ge=-1e6, le=1e6, description="Added to the bias of an LSTM's forget gate; others have none."
    )
    features: int | None = Field(
        None, ge=1, le=10**12, strict=True, description="Length of each x_t; by default that of h."
    )


def _kind(value: Any) -> str | None:
    """The kind of a block, as JSON or as a model."""
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    return kind if isinstance(kind, str) else None


BlockFields: TypeAlias = Annotated[
    Annotated[ResidualBlockFields, Tag("residual")]
    | Annotated[TransformerBlockFields, Tag("transformer")]
    | Annotated[ConvolutionBlockFields, Tag("convolution")]
    | Annotated[RecurrentBlockFields, Tag("recurrent")],
    Discriminator(
        _kind,
        custom_error_type="block",
        custom_error_message=f"must be an object whose kind is one of {', '.join(KINDS)}",
    ),
]
