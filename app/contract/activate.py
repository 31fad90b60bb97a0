"""``POST /activate``: its request and answer."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from app.contract.arrays import Model, NumberArray, ParamValue
from app.contract.names import DtypeName, FunctionName

AxisNumber: TypeAlias = Annotated[int, Field(strict=True, ge=-64, le=63)]


class ActivateRequest(Model):
    """An array and a function to apply to it."""

    function: FunctionName = Field(
        description="Canonical name, a framework's own name after its prefix (`torch:LeakyReLU`), or a "
        "formula in x (`formula:x * tanh(softplus(beta * x))`)."
    )
    inputs: NumberArray = Field(description="A number or nested arrays of any shape.")
    params: dict[str, ParamValue] = Field(default_factory=dict, description="The function's parameters.")
    order: int = Field(
        1,
        ge=0,
        le=8,
        strict=True,
        description="The highest derivative to compute: at most 2, or 8 where rounding is proved or the "
        "function is a formula.",
    )
    dtype: DtypeName = Field(
        "float64",
        description="Inputs are rounded to it; results are the exact answers rounded to it. float6 "
        "and float4 have no NaN: inputs that hold one are refused.",
    )
    rounding: Literal["fast", "proved"] = Field(
        "fast",
        description="`proved`: each number is the correctly rounded one, proved by ball arithmetic. Formulas "
        "always are.",
    )
    overflow: Literal["format", "saturate"] = Field(
        "format",
        description="What an overflow becomes: what the format's standard says, or the format's largest "
        "number. With `saturate` or `flush` the numbers of an elementwise function are proved.",
        # `format` is a method of Python's strings: no name for a member of an enumeration in a client.
        json_schema_extra={"x-enum-varnames": ["BY_FORMAT", "SATURATE"]},
    )
    subnormals: Literal["keep", "flush"] = Field(
        "keep", description="`flush`: subnormal inputs and results are zero."
    )
    axis: AxisNumber | Annotated[list[AxisNumber], Field(min_length=1, max_length=64)] | None = Field(
        None,
        description="Axis of the elements that are mixed (softmax, Maxout), or that a one-dimensional "
        "parameter runs along; softmax and related functions also mix a list of axes. The last one, unless "
        "the framework's name says otherwise.",
    )
    upstream: NumberArray | None = Field(
        None, description="dL/d(outputs); asks for dL/d(inputs) and dL/d(parameters)."
    )


class Proof(Model):
    """How many of the answer's numbers are proved to be the correctly rounded ones."""

    proved: int
    unproved: int = Field(description="Numbers that could not be decided with 16,384 bits; they are NaN.")


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
    higher_derivatives: list[NumberArray] | None = Field(
        None, description="f‴ and on, by order, where `order` is 3 or more."
    )
    proof: Proof | None = Field(None, description="Where rounding is proved or the function is a formula.")
