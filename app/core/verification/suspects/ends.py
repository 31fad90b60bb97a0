"""Kernels that stop computing too early: beyond a bound they answer a constant, the input, or zero."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import partial
from itertools import product
from typing import NamedTuple

import numpy as np

from app.core.activations.definition import Text
from app.core.arithmetic import Array
from app.core.formulas.tree import Tree, dependent, number, walk
from app.core.formulas.vectorised import stable
from app.core.formulas.writings import CLAMPED
from app.core.verification.evidence import FEW, Base, Evidence, Mask, Places, Suspect
from app.core.verification.suspects.insides import exactly_at
from app.core.verification.suspects.trees import replaced

LEAST_BOUND = 2.0**-7
"""The least bound: a deviation that begins nearer to zero is another slope, or another function."""

OUTER = 64
"""The outermost answers by which a factor is found."""

FACTOR = 0.055
"""The price of a factor of the input: a clamped argument of an inner function has such answers, too."""

NEARLY_ALL = 0.9

BOUNDED = 100.0
"""A function whose values at the ends are no larger than this levels off."""


class _End(NamedTuple):
    """Beyond ``bound`` (above, below, or nearer to zero) the kernel answers what ``answer`` does."""

    side: str
    bound: float
    what: str
    cause: str
    answer: tuple[float, float]
    """Answers intercept + slope·x."""

    @property
    def is_factor(self) -> bool:
        """Whether the answer is a multiple of the input, by a factor that was read from the answers."""
        return self.answer[1] not in {0.0, 1.0}

    def holds(self, x: Array) -> Mask:
        if self.side == "above":
            return x > self.bound
        return x < self.bound if self.side == "below" else np.abs(x) < self.bound

    def apply(self, x: Array) -> Array:
        intercept, slope = self.answer
        return np.full_like(x, intercept) if slope == 0 else intercept + slope * x


def early_ends(seen: Evidence) -> Iterator[Suspect]:
    """One end, or one on each side."""
    ends = {side: list(_ends_of(seen, side)) for side in ("above", "below", "inside")}
    for each in (*ends["above"], *ends["below"], *ends["inside"]):
        yield _suspect(seen, [each])
    for pair in product(ends["above"], ends["below"]):
        yield _suspect(seen, pair)


def other_slopes(seen: Evidence) -> Iterator[Suspect]:
    """A line through zero on one side, with another slope than it should have."""
    for sign, side, korean in ((1, "x > 0", "양"), (-1, "x < 0", "음")):
        places = np.flatnonzero((sign * seen.x > 0) & np.isfinite(seen.output) & (seen.output != 0))
        if places.size < FEW:
            continue
        ratio = seen.output[places] / seen.x[places]
        slope = plainest(*np.quantile(ratio, (0.4, 0.6)).tolist())
        if (seen.off(seen.rounded(slope * seen.x[places]), places) <= 1).mean() < NEARLY_ALL:
            continue
        summary = Text(
            f"For {side} the kernel multiplies the input by {slope:.10g}.",
            f"입력이 {korean}수이면 커널이 입력에 {slope:.10g}을(를) 곱합니다.",
        )
        run = partial(_sloped, seen, sign, slope)
        yield Suspect("wrong_parameter", f"slope {slope:.10g} for {side}", summary, run, price=0.02)


def _sloped(seen: Evidence, sign: int, slope: float, places: Places) -> Array:
    x = seen.x[places]
    return np.where(sign * x > 0, slope * x, seen.right[places])


def _ends_of(seen: Evidence, side: str) -> Iterator[_End]:
    x, output = seen.x, seen.output
    places = np.argsort(np.abs(x), kind="stable") if side == "inside" else np.arange(x.size)
    places = places[::-1] if side == "above" else places
    if places.size < 2 * FEW:
        return
    far = places[0] if side != "inside" else places[int(np.argmax(x[places] != 0))]
    answers = {"a constant": (float(output[far]), 0.0), "the input": (0.0, 1.0)}
    outer = places[: 2 * OUTER if side == "inside" else OUTER]
    outer = outer[x[outer] != 0]
    if outer.size:
        with np.errstate(all="ignore"):
            answers["a multiple of the input"] = (0.0, float(np.median(output[outer] / x[outer])))
    for what, answer in answers.items():
        if not np.isfinite(answer).all():
            continue
        end = _longest(seen, side, places, _End(side, 0.0, what, "threshold", answer))
        if end is not None:
            yield end


def _longest(seen: Evidence, side: str, places: Places, end: _End) -> _End | None:
    """The end, extended inwards as far as it holds; None if it has no errors or holds everywhere."""
    x = seen.x[places]
    predicted = seen.rounded(end.apply(x))
    # A factor is read from rounded answers, and is not known to their last digit.
    same = seen.apart(predicted, places) <= 1 if end.is_factor else seen.off(predicted, places) == 0
    length = int(np.argmin(same)) if not same.all() else same.size
    wrong = seen.wrong[places][:length]
    if not wrong.any() or same.size - length < FEW or x[length - 1] == x[length]:
        return None
    first_wrong = float(x[np.flatnonzero(wrong)[-1]])
    bound = plainest(float(x[length]), first_wrong)
    if side == "inside":
        bound = abs(bound)
    if abs(bound) < LEAST_BOUND:
        return None
    return end._replace(bound=bound, cause=_cause(seen, end, places[length - 1], places[length]))


def _cause(seen: Evidence, end: _End, last: int, first: int) -> str:
    """A clamp continues with the value at the bound, or with the limit of a function that levels off."""
    if end.side == "inside" or end.answer[1] != 0:
        return "threshold"
    low, high = sorted((seen.right[last], seen.right[first]))
    with np.errstate(all="ignore"):
        room = 4 * abs(high - low) + 2 * seen.unit[last]
    if end.answer[0] != 0 and low - room <= end.answer[0] <= high + room:
        return "clamp"
    level = max(abs(float(seen.right[0])), abs(float(seen.right[-1])))
    return "clamp" if level <= BOUNDED and seen.order == 0 else "threshold"


def plainest(a: float, b: float) -> float:
    """The decimal with the fewest digits between two numbers, both included; ``b`` where there is none."""
    low, high = min(a, b), max(a, b)
    for digits in range(1, 17):
        for end in (b, a, (a + b) / 2):
            short = float(f"{end:.{digits}g}")
            if low <= short <= high:
                return short
    return b


_SIDES = {"above": Text("above", "초과"), "below": Text("below", "미만"), "inside": Text("within", "이내")}
_WHAT = {
    "a constant": Text("the constant", "상수"),
    "the input": Text("the input", "입력"),
    "a multiple of the input": Text("a multiple of the input", "입력의 상수배"),
}


def _suspect(seen: Evidence, ends: Sequence[_End]) -> Suspect:
    def predicted(places: Places) -> Array:
        x = seen.x[places]
        values = seen.right[places]
        for end in ends:
            values = np.where(end.holds(x), end.apply(x), values)
        return values

    detail = ", ".join(_described(end) for end in ends)
    causes = [end.cause for end in ends]
    cause = "clamp" if "clamp" in causes else "threshold"
    en = " and ".join(
        f"{_SIDES[end.side].en} {end.bound:.10g} it answers {_WHAT[end.what].en}{_value(end)}" for end in ends
    )
    ko = ", ".join(
        f"{end.bound:.10g} {_SIDES[end.side].ko}에서는 {_WHAT[end.what].ko}{_value(end)}" for end in ends
    )
    summary = Text(
        f"The kernel stops computing too early: {en}.",
        f"커널이 너무 일찍 계산을 멈춥니다. {ko}을(를) 그대로 내놓습니다.",
    )
    factors = any(end.is_factor for end in ends)
    price = 0.01 * (len(ends) - 1) + (FACTOR if factors else 0.0)
    return Suspect(cause, detail, summary, predicted, price=price)


def _described(end: _End) -> str:
    sign = {"above": "x >", "below": "x <", "inside": "|x| <"}[end.side]
    return f"{sign} {end.bound:.10g}: {end.what}{_value(end)}"


def _value(end: _End) -> str:
    intercept, slope = end.answer
    if slope == 0:
        return f" {intercept:.10g}"
    return "" if slope == 1 else f" ({slope:.10g})"


# Arguments of the functions inside


def clipped_arguments(seen: Evidence, base: Base, remaining: Mask) -> Iterator[Suspect]:
    """The argument of an inner function, clamped between bounds."""
    places = np.flatnonzero(remaining | seen.faithful)
    known: dict[Tree, dict[str, float]] = {}
    for root in dict.fromkeys((base.tree, stable(base.tree))):
        varying = dependent(root, frozenset({"x"}))
        for node in walk(root):
            if node.op in CLAMPED and node.args[0] in varying:
                argument = node.args[0]
                if argument not in known:
                    known[argument] = _bounds(seen, Base(argument, base.params), remaining, places)
                for side, bound in known[argument].items():
                    for sides in ((side,), ("above", "below")):
                        yield _clip(seen, base, root, node, sides, bound)


def _bounds(seen: Evidence, argument: Base, remaining: Mask, places: Places) -> dict[str, float]:
    """Where the argument seems to be clamped, above and below."""
    size, wrong = exactly_at(seen, argument, places), remaining[places]
    found = {side: onset(sign * size, wrong) for side, sign in (("above", 1), ("below", -1))}
    return {side: bound for side, bound in found.items() if bound is not None}


def onset(size: Array, wrong: Mask) -> float | None:
    """The bound beyond which nearly all answers are wrong, and before which they are right."""
    order = np.argsort(-size, kind="stable")
    size, wrong = size[order], wrong[order]
    share = np.cumsum(wrong) / np.arange(1, size.size + 1)
    beyond = np.flatnonzero((share >= NEARLY_ALL) & wrong & (size > 0))
    if not beyond.size or np.count_nonzero(wrong[: beyond[-1] + 1]) < FEW:
        return None
    first = float(size[beyond[-1]])
    before = size[~wrong & (size < first) & (size > 0)]
    return plainest(float(before.max()), first) if before.size >= FEW else None


def _clip(
    seen: Evidence, base: Base, root: Tree, node: Tree, sides: tuple[str, ...], bound: float
) -> Suspect:
    inner = node.args[0]
    if "below" in sides:
        inner = Tree("max", (inner, number(Fraction(-bound))))
    if "above" in sides:
        inner = Tree("min", (inner, number(Fraction(bound))))
    changed = Base(replaced(root, {node: Tree(node.op, (inner,))}), base.params)
    sign = "±" if len(sides) == 2 else "−" if "below" in sides else ""
    summary = Text(
        f"The argument of {node.op} inside is clamped at {sign}{bound:.10g}.",
        f"내부 {node.op}의 인수가 {sign}{bound:.10g}에서 잘립니다.",
    )
    return Suspect(
        "clamp",
        f"argument of {node.op} at {sign}{bound:.10g}",
        summary,
        partial(exactly_at, seen, changed),
        base=changed,
        price=0.02 + 0.001 * len(sides),
    )
