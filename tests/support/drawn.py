"""Requests that schemathesis draws from the OpenAPI document."""

from __future__ import annotations

from typing import Any

from schemathesis import Case


def patient(case: Case[Any]) -> Case[Any]:
    """``case`` without a deadline: a 504 to one of 5e−324 seconds is honest, and would count as our fault."""
    for name in list(case.headers or {}):
        if name.lower() == "request-timeout":
            del case.headers[name]
    return case
