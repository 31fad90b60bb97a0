"""A row's formula in ball arithmetic, one element of the outputs at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from flint import arb, fmpq

from app.core.activations.definition import Rowwise
from app.core.activations.formula import define
from app.core.activations.registry import Call
from app.core.arithmetic import Array
from app.core.arithmetic.balls import BALL, Undecided, ball, precision
from app.core.arithmetic.rounding import Rounding
from app.core.verification.exact import decimal

BITS = (128, 512, 4096)
"""Precisions in bits, tried one after the other."""

DIGITS_TERMS = 20_000
"""The number of terms above which a formula is not evaluated only to show more digits."""


OTHER_TERMS = 10
"""The cost of everything in a formula but its sums, counted in terms."""


class Proved(NamedTuple):
    """The exact answer as a ball, and the number of the format that all of it rounds to."""

    ball: Any
    rounded: float


@dataclass(frozen=True)
class RowFormula:
    """The value's formula for ``rows``, (count, n), with ``width`` outputs each; places count the outputs.

    With ``slopes`` the derivative's: places count the elements of the Jacobians, (count, width, n).
    """

    call: Call
    rows: Array
    width: int
    slopes: bool = False

    @property
    def terms(self) -> int:
        """The terms of one output."""
        assert isinstance(self.call.activation, Rowwise)
        return self.terms_of(self.call.activation, self.rows.shape[1])

    @staticmethod
    def terms_of(activation: Rowwise, length: int) -> int:
        """The terms of one output of a row of ``length``: those of its sums, at most two of them nested."""
        written = (activation.formulas.value, *activation.formulas.where.values())
        sums = max(each.text.count(" for ") for each in written)
        terms: int = OTHER_TERMS + sums * length ** min(sums, 2)
        return terms

    def proved(self, place: int, rounding: Rounding) -> Proved | None:
        """The answer at ``place`` with its rounding; None where no precision decides it."""
        for bits in BITS:
            with precision(bits):
                found = self._ball(place)
                if found is None:
                    continue
                rounded = rounding.decided(fmpq(0), found)
            if rounded is not None:
                return Proved(found, rounded)
        return None

    def digits(self, place: int) -> str | None:
        """20 digits of the answer at ``place``."""
        for bits in BITS:
            with precision(bits):
                found = self._ball(place)
                if found is not None and (found.is_zero() or found.rel_accuracy_bits() > 80):
                    return decimal(found)
        return None

    def _ball(self, place: int) -> Any | None:
        """The answer as a ball; None where it is no number, or too few bits decide which branch applies."""
        by = -1
        if self.slopes:
            place, by = divmod(place, self.rows.shape[1])
        row, index = divmod(place, self.width)
        x, params = self.rows[row], dict(self.call.params)
        mask = params.pop("mask", None)
        if mask is not None:
            keep = np.broadcast_to(np.asarray(mask)[row] if np.ndim(mask) else np.asarray(mask), x.shape) != 0
            if not keep[index] or (self.slopes and not keep[by]):
                return None
            index, by, x = int(keep[:index].sum()), int(keep[: max(by, 0)].sum()), x[keep]
        activation = self.call.activation
        names: dict[str, Any] = {
            name: ball(Fraction(digits)) for name, (_, digits) in activation.constants.items()
        }
        names |= {name: ball(float(value)) for name, value in params.items()}
        names |= {"x": _Vector(x), "n": x.size, "m": self.width, "i": index, "k": by}
        try:
            formula = activation.formulas.slope if self.slopes else activation.formulas.value
            found = formula.evaluate(_BALLS, define(activation.formulas.where, _BALLS, names))
        except (Undecided, ZeroDivisionError):
            return None
        return found if isinstance(found, arb) and found.is_finite() else None


class _Vector:
    """Numbers that are converted to balls when they are read."""

    def __init__(self, values: Array) -> None:
        self._values = values

    def __getitem__(self, place: int) -> Any:
        return ball(float(self._values[place]))


class _Balls:
    """The formula language over balls."""

    def number(self, text: str) -> Any:
        """A ball around the decimal number."""
        return ball(Fraction(text))

    def function(self, name: str) -> Callable[..., Any]:
        """The function of balls."""
        return BALL[name]

    def constant(self, name: str) -> Any:
        """A ball around the constant."""
        return arb.pi() if name == "pi" else arb(float(name))


_BALLS = _Balls()
