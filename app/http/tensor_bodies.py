"""Bodies of inference requests and responses: a JSON object, which may be followed by raw tensors."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.types import Receive, Scope, Send

from app.contract.protocol import FIELD_NAMES, InferRequest
from app.core.errors import ActivationLabError, nearest
from app.http.bodies import Body, BodyRoute, parsed, validated
from app.http.headers import header
from app.http.media_types import JSON, OCTETS, media_type, plain_body
from app.http.problems import Problem
from app.settings import Settings
from app.wire import tensors
from app.wire.errors import Malformed, WireError

HEADER_LENGTH = "Inference-Header-Content-Length"

BYTES: dict[str, Any] = {
    "schema": {
        "type": "string",
        "format": "binary",
        "description": f"The JSON object, as long as {HEADER_LENGTH} says, and raw tensors after it.",
    }
}
"""The declaration of such a body in the OpenAPI document."""


class Inference(NamedTuple):
    """An inference request and the raw tensors behind it."""

    fields: InferRequest
    binary: memoryview


class TensorBody(Body):
    """A JSON object, which may be followed by raw tensors."""

    def __init__(self, examples: Mapping[str, Any]) -> None:
        super().__init__(InferRequest, examples)
        self.content[OCTETS] = BYTES

    async def read(self, request: Request) -> Inference:
        """The validated body; raises `Problem`, for an unsupported media type before anything is received."""
        plain_body(request.scope)
        given = header(request.scope, b"content-type")
        media_type(JSON if given is None else given, self.content)
        settings: Settings = request.app.state.settings
        length = header(request.scope, HEADER_LENGTH.lower().encode())
        parse = partial(tensors.loads, header_length=length, most=settings.max_elements)
        try:
            fields, binary = await parsed(request, parse)
        except Malformed as error:
            raise Problem(400, str(error)) from None
        except WireError as error:
            raise Problem(422, str(error)) from None
        return Inference(validated(InferRequest, fields, "body"), binary)


class TensorRoute(BodyRoute):
    """A route whose body is a `TensorBody`; it reports errors in one sentence."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's own handler, its errors in one sentence."""
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            try:
                return await handle(request)
            except Malformed as error:
                raise Problem(400, str(error)) from None
            except RequestValidationError as error:
                raise Problem(422, _first(error)) from None
            except ActivationLabError as error:
                named = [str(part) for part in error.loc if part != "params"]
                raise Problem(422, ": ".join([*named, error.message])) from None

        return handled


def _first(error: RequestValidationError) -> str:
    """The first error and the path to its field, without repeating names that the client chose."""
    found = error.errors()[0]
    path = "".join(
        f"[{part}]" if isinstance(part, int) else f".{part if part in FIELD_NAMES else '…'}"
        for part in found["loc"][1:]
    )
    message = found["msg"]
    if found["type"] == "extra_forbidden":
        near = nearest(str(found["loc"][-1]), FIELD_NAMES)
        message = "unknown field" + (f"; did you mean {' or '.join(near)}?" if near else "")
    return ": ".join(filter(None, [path.lstrip("."), message]))


class TensorResponse(Response):
    """A JSON object followed by raw tensors, which are sent without copying."""

    media_type = OCTETS

    def __init__(self, document: bytes, binary: Sequence[memoryview]) -> None:
        self._pieces = [memoryview(document), *binary]
        length = sum(map(len, self._pieces))
        super().__init__(headers={HEADER_LENGTH: str(len(document)), "Content-Length": str(length)})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the pieces one after the other."""
        del scope, receive
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for left, piece in zip(reversed(range(len(self._pieces))), self._pieces, strict=True):
            await send({"type": "http.response.body", "body": piece, "more_body": left > 0})
