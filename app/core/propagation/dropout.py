"""Dropout in training mode: values are dropped at random, independently for each input.

standard   φ · m / (1 − rate), m 0 with probability ``rate`` (Srivastava et al. 2014)
alpha      a (φ m + α (1 − m)) + b with α = −λα of SELU, a and b such that mean 0 and variance 1 stay
           (Klambauer et al. 2017, arXiv:1706.02515, section 3)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from app.core.arithmetic import Array
from app.core.errors import InvalidValue
from app.core.propagation.blocks import Blocks
from app.core.propagation.responses import Response
from app.core.propagation.streams import Stream

LEFT_OUT = -1.7580993408473766
"""SELU's limit at −∞, −λα, by which alpha dropout replaces a value."""


@dataclass(frozen=True)
class Dropout:
    """``rate`` is the probability of a value to be dropped, below 1."""

    rate: float
    kind: Literal["standard", "alpha"] = "standard"

    def __post_init__(self) -> None:
        if not 0 <= self.rate < 1:
            raise InvalidValue("must lie in [0, 1)", loc=("dropout", "rate"))

    @property
    def factor(self) -> float:
        """The factor of the values kept."""
        kept = 1 - self.rate
        return 1 / kept if self.kind == "standard" else 1 / math.sqrt(kept * (1 + self.rate * LEFT_OUT**2))

    def mask(self, stream: Stream, rows: int, blocks: Blocks) -> NDArray[np.bool_]:
        """The mask of the values kept, rows × B."""
        kept = np.empty((rows, blocks.columns), bool)

        def draw(block: slice) -> None:
            generator = stream.at(block.start).generator()
            np.greater_equal(generator.random(kept[block].shape, np.float32), self.rate, out=kept[block])

        blocks.each(rows, draw)
        return kept

    def of(self, response: Response, kept: NDArray[np.bool_]) -> Response:
        """The response with values dropped, in place: slopes too, so that the backward pass needs no mask."""
        outputs, slopes, factor = response.outputs, response.slopes, self._number(self.factor, response)
        outputs *= factor
        outputs *= kept
        by_unit = slopes.reshape(len(outputs), -1, outputs.shape[1])
        by_unit *= factor
        by_unit *= kept[:, None]
        if self.kind == "alpha":
            shift = -self.factor * LEFT_OUT * self.rate
            outputs += np.where(kept, shift, shift + self.factor * LEFT_OUT).astype(outputs.dtype)
        return response

    @staticmethod
    def _number(value: float, response: Response) -> Any:
        return response.outputs.dtype.type(value)


class LeftOut:
    """Standard dropout as a part of a block."""

    def __init__(self, dropout: Dropout, stream: Stream, blocks: Blocks) -> None:
        self._dropout = dropout
        self._stream = stream
        self._blocks = blocks

    def forward(self, h: Array) -> Array:
        """h · m / (1 − rate)."""
        self._kept = self._dropout.mask(self._stream, len(h), self._blocks)
        return self.backward(h)

    def backward(self, gradient: Array) -> Array:
        """The same for the gradient."""
        answer = gradient * gradient.dtype.type(self._dropout.factor)
        answer *= self._kept
        return answer
