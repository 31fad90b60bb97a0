"""A network's block: the unit that is repeated where a network is more than a stack of plain layers.

How a kind of block is added:

1. One file here (`residual_block` is the shortest) with a frozen dataclass that is a `Block`: its options are
   its fields, `shapes` says which weights it has, and `build` puts it together from the parts that a
   `Workshop` makes (linear maps, the activation, normalisation, attention) and from parts of its own. A part
   has ``forward`` and ``backward``, called once each; it keeps what its backward pass needs itself, so the
   block that was built is its own tape. Both engines follow: a part uses weights only through a linear map.
   Its ``layouts`` say how PyTorch's modules name such weights, and `fitted` infers options from their shapes,
   so that a state dict can be sent (`state_dict`).
2. One line in `block_kinds.BLOCKS`.
3. One model in `contract.blocks` with the same field names, and its name in the union there.

`block_steps` does the rest: figures, ranges, the gradients of weights. A kind with figures of its own lists
them in ``figures`` and gives them to `Workshop.report`. A recurrent
network, whose steps share their weights and pass on a state, is no such block: `recurrent_steps` runs it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal, NamedTuple, NoReturn, Protocol, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from app.core.arithmetic import Array
from app.core.errors import InvalidValue
from app.core.propagation.blocks import Blocks
from app.core.propagation.layer import Matrix
from app.core.propagation.layout import Layout, Shape

Where: TypeAlias = Literal["pre", "post"]
"""Where a branch normalises: at its input, or after the sum."""

Scale: TypeAlias = float | Literal["depth_scaled"]
"""A branch's factor: a number, or 1/√(number of branches)."""


class Part(Protocol):
    """A differentiable piece of a block, for arrays of features × batch: called once forward, once back."""

    def forward(self, h: Array) -> Array:
        """Its output for h, which it does not modify; a new array."""

    def backward(self, gradient: Array) -> Array:
        """dL/dh from dL/d(output), which it does not modify; a new array."""


class MemoryMap(Protocol):
    """W m + b for the tokens m of another sequence; called once forward, once back."""

    @property
    def tokens(self) -> int:
        """How many there are."""

    def forward(self) -> Array:
        """Its output, rows × tokens."""

    def backward(self, gradient: Array) -> None:
        """Takes dL/d(output); m gets no gradient, as it is no part of the network."""


class Workshop(Protocol):
    """Makes the parts of one block, with the network's own weights, activation and engine."""

    @property
    def width(self) -> int:
        """Features of the stream."""

    @property
    def depth(self) -> int:
        """Blocks of the network."""

    def linear(self, name: str) -> Part:
        """W u + b, with the matrix of that (first) name in `Block.shapes`."""

    def memory_map(self, name: str, memory: Array | None) -> MemoryMap:
        """The same of another sequence, tokens × features; None for the network's own inputs."""

    def activation(self, units: int) -> Part:
        """φ of ``units`` units, from their pre-activations."""

    def norm(self) -> Part:
        """n(·)."""

    def dropout(self) -> Part | None:
        """Standard dropout, or None where there is none; `activation` applies its own."""

    def mask(self, rows: int) -> tuple[NDArray[np.bool_], float] | None:
        """The mask of standard dropout, rows × B, and the factor of the values it keeps; None without."""

    def branched(self, branch: Part, norm: Where | None, skip: float, scale: float) -> Part:
        """skip · h + scale · branch(n(h)); or n after the sum; or without n."""

    def report(self, name: str, value: float) -> None:
        """A figure of the block, by a name in `Block.figures`."""

    @property
    def blocks(self) -> Blocks:
        """Row blocks of arrays as wide as the batch."""


class Load(NamedTuple):
    """A block's cost besides its linear maps: operations, and numbers kept for the backward pass."""

    flops: float
    kept: float


class Block(Protocol):
    """A kind of block with its options; a frozen dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]
    kind: ClassVar[str]

    @property
    def figures(self) -> tuple[str, ...]:
        """Figures that such blocks report beside those of all."""

    @property
    def layouts(self) -> tuple[Layout, ...]:
        """Modules whose weights make such blocks."""

    @property
    def norm(self) -> str | None:
        """Where it normalises, or None."""

    @property
    def passes(self) -> bool:
        """Whether a skip connection carries its input past the branches, unchanged but for a factor."""

    def check(self, width: int) -> None:
        """Raises `InvalidValue` for a width that it cannot have."""

    def shapes(self, width: int, pieces: int) -> tuple[Matrix, ...]:
        """Its weights, for an activation of ``pieces`` pre-activations a unit."""

    def norms(self, width: int) -> tuple[tuple[str, int], ...]:
        """Its normalisations, in the order in which they are made: their names, and features of each."""

    def infer_from_names(self, names: Iterable[str]) -> Self:
        """The block with the options that a state dict's names imply; `InvalidValue` if there is none."""

    def fitted(self, shapes: Mapping[str, Shape], pieces: int) -> tuple[Self, int]:
        """The block that has weights of these shapes, by the (first) names in ``shapes``, and its width.

        Raises `InvalidValue` for shapes that fit no block.
        """

    def load(self, width: int, batch: int, pieces: int) -> Load:
        """Its other costs."""

    def build(self, workshop: Workshop) -> Part:
        """The block, for one pass."""


def inner_width(ratio: float, width: int) -> int:
    """ratio · width, rounded down with a tolerance for the ratio's rounding error: 8/3 of 96 is 256."""
    return math.floor(ratio * width * (1 + 1e-12))


def refuse(message: str) -> NoReturn:
    """Raises `InvalidValue` for weights that make no block."""
    raise InvalidValue(message, loc=("weights",))


def scale_of(branch: Scale, branches: int) -> float:
    """The factor of each of that many branches."""
    return 1 / math.sqrt(branches) if branch == "depth_scaled" else branch
