"""``.npy`` bodies: real arrays pass, everything that only claims to be one is refused."""

from __future__ import annotations

import io
from typing import Any

import ml_dtypes
import numpy as np
import pytest

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
