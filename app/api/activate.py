"""``POST /activate``: values and derivatives."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from fastapi import APIRouter, Request, Response

from app.api.bodies import ACTIVATE
from app.api.sizes import answer_size, check_answer_size, numbers_in
from app.compute.threads import SMALL, DeadlineExceeded
from app.contract.activate import ActivateRequest, ActivateResponse
from app.core.activations import REGISTRY
from app.core.activations.definition import Elementwise
from app.core.activations.from_formula import FormulaActivation, label
from app.core.activations.registry import Call
from app.core.arithmetic.formats import number_format
from app.core.arithmetic.rounding import Rounding
from app.core.errors import InvalidValue
from app.core.evaluation import Evaluation, Mapper, activate
from app.core.formulas.proving import FEW_BITS
from app.core.proof import ProvedActivation, as_sent, check_provable
from app.http.answers import encoded, ready
from app.http.array_bodies import ArrayRoute
from app.http.computing import admitted, answered_by, computed, failures, reserve, timeout
from app.http.media_types import JSON, NPY, negotiate
from app.http.problems import responses
from app.settings import Settings
from app.wire import npy
from app.wire.sizes import size_of

Found = TypeVar("Found")

FEW_NUMBERS = 256
"""Numbers up to which a proof is tried on a thread of this process: it usually takes some milliseconds."""

BYTES_PER_NUMBER = 200.0
"""A worker's memory for each number that it proves."""

router = APIRouter(route_class=ArrayRoute, tags=["values"])

DESCRIPTION = """\
Values and derivatives, each the exact answer rounded once to `dtype`.

Non-finite numbers are written as the strings `"NaN"`, `"Infinity"` and `"-Infinity"`, in both directions.

**Binary twin.** With `Content-Type: application/x-npy` the body is one `.npy` array (the `inputs`) and the
other fields are given in the query string: names and choices as they are, the rest as JSON
(`?function=…&params={"alpha":0.5}&order=2`; `params` may be called `parameters`, as in generated clients).
With `Accept: application/x-npy` the answer is one `.npy` array of shape `(order + 1, *shape)`; bfloat16 and
float8 results are sent as float32, which represents them exactly. Jacobians and gradients do not fit into
that array: such answers are JSON only.

**Formulas and proofs.** `function` may be `formula:` and an expression in x, whose other names are given in
`params`. For a formula, and for an entry with `"rounding": "proved"`, each number is the correctly rounded
one; `proof` counts those proved (with `.npy` it is the header `Proof: proved/unproved`).

`Server-Timing` is the computation's time in milliseconds, without parsing and encoding.

A header `Request-Timeout: <seconds>` sets an earlier deadline than the service's own.
"""

_NPY_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {"content": {NPY: {"schema": {"type": "string", "format": "binary"}}}}
}


@router.post(
    "/activate",
    summary="Apply an activation function",
    description=DESCRIPTION,
    response_model=ActivateResponse,
    responses={**_NPY_ANSWER, **responses(400, 406, 413, 415, 422, 503, 504)},
)
async def post_activate(body: ACTIVATE, request: Request) -> Response:
    """Validates, computes (on threads where the arrays are large), and encodes as negotiated."""
    settings: Settings = request.app.state.settings
    axis = tuple(body.axis) if isinstance(body.axis, list) else body.axis
    seconds = timeout(request, settings.request_timeout)
    given = numbers_in((*body.params.values(), body.upstream))

    def resolved(_: Mapper) -> Call:
        return REGISTRY.resolve(body.function, body.params, axis)

    # Each number of a parameter is checked against its domain.
    call = await computed(request, resolved, size=given, seconds=seconds) if given > SMALL else resolved(map)
    state = request.scope["state"]  # `request.state`, without creating two objects
    state["function"] = label(call.activation)
    media_type = negotiate(request, *_offered(call, body))
    size = answer_size(call, body.inputs.shape, body.order)
    check_answer_size(size, settings.max_elements)
    state["answer_bytes"] = 8 * size
    if _is_proved(call, body):
        answer = await _proved(request, call, body, media_type, seconds)
        state["elements"] = body.inputs.size
        return answer

    def work(map_blocks: Mapper) -> Response:
        dtype = number_format(body.dtype)
        upstream = body.upstream
        started = time.perf_counter()
        evaluation = activate(
            call, body.inputs, order=body.order, dtype=dtype, upstream=upstream, map_blocks=map_blocks
        )
        timing = {"Server-Timing": f"compute;dur={1e3 * (time.perf_counter() - started):.4f}"}
        if media_type == NPY:
            return ready(npy.stacked(evaluation.orders), NPY, timing)
        numbers = sum([size_of(array.shape) for array in evaluation.orders])
        return encoded(_fields(call, body, evaluation), timing, numbers=numbers)

    kind = (*call.kind, body.order, body.upstream is None)
    answer = await computed(request, work, size=size + given, seconds=seconds, kind=kind)
    state["elements"] = body.inputs.size
    return answer


def _is_proved(call: Call, body: ActivateRequest) -> bool:
    if isinstance(call.activation, FormulaActivation) or body.rounding == "proved":
        check_provable(call.activation, body.order)
        return True
    if (body.overflow, body.subnormals) != ("format", "keep"):
        # Which numbers overflow is known only from the exact values.
        if not isinstance(call.activation, Elementwise):
            message = "overflow and subnormals can be chosen for elementwise functions only"
            raise InvalidValue(message, loc=("overflow",))
        return True
    if body.order > 2:
        message = "order is at most 2, or 8 where rounding is proved or the function is a formula"
        raise InvalidValue(message, loc=("order",))
    return False


async def _proved(
    request: Request, call: Call, body: ActivateRequest, media_type: str, seconds: float
) -> Response:
    """The answer with every number proved, at most ``seconds`` from now.

    Few numbers are first tried in this process, with few bits; if some stay unproved, or for many numbers, a
    worker proves them.
    """
    rounding = Rounding(number_format(body.dtype), body.overflow == "saturate", body.subnormals == "flush")
    job = ProvedActivation(call, body.inputs, body.order, rounding, body.upstream)
    started = time.perf_counter()
    end = time.monotonic() + seconds

    def in_time(_: float) -> None:
        if time.monotonic() > end:
            raise DeadlineExceeded

    size = body.inputs.size * (body.order + 1)
    found = None
    if size <= FEW_NUMBERS:
        quick = replace(job, most_bits=FEW_BITS)
        with failures:
            found = await _in_time(asyncio.to_thread(quick, map, in_time), seconds)
    if found is None or found.unproved:
        admission = admitted(request, end - time.monotonic())
        reserve(admission, BYTES_PER_NUMBER * size)
        found = await answered_by(request, admission, job)
    timing = {"Server-Timing": f"compute;dur={1e3 * (time.perf_counter() - started):.4f}"}
    if media_type == NPY:
        sent = as_sent(found.orders, rounding.dtype)
        return ready(npy.stacked(sent), NPY, {**timing, "Proof": f"{found.proved}/{found.unproved}"})
    fields = _fields(call, body, Evaluation(found.orders, found.input_gradient, found.param_gradients))
    if body.order > 2:
        fields["higher_derivatives"] = list(found.orders[3:])
    fields["proof"] = {"proved": found.proved, "unproved": found.unproved}
    return encoded(fields, timing, numbers=sum(size_of(array.shape) for array in found.orders))


async def _in_time(running: Coroutine[Any, Any, Found], seconds: float) -> Found:
    """The result of ``running``; raises `DeadlineExceeded` after ``seconds``."""
    try:
        return await asyncio.wait_for(running, seconds)
    except TimeoutError:
        raise DeadlineExceeded from None


def _offered(call: Call, body: ActivateRequest) -> tuple[str, ...]:
    """The media types of this answer: one array can hold orders of one shape, and no gradients."""
    stacks = body.order == 0 or isinstance(call.activation, Elementwise)
    return (JSON, NPY) if stacks and body.upstream is None else (JSON,)


def _fields(call: Call, body: ActivateRequest, evaluation: Evaluation) -> dict[str, Any]:
    """The fields of an `ActivateResponse`."""
    outputs = evaluation.orders[0]
    derivative, second = (*evaluation.orders[1:3], None, None)[:2]
    return {
        "function": call.activation.name,
        "params": {name: np.asarray(value) for name, value in call.params.items()},
        "dtype": body.dtype,
        "shape": outputs.shape,
        "outputs": outputs,
        "derivative": derivative,
        "second_derivative": second,
        "input_gradient": evaluation.input_gradient,
        "param_gradients": None if body.upstream is None else evaluation.param_gradients,
    }
