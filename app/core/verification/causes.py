"""Where a kernel's errors come from, inferred from their pattern.

A cause is a supposed kernel, whose answers are computed and compared with the kernel's own. It is named
where it accounts for most of the errors and predicts few that the kernel does not make. The errors that it
leaves open are examined again, as long as another cause accounts for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from types import MappingProxyType
from typing import Any

import numpy as np

from app.core.activations.definition import Text
from app.core.activations.registry import Call
from app.core.verification.evidence import (
    CHEAP,
    FEW,
    QUIET,
    SINGLE,
    Base,
    Cause,
    Evidence,
    Fit,
    Mask,
    Suspect,
    evidence,
)
from app.core.verification.judgement import Errors
from app.core.verification.lineup import best
from app.core.verification.placement import placement
from app.core.verification.special import special_cause
from app.core.verification.suspects.approximations import approximations, other_terms
from app.core.verification.suspects.ends import clipped_arguments, early_ends, other_slopes
from app.core.verification.suspects.exponentials import exponentials
from app.core.verification.suspects.fits import fits
from app.core.verification.suspects.formulas import (
    other_constants,
    other_parameters,
    parameters_in_one_place,
    relatives,
    scaled_answers,
    scaled_inputs,
    turned_parameters,
)
from app.core.verification.suspects.insides import cut_answers, passing_formats, stepwise_kernels
from app.core.verification.suspects.noise import noise
from app.core.verification.suspects.numbers import fixed_point_answers, flushing_kernels, other_formats
from app.core.verification.suspects.parts import left_out, stored_parts
from app.core.verification.suspects.slips import slips, slips_in_writings
from app.core.verification.suspects.tables import Tables, even_tables

LEAST = 0.5
"""The least share of the errors that a single cause must explain to be named."""

LEAST_REMAINING = 0.1
"""The least share of the errors still unexplained for which another cause is searched."""

ROUNDS = 3
"""The most causes of one order that are searched for, one after the other."""

SMALL = 256
"""The count of numbers in an 8-bit format."""

CLEAR_SHARE, CLEAR_GAIN = 0.98, 0.9
"""Shares of the errors, and of their digits: a suspect that accounts for more makes costlier ones
superfluous."""

MOST_UNEXPLAINED = 2.5
"""The number of errors that a clear cause may leave unexplained."""

LEAST_WRONG = 0.02
"""The share of wrong numbers below which they are not taken for those of another function."""

INNER = 0.1
"""The least share of the numbers that must lie between the bounds."""

LEAST_ERRORS = 3

CLEARLY = 2.0**-10
"""Distance from the exact answer, in ulp, below which the direction of rounding is chance."""

OF_THE_FUNCTION = frozenset(
    {"other_variant", "rounded_constant", "wrong_parameter", "clamp", "threshold", "table", "wrong_dtype"}
)

OF_A_FORMULA = frozenset({"other_variant", "rounded_constant", "wrong_parameter"})

PREDICTED = 0.9
"""The least share of the answers on the wrong neighbour that another function must predict."""

__all__ = ["Cause", "causes"]


def causes(
    call: Call,
    found: Mapping[int, Errors],
    dtype: np.dtype[Any],
    compute: np.dtype[Any] | None,
    turned: Mapping[int, Call] = MappingProxyType({}),
    shape: tuple[int, ...] = (),
) -> tuple[Cause, ...]:
    """The causes that fit, best first; empty where none does.

    The order whose errors are explained best comes first. ``turned`` are the calls whose array parameters are
    laid along other axes, by the axis. The kernel's arrays have a ``shape``.
    """
    by_order = []
    for order, each in found.items():
        place = placement(each, shape, order, dtype)
        if place is not None:
            by_order.append([place])
            continue
        seen = evidence(call, order, each, dtype, turned)
        special = special_cause(call, order, each)
        explained = sorted(_of_order(seen, compute), key=_rank, reverse=True)
        by_order.append([*explained, *([] if special is None else [special])])
    by_order.sort(key=lambda causes: -sum(each.explains for each in causes))
    best_of: dict[str, Cause] = {}
    for cause in chain.from_iterable(by_order):
        before = best_of.setdefault(cause.cause, cause)
        if cause.explains > before.explains:
            best_of[cause.cause] = cause
    return tuple(best_of.values())


def _rank(cause: Cause) -> float:
    """The share explained; a wrong function ranks before wrong arithmetic, which many kernels have."""
    return cause.explains + (0.5 if cause.cause in OF_THE_FUNCTION and cause.explains > 0.25 else 0.0)


def _of_order(seen: Evidence, compute: np.dtype[Any] | None) -> Iterator[Cause]:
    cut = truncation(seen)
    searched = seen.wrong.any() and seen.has_formula
    explained = list(_explained(seen, compute)) if searched and not is_constant(seen) else []
    if cut is not None and any(_predicts_neighbours(seen, suspect) for suspect, _ in explained):
        cut = None
    if cut is not None:
        yield cut
    if not searched:
        return
    rest = 1.0 - (0.0 if cut is None else cut.explains)
    for _, cause in explained:
        yield cause._replace(explains=cause.explains * rest)
    if not explained and cut is None and is_unrelated(seen):
        yield unrelated(seen)


def _predicts_neighbours(seen: Evidence, suspect: Suspect) -> bool:
    """Whether another function also explains the answers on the wrong neighbour: then it is no truncation."""
    if suspect.cause not in OF_A_FORMULA:
        return False
    places = np.flatnonzero(seen.faithful & ~seen.correct)
    return bool((seen.rounded(suspect.predicted(places)) == seen.output[places]).mean() >= PREDICTED)


def _explained(seen: Evidence, compute: np.dtype[Any] | None) -> Iterator[tuple[Suspect, Cause]]:
    """Cause after cause, each with its suspect, of the errors that those before it leave open."""
    remaining, total = seen.wrong, int(seen.wrong.sum())
    base, shared = seen.base, _SharedSuspects(seen)
    for place in range(ROUNDS):
        few = LEAST_ERRORS if seen.x.size <= SMALL else FEW
        if remaining.sum() < max(LEAST_REMAINING * total, few if place == 0 else 4 * FEW):
            return
        found = _Round(seen, base, remaining, compute, shared).found()
        if found is None or not _enough(remaining, found[1]):
            return
        suspect, _ = found
        everywhere = np.arange(seen.x.size)
        _, met = seen.fit(suspect, everywhere, remaining)
        places = np.flatnonzero(met)
        if not places.size:
            return
        named = suspect.causes(places)
        if place == 0 and sum(cause.explains for cause in named) * places.size < LEAST_REMAINING * total:
            return  # too few: careful kernels have such errors as well
        for cause in named:
            share = cause.explains * places.size / total
            if share >= LEAST_REMAINING / 2 or share * total >= FEW:
                yield suspect, cause._replace(explains=share)
        remaining = remaining & ~met
        base = suspect.base or base


def _enough(remaining: Mask, fit: Fit) -> bool:
    """A handful of errors shows a pattern only if nothing is left open."""
    return int(remaining.sum()) >= FEW or (fit.share > 0.99 and fit.gain > 0.9)


@dataclass(frozen=True)
class _SharedSuspects:
    """Suspects that depend on all answers, not on the errors still open: the same in every round."""

    seen: Evidence

    @cached_property
    def ends(self) -> list[Suspect]:
        return list(early_ends(self.seen))

    @cached_property
    def slopes(self) -> list[Suspect]:
        return list(other_slopes(self.seen))

    @cached_property
    def cut(self) -> list[Suspect]:
        return list(cut_answers(self.seen))

    @cached_property
    def tables(self) -> Tables:
        return Tables(self.seen)


@dataclass(frozen=True)
class _Round:
    """The search for one cause of the ``remaining`` errors; ``base`` is what the kernel seems to compute."""

    seen: Evidence
    base: Base
    remaining: Mask
    compute: np.dtype[Any] | None
    shared: _SharedSuspects

    def found(self) -> tuple[Suspect, Fit] | None:
        """The best of the cheap suspects if it explains almost everything, else the best of all."""
        if self.seen.worst <= QUIET and self.seen.dtype.itemsize >= SINGLE.itemsize:
            return None if self._irregular else self._best(self._constants)
        light = self._best(self._light_suspects())
        if light is not None and self._is_clear(*light):
            return light
        both = [each for each in (light, self._best(self._heavy_suspects())) if each is not None]
        found = max(both, key=lambda each: each[1].worth - each[0].price, default=None)
        return found or self._best(self._last_suspects()) or self._two_at_once()

    def _is_clear(self, suspect: Suspect, fit: Fit) -> bool:
        left = (1 - fit.share) * int(self.remaining.sum())
        few = fit.share >= CLEAR_SHARE or left < MOST_UNEXPLAINED
        return few and fit.gain >= CLEAR_GAIN and suspect.price <= CHEAP

    def _best(self, suspects: Iterable[Suspect]) -> tuple[Suspect, Fit] | None:
        return best(self.seen, suspects, self.remaining, LEAST)

    def _two_at_once(self) -> tuple[Suspect, Fit] | None:
        """A wrong function that explains some errors, where its rounding explains the others."""
        if self._irregular:
            return None
        functions = chain(self._parameters, relatives(self.seen), self._constants)
        found = best(self.seen, functions, self.remaining, LEAST_REMAINING, 0.05)
        if found is None or found[0].base is None:
            return None
        stepwise = stepwise_kernels(self.seen, found[0].base, self.compute)
        together = best(self.seen, stepwise, self.remaining, LEAST, 0.3)
        return None if together is None else found

    def _light_suspects(self) -> Iterator[Suspect]:
        """Suspects that take few evaluations of a formula.

        Those that move neighbours in the same direction are left out where the errors are irregular.
        """
        seen, base, regular = self.seen, self.base, not self._irregular
        yield from flushing_kernels(seen, base)
        yield from fixed_point_answers(seen)
        yield from turned_parameters(seen, base)
        if regular:
            yield from self._parameters
            yield from scaled_answers(seen, self.remaining)
        yield from relatives(seen)
        if regular:
            yield from self.shared.ends
            yield from clipped_arguments(seen, base, self.remaining)
        yield from self.shared.cut
        yield from passing_formats(seen, base)
        if regular:
            yield from self._constants
        if base == seen.base:
            yield from left_out(seen, base)
        if regular:
            yield from scaled_inputs(seen, base, self.remaining)
            yield from parameters_in_one_place(seen, base, self.remaining)
            yield from self.shared.slopes

    def _heavy_suspects(self) -> Iterator[Suspect]:
        """Suspects with every step rounded or fitted pieces, only constant ones for irregular errors."""
        if self.base == self.seen.base and not self._irregular:
            yield from slips(self.seen, self.base)
        yield from stepwise_kernels(self.seen, self.base, self.compute)
        yield from stored_parts(self.seen, self.base)
        if self.base == self.seen.base:
            yield from approximations(self.seen, self.base)
            yield from exponentials(self.seen, self.base, self.remaining)
        if self.base == self.seen.base and not self._unrelated:
            even = list(even_tables(self.seen, self.base, self.remaining))
            yield from even or self.shared.tables.of(self.remaining, 0 if self._irregular else 3)
        yield from other_formats(self.seen, self.base)
        yield from noise(self.seen)

    def _last_suspects(self) -> Iterator[Suspect]:
        """Suspects tried only where no other is found."""
        if self.base == self.seen.base and not self._irregular and not self._unrelated:
            yield from slips_in_writings(self.seen, self.base)
            yield from other_terms(self.seen, self.base, self.remaining)
            yield from fits(self.seen, self.remaining)

    @cached_property
    def _irregular(self) -> bool:
        return self.seen.is_irregular(self.remaining)

    @cached_property
    def _unrelated(self) -> bool:
        """Whether most numbers are too wrong for a table or a rounded constant."""
        return is_unrelated(self.seen)

    @cached_property
    def _parameters(self) -> list[Suspect]:
        return list(other_parameters(self.seen, self.base, self.remaining))

    @cached_property
    def _constants(self) -> list[Suspect]:
        return [] if self._unrelated else list(other_constants(self.seen, self.base, self.remaining))


def truncation(seen: Evidence) -> Cause | None:
    """The cause "truncation": nearly every inexact number is the neighbour in the same direction."""
    with np.errstate(all="ignore"):
        difference = seen.output - seen.exact
        clear = np.abs(difference) > CLEARLY * seen.unit
    inexact = seen.faithful & np.isfinite(seen.output) & np.isfinite(seen.exact) & clear
    off = inexact & ~seen.correct
    if off.sum() < FEW or off.sum() < 0.2 * inexact.sum():
        return None
    outwards = np.sign(difference) * np.sign(seen.exact)
    ways = {
        "towards zero": (outwards < 0, Text("towards zero", "0 쪽으로")),
        "away from zero": (outwards > 0, Text("away from zero", "0에서 먼 쪽으로")),
        "downwards": (difference < 0, Text("downwards", "아래로")),
        "upwards": (difference > 0, Text("upwards", "위로")),
    }
    for detail, (sign, how) in ways.items():
        if sign[inexact].mean() < 0.98:
            continue
        summary = Text(
            f"Every inexact number is rounded {how.en}, not to the nearest one.",
            f"정확하지 않은 수가 모두 가장 가까운 수가 아니라 {how.ko} 반올림되어 있습니다.",
        )
        share = float(off.sum() / (off.sum() + seen.wrong.sum()))
        return Cause("truncation", detail, share, summary)
    return None


def is_constant(seen: Evidence) -> bool:
    """Whether all answers are the same although the right ones vary."""
    return bool((seen.output == seen.output[0]).all() or np.isnan(seen.output).all())


def unrelated(seen: Evidence) -> Cause:
    """The cause of numbers that `is_unrelated` finds to be of another function."""
    summary = Text(
        "Most numbers have not even the right sign and size: they are not of this function.",
        "대부분의 수가 부호와 크기부터 맞지 않아, 이 함수의 값이라고 볼 수 없습니다.",
    )
    return Cause("unrelated", "sign and size", float(seen.wrong.mean()), summary)


def is_unrelated(seen: Evidence) -> bool:
    """Whether fewer than half of the numbers have the right sign and half to twice the right size.

    Inputs beyond the bounds of an early end do not count, if enough numbers lie between the bounds.
    """
    use = np.isfinite(seen.right) & (seen.right != 0)
    if use.sum() < FEW or seen.wrong.mean() < LEAST_WRONG or not _is_far(seen, use):
        return False
    between = use & seen.inner if seen.by_size else use
    return between.sum() < max(FEW, INNER * use.sum()) or _is_far(seen, between)


def _is_far(seen: Evidence, use: Mask) -> bool:
    with np.errstate(all="ignore"):
        ratio = seen.output[use] / seen.right[use]
    return bool(((ratio >= 0.5) & (ratio <= 2)).mean() < 0.5)
