"""Kernels in which an elementary function is one of the well-known approximations of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from app.core.activations.definition import Text
from app.core.arithmetic import Array
from app.core.formulas.stepwise import stepwise
from app.core.formulas.tree import Tree
from app.core.verification.evidence import SINGLE, Base, Evidence, Mask, Places, Suspect
from app.core.verification.suspects.formulas import Unknown, searched
from app.core.verification.suspects.insides import DOUBLE, SHORT, Inside, written
from app.core.verification.suspects.trees import operations

Approximate: TypeAlias = Callable[[Any], Any]

MOST_FORMS = 2
"""The most forms of a formula in which one function is replaced."""


DIGITS = 0.6
"""The share of the errors' digits that an approximation must predict: many errors have about its size."""


class _Method(NamedTuple):
    """An approximation of ``op`` and what it is called."""

    op: str
    name: str
    values: Approximate


def approximations(seen: Evidence, base: Base) -> Iterator[Suspect]:
    """The formula, in each form that contains the function, with each method to approximate it."""
    forms = [each.tree for each in written(base.tree)]
    for place, method in enumerate(_METHODS):
        having = [each for each in forms if method.op in operations(each)]
        for number, root in enumerate(having[:MOST_FORMS]):
            summary = Text(
                f"{method.op} inside is approximated: {method.name}.",
                f"내부의 {method.op}을(를) 근사식으로 계산합니다: {method.name}.",
            )
            run = partial(_answers, seen, base, root, method)
            price = 0.03 + 0.001 * number
            key = ("approximation", place, root, *base.params.items())
            detail = f"{method.op}: {method.name}"
            yield Suspect("approximation", detail, summary, run, price=price, key=key, least_gain=DIGITS)


def other_terms(seen: Evidence, base: Base, remaining: Mask) -> Iterator[Suspect]:
    """Abramowitz and Stegun 7.1.26 with another number in the place of one of its constants."""
    forms = [each.tree for each in written(base.tree) if "erf" in operations(each.tree)]
    for root in forms[:1]:
        for place, right in enumerate(_NUMBERS_7_1_26):

            def run(value: float, places: Places, place: int = place, root: Tree = root) -> Array:
                numbers = [*_NUMBERS_7_1_26[:place], value, *_NUMBERS_7_1_26[place + 1 :]]
                method = _Method("erf", "", _by_terms(numbers[0], tuple(numbers[1:])))
                return _answers(seen, base, root, method, places, DOUBLE)

            found = searched(seen, Unknown(f"{right:.10g}", right, run), remaining)
            if found is None:
                continue
            name = f"Abramowitz and Stegun 7.1.26 with {found:.7g} for {right:.10g}"
            summary = Text(
                f"erf inside is approximated: {name}.", f"내부의 erf를 근사식으로 계산합니다: {name}."
            )
            predicted = partial(run, found)
            yield Suspect("approximation", f"erf: {name}", summary, predicted, price=0.05, least_gain=DIGITS)


def _answers(
    seen: Evidence, base: Base, root: Tree, method: _Method, places: Places, inside: Inside = SHORT[0]
) -> Array:
    """The answers with every step rounded to float32, the approximation as one step; float64 in doubles."""
    rounded = inside.rounded if seen.dtype.itemsize <= SINGLE.itemsize else DOUBLE.rounded
    return stepwise(
        root, seen.variables(base, places), base.params, rounded, {method.op: method.values}
    ).values


# The error function


def _by_terms(p: float, terms: tuple[float, ...]) -> Approximate:
    def values(u: Any) -> Any:
        t = 1 / (1 + p * np.abs(u))
        return np.copysign(1 - t * np.polyval(terms, t) * np.exp(-u * u), u)

    return values


def _by_power(terms: tuple[float, ...], power: int) -> Approximate:
    return lambda u: np.copysign(1 - 1 / np.polyval(terms, np.abs(u)) ** power, u)


_NUMBERS_7_1_26 = (0.3275911, 1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)
"""The factor of |u|, and the terms, the highest first."""


def _winitzki(u: Any) -> Any:
    a, square = 0.147, u * u
    inner = -square * (4 / math.pi + a * square) / (1 + a * square)
    return np.copysign(np.sqrt(-np.expm1(inner)), u)


def _erf_by_tanh(u: Any) -> Any:
    return np.tanh(2 / math.sqrt(math.pi) * (u + 11 / 123 * u**3))


def _buermann(u: Any) -> Any:
    e, root = np.exp(-u * u), math.sqrt(math.pi)
    return np.sign(u) * 2 / root * np.sqrt(1 - e) * (root / 2 + 31 / 200 * e - 341 / 8000 * e * e)


_ERF = (
    _Method("erf", "Abramowitz and Stegun 7.1.25", _by_terms(0.47047, (0.7478556, -0.0958798, 0.3480242))),
    _Method("erf", "Abramowitz and Stegun 7.1.26", _by_terms(_NUMBERS_7_1_26[0], _NUMBERS_7_1_26[1:])),
    _Method(
        "erf",
        "Abramowitz and Stegun 7.1.27",
        _by_power((0.078108, 0.000972, 0.230389, 0.278393, 1.0), 4),
    ),
    _Method(
        "erf",
        "Abramowitz and Stegun 7.1.28",
        _by_power(
            (0.0000430638, 0.0002765672, 0.0001520143, 0.0092705272, 0.0422820123, 0.0705230784, 1.0), 16
        ),
    ),
    _Method("erf", "Winitzki's", _winitzki),
    _Method("erf", "tanh of a cubic", _erf_by_tanh),
    _Method("erf", "Bürmann's series", _buermann),
)


# The exponential


def _by_bits(shift: float) -> Approximate:
    """A straight line in each binade (Schraudolph 1999)."""

    def values(u: Any) -> Any:
        bits = np.asarray(u / math.log(2) - shift)
        whole = np.floor(bits)
        return np.ldexp(1 + (bits - whole), np.clip(whole, -1100, 1100).astype(np.int64))

    return values


def _by_limit(count: int) -> Approximate:
    return lambda u: (1 + u / count) ** count


def _by_series(degree: int) -> Approximate:
    terms = [1 / math.factorial(power) for power in range(degree, -1, -1)]
    return lambda u: np.polyval(terms, u)


_SHIFTS = {"60801": 0.0579848, "45799": 0.0436774, "0": 0.0}
_EXP = (
    *(
        _Method("exp", f"by the bits of a float, shift {name}", _by_bits(each))
        for name, each in _SHIFTS.items()
    ),
    *(_Method("exp", f"(1 + x/{count})^{count}", _by_limit(count)) for count in (64, 256, 1024, 4096)),
    *(_Method("exp", f"its series to degree {degree}", _by_series(degree)) for degree in range(3, 7)),
)


# tanh and sigmoid


def _quotient(top: tuple[float, ...], bottom: tuple[float, ...]) -> Approximate:
    def values(u: Any) -> Any:
        square = u * u
        return np.clip(u * np.polyval(top, square) / np.polyval(bottom, square), -1.0, 1.0)

    return values


_OF_FLOAT32 = (
    (
        -2.76076847742355e-16,
        2.00018790482477e-13,
        -8.60467152213735e-11,
        5.12229709037114e-08,
        1.48572235717979e-05,
        6.37261928875436e-04,
        4.89352455891786e-03,
    ),
    (1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03),
)
"""Eigen's quotient for float32, which others have taken over."""


def _of_float32(u: Any) -> Any:
    """Eigen's quotient, in the format of ``u``."""
    held = np.clip(u, u.dtype.type(-9), u.dtype.type(9))
    square = held * held
    top, bottom = (_horner(terms, square) for terms in _OF_FLOAT32)
    return held * top / bottom


def _horner(terms: tuple[float, ...], x: Any) -> Any:
    """The polynomial, the highest term first, in the format of ``x``."""
    found = np.full_like(x, terms[0])
    for each in terms[1:]:
        found = found * x + x.dtype.type(each)
    return found


def _half(u: Any) -> Any:
    return _of_float32(np.asarray(u).astype(np.float16)).astype(np.float64)


_TANH = (
    _Method("tanh", "Eigen's quotient for float32, in float16", _half),
    _Method("tanh", "x(27 + x²)/(27 + 9x²)", _quotient((1, 27), (9, 27))),
    _Method("tanh", "x(15 + x²)/(15 + 6x²)", _quotient((1, 15), (6, 15))),
    _Method("tanh", "a continued fraction to x⁵", _quotient((1, 105, 945), (15, 420, 945))),
    _Method(
        "tanh",
        "a continued fraction to x⁷",
        _quotient((1, 378, 17325, 135135), (28, 3150, 62370, 135135)),
    ),
    _Method(
        "tanh",
        "x(600 + 70x² + x⁴)/(600 + 270x² + 11x⁴ + x⁶/24)",
        _quotient((1, 70, 600), (1 / 24, 11, 270, 600)),
    ),
    _Method("tanh", "x/(1 + |x|)", lambda u: u / (1 + np.abs(u))),
    _Method("tanh", "x − x³/3", lambda u: u - u**3 / 3),
)
_SIGMOID = (
    _Method("sigmoid", "x/(1 + |x|)", lambda u: 0.5 + 0.5 * u / (1 + np.abs(u))),
    _Method("sigmoid", "a line between ±2.5", lambda u: np.clip(0.2 * u + 0.5, 0, 1)),
    _Method("sigmoid", "a line between ±3", lambda u: np.clip(u / 6 + 0.5, 0, 1)),
    _Method("sigmoid", "a line between ±2", lambda u: np.clip(0.25 * u + 0.5, 0, 1)),
)


# The arctangent


def _beyond_one(near: Approximate) -> Approximate:
    """From the reciprocal where the size is above 1."""

    def values(u: Any) -> Any:
        u = np.asarray(u)
        with np.errstate(all="ignore"):
            inner = np.where(np.abs(u) <= 1, u, 1 / u)
        found = near(inner)
        return np.where(np.abs(u) <= 1, found, np.copysign(math.pi / 2, u) - found)

    return values


def _by_odd_terms(terms: tuple[float, ...]) -> Approximate:
    return lambda u: u * np.polyval(terms, u * u)


_AS_4_4_47 = (0.0208351, -0.0851330, 0.1801410, -0.3302995, 0.9998660)
_ATAN = (
    _Method(
        "atan", "x(π/4 + 0.273(1 − |x|))", _beyond_one(lambda u: u * (math.pi / 4 + 0.273 * (1 - np.abs(u))))
    ),
    _Method(
        "atan",
        "πx/4 − x(|x| − 1)(0.2447 + 0.0663|x|)",
        _beyond_one(lambda u: u * (math.pi / 4 - (np.abs(u) - 1) * (0.2447 + 0.0663 * np.abs(u)))),
    ),
    _Method("atan", "x/(1 + 0.28x²)", _beyond_one(lambda u: u / (1 + 0.28 * u * u))),
    _Method("atan", "x/(1 + 0.28086x²)", _beyond_one(lambda u: u / (1 + 0.28086 * u * u))),
    _Method("atan", "Abramowitz and Stegun 4.4.47", _beyond_one(_by_odd_terms(_AS_4_4_47))),
)


# The logarithm


def _log1p_by_series(degree: int) -> Approximate:
    terms = [-((-1) ** power) / power for power in range(degree, 0, -1)]
    return lambda u: u * np.polyval(terms, u)


_LOG1P = tuple(
    _Method("log1p", f"its series to degree {degree}", _log1p_by_series(degree)) for degree in range(2, 7)
)

_METHODS = (*_ERF, *_EXP, *_TANH, *_SIGMOID, *_ATAN, *_LOG1P)
