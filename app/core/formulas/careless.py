"""Formulas worked out as a kernel would, each operation rounded to a short format; and careless rewritings.

An elementary function is taken to be correctly rounded itself: what goes wrong here is the formula's doing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from app.core.arithmetic import Array
from app.core.arithmetic.formats import round_to
from app.core.formulas.closures import function
from app.core.formulas.tree import ONE, TWO, Tree, walk
from app.core.formulas.vectorised import DOUBLES


def stepwise(root: Tree, x: Array, params: dict[str, float], dtype: np.dtype[Any]) -> Array:
    """The formula at ``x`` with every operation, constant and parameter rounded to ``dtype``."""

    def rounded(operation: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *values: round_to(np.asarray(operation(*values), np.float64), dtype).astype(np.float64)

    table = {name: rounded(operation) for name, operation in DOUBLES.fixed.items()}
    arithmetic = replace(
        DOUBLES,
        number=rounded(DOUBLES.number),
        pi=rounded(DOUBLES.pi),
        fixed=table,
        varying=table,
    )
    fixed = {name: rounded(np.float64)(value) for name, value in params.items()}
    with np.errstate(all="ignore"):
        run = function(root, arithmetic, ["x"], frozenset(), fixed)
        found: Array = np.broadcast_to(run([rounded(np.float64)(x)]), x.shape)
        return found


def careless(root: Tree) -> Iterator[tuple[str, Tree]]:
    """Forms of the same function in which digits cancel, by what they hold."""
    for name, rewrite in _REWRITINGS.items():
        changed = _rewritten(root, rewrite)
        if changed is not root:
            yield name, changed


def _rewritten(root: Tree, rewrite: Callable[[Tree], Tree]) -> Tree:
    made: dict[Tree, Tree] = {}
    for node in walk(root):
        rebuilt = Tree(node.op, tuple(made[each] for each in node.args), node.leaf) if node.args else node
        made[node] = rewrite(rebuilt)
    return made[root]


def _plus(a: Tree, b: Tree) -> Tree:
    return Tree("+", (a, b))


def _minus(a: Tree, b: Tree) -> Tree:
    return Tree("-", (a, b))


def _over(a: Tree, b: Tree) -> Tree:
    return Tree("/", (a, b))


def _one_plus_erf(node: Tree) -> Tree:
    match node.op, node.args:
        case "Phi", (u,):
            inner = Tree("erf", (_over(u, Tree("sqrt", (TWO,))),))
            return Tree("*", (_over(ONE, TWO), _plus(ONE, inner)))
        case "erfc", (u,):
            return _minus(ONE, Tree("erf", (u,)))
    return node


def _one_minus_tanh_squared(node: Tree) -> Tree:
    match node.op, node.args:
        case "**", (Tree(op="sech", args=(u,)), Tree() as two) if two is TWO:
            value = Tree("tanh", (u,))
            return _minus(ONE, Tree("*", (value, value)))
    return node


def _sigmoid_times_rest(node: Tree) -> Tree:
    """s(1 − s): σ(−u) as 1 − σ(u), and the slope e^−u / (1 + e^−u)² by it."""
    match node.op, node.args:
        case "sigmoid", (Tree(op="neg", args=(u,)),):
            return _minus(ONE, Tree("sigmoid", (u,)))
        case "/", (Tree(op="exp", args=(e,)), Tree(op="**", args=(Tree(op="+", args=(one, other)), two))):
            if one is ONE and two is TWO and other is Tree("exp", (e,)):
                value = _over(ONE, _plus(ONE, other))
                return Tree("*", (value, _minus(ONE, value)))
    return node


def _exp_minus_one(node: Tree) -> Tree:
    return _minus(Tree("exp", node.args), ONE) if node.op == "expm1" else node


def _log_of_one_plus(node: Tree) -> Tree:
    match node.op, node.args:
        case "log1p", (u,):
            return Tree("log", (_plus(ONE, u),))
        case "softplus", (u,):
            return Tree("log", (_plus(ONE, Tree("exp", (u,))),))
    return node


_REWRITINGS: dict[str, Callable[[Tree], Tree]] = {
    "1 + erf": _one_plus_erf,
    "1 − tanh²": _one_minus_tanh_squared,
    "s(1 − s)": _sigmoid_times_rest,
    "exp − 1": _exp_minus_one,
    "log(1 + exp)": _log_of_one_plus,
}
