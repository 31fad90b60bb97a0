"""The undocumented parts of FastAPI and starlette that are used have not changed."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated

import pytest
from fastapi import Depends, FastAPI, Query
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Router
from starlette.types import Scope

from app.http import fastapi_parts

CHANGED = "this version changed what app/http/fastapi_parts.py uses: "


class Fields(BaseModel):
    number: int = 0


def nested(further: int = 0) -> int:
    return further


def given(body: Fields, query: Annotated[int, Query(alias="named")] = 0, deep: int = Depends(nested)) -> int:
    return body.number + query + deep


def asked(fields: Annotated[Fields, Query()]) -> int:
    return fields.number


def scope(app: FastAPI, method: str, path: str) -> Scope:
    return {"type": "http", "method": method, "path": path, "root_path": "", "app": app, "headers": []}


def route(endpoint: Callable[..., int]) -> APIRoute:
    return APIRoute("/path/{name}", endpoint, methods=["POST"])


def test_the_dependencies_of_an_endpoint() -> None:
    assert fastapi_parts.dependencies(route(given)) == [nested], CHANGED + "APIRoute.dependant.dependencies"


def test_the_names_of_query_fields() -> None:
    names = fastapi_parts.query_names(route(given))
    assert set(names or ()) == {"named", "further"}, (
        CHANGED + "APIRoute.dependant.query_params, dependencies, alias"
    )
    assert fastapi_parts.query_names(route(asked)) is None, CHANGED + "field_info.annotation of a query model"


def test_routes_are_a_list_that_is_searched_in_order() -> None:
    app = FastAPI()
    added = route(given)
    fastapi_parts.add_routes(app, [added])
    assert app.routes[0] is added, CHANGED + "FastAPI.router.routes"
    match, found = added.matches(scope(app, "POST", "/path/a"))
    assert match is Match.FULL, CHANGED + "BaseRoute.matches"
    assert found["path_params"] == {"name": "a"}, CHANGED + "BaseRoute.matches"
    assert fastapi_parts.methods(scope(app, "GET", "/path/a")) == {"POST"}, CHANGED + "BaseRoute.matches"
    assert "redirect_slashes" in inspect.signature(Router).parameters, CHANGED + "Router.redirect_slashes"
    assert hasattr(app.router, "redirect_slashes"), CHANGED + "Router.redirect_slashes"


def test_the_template_of_a_route() -> None:
    found = {**scope(FastAPI(), "POST", "/path/a"), "route": route(given)}
    assert fastapi_parts.template(found) == "/path/{name}", CHANGED + "APIRoute.path_format"
    assert fastapi_parts.template(scope(FastAPI(), "GET", "/nothing")) is None


def test_the_state_and_the_stack_are_attributes() -> None:
    app = FastAPI()
    fastapi_parts.set_state(app, answer=42)
    assert Request(scope(app, "GET", "/")).app.state.answer == 42, CHANGED + "FastAPI.state"
    assert app.middleware_stack is None, CHANGED + "Starlette.middleware_stack, built on the first request"
    stack = fastapi_parts.middleware_stack(app)
    assert callable(stack), CHANGED + "Starlette.build_middleware_stack"


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_stack_that_is_set_is_the_one_that_answers(anyio_backend: str) -> None:
    del anyio_backend
    app = FastAPI()
    sent = []

    async def send(message: object) -> None:
        sent.append(message)

    fastapi_parts.set_middleware_stack(app, Response(b"mine"))
    await app(scope(app, "GET", "/"), lambda: None, send)  # type: ignore[arg-type, return-value]
    assert sent[-1]["body"] == b"mine", CHANGED + "Starlette.middleware_stack"  # type: ignore[index]
