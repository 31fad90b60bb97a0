"""Which of the suspects accounts best for a kernel's errors.

Most are ruled out by a few numbers. What a suspect says there is kept for the next kernel of that function.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

import numpy as np

from app.core.arithmetic import Array
from app.core.verification.evidence import (
    CHEAP,
    PERFECT,
    SAMPLE,
    SINGLE,
    Evidence,
    Fit,
    Mask,
    Places,
    Suspect,
)

GLANCE, RUN, GLANCE_LEAST = 320, 16, 0.3
"""Numbers of a full sample, in runs, by which a suspect is ruled out that meets less than half of what it has
to; not where it has to meet less than this."""

PROBES, WRONG_PROBES = 512, 64
"""Numbers, in runs, by which suspects are ruled out together, if so many of them are wrong."""

TOGETHER = 64
"""Suspects that are looked at together."""

ALBUMS = 12
"""Functions, each order for itself, for which a worker keeps what suspects say: up to 2 MB each."""


def best(
    seen: Evidence,
    suspects: Iterable[Suspect],
    remaining: Mask,
    least: float,
    least_gain: float | None = None,
) -> tuple[Suspect, Fit] | None:
    """The suspect that accounts best for the ``remaining`` errors; the first that leaves nothing open."""
    places = seen.sample(remaining)
    found: tuple[Suspect, Fit] | None = None
    worth = -np.inf
    for suspect in _likely(seen, suspects, places, remaining, least):
        fit, _ = seen.fit(suspect, places, remaining)
        if fit.share < least or fit.gain < (_least_gain(seen, suspect) if least_gain is None else least_gain):
            continue
        if fit.worth - suspect.price > worth:
            found, worth = (suspect, fit), fit.worth - suspect.price
        if fit.share == 1 and fit.gain > PERFECT and suspect.price <= CHEAP:
            break
    return found


def _least_gain(seen: Evidence, suspect: Suspect) -> float:
    """What is noisy in a long format may be far off in its digits; in a short one it shows less."""
    if not suspect.noisy:
        return 0.3
    return -0.5 if seen.dtype.itemsize >= SINGLE.itemsize else 0.2


def _likely(
    seen: Evidence, suspects: Iterable[Suspect], places: Places, remaining: Mask, least: float
) -> Iterator[Suspect]:
    """Those that a few numbers do not rule out."""
    probes = _runs(np.arange(seen.x.size), PROBES) if seen.by_size and seen.x.size >= PROBES else None
    if probes is not None and remaining[probes].sum() >= WRONG_PROBES:
        return _of_album(_Album.of(seen, probes), seen, suspects, remaining, least / 2)
    if least >= GLANCE_LEAST and places.size >= 2 * SAMPLE:
        few = _runs(places, GLANCE)
        return (each for each in suspects if seen.fit(each, few, remaining)[0].share >= least / 2)
    return iter(suspects)


def _runs(places: Places, count: int) -> Places:
    """Some runs of neighbours, spread evenly."""
    starts = np.linspace(0, places.size - RUN, count // RUN).astype(np.intp)
    found: Places = places[(starts[:, None] + np.arange(RUN)).ravel()]
    return found


def _of_album(
    album: _Album, seen: Evidence, suspects: Iterable[Suspect], remaining: Mask, least: float
) -> Iterator[Suspect]:
    """Those that meet so much of what the probes show."""
    rest = iter(suspects)
    while together := list(islice(rest, TOGETHER)):
        shares = album.shares(seen, together, remaining)
        yield from (each for each, share in zip(together, shares, strict=True) if share >= least)


class _Said(NamedTuple):
    """What a suspect predicts at the probes, or how large errors it allows there."""

    kind: str
    numbers: Array


class _Album:
    """What suspects of one function say at the probes."""

    def __init__(self, probes: Places) -> None:
        self._probes = probes
        self._kept: dict[tuple[object, ...], _Said] = {}

    @classmethod
    def of(cls, seen: Evidence, probes: Places) -> _Album:
        """The one that is kept for this function, order and format at these inputs."""
        if seen.arrays:
            return cls(probes)
        numbers = (seen.x[probes].tobytes(), seen.right[probes].tobytes())
        return _kept_album(seen.base.key, seen.order, seen.dtype, seen.x.size, numbers)

    def shares(self, seen: Evidence, suspects: Sequence[Suspect], remaining: Mask) -> Array:
        """What share of the errors at the probes each meets."""
        said = [self._said(seen, each) for each in suspects]
        found = np.zeros(len(said))
        for kind in {each.kind for each in said}:
            places = [place for place, each in enumerate(said) if each.kind == kind]
            numbers = np.stack([said[place].numbers for place in places])
            if kind == "room":
                found[places], _ = seen.shares_within(numbers, self._probes, remaining)
            else:
                found[places], _ = seen.shares(numbers, self._probes, remaining, noisy=kind == "noisy")
        return found

    def _said(self, seen: Evidence, suspect: Suspect) -> _Said:
        if suspect.key is None:
            return _asked(seen, suspect, self._probes)
        if suspect.key not in self._kept:
            self._kept[suspect.key] = _asked(seen, suspect, self._probes)
        return self._kept[suspect.key]


def _asked(seen: Evidence, suspect: Suspect, places: Places) -> _Said:
    if suspect.room is not None:
        return _Said("room", suspect.room(places))
    return _Said("noisy" if suspect.noisy else "plain", seen.rounded(suspect.predicted(places)))


@lru_cache(maxsize=ALBUMS)
def _kept_album(*function: object) -> _Album:
    *_, size, _ = function
    assert isinstance(size, int)
    return _Album(_runs(np.arange(size), PROBES))
