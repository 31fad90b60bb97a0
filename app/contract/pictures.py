"""Query fields and bodies of requests for pictures."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, field_validator

from app.contract.arrays import Model
from app.contract.blocks import BlockKind
from app.contract.gradient_flow import Figure, Sentences, SpreadFields

MOST_NETWORKS = 7
"""Networks in a picture: a palette has one colour for each."""

MOST_CURVES = 21
"""Curves in a picture: colours times dash patterns."""


MOST_CHARACTERS = 1_500
"""Characters of a function in a query field: the longest formula, and its parameters."""


class PictureQuery(Model):
    """How a picture is to look."""

    theme: Literal["light", "dark"] = Field("light", description="Colours for a light or a dark page.")
    lang: Literal["en", "ko"] = Field("en", description="Language of titles and labels.")
    width: int = Field(560, ge=160, le=1600, description="Width of the drawing area, in pixels.")
    height: int = Field(
        300,
        ge=80,
        le=1200,
        description="Height of the drawing area in pixels; of each one if there are several.",
    )
    scale: float = Field(
        2.0, ge=0.5, le=4, description="PNG only: pixels of the file per pixel of the picture."
    )


class FunctionsPictureQuery(PictureQuery):
    """Functions to draw, and over which range."""

    name: list[Annotated[str, Field(max_length=MOST_CHARACTERS)]] = Field(
        min_length=1,
        max_length=MOST_CURVES,
        description="A function as `POST /activate` takes it, with parameters in brackets: "
        "`leaky_relu(negative_slope=0.2)`, `torch:GELU(approximate=tanh)`. Once for each function.",
    )
    order: list[Annotated[int, Field(ge=0, le=2)]] = Field(
        [0], min_length=1, max_length=3, description="0 draws f, 1 draws f′, 2 draws f″; a panel for each."
    )
    low: float = Field(-6.0, ge=-1e6, le=1e6, description="Left end of the range.")
    high: float = Field(6.0, ge=-1e6, le=1e6, description="Right end of the range.")


class NetworksPictureQuery(PictureQuery):
    """Requests in the address, so that the picture has a plain one."""

    request: list[Annotated[str, Field(max_length=10_000)]] = Field(
        min_length=1,
        max_length=MOST_NETWORKS,
        description="The body of `POST /gradient-flow` as JSON. Once for each network to compare.",
    )


class TrainingPictureQuery(PictureQuery):
    """A request in the address, so that the picture has a plain one."""

    request: str = Field(max_length=10_000, description="The body of `POST /training` as JSON.")


class DiagramPictureQuery(PictureQuery):
    """A request in the address, so that the picture has a plain one."""

    request: str = Field(
        max_length=10_000,
        description="The body of `POST /mean-field` as JSON.",
    )


class AnswersPictureQuery(PictureQuery):
    """What is drawn of each layer."""

    figure: Literal["gradient", "activation_mean"] = Field(
        "gradient", description="The gradient with its theory, or the mean activation."
    )


class Drawn(Model):
    """A part of an answer of which a picture needs these fields; others are not looked at."""

    model_config = ConfigDict(extra="ignore")


class DrawnLayer(Drawn):
    """One layer."""

    layer: int
    gradient_log10_rms: SpreadFields
    cell_gradient_log10_rms: SpreadFields | None = Field(None, description="Of an LSTM: drawn instead.")
    activation_mean: SpreadFields | None = None


class DrawnTheoryLayer(Drawn):
    """What theory says of a layer."""

    gradient_log10_rms: Figure


class DrawnTheory(Drawn):
    """What theory says."""

    layers: list[DrawnTheoryLayer] = Field(max_length=100_000)


class DrawnGradient(Drawn):
    """The gradient as a whole."""

    underflow: dict[str, int | None] = Field(default_factory=dict, max_length=20)

    @field_validator("underflow")
    @classmethod
    def _short_names(cls, given: dict[str, int | None]) -> dict[str, int | None]:
        if any(len(name) > 100 for name in given):
            raise ValueError("names of formats have 100 characters at most")
        return given


class DrawnVerdict(Drawn):
    """The verdict in words."""

    summary: Sentences


class DrawnAnswer(Drawn):
    """An answer of `POST /gradient-flow`, or the part of it that is drawn."""

    layers: list[DrawnLayer] = Field(min_length=1, max_length=100_000)
    gradient: DrawnGradient = Field(default_factory=DrawnGradient)
    theory: DrawnTheory | None = None
    verdict: DrawnVerdict | None = None


class LabelledAnswer(Model):
    """An answer, and its network's name in the legend."""

    label: str = Field(max_length=300)
    answer: DrawnAnswer
    faint: bool = Field(
        False, strict=True, description="Drawn pale, as the one that others are compared with."
    )
    block: BlockKind | None = Field(None, description="The kind of its blocks, by which the axes are named.")


class AnswersPictureRequest(Model):
    """Networks to draw in one picture."""

    networks: list[LabelledAnswer] = Field(min_length=1, max_length=MOST_NETWORKS)
