"""From an experiment to a report.

    report = diagnose(experiment)    simulate → spreads → theory beside them → verdict → simulated remedies

The heavy parts are jobs (`Simulation`, `Prediction`, `Remedies`), so that the caller decides where they are
executed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.core.activations.definition import Text
from app.core.activations.from_formula import Accuracy, FormulaActivation, worst
from app.core.arithmetic.formats import FORMATS, log10_of_zero
from app.core.diagnosis.experiment import Experiment, Stage, Watch, simulate, unwatched
from app.core.diagnosis.mixed_precision import MixedPrecision, mixed_precision
from app.core.diagnosis.prose import sentence, summary
from app.core.diagnosis.remedies import REMEDY_WORK, Remedy, remedies_of
from app.core.diagnosis.theory import Prediction, Theory
from app.core.diagnosis.verdict import Verdict, judge
from app.core.evaluation import Mapper
from app.core.jobs import Job, Progress, Result, Runner, ignore, in_turn
from app.core.propagation.engine import Kind
from app.core.propagation.statistics import Figures, Spread, spread, summarise, summarise_matrices
from app.core.theory.diagram import Check

TRAINED_IN = ("float32", "bfloat16", "float16")
"""Formats that networks are trained in."""


@dataclass(frozen=True)
class Report:
    """All results of an experiment."""

    networks: int
    kinds: tuple[Kind, ...]
    layers: dict[str, Spread]
    matrices: dict[str, Spread]
    log10_ratio: Spread
    factor_per_layer: Spread
    underflow: dict[str, int | None]
    mixed_precision: dict[str, MixedPrecision]
    theory: Theory | None
    verdict: Verdict
    summary: Text
    sentences: list[Text]
    remedies: list[Remedy]
    accuracy: Accuracy | None


@dataclass(frozen=True)
class Cell:
    """The job of diagnosing a whole experiment in one place, without remedies."""

    experiment: Experiment

    def __call__(self, map_blocks: Mapper, progress: Progress) -> Report:
        """The report."""
        whole = progress

        def here(jobs: Sequence[Job[Result]], progress: Progress) -> Iterator[Result]:
            return (job(map_blocks, progress) for job in jobs)

        def watch(stage: Stage, part: float, networks: Sequence[Figures]) -> None:
            del stage, part
            whole(len(networks) / self.experiment.networks)

        return diagnose(self.experiment, run=here, watch=watch, remedies=False)


def diagnose(
    experiment: Experiment, *, run: Runner = in_turn, watch: Watch = unwatched, remedies: bool = True
) -> Report:
    """Simulates, compares, judges and tries remedies.

    Raises `InvalidValue` as `propagate` does.
    """
    with np.errstate(all="ignore"):  # an infinite figure is a finding, not an error
        prediction = run([Prediction(experiment)], ignore)  # in parallel with the networks, if the runner can
        networks = simulate(experiment, run, watch)
        (theory,) = prediction
        layers = summarise(networks)
        verdict = judge(experiment, networks, () if theory is None else theory.basins)
        ratio = spread(np.array([each.log10_ratio for each in networks]))
        sick = verdict.state != "healthy" and experiment.cost.work <= REMEDY_WORK
        return Report(
            experiment.networks,
            experiment.kinds,
            layers,
            summarise_matrices(networks),
            ratio,
            spread(np.array([each.factor_per_layer for each in networks])),
            underflow(layers["gradient_log10_rms"].median),
            mixed_precision(experiment.network, networks),
            theory,
            verdict,
            summary(experiment, verdict, theory),
            [sentence(each, verdict, experiment.network) for each in verdict.findings],
            remedies_of(experiment, verdict, run, watch) if sick and remedies else [],
            _accuracy(experiment, networks, run),
        )


def _accuracy(experiment: Experiment, networks: Sequence[Figures], run: Runner) -> Accuracy | None:
    """The worst accuracy of any formula, over the arguments it had in all networks."""
    ranges = [each.arguments for each in networks if each.arguments is not None]
    if not ranges:
        return None
    low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
    checks = [
        Check(each.activation, each.scalars, low, high)
        for each in experiment.network.distinct_calls
        if isinstance(each.activation, FormulaActivation)
    ]
    found = [each for each in run(checks, ignore) if each is not None]
    return worst(found) if found else None


def underflow(gradient_log10_rms: np.ndarray[Any, Any]) -> dict[str, int | None]:
    """For each format the first layer, 1 the last of the network, whose typical gradient rounds to zero.

    That is at half the smallest subnormal number: 2⁻¹⁵⁰, 2⁻¹³⁴ and 2⁻²⁵.
    """
    found: dict[str, int | None] = {}
    for name in TRAINED_IN:
        (below,) = np.nonzero(gradient_log10_rms[::-1] <= log10_of_zero(FORMATS[name]))
        found[name] = int(below[0]) + 1 if below.size else None
    return found
