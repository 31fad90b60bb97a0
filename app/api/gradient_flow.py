"""``POST /gradient-flow``: does the gradient survive?"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import orjson
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from app.api.bodies import JSON, ArrayRoute, negotiate
from app.api.computing import computed, timeout
from app.api.examples import GRADIENT_FLOW
from app.api.mean_field import resolve
from app.api.problems import Problem, from_core, responses
from app.api.schemas import GaussianInputFields, GradientFlowRequest, GradientFlowResponse, Sigmas
from app.compute.threads import SMALL, ComputeThreads
from app.core.activations.registry import Call
from app.core.diagnosis import Experiment, Report, Stage, Theory, Watch, critical, diagnose
from app.core.errors import ActivationLabError, InvalidValue, LimitExceeded
from app.core.evaluation import Mapper
from app.core.propagation.engine import FLOPS_PER_DEFERRAL
from app.core.propagation.initialisers import Initialiser, gaussian, initialiser
from app.core.propagation.network import GaussianInputs, Network
from app.core.propagation.normalisation import normalisation
from app.core.propagation.statistics import Spread
from app.settings import Settings
from app.wire.numbers import name_of

router = APIRouter(route_class=ArrayRoute, tags=["gradients"])

Result = TypeVar("Result")

EVENTS = "text/event-stream"
LAYER_BYTES = 10_000
"""A layer's figures as Python objects and in the answer, whatever its width."""

PATIENCE = 0.25
"""Seconds between two looks whether the client is still there."""

DESCRIPTION = """\
Simulates the signal and the gradient through deep random networks, sets theory beside it, judges, and offers
remedies that were simulated too.

The loss gradient at the last activation is a standard normal array. Gradients are logarithms from the start,
so that a ratio of 1e-9000 is a number. The same request with the same seed gives the same answer.

**States.** `exploding` and `vanishing`: the gradient of the first layer differs from the last one's by more
than a decade, or the signal overflows. `dying`: more than 90 % of a layer's units have slope 0 for the whole
batch. `saturated`: more than half of a layer's pre-activations lie where φ′ is below a tenth of its largest
value (90 % for an activation that saturates on one side only, where half of them lie by design).

Remedies are tried on two networks, and not for networks that take more than a second each.

With `Accept: text/event-stream` the answer comes as `progress` events and one `result` event; what goes wrong
after the start is an `error` event with a problem document.
"""


@router.post(
    "/gradient-flow",
    summary="Simulate and judge a network's gradient",
    description=DESCRIPTION,
    response_model=GradientFlowResponse,
    responses={200: {"content": {EVENTS: {}}}, **responses(400, 406, 413, 415, 422, 503, 504)},
)
async def post_gradient_flow(body: GRADIENT_FLOW, request: Request) -> Response:
    """Checks and estimates, computes off the event loop, answers at once or as events."""
    settings: Settings = request.app.state.settings
    media_type = negotiate(request, JSON, EVENTS)
    seconds = timeout(request, settings.request_timeout)
    experiment = _experiment(body, settings)
    job = _Job(body, experiment, request.app.state.threads, seconds)
    if media_type == EVENTS:
        return StreamingResponse(_events(job), media_type=EVENTS, headers={"Cache-Control": "no-store"})
    return Response(await _while_there(request, job.run()), media_type=JSON)


@dataclass(frozen=True)
class _Job:
    """One experiment with the means to run it."""

    body: GradientFlowRequest
    experiment: Experiment
    threads: ComputeThreads
    seconds: float

    async def run(self, watch: Watch | None = None) -> bytes:
        """The answer as JSON; raises `Problem` and the core's errors."""

        def work(map_blocks: Mapper) -> bytes:
            report = diagnose(self.experiment, map_blocks=map_blocks, watch=watch)
            return orjson.dumps(_answer(self.body, self.experiment.network, report))

        return await computed(self.threads, work, size=SMALL + 1, seconds=self.seconds)


async def _while_there(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """The result of ``work``, which is cancelled when the client has gone."""
    task = asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait({task}, timeout=PATIENCE))[0]:
            if await request.is_disconnected():
                raise Problem(503, "the client has gone")
        return await task
    finally:
        task.cancel()


async def _events(job: _Job) -> AsyncIterator[bytes]:
    """``progress`` events, at most one a percent, then ``result`` or ``error``."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[bytes | None] = asyncio.Queue()
    last: tuple[str, int] | None = None

    def watch(stage: Stage, fraction: float) -> None:
        nonlocal last
        if last != (stage, percent := int(100 * fraction)):
            last = (stage, percent)
            event = _event("progress", orjson.dumps({"stage": stage, "percent": percent}))
            loop.call_soon_threadsafe(queue.put_nowait, event)

    task = asyncio.ensure_future(job.run(watch))
    task.add_done_callback(lambda _: queue.put_nowait(None))
    try:
        while (event := await queue.get()) is not None:
            yield event
        try:
            yield _event("result", await task)
        except ActivationLabError as error:
            yield _event("error", bytes(from_core(error).response().body))
        except Problem as error:
            yield _event("error", bytes(error.response().body))
    finally:
        task.cancel()


def _event(name: str, data: bytes) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"


def _experiment(body: GradientFlowRequest, settings: Settings) -> Experiment:
    """What the request describes, if the service can afford it."""
    call = resolve(body)
    weights = _weights(body, call)
    normaliser = None if body.normalization is None else normalisation(body.normalization)
    scale = None if body.residual is None else body.residual.scale
    depth, batch = _depth(body), _batch(body)
    inputs = _inputs(body, batch)

    def network(sizes: tuple[int, ...]) -> Experiment:
        made = Network(sizes=sizes, call=call, weights=weights, normalisation=normaliser, residual=scale)
        dtype = np.dtype(body.dtype)
        return Experiment(
            network=made,
            inputs=inputs,
            networks=body.networks,
            seed=body.seed,
            dtype=dtype,
            engine=body.engine,
        )

    one = max(set(pairwise(_sizes(body, 1))), key=math.prod)
    _check_size(network(one), depth, settings)
    whole = network(_sizes(body, depth))
    _afford(whole.cost.work * body.networks, whole.cost.bytes, settings)
    return whole


def _weights(body: GradientFlowRequest, call: Call) -> Initialiser:
    if isinstance(body.init, Sigmas):
        return gaussian(body.init.sigma_w, body.init.sigma_b)
    if body.init == "critical":
        return critical(call, body.sigma_b)
    if body.sigma_b:
        raise InvalidValue("goes with the critical initialisation only", loc=("sigma_b",))
    return initialiser(body.init)


def _depth(body: GradientFlowRequest) -> int:
    if not isinstance(body.width, list):
        return 50 if body.depth is None else body.depth
    if body.depth is not None:
        raise InvalidValue("a list of widths already says the depth", loc=("depth",))
    if len(body.width) < 2:
        raise InvalidValue("must be two or more sizes", loc=("width",))
    return len(body.width) - 1


def _sizes(body: GradientFlowRequest, depth: int) -> tuple[int, ...]:
    """All sizes; a real batch has features of its own number."""
    if isinstance(body.width, list):
        return tuple(body.width)
    first = body.width if isinstance(body.inputs, GaussianInputFields) else body.inputs.shape[-1]
    return (first, *[body.width] * depth)


def _batch(body: GradientFlowRequest) -> int:
    if isinstance(body.inputs, GaussianInputFields):
        return 32 if body.batch is None else body.batch
    if body.inputs.ndim != 2 or not body.inputs.size:
        raise InvalidValue("must be a batch of inputs: batch × features", loc=("inputs",))
    if body.batch is not None and body.batch != len(body.inputs):
        raise InvalidValue("a real batch already says its size", loc=("batch",))
    return len(body.inputs)


def _inputs(body: GradientFlowRequest, batch: int) -> Any:
    if isinstance(body.inputs, GaussianInputFields):
        return GaussianInputs(batch, body.inputs.variance, body.inputs.correlation)
    return np.ascontiguousarray(body.inputs.T)


def _check_size(layer: Experiment, depth: int, settings: Settings) -> None:
    """Refuses what one layer's cost already tells, before anything of the network's depth is made."""
    work = depth * max(layer.cost.work, FLOPS_PER_DEFERRAL) * layer.networks
    _afford(work, layer.cost.bytes + depth * layer.networks * LAYER_BYTES, settings)


def _afford(work: float, size: float, settings: Settings) -> None:
    limits = ((work, settings.max_flow_work, "operations"), (size, settings.max_flow_bytes, "bytes"))
    for estimate, limit, unit in limits:
        if estimate > limit:
            raise LimitExceeded("the simulation", estimate=estimate, limit=limit, unit=unit, loc=("width",))


def _answer(body: GradientFlowRequest, network: Network, report: Report) -> dict[str, Any]:
    kinds = set(report.kinds)
    return {
        "engine": kinds.pop() if len(kinds) == 1 else "mixed",
        "seed": body.seed,
        "networks": body.networks,
        "dtype": body.dtype,
        "layers": [
            {
                "layer": number + 1,
                "fan_in": layer.fan_in,
                "fan_out": layer.units,
                **{name: _spread(values, number) for name, values in report.layers.items()},
            }
            for number, layer in enumerate(network.layers)
        ],
        "gradient": {
            "log10_ratio": _spread(report.log10_ratio),
            "factor_per_layer": _spread(report.factor_per_layer),
            "underflow": report.underflow,
        },
        "theory": None if report.theory is None else _theory(report.theory),
        "verdict": {
            "state": report.verdict.state,
            "layer": report.verdict.layer,
            "usable_depth": report.verdict.usable_depth,
            "summary": report.verdict.summary._asdict(),
        },
        "remedies": [
            {"change": each.change, "log10_ratio": _number(each.log10_ratio), "state": each.state}
            for each in report.remedies
        ],
    }


def _theory(theory: Theory) -> dict[str, Any]:
    names = ("q_star", "c_star", "chi_1", "xi_q", "xi_c", "xi_gradient")
    pairs = zip(theory.path.q.tolist(), theory.path.chi.tolist(), strict=True)
    return {
        **{name: _number(getattr(theory.point, name)) for name in names},
        "predicted_log10_ratio": _number(theory.predicted_log10_ratio),
        "critical_sigma_w": _number(theory.critical_sigma_w),
        "layers": [{"q": _number(q), "chi": _number(chi)} for q, chi in pairs],
    }


def _spread(values: Spread, place: int | tuple[()] = ()) -> dict[str, float | str]:
    return {name: _number(each[place]) for name, each in values._asdict().items()}


def _number(value: Any) -> float | str:
    number = float(value)
    return number if math.isfinite(number) else name_of(number)
