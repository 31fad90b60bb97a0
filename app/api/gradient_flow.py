"""``POST /gradient-flow``: does the gradient survive?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from app.api.bodies import JSON, ArrayRoute, negotiate
from app.api.computing import computed, timeout
from app.api.examples import GRADIENT_FLOW
from app.api.experiments import described
from app.api.problems import Problem, from_core, responses
from app.api.reports import answer
from app.api.schemas import GradientFlowRequest, GradientFlowResponse
from app.compute.threads import SMALL, ComputeThreads
from app.core.diagnosis import Experiment, Stage, Watch, diagnose
from app.core.errors import ActivationLabError
from app.core.evaluation import Mapper
from app.settings import Settings

router = APIRouter(route_class=ArrayRoute, tags=["gradients"])

Result = TypeVar("Result")

EVENTS = "text/event-stream"
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
    experiment = described(body, settings)
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
            return orjson.dumps(answer(self.body, self.experiment.network, report))

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
