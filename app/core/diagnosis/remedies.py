"""Changes of a network that may help, tried out."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice
from typing import Any

import numpy as np

from app.core.activations import REGISTRY
from app.core.activations.definition import Elementwise
from app.core.diagnosis.experiment import Experiment, Simulation, Watch
from app.core.diagnosis.theory import dual_or_none
from app.core.diagnosis.verdict import State, Verdict, judge
from app.core.evaluation import Mapper
from app.core.jobs import Progress, Runner, ignore
from app.core.propagation.initialisers import Initialiser, gaussian, initialiser
from app.core.propagation.network import Network
from app.core.propagation.normalisation import NORMALISATIONS
from app.core.theory.critical import critical_sigma_w
from app.core.theory.duals import gains

BETTER = 0.5
"""A remedy that does not heal has to shrink |log10_ratio| to this share at least."""

REMEDIES = 3
"""Most remedies shown."""

REMEDY_NETWORKS = 2
"""Networks that a remedy is tried on."""

REMEDY_WORK = 1e11
"""Operations of one network beyond which no remedies are tried: two seconds of a core."""


@dataclass(frozen=True)
class Remedy:
    """A change of the request, and what it achieved."""

    change: dict[str, Any]
    log10_ratio: float
    state: State


@dataclass(frozen=True)
class Remedies:
    """The job of finding changes to try: gains and critical points take integrals."""

    network: Network
    batch: int

    def __call__(self, _map_blocks: Mapper, _progress: Progress) -> list[tuple[dict[str, Any], Network]]:
        """Changes of the request, each with the network that it makes."""
        with np.errstate(all="ignore"):
            return list(_candidates(self.network, self.batch))


def remedies_of(
    experiment: Experiment, verdict: Verdict, ratio: float, run: Runner, watch: Watch
) -> list[Remedy]:
    """What helped, best first."""
    (candidates,) = run([Remedies(experiment.network, experiment.batch)], ignore)
    few = min(experiment.networks, REMEDY_NETWORKS)
    attempts = [
        (change, replace(experiment, network=network, networks=few, engine="auto"))
        for change, network in candidates
    ]
    tried = [(change, attempt) for change, attempt in attempts if attempt.cost.work <= REMEDY_WORK]
    jobs = [Simulation(attempt, index) for _, attempt in tried for index in range(few)]
    results = run(jobs, lambda part: watch("remedies", part, ()))
    helped = []
    for change, attempt in tried:
        figures = list(islice(results, few))
        achieved = float(np.median([each.log10_ratio for each in figures]))
        state = judge(attempt.network, figures, None).state
        if _helped(verdict.state, ratio, state, achieved):
            helped.append(Remedy(change, achieved, state))
    return sorted(helped, key=lambda each: (each.state != "healthy", abs(each.log10_ratio)))[:REMEDIES]


def _helped(before: State, ratio: float, after: State, achieved: float) -> bool:
    """Whether the network is healthy now, or its gradient, one way or the other, is off by far less."""
    if after == "healthy":
        return True
    return {before, after} <= {"vanishing", "exploding"} and abs(achieved) <= BETTER * abs(ratio)


def _candidates(network: Network, batch: int) -> Iterator[tuple[dict[str, Any], Network]]:
    """Changes of the initialisation, the activation, the normalisation and the residual branches."""
    if isinstance(network.weights, Initialiser):
        yield from _initialisations(network)
        other = _other_activation(network)
        if other is not None:
            call = REGISTRY.resolve(other)
            yield {"activation": other, "params": {}}, replace(network, call=call)
    if network.normalisation is None:
        for name, normalisation in NORMALISATIONS.items():
            if normalisation.over != "batch" or batch > 1:  # one input is its own mean
                yield {"normalization": name}, replace(network, normalisation=normalisation)
    if network.residual is None and any(layer.fan_in == layer.units for layer in network.layers):
        scale = 1 / math.sqrt(network.depth)  # the branches' variances then add up to that of one layer
        yield {"residual": {"scale": scale}}, replace(network, residual=scale)


def _initialisations(network: Network) -> Iterator[tuple[dict[str, Any], Network]]:
    yield {"init": "orthogonal"}, replace(network, weights=initialiser("orthogonal"))
    dual, entry = dual_or_none(network.call), network.call.activation
    if dual is None:
        return
    edge = float(critical_sigma_w(dual, 0.0))
    if math.isfinite(edge):
        yield {"init": "critical"}, replace(network, weights=gaussian(edge))
    if isinstance(entry, Elementwise):
        gain = gains(entry, network.call.scalars).he
        if math.isfinite(gain) and abs(gain - edge) > 0.01 * gain:
            change = {"init": {"sigma_w": gain, "sigma_b": 0.0}}
            yield change, replace(network, weights=gaussian(gain))


def _other_activation(network: Network) -> str | None:
    """The activation whose second moment this initialisation comes nearest to keeping: σ_w² E φ(Z)² = 1."""
    assert isinstance(network.weights, Initialiser)
    last = network.layers[-1]
    sigma = network.weights.sigma_w(last.fan_in, last.units)
    others = {name: gain for name, gain in _he_gains().items() if name != network.call.activation.name}
    if not others or not sigma:
        return None
    return min(others, key=lambda name: abs(math.log(sigma / others[name])))


@cache
def _he_gains() -> dict[str, float]:
    """He gains of the activations that never fall, reach slope one and saturate on one side only."""
    found = {}
    for name, entry in REGISTRY.items():
        complete = all(each.default is not None for each in entry.parameters)
        if not isinstance(entry, Elementwise) or not complete or len(entry.saturates) != 1:
            continue
        if entry.monotone and entry.smoothness >= 0 and entry.number(entry.largest_slope) >= 1:
            found[name] = gains(entry, entry.defaults).he
    return {name: gain for name, gain in found.items() if 0 < gain < math.inf}
