"""Every figure against PyTorch's autograd on the same weights, inputs and loss gradient, in float64."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from app.core.activations import REGISTRY
from app.core.arithmetic import Array, Value
from app.core.propagation import simulation
from app.core.propagation.blocks import Blocks
from app.core.propagation.given import GivenWeights
from app.core.propagation.network import Network, given_network
from app.core.propagation.normalisation import EPSILON, NORMALISATIONS
from app.core.propagation.simulation import propagate
from app.core.propagation.statistics import NAMES
from app.core.propagation.streams import Stream
from app.core.propagation.units import SATURATED

pytestmark = pytest.mark.peers

SIZES = (20, 30, 30, 25, 25, 10)
BATCH = 12
SEED = 6
SLOPES = np.linspace(-0.2, 0.8, 20)


@dataclass(frozen=True, kw_only=True)
class Peer:
    """PyTorch's form of an activation, inputs × pre-activations to inputs × units, and what saturation needs.

    ``steepest`` is its largest slope, ``flat`` the sides on which the slope tends to 0: −1, 1 or both.
    """

    name: str
    apply: Callable[[Any, Any], Any]
    steepest: float = 1.0
    flat: tuple[int, ...] = ()
    params: Mapping[str, Value] = field(default_factory=dict)
    pieces: int = 1
    sizes: tuple[int, ...] = SIZES


def largest(pieces: int) -> Peer:
    def apply(_: Any, z: Any) -> Any:
        return z.unflatten(1, (-1, pieces)).amax(dim=-1)

    return Peer(name="maxout", apply=apply, params={"pieces": pieces}, pieces=pieces)


PEERS = {
    "sigmoid": Peer(name="sigmoid", apply=lambda torch, z: torch.sigmoid(z), steepest=0.25, flat=(-1, 1)),
    "tanh": Peer(name="tanh", apply=lambda torch, z: torch.tanh(z), flat=(-1, 1)),
    "relu": Peer(name="relu", apply=lambda torch, z: torch.relu(z), flat=(-1,)),
    "leaky_relu": Peer(name="leaky_relu", apply=lambda torch, z: torch.nn.functional.leaky_relu(z)),
    "elu": Peer(name="elu", apply=lambda torch, z: torch.nn.functional.elu(z), flat=(-1,)),
    "selu": Peer(
        name="selu", apply=lambda torch, z: torch.selu(z), steepest=1.6732632 * 1.0507010, flat=(-1,)
    ),
    # GELU is steepest at √2, SiLU where x tanh(x/2) = 2.
    "gelu": Peer(
        name="gelu", apply=lambda torch, z: torch.nn.functional.gelu(z), steepest=1.1289, flat=(-1,)
    ),
    "silu": Peer(
        name="silu", apply=lambda torch, z: torch.nn.functional.silu(z), steepest=1.0998, flat=(-1,)
    ),
    "prelu": Peer(
        name="prelu",
        apply=lambda torch, z: torch.prelu(z, torch.tensor([0.3], dtype=z.dtype)),
        params={"weight": 0.3},
    ),
    "prelu, a slope for each unit": Peer(
        name="prelu",
        apply=lambda torch, z: torch.prelu(z, torch.tensor(SLOPES)),
        params={"weight": SLOPES},
        sizes=(20,) * 6,
    ),
    "maxout of 2": largest(2),
    "maxout of 3": largest(3),
}

NORMALISE: dict[str | None, Callable[[Any, Any], Any]] = {
    None: lambda _, z: z,
    "layer_norm": lambda functional, z: functional.layer_norm(z, z.shape[-1:], eps=EPSILON),
    "rms_norm": lambda functional, z: functional.rms_norm(z, z.shape[-1:], eps=EPSILON),
    "batch_norm": lambda functional, z: functional.batch_norm(z, None, None, training=True, eps=EPSILON),
}


@dataclass(frozen=True)
class Drawn:
    """Matrices, biases, inputs (features × batch) and the loss gradient that the simulation will draw."""

    matrices: list[Array]
    biases: list[Array]
    inputs: Array
    loss: Array


def drawn(peer: Peer) -> Drawn:
    """Every fifth bias makes a rectifier's unit dead; further out PyTorch's 1 − tanh² cancels to 0, too."""
    rng = np.random.default_rng(8)
    shapes = [(units * peer.pieces, fan_in) for fan_in, units in pairwise(peer.sizes)]
    matrices: list[Array] = [1.4 * rng.standard_normal(shape) / np.sqrt(shape[1]) for shape in shapes]
    biases: list[Array] = [0.3 * rng.standard_normal(rows) for rows, _ in shapes]
    for bias in biases:
        bias[::5] -= 10
    stream = Stream(SEED, (0,)).at(simulation._LOSS)
    loss = stream.normals(peer.sizes[-1], Blocks(BATCH), np.dtype(np.float64))
    return Drawn(matrices, biases, rng.standard_normal((peer.sizes[0], BATCH)), loss)


def reference(peer: Peer, normalisation: str | None, residual: float | None) -> dict[str, Array]:
    """The figures by their definitions (`statistics`), with PyTorch's gradients. Rows are inputs here."""
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    given = drawn(peer)
    weights = [torch.tensor(each, requires_grad=True) for each in given.matrices]
    h = torch.tensor(given.inputs.T)
    kept: list[tuple[Any, Any, Any, Any]] = []
    for weight, bias in zip(weights, given.biases, strict=True):
        z = functional.linear(h, weight, torch.tensor(bias))
        normal = NORMALISE[normalisation](functional, z)
        response = peer.apply(torch, normal)
        (slopes,) = torch.autograd.grad(response.sum(), normal, retain_graph=True)
        z.retain_grad()  # not before: autograd.grad would leave φ′ there
        h = h + residual * response if residual is not None and h.shape == response.shape else response
        kept.append((z, normal, slopes, h))
    (h * torch.tensor(given.loss.T)).sum().backward()
    columns: dict[str, list[float]] = {name: [] for name in NAMES}
    for weight, (z, normal, slopes, out) in zip(weights, kept, strict=True):
        unit = functional.normalize(z, dim=1)
        cosines = (unit @ unit.T)[~torch.eye(BATCH, dtype=bool)]
        columns["preactivation_variance"].append(z.var(unbiased=False).item())
        columns["activation_mean"].append(out.mean().item())
        columns["activation_mean_square"].append((out**2).mean().item())
        columns["correlation"].append(cosines.mean().item())
        columns["saturated_fraction"].append(saturated(peer, normal, slopes))
        steepness = slopes.abs().unflatten(1, (-1, peer.pieces)).amax(dim=(0, 2))
        columns["dead_fraction"].append((steepness == 0).double().mean().item())
        columns["gradient_log10_rms"].append(z.grad.square().mean().sqrt().log10().item())
        columns["weight_gradient_log10_norm"].append(weight.grad.norm().log10().item())
    return {name: np.array(values) for name, values in columns.items()}


def saturated(peer: Peer, normal: Any, slopes: Any) -> float:
    """The share of pairs of unit and input on a side that flattens, at less than a tenth of the slope."""
    faint = slopes.abs() < SATURATED * peer.steepest
    on_a_side = sum((normal * side > 0 for side in peer.flat), start=0 * normal).bool()
    return float((faint & on_a_side).double().mean())


def network(peer: Peer, normalisation: str | None, residual: float | None) -> Network:
    given = drawn(peer)
    return given_network(
        REGISTRY.resolve(peer.name, peer.params),
        GivenWeights(given.matrices, given.biases),
        normalisation=None if normalisation is None else NORMALISATIONS[normalisation],
        residual=residual,
    )


@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize("normalisation", NORMALISE)
@pytest.mark.parametrize("residual", [None, 0.7])
def test_figures_agree_with_autograd(name: str, normalisation: str | None, residual: float | None) -> None:
    peer = PEERS[name]
    run = propagate(network(peer, normalisation, residual), drawn(peer).inputs, seed=SEED)
    expected = reference(peer, normalisation, residual)
    for figure in NAMES:
        np.testing.assert_allclose(
            getattr(run, figure), expected[figure], rtol=1e-10, atol=1e-10, err_msg=figure
        )
    gradients = expected["gradient_log10_rms"]
    ratio = gradients[0] - gradients[-1]
    assert run.log10_ratio == pytest.approx(ratio, abs=1e-10)
    assert run.factor_per_layer == pytest.approx(10 ** (ratio / (len(gradients) - 1)), rel=1e-10)


def test_the_comparison_reaches_dead_and_saturated_units() -> None:
    relu, tanh = (reference(PEERS[name], None, None) for name in ("relu", "tanh"))
    assert (relu["dead_fraction"] > 0.1).all()
    assert (tanh["saturated_fraction"] > 0.1).all()
    assert (reference(PEERS["maxout of 2"], None, None)["dead_fraction"] == 0).all()


def test_every_normalisation_is_compared() -> None:
    assert {name for name in NORMALISE if name} == NORMALISATIONS.keys()
