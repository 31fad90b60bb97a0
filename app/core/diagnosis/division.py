"""Signals that start alike and may end in two basins of the length map.

Where the map q ← σ_w² V(q) + σ_b² has a repelling fixed point, signals below it end in another place than
those above, at 0 and at infinity for example. Where a network starts near that point, chance decides: random
weights and the size of each input. In which basin a signal ends is read from the mean square of its last
pre-activations, one for each input of each network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from app.core.arithmetic import Array
from app.core.propagation.statistics import Figures
from app.core.theory.length_map import Basin


@dataclass(frozen=True)
class Division:
    """Two neighbouring basins, and how many networks end in each.

    Attributes:
        border: the variance between them.
        lower, upper: the variances to which the signals in the two basins converge.
        below, above, both: networks all of whose inputs end below the border, above it, or some on each side.
        gap: decades between the root mean squares of the median signals on the two sides; 0 where one side
            has none, infinite where they have died out or overflowed.
        rising: the share of all signals that end above.
    """

    border: float
    lower: float
    upper: float
    below: int
    above: int
    both: int
    gap: float
    rising: float

    @property
    def smaller(self) -> float:
        """The share of all signals on the side that has fewer."""
        return min(self.rising, 1 - self.rising)


def apart(networks: Sequence[Figures]) -> float:
    """Decades between the root mean squares of the largest and the smallest signal in the last layer."""
    ends = _ends(networks)
    if ends is None or ends.min() == ends.max():
        return 0.0
    return float(ends.max() - ends.min()) / 2


def division(basins: Sequence[Basin], networks: Sequence[Figures]) -> Division | None:
    """How the networks divide; with three basins, at the border that divides them most evenly."""
    ends = _ends(networks) if len(basins) > 1 else None
    if ends is None:
        return None
    found = [_at(*pair, ends) for pair in pairwise(basins)]
    return max(found, key=lambda each: (each.both, min(each.below, each.above)))


def _ends(networks: Sequence[Figures]) -> Array | None:
    """log10 of the mean squares, networks × inputs; NaN counts as overflow, infinity."""
    ends = [each.ends for each in networks if each.ends is not None]
    if len(ends) < len(networks):
        return None
    with np.errstate(divide="ignore"):
        return np.log10(np.nan_to_num(np.array(ends), nan=np.inf, posinf=np.inf))


def _at(lower: Basin, upper: Basin, ends: Array) -> Division:
    over = ends >= np.log10(upper.low)
    below, above = int((~over).all(axis=1).sum()), int(over.all(axis=1).sum())
    gap = 0.0
    if over.any() and not over.all():
        gap = float(np.median(ends[over]) - np.median(ends[~over])) / 2
    return Division(
        upper.low,
        lower.q_star,
        upper.q_star,
        below,
        above,
        len(ends) - below - above,
        gap,
        float(over.mean()),
    )
