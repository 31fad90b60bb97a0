"""Mean-field theory against simulated networks of width 4,096, layer by layer.

Over n networks the mean of a figure has a standard error, and theory has to lie within `FARTHEST` of them.
The errors are small: at n = 32 below 2.5 % of q, 0.012 of c and 0.7 % of a layer's factor of the squared
gradient, which the test states too. At finite width theory is off by about a depth over a width, 0.3 %, and
so by less than that. Student's t with 31 degrees of freedom exceeds 5 with probability 2e-5; there are about
400 comparisons.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from app.core.activations import REGISTRY
from app.core.activations.registry import Call
from app.core.arithmetic import Array
from app.core.propagation.engine import Engine
from app.core.propagation.initialisers import Initialiser, gaussian, initialiser
from app.core.propagation.network import GaussianInputs, Network
from app.core.propagation.simulation import propagate
from app.core.theory.duals import dual_of
from app.core.theory.trajectory import trajectory

WIDTH = 4096
FARTHEST = 5.0


@dataclass(frozen=True)
class Case:
    """An activation at some place of its phase diagram."""

    activation: str
    sigma_w: float
    sigma_b: float = 0.0
    params: dict[str, float] = field(default_factory=dict)

    @property
    def call(self) -> Call:
        return REGISTRY.resolve(self.activation, self.params)


CASES = {
    "tanh, ordered": Case("tanh", 0.9, 0.2),
    "tanh, chaotic": Case("tanh", 1.5, 0.3),
    "sigmoid": Case("sigmoid", 3.0, 0.5),
    "relu, He": Case("relu", np.sqrt(2), 0.1),
    "leaky_relu": Case("leaky_relu", 1.3, 0.0, {"negative_slope": 0.3}),
    "elu": Case("elu", 1.2, 0.2),
    "selu": Case("selu", 1.0),
    "gelu": Case("gelu", 1.4, 0.4),
    "silu": Case("silu", 1.6, 0.2),
    "erf": Case("erf", 1.3, 0.1),
    "maxout": Case("maxout", 0.7, 0.3),
}


def deviations(
    case: Case, weights: Initialiser, networks: int, depth: int, engine: Engine
) -> tuple[Array, Array]:
    """(simulated mean − theory) and the mean's standard error, each 3 × depth.

    The rows are ln q, c, and ln of the squared gradient's factor in a layer; the last column of the third
    is the factor of the whole network.
    """
    inputs = GaussianInputs(2, variance=1.5, correlation=0.3)
    network = Network(sizes=(WIDTH,) * (depth + 1), call=case.call, weights=weights)
    runs = [propagate(network, inputs, seed=1, index=index, engine=engine) for index in range(networks)]
    figures = np.array(
        [[run.preactivation_variance, run.correlation, run.gradient_log10_rms] for run in runs]
    )
    figures[:, 0] = np.log(figures[:, 0])
    levels = 2 * np.log(10) * figures[:, 2]
    figures[:, 2] = np.hstack([levels[:, :-1] - levels[:, 1:], levels[:, :1] - levels[:, -1:]])
    path = trajectory(
        dual_of(case.call), case.sigma_w, case.sigma_b, depth, inputs.variance, inputs.correlation
    )
    assert path.c is not None
    factors = np.log(path.chi[:-1])
    expected = np.stack([np.log(path.q), path.c, np.append(factors, factors.sum())])
    return figures.mean(axis=0) - expected, figures.std(axis=0, ddof=1) / np.sqrt(networks)


@pytest.mark.parametrize("name", CASES)
def test_simulated_layers_agree_with_theory(name: str) -> None:
    case = CASES[name]
    off, error = deviations(case, gaussian(case.sigma_w, case.sigma_b), 32, 12, "deferred")
    assert (error[0] < 0.025).all()
    assert (error[1] < 0.012).all()
    assert (error[2, :-1] < 0.007).all()
    assert (np.abs(off) < FARTHEST * error).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("init", "case"),
    [
        ("he_uniform", Case("relu", np.sqrt(2))),
        ("torch_default", Case("tanh", 1 / np.sqrt(3), 1 / np.sqrt(3 * WIDTH))),
        ("flax_default", Case("gelu", 1.0)),
    ],
)
def test_made_weights_need_not_be_gaussian(init: str, case: Case) -> None:
    """Theory depends on two moments of the weights: uniform and truncated ones agree with it too."""
    off, error = deviations(case, initialiser(init), 16, 5, "dense")
    assert (error[2] < 0.02).all()
    assert (np.abs(off) < FARTHEST * error).all()
