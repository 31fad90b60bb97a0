"""``POST /activate``: its request and answer."""

from __future__ import annotations

from pydantic import Field

from app.contract.arrays import Model, NumberArray, ParamValue
from app.contract.names import DtypeName, FunctionName


class ActivateRequest(Model):
    """An array and a function to apply to it."""

    function: FunctionName = Field(
        description="Canonical name, or a framework's own behind its prefix (`torch:LeakyReLU`)."
    )
    inputs: NumberArray = Field(description="A number or nested arrays of any shape.")
    params: dict[str, ParamValue] = Field(default_factory=dict, description="The function's parameters.")
    order: int = Field(1, ge=0, le=2, strict=True, description="The highest derivative wanted.")
    dtype: DtypeName = Field(
        "float64", description="Inputs are rounded to it; results are the exact answers rounded to it."
    )
    axis: int | None = Field(
        None,
        strict=True,
        ge=-64,
        le=63,
        description="Axis of the elements that are mixed (softmax, Maxout), or that a one-dimensional "
        "parameter runs along. The last one, unless the framework's name says otherwise.",
    )
    upstream: NumberArray | None = Field(
        None, description="dL/d(outputs); asks for dL/d(inputs) and dL/d(parameters)."
    )


class ActivateResponse(Model):
    """Values and derivatives, each the exact answer rounded once to `dtype`."""

    function: str = Field(description="Canonical name.")
    params: dict[str, NumberArray] = Field(description="All parameters, defaults included.")
    dtype: str
    shape: list[int] = Field(description="Shape of `outputs`.")
    outputs: NumberArray
    derivative: NumberArray | None = Field(
        description="f′, or the Jacobian `[..., m, n]` of a function that mixes elements."
    )
    second_derivative: NumberArray | None
    input_gradient: NumberArray | None = Field(description="dL/d(inputs), where `upstream` was given.")
    param_gradients: dict[str, NumberArray] | None = Field(
        description="dL/d(parameter) for each learnable one, where `upstream` was given."
    )
