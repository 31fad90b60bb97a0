"""The OpenAPI document, which takes half a second to make and is looked at by many tests."""

from __future__ import annotations

from functools import cache
from typing import Any

from fastapi import FastAPI

from app.main import create_app
from app.settings import Settings


@cache
def document() -> dict[str, Any]:
    """The document of a service with default settings."""
    return create_app(Settings()).openapi()


def documented() -> FastAPI:
    """An application of its own that has the document already."""
    app = create_app(Settings())
    app.openapi_schema = document()
    return app
