"""Which of the suspects accounts best for a kernel's errors.

Most are ruled out by a few numbers. What a suspect predicts there is kept for the next kernel of that
function.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b
from itertools import islice
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from app.core.arithmetic import Array
from app.core.arithmetic.formats import round_to
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
from app.core.verification.exact import doubles

QUICK_SAMPLE, RUN, QUICK_LEAST = 320, 16, 0.3
"""The size of a quick sample, in runs of neighbours. A suspect is ruled out if it explains less than half of
the required share there. The sample is not used where the required share is below `QUICK_LEAST`."""

PROBES, MOST_PROBES, WRONG_PROBES = 4096, 512, 32
"""The number of probes, in runs of neighbours, for which predictions are kept; how many of them, mostly in
runs with errors, rule suspects out; and how many of those must be wrong."""

RARE = 256
"""Errors by which suspects are ruled out where the probes have too few."""

SOME_NOISE = 0.05
"""The share of such errors that a suspect with noise must explain."""

PROBED = (0.0625, 0.625, 0.0625, 0.25)
"""The share of the probes in each of `Evidence.parts`."""

FORGOTTEN = 0.1
"""The share of the errors below which a part needs no probes."""

CLOSE = 0.6
"""The fraction of the required share that a suspect must explain at the probes."""

TOGETHER, FOREMOST = 64, 12
"""Suspects that are evaluated together, and how many of them are then evaluated more closely."""

KEPT_FUNCTIONS = 9
"""Functions, counted by order, whose predictions a worker keeps: 3 MB each in a 16-bit format."""

OF_A_FORMULA = frozenset({"approximation", "other_variant", "rounded_constant", "wrong_parameter"})
"""Causes that say how the answers depend on the inputs everywhere."""

AWAY, MANY_AWAY = 2.0**-4, 32
"""The |x| from which a function is taken to be curved, and how many errors there are needed to judge by."""

ROOM: Any = ml_dtypes.bfloat16
"""The format in which the allowed error sizes are kept: two digits are enough."""


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
        fit, met = seen.fit(suspect, places, remaining)
        if fit.share < least or fit.gain < (_least_gain(seen, suspect) if least_gain is None else least_gain):
            continue
        if suspect.cause in OF_A_FORMULA and _fails_away_from_zero(seen, places, remaining, met, least):
            continue
        if fit.worth - suspect.price > worth:
            found, worth = (suspect, fit), fit.worth - suspect.price
        if fit.share == 1 and fit.gain > PERFECT and suspect.price <= CHEAP:
            break
    return found


def _fails_away_from_zero(seen: Evidence, places: Places, remaining: Mask, met: Mask, least: float) -> bool:
    """Whether a suspect that predicts exact errors fails where the function is curved.

    Most numbers of a format are close to zero, where errors show nothing but a wrong slope.
    """
    away = remaining[places] & (np.abs(seen.x[places]) >= AWAY)
    return bool(away.sum() >= MANY_AWAY and met[away].mean() < least)


def _least_gain(seen: Evidence, suspect: Suspect) -> float:
    """The least gain. A noisy suspect may predict the digits badly in a long format, not in a short one."""
    if suspect.least_gain is not None:
        return suspect.least_gain
    if not suspect.noisy:
        return 0.3
    return -0.5 if seen.dtype.itemsize >= SINGLE.itemsize else 0.2


def _likely(
    seen: Evidence, suspects: Iterable[Suspect], places: Places, remaining: Mask, least: float
) -> Iterator[Suspect]:
    """The suspects that a small sample does not rule out."""
    if seen.by_size and seen.x.size >= PROBES:
        probes = _probes(seen)
        chosen = _chosen_probes(remaining[probes])
        weight = _weight(seen, remaining, probes[chosen])
        if weight is not None:
            kept = _Predictions.of(seen, probes)
            return _not_ruled_out(kept, (chosen, weight), seen, suspects, remaining, CLOSE * least)
        few = _rare(seen, remaining)
        alike = np.arange(few.size), np.ones(few.size)
        return _not_ruled_out(
            _Predictions.of(seen, few), alike, seen, suspects, remaining, CLOSE * least, all_noisy=True
        )
    if least >= QUICK_LEAST and places.size >= 2 * SAMPLE:
        few = _runs(places, QUICK_SAMPLE)
        alike = np.arange(few.size), np.ones(few.size)
        return _not_ruled_out(_Predictions.of(seen, few), alike, seen, suspects, remaining, least / 2)
    return iter(suspects)


def _rare(seen: Evidence, remaining: Mask) -> Places:
    """Errors that few probes meet, and half as many good answers, in order."""
    wrong, good = np.flatnonzero(remaining), np.flatnonzero(~seen.wrong)
    count = min(wrong.size, RARE)
    some = np.linspace(0, wrong.size - 1, count).astype(np.intp)
    others = np.linspace(0, good.size - 1, min(good.size, count // 2)).astype(np.intp)
    found: Places = np.sort(np.concatenate([wrong[some], good[others]]))
    return found


def _probes(seen: Evidence) -> Places:
    places = []
    for part, share in zip(seen.parts, PROBED, strict=True):
        there = np.flatnonzero(part)
        count = int(min(share * PROBES, there.size)) // RUN * RUN
        if count:
            places.append(_runs(there, count))
    return np.concatenate(places)


def _weight(seen: Evidence, remaining: Mask, probes: Places) -> Array | None:
    """Weights that balance the sampling of the parts; None where a part with errors has too few probes."""
    weight = np.zeros(probes.size)
    for part in seen.parts:
        wrong, there = int((remaining & part).sum()), int((remaining & part)[probes].sum())
        if there < WRONG_PROBES / 4 and wrong > FORGOTTEN * remaining.sum():
            return None
        weight[part[probes]] = wrong / max(1, there)
    return weight


def _runs(places: Places, count: int) -> Places:
    """Some runs of neighbours, evenly spaced."""
    starts = np.linspace(0, places.size - RUN, count // RUN).astype(np.intp)
    found: Places = places[(starts[:, None] + np.arange(RUN)).ravel()]
    return found


def _chosen_probes(wrong: Mask) -> Places:
    """Which of the probes are used: runs with errors, if there are enough, evenly spaced."""
    count = wrong.reshape(-1, RUN).sum(axis=1)
    runs = np.flatnonzero(count)
    if runs.size < MOST_PROBES // RUN:
        runs = np.arange(count.size)
    chosen = runs[np.linspace(0, runs.size - 1, MOST_PROBES // RUN).astype(np.intp)]
    found: Places = (chosen[:, None] * RUN + np.arange(RUN)).ravel()
    return found


def _not_ruled_out(
    kept: _Predictions,
    chosen: tuple[Places, Array],
    seen: Evidence,
    suspects: Iterable[Suspect],
    remaining: Mask,
    least: float,
    *,
    all_noisy: bool = False,
) -> Iterator[Suspect]:
    """The suspects that explain enough of the errors at the chosen probes: the best of each group.

    With ``all_noisy`` also all noisy ones that explain some: their errors depend on neighbours, which the
    probes may lack.
    """
    rest = iter(suspects)
    while together := list(islice(rest, TOGETHER)):
        shares = kept.shares(seen, together, remaining, chosen)
        foremost = set(np.argsort(-shares, kind="stable")[:FOREMOST].tolist())
        for place, (suspect, share) in enumerate(zip(together, shares.tolist(), strict=True)):
            if (place in foremost and share >= least) or (
                all_noisy and suspect.noisy and share >= SOME_NOISE
            ):
                yield suspect


class _Prediction(NamedTuple):
    """What a suspect predicts at the probes in the kernel's format, or how large it allows errors to be."""

    kind: str
    numbers: NDArray[Any]


class _Predictions:
    """The predictions of one function's suspects at the probes; equal ones are stored once."""

    def __init__(self, probes: Places) -> None:
        self._probes = probes
        self._kept: dict[tuple[object, ...], _Prediction] = {}
        self._distinct: dict[tuple[np.dtype[Any], bytes], NDArray[Any]] = {}

    @classmethod
    def of(cls, seen: Evidence, probes: Places) -> _Predictions:
        """The predictions kept for this function, order, format and inputs."""
        if seen.arrays or not seen.by_size:
            return cls(probes)
        numbers = tuple(each[probes].tobytes() for each in (seen.x, seen.right))
        return _kept_predictions(probes.tobytes(), (seen.base.key, seen.order, seen.dtype, *numbers))

    def shares(
        self, seen: Evidence, suspects: Sequence[Suspect], remaining: Mask, weighed: tuple[Places, Array]
    ) -> Array:
        """The weighted share of the errors at some of the probes that each suspect explains."""
        chosen, weight = weighed
        probes = self._probes[chosen]
        predictions = [self._of(seen, each) for each in suspects]
        found = np.zeros(len(predictions))
        for kind in {each.kind for each in predictions}:
            places = [place for place, each in enumerate(predictions) if each.kind == kind]
            numbers = doubles(np.stack([predictions[place].numbers[chosen] for place in places]))
            if kind == "room":
                found[places], _ = seen.shares_within(numbers, probes, remaining, weight)
            else:
                found[places], _ = seen.shares(
                    numbers, probes, remaining, noisy=kind == "noisy", weight=weight
                )
        return found

    def _of(self, seen: Evidence, suspect: Suspect) -> _Prediction:
        if suspect.key is None:
            return _predict(seen, suspect, self._probes)
        if suspect.key not in self._kept:
            made = _predict(seen, suspect, self._probes)
            same = made.numbers.dtype, blake2b(made.numbers.tobytes(), digest_size=16).digest()
            self._kept[suspect.key] = made._replace(numbers=self._distinct.setdefault(same, made.numbers))
        return self._kept[suspect.key]


def _predict(seen: Evidence, suspect: Suspect, places: Places) -> _Prediction:
    if suspect.room is not None:
        return _Prediction("room", suspect.room(places).astype(ROOM))
    numbers = round_to(np.asarray(suspect.predicted(places), np.float64), seen.dtype)
    return _Prediction("noisy" if suspect.noisy else "plain", numbers)


@lru_cache(maxsize=KEPT_FUNCTIONS)
def _kept_predictions(probes: bytes, _: tuple[object, ...]) -> _Predictions:
    return _Predictions(np.frombuffer(probes, np.intp))
