"""Kernels of functions that mix the elements of a row: gated units and functions related to softmax.

The exact answers are the registry's own in double precision, with the margin that the entries promise. Where
that leaves open which number of the format is the right one, and for doubles everywhere, the entry's formula
is worked out in balls, element by element.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.core.activations.definition import Rowwise
from app.core.activations.registry import Call
from app.core.arithmetic import Array
from app.core.arithmetic.rounding import Rounding
from app.core.errors import InvalidValue, LimitExceeded
from app.core.evaluation import JACOBIAN_LIMIT, Mapper, activate, aligned, mixed_axes, rows_of
from app.core.jobs import Progress
from app.core.verification.evidence import Cause
from app.core.verification.exact import DOUBLE, TINY, Exact, Near, doubles, read_ball, rounded_near
from app.core.verification.job import Report
from app.core.verification.judgement import WORST, Errors, Judgement, Worst, counted, errors, named
from app.core.verification.placement import placement
from app.core.verification.row_causes import row_causes, row_slope_causes
from app.core.verification.row_formula import DIGITS_TERMS, RowFormula
from app.core.verification.suspects.rows import RowKernel
from app.core.verification.verdict import verdict

MARGIN = 2.0**-50
"""Relative error allowed for a value in double precision: twice the 2 ulp that entries promise."""

MOST_TERMS = 500_000
"""The most terms of formulas that are evaluated with balls for one request: a few seconds."""


class _Slopes(NamedTuple):
    """The judgement of the Jacobians, and the causes of their errors."""

    judgement: Judgement
    causes: tuple[Cause, ...]


@dataclass(frozen=True)
class RowVerification:
    """The job: a kernel's ``outputs`` for ``inputs``, both numbers of ``dtype``, held as doubles.

    ``outputs`` have the shape of the function's outputs, ``jacobian`` that of `activate`'s: (..., m, n), the
    rows' axis moved to the end. With ``flush`` subnormal inputs and answers are zero.
    """

    call: Call
    dtype: np.dtype[Any]
    inputs: Array
    outputs: Array
    flush: bool = False
    tolerance: float | None = None
    compute: np.dtype[Any] | None = None
    jacobian: Array | None = None

    @property
    def count(self) -> int:
        """How many numbers are judged."""
        return self.outputs.size

    def __call__(self, _: Mapper, progress: Progress, /) -> Report:
        """Judges them."""
        exact = self._exact(progress)
        finite = np.repeat(np.isfinite(self._rows).all(axis=1), self._width)
        output = rows_of(self.outputs, self._axes).ravel()
        own = self._own.ravel()
        # Among infinite inputs an infinite answer is no overflow.
        overflowing = np.where(finite, own, np.nan)
        found = errors(overflowing, output, exact, self.dtype, flush=self.flush)
        found = replace(found, x=own)
        shown = rows_of(np.arange(self.outputs.size, dtype=float).reshape(self.outputs.shape), self._axes)
        judged = [
            replace(
                counted(0, found), worst=tuple(self._worst(found, self._formula, shown, self.outputs.shape))
            )
        ]
        slopes = None if self.jacobian is None else self._slopes(self.jacobian, progress)
        if slopes is not None:
            judged.append(slopes.judgement)
        place = placement(found, (len(self._rows), self._width), 0, self.dtype)
        causes = (
            row_causes(self.call, found, finite, self._held, self._axes, self.dtype, self.compute)
            if place is None
            else (place,)
        )
        if slopes is not None:
            known = {each.cause for each in causes}
            causes = (*causes, *(each for each in slopes.causes if each.cause not in known))
        overall = verdict(judged, self.tolerance, explained=bool(causes))
        return Report(
            tuple(judged), tuple(each.with_korean_particles() for each in causes), overall, self.call
        )

    def _slopes(self, jacobian: Array, progress: Progress) -> _Slopes:
        """The Jacobian's elements, one by one; beside each the input that it is the derivative by."""
        by = np.broadcast_to(self._rows[:, None, :], (len(self._rows), self._width, self._rows.shape[1]))
        finite = np.isfinite(by).all(axis=2, keepdims=True)
        formula = replace(self._formula, slopes=True)
        exact = self._exact_of(self._jacobian_of(1.0), ~self._passes_zero(), formula, progress)
        taken = np.where(finite, by, np.nan).ravel()
        found = replace(errors(taken, jacobian.ravel(), exact, self.dtype, flush=self.flush), x=by.ravel())
        shown = np.arange(jacobian.size, dtype=float)
        judgement = replace(
            counted(1, found), worst=tuple(self._worst(found, formula, shown, jacobian.shape))
        )
        use = np.flatnonzero(found.judged & np.isfinite(taken))
        kernel = RowKernel(self.call, self._held, self._axes, use, self.dtype, self.compute)
        return _Slopes(judgement, row_slope_causes(kernel, found))

    def _jacobian_of(self, factor: float) -> Array:
        return activate(self.call, factor * self._held, order=1).orders[1].ravel()

    def _passes_zero(self) -> NDArray[np.bool_]:
        """Where a gate's slope changes its sign nearby; the entry promises 2 ulp of the larger term there."""
        if self._width == self._rows.shape[1]:
            return np.zeros(self._rows.size * self._width, np.bool_)
        sides = [np.sign(self._jacobian_of(factor)) for factor in (0.94, 1.06)]
        return np.asarray(sides[0] != sides[1])

    @property
    def _rounding(self) -> Rounding:
        return Rounding(self.dtype, flush=self.flush)

    @cached_property
    def _held(self) -> Array:
        return doubles(self._rounding.array(self.inputs))

    @cached_property
    def _axes(self) -> tuple[int, ...]:
        assert isinstance(self.call.activation, Rowwise)
        return mixed_axes(self.call.activation, self.inputs.ndim, self.call.axis)

    @cached_property
    def _rows(self) -> Array:
        return rows_of(self._held, self._axes)

    @property
    def _own(self) -> Array:
        """For each output the input that is reported with it."""
        assert isinstance(self.call.activation, Rowwise)
        return self._rows[:, ::2] if self.call.activation.interleaved else self._rows[:, : self._width]

    @property
    def _width(self) -> int:
        return self.outputs.size // len(self._rows)

    @cached_property
    def _formula(self) -> RowFormula:
        params = {
            name: rows_of(np.asarray(aligned(value, self.inputs.shape, self.call.axis, name)), self._axes)
            if np.ndim(value)
            else value
            for name, value in self.call.params.items()
        }
        return RowFormula(replace(self.call, params=params), self._rows, self._width)

    def _exact(self, progress: Progress) -> Exact:
        value = rows_of(activate(self.call, self._held, order=0).orders[0], self._axes).ravel()
        return self._exact_of(value, np.ones(value.shape, np.bool_), self._formula, progress)

    def _exact_of(
        self, value: Array, kept: NDArray[np.bool_], formula: RowFormula, progress: Progress
    ) -> Exact:
        """The exact answers, by doubles where these keep the promise, else by the formula."""
        margin = np.where(np.isfinite(value), MARGIN * np.abs(value) + TINY, 0.0)
        near = Near(value, np.zeros_like(value), margin)
        right, known = rounded_near(near, self._rounding)
        known &= kept | (value == 0)
        # For infinite inputs the value is a limit, or NaN if there is none.
        each = value.size // len(self._rows)
        limits = ~np.isfinite(value) & ~np.repeat(np.isfinite(self._rows).all(axis=1), each)
        right = np.where(limits & np.isnan(value), np.nan, right)
        known |= limits
        places = np.flatnonzero(~known)
        places = places[: MOST_TERMS // max(1, formula.terms)]
        rest = near.rest
        for done, place in enumerate(places.tolist(), 1):
            proved = formula.proved(place, self._rounding)
            if proved is not None:
                value[place], rest[place], margin[place] = read_ball(proved.ball)
                right[place], known[place] = proved.rounded, True
            progress(done / places.size)
        return Exact(value, rest, margin, right, known)

    @staticmethod
    def _worst(found: Errors, formula: RowFormula, shown: Array, shape: tuple[int, ...]) -> Iterator[Worst]:
        """The worst errors; ``shown`` is the place of each number in the kernel's array of this ``shape``."""
        size = np.where(found.judged & ~found.correct, np.abs(found.ulps), 0.0)
        for place in np.argsort(-size, kind="stable")[:WORST].tolist():
            if size[place] == 0:
                return
            where = np.unravel_index(int(shown.flat[place]), shape)
            value = float(found.exact.value[place])
            digits = formula.digits(place) if formula.terms <= DIGITS_TERMS else None
            if digits is None:  # only the digits a double guarantees
                digits = f"{value:.15g}" if np.isfinite(value) else named(value)
            yield Worst(
                input=float(found.x[place]),
                output=float(found.output[place]),
                exact=digits,
                rounded=float(found.exact.rounded[place]),
                ulp=float(size[place]),
                condition=None,
                place=tuple(int(each) for each in where),
            )


def check_rows(
    call: Call,
    shape: tuple[int, ...],
    outputs: tuple[int, ...],
    jacobian: tuple[int, ...] | None,
    dtype: np.dtype[Any],
) -> None:
    """Raises `InvalidValue` where the kernel's arrays do not fit inputs of ``shape``, or the axis is none.

    Raises `LimitExceeded` where there are more float64 answers than can be proved, or too large Jacobians.
    """
    activation = call.activation
    assert isinstance(activation, Rowwise)
    axes = mixed_axes(activation, len(shape), call.axis)
    length = int(np.prod([shape[axis] for axis in axes], dtype=np.int64))
    width = activation.width(length, **call.params)
    expected = list(shape)
    if width != length:
        expected[axes[0]] = width
    if list(outputs) != expected:
        raise InvalidValue(f"must have the shape of the function's outputs, {expected}", loc=("outputs",))
    kept = [size for place, size in enumerate(shape) if place not in axes]
    if jacobian is not None and list(jacobian) != [*kept, width, length]:
        expected = [*kept, width, length]
        message = f"must be the Jacobians, outputs by inputs with the rows' axes at the end, {expected}"
        raise InvalidValue(message, loc=("derivative",))
    for name, value in call.params.items():
        aligned(value, shape, call.axis, name)
    count = int(np.prod(outputs if jacobian is None else jacobian, dtype=np.int64))
    if jacobian is not None and count > JACOBIAN_LIMIT:
        raise LimitExceeded(
            "the Jacobians", estimate=count, limit=JACOBIAN_LIMIT, unit="numbers", loc=("derivative",)
        )
    terms = count * RowFormula.terms_of(activation, length)
    if dtype == DOUBLE and terms > MOST_TERMS:
        raise LimitExceeded(
            "proving the answers in float64; shorter formats have no such limit: it",
            estimate=terms,
            limit=MOST_TERMS,
            unit="terms",
            loc=("inputs",),
        )
