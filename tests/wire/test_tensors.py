"""Tensors of the Open Inference Protocol: valid ones are read to the bit, inconsistent ones are refused."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from app.wire.errors import Malformed
from app.wire.tensors import DATATYPES, array, cut, loads, raw

SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)


@given(st.sampled_from(sorted(DATATYPES)), SHAPES, st.integers(0, 2**32 - 1), st.integers(0, 9))
def test_raw_bytes_survive_the_round_trip_wherever_they_lie(
    datatype: str, shape: tuple[int, ...], seed: int, offset: int
) -> None:
    dtype = DATATYPES[datatype]
    size = int(np.prod(shape)) * dtype.itemsize
    sent = np.random.default_rng(seed).bytes(offset + size)  # any bits, so NaNs with payloads too
    tensor = array(datatype, list(shape), None, memoryview(sent)[offset:])
    assert tensor.dtype == dtype
    assert tensor.shape == shape
    assert bytes(raw(tensor)) == sent[offset:]


def test_raw_bytes_are_little_endian_and_row_major() -> None:
    sent = struct.pack("<4f", 1.0, 2.0, 3.0, -0.5)
    assert array("FP32", [2, 2], None, memoryview(sent)).tolist() == [[1.0, 2.0], [3.0, -0.5]]
    columns = np.array([[1.0, 3.0], [2.0, -0.5]], np.float32).T
    assert bytes(raw(columns)) == sent


def test_bfloat16_is_the_upper_half_of_float32() -> None:
    upper = struct.pack("<f", -1.5)[2:]
    assert array("BF16", [1], None, memoryview(upper)).astype(float).tolist() == [-1.5]


def test_raw_bytes_are_not_copied() -> None:
    sent = bytearray(16)
    tensor = array("FP64", [2], None, memoryview(sent))
    sent[:8] = struct.pack("<d", 7.0)
    assert tensor.tolist() == [7.0, 0.0]
    assert np.shares_memory(np.frombuffer(raw(tensor), np.uint8), tensor)


@pytest.mark.parametrize(
    ("shape", "data"),
    [
        ([2, 2], [1, 2, 3, 4]),
        ([2, 2], [[1, 2], [3, 4]]),
        ([1], [5]),
        ([], [5]),
        ([], 5),
        ([0, 3], []),
        ([2, 0], [[], []]),
    ],
)
def test_numbers_flat_or_nested(shape: list[int], data: Any) -> None:
    numbers = np.array(data, np.float64)
    tensor = array("FP64", shape, numbers, None)
    assert tensor.shape == tuple(shape)
    assert tensor.ravel().tolist() == numbers.ravel().tolist()


def test_numbers_are_rounded_to_the_datatype() -> None:
    assert array("FP16", [2], np.array([1 + 2.0**-12, 70_000.0]), None).tolist() == [1.0, np.inf]


@pytest.mark.parametrize(
    "shape",
    [
        *([-4], [2, -2], [3], [2, 3], [2**63, 2], [2**32, 2**32], [1] * 33),
        *([4, True], [4.0], ["4"], [None], [[4]], 4, "4", None, {}),
    ],
)
def test_shapes_that_are_invalid_or_do_not_fit(shape: Any) -> None:
    with pytest.raises(Malformed, match=r"shape|product"):
        array("FP64", shape, np.zeros(4), None)
    with pytest.raises(Malformed, match=r"shape|product"):
        array("FP64", shape, None, memoryview(bytes(32)))


def test_numbers_in_another_nesting_are_refused() -> None:
    for data in (np.zeros((2, 3)), np.zeros((1, 6)), np.zeros(()), np.zeros((3, 2, 1))):
        with pytest.raises(Malformed, match="as many numbers"):
            array("FP64", [3, 2], data, None)


def test_data_is_given_exactly_once() -> None:
    for data, binary in ((None, None), (np.zeros(1), memoryview(bytes(8)))):
        with pytest.raises(Malformed, match="either"):
            array("FP64", [1], data, binary)


def test_binary_is_cut_in_the_order_of_the_tensors() -> None:
    pieces = cut(memoryview(b"aabbb"), [2, None, 0, 3])
    assert [None if each is None else bytes(each) for each in pieces] == [b"aa", None, b"", b"bbb"]


@pytest.mark.parametrize(
    "sizes", [[4], [6], [2, 2], [5, 1], [-1, 6], [True, 4], [5.0], ["5"], [2**70], [None]]
)
def test_sizes_that_do_not_add_up(sizes: list[Any]) -> None:
    with pytest.raises(Malformed, match="binary_data_size"):
        cut(memoryview(b"aabbb"), sizes)


def test_the_object_and_the_bytes_after_it() -> None:
    document = json.dumps({"inputs": [{"name": "x", "shape": [2], "data": [1, 2]}]}).encode()
    fields, binary = loads(document + b"\x00\xff", str(len(document)))
    assert bytes(binary) == b"\x00\xff"
    assert fields["inputs"][0]["shape"] == [2]
    assert isinstance(fields["inputs"][0]["data"], np.ndarray)


@pytest.mark.parametrize("length", ["-1", "0", "3", "x", "", "1e0", " 2", "+2", "２", "9" * 5000])
def test_invalid_header_lengths(length: str) -> None:
    with pytest.raises(Malformed, match="Inference-Header-Content-Length"):
        loads(b"{}", length)


@pytest.mark.parametrize("length", ["1", "2"])
def test_a_header_length_that_cuts_the_object_short(length: str) -> None:
    with pytest.raises(Malformed):
        loads(b'{"a":1}', length)
