"""The OpenAPI document: what FastAPI generates from routes and models, and what only the service knows.

The latter are the names that may be used (`app.contract.names` declares where), the error document that all
routes share, examples, and whether API keys are required.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Literal

import orjson
from fastapi import FastAPI
from fastapi.encoders import jsonable_encoder
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from app.contract.problems import ProblemDocument
from app.contract.sweep import SweepLine
from app.contract.training import TrainedActivation, TrainingLine
from app.core.activations import REGISTRY
from app.core.arithmetic.formats import FORMATS
from app.core.formulas.reading import PREFIX
from app.core.propagation.initialisers import INITIALISERS
from app.core.propagation.normalisation import NORMALISATIONS
from app.core.training import data, optimisers
from app.core.training.losses import LOSSES
from app.http import keys
from app.http.array_bodies import PARAMS
from app.http.bodies import Body
from app.http.media_types import JSON, NPY
from app.http.problems import responses
from app.http.refusals import REFUSALS

_NAMES: dict[str, Iterable[str]] = {
    "FunctionName": (*REGISTRY, *REGISTRY.framework_names),
    "DtypeName": FORMATS,
    "InitName": (*INITIALISERS, "critical", "fair", "lsuv"),
    "TrainingInitName": (*INITIALISERS, "critical", "fair"),
    "NormalizationName": NORMALISATIONS,
    "DataName": data.KINDS,
    "LossName": LOSSES,
    "OptimizerName": optimisers.KINDS,
}
"""The values that the components of `app.contract.names` may have."""


TAGS = {
    "values": "What is the value? Values, derivatives and gradients of activation functions.",
    "gradients": "Does the gradient survive? Deep networks, simulated, compared with theory and judged.",
    "training": "What is learned? Small networks trained side by side.",
    "catalogue": "What is known about each function.",
    "plots": "Pictures: SVG, PNG, or the Vega-Lite specification that they are drawn from.",
    "open inference protocol": "The same functions as models of the Open Inference Protocol (v2, REST).",
    "health": "For operators of the service.",
}
"""Tags of the operations; each operation has one."""

STREAMS = {"text/event-stream", "application/jsonl"}

ITEMS: dict[str, type[BaseModel]] = {"/gradient-flow/sweep": SweepLine, "/training": TrainingLine}
"""The model of a stream's lines, or of its events' data, by path."""

ANSWERS = Path(__file__).parent / "answers.json"
"""The service's answers to the first example of each operation, by path and method."""

TEXTS = Path(__file__).parent / "texts.json"
"""The same for pictures, streams and metrics, by media type too."""

TIMEOUT = {
    "name": "Request-Timeout",
    "in": "header",
    "required": False,
    "description": "Seconds that the computation may take, if fewer than the service's own limit.",
    "schema": {"type": "number", "exclusiveMinimum": 0},
}


def install(app: FastAPI, bodies: Iterable[Body], examples: Mapping[str, Mapping[str, Any]]) -> None:
    """Replaces ``app.openapi``: the document is made once, when it is first requested.

    ``bodies`` are those of all requests, which FastAPI does not know. ``examples`` holds values of query
    fields by path: Swagger UI fills in a parameter's own example, but FastAPI only writes those of its
    schema.
    """
    made = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = made()
            _declare_bodies(document, bodies)
            _declare_names(document)
            _declare_tuples(document["components"]["schemas"])
            _declare_defaults(document["components"]["schemas"])
            _declare_members(document)
            _declare_problems(document)
            _declare_examples(document, examples)
            _declare_operations(document)
            _declare_binary_twins(document)
            _declare_streams(document)
            _declare_answers(document)
            _declare_refusals(document)
            _declare_timeouts(document)
            document["tags"] = [{"name": name, "description": text} for name, text in TAGS.items()]
            document["servers"] = [
                {"url": app.state.settings.root_path or "/", "description": "This service."}
            ]
            document["info"]["license"] = {"name": "MIT", "identifier": "MIT"}
            document["security"] = []  # none is required, unless an operation declares it
            keys.declare(document, required=bool(app.state.keys))
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign]


def _operation_id(method: str, path: str) -> str:
    """``activate`` for POST /activate, ``get_function``, in the singular, for GET /functions/{name}."""
    one_of_many = re.sub(r"s/\{\w+\}", "", path)
    words = re.sub(r"\.?\{\w+\}|\.svg$", "", one_of_many).strip("/").replace("-", "_").replace("/", "_")
    return words if method == "post" else f"{method}_{words}"


def _declare_operations(document: dict[str, Any]) -> None:
    """Short operation ids, which become methods of generated clients, and one tag each."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            operation["operationId"] = _operation_id(method, path)
            operation["tags"] = operation["tags"][:1]


def _declare_binary_twins(document: dict[str, Any]) -> None:
    """The query fields of requests whose body is an array: scalars, and JSON in a string."""
    for operation in operations(document):
        content = operation.get("requestBody", {}).get("content", {})
        if NPY not in content:
            continue
        model = document["components"]["schemas"][content[JSON]["schema"]["$ref"].rpartition("/")[2]]
        for name, field in model["properties"].items():
            if name == "inputs":
                continue
            said = f"For a body of `{NPY}`. {field.get('description', '')}".strip()
            schema = {key: value for key, value in field.items() if key not in ("description", "title")}
            if schema.get("type") not in ("integer", "string") and "$ref" not in schema:
                said, schema = f"{said} As JSON.", {"type": "string"}
            queried = {"name": PARAMS if name == "params" else name, "in": "query", "required": False}
            operation.setdefault("parameters", []).append({**queried, "description": said, "schema": schema})


def _declare_streams(document: dict[str, Any]) -> None:
    """Streams are declared as text; ``x-item-schema`` is the schema of each line or event."""
    for path, operation in document["paths"].items():
        content = operation.get("post", {}).get("responses", {}).get("200", {}).get("content", {})
        for media_type in STREAMS & content.keys():
            content[media_type]["schema"] = {"type": "string"}
            if path in ITEMS:
                content[media_type]["x-item-schema"] = {
                    "$ref": f"#/components/schemas/{ITEMS[path].__name__}"
                }


def _declare_tuples(schema: Any) -> None:
    """Adds ``items`` to the schemas of tuples, for generators that expect it in every array."""
    if isinstance(schema, dict):
        if "prefixItems" in schema:
            kinds = [
                each for n, each in enumerate(schema["prefixItems"]) if each not in schema["prefixItems"][:n]
            ]
            schema.setdefault("items", kinds[0] if len(kinds) == 1 else {"anyOf": kinds})
        schema = list(schema.values())
    if isinstance(schema, list):
        for each in schema:
            _declare_tuples(each)


def _declare_defaults(schemas: dict[str, Any]) -> None:
    """Moves defaults into the description: generators make ``default`` required or mistype its value."""
    for schema in schemas.values():
        for field in schema.get("properties", {}).values():
            default = field.pop("default", None)
            if default is not None:
                words = f"Default: `{json.dumps(default)}`."
                field["description"] = f"{field.get('description', '')} {words}".strip()


def _declare_members(schema: Any) -> None:
    """Names the values of an enumeration where generators would give two the same name, and drop one.

    ``candle:Relu`` and ``candle:relu`` become CANDLE_RELU and CANDLE_RELU_2.
    """
    if isinstance(schema, dict):
        values = schema.get("enum")
        if isinstance(values, list) and "x-enum-varnames" not in schema:
            plain = [re.sub(r"\W+", "_", str(value)).upper() for value in values]
            if len(set(plain)) < len(plain):
                schema["x-enum-varnames"] = _distinct(plain)
        schema = list(schema.values())
    if isinstance(schema, list):
        for each in schema:
            _declare_members(each)


def _distinct(names: Sequence[str]) -> list[str]:
    """The names, with a number appended to the second of each and later ones."""
    found = dict[str, None]()
    for name in names:
        numbered = (f"{name}_{number}" for number in count(2))
        free = (each for each in numbered if each not in found and each not in names)
        found[next(free) if name in found else name] = None
    return list(found)


def _declare_answers(document: dict[str, Any]) -> None:
    """Adds real answers as examples: Swagger UI would show "string" and 0."""
    for path, methods in orjson.loads(ANSWERS.read_bytes()).items():
        for method, answer in methods.items():
            content = document["paths"].get(path, {}).get(method, {}).get("responses", {}).get("200", {})
            if "application/json" in content.get("content", {}):
                content["content"]["application/json"]["example"] = answer
    for path, methods in orjson.loads(TEXTS.read_bytes()).items():
        for method, texts in methods.items():
            content = document["paths"].get(path, {}).get(method, {})
            for media_type, text in texts.items() if content else ():
                content["responses"]["200"]["content"][media_type]["example"] = text


def _declare_refusals(document: dict[str, Any]) -> None:
    for operation in operations(document):
        for status, refusal in REFUSALS.items():
            for media_type, content in operation["responses"].get(str(status), {}).get("content", {}).items():
                protocol = media_type == "application/json"
                content["example"] = {"error": refusal["detail"]} if protocol else refusal


def _declare_timeouts(document: dict[str, Any]) -> None:
    """Adds the Request-Timeout header to every operation that may exceed a deadline."""
    for operation in operations(document):
        if "504" in operation["responses"]:
            operation.setdefault("parameters", []).append(TIMEOUT)


def operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All operations of a ``document``."""
    for methods in document["paths"].values():
        yield from methods.values()


def _declare_names(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for component, names in _NAMES.items():
        schemas[component]["enum"] = list(names)
    function = schemas["FunctionName"]
    named = {"type": "string", "enum": function.pop("enum")}
    formula = {"type": "string", "pattern": f"^{PREFIX}", "maxLength": function.pop("maxLength")}
    function.pop("type")
    function["anyOf"] = [named, formula]


def _declare_examples(document: dict[str, Any], examples: Mapping[str, Mapping[str, Any]]) -> None:
    for path, values in examples.items():
        for parameter in document["paths"][path]["get"]["parameters"]:
            if parameter["name"] in values:
                parameter["example"] = values[parameter["name"]]


def _declare_bodies(document: dict[str, Any], bodies: Iterable[Body]) -> None:
    """Adds the schemas of the ``bodies``, without nulls in defaults, as FastAPI writes its own."""
    models = {each.model for each in bodies} | {TrainedActivation}  # to which a schema refers by name
    schemas = document["components"]["schemas"]
    schemas.update(jsonable_encoder(_definitions(models, "validation"), exclude_none=True))
    document["components"]["schemas"] = dict(sorted(schemas.items()))


def _declare_problems(document: dict[str, Any]) -> None:
    """Adds the problem document to the schemas and removes FastAPI's own error models."""
    schemas = document["components"]["schemas"]
    own = _definitions([ProblemDocument, *ITEMS.values()], "serialization")
    schemas.update({name: schema for name, schema in own.items() if name not in schemas})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for operation in operations(document):
        declared = operation["responses"]
        if "HTTPValidationError" in str(declared.get("422")):
            declared["422"] = responses(422)[422]


def _definitions(
    models: Iterable[type[BaseModel]], mode: Literal["validation", "serialization"]
) -> dict[str, Any]:
    """The component schemas of the ``models`` and of those that they refer to."""
    template = "#/components/schemas/{model}"
    _, document = models_json_schema([(model, mode) for model in models], ref_template=template)
    definitions: dict[str, Any] = document["$defs"]
    return definitions
