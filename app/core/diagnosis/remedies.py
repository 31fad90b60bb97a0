"""Remedies: changes of a network that may help, each tried in a simulation."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cache
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from app.core.activations import REGISTRY
from app.core.activations.definition import Elementwise
from app.core.diagnosis.experiment import Experiment, Simulation, Watch
from app.core.diagnosis.theory import dual_or_none, nearest_critical
from app.core.diagnosis.verdict import BORDER, NARROW, State, Verdict, depths_over_widths, judge
from app.core.evaluation import Mapper
from app.core.jobs import Progress, Runner, ignore
from app.core.propagation.block import Block
from app.core.propagation.initialisers import LSUV, Initialiser, Orthogonal, detailed, gaussian, initialiser
from app.core.propagation.network import Network
from app.core.propagation.normalisation import NORMALISATIONS
from app.core.propagation.recurrent_block import RecurrentBlock
from app.core.propagation.residual_block import ResidualBlock
from app.core.propagation.statistics import spread
from app.core.propagation.units import has_flat_piece
from app.core.theory.critical import critical_sigma_w
from app.core.theory.duals import gains
from app.core.theory.tailored import tailored_slope

BETTER = 0.5
"""A remedy that does not cure the network must reduce the gradient's decades to this share or less."""

REMEDIES = 3
"""The most remedies in a report."""

REMEDY_NETWORKS = 2
"""Networks that a remedy is tried on."""

REMEDY_WORK = 1e11
"""Operations of one network beyond which no remedies are tried: two seconds of a core."""

ACTIVATIONS = 3
"""Other activations that are tried."""

NEAR = 0.25
"""Steps of ln(σ_w / gain) in which activations count as equally suited."""


class Effort(IntEnum):
    """How large a change is: other initial numbers, another activation, or another structure."""

    NUMBERS = 0
    FUNCTION = 1
    STRUCTURE = 2


class Candidate(NamedTuple):
    """A change of the request, its effort, and the changed network."""

    change: dict[str, Any]
    effort: Effort
    network: Network


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
    states: frozenset[State]

    def __call__(self, _map_blocks: Mapper, _progress: Progress) -> list[Candidate]:
        """The changes, the smallest first."""
        with np.errstate(all="ignore"):
            return list(_candidates(self.network, self.batch, self.states))


def remedies_of(experiment: Experiment, verdict: Verdict, run: Runner, watch: Watch) -> list[Remedy]:
    """The remedies that help: full cures first, then by effort, then by the gradient's decades."""
    states = frozenset(each.state for each in verdict.findings)
    if any(BORDER in each.evidence for each in verdict.findings):
        states |= {"collapsed"}  # the small inputs are negligible beside the large ones
    (candidates,) = run([Remedies(experiment.network, experiment.batch, states)], ignore)
    few = min(experiment.networks, REMEDY_NETWORKS)
    attempts = [
        (each, replace(experiment, network=each.network, networks=few, engine="auto")) for each in candidates
    ]
    tried = [(each, attempt) for each, attempt in attempts if attempt.cost.work <= REMEDY_WORK]
    jobs = [Simulation(attempt, index) for _, attempt in tried for index in range(few)]
    results = run(jobs, lambda part: watch("remedies", part, ()))
    helped = []
    for candidate, attempt in tried:
        figures = list(islice(results, few))
        achieved = judge(attempt, figures)
        if _helped(verdict, achieved):
            ratio = float(spread(np.array([each.log10_ratio for each in figures])).median)
            helped.append((candidate, Remedy(candidate.change, ratio, achieved.state)))
    ranked = sorted(
        helped, key=lambda each: (each[1].state != "healthy", each[0].effort, abs(each[1].log10_ratio))
    )
    return [remedy for _, remedy in ranked[:REMEDIES]]


def _helped(before: Verdict, after: Verdict) -> bool:
    """Whether the network is healthy now, or its gradient too large or too small by far less."""
    if after.state == "healthy":
        return True
    if before.narrow or not {before.state, after.state} <= {"vanishing", "exploding"}:
        return False
    return _decades(after) <= BETTER * _decades(before)


def _decades(verdict: Verdict) -> float:
    """Decades by which the first layer's gradient is off: its own norm or the weights', whichever is more."""
    figures = verdict.figures
    if figures.overflow is not None:
        return math.inf
    return max(abs(float(figures.gradients[0])), abs(float(figures.weight_gradients[0])))


def _candidates(network: Network, batch: int, states: frozenset[State]) -> Iterator[Candidate]:
    """Changes of the initialisation, the activation, the normalisation and the residual branches."""
    if isinstance(network.weights, Initialiser) and not (network.calls or network.laws):
        yield from (each for each in _initialisations(network) if each.network.weights != network.weights)
        for name in _other_activations(network, states):
            call = REGISTRY.resolve(name)
            change = {"activation": name, "params": {}}
            yield Candidate(change, Effort.FUNCTION, replace(network, call=call))
        if "collapsed" in states and network.block is None:
            yield from _tailored(network)
    if network.block is not None:
        if isinstance(network.block, RecurrentBlock) and isinstance(network.weights, Initialiser):
            yield from _gates(network, network.block)
        yield from _around(network, network.block)
        return
    yield from _branches(network)
    if "collapsed" in states:
        yield from _blocks(network)
    if network.normalisation is None:
        for name, normalisation in NORMALISATIONS.items():
            if normalisation.over != "batch" or batch > 1:  # the mean of one input is the input itself
                changed = replace(network, normalisation=normalisation)
                yield Candidate({"normalization": name}, Effort.STRUCTURE, changed)


def _branches(network: Network) -> Iterator[Candidate]:
    """Branches whose variances add up to that of one layer, or whose means do."""
    if not any(layer.fan_in == layer.units for layer in network.layers):
        return
    effort = Effort.STRUCTURE if network.residual is None else Effort.NUMBERS
    centred = all(each.activation.zero_centred for each in network.distinct_calls)
    for scale in (1 / math.sqrt(network.depth), *(() if centred else (1 / network.depth,))):
        if network.residual is None or abs(network.residual) != scale:
            yield Candidate({"residual": {"scale": scale}}, effort, replace(network, residual=scale))


def _blocks(network: Network) -> Iterator[Candidate]:
    """Residual blocks that normalise before the branch (He et al. 2016, arXiv:1603.05027)."""
    drawn = isinstance(network.weights, Initialiser) and not network.laws
    plain = network.normalisation is None and network.residual is None and len(set(network.sizes)) == 1
    if drawn and plain and network.block is None:
        block = ResidualBlock(branch="depth_scaled")
        yield Candidate(_as_request(block), Effort.STRUCTURE, replace(network, block=block))


def _tailored(network: Network) -> Iterator[Candidate]:
    """Leaky ReLU of the slope that suits the depth, with the weights that keep its signal's size.

    Orthogonal ones where layers are too narrow for drawn ones, or are orthogonal already.
    """
    slope, found, weights = tailored_slope(network.depth), _two_slopes(), network.weights
    if slope is None or found is None or not isinstance(weights, Initialiser):
        return
    name, params = found[0], {found[1]: slope}
    gain = math.sqrt(2 / (1 + slope * slope))
    kept: dict[str, Any] = {"init": "critical"}
    made = gaussian(gain)
    if isinstance(weights.weights, Orthogonal) or depths_over_widths(network)[0] > NARROW:
        kept = {"init": {"distribution": "orthogonal", "gain": gain}}
        made = detailed("orthogonal", gain, "in")
    change = {"activation": name, "params": params, **kept}
    call = REGISTRY.resolve(name, params)
    yield Candidate(change, Effort.FUNCTION, replace(network, call=call, weights=made))


def _around(network: Network, block: Block | RecurrentBlock) -> Iterator[Candidate]:
    """Branches whose variances add up to that of one, and normalisation before them."""
    changes = {"branch": "depth_scaled"}, {"norm": "pre"}
    for change, effort in zip(changes, (Effort.NUMBERS, Effort.STRUCTURE), strict=True):
        fields = {each.name: getattr(block, each.name) for each in dataclasses.fields(block)}
        if change.items() <= fields.items() or not change.keys() <= fields.keys():
            continue
        changed = type(block)(**{**fields, **change})
        yield Candidate(_as_request(changed), effort, replace(network, block=changed))


def _gates(network: Network, block: RecurrentBlock) -> Iterator[Candidate]:
    """Cells that keep their state for about as many steps as the network has.

    σ(b) = 1 − 1/(steps + 1) for b = ln(steps): Tallec and Ollivier 2018, arXiv:1804.11188.
    """
    bias = round(math.log(network.depth), 2)
    if block.cell == "lstm" and block.forget_bias >= bias:
        return
    changed = replace(block, cell="lstm", forget_bias=bias)
    effort = Effort.NUMBERS if block.cell == "lstm" else Effort.STRUCTURE
    yield Candidate(_as_request(changed), effort, replace(network, block=changed))


def _as_request(block: Block | RecurrentBlock) -> dict[str, Any]:
    """The block as a field of the request, without its memory, which is a field of its own and stays."""
    names = [each.name for each in dataclasses.fields(block) if not each.name.startswith("memory")]
    return {"block": {"kind": block.kind, **{name: getattr(block, name) for name in names}}}


def _initialisations(network: Network) -> Iterator[Candidate]:
    """Weights on the edge of chaos, weights that keep the signal's size, and orthogonal ones, also scaled."""
    orthogonal = replace(network, weights=initialiser("orthogonal"))
    yield Candidate({"init": "orthogonal"}, Effort.NUMBERS, orthogonal)
    if not (network.convolves or network.tied):
        yield Candidate({"init": "lsuv"}, Effort.NUMBERS, replace(network, weights=LSUV))
    dual, entry = dual_or_none(network.call), network.call.activation
    if dual is None:
        return
    sigma_b = nearest_critical(dual, 0.0)
    edge = math.nan
    if sigma_b is not None:
        edge = float(critical_sigma_w(dual, sigma_b))
        change = {"init": "critical", **({"sigma_b": sigma_b} if sigma_b else {})}
        yield Candidate(change, Effort.NUMBERS, replace(network, weights=gaussian(edge, sigma_b)))
    if isinstance(entry, Elementwise):
        gain = gains(entry, network.call.scalars).he
        if math.isfinite(gain) and not abs(gain - edge) <= 0.01 * gain:
            change = {"init": {"sigma_w": gain, "sigma_b": 0.0}}
            yield Candidate(change, Effort.NUMBERS, replace(network, weights=gaussian(gain)))
        if math.isfinite(gain):
            weights = detailed("orthogonal", gain, "in")
            change = {"init": {"distribution": "orthogonal", "gain": gain}}
            yield Candidate(change, Effort.NUMBERS, replace(network, weights=weights))


def _other_activations(network: Network, states: frozenset[State]) -> list[str]:
    """Activations whose second moment this initialisation comes nearest to preserving: σ_w² E φ(Z)² = 1.

    Where units die or saturate, only those whose units cannot.
    """
    assert isinstance(network.weights, Initialiser)
    if network.weights.unit_variance:
        return []
    last = network.layers[-1]
    sigma = network.weights.sigma_w(last.fan_in, last.units)
    if not sigma:
        return []
    own, flat = network.call.activation.name, bool(states & {"dying", "dead", "saturated"})
    others = {name: gain for name, (gain, dies) in _he_gains().items() if name != own and not (flat and dies)}
    # Of those about equally near, the first in the catalogue: these are the best known.
    return sorted(others, key=lambda name: round(abs(math.log(sigma / others[name])) / NEAR))[:ACTIVATIONS]


@cache
def _two_slopes() -> tuple[str, str] | None:
    """The first activation that is x above 0 and its one parameter times x below; the parameter's name."""
    points = np.array([-3.0, -0.5, 0.5, 3.0])
    for name, entry in REGISTRY.items():
        if not isinstance(entry, Elementwise) or len(entry.parameters) != 1 or entry.saturates:
            continue
        (parameter,) = entry.parameters
        if entry.break_points({parameter.name: 0.5}) != [0.0]:
            continue
        values = [entry.orders(points, 1, **{parameter.name: slope})[0] for slope in (0.25, 0.75)]
        expected = [np.where(points > 0, points, slope * points) for slope in (0.25, 0.75)]
        if parameter.default is not None and np.array_equal(values, expected):
            return name, parameter.name
    return None


@cache
def _he_gains() -> dict[str, tuple[float, bool]]:
    """He gains of the activations that never fall and reach slope one on one side; and whether units can die.

    Of several with the same gain the first in the catalogue.
    """
    found: dict[float, tuple[str, bool]] = {}
    for name, entry in REGISTRY.items():
        complete = all(each.default is not None for each in entry.parameters)
        if not isinstance(entry, Elementwise) or not complete or "positive" in entry.saturates:
            continue
        bounded = any(map(math.isfinite, entry.bounds()))
        bends = bool(entry.saturates) or bool(entry.kinks)
        if entry.monotone and entry.smoothness >= 0 and bends and entry.number(entry.largest_slope) == 1:
            gain = gains(entry, entry.defaults).he
            flat = has_flat_piece(REGISTRY.resolve(name))
            if 0 < gain < math.inf and (bounded or not flat):
                found.setdefault(round(gain, 6), (name, flat))
    return {name: (gain, flat) for gain, (name, flat) in found.items()}
