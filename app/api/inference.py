"""``/v2``: the Open Inference Protocol, one model per function.

https://github.com/kserve/open-inference-protocol, with the binary tensor data extension.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, NamedTuple, TypeAlias

import numpy as np
from fastapi import APIRouter, Depends, Path, Request, Response
from numpy.typing import NDArray

from app.api.bodies import INFER
from app.api.health import check_ready
from app.api.sizes import answer_size, check_answer_size, numbers_in
from app.compute.threads import SMALL
from app.contract.protocol import (
    Duration,
    IndexEntry,
    InferRequest,
    InferResponse,
    InferStatistics,
    InputTensor,
    Liveness,
    ModelConfiguration,
    ModelMetadata,
    ModelReadiness,
    ModelStatistics,
    Readiness,
    Scalar,
    ServerMetadata,
    Statistics,
    TensorConfiguration,
    TensorMetadata,
)
from app.core.activations import REGISTRY
from app.core.activations.definition import Activation, Elementwise
from app.core.activations.registry import Call
from app.core.arithmetic import Value
from app.core.errors import UnknownName, allowed, nearest
from app.core.evaluation import Mapper, activate
from app.http.answers import encoded, whole
from app.http.computing import computed, timeout
from app.http.media_types import JSON, OCTETS, negotiate
from app.http.problems import Problem, protocol_errors
from app.http.queries import StrictRoute
from app.http.tensor_bodies import BYTES, HEADER_LENGTH, TensorResponse, TensorRoute
from app.observation.models import Tally
from app.settings import Settings
from app.wire import tensors
from app.wire.errors import Malformed
from app.wire.nested import NON_FINITE, name_of
from app.wire.sizes import size_of

VERSION = "1"
INPUTS = "inputs"
OUTPUTS = ("outputs", "derivative", "second_derivative")
"""Output tensors by order of the derivative. A function that mixes elements has the first two."""

router = APIRouter(route_class=StrictRoute, prefix="/v2", tags=["open inference protocol"])

DESCRIPTION = f"""\
The input tensor `{INPUTS}` has any shape; its datatype (FP64, FP32, FP16 or BF16) is also that of the
results, which are the exact answers, rounded to it once. Output tensors are `{"`, `".join(OUTPUTS)}`. A
function that mixes elements along an `axis` has no second derivative, and its derivative is the Jacobian
`[..., m, n]`. Without `outputs` all of them are computed, as the protocol says: request only those you need.

The function's own parameters are given in `parameters`, by name. One that is an array (a slope per channel,
Maxout's weights) is a further input tensor with the parameter's name.

**Binary tensors.** With the header `{HEADER_LENGTH}: <bytes of the JSON object>`, raw little-endian bytes
follow the JSON object, those of every input whose `parameters` contain a `binary_data_size`. `binary_data`
for an output, or `binary_data_output` for all, requests the answer in the same form. In JSON, non-finite
numbers are the strings `"NaN"`, `"Infinity"` and `"-Infinity"`.

Bodies must not be compressed: a `Content-Encoding` is answered with 415. A parameter `timeout` (microseconds)
or a header `Request-Timeout` (seconds) sets an earlier deadline than the service's own.
"""


@router.get("", summary="Server metadata")
async def get_server(request: Request) -> ServerMetadata:
    """Name, version and the protocol's extensions."""
    return ServerMetadata(
        name="activation-lab", version=request.app.version, extensions=["binary_tensor_data", "parameters"]
    )


@router.get("/health/live", summary="Is the process alive?")
async def get_live() -> Liveness:
    """Answers as long as the event loop turns."""
    return Liveness(live=True)


@router.get("/health/ready", summary="Is the server ready?", responses=protocol_errors(503))
async def get_ready(request: Request) -> Readiness:
    """Answers 503 before the service is up and once it is shutting down."""
    check_ready(request)
    return Readiness(ready=True)


@router.post("/repository/index", summary="All models")
async def post_index() -> list[IndexEntry]:
    """One model per function; all are always ready."""
    return [IndexEntry(name=name, version=VERSION, state="READY", reason="") for name in REGISTRY]


_NAME = Path(
    json_schema_extra={"enum": list(REGISTRY)}, openapi_examples={"first": {"value": next(iter(REGISTRY))}}
)
_VERSION = Path(json_schema_extra={"enum": [VERSION]}, openapi_examples={"only": {"value": VERSION}})


def _model(name: Annotated[str, _NAME]) -> Activation:
    """The function called ``name``; raises `Problem` 404, naming the near ones."""
    if name not in REGISTRY:
        near = nearest(name, REGISTRY)
        advice = f"did you mean {' or '.join(near)}?" if near else "POST /v2/repository/index lists all"
        raise Problem(404, f"unknown model; {advice}")
    return REGISTRY[name]


def _only_version(version: Annotated[str, _VERSION]) -> None:
    if version != VERSION:
        raise Problem(404, f"unknown version; {allowed([VERSION])}")


MODEL: TypeAlias = Annotated[Activation, Depends(_model)]

models = APIRouter(route_class=StrictRoute, responses=protocol_errors(404, 422))
inference = APIRouter(route_class=TensorRoute, responses=protocol_errors(404, 422))


@models.get("", summary="Model metadata")
async def get_model(entry: MODEL) -> ModelMetadata:
    """Tensors, and the function's parameters with their defaults."""
    # The protocol cannot declare "any number of axes": the shapes are those of one row.
    shapes = [[-1]] * 3 if isinstance(entry, Elementwise) else [[-1], [-1, -1]]
    return ModelMetadata(
        name=entry.name,
        versions=[VERSION],
        platform="activation_lab",
        parameters={name: _scalar(value) for name, value in entry.defaults.items()},
        inputs=[_tensor(INPUTS, [-1])],
        outputs=[_tensor(name, shape) for name, shape in zip(_outputs(entry), shapes, strict=True)],
    )


@models.get("/config", summary="Model configuration, as in Triton")
async def get_configuration(entry: MODEL) -> ModelConfiguration:
    """Requested by Triton's performance analyzer before it measures."""
    facts = await get_model(entry)
    return ModelConfiguration(
        name=entry.name,
        platform=facts.platform,
        backend=facts.platform,
        max_batch_size=0,
        version_policy={"latest": {"num_versions": 1}},
        input=[_configured(each) for each in facts.inputs],
        output=[_configured(each) for each in facts.outputs],
    )


@models.get("/stats", summary="Statistics of a model")
async def get_statistics(entry: MODEL, request: Request) -> Statistics:
    """Counts and times of the server process that answers."""
    return Statistics(model_stats=[_statistics(entry.name, request.app.state.models.of(entry.name))])


@router.get("/models/stats", summary="Statistics of all models")
async def get_all_statistics(request: Request) -> Statistics:
    """The same for every model."""
    tallies = request.app.state.models
    return Statistics(model_stats=[_statistics(name, tallies.of(name)) for name in REGISTRY])


@models.get("/ready", summary="Is a model ready?", responses=protocol_errors(503))
async def get_model_ready(entry: MODEL, request: Request) -> ModelReadiness:
    """A model is ready when the server is."""
    check_ready(request)
    return ModelReadiness(name=entry.name, ready=True)


@inference.post(
    "/infer",
    summary="Apply the function to a tensor",
    description=DESCRIPTION,
    response_model=InferResponse,
    responses={200: {"content": {OCTETS: BYTES}}, **protocol_errors(400, 406, 413, 415, 503, 504)},
)
async def post_infer(entry: MODEL, body: INFER, request: Request) -> Response:
    """Validates, computes (on threads where the arrays are large), and encodes as requested."""
    with request.app.state.models.asked(entry.name):
        return await _infer(entry, body.fields, body.binary, request)


async def _infer(entry: Activation, body: InferRequest, binary: memoryview, request: Request) -> Response:
    settings: Settings = request.app.state.settings
    request.state.function = entry.name
    negotiate(request, JSON, OCTETS)
    wanted = _requested_outputs(entry, body)
    order = max(each.order for each in wanted)
    given = _arrays(entry, body.inputs, binary)
    inputs = given.pop(INPUTS)
    longest = min(settings.request_timeout, body.parameters.timeout / 1e6 or settings.request_timeout)
    seconds = timeout(request, longest)
    beside = numbers_in(given.values())

    def resolved(_: Mapper) -> Call:
        return REGISTRY.resolve(entry.name, _params(body, given), body.parameters.axis)

    # Each number of a parameter is checked against its domain.
    call = (
        await computed(request, resolved, size=beside, seconds=seconds) if beside > SMALL else resolved(map)
    )
    size = answer_size(call, inputs.shape, order)
    check_answer_size(size, settings.max_elements)

    def work(map_blocks: Mapper) -> Response:
        evaluation = activate(call, inputs, order=order, dtype=inputs.dtype, map_blocks=map_blocks)
        return _answer(entry, body, [(each, evaluation.orders[each.order]) for each in wanted])

    kind = (*call.kind, order, True)
    response = await computed(request, work, size=size + beside, seconds=seconds, kind=kind)
    request.state.elements = inputs.size
    return response


class _RequestedOutput(NamedTuple):
    """An output tensor to compute, and whether it is sent as raw bytes."""

    name: str
    order: int
    binary: bool


def _outputs(entry: Activation) -> tuple[str, ...]:
    return OUTPUTS if isinstance(entry, Elementwise) else OUTPUTS[:2]


def _requested_outputs(entry: Activation, body: InferRequest) -> list[_RequestedOutput]:
    """The requested output tensors, by default all."""
    known = _outputs(entry)
    forms = {each.name: each.parameters.binary_data for each in body.outputs} or dict.fromkeys(known)
    _refuse_twice(each.name for each in body.outputs)
    for name in forms.keys() - set(known):
        raise UnknownName("output", name, known)
    default = body.parameters.binary_data_output
    return [
        _RequestedOutput(name, OUTPUTS.index(name), default if binary is None else binary)
        for name, binary in forms.items()
    ]


def _arrays(entry: Activation, given: list[InputTensor], binary: memoryview) -> dict[str, NDArray[Any]]:
    """The input tensors by name: `INPUTS`, and arrays of parameters."""
    known = [INPUTS, *(each.name for each in entry.parameters)]
    for tensor in given:
        if tensor.name not in known:
            raise UnknownName("input", tensor.name, known)
        if tensor.datatype not in tensors.DATATYPES:
            raise UnknownName("datatype", tensor.datatype, tensors.DATATYPES)
    _refuse_twice(tensor.name for tensor in given)
    pieces = tensors.cut(binary, [tensor.parameters.binary_data_size for tensor in given])
    arrays = {tensor.name: _array(tensor, piece) for tensor, piece in zip(given, pieces, strict=True)}
    if INPUTS not in arrays:
        raise Malformed(f"an input called {INPUTS} is required")
    return arrays


def _array(tensor: InputTensor, binary: memoryview | None) -> NDArray[Any]:
    try:
        return tensors.array(tensor.datatype, tensor.shape, tensor.data, binary)
    except Malformed as error:
        raise Malformed(f"{tensor.name}: {error}") from None


def _params(body: InferRequest, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Value | str | bool]:
    """The function's parameters: scalars from the request's ``parameters``, and arrays from tensors."""
    scalars: dict[str, Scalar] = body.parameters.__pydantic_extra__
    _refuse_twice([*scalars, *arrays])
    numbers = {
        name: NON_FINITE.get(value, value) if isinstance(value, str) else value
        for name, value in scalars.items()
    }
    # Raw bytes may be unaligned: arithmetic on them is slow, and may group sums differently.
    return numbers | {name: np.require(array, np.float64, "A") for name, array in arrays.items()}


def _refuse_twice(names: Iterable[str]) -> None:
    listed = list(names)
    if len(set(listed)) != len(listed):
        raise Malformed("a tensor or parameter is given twice")


def _answer(
    entry: Activation, body: InferRequest, results: list[tuple[_RequestedOutput, NDArray[Any]]]
) -> Response:
    described = [_described(wanted, values) for wanted, values in results]
    names = {"model_name": entry.name, "model_version": VERSION}
    fields = names | ({} if body.id is None else {"id": body.id}) | {"outputs": described}
    binary = [tensors.raw(values) for wanted, values in results if wanted.binary]
    if binary:
        return TensorResponse(whole(fields), binary)
    return encoded(fields, {}, numbers=sum([size_of(values.shape) for _, values in results]))


def _described(wanted: _RequestedOutput, values: NDArray[Any]) -> dict[str, Any]:
    datatype = next(name for name, dtype in tensors.DATATYPES.items() if dtype == values.dtype)
    described = {"name": wanted.name, "datatype": datatype, "shape": values.shape}
    if wanted.binary:
        return {**described, "parameters": {"binary_data_size": values.nbytes}}
    return {**described, "data": values.reshape(-1)}


def _tensor(name: str, shape: list[int]) -> TensorMetadata:
    return TensorMetadata(name=name, datatype=next(iter(tensors.DATATYPES)), shape=shape)


def _configured(tensor: TensorMetadata) -> TensorConfiguration:
    return TensorConfiguration(name=tensor.name, data_type=f"TYPE_{tensor.datatype}", dims=tensor.shape)


def _statistics(name: str, tally: Tally) -> ModelStatistics:
    succeeded = Duration(count=tally.succeeded, ns=tally.succeeded_ns)
    return ModelStatistics(
        name=name,
        version=VERSION,
        last_inference=tally.last_ms,
        inference_count=tally.succeeded,
        execution_count=tally.succeeded,
        inference_stats=InferStatistics(
            success=succeeded,
            fail=Duration(count=tally.failed, ns=tally.failed_ns),
            queue=Duration(),
            compute_input=Duration(),
            compute_infer=succeeded,
            compute_output=Duration(),
        ),
        batch_stats=[],
    )


def _scalar(value: float) -> float | str:
    """A number in JSON: non-finite ones as strings."""
    return name_of(value) if value in NON_FINITE.values() else value


for _prefix, _checks in (("", []), ("/versions/{version}", [Depends(_only_version)])):
    for _routes in (models, inference):
        router.include_router(_routes, prefix="/models/{name}" + _prefix, dependencies=_checks)
