"""The adapter to FastAPI and starlette: everything that is used beyond their documented interfaces.

``tests/http/test_fastapi_parts.py`` fails with an explanation when one of these changes; pyproject.toml
excludes the next versions that may change them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.routing import BaseRoute, Match, Mount
from starlette.types import ASGIApp, Scope

_METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")


def add_routes(app: FastAPI, routes: Iterable[BaseRoute]) -> None:
    """Inserts ``routes`` before the existing ones.

    Not through ``include_router``, with which each request's path is matched twice.
    """
    app.router.routes[:0] = routes
    app.router.redirect_slashes = False  # redirects would go to whatever Host the client sent


def set_state(app: FastAPI, **values: Any) -> None:
    """Replaces ``app.state`` with a plain namespace of these ``values``.

    Each attribute of starlette's `State` goes through ``__getattr__``, which takes half a microsecond.
    """
    app.state = SimpleNamespace(**values)  # type: ignore[assignment]


def middleware_stack(app: FastAPI) -> ASGIApp:
    """The application with FastAPI's own middlewares around it."""
    return app.build_middleware_stack()


def set_middleware_stack(app: FastAPI, stack: ASGIApp) -> None:
    """Makes ``stack`` the ASGI application that answers all requests."""
    app.middleware_stack = stack


def dependencies(route: APIRoute) -> list[Callable[..., Any]]:
    """What a route's endpoint declares as its dependencies."""
    return [each.call for each in route.dependant.dependencies if each.call is not None]


def query_names(route: APIRoute) -> frozenset[str] | None:
    """The names of a route's query fields; None where a model declares them, which checks them itself."""
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
    """The path template of the matched route, such as ``/functions/{name}``."""
    # For a router included under a prefix, this context has the whole path; its route has its own part only.
    included = scope.get("fastapi", {}).get("effective_route_context")
    return getattr(included or scope.get("route"), "path_format", None)


def methods(scope: Scope) -> set[str]:
    """The methods that some route offers at the path of a request."""
    root_path = scope.get("app_root_path", scope.get("root_path", ""))  # without a mount's path
    found: set[str] = set()
    for route in scope["app"].routes:
        for method in ("GET",) if isinstance(route, Mount) else _METHODS:
            asked = {**scope, "root_path": root_path, "method": method}
            if route.matches(asked)[0] is Match.FULL:
                found.add(method)
    return found
