"""Request bodies to pydantic models: JSON with arrays in it, a ``.npy`` array and a query string, or a form.

FastAPI validates what `Request.json` returns. Here that is a dict in which arrays are ndarrays, whatever the
media type, so that routes declare one model and never see bytes. Every route accepts JSON, and the media
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
"""Bytes up to which a body is parsed inline: a millisecond of work, about as long as a thread switch."""

JSON = "application/json"
NPY = "application/x-npy"
FORM = "multipart/form-data"
ARRAY_FIELDS = frozenset({"inputs", "upstream", "params", "sigma_w", "sigma_b", "data"}) | frozenset(
    {"outputs", "derivative", "second_derivative"}
)


@Translation
def readable(error: BaseException) -> Problem | None:
    """Problems for bodies that cannot be read."""
    if isinstance(error, Malformed):
        return Problem(400, str(error), code="urn:activation-lab:malformed")
    if isinstance(error, Unsuitable):
        return Problem(422, str(error), code="urn:activation-lab:invalid-array")
    return None


class WholeRequest(Request):
    """A request whose body is received as a whole and then `parsed`."""

    async def body(self) -> bytes:
        """A placeholder: FastAPI calls `json` only if the body is not empty."""
        return JSON.encode()

    async def parsed(self, parse: Callable[[bytes], Parsed], *, packed: bool = False) -> Parsed:
        """The result of ``parse``: inline for a short body, else on a thread, with admission and deadline.

        A ``packed`` body never counts as short: an archive of 20 KB may hold 20 million numbers. Raises
        `Problem` if the client disconnects, the body is empty, the service is busy or the deadline passes.
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
        """The body as it was received."""
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
    """A request whose body has one of the ``accepted`` media types; `json` gives the model's fields.

    ``queried`` is whether the route itself declares query fields, ``file`` the name of a form's part besides
    ``request``.
    """

    def __init__(
        self, scope: Scope, receive: Receive, accepted: Collection[str], *, queried: bool, file: str = ""
    ) -> None:
        super().__init__(scope, receive)
        refuse_encoding(scope)
        self._content_type = header(scope, b"content-type") or ""
        self.media_type = _media_type(self._content_type, accepted)
        self._queried = queried
        self._file = file

    async def json(self) -> Any:
        """The fields of the request model; raises `Problem`."""
        # Nearly always there is no query string, and parsing it costs more than the test.
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
        """The fields of the part ``request``, and those read from the file part."""
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
        """Plain layers, or a state dict if the request describes blocks."""
        read = weights.named if fields.get("block") is not None else weights.loads
        return {"weights": read(data, self._settings.max_elements)}

    def _arrays(self, data: memoryview, fields: dict[str, Any]) -> dict[str, Any]:
        """The arrays and their format."""
        dtype = fields.get("dtype")
        named = dtype if isinstance(dtype, str) else None
        found = kernel_arrays.loads(data, named, self._settings.max_elements)
        return {**found.arrays, "dtype": found.dtype}

    def _query_fields(self) -> dict[str, Any]:
        """The fields of a binary request besides its array: names as they are, everything else as JSON."""
        fields = {}
        for name, value in self.query_params.multi_items():
            key = "params" if name == PARAMS else name
            if key in fields or key == "inputs":
                raise Problem(422, "a field is given twice")
            word = key in _NAMES or (key in _CHOICES and not value.startswith('"'))
            fields[key] = value if word else _json_value(value)
        return fields


PARAMS = "parameters"
"""An alias of ``params`` in a query string: in generated clients' functions that name is taken already."""

_NAMES = frozenset({"function", "dtype"})
_CHOICES = frozenset({"rounding", "overflow", "subnormals"})
"""Query fields that need no quotes; choices may also be JSON strings, which were required once."""

_JSON_PARTS = frozenset({JSON, "text/plain", None})
"""A part without a media type is text/plain (RFC 7578, 4.4)."""


def _json_value(text: str) -> Any:
    try:
        return json_body.loads(b'{"params":' + text.encode() + b"}", ARRAY_FIELDS)["params"]
    except (Malformed, UnicodeEncodeError):
        raise Problem(422, "fields in the query string that are no names are JSON") from None


class ArrayRoute(ComputeRoute):
    """A route that reads its body through `ArrayRequest`: JSON, and the media types in ``openapi_extra``.

    An endpoint whose only parameters are ``body`` and ``request`` (``alone``) is called directly, without
    FastAPI's handling of dependencies, forms, files and response models, which takes a fifth of the time of a
    request with ten numbers.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        declared = (options.get("openapi_extra") or {}).get("requestBody", {}).get("content", {})
        self._accepted = tuple(dict.fromkeys((JSON, *declared)))
        parts = declared.get(FORM, {}).get("schema", {}).get("properties", {})
        self._file = next((name for name in parts if name != "request"), "")
        self.alone = signature(endpoint).parameters.keys() == {"body", "request"}
        super().__init__(path, endpoint, **options)
        if not self.query_names:
            self.query_names = None  # some media types put the body's fields into the query string

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's own handler, given an `ArrayRequest`."""
        handle = super().get_route_handler()
        queried = bool(self.dependant.query_params)

        async def decoded(request: Request) -> Response:
            arrays = ArrayRequest(
                request.scope, request.receive, self._accepted, queried=queried, file=self._file
            )
            arrays.scope = declared_json(request.scope)
            return await handle(arrays)

        return decoded

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers the request, or raises an error that is answered as a problem."""
        if self.alone and scope["method"] == "POST":
            await self.answer(scope, receive, send)
        else:
            await super().handle(scope, receive, send)

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a POST without FastAPI, where the endpoint is ``alone``; raises as `handle` does."""
        admit(scope)
        request = ArrayRequest(scope, receive, self._accepted, queried=False, file=self._file)
        response: Response = await self.endpoint(body=await self._model(request), request=request)
        await response(scope, receive, send)

    async def _model(self, request: ArrayRequest) -> Any:
        """The body as the endpoint's model; raises validation errors in FastAPI's form."""
        model = body_model(self)
        fields = await request.json()
        try:
            return model.model_validate(fields)
        except ValidationError as error:
            found = [{**each, "loc": ("body", *each["loc"])} for each in error.errors(include_url=False)]
            raise RequestValidationError(found) from None


def _media_type(content_type: str, accepted: Collection[str]) -> str:
    given = content_type.partition(";")[0].strip().lower()
    if given not in accepted:
        offer = {"Accept": ", ".join(accepted)}
        raise Problem(415, f"the Content-Type must be {' or '.join(accepted)}", headers=offer)
    return given


def refuse_encoding(scope: Scope) -> None:
    """Raises `Problem` 415 for a compressed body: a small one may expand to any size."""
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
