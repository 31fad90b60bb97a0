"""Kernels whose exponential is 2^n times an inaccurate approximation of the remaining factor."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import NamedTuple, TypeAlias

import numpy as np

from app.core.activations.definition import Text
from app.core.arithmetic import Array
from app.core.formulas.tree import Tree, dependent, name, walk
from app.core.verification.evidence import SINGLE, Base, Evidence, Mask, Places, Suspect
from app.core.verification.suspects.insides import exactly_at, mantissa_bits, with_free, written
from app.core.verification.suspects.trees import operations, replaced

RATIO = "a ratio"
"""The name of the factor by which an exponential is off; a request cannot contain it."""

MOST_FORMS = 3
"""The most ways to write a formula with exponentials that are examined."""

BINS, LEAST_BINADES, LEAST_IN_BIN = 64, 4, 5
"""Parts of a binade, the least number of binades that must agree, and the least errors in a part."""

LEAST_IN_BINADE, UNEXPLAINED, NEARLY_ALL = 12, 0.35, 0.8
"""The least number of errors in a binade to compare with the other binades, the share of their size that may
stay unexplained, and the share of the binades for which that has to hold."""

LARGEST = 0.2
"""The largest relative error of something that is still taken for an exponential."""

DIGITS = 0.6
"""The share of the errors' digits that errors by binade must predict: they are fitted to the errors."""

LARGE_ERROR = 32.0
"""The error, in ulps, below which the argument may be reduced as careful kernels do."""

LEAST_EFFECT = 4.0
"""The least effect, in ulps of the answer, from which an exponential's error can be inferred."""

Ratio: TypeAlias = Callable[[float | Array, Places], Array]


class _Form(NamedTuple):
    """A formula with one exponential: its value if the exponential were off by a factor, and the argument."""

    run: Ratio
    argument: Base


def exponentials(seen: Evidence, base: Base, remaining: Mask) -> Iterator[Suspect]:
    """One error for each fraction of a binade, or one that grows with the argument."""
    if not seen.by_size or seen.arrays:
        return
    for form in islice(_forms(seen, base), MOST_FORMS):
        yield from _by_binade(seen, form, remaining)
        grown = seen.dtype.itemsize >= SINGLE.itemsize and seen.worst >= LARGE_ERROR
        if grown and _is_plain(form.argument.tree):
            yield from _by_argument(seen, base, form, remaining)


def _forms(seen: Evidence, base: Base) -> Iterator[_Form]:
    for writing in written(base.tree):
        root = writing.tree
        if "exp" not in operations(root):
            continue
        varying = dependent(root, frozenset({"x"}))
        powers = [node for node in walk(root) if node.op == "exp" and node in varying]
        if len(powers) == 1:
            (power,) = powers
            free = replaced(root, {power: Tree("*", (power, name(RATIO)))})
            yield _Form(with_free(seen, base, free, RATIO), Base(power.args[0], base.params))


def _is_plain(argument: Tree) -> bool:
    """x, its size, or those with another sign or times 2: an argument that is exact in every format."""
    if argument.op in {"neg", "abs"}:
        return _is_plain(argument.args[0])
    if argument.op == "*" and argument.args[0].number == 2:
        return _is_plain(argument.args[1])
    return argument is name("x")


# The same error in each binade


def _by_binade(seen: Evidence, form: _Form, remaining: Mask) -> Iterator[Suspect]:
    places = seen.sample(remaining)
    places = places[np.isfinite(seen.output[places])]
    off, readable = _read(seen, form, places)
    places, off = places[readable], off[readable]
    with np.errstate(all="ignore"):
        whole, part = _split(exactly_at(seen, form.argument, places))
    curves = {}
    for sign, side in ((1.0, whole >= 0), (-1.0, whole < 0)):
        if _is_of_binades(whole[side], part[side], off[side]):
            curves[sign] = _curve(part[side], off[side])
    curves = {sign: curve for sign, curve in curves.items() if np.isfinite(curve).any()}
    if not curves:
        return
    most = max(float(np.nanmax(np.abs(curve))) for curve in curves.values())
    summary = Text(
        f"exp inside is 2^n times an approximation, with the same error in each binade, at most {most:.2g}.",
        "내부의 exp를 2^n과 나머지의 근삿값의 곱으로 계산합니다. 2의 거듭제곱 구간마다 같은 상대 오차가 "
        f"최대 {most:.2g}까지 나타납니다.",
    )
    run = partial(_predicted, seen, form, curves)
    detail = "exp: the same error in each binade"
    yield Suspect("approximation", detail, summary, run, price=0.05, least_gain=DIGITS)


def _read(seen: Evidence, form: _Form, places: Places) -> tuple[Array, Mask]:
    """The relative error of the exponential that explains each answer, and where it can be inferred."""
    output = seen.output[places]
    off = np.zeros(places.size)
    with np.errstate(all="ignore"):
        for _ in range(3):
            here = form.run(1 + off, places)
            slope = (form.run(1 + off + 1e-6, places) - here) / 1e-6
            off = off + (output - here) / slope
        effect = np.abs(off * slope) / seen.unit[places]
        readable: Mask = np.isfinite(off) & (np.abs(off) < LARGEST) & (effect >= LEAST_EFFECT)
    return off, readable


def _split(argument: Array) -> tuple[Array, Array]:
    """The binade of e^u, and the position in it from 0 to 1."""
    power = argument / math.log(2)
    whole = np.floor(power)
    return whole, power - whole


def _is_of_binades(whole: Array, part: Array, off: Array) -> bool:
    """Whether the errors in nearly every binade are predicted by the others, with enough binades to judge."""
    agreeing = []
    for binade in np.unique(whole):
        here = whole == binade
        if here.sum() < LEAST_IN_BINADE:
            continue
        left = off[here] - _at(_curve(part[~here], off[~here]), part[here])
        left = left[np.isfinite(left)]
        if left.size >= LEAST_IN_BINADE // 2:
            agreeing.append(
                float(np.median(np.abs(left))) <= UNEXPLAINED * float(np.median(np.abs(off[here])))
            )
    return sum(agreeing) >= LEAST_BINADES and float(np.mean(agreeing)) >= NEARLY_ALL


def _at(curve: Array, part: Array) -> Array:
    known = np.flatnonzero(np.isfinite(curve))
    if not known.size:
        return np.full(part.size, np.nan)
    return np.interp(part, (known + 0.5) / BINS, curve[known])


def _curve(part: Array, off: Array) -> Array:
    """The median error in each part of a binade; NaN where there are too few errors."""
    which = np.minimum((part * BINS).astype(np.intp), BINS - 1)
    return np.array(
        [
            np.median(off[which == each]) if (which == each).sum() >= LEAST_IN_BIN else np.nan
            for each in range(BINS)
        ]
    )


def _predicted(seen: Evidence, form: _Form, curves: dict[float, Array], places: Places) -> Array:
    with np.errstate(all="ignore"):
        whole, part = _split(exactly_at(seen, form.argument, places))
    off = np.zeros(places.size)
    for sign, curve in curves.items():
        here = (whole >= 0) == (sign > 0)
        off[here] = np.nan_to_num(_at(curve, part[here]))
    return np.where(off == 0, seen.right[places], form.run(1 + off, places))


# Errors that grow with the argument


def _by_argument(seen: Evidence, base: Base, form: _Form, remaining: Mask) -> Iterator[Suspect]:
    bits = mantissa_bits(seen.dtype)
    places = np.flatnonzero(remaining)
    room = _room(seen, form, bits, places) / seen.unit[places]
    if (seen.size[places] <= 2 * room + 0.5).mean() < NEARLY_ALL:
        return
    summary = Text(
        f"The errors grow with exp's argument: it is reduced with rounding errors of {seen.dtype.name}.",
        f"오차가 exp의 인수에 비례해 커집니다. 인수를 축약할 때 {seen.dtype.name}의 반올림 오차가 생깁니다.",
    )
    yield Suspect(
        "low_precision",
        f"argument of exp in {seen.dtype.name}",
        summary,
        lambda places: seen.exact[places],
        price=0.2,
        room=partial(_room, seen, form, bits),
        key=("argument", form.argument.tree, *base.key),
        least_gain=DIGITS,
    )


def _room(seen: Evidence, form: _Form, bits: int, places: Places) -> Array:
    with np.errstate(all="ignore"):
        size = np.abs(exactly_at(seen, form.argument, places))
        slope = np.abs(form.run(1 + 1e-6, places) - form.run(1.0, places)) / 1e-6
        found: Array = np.nan_to_num(slope * size * 2.0 ** (-1 - bits), posinf=0.0)
    return found
