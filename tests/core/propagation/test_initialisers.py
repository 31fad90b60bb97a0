"""Every initialiser's distribution, from the frameworks' formulas."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from mpmath import mp

from app.core.arithmetic import Array
from app.core.errors import UnknownName
from app.core.propagation.blocks import Blocks
from app.core.propagation.initialisers import (
    INITIALISERS,
    Orthogonal,
    TruncatedGaussian,
    detailed,
    draw,
    gaussian,
    initialiser,
)
from app.core.propagation.streams import Stream

IN, OUT = 300, 500

# name: variance of a weight, largest |weight| (None: unbounded), variance of a bias
EXPECTED = {
    "xavier_normal": (2 / (IN + OUT), None, 0.0),
    "xavier_uniform": (2 / (IN + OUT), math.sqrt(6 / (IN + OUT)), 0.0),
    "he_normal": (2 / IN, None, 0.0),
    "he_uniform": (2 / IN, math.sqrt(6 / IN), 0.0),
    "lecun_normal": (1 / IN, None, 0.0),
    "lecun_uniform": (1 / IN, math.sqrt(3 / IN), 0.0),
    "orthogonal": (1 / OUT, None, 0.0),
    "torch_default": (1 / (3 * IN), 1 / math.sqrt(IN), 1 / (3 * IN)),
    "keras_default": (2 / (IN + OUT), math.sqrt(6 / (IN + OUT)), 0.0),
    "flax_default": (1 / IN, 2 / math.sqrt(IN) / 0.87962566103423978, 0.0),  # jax.nn.initializers
}


def weights(name: str) -> Array:
    law = INITIALISERS[name].weight_law(IN, OUT)
    return draw(law, OUT, Stream(1), Blocks(IN), np.dtype(np.float64))


def test_every_name_is_tested() -> None:
    assert EXPECTED.keys() == INITIALISERS.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_weights_have_the_variance_and_the_bound_of_the_formula(name: str) -> None:
    variance, bound, _ = EXPECTED[name]
    drawn = weights(name)
    # 150,000 entries: the standard error of a variance is at most √(2/150,000), 0.4 %; of a mean, 0.3 % of σ.
    assert drawn.shape == (OUT, IN)
    assert np.mean(drawn**2) == pytest.approx(variance, rel=0.02)
    assert abs(np.mean(drawn)) < 0.013 * math.sqrt(variance)
    assert INITIALISERS[name].sigma_w(IN, OUT) == pytest.approx(math.sqrt(IN * variance), rel=1e-14)
    if bound is None:
        assert np.abs(drawn).max() > 3.5 * math.sqrt(variance)
    else:
        assert 0.99 * bound < np.abs(drawn).max() <= bound


@pytest.mark.parametrize("name", EXPECTED)
def test_biases_have_the_variance_of_the_formula(name: str) -> None:
    *_, variance = EXPECTED[name]
    chosen = INITIALISERS[name]
    assert chosen.sigma_b(IN, OUT) == pytest.approx(math.sqrt(variance), rel=1e-14)
    assert (chosen.biases is None) == (variance == 0)


def test_sigma_w_and_sigma_b_are_what_they_say() -> None:
    chosen = gaussian(1.5, 0.05)
    assert chosen.sigma_w(IN, OUT) == pytest.approx(1.5, rel=1e-14)
    assert chosen.sigma_b(IN, OUT) == pytest.approx(0.05, rel=1e-14)
    assert gaussian(1.5).biases is None


def test_only_gaussian_and_orthogonal_weights_can_be_deferred() -> None:
    invariant = {name: each.weight_law(IN, OUT).invariance for name, each in INITIALISERS.items()}
    assert {name for name, kind in invariant.items() if kind == "haar"} == {"orthogonal"}
    normal = {"xavier_normal", "he_normal", "lecun_normal"}
    assert {name for name, kind in invariant.items() if kind == "gaussian"} == normal


@pytest.mark.parametrize(("rows", "columns"), [(40, 40), (40, 25), (25, 40)])
def test_orthogonal_has_orthonormal_rows_or_columns(rows: int, columns: int) -> None:
    drawn = draw(Orthogonal(1.5), rows, Stream(2), Blocks(columns), np.dtype(np.float64))
    product = drawn @ drawn.T if rows <= columns else drawn.T @ drawn
    np.testing.assert_allclose(product, 1.5**2 * np.eye(min(rows, columns)), atol=1e-13)


def test_orthogonal_is_uniform_not_merely_orthogonal() -> None:
    # For Haar measure the trace of O has mean 0 and variance 1 (Diaconis and Shahshahani 1994); the signs of
    # LAPACK's Q alone are not random.
    dtype = np.dtype(np.float64)
    traces = [np.trace(draw(Orthogonal(), 6, Stream(3, (i,)), Blocks(6), dtype)) for i in range(4000)]
    assert abs(np.mean(traces)) < 4.5 / math.sqrt(4000)
    assert np.var(traces) == pytest.approx(1, abs=4.5 * math.sqrt(2 / 4000))


def test_shrinkage_is_the_standard_deviation_of_the_cut_normal() -> None:
    with mp.workdps(50):
        mass = mp.erf(2 / mp.sqrt(2))
        variance = mp.quad(lambda x: x**2 * mp.npdf(x), [-2, 0, 2]) / mass
        assert abs(TruncatedGaussian.SHRINKAGE / mp.sqrt(variance) - 1) < 1e-15


def test_an_unknown_name_names_the_near_ones() -> None:
    with pytest.raises(UnknownName, match="xavier_normal"):
        initialiser("xavier_norml")


@pytest.mark.parametrize("distribution", ["normal", "uniform", "truncated_normal"])
@pytest.mark.parametrize(
    ("fan", "inputs"), [("in", IN), ("out", OUT), ("average", (IN + OUT) / 2), ("none", 1)]
)
def test_a_distribution_in_detail_has_its_gain_over_the_root_of_its_fan(
    distribution: Any, fan: Any, inputs: float
) -> None:
    chosen = detailed(distribution, 1.667, fan)
    drawn = draw(chosen.weight_law(IN, OUT), OUT, Stream(1), Blocks(IN), np.dtype(np.float64))
    assert np.mean(drawn**2) == pytest.approx(1.667**2 / inputs, rel=0.02)
    assert chosen.sigma_w(IN, OUT) == pytest.approx(1.667 * math.sqrt(IN / inputs), rel=1e-14)
    assert chosen.biases is None


def test_the_frameworks_names_are_such_distributions() -> None:
    """torch.nn.init.kaiming_normal_ with its gain √2, xavier_uniform_ and orthogonal_."""
    assert detailed("normal", math.sqrt(2), "in").sigma_w(IN, OUT) == pytest.approx(
        initialiser("he_normal").sigma_w(IN, OUT), rel=1e-15
    )
    assert detailed("uniform", 1.0, "average") == initialiser("xavier_uniform")
    assert detailed("orthogonal", 1.0, "in") == initialiser("orthogonal")
