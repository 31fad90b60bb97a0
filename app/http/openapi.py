"""The OpenAPI document: what FastAPI makes of routes and models, and what only the service knows.

That is which names there are (`app.contract.names` says where they stand), the one error document that all
routes share, and whether API keys are asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from app.contract.problems import ProblemDocument
from app.core.activations import REGISTRY
from app.core.arithmetic.formats import FORMATS
from app.core.formulas.reading import PREFIX
from app.core.propagation.initialisers import INITIALISERS
from app.core.propagation.normalisation import NORMALISATIONS
from app.core.training import data, optimisers
from app.core.training.losses import LOSSES
from app.http import keys
from app.http.problems import responses

_NAMES: dict[str, Iterable[str]] = {
    "FunctionName": (*REGISTRY, *REGISTRY.framework_names),
    "DtypeName": FORMATS,
    "InitName": (*INITIALISERS, "critical"),
    "TrainingInitName": (*INITIALISERS, "critical", "fair"),
    "NormalizationName": NORMALISATIONS,
    "DataName": data.KINDS,
    "LossName": LOSSES,
    "OptimizerName": optimisers.KINDS,
}
"""What the components of `app.contract.names` may be."""


def install(app: FastAPI, examples: Mapping[str, Mapping[str, Any]]) -> None:
    """Has ``app`` make its document here, once, when it is first asked for.

    ``examples`` holds values of query fields by path: Swagger UI fills in a parameter's
    own example, and not those of its schema, which is all that FastAPI writes.
    """
    made = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = made()
            _declare_names(document)
            _declare_problems(document)
            _declare_examples(document, examples)
            keys.declare(document, asked=bool(app.state.keys))
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign]


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


def _declare_problems(document: dict[str, Any]) -> None:
    """Puts the problem document among the schemas and takes FastAPI's own error models out."""
    schemas = document["components"]["schemas"]
    template = "#/components/schemas/{model}"
    _, own = models_json_schema([(ProblemDocument, "serialization")], ref_template=template)
    schemas.update(own["$defs"])
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for operation in operations(document):
        declared = operation["responses"]
        if "HTTPValidationError" in str(declared.get("422")):
            declared["422"] = responses(422)[422]
