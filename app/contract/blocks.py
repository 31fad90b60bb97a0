"""The kinds of block that a network may be made of: one model a kind, one name in `BlockFields`.

The field names are those of the kind's own class in `app.core.propagation`.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from app.contract.arrays import Model

Factor: TypeAlias = Annotated[float, Field(ge=-1e6, le=1e6)]
Scale: TypeAlias = Annotated[float, Field(ge=-1e6, le=1e6)] | Literal["depth_scaled"]

_NORM = "Where n(·), `normalization` or else layer_norm, stands: before a branch, or after the sum."
_BRANCH = "Factor of a branch; `depth_scaled` is 1/√(number of branches)."


class ResidualBlockFields(Model):
    """h ← skip · h + branch · f(n(h)), f(u) = W₂ φ(W₁ u); with one matrix f(u) = φ(W₁ u)."""

    kind: Literal["residual"]
    matrices: Literal[1, 2] = 2
    norm: Literal["pre", "post"] | None = Field("pre", description=_NORM)
    skip: Factor = 1.0
    branch: Scale = Field(1.0, description=_BRANCH)


BlockFields: TypeAlias = ResidualBlockFields
