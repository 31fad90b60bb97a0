"""Several activations' trainings side by side, frame by frame: stretches handed to a runner in rounds.

All trainings of a round go up to the same step, so that a frame holds all of them. The first round is one
step, so that the first frame comes at once; the lengths of later ones follow from the duration of the last.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from app.core.jobs import Runner, ignore
from app.core.training.run import Clock, Frame, Outcome, State, Stretch, Timing, Training, outcome

ROUND = 0.3
"""Seconds that a round should take: the time between updates, and the work lost if a worker dies."""

GROWTH = 20
"""The largest factor by which a round may be longer than the last."""

Show: TypeAlias = Callable[[list[Frame]], None]
"""Called with the frames of all trainings at one step."""


def train(trainings: Sequence[Training], run: Runner, clock: Clock, show: Show) -> list[Outcome]:
    """The outcome of each; ``show`` gets the frames as they come. An exception from it ends the training."""
    steps = trainings[0].steps
    states: list[State | None] = [None] * len(trainings)
    timings = [Timing() for _ in trainings]
    last: list[Frame] = []
    done, length = 0, 1
    while done < steps:
        until = min(steps, done + length)
        jobs = [
            Stretch(training, until, state, clock) for training, state in zip(trainings, states, strict=True)
        ]
        started = clock()
        results = list(run(jobs, ignore))
        seconds = clock() - started
        states = [each.state for each in results]
        for timing, each in zip(timings, results, strict=True):
            timing.steps.extend(each.timing.steps)
            timing.elements.extend(each.timing.elements)
        for last in map(list, zip(*(each.frames for each in results), strict=True)):
            show(last)
        length = _following(until - done, seconds)
        done = until
    return [
        outcome(training, state, frame, timing)
        for training, state, frame, timing in zip(trainings, states, last, timings, strict=True)
        if state is not None
    ]


def _following(length: int, seconds: float) -> int:
    """Steps of the round after one of ``length`` steps that took ``seconds``."""
    return max(1, min(GROWTH * length, int(length * ROUND / max(seconds, 1e-9))))
