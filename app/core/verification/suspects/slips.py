"""Kernels whose formula was written with a slip: a sign, a small number, the wrong thing under a function."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import lru_cache, partial, reduce
from itertools import chain, islice
from typing import NamedTuple

from app.core.activations.definition import Text
from app.core.formulas.calculus import derivative, negative
from app.core.formulas.tree import (
    CONDITIONS,
    ONE,
    PI,
    TWO,
    Tree,
    dependent,
    name,
    names,
    number,
    substitute,
    text,
    walk,
)
from app.core.formulas.vectorised import stable
from app.core.verification.evidence import Base, Evidence, Suspect
from app.core.verification.suspects.insides import exactly_at, written
from app.core.verification.suspects.trees import replaced

MOST = 160
"""The most slips of one formula."""

MOST_FORMS = 6
"""The most ways to write a slope in which the value is looked for."""

SMALL = tuple(map(Fraction, ("1", "2", "3", "4", "1/2", "1/3", "1/4")))
"""Small numbers that are easily confused."""

MOST_DIVISOR = 100
"""Numbers with a larger denominator are constants that may be applied twice."""

LONGEST = 60
"""The longest part that is written out as a formula."""

DIGITS = 0.6
"""The share of the errors' digits that a slip must predict: its values are known exactly."""

_X = name("x")
_DIGITS = re.compile(r"\d+\.\d{10,}")


class _Slip(NamedTuple):
    """A formula that is wrong, and what is wrong with it."""

    tree: Tree
    detail: str
    summary: Text


def slips(seen: Evidence, base: Base) -> Iterator[Suspect]:
    """The formula, or a slope as its rules give it, with one slip."""
    yield from _suspects(seen, base, _of(base.tree, seen.order, seen.value_writings, seen.own_writings))


def slips_in_writings(seen: Evidence, base: Base) -> Iterator[Suspect]:
    """Other forms of the derivatives, with one slip."""
    if seen.order:
        yield from _suspects(seen, base, _of_writings(base.tree))


def _suspects(seen: Evidence, base: Base, found: tuple[_Slip, ...]) -> Iterator[Suspect]:
    for place, slip in enumerate(found):
        other = Base(slip.tree, base.params)
        run = partial(exactly_at, seen, other)
        yield Suspect(
            "other_variant",
            slip.detail,
            slip.summary,
            run,
            base=other,
            price=0.04 + 0.0001 * place,
            key=("exactly", *other.key),
            least_gain=DIGITS,
        )


@lru_cache(maxsize=64)
def _of(
    root: Tree, order: int, values: tuple[Tree, ...], own_writings: tuple[Tree, ...]
) -> tuple[_Slip, ...]:
    slip_text = Text("it is applied to the value, not to x", "입력이 아니라 함숫값에 적용했습니다.")
    ways: list[tuple[tuple[Tree, Text], ...]] = [((substitute(root, {"x": values[0]}), slip_text),)]
    roots = [root]
    if order == 1:
        roots += [derivative(each) for each in values]
        ways.append(_by_value(root, values[0], own_writings))
    return _distinct(root, chain(*ways, *map(_slips, dict.fromkeys(roots))))


@lru_cache(maxsize=64)
def _of_writings(root: Tree) -> tuple[_Slip, ...]:
    forms = (each.tree for each in islice(written(root), 1, 1 + 2 * MOST_FORMS))
    return _distinct(root, chain.from_iterable(map(_slips, forms)))


def _distinct(root: Tree, ways: Iterable[tuple[Tree, Text]]) -> tuple[_Slip, ...]:
    found: dict[Tree, Text] = {}
    for changed, slip_text in ways:
        if changed is not root and "x" in names(changed):
            found.setdefault(changed, slip_text)
    return tuple(
        _Slip(
            changed,
            slip_text.en,
            Text(
                f"The numbers are those of the formula with a slip: {slip_text.en}.",
                f"수식을 잘못 쓴 값과 같습니다. {slip_text.ko}",
            ),
        )
        for changed, slip_text in islice(found.items(), MOST)
    )


@lru_cache(maxsize=64)
def _by_value(slope: Tree, value: Tree, others: tuple[Tree, ...]) -> tuple[tuple[Tree, Text], ...]:
    """A slope written in terms of the value, such as f(1 − f), with x in place of f; or with slips."""
    values = [value, *(value.args[1:] if value.op == "if" else ())]
    found: dict[Tree, Text] = {}
    forms = (each.tree for each in islice(written(slope), 4 * MOST_FORMS))
    for form in dict.fromkeys((*forms, *others)):
        for root in dict.fromkeys((form, stable(form))):
            for part in values:
                if part is _X or part not in set(walk(root)):
                    continue
                slip_text = Text(
                    "x stands for the value in the slope", "도함수에서 함숫값 대신 입력을 썼습니다."
                )
                found.setdefault(replaced(root, {part: _X}), slip_text)
                for changed, slip in islice(_slips(root), MOST // 4):
                    found.setdefault(changed, slip)
    return tuple(found.items())


@lru_cache(maxsize=256)
def _slips(root: Tree) -> tuple[tuple[Tree, Text], ...]:
    varying = dependent(root, frozenset({"x"}))
    found: dict[Tree, Text] = {}
    for kind in _KINDS:
        for node in walk(root):
            if node in varying and node.args and node.op not in CONDITIONS:
                for other, slip_text in kind(node):
                    found.setdefault(replaced(root, {node: other}), slip_text)
    return tuple(islice(found.items(), MOST))


def _shown(part: Tree) -> str:
    shown = _DIGITS.sub(lambda found: f"{float(found[0]):.10g}", text(part))
    return shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}…"


def _signs(node: Tree) -> Iterator[tuple[Tree, Text]]:
    """Minus for plus, or the other way round."""
    if node.op in {"+", "-"}:
        other = Tree("-" if node.op == "+" else "+", node.args)
        yield other, _for(other, node)
    elif node.op == "neg":
        yield node.args[0], _for(node.args[0], node)


def _terms(node: Tree) -> Iterator[tuple[Tree, Text]]:
    """A sum without one of its terms."""
    if node.op in {"+", "-"}:
        first, second = node.args
        for kept, gone in ((first, second), (second if node.op == "+" else negative(second), first)):
            if "x" in names(kept):
                yield kept, Text(f"without {_shown(gone)}", f"{_shown(gone)}을(를) 빠뜨렸습니다.")


def _for(other: Tree, node: Tree) -> Text:
    return Text(f"{_shown(other)} for {_shown(node)}", f"{_shown(node)} 대신 {_shown(other)}을(를) 썼습니다.")


def _arguments(node: Tree) -> Iterator[tuple[Tree, Text]]:
    """A function of x, or of the size, where it should be of something else."""
    if len(node.args) != 1 or node.op in {"neg", "abs", "sign"}:
        return
    (argument,) = node.args
    others = [Tree("abs", (argument,)), negative(argument)]
    for each in others if argument is _X else [_X, *others]:
        other = Tree(node.op, (each,))
        yield other, _for(other, node)


def _numbers(node: Tree) -> Iterator[tuple[Tree, Text]]:
    """Another small number, or a term that is doubled or halved."""
    for place, each in enumerate(node.args):
        before, after = node.args[:place], node.args[place + 1 :]
        if each.number is not None and each.number in SMALL:
            for value in SMALL[:5]:
                if value != each.number:
                    other = Tree(node.op, (*before, number(value), *after))
                    yield other, _for(other, node)
        elif node.op in {"+", "-"} and "x" in names(each):
            for scaled in (Tree("*", (TWO, each)), Tree("/", (each, TWO))):
                other = Tree(node.op, (*before, scaled, *after))
                yield other, _for(other, node)


def _twice(node: Tree) -> Iterator[tuple[Tree, Text]]:
    """A factor or divisor that is applied twice."""
    if node.op == "*":
        for factor in dict.fromkeys(_factors(node)):
            if factor.number is None or factor.number.denominator > MOST_DIVISOR:
                yield Tree("*", (node, factor)), _once_more(factor)
    elif node.op == "/" and node.args[1].number is None:
        yield Tree("/", (node, node.args[1])), _once_more(node.args[1])


def _without(node: Tree) -> Iterator[tuple[Tree, Text]]:
    """A product without one of its factors."""
    factors = _factors(node)
    for place, factor in enumerate(factors if len(factors) > 1 else ()):
        slip_text = Text(f"without {_shown(factor)}", f"{_shown(factor)}을(를) 빠뜨렸습니다.")
        yield reduce(lambda a, b: Tree("*", (a, b)), [*factors[:place], *factors[place + 1 :]]), slip_text


def _branches(node: Tree) -> Iterator[tuple[Tree, Text]]:
    """One branch, or one side of a bound, applied everywhere."""
    for each in node.args if node.op in {"max", "min", "abs"} else node.args[1:] if node.op == "if" else ():
        if "x" in names(each):
            yield each, _for(each, node)


def _densities(node: Tree) -> Iterator[tuple[Tree, Text]]:
    """The normal density without its factor, or with x² for x²/2."""
    if node.op == "phi":
        square = Tree("**", (node.args[0], TWO))
        bare = Tree("exp", (negative(Tree("/", (square, TWO))),))
        whole = Tree("/", (Tree("exp", (negative(square),)), Tree("sqrt", (Tree("*", (TWO, PI)),))))
        for each in (bare, whole):
            yield each, _for(each, node)


def _functions(node: Tree) -> Iterator[tuple[Tree, Text]]:
    """A related function; a square root left out, or taken of the divisor as well."""
    others = [Tree(each, node.args) for each in _RELATED.get(node.op, ())]
    if node.op == "sqrt":
        others = [node.args[0]]
    elif node.op == "/" and "x" in names(node.args[1]) and node.args[1].op != "sqrt":
        others = [Tree("/", (node.args[0], Tree("sqrt", (node.args[1],))))]
    for each in others:
        yield each, _for(each, node)


_RELATED = {
    "exp": ("expm1",),
    "expm1": ("exp",),
    "sin": ("cos",),
    "cos": ("sin",),
    "log": ("log1p",),
    "log1p": ("log",),
    "sigmoid": ("tanh", "Phi"),
    "tanh": ("sigmoid", "erf"),
    "erf": ("tanh", "Phi"),
    "Phi": ("sigmoid", "erf"),
}


def _brackets(node: Tree) -> Iterator[tuple[Tree, Text]]:
    """A factor, or a divisor, that is applied to one term of a sum; or to what a function gives."""
    if node.op in {"*", "/"}:
        for each in node.args if node.op == "*" else node.args[:1]:
            terms = Tree("-", (Tree("exp", each.args), ONE)) if each.op == "expm1" else each
            if terms.op in {"+", "-"}:
                first, second = (
                    Tree(node.op, tuple(term if other is each else other for other in node.args))
                    for term in terms.args
                )
                for pair in ((first, terms.args[1]), (terms.args[0], second)):
                    other = Tree(terms.op, pair)
                    yield other, _for(other, node)
    if len(node.args) == 1 and node.args[0].op == "*":
        for factor, rest in (node.args[0].args, node.args[0].args[::-1]):
            if "x" not in names(factor):
                other = Tree("*", (factor, Tree(node.op, (rest,))))
                yield other, _for(other, node)


def _factors(node: Tree) -> list[Tree]:
    return [each for side in node.args for each in _factors(side)] if node.op == "*" else [node]


def _once_more(factor: Tree) -> Text:
    shown = _shown(factor)
    return Text(f"{shown} is applied twice", f"{shown}을(를) 두 번 적용했습니다.")


_KINDS = (
    _branches,
    _densities,
    _signs,
    _terms,
    _arguments,
    _brackets,
    _functions,
    _numbers,
    _without,
    _twice,
)
