"""A network's own weights as bytes: safetensors, or a NumPy archive (``.npz``).

Matrices are rows × columns = outputs × inputs, as PyTorch's ``Linear`` keeps them, in float64, float32,
float16 or, in safetensors, bfloat16; each becomes float64 once. What the file declares is held against the
limits and against the bytes that are there before a tensor is inflated or made.

**Which vector is whose bias.** A name is read as words and numbers. A vector whose name says ``bias`` (or
``b``) belongs to the matrix whose name is otherwise the same: ``0.weight`` and ``0.bias``, ``W1`` and ``b1``.
Where no name says what it is (``arr_0``, ``arr_1``, …), a vector belongs to the matrix before it.

**Which layer comes first.** Where names differ in their numbers alone, the numbers decide: ``2.weight`` comes
before ``10.weight``. Other names stand in the order of the file, which a NumPy archive keeps; safetensors
does not, so that such names are refused there.
"""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias, TypeGuard

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from app.core.errors import LimitExceeded
from app.core.propagation.given import GivenWeights
from app.wire import json_body, npy
from app.wire.errors import Malformed, Unsuitable
from app.wire.sizes import size_of

MOST_TENSORS = 20_000
"""Ten thousand layers with biases."""

LONGEST_DIRECTORY = 4 * 2**20
"""Bytes of a file's own list of its tensors: 200 for each of the most there may be."""

LONGEST_NAME = 500

_SAFETENSORS = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype(ml_dtypes.bfloat16),
}
_FLOATS = "tensors must be float64, float32, float16 or, in safetensors, bfloat16"

_ZIP = b"PK\x03\x04"
_ZIP_END = b"PK\x05\x06"
_ZIP64_LOCATOR = b"PK\x06\x07"
_ENCRYPTED = 0x1 | 0x40
_INFLATABLE = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_LOCAL_HEADER = 30
"""Bytes before a member's name and data, at least."""

Key: TypeAlias = tuple[str | int, ...]
"""A name as its words and numbers."""


class Stored(NamedTuple):
    """A tensor as the file declares it, and how to get its values."""

    name: str
    shape: tuple[int, ...]
    read: Callable[[], NDArray[np.float64]]


class Pair(NamedTuple):
    """A layer: its matrix and, if it has one, its bias."""

    matrix: Stored
    bias: Stored | None


def loads(body: memoryview, most: int) -> GivenWeights:
    """The layers in ``body``, first to last.

    Raises:
        Unsuitable: neither format, broken, or no plain sequence of layers.
        LimitExceeded: more than ``most`` numbers.
    """
    archived = body[: len(_ZIP)] == _ZIP
    tensors = _archive(body) if archived else _safetensors(body)
    pairs = _pairs(tensors, ordered=archived)
    numbers = sum(size_of(each.shape) for each in tensors)
    if numbers > most:
        raise LimitExceeded("the weights", estimate=numbers, limit=most, unit="numbers", loc=("weights",))
    return GivenWeights(
        tuple(each.matrix.read() for each in pairs),
        tuple(None if each.bias is None else each.bias.read() for each in pairs),
    )


def _safetensors(body: memoryview) -> list[Stored]:
    """The tensors that the header lists: https://huggingface.co/docs/safetensors.

    Read here, since the library copies every tensor and keeps the last of two with the same name.
    """
    size = int.from_bytes(body[:8], "little")
    if not 2 <= size <= len(body) - 8 or body[8] != ord("{"):
        raise Unsuitable("neither a safetensors file nor a NumPy archive (.npz)")
    if size > LONGEST_DIRECTORY:
        raise Unsuitable(f"the safetensors header has more than {LONGEST_DIRECTORY:,} bytes")
    try:
        header = json.loads(bytes(body[8 : 8 + size]), object_pairs_hook=json_body.unique)
    except (Malformed, ValueError, RecursionError):
        raise Unsuitable("the safetensors header is not valid JSON, or names a tensor twice") from None
    header.pop("__metadata__", None)
    _check_names(header)
    data = body[8 + size :]
    spans = [_span(info) for info in header.values()]
    _check_cover(spans, len(data))
    return [
        _tensor(name, info, data[slice(*span)])
        for (name, info), span in zip(header.items(), spans, strict=True)
    ]


def _span(info: Any) -> tuple[int, int]:
    offsets = info.get("data_offsets") if isinstance(info, dict) else None
    if not _whole_numbers(offsets) or len(offsets) != 2:
        raise Unsuitable("a tensor has no pair of data_offsets")
    return offsets[0], offsets[1]


def _check_cover(spans: Iterable[tuple[int, int]], size: int) -> None:
    place = 0
    for begin, end in sorted(spans):
        if begin != place or end < begin:
            raise Unsuitable("the tensors' data_offsets overlap or leave a gap")
        place = end
    if place != size:
        raise Unsuitable("the tensors' data_offsets and the number of bytes after the header do not agree")


def _tensor(name: str, info: dict[str, Any], data: memoryview) -> Stored:
    shape, dtype = info.get("shape"), _SAFETENSORS.get(str(info.get("dtype")))
    if dtype is None:
        raise Unsuitable(_FLOATS)
    if not _whole_numbers(shape):
        raise Unsuitable("a tensor's shape must be a list of whole numbers")
    _check_axes(shape)
    if math.prod(shape) * dtype.itemsize != len(data):
        raise Unsuitable("a tensor's shape and its data_offsets do not agree")
    return Stored(
        name,
        tuple(shape),
        lambda: np.frombuffer(data, dtype).reshape(shape).astype(np.float64),
    )


def _whole_numbers(values: Any) -> TypeGuard[list[int]]:
    return isinstance(values, list) and all(type(each) is int and each >= 0 for each in values)


def _archive(body: memoryview) -> list[Stored]:
    """The members of a NumPy archive, in their order."""
    # What zipfile would read into memory as the directory is known from the last record alone.
    end = bytes(body[-22:])
    if end[:4] != _ZIP_END or end[20:] != b"\0\0" or body[-42:-38] == _ZIP64_LOCATOR:
        raise Unsuitable("the archive does not end with a plain ZIP directory of less than 65,536 members")
    if int.from_bytes(end[12:16], "little") > LONGEST_DIRECTORY:
        raise Unsuitable(f"the archive's directory has more than {LONGEST_DIRECTORY:,} bytes")
    try:
        archive = zipfile.ZipFile(io.BytesIO(body))
    except Exception:  # noqa: BLE001 - records of any content: reading them can fail in any way
        raise Unsuitable("the archive's directory is broken") from None
    members = archive.infolist()
    _check_names([each.filename for each in members])
    _check_apart(members)
    return [_member(archive, each) for each in members]


def _check_apart(members: Iterable[zipfile.ZipInfo]) -> None:
    place = 0
    for each in sorted(members, key=lambda each: each.header_offset):
        if each.header_offset < place:
            raise Unsuitable("members of the archive overlap")
        place = each.header_offset + _LOCAL_HEADER + each.compress_size


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Stored:
    if not member.filename.endswith(".npy"):
        raise Unsuitable("every member of the archive must be a .npy file")
    if member.flag_bits & _ENCRYPTED:
        raise Unsuitable("the archive is encrypted")
    if member.compress_type not in _INFLATABLE:
        raise Unsuitable("members of the archive must be stored or deflated")
    header = npy.header(_inflated(archive, member, npy.LONGEST_HEADER))
    if header.dtype.kind != "f" or header.dtype.itemsize > 8:
        raise Unsuitable(_FLOATS)
    _check_axes(header.shape)
    if header.start + math.prod(header.shape) * header.dtype.itemsize != member.file_size:
        raise Unsuitable("a member's header and its size do not agree")
    return Stored(
        member.filename.removesuffix(".npy"),
        header.shape,
        lambda: npy.loads(_inflated(archive, member, member.file_size)),
    )


def _inflated(archive: zipfile.ZipFile, member: zipfile.ZipInfo, most: int) -> bytes:
    """The first ``most`` bytes of a member; inflating ends there, whatever the member holds."""
    try:
        with archive.open(member) as stream:
            return stream.read(most)
    except Exception:  # noqa: BLE001 - as above
        raise Unsuitable("a member of the archive is broken") from None


def _check_names(names: Iterable[str]) -> None:
    names = list(names)
    if not names:
        raise Unsuitable("the file holds no tensors")
    if len(names) > MOST_TENSORS:
        raise Unsuitable(f"the file holds {len(names):,} tensors; the limit is {MOST_TENSORS:,}")
    if len(set(names)) != len(names):
        raise Unsuitable("two tensors have the same name")
    if max(map(len, names)) > LONGEST_NAME:
        raise Unsuitable(f"a tensor's name is longer than {LONGEST_NAME} characters")


def _check_axes(shape: Sequence[int]) -> None:
    if len(shape) not in (1, 2):
        raise Unsuitable(
            f"a tensor has {len(shape)} axes; a linear layer has a matrix (outputs × inputs) and at most one "
            "vector, its bias"
        )


_MATRIX_WORDS = frozenset({"weight", "weights", "kernel", "w"})
_BIAS_WORDS = frozenset({"bias", "biases", "b"})


def _key(name: str) -> Key:
    words = re.findall(r"[0-9]+|[^\W0-9_]+", name.casefold())
    return tuple(int(word) if word.isascii() and word.isdigit() else word for word in words)


def _without(key: Key, words: frozenset[str]) -> Key:
    return tuple(word for word in key if word not in words)


def _pairs(tensors: list[Stored], *, ordered: bool) -> list[Pair]:
    """Matrices in forward order, each with its bias; ``ordered`` where the file's order means something."""
    keys = [_key(each.name) for each in tensors]
    roles = _MATRIX_WORDS | _BIAS_WORDS
    telling = any(roles.intersection(key) for key in keys)
    vectors = any(len(each.shape) == 1 for each in tensors)
    if vectors and not telling:
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
            raise Unsuitable("two matrices, or two biases, have names that differ in nothing that counts")
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
