"""What is used of FastAPI and starlette beyond what they document, in one place.

``tests/http/test_fastapi_parts.py`` fails with a sentence when one of these changes; pyproject.toml holds
both below the next version that may.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.routing import BaseRoute, Match, Mount
from starlette.types import ASGIApp, Scope

_METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")


def add_routes(app: FastAPI, routes: Iterable[BaseRoute]) -> None:
    """Puts ``routes`` before those that are there.

    Not through ``include_router``, which has each request's path matched twice.
    """
    app.router.routes[:0] = routes
    app.router.redirect_slashes = False  # it would send clients to the host that they named


def set_state(app: FastAPI, **values: Any) -> None:
    """Makes ``app.state`` of plain attributes.

    starlette's own looks an attribute up by failing to find it first, half a microsecond each time.
    """
    app.state = SimpleNamespace(**values)  # type: ignore[assignment]


def middleware_stack(app: FastAPI) -> ASGIApp:
    """The application with FastAPI's own middlewares around it."""
    return app.build_middleware_stack()


def set_middleware_stack(app: FastAPI, stack: ASGIApp) -> None:
    """Has ``stack`` answer all requests."""
    app.middleware_stack = stack


def body_model(route: APIRoute) -> Any:
    """The model of the one field that is a route's body."""
    assert route.body_field is not None
    return route.body_field.field_info.annotation


def query_names(route: APIRoute) -> frozenset[str] | None:
    """The names of a route's query fields; None where a model holds them, which knows what it forbids."""
    fields = list(route.dependant.query_params)
    for dependency in route.dependant.dependencies:
        fields += dependency.query_params
    if any(
        isinstance(each.field_info.annotation, type) and issubclass(each.field_info.annotation, BaseModel)
        for each in fields
    ):
        return None
    return frozenset(each.alias for each in fields)


def template(scope: Scope) -> str | None:
    """The path of the route that was taken, with names in place of what a client chose."""
    # A router included under a prefix keeps the whole path there; its route knows its own part.
    included = scope.get("fastapi", {}).get("effective_route_context")
    return getattr(included or scope.get("route"), "path_format", None)


def methods(scope: Scope) -> set[str]:
    """The methods that some route offers at the path of a request."""
    root_path = scope.get("app_root_path", scope.get("root_path", ""))  # without that of a mount
    found: set[str] = set()
    for route in scope["app"].routes:
        for method in ("GET",) if isinstance(route, Mount) else _METHODS:
            asked = {**scope, "root_path": root_path, "method": method}
            if route.matches(asked)[0] is Match.FULL:
                found.add(method)
    return found
