"""Standard normal numbers in float32, compiled: Philox's words, Box and Muller's transformation.

Word n of a key is a function of both alone, so that a loop over n carries no state and becomes vector
instructions; and every step is an addition, a multiplication or a square root, rounded once, so that every
processor gives the same bits.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from app.core.arithmetic import Array
from app.core.arithmetic.compiled import compiled
from app.core.arithmetic.double_double import (
    scalar,
)

Words: TypeAlias = NDArray[np.uint32]

_CHUNK = 2048
"""Numbers made at a time: they and their words stay in the first-level cache."""

_MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
_KEY_STEPS = 0x9E3779B9, 0xBB67AE85


def fill(key: int, out: Array) -> None:
    """Independent N(0, 1) into ``out``, float32 and contiguous: the first numbers of a 64-bit ``key``.

    The uniform numbers have 32 bits, so the normal ones reach to ±6.76, beyond which 1.4e-11 of the
    distribution lies.
    """
    words, flat = np.empty(_CHUNK, np.uint32), out.reshape(-1)
    whole = flat.size // _CHUNK
    halves = key >> 32, key & 0xFFFFFFFF
    _fill(*halves, 0, words, flat[: whole * _CHUNK])
    rest = flat[whole * _CHUNK :]
    if rest.size:
        last = np.empty(_CHUNK, np.float32)
        _fill(*halves, whole, words, last)
        rest[:] = last[: rest.size]


@compiled("void(i8, i8, i8, u4[::1], f4[::1])")
def _fill(key_high: int, key_low: int, first: int, words: Words, out: Array) -> None:
    """Chunks from number ``first`` on."""
    for chunk in range(out.size // words.size):
        _draw(np.uint32(key_low), np.uint32(key_high), np.uint32(first + chunk), words)
        start = chunk * words.size
        _transform(words, out[start : start + words.size])


@scalar
def philox(counter: tuple[Any, Any, Any, Any], key_low: Any, key_high: Any) -> tuple[Any, Any, Any, Any]:
    """Philox4x32-10 of a counter and a key: four words that pass for random.

    Source: Salmon, Moraes, Dror and Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3",
    doi:10.1145/2063384.2063405.
    """
    a, b, c, d = counter
    for _ in range(10):
        first, second = np.uint64(_MULTIPLIERS[0]) * np.uint64(a), np.uint64(_MULTIPLIERS[1]) * np.uint64(c)
        a, b = np.uint32(second >> np.uint64(32)) ^ b ^ key_low, np.uint32(second)
        c, d = np.uint32(first >> np.uint64(32)) ^ d ^ key_high, np.uint32(first)
        key_low = np.uint32(key_low + np.uint32(_KEY_STEPS[0]))
        key_high = np.uint32(key_high + np.uint32(_KEY_STEPS[1]))
    return a, b, c, d


@scalar
def _draw(key_low: Any, key_high: Any, chunk: Any, words: Words) -> None:
    quarter = words.size // 4
    for i in range(quarter):
        a, b, c, d = philox((np.uint32(i), chunk, np.uint32(0), np.uint32(0)), key_low, key_high)
        words[i], words[quarter + i], words[2 * quarter + i], words[3 * quarter + i] = a, b, c, d


@scalar
def _transform(words: Words, out: Array) -> None:
    half = words.size // 2
    for i in range(half):
        out[i], out[half + i] = box_muller(words[i], words[half + i])


@scalar
def box_muller(radial: Any, angular: Any) -> tuple[Any, Any]:
    """√(−2 ln u) cos 2πv and √(−2 ln u) sin 2πv, u = (radial + ½)/2³², v = angular/2³².

    Within 2⁻²² of the radius, once u is rounded to float32.
    """
    u = np.float32(radial) * np.float32(2.0**-32) + np.float32(2.0**-33)
    radius = np.float32(math.sqrt(np.float32(-2.0) * _logarithm(u)))
    # The nearest quarter turn, and what is left of the angle: at most an eighth of a turn to either side.
    turned = np.uint32(angular + np.uint32(2**29))
    quarter = turned >> np.uint32(30)
    rest = np.int32(turned & np.uint32(2**30 - 1)) - np.int32(2**29)
    sine, cosine = _sine_and_cosine(np.float32(rest) * np.float32(math.pi / 2**31))
    x, y = (cosine, sine) if quarter & np.uint32(1) == 0 else (sine, cosine)
    x = x if (quarter + np.uint32(1)) & np.uint32(2) == 0 else -x
    y = y if quarter & np.uint32(2) == 0 else -y
    return radius * x, radius * y


@scalar
def _logarithm(u: Any) -> Any:
    """ln u for a normal u ≤ 1: u = m 2ᵉ with m between √½ and √2; ln m by Cephes' polynomial (logf.c)."""
    least = np.uint32(0x3F3504F3)  # √½
    above = np.uint32(np.float32(u).view(np.uint32) - least)
    exponent = np.float32(np.int32(above) >> np.int32(23))
    x = np.uint32((above & np.uint32(0x007FFFFF)) + least).view(np.float32) - np.float32(1.0)
    square = x * x
    tail = np.float32(7.0376836292e-2)
    tail = tail * x - np.float32(1.1514610310e-1)
    tail = tail * x + np.float32(1.1676998740e-1)
    tail = tail * x - np.float32(1.2420140846e-1)
    tail = tail * x + np.float32(1.4249322787e-1)
    tail = tail * x - np.float32(1.6668057665e-1)
    tail = tail * x + np.float32(2.0000714765e-1)
    tail = tail * x - np.float32(2.4999993993e-1)
    tail = tail * x + np.float32(3.3333331174e-1)
    low = x * square * tail - exponent * np.float32(2.12194440e-4) - np.float32(0.5) * square
    return (x + low) + exponent * np.float32(0.693359375)


@scalar
def _sine_and_cosine(x: Any) -> tuple[Any, Any]:
    """For |x| ≤ π/4, by Cephes' polynomials (sinf.c)."""
    square = x * x
    sine = np.float32(-1.9515295891e-4) * square + np.float32(8.3321608736e-3)
    sine = (sine * square - np.float32(1.6666654611e-1)) * square * x + x
    cosine = np.float32(2.443315711809948e-5) * square - np.float32(1.388731625493765e-3)
    cosine = (cosine * square + np.float32(4.166664568298827e-2)) * square * square
    return sine, cosine - np.float32(0.5) * square + np.float32(1.0)
