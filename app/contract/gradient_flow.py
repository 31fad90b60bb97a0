"""``POST /gradient-flow``: its request and answer."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, PlainValidator
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticCustomError

from app.contract.arrays import Model, NumberArray, ParamValue
from app.contract.blocks import BlockFields
from app.contract.names import FunctionName, InitName, NormalizationName
from app.core.propagation.given import GivenWeights, StateDict

Size: TypeAlias = Annotated[int, Field(ge=1, le=10**12, strict=True)]


class GaussianInputFields(Model):
    """Inputs drawn separately for each network."""

    kind: Literal["gaussian"] = "gaussian"
    variance: float = Field(1.0, ge=0, allow_inf_nan=False)
    correlation: float = Field(0.0, ge=-1, le=1, description="Between any two inputs of the batch.")


class Sigmas(Model):
    """Weights N(0, σ_w²/fan_in), biases N(0, σ_b²)."""

    sigma_w: float = Field(ge=0, le=1e6)
    sigma_b: float = Field(0.0, ge=0, le=1e6)


class DistributionFields(Model):
    """Weights of standard deviation gain/√fan, or gain times an orthogonal matrix; biases 0."""

    distribution: Literal["normal", "uniform", "truncated_normal", "orthogonal"]
    gain: float = Field(1.0, ge=0, le=1e6)
    fan: Literal["in", "out", "average", "none"] = Field(
        "in",
        description="With `none` gain is the standard deviation itself. It has no effect with `orthogonal`.",
    )


class LayerActivation(Model):
    """One layer's activation."""

    activation: FunctionName = Field(description="As `function` of `POST /activate`.")
    params: dict[str, ParamValue] = Field(default_factory=dict)


class DropoutFields(Model):
    """Values set to zero at random in training, after every activation but the last layer's.

    In a transformer standard dropout is where `torch.nn.TransformerEncoderLayer` has it.
    """

    rate: float = Field(ge=0, lt=1, description="The probability that a value is dropped.")
    kind: Literal["standard", "alpha"] = Field("standard", description="`alpha` is SELU's.")


LAYERS_LISTED = 10_000
"""Most entries of a list with one for each layer."""

Law: TypeAlias = InitName | Sigmas | DistributionFields


class ResidualFields(Model):
    """h + scale · φ(z) in every layer that keeps the width."""

    scale: float = Field(1.0, allow_inf_nan=False)


def _from_a_form(value: Any) -> GivenWeights | StateDict | None:
    if value is None or isinstance(value, GivenWeights | StateDict):
        return value
    message = "weights are a file: the part of that name in a multipart form, next to the part request"
    raise PydanticCustomError("weights", message)


WeightsPart: TypeAlias = SkipJsonSchema[
    Annotated[GivenWeights | StateDict | None, PlainValidator(_from_a_form)]
]
"""The parsed part ``weights`` of a form: plain layers, or a state dict for blocks; not a field in JSON."""

LayersPart: TypeAlias = SkipJsonSchema[Annotated[GivenWeights | None, PlainValidator(_from_a_form)]]
"""The same for plain layers only."""

REPLACED_BY_WEIGHTS = ("depth", "width", "init", "sigma_b", "networks")
"""Fields of `GradientFlowRequest` that must not be given with weights, which determine them.

The weights of a recurrent network do not determine its depth.
"""


class GradientFlowRequest(Model):
    """A network to simulate. Only `activation` is required."""

    activation: (
        FunctionName
        | Annotated[list[FunctionName | LayerActivation], Field(min_length=1, max_length=LAYERS_LISTED)]
    ) = Field(
        description="As `function` of `POST /activate`; or a list with one for each layer, a name or an "
        "object with `activation` and `params`."
    )
    params: dict[str, ParamValue] = Field(
        default_factory=dict, description="The activation's parameters; not with a list."
    )
    depth: Size | None = Field(None, description="Layers, 50 by default; not with a list of widths.")
    width: Size | list[Size] = Field(
        512, description="Units of every layer, or all sizes, the inputs' first: `[784, 512, 10]`."
    )
    batch: Size | None = Field(None, description="Inputs of one batch, 32 by default.")
    init: Law | Annotated[list[Law], Field(min_length=1, max_length=LAYERS_LISTED)] | None = Field(
        None,
        description="A framework's name, `critical` (the edge of chaos), `fair` (the same, or where there is "
        "none the σ_w that keeps the signal's mean square), `lsuv` (orthogonal, then each layer scaled to "
        "unit variance on the batch), σ_w and σ_b, or a distribution; or a list with one for each layer. "
        "By default `he_normal` for plain layers and convolutions whose activation is a rectifier (ReLU, "
        "leaky ReLU, ELU, GELU, SiLU, Mish …), `xavier_normal` for all others.",
    )
    sigma_b: float = Field(0.0, ge=0, le=1e6, description='With `"init": "critical"`: σ_b of the biases.')
    normalization: NormalizationName | None = Field(None, description="Of pre-activations.")
    residual: ResidualFields | None = None
    dropout: DropoutFields | None = None
    block: BlockFields | None = Field(
        None, description="What `depth` counts, instead of plain layers; `width` is then the stream's."
    )
    inputs: GaussianInputFields | NumberArray = Field(
        default_factory=GaussianInputFields,
        description="A distribution, or your own batch: batch × features; for a recurrent network batch × "
        "times × features.",
    )
    upstream: NumberArray | None = Field(
        None,
        description="dL/d(outputs) of your own loss, batch × units of the last layer; "
        "by default a standard normal array for each network.",
    )
    memory: NumberArray | None = Field(
        None,
        description="Of a transformer with `cross_attention`: the tokens that the second attention looks at, "
        "tokens × width (with a state dict whose keys have another width, that one); by default the "
        "network's own inputs. The gradient ends there.",
    )
    networks: int = Field(8, ge=1, le=1000, strict=True, description="Independent random networks.")
    seed: int = Field(0, ge=0, le=2**64 - 1, strict=True)
    dtype: Literal["float64", "float32"] = "float64"
    engine: Literal["auto", "dense", "deferred"] = Field(
        "auto", description="`dense` creates the weights, `deferred` never does."
    )
    train: bool = Field(
        False,
        strict=True,
        description="Tests the verdict: adds the result of a short training of such networks on "
        "handwritten digits.",
    )
    weights: WeightsPart = None


Figure: TypeAlias = NumberArray | None
"""A number, or null if it is undefined."""


class SpreadFields(Model):
    """Median, 5th and 95th percentile over the networks in which the figure is defined; null in none."""

    median: Figure
    low: Figure
    high: Figure


class OptionalSpread(Model):
    """Median, 5th and 95th percentile over the runs that have not diverged; null where there is none."""

    median: NumberArray | None
    low: NumberArray | None
    high: NumberArray | None


class MatrixFields(Model):
    """One of a block's matrices."""

    name: str
    rows: int
    columns: int
    weight_gradient_log10_norm: SpreadFields


class LayerFigures(Model):
    """What was measured in one layer, or one block.

    Of a block, the gradient is that of dL/dh at its input, activations and correlation are the stream's at
    its end, what concerns pre-activations is measured inside, and the weight gradient is over all its
    matrices.
    """

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
    attention_entropy: SpreadFields | None = Field(
        None, description="Of a transformer: the mean of −Σ p ln p over heads and tokens."
    )
    cross_attention_entropy: SpreadFields | None = Field(
        None, description="The same of the second attention, to `memory`."
    )
    cell_gradient_log10_rms: SpreadFields | None = Field(
        None, description="Of an LSTM: log10 of the root mean square of dL/dc_t."
    )
    matrices: list[MatrixFields] | None = Field(None, description="Of a block.")


class MixedPrecisionFields(Model):
    """Training in a short format. A scale is safe where no gradient overflows and none is subnormal."""

    overflow: int | None = Field(description="The first layer whose signal overflows.")
    smallest_loss_scale: float | None = Field(
        description="A power of two: below it, the typical gradient of some layer or its weights is "
        "subnormal. Null where no scale is safe."
    )
    largest_loss_scale: float | None = Field(description="Above it, the largest gradient overflows.")


class GradientFields(Model):
    """The gradient from the last layer to the first."""

    log10_ratio: SpreadFields = Field(description="Layer 1 minus the last layer.")
    factor_per_layer: SpreadFields
    underflow: dict[str, int | None] = Field(
        description="By format the first layer, counted from the loss, whose gradient rounds to zero."
    )
    mixed_precision: dict[Literal["float16", "bfloat16"], MixedPrecisionFields]


class TheoryLayer(Model):
    """Mean-field theory of one layer."""

    q: Figure = Field(description="Variance of pre-activations.")
    chi: Figure = Field(description="The factor by which this layer changes the gradient's second moment.")
    gradient_log10_rms: Figure = Field(description="The measured figure at infinite width.")


class BasinFields(Model):
    """Variances of the first pre-activations, and the one that all of them converge to."""

    low: Figure
    high: Figure
    q_star: Figure


class FiniteWidthFields(Model):
    """The effect of a finite width, for one input: log10_ratio is nearly normal, with this mean and range."""

    beta: Figure = Field(description="Σ 1/width over the layers below the last.")
    mean: Figure
    low: Figure = Field(description="5th percentile.")
    high: Figure = Field(description="95th percentile.")
    born_dead: Figure = Field(description="Probability that no gradient at all reaches the first layer.")


class TheoryFields(Model):
    """The same network at infinite width, with the same inputs.

    With normalisation, residual branches, dropout or layers that differ it is computed layer by layer;
    `q_star`, `chi_1` and `xi_gradient` are then what the last layers have settled at. In a convolution with
    zeros beyond the edge every position has a variance of its own: `layers` has the means over them, and
    these three are null.
    """

    q_star: Figure
    c_star: Figure
    chi_1: Figure
    xi_q: Figure
    xi_c: Figure
    xi_gradient: Figure
    predicted_log10_ratio: Figure
    critical_sigma_w: Figure
    finite_width: FiniteWidthFields | None = Field(
        description="For plain layers without normalisation, branches and dropout."
    )
    basins: list[BasinFields] = Field(
        description="Where networks with other inputs converge: one entry if all converge to the same."
    )
    layers: list[TheoryLayer]


class TensorFields(Model):
    """One tensor of every block."""

    tensor: str = Field(description="Its name, `*` for a number.")
    part: str = Field(description="The matrix, as in `layers`, or the normalisation; of several the first.")
    kind: Literal["weight", "bias", "gain", "offset"]
    shape: list[int] = Field(description="As it was sent.")
    transposed: bool = Field(description="It was sent as inputs × outputs.")


class OriginFields(Model):
    """How the tensors of a state dict were used."""

    module: str = Field(description="The module that has these names.")
    blocks: int
    tensors: list[TensorFields]
    left_out: list[str] = Field(description="Names of tensors that belong to no block, 100 at most.")


Illness: TypeAlias = Literal["vanishing", "exploding", "saturated", "dying", "collapsed", "dead"]
State: TypeAlias = Literal["healthy", "vanishing", "exploding", "saturated", "dying", "collapsed", "dead"]


class Sentences(Model):
    """The same sentences in English and Korean."""

    en: str
    ko: str


class FindingFields(Model):
    """One reason why the network does not learn, and the figures that show it."""

    state: Illness
    layer: int | None = Field(description="The layer that shows it, where it is a single one.")
    evidence: dict[str, Figure]
    summary: Sentences


class VerdictFields(Model):
    """Whether the network can learn, and if not, why."""

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


class AccuracyFields(Model):
    """How accurately a formula was evaluated in double precision: f and f′ against ball arithmetic.

    With several formulas, that of the least accurate.
    """

    low: float = Field(description="The formula's smallest argument.")
    high: float = Field(description="The largest.")
    points: int = Field(description="Points between them at which it was checked.")
    largest_error: float = Field(description="The largest difference of f or f′ from the exact value.")
    largest_relative_error: float = Field(
        description="The same relative to the exact value, where that is not subnormal."
    )


class TrialFields(Model):
    """The result of a short training: the layers between 64 pixels and a linear head, SGD with momentum."""

    task: Literal["digits"]
    state: Literal["learns", "does_not_learn", "diverges", "not_tried"] = Field(
        description="`learns` if at least half of the held-out digits are right; `not_tried` where the "
        "networks are too deep to train here."
    )
    width: int = Field(
        description="Units of the widest layer; fewer than requested where those are too many."
    )
    steps: int = Field(description="0 where it was not tried.")
    runs: int
    diverged: int = Field(description="Runs that have diverged; the figures are those of the others.")
    loss: OptionalSpread = Field(description="On the training examples, at the end.")
    accuracy: OptionalSpread = Field(description="On the digits held out.")
    summary: Sentences


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
        description="Null where it does not apply: attention, recurrent networks, batch_norm other than in "
        "plain layers over four drawn inputs or more, normalisation inside blocks, convolutions with zeros "
        "beyond the edge if layers × positions × kernel exceed 16,777,216, LSUV, given weights, "
        "activations that mix elements otherwise than by their maximum."
    )
    verdict: VerdictFields
    remedies: list[RemedyFields]
    training: TrialFields | None = Field(None, description="Where `train` requested it.")
    formula: AccuracyFields | None = Field(None, description="Where an activation is a formula.")
    memory: Literal["inputs", "given"] | None = Field(
        None, description="What a second attention looked at: the network's own inputs, or `memory`."
    )
    weights: OriginFields | None = Field(None, description="Where blocks are made from a state dict.")
