"""What a training costs, estimated from its shapes alone, before any array is allocated."""

from __future__ import annotations

from dataclasses import dataclass

from app.core.propagation.engine import FLOPS_PER_RESPONSE
from app.core.training import figures
from app.core.training.learner import Learner
from app.core.training.run import Watch, together

FLOPS_PER_LAYER = 4_000_000
"""A layer's overhead in every step, whatever its size: some twenty calls (measured: 80 µs)."""

STEPS_PER_FRAME = 6
"""A frame's figures take as long as this many steps."""

_ARRAYS = 5
"""Arrays of pre-activations that exist at a time for each layer."""


@dataclass(frozen=True)
class Cost:
    """Operations of a matrix product, bytes at the peak, and numbers in the answer."""

    work: float
    bytes: float
    numbers: float

    def __add__(self, other: Cost) -> Cost:
        """Cost of two trainings in sequence: work and answers add up, peak memory is the larger one."""
        return Cost(self.work + other.work, max(self.bytes, other.bytes), self.numbers + other.numbers)


NOTHING = Cost(0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Extent:
    """A training's size: examples, examples a step, steps, runs, frames, optimiser state per parameter."""

    count: int
    batch: int | None
    steps: int
    runs: int
    frames: int
    memories: int


def cost(learner: Learner, extent: Extent, watch: Watch) -> Cost:
    """The cost of all runs of one activation's networks."""
    size = extent.count if extent.batch is None else min(extent.batch, extent.count)
    step = extent.runs * _flops(learner, size) + FLOPS_PER_LAYER * len(learner.layers)
    seen = STEPS_PER_FRAME * (
        extent.runs * _flops(learner, extent.count) + FLOPS_PER_LAYER * len(learner.layers)
    )
    rows = sum(layer.rows + layer.units for layer in learner.layers)
    most = max(layer.rows for layer in learner.layers)
    at_once = together(extent.runs, most, extent.count)
    numbers = (
        extent.runs * learner.numbers * (4 + extent.memories)
        + at_once * rows * extent.count * _ARRAYS
        + extent.runs * rows * extent.count
        + 4 * (learner.sizes[0] + learner.sizes[-1]) * extent.count
    )
    reported = extent.frames * _numbers_in_frame(learner, extent.runs, watch)
    return Cost(extent.steps * step + extent.frames * seen, 8 * (numbers + reported), reported)


def _flops(learner: Learner, size: int) -> float:
    """Operations of one run's step: three products for every weight, φ and φ′, the optimiser."""
    products = sum(6.0 * layer.rows * layer.fan_in for layer in learner.layers)
    responses = sum(FLOPS_PER_RESPONSE * layer.rows for layer in learner.layers)
    return size * (products + responses) + 100.0 * learner.numbers


def _numbers_in_frame(learner: Learner, runs: int, watch: Watch) -> float:
    by_layer = 3.0 * (len(figures.LAYERS) + figures.BINS) + 2
    learned = 3 * sum(slot.stop - slot.start for each in learner.slots for slot in each.params.values())
    boundary: int = watch.boundary ** min(2, learner.sizes[0])
    return 12 + by_layer * len(learner.layers) + learned + boundary + runs * len(watch.weights)
