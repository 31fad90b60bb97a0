"""All kinds of requests, by name."""

from __future__ import annotations

from collections.abc import Mapping

from tests.fuzz import arrays, formulas, raw
from tests.fuzz.kinds import Kind

KINDS: Mapping[str, Kind] = {
    "npy": arrays.npy,
    "npz": arrays.npz,
    "safetensors": arrays.safetensors,
    "multipart": arrays.multipart,
    "v2": arrays.protocol,
    "activate": arrays.activate,
    "flow": arrays.flow,
    "sweep": arrays.sweep,
    "formula": formulas.formula,
    "verify": formulas.verification,
    "training": formulas.training,
    "pipeline": raw.pipeline,
    "raw": raw.raw,
}
