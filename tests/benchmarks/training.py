"""The table in docs/training.md: ``python -m tests.benchmarks.training``, some minutes on one core."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from app.core.jobs import in_turn
from app.core.propagation.statistics import Spread
from app.core.training.course import train
from app.core.training.run import Outcome
from tests.benchmarks.report import Table
from tests.support.trainings import trainings

ACTIVATIONS = ("sigmoid", "tanh", "relu", "leaky_relu", "prelu", "elu", "maxout")
RUNS = 8
RINGS: dict[str, Any] = {
    "data": {"kind": "rings"},
    "hidden": [16, 16, 16],
    "optimizer": {"kind": "sgd", "learning_rate": 0.3},
    "steps": 500,
    "frames": 50,
}
DIGITS: dict[str, Any] = {
    "data": {"kind": "digits"},
    "hidden": [64, 64, 64],
    "optimizer": {"kind": "sgd", "learning_rate": 0.1, "batch": 128},
    "steps": 600,
    "frames": 60,
}


def outcomes(fields: dict[str, Any]) -> list[Outcome]:
    described = trainings(activations=list(ACTIVATIONS), runs=RUNS, **fields)
    return train(described, in_turn, time.process_time, lambda _: None)


def figures(came: Outcome, goal: float) -> tuple[str, ...]:
    """Steps to an accuracy, seconds of all steps of a run, dead units, mean output of hidden layers."""
    steps, runs = came.steps_to[goal]
    reached = (
        "never" if not runs else f"{span(steps, '.0f')}" + ("" if runs == RUNS else f", {runs} of {RUNS}")
    )
    means = [abs(mean) for mean in came.last.layers["activation_mean"].median[:-1]]
    return (
        reached,
        f"{float(came.step_seconds.median) / RUNS * 1e6:.0f}",
        span(came.dead_units, ".0f"),
        f"{np.mean(means):.2f}",
    )


def span(values: Spread, form: str) -> str:
    median, low, high = (float(each) for each in values)
    if low == high:
        return format(median, form)
    return f"{median:{form}} ({low:{form}}–{high:{form}})".replace("inf", "never")


def main() -> None:
    titles = ("steps to {goal} %", "µs a step", "dead units", "mean output")
    for name, fields, goal in (("Rings", RINGS, 0.99), ("Digits", DIGITS, 0.99)):
        held = ("held-out accuracy",) if name == "Digits" else ()
        table = Table(name, ("activation", *(each.format(goal=f"{100 * goal:g}") for each in titles), *held))
        for activation, came in zip(ACTIVATIONS, outcomes(fields), strict=True):
            more = (span(came.last.whole["held_out_accuracy"], ".3f"),) if held else ()
            diverged = f" ({len(came.diverged)} diverged)" if came.diverged else ""
            table.rows.append((f"`{activation}`{diverged}", *figures(came, goal), *more))
        print(table, end="\n\n", flush=True)


if __name__ == "__main__":
    main()
