"""Where the errors of a kernel that mixes elements come from: supposed kernels by row, compared with it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np

from app.core.activations.registry import Call
from app.core.arithmetic import Array
from app.core.verification.causes import (
    LEAST,
    LEAST_REMAINING,
    is_constant,
    is_unrelated,
    truncation,
    unrelated,
)
from app.core.verification.evidence import FEW, QUIET, SINGLE, Cause, Evidence, Mask, evidence_at
from app.core.verification.judgement import Errors
from app.core.verification.lineup import best
from app.core.verification.suspects.normalisation import normalisations, thresholds
from app.core.verification.suspects.row_arithmetic import (
    flushing_rows,
    held_halves,
    rounded_rows,
    short_gates,
)
from app.core.verification.suspects.row_slopes import row_slopes
from app.core.verification.suspects.rows import (
    RowKernel,
    careless_gates,
    gated_kernels,
    gates_with_other_numbers,
    other_axes,
    other_rows,
    other_settings,
    softmax_kernels,
)

ROUNDS = 2
"""The most causes that are searched for, one after the other."""

LEFT_GAIN = 0.2
"""The least share of the digits that a second cause must explain of what the first leaves open: errors that
are small or have two causes."""


def row_causes(
    call: Call,
    found: Errors,
    finite: Mask,
    inputs: Array,
    axes: tuple[int, ...],
    dtype: np.dtype[Any],
    compute: np.dtype[Any] | None,
) -> tuple[Cause, ...]:
    """The causes that fit, best first; empty where none does."""
    use = np.flatnonzero(found.judged & finite)
    seen = evidence_at(call, 0, found, use, dtype)
    cut = truncation(seen)
    causes = [] if cut is None else [cut]
    rest = 1.0 - sum(each.explains for each in causes)
    if seen.wrong.any() and not _is_quiet(seen):
        kernel = RowKernel(call, inputs, axes, use, dtype, compute)
        explained = [] if is_constant(seen) else _explained(seen, kernel)
        causes += [each._replace(explains=each.explains * rest) for each in explained]
        if not causes and is_unrelated(seen):
            causes = [unrelated(seen)]
    return tuple(sorted(causes, key=lambda each: -each.explains))


def row_slope_causes(kernel: RowKernel, found: Errors) -> tuple[Cause, ...]:
    """The causes that fit the Jacobians, whose elements the ``kernel``'s places count."""
    seen = evidence_at(kernel.call, 1, found, kernel.use, kernel.dtype)
    if not seen.wrong.any() or _is_quiet(seen) or is_constant(seen) or seen.wrong.sum() < FEW:
        return ()
    place = best(seen, row_slopes(kernel, seen), seen.wrong, LEAST)
    if place is None:
        return ()
    _, met = seen.fit(place[0], np.arange(seen.x.size), seen.wrong)
    share = float(met.sum() / seen.wrong.sum())
    return tuple(each._replace(explains=share) for each in place[0].causes(np.flatnonzero(met)))


def _is_quiet(seen: Evidence) -> bool:
    """Errors of kernels that round each step."""
    return seen.worst <= QUIET and seen.dtype.itemsize >= SINGLE.itemsize


def _explained(seen: Evidence, kernel: RowKernel) -> Iterator[Cause]:
    remaining, total = seen.wrong, int(seen.wrong.sum())
    for turn in range(ROUNDS):
        if remaining.sum() < max(LEAST_REMAINING * total, FEW if turn == 0 else 4 * FEW):
            return
        suspects = chain(
            flushing_rows(kernel, seen),
            gated_kernels(kernel),
            other_axes(kernel),
            other_rows(kernel),
            other_settings(kernel, seen, remaining),
            held_halves(kernel, remaining),
            rounded_rows(kernel, seen),
            short_gates(kernel, seen),
            gates_with_other_numbers(kernel, seen, remaining),
            careless_gates(kernel, seen),
            softmax_kernels(kernel),
            normalisations(kernel, seen),
            thresholds(kernel, seen),
        )
        found = best(seen, suspects, remaining, LEAST, LEFT_GAIN if turn else None)
        if found is None:
            return
        _, met = seen.fit(found[0], np.arange(seen.x.size), remaining)
        if not met.any():
            return
        for cause in found[0].causes(np.flatnonzero(met)):
            yield cause._replace(explains=cause.explains * float(met.sum() / total))
        remaining = remaining & ~met
