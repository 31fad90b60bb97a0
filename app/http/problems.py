"""Errors as RFC 9457 problem documents: what was wrong, where, what is allowed; never the input itself."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Literal

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from app.contract.fields import FIELD_NAMES
from app.contract.problems import ProtocolError
from app.core.activations import REGISTRY
from app.core.errors import ActivationLabError, nearest
from app.http.fastapi_parts import methods
from app.http.headers import route_path

MEDIA_TYPE = "application/problem+json"

PROTOCOL = "/v2"
"""The path of the Open Inference Protocol."""

MOST_ERRORS = 20
"""Errors listed in one problem: a body with a million bad fields gets a short response."""

LONGEST_MESSAGE = 300

_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE})


class Problem(HTTPException):
    """An error with its status, raised anywhere in a request and answered as a problem document."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        code: str = "about:blank",
        errors: Sequence[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, detail, dict(headers or {}))
        self.code = code
        self.errors = errors

    def response(self) -> Response:
        """The response that reports the problem."""
        return ProblemResponse(self)


class Translation:
    """A context manager that raises ``translate(error)`` in place of an error, unless that is None.

    Every request uses some; with contextlib's generators they would take seven times as long.
    """

    def __init__(self, translate: Callable[[BaseException], Problem | None]) -> None:
        self._translate = translate

    def __enter__(self) -> None:
        """Does nothing."""

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        """Raises the problem, if there is one."""
        problem = None if error is None else self._translate(error)
        if problem is not None:
            raise problem from None


class ProblemResponse(Response):
    """A problem document; below `PROTOCOL`, the protocol's error object with one sentence."""

    def __init__(self, problem: Problem) -> None:
        document: dict[str, Any] = {
            "type": problem.code,
            "title": HTTPStatus(problem.status_code).phrase,
            "status": problem.status_code,
            "detail": problem.detail[:LONGEST_MESSAGE],
        }
        if problem.errors:
            document["errors"] = list(problem.errors)
        super().__init__(orjson.dumps(document), problem.status_code, problem.headers, MEDIA_TYPE)
        sentence = orjson.dumps({"error": document["detail"]})
        self._sentence = Response(sentence, problem.status_code, problem.headers, "application/json")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers in the form that the path requires, wherever the error was raised."""
        below = f"{route_path(scope)}/".startswith(f"{PROTOCOL}/")
        await (self._sentence(scope, receive, send) if below else super().__call__(scope, receive, send))


def install(app: FastAPI) -> None:
    """Replaces FastAPI's handlers, which repeat the input, of any length, and fail on NaN."""
    for kind in (HTTPException, RequestValidationError, ActivationLabError, Exception):
        app.add_exception_handler(kind, _answer)


def problem(error: Exception) -> Problem:
    """The problem that a client is sent for ``error``; 500 for unexpected errors."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, HTTPException):
        return Problem(error.status_code, str(error.detail), headers=error.headers)
    if isinstance(error, RequestValidationError):
        return from_validation(error.errors())
    if isinstance(error, ActivationLabError):
        return from_core(error)
    if isinstance(error, OSError) and error.errno in _EXHAUSTED:
        detail = "the service has no file descriptor left for this; try again later"
        return Problem(503, detail, headers={"Retry-After": "1"})
    return Problem(500, "an internal error; the request may be sent again")


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI declaration of problem documents with these statuses."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


def protocol_errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI declaration of errors below `PROTOCOL` with these statuses."""
    return {status: {"description": HTTPStatus(status).phrase, "model": ProtocolError} for status in statuses}


async def _answer(request: Request, error: Exception) -> Response:
    found = problem(error)
    if found.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        offered = methods(request.scope)
        found.headers = {"Allow": ", ".join(sorted(offered | ({"HEAD"} if "GET" in offered else set())))}
    return found.response()


def from_validation(found: Sequence[Mapping[str, Any]]) -> Problem:
    """pydantic's errors as a problem that lists the fields."""
    listed = [
        _field_error(each["loc"], _message(each["type"], each["loc"], each["msg"]), each["type"])
        for each in found[:MOST_ERRORS]
    ]
    more = f"; the first {MOST_ERRORS} are listed" if len(found) > MOST_ERRORS else ""
    detail = f"{len(found)} field{'s do' if len(found) > 1 else ' does'} not match the schema{more}"
    return Problem(422, detail, code="urn:activation-lab:invalid-request", errors=listed)


def from_core(error: ActivationLabError, part: Literal["body", "query"] = "body") -> Problem:
    """The core's error as a problem with its field, in this part of the request."""
    listed = [_field_error((part, *error.loc), error.message, error.code)]
    kind = error.code.replace("_", "-")
    return Problem(422, error.message, code=f"urn:activation-lab:{kind}", errors=listed)


def _message(kind: str, loc: Sequence[str | int], message: str) -> str:
    """pydantic's message; for an unknown field, the nearest known names."""
    if kind != "extra_forbidden":
        return message
    if loc[-1] in FIELD_NAMES:
        return "unknown field here: it belongs to another part of a request"
    near = nearest(str(loc[-1]), FIELD_NAMES)
    return f"unknown field; did you mean {' or '.join(near)}?" if near else "unknown field"


def _field_error(loc: Iterable[str | int], message: str, kind: str) -> dict[str, Any]:
    return {"loc": [_known(part) for part in loc], "msg": message[:LONGEST_MESSAGE], "type": kind}


def _known(part: str | int) -> str | int:
    """``part`` of a path if it is an index or a known name; a client's own key is not repeated."""
    return part if isinstance(part, int) or part in KNOWN_NAMES else "…"


def _parameter_names() -> frozenset[str]:
    ours = {each.name for entry in REGISTRY.values() for each in entry.parameters}
    theirs = {
        parameter
        for vocabulary in REGISTRY.vocabularies.values()
        for name in vocabulary
        for parameter in name.own_parameters
    }
    return frozenset(ours | theirs)


_OTHER_NAMES = frozenset({"body", "query", "path", "header", "framework", "arrays"})

KNOWN_NAMES = FIELD_NAMES | _parameter_names() | _OTHER_NAMES
"""Names that an error may repeat, because they are the service's own."""
