"""Rank collapse: the layer from which on a network no longer distinguishes its inputs.

A batch's signals are distinct where their Gram matrix has energy, the sum of eigenvalues, outside its few
strongest directions: beyond the mean that all inputs share and the few axes that remain when a deep network
maps everything near a line or a plane. Dong, Cordonnier and Loukas 2021 (arXiv:2103.03404) call what is left
of a network without it rank collapse.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from app.core.arithmetic import Array

DIRECTIONS = 4
"""How many strongest directions are left out; at most half of the batch."""

COLLAPSED = 5e-3
"""Fraction of the inputs' distinct energy below which signals count as collapsed."""

_ALIKE = 1e-12
"""Distinct energy below which the inputs themselves count as equal, within rounding."""

MOST = 2_000_000
"""The most entries of Gram matrices that are kept to find the layer."""


def distinct(gram: Array) -> float:
    """The part of a Gram matrix's energy that lies outside its strongest directions."""
    energies = np.linalg.eigvalsh(gram)
    kept = energies[: -min(DIRECTIONS, len(gram) // 2)]
    return float(max(0.0, kept.sum() / energies.sum()))


def stride(depth: int, batch: int) -> int:
    """Every how many layers a Gram matrix is kept."""
    return math.ceil(depth * batch**2 / MOST)


def first_collapsed(inputs: Array, grams: Sequence[Array]) -> int | None:
    """The index in ``grams`` from which on signals have collapsed; None where they stay distinct.

    It is relative to the inputs: also None where these are equal themselves.
    """
    before = distinct(inputs)
    if not before > _ALIKE or distinct(grams[-1]) > COLLAPSED * before:
        return None
    low, high = -1, len(grams) - 1
    while high - low > 1:
        middle = (low + high) // 2
        if distinct(grams[middle]) > COLLAPSED * before:
            low = middle
        else:
            high = middle
    return high
