"""``POST /training``: its request, and the lines of its answer."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field, RootModel, WithJsonSchema

from app.contract.arrays import Model, NumberArray, ParamValue
from app.contract.gradient_flow import LayersPart, OptionalSpread, ResidualFields, Sigmas
from app.contract.names import (
    DataName,
    FunctionName,
    LossName,
    NormalizationName,
    OptimizerName,
    TrainingInitName,
)
from app.contract.pictures import MOST_CURVES

Size: TypeAlias = Annotated[int, Field(ge=1, le=10**12, strict=True)]
Place: TypeAlias = Annotated[int, Field(ge=0, le=10**12, strict=True)]


class TrainedActivation(Model):
    """An activation, and which of its parameters are trained."""

    activation: FunctionName = Field(description="As `function` of `POST /activate`.")
    params: dict[str, ParamValue] = Field(
        default_factory=dict,
        description="Its parameters, where they are trained their values at the start: a number for each "
        "layer, or an array with one for each unit.",
    )
    learn: list[Annotated[str, Field(max_length=100)]] | None = Field(
        None,
        max_length=20,
        description="The parameters that are trained; by default those that networks always learn, such as "
        "PReLU's slope.",
    )


def _named(value: Any) -> Any:
    return {"activation": value} if isinstance(value, str) else value


ActivationChoice: TypeAlias = Annotated[
    TrainedActivation,
    BeforeValidator(_named),
    WithJsonSchema(
        {
            "anyOf": [
                {"$ref": "#/components/schemas/FunctionName"},
                {"$ref": "#/components/schemas/TrainedActivation"},
            ]
        }
    ),
]
"""A name, or a name with parameters."""


class DataFields(Model):
    """A data set by its kind, or the caller's own: `inputs` and `targets`."""

    kind: DataName | None = Field(None, description="By default `rings`, unless `inputs` are given.")
    count: Size | None = Field(None, description="Examples: 256 by default, of `digits` all 1,797.")
    noise: float | None = Field(
        None,
        ge=0,
        le=1e6,
        description="Standard deviation of the noise added to every coordinate, 0.1 by default; in `line` "
        "the scale of the logistic distribution that blurs the label. `digits` has none.",
    )
    classes: int | None = Field(
        None, ge=2, le=100, strict=True, description="Only for `blobs`: the number of clouds, 3 by default."
    )
    inputs: NumberArray | None = Field(None, description="Your own: count × features.")
    targets: NumberArray | None = Field(
        None,
        description="One for each input: class numbers from 0 for the logistic loss; for the squared loss "
        "the numbers to fit, or count × outputs.",
    )
    held_out: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="The share of examples, drawn at random, that is held out of training and measured on; "
        "of `digits` a fifth by default, else 0.",
    )


class OptimizerFields(Model):
    """How the loss is minimised."""

    kind: OptimizerName = Field("sgd", description="`sgd`, or `adam` (β₁ 0.9, β₂ 0.999, ε 1e-8).")
    learning_rate: float = Field(0.1, gt=0, allow_inf_nan=False)
    momentum: float = Field(0.0, ge=0, lt=1, description="Of `sgd`.")
    batch: Size | None = Field(
        None, description="Examples per step, in a new random order for every epoch; all of them by default."
    )


class WatchFields(Model):
    """What to record besides the figures."""

    boundary: int = Field(
        0,
        ge=0,
        le=1000,
        strict=True,
        description="Points along each axis at which run 0 is evaluated: the decision boundary. For one or "
        "two features.",
    )
    weights: list[tuple[Place, Place, Place]] = Field(
        default_factory=list,
        max_length=100,
        description="Weights to follow: layer, row and column of its matrix, from 0; the head's layer is the "
        "last.",
    )


class TrainingRequest(Model):
    """Networks to train side by side. Only `activations` is required."""

    activations: list[ActivationChoice] = Field(
        min_length=1, max_length=MOST_CURVES, description="Each a name, or a name with parameters."
    )
    data: DataFields = Field(default_factory=DataFields)
    hidden: list[Size] = Field(
        default_factory=lambda: [16, 16, 16],
        max_length=1000,
        description="Units of each hidden layer. A linear head of the size that the data need follows.",
    )
    init: TrainingInitName | Sigmas = Field(
        "he_normal",
        description="As for `POST /gradient-flow`; `fair` is each activation's own critical one, or where "
        "there is none the one that keeps the signal's mean square.",
    )
    normalization: NormalizationName | None = Field(None, description="Of hidden pre-activations.")
    residual: ResidualFields | None = None
    loss: LossName = Field(
        "logistic", description="`logistic`: binary or softmax cross entropy; or `squared`: the mean square."
    )
    optimizer: OptimizerFields = Field(default_factory=OptimizerFields)
    steps: Size = 500
    runs: int = Field(8, ge=1, le=1000, strict=True, description="Networks of each activation.")
    seed: int = Field(0, ge=0, le=2**64 - 1, strict=True)
    frames: int = Field(
        50,
        ge=1,
        le=100_000,
        strict=True,
        description="Number of frames, without the one before the first step.",
    )
    watch: WatchFields = Field(default_factory=WatchFields)
    weights: LayersPart = None


class HistogramFields(Model):
    """Shares of a layer's outputs in equal bins."""

    low: NumberArray = Field(description="Where the first bin begins.")
    high: NumberArray = Field(description="Where the last one ends.")
    shares: OptionalSpread


class SignAgreement(Model):
    """The share of a unit's weight gradients that have the sign of most of them."""

    sample: OptionalSpread = Field(description="For the loss of one example, mean over examples.")
    batch: OptionalSpread = Field(description="For the loss of all examples, mean over units.")


class LayerFrame(Model):
    """What was measured in one layer on all training examples; the last one is the head."""

    layer: int
    gradient_log10_rms: OptionalSpread = Field(description="log10 of the root mean square of dL/dz.")
    dead_fraction: OptionalSpread = Field(description="Units with slope 0 for every example.")
    saturated_fraction: OptionalSpread
    activation_mean: OptionalSpread
    update_to_weight: OptionalSpread = Field(description="‖ΔW‖/‖W‖ of the step before this frame.")
    sign_agreement: SignAgreement
    histogram: HistogramFields | None = Field(description="Of the layer's outputs.")
    learned: dict[str, OptionalSpread] = Field(description="The activation's trained parameters.")


class ActivationFrame(Model):
    """One activation's networks at one step."""

    activation: str = Field(description="As named in the request.")
    diverged: int = Field(description="Runs that have diverged; the figures are those of the others.")
    loss: OptionalSpread
    accuracy: OptionalSpread
    held_out_loss: OptionalSpread
    held_out_accuracy: OptionalSpread
    layers: list[LayerFrame]
    boundary: NumberArray | None = Field(
        description="The output of run 0 at the points of `start.boundary`, rows upwards: the probability of "
        "class 1 to three decimals, or the class; with the squared loss the output."
    )
    weights: list[NumberArray | None] = Field(
        description="The watched weights of each run; null once it has diverged."
    )


class Reached(OptionalSpread):
    """Steps until an accuracy was reached for the first time; `"Infinity"` for runs that never did."""

    runs: int = Field(description="How many runs reached it.")


class Diverged(Model):
    """A run whose loss became NaN, or a million times its first value."""

    run: int
    step: int


class TimingFields(Model):
    """Measured times: the only figures that differ from one request to the next."""

    step_seconds: OptionalSpread = Field(description="A step of all runs together, over the steps.")
    nanoseconds_per_element: OptionalSpread = Field(description="φ and φ′ of one number, over the frames.")


class ZigzagFields(Model):
    """How the watched weights moved."""

    path_over_distance: OptionalSpread = Field(description="Their path over the straight line to its end.")
    reversals: OptionalSpread = Field(description="How often a weight changed direction, mean over them.")


class ActivationResult(Model):
    """The results of one activation's networks."""

    activation: str
    loss: OptionalSpread
    accuracy: OptionalSpread
    held_out_loss: OptionalSpread
    held_out_accuracy: OptionalSpread
    steps_to: dict[str, Reached] = Field(
        description="By accuracy in percent; checked at every step with full batches, else at every frame."
    )
    dead_units: OptionalSpread = Field(
        description="Hidden units that stay dead: at the end, and for at least a tenth of the steps."
    )
    dead_units_by_layer: list[OptionalSpread]
    activation_mean: list[OptionalSpread] = Field(description="At the end, layer by layer.")
    learned: list[dict[str, OptionalSpread]] = Field(description="At the end, by hidden layer.")
    zigzag: ZigzagFields | None = Field(description="Null where no weights are watched.")
    diverged: list[Diverged]
    timing: TimingFields


class BoundaryPlace(Model):
    """The grid on which the decision boundary is evaluated."""

    low: NumberArray = Field(description="The first point, by feature.")
    high: NumberArray = Field(description="The last point.")
    points: int = Field(description="Along each axis.")


class Networks(Model):
    """What one activation's networks are."""

    activation: str
    sizes: list[int] = Field(description="Features, hidden units, outputs.")
    parameters: int = Field(description="Numbers that a run learns.")
    sigma_w: float | None = Field(description="√(fan_in Var W) of the first layer at the start.")
    learned: list[str]


class TrainingStart(Model):
    """What will be trained."""

    type: Literal["start"]
    steps: int
    runs: int
    seed: int
    every: int = Field(description="Steps from one frame to the next; the last step has one too.")
    examples: int = Field(description="Trained on.")
    held_out: int = Field(description="Measured on.")
    classes: int | None = Field(description="Null where targets are numbers.")
    boundary: BoundaryPlace | None
    networks: list[Networks]


class TrainingFrame(Model):
    """All networks after the same number of steps."""

    type: Literal["frame"]
    step: int
    activations: list[ActivationFrame]


class TrainingResult(Model):
    """The results of all networks."""

    type: Literal["result"]
    activations: list[ActivationResult]


class TrainingError(Model):
    """What went wrong after the start."""

    type: Literal["error"]
    problem: dict[str, Any] = Field(description="A problem document.")


class TrainingLine(RootModel[TrainingStart | TrainingFrame | TrainingResult | TrainingError]):
    """One line of a stream; `type` says which."""

    root: Annotated[
        TrainingStart | TrainingFrame | TrainingResult | TrainingError, Field(discriminator="type")
    ]


class TrainingResponse(Model):
    """The result, with the start and all frames."""

    start: TrainingStart
    activations: list[ActivationResult]
    frames: list[TrainingFrame]
