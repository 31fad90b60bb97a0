"""Query strings: unknown fields are refused, as in a body."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send

from app.http.fastapi_parts import query_names


class StrictRoute(APIRoute):
    """A route that refuses query fields which it does not declare."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self.query_names = query_names(self)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers the request, or raises an error that is answered as a problem."""
        if scope["query_string"] and self.query_names is not None:
            _check(scope["query_string"], self.query_names)
        await super().handle(scope, receive, send)


def _check(query: bytes, known: frozenset[str]) -> None:
    names = (name for name, _ in parse_qsl(query.decode("latin-1"), keep_blank_values=True))
    unknown = [name for name in dict.fromkeys(names) if name not in known]
    if unknown:
        raise RequestValidationError(
            [{"loc": ("query", name), "msg": "", "type": "extra_forbidden"} for name in unknown]
        )
