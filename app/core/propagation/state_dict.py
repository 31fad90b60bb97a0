"""Blocks from a state dict: which tensor is which, by the names that PyTorch's modules give them.

A name's suffix identifies the tensor, its prefix the module: blocks are ordered by the numbers in it. Names
and shapes of all tensors are checked against the block before a value is read. Tensors that belong to no
block (embeddings, a head, a normalisation after the last block) are left out, and listed as such; a tensor
inside a block that has no place there is refused, since the answer would be another network's.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields
from itertools import accumulate
from typing import NamedTuple, TypeAlias

import numpy as np

from app.core.errors import InvalidValue, LimitExceeded
from app.core.propagation.block import Block, refuse
from app.core.propagation.given import Affine, Array, GivenWeights, Origin, StateDict, Taken, Tensor
from app.core.propagation.layer import Matrix
from app.core.propagation.layout import Entry, Layout, Shape
from app.core.propagation.recurrent_block import RecurrentBlock

LISTED = 100
"""Most names of tensors left out that are listed."""

LISTED_NAMES = 16
"""Most names of a module's tensors that a refusal lists."""

Parts: TypeAlias = dict[Entry, Tensor]
AnyBlock: TypeAlias = Block | RecurrentBlock


class Adopted(NamedTuple):
    """A block as the weights have it, the width of its stream, and the weights."""

    block: AnyBlock
    width: int
    weights: GivenWeights


def adopted(block: AnyBlock, given: StateDict, pieces: int, stated: Collection[str]) -> Adopted:
    """The block and its weights, for an activation of ``pieces`` pre-activations a unit.

    Args:
        block: the requested block; options that follow from the weights are taken from them.
        given: the tensors.
        pieces: pre-activations a unit.
        stated: the options that the caller stated, which must agree with the weights.

    Raises:
        InvalidValue: tensors that are missing, given twice, of a wrong shape or not finite, or no such block.
        LimitExceeded: more numbers than allowed.
    """
    requested = block
    block = block.infer_from_names(each.name for each in given.tensors)
    layout = _layout(block, given.tensors)
    blocks, rest = _blocks(layout, given.tensors)
    if isinstance(block, RecurrentBlock) and len(blocks) > 1:
        refuse(f"there are {len(blocks)} such networks or cells under names of their own: send one of them")
    _check_same(blocks)
    required = [each for each in layout.entries if each.required]
    _check_required(blocks[0], (each for each in required if each.kind == "weight"))
    _check_together(layout, blocks[0])
    _check_either(layout, blocks[0])
    transposed = layout.either_way and _is_transposed(blocks[0][layout.entries[0]])
    shapes = {
        entry.part: tensor.shape[::-1] if transposed else tensor.shape
        for entry, tensor in blocks[0].items()
        if entry.kind == "weight"
    }
    fitted, width = block.fitted(shapes, pieces)
    _check_stated(requested, fitted, stated)
    features = dict(fitted.norms(width))
    _check_required(blocks[0], (each for each in required if each.part in features))
    expected = _expected(fitted, width, pieces, blocks[0], transposed=transposed)
    for number, parts in enumerate(blocks, start=1):
        _check_shapes(number, parts, expected)
    numbers = sum(math.prod(each.shape) for parts in blocks for each in parts.values())
    if numbers > given.most:
        raise LimitExceeded(
            "the weights", estimate=numbers, limit=given.most, unit="numbers", loc=("weights",)
        )
    origin = Origin(layout.module, _taken(blocks[0], transposed=transposed), _patterns(rest))
    return Adopted(fitted, width, _read(fitted, width, pieces, blocks, origin, transposed=transposed))


def _layout(block: AnyBlock, tensors: Sequence[Tensor]) -> Layout:
    """The module that these names belong to."""
    for layout in block.layouts:
        for name, reason in layout.refused.items():
            if any(_ends(each.name, name) for each in tensors):
                refuse(reason)
    fitting = [layout for layout in block.layouts if any(_anchor(layout, each) for each in tensors)]
    if len(fitting) == 1:
        return fitting[0]
    known = "; or ".join(f"{_names(each)} as in {each.module}" for each in block.layouts)
    if fitting:
        refuse(f"the names are those of two modules: one is taken at a time, {known}")
    return refuse(f"no tensor has the name of such a block's first matrix; a block has {known}")


def _names(layout: Layout) -> str:
    names = [each.names[0] for each in layout.entries]
    return ", ".join(names if len(names) <= LISTED_NAMES else [*names[:LISTED_NAMES], "and so on"])


def _anchor(layout: Layout, tensor: Tensor) -> bool:
    """Whether this is the matrix that identifies a block."""
    fits = not layout.axes or len(tensor.shape) in layout.axes
    return fits and any(_ends(tensor.name, each) for each in layout.entries[0].names)


def _ends(name: str, suffix: str) -> bool:
    return name == suffix or name.endswith(f".{suffix}")


def _prefix(name: str, suffix: str) -> str:
    """The part of the name before the suffix, without the dot."""
    return name[: len(name) - len(suffix)].removesuffix(".")


def _blocks(layout: Layout, tensors: Sequence[Tensor]) -> tuple[list[Parts], list[Tensor]]:
    """The tensors of each block in order, and those that belong to no block."""
    prefixes = {
        _prefix(tensor.name, next(each for each in layout.entries[0].names if _ends(tensor.name, each)))
        for tensor in tensors
        if _anchor(layout, tensor)
    }
    order = _ordered(prefixes, counted=layout.counted)
    blocks: dict[str, Parts] = {each: {} for each in order}
    suffixes = {name: entry for entry in layout.entries for name in entry.names}
    rest = []
    for tensor in tensors:
        owner = _owner(tensor.name, blocks)
        if owner is None:
            rest.append(tensor)
            continue
        inner = tensor.name[len(owner) :].removeprefix(".")
        if inner in layout.ignored:
            continue
        entry = suffixes.get(inner)
        if entry is None:
            refuse(
                f"block {order.index(owner) + 1} has a tensor that is none of its own; a block of "
                f"{layout.module} has {_names(layout)}"
            )
        if entry in blocks[owner]:
            refuse(
                f"block {order.index(owner) + 1} has {entry.names[0]} twice: "
                f"{' and '.join(entry.names)} are one"
            )
        blocks[owner][entry] = tensor
    if layout.complete and any(len(each.shape) == 1 for each in rest):
        refuse(
            "a vector belongs to no block: normalisation and learned slopes between blocks would be left out "
            f"unseen. A block of {layout.module} has {_names(layout)}"
        )
    return [blocks[each] for each in order], rest


def _owner(name: str, prefixes: Collection[str]) -> str | None:
    """The longest of the prefixes that the name begins with, up to a point."""
    places = [each.start() for each in re.finditer(r"\.", name)]
    found = (name[:place] for place in reversed(places) if name[:place] in prefixes)
    return next(found, "" if "" in prefixes else None)


def _ordered(prefixes: Collection[str], *, counted: bool) -> list[str]:
    """Sorted by their numbers, the only difference allowed; none may be missing if they are ``counted``."""
    split = {each: re.split(r"([0-9]+)", each) for each in prefixes}
    numbers = {each: tuple(map(int, parts[1::2])) for each, parts in split.items()}
    if len({tuple(parts[0::2]) for parts in split.values()}) > 1:
        refuse(
            "there are blocks under names that differ in more than their numbers (an encoder's and a "
            "decoder's, say): send those of one stack"
        )
    if len(set(numbers.values())) < len(numbers):
        refuse("two blocks have the same number")
    places = [sorted(set(each)) for each in zip(*numbers.values(), strict=True)]
    if counted and any(each[-1] - each[0] >= len(each) for each in places):
        refuse(f"{len(prefixes)} blocks are there, and numbers between theirs are missing")
    return sorted(prefixes, key=lambda each: numbers[each])


def _check_same(blocks: Sequence[Parts]) -> None:
    """Raises `InvalidValue` where one block lacks what another has."""
    union = dict.fromkeys(entry for parts in blocks for entry in parts)
    for number, parts in enumerate(blocks, start=1):
        for entry in union:
            if entry not in parts:
                refuse(f"block {number} has no {entry.names[0]}, and others have")


def _check_together(layout: Layout, parts: Parts) -> None:
    """Raises `InvalidValue` where of tensors that go together only some are there."""
    for entries in layout.together:
        here = [each for each in entries if each in parts]
        for entry in entries if here else ():
            if entry not in parts:
                refuse(f"there is a {here[0].names[0]} and no {entry.names[0]}")


def _check_either(layout: Layout, parts: Parts) -> None:
    """Raises `InvalidValue` unless of one group all tensors are there, and of the others none."""
    here = [group for group in layout.either if any(each in parts for each in group)]
    if len(here) > 1:
        first, second = (next(each.names[0] for each in group if each in parts) for group in here[:2])
        refuse(f"there are both {first} and {second}, which are two forms of the same")
    for entry in here[0] if here else layout.either[0] if layout.either else ():
        if entry not in parts:
            refuse(f"block 1 has no {entry.names[0]}")


def _check_required(parts: Parts, entries: Iterable[Entry]) -> None:
    for entry in entries:
        if entry not in parts:
            refuse(f"block 1 has no {entry.names[0]}")


def _is_transposed(tensor: Tensor) -> bool:
    """Whether the first matrix, which has more outputs than inputs, is inputs × outputs."""
    return len(tensor.shape) == 2 and tensor.shape[0] < tensor.shape[1]


def _check_stated(requested: AnyBlock, fitted: AnyBlock, stated: Collection[str]) -> None:
    """Raises `InvalidValue` where the weights contradict an option that the caller stated."""
    for name in (each.name for each in fields(requested) if each.name in stated):
        here, there = getattr(requested, name), getattr(fitted, name)
        if here is not there and here != there:
            raise InvalidValue(f"the weights have {there!r} here", loc=("block", name))


def _expected(
    block: AnyBlock, width: int, pieces: int, parts: Parts, *, transposed: bool
) -> dict[Entry, Shape]:
    """The shape of each entry's tensor."""
    layers = {name: each.layer for each in block.shapes(width, pieces) for name in each.names}
    rows = _row_counts(block.shapes(width, pieces), parts)
    features = dict(block.norms(width))
    found: dict[Entry, Shape] = {}
    for entry, tensor in parts.items():
        if entry.kind in ("gain", "offset"):
            if entry.part not in features:
                message = "must not be null with weights that have a normalisation"
                raise InvalidValue(message, loc=("block", "norm"))
            found[entry] = (features[entry.part],)
        elif entry.kind == "bias":
            found[entry] = (_ends_of(entry, rows)[-1],)
        else:
            shape = _ends_of(entry, rows)[-1], layers[entry.part].fan_in
            unfolded = len(tensor.shape) > 2 and (tensor.shape[0], math.prod(tensor.shape[1:])) == shape
            found[entry] = tensor.shape if unfolded else shape[::-1] if transposed else shape
    return found


def _row_counts(shapes: Iterable[Matrix], parts: Iterable[Entry]) -> dict[str, int]:
    """How many rows each part has: all rows of a matrix with several names, or those of one name."""
    named = {name for entry in parts for name in (entry.part, *entry.below)}
    own = [(each.layer.rows, [name for name in each.names if name in named]) for each in shapes]
    return {name: rows // len(names) for rows, names in own for name in names}


def _ends_of(entry: Entry, rows: Mapping[str, int]) -> list[int]:
    """The row at which each part of the entry's tensor ends."""
    return list(accumulate(rows[each] for each in (entry.part, *entry.below)))


def _check_shapes(number: int, parts: Parts, expected: Mapping[Entry, Shape]) -> None:
    for entry, tensor in parts.items():
        wanted = expected[entry]
        if tensor.shape != wanted:
            refuse(f"block {number}'s {entry.names[0]} must be {' × '.join(f'{each:,}' for each in wanted)}")
        if tensor.dtype.kind not in "fV":
            refuse(f"block {number}'s {entry.names[0]} must be float64, float32, float16 or bfloat16")


def _read(
    block: AnyBlock, width: int, pieces: int, blocks: Sequence[Parts], origin: Origin, *, transposed: bool
) -> GivenWeights:
    """All values, block by block."""
    matrices: list[Array] = []
    biases: list[Array | None] = []
    norms: list[Affine] = []
    shapes = block.shapes(width, pieces)
    rows = _row_counts(shapes, blocks[0])
    for number, parts in enumerate(blocks, start=1):
        values: dict[tuple[str, str], Array] = {}
        for entry, tensor in parts.items():
            whole = _values(number, entry, tensor)
            if entry.kind == "weight":
                whole = whole.T if transposed else whole.reshape(len(whole), -1)
            split = np.split(whole, _ends_of(entry, rows)[:-1]) if entry.below else [whole]
            for part, own in zip((entry.part, *entry.below), split, strict=True):
                values[part, entry.kind] = own
        for each in shapes:
            matrix = _stacked(values, each, "weight")
            assert matrix is not None
            matrices.append(matrix)
            biases.append(_stacked(values, each, "bias"))
        norms += [
            Affine(values.get((name, "gain")), values.get((name, "offset"))) for name, _ in block.norms(width)
        ]
    return GivenWeights(matrices, biases, norms, origin)


def _stacked(values: Mapping[tuple[str, str], Array], matrix: Matrix, kind: str) -> Array | None:
    """The values of a matrix's names, one below the other; None where there are none."""
    found = [values[name, kind] for name in matrix.names if (name, kind) in values]
    if len(found) < 2:
        return np.ascontiguousarray(found[0]) if found else None
    return np.concatenate(found)


def _values(number: int, entry: Entry, tensor: Tensor) -> Array:
    values: Array = tensor.read()
    if not np.isfinite(values).all():
        refuse(f"block {number}'s {entry.names[0]} has a number that is not finite")
    return values


def _taken(parts: Parts, *, transposed: bool) -> tuple[Taken, ...]:
    return tuple(
        Taken(
            _pattern(tensor.name),
            entry.part,
            entry.kind,
            tensor.shape,
            transposed and entry.kind == "weight",
        )
        for entry, tensor in parts.items()
    )


def _patterns(tensors: Iterable[Tensor]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_pattern(each.name) for each in tensors))[:LISTED]


def _pattern(name: str) -> str:
    """The name with ``*`` for each number that is a word of its own."""
    return ".".join("*" if each.isdecimal() else each for each in name.split("."))
