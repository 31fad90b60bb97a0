"""A tied matrix that is never made: its products are those of one matrix and its transpose, in any order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from app.core.arithmetic import Array
from app.core.propagation.blocks import Blocks
from app.core.propagation.streams import Stream
from app.core.propagation.tall import Batch
from app.core.propagation.tied_maps import TiedGaussian

FAN_IN, FAN_OUT, BATCH, PRODUCTS = 40, 70, 3, 8
FLOAT64, FLOAT32 = np.dtype(np.float64), np.dtype(np.float32)


def tied(dtype: np.dtype[Any] = FLOAT64, fan_in: int = FAN_IN, fan_out: int = FAN_OUT) -> TiedGaussian:
    return TiedGaussian(fan_in, fan_out, 0.5, Stream(3), BATCH * PRODUCTS, dtype)


def batch(values: Array) -> Batch:
    return Batch(np.ascontiguousarray(values), Blocks(values.shape[1]))


def sample_inputs(size: int, dtype: np.dtype[Any] = FLOAT64) -> list[Array]:
    """Inputs of every kind: new, of other sizes, spanned by earlier ones, identical, nearly so, zero."""
    rng = np.random.default_rng(size)
    new = rng.standard_normal((4, size, BATCH))
    alike = np.repeat(new[2][:, :1], BATCH, axis=1)
    batches = [
        new[0],
        1e6 * new[1] + new[0],
        new[0] @ rng.standard_normal((BATCH, BATCH)),
        alike,
        alike + 1e-9 * new[3],
        np.zeros((size, BATCH)),
        1e-140 * new[3] if dtype == FLOAT64 else 1e-30 * new[3],
        new[1] + 1e-12 * rng.standard_normal((size, BATCH)),
    ]
    return [each.astype(dtype) for each in batches]


@pytest.mark.parametrize("order", ["forward first", "in turn"])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(FLOAT64, 1e-12), (FLOAT32, 2e-5)], ids=["float64", "float32"]
)
@pytest.mark.parametrize("fan_in", [FAN_IN, 4], ids=["many units", "fewer units than inputs"])
def test_the_products_are_those_of_one_matrix(
    order: str, dtype: np.dtype[Any], tolerance: float, fan_in: int
) -> None:
    """δᵀ (W h) = (Wᵀ δ)ᵀ h for every pair of inputs, in any order."""
    weights = tied(dtype, fan_in)
    hs, deltas = sample_inputs(fan_in, dtype), sample_inputs(FAN_OUT, dtype)
    if order == "in turn":
        pairs = [
            (weights.forward(batch(h)), weights.backward(batch(d))) for h, d in zip(hs, deltas, strict=True)
        ]
        answers, backs = ([pair[place] for pair in pairs] for place in (0, 1))
    else:
        answers = [weights.forward(batch(h)) for h in hs]
        backs = [weights.backward(batch(delta)) for delta in deltas]
    for h, answer in zip(hs, answers, strict=True):
        for delta, back in zip(deltas, backs, strict=True):
            h64, answer64, delta64, back64 = (each.astype(float) for each in (h, answer, delta, back))
            size = np.linalg.norm(h64, axis=0) * np.linalg.norm(delta64, axis=0)[:, None]
            difference = delta64.T @ answer64 - back64.T @ h64
            assert (np.abs(difference) <= tolerance * 20 * size).all()


def test_repeated_inputs_give_the_same_products() -> None:
    weights = tied()
    hs = sample_inputs(FAN_IN)
    before = [weights.forward(batch(h)) for h in hs]
    weights.backward(batch(sample_inputs(FAN_OUT)[0]))
    for h, answer in zip(hs, before, strict=True):
        again = weights.forward(batch(h))
        np.testing.assert_allclose(again, answer, rtol=0, atol=1e-12 * float(np.linalg.norm(h)))


def test_once_all_directions_are_known_it_is_a_matrix() -> None:
    weights = tied(fan_in=6, fan_out=5)
    matrix = np.hstack([weights.forward(batch(each)) for each in np.split(np.eye(6), 2, axis=1)])
    rng = np.random.default_rng(0)
    h, delta = rng.standard_normal((6, BATCH)), rng.standard_normal((5, BATCH))
    np.testing.assert_allclose(weights.forward(batch(h)), matrix @ h, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(weights.backward(batch(delta)), matrix.T @ delta, rtol=1e-12, atol=1e-12)


def test_entries_are_independent_normal_numbers() -> None:
    """Means, variances and covariances, within 4.5 deviations, of matrices applied from both sides."""
    size, matrices = 4, 4000
    made = np.empty((matrices, size, size))
    for number in range(matrices):
        weights = TiedGaussian(size, size, 0.5, Stream(5, (number,)), size, FLOAT64)
        first = weights.forward(batch(np.eye(size)[:, :2]))
        weights.backward(batch(np.eye(size)[:, :2] + first))
        made[number] = weights.forward(batch(np.eye(size)))
    entries = made.reshape(matrices, -1) / 0.5
    products = np.einsum("ni,nj->nij", entries, entries)[:, *np.triu_indices(size**2)]
    expected = np.eye(size**2)[np.triu_indices(size**2)]
    deviations = np.where(expected == 1, np.sqrt(2), 1) / np.sqrt(matrices)
    assert (np.abs(entries.mean(axis=0)) * np.sqrt(matrices)).max() < 4.5
    assert (np.abs(products.mean(axis=0) - expected) / deviations).max() < 4.5
