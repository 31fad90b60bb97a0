"""Bodies of inference requests and responses: a JSON object, which may be followed by raw tensors.

FastAPI validates the JSON object, which `Request.json` returns; the bytes after it are in `binary`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.types import Receive, Scope, Send

from app.contract.protocol import FIELD_NAMES
from app.core.errors import ActivationLabError, nearest
from app.http.admission import ComputeRoute
from app.http.bodies import JSON, WholeRequest, refuse_encoding
from app.http.headers import declared_json, header
from app.http.problems import Problem
from app.wire import tensors
from app.wire.errors import Malformed, WireError

OCTETS = "application/octet-stream"
HEADER_LENGTH = "Inference-Header-Content-Length"


class TensorRequest(WholeRequest):
    """A request whose body is a JSON object, its `json`, followed by raw tensors, its `binary`."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.binary = memoryview(b"")
        self._given = scope
        super().__init__(declared_json(scope), receive)

    async def json(self) -> Any:
        """The inference request; raises `Problem`, for an unsupported media type before the body is read."""
        refuse_encoding(self._given)
        given = header(self._given, b"content-type")
        if given is not None and given.partition(";")[0].strip().lower() not in {JSON, OCTETS}:
            offer = {"Accept": f"{JSON}, {OCTETS}"}
            raise Problem(415, f"the Content-Type must be {JSON} or {OCTETS}", headers=offer)
        most: int = self.app.state.settings.max_elements
        length = header(self._given, HEADER_LENGTH.lower().encode())
        try:
            fields, self.binary = await self.parsed(partial(tensors.loads, header_length=length, most=most))
        except Malformed as error:
            raise Problem(400, str(error)) from None
        except WireError as error:
            raise Problem(422, str(error)) from None
        return fields


class TensorRoute(ComputeRoute):
    """A route that reads its body through `TensorRequest` and reports errors in one sentence."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's own handler, given a `TensorRequest`."""
        handle = super().get_route_handler()

        async def decoded(request: Request) -> Response:
            try:
                return await handle(TensorRequest(request.scope, request.receive))
            except Malformed as error:
                raise Problem(400, str(error)) from None
            except RequestValidationError as error:
                raise Problem(422, _first(error)) from None
            except ActivationLabError as error:
                named = [str(part) for part in error.loc if part != "params"]
                raise Problem(422, ": ".join([*named, error.message])) from None

        return decoded


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
