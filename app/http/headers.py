"""Request headers, as the server hands them over: names in lower case, in the order they came."""

from __future__ import annotations

from starlette.types import Scope


def header(scope: Scope, name: bytes) -> str | None:
    """The first header of this ``name``. Not through starlette's mapping, whose misses are exceptions."""
    for key, value in scope["headers"]:
        if key == name:
            text: str = value.decode("latin-1")
            return text
    return None


def declared_json(scope: Scope) -> Scope:
    """The scope of a request that says it holds JSON: FastAPI asks no other for its `json`."""
    headers = [(key, value) for key, value in scope["headers"] if key != b"content-type"]
    return {**scope, "headers": [*headers, (b"content-type", b"application/json")]}
