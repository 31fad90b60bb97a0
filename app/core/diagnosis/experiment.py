"""An experiment: which networks to simulate, on which inputs, how many, and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np

from app.core.arithmetic import Array
from app.core.errors import InvalidValue
from app.core.evaluation import FLOAT64, Mapper
from app.core.jobs import Progress, Runner
from app.core.propagation.engine import Cost, Engine, Kind, cost, engines
from app.core.propagation.network import GaussianInputs, Network
from app.core.propagation.simulation import TAPE, Inputs, propagate
from app.core.propagation.statistics import Figures

Stage: TypeAlias = Literal["networks", "remedies"]


class Watch(Protocol):
    """Called as a diagnosis proceeds; an exception from it ends the diagnosis."""

    def __call__(self, stage: Stage, part: float, networks: Sequence[Figures]) -> None:
        """``part`` is the fraction of the stage that is done; ``networks`` are those simulated so far."""


def unwatched(stage: Stage, part: float, networks: Sequence[Figures]) -> None:
    """A `Watch` that does nothing."""


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """Networks to simulate: what one is, its inputs, how many, and how.

    ``upstream`` is dL/d(outputs), units × batch; None draws a standard normal array for each network.
    Raises `InvalidValue` where it does not fit.
    """

    network: Network
    inputs: Inputs
    upstream: Array | None = None
    networks: int = 1
    seed: int = 0
    dtype: np.dtype[Any] = FLOAT64
    engine: Engine = "auto"

    def __post_init__(self) -> None:
        self.network.check_inputs(self.inputs)
        if self.upstream is not None:
            _check_upstream(self.upstream, (self.network.layers[-1].units, self.batch))

    @property
    def batch(self) -> int:
        """Inputs of one batch."""
        return self.inputs.batch if isinstance(self.inputs, GaussianInputs) else self.inputs.shape[-1]

    @property
    def mean_square(self) -> float:
        """E x² of the inputs."""
        if isinstance(self.inputs, GaussianInputs):
            return self.inputs.variance
        return float(np.mean(self.inputs**2))

    @cached_property
    def kinds(self) -> tuple[Kind, ...]:
        """The engine of each layer."""
        return engines(self.network, self.batch, self.engine)

    @cached_property
    def cost(self) -> Cost:
        """The cost of one of the networks."""
        found = cost(self.network, self.batch, self.kinds, self.dtype.itemsize, TAPE)
        return found if self.upstream is None else replace(found, bytes=found.bytes + self.upstream.nbytes)


def _check_upstream(upstream: Array, shape: tuple[int, int]) -> None:
    if upstream.shape != shape:
        message = f"must have the shape of the outputs, batch × units: {list(reversed(shape))}"
        raise InvalidValue(message, loc=("upstream",))
    if not (np.isfinite(upstream).all() and upstream.any()):
        raise InvalidValue("must be finite, and not 0 everywhere", loc=("upstream",))


@dataclass(frozen=True)
class Simulation:
    """The job of simulating one network of an experiment."""

    experiment: Experiment
    index: int

    def __call__(self, map_blocks: Mapper, progress: Progress) -> Figures:
        """The figures of the network."""
        return propagate(
            self.experiment.network,
            self.experiment.inputs,
            seed=self.experiment.seed,
            index=self.index,
            dtype=self.experiment.dtype,
            engine=self.experiment.kinds,
            upstream=self.experiment.upstream,
            map_blocks=map_blocks,
            progress=lambda done, total: progress(done / total),
        )


def simulate(experiment: Experiment, run: Runner, watch: Watch) -> list[Figures]:
    """The figures of all networks of an experiment, in their order."""
    networks: list[Figures] = []
    furthest = 0.0

    def report(part: float) -> None:
        nonlocal furthest
        furthest = max(furthest, part, len(networks) / experiment.networks)
        watch("networks", furthest, networks)

    for figures in run([Simulation(experiment, index) for index in range(experiment.networks)], report):
        networks.append(figures)
        report(0.0)
    return networks
