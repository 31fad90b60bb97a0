"""Residual blocks: h′ = skip · h + branch · f(n(h)), or n of the sum (He et al. 2016, arXiv:1603.05027).

f(u) = W₂ φ(W₁ u) with two matrices, W₃ φ(W₂ φ(W₁ u)) with three, φ(W₁ u) with one; between the first and the
last there are ratio · width units. Without n both forms are skip · h + branch · f(h). ``inside`` is the first
form of residual networks (He et al. 2015, arXiv:1512.03385): n after each matrix, φ after the sum,

    h′ = φ(skip · h + branch · n(W₃ φ(n(W₂ φ(n(W₁ h))))))

which with three matrices and ratio 1/4 is the bottleneck of ResNet-50, at one position.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar, Literal, Self, TypeAlias

from app.core.errors import InvalidValue
from app.core.propagation.block import Load, Part, Scale, Where, Workshop, inner_width, refuse, scale_of
from app.core.propagation.block_parts import Branched, Chain
from app.core.propagation.layer import Layer, Matrix
from app.core.propagation.layout import Layout, Shape, linear, norm

MOST = 3
"""Matrices in a branch."""

Place: TypeAlias = Where | Literal["inside"]


LAYOUTS = (
    Layout(
        "a block with linear1, linear2 … or fc1, fc2 …, and norm, or norm1, norm2 …",
        (
            *linear("W1", "linear1", "fc1"),
            *(
                each
                for place in (2, 3)
                for each in linear(f"W{place}", f"linear{place}", f"fc{place}", required=False)
            ),
            *norm("norm", "norm"),
            *(each for place in (1, 2, 3) for each in norm(f"norm{place}", f"norm{place}", f"bn{place}")),
        ),
        ignored=frozenset(
            f"{name}.{buffer}"
            for name in ("norm", *(f"{stem}{place}" for stem in ("norm", "bn") for place in (1, 2, 3)))
            for buffer in ("running_mean", "running_var", "num_batches_tracked")
        ),
    ),
)


@dataclass(frozen=True, kw_only=True)
class ResidualBlock:
    """``matrices`` in a branch, ``ratio`` of its units; where it normalises; factors of skip and branch."""

    matrices: Literal[1, 2, 3] = 2
    norm: Place | None = "pre"
    skip: float = 1.0
    branch: Scale = 1.0
    ratio: float = 1.0
    kind: ClassVar[str] = "residual"
    figures: ClassVar[tuple[str, ...]] = ()
    layouts: ClassVar[tuple[Layout, ...]] = LAYOUTS

    @property
    def passes(self) -> bool:
        """As `Block.passes`."""
        return self.skip != 0 and self.norm in (None, "pre")

    def check(self, width: int) -> None:
        """As `Block.check`: any width with at least one unit inside the branch."""
        if self.matrices == 1 and self.ratio != 1:
            raise InvalidValue("must be 1 where one matrix keeps the width", loc=("block", "ratio"))
        if not self.ratio * width >= 1:
            raise InvalidValue("must leave one unit or more", loc=("block", "ratio"))

    def shapes(self, width: int, pieces: int) -> tuple[Matrix, ...]:
        """As `Block.shapes`: every matrix that φ follows has its pieces."""
        if self.norm == "inside" and pieces > 1:
            raise InvalidValue(
                "must take one pre-activation per unit where a block normalises inside", loc=("activation",)
            )
        ends = self._sizes(width)
        last = len(ends) - 1
        return tuple(
            Matrix((f"W{place}",), Layer(*shape, 1 if place == last > 1 else pieces))
            for place, shape in enumerate(pairwise(ends), start=1)
        )

    def norms(self, width: int) -> tuple[tuple[str, int], ...]:
        """As `Block.norms`."""
        if self.norm == "inside":
            return tuple((f"norm{place}", each) for place, each in enumerate(self._sizes(width)[1:], start=1))
        return () if self.norm is None else (("norm", width),)

    def infer_from_names(self, names: Iterable[str]) -> Self:  # noqa: ARG002  names imply no option
        """As `Block.infer_from_names`."""
        return self

    def fitted(self, shapes: Mapping[str, Shape], pieces: int) -> tuple[Self, int]:
        """As `Block.fitted`: the weights determine the number of matrices and the ratio."""
        count = len(shapes)
        if shapes.keys() != {f"W{place}" for place in range(1, count + 1)}:
            refuse("a block has linear1, or linear1 and linear2, or linear1, linear2 and linear3")
        first = shapes["W1"]
        if len(first) != 2 or not all(first) or first[0] % pieces:
            refuse(
                f"the first matrix of a block must have a multiple of {pieces} outputs, and none may be empty"
            )
        matrices: Literal[1, 2, 3] = 1 if count == 1 else 2 if count == 2 else 3
        width, ratio = first[1], 1.0 if count == 1 else first[0] // pieces / first[1]
        same = count > 1 and self._inside(width) == first[0] // pieces
        made = replace(self, matrices=matrices, ratio=self.ratio if same else ratio)
        made.check(width)
        return made, width

    def load(self, width: int, batch: int, pieces: int) -> Load:
        """As `Block.load`: slopes are kept, and the normalised values."""
        inside = sum(self._sizes(width)[1:-1]) or width
        normalised = inside + 2 * width if self.norm == "inside" else width
        return Load(0.0, (pieces * float(inside) + normalised) * batch)

    def build(self, workshop: Workshop) -> Part:
        """As `Block.build`."""
        ends = self._sizes(workshop.width)
        parts: list[Part] = []
        for place, units in enumerate(ends[1:], start=1):
            parts.append(workshop.linear(f"W{place}"))
            if self.norm == "inside":
                parts.append(workshop.norm())
            if place < self.matrices or (self.matrices == 1 and self.norm != "inside"):
                parts.append(workshop.activation(units))
        scale = scale_of(self.branch, workshop.depth)
        if self.norm == "inside":
            whole = Branched(Chain(parts), self.skip, scale, workshop.blocks)
            return Chain([whole, workshop.activation(workshop.width)])
        return workshop.branched(Chain(parts), self.norm, self.skip, scale)

    def _sizes(self, width: int) -> list[int]:
        """Features before the first matrix and after each."""
        return [width, *[self._inside(width)] * (self.matrices - 1), width]

    def _inside(self, width: int) -> int:
        return inner_width(self.ratio, width)
