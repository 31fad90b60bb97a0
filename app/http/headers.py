"""Request headers in ASGI's form: names in lower case, in the order in which they were sent."""

from __future__ import annotations

from starlette.types import Scope


def header(scope: Scope, name: bytes) -> str | None:
    """The first header of this ``name``. Faster than starlette's mapping, which raises for a missing one."""
    for key, value in scope["headers"]:
        if key == name:
            text: str = value.decode("latin-1")
            return text
    return None


def accepts_gzip(scope: Scope) -> bool:
    """Whether the client accepts gzip (RFC 9110, 12.5.3); ``gzip;q=0`` means that it does not."""
    weights: dict[str, float] = {}
    for part in (header(scope, b"accept-encoding") or "").lower().split(","):
        coding, _, parameter = part.partition(";")
        name, _, value = parameter.strip().partition("=")
        try:
            weights[coding.strip()] = float(value) if name == "q" else 1.0
        except ValueError:
            weights[coding.strip()] = 0.0
    return weights.get("gzip", weights.get("*", 0.0)) > 0


def route_path(scope: Scope) -> str:
    """The path that routes are matched against: without the root path of a proxy."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))
