"""Residual blocks: h′ = skip · h + branch · f(n(h)), or n of the sum (He et al. 2016, arXiv:1603.05027).

f(u) = W₂ φ(W₁ u) with two matrices, φ(W₁ u) with one. Without n both forms are skip · h + branch · f(h).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from app.core.propagation.block import Load, Part, Scale, Where, Workshop, scale_of, square
from app.core.propagation.block_parts import Chain
from app.core.propagation.layer import Matrix


@dataclass(frozen=True, kw_only=True)
class ResidualBlock:
    """``matrices`` in the branch; where it normalises; the factors of the two ways."""

    matrices: Literal[1, 2] = 2
    norm: Where | None = "pre"
    skip: float = 1.0
    branch: Scale = 1.0
    kind: ClassVar[str] = "residual"
    figures: ClassVar[tuple[str, ...]] = ()

    @property
    def passes(self) -> bool:
        """As `Block.passes`."""
        return self.skip != 0 and self.norm != "post"

    def check(self, width: int) -> None:
        """As `Block.check`: it can have any width."""

    def shapes(self, width: int, pieces: int) -> tuple[Matrix, ...]:
        """As `Block.shapes`."""
        return square("W1", width, pieces), *([square("W2", width)] if self.matrices == 2 else [])

    def load(self, width: int, batch: int, pieces: int) -> Load:
        """As `Block.load`: slopes are kept, and the normalised values."""
        return Load(0.0, (pieces + 1.0) * width * batch)

    def build(self, workshop: Workshop) -> Part:
        """As `Block.build`."""
        parts = [workshop.linear("W1"), workshop.activation(workshop.width)]
        if self.matrices == 2:
            parts.append(workshop.linear("W2"))
        scale = scale_of(self.branch, workshop.depth)
        return workshop.branched(Chain(parts), self.norm, self.skip, scale)
