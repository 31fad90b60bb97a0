"""Trainings for tests, described as a request would."""

from __future__ import annotations

from typing import Any

from app.api.trainings import described
from app.contract.training import TrainingRequest
from app.core.jobs import in_turn
from app.core.training.course import train
from app.core.training.run import Frame, Outcome, Training, no_clock
from app.settings import Settings


def trainings(**fields: Any) -> list[Training]:
    """Of all activations of a request with these fields."""
    return described(TrainingRequest.model_validate(fields), Settings()).trainings


def trained(**fields: Any) -> tuple[list[Outcome], list[list[Frame]]]:
    """What came of them, and the frames."""
    frames: list[list[Frame]] = []
    outcomes = train(trainings(**fields), in_turn, no_clock, frames.append)
    return outcomes, frames
