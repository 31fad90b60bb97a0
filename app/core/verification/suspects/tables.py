"""Kernels that look their answers up: steps, straight lines or low polynomials between knots."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import NamedTuple, TypeAlias

import numpy as np

from app.core.activations.definition import Text
from app.core.arithmetic import Array
from app.core.formulas.tree import Tree
from app.core.verification.evidence import FEW, SINGLE, Base, Evidence, Mask, Places, Suspect
from app.core.verification.suspects.ends import plainest
from app.core.verification.suspects.insides import SHORT, exactly, mantissa_bits

MOST_POINTS = 4000

QUICK_SAMPLE, ALIKE, OFF = 50, 0.6, 0.5
"""The number of answers by which most evenly spaced tables are ruled out. A table is ruled out if it gives
fewer than the first share of them, or if more than the second share of its own are right."""

MOST_STEPS = 0.65
"""The most steps per answer: with more, neighbours are rarely equal."""

SMOOTH = 0.5
"""The share of the points that must lie on one piece with their neighbours: a piece holds many more than
define it."""

SHORT_RUN, LEAST_FILL = 32, 0.7
"""Pieces after which it is no table if they hold less than this share of the points that a piece has to hold
on the average."""

FEWER = 0.7
"""The number of segments, relative to those needed for the right answers, above which it is no table."""

NEXT_TO, ON_GRID = 0.25, 0.85
"""The distance from a knot, in widths, at which a piece may begin, and the least share that begin there."""

MOST_UNEVEN = (0, 40, 12, 12)
"""The most pieces of unlike lengths, by their degree: with more, another smooth function may be as simple."""

MOSTLY = 0.99

SLACK = 0.6
"""Distance, in ulp of the output, that an answer may have from its line: half for the rounding, and a
little."""

FINE = 2.0**-36
"""Slack relative to the value below which points are fitted as doubles."""

SINGLE_SLACK = 4.0
"""The same where the line itself is evaluated in the format of the output, for example 1 − y."""

_KINDS = (
    Text("steps", "계단"),
    Text("straight lines", "직선"),
    Text("parabolas", "포물선"),
    Text("cubics", "삼차식"),
)


class _Points(NamedTuple):
    x: Array
    values: Array
    slack: Array


_Look: TypeAlias = Callable[[Array, Array, Array], Array]
"""A table's answers at x, from its knots and their values."""

TINY = 2.0**-10
"""The part of the window around zero that is not examined."""

HUGE = 1e75
"""Tables have no numbers above it or below its reciprocal."""

ENDS = (3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 16.0)
COUNTS = tuple(2**power for power in range(3, 13))
MOST_END = 1e3
"""The largest end of an evenly spaced table."""


class Tables:
    """Pieces of one degree, if fewer are needed than for the right answers; each stretch is searched once."""

    def __init__(self, seen: Evidence) -> None:
        self._seen = seen
        self._found: dict[tuple[bytes, int], list[Suspect]] = {}

    def of(self, remaining: Mask, highest: int) -> list[Suspect]:
        """The table that spans the ``remaining`` errors, of degree ``highest`` at most."""
        places = _window(self._seen, remaining)
        key = places.tobytes(), highest
        if key not in self._found:
            self._found[key] = list(_tables(self._seen, places, highest))
        return self._found[key]


def _tables(seen: Evidence, places: Places, highest: int) -> Iterator[Suspect]:
    if places.size < 4 * FEW or seen.arrays:  # array parameters: more than one curve
        return
    single = seen.dtype.itemsize >= SINGLE.itemsize
    slack = SINGLE_SLACK if single else SLACK
    least = float(seen.unit[places].max()) / 2 if single else 1 / HUGE
    with np.errstate(all="ignore"):
        unit = (
            seen.unit[places]
            * np.maximum(1.0, np.exp2(_exponent(seen.output) - _exponent(seen.right)))[places]
        )
    x = seen.x[places]
    made = _Points(x, seen.output[places], np.clip(slack * unit, least, HUGE))
    right = _Points(x, seen.right[places], np.clip(slack * seen.unit[places], least, HUGE))
    for degree in range(int(_is_short(seen, places)), highest + 1):
        if degree and _smooth(made, degree) < SMOOTH:
            continue
        most = int(places.size * (MOST_STEPS if degree == 0 else 1 / (2 * degree + 4)))
        pieces = _fewer_segments(made, right, degree, most)
        if pieces is None or len(pieces) < 2:
            continue
        even = _are_even(np.array([x[each.start] for each in pieces]))
        if not even and len(pieces) > MOST_UNEVEN[degree]:
            continue
        yield _table(seen, x, pieces, degree)
        return


def even_tables(seen: Evidence, base: Base, remaining: Mask) -> Iterator[Suspect]:
    """The function's own values at evenly spaced knots, and steps or straight lines between them."""
    inner = seen.inner
    if np.count_nonzero(remaining & inner) < FEW or seen.arrays:
        return
    sample = seen.sample(remaining & inner)
    sample = sample[remaining[sample] & (np.abs(seen.x[sample]) >= TINY)]
    edges = seen.x[inner][[0, -1]]
    seen_ends = {plainest(0.98 * abs(each), 1.02 * abs(each)) for each in edges.tolist() if each}
    for high in sorted({*ENDS, *(each for each in seen_ends if each < MOST_END)}):
        within = sample[np.abs(seen.x[sample]) <= high]
        if within.size < FEW:
            continue
        finest, zero = _finest(base, high), _Zero.of(seen, TINY * high)
        for count, kind in _likely(seen, finest, high, within[:: max(1, within.size // QUICK_SAMPLE)]):
            every = COUNTS[-1] // count
            first = every // 2 if kind is _MIDDLE else 0
            table = np.linspace(-high, high, count + 1), finest[first::every]
            run = partial(_even, seen, inner, zero, table, _LOOKS[kind])
            if not _agrees(seen, seen.rounded(run(within)), within, 0.9).all():
                continue
            detail = f"{count} {kind.en} from {-high:.4g} to {high:.4g}"
            summary = Text(
                f"The answers are those of a table: {detail}.",
                f"결과가 {-high:.4g}부터 {high:.4g}까지를 {count}개의 {kind.ko}으로 나눈 표의 값과 같습니다.",
            )
            yield Suspect("table", detail, summary, run, base=base)


def _finest(base: Base, high: float) -> Array:
    """The values at the knots of the longest table; those of shorter ones are among them."""
    return _kept_values(base.tree, tuple(base.params.items()), high)


@lru_cache(maxsize=128)
def _kept_values(tree: Tree, params: tuple[tuple[str, float], ...], high: float) -> Array:
    return exactly(Base(tree, dict(params)), np.linspace(-high, high, COUNTS[-1] + 1))


def _likely(seen: Evidence, finest: Array, high: float, places: Places) -> Iterator[tuple[int, Text]]:
    """The tables up to ``high`` that agree with many of the kernel's answers at a few places."""
    counts = np.array(COUNTS)[:, None]
    every = COUNTS[-1] // counts
    u = (seen.x[places] + high) / (2 * high) * counts
    before = np.minimum(np.floor(u).astype(np.intp), counts - 1)
    start, stop = finest[before * every], finest[(before + 1) * every]
    predicted = {
        _LINES: start + (u - before) * (stop - start),
        _NEAREST: finest[np.rint(u).astype(np.intp) * every],
        _BEFORE: start,
        _MIDDLE: finest[before * every + every // 2],
    }
    for kind, values in predicted.items():
        agree = _agrees(seen, seen.rounded(values), places, ALIKE)
        if kind is _MIDDLE:  # the middles of the longest table are not tabulated
            agree &= every[:, 0] > 1
        yield from ((COUNTS[row], kind) for row in np.flatnonzero(agree))


def _agrees(seen: Evidence, predicted: Array, places: Places, least: float) -> Mask:
    """Whether each table, a row of ``predicted``, gives this share of the answers and is often wrong."""
    same = (seen.off(predicted, places) <= 1).mean(axis=-1)
    off = (predicted != seen.right[places]).mean(axis=-1)
    found: Mask = (same >= least) & (off >= OFF)
    return found


def _even(
    seen: Evidence, inner: Mask, zero: _Zero, table: tuple[Array, Array], look: _Look, places: Places
) -> Array:
    x = seen.x[places]
    knots, values = table
    within = (x >= knots[0]) & (x <= knots[-1])
    answers = look(np.clip(x, knots[0], knots[-1]), knots, values)
    beyond = np.where(inner[places], seen.right[places], seen.output[places])
    near = zero.near(seen, places)
    return np.where(within & ~near, answers, np.where(near, seen.output[places], beyond))


def _nearest(x: Array, knots: Array, values: Array) -> Array:
    found: Array = values[np.rint((x - knots[0]) / (knots[1] - knots[0])).astype(np.intp)]
    return found


def _of_step(x: Array, knots: Array, values: Array) -> Array:
    place = np.floor((x - knots[0]) / (knots[1] - knots[0])).astype(np.intp)
    found: Array = values[np.minimum(place, values.size - 1)]
    return found


_LINES = Text("straight lines", "직선")
_NEAREST = Text("steps", "계단")
_BEFORE = Text("steps, each with its left end's value,", "계단(왼쪽 끝 값)")
_MIDDLE = Text("steps, each with its middle's value,", "계단(가운데 값)")
_LOOKS: dict[Text, _Look] = {_LINES: np.interp, _NEAREST: _nearest, _BEFORE: _of_step, _MIDDLE: _of_step}


def _is_short(seen: Evidence, places: Places) -> bool:
    """Whether the outputs are numbers of a shorter format, whose steps are no table's."""
    output = seen.output[places]
    shorter = [each for each in SHORT if each.bits < mantissa_bits(seen.dtype)]
    return any(bool((each.rounded(output) == output).mean() > MOSTLY) for each in shorter)


def _exponent(values: Array) -> Array:
    exponent: Array = np.frexp(values)[1].astype(np.float64)
    return exponent


def _window(seen: Evidence, remaining: Mask) -> Places:
    """Places between the outermost errors, those next to zero left out."""
    inner = seen.inner
    wrong = seen.x[remaining & inner]
    if wrong.size < FEW:
        return np.empty(0, np.intp)
    low, high = float(wrong.min()), float(wrong.max())
    tiny = TINY * max(abs(low), abs(high))
    use = inner & (seen.x >= low) & (seen.x <= high) & (np.abs(seen.x) >= tiny) & np.isfinite(seen.output)
    use &= np.maximum(np.abs(seen.output), np.abs(seen.right)) < HUGE
    places = np.flatnonzero(use)
    _, first = np.unique(seen.x[places], return_index=True)
    places = places[first]
    if places.size > MOST_POINTS:
        places = places[np.linspace(0, places.size - 1, MOST_POINTS).astype(np.intp)]
    return places


class _Segment(NamedTuple):
    start: int
    stop: int
    middle: float
    coefficients: Array


def _fewer_segments(made: _Points, right: _Points, degree: int, most: int) -> list[_Segment] | None:
    """The pieces of the values ``made``; None if it takes ``most``, or nearly as many as the right answers.

    As many are accepted if only the outputs' pieces begin at evenly spaced knots. The two counts are compared
    after every `SHORT_RUN` pieces.
    """
    found: list[_Segment] = []
    rights = _segments(right, degree)
    others: list[_Segment] = []
    reached = 0
    for piece in _segments(made, degree):
        if len(found) == most or (
            len(found) >= SHORT_RUN and piece.start < LEAST_FILL * (2 * degree + 4) * len(found)
        ):
            return None
        found.append(piece)
        if len(found) % SHORT_RUN == 0 or len(found) == SHORT_RUN // 2:
            while reached < piece.stop:
                others.append(next(rights))
                reached = others[-1].stop
            if len(others) <= len(found) and not _on_a_grid(made, found, others):
                return None
    while len(others) <= len(found) / FEWER:
        another = next(rights, None)
        if another is None:
            return found if _on_a_grid(made, found, others) else None
        others.append(another)
    return found


def _on_a_grid(points: _Points, found: list[_Segment], others: list[_Segment]) -> bool:
    """Whether the pieces begin at evenly spaced knots, and those of the right answers do not."""
    starts, rights = (points.x[[each.start for each in pieces[1:]]] for pieces in (found, others))
    return len(found) >= SHORT_RUN // 2 and _spaced(starts) and not _spaced(rights)


def _spaced(starts: Array) -> bool:
    """Whether nearly all lie next to multiples of one width, most of them one width apart."""
    if starts.size < SHORT_RUN // 4:
        return False
    width = float(np.median(np.diff(starts)))
    whole = np.cumsum(np.concatenate([[0.0], np.rint(np.diff(starts) / width)]))
    width, first = np.polyfit(whole, starts, 1)
    off = np.abs(starts - first - whole * width) / width
    return bool(np.mean(off < NEXT_TO) >= ON_GRID and np.mean(np.diff(whole) == 1) >= ON_GRID)


def _segments(points: _Points, degree: int) -> Iterator[_Segment]:
    """The fewest pieces, from the left, each as long as it can be."""
    start, size = 0, points.x.size
    while start < size:
        stop, piece = _longest(points, start, degree)
        yield _Segment(start, stop, float(points.x[start]), piece)
        start = stop


def _smooth(points: _Points, degree: int) -> float:
    """The share of runs of degree + 2 neighbours that a polynomial of this degree fits."""
    count = points.x.size - degree - 1
    x, values, slack = (
        np.stack([each[start : start + count] for start in range(degree + 2)]) for each in points
    )
    apart = x[:, None] - x[None]
    apart[np.arange(degree + 2), np.arange(degree + 2)] = 1.0
    weight = 1 / apart.prod(axis=1)
    deviation = np.abs((weight * values).sum(axis=0))
    return float((deviation <= (np.abs(weight) * slack).sum(axis=0)).mean())


def _longest(points: _Points, start: int, degree: int) -> tuple[int, Array]:
    size = points.x.size
    good = min(start + degree + 1, size)
    piece = _polynomial(points, start, good, degree)
    assert piece is not None
    step = degree + 1
    bad = size + 1
    while good < size and good + step < bad:  # the length doubles, then is bisected
        tried = _polynomial(points, start, min(good + step, size), degree)
        if tried is None:
            bad = good + step
            break
        good, piece, step = min(good + step, size), tried, 2 * step
    while step > 1:
        step //= 2
        if good + step < bad and good + step <= size:
            tried = _polynomial(points, start, good + step, degree)
            if tried is not None:
                good, piece = good + step, tried
    return good, piece


def _polynomial(points: _Points, start: int, stop: int, degree: int) -> Array | None:
    """A polynomial within the slack of all points, if weighted least squares and a correction find one."""
    values, slack = points.values[start:stop], points.slack[start:stop]
    if degree == 0:
        low, high = float((values - slack).max()), float((values + slack).min())
        flat = bool((values == values[0]).all())
        return np.array([values[0]]) if flat and low <= high else None
    x = points.x[start:stop] - points.x[start]
    least = float(slack.min())
    weight, fine = least / slack, least < FINE * float(np.abs(values).max())
    if stop - start <= degree + 1:
        powers = _Powers.of(x, min(degree, stop - start - 1), fine=fine)
        return powers.coefficients(powers.solved(values, weight))
    powers = _Powers.of(x, degree, fine=fine)
    for _ in range(3):  # moves towards the minimax polynomial
        piece = powers.solved(values, weight)
        off = np.abs(piece @ powers.powers - values) / slack
        most = float(off.max())
        if most <= 1:
            return powers.coefficients(piece)
        if most > 3:
            return None
        weight = weight * np.sqrt(np.maximum(off, 0.1) / most)
    return None


class _Powers(NamedTuple):
    """The powers of x, scaled so that none is larger than 1, the highest first."""

    powers: Array
    scale: float
    fine: bool

    @classmethod
    def of(cls, x: Array, degree: int, *, fine: bool) -> _Powers:
        """``fine``: the values are so precise that the normal equations would lose digits of them."""
        scale = float(x[-1]) or 1.0
        powers = np.ones((degree + 1, x.size))
        for power in range(degree - 1, -1, -1):
            np.multiply(powers[power + 1], x / scale, out=powers[power])
        return cls(powers, scale, fine)

    def solved(self, values: Array, weight: Array) -> Array:
        """The weighted least squares."""
        weighed = self.powers * weight
        if not self.fine:
            try:
                return np.asarray(np.linalg.solve(weighed @ weighed.T, weighed @ (values * weight)))
            except np.linalg.LinAlgError:  # singular: points too close together
                pass
        return np.asarray(np.linalg.lstsq(weighed.T, values * weight, rcond=None)[0])

    def coefficients(self, solved: Array) -> Array:
        """The coefficients of the powers of x, unscaled."""
        found: Array = solved / self.scale ** np.arange(len(solved) - 1, -1, -1.0)
        return found


def _table(seen: Evidence, x: Array, pieces: list[_Segment], degree: int) -> Suspect:
    starts = np.array([x[each.start] for each in pieces])
    low, high = float(x[0]), float(x[-1])
    kind = _KINDS[degree]
    each = f" of {np.median(np.diff(starts)):.3g}" if _are_even(starts) else ""
    detail = f"{len(pieces)} {kind.en}{each} from {low:.4g} to {high:.4g}"
    summary = Text(
        f"The answers lie on {detail}: they come from a table or a piecewise formula.",
        f"결과가 {low:.4g}부터 {high:.4g}까지 {len(pieces)}개의 {kind.ko} 위에 놓입니다. 표나 구간별 식으로 "
        "계산한 값입니다.",
    )
    return Suspect(
        "table",
        detail,
        summary,
        partial(
            _looked_up, seen, pieces, starts, (low, high), _Zero.of(seen, TINY * max(abs(low), abs(high)))
        ),
        price=(0.05 if each else 0.15) + 0.0005 * (degree + 1) * len(pieces),
    )


def _are_even(starts: Array) -> bool:
    """Whether most pieces have one width."""
    widths = np.diff(starts)
    return widths.size > 3 and float(np.median(np.abs(widths / np.median(widths) - 1))) < 0.1


def _looked_up(
    seen: Evidence,
    pieces: list[_Segment],
    starts: Array,
    ends: tuple[float, float],
    zero: _Zero,
    places: Places,
) -> Array:
    x = seen.x[places]
    segment = np.clip(np.searchsorted(starts, x, side="right") - 1, 0, len(pieces) - 1)
    values = seen.right[places].copy()
    within = (x >= ends[0]) & (x <= ends[1])
    for number in np.unique(segment[within]):
        here = within & (segment == number)
        values[here] = np.polyval(pieces[number].coefficients, x[here] - pieces[number].middle)
    beyond = ~seen.inner[places] | zero.near(seen, places)
    return np.where(beyond, seen.output[places], values)


class _Zero(NamedTuple):
    """Inputs nearer to zero than those examined, with errors no larger: a table's errors are absolute."""

    least: float
    most_off: float

    @classmethod
    def of(cls, seen: Evidence, least: float) -> _Zero:
        edge = (np.abs(seen.x) >= least) & (np.abs(seen.x) <= 8 * least)
        with np.errstate(all="ignore"):
            off = np.abs(seen.output[edge] - seen.right[edge])
        return cls(least, float(off[np.isfinite(off)].max(initial=0.0)))

    def near(self, seen: Evidence, places: Places) -> Mask:
        with np.errstate(all="ignore"):
            off = np.abs(seen.output[places] - seen.right[places])
        found: Mask = (np.abs(seen.x[places]) < self.least) & (off <= self.most_off)
        return found
