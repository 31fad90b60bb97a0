"""A form with a network's own weights, as clients send it."""

from __future__ import annotations

import json
from typing import Any

OCTETS = "application/octet-stream"


def form(weights: bytes, fields: dict[str, Any]) -> dict[str, Any]:
    """The keyword arguments of a ``post`` that sends it."""
    request = ("request.json", json.dumps(fields).encode(), "application/json")
    return {"files": {"request": request, "weights": ("weights", weights, OCTETS)}}
