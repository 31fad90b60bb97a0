"""A network's weights in a file: safetensors, or a NumPy archive (``.npz``).

The matrices of plain layers are outputs × inputs, as in PyTorch's ``Linear``, in float64, float32, float16
or, in safetensors, bfloat16; each is converted to float64 once. The declared sizes are checked against the
limits and the number of bytes before a tensor is inflated or created.

A state dict of blocks is returned as it is (`named`); `core.propagation.state_dict` knows the names.

**Which matrix a bias belongs to.** A name is split into words and numbers. A vector whose name contains
``bias`` (or ``b``) belongs to the matrix whose name is otherwise the same: ``0.weight`` and ``0.bias``,
``W1`` and ``b1``. If no name tells the role of its tensor (``arr_0``, ``arr_1``, …), a vector belongs to the
matrix before it.

**The order of layers.** If names differ only in their numbers, the numbers decide: ``2.weight`` comes before
``10.weight``. Other names are taken in the order of the file, which a NumPy archive keeps; safetensors does
not, so such names are refused there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

import ml_dtypes
import numpy as np

from app.core.errors import LimitExceeded
from app.core.propagation.given import GivenWeights, StateDict
from app.wire.errors import Unsuitable
from app.wire.sizes import size_of
from app.wire.stored import Stored, Taken, is_archive, tensors

_SAFETENSORS = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype(ml_dtypes.bfloat16),
}
_FLOATS = "tensors must be float64, float32, float16 or, in safetensors, bfloat16"


Key: TypeAlias = tuple[str | int, ...]
"""A name, split into words and numbers."""


class Pair(NamedTuple):
    """A layer: its matrix and, if it has one, its bias."""

    matrix: Stored
    bias: Stored | None


def loads(body: memoryview, most: int) -> GivenWeights:
    """The layers in ``body``, first to last.

    Raises:
        Unsuitable: neither format, broken, or not a plain sequence of layers.
        LimitExceeded: more than ``most`` numbers.
    """
    found = tensors(body, _TAKEN)
    pairs = _pairs(found, ordered=is_archive(body))
    numbers = sum(size_of(each.shape) for each in found)
    if numbers > most:
        raise LimitExceeded("the weights", estimate=numbers, limit=most, unit="numbers", loc=("weights",))
    return GivenWeights(
        tuple(each.matrix.read() for each in pairs),
        tuple(None if each.bias is None else each.bias.read() for each in pairs),
    )


def named(body: memoryview, most: int) -> StateDict:
    """All tensors in ``body``, without reading their values: a block selects those it needs.

    Raises `Unsuitable` for neither format and for broken files.
    """
    return StateDict(tensors(body, _NAMED), most)


def _check_axes(shape: Sequence[int]) -> None:
    if len(shape) not in (1, 2):
        raise Unsuitable(
            f"a tensor has {len(shape)} axes; a linear layer has a matrix (outputs × inputs) and at most one "
            "vector, its bias"
        )


def _archived(dtype: np.dtype[Any]) -> np.dtype[Any] | None:
    return dtype if dtype.kind == "f" and dtype.itemsize <= 8 else None


_TAKEN = Taken(_SAFETENSORS, _archived, _FLOATS, _check_axes)

_BUFFERS = {
    **_SAFETENSORS,
    **{f"I{8 * size}": np.dtype(f"<i{size}") for size in (1, 2, 4, 8)},
    **{f"U{8 * size}": np.dtype(f"<u{size}") for size in (1, 2, 4, 8)},
    "BOOL": np.dtype(np.bool_),
}
"""Formats in a state dict: besides weights it may hold masks and counters, which are left out."""

_MOST_AXES = 8


def _check_any(shape: Sequence[int]) -> None:
    if len(shape) > _MOST_AXES:
        raise Unsuitable(f"a tensor has {len(shape)} axes; the limit is {_MOST_AXES}")


_NAMED = Taken(
    _BUFFERS,
    lambda dtype: dtype if dtype.kind in "fiub" and dtype.itemsize <= 8 else None,
    "tensors must be of numbers, weights among them float64, float32, float16 or, in safetensors, bfloat16",
    _check_any,
)

_MATRIX_WORDS = frozenset({"weight", "weights", "kernel", "w"})
_BIAS_WORDS = frozenset({"bias", "biases", "b"})


def _key(name: str) -> Key:
    words = re.findall(r"[0-9]+|[^\W0-9_]+", name.casefold())
    return tuple(int(word) if word.isascii() and word.isdigit() else word for word in words)


def _without(key: Key, words: frozenset[str]) -> Key:
    return tuple(word for word in key if word not in words)


def _pairs(tensors: list[Stored], *, ordered: bool) -> list[Pair]:
    """Matrices in forward order, each with its bias; ``ordered`` means that the file keeps its order."""
    keys = [_key(each.name) for each in tensors]
    roles = _MATRIX_WORDS | _BIAS_WORDS
    has_roles = any(roles.intersection(key) for key in keys)
    vectors = any(len(each.shape) == 1 for each in tensors)
    if vectors and not has_roles:
        return _by_place([tensors[place] for place in _forward(keys, ordered=ordered)])
    return _by_name(tensors, keys, ordered=ordered)


def _by_place(tensors: Iterable[Stored]) -> list[Pair]:
    pairs: list[Pair] = []
    for each in tensors:
        if len(each.shape) == 2:
            pairs.append(Pair(each, None))
        elif pairs and pairs[-1].bias is None:
            pairs[-1] = Pair(pairs[-1].matrix, each)
        else:
            raise Unsuitable("a vector is the bias of the matrix before it: one of them follows no matrix")
    return pairs


def _by_name(tensors: list[Stored], keys: list[Key], *, ordered: bool) -> list[Pair]:
    matrices: dict[Key, Stored] = {}
    biases: dict[Key, Stored] = {}
    for tensor, key in zip(tensors, keys, strict=True):
        matrix = len(tensor.shape) == 2
        if not matrix and not _BIAS_WORDS.intersection(key):
            raise _no_bias()
        owner = _without(key, _MATRIX_WORDS if matrix else _BIAS_WORDS)
        found = matrices if matrix else biases
        if owner in found:
            raise Unsuitable("the names of two matrices, or of two biases, are equivalent")
        found[owner] = tensor
    if not biases.keys() <= matrices.keys():
        raise _no_bias()
    owners = list(matrices)
    return [
        Pair(matrices[owners[place]], biases.get(owners[place]))
        for place in _forward(owners, ordered=ordered)
    ]


def _no_bias() -> Unsuitable:
    return Unsuitable(
        "a vector is no matrix's bias by its name (0.weight and 0.bias, W1 and b1). Normalisation and "
        "learned slopes are left out of the file: normalization and params say them"
    )


def _forward(keys: list[Key], *, ordered: bool) -> list[int]:
    """The places of ``keys`` in forward order."""
    numbers = [tuple(each for each in key if isinstance(each, int)) for key in keys]
    texts = {tuple("" if isinstance(each, int) else each for each in key) for key in keys}
    if len(texts) == 1 and len(set(numbers)) == len(numbers):
        return sorted(range(len(keys)), key=lambda place: numbers[place])
    if ordered:
        return list(range(len(keys)))
    raise Unsuitable(
        "the names do not say which layer comes first, and safetensors keeps no order: let them differ in "
        "their numbers alone (0.weight, 2.weight; fc1.weight, fc2.weight), or send a .npz in forward order"
    )
