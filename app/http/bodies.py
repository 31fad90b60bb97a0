"""How a body becomes a pydantic model: JSON with arrays in it, a ``.npy`` array and a query string, a form.

FastAPI validates what `Request.json` returns. Here that is a dict whose arrays already are ndarrays, whatever
the body was, so that routes declare one model and never see bytes. Every route takes JSON, and the media
types that its ``openapi_extra`` documents.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine
from inspect import signature
from typing import Any, TypeVar

import numpy as np
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from numpy.typing import NDArray
from pydantic import ValidationError
from starlette.types import Receive, Scope, Send

from app.compute.threads import SMALL
from app.core.errors import InvalidValue, LimitExceeded
from app.core.evaluation import Mapper
from app.http.admission import ComputeRoute, admit
from app.http.computing import computed, timeout
from app.http.fastapi_parts import body_model
from app.http.headers import declared_json, header
from app.http.problems import Problem, Translation, from_core
from app.settings import Settings
from app.wire import form, json_body, kernel_arrays, npy, weights
from app.wire.errors import Malformed, Unsuitable

Parsed = TypeVar("Parsed")

SHORT = 262_144
"""Bytes of a body that is read where it is: a millisecond, about what handing it to a thread takes."""

JSON = "application/json"
NPY = "application/x-npy"
FORM = "multipart/form-data"
ARRAY_FIELDS = frozenset({"inputs", "upstream", "params", "sigma_w", "sigma_b", "data"}) | frozenset(
    {"outputs", "derivative", "second_derivative"}
)


@Translation
def readable(error: BaseException) -> Problem | None:
    """Problems for bytes that do not hold what they claim."""
    if isinstance(error, Malformed):
        return Problem(400, str(error), code="urn:activation-lab:malformed")
    if isinstance(error, Unsuitable):
        return Problem(422, str(error), code="urn:activation-lab:invalid-array")
    return None


class WholeRequest(Request):
    """A request whose body is `parsed` once it is whole."""

    async def body(self) -> bytes:
        """Something: FastAPI wants to see a body before it asks for `json`."""
        return JSON.encode()

    async def parsed(self, parse: Callable[[bytes], Parsed], *, packed: bool = False) -> Parsed:
        """What ``parse`` makes of the body: here where that is short, else on a thread, admitted and in time.

        What is ``packed`` is never short: an archive of 20 KB holds 20 million numbers.
        Raises `Problem`: the client left, there is no body, no room or no time.
        """
        pieces = await self._pieces()
        if not packed and sum(map(len, pieces)) <= SHORT:
            return parse(b"".join(pieces))

        def work(_: Mapper) -> Parsed:
            whole = b"".join(pieces)
            pieces.clear()
            return parse(whole)

        settings: Settings = self.app.state.settings
        seconds = timeout(self, settings.request_timeout)
        return await computed(self, work, size=SMALL + 1, seconds=seconds)

    async def _pieces(self) -> list[bytes]:
        """The body as it came."""
        pieces: list[bytes] = []
        more = True
        while more:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise Problem(400, "the client left before the body was whole")
            more = message.get("more_body", False)
            if chunk := message.get("body", b""):
                pieces.append(chunk)
        if not pieces:
            raise Problem(400, "the body is empty", code="urn:activation-lab:malformed")
        return pieces


class ArrayRequest(WholeRequest):
    """A request whose body is one of the media types ``taken``; `json` gives the model's fields.

    ``queried`` says that the route itself declares what may stand in the query string, ``file`` what a form's
    part besides ``request`` is called.
    """

    def __init__(
        self, scope: Scope, receive: Receive, taken: Collection[str], *, queried: bool, file: str = ""
    ) -> None:
        super().__init__(scope, receive)
        refuse_encoding(scope)
        self._content_type = header(scope, b"content-type") or ""
        self.media_type = _media_type(self._content_type, taken)
        self._queried = queried
        self._file = file

    async def json(self) -> Any:
        """The fields of the request model; raises `Problem`."""
        # Nearly always there is no query string, and taking it apart costs more than asking.
        queried = self.scope["query_string"] and self.query_params
        if queried and self.media_type != NPY and not self._queried:
            raise Problem(422, f"with {self.media_type} no field stands in the query string")
        with readable:
            if self.media_type == NPY:
                return {**self._query_fields(), "inputs": await self.parsed(self._array)}
            if self.media_type == FORM:
                return await self.parsed(self._form_fields, packed=True)
            return await self.parsed(self._fields)

    def _array(self, body: bytes) -> NDArray[np.float64]:
        return npy.loads(body, self._settings.max_elements)

    def _fields(self, body: bytes) -> Any:
        return json_body.loads(body, ARRAY_FIELDS, self._settings.max_elements)

    @property
    def _settings(self) -> Settings:
        settings: Settings = self.app.state.settings
        return settings

    def _form_fields(self, body: bytes) -> Any:
        """The fields of the part ``request``, and those that the file is."""
        parts = form.loads(body, self._content_type, ("request", self._file))
        if parts["request"].media_type not in _JSON_PARTS:
            raise Unsuitable(f"the part request must be {JSON}")
        fields = self._fields(bytes(parts["request"].data))
        if not isinstance(fields, dict):
            return fields
        read = self._weights if self._file == "weights" else self._arrays
        try:
            filed = read(parts[self._file].data, fields)
        except Unsuitable as error:
            raise from_core(InvalidValue(str(error), loc=(self._file,))) from None
        except (InvalidValue, LimitExceeded) as error:
            raise from_core(error) from None
        if twice := sorted(filed.keys() & fields.keys() - {"dtype"}):
            raise Unsuitable(f"{twice[0]} is given in the part {self._file}: no field of the part request")
        return {**filed, **fields}

    def _weights(self, data: memoryview, fields: dict[str, Any]) -> dict[str, Any]:
        """Plain layers, or, for the blocks that the request describes, a state dict."""
        read = weights.named if fields.get("block") is not None else weights.loads
        return {"weights": read(data, self._settings.max_elements)}

    def _arrays(self, data: memoryview, fields: dict[str, Any]) -> dict[str, Any]:
        """The arrays, and their format where the request names none."""
        dtype = fields.get("dtype")
        named = dtype if isinstance(dtype, str) else None
        found = kernel_arrays.loads(data, named, self._settings.max_elements)
        return {**found.arrays, "dtype": found.dtype}

    def _query_fields(self) -> dict[str, Any]:
        """The other fields of a binary request: words as they are, everything else as JSON."""
        fields = {}
        for name, value in self.query_params.multi_items():
            key = "params" if name == PARAMS else name
            if key in fields or key == "inputs":
                raise Problem(422, "a field is given twice")
            word = key in _NAMES or (key in _CHOICES and not value.startswith('"'))
            fields[key] = value if word else _json_value(value)
        return fields


PARAMS = "parameters"
"""Another name of ``params`` in a query string: functions of generated clients have a variable ``params``."""

_NAMES = frozenset({"function", "dtype"})
_CHOICES = frozenset({"rounding", "overflow", "subnormals"})
"""Query fields that are words as they are; choices may be JSON too, as they had to be once."""

_JSON_PARTS = frozenset({JSON, "text/plain", None})
"""A part that says nothing of its type is text/plain (RFC 7578, 4.4)."""


def _json_value(text: str) -> Any:
    try:
        return json_body.loads(b'{"params":' + text.encode() + b"}", ARRAY_FIELDS)["params"]
    except (Malformed, UnicodeEncodeError):
        raise Problem(422, "fields in the query string that are no names are JSON") from None


class ArrayRoute(ComputeRoute):
    """A route that takes its body through `ArrayRequest`: JSON, and what its ``openapi_extra`` adds.

    An endpoint that takes ``body`` and ``request`` ``alone`` is called without what FastAPI does besides, for
    dependencies, forms, files and models as answers: a fifth of a request with ten numbers.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        declared = (options.get("openapi_extra") or {}).get("requestBody", {}).get("content", {})
        self._taken = tuple(dict.fromkeys((JSON, *declared)))
        parts = declared.get(FORM, {}).get("schema", {}).get("properties", {})
        self._file = next((name for name in parts if name != "request"), "")
        self.alone = signature(endpoint).parameters.keys() == {"body", "request"}
        super().__init__(path, endpoint, **options)
        if not self.query_names:
            self.query_names = None  # with some media types the body's fields stand there

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's own handler, given an `ArrayRequest`."""
        handle = super().get_route_handler()
        queried = bool(self.dependant.query_params)

        async def decoded(request: Request) -> Response:
            arrays = ArrayRequest(
                request.scope, request.receive, self._taken, queried=queried, file=self._file
            )
            arrays.scope = declared_json(request.scope)
            return await handle(arrays)

        return decoded

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers, or raises what becomes a problem."""
        if self.alone and scope["method"] == "POST":
            await self.answer(scope, receive, send)
        else:
            await super().handle(scope, receive, send)

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a POST where the endpoint is ``alone``, or raises what becomes a problem."""
        admit(scope)
        request = ArrayRequest(scope, receive, self._taken, queried=False, file=self._file)
        response: Response = await self.endpoint(body=await self._model(request), request=request)
        await response(scope, receive, send)

    async def _model(self, request: ArrayRequest) -> Any:
        """The body as the endpoint's model, its errors as FastAPI's."""
        model = body_model(self)
        fields = await request.json()
        try:
            return model.model_validate(fields)
        except ValidationError as error:
            found = [{**each, "loc": ("body", *each["loc"])} for each in error.errors(include_url=False)]
            raise RequestValidationError(found) from None


def _media_type(content_type: str, taken: Collection[str]) -> str:
    given = content_type.partition(";")[0].strip().lower()
    if given not in taken:
        offer = {"Accept": ", ".join(taken)}
        raise Problem(415, f"the Content-Type must be {' or '.join(taken)}", headers=offer)
    return given


def refuse_encoding(scope: Scope) -> None:
    """Raises `Problem` 415 for a compressed body: a small one might unfold to anything."""
    given = header(scope, b"content-encoding")
    if given is not None and given.strip().lower() != "identity":
        offer = {"Accept-Encoding": "identity"}
        raise Problem(415, "send the body without a Content-Encoding", headers=offer)


def negotiate(request: Request, *offered: str) -> str:
    """The first of ``offered`` that the client's Accept header ranks highest; raises `Problem` 406."""
    given = header(request.scope, b"accept")
    if given is None:
        return offered[0]
    ranges = [_media_range(part) for part in given.split(",")]
    weights = {media: _weight(media, ranges) for media in offered}
    best = max(offered, key=lambda media: weights[media])
    if weights[best] <= 0:
        raise Problem(406, f"this answer is offered as {' or '.join(offered)}")
    return best


def _media_range(text: str) -> tuple[str, float]:
    name, *parameters = (part.strip().lower() for part in text.split(";"))
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return name, float(parameter[2:])
            except ValueError:
                return name, 0.0
    return name, 1.0


def _weight(media: str, ranges: list[tuple[str, float]]) -> float:
    """The weight of the most specific range that covers ``media`` (RFC 9110, 12.5.1)."""
    given = dict(ranges)
    for candidate in (media, media.split("/", maxsplit=1)[0] + "/*", "*/*"):
        if candidate in given:
            return given[candidate]
    return 0.0
