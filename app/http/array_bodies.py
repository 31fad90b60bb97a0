"""Bodies with arrays: JSON, an ``.npy`` array and a query string, or a form with a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from inspect import signature
from typing import Any, NamedTuple

from fastapi import Request, Response
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

from app.core.errors import InvalidValue, LimitExceeded
from app.http.admission import admit
from app.http.bodies import Body, BodyRoute, parsed, validated
from app.http.headers import header
from app.http.media_types import FORM, JSON, NPY, OCTETS, media_type, plain_body
from app.http.problems import Problem, Translation, from_core
from app.settings import Settings
from app.wire import form, json_body, npy
from app.wire.errors import Malformed, Unsuitable

ARRAY_FIELDS = frozenset(
    {"inputs", "upstream", "memory", "params", "sigma_w", "sigma_b", "data"}
) | frozenset({"outputs", "derivative", "second_derivative"})

PARAMS = "parameters"
"""An alias of ``params`` in a query string: in generated clients' functions that name is taken already."""

_NAMES = frozenset({"function", "dtype"})
_CHOICES = frozenset({"rounding", "overflow", "subnormals"})
"""Query fields that need no quotes; choices may also be JSON strings, which were required once."""

_JSON_PARTS = frozenset({JSON, "text/plain", None})
"""A part without a media type is text/plain (RFC 7578, 4.4)."""


@Translation
def readable(error: BaseException) -> Problem | None:
    """Problems for bodies that cannot be read."""
    if isinstance(error, Malformed):
        return Problem(400, str(error), code="urn:activation-lab:malformed")
    if isinstance(error, Unsuitable):
        return Problem(422, str(error), code="urn:activation-lab:invalid-array")
    return None


class FilePart(NamedTuple):
    """The part of a form that is a file, beside the part ``request``, of which there is an ``example``.

    ``read`` makes fields of the model from the file, the other fields and the most numbers allowed.
    """

    name: str
    description: str
    read: Callable[[memoryview, dict[str, Any], int], dict[str, Any]]
    example: Mapping[str, Any]


class ArrayBody(Body):
    """A body whose arrays are read into ndarrays: JSON, and if declared an ``.npy`` array or a form."""

    def __init__(
        self,
        model: type[BaseModel],
        examples: Mapping[str, Any],
        *,
        npy: bool = False,
        file: FilePart | None = None,
    ) -> None:
        super().__init__(model, examples)
        self._file = file
        if npy:
            self.content[NPY] = {"schema": _NPY_SCHEMA}
        if file is not None:
            self.content[FORM] = _form_content(self.schema, file)

    async def read(self, request: Request) -> Any:
        """The validated body; raises `Problem`, for an unsupported media type before anything is received."""
        return validated(self.model, await self._fields(request), "body")

    def check_query(self, request: Request) -> None:
        """Raises `Problem` for a query string where no field stands in it."""
        media = self._media_type(request)
        if media != NPY and request.query_params:
            raise Problem(422, f"with {media} no field may be in the query string")

    def _media_type(self, request: Request) -> str:
        plain_body(request.scope)
        return media_type(header(request.scope, b"content-type") or "", self.content)

    async def _fields(self, request: Request) -> Any:
        media = self._media_type(request)
        settings: Settings = request.app.state.settings
        most = settings.max_elements
        with readable:
            if media == NPY:
                return {
                    **_query_fields(request),
                    "inputs": await parsed(request, partial(npy.loads, most=most)),
                }
            if media == FORM:
                return await parsed(request, partial(self._form_fields, request, most), packed=True)
            return await parsed(request, partial(json_body.loads, arrays=ARRAY_FIELDS, most=most))

    def _form_fields(self, request: Request, most: int, body: bytes) -> Any:
        """The fields of the part ``request``, and those read from the file part."""
        assert self._file is not None
        name = self._file.name
        parts = form.loads(body, header(request.scope, b"content-type") or "", ("request", name))
        if parts["request"].media_type not in _JSON_PARTS:
            raise Unsuitable(f"the part request must be {JSON}")
        fields = json_body.loads(bytes(parts["request"].data), ARRAY_FIELDS, most)
        if not isinstance(fields, dict):
            return fields
        try:
            filed = self._file.read(parts[name].data, fields, most)
        except Unsuitable as error:
            raise from_core(InvalidValue(str(error), loc=(name,))) from None
        except (InvalidValue, LimitExceeded) as error:
            raise from_core(error) from None
        if twice := sorted(filed.keys() & fields.keys() - {"dtype"}):
            raise Unsuitable(f"{twice[0]} is given in the part {name} and must not be in the part request")
        return {**filed, **fields}


_NPY_SCHEMA = {
    "type": "string",
    "format": "binary",
    "description": "One `.npy` array of real numbers; the other fields in the query string.",
}


def _form_content(model: Mapping[str, str], file: FilePart) -> dict[str, Any]:
    """A form's declaration in the OpenAPI document."""
    schema = {
        "type": "object",
        "required": ["request", file.name],
        "properties": {
            "request": {**model, "example": file.example},
            file.name: {"type": "string", "format": "binary", "description": file.description},
        },
        "additionalProperties": False,
    }
    return {
        "schema": schema,
        "encoding": {"request": {"contentType": JSON}, file.name: {"contentType": OCTETS}},
    }


def _query_fields(request: Request) -> dict[str, Any]:
    """The fields of a binary request besides its array: names as they are, everything else as JSON."""
    fields = {}
    for name, value in request.query_params.multi_items():
        key = "params" if name == PARAMS else name
        if key in fields or key == "inputs":
            raise Problem(422, "a field is given twice")
        word = key in _NAMES or (key in _CHOICES and not value.startswith('"'))
        fields[key] = value if word else _json_value(value)
    return fields


def _json_value(text: str) -> Any:
    try:
        return json_body.loads(b'{"params":' + text.encode() + b"}", ARRAY_FIELDS)["params"]
    except (Malformed, UnicodeEncodeError):
        raise Problem(422, "fields in the query string must be JSON, except names") from None


class ArrayRoute(BodyRoute):
    """A route whose body is an `ArrayBody`.

    An endpoint whose only parameters are ``body`` and ``request`` (``alone``) is called directly, without
    FastAPI's handling of dependencies, forms, files and response models, which takes a fifth of the time of a
    request with ten numbers.
    """

    body: ArrayBody

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self.alone = signature(endpoint).parameters.keys() == {"body", "request"}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers the request, or raises an error that is answered as a problem."""
        if self.alone and scope["method"] == "POST":
            await self.answer(scope, receive, send)
        else:
            await super().handle(scope, receive, send)

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a POST without FastAPI, where the endpoint is ``alone``; raises as `handle` does."""
        admit(scope)
        request = Request(scope, receive)
        if scope["query_string"]:
            self.body.check_query(request)
        response: Response = await self.endpoint(body=await self.body.read(request), request=request)
        await response(scope, receive, send)
