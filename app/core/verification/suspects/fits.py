"""Kernels with a polynomial or a quotient that was fitted: small errors that change their sign."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from app.core.activations.definition import Text
from app.core.arithmetic import Array
from app.core.verification.evidence import SINGLE, Evidence, Mask, Places, Suspect

CLEAR_SHORT, CLEAR_LONG = 2.0, 32.0
"""Errors in ulps of a short format from which their sign is not chance; in float32 and float64, from which
they are not those of careful steps."""

LEAST_SWINGS, MOST_SWINGS = 4, 24
"""The least and the most stretches of errors with one sign: at least as many as a fit has terms, and fewer
than a table has."""

SHORTEST = 0.01
"""The share of the clear errors that a stretch must have to count."""

REGULAR = 0.02
"""The most changes of sign, for each clear error, that lie in no stretch."""

SMALL = 2.0**-5
"""The largest median relative error: larger ones mean another function."""


def fits(seen: Evidence, remaining: Mask) -> Iterator[Suspect]:
    """The kernel's own answers, where its errors alternate in sign as those of a fit do."""
    if not seen.by_size:
        return
    least = CLEAR_LONG if seen.dtype.itemsize >= SINGLE.itemsize else CLEAR_SHORT
    clear = (
        remaining & (seen.size > least) & np.isfinite(seen.output) & np.isfinite(seen.exact) & (seen.x != 0)
    )
    places = np.flatnonzero(clear)
    if places.size < MOST_SWINGS * LEAST_SWINGS:
        return
    error = seen.output[places] - seen.exact[places]
    with np.errstate(all="ignore"):
        relative = np.abs(error / seen.exact[places])
    lengths = _stretches(np.sign(error))
    long = lengths[lengths >= SHORTEST * places.size]
    loose = (lengths.size - long.size) / places.size
    if not LEAST_SWINGS <= long.size <= MOST_SWINGS or loose > REGULAR or not np.median(relative) <= SMALL:
        return
    most = float(relative[relative <= SMALL].max())
    summary = Text(
        f"The errors are smooth, at most {most:.2g} of the answer, and change their sign {long.size - 1} "
        "times: a polynomial or a quotient was fitted to the function, or to one inside it.",
        f"오차가 매끄럽고 정답의 {most:.2g}배 이하이며 부호가 {long.size - 1}번 바뀝니다. 함수나 그 내부 "
        "함수에 맞춘 다항식이나 유리식으로 계산한 값입니다.",
    )
    known = np.zeros(seen.x.size, bool)
    known[places[relative <= SMALL]] = True

    def predicted(places: Places) -> Array:
        return np.where(known[places] | ~clear[places], seen.output[places], seen.right[places])

    detail = f"a fit whose errors change their sign {long.size - 1} times"
    yield Suspect("approximation", detail, summary, predicted, price=0.9)


def _stretches(signs: Array) -> Array:
    """How many errors in a row have one sign, stretch by stretch."""
    edges = np.flatnonzero(np.diff(signs)) + 1
    return np.diff(np.concatenate([[0], edges, [signs.size]]))
