"""``POST /mean-field``: its request and answer."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias, get_args

import numpy as np
from pydantic import Field, WithJsonSchema
from typing_extensions import TypeAliasType

from app.contract.arrays import Model, NumberArray, ParamValue
from app.contract.gradient_flow import AccuracyFields
from app.contract.names import FunctionName

Phase: TypeAlias = Literal["ordered", "critical", "chaotic"]
Phases = TypeAliasType(
    "Phases",
    Annotated[
        Any,  # nested as deep as the request's arrays: only a recursive schema could declare that
        WithJsonSchema(
            {
                "anyOf": [{"type": "string", "enum": list(get_args(Phase))}, {"type": "array", "items": {}}],
                "description": "A phase, or phases nested as the arrays beside them.",
            }
        ),
    ],
)
"""A phase for each cell."""


class MeanFieldRequest(Model):
    """An activation and the points of a phase diagram."""

    activation: FunctionName = Field(description="As `function` of `POST /activate`; elementwise.")
    params: dict[str, ParamValue] = Field(default_factory=dict, description="The activation's parameters.")
    sigma_w: NumberArray = Field(description="σ_w: weights have the variance σ_w²/fan_in.")
    sigma_b: NumberArray = Field(
        default_factory=lambda: np.zeros(()),
        description="σ_b: biases have the variance σ_b².",
    )


class MeanFieldResponse(Model):
    """Fixed points and depth scales, arrays of `shape`."""

    activation: str = Field(description="Canonical name.")
    shape: list[int] = Field(description="The broadcast shape of sigma_w and sigma_b.")
    q_star: NumberArray = Field(
        description="The fixed point of the variance of pre-activations; may be infinite."
    )
    c_star: NumberArray = Field(description="The fixed point of the correlation of two inputs.")
    chi_1: NumberArray = Field(
        description="The factor by which one layer changes the gradient's second moment."
    )
    xi_q: NumberArray = Field(description="Layers over which q − q* shrinks by e.")
    xi_c: NumberArray = Field(description="Layers over which c − c* shrinks by e.")
    xi_gradient: NumberArray = Field(description="Layers over which the second moment changes by e.")
    phase: Phases = Field(description="`ordered` (χ₁ < 1), `critical` or `chaotic` (χ₁ > 1).")
    critical_sigma_w: NumberArray = Field(
        description="The smallest σ_w on the edge of chaos for each sigma_b; NaN where there is none."
    )
    formula: AccuracyFields | None = Field(
        None,
        description="Where the activation is a formula: how accurately it was evaluated over nine standard "
        "deviations of the largest finite q_star, or of 1.",
    )
