"""Arrays in requests and answers: ndarrays in Python, nested numbers in JSON."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError
from typing_extensions import TypeAliasType

from app.wire.errors import Unsuitable
from app.wire.nested import to_array, to_lists


def _array(value: Any) -> NDArray[np.float64]:
    try:
        return to_array(value)
    except Unsuitable as error:
        raise PydanticCustomError("array", "{reason}", {"reason": str(error)}) from None


Numbers = TypeAliasType(
    "Numbers",
    Annotated[
        NDArray[Any],
        PlainValidator(_array),
        PlainSerializer(to_lists, when_used="json"),
        WithJsonSchema(
            {
                "anyOf": [
                    {"type": "number"},
                    {"type": "string", "enum": ["NaN", "Infinity", "-Infinity"]},
                    {"type": "array", "items": {}},
                ],
                "description": "A number, or numbers nested in lists, every row as long as its neighbours.",
            }
        ),
    ],
)
"""An array: an ndarray in Python, nested numbers in JSON.

The schema leaves the items of lists open: it would have to be recursive, which client generators refuse.
"""

NumberArray: TypeAlias = Numbers


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
