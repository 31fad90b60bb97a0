"""The verdict on a network: what keeps it from learning, worst first.

Every figure is a median over the experiment's networks. docs/verdicts.md says where each threshold comes
from: small networks of many kinds were trained, and the thresholds are those at which they stop learning.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np

from app.core.arithmetic import Array
from app.core.diagnosis.division import Division, apart, division
from app.core.diagnosis.experiment import Experiment
from app.core.diagnosis.theory import length_basins
from app.core.propagation.initialisers import Initialiser, Orthogonal
from app.core.propagation.network import Network
from app.core.propagation.recurrent_block import CELL_GRADIENT, RecurrentBlock
from app.core.propagation.statistics import Figures, summarise
from app.core.theory.duals import undefined_at
from app.core.theory.length_map import Basin

Illness: TypeAlias = Literal["vanishing", "exploding", "saturated", "dying", "collapsed", "dead"]
State: TypeAlias = Illness | Literal["healthy"]

VANISHING = 2.8
"""Decades that ‖dL/dz‖ may lose between the last layer and another, less log10 D of D layers. The steps of
all layers add up, so that the largest stable learning rate falls as 1/D, and with it how small a gradient it
can make up for."""

DEEPEST = 50
"""The D from which on the limit stays the same: deeper networks were not tried."""

NARROW = 0.85
"""Σ 1/width of the layers beyond which a gradient survives in a few directions alone."""

NARROWEST = 4
"""Units that a narrower layer counts as: alone it is a bottleneck by design, and none narrower was tried."""

EXPLODING = 1.6
"""Decades that ‖dL/dW‖ may gain between the last layer and another: a factor of 40."""

GROWING = 2.4
"""Decades that the last layer's root mean square may lie above that of the inputs, or above one where the
inputs are smaller: a factor of 250. Usual learning rates assume signals of size one."""

APART = 2.0
"""Decades of root mean square by which the last signals of two basins may differ: a factor of 100."""

FEW = 0.03
"""Share of the signals that may end in the other basin."""

COLLAPSED = 4
"""Layers that may follow after the inputs can no longer be told apart (`propagation.collapse`)."""

DYING = 0.9
"""A layer dies when more of its units than this are dead for the whole batch: the rest is a bottleneck."""

SATURATED = 0.95
"""Share of saturated pairs of unit and input beyond which a layer passes on too little."""

DEPTH_OVER_WIDTH = "depth_over_width"
UNDEFINED_AT = "undefined_at"
BORDER = "basin_border"

MOSTLY = {0: 2.0, 1: 0.9, 2: 0.5}
"""The same where a gradient is lost: saturation is then given as the reason. Keys are the number of sides on
which the activation saturates; with one side, half of the signal lies there by design."""


@dataclass(frozen=True)
class Finding:
    """One thing that keeps a network from learning, the layer that shows it, and the figures that say so."""

    state: Illness
    layer: int | None
    evidence: dict[str, float]


@dataclass(frozen=True)
class Verdict:
    """Findings, worst first, and how many layers, counted from the loss, get a gradient of the right size."""

    findings: tuple[Finding, ...]
    usable_depth: int
    figures: Medians
    division: Division | None = None

    @property
    def state(self) -> State:
        """The state of the first finding."""
        return self.findings[0].state if self.findings else "healthy"

    @property
    def narrow(self) -> bool:
        """Whether a gradient is lost in all but a few directions, and nowhere else."""
        return any(DEPTH_OVER_WIDTH in each.evidence for each in self.findings)

    @property
    def layer(self) -> int | None:
        """The layer of the first finding."""
        return self.findings[0].layer if self.findings else None


class Medians:
    """The figures that the verdict depends on, over the networks of an experiment."""

    def __init__(
        self, experiment: Experiment, networks: Sequence[Figures], basins: Sequence[Basin] = ()
    ) -> None:
        block = experiment.network.block
        remembers = isinstance(block, RecurrentBlock) and block.cell == "lstm"
        # The loss depends on the last h of an lstm directly; from step to step the gradient passes through c.
        self._gradient = CELL_GRADIENT if remembers else "gradient_log10_rms"
        self.layers = experiment.network.layers
        self.networks = len(networks)
        self.dead = sum(each.dead for each in networks)
        self.overflow = _median_layer([each.overflow for each in networks])
        # Inputs in different basins have not collapsed: the small are only negligible beside the large.
        own = (division(basins, [each]) for each in networks)
        self.collapse = _median_layer(
            [
                None if basin_division is not None and basin_division.gap > APART else each.collapse
                for basin_division, each in zip(own, networks, strict=True)
            ]
        )
        self.depths_over_widths = depths_over_widths(experiment.network)
        self._inputs = experiment.mean_square
        self._peak = float(np.median([each.signal_peak[-1] for each in networks]))
        self._spreads = summarise(networks)

    def of(self, name: str) -> Array:
        """The median of a figure, layer by layer; NaN where it is not defined."""
        return self._spreads[name].median

    @cached_property
    def gradients(self) -> Array:
        """log10 of ‖dL/dz‖ over that of the last layer that has one; −∞ where no gradient arrives.

        Of an lstm that of ‖dL/dc‖.
        """
        rows = np.array([each.rows for each in self.layers], np.float64)
        return _relative_to_last(self.of(self._gradient) + np.log10(rows) / 2)

    @cached_property
    def weight_gradients(self) -> Array:
        """log10 of ‖dL/dW‖ over that of the last layer that has one; −∞ where no gradient arrives."""
        return _relative_to_last(self.of("weight_gradient_log10_norm"))

    @property
    def vanishing(self) -> float:
        """Decades that ‖dL/dz‖ may lose in a network this deep."""
        return VANISHING - math.log10(min(len(self.layers), DEEPEST))

    @cached_property
    def growth(self) -> float:
        """log10 of the root mean square of the last layer's output over that of the inputs, or over one."""
        last = float(self.of("activation_mean_square")[-1])
        inputs = max(1.0, self._inputs)
        if last == math.inf and inputs < math.inf:  # the squares of finite values overflow
            return self._peak - math.log10(inputs) / 2
        known = 0 < last < math.inf and inputs < math.inf
        return (math.log10(last) - math.log10(inputs)) / 2 if known else 0.0


def judge(
    experiment: Experiment, networks: Sequence[Figures], basins: Sequence[Basin] | None = None
) -> Verdict:
    """The verdict on the networks of one experiment.

    ``basins`` are those of theory; without them they are computed where signals lie so far apart that they
    matter.
    """
    if basins is None:
        basins = length_basins(experiment) if apart(networks) > APART else ()
    figures, basin_division = Medians(experiment, networks, basins), division(basins, networks)
    with np.errstate(invalid="ignore"):
        findings = tuple(_findings(experiment, figures, basin_division))
        return Verdict(findings, _usable_depth(figures), figures, basin_division)


def _findings(experiment: Experiment, figures: Medians, basin_division: Division | None) -> Iterator[Finding]:
    divided = [] if basin_division is None else list(_divided(basin_division))
    if figures.overflow is not None:
        gaps = map(undefined_at, experiment.network.distinct_calls)
        gap = next((each for each in gaps if each is not None), None)
        yield Finding("exploding", figures.overflow, {} if gap is None else {UNDEFINED_AT: gap})
        yield from divided
        return
    saturated = _first(figures.of("saturated_fraction"), SATURATED)
    blocked = _blocked(figures)
    if blocked is not None:
        # Slopes that underflow do not make dead units: the pre-activations are too large.
        faint = figures.of("dead_fraction")[blocked - 1] == 0 and saturated is not None
        yield (
            _saturation(figures, saturated)
            if faint and saturated
            else Finding("dead", blocked, {"networks_dead": figures.dead})
        )
    dying = _first(figures.of("dead_fraction"), DYING)
    if dying is not None:
        yield Finding("dying", dying, {"dead_fraction": float(figures.of("dead_fraction")[dying - 1])})
    lost = [*_explosions(figures), *(() if blocked else _losses(figures)), *_collapses(figures)]
    narrow = float(figures.depths_over_widths[0])
    if narrow > NARROW and not {"vanishing", "exploding"} & {each.state for each in lost} and not blocked:
        lost.append(Finding("vanishing", None, {DEPTH_OVER_WIDTH: narrow}))
    lost[:0] = divided  # first, because they cause the findings after them
    yield from lost
    sides = len(experiment.network.call.activation.saturates)
    limit = MOSTLY[sides] if lost or blocked is not None else SATURATED
    if experiment.network.passes and not lost:
        return  # the skip connections pass every gradient
    flat = _first(figures.of("saturated_fraction"), limit)
    if flat is not None and sides and not (blocked is not None and saturated is not None):
        yield _saturation(figures, flat)


def _saturation(figures: Medians, layer: int) -> Finding:
    share = float(figures.of("saturated_fraction")[layer - 1])
    return Finding("saturated", layer, {"saturated_fraction": share})


def _blocked(figures: Medians) -> int | None:
    """The layer that stops the gradient in most networks.

    The first whose units are all dead, or else the last one that no gradient reaches.
    """
    (none,) = np.nonzero(figures.gradients == -np.inf)
    if not none.size or 2 * figures.dead < figures.networks:
        return None
    (whole,) = np.nonzero(figures.of("dead_fraction") == 1)
    return int(whole[0] if whole.size else none[-1]) + 1


def _explosions(figures: Medians) -> Iterator[Finding]:
    most = float(np.nanmax(figures.weight_gradients))
    if most > EXPLODING:
        evidence = {
            "weight_gradient_log10_ratio": most,
            "gradient_log10_ratio": float(figures.gradients[0]),
        }
        yield Finding("exploding", None, evidence)
    elif figures.growth > GROWING:
        yield Finding("exploding", None, {"signal_log10_ratio": figures.growth})


def _divided(basin_division: Division) -> Iterator[Finding]:
    if basin_division.gap <= APART or basin_division.smaller <= FEW:
        return
    evidence = {
        BORDER: basin_division.border,
        "networks_below": basin_division.below,
        "networks_above": basin_division.above,
        "networks_in_both": basin_division.both,
        "signals_above": basin_division.rising,
        **({"signals_log10_gap": basin_division.gap} if math.isfinite(basin_division.gap) else {}),
    }
    grows = basin_division.upper == math.inf and basin_division.rising > 1 / 2
    yield Finding("exploding" if grows else "vanishing", None, evidence)


def _losses(figures: Medians) -> Iterator[Finding]:
    # A dead branch takes no gradient from the layers before it.
    least = float(np.min(figures.gradients, where=np.isfinite(figures.gradients), initial=0.0))
    if least < -figures.vanishing:
        yield Finding("vanishing", None, {"gradient_log10_ratio": least})


def _collapses(figures: Medians) -> Iterator[Finding]:
    depth = len(figures.layers)
    if figures.collapse is not None and depth - figures.collapse > COLLAPSED:
        correlation = float(figures.of("correlation")[-1])
        known = not math.isnan(correlation)  # a signal that has died out has none
        yield Finding("collapsed", figures.collapse, {"correlation": correlation} if known else {})


def _relative_to_last(log10_norms: Array) -> Array:
    (there,) = np.nonzero(np.isfinite(log10_norms))
    if not there.size:
        return log10_norms
    return np.where(log10_norms == -np.inf, log10_norms, log10_norms - log10_norms[there[-1]])


def depths_over_widths(network: Network) -> Array:
    """Σ 1/width from each layer to the one before the last.

    It sets how far the singular values of a product of random matrices spread: the gradient loses 1/(2 width)
    nats per layer from one direction to the next. 0 where there is no such spread: with orthogonal weights,
    branches or a normalisation over the batch; and for weights that are not drawn.
    """
    laws = [network.weights_at(number) for number in range(network.depth)]
    drawn = all(isinstance(each, Initialiser) and not isinstance(each.weights, Orthogonal) for each in laws)
    over_batch = network.normalisation is not None and network.normalisation.over == "batch"
    if network.block is not None or network.passes or over_batch or not drawn:
        return np.zeros(network.depth)
    widths = np.array([max(NARROWEST, each.units) for each in network.layers[:-1]], np.float64)
    return np.append(np.cumsum(1 / widths[::-1])[::-1], 0.0)


def _first(layers: Array, limit: float) -> int | None:
    beyond = layers > limit
    return int(np.argmax(beyond)) + 1 if beyond.any() else None


def _median_layer(layers: Sequence[int | None]) -> int | None:
    """The layer by which it has happened in half of the networks; None means never."""
    ordered = sorted(math.inf if each is None else each for each in layers)
    middle = ordered[(len(ordered) - 1) // 2]
    return None if math.isinf(middle) else int(middle)


def _usable_depth(figures: Medians) -> int:
    """Layers from the loss up to the first whose gradient is too small or too large."""
    if figures.overflow is not None:
        return 0
    # No gradient in a layer, but one before it: a dead branch, which the skip connection bypasses.
    dead_branch = (figures.gradients == -np.inf) & (np.isfinite(figures.gradients).cumsum() > 0)
    fits = (figures.gradients >= -figures.vanishing) | dead_branch
    fits &= figures.weight_gradients <= EXPLODING
    fits &= figures.depths_over_widths <= NARROW
    return len(fits) if fits.all() else int(np.argmin(fits[::-1]))
