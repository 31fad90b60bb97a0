"""Converts a request for a network to an experiment, and checks its cost against the service's limits."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from app.api.mean_field import named
from app.contract.blocks import ConvolutionBlockFields, RecurrentBlockFields, TransformerBlockFields
from app.contract.gradient_flow import (
    REPLACED_BY_WEIGHTS,
    DistributionFields,
    GaussianInputFields,
    GradientFlowRequest,
    Law,
    Sigmas,
)
from app.core.activations.registry import Call
from app.core.diagnosis.experiment import Experiment
from app.core.diagnosis.theory import critical
from app.core.errors import InvalidValue, LimitExceeded
from app.core.propagation.block_kinds import block
from app.core.propagation.dropout import Dropout
from app.core.propagation.engine import FLOPS_PER_DEFERRAL
from app.core.propagation.given import GivenWeights, StateDict
from app.core.propagation.initialisers import LSUV, Initialiser, detailed, gaussian, initialiser
from app.core.propagation.network import GaussianInputs, Network, given_network
from app.core.propagation.normalisation import normalisation
from app.core.propagation.recurrent_block import RecurrentBlock
from app.core.propagation.simulation import Inputs
from app.core.propagation.state_dict import adopted
from app.core.propagation.units import Units
from app.core.training.initial import fair, usual
from app.settings import Settings

LAYER_BYTES = 10_000
"""Memory of a layer's figures as Python objects and in the answer, whatever its width."""


def described(body: GradientFlowRequest, settings: Settings) -> Experiment:
    """The experiment that the request describes; raises `LimitExceeded` if it costs too much."""
    calls = _calls(body)
    body = _complete(body, calls)
    return _drawn(body, calls, settings) if body.weights is None else _given(body, calls, settings)


def complete(body: GradientFlowRequest) -> GradientFlowRequest:
    """The request with the initialisation that it leaves open."""
    return _complete(body, _calls(body))


def _complete(body: GradientFlowRequest, calls: list[Call]) -> GradientFlowRequest:
    if body.init is not None or body.weights is not None:
        return body
    layers = body.block is None or isinstance(body.block, ConvolutionBlockFields)
    found = {id(call): usual(call) if layers else "xavier_normal" for call in calls}
    listed = [found[id(call)] for call in calls]
    same = len(set(listed)) == 1
    return body.model_copy(update={"init": listed[0] if same else listed})


def _drawn(body: GradientFlowRequest, calls: list[Call], settings: Settings) -> Experiment:
    """Random networks with the sizes and initialisations of the request."""
    laws = _laws(body, calls)
    depth = _depth(body)
    inputs = _inputs(body)

    def experiment(sizes: tuple[int, ...], inputs: Inputs, **listed: Any) -> Experiment:
        network = Network(sizes=sizes, call=calls[0], weights=laws[0], **_architecture(body), **listed)
        return _experiment(body, network, inputs, body.networks)

    one = max(set(pairwise(_sizes(body, 1))), key=math.prod)
    # A step of a recurrent network reads one time of its inputs.
    _check_size(
        experiment(one, inputs if _times(body) is None else GaussianInputs(_batch(body))), depth, settings
    )
    listed = {"calls": _if_listed(body.activation, calls), "laws": _if_listed(body.init, laws)}
    whole = _with_upstream(experiment(_sizes(body, depth), inputs, **listed), body)
    _afford(whole.cost.work * body.networks, whole.cost.bytes, settings, "width")
    return whole


def _given(body: GradientFlowRequest, calls: list[Call], settings: Settings) -> Experiment:
    """The network of the caller's own weights."""
    assert body.weights is not None
    tied = isinstance(body.block, RecurrentBlockFields)
    for name in REPLACED_BY_WEIGHTS:
        given = name in body.model_fields_set and getattr(body, name) is not None
        if given and not (tied and name == "depth"):
            raise InvalidValue("must not be given with weights, which determine it", loc=(name,))
    listed = _if_listed(body.activation, calls)
    network = (
        given_network(calls[0], body.weights, calls=listed, **_architecture(body))
        if isinstance(body.weights, GivenWeights)
        else _given_blocks(body, body.weights, calls[0], listed, settings)
    )
    whole = _with_upstream(_experiment(body, network, _inputs(body), 1), body)
    _afford(whole.cost.work, whole.cost.bytes + _layers(network) * LAYER_BYTES, settings, "weights")
    return whole


def _given_blocks(
    body: GradientFlowRequest, given: StateDict, call: Call, listed: tuple[Call, ...], settings: Settings
) -> Network:
    """The network of the blocks in a state dict."""
    architecture = _architecture(body)
    assert body.block is not None
    said = body.block.model_fields_set
    block, width, weights = adopted(architecture["block"], given, Units(call).pieces, said)
    each = len(block.shapes(width, Units(call).pieces))
    depth = _depth(body) if isinstance(block, RecurrentBlock) else len(weights.matrices) // each

    def network(depth: int) -> Network:
        sizes = (width,) * (depth + 1)
        fields = {**architecture, "block": block}
        return Network(sizes=sizes, call=call, calls=listed, weights=weights, **fields)

    if isinstance(block, RecurrentBlock):  # the file does not bound its depth, a number in the request
        step = _experiment(body, network(1), GaussianInputs(_batch(body)), 1)
        _check_size(step, depth, settings, "depth")
    return network(depth)


def _architecture(body: GradientFlowRequest) -> dict[str, Any]:
    """The arguments of `Network` besides sizes and weights."""
    memory = {} if body.memory is None else {"memory": body.memory}
    if memory and not isinstance(body.block, TransformerBlockFields):
        raise InvalidValue("is only for a transformer's second attention", loc=("memory",))
    return {
        "normalisation": None if body.normalization is None else normalisation(body.normalization),
        "residual": None if body.residual is None else body.residual.scale,
        "dropout": None if body.dropout is None else Dropout(body.dropout.rate, body.dropout.kind),
        "block": None
        if body.block is None
        else block(body.block.kind, {**body.block.model_dump(exclude={"kind"}), **memory}),
    }


def _experiment(body: GradientFlowRequest, network: Network, inputs: Inputs, networks: int) -> Experiment:
    dtype = np.dtype(body.dtype)
    return Experiment(
        network=network, inputs=inputs, networks=networks, seed=body.seed, dtype=dtype, engine=body.engine
    )


def _with_upstream(experiment: Experiment, body: GradientFlowRequest) -> Experiment:
    """The experiment with the caller's loss gradient, which is batch × units in the request, if given."""
    return experiment if body.upstream is None else replace(experiment, upstream=body.upstream.T)


def _calls(body: GradientFlowRequest) -> list[Call]:
    """The activation, or one per layer; equal ones are the same object."""
    if not isinstance(body.activation, list):
        return [named(body.activation, body.params)]
    if body.params:
        raise InvalidValue("must be given with each activation of the list", loc=("params",))
    plain = {each for each in body.activation if isinstance(each, str)}
    found = {each: named(each, {}) for each in sorted(plain)}
    return [
        found[each] if isinstance(each, str) else named(each.activation, each.params)
        for each in body.activation
    ]


def _laws(body: GradientFlowRequest, calls: list[Call]) -> list[Initialiser]:
    """The initialiser of the weights, or one per layer, of a complete request."""
    assert body.init is not None
    listed = body.init if isinstance(body.init, list) else [body.init]
    if body.sigma_b and "critical" not in listed:
        raise InvalidValue("is only for the critical initialisation", loc=("sigma_b",))
    if len(listed) == 1:
        return [_law(listed[0], calls[0], body.sigma_b)]
    if len(calls) not in (1, len(listed)):
        raise InvalidValue("must be as many as activations", loc=("init",))
    pairs = list(zip(listed, calls * (len(listed) // len(calls)), strict=True))
    # Critical points and fair gains take integrals: each is computed once per activation.
    found: dict[tuple[str, int], Initialiser] = {}
    for law, call in pairs:
        if isinstance(law, str) and (law, id(call)) not in found:
            found[law, id(call)] = _law(law, call, body.sigma_b)
    return [
        found[law, id(call)] if isinstance(law, str) else _law(law, call, body.sigma_b) for law, call in pairs
    ]


def _law(law: Law, call: Call, sigma_b: float) -> Initialiser:
    if isinstance(law, Sigmas):
        return gaussian(law.sigma_w, law.sigma_b)
    if isinstance(law, DistributionFields):
        return detailed(law.distribution, law.gain, law.fan)
    if law == "critical":
        return critical(call, sigma_b)
    if law == "fair":
        return fair(call)
    return LSUV if law == "lsuv" else initialiser(law)


def _if_listed(field: Any, values: list[Any]) -> tuple[Any, ...]:
    return tuple(values) if isinstance(field, list) else ()


def _depth(body: GradientFlowRequest) -> int:
    times = _times(body)
    if times is not None:
        if body.depth not in (None, times):
            message = "must not be given: the inputs determine the number of time steps"
            raise InvalidValue(message, loc=("depth",))
        return times
    if not isinstance(body.width, list):
        lists = [each for each in (body.activation, body.init) if isinstance(each, list)]
        if body.depth is not None:
            return body.depth
        return len(lists[0]) if lists else 50
    if body.depth is not None:
        raise InvalidValue("must not be given: the list of widths determines it", loc=("depth",))
    if len(body.width) < 2:
        raise InvalidValue("must be two or more sizes", loc=("width",))
    return len(body.width) - 1


def _times(body: GradientFlowRequest) -> int | None:
    """The number of times in a recurrent network's own inputs; None without such inputs."""
    if not isinstance(body.block, RecurrentBlockFields) or isinstance(body.inputs, GaussianInputFields):
        return None
    if body.inputs.ndim != 3 or not body.inputs.size:
        raise InvalidValue("must be batch × times × features in a recurrent network", loc=("inputs",))
    return int(body.inputs.shape[1])


def _sizes(body: GradientFlowRequest, depth: int) -> tuple[int, ...]:
    """All layer sizes; the first may be the number of features of the caller's own inputs."""
    if isinstance(body.width, list):
        return tuple(body.width)
    own = isinstance(body.block, ConvolutionBlockFields | RecurrentBlockFields)
    if own or isinstance(body.inputs, GaussianInputFields):
        return (body.width,) * (depth + 1)
    first = body.inputs.shape[-1]
    return (first, *[body.width] * depth)


def _batch(body: GradientFlowRequest) -> int:
    if isinstance(body.inputs, GaussianInputFields):
        return 32 if body.batch is None else body.batch
    if _times(body) is None and (body.inputs.ndim != 2 or not body.inputs.size):
        raise InvalidValue("must be a batch of inputs: batch × features", loc=("inputs",))
    if body.batch is not None and body.batch != len(body.inputs):
        raise InvalidValue("must not be given: the inputs determine it", loc=("batch",))
    return len(body.inputs)


def _inputs(body: GradientFlowRequest) -> Inputs:
    batch = _batch(body)
    if isinstance(body.inputs, GaussianInputFields):
        return GaussianInputs(batch, body.inputs.variance, body.inputs.correlation)
    return np.ascontiguousarray(body.inputs.reshape(batch, -1).T)


def _check_size(layer: Experiment, depth: int, settings: Settings, field: str = "width") -> None:
    """Checks the cost of ``depth`` layers from one layer's, before anything of that depth is created."""
    layers = depth * _layers(layer.network)
    work = max(depth * layer.cost.work, layers * FLOPS_PER_DEFERRAL) * layer.networks
    _afford(work, layer.cost.bytes + layers * layer.networks * LAYER_BYTES, settings, field)


def _layers(network: Network) -> int:
    """The number of layers, with all cells of each step of a recurrent network."""
    block = network.block
    return network.depth * (block.cells if isinstance(block, RecurrentBlock) else 1)


def _afford(work: float, size: float, settings: Settings, field: str) -> None:
    limits = ((work, settings.max_flow_work, "operations"), (size, settings.max_flow_bytes, "bytes"))
    for estimate, limit, unit in limits:
        if estimate > limit:
            raise LimitExceeded("the simulation", estimate=estimate, limit=limit, unit=unit, loc=(field,))
