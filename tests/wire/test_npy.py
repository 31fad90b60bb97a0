"""``.npy`` bodies: arrays of real numbers are read, everything else is refused."""

from __future__ import annotations

import io
import time
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from app.core.errors import LimitExceeded
from app.wire import npy
from app.wire.errors import Unsuitable


def saved(array: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def header(text: str) -> bytes:
    padded = text.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded


@pytest.mark.parametrize("dtype", ["<f8", ">f8", "<f4", "<f2", "i1", "u1", "<i8", "<u8", ">i2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_real_arrays(dtype: str, order: Any) -> None:
    array = np.arange(24, dtype=dtype).reshape(2, 3, 4, order=order)
    np.testing.assert_array_equal(npy.loads(saved(array)), array.astype(np.float64))


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1, 1, 1, 1, 1)])
def test_shapes(shape: tuple[int, ...]) -> None:
    assert npy.loads(saved(np.zeros(shape))).shape == shape


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not an array",
        saved(np.array([None]), allow_pickle=True),
        saved(np.zeros(2, dtype=[("a", "f8")])),
        saved(np.zeros(2, dtype=complex)),
        saved(np.zeros(2, dtype="datetime64[s]")),
        saved(np.zeros(2, dtype=bool)),
        saved(np.array(["1"])),
        saved(np.zeros(2, dtype=np.longdouble)),
        saved(np.zeros(3)) + b"\x00",
        saved(np.zeros(3))[:-1],
        header("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }"),
        header("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }"),
        header("{'descr': '<f8', 'fortran_order': False, 'shape': (True,), }") + bytes(8),
        header("{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296), }"),
        header("{'descr': '<f8', 'fortran_order': False, 'shape': (" + "1, " * 40 + "), }") + bytes(8),
        header("__import__('os')"),
        header("{'descr': '<f8', 'fortran_order': False, 'shape': (0), }"),
        header("{'descr': '<f8', 'fortran_order': False, 'shape': (,), }"),
        header("{'descr': '<f8', 'fortran_order': False, 'shape': (0,), 'shape': (0,), }"),
        header("{'descr': '<f8', 'fortran_order': False, }"),
        header("{'descr': '<f8', 'fortran_order': False, 'shape': (0,), } + 1"),
        header("{'descr': '<f8', 'fortran_order': 0, 'shape': (0,), }"),
        header("{'descr': '<f8', 'fortran_order': False, 'shape': (1" + "0" * 30 + ", 0), }"),
        header("{'descr': '<f8', 'fortran_order': False, 'shape': (1_0, 0), }"),
        header("{" * 50),
        b"\x93NUMPY\x09\x00" + bytes(20),
    ],
)
def test_refused(body: bytes) -> None:
    with pytest.raises(Unsuitable):
        npy.loads(body)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_named_formats_keep_their_dtype(dtype: Any) -> None:
    array = np.array([[1.5, -0.0], [np.nan, np.inf]], dtype=dtype)
    back = np.load(io.BytesIO(npy.dumps(array)))
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2])
def test_unnamed_formats_travel_as_float32(dtype: Any) -> None:
    array = np.array([1.5, -0.25, 240.0], dtype=dtype)
    back = np.load(io.BytesIO(npy.dumps(array)))
    assert back.dtype == np.float32
    np.testing.assert_array_equal(back, array.astype(np.float32))


@pytest.mark.parametrize(
    "text",
    [
        "{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }",
        '{"shape": (2,), "fortran_order": False, "descr": "<f8"}',
        "{'descr':'<f8','fortran_order':True,'shape':(2,)}",
        "  { 'descr' : '<f8' , 'fortran_order' : False , 'shape' : ( 2L , ) , } ",
    ],
)
def test_headers_of_other_writers(text: str) -> None:
    assert npy.loads(header(text) + np.array([1.5, -2.0]).tobytes()).tolist() == [1.5, -2.0]


HUGE = [
    (10**9, 0),
    (2**62, 0),
    (10**18, 0),
    (2**62, 2**62, 0),
    (0, 2**62),
    (0, 2**62, 2**62),
    (9,) * 31 + (0,),
]


@pytest.mark.parametrize("shape", HUGE)
def test_an_empty_axis_hides_no_huge_one(shape: tuple[int, ...]) -> None:
    """Each empty row is text in an answer, and a product beyond 64 bits is not a valid shape."""
    body = header(f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}")
    with pytest.raises(LimitExceeded, match=r"the limit is 20,000,000"):
        npy.loads(body, 20_000_000)


@pytest.mark.parametrize("dtype", ["<i1", "<f8"])
def test_the_limit_comes_before_the_array(dtype: str) -> None:
    body = saved(np.zeros(1001, dtype))
    assert npy.loads(body, 1001).size == 1001
    with pytest.raises(LimitExceeded, match=r"1,001 numbers or rows; the limit is 1,000"):
        npy.loads(body, 1000)


SLOW_FOR_PYTHON = [
    "(" + " " * 9988 + "?",
    "(" * 9989,
    " " * 9989,
    "{" + "'descr': '<f8', " * 600,
    "{'shape': (" + "1, " * 3300,
    "{'shape': (" + " " * 9970 + ")",
    "{" + " " * 9980 + "'descr'",
    "{'descr': '" + "<" * 9970 + "'",
    "-" * 9989,
    "1L " * 3300,
]


@pytest.mark.parametrize("text", SLOW_FOR_PYTHON, ids=lambda text: text[:12])
def test_a_hostile_header_is_refused_quickly(text: str) -> None:
    body = npy_file(text.encode())
    start = time.perf_counter()
    with pytest.raises(Unsuitable):
        npy.loads(body)
    assert time.perf_counter() - start < 0.05


def npy_file(text: bytes) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text
