"""``POST /verify``: its request and answer."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from app.contract.activate import AxisNumber
from app.contract.arrays import Model, NumberArray, ParamValue
from app.contract.gradient_flow import Sentences
from app.contract.names import DtypeName, FunctionName


class VerifyRequest(Model):
    """A kernel's own numbers, and the function that it computes."""

    function: FunctionName | None = Field(
        description="Canonical name, a framework's own name after its prefix (`torch:GELU`), or a formula "
        "in x. Elementwise, or a gated unit or a function related to softmax, row by row. Null: the "
        "function is searched for among the elementwise ones of the catalogue; the judgement is then that "
        "of the best candidate."
    )
    params: dict[str, ParamValue] = Field(
        default_factory=dict,
        description="The function's parameters: numbers, or of an elementwise function arrays that broadcast "
        "against the inputs (a slope for each channel).",
    )
    dtype: DtypeName = Field("float32", description="The format of the kernel's numbers.")
    axis: AxisNumber | Annotated[list[AxisNumber], Field(min_length=1, max_length=64)] | None = Field(
        None,
        description="Of a function that mixes elements: the axis of a row, or for functions related to "
        "softmax a list of axes. Of an elementwise one: the axis that a one-dimensional parameter runs "
        "along. The last one, unless the framework's name says otherwise.",
    )
    inputs: NumberArray | None = Field(
        None,
        description="The kernel's inputs, rounded to `dtype`. Null: every number of a format of 16 "
        "bits or fewer, in the order of the bit patterns. A function that mixes elements needs them.",
    )
    outputs: NumberArray = Field(
        description="The kernel's outputs, in the inputs' shape; for a gated unit half as many along `axis`."
    )
    derivative: NumberArray | None = Field(
        None,
        description="The kernel's f′, in the same shape. Of a function that mixes elements the Jacobians: "
        "outputs by inputs, the rows' axes moved to the end.",
    )
    second_derivative: NumberArray | None = Field(None, description="The kernel's f″, in the same shape.")
    compute_dtype: DtypeName | None = Field(
        None,
        description="The format that the kernel computes in, where it is known: causes are searched for "
        "there.",
    )
    subnormals: Literal["keep", "flush"] = Field(
        "keep", description="`flush`: subnormal inputs and answers may be zero."
    )
    tolerance_ulp: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = Field(
        None, description="Errors up to this many ulp are accepted."
    )


class HistogramBin(Model):
    """Errors above the end of the previous bin and up to this one's."""

    ulp_up_to: NumberArray
    count: int


class WorstInput(Model):
    """One of the largest errors."""

    input: NumberArray = Field(
        description="Of a function that mixes elements the one at the output's place in the row: for a gated "
        "unit the gate, or of `glu` the value: the first of the pair."
    )
    output: NumberArray
    exact: str = Field(description="The exact answer to 20 digits; to 15 where a row is very long.")
    rounded: NumberArray = Field(description="The right number of the format.")
    ulp: NumberArray
    condition: float | None = Field(
        description="|x f′/f|: roughly how many ulp of error one ulp of the input causes. Null at a "
        "kink, a root, where there is no number, and for functions that mix elements."
    )
    place: list[int] | None = Field(
        None,
        description="Of a function that mixes elements, or has arrays as parameters: where in the outputs, "
        "one index an axis.",
    )


class SpecialValue(Model):
    """A kind of special input or answer, and one example, a wrong one where there is one."""

    name: str
    count: int
    wrong: int
    input: NumberArray
    output: NumberArray
    expected: NumberArray


class OrderJudgement(Model):
    """Of the value or one derivative. Shares are of the `count` numbers whose right answer is proved."""

    order: int
    count: int
    unproved: int = Field(description="Numbers that are not judged: their right answer was not proved.")
    max_ulp: NumberArray = Field(
        description="An ulp is the spacing of the format at the exact answer. Infinity where only one of "
        "output and answer is a number."
    )
    mean_ulp: float = Field(description="The mean of the finite errors.")
    correctly_rounded: float = Field(description="Share.")
    faithful: float = Field(description="Share that is one of the two neighbours of the exact answer.")
    histogram: list[HistogramBin]
    worst: list[WorstInput] = Field(description="At most ten, the largest error first.")
    special_values: list[SpecialValue]
    wrong_sign: int
    false_zeros: int
    false_infinities: int
    false_nans: int
    not_monotone: int | None = Field(
        description="Neighbouring inputs between which the output changes in the wrong direction; null "
        "where the exact answers are not monotone."
    )


class ErrorCause(Model):
    """An inference from the pattern of the errors."""

    cause: str
    detail: str
    explains: float = Field(description="Share of the errors.")
    summary: Sentences


class KernelVerdict(Model):
    """All orders together."""

    state: Literal["correctly_rounded", "faithful", "within_tolerance", "faulty", "undecided"]
    summary: Sentences


class Candidate(Model):
    """A function that the kernel may compute, and how far its numbers are from it.

    For a large array, figures are those of 4,000 evenly spaced inputs.
    """

    function: str
    params: dict[str, float]
    frameworks: list[str] = Field(description="Its names in frameworks.")
    max_ulp: NumberArray
    mean_ulp: float
    equal: float = Field(description="Share of the numbers that are its correctly rounded values.")
    apart: NumberArray = Field(description="Its largest difference from the first candidate, in ulp.")
    differs: float = Field(description="Share of inputs for which the two round to different numbers.")


class VerifyResponse(Model):
    """The judgement."""

    function: str | None = Field(
        description="The function that was judged: the best candidate, where none was named; null where "
        "none is close."
    )
    params: dict[str, NumberArray]
    dtype: str
    count: int = Field(description="Numbers of each order.")
    orders: list[OrderJudgement]
    causes: list[ErrorCause] = Field(description="The best first; empty where no known cause fits.")
    verdict: KernelVerdict
    candidates: list[Candidate] | None = Field(
        description="Where `function` was null: at most five, the best first; empty where none is close."
    )
