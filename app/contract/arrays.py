"""Arrays in requests and answers: ndarrays in Python, nested numbers in JSON."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema
from typing_extensions import TypeAliasType

from app.wire.errors import Unsuitable
from app.wire.nested import to_array, to_lists

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


class Model(BaseModel):
    """What all requests and answers share: no unknown fields, ndarrays allowed."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)
