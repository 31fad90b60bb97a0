"""A kernel's errors at one order, and how well a supposed kernel accounts for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from app.core.activations.definition import Elementwise, Text
from app.core.activations.from_formula import FormulaActivation, tree_of
from app.core.activations.registry import Call
from app.core.arithmetic import Array
from app.core.arithmetic.formats import round_to
from app.core.formulas.tree import Tree, with_infinite
from app.core.korean import with_particles
from app.core.proof import finite_and_infinite
from app.core.verification.exact import doubles
from app.core.verification.judgement import Errors, spacing

FAR = 2.0**40
"""Size in ulp beyond which errors count as equal, as do those of NaN and infinities."""

SAMPLE = 1500
"""The number of wrong numbers, and of others, on which a supposed kernel is tried first."""

QUIET = 4.0
"""Errors in ulp that a kernel in float32 or float64 may have by rounding each step, as careful kernels do."""

ROOM = 0.25
"""The allowed error, in ulp, above which a cause can be seen, and the least share of such errors there must
be."""

SINGLE = np.dtype(np.float32)

NEIGHBOURS = 8

CHEAP = 0.05
"""The price above which a suspect may have a simpler rival that fits as well."""

PERFECT = 0.9995
"""The share of the errors' bits explained beyond which no other suspect can be better."""

FEW = 8
"""The least number of errors that can show a pattern."""

MIDDLE = 2.0**-12, 2.0**8
"""Magnitudes of inputs where most kernels err."""

MANY, IRREGULAR = 200, 0.4
"""Pairs of neighbours that suffice to judge, and the share of changes of sign above which errors are
irregular."""

Mask: TypeAlias = NDArray[np.bool_]
Places: TypeAlias = NDArray[np.intp]


class Cause(NamedTuple):
    """A cause, and the share of the errors that it explains."""

    cause: str
    detail: str
    explains: float
    summary: Text

    def with_korean_particles(self) -> Cause:
        """The cause, its Korean summary with the particles that fit the words before them."""
        return self._replace(summary=Text(self.summary.en, with_particles(self.summary.ko)))


@dataclass(frozen=True)
class Suspect:
    """A supposed kernel. ``predicted`` is what it would answer at places of the evidence.

    ``base`` is the formula that it computes where that is not the requested one. ``noisy`` says that its
    errors depend on the last digit of elementary functions, so that their size can be predicted, not their
    value; ``room`` is how large they may be, where the format is so short that this size is all that shows.
    ``price`` is how much better it has to be than a simpler one. ``split`` gives the separate causes that
    it has in different places. With a ``key`` its predictions do not depend on the outputs, and are kept.
    ``least_gain`` is the share of the errors' digits that it has to predict, where that is more than usual.
    """

    cause: str
    detail: str
    summary: Text
    predicted: Callable[[Places], Array]
    base: Base | None = None
    noisy: bool = False
    price: float = 0.0
    split: Callable[[Places], list[tuple[Cause, Mask]]] | None = None
    room: Callable[[Places], Array] | None = None
    key: tuple[object, ...] | None = None
    least_gain: float | None = None

    def causes(self, met: Places) -> list[Cause]:
        """The causes of the errors at the places ``met``, with their shares of these."""
        if self.split is None:
            return [Cause(self.cause, self.detail, 1.0, self.summary)]
        return [cause._replace(explains=float(mask.mean())) for cause, mask in self.split(met) if mask.any()]


class Base(NamedTuple):
    """A formula in x and its parameters."""

    tree: Tree
    params: Mapping[str, float]

    @property
    def key(self) -> tuple[object, ...]:
        """A key that distinguishes it from other bases."""
        return (self.tree, *self.params.items())


class Fit(NamedTuple):
    """How well a suspect accounts for the errors.

    ``share`` is that of the wrong numbers it explains, ``gain`` that of the errors' bits.
    """

    share: float
    gain: float

    @property
    def worth(self) -> float:
        """The number by which suspects are ranked."""
        return self.share + self.gain / 2


@dataclass(frozen=True)
class Evidence:
    """Outputs at finite inputs whose right answer is known; ``by_size`` says: in the order of the inputs.

    ``arrays`` are the parameters that differ from input to input; ``turned`` are the same along other axes,
    by the axis.
    """

    call: Call
    order: int
    dtype: np.dtype[Any]
    x: Array
    output: Array
    exact: Array
    right: Array
    unit: Array
    faithful: Mask
    correct: Mask
    smallest_normal: float
    arrays: Mapping[str, Array] = field(default_factory=dict)
    turned: Mapping[int, Mapping[str, Array]] = field(default_factory=dict)
    by_size: bool = False

    @cached_property
    def wrong(self) -> Mask:
        """Outputs that are neither of the two neighbours of the exact answer.

        In float32 and float64, if there are larger errors, only outputs off by more than `QUIET` ulps: the
        rounding errors of ordinary steps would hide the pattern.
        """
        if self.dtype.itemsize >= SINGLE.itemsize and self.worst > QUIET:
            return self.size > QUIET
        return ~self.faithful

    @cached_property
    def size(self) -> Array:
        """The errors in ulps."""
        return np.where(self.faithful, np.minimum(self.off(self.exact), 1.0), self.off(self.exact))

    @cached_property
    def parts(self) -> tuple[Mask, ...]:
        """The inputs by magnitude: nearly subnormal, in the middle, nearly overflowing, and the others."""
        size, largest = np.abs(self.x), float(ml_dtypes.finfo(self.dtype).max)  # type: ignore[no-untyped-call]
        tiny, huge = size <= 4 * self.smallest_normal, size >= largest / 8
        middle = (size >= MIDDLE[0]) & (size <= MIDDLE[1]) & ~tiny & ~huge
        return tiny, middle, huge, ~(tiny | middle | huge)

    @cached_property
    def inner(self) -> Mask:
        """All places without those at both ends where the answer is constant or equals the input."""
        inner = np.ones(self.x.size, bool)
        for same in (self.output == self.output[0], self.output == self.x):
            inner[: _leading(same)] = False
        for same in (self.output == self.output[-1], self.output == self.x):
            inner[self.x.size - _leading(same[::-1]) :] = False
        return inner

    @cached_property
    def gap(self) -> Array:
        """The errors in ulps of the exact answer or the output, whichever is larger: see `apart`."""
        return np.minimum(self.size, self.apart(self.exact, np.arange(self.x.size)))

    @cached_property
    def worst(self) -> float:
        """The largest error in ulps."""
        return float(self.size.max(initial=0.0))

    def is_irregular(self, remaining: Mask) -> bool:
        """Whether neighbours of the ``remaining`` errors are often off in opposite directions.

        A wrong function moves neighbours in the same direction; rounding does not.
        """
        if not self.by_size:
            return False
        with np.errstate(invalid="ignore"):
            off = np.sign(self.output - self.right)
        inexact = np.flatnonzero(np.abs(off) == 1)
        sign, wrong = off[inexact], remaining[inexact]
        changes = (sign[1:] != sign[:-1])[wrong[1:] | wrong[:-1]]
        return changes.size >= MANY and float(changes.mean()) > IRREGULAR

    @cached_property
    def base(self) -> Base:
        """The formula of the requested function."""
        activation = self.call.activation
        assert isinstance(activation, Elementwise)
        if isinstance(activation, FormulaActivation):
            root = activation.trees[self.order]
        else:
            root = tree_of(activation, activation.formulas.orders[self.order])
        _, infinite = finite_and_infinite(self.call.scalars)
        fixed = {name: value for name, value in self.call.scalars.items() if name not in infinite}
        return Base(with_infinite(root, infinite), fixed)

    def variables(self, base: Base, places: Places, x: Array | None = None) -> dict[str, Array]:
        """The inputs, or others in their place, and the parameters that differ from input to input."""
        arrays = {name: each[places] for name, each in self.arrays.items() if name not in base.params}
        return {"x": self.x[places] if x is None else x, **arrays}

    @cached_property
    def own_writings(self) -> tuple[Tree, ...]:
        """Other ways to write the value, or the slope, that the entry itself lists."""
        activation = self.call.activation
        listed = (activation.writings, activation.slope_writings)[self.order] if self.order < 2 else ()
        return tuple(tree_of(activation, each) for each in listed)

    @property
    def value_writings(self) -> tuple[Tree, ...]:
        """The value's formula, and the other ways to write it that the entry itself lists."""
        activation = self.call.activation
        if isinstance(activation, FormulaActivation):
            return (activation.trees[0],)
        assert isinstance(activation, Elementwise)
        listed = (activation.formulas.orders[0], *activation.writings)
        return tuple(tree_of(activation, each) for each in listed)

    @property
    def has_formula(self) -> bool:
        """Whether the order has a formula of its own."""
        activation = self.call.activation
        return isinstance(activation, FormulaActivation) or self.order < len(activation.formulas.orders)

    def rounded(self, values: Array) -> Array:
        """Doubles as numbers of the kernel's format."""
        return doubles(round_to(np.asarray(values, np.float64), self.dtype))

    def off(self, values: Array, places: Places | None = None) -> Array:
        """How far the outputs lie from ``values``, in ulps of the exact answers."""
        here: Any = slice(None) if places is None else places
        output = self.output[here]
        with np.errstate(all="ignore"):
            found = np.abs(output - values) / self.unit[here]
        same = (output == values) | (np.isnan(output) & np.isnan(values))
        result: Array = np.where(same, 0.0, np.where(np.isfinite(found), found, FAR))
        return np.minimum(result, FAR)

    def apart(self, predicted: Array, places: Places) -> Array:
        """How far the outputs lie from the prediction, in ulps of the larger of exact answer and output.

        Where the exact answer is nearly zero and the output is not, ulps of the former would be meaningless.
        """
        output, largest = self.output[places], float(ml_dtypes.finfo(self.dtype).max)  # type: ignore[no-untyped-call]
        digits = 2.0 ** -int(ml_dtypes.finfo(self.dtype).nmant)  # type: ignore[no-untyped-call]
        with np.errstate(all="ignore"):
            own = np.where(np.abs(output) <= largest, digits * np.abs(output), 0.0)
            share = self.unit[places] / np.maximum(self.unit[places], own)
            found = np.abs(output - predicted) / self.unit[places] * share
        same = (output == predicted) | (np.isnan(output) & np.isnan(predicted))
        return np.where(same, 0.0, np.minimum(np.where(np.isfinite(found), found, FAR), FAR))

    def sample(self, remaining: Mask) -> Places:
        """Places of ``remaining`` errors and of good answers, spread evenly, in order."""
        places = [_thinned(np.flatnonzero(remaining)), _thinned(np.flatnonzero(~self.wrong))]
        return np.sort(np.concatenate(places))

    def fit(self, suspect: Suspect, places: Places, remaining: Mask) -> tuple[Fit, Mask]:
        """The fit at ``places``, and which of the errors there are met."""
        predicted = self.rounded(suspect.predicted(places))
        left = self.apart(predicted, places)
        if suspect.room is None:
            share, met = self.shares(predicted, places, remaining, noisy=suspect.noisy)
            after = _bits(left)
        else:
            room = suspect.room(places)
            share, met = self.shares_within(room, places, remaining)
            after = _bits(np.where(self._is_within(room, places), np.minimum(left, 0.5), left))
        before = _bits(self.gap[places])
        gain = 1 - after / before if before else 0.0
        return Fit(float(share), max(-1.0, gain)), met

    def shares(
        self,
        predicted: Array,
        places: Places,
        remaining: Mask,
        *,
        noisy: bool,
        weight: Array | float = 1.0,
    ) -> tuple[Array, Mask]:
        """The share of the errors at ``places`` that each row of ``predicted`` explains, and which these are.

        The share is 0 if most of the errors that a kernel would make are not there. Errors count by their
        ``weight``.
        """
        size, exact, wrong = self.size[places], self.exact[places], remaining[places]
        left = self.apart(predicted, places)
        with np.errstate(all="ignore"):
            claimed = np.abs(predicted - exact) / self.unit[places]
        claimed = np.minimum(np.where(np.isfinite(claimed), claimed, FAR), FAR)
        claimed = np.where(predicted == self.right[places], 0.0, claimed)
        met = left <= _allowed(self.gap[places])
        true = left <= _allowed(claimed)
        if noisy:
            nearby = _largest_nearby(np.where(claimed < FAR, claimed, 0.0))
            alike = (nearby > 2) & (size <= 4 * nearby) & (size >= nearby / 16)
            with np.errstate(all="ignore"):
                same = np.sign(predicted - exact) == np.sign(self.output[places] - exact)
            met |= alike | (same & (left <= np.maximum(2.0, size / 4)) & (claimed > 1))
            true |= alike
        else:
            met &= (claimed > 0.5) | (size == FAR)
        made = claimed > (4 if noisy else 1)
        met &= wrong
        share = _share(met, wrong, weight)
        return np.where((true & made).sum(axis=-1) < 0.5 * made.sum(axis=-1), 0.0, share), met

    def shares_within(
        self, room: Array, places: Places, remaining: Mask, weight: Array | float = 1.0
    ) -> tuple[Array, Mask]:
        """The same for errors that may be as large as the ``room``; 0 if most of these are not there."""
        met = self._is_within(room, places) & remaining[places]
        with np.errstate(all="ignore"):
            likely = room / self.unit[places] > 1
        there = (likely & (self.size[places] > 0.5)).sum(axis=-1)
        share = _share(met, remaining[places], weight)
        return np.where(there < ROOM * likely.sum(axis=-1), 0.0, share), met

    def _is_within(self, room: Array, places: Places) -> Mask:
        size = self.size[places]
        with np.errstate(all="ignore"):
            room = np.minimum(room / self.unit[places], FAR)
        within: Mask = (room > ROOM) & (size <= 2 * room + 0.5) & (size >= room / 16)
        return within


def _leading(same: Mask) -> int:
    """How many are true before the first that is false."""
    return int(np.argmin(same)) if not same.all() else same.size


def _share(met: Mask, wrong: Mask, weight: Array | float) -> Array:
    whole = float((wrong * weight).sum())
    found: Array = (met * weight).sum(axis=-1) / whole if whole else np.zeros(met.shape[:-1])
    return found


def _allowed(size: Array) -> Array:
    """How far a prediction may lie from an error of so many ulps: a quarter of it, or the rounding error."""
    return np.maximum(0.5, np.maximum(size / 4, np.minimum(2.0, size / 2)))


def _bits(size: Array) -> float:
    return float(np.log2(1 + np.maximum(size - 0.5, 0.0)).sum())


def _thinned(places: Places) -> Places:
    if places.size <= SAMPLE:
        return places
    return places[np.linspace(0, places.size - 1, SAMPLE).astype(np.intp)]


def _largest_nearby(size: Array) -> Array:
    """The largest size among the `NEIGHBOURS` inputs on each side; the sizes are in the inputs' order."""
    padded = np.pad(size, [*[(0, 0)] * (size.ndim - 1), (NEIGHBOURS, NEIGHBOURS)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * NEIGHBOURS + 1, axis=-1)
    largest: Array = windows.max(axis=-1)
    return largest


def evidence(
    call: Call, order: int, found: Errors, dtype: np.dtype[Any], turned: Mapping[int, Call]
) -> Evidence:
    """The evidence in the errors that were found; ``turned`` has the parameters along other axes."""
    use = np.flatnonzero(found.judged & np.isfinite(found.x))
    use = use[np.argsort(found.x[use], kind="stable")]
    seen = evidence_at(call, order, found, use, dtype)
    return replace(
        seen,
        by_size=True,
        arrays=_arrays(call, use),
        turned={axis: _arrays(other, use) for axis, other in turned.items()},
    )


def _arrays(call: Call, use: Places) -> dict[str, Array]:
    return {name: value[use] for name, value in call.params.items() if isinstance(value, np.ndarray)}


def evidence_at(call: Call, order: int, found: Errors, use: Any, dtype: np.dtype[Any]) -> Evidence:
    """The evidence in the errors at the places ``use``."""
    exact = found.exact
    return Evidence(
        call,
        order,
        dtype,
        found.x[use],
        found.output[use],
        exact.value[use],
        exact.rounded[use],
        spacing(exact, dtype)[use],
        found.faithful[use],
        found.correct[use],
        found.smallest_normal,
    )
