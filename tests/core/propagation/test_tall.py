"""Orthonormal bases and square roots of Gram matrices, from well conditioned to collapsed batches."""

from __future__ import annotations

import numpy as np
import pytest

from app.core.arithmetic import Array
from app.core.propagation.blocks import Blocks
from app.core.propagation.tall import Basis, Batch, cross, orthonormal, product_norm, root, times

RNG = np.random.default_rng(20)
SHAPES = [(400, 8), (3000, 33), (6, 10), (50, 1)]


def batch(values: Array) -> Batch:
    return Batch(values, Blocks(values.shape[1]))


def alike(rows: int, columns: int, apart: float) -> Array:
    """Columns that share a vector and differ by ``apart`` of it."""
    return RNG.standard_normal((rows, 1)) + apart * RNG.standard_normal((rows, columns))


def q_of(basis: Basis) -> Array:
    return basis.tall.astype(np.float64) @ basis.small


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("apart", [1.0, 1e-2, 1e-5, 1e-9, 1e-12])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 2e-11), (np.float32, 1e-6)])
def test_q_is_orthonormal_and_q_r_is_h(
    shape: tuple[int, int], apart: float, dtype: type, tolerance: float
) -> None:
    h: Array = alike(*shape, apart).astype(dtype)
    basis = orthonormal(batch(h))
    q = q_of(basis)
    assert np.abs(q.T @ q - np.eye(basis.rank)).max() < tolerance
    # Backward stability: H = Q R to rounding of each column, so that R keeps the columns' differences.
    size = np.linalg.norm(h.astype(np.float64), axis=0)
    indistinct = max(4 * np.finfo(dtype).eps, 64 * np.finfo(np.float64).eps)
    assert (np.linalg.norm(q @ basis.r - h, axis=0) <= indistinct * size).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_in_double_precision_a_difference_of_1e_12_counts(shape: tuple[int, int]) -> None:
    assert orthonormal(batch(alike(*shape, 1e-12))).rank == min(shape)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_batch_of_one_input_repeated_has_rank_one(shape: tuple[int, int], dtype: type) -> None:
    h: Array = alike(*shape, 0.0).astype(dtype)
    assert orthonormal(batch(h)).rank == 1


def test_columns_that_are_zero_or_repeated_add_no_rank() -> None:
    a, b = RNG.standard_normal((2, 40))
    h = np.stack([a, np.zeros(40), b, a, a + b], axis=1)
    basis = orthonormal(batch(h))
    assert basis.rank == 2
    np.testing.assert_allclose(q_of(basis) @ basis.r, h, atol=1e-13)


def test_a_batch_of_zeros_has_rank_zero() -> None:
    basis = orthonormal(batch(np.zeros((20, 3))))
    assert basis.rank == 0
    assert basis.r.shape == (0, 3)


@pytest.mark.parametrize("size", [1e-300, 1e-250, 1e160, 1e300])
def test_squares_beyond_the_range_of_floats_are_scaled(size: float) -> None:
    unit = RNG.standard_normal((30, 4))
    h = batch(unit * size)
    np.testing.assert_allclose(h.gram * (h.scale / size) ** 2, unit.T @ unit, rtol=1e-13)
    basis = orthonormal(h)
    np.testing.assert_allclose(q_of(basis) @ (basis.r * (h.scale / size)), unit, rtol=1e-11, atol=1e-13)


def test_the_norm_of_a_product_that_cancels_keeps_the_digits_of_its_factors() -> None:
    """L Rᵀ = 1e-11 C Rᵀ for L = 1e-11 C + D with D Rᵀ = 0; Gram matrices alone would say 1e-8."""
    right = RNG.standard_normal((40, 3)) @ np.eye(3, 8)
    beyond = RNG.standard_normal((50, 5)) @ np.eye(5, 8, 3)
    along = 1e-11 * RNG.standard_normal((50, 8))
    left = batch(along + beyond)
    expected = np.linalg.norm(along @ right.T)
    assert product_norm(left, batch(right)) == pytest.approx(expected, rel=1e-4)
    assert product_norm(batch(along), batch(right)) == pytest.approx(expected, rel=1e-12)


def test_root_squares_to_the_gram_matrix() -> None:
    for columns in (RNG.standard_normal((50, 6)), alike(50, 6, 1e-9), alike(50, 6, 0.0)):
        scaled = columns * np.array([1e-80, 1.0, 1e80, 3.0, 0.0, 1e5])
        gram = scaled.T @ scaled
        factor = root(gram)
        size = np.sqrt(np.diag(gram))
        assert np.abs(factor.T @ factor - gram).max(initial=0) <= 1e-14 * np.outer(size, size).max()
        live = np.outer(size, size) > 0
        np.testing.assert_allclose((factor.T @ factor)[live] / gram[live], 1.0, rtol=1e-12)


def test_products_in_blocks_are_products() -> None:
    left, right = RNG.standard_normal((2, 5000, 7))
    blocks = Blocks(7, elements=1000)
    np.testing.assert_allclose(cross(left, right, blocks), left.T @ right, rtol=1e-10)
    small = RNG.standard_normal((7, 3))
    np.testing.assert_allclose(times(left, small, blocks), left @ small, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    ("rows", "fan_in", "columns"), [(7, 5, 40), (90, 30, 64), (1, 1, 9), (300, 260, 200)]
)
@pytest.mark.parametrize(
    ("dtype", "tolerance", "sizes"),
    [
        (np.float64, 1e-13, [(1.0, 1.0), (1e-150, 1e150), (1e-200, 1e-120), (1e140, 1e100)]),
        (np.float32, 1e-6, [(1.0, 1.0), (1e-20, 1e-22), (1e18, 1e20), (1e-30, 1e30)]),
    ],
)
def test_the_norm_of_a_product_without_gram_matrices(
    rows: int, fan_in: int, columns: int, dtype: type, tolerance: float, sizes: list[tuple[float, float]]
) -> None:
    unit: list[Array] = [RNG.standard_normal((each, columns)).astype(dtype) for each in (rows, fan_in)]
    expected = np.linalg.norm(unit[0].astype(np.float64) @ unit[1].astype(np.float64).T)
    for size in sizes:
        left, right = (
            Batch((each * dtype(factor)).astype(dtype), Blocks(columns), gram_needed=False)
            for each, factor in zip(unit, size, strict=True)
        )
        found = product_norm(left, right) * (left.scale / size[0]) * (right.scale / size[1])
        assert found == pytest.approx(expected, rel=tolerance)
        assert not left.has_gram
        assert not right.has_gram


def test_where_a_product_of_single_precision_cancels_it_is_made_in_double() -> None:
    """L = (A, −A), R = (C, C + 2⁻²⁰ D), whole numbers, so that L Rᵀ = −2⁻²⁰ A Dᵀ without any rounding."""
    a, c, d = (RNG.integers(-8, 9, (size, 64)).astype(np.float64) for size in (20, 30, 30))
    left = np.hstack([a, -a]).astype(np.float32)
    right = np.hstack([c, c + d * 2.0**-20]).astype(np.float32)
    norm = product_norm(*(Batch(each, Blocks(128), gram_needed=False) for each in (left, right)))
    assert norm == pytest.approx(np.linalg.norm(a @ d.T) * 2.0**-20, rel=1e-12)


@pytest.mark.parametrize("size", [1.0, 1e-200, 1e200])
def test_a_gram_matrix_made_late_is_the_same(size: float) -> None:
    values = RNG.standard_normal((50, 60)) * size
    early, late = (Batch(values, Blocks(60), gram_needed=each) for each in (True, False))
    assert early.has_gram
    assert not late.has_gram
    assert late.scale == early.scale
    assert late.mean_square == pytest.approx(early.mean_square, rel=1e-14)
    np.testing.assert_array_equal(late.gram, early.gram)
