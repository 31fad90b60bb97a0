"""Normalisation of pre-activations: ẑ = (z − mean) / √(variance + ε), before the activation.

    layer_norm   mean and variance over the units, for each input
    rms_norm     the same without the mean: ẑ = z / √(mean z² + ε)
    batch_norm   mean and variance over the batch, for each unit (training mode)

Gain and offset are 1 and 0, as they are before training; ε = 1e-5, PyTorch's for the first and the last.
For δ = dL/dẑ and means over the same axis: dL/dz = (δ − mean δ − ẑ mean(δ ẑ)) / √(variance + ε), where
rms_norm leaves out mean δ.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from app.core.arithmetic import Array
from app.core.errors import UnknownName
from app.core.propagation.blocks import Blocks
from app.core.propagation.tall import largest

EPSILON = 1e-5


class Normalised(NamedTuple):
    """ẑ and 1/√(variance + ε), the latter 1 × B or units × 1."""

    values: Array
    inverse: Array


@dataclass(frozen=True)
class Normalisation:
    """Over the units of a layer or over the batch; ``centred`` subtracts the mean."""

    over: Literal["units", "batch"]
    centred: bool = True

    def forward(self, z: Array, blocks: Blocks) -> Normalised:
        """ẑ of z, units × B."""
        scaled = self._forward(z, EPSILON, blocks)
        if np.isfinite(scaled.inverse).all() and scaled.inverse.all():
            return scaled
        # The squares over- or underflowed, z itself did not.
        exponent = math.frexp(largest(z))[1]
        values, inverse = self._forward(np.ldexp(z, -exponent), math.ldexp(EPSILON, -2 * exponent), blocks)
        return Normalised(values, np.ldexp(inverse, -exponent))

    def _forward(self, z: Array, epsilon: float, blocks: Blocks) -> Normalised:
        mean = self._mean(lambda block: z[block], len(z), blocks) if self.centred else None
        square = self._mean(lambda block: self._centred(z, mean, block) ** 2, len(z), blocks)
        inverse = 1 / np.sqrt(square + epsilon)
        values = np.empty_like(z)

        def scale(block: slice) -> None:
            values[block] = self._centred(z, mean, block) * self._part(inverse, block)

        blocks.each(len(z), scale)
        return Normalised(values, inverse)

    def backward(self, delta: Array, forward: Normalised, blocks: Blocks) -> Array:
        """dL/dz of δ = dL/dẑ."""
        z = forward.values
        mean = self._mean(lambda block: delta[block], len(z), blocks) if self.centred else None
        along = self._mean(lambda block: delta[block] * z[block], len(z), blocks)
        answer = np.empty_like(z)

        def pull(block: slice) -> None:
            rest = self._centred(delta, mean, block) - z[block] * self._part(along, block)
            answer[block] = rest * self._part(forward.inverse, block)

        blocks.each(len(z), pull)
        return answer

    def _mean(self, term: Callable[[slice], Array], rows: int, blocks: Blocks) -> Array:
        axis = 0 if self.over == "units" else 1

        def total(block: slice) -> Array:
            summed: Array = term(block).sum(axis=axis, keepdims=True, dtype=np.float64)
            return summed

        totals = blocks.each(rows, total)
        joined = np.concatenate(totals)
        return joined.sum(axis=0, keepdims=True) / rows if axis == 0 else joined / blocks.columns

    def _part(self, statistic: Array, block: slice) -> Array:
        return statistic if self.over == "units" else statistic[block]

    def _centred(self, values: Array, mean: Array | None, block: slice) -> Array:
        return values[block] if mean is None else values[block] - self._part(mean, block)


NORMALISATIONS: Mapping[str, Normalisation] = {
    "layer_norm": Normalisation("units"),
    "rms_norm": Normalisation("units", centred=False),
    "batch_norm": Normalisation("batch"),
}
"""Normalisations, by the contract's names."""


def normalisation(name: str) -> Normalisation:
    """The normalisation called ``name``; raises `UnknownName`."""
    if name not in NORMALISATIONS:
        raise UnknownName("normalization", name, NORMALISATIONS, loc=("normalization",))
    return NORMALISATIONS[name]
