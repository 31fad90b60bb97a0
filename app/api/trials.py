"""``"train": true`` of ``POST /gradient-flow``: tests the verdict by a short training."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.api.training_reports import spread
from app.contract.gradient_flow import GradientFlowRequest
from app.core.activations.definition import Text
from app.core.jobs import Runner
from app.core.propagation.network import Network
from app.core.training.course import train
from app.core.training.run import Training
from app.core.training.trial import CHANCE, STEPS, TrialState, fitting, judged, learner, trial

_SAYS: dict[TrialState, Text] = {
    "learns": Text(
        "It learns: in {steps} steps it tells {accuracy:.0%} of handwritten digits right that it never saw.",
        "학습됩니다. {steps}스텝 만에 처음 보는 손글씨 숫자의 {accuracy:.0%}를 맞힙니다.",
    ),
    "does_not_learn": Text(
        "It does not learn: after {steps} steps it tells {accuracy:.0%} of handwritten digits right; "
        "guessing would {chance:.0%}.",
        "학습되지 않습니다. {steps}스텝 뒤에도 손글씨 숫자의 {accuracy:.0%}만 맞힙니다. 무작위로 찍으면 "
        "{chance:.0%}입니다.",
    ),
    "diverges": Text(
        "Training diverges: in {diverged} of {runs} runs the loss grows beyond all bounds.",
        "학습이 발산합니다. {runs}번 가운데 {diverged}번에서 손실이 끝없이 커집니다.",
    ),
}
_NARROWED = Text(
    " For that its layers were narrowed to {width} units at most.",
    " 시험을 위해 층의 너비를 유닛 {width}개 이하로 줄였습니다.",
)
_NOT_TRIED = Text(
    "It was not tried: {steps} steps of such a network take longer than ten seconds of a core, or more "
    "memory than there is, however narrow its layers are made.",
    "학습해 보지 않았습니다. 이런 신경망은 층의 너비를 아무리 줄여도 {steps}스텝에 코어 하나로 10초가 넘게 "
    "걸리거나 메모리가 모자랍니다.",
)


@dataclass(frozen=True)
class PlannedTrial:
    """A requested trial: the training, or None if it would take too long, and the bytes it takes."""

    training: Training | None
    bytes: float
    narrowed: bool


def planned_trial(body: GradientFlowRequest, network: Network, most_bytes: float) -> PlannedTrial | None:
    """The requested trial, of networks that take no more than ``most_bytes``; None without a request."""
    if not body.train:
        return None
    original = learner(network)
    fitted = fitting(original, most_bytes)
    if fitted is None:
        return PlannedTrial(None, 0.0, narrowed=False)
    return PlannedTrial(
        trial(fitted, body.seed), fitted.cost.bytes, narrowed=fitted.learner.sizes != original.sizes
    )


def tried(planned: PlannedTrial, run: Runner) -> dict[str, Any]:
    """The fields of `TrialFields`."""
    training = planned.training
    if training is None:
        nothing = {"median": None, "low": None, "high": None}
        return {
            "task": "digits",
            "state": "not_tried",
            **dict.fromkeys(("width", "steps", "runs", "diverged"), 0),
            "loss": nothing,
            "accuracy": nothing,
            "summary": _summary([_NOT_TRIED], {"steps": STEPS}),
        }
    (outcome,) = train([training], run, time.perf_counter, lambda _: None)
    found = judged(outcome, training.runs)
    counted = {
        "width": max(training.learner.sizes[1:-1]),
        "steps": training.steps,
        "runs": training.runs,
        "diverged": found.diverged,
    }
    values = {**counted, "chance": CHANCE, "accuracy": float(found.accuracy.median)}
    texts = [_SAYS[found.state], _NARROWED] if planned.narrowed else [_SAYS[found.state]]
    return {
        "task": "digits",
        "state": found.state,
        **counted,
        "loss": spread(found.loss),
        "accuracy": spread(found.accuracy),
        "summary": _summary(texts, values),
    }


def _summary(texts: Sequence[Text], values: Mapping[str, float]) -> dict[str, str]:
    whole = Text("".join(each.en for each in texts), "".join(each.ko for each in texts))
    return {lang: each.format(**values) for lang, each in whole._asdict().items()}
