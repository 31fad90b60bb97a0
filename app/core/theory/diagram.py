"""A phase diagram cut into jobs: the theory of many (σ_w, σ_b), a block of cells at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.core.activations.from_formula import Accuracy, FormulaActivation
from app.core.activations.registry import Call
from app.core.arithmetic import Array
from app.core.evaluation import Mapper
from app.core.jobs import Job, Progress, Runner, ignore, in_turn
from app.core.theory.critical import critical_sigma_w
from app.core.theory.duals import dual_of
from app.core.theory.mean_field import mean_field

BLOCK = 10_000
"""Cells of a job. Each job tabulates its integrals again, which costs as much as thousands of cells."""

REACH = 9.0
"""Standard deviations within which all but 1e-18 of a normal density lies."""

ARRAYS = ("q_star", "c_star", "chi_1", "xi_q", "xi_c", "xi_gradient", "phase")


@dataclass(frozen=True)
class Cells:
    """The job of finding `ARRAYS` for some pairs of σ_w and σ_b."""

    call: Call
    sigma_w: Array
    sigma_b: Array

    def __call__(self, _map_blocks: Mapper, _progress: Progress) -> dict[str, NDArray[Any]]:
        """The arrays, by name."""
        found = mean_field(dual_of(self.call), self.sigma_w, self.sigma_b)
        return {name: np.asarray(getattr(found, name)) for name in ARRAYS}


@dataclass(frozen=True)
class Edge:
    """The job of finding the critical σ_w for some σ_b."""

    call: Call
    sigma_b: Array

    def __call__(self, _map_blocks: Mapper, _progress: Progress) -> dict[str, NDArray[Any]]:
        """The one array, by name."""
        return {"critical_sigma_w": np.asarray(critical_sigma_w(dual_of(self.call), self.sigma_b))}


def diagram(call: Call, sigma_w: Array, sigma_b: Array, *, run: Runner = in_turn) -> dict[str, NDArray[Any]]:
    """`ARRAYS` in the shape that ``sigma_w`` and ``sigma_b`` broadcast to; critical_sigma_w in σ_b's own."""
    weight, bias = np.broadcast_arrays(sigma_w, sigma_b)
    cells = [Cells(call, weight.ravel()[block], bias.ravel()[block]) for block in _blocks(weight.size)]
    edges = [Edge(call, sigma_b.ravel()[block]) for block in _blocks(sigma_b.size)]
    jobs: list[Job[dict[str, NDArray[Any]]]] = [*cells, *edges]
    results = list(run(jobs, ignore))
    arrays = {name: _joined(results[: len(cells)], name).reshape(weight.shape) for name in ARRAYS}
    critical = _joined(results[len(cells) :], "critical_sigma_w").reshape(sigma_b.shape)
    return {**arrays, "critical_sigma_w": critical}


@dataclass(frozen=True)
class Check:
    """The job of comparing a formula's values in double precision with its proved ones."""

    activation: FormulaActivation
    params: Mapping[str, float]
    low: float
    high: float

    def __call__(self, _map_blocks: Mapper, _progress: Progress) -> Accuracy | None:
        """The errors; None where ``low`` to ``high`` is no range."""
        return self.activation.accuracy(self.low, self.high, self.params)


def accuracy(call: Call, q_star: Array, *, run: Runner = in_turn) -> Accuracy | None:
    """How accurately a formula was evaluated for a diagram with these ``q_star``; None for a catalogue entry.

    Compared are values within `REACH` standard deviations of the largest variance on the way to the fixed
    points: 1, where the length map starts, or the largest finite q*.
    """
    if not isinstance(call.activation, FormulaActivation):
        return None
    finite = q_star[np.isfinite(q_star)]
    reach = REACH * float(np.sqrt(finite.max(initial=1.0)))
    return next(run([Check(call.activation, call.scalars, -reach, reach)], ignore))


def _blocks(size: int) -> list[slice]:
    # At least one block, so that an empty diagram gives empty arrays of the right types.
    return [slice(start, start + BLOCK) for start in range(0, max(size, 1), BLOCK)]


def _joined(results: Sequence[dict[str, NDArray[Any]]], name: str) -> NDArray[Any]:
    return np.concatenate([np.atleast_1d(each[name]) for each in results])
