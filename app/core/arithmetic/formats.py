"""Number formats: float64 results rounded once, to nearest even, into the format asked for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from app.core.errors import InvalidValue, UnknownName

FORMATS: Mapping[str, np.dtype[Any]] = {
    "float64": np.dtype(np.float64),
    "float32": np.dtype(np.float32),
    "float16": np.dtype(np.float16),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
    "float8_e4m3fn": np.dtype(ml_dtypes.float8_e4m3fn),
    "float8_e5m2": np.dtype(ml_dtypes.float8_e5m2),
    "float8_e4m3fnuz": np.dtype(ml_dtypes.float8_e4m3fnuz),
    "float8_e5m2fnuz": np.dtype(ml_dtypes.float8_e5m2fnuz),
    "float8_e4m3": np.dtype(ml_dtypes.float8_e4m3),
    "float8_e3m4": np.dtype(ml_dtypes.float8_e3m4),
    "float8_e4m3b11fnuz": np.dtype(ml_dtypes.float8_e4m3b11fnuz),
    "float6_e3m2fn": np.dtype(ml_dtypes.float6_e3m2fn),
    "float6_e2m3fn": np.dtype(ml_dtypes.float6_e2m3fn),
    "float4_e2m1fn": np.dtype(ml_dtypes.float4_e2m1fn),
}
"""The available formats. What overflows becomes infinity; NaN in the formats that have no infinity
(float8_e4m3fn and those whose names end in ``uz``); the largest number in those that have neither (float6 and
float4), as the standards say.

``fn`` says finite, NaN aside; ``uz`` that zero has no sign.
"""

_WITHOUT_NAN = frozenset(FORMATS[name] for name in ("float6_e3m2fn", "float6_e2m3fn", "float4_e2m1fn"))

_DIRECT = frozenset(FORMATS[name] for name in ("float64", "float32", "float16"))


def number_format(name: str) -> np.dtype[Any]:
    """The dtype called ``name``; raises `UnknownName`."""
    if name not in FORMATS:
        raise UnknownName("dtype", name, FORMATS, loc=("dtype",))
    return FORMATS[name]


def check_nan(values: NDArray[np.floating[Any]], dtype: np.dtype[Any], loc: str) -> None:
    """Raises `InvalidValue` where ``values`` hold a NaN and the format has none.

    Their standard (Open Compute Project, Microscaling Formats 1.0) says nothing of what NaN becomes
    in float6 and float4, and hardware differs: any number would pass for a result.
    """
    if dtype in _WITHOUT_NAN and np.isnan(values).any():
        raise InvalidValue(f"must hold no NaN: {dtype.name} has none", loc=(loc,))


def log10_of_zero(dtype: np.dtype[Any]) -> float:
    """log10 of half the smallest subnormal number: what is no larger rounds to zero in this format."""
    smallest = float(ml_dtypes.finfo(dtype).smallest_subnormal)  # type: ignore[no-untyped-call]
    return math.log10(smallest) - math.log10(2)


def round_to(values: NDArray[np.floating[Any]], dtype: np.dtype[Any]) -> NDArray[Any]:
    """``values`` rounded to ``dtype``, once: to nearest, ties to even.

    NaN becomes zero in a format that has none: `check_nan` refuses it before.
    """
    if values.dtype == dtype:
        return values
    with np.errstate(all="ignore"):
        # ml_dtypes converts through float32 and so rounds twice, which rounding to odd first makes harmless.
        source = values if dtype in _DIRECT else _float32_to_odd(values)
        return source.astype(dtype)


def _float32_to_odd(values: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Towards zero, with the last bit set where anything was cut off (Boldo and Melquiond 2008).

    Rounding the result again, to a format at least two bits shorter, gives what rounding ``values`` would.
    """
    nearest = np.atleast_1d(values).astype(np.float32)
    beyond = np.abs(nearest.astype(np.float64)) > np.abs(values)
    cut = np.where(beyond, np.nextafter(nearest, np.float32(0)), nearest)
    inexact = (nearest != values) & ~np.isnan(values)
    odd = cut.view(np.uint32) | inexact.astype(np.uint32)
    result: NDArray[np.float32] = odd.view(np.float32).reshape(values.shape)
    return result
