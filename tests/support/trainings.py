"""Trainings for tests, described as a request would."""

from __future__ import annotations

from typing import Any

from app.api.trainings import described
from app.contract.training import TrainingRequest
from app.core.arithmetic import Array
from app.core.jobs import in_turn
from app.core.training.course import train
from app.core.training.figures import Observation, observe
from app.core.training.run import Frame, Outcome, Training, no_clock
from app.settings import Settings


def trainings(**fields: Any) -> list[Training]:
    """The trainings of all activations of a request with these fields."""
    return described(TrainingRequest.model_validate(fields), Settings()).trainings


def seen(training: Training, values: Array) -> Observation:
    """All figures of networks with these numbers, runs × numbers."""
    examples, held_out = training.split
    learner, loss = training.learner, training.loss
    evaluation = learner.evaluate(values, examples.inputs, examples.targets, loss)
    return observe(learner, values, evaluation, examples, held_out, loss)


def trained(**fields: Any) -> tuple[list[Outcome], list[list[Frame]]]:
    """Their outcomes, and the frames."""
    frames: list[list[Frame]] = []
    outcomes = train(trainings(**fields), in_turn, no_clock, frames.append)
    return outcomes, frames
