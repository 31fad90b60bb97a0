"""What a simulation's loop needs of the network: one step of the signal, one step of the gradient.

A step is a plain layer (`plain_layers`) or a block (`block_steps`). The loop in `simulation` keeps tapes,
recomputes stretches and carries the gradient's logarithm; it does not know what a step computes.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, Protocol

import numpy as np

from app.core.arithmetic import Array
from app.core.propagation.blocks import Blocks
from app.core.propagation.statistics import Figures
from app.core.propagation.streams import Stream
from app.core.propagation.tall import Batch, largest

NEAR = 16
"""Exponent that a gradient may have before it is rescaled to one: the range is 2¹²⁶ in float32."""


class Run(NamedTuple):
    """What all steps of one simulated network share: figures to fill, random numbers, dtype, row blocks."""

    figures: Figures
    weights: Stream
    biases: Stream
    masks: Stream
    dtype: np.dtype[Any]
    blocks: Blocks


class Steps(Protocol):
    """The network, step by step. A tape is whatever the backward pass needs of a step."""

    def forward(self, number: int, h: Batch, *, measured: bool) -> tuple[Batch, Any]:
        """h_{l−1} to h_l and the tape; the figures of the forward pass where ``measured``."""

    def backward(self, number: int, tape: Any, gradient: Array, logarithm: float) -> tuple[Array, int] | None:
        """dL/dh_l to dL/dh_{l−1} and the power of two it was divided by; the backward pass's figures.

        ``gradient`` is dL/dh_l over 10^``logarithm`` and may be overwritten. None where nothing follows.
        """


def rescaled(gradient: Array) -> tuple[Array, int]:
    """``gradient`` divided by a power of two that brings it near one, in place; and the exponent."""
    size = largest(gradient)
    exponent = math.frexp(size)[1] if math.isfinite(size) else 0
    if abs(exponent) < NEAR:
        return gradient, 0
    return np.ldexp(gradient, -exponent, out=gradient), exponent


def mean(batch: Batch) -> float:
    """The mean of all values: each block summed pairwise in its own dtype, the blocks in float64."""
    sums = batch.blocks.each(len(batch.values), lambda block: float(batch.scaled[block].sum()))
    return float(np.ldexp(sum(sums) / batch.values.size, batch.exponent))
