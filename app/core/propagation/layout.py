"""How a module's state dict names the weights of a block: PyTorch's names, and what each tensor is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

Kind: TypeAlias = Literal["weight", "bias", "gain", "offset"]
Shape: TypeAlias = tuple[int, ...]


class Entry(NamedTuple):
    """One tensor of a block.

    Attributes:
        part: of a weight or bias the (first) name of the matrix in `Block.shapes`; else that of the
            normalisation in `Block.norms`.
        kind: what it is.
        names: what the tensor's name ends with; of several one.
        required: whether every block has it; others are in all blocks or in none.
        below: further parts, whose rows follow in the same tensor.
    """

    part: str
    kind: Kind
    names: tuple[str, ...]
    required: bool = False
    below: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layout:
    """The names that one module gives its tensors.

    Attributes:
        module: what it is called.
        entries: its tensors; the first is the matrix that identifies a block.
        refused: names that show that this is another module, each with the reason for refusing it.
        ignored: names of buffers, which hold no weights.
        axes: how many axes the first entry may have, where its name alone is ambiguous.
        either_way: matrices may be inputs × outputs; the first, which is not square, shows which.
        counted: blocks are numbered one by one, so that a number left out is a block left out.
        together: tensors that are all present or all absent.
        either: groups of tensors of which exactly one is present, as a whole.
        complete: tensors of one axis that belong to no block are refused: they may be applied between blocks.
    """

    module: str
    entries: tuple[Entry, ...]
    refused: Mapping[str, str] = field(default_factory=dict)
    ignored: frozenset[str] = frozenset()
    axes: tuple[int, ...] = ()
    either_way: bool = False
    counted: bool = False
    together: tuple[tuple[Entry, ...], ...] = ()
    either: tuple[tuple[Entry, ...], ...] = ()
    complete: bool = False


def linear(part: str, *names: str, required: bool = True) -> tuple[Entry, Entry]:
    """A matrix, and its bias, which may be missing."""
    weight = Entry(part, "weight", tuple(f"{each}.weight" for each in names), required)
    return weight, Entry(part, "bias", tuple(f"{each}.bias" for each in names))


def norm(part: str, *names: str, required: bool = False) -> tuple[Entry, Entry]:
    """A normalisation's gain, and its offset, which may be missing."""
    gain = Entry(part, "gain", tuple(f"{each}.weight" for each in names), required)
    return gain, Entry(part, "offset", tuple(f"{each}.bias" for each in names))
