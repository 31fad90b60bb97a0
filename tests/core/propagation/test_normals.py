"""Compiled float32 normals: Philox's words by its published answers, Box and Muller's formula in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numba import njit
from numpy.typing import NDArray

from app.core.propagation.normals import box_muller, fill

ANSWERS = [
    # Counter, key, words: Random123, tests/kat_vectors, "philox4x32 10".
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]
CHUNK = 2048

Words = NDArray[np.uint64]


compiled: Any = njit(lambda radial, angular: box_muller(np.uint32(radial), np.uint32(angular)))


def philox(counter: Words, key: tuple[int, int]) -> Words:
    """Philox4x32-10 as Salmon et al. 2011 define it: four words for each column of four."""
    low, high = np.uint64(2**32 - 1), np.uint64(32)
    words, (left, right) = list(counter), key
    for _ in range(10):
        first, second = np.uint64(0xD2511F53) * words[0], np.uint64(0xCD9E8D57) * words[2]
        words = [
            (second >> high) ^ words[1] ^ np.uint64(left),
            second & low,
            (first >> high) ^ words[3] ^ np.uint64(right),
            first & low,
        ]
        left, right = (left + 0x9E3779B9) % 2**32, (right + 0xBB67AE85) % 2**32
    return np.array(words)


def pairs(radial: Words, angular: Words) -> NDArray[np.float64]:
    """Box and Muller's formula in float64, with u rounded to float32."""
    u = (radial.astype(np.float32) * np.float32(2**-32) + np.float32(2**-33)).astype(np.float64)
    angle = 2 * np.pi * angular / 2**32
    found: NDArray[np.float64] = np.sqrt(-2 * np.log(u)) * np.array([np.cos(angle), np.sin(angle)])
    return found


@pytest.mark.parametrize(("counter", "key", "words"), ANSWERS)
def test_the_reference_gives_the_published_answers(counter: str, key: str, words: str) -> None:
    left, right = (int(each, 16) for each in key.split())
    drawn = philox(np.array([int(each, 16) for each in counter.split()], np.uint64), (left, right))
    assert [f"{word:08x}" for word in drawn] == words.split()


@pytest.mark.parametrize("key", [0, 2**64 - 1, 0x299F31D0A4093822])
def test_numbers_are_those_of_the_reference(key: int) -> None:
    drawn = np.empty((3, CHUNK), np.float32)
    fill(key, drawn)
    for chunk, numbers in enumerate(drawn):
        counter = np.zeros((4, CHUNK // 4), np.uint64)
        counter[0], counter[1] = np.arange(CHUNK // 4), chunk
        words = philox(counter, (key % 2**32, key >> 32)).reshape(2, -1)
        expected = pairs(*words)
        radius = np.hypot(*expected)
        assert (np.abs(numbers.reshape(2, -1) - expected) <= 2.0**-22 * radius).all()


def test_every_angle_and_the_ends_of_the_radius() -> None:
    eighths = [(turn * 2**29 + step) % 2**32 for turn in range(8) for step in (-1, 0, 1, 12345)]
    for radial in (0, 1, 2**31, 3_037_000_499, 3_037_000_500, 2**32 - 2**10):
        for angular in eighths:
            (x,), (y,) = pairs(np.array([radial], np.uint64), np.array([angular], np.uint64))
            assert compiled(radial, angular) == pytest.approx((x, y), abs=2.0**-22 * np.hypot(x, y))
    assert compiled(0, 0)[0] == pytest.approx(np.sqrt(66 * np.log(2)), rel=2.0**-22)
    assert compiled(2**32 - 1, 5) == (0, 0)


@pytest.mark.parametrize("size", [1, 2, 3, CHUNK - 1, CHUNK, CHUNK + 1])
def test_a_number_does_not_depend_on_how_many_are_drawn(size: int) -> None:
    few, many = np.empty(size, np.float32), np.empty(3 * CHUNK, np.float32)
    fill(7, few)
    fill(7, many)
    assert few.tobytes() == many[:size].tobytes()
