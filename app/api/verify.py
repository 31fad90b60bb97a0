"""``POST /verify``: judges a kernel's numbers."""

from __future__ import annotations

import math
import time
from dataclasses import asdict
from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response

from app.api.bodies import VERIFY
from app.api.sizes import check_answer_size
from app.contract.verify import VerifyRequest, VerifyResponse
from app.core.activations import REGISTRY
from app.core.activations.definition import Rowwise
from app.core.activations.from_formula import label
from app.core.activations.registry import Call, check_constraints
from app.core.arithmetic import Array
from app.core.arithmetic.formats import check_nan, number_format, round_to
from app.core.errors import InvalidValue
from app.core.verification.exact import doubles, every_number, spread
from app.core.verification.job import Report, Verification
from app.core.verification.rows import RowVerification, check_rows
from app.core.verification.suspects.rows import has_weights
from app.http.answers import whole
from app.http.array_bodies import ArrayRoute
from app.http.computing import admitted, answered_by, reserve, timeout
from app.http.media_types import JSON, negotiate
from app.http.problems import responses
from app.settings import Settings

BYTES_PER_NUMBER = 400.0
"""A worker's memory for each number that it judges."""

PRINTED = np.dtype(np.float32)
"""The format as which many programs print shorter ones."""

router = APIRouter(route_class=ArrayRoute, tags=["values"])

DESCRIPTION = """\
Judges a kernel by its own numbers: how far each is from the exact answer, which special inputs are wrong, and
what most probably causes the errors.

Gated units (glu, swiglu, …) and functions related to softmax are judged row by row along `axis`: they need
`inputs`, and their `derivative` is the Jacobians, as in the answer of `POST /activate`.

With `inputs` null the outputs are those for every number of `dtype`, in the order of the bit patterns: 65,536
for bfloat16 and float16, 256 for an 8-bit format.

A form sends the arrays as a file: a JSON part `request`, and a part `arrays` in safetensors, which holds
bfloat16 and float8 as they are, or `.npz`, with the members `outputs` and, if wanted, `inputs`, `derivative`
and `second_derivative`. Where `request` names no `dtype` it is that of the outputs.

Numbers that `dtype` does not have are refused; decimals may be the shortest that identify a number of
`dtype`, or of float32.
"""


@router.post(
    "/verify",
    summary="Judge a kernel's numbers",
    description=DESCRIPTION,
    response_model=VerifyResponse,
    responses=responses(400, 406, 413, 415, 422, 503, 504),
)
async def post_verify(body: VERIFY, request: Request) -> Response:
    """Validates, judges on a worker, and answers."""
    settings: Settings = request.app.state.settings
    negotiate(request, JSON)
    seconds = timeout(request, settings.request_timeout)
    call = None if body.function is None else _call(body.function, body)
    if call is None:
        _check_unnamed(body)
    request.state.function = "unknown" if call is None else label(call.activation)
    orders = 1 + (body.derivative is not None) + (body.second_derivative is not None)
    check_answer_size(
        max(orders * body.outputs.size, 0 if body.derivative is None else body.derivative.size),
        settings.max_elements,
    )
    job = _job(call, body)
    request.state.elements = orders * job.count
    started = time.perf_counter()

    admission = admitted(request, seconds)
    reserve(admission, BYTES_PER_NUMBER * orders * _held(body, job))
    report = await answered_by(request, admission, job)
    timing = {"Server-Timing": f"compute;dur={1e3 * (time.perf_counter() - started):.4f}"}
    return Response(whole(_fields(body, job, report)), media_type=JSON, headers=timing)


def _held(body: VerifyRequest, job: Verification | RowVerification) -> int:
    """Numbers of the largest array: an order's outputs, the inputs or the derivative."""
    return max(job.count, *(each.size for each in (body.inputs, body.derivative) if each is not None), 0)


def _check_unnamed(body: VerifyRequest) -> None:
    if body.axis is not None:
        raise InvalidValue("must be absent where function is null", loc=("axis",))
    if body.params:
        raise InvalidValue("must be absent where function is null", loc=("params",))


def _call(function: str, body: VerifyRequest) -> Call:
    axis = tuple(body.axis) if isinstance(body.axis, list) else body.axis
    call = REGISTRY.resolve(function, body.params, axis)
    if isinstance(call.activation, Rowwise):
        _check_row_request(call.activation, body)
        return call
    if body.axis is not None and len(call.scalars) == len(call.params):
        message = "must be absent: the function mixes no elements, and no parameter is an array"
        raise InvalidValue(message, loc=("axis",))
    return call


def _check_row_request(activation: Rowwise, body: VerifyRequest) -> None:
    if has_weights(activation):
        message = "mixes elements by weights; allowed: elementwise functions, gated units and functions "
        "related to softmax"
        raise InvalidValue(f"{activation.name} {message}", loc=("function",))
    if body.inputs is None:
        raise InvalidValue("are needed: the function mixes elements", loc=("inputs",))
    if body.second_derivative is not None:
        message = "must be absent: a function that mixes elements is judged by its outputs and Jacobians"
        raise InvalidValue(message, loc=("second_derivative",))


def _job(call: Call | None, body: VerifyRequest) -> Verification | RowVerification:
    dtype = number_format(body.dtype)
    compute = None if body.compute_dtype is None else _compute_format(body.compute_dtype)
    if not body.outputs.size:
        raise InvalidValue("must hold at least one number", loc=("outputs",))
    x = _inputs(body, dtype)
    flush = body.subnormals == "flush"
    if call is not None and isinstance(call.activation, Rowwise):
        slopes = body.derivative
        check_rows(call, x.shape, body.outputs.shape, None if slopes is None else slopes.shape, dtype)
        held = _of_format(body.outputs.ravel(), dtype, "outputs").reshape(body.outputs.shape)
        if slopes is not None:
            slopes = _of_format(slopes.ravel(), dtype, "derivative").reshape(slopes.shape)
        return RowVerification(call, dtype, x, held, flush, body.tolerance_ulp, compute, slopes)
    given = {
        "outputs": body.outputs,
        "derivative": body.derivative,
        "second_derivative": body.second_derivative,
    }
    for name, values in given.items():
        if values is not None:
            _check_shape(body, name, values, x)
    outputs = [
        None if values is None else _of_format(values.ravel(), dtype, name) for name, values in given.items()
    ]
    if call is not None:
        check_constraints(call.activation, spread(call, x.shape).params)
    return Verification(call, dtype, x, tuple(outputs), flush, body.tolerance_ulp, compute)


def _compute_format(name: str) -> np.dtype[Any]:
    try:
        return number_format(name)
    except ValueError as error:
        error.loc = ("compute_dtype",)  # type: ignore[attr-defined]
        raise


def _inputs(body: VerifyRequest, dtype: np.dtype[Any]) -> Array:
    if body.inputs is not None:
        check_nan(body.inputs, dtype, "inputs")
        return doubles(round_to(body.inputs, dtype))
    numbers = every_number(dtype)
    if numbers is None:
        message = f"are needed: {body.dtype} has too many numbers to judge them all"
        raise InvalidValue(message, loc=("inputs",))
    return numbers


def _check_shape(body: VerifyRequest, name: str, values: Array, x: Array) -> None:
    if body.inputs is None and values.size != x.size:
        message = f"must hold {x.size:,} numbers, one for each of {body.dtype}, where inputs is null"
        raise InvalidValue(message, loc=(name,))
    if body.inputs is not None and values.shape != x.shape:
        raise InvalidValue(f"must have the shape of the inputs, {list(x.shape)}", loc=(name,))


def _of_format(values: Array, dtype: np.dtype[Any], name: str) -> Array:
    """The numbers of the format that ``values`` stand for: exactly, or as a shortest decimal."""
    rounded = round_to(values, dtype)
    held = doubles(rounded)
    for place in np.flatnonzero((held != values) & ~(np.isnan(held) & np.isnan(values))).tolist():
        shortest = {float(str(rounded[place])), float(str(rounded[place].astype(PRINTED)))}
        if float(values[place]) not in shortest:
            message = f"must hold numbers of the dtype; the one at {place}, counted from 0, is none"
            raise InvalidValue(message, loc=(name,))
    return held


def _fields(body: VerifyRequest, job: Verification | RowVerification, report: Report) -> dict[str, Any]:
    """The fields of a `VerifyResponse`."""
    call = report.call
    candidates = [_wire(asdict(each)) for each in report.candidates]
    return {
        "function": None if call is None else call.activation.name,
        "params": {} if call is None else {name: np.asarray(each) for name, each in call.params.items()},
        "dtype": body.dtype,
        "count": job.count,
        "orders": [_wire(asdict(each)) for each in report.orders],
        "causes": [{**each._asdict(), "summary": each.summary._asdict()} for each in report.causes],
        "verdict": {"state": report.verdict.state, "summary": report.verdict.summary._asdict()},
        "candidates": candidates if body.function is None else None,
    }


def _wire(value: Any) -> Any:
    """Objects, lists and numbers for `whole`, which encodes non-finite floats as arrays only."""
    if isinstance(value, dict):
        return {name: _wire(each) for name, each in value.items()}
    if isinstance(value, tuple):
        return [_wire(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return np.asarray(value)
    return value
