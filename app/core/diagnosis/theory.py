"""What mean-field theory says of an experiment's network at infinite width."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.core.activations.registry import Call
from app.core.arithmetic import Array
from app.core.diagnosis.experiment import Experiment
from app.core.errors import InvalidValue
from app.core.evaluation import Mapper
from app.core.jobs import Progress
from app.core.propagation.initialisers import Initialiser, gaussian
from app.core.propagation.network import GaussianInputs, Layer, Network
from app.core.theory.critical import critical_sigma_w
from app.core.theory.duals import Dual, dual_of
from app.core.theory.mean_field import MeanField, mean_field
from app.core.theory.trajectory import Trajectory, trajectory


@dataclass(frozen=True)
class Theory:
    """What mean-field theory says of the same network at infinite width."""

    point: MeanField
    path: Trajectory
    gradient_log10_rms: Array
    predicted_log10_ratio: float
    critical_sigma_w: float


@dataclass(frozen=True)
class Prediction:
    """The job of asking mean-field theory about an experiment."""

    experiment: Experiment

    def __call__(self, _map_blocks: Mapper, _progress: Progress) -> Theory | None:
        """The theory, or None where it does not apply."""
        with np.errstate(all="ignore"):
            return _theory(self.experiment)


def critical(call: Call, sigma_b: float) -> Initialiser:
    """Weights on the edge of chaos for this activation; raises `InvalidValue` where there is none."""
    sigma_w = float(critical_sigma_w(dual_of(call), sigma_b))
    if math.isnan(sigma_w):
        raise InvalidValue(
            "there is no critical σ_w for this activation and sigma_b; give sigma_w itself", loc=("init",)
        )
    return gaussian(sigma_w, sigma_b)


def shared_sigmas(network: Network) -> tuple[float, float] | None:
    """σ_w and σ_b where all layers share them and mean-field theory applies."""
    weights = network.weights
    if not isinstance(weights, Initialiser) or network.normalisation or network.residual is not None:
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
    if sigmas is None or dual is None:
        return None
    inputs, layers = experiment.inputs, experiment.network.layers
    variance = inputs.variance if isinstance(inputs, GaussianInputs) else float(np.mean(inputs**2))
    path = trajectory(dual, *sigmas, len(layers), variance)
    # Each gradient sums over the units of the layer above, whose weights are scaled by the layer's own.
    widths = math.log10(layers[-1].units / layers[0].units) / 2
    return Theory(
        mean_field(dual, *sigmas),
        path,
        _gradients(path, layers, sigmas[0]) + _log10_rms(experiment.upstream),
        path.log10_gradient_ratio + widths,
        float(critical_sigma_w(dual, sigmas[1])),
    )


def _log10_rms(upstream: Array | None) -> float:
    """That of dL/d(outputs): 0 where it is drawn."""
    if upstream is None:
        return 0.0
    largest = np.abs(upstream).max()
    return float(np.log10(largest) + np.log10(np.mean((upstream / largest) ** 2)) / 2)


def _gradients(path: Trajectory, layers: Sequence[Layer], sigma_w: float) -> Array:
    """log10 √E (dL/dz)² by layer: E φ′² = χ/σ_w² in the last one, and χ with the widths' ratio below it.

    Of a unit's several pre-activations one has the gradient, the others have 0.
    """
    units = np.array([each.units for each in layers], np.float64)
    gains = np.log10(path.chi)
    gains[-1] -= 2 * np.log10(sigma_w) + math.log10(layers[-1].pieces)
    profile: Array = (np.cumsum(gains[::-1])[::-1] + np.log10(units[-1] / units)) / 2
    return profile
