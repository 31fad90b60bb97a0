"""``"train": true`` of ``POST /gradient-flow``: the verdict tried by a short training."""

from __future__ import annotations

import time
from typing import Any

from app.api.training_reports import spread
from app.contract.gradient_flow import GradientFlowRequest
from app.core.activations.definition import Text
from app.core.errors import LimitExceeded
from app.core.jobs import Runner
from app.core.propagation.network import Network
from app.core.training.cost import Extent, cost
from app.core.training.course import train
from app.core.training.run import Training, Watch
from app.core.training.trial import BATCH, CHANCE, RUNS, STEPS, Came, judged, learner, trial

MOST_WORK = 5e11
"""Operations of a trial: ten seconds of a core."""

_SAYS: dict[Came, Text] = {
    "learns": Text(
        "It learns: in {steps} steps it tells {accuracy:.0%} of handwritten digits right that it never saw.",
        "학습됩니다. {steps}스텝 만에 처음 보는 손글씨 숫자의 {accuracy:.0%}를 맞힙니다.",
    ),
    "does_not_learn": Text(
        "It does not learn: after {steps} steps it tells {accuracy:.0%} of handwritten digits right; "
        "guessing would {chance:.0%}.",
        "학습되지 않습니다. {steps}스텝 뒤에도 손글씨 숫자의 {accuracy:.0%}만 맞힙니다. "
        "찍으면 {chance:.0%}입니다.",
    ),
    "diverges": Text(
        "Training diverges: in {diverged} of {runs} runs the loss grows beyond all bounds.",
        "학습이 발산합니다. {runs}번 가운데 {diverged}번에서 손실이 끝없이 커집니다.",
    ),
}


def planned_trial(body: GradientFlowRequest, network: Network) -> Training | None:
    """The training that was asked for; raises `LimitExceeded` where it would take too long."""
    if not body.train:
        return None
    extent = Extent(count=1438, batch=BATCH, steps=STEPS, runs=RUNS, frames=2, memories=1)
    estimate = cost(learner(network), extent, Watch()).work
    if estimate > MOST_WORK:
        raise LimitExceeded(
            "the training", estimate=estimate, limit=MOST_WORK, unit="operations", loc=("train",)
        )
    return trial(network, body.seed)


def tried(training: Training, run: Runner) -> dict[str, Any]:
    """The fields of `TrialFields`."""
    (came,) = train([training], run, time.perf_counter, lambda _: None)
    found = judged(came)
    values = {
        "steps": STEPS,
        "runs": RUNS,
        "chance": CHANCE,
        "diverged": found.diverged,
        "accuracy": float(found.accuracy.median),
    }
    return {
        "task": "digits",
        "state": found.state,
        "steps": STEPS,
        "runs": RUNS,
        "diverged": found.diverged,
        "loss": spread(found.loss),
        "accuracy": spread(found.accuracy),
        "summary": {lang: text.format(**values) for lang, text in _SAYS[found.state]._asdict().items()},
    }
