"""The Open Inference Protocol's objects as pydantic models: metadata, inference requests and answers.

Field names are the protocol's: https://github.com/kserve/open-inference-protocol.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, model_validator

from app.contract.arrays import Model, NumberArray
from app.wire.nested import DEEPEST
from app.wire.tensors import DATATYPES

Shape: TypeAlias = Annotated[
    Any,
    WithJsonSchema({"type": "array", "items": {"type": "integer", "minimum": 0}, "maxItems": DEEPEST}),
]
"""The lengths of a tensor's axes; `wire.tensors` checks them against the data."""

ByteCount: TypeAlias = Annotated[Any, WithJsonSchema({"type": "integer", "minimum": 0})]
Datatype: TypeAlias = Annotated[
    str, Field(max_length=100), WithJsonSchema({"type": "string", "enum": list(DATATYPES)})
]
Name: TypeAlias = Annotated[str, Field(max_length=100)]
Scalar: TypeAlias = bool | float | Annotated[str, Field(max_length=100)]
"""Values that the protocol allows for a parameter."""


class TensorParameters(Model):
    """How an input tensor is sent; what is meant for other servers (``content_type``) is ignored."""

    content_type: Name | None = Field(None, description="For other servers; ignored here.")
    binary_data_size: ByteCount | None = Field(
        None, description="The number of its bytes after the JSON object; it then has no `data`."
    )


class InputTensor(Model):
    """`inputs`, or an array for a parameter of the function, under the parameter's name."""

    name: Name
    shape: Shape
    datatype: Datatype
    parameters: TensorParameters = TensorParameters()
    data: NumberArray | None = Field(None, description="In row-major order, flat or nested.")


class OutputParameters(Model):
    """How an output tensor is sent; ``content_type`` is ignored as well."""

    content_type: Name | None = Field(None, description="For other servers; ignored here.")
    binary_data: bool | None = Field(None, strict=True, description="As raw bytes after the JSON object.")


class RequestedOutput(Model):
    """An output tensor to compute."""

    name: Name
    parameters: OutputParameters = OutputParameters()


OTHER_SERVERS = frozenset(
    {
        "content_type",  # MLServer's codecs
        "headers",
        "sequence_id",  # Triton's stateful models
        "sequence_start",
        "sequence_end",
        "priority",
        "triton_enable_empty_final_response",
    }
)
"""Parameters that clients of other servers send by default, and that are ignored here."""


class InferParameters(BaseModel):
    """What the service itself understands; all others are the function's own parameters, by name."""

    # The schema declares less of the other fields than is validated: TypeScript has no type for an object
    # whose named fields have one type and all others another, but some generators emit one.
    model_config = ConfigDict(extra="allow", json_schema_extra={"additionalProperties": True})
    __pydantic_extra__: dict[str, Scalar]

    @model_validator(mode="before")
    @classmethod
    def _without_other_servers(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {name: value for name, value in given.items() if name not in OTHER_SERVERS}

    binary_data_output: bool = Field(
        False, strict=True, description="All outputs as raw bytes, unless an output says otherwise."
    )
    axis: int | None = Field(
        None,
        strict=True,
        ge=-64,
        le=63,
        description="Axis of the elements that are mixed, or that a one-dimensional parameter runs along; "
        "the last one by default.",
    )
    timeout: int = Field(
        0,
        strict=True,
        ge=0,
        description="Microseconds that the computation may take; 0 for the service's own limit.",
    )


class InferRequest(Model):
    """An inference request."""

    id: str | None = Field(None, max_length=1000, description="Repeated in the answer.")
    model_name: Name | None = Field(None, description="Some clients repeat it here; the path decides.")
    model_version: Name | None = Field(None, description="Likewise.")
    parameters: InferParameters = InferParameters()
    inputs: list[InputTensor] = Field(max_length=100)
    outputs: list[RequestedOutput] = Field(
        default=[], max_length=100, description="The tensors to compute; by default all."
    )


class OutputTensorParameters(Model):
    """Where an output tensor's bytes are."""

    binary_data_size: int


class OutputTensor(Model):
    """The results, flat and in row-major order, in the datatype of `inputs`."""

    name: str
    datatype: str
    shape: list[int]
    parameters: OutputTensorParameters | None = None
    data: NumberArray | None = None


class InferResponse(Model):
    """The answer to an inference request."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[OutputTensor]


class ServerMetadata(Model):
    """The server's name, version and extensions."""

    name: str
    version: str
    extensions: list[str]


class TensorMetadata(Model):
    """A tensor of a model; −1 stands for any length."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(Model):
    """A model's tensors. Each may be FP64, FP32, FP16 or BF16, and of any shape."""

    name: str
    versions: list[str]
    platform: str
    parameters: dict[str, float | str] = Field(description="The function's parameters and their defaults.")
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class TensorConfiguration(Model):
    """A tensor as in Triton."""

    name: str
    data_type: str
    dims: list[int]


class ModelConfiguration(Model):
    """A model's configuration as in Triton, whose performance analyzer requests it."""

    name: str
    platform: str
    backend: str
    max_batch_size: int = Field(description="0: shapes have no batch axis.")
    version_policy: dict[str, dict[str, int]]
    input: list[TensorConfiguration]
    output: list[TensorConfiguration]


class Duration(Model):
    """How often, and the total in nanoseconds."""

    count: int = 0
    ns: int = 0


class InferStatistics(Model):
    """Statistics of requests, as in Triton; there is no queue in front of a model."""

    success: Duration
    fail: Duration
    queue: Duration
    compute_input: Duration
    compute_infer: Duration
    compute_output: Duration


class ModelStatistics(Model):
    """Requests to one model since this server process started."""

    name: str
    version: str
    last_inference: int = Field(description="Milliseconds since 1970; 0 for never.")
    inference_count: int
    execution_count: int
    inference_stats: InferStatistics
    batch_stats: list[dict[str, Any]]


class Statistics(Model):
    """What this server process has done under ``/v2``."""

    model_stats: list[ModelStatistics]


class ModelReadiness(Model):
    """Whether a model is ready."""

    name: str
    ready: bool


class IndexEntry(Model):
    """A model of the repository."""

    name: str
    version: str
    state: Literal["READY"]
    reason: str


class Liveness(Model):
    """Whether the server is alive."""

    live: bool


class Readiness(Model):
    """Whether the server is ready."""

    ready: bool


FIELD_NAMES: frozenset[str] = frozenset(
    name
    for model in (
        InferRequest,
        InferParameters,
        InputTensor,
        TensorParameters,
        RequestedOutput,
        OutputParameters,
    )
    for name in model.model_fields
)
"""Fields of a request, which error messages may repeat."""
