"""Kernels of a related function, with another parameter, or with constants that are not quite right."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from functools import cache, lru_cache, partial
from itertools import chain
from typing import NamedTuple

import numpy as np

from app.core.activations import REGISTRY
from app.core.activations.definition import Elementwise, Text
from app.core.activations.from_formula import tree_of
from app.core.arithmetic import Array
from app.core.formulas.tree import CONDITIONS, ONE, PI, TWO, Tree, name, number, substitute, text, walk
from app.core.formulas.vectorised import evaluate, stable
from app.core.formulas.writings import writings
from app.core.proof import finite_and_infinite
from app.core.verification.evidence import FAR, FEW, SINGLE, Base, Evidence, Mask, Places, Suspect
from app.core.verification.suspects.ends import plainest
from app.core.verification.suspects.insides import SHORT, exactly_at, mantissa_bits, with_free
from app.core.verification.suspects.trees import replaced

FREE = "a constant"
"""The name of the unknown constant; a request cannot contain it."""

STEPS = 20
"""The most steps of a search for a parameter."""

NEARLY, NEARLY_EXACTLY, EXACTLY = 1e-3, 1e-6, 1e-10
"""The size of a search's last step, relative to the number: for the trial of whether it converges, in short
formats, and in long ones."""

SLIPS = tuple(factor for each in (2.0, math.sqrt(2), math.pi, 10.0) for factor in (each, 1 / each))
"""The factors by which a parameter is off after a common slip."""

FAR_BETTER = 0.4
"""The share of the errors' bits that may be left where a slip of a parameter is taken for the cause."""

TRIAL_OUTPUTS, TRIAL_STEPS = 300, 6
"""The number of outputs and of steps in the trial that shows whether a search converges."""

MOST_DIGITS = 9

MOST_FORMS = 6
"""The most forms of a formula whose constants are examined."""

ROUNDED = 0.12
"""Relative distance beyond which a constant is another one, not a rounded one."""

AGREE = 0.35
"""The share of the wrong outputs that must agree on one parameter; the others may have errors of their
own."""

LEAST_EFFECT = 16.0
"""The least change of an output, in ulp, when the parameter doubles, for the output to depend on it."""

PROPORTIONAL, MOSTLY = 0.15, 0.9
"""Relative difference by which ratios of answers with few digits may differ, and the share of the ratios
that must agree. Where answers have nearly vanished, ulps of the right ones give no information."""

DIGITS = 0.6
"""The share of the errors' digits that a factor must predict: some factor fits any smooth error roughly."""

FINE = 0.25
"""The share of the answers that count as the smallest."""

CERTAIN = 0.9
"""The share of the errors' bits that scaled inputs must explain: a number found by a search can come near to
much."""

USUAL, UNUSUAL = 0.03, 0.055
"""The price of another function at its defaults, and at a framework's parameters. The latter may be the
requested function with rounded constants."""

CLOSE = 0.02
"""Relative error above which a constant is a different one; a smaller error that is no rounding is chance."""


# Related functions


def relatives(seen: Evidence) -> Iterator[Suspect]:
    """Every other function of the catalogue, at its own defaults and at those of frameworks."""
    entries = ((label, base, _price(label, base)) for label, base in catalogue(seen.order))
    namesakes = ((label, base, USUAL) for label, base in _namesakes(seen))
    for label, base, price in chain(entries, namesakes):
        if base.tree is seen.base.tree:
            continue
        summary = Text(f"The numbers are those of {label}.", f"함숫값이 {label}의 값과 같습니다.")
        run = partial(exactly_at, seen, base)
        key = ("exactly", *base.key)
        yield Suspect("other_variant", label, summary, run, base=base, price=price, key=key)


def _price(label: str, base: Base) -> float:
    entry = REGISTRY[label.partition("(")[0]]
    return USUAL if dict(base.params) == dict(entry.defaults) else UNUSUAL


def _namesakes(seen: Evidence) -> Iterator[tuple[str, Base]]:
    """Entries whose parameters have the names of the function's, with its values."""
    given = seen.base.params
    for label, base in catalogue(seen.order):
        shared = {key: given[key] for key in base.params if key in given}
        if shared and any(base.params[key] != value for key, value in shared.items()):
            params = {**base.params, **shared}
            shown = ", ".join(f"{key}={value:.7g}" for key, value in params.items())
            yield f"{label.partition('(')[0]}({shown})", Base(base.tree, params)


@cache
def catalogue(order: int) -> list[tuple[str, Base]]:
    """All elementwise entries as `settings` has them, by name and parameters."""
    found = []
    for entry_name, params in settings(order):
        entry = REGISTRY[entry_name]
        plain = ", ".join(f"{key}={value:.7g}" for key, value in params.items())
        root = tree_of(entry, entry.formulas.orders[order])
        found.append((f"{entry_name}({plain})" if params else entry_name, Base(root, params)))
    return found


def settings(order: int) -> Iterator[tuple[str, Mapping[str, float]]]:
    """All elementwise entries with a formula of that order, at their defaults and at the frameworks'."""
    for entry_name, entry in REGISTRY.items():
        if not isinstance(entry, Elementwise) or order >= len(entry.formulas.orders):
            continue
        usual = [entry.defaults, *(each.params for each in REGISTRY.bindings(entry_name))]
        for params in {tuple(sorted(each.items())): each for each in usual}.values():
            if len(params) == len(entry.parameters) and not finite_and_infinite(params)[1]:
                yield entry_name, params


# Parameters and constants


class Unknown(NamedTuple):
    """A number in a formula: its name, its right value, and the formula with another number in its place.

    ``varies`` says that it should be an array, whose median the ``value`` is.
    """

    label: str
    value: float
    run: Callable[[float, Places], Array]
    base: Callable[[float], Base] | None = None
    varies: bool = False

    def with_value(self, value: float) -> Base | None:
        """The formula with this number, where there is one."""
        return None if self.base is None else self.base(value)


def other_parameters(seen: Evidence, base: Base, remaining: Mask) -> Iterator[Suspect]:
    """One of the function's parameters with another value."""
    for key in (*base.params, *(each for each in seen.arrays if each not in base.params)):
        unknown = _parameter(seen, base, key)
        found = searched(seen, unknown, remaining)
        if found is None:
            found = _usual_slip(seen, unknown, remaining)
        if found is not None:
            yield other_parameter(seen, unknown, found)
        for edge in edges(seen.x, remaining) if found is None else ():
            yield other_parameter(seen, unknown, edge)


def parameters_in_one_place(seen: Evidence, base: Base, remaining: Mask) -> Iterator[Suspect]:
    """A parameter of several uses that has another value, or is left out, in one of them."""
    for key in base.params:
        yield from _in_one_place(seen, base, key, remaining)


def _usual_slip(seen: Evidence, unknown: Unknown, remaining: Mask) -> float | None:
    """The parameter inverted, squared, or times a number that is easily forgotten, if that does far better.

    Far from the right answers a search that goes step by step may not arrive.
    """
    places = seen.sample(remaining)
    places = places[remaining[places]]
    if places.size > TRIAL_OUTPUTS:
        places = places[np.linspace(0, places.size - 1, TRIAL_OUTPUTS).astype(np.intp)]
    value = unknown.value
    tried = [value * factor for factor in SLIPS] + [1 / value, value * value] if value else []
    tried = [each for each in tried if math.isfinite(each) and each != value]
    left = [_bits_off(seen, unknown.run(each, places), places) for each in (value, *tried)]
    best = int(np.argmin(left))
    return tried[best - 1] if left[best] < FAR_BETTER * left[0] else None


def _bits_off(seen: Evidence, values: Array, places: Places) -> float:
    return float(np.log2(1 + seen.off(seen.rounded(values), places)).mean())


def _in_one_place(seen: Evidence, base: Base, key: str, remaining: Mask) -> Iterator[Suspect]:
    given, value = name(key), base.params[key]
    uses = [
        (node, place) for node in walk(base.tree) for place, each in enumerate(node.args) if each is given
    ]
    for node, place in uses if len(uses) > 1 and value else ():
        if node.op in CONDITIONS:
            continue
        divides = node.op == "/" and place == 1  # search the reciprocal, to which answers are proportional
        free = Tree("*" if divides else node.op, (*node.args[:place], name(FREE), *node.args[place + 1 :]))
        run = with_free(seen, base, replaced(base.tree, {node: free}), FREE)
        label = f"{key} of {text(node)}"
        found = searched(seen, Unknown(label, 1 / value if divides else value, run), remaining)
        if not found:
            continue
        unknown = Unknown(label, value, partial(_of_reciprocal, run) if divides else run)
        yield replace(other_parameter(seen, unknown, 1 / found if divides else found), price=0.05)


def _of_reciprocal(run: Callable[[float, Places], Array], value: float, places: Places) -> Array:
    with np.errstate(all="ignore"):
        return run(float(np.divide(1.0, value)), places)


def edges(x: Array, wrong: Mask) -> Iterator[float]:
    """Where the range of wrong answers ends: it shows the value of a parameter that only moves a step.

    The candidates are the outermost wrong input, the right one next to it, and the shortest decimal between.
    """
    size = np.abs(x)
    top = float(size[wrong].max(initial=0.0))
    beyond = size[size > top]
    if top and beyond.size:
        nearest = float(beyond.min())
        for edge in dict.fromkeys((plainest(top, nearest), top, nearest)):
            yield from (edge, -edge)


def turned_parameters(seen: Evidence, base: Base) -> Iterator[Suspect]:
    """Array parameters laid along another axis."""
    for axis, arrays in seen.turned.items():
        other = replace(seen, arrays=arrays)
        summary = Text(
            f"The array parameters run along axis {axis} of the inputs.",
            f"배열 매개변수를 입력의 {axis}번 축을 따라 적용했습니다.",
        )
        yield Suspect("wrong_parameter", f"axis={axis}", summary, partial(exactly_at, other, base))


def scaled_answers(seen: Evidence, remaining: Mask) -> Iterator[Suspect]:
    """The right answers times a number, or plus one, that most of the wrong answers agree on."""
    use = remaining & np.isfinite(seen.output) & np.isfinite(seen.exact) & (seen.exact != 0)
    if use.sum() < FEW:
        return
    with np.errstate(all="ignore"):
        ratio, difference = seen.output[use] / seen.exact[use], seen.output[use] - seen.exact[use]
    _, once = np.unique(seen.right[use], return_index=True)  # one input per answer
    size = np.abs(seen.output[use][once])
    fine = once[size <= np.quantile(size, FINE)]  # small: an added number shows in most digits
    factor, term = _agreed(ratio[once]), _plain(_agreed(difference[fine]), math.inf)
    factor = _plain(factor, 2.0 ** -mantissa_bits(seen.dtype) * abs(factor))
    if abs(factor - 1) < CLOSE:  # more likely a rounded constant
        factor = float(f"{factor:.3g}")
    with np.errstate(all="ignore"):
        near = np.abs(ratio - factor) <= PROPORTIONAL * abs(factor)
        near |= np.abs(seen.output[use] - factor * seen.exact[use]) <= seen.unit.min()
    if factor not in {0.0, 1.0} and near.mean() >= MOSTLY:
        summary = Text(
            f"The answers are the right ones times {factor:.10g}.",
            f"정답에 {factor:.10g}을(를) 곱한 값입니다.",
        )
        run = partial(_scaled, seen, factor, 0.0)
        detail = f"answers times {factor:.10g}"
        yield Suspect("wrong_parameter", detail, summary, run, price=0.02, least_gain=DIGITS)
    if term:
        summary = Text(
            f"The answers are the right ones plus {term:.10g}.", f"정답에 {term:.10g}을(를) 더한 값입니다."
        )
        yield Suspect(
            "wrong_parameter",
            f"answers plus {term:.10g}",
            summary,
            partial(_scaled, seen, 1.0, term),
            price=0.02,
            least_gain=DIGITS,
        )


def scaled_inputs(seen: Evidence, base: Base, remaining: Mask) -> Iterator[Suspect]:
    """The function of the input times a number, or plus one: a scale forgotten, or applied twice."""
    x, free = name("x"), name(FREE)
    ways = {
        "times": (1.0, Tree("*", (free, x)), "곱한"),
        "plus": (0.0, Tree("+", (x, free)), "더한"),
    }
    for how, (neutral, taken, korean) in ways.items():
        run = with_free(seen, base, substitute(base.tree, {"x": taken}), FREE)
        unknown = Unknown(f"inputs {how}", neutral, run)
        found = searched(seen, unknown, remaining)
        found = found and _shortest(seen, unknown, found)
        if found is None or found in {0.0, neutral}:
            continue
        summary = Text(
            f"The numbers are those of the inputs {how} {found:.10g}.",
            f"입력에 {found:.10g}을(를) {korean} 수에서의 함숫값입니다.",
        )
        detail = f"inputs {how} {found:.10g}"
        predicted = partial(run, found)
        suspect = Suspect("wrong_parameter", detail, summary, predicted, price=0.035, least_gain=CERTAIN)
        if seen.fit(suspect, seen.sample(remaining), remaining)[0].gain >= CERTAIN:
            yield suspect


def _plain(value: float, room: float) -> float:
    """The value in the fewest digits that the tolerance ``room`` allows, three to ten; 0 if not finite."""
    if not math.isfinite(value):
        return 0.0
    short = (float(f"{value:.{digits}g}") for digits in range(3, 11))
    return next((each for each in short if abs(each - value) <= room), float(f"{value:.10g}"))


def _scaled(seen: Evidence, factor: float, term: float, places: Places) -> Array:
    with np.errstate(all="ignore"):
        found: Array = factor * seen.exact[places] + term
    return found


def fitted(seen: Evidence, base: Base, parameter: str) -> float | None:
    """The value of one parameter that most outputs agree on, in few digits; None where there is none."""
    unknown = _parameter(seen, base, parameter)
    found = searched(seen, unknown, seen.wrong)
    return None if found is None else _shortest(seen, unknown, found)


def _parameter(seen: Evidence, base: Base, key: str) -> Unknown:
    def with_value(found: float) -> Base:
        return Base(base.tree, {**base.params, key: found})

    run = with_free(seen, base, base.tree, key)
    varies = key not in base.params
    value = float(np.median(seen.arrays[key])) if varies else base.params[key]
    return Unknown(key, value, run, with_value, varies)


def other_constants(seen: Evidence, base: Base, remaining: Mask) -> Iterator[Suspect]:
    """A constant of the formula rounded, or another; or all of them rounded alike."""
    known: set[tuple[str, bool]] = set()
    forms = _forms(base.tree)
    for root in dict.fromkeys((*forms, *(seen.own_writings if base == seen.base else ()))):
        for part in _constants(root):
            key = (text(part), root in seen.own_writings)
            if key in known:
                continue
            known.add(key)
            unknown = _unknown(seen, base, root, part)
            found = searched(seen, unknown, remaining)
            found = _usual_slip(seen, unknown, remaining) if found is None else found
            if found is not None:
                yield from _near_constants(seen, unknown, found)
    yield from _all_rounded(seen, base)


@lru_cache(maxsize=256)
def _forms(root: Tree) -> tuple[Tree, ...]:
    """Forms of the formula, whose constants are examined."""
    forms = [root, *(form.tree for _, form in zip(range(MOST_FORMS), writings(stable(root)), strict=False))]
    by_two = [found for form in forms if (found := _base_two(form)) != form]
    turned = _by_reciprocal(root)
    return (*forms, *by_two[:1], _folded(root), *([] if turned is root else [turned]))


def _by_reciprocal(root: Tree) -> Tree:
    """atan(u) as ±π/2 − atan(1/u) where |u| > 1: kernels approximate it for small arguments only."""
    turned = {}
    for node in walk(root):
        if node.op == "atan":
            (u,) = node.args
            quarter = Tree("*", (Tree("/", (PI, TWO)), Tree("sign", (u,))))
            beyond = Tree("-", (quarter, Tree("atan", (Tree("/", (ONE, u)),))))
            turned[node] = Tree("if", (Tree("<", (ONE, Tree("abs", (u,)))), beyond, node))
    return replaced(root, turned)


def _base_two(root: Tree) -> Tree:
    """e^u as 2^(u/ln 2), as processors have it: the constant is one that the formula does not show."""
    by_two = {
        node: Tree("**", (TWO, Tree("/", (node.args[0], Tree("log", (TWO,))))))
        for node in walk(root)
        if node.op == "exp"
    }
    return replaced(root, by_two)


def _folded(root: Tree) -> Tree:
    """a·u/b as (a/b)·u: the constant is one that the formula does not show."""
    made: dict[Tree, Tree] = {}
    for node in walk(root):
        rebuilt = Tree(node.op, tuple(made[each] for each in node.args), node.leaf) if node.args else node
        if node.op == "/" and node.args[0].op == "*":
            (factor, rest), divisor = node.args[0].args, node.args[1]
            if factor.number is not None and divisor.number is not None:
                rebuilt = Tree("*", (Tree("/", (factor, divisor)), made[rest]))
        made[node] = rebuilt
    return made[root]


def _unknown(seen: Evidence, base: Base, root: Tree, part: Tree) -> Unknown:
    (value,) = evaluate([part], {"x": np.zeros(1)}, {})
    run = with_free(seen, base, replaced(root, {part: name(FREE)}), FREE)

    def with_value(found: float) -> Base:
        return Base(replaced(root, {part: number(Fraction(found))}), base.params)

    return Unknown(text(part), float(value[0]), run, with_value)


@lru_cache(maxsize=1024)
def _constants(root: Tree) -> tuple[Tree, ...]:
    """The largest parts without variables, small whole numbers, halves and exponents apart."""
    fixed: dict[Tree, bool] = {}
    for node in walk(root):
        fixed[node] = node.op in {"number", "constant"} or (
            bool(node.args) and all(fixed[each] for each in node.args)
        )
    used = {
        each
        for node in walk(root)
        if not fixed[node]
        for place, each in enumerate(node.args)
        if fixed[each] and not (node.op == "**" and place == 1)
    }
    plain = {0, 1, 2, 4, Fraction(1, 2)}
    return tuple(
        node
        for node in walk(root)
        if node in used and not (node.number is not None and abs(node.number) in plain)
    )


def searched(seen: Evidence, unknown: Unknown, remaining: Mask, start: float | None = None) -> float | None:
    """The number that most wrong outputs agree on, by Newton's method on each and the median of all.

    A few outputs are tried first, to see whether the search converges.
    """
    places = seen.sample(remaining)
    places = places[remaining[places] & np.isfinite(seen.output[places])]
    near = unknown.value if start is None else start
    if places.size > TRIAL_OUTPUTS:
        few = places[np.linspace(0, places.size - 1, TRIAL_OUTPUTS).astype(np.intp)]
        *_, before, near = _approach(seen, unknown, few, near, TRIAL_STEPS, NEARLY)
        if not abs(near - before) <= max(0.1 * abs(near - unknown.value), 1e-3 * abs(near)):
            return None
    enough = EXACTLY if seen.dtype.itemsize >= SINGLE.itemsize else NEARLY_EXACTLY
    *_, found = _approach(seen, unknown, places, near, STEPS, enough)
    return None if found == unknown.value or not math.isfinite(found) else found


def _approach(
    seen: Evidence, unknown: Unknown, places: Places, start: float, steps: int, enough: float
) -> Iterator[float]:
    """Successive approximations to the number that the outputs agree on; NaN where there is none.

    It ends with a step that is no larger than ``enough``, a share of the number.
    """
    output, unit = seen.output[places], seen.unit[places]
    found = start
    yield found
    for _ in range(steps):
        width = 1e-6 * max(abs(found), 1e-3)
        with np.errstate(all="ignore"):
            here = unknown.run(found, places)
            slope = (unknown.run(found + width, places) - here) / width
            weight = np.abs(slope) / unit
            change = (output - here) / slope
        use = np.isfinite(weight) & np.isfinite(change) & (weight > 0)
        if not use.any():
            yield math.nan
            return
        weight = np.minimum(weight, FAR) * min(max(abs(found), abs(unknown.value), 1e-3), FAR)
        use &= weight >= min(LEAST_EFFECT, float(np.median(weight[use])))
        step = _agreed(change[use])
        found += step
        yield found
        if not abs(step) > enough * abs(found):
            return


def _agreed(values: Array) -> float:
    """The median of the densest cluster that holds the share `AGREE` of the values."""
    values = np.sort(values)
    count = max(1, int(AGREE * values.size))
    width = values[count - 1 :] - values[: values.size - count + 1]
    start = int(np.argmin(width))
    return float(np.median(values[start : start + count]))


def other_parameter(seen: Evidence, unknown: Unknown, found: float) -> Suspect:
    """The kernel with the parameter that was ``found``, in as few digits as suffice."""
    found = _shortest(seen, unknown, found)
    right = "an array" if unknown.varies else f"{unknown.value:.10g}"
    asked = "배열" if unknown.varies else right
    detail = f"{unknown.label} {found:.10g} for {right}"
    summary = Text(
        f"The numbers are those of {unknown.label} = {found:.10g}, not {right}.",
        f"{unknown.label}의 값이 {asked}이(가) 아니라 {found:.10g}일 때의 값입니다.",
    )
    return Suspect(
        "wrong_parameter", detail, summary, partial(unknown.run, found), base=unknown.with_value(found)
    )


def _shortest(seen: Evidence, unknown: Unknown, found: float) -> float:
    """The shortest decimal that does as well as what was found."""
    places = seen.sample(seen.wrong)

    def bits_off(value: float) -> float:
        return float(np.log2(1 + seen.off(seen.rounded(unknown.run(value, places)), places)).mean())

    least = bits_off(found)
    near_zero = [0.0] if abs(found) <= NEARLY * abs(unknown.value) else []
    for short in (*near_zero, *(float(f"{found:.{digits}g}") for digits in range(1, 12))):
        if math.isfinite(short) and bits_off(short) <= least + 0.02:
            return short
    return found


def _near_constants(seen: Evidence, unknown: Unknown, found: float) -> Iterator[Suspect]:
    """The constant's roundings near what was found; else what was found."""
    right = unknown.value
    if not math.isfinite(right) or right == 0:
        return
    near = [
        (value, how)
        for value, how in _roundings(right)
        if value != right
        and abs(value - right) <= ROUNDED * abs(right)
        and abs(value - found) <= 0.5 * abs(found - right)
    ]
    for place, (value, how) in enumerate(near):
        summary = Text(
            f"The constant {unknown.label} is {how}: {value:.10g}.",
            f"상수 {unknown.label}이(가) {value:.10g}(으)로 반올림되어 있습니다.",
        )
        yield Suspect(
            "rounded_constant",
            f"{value:.10g} for {unknown.label}",
            summary,
            partial(unknown.run, value),
            base=unknown.with_value(value),
            price=0.001 * place + (0.05 if abs(value - right) > CLOSE * abs(right) else 0.0),
        )
    value = _shortest(seen, unknown, found)
    if abs(value - right) <= CLOSE * abs(right):
        return
    summary = Text(
        f"The constant {unknown.label} is {value:.10g}, not {right:.10g}.",
        f"상수 {unknown.label}의 값이 {right:.10g}이(가) 아니라 {value:.10g}입니다.",
    )
    yield Suspect(
        "wrong_parameter",
        f"{value:.10g} for {unknown.label}",
        summary,
        partial(unknown.run, value),
        base=unknown.with_value(value),
        price=0.06,
    )


def _roundings(value: float) -> Iterator[tuple[float, str]]:
    """Decimal and binary roundings, also of the reciprocal, and how they were made."""
    exact = Decimal(value)
    for digits in range(1, MOST_DIGITS + 1):
        for how in (ROUND_HALF_EVEN, ROUND_DOWN):
            what = "rounded" if how == ROUND_HALF_EVEN else "cut off"
            yield _decimal(exact, digits, how), f"{what} to {digits} digits"
            yield 1 / _decimal(1 / exact, digits, how), f"{what} to {digits} digits as a reciprocal"
    for inside in SHORT:
        yield float(inside.rounded(np.array([value]))[0]), f"rounded to {inside.name}"


def _decimal(value: Decimal, digits: int, how: str) -> float:
    last = Decimal(1).scaleb(value.adjusted() - digits + 1)
    return float(value.quantize(last, how)) if value else 0.0


def _all_rounded(seen: Evidence, base: Base) -> Iterator[Suspect]:
    """All constants rounded to as many digits, or to one format."""
    decimals = [node for node in walk(base.tree) if node.number is not None and node.number.denominator > 2]
    for nodes in (list(_constants(base.tree)), decimals):
        if len(nodes) > 1:
            yield from _rounded_alike(seen, base, nodes)


def _rounded_alike(seen: Evidence, base: Base, nodes: list[Tree]) -> Iterator[Suspect]:
    parts = {part: float(evaluate([part], {"x": np.zeros(1)}, {})[0][0]) for part in nodes}
    if not all(map(math.isfinite, parts.values())):
        return
    ways: dict[str, Callable[[float], float]] = {
        f"{digits} digits": lambda value, digits=digits: _decimal(Decimal(value), digits, ROUND_HALF_EVEN)  # type: ignore[misc]
        for digits in range(2, MOST_DIGITS)
    }
    ways |= {
        each.name: lambda value, each=each: float(each.rounded(np.array([value]))[0])  # type: ignore[misc]
        for each in SHORT
    }
    for how, rounded in ways.items():
        found = {part: rounded(value) for part, value in parts.items()}
        if not all(map(math.isfinite, found.values())):  # overflow of the format
            continue
        root = replaced(base.tree, {part: number(Fraction(value)) for part, value in found.items()})
        summary = Text(
            f"The formula's constants are rounded to {how}.",
            f"수식의 상수들이 {how.replace(' digits', '자리')}(으)로 반올림되어 있습니다.",
        )
        changed = Base(root, base.params)
        run = partial(exactly_at, seen, changed)
        key = ("exactly", *changed.key)
        yield Suspect("rounded_constant", f"all to {how}", summary, run, base=changed, key=key)
