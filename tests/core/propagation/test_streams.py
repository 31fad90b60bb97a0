"""Random numbers with an address: reproducible, independent, normal."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import kolmogorov, ndtr

from app.core.propagation.blocks import Blocks
from app.core.propagation.streams import Stream

DTYPES = [np.dtype(np.float64), np.dtype(np.float32)]


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_stream_is_a_function_of_its_address(dtype: np.dtype[Any]) -> None:
    draw = Stream(3, (1, 4)).normals(5000, Blocks(7), dtype)
    assert draw.tobytes() == Stream(3).at(1, 4).normals(5000, Blocks(7), dtype).tobytes()
    for other in (Stream(4, (1, 4)), Stream(3, (1, 5)), Stream(3, (1,)), Stream(3, (1, 4, 0))):
        drawn = other.normals(5000, Blocks(7), dtype)
        assert abs(np.mean(draw * drawn)) < 4.5 / np.sqrt(draw.size)


@pytest.mark.parametrize("dtype", DTYPES)
def test_numbers_are_standard_normal(dtype: np.dtype[Any]) -> None:
    draw = np.sort(Stream(5).normals(400_000, Blocks(1), dtype)[:, 0].astype(np.float64))
    n = draw.size
    # Kolmogorov and Smirnov: a distance of d between distribution functions is found for d √n > 2.
    ranks = np.arange(n) / n
    distance = np.max(np.abs(ndtr(draw) - ranks - 0.5 / n)) + 0.5 / n
    assert kolmogorov(distance * np.sqrt(n)) > 1e-4
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert np.mean(draw**power) == pytest.approx(moment, abs=4.5 * np.sqrt(variance / n))
    # Of 400,000 numbers 25 are expected beyond ±4.
    assert 5 < np.count_nonzero(np.abs(draw) > 4) < 50


@pytest.mark.parametrize("dtype", DTYPES)
def test_numbers_of_a_block_are_uncorrelated_at_every_distance(dtype: np.dtype[Any]) -> None:
    # Box and Muller's pairs lie half a chunk apart; their squares must be uncorrelated as well.
    draw = Stream(6).normals(1, Blocks(2**16), dtype)[0].astype(np.float64)
    for values in (draw, draw**2 - 1):
        spectrum = np.fft.rfft(values)
        covariance = np.fft.irfft(np.abs(spectrum) ** 2) / np.sum(values**2)
        assert np.abs(covariance[1 : 2**15]).max() < 6 / np.sqrt(2**16)
