"""``GET /healthz`` and ``GET /readyz``: their answer."""

from __future__ import annotations

from typing import Literal

from app.contract.arrays import Model


class Health(Model):
    """Whether the service is up."""

    status: Literal["ok"]
