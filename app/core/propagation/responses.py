"""The outputs of a layer's units, in blocks of units, and the backward pass through them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from app.core.arithmetic import Array
from app.core.propagation.blocks import TEMPORARY, Blocks
from app.core.propagation.units import Counts, Units


class Response(NamedTuple):
    """φ, units × B, and φ′ = ∂φ/∂z, pre-activations × B."""

    outputs: Array
    slopes: Array
    counts: Counts


def respond(units: Units, count: int, z: Array, blocks: Blocks) -> Response:
    """φ and φ′ of ``count`` units at their pre-activations, block by block."""
    outputs = np.empty((count, z.shape[1]), z.dtype)
    slopes = np.empty_like(z)
    by_unit = Blocks(blocks.columns * units.pieces, blocks.map_blocks, TEMPORARY // z.dtype.itemsize)

    def answer(block: slice) -> Counts:
        rows = slice(block.start * units.pieces, block.stop * units.pieces)
        return units.respond(z[rows], block, outputs[block], slopes[rows])

    saturated, dead = (sum(each) for each in zip(*by_unit.each(count, answer), strict=True))
    return Response(outputs, slopes, Counts(saturated, dead))


def pulled(slopes: Array, gradient: Array, scale: float | None, blocks: Blocks) -> Array:
    """dL/dz from dL/dφ: φ′ · δ, times ``scale`` where there is one.

    Every pre-activation of a unit takes part in the unit's output.
    """
    delta = np.empty_like(slopes)
    pieces = len(slopes) // len(gradient)

    def pull(block: slice) -> None:
        rows = slice(block.start * pieces, block.stop * pieces)
        shape = (-1, pieces, gradient.shape[1])
        part = slopes[rows].reshape(shape)
        np.multiply(part, gradient[block][:, None], out=delta[rows].reshape(shape))
        if scale is not None:
            delta[rows] *= scale

    blocks.each(len(gradient), pull)
    return delta
