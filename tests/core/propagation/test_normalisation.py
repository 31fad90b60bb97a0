"""Normalisations and their gradients; PyTorch's are in test_autograd."""

from __future__ import annotations

import numpy as np
import pytest

from app.core.errors import UnknownName
from app.core.propagation.blocks import Blocks
from app.core.propagation.normalisation import EPSILON, NORMALISATIONS, normalisation

BLOCKS = Blocks(6, elements=30)  # several blocks of five units
RNG = np.random.default_rng(3)
Z = 2 + 3 * RNG.standard_normal((23, 6))


def test_each_makes_its_moments_one_and_zero() -> None:
    layer, rms, batch = (NORMALISATIONS[name].forward(Z, BLOCKS).values for name in NORMALISATIONS)
    np.testing.assert_allclose(layer.mean(axis=0), 0, atol=1e-14)
    np.testing.assert_allclose((layer**2).mean(axis=0), Z.var(axis=0) / (Z.var(axis=0) + EPSILON), rtol=1e-13)
    square = (Z**2).mean(axis=0)
    np.testing.assert_allclose((rms**2).mean(axis=0), square / (square + EPSILON), rtol=1e-13)
    np.testing.assert_allclose(batch.mean(axis=1), 0, atol=1e-14)
    np.testing.assert_allclose((batch**2).mean(axis=1), Z.var(axis=1) / (Z.var(axis=1) + EPSILON), rtol=1e-13)


@pytest.mark.parametrize("name", NORMALISATIONS)
def test_the_gradient_is_that_of_the_values(name: str) -> None:
    chosen = NORMALISATIONS[name]
    delta, direction = RNG.standard_normal((2, *Z.shape))
    gradient = chosen.backward(delta, chosen.forward(Z, BLOCKS), BLOCKS)
    step = 1e-5
    ahead, behind = (chosen.forward(Z + sign * step * direction, BLOCKS).values for sign in (1, -1))
    # Central differences are off by step² times the third derivative, and by rounding over step: about 1e-10.
    assert np.sum(gradient * direction) == pytest.approx(
        np.sum(delta * (ahead - behind)) / (2 * step), abs=1e-8
    )


def test_an_unknown_name_names_the_near_ones() -> None:
    with pytest.raises(UnknownName, match="layer_norm"):
        normalisation("layernorm")
