"""Bodies that the service reads itself, because FastAPI knows neither arrays nor raw tensors in them.

An endpoint declares its body as a dependency, `Body.read`. FastAPI leaves the body alone then, and
`BodyRoute` adds it to the OpenAPI document.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from app.compute.threads import SMALL
from app.core.evaluation import Mapper
from app.http.admission import ComputeRoute
from app.http.computing import computed, timeout
from app.http.fastapi_parts import dependencies
from app.http.media_types import JSON
from app.http.problems import Problem
from app.settings import Settings

Parsed = TypeVar("Parsed")
Validated = TypeVar("Validated", bound=BaseModel)

SHORT = 262_144
"""Bytes up to which a body is parsed inline: a millisecond of work, about as long as a thread switch."""


class Body:
    """A body with the fields of a ``model``: as JSON, and as whatever a subclass adds to ``content``.

    ``content`` is its declaration in the OpenAPI document, by media type.
    """

    def __init__(self, model: type[BaseModel], examples: Mapping[str, Any]) -> None:
        self.model = model
        self.schema = {"$ref": f"#/components/schemas/{model.__name__}"}
        self.content: dict[str, Any] = {JSON: {"schema": self.schema, "examples": examples}}

    async def read(self, request: Request) -> Any:
        """The body, validated; raises `Problem` if it cannot be read."""
        raise NotImplementedError


class BodyRoute(ComputeRoute):
    """A route whose endpoint depends on a `Body`, which it declares in the OpenAPI document."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        owners = (getattr(each, "__self__", None) for each in dependencies(self))
        self.body = next(each for each in owners if isinstance(each, Body))
        declared = {"requestBody": {"required": True, "content": self.body.content}}
        self.openapi_extra = {**(self.openapi_extra or {}), **declared}


async def parsed(request: Request, parse: Callable[[bytes], Parsed], *, packed: bool = False) -> Parsed:
    """The result of ``parse``: inline for a short body, else on a thread, with admission and deadline.

    A ``packed`` body never counts as short: an archive of 20 KB may hold 20 million numbers. Raises `Problem`
    if the client disconnects, the body is empty, the service is busy or the deadline passes.
    """
    pieces = await _pieces(request)
    if not packed and sum(map(len, pieces)) <= SHORT:
        return parse(b"".join(pieces))

    def work(_: Mapper) -> Parsed:
        whole = b"".join(pieces)
        pieces.clear()
        return parse(whole)

    settings: Settings = request.app.state.settings
    seconds = timeout(request, settings.request_timeout)
    return await computed(request, work, size=SMALL + 1, seconds=seconds)


async def _pieces(request: Request) -> list[bytes]:
    """The body as it was received."""
    pieces: list[bytes] = []
    more = True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise Problem(400, "the client disconnected before the body was complete")
        more = message.get("more_body", False)
        if chunk := message.get("body", b""):
            pieces.append(chunk)
    if not pieces:
        raise Problem(400, "the body is empty", code="urn:activation-lab:malformed")
    return pieces


def validated(model: type[Validated], fields: Any, *loc: str) -> Validated:
    """The fields as a ``model``; raises errors in FastAPI's form, with ``loc`` before their paths."""
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        found = [{**each, "loc": (*loc, *each["loc"])} for each in error.errors(include_url=False)]
        raise RequestValidationError(found) from None
