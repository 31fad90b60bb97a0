"""Named tensors in a file: safetensors, or a NumPy archive (``.npz``).

Safetensors is described at https://huggingface.co/docs/safetensors. The declared sizes are checked against
the number of bytes before a tensor is inflated or created.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeGuard

import numpy as np
from numpy.typing import NDArray

from app.wire import json_body, npy
from app.wire.errors import Malformed, Unsuitable

MOST_TENSORS = 20_000
"""Tensors in a file: enough for ten thousand layers with biases."""

LONGEST_DIRECTORY = 4 * 2**20
"""Bytes of a file's list of its tensors: 200 for each of `MOST_TENSORS`."""

LONGEST_NAME = 500

_ZIP = b"PK\x03\x04"
_ZIP_END = b"PK\x05\x06"
_ZIP64_LOCATOR = b"PK\x06\x07"
_ENCRYPTED = 0x1 | 0x40
_INFLATABLE = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_LOCAL_HEADER = 30
"""Bytes before a member's name and data, at least."""


class Stored(NamedTuple):
    """A tensor as the file declares it, and a function that reads its values."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    read: Callable[[], NDArray[np.float64]]


class Taken(NamedTuple):
    """Which tensors are accepted.

    ``safetensors`` maps the names of its formats to dtypes; ``archived`` gives the dtype to read an array of
    a NumPy archive in, or None to refuse it with the message ``refusal``; ``check_shape`` raises
    `Unsuitable`.
    """

    safetensors: Mapping[str, np.dtype[Any]]
    archived: Callable[[np.dtype[Any]], np.dtype[Any] | None]
    refusal: str
    check_shape: Callable[[Sequence[int]], None]


def is_archive(body: memoryview) -> bool:
    """Whether this is a NumPy archive, which, unlike safetensors, keeps the order of its members."""
    return body[: len(_ZIP)] == _ZIP


def tensors(body: memoryview, taken: Taken) -> list[Stored]:
    """The tensors in ``body``, without reading their values; raises `Unsuitable`."""
    return _archive(body, taken) if is_archive(body) else _safetensors(body, taken)


def _safetensors(body: memoryview, taken: Taken) -> list[Stored]:
    """The tensors that the header lists.

    Parsed here, since the library copies every tensor and keeps the last of two with the same name.
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
        _tensor(name, info, data[slice(*span)], taken)
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


def _tensor(name: str, info: dict[str, Any], data: memoryview, taken: Taken) -> Stored:
    shape, dtype = info.get("shape"), taken.safetensors.get(str(info.get("dtype")))
    if dtype is None:
        raise Unsuitable(taken.refusal)
    if not _whole_numbers(shape):
        raise Unsuitable("a tensor's shape must be a list of whole numbers")
    taken.check_shape(shape)
    if math.prod(shape) * dtype.itemsize != len(data):
        raise Unsuitable("a tensor's shape and its data_offsets do not agree")
    return Stored(
        name,
        tuple(shape),
        dtype,
        lambda: _doubles(np.frombuffer(data, dtype).reshape(shape), copy=True),  # it may begin at any byte
    )


def _whole_numbers(values: Any) -> TypeGuard[list[int]]:
    return isinstance(values, list) and all(type(each) is int and each >= 0 for each in values)


def _archive(body: memoryview, taken: Taken) -> list[Stored]:
    """The members of a NumPy archive, in their order."""
    # The last record has the size of the directory, which zipfile would read into memory.
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
    return [_member(archive, each, taken) for each in members]


def _check_apart(members: Iterable[zipfile.ZipInfo]) -> None:
    place = 0
    for each in sorted(members, key=lambda each: each.header_offset):
        if each.header_offset < place:
            raise Unsuitable("members of the archive overlap")
        place = each.header_offset + _LOCAL_HEADER + each.compress_size


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, taken: Taken) -> Stored:
    if not member.filename.endswith(".npy"):
        raise Unsuitable("every member of the archive must be a .npy file")
    if member.flag_bits & _ENCRYPTED:
        raise Unsuitable("the archive is encrypted")
    if member.compress_type not in _INFLATABLE:
        raise Unsuitable("members of the archive must be stored or deflated")
    header = npy.header(_inflated(archive, member, npy.LONGEST_HEADER))
    dtype = taken.archived(header.dtype)
    if dtype is None:
        raise Unsuitable(taken.refusal)
    taken.check_shape(header.shape)
    if header.start + math.prod(header.shape) * header.dtype.itemsize != member.file_size:
        raise Unsuitable("a member's header and its size do not agree")
    return Stored(
        member.filename.removesuffix(".npy"),
        header.shape,
        dtype,
        lambda: _values(_inflated(archive, member, member.file_size), header, dtype),
    )


def _values(whole: bytes, header: npy.Header, dtype: np.dtype[Any]) -> NDArray[np.float64]:
    count = math.prod(header.shape)
    if len(whole) < header.start + count * dtype.itemsize:
        raise Unsuitable("the header's shape and the number of bytes after it do not agree")
    flat = np.frombuffer(whole, dtype, count, header.start)
    return _doubles(flat.reshape(header.shape, order="F" if header.fortran_order else "C"))


def _doubles(values: NDArray[Any], *, copy: bool = False) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore"):  # signalling NaN
        return values.astype(np.float64, order="C", copy=copy)


def _inflated(archive: zipfile.ZipFile, member: zipfile.ZipInfo, most: int) -> bytes:
    """The first ``most`` bytes of a member; inflating stops there."""
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
