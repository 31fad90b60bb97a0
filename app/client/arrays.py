"""Conversion of arrays for requests: from NumPy, ml-dtypes, nested lists and PyTorch tensors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias, runtime_checkable

import ml_dtypes
import numpy as np
from numpy.typing import ArrayLike, NDArray

from app.wire.nested import to_lists


@runtime_checkable
class Tensor(Protocol):
    """A PyTorch tensor, of any dtype and device, with or without requires_grad."""

    def detach(self) -> Any:
        """The tensor without its autograd history."""


Values: TypeAlias = ArrayLike | Tensor
"""What a caller may pass for an array."""

Param: TypeAlias = Values | str | bool
"""What a caller may pass for a parameter: an array, or a framework's switch."""

_STORED = {
    np.dtype(np.float64): "F64",
    np.dtype(np.float32): "F32",
    np.dtype(np.float16): "F16",
    np.dtype(ml_dtypes.bfloat16): "BF16",
}
"""The dtypes of weights, and their names in a safetensors file."""


def numpy(values: Values) -> NDArray[Any]:
    """``values`` as an ndarray; PyTorch's formats that NumPy lacks are converted to float32, exactly."""
    if not isinstance(values, Tensor):
        return np.asarray(values)
    tensor = values.detach().cpu()
    try:
        array: NDArray[Any] = tensor.numpy()
    except TypeError:  # bfloat16 and float8
        array = tensor.float().numpy()
    return array


def format_name(values: Values) -> str:
    """The service's name of the format of ``values``."""
    if isinstance(values, Tensor):
        return str(getattr(values, "dtype", "float32")).removeprefix("torch.")
    return np.asarray(values).dtype.name


def numbers(values: Values) -> Any:
    """``values`` for JSON: Python numbers in nested lists."""
    return to_lists(numpy(values).astype(np.float64))


def params(given: Mapping[str, Param]) -> dict[str, Any]:
    """Parameters for JSON."""
    return {name: value if isinstance(value, str | bool) else numbers(value) for name, value in given.items()}


def safetensors(tensors: Mapping[str, Values]) -> bytes:
    """A safetensors file of named tensors: https://huggingface.co/docs/safetensors."""
    header: dict[str, Any] = {}
    pieces: list[bytes] = []
    end = 0
    for name, tensor in tensors.items():
        array = numpy(tensor)
        kept = array if array.dtype in _STORED else array.astype(np.float64)
        data = np.ascontiguousarray(kept).tobytes()
        offsets = [end, end := end + len(data)]
        header[name] = {"dtype": _STORED[kept.dtype], "shape": list(kept.shape), "data_offsets": offsets}
        pieces.append(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([len(text).to_bytes(8, "little"), text, *pieces])
