"""The reference: an entry's own formula, evaluated with mpmath until more digits change nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
from mpmath import MPContext, libmp

from app.core.activations.definition import Activation
from app.core.activations.formula import Expression, define

PRECISIONS = (220, 440, 1400, 2800, 5600)
"""Working precisions in bits. 220 is 66 digits; the last ones resolve 1 + 1e-300 and x + √(x² + b)."""

SETTLED = 2.0**-100
"""Two precisions agree when they differ by less than this fraction."""

SMALLEST = 2.0**-1074
LARGEST = float(np.finfo(np.float64).max)


class MpArithmetic:
    """The formula language in mpmath's arbitrary precision."""

    def __init__(self, bits: int) -> None:
        self.context = MPContext()
        self.context.prec = bits
        mp = self.context
        self._functions: dict[str, Callable[..., Any]] = {
            "abs": abs,
            "min": min,
            "log2": lambda x: mp.log(x, 2),
            "max": max,
            "root": self._root,
            "exp": self._exp,
            "sigmoid": lambda x: 1 / (1 + self._exp(self._near(-x))),
            "softplus": lambda x: mp.log1p(self._exp(max(x, -mp.mpf("1e100")))),
            "Phi": lambda x: mp.erfc(self._near(-x) / mp.sqrt(2)) / 2,
            "phi": lambda x: self._exp(-x * x / 2) / mp.sqrt(2 * mp.pi),
        }

    def _root(self, falling: Callable[[Any], Any], low: Any, high: Any) -> Any:
        step = self.context.mpf(2) ** (8 - self.context.prec)
        return self.context.findroot(
            falling, (low, high), solver="anderson", tol=step, maxsteps=400, verify=False
        )

    def _exp(self, x: Any) -> Any:
        """e^x. For a large integer mpmath computes a power of e, which takes a hundred times as long."""
        mp = self.context
        if not mp.isfinite(x) or abs(x) < 2**40:
            return mp.exp(x)
        with mp.workprec(mp.prec + mp.mag(x)):
            return mp.exp(x - mp.mpf(1) / 3) * mp.exp(mp.mpf(1) / 3)

    def _near(self, x: Any) -> Any:
        """x, clamped where e^−|x| is negligible: mpmath is slow at e^1e900, fails at erfc(1e154)."""
        return max(min(x, self.context.mpf("1e100")), -self.context.mpf("1e100"))

    def number(self, text: str) -> Any:
        return self.context.mpf(text)

    def function(self, name: str) -> Callable[..., Any]:
        return self._functions.get(name) or getattr(self.context, name)

    def constant(self, name: str) -> Any:
        return +getattr(self.context, name)


@cache
def arithmetic(bits: int) -> MpArithmetic:
    return MpArithmetic(bits)


def exact(
    activation: Activation,
    expression: Expression,
    values: Mapping[str, Any],
    *,
    terms: bool = False,
    precisions: tuple[int, ...] = PRECISIONS,
) -> Any:
    """The formula's value at ``values`` (floats or arrays of them, taken exactly), to at least 100 bits.

    With ``terms``, the largest magnitude among the terms of its outermost sum. Where sums of numbers of very
    different size decide a comparison, begin with the ``precisions`` that hold them exactly.
    """
    previous = None
    for bits in precisions:
        with np.errstate(all="ignore"):
            now = _at(activation, expression, values, bits, terms)
        settled = previous is not None and abs(now - previous) <= abs(now) * SETTLED
        # Two zeros agree at any precision: only the highest ones can tell a zero from something tiny.
        if settled and (now != 0 or bits == precisions[-1]):
            return now
        previous = now
    return previous


def _at(
    activation: Activation, expression: Expression, values: Mapping[str, Any], bits: int, terms: bool
) -> Any:
    judge = arithmetic(bits)
    names: dict[str, Any] = {name: judge.number(digits) for name, (_, digits) in activation.constants.items()}
    names |= {name: _in_arithmetic(judge, value) for name, value in values.items()}
    names = define(activation.formulas.where, judge, names)
    if terms:
        return max(abs(term) for term in expression.terms(judge, names))
    return expression.evaluate(judge, names)


def _in_arithmetic(judge: MpArithmetic, value: Any) -> Any:
    """A float taken exactly, an array element by element; an integer is an index and stays one."""
    if isinstance(value, int):
        return value
    if not np.ndim(value):
        return judge.context.mpf(value)
    exactly = np.empty(np.size(value), object)
    exactly[:] = [judge.context.mpf(each) for each in np.ravel(value).tolist()]
    return exactly.reshape(np.shape(value))


def nearest_float(value: Any) -> float:
    """``value`` rounded to float64, once: by a quotient of integers, as libmp rounds subnormals twice."""
    sign, mantissa, exponent, bits = value._mpf_
    if not mantissa or exponent + bits > 1100:
        return float(libmp.to_float(value._mpf_, rnd="n"))
    if exponent + bits < -1200:
        return -0.0 if sign else 0.0
    size = Fraction(int(mantissa)) * Fraction(2) ** int(exponent)
    try:
        return float(-size if sign else size)
    except OverflowError:
        return -math.inf if sign else math.inf


def ulps(got: float, truth: Any, scale: Any = None) -> float:
    """|got − truth| in units in the last place of ``scale`` (by default of the truth)."""
    size = abs(truth if scale is None else scale)
    rounded = nearest_float(size)
    if math.isinf(nearest_float(truth)):
        return 0.0 if got == nearest_float(truth) else math.inf
    if not math.isfinite(got):
        return math.inf
    unit = math.ulp(min(rounded, LARGEST))
    return float(abs(type(truth)(got) - truth) / unit)
