"""Kernels in which one part of the formula is stored in a shorter format, or left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from itertools import islice
from typing import TypeAlias

from app.core.activations.definition import Text
from app.core.arithmetic import Array
from app.core.formulas.calculus import derivative
from app.core.formulas.tree import CONDITIONS, Tree, dependent, name, names, text, walk
from app.core.verification.evidence import Base, Evidence, Places, Suspect
from app.core.verification.suspects.insides import (
    SHORT,
    SHORTEST,
    TF32,
    Inside,
    exactly_at,
    mantissa_bits,
    with_free,
)
from app.core.verification.suspects.trees import replaced

PART = "a part"
"""The name of a part of a formula; a request cannot contain it."""

MOST_PARTS = 40
"""The most parts of a formula that are examined."""

LONGEST_TEXT = 60
"""The longest part that is written out as a formula."""

Rest: TypeAlias = Callable[[Array, Places], Array]
"""A formula as a function of one of its parts."""


def stored_parts(seen: Evidence, base: Base) -> Iterator[Suspect]:
    """One intermediate result rounded to a shorter format, all else exact: two kernels in sequence."""
    own = mantissa_bits(seen.dtype)
    insides = [each for each in (*SHORT, TF32, *SHORTEST) if each.bits <= own and each.bits < SHORT[0].bits]
    for number, (part, without) in enumerate(_parts(base.tree)):
        rest = with_free(seen, base, without, PART)
        shown = _shown(part)
        for place, inside in enumerate(insides):
            summary = Text(
                f"The intermediate result {shown} is rounded to {inside.name}.",
                f"중간 결과 {shown}을(를) {inside.name}(으)로 반올림했습니다.",
            )
            yield Suspect(
                "low_precision",
                f"{shown} in {inside.name}",
                summary,
                partial(_stored, seen, Base(part, base.params), rest, inside),
                base=base,
                price=0.01 + 0.001 * number + 0.005 * place,
                key=("stored", part, inside.name, *base.key),
            )


def _stored(seen: Evidence, part: Base, rest: Rest, inside: Inside, places: Places) -> Array:
    return rest(inside.rounded(exactly_at(seen, part, places)), places)


def left_out(seen: Evidence, base: Base) -> Iterator[Suspect]:
    """A formula without a term of a sum or a factor, as when the product rule is forgotten."""
    ways = (each for root in (base.tree, *_by_rule(seen)) for each in _shorter(root))
    others = {shorter: part for part, shorter in ways if shorter is not base.tree}
    for number, (shorter, without) in enumerate(others.items()):
        shown = _shown(without)
        summary = Text(f"The formula is computed without {shown}.", f"수식에서 {shown}을(를) 빠뜨렸습니다.")
        changed = Base(shorter, base.params)
        run = partial(exactly_at, seen, changed)
        price = (0.02 if seen.order else 0.04) + 0.0001 * number
        key = ("exactly", *changed.key)
        yield Suspect("other_variant", f"without {shown}", summary, run, base=changed, price=price, key=key)


def _by_rule(seen: Evidence) -> list[Tree]:
    """The slope as the rules of differentiation give it, from the value as it may be written."""
    return [derivative(each) for each in seen.value_writings] if seen.order == 1 else []


def _shown(part: Tree) -> str:
    shown = text(part)
    return shown if len(shown) <= LONGEST_TEXT else f"{shown[:LONGEST_TEXT]}…"


@lru_cache(maxsize=256)
def _parts(root: Tree) -> tuple[tuple[Tree, Tree], ...]:
    """The intermediate results, without x and the answer, each with the formula as a function of it."""
    varying = dependent(root, frozenset({"x"}))
    parts = (
        each
        for each in walk(root)
        if each in varying and each.args and each is not root and each.op not in {*CONDITIONS, "neg"}
    )
    return tuple((each, replaced(root, {each: name(PART)})) for each in islice(parts, MOST_PARTS))


@lru_cache(maxsize=256)
def _shorter(root: Tree) -> tuple[tuple[Tree, Tree], ...]:
    """Every part that may be left out, and the formula without it."""
    varying = dependent(root, frozenset({"x"}))
    found: dict[Tree, Tree] = {}
    for node in walk(root):
        if node not in varying or node.op not in {"+", "-", "*", "/"}:
            continue
        first, second = node.args
        if second in varying:
            found.setdefault(replaced(root, {node: first}), second)
        if first in varying and node.op in {"+", "*"}:
            found.setdefault(replaced(root, {node: second}), first)
    pairs = ((part, shorter) for shorter, part in found.items() if "x" in names(shorter))
    return tuple(islice(pairs, MOST_PARTS))
