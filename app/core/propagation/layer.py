"""The shape of a layer's weights, and of a block's."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Layer:
    """The shape of one layer: W is (units · pieces) × fan_in; a unit answers at ``places`` per position."""

    fan_in: int
    units: int
    pieces: int
    places: int = 1

    @property
    def fan_out(self) -> int:
        """Outputs that depend on one input."""
        return self.units * self.places

    @property
    def rows(self) -> int:
        """Pre-activations."""
        return self.units * self.pieces


@dataclass(frozen=True)
class Matrix:
    """The weights of a block that are applied to the same input.

    Attributes:
        names: what they are called; several are one below the other, and each is drawn for its own fans.
        layer: their shape, all names together; where there are several, each is one of its pieces.
        columns: to how many columns they are applied; None for those of the batch.
    """

    names: tuple[str, ...]
    layer: Layer
    columns: int | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of one of them."""
        return self.layer.rows // len(self.names), self.layer.fan_in
