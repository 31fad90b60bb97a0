"""Converts a request for a training to a plan, and checks its cost against the service's limits."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial, reduce
from operator import add

from app.contract.gradient_flow import Sigmas
from app.contract.training import DataFields, TrainedActivation, TrainingRequest
from app.core.activations import REGISTRY
from app.core.activations.registry import Call
from app.core.diagnosis.theory import critical
from app.core.errors import ActivationLabError, InvalidValue, LimitExceeded, UnknownName
from app.core.propagation.given import GivenWeights
from app.core.propagation.initialisers import INITIALISERS, Initialiser, gaussian
from app.core.propagation.normalisation import normalisation
from app.core.propagation.units import Units
from app.core.training import data
from app.core.training.cost import Cost, Extent, cost
from app.core.training.data import Split
from app.core.training.initial import fair, linear
from app.core.training.learner import Learner, always_learned
from app.core.training.losses import loss
from app.core.training.optimisers import optimiser
from app.core.training.run import Training, Watch
from app.settings import Settings

MOST_NUMBERS = 4_000_000
"""Numbers in all frames of one answer: some 60 MB of JSON."""

HELD_OUT = {"digits": 0.2}
"""Shares of data sets that are held out unless the request says otherwise."""


_OWN: Mapping[str, Callable[[Call], Initialiser]] = {"critical": partial(critical, sigma_b=0.0), "fair": fair}
"""Initialisations that depend on the activation."""


@dataclass(frozen=True)
class Plan:
    """Trainings side by side, their names, and their total cost."""

    names: list[str]
    trainings: list[Training]
    cost: Cost


def described(body: TrainingRequest, settings: Settings) -> Plan:
    """The plan that the request describes; raises the core's errors, `LimitExceeded` if it costs too much."""
    features, outputs, count = _shape(body.data, body.loss)
    _check_elements(count * features, settings)
    learners = [
        _learner(each, body, (features, outputs), number) for number, each in enumerate(body.activations)
    ]
    watch = _watch(body, learners)
    rule = optimiser(body.optimizer.kind, body.optimizer.learning_rate, body.optimizer.momentum)
    every = math.ceil(body.steps / body.frames)
    extent = Extent(
        count=count,
        batch=body.optimizer.batch,
        steps=body.steps,
        runs=body.runs,
        frames=math.ceil(body.steps / every) + 1,
        memories=rule.memories,
    )
    estimate = reduce(add, (cost(each, extent, watch) for each in learners))
    _afford(estimate, settings)
    split = _split(body)
    _check_batch(body, split)
    trainings = [
        Training(
            learner=each,
            split=split,
            loss=loss(body.loss),
            optimiser=rule,
            steps=body.steps,
            runs=body.runs,
            seed=body.seed,
            batch=body.optimizer.batch,
            every=every,
            watch=watch,
        )
        for each in learners
    ]
    return Plan([each.activation for each in body.activations], trainings, estimate)


def _shape(fields: DataFields, loss_name: str) -> tuple[int, int, int]:
    """The numbers of features, outputs and examples, before any examples are created."""
    if fields.inputs is None and fields.targets is None:
        kind = "rings" if fields.kind is None else fields.kind
        if fields.classes is not None and kind != "blobs":
            raise InvalidValue("is only for blobs", loc=("data", "classes"))
        features, outputs, count = data.shape(kind, fields.classes or data.BLOBS)
        return features, outputs, count if fields.count is None else fields.count
    if fields.inputs is None or fields.targets is None:
        missing = "inputs" if fields.inputs is None else "targets"
        raise InvalidValue("inputs and targets must be given together", loc=("data", missing))
    for name in ("kind", "count", "noise", "classes"):
        if getattr(fields, name) is not None:
            raise InvalidValue("must not be given with inputs and targets", loc=("data", name))
    examples = _given(fields.model_copy(update={"held_out": None}), loss_name, 0).training
    return examples.features, examples.outputs, examples.count


def _given(fields: DataFields, loss_name: str, seed: int) -> Split:
    assert fields.inputs is not None
    assert fields.targets is not None
    classify = not loss(loss_name).meets_numbers
    held_out = fields.held_out or 0.0
    return data.given(fields.inputs, fields.targets, classify=classify, held_out=held_out, seed=seed)


def _split(body: TrainingRequest) -> Split:
    fields = body.data
    if fields.inputs is not None:
        return _given(fields, body.loss, body.seed)
    kind = "rings" if fields.kind is None else fields.kind
    held_out = HELD_OUT.get(kind, 0.0) if fields.held_out is None else fields.held_out
    return data.drawn(
        kind,
        body.seed,
        count=fields.count,
        noise=data.NOISE if fields.noise is None else fields.noise,
        classes=data.BLOBS if fields.classes is None else fields.classes,
        held_out=held_out,
    )


def _learner(choice: TrainedActivation, body: TrainingRequest, ends: tuple[int, int], number: int) -> Learner:
    try:
        call = REGISTRY.resolve(choice.activation, choice.params)
        weights, head = _weights(body, call)
        return Learner(
            sizes=(ends[0], *_hidden(body, call), ends[1]),
            call=call,
            weights=weights,
            head=head,
            learned=_learned(choice, call),
            normalisation=None if body.normalization is None else normalisation(body.normalization),
            residual=None if body.residual is None else body.residual.scale,
        )
    except ActivationLabError as error:
        if error.loc and error.loc[0] in {"function", "activation", "params", "learn"}:
            rest = ("activation",) if error.loc[0] == "function" else error.loc
            error.loc = ("activations", number, *rest)
        raise


def _hidden(body: TrainingRequest, call: Call) -> list[int]:
    """Units of the hidden layers, from the caller's own matrices if given."""
    if body.weights is None:
        return body.hidden
    if "hidden" in body.model_fields_set:
        raise InvalidValue("must not be given with weights, which determine it", loc=("hidden",))
    pieces = Units(call).pieces
    return [len(matrix) // pieces for matrix in body.weights.matrices[:-1]]


def _learned(choice: TrainedActivation, call: Call) -> tuple[str, ...]:
    if choice.learn is None:
        return always_learned(call)
    possible = [
        each.name for each in call.activation.parameters if each.learnable and each.name in call.params
    ]
    for name in choice.learn:
        if name not in possible:
            raise UnknownName("trained parameter", name, possible, loc=("learn",))
    return tuple(dict.fromkeys(choice.learn))


def _weights(body: TrainingRequest, call: Call) -> tuple[Initialiser | GivenWeights, Initialiser]:
    """Weights or initialiser of the hidden layers, and initialiser of the head."""
    if body.weights is not None:
        if "init" in body.model_fields_set:
            raise InvalidValue("must not be given with weights, which determine it", loc=("init",))
        return body.weights, linear()
    if isinstance(body.init, Sigmas):
        drawn = gaussian(body.init.sigma_w, body.init.sigma_b)
        return drawn, drawn
    if body.init in _OWN:
        return _OWN[body.init](call), linear()
    if body.init not in INITIALISERS:
        raise UnknownName("initialiser", body.init, (*INITIALISERS, *_OWN), loc=("init",))
    drawn = INITIALISERS[body.init]
    return drawn, drawn


def _watch(body: TrainingRequest, learners: list[Learner]) -> Watch:
    if body.watch.boundary == 1 or (body.watch.boundary and learners[0].sizes[0] > 2):
        message = "must be 2 points or more, and the inputs must have one or two features"
        raise InvalidValue(message, loc=("watch", "boundary"))
    for each in learners:
        _check_watched(body, each)
    return Watch(body.watch.boundary, tuple(body.watch.weights))


def _check_watched(body: TrainingRequest, learner: Learner) -> None:
    """Raises `InvalidValue` for a watched weight that does not exist."""
    for number, (layer, row, column) in enumerate(body.watch.weights):
        if layer >= len(learner.layers):
            message = f"the layer must be below {len(learner.layers)}"
        elif row >= learner.layers[layer].rows or column >= learner.layers[layer].fan_in:
            shape = learner.layers[layer]
            message = f"layer {layer} has {shape.rows} rows and {shape.fan_in} columns, counted from 0"
        else:
            continue
        raise InvalidValue(message, loc=("watch", "weights", number))


def _check_elements(numbers: int, settings: Settings) -> None:
    limit = settings.max_elements
    if numbers > limit:
        raise LimitExceeded("the data", estimate=numbers, limit=limit, unit="numbers", loc=("data",))


def _check_batch(body: TrainingRequest, split: Split) -> None:
    batch, count = body.optimizer.batch, split.training.count
    if batch is not None and batch > count:
        raise InvalidValue(f"must be at most {count}, the examples to train on", loc=("optimizer", "batch"))
    if body.normalization is None or normalisation(body.normalization).over != "batch":
        return
    if count == 1 or (batch is not None and (batch == 1 or count % batch == 1)):
        message = "must leave 2 examples or more in every batch where the batch is normalised"
        raise InvalidValue(message, loc=("optimizer", "batch"))


def _afford(estimate: Cost, settings: Settings) -> None:
    limits = (
        (estimate.work, settings.max_flow_work, "operations", ("steps",)),
        (estimate.bytes, settings.max_flow_bytes, "bytes", ("hidden",)),
        (estimate.numbers, MOST_NUMBERS, "numbers in its frames", ("frames",)),
    )
    for found, limit, unit, loc in limits:
        if found > limit:
            raise LimitExceeded("the training", estimate=found, limit=limit, unit=unit, loc=loc)
