"""Every figure against PyTorch's autograd on the same weights, in float64."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from app.core.activations import REGISTRY
from app.core.activations.parameters import Array
from app.core.propagation import simulation
from app.core.propagation.blocks import Blocks
from app.core.propagation.network import given_network
from app.core.propagation.normalisation import EPSILON, NORMALISATIONS
from app.core.propagation.simulation import propagate
from app.core.propagation.statistics import NAMES
from app.core.propagation.streams import Stream

pytestmark = pytest.mark.peers

SIZES = (20, 30, 30, 25, 25, 10)
BATCH = 12
SEED = 6

ACTIVATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "sigmoid": lambda torch, z: torch.sigmoid(z),
    "tanh": lambda torch, z: torch.tanh(z),
    "relu": lambda torch, z: torch.relu(z),
    "leaky_relu": lambda torch, z: torch.nn.functional.leaky_relu(z),
    "elu": lambda torch, z: torch.nn.functional.elu(z),
    "gelu": lambda torch, z: torch.nn.functional.gelu(z),
    "silu": lambda torch, z: torch.nn.functional.silu(z),
}

NORMALISE: dict[str | None, Callable[[Any, Any], Any]] = {
    None: lambda _, z: z,
    "layer_norm": lambda functional, z: functional.layer_norm(z, z.shape[-1:], eps=EPSILON),
    "rms_norm": lambda functional, z: functional.rms_norm(z, z.shape[-1:], eps=EPSILON),
    "batch_norm": lambda functional, z: functional.batch_norm(z, None, None, training=True, eps=EPSILON),
}


def drawn() -> tuple[list[Array], list[Array], Array, Array]:
    """Matrices, biases, inputs (features × batch) and the loss gradient that the simulation will draw."""
    rng = np.random.default_rng(8)
    matrices = [1.4 * rng.standard_normal((out, fan)) / np.sqrt(fan) for fan, out in pairwise(SIZES)]
    offsets: list[Array] = [0.3 * rng.standard_normal(out) for out in SIZES[1:]]
    x = rng.standard_normal((SIZES[0], BATCH))
    stream = Stream(SEED, (0,)).at(simulation._LOSS)
    return matrices, offsets, x, stream.normals(SIZES[-1], Blocks(BATCH), np.dtype(np.float64))


def reference(activation: str, normalisation: str | None, residual: float | None) -> dict[str, Array]:
    """The figures by their definitions (`statistics`), with PyTorch's gradients. Rows are inputs here."""
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    matrices, offsets, x, loss = drawn()
    weights = [torch.tensor(each, requires_grad=True) for each in matrices]
    h = torch.tensor(x.T)
    kept: list[tuple[Any, Any, Any]] = []
    for weight, offset in zip(weights, offsets, strict=True):
        z = functional.linear(h, weight, torch.tensor(offset))
        z.retain_grad()
        normal = NORMALISE[normalisation](functional, z)
        normal.retain_grad()
        response = ACTIVATIONS[activation](torch, normal)
        response.retain_grad()
        h = h + residual * response if residual is not None and h.shape == response.shape else response
        kept.append((z, response, h))
    (h * torch.tensor(loss.T)).sum().backward()
    columns: dict[str, list[float]] = {name: [] for name in NAMES if not name.endswith("fraction")}
    for weight, (z, _, out) in zip(weights, kept, strict=True):
        unit = functional.normalize(z, dim=1)
        cosines = (unit @ unit.T)[~torch.eye(BATCH, dtype=bool)]
        columns["preactivation_variance"].append(z.var(unbiased=False).item())
        columns["activation_mean"].append(out.mean().item())
        columns["activation_mean_square"].append((out**2).mean().item())
        columns["correlation"].append(cosines.mean().item())
        columns["gradient_log10_rms"].append(z.grad.square().mean().sqrt().log10().item())
        columns["weight_gradient_log10_norm"].append(weight.grad.norm().log10().item())
    return {name: np.array(values) for name, values in columns.items()}


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("normalisation", NORMALISE)
@pytest.mark.parametrize("residual", [None, 0.7])
def test_figures_are_autograds(activation: str, normalisation: str | None, residual: float | None) -> None:
    matrices, offsets, x, _ = drawn()
    net = given_network(
        REGISTRY.resolve(activation),
        matrices,
        offsets,
        normalisation=None if normalisation is None else NORMALISATIONS[normalisation],
        residual=residual,
    )
    run = propagate(net, x, seed=SEED)
    for name, expected in reference(activation, normalisation, residual).items():
        np.testing.assert_allclose(getattr(run, name), expected, rtol=1e-10, atol=1e-10, err_msg=name)


@pytest.mark.parametrize("pieces", [2, 3])
def test_a_maximum_of_several_pre_activations_is_autograds(pieces: int) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(9)
    shapes = [(15 * pieces, 10), (12 * pieces, 15), (8 * pieces, 12)]
    matrices = [rng.standard_normal(shape) / np.sqrt(shape[1]) for shape in shapes]
    x = rng.standard_normal((10, BATCH))
    run = propagate(
        given_network(REGISTRY.resolve("maxout", {"pieces": pieces}), matrices, [None] * 3), x, seed=SEED
    )
    weights = [torch.tensor(each, requires_grad=True) for each in matrices]
    h, kept = torch.tensor(x.T), []
    for weight in weights:
        z = h @ weight.T
        z.retain_grad()
        kept.append(z)
        h = z.unflatten(1, (-1, pieces)).amax(dim=-1)
    loss = Stream(SEED, (0,)).at(simulation._LOSS).normals(8, Blocks(BATCH), np.dtype(np.float64))
    (h * torch.tensor(loss.T)).sum().backward()
    gradients = [z.grad.square().mean().sqrt().log10().item() for z in kept]
    norms = [weight.grad.norm().log10().item() for weight in weights]
    np.testing.assert_allclose(run.gradient_log10_rms, gradients, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(run.weight_gradient_log10_norm, norms, rtol=1e-10, atol=1e-10)
    assert (run.dead_fraction == 0).all()
