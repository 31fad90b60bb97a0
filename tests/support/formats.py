"""Number formats by what they can hold."""

from __future__ import annotations

import ml_dtypes
import numpy as np

from app.core.arithmetic.formats import FORMATS


def _holds(number: float, name: str) -> bool:
    with np.errstate(all="ignore"):
        return bool(
            np.array_equal(np.array(number).astype(FORMATS[name]).astype(float), number, equal_nan=True)
        )


WITH_NAN = {name: dtype for name, dtype in FORMATS.items() if _holds(np.nan, name)}
WITH_INFINITIES = {name: dtype for name, dtype in WITH_NAN.items() if _holds(np.inf, name)}
BITS = {name: int(ml_dtypes.finfo(dtype).bits) for name, dtype in FORMATS.items()}  # type: ignore[no-untyped-call]
