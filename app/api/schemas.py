"""Requests and answers, as pydantic models. The server, the OpenAPI document and the client share them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema
from typing_extensions import TypeAliasType

from app.core.activations import REGISTRY
from app.core.formats import FORMATS
from app.wire.errors import Unsuitable
from app.wire.numbers import to_array, to_lists

Numbers = TypeAliasType("Numbers", "float | Literal['NaN', 'Infinity', '-Infinity'] | list[Numbers]")
"""What an array looks like in JSON; the recursive component of the OpenAPI document."""


def _array(value: Any) -> NDArray[np.float64]:
    try:
        return to_array(value)
    except Unsuitable as error:
        raise PydanticCustomError("array", "{reason}", {"reason": str(error)}) from None


class _ArrayField:
    """An ndarray in Python, nested numbers in JSON."""

    @classmethod
    def __get_pydantic_core_schema__(cls, _: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        array = core_schema.no_info_plain_validator_function(_array)
        return core_schema.json_or_python_schema(
            json_schema=core_schema.chain_schema([handler.generate_schema(Numbers), array]),
            python_schema=array,
            serialization=core_schema.plain_serializer_function_ser_schema(to_lists, when_used="json"),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return handler(schema["json_schema"]["steps"][0])


NumberArray: TypeAlias = Annotated[NDArray[Any], _ArrayField]


def _param(value: Any) -> Any:
    return value if isinstance(value, str | bool) and value not in _NAMES else _array(value)


_NAMES = ("NaN", "Infinity", "-Infinity")
ParamValue: TypeAlias = Annotated[
    Any,
    BeforeValidator(_param),
    WithJsonSchema(
        {
            "anyOf": [{"$ref": "#/components/schemas/Numbers"}, {"type": "string"}, {"type": "boolean"}],
            "description": "A number, an array that broadcasts, or a framework's own switch.",
        }
    ),
]
"""A parameter: a number, an array, or one of the switches that some frameworks have."""

FunctionName: TypeAlias = Annotated[
    str,
    Field(max_length=100),
    WithJsonSchema({"type": "string", "enum": [*REGISTRY, *REGISTRY.framework_names]}),
]
"""A canonical name or a framework's own behind its prefix; which exist, the registry knows."""

DtypeName: TypeAlias = Annotated[
    str, Field(max_length=100), WithJsonSchema({"type": "string", "enum": list(FORMATS)})
]


class Model(BaseModel):
    """What all requests and answers share: no unknown fields, ndarrays allowed."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)


class ActivateRequest(Model):
    """An array and a function to apply to it."""

    function: FunctionName = Field(
        description="Canonical name, or a framework's own behind its prefix (`torch:LeakyReLU`)."
    )
    inputs: NumberArray = Field(description="A number or nested arrays of any shape.")
    params: dict[str, ParamValue] = Field(default_factory=dict, description="The function's parameters.")
    order: int = Field(1, ge=0, le=2, strict=True, description="The highest derivative wanted.")
    dtype: DtypeName = Field(
        "float64", description="Inputs are rounded to it; results are the exact answers rounded to it."
    )
    axis: int | None = Field(
        None,
        strict=True,
        ge=-64,
        le=63,
        description="Axis of the elements that are mixed (softmax, Maxout), or that a one-dimensional "
        "parameter runs along. The last one, unless the framework's name says otherwise.",
    )
    upstream: NumberArray | None = Field(
        None, description="dL/d(outputs); asks for dL/d(inputs) and dL/d(parameters)."
    )


class ActivateResponse(Model):
    """Values and derivatives, each the exact answer rounded once to `dtype`."""

    function: str = Field(description="Canonical name.")
    params: dict[str, NumberArray] = Field(description="All parameters, defaults included.")
    dtype: str
    shape: list[int] = Field(description="Shape of `outputs`.")
    outputs: NumberArray
    derivative: NumberArray | None = Field(
        description="f′, or the Jacobian `[..., m, n]` of a function that mixes elements."
    )
    second_derivative: NumberArray | None
    input_gradient: NumberArray | None = Field(description="dL/d(inputs), where `upstream` was given.")
    param_gradients: dict[str, NumberArray] | None = Field(
        description="dL/d(parameter) for each learnable one, where `upstream` was given."
    )


class Health(Model):
    """Whether the service is there."""

    status: Literal["ok"]


def _parameter_names() -> frozenset[str]:
    ours = {each.name for entry in REGISTRY.values() for each in entry.parameters}
    theirs = {
        name
        for entry in REGISTRY.values()
        for framework in entry.frameworks
        for name in framework.own_parameters
    }
    return frozenset(ours | theirs)


FIELD_NAMES: frozenset[str] = frozenset(ActivateRequest.model_fields)
"""The fields of all requests."""

KNOWN_NAMES: frozenset[str] = FIELD_NAMES | _parameter_names() | {"body", "query", "path", "header"}
"""Names that an error may repeat, because they are ours."""
