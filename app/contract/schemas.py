"""Requests and answers, as pydantic models. The server, the OpenAPI document and the client share them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainValidator,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue, SkipJsonSchema
from pydantic_core import CoreSchema, PydanticCustomError, core_schema
from typing_extensions import TypeAliasType

from app.core.activations import REGISTRY
from app.core.formats import FORMATS
from app.core.propagation.initialisers import INITIALISERS
from app.core.propagation.network import GivenWeights
from app.core.propagation.normalisation import NORMALISATIONS
from app.pictures.specifications import MOST_HUES, MOST_SERIES
from app.wire.errors import Unsuitable
from app.wire.numbers import to_array, to_lists

Numbers = TypeAliasType("Numbers", "float | Literal['NaN', 'Infinity', '-Infinity'] | list[Numbers]")
"""What an array looks like in JSON; the recursive component of the OpenAPI document."""


def _array(value: Any) -> NDArray[np.float64]:
    try:
        return to_array(value)
    except Unsuitable as error:
        raise PydanticCustomError("array", "{reason}", {"reason": str(error)}) from None


class _ArrayField:
    """An ndarray in Python, nested numbers in JSON."""

    @classmethod
    def __get_pydantic_core_schema__(cls, _: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        array = core_schema.no_info_plain_validator_function(_array)
        return core_schema.json_or_python_schema(
            json_schema=core_schema.chain_schema([handler.generate_schema(Numbers), array]),
            python_schema=array,
            serialization=core_schema.plain_serializer_function_ser_schema(to_lists, when_used="json"),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return handler(schema["json_schema"]["steps"][0])


NumberArray: TypeAlias = Annotated[NDArray[Any], _ArrayField]


def _param(value: Any) -> Any:
    return value if isinstance(value, str | bool) and value not in _NAMES else _array(value)


_NAMES = ("NaN", "Infinity", "-Infinity")
ParamValue: TypeAlias = Annotated[
    Any,
    BeforeValidator(_param),
    WithJsonSchema(
        {
            "anyOf": [{"$ref": "#/components/schemas/Numbers"}, {"type": "string"}, {"type": "boolean"}],
            "description": "A number, an array that broadcasts, or a framework's own switch.",
        }
    ),
]
"""A parameter: a number, an array, or one of the switches that some frameworks have."""

FunctionName: TypeAlias = Annotated[
    str,
    Field(max_length=100),
    WithJsonSchema({"type": "string", "enum": [*REGISTRY, *REGISTRY.framework_names]}),
]
"""A canonical name or a framework's own behind its prefix; which exist, the registry knows."""

DtypeName: TypeAlias = Annotated[
    str, Field(max_length=100), WithJsonSchema({"type": "string", "enum": list(FORMATS)})
]


Phases = TypeAliasType("Phases", "Literal['ordered', 'critical', 'chaotic'] | list[Phases]")
"""A phase for each cell."""


Size: TypeAlias = Annotated[int, Field(ge=1, le=10**12, strict=True)]

InitName: TypeAlias = Annotated[
    str,
    Field(max_length=100),
    WithJsonSchema({"type": "string", "enum": [*INITIALISERS, "critical"]}),
]
NormalizationName: TypeAlias = Annotated[
    str, Field(max_length=100), WithJsonSchema({"type": "string", "enum": list(NORMALISATIONS)})
]


class Model(BaseModel):
    """What all requests and answers share: no unknown fields, ndarrays allowed."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)


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


class MeanFieldRequest(Model):
    """An activation and the places of a phase diagram."""

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
    shape: list[int] = Field(description="What sigma_w and sigma_b broadcast to.")
    q_star: NumberArray = Field(description="Where the variance of pre-activations ends; may be infinite.")
    c_star: NumberArray = Field(description="Where the correlation of two inputs ends.")
    chi_1: NumberArray = Field(description="What one layer multiplies the gradient's second moment by.")
    xi_q: NumberArray = Field(description="Layers over which q − q* shrinks by e.")
    xi_c: NumberArray = Field(description="Layers over which c − c* shrinks by e.")
    xi_gradient: NumberArray = Field(description="Layers over which the second moment changes by e.")
    phase: Phases = Field(description="`ordered` (χ₁ < 1), `critical` or `chaotic` (χ₁ > 1).")
    critical_sigma_w: NumberArray = Field(
        description="The smallest σ_w on the edge of chaos for each sigma_b; NaN where there is none."
    )


class GaussianInputFields(Model):
    """Inputs drawn anew for each network."""

    kind: Literal["gaussian"] = "gaussian"
    variance: float = Field(1.0, ge=0, allow_inf_nan=False)
    correlation: float = Field(0.0, ge=-1, le=1, description="Between any two inputs of the batch.")


class Sigmas(Model):
    """Weights N(0, σ_w²/fan_in), biases N(0, σ_b²)."""

    sigma_w: float = Field(ge=0, le=1e6)
    sigma_b: float = Field(0.0, ge=0, le=1e6)


class ResidualFields(Model):
    """h + scale · φ(z) in every layer that keeps the width."""

    scale: float = Field(1.0, allow_inf_nan=False)


def _from_a_form(value: Any) -> GivenWeights | None:
    if value is None or isinstance(value, GivenWeights):
        return value
    message = "weights are a file: the part of that name in a multipart form, beside the part request"
    raise PydanticCustomError("weights", message)


WeightsPart: TypeAlias = SkipJsonSchema[Annotated[GivenWeights | None, PlainValidator(_from_a_form)]]
"""What the part ``weights`` of a form became; no field of a JSON body."""

REPLACED_BY_WEIGHTS = ("depth", "width", "init", "sigma_b", "networks")
"""Fields of `GradientFlowRequest` that must not be given beside weights, which say all of it."""


class GradientFlowRequest(Model):
    """A network to simulate. Only `activation` is required."""

    activation: FunctionName = Field(description="As `function` of `POST /activate`.")
    params: dict[str, ParamValue] = Field(default_factory=dict, description="The activation's parameters.")
    depth: Size | None = Field(None, description="Layers, 50 by default; not beside a list of widths.")
    width: Size | list[Size] = Field(
        512, description="Units of every layer, or all sizes, the inputs' first: `[784, 512, 10]`."
    )
    batch: Size | None = Field(None, description="Inputs of one batch, 32 by default.")
    init: InitName | Sigmas = Field(
        "xavier_normal", description="A framework's name, `critical` (the edge of chaos), or σ_w and σ_b."
    )
    sigma_b: float = Field(0.0, ge=0, le=1e6, description='Beside `"init": "critical"`: σ_b of the biases.')
    normalization: NormalizationName | None = Field(None, description="Of pre-activations.")
    residual: ResidualFields | None = None
    inputs: GaussianInputFields | NumberArray = Field(
        default_factory=GaussianInputFields, description="A distribution, or a real batch: batch × features."
    )
    upstream: NumberArray | None = Field(
        None,
        description="dL/d(outputs) of your own loss, batch × units of the last layer; "
        "by default a standard normal array for each network.",
    )
    networks: int = Field(8, ge=1, le=1000, strict=True, description="Independent random networks.")
    seed: int = Field(0, ge=0, le=2**64 - 1, strict=True)
    dtype: Literal["float64", "float32"] = "float64"
    engine: Literal["auto", "dense", "deferred"] = Field(
        "auto", description="`dense` makes the weights, `deferred` never does."
    )
    weights: WeightsPart = None


class SweepRequest(Model):
    """A network, and the fields that are varied: every combination is a cell."""

    base: Annotated[
        dict[str, Any], WithJsonSchema({"allOf": [{"$ref": "#/components/schemas/GradientFlowRequest"}]})
    ] = Field(description="A request for `POST /gradient-flow`; what the grid gives may be left out.")
    grid: dict[str, Annotated[list[Any], Field(min_length=1)]] = Field(
        min_length=1,
        max_length=10,
        description="The values of each field, by the field's name, or by a path such as `init.sigma_w`. "
        "Cells are numbered with the last field's values changing fastest.",
    )
    cells: list[Annotated[int, Field(ge=0, strict=True)]] | None = Field(
        None, description="Only these cells, by number: what a stream that was cut off did not bring."
    )


Figure: TypeAlias = NumberArray | None
"""A number; null where it is not defined."""


class SpreadFields(Model):
    """Median, 5th and 95th percentile over the networks in which the figure is defined; null in none."""

    median: Figure
    low: Figure
    high: Figure


class LayerFigures(Model):
    """What was measured in one layer."""

    layer: int
    fan_in: int
    fan_out: int
    preactivation_variance: SpreadFields
    activation_mean: SpreadFields
    activation_mean_square: SpreadFields
    correlation: SpreadFields
    saturated_fraction: SpreadFields
    dead_fraction: SpreadFields
    gradient_log10_rms: SpreadFields
    weight_gradient_log10_norm: SpreadFields


class GradientFields(Model):
    """The gradient from the last layer to the first."""

    log10_ratio: SpreadFields = Field(description="Layer 1 minus the last layer.")
    factor_per_layer: SpreadFields
    underflow: dict[str, int | None] = Field(
        description="By format the first layer, counted from the loss, whose gradient rounds to zero."
    )


class TheoryLayer(Model):
    """Mean-field theory of one layer."""

    q: Figure = Field(description="Variance of pre-activations.")
    chi: Figure = Field(description="What this layer multiplies the gradient's second moment by.")
    gradient_log10_rms: Figure = Field(description="As measured, at infinite width.")


class BasinFields(Model):
    """Variances of the first pre-activations, and the one that all of them end at."""

    low: Figure
    high: Figure
    q_star: Figure


class TheoryFields(Model):
    """The same network at infinite width, started where it starts."""

    q_star: Figure
    c_star: Figure
    chi_1: Figure
    xi_q: Figure
    xi_c: Figure
    xi_gradient: Figure
    predicted_log10_ratio: Figure
    critical_sigma_w: Figure
    basins: list[BasinFields] = Field(
        description="Where networks with other inputs would end: one entry where that is the same."
    )
    layers: list[TheoryLayer]


Illness: TypeAlias = Literal["vanishing", "exploding", "saturated", "dying", "collapsed", "dead"]
State: TypeAlias = Literal["healthy", "vanishing", "exploding", "saturated", "dying", "collapsed", "dead"]


class Sentences(Model):
    """The same sentences in English and Korean."""

    en: str
    ko: str


class FindingFields(Model):
    """One thing that keeps the network from learning, and the figures that say so."""

    state: Illness
    layer: int | None = Field(description="The layer that shows it, where it is one layer's.")
    evidence: dict[str, Figure]
    summary: Sentences


class VerdictFields(Model):
    """Can it learn, and what keeps it from learning."""

    state: State = Field(description="That of the first finding; healthy without one.")
    layer: int | None = Field(description="That of the first finding.")
    usable_depth: int = Field(description="Layers from the loss up to the first whose gradient is lost.")
    summary: Sentences
    findings: list[FindingFields] = Field(description="Worst first.")


class RemedyFields(Model):
    """A change of the request that was simulated and helped."""

    change: dict[str, Any]
    log10_ratio: Figure
    state: State


class GradientFlowResponse(Model):
    """Figures, theory, verdict and remedies."""

    engine: Literal["dense", "deferred", "mixed"]
    seed: int
    networks: int
    networks_dead: int = Field(description="Networks in which no gradient at all reaches the first layer.")
    dtype: str
    layers: list[LayerFigures]
    gradient: GradientFields
    theory: TheoryFields | None = Field(
        description="Null where it does not apply: normalisation, residual branches, unequal σ_w, "
        "activations that mix elements otherwise than by their maximum."
    )
    verdict: VerdictFields
    remedies: list[RemedyFields]


class PictureQuery(Model):
    """How a picture is to look."""

    theme: Literal["light", "dark"] = Field("light", description="Colours for a light or a dark page.")
    lang: Literal["en", "ko"] = Field("en", description="Language of titles and labels.")
    width: int = Field(560, ge=160, le=1600, description="Width of the drawing area, in pixels.")
    height: int = Field(300, ge=80, le=1200, description="Height of the drawing area, of each if several.")
    scale: float = Field(2.0, ge=0.5, le=4, description="PNG alone: pixels of the file for each of these.")


class FunctionsPictureQuery(PictureQuery):
    """Functions to draw, and over which range."""

    name: list[Annotated[str, Field(max_length=200)]] = Field(
        min_length=1,
        max_length=MOST_SERIES,
        description="A function as `POST /activate` takes it, with parameters in brackets: "
        "`leaky_relu(negative_slope=0.2)`, `torch:GELU(approximate=tanh)`. Once for each function.",
        examples=[list(REGISTRY)[:2]],
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
        max_length=MOST_HUES,
        description="The body of `POST /gradient-flow` as JSON. Once for each network to compare.",
        examples=[[f'{{"activation": "{next(iter(REGISTRY))}", "depth": 20, "width": 128, "networks": 2}}']],
    )


class DiagramPictureQuery(PictureQuery):
    """A request in the address, so that the picture has a plain one."""

    request: str = Field(
        max_length=10_000,
        description="The body of `POST /mean-field` as JSON.",
        examples=[
            f'{{"activation": "{next(iter(REGISTRY))}", "sigma_w": [[1, 5, 9]], "sigma_b": [[0], [1]]}}'
        ],
    )


class SweepLine(Model):
    """One line of a sweep's answer; ``type`` says which of the fields are there."""

    type: Literal["start", "cell", "failed", "progress", "end", "error"]
    cells: int | None = Field(None, description="start, progress: how many cells were asked for.")
    index: int | None = Field(None, description="cell, failed: the cell's number.")
    point: dict[str, Any] | None = Field(None, description="cell, failed: the grid's values there.")
    gradient: GradientFields | None = Field(None, description="cell.")
    verdict: VerdictFields | None = Field(None, description="cell.")
    problem: dict[str, Any] | None = Field(None, description="failed, error: a problem document.")
    completed: int | None = Field(None, description="progress, end: cells computed.")
    failed: int | None = Field(None, description="progress, end: cells that cannot be computed.")


class Health(Model):
    """Whether the service is there."""

    status: Literal["ok"]


def _parameter_names() -> frozenset[str]:
    ours = {each.name for entry in REGISTRY.values() for each in entry.parameters}
    theirs = {
        parameter
        for vocabulary in REGISTRY.vocabularies.values()
        for name in vocabulary
        for parameter in name.own_parameters
    }
    return frozenset(ours | theirs)


FIELD_NAMES: frozenset[str] = frozenset(
    name
    for model in (
        ActivateRequest,
        MeanFieldRequest,
        GradientFlowRequest,
        SweepRequest,
        GaussianInputFields,
        Sigmas,
        ResidualFields,
        FunctionsPictureQuery,
        NetworksPictureQuery,
    )
    for name in model.model_fields
)
"""The fields of all requests."""

KNOWN_NAMES: frozenset[str] = FIELD_NAMES | _parameter_names() | {"body", "query", "path", "header"}
"""Names that an error may repeat, because they are ours."""
