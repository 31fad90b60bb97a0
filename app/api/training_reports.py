"""Converts trainings, frames and outcomes to the events of ``POST /training``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.api.trainings import Plan
from app.core.propagation.initialisers import Initialiser
from app.core.propagation.statistics import Spread
from app.core.training.figures import LAYERS, WHOLE, Histogram
from app.core.training.run import Frame, Outcome, Training
from app.wire.nested import to_lists

PLACES = 3
"""Decimals of a boundary's probabilities: more would not be visible in a picture."""


def start(plan: Plan) -> dict[str, Any]:
    """The fields of `TrainingStart`."""
    first = plan.trainings[0]
    examples, held_out = first.split
    ground = first.grid
    return {
        "type": "start",
        "steps": first.steps,
        "runs": first.runs,
        "seed": first.seed,
        "every": first.every,
        "examples": examples.count,
        "held_out": 0 if held_out is None else held_out.count,
        "classes": examples.classes,
        "boundary": None
        if ground is None
        else {"low": ground.low.tolist(), "high": ground.high.tolist(), "points": ground.points},
        "networks": [_networks(name, each) for name, each in zip(plan.names, plan.trainings, strict=True)],
    }


def _networks(name: str, training: Training) -> dict[str, Any]:
    learner = training.learner
    first = learner.layers[0]
    law = learner.weights if len(learner.layers) > 1 else learner.head
    drawn = law.sigma_w(first.fan_in, first.units) if isinstance(law, Initialiser) else None
    return {
        "activation": name,
        "sizes": list(learner.sizes),
        "parameters": learner.numbers,
        "sigma_w": drawn,
        "learned": list(learner.learned),
    }


def frame(plan: Plan, frames: Sequence[Frame]) -> dict[str, Any]:
    """The fields of `TrainingFrame`."""
    activations = [_activation(name, each) for name, each in zip(plan.names, frames, strict=True)]
    return {"type": "frame", "step": frames[0].step, "activations": activations}


def _activation(name: str, seen: Frame) -> dict[str, Any]:
    return {
        "activation": name,
        "diverged": seen.diverged,
        **{figure: spread(seen.whole[figure]) for figure in WHOLE},
        "layers": [_layer(seen, number) for number in range(len(seen.histograms))],
        "boundary": None if seen.boundary is None else _plain(np.round(seen.boundary, PLACES)),
        "weights": [_plain(each) for each in seen.weights] if seen.weights.size else [],
    }


def _layer(seen: Frame, number: int) -> dict[str, Any]:
    figures = {name: spread(Spread(*(each[number] for each in seen.layers[name]))) for name in LAYERS}
    agreement = {
        "sample": figures.pop("sign_agreement_sample"),
        "batch": figures.pop("sign_agreement_batch"),
    }
    learned = seen.learned[number] if number < len(seen.learned) else {}
    return {
        "layer": number + 1,
        **figures,
        "sign_agreement": agreement,
        "histogram": _histogram(seen.histograms[number]),
        "learned": {name: spread(each) for name, each in learned.items()},
    }


def _histogram(bins: Histogram | None) -> dict[str, Any] | None:
    return None if bins is None else {"low": bins.low, "high": bins.high, "shares": spread(bins.shares)}


def result(plan: Plan, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The fields of `TrainingResult`."""
    activations = [_outcome(name, each) for name, each in zip(plan.names, outcomes, strict=True)]
    return {"type": "result", "activations": activations}


def _outcome(name: str, outcome: Outcome) -> dict[str, Any]:
    last = outcome.last
    means = last.layers["activation_mean"]
    return {
        "activation": name,
        **{figure: spread(last.whole[figure]) for figure in WHOLE},
        "steps_to": {
            f"{100 * goal:g}": {**spread(steps), "runs": runs}
            for goal, (steps, runs) in outcome.steps_to.items()
        },
        "dead_units": spread(outcome.dead_units),
        "dead_units_by_layer": [spread(each) for each in outcome.dead_for_good],
        "activation_mean": [
            spread(Spread(*(each[number] for each in means))) for number in range(len(means.median))
        ],
        "learned": [{name: spread(each) for name, each in layer.items()} for layer in last.learned],
        "zigzag": None
        if outcome.path is None or outcome.turns is None
        else {"path_over_distance": spread(outcome.path), "reversals": spread(outcome.turns)},
        "diverged": [{"run": run, "step": step} for run, step in outcome.diverged],
        "timing": {
            "step_seconds": spread(outcome.step_seconds),
            "nanoseconds_per_element": spread(outcome.element_nanoseconds),
        },
    }


def spread(values: Spread) -> dict[str, Any]:
    """The fields of `OptionalSpread`."""
    return {name: _plain(each) for name, each in values._asdict().items()}


def _plain(values: NDArray[Any]) -> Any:
    """Numbers in JSON: infinities as strings, and null if all are undefined."""
    array = np.asarray(values, np.float64)
    return None if array.size and np.isnan(array).all() else to_lists(array)
