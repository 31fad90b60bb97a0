"""``POST /functions/describe``: the computed facts about a formula."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from app.contract.arrays import Model, NumberArray, ParamValue
from app.contract.catalogue import GainFacts
from app.contract.names import FunctionName


class DescribeRequest(Model):
    """A formula, and values for its parameters."""

    function: FunctionName = Field(description="`formula:` and an expression in x.")
    params: dict[str, ParamValue] = Field(
        default_factory=dict, description="A number for every name in the formula other than x."
    )


class ComputedKink(Model):
    """A point where f, f′ or f″ jumps, and what is answered there."""

    at: float
    derivative: NumberArray
    second_derivative: NumberArray


class ComputedRange(Model):
    """The least and the greatest value, or their bounds where these are only approached."""

    low: NumberArray
    high: NumberArray
    low_attained: bool
    high_attained: bool


class DescribeResponse(Model):
    """The facts, found by computation; null where one could not be decided."""

    function: str
    params: dict[str, NumberArray]
    computed: Literal[True] = Field(description="These facts were found by computation, not stated.")
    same_as: str | None = Field(
        description="The catalogue's entry that is the same function, at its defaults: every double "
        "compared was equal."
    )
    latex: list[str | None] = Field(description="f, f′ and f″; null where it would fill a page.")
    parameters: list[str] = Field(description="Names in the formula other than x.")
    range: ComputedRange | None
    limits: tuple[NumberArray | None, NumberArray | None] = Field(
        description="f at −∞ and at +∞; null where there is none, or none was found."
    )
    largest_slope: NumberArray | None = Field(description="Null where the slope grows without bound.")
    zero_centred: bool | None = Field(description="The mean output for a standard normal input is zero.")
    monotone: bool | None = Field(description="Never decreasing.")
    smoothness: NumberArray = Field(description="How many derivatives are continuous; −1 for a jump.")
    saturates: list[str] = Field(description="The sides on which the slope tends to zero.")
    kinks: list[ComputedKink]
    gains: GainFacts | None
    mathml: dict[str, str] = Field(description="MathML of every LaTeX text above.")
