"""``POST /gradient-flow``: does the gradient survive?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import numpy as np
import orjson
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from app.api.bodies import JSON, ArrayRoute, negotiate
from app.api.computing import simulated, timeout, while_there
from app.api.examples import GRADIENT_FLOW
from app.api.experiments import described
from app.api.network_form import NETWORK_DESCRIPTION, NETWORK_FORM
from app.api.problems import Problem, from_core, responses
from app.api.reports import answer
from app.api.schemas import GradientFlowRequest, GradientFlowResponse
from app.core.diagnosis import Experiment, Stage, Watch, diagnose, unwatched
from app.core.errors import ActivationLabError
from app.core.jobs import Runner
from app.core.propagation.statistics import Figures, spread
from app.settings import Settings
from app.wire.numbers import to_json

router = APIRouter(route_class=ArrayRoute, tags=["gradients"])

EVENTS = "text/event-stream"

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
after the start is an `error` event with a problem document. A `progress` event holds the `stage`, its
`percent`, how many `networks` are done and the median of their `gradient_log10_rms` by layer.
"""


@router.post(
    "/gradient-flow",
    summary="Simulate and judge a network's gradient",
    description=DESCRIPTION + NETWORK_DESCRIPTION,
    response_model=GradientFlowResponse,
    openapi_extra=NETWORK_FORM,
    responses={200: {"content": {EVENTS: {}}}, **responses(400, 406, 413, 415, 422, 503, 504)},
)
async def post_gradient_flow(body: GRADIENT_FLOW, request: Request) -> Response:
    """Checks and estimates, has it simulated, answers at once or as events."""
    settings: Settings = request.app.state.settings
    media_type = negotiate(request, JSON, EVENTS)
    seconds = timeout(request, settings.request_timeout)
    # Off the event loop: a critical σ_w is found by integrals, and a network may have a million layers.
    experiment = await asyncio.to_thread(described, body, settings)
    job = _Job(body, experiment, request, seconds)
    if media_type == EVENTS:
        return StreamingResponse(_events(job), media_type=EVENTS, headers={"Cache-Control": "no-store"})
    return Response(await while_there(request, job.run()), media_type=JSON)


@dataclass(frozen=True)
class _Job:
    """One experiment with the means to run it."""

    body: GradientFlowRequest
    experiment: Experiment
    request: Request
    seconds: float

    async def run(self, watch: Watch = unwatched) -> bytes:
        """The answer as JSON; raises `Problem` and the core's errors."""

        def work(run: Runner) -> bytes:
            report = diagnose(self.experiment, run=run, watch=watch)
            return orjson.dumps(answer(self.body, self.experiment.network, report))

        size = self.experiment.cost.bytes
        return await simulated(self.request, work, job_bytes=size, seconds=self.seconds)


async def _events(job: _Job) -> AsyncIterator[bytes]:
    """``progress`` events, at most one a percent or a network, then ``result`` or ``error``."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[bytes | None] = asyncio.Queue()
    last: tuple[str, int, int] | None = None

    def watch(stage: Stage, part: float, networks: Sequence[Figures]) -> None:
        nonlocal last
        if last != (stage, percent := int(100 * part), count := len(networks)):
            last = (stage, percent, count)
            event = _event("progress", _progress(stage, percent, networks))
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


def _progress(stage: Stage, percent: int, networks: Sequence[Figures]) -> bytes:
    """The event's data, with the gradient of the networks that are done so far."""
    gradient = None
    if networks:
        middle = spread(np.stack([each.gradient_log10_rms for each in networks])).median
        gradient = orjson.Fragment(to_json(middle))
    counted = {"stage": stage, "percent": percent, "networks": len(networks)}
    return orjson.dumps({**counted, "gradient_log10_rms": gradient})


def _event(name: str, data: bytes) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"
