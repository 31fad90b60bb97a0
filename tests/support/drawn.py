"""Requests that schemathesis draws from the OpenAPI document."""

from __future__ import annotations

from typing import Any

from schemathesis import Case


def without_deadline(case: Case[Any]) -> Case[Any]:
    """``case`` without a deadline: for one of 5e−324 seconds a 504 is right, but counts as a failure."""
    for name in list(case.headers or {}):
        if name.lower() == "request-timeout":
            del case.headers[name]
    return case
