"""Algebraically equivalent forms of a formula that kernels use: stable ones, and those that cancel."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import reduce
from itertools import product
from typing import NamedTuple, TypeAlias

from app.core.formulas.calculus import negative
from app.core.formulas.tree import ONE, TWO, ZERO, Tree, number, walk

MOST, TRIED = 36, 400
"""Most forms of one formula, and most combinations of rules tried for it."""

CLAMPED = frozenset({"exp", "expm1", "sigmoid", "tanh", "softplus", "erf", "erfc", "Phi", "sech"})
"""Functions whose argument kernels may clamp."""

Rule: TypeAlias = Callable[[Tree], Tree]


class Writing(NamedTuple):
    """One form of a formula. ``name`` lists the rewritten parts; it is empty for the formula as it stands."""

    name: str
    tree: Tree


def writings(root: Tree) -> Iterator[Writing]:
    """The formula as it stands and its other forms, at most `MOST`: at most one rule for each kind of part.

    Forms with the fewest changes, and with the commonest rules, come first.
    """
    found: set[Tree] = set()
    used = _usable(root)
    options: list[list[tuple[str, Rule | None]]] = [[("", None), *kind] for kind in used]
    ranks = sorted(product(*(range(len(each)) for each in options)), key=sum)
    for chosen in ranks[:TRIED]:
        tree = root
        names: list[str] = []
        for name, rule in (each[rank] for each, rank in zip(options, chosen, strict=True)):
            changed = tree if rule is None else _rewritten(tree, rule)
            if changed is not tree:
                tree, names = changed, [*names, name]
        if tree not in found:
            found.add(tree)
            yield Writing(", ".join(dict.fromkeys(names)), tree)
        if len(found) >= MOST:
            return


def _usable(root: Tree) -> list[tuple[tuple[str, Rule], ...]]:
    """The kinds that rewrite the formula, or a form that a kind before them makes of it."""
    forms, used = {root}, []
    for kind in _RULES:
        made = {_rewritten(form, rule) for form in forms for _, rule in kind} - forms
        if made:
            used.append(kind)
            forms |= {_rewritten(root, rule) for _, rule in kind}
    return used


def _rewritten(root: Tree, rewrite: Rule) -> Tree:
    made: dict[Tree, Tree] = {}
    for node in walk(root):
        rebuilt = Tree(node.op, tuple(made[each] for each in node.args), node.leaf) if node.args else node
        made[node] = rewrite(rebuilt)
    return made[root]


def _plus(a: Tree, b: Tree) -> Tree:
    return Tree("+", (a, b))


def _minus(a: Tree, b: Tree) -> Tree:
    return Tree("-", (a, b))


def _times(a: Tree, b: Tree) -> Tree:
    return Tree("*", (a, b))


def _over(a: Tree, b: Tree) -> Tree:
    return Tree("/", (a, b))


def _exp(u: Tree) -> Tree:
    return Tree("exp", (u,))


def _twice(u: Tree) -> Tree:
    return _times(TWO, u)


_HALF = number(Fraction(1, 2))


def _of(op: str, make: Callable[[Tree], Tree]) -> Rule:
    """A rule for a function of one argument."""
    return lambda node: make(node.args[0]) if node.op == op else node


def _root_half(u: Tree) -> Tree:
    return _over(u, Tree("sqrt", (TWO,)))


def _half_sum(u: Tree) -> Tree:
    """(1 + tanh(u/2))/2; for u = 2v, with tanh(v)."""
    half = u.args[1] if u.op == "*" and u.args[0] is TWO else _over(u, TWO)
    return _times(_HALF, _plus(ONE, Tree("tanh", (half,))))


def _gate_by_tanh(node: Tree) -> Tree:
    """x·σ(v) as ½·x·(1 + tanh(v/2))."""
    match node.op, node.args:
        case "*", (factor, Tree(op="sigmoid", args=(u,))):
            return _times(_times(_HALF, factor), _half_sum(u).args[1])
    return node


def _gate_by_erf(node: Tree) -> Tree:
    """x·Φ(v) as ½·x·(1 + erf(v/√2))."""
    match node.op, node.args:
        case "*", (factor, Tree(op="Phi", args=(u,))):
            return _times(_times(_HALF, factor), _plus(ONE, Tree("erf", (_root_half(u),))))
    return node


def _gate_over(node: Tree) -> Tree:
    """x·σ(v) as x/(1 + e^−v)."""
    match node.op, node.args:
        case "*", (factor, Tree(op="sigmoid", args=(u,))):
            return _over(factor, _plus(ONE, _exp(negative(u))))
    return node


def _one_minus_tanh_squared(node: Tree) -> Tree:
    match node.op, node.args:
        case "**", (Tree(op="sech", args=(u,)), Tree() as two) if two is TWO:
            value = Tree("tanh", (u,))
            return _minus(ONE, _times(value, value))
    return node


def _product(node: Tree) -> list[Tree]:
    """The factors, from the left."""
    return [each for side in node.args for each in _product(side)] if node.op == "*" else [node]


def _step_and_slope(node: Tree) -> tuple[Tree, list[Tree]] | None:
    """The step s and the other factors of a gate's slope, s + x·s and so on."""
    match node.op, node.args:
        case "+", (step, Tree(op="*") as rest) if step.op in {"sigmoid", "Phi", "tanh"}:
            factors = _product(rest)
            if step in factors:
                factors.remove(step)
                return step, factors
    return None


def _step_times_sum(node: Tree) -> Tree:
    """s + x·s·(1 − s) as s·(1 + x·(1 − s))."""
    found = _step_and_slope(node)
    return node if found is None else _times(found[0], _plus(ONE, reduce(_times, found[1])))


def _value_and_rest(node: Tree) -> Tree:
    """s + y·(1 − s) as y + s·(1 − y)."""
    step, factors = _step_and_slope(node) or (ONE, [])
    opposite = [each for each in factors if step.args and each is Tree(step.op, (negative(step.args[0]),))]
    if step.op != "sigmoid" or not opposite:
        return node
    factors.remove(opposite[0])
    value = reduce(_times, [*factors, step])
    return _plus(value, _times(step, _minus(ONE, value)))


def _complement(node: Tree) -> Tree:
    """σ(−u) as 1 − σ(u)."""
    match node.op, node.args:
        case "sigmoid", (Tree(op="neg", args=(u,)),):
            return _minus(ONE, Tree("sigmoid", (u,)))
    return node


def _sigmoid_times_rest(node: Tree) -> Tree:
    """s(1 − s): the slope e^−u / (1 + e^−u)² by σ(u)."""
    match node.op, node.args:
        case "/", (Tree(op="exp", args=(e,)), Tree(op="**", args=(Tree(op="+", args=(one, other)), two))):
            if one is ONE and two is TWO and other is _exp(e):
                value = _over(ONE, _plus(ONE, other))
                return _times(value, _minus(ONE, value))
    return node


def _log_of_one_plus(node: Tree) -> Tree:
    match node.op, node.args:
        case "log1p", (u,):
            return Tree("log", (_plus(ONE, u),))
        case "softplus", (u,):
            return Tree("log", (_plus(ONE, _exp(u)),))
    return node


def _tanh_of_softplus(node: Tree) -> Tree:
    """tanh(log(1 + e)) as ((1 + e)² − 1)/((1 + e)² + 1)."""
    match node.op, node.args:
        case "tanh", (Tree(op="softplus", args=(u,)),):
            square = Tree("**", (_plus(ONE, _exp(u)), TWO))
            return _over(_minus(square, ONE), _plus(square, ONE))
    return node


def _tanh_by_products(node: Tree) -> Tree:
    """tanh(log(1 + e)) as e(e + 2)/(e(e + 2) + 2)."""
    match node.op, node.args:
        case "tanh", (Tree(op="softplus", args=(u,)),):
            inner = _times(_exp(u), _plus(_exp(u), TWO))
            return _over(inner, _plus(inner, TWO))
    return node


def _log_of_cosh(node: Tree) -> Tree:
    """|u| + log(1 + e^−2|u|) − log 2 as log(cosh(u))."""
    match node.op, node.args:
        case "-", (Tree(op="+", args=(Tree(op="abs", args=(u,)), rest)), Tree(op="log", args=(two,))):
            if two is TWO and rest.op in {"log1p", "softplus"}:
                return Tree("log", (Tree("cosh", (u,)),))
    return node


def _one_plus_value(node: Tree) -> Tree:
    """α·e^u, where the other branch is constant, as α·(e^u − 1) + α: ELU's slope from its value."""
    match node.op, node.args:
        case "if", (condition, yes, no):
            for place, (branch, other) in enumerate(((yes, no), (no, yes))):
                if other.number is None and other.op != "name":
                    continue
                rest, by_value = _by_value(branch)
                if rest is not None:
                    return Tree(
                        "if", (condition, by_value, other) if place == 0 else (condition, other, by_value)
                    )
    return node


def _by_value(branch: Tree) -> tuple[Tree | None, Tree]:
    match branch.op, branch.args:
        case "exp", _:
            return ONE, _plus(_minus(branch, ONE), ONE)
        case "*", (factor, Tree(op="exp") as power):
            return factor, _plus(_times(factor, _minus(power, ONE)), factor)
    return None, branch


_RULES: tuple[tuple[tuple[str, Rule], ...], ...] = (
    (
        ("s(1 + x(1 − s))", _step_times_sum),
        ("y + s(1 − y)", _value_and_rest),
    ),
    (("s(1 − s)", _complement),),
    (
        ("(1 + e)² − 1", _tanh_of_softplus),
        ("e(e + 2)", _tanh_by_products),
    ),
    (
        ("1 + erf", _gate_by_erf),
        ("1 + tanh", _gate_by_tanh),
        ("x/(1 + exp)", _gate_over),
    ),
    (
        ("1 + erf", _of("Phi", lambda u: _times(_HALF, _plus(ONE, Tree("erf", (_root_half(u),)))))),
        ("1 − erf", _of("erfc", lambda u: _minus(ONE, Tree("erf", (u,))))),
        ("erfc", _of("Phi", lambda u: _times(_HALF, Tree("erfc", (negative(_root_half(u)),))))),
    ),
    (
        ("1 − tanh²", _one_minus_tanh_squared),
        ("1 / cosh", _of("sech", lambda u: _over(ONE, Tree("cosh", (u,))))),
    ),
    (
        ("s(1 − s)", _sigmoid_times_rest),
        ("1 / (1 + exp)", _of("sigmoid", lambda u: _over(ONE, _plus(ONE, _exp(negative(u)))))),
        ("exp / (1 + exp)", _of("sigmoid", lambda u: _over(_exp(u), _plus(ONE, _exp(u))))),
        ("1 + tanh", _of("sigmoid", _half_sum)),
        ("1 − 1 / (1 + exp)", _of("sigmoid", lambda u: _minus(ONE, _over(ONE, _plus(ONE, _exp(u)))))),
    ),
    (("log(cosh)", _log_of_cosh),),
    (
        (
            "(exp + exp)/2",
            _of("cosh", lambda u: _over(_plus(_exp(u), _exp(negative(u))), TWO)),
        ),
    ),
    (("exp − 1", _of("expm1", lambda u: _minus(_exp(u), ONE))),),
    (("f + α", _one_plus_value),),
    (
        ("log(1 + exp)", _log_of_one_plus),
        ("log1p(exp)", _of("softplus", lambda u: Tree("log1p", (_exp(u),)))),
        (
            "max + log(1 + exp)",
            _of(
                "softplus",
                lambda u: _plus(
                    Tree("max", (u, ZERO)), Tree("log", (_plus(ONE, _exp(negative(Tree("abs", (u,))))),))
                ),
            ),
        ),
        (
            "max + log1p",
            _of(
                "softplus",
                lambda u: _plus(Tree("max", (u, ZERO)), Tree("log1p", (_exp(negative(Tree("abs", (u,)))),))),
            ),
        ),
    ),
    (
        (
            "(exp − 1)/(exp + 1)",
            _of("tanh", lambda u: _over(_minus(_exp(_twice(u)), ONE), _plus(_exp(_twice(u)), ONE))),
        ),
        ("2σ − 1", _of("tanh", lambda u: _minus(_twice(Tree("sigmoid", (_twice(u),))), ONE))),
        (
            "1 − 2/(exp + 1)",
            _of("tanh", lambda u: _minus(ONE, _over(TWO, _plus(_exp(_twice(u)), ONE)))),
        ),
        (
            "(exp − exp)/(exp + exp)",
            _of(
                "tanh",
                lambda u: _over(_minus(_exp(u), _exp(negative(u))), _plus(_exp(u), _exp(negative(u)))),
            ),
        ),
    ),
)
"""Rules by the kind of part that they rewrite, each with its name."""
