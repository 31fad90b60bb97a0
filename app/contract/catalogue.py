"""``GET /functions``: the facts about each function."""

from __future__ import annotations

from pydantic import Field

from app.contract.arrays import Model, NumberArray


class Texts(Model):
    """The same sentence in English and Korean."""

    en: str
    ko: str


class ParameterFacts(Model):
    """One parameter of a function."""

    name: str
    symbol: str = Field(description="LaTeX.")
    description: Texts
    domain: str = Field(description="The values allowed, in words.")
    default: NumberArray | None = Field(description="Null where a value must be given or may be left out.")
    required: bool
    typical: tuple[float, float] = Field(description="The range of sensible values.")
    learnable: bool = Field(description="With `upstream` the answer has dL/d(this parameter).")
    shape: list[str] | None = Field(description="The axes of an array parameter.")


class KinkFacts(Model):
    """A point where f, f′ or f″ jumps, at the default parameters, and what is answered there."""

    at: float
    formula: str = Field(description="The place as LaTeX.")
    derivative: NumberArray
    second_derivative: NumberArray


class ReferenceFacts(Model):
    """Where the function comes from."""

    authors: str
    title: str
    year: int
    identifier: str | None


class FrameworkFacts(Model):
    """A framework's own name for the function."""

    names: list[str] = Field(description="As `function` takes them, with the framework's prefix.")
    parameters: dict[str, NumberArray | None] = Field(
        description="The framework's parameters and defaults; null where the framework requires a value."
    )
    switches: dict[str, str | bool] = Field(description="Switches that select this function under the name.")


class VocabularyFacts(Model):
    """A framework whose names are known, and where they were read."""

    framework: str = Field(description="The prefix of its names.")
    title: str
    project: str = Field(description="Where its source is published.")
    versions: str = Field(description="The versions that the names and defaults hold for.")
    sources: list[str] = Field(description="Files of the project, or pages of its reference.")
    remarks: list[str]


class GainFacts(Model):
    """Factors of the weights with which a layer keeps its input's scale, for standard normal inputs Z."""

    standard: NumberArray = Field(description="1/√Var φ(Z).")
    he: NumberArray = Field(description="1/√E φ(Z)².")


class FunctionFacts(Model):
    """All facts about one function.

    Facts that depend on parameters hold `at` the defaults. Those of a framework's name are the framework's:
    where they are not the function's own, facts that are stated for these alone are left out.
    """

    name: str
    function: str = Field(description="The canonical name.")
    vocabulary: VocabularyFacts | None = Field(description="For a framework's name, its framework.")
    at: dict[str, NumberArray] = Field(
        description="The parameters, by canonical names, that the facts hold at; for one that a framework "
        "requires, the function's own default."
    )
    title: Texts
    summary: Texts
    kind: str = Field(description="`elementwise`, or `rowwise` for a function that mixes elements.")
    latex: list[str] = Field(description="f, f′ and, where there is one, f″.")
    definitions: dict[str, str] = Field(description="LaTeX of names used in the formulas.")
    parameters: list[ParameterFacts]
    constraints: list[str] = Field(description="Relations between parameters, as LaTeX.")
    range: str | None = Field(description="LaTeX.")
    limits: tuple[NumberArray | None, NumberArray | None] | None = Field(
        description="f at −∞ and at +∞; null where there is no limit."
    )
    largest_slope: NumberArray | None
    zero_centred: bool | None = Field(description="The mean output for a standard normal input is zero.")
    monotone: bool | None
    smoothness: NumberArray | None = Field(description="How many derivatives are continuous; −1 for a jump.")
    saturates: list[str] | None = Field(description="The sides on which the slope tends to zero.")
    kinks: list[KinkFacts]
    gains: GainFacts | None = Field(description="Null for a function that mixes elements.")
    references: list[ReferenceFacts]
    frameworks: list[FrameworkFacts]
    mathml: dict[str, str] = Field(
        description="Every LaTeX text of this answer as MathML, which browsers draw themselves."
    )


class FunctionSummary(Model):
    """One line of the catalogue."""

    name: str
    function: str = Field(description="The canonical name.")
    switches: dict[str, str | bool] = Field(
        description="Switches that select this function among several under the name."
    )
    title: Texts
    summary: Texts
    kind: str
    of_units: bool = Field(
        description="Whether a network can have it as its activation (`POST /gradient-flow`)."
    )
    latex: str
    zero_centred: bool
    saturates: list[str]
    href: str


class Catalogue(Model):
    """All functions, or the names of one framework, in the registry's order."""

    functions: list[FunctionSummary]
    frameworks: list[VocabularyFacts] = Field(
        description="The frameworks whose names can be listed, or the requested one."
    )
