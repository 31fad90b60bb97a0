"""``POST /gradient-flow``: simulates and diagnoses a network's signal and gradient."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any

import numpy as np
import orjson
from fastapi import APIRouter, Request, Response

from app.api.bodies import GRADIENT_FLOW
from app.api.experiments import described
from app.api.network_form import NETWORK_DESCRIPTION
from app.api.reports import answer, number
from app.api.trials import PlannedTrial, planned_trial, tried
from app.contract.gradient_flow import GradientFlowRequest, GradientFlowResponse
from app.core.activations.from_formula import label
from app.core.arithmetic import Array
from app.core.diagnosis import verdict
from app.core.diagnosis.experiment import Experiment, Stage, Watch, unwatched
from app.core.diagnosis.report import diagnose
from app.core.jobs import Runner
from app.core.propagation.recurrent_block import CELL_GRADIENT
from app.core.propagation.statistics import Figures, spread
from app.core.training.trial import RUNS, STEPS
from app.http.array_bodies import ArrayRoute
from app.http.computing import admitted, planned, reserve, simulated, timeout
from app.http.media_types import JSON, negotiate
from app.http.problems import Problem, responses
from app.http.streaming import EVENTS, Emit, streamed
from app.settings import Settings

router = APIRouter(route_class=ArrayRoute, tags=["gradients"])

DESCRIPTION = f"""\
Simulates the signal and the gradient in deep random networks, compares them with theory, judges them, and
suggests remedies, which were simulated too.

The loss gradient at the last activation is `upstream`, or a standard normal array. Gradients are kept as
logarithms, so that even a ratio of 1e-9000 can be represented. The same request with the same seed gives the
same answer.

**States.** The verdict lists its `findings`, worst first, from medians over the networks; `state` is that of
the first, or `healthy`.

- `exploding`: the signal overflows, or grows by more than 10^{verdict.GROWING} from the inputs (from one,
  where they are smaller) to the last layer, or the norm of a layer's weight gradient is more than
  10^{verdict.EXPLODING} times the last layer's.
- `dead`: in at least half of the networks no gradient reaches the first layer.
- `dying`: more than {verdict.DYING:.0%} of a layer's units have slope 0 for the whole batch.
- `vanishing`: of D layers, the norm of a layer's gradient (of an LSTM, its cell's) is less than
  D · 10^-{verdict.VANISHING} of the last layer's (with D = {verdict.DEEPEST} for more layers than that); or
  the layers are so narrow that it survives in a few directions alone, the sum of 1/width above
  {verdict.NARROW:g}.
- `exploding` or `vanishing`, too: theory has two basins (`theory.basins`), more than {verdict.FEW:.0%} of the
  signals end in either, and these are more than 10^{verdict.APART:g} apart; the evidence counts the networks.
- `collapsed`: all inputs have become the same more than {verdict.COLLAPSED} layers before the last.
- `saturated`: more than {verdict.SATURATED:.0%} of a layer's pre-activations lie where the function is flat,
  or more than half of them, and the gradient is lost as well.

Each threshold is where small networks stop learning.

**Blocks.** With `block` a layer of the answer is a block: `gradient_log10_rms` is that of dL/dh entering it,
`activation_mean`, `activation_mean_square` and `correlation` are the stream's at its end,
`preactivation_variance`, `saturated_fraction` and `dead_fraction` are those of φ's input inside, and
`weight_gradient_log10_norm` is over all its `matrices`, of which each has its own. An activation that gates
makes a gated MLP, gate and value of a unit in neighbouring rows. In a transformer the batch is the tokens of
one sequence and `correlation` theirs: 1 is rank collapse.

Remedies are simulated with two networks, unless a network takes more than two seconds of one core.

With `"train": true` the verdict is tested: {RUNS} such networks, 64 pixels before them and a linear head
behind, take {STEPS} steps (SGD, momentum 0.9, rate 0.01, batches of 64) on handwritten digits, and the
answer's `training` has the accuracy on a held-out fifth. Of large networks one is trained, its layers
narrowed until this takes at most ten seconds of one core; one too deep for that has the `state` `not_tried`.

With `Accept: text/event-stream` the answer is `progress` events and one `result` event; a failure after the
start is an `error` event with a problem document. A `progress` event holds the `stage`, its
`percent`, how many `networks` are done and the median of their `gradient_log10_rms` by layer, of LSTMs that
of their `cell_gradient_log10_rms` too.
"""


@router.post(
    "/gradient-flow",
    summary="Simulate and judge a network's gradient",
    description=DESCRIPTION + NETWORK_DESCRIPTION,
    response_model=GradientFlowResponse,
    responses={200: {"content": {EVENTS: {}}}, **responses(400, 406, 413, 415, 422, 503, 504)},
)
async def post_gradient_flow(body: GRADIENT_FLOW, request: Request) -> Response:
    """Validates, estimates the cost, simulates on the workers, and answers as JSON or as events."""
    settings: Settings = request.app.state.settings
    media_type = negotiate(request, JSON, EVENTS)
    admission = admitted(request, timeout(request, settings.request_timeout))
    experiment, trial = await planned(request, admission, partial(_described, body, settings))
    request.state.function = label(experiment.network.call.activation)
    reserve(admission, max(experiment.cost.bytes, 0.0 if trial is None else trial.bytes))
    if media_type == EVENTS:

        def events(emit: Emit) -> Coroutine[Any, Any, None]:
            return admission.run(partial(_emit_events, body, experiment, trial, emit))

        return streamed(events, EVENTS, _error)
    work = partial(_answered, body, experiment, trial)
    return Response(await simulated(request, admission, work), media_type=JSON)


def _described(body: GradientFlowRequest, settings: Settings) -> tuple[Experiment, PlannedTrial | None]:
    """The experiment, and the planned trial if one was requested."""
    experiment = described(body, settings)
    return experiment, planned_trial(body, experiment.network, settings.max_flow_bytes)


def _answered(
    body: GradientFlowRequest,
    experiment: Experiment,
    trial: PlannedTrial | None,
    run: Runner,
    watch: Watch = unwatched,
) -> bytes:
    """The answer as JSON."""
    report = diagnose(experiment, run=run, watch=watch)
    found = answer(body, experiment.network, report)
    return orjson.dumps(found if trial is None else {**found, "training": tried(trial, run)})


def _emit_events(
    body: GradientFlowRequest, experiment: Experiment, trial: PlannedTrial | None, emit: Emit, run: Runner
) -> None:
    """Emits ``progress`` events, at most one per percent or network, then ``result``."""
    last: tuple[str, int, int] | None = None

    def watch(stage: Stage, part: float, networks: Sequence[Figures]) -> None:
        nonlocal last
        if last != (now := (stage, int(100 * part), len(networks))):
            last = now
            emit("progress", _progress(stage, int(100 * part), networks))

    emit("result", _answered(body, experiment, trial, run, watch))


def _error(problem: Problem) -> tuple[str, bytes]:
    return "error", bytes(problem.response().body)


def _progress(stage: Stage, percent: int, networks: Sequence[Figures]) -> bytes:
    """The data of a ``progress`` event, with the gradients of the networks that are done."""
    counted = {"stage": stage, "percent": percent, "networks": len(networks)}
    gradients = {"gradient_log10_rms": _middle([each.gradient_log10_rms for each in networks])}
    if any(CELL_GRADIENT in each.own for each in networks):
        gradients[CELL_GRADIENT] = _middle([each.own[CELL_GRADIENT] for each in networks])
    return orjson.dumps({**counted, **gradients})


def _middle(networks: Sequence[Array]) -> list[float | str | None] | None:
    """The median of a figure, layer by layer; None of no network."""
    return [number(value) for value in spread(np.stack(networks)).median] if networks else None
