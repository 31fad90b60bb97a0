"""Mean-field theory of an experiment's network, at infinite width."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from app.core.activations.definition import Elementwise
from app.core.activations.registry import Call
from app.core.arithmetic import Array
from app.core.diagnosis.experiment import Experiment
from app.core.errors import InvalidValue, LimitExceeded
from app.core.evaluation import Mapper
from app.core.jobs import Progress
from app.core.propagation.block import scale_of
from app.core.propagation.convolution_block import ConvolutionBlock
from app.core.propagation.initialisers import Initialiser, gaussian
from app.core.propagation.layer import Layer
from app.core.propagation.network import GaussianInputs, Network
from app.core.propagation.normalisation import EPSILON
from app.core.propagation.residual_block import ResidualBlock
from app.core.theory.batch_moments import (
    SMALLEST_BATCH,
    BatchMoments,
    NormalisedLayer,
    batch_moments,
    batch_passage,
)
from app.core.theory.critical import critical_sigma_w
from app.core.theory.duals import Dual, dual_of
from app.core.theory.edges import MOST as MOST_PLACES
from app.core.theory.edges import EdgedLayer, edged_passage
from app.core.theory.finite_width import FiniteWidth, finite_width
from app.core.theory.length_map import Basin, basins
from app.core.theory.mean_field import MeanField, mean_field
from app.core.theory.recursion import Passage, PlainStep, ResidualStep, Response, Step, Stream, passage
from app.core.theory.trajectory import Trajectory, trajectory

SETTLED = 1e-3
"""Relative change of a figure from one layer to the next below which it counts as settled."""

MOST_BIAS, BIAS_STEP = 3.0, 0.02
"""Largest σ_b, and step, in the search for one that has a critical σ_w."""

_NO_POINT = MeanField(*(np.array(math.nan),) * 6, np.array(""))


@dataclass(frozen=True)
class Theory:
    """The predictions of mean-field theory for the same network at infinite width.

    Attributes:
        point: the fixed point to which the network's own first pre-activations converge.
        basins: those of the length map, from the smallest variances on; one is the network's own. None
            where layers do not share one.
        path: layer by layer.
        gradient_log10_rms: of dL/dz, layer by layer.
        predicted_log10_ratio: of the first layer over the last.
        critical_sigma_w: for the network's σ_b; NaN where there is none.
        finite_width: how far networks of these widths spread; plain layers without normalisation.

    Where layers normalise, have residual branches or dropout, or differ, ``point`` has the values to which
    the last layers have converged, if they have; unknown values are NaN. For convolutions padded with zeros
    q and χ are means over positions, and there is no fixed point of one number.
    """

    point: MeanField
    basins: list[Basin]
    path: Trajectory
    gradient_log10_rms: Array
    predicted_log10_ratio: float
    critical_sigma_w: float
    finite_width: FiniteWidth | None = None


@dataclass(frozen=True)
class Prediction:
    """The job of computing an experiment's mean-field theory."""

    experiment: Experiment

    def __call__(self, _map_blocks: Mapper, _progress: Progress) -> Theory | None:
        """The theory, or None where it does not apply."""
        with np.errstate(all="ignore"):
            try:
                return _theory(self.experiment)
            except LimitExceeded:  # φ oscillates too fast, or a formula loses too many digits
                return None


def critical(call: Call, sigma_b: float) -> Initialiser:
    """Weights on the edge of chaos for this activation; raises `InvalidValue` where there is none."""
    dual = dual_of(call)
    sigma_w = float(critical_sigma_w(dual, sigma_b))
    if math.isnan(sigma_w):
        near = nearest_critical(dual, sigma_b)
        advice = "give sigma_w itself" if near is None else f"there is one for sigma_b = {near:g}"
        raise InvalidValue(
            f"there is no critical σ_w for this activation and sigma_b; {advice}", loc=("init",)
        )
    return gaussian(sigma_w, sigma_b)


def nearest_critical(dual: Dual, sigma_b: float) -> float | None:
    """The σ_b nearest to ``sigma_b``, of some up to `MOST_BIAS`, that has a critical σ_w."""
    if not math.isnan(float(critical_sigma_w(dual, sigma_b))):
        return sigma_b
    tried = np.linspace(0, MOST_BIAS, 1 + round(MOST_BIAS / BIAS_STEP)).round(6)
    found = tried[np.isfinite(critical_sigma_w(dual, tried))]
    return float(found[np.argmin(np.abs(found - sigma_b))]) if found.size else None


def shared_sigmas(network: Network) -> tuple[float, float] | None:
    """σ_w and σ_b where all layers share them and mean-field theory applies."""
    weights = network.weights
    if not isinstance(weights, Initialiser) or network.normalisation or network.residual is not None:
        return None
    if network.block or network.dropout or network.calls or network.laws or weights.unit_variance:
        return None
    shapes = {(layer.fan_in, layer.units) for layer in network.layers}
    pairs = np.array([(weights.sigma_w(*shape), weights.sigma_b(*shape)) for shape in sorted(shapes)])
    if np.ptp(pairs, axis=0).max() > 1e-12 * pairs.max():
        return None
    return float(pairs[0, 0]), float(pairs[0, 1])


def dual_or_none(call: Call) -> Dual | None:
    """The mean-field description of the activation, or None where there is none."""
    try:
        return dual_of(call)
    except InvalidValue:
        return None


def _theory(experiment: Experiment) -> Theory | None:
    sigmas, dual = shared_sigmas(experiment.network), dual_or_none(experiment.network.call)
    if sigmas is None:
        return _layer_by_layer(experiment)
    if dual is None:
        return None
    inputs, layers = experiment.inputs, experiment.network.layers
    variance = inputs.variance if isinstance(inputs, GaussianInputs) else float(np.mean(inputs**2))
    if not np.isfinite(variance):  # the squares of finite inputs overflow
        return None
    path = trajectory(dual, *sigmas, len(layers), variance)
    # Each gradient sums over the units of the layer above, whose weights are scaled by the layer's own.
    widths = math.log10(layers[-1].units / layers[0].units) / 2
    gradients = _gradients(path, layers) + _log10_rms(experiment.upstream)
    return Theory(
        mean_field(dual, *sigmas, _start(dual, sigmas[0] ** 2, sigmas[1] ** 2, float(path.q[0]))),
        length_basins(experiment, dual),
        path,
        gradients,
        path.log10_gradient_ratio + widths,
        float(critical_sigma_w(dual, sigmas[1])),
        _spread(experiment.network, path.q, float(gradients[0] - gradients[-1])),
    )


def length_basins(experiment: Experiment, dual: Dual | None = None) -> list[Basin]:
    """The basins around the network's start of the length map that all layers share; none if they share none.

    ``dual`` is the activation's, if it has been made already.
    """
    found = _length_map(experiment.network)
    if found is None or not np.isfinite(experiment.mean_square):
        return []
    dual = dual or dual_or_none(experiment.network.call)
    if dual is None:
        return []
    weight, bias, kept = found
    start = _start(dual, weight / kept, bias, weight * experiment.mean_square + bias)
    with np.errstate(all="ignore"):
        try:
            return basins(dual, weight / kept, bias, start)
        except LimitExceeded:  # φ oscillates too fast
            return []


def _length_map(network: Network) -> tuple[float, float, float] | None:
    """σ_w², σ_b² and the share that dropout keeps, where every layer maps q to σ_w² V(q)/kept + σ_b²."""
    block, dropout, weights = network.block, network.dropout, network.weights
    if dropout is not None and dropout.kind != "standard":
        return None
    kept = 1.0 if dropout is None else 1 - dropout.rate
    if block is None:
        sigmas = shared_sigmas(network if dropout is None else replace(network, dropout=None))
        return None if sigmas is None else (sigmas[0] ** 2, sigmas[1] ** 2, kept)
    drawn = isinstance(weights, Initialiser) and not (weights.unit_variance or network.calls or network.laws)
    if not isinstance(block, ConvolutionBlock) or block.has_edges or not drawn:
        return None
    assert isinstance(weights, Initialiser)
    return (*_second_moments(weights, network.maps[0]), kept)


def _layer_by_layer(experiment: Experiment) -> Theory | None:
    """The theory layer by layer, for networks without a known fixed point; None where it does not apply."""
    network, block = experiment.network, experiment.network.block
    edged = isinstance(block, ConvolutionBlock) and block.has_edges
    if edged:
        found = _with_edges(experiment)
    else:
        found = _over_the_batch(experiment) if _normalises_batch(network) else _passage(experiment)
    if found is None:
        return None
    gradients = found.gradient_log10_rms + _log10_rms(experiment.upstream)
    ratio = float(gradients[0] - gradients[-1]) if np.isfinite(gradients[-1]) else math.nan
    plain = block is None and not network.passes and network.normalisation is None
    spread = _spread(network, found.q, ratio) if plain and network.dropout is None else None
    path = Trajectory(found.q, None, np.full(network.depth, np.nan), found.chi)
    point = _NO_POINT if edged else _settled(found)
    return Theory(point, length_basins(experiment), path, gradients, ratio, math.nan, spread)


def _with_edges(experiment: Experiment) -> Passage | None:
    """Convolutions with zeros beyond the edge, whose positions have variances of their own."""
    network, inputs, block = experiment.network, experiment.inputs, experiment.network.block
    assert isinstance(block, ConvolutionBlock)
    laws = _laws(network)
    if laws is None or block.places * block.kernel * network.depth > MOST_PLACES:
        return None
    squares = np.full(block.places, experiment.mean_square)
    if not isinstance(inputs, GaussianInputs):
        squares = np.mean(inputs.reshape(-1, block.places, inputs.shape[-1]) ** 2, axis=(0, 2))
    if not np.isfinite(squares).all():
        return None
    layers = [
        EdgedLayer(response, *_second_moments(weights, network.maps[0]), block.kernel, network.dropout)
        for response, weights in laws
    ]
    return edged_passage(layers, squares.reshape((block.size,) * block.dimensions))


def _passage(experiment: Experiment) -> Passage | None:
    """One input's second moment and mean, step by step."""
    steps, inputs = _steps(experiment.network), experiment.inputs
    if steps is None or not np.isfinite(experiment.mean_square):
        return None
    mean = 0.0 if isinstance(inputs, GaussianInputs) else float(np.mean(inputs))
    return passage(steps, Stream(experiment.mean_square, mean))


def _normalises_batch(network: Network) -> bool:
    return network.normalisation is not None and network.normalisation.over == "batch"


def _over_the_batch(experiment: Experiment) -> Passage | None:
    """Plain layers over inputs of equal norm and equal pairwise correlation; None for others."""
    network, inputs = experiment.network, experiment.inputs
    drawn = isinstance(inputs, GaussianInputs) and network.dropout is None
    if not drawn or network.block is not None or network.passes or experiment.batch < SMALLEST_BATCH:
        return None
    assert isinstance(inputs, GaussianInputs)
    layers: list[NormalisedLayer] = []
    moments: dict[int, BatchMoments] = {}
    for number, layer in enumerate(network.layers):
        call, weights = network.units_at(number).call, network.weights_at(number)
        if not isinstance(weights, Initialiser) or weights.unit_variance or _response(call) is None:
            return None
        if id(call) not in moments:
            moments[id(call)] = batch_moments(call, inputs.batch)
        widening = layer.units / layer.fan_in
        layers.append(NormalisedLayer(moments[id(call)], *_second_moments(weights, layer), widening))
    return batch_passage(layers, inputs.variance, inputs.correlation, EPSILON)


def _settled(found: Passage) -> MeanField:
    """The values that have converged: those on which the last two layers agree."""
    unknown = np.array(math.nan)
    q, chi = (
        np.array(each[-1] if len(each) > 1 and abs(each[-1] / each[-2] - 1) < SETTLED else math.nan)
        for each in (found.q, found.chi)
    )
    scale = np.array(1 / abs(math.log(chi))) if chi > 0 and chi != 1 else unknown
    return MeanField(q, unknown, chi, unknown, unknown, scale, np.array(""))


def _steps(network: Network) -> list[Step] | None:
    """The layers, or blocks, of the theory; None where it does not apply."""
    steps = [_step(network, number, *law) for number, law in enumerate(_laws(network) or ())]
    found = [each for each in steps if each is not None]
    return found if len(found) == network.depth else None


def _laws(network: Network) -> list[tuple[Response, Initialiser]] | None:
    """The activation and the weights of each layer, or block; None where the theory does not cover one."""
    made: dict[int, Response | None] = {}
    laws = []
    for number in range(network.depth):
        call, weights = network.units_at(number).call, network.weights_at(number)
        if id(call) not in made:
            made[id(call)] = _response(call)
        response = made[id(call)]
        if response is None or not isinstance(weights, Initialiser) or weights.unit_variance:
            return None
        laws.append((response, weights))
    return laws


def _response(call: Call) -> Response | None:
    single = isinstance(call.activation, Elementwise) and len(call.scalars) == len(call.params)
    return Response(call) if single and dual_or_none(call) is not None else None


def _step(network: Network, number: int, response: Response, weights: Initialiser) -> Step | None:
    layer, normalisation, block = network.layers[number], network.normalisation, network.block
    if isinstance(block, ResidualBlock):
        centred = normalisation is None or normalisation.centred
        if block.norm == "inside" or (normalisation is not None and normalisation.over == "batch"):
            return None
        scale = scale_of(block.branch, network.depth)
        maps = tuple(_second_moments(weights, each) for each in network.maps)
        return ResidualStep(response, maps, block.norm, centred, block.skip, scale, network.dropout)
    if isinstance(block, ConvolutionBlock):
        return _convolution(network, response, weights)
    if block is not None or (normalisation is not None and normalisation.over == "batch"):
        return None
    branch = network.residual if network.has_branch(layer) else None
    dropout = None if number == network.depth - 1 else network.dropout
    weight, bias = _second_moments(weights, layer)
    widening, normalised = layer.units / layer.fan_in, normalisation is not None
    return PlainStep(response, weight, bias, widening, normalised, branch, dropout)


def _convolution(network: Network, response: Response, weights: Initialiser) -> Step:
    """A layer at each position: the dense mean field without edges (Xiao et al. 2018, arXiv:1806.05393)."""
    maps = tuple(_second_moments(weights, each) for each in network.maps)
    return ResidualStep(response, maps, None, False, 0.0, 1.0, network.dropout)


def _second_moments(weights: Initialiser, layer: Layer) -> tuple[float, float]:
    """σ_w² and σ_b²."""
    return weights.sigma_w(layer.fan_in, layer.fan_out) ** 2, weights.sigma_b(
        layer.fan_in, layer.fan_out
    ) ** 2


def _spread(network: Network, variances: Array, ratio: float) -> FiniteWidth | None:
    calls = [network.units_at(number).call for number in range(network.depth)]
    if not all(len(each.scalars) == len(each.params) for each in calls):
        return None
    try:
        return finite_width(calls, network.sizes[1:], variances.tolist(), ratio)
    except LimitExceeded:  # φ oscillates too fast
        return None


def _log10_rms(upstream: Array | None) -> float:
    """log10 of the root mean square of dL/d(outputs): 0 where it is drawn."""
    if upstream is None:
        return 0.0
    largest = np.abs(upstream).max()
    return float(np.log10(largest) + np.log10(np.mean((upstream / largest) ** 2)) / 2)


def _start(dual: Dual, weight: float, bias: float, first: float) -> float:
    """The variance of the first pre-activations that are not 0; 0 if all are."""
    return first or float(weight * dual.at_zero().second + bias)


def _gradients(path: Trajectory, layers: Sequence[Layer]) -> Array:
    """log10 √E (dL/dz)² by layer: E φ′² in the last one, and χ with the widths' ratio below it.

    Of a unit's several pre-activations one gets the gradient, the others get 0.
    """
    units = np.array([each.units for each in layers], np.float64)
    gains = np.log10(path.chi)
    gains[-1] = np.log10(path.slope[-1]) - math.log10(layers[-1].pieces)
    profile: Array = (np.cumsum(gains[::-1])[::-1] + np.log10(units[-1] / units)) / 2
    return profile
