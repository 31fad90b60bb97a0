"""``POST /training``: trains small networks side by side, and streams frames of the training."""

from __future__ import annotations

import time
from collections.abc import Coroutine
from functools import partial
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from app.api import training_reports as reports
from app.api.bodies import TRAINING
from app.api.trainings import Plan, described
from app.contract.training import TrainingResponse
from app.core.activations.from_formula import label
from app.core.jobs import Runner
from app.core.training.course import train
from app.core.training.run import Frame
from app.http.array_bodies import ArrayRoute
from app.http.computing import admitted, planned, reserve, simulated, timeout
from app.http.media_types import JSON, negotiate
from app.http.problems import Problem, responses
from app.http.streaming import EVENTS, LINES, Emit, streamed
from app.settings import Settings

router = APIRouter(route_class=ArrayRoute, tags=["training"])

DESCRIPTION = """\
Trains small networks with several activations side by side, on the same data and from the same seeds, and
reports what happens. With `Accept: text/event-stream` the answer is streamed: a `start` event, a `frame`
every few steps, then `result`; `application/jsonl` has the same as lines, each with its `type`. Otherwise
the answer is the result with all frames. A failure after the start is an `error` with a problem document.

A network is as in `POST /gradient-flow`, with a linear head whose outputs the loss is computed from. All
arithmetic is float64, with the catalogue's own derivatives. Run r of a seed does not depend on what else is
trained; only `timing` differs between requests. Frames are measured on all training examples, also with mini
batches.

A run whose loss becomes NaN, or a million times its first value, has `diverged`, which is a finding. Its
figures are left out from then on; where no run is left they are null.

With a multipart form of the JSON part `request` and the file part `weights` (as for `POST /gradient-flow`;
the last matrix is the head's), all runs start from these weights and differ only in the order of mini
batches; `init` and `hidden` are not given then.
"""


@router.post(
    "/training",
    summary="Train networks side by side",
    description=DESCRIPTION,
    response_model=TrainingResponse,
    responses={
        200: {"content": {EVENTS: {}, LINES: {}}},
        **responses(400, 406, 413, 415, 422, 503, 504),
    },
)
async def post_training(body: TRAINING, request: Request) -> Response:
    """Validates, estimates the cost, trains on the workers, and answers as JSON or as a stream."""
    settings: Settings = request.app.state.settings
    media_type = negotiate(request, JSON, EVENTS, LINES)
    longest = settings.request_timeout if media_type == JSON else settings.sweep_timeout
    admission = admitted(request, timeout(request, longest))
    plan = await planned(request, admission, partial(described, body, settings))
    request.state.function = label(plan.trainings[0].learner.call.activation)
    reserve(admission, plan.cost.bytes)
    if media_type == JSON:
        return Response(await simulated(request, admission, partial(_encoded, plan)), media_type=JSON)

    def events(emit: Emit) -> Coroutine[Any, Any, None]:
        return admission.run(partial(_emit_events, plan, emit))

    return streamed(events, media_type, _error)


def answered(plan: Plan, run: Runner) -> dict[str, Any]:
    """The fields of `TrainingResponse`."""
    frames: list[dict[str, Any]] = []
    outcomes = train(
        plan.trainings, run, time.perf_counter, lambda seen: frames.append(reports.frame(plan, seen))
    )
    activations = reports.result(plan, outcomes)["activations"]
    return {"start": reports.start(plan), "activations": activations, "frames": frames}


def _encoded(plan: Plan, run: Runner) -> bytes:
    return orjson.dumps(answered(plan, run))


def _emit_events(plan: Plan, emit: Emit, run: Runner) -> None:
    """Emits ``start``, each ``frame``, and ``result``."""

    def show(seen: list[Frame]) -> None:
        emit("frame", orjson.dumps(reports.frame(plan, seen)))

    emit("start", orjson.dumps(reports.start(plan)))
    outcomes = train(plan.trainings, run, time.perf_counter, show)
    emit("result", orjson.dumps(reports.result(plan, outcomes)))


def _error(problem: Problem) -> tuple[str, bytes]:
    document = orjson.Fragment(bytes(problem.response().body))
    return "error", orjson.dumps({"type": "error", "problem": document})
