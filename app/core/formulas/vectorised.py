"""A formula over arrays of doubles: for simulations and integrals, which need millions of values a second.

The accuracy is that of the formula as written, in double precision. Forms that lose digits needlessly, such
as log(1 + exp(x)), can be rewritten first (`stable`).
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache, reduce
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from app.core.arithmetic import special
from app.core.formulas.calculus import negative
from app.core.formulas.closures import Arithmetic, function
from app.core.formulas.tree import ONE, TWO, Tree, number, walk

Evaluator: TypeAlias = Callable[[Sequence[NDArray[np.floating[Any]]]], list[NDArray[np.float64]]]
"""From the variables' arrays to the trees' values."""

_SQRT_HALF = math.sqrt(0.5)
_PHI_0 = 1 / math.sqrt(2 * math.pi)


def _sech(u: Any) -> Any:
    e = np.exp(-np.abs(u))
    return 2 * e / (1 + e * e)


def _log_of(base: float) -> Callable[[Any], Any]:
    return lambda u: np.log(u) / math.log(base)


def _all(*conditions: Any) -> Any:
    return reduce(np.logical_and, conditions)


_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "neg": operator.neg,
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": np.true_divide,
    "**": np.power,
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "log2": np.log2,
    "log10": np.log10,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "sign": np.sign,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "sech": _sech,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "erf": special.erf,
    "erfc": special.erfc,
    "sigmoid": special.sigmoid,
    "softplus": lambda u: np.logaddexp(0.0, u),
    "Phi": special.normal_cdf,
    "phi": lambda u: _PHI_0 * np.exp(-0.5 * u * u),
    "min": lambda *values: reduce(np.minimum, values),
    "max": lambda *values: reduce(np.maximum, values),
}
DOUBLES = Arithmetic(
    lambda value: np.float64(_nearest(value)),
    lambda: np.float64(math.pi),
    _FUNCTIONS,
    _FUNCTIONS,
    {
        "<": operator.lt,
        "<=": operator.le,
        ">": operator.gt,
        ">=": operator.ge,
        "==": operator.eq,
        "!=": operator.ne,
    },
    choose=np.where,
    every=_all,
)


def _nearest(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def evaluate(
    roots: Sequence[Tree], variables: Mapping[str, NDArray[np.floating[Any]]], constants: Mapping[str, float]
) -> list[NDArray[np.float64]]:
    """The trees' values at ``variables``, arrays of one shape, which the values have too.

    Parts that the trees share are evaluated once. Floating-point warnings are off.
    """
    # A sign, since 0.0 and −0.0 are the same key.
    fixed = tuple((name, value, math.copysign(1, value)) for name, value in constants.items())
    return _kept(tuple(roots), tuple(variables), fixed)(list(variables.values()))


@lru_cache(maxsize=64)
def _kept(
    roots: tuple[Tree, ...], names: tuple[str, ...], constants: tuple[tuple[str, float, float], ...]
) -> Evaluator:
    """The last evaluators: theory evaluates one formula thousands of times."""
    return evaluator(roots, names, {name: value for name, value, _ in constants})


def evaluator(roots: Sequence[Tree], names: Sequence[str], constants: Mapping[str, float]) -> Evaluator:
    """`evaluate` for repeated use: a function of the arrays for ``names``."""
    fixed = {name: np.float64(value) for name, value in constants.items()}
    with np.errstate(all="ignore"):
        together = function(Tree("list", tuple(roots)), DOUBLES, names, frozenset(), fixed)

    def at(arrays: Sequence[NDArray[np.floating[Any]]]) -> list[NDArray[np.float64]]:
        with np.errstate(all="ignore"):
            return [np.broadcast_to(value, arrays[0].shape) for value in together(arrays)]

    return at


# Stable forms


def stable(root: Tree) -> Tree:
    """The same function, forms that cancel or overflow in double precision replaced by stable ones."""
    made: dict[Tree, Tree] = {}
    for node in walk(root):
        rebuilt = Tree(node.op, tuple(made[each] for each in node.args), node.leaf)
        made[node] = _stable(rebuilt)
    return made[root]


def _stable(node: Tree) -> Tree:
    match node.op, node.args:
        case "/", (top, bottom):
            return _stable_quotient(node, top, bottom)
        case "log", (Tree(op="+") as inner,) if ONE in inner.args:
            return _stable(Tree("log1p", (_other(inner, ONE),)))
        case "log1p", (Tree(op="exp", args=(u,)),):
            return Tree("softplus", (u,))
        case "log", (Tree(op="-", args=(two, Tree(op="exp", args=(u,)))),) if two is TWO:
            return Tree("log1p", (negative(Tree("expm1", (u,))),))
        case "-", (Tree(op="exp", args=(u,)), b) if b is ONE:
            return Tree("expm1", (u,))
        case "-", (a, Tree(op="exp", args=(u,))) if a is ONE:
            return negative(Tree("expm1", (u,)))
        case "*", _:
            return _stable_product(node)
        case "-", (a, Tree(op="erf", args=(u,))) if a is ONE:
            return Tree("erfc", (u,))
        case "+", _ if ONE in node.args and _other(node, ONE).op == "erf":
            return Tree("erfc", (negative(_other(node, ONE).args[0]),))
    return node


def _other(node: Tree, one: Tree) -> Tree:
    a, b = node.args
    return b if a is one else a


def _stable_quotient(node: Tree, top: Tree, bottom: Tree) -> Tree:
    if bottom.op == "+" and ONE in bottom.args:
        e = _other(bottom, ONE)
        if e.op == "exp" and top is ONE:
            return Tree("sigmoid", (negative(e.args[0]),))
        if e.op == "exp" and top is e:
            return Tree("sigmoid", e.args)
    if _exponentials(top, "-") is not None and _exponentials(top, "-") is _exponentials(bottom, "+"):
        return Tree("tanh", (_exponentials(top, "-"),))  # type: ignore[arg-type]
    if top.op == "erfc" and bottom.number == 2:
        return _normal(top) or node
    return node


def _exponentials(node: Tree, sign: str) -> Tree | None:
    """u where the node is e^u ± e^−u."""
    match node.op, node.args:
        case op, (Tree(op="exp", args=(u,)), Tree(op="exp", args=(v,))) if op == sign and negative(u) is v:
            return u
    return None


def _stable_product(node: Tree) -> Tree:
    """u·erfc(−v/√2)/2 as u·Φ(v), however its factors are ordered."""
    factors = list(_factors(node))
    tail = next((each for each in factors if each.op == "erfc"), None)
    half = next((each for each in factors if each.number == Fraction(1, 2)), None)
    normal = _normal(tail) if tail is not None and half is not None else None
    if normal is None:
        return node
    factors.remove(tail)  # type: ignore[arg-type]
    factors.remove(half)  # type: ignore[arg-type]
    return reduce(lambda a, b: Tree("*", (a, b)), factors, normal) if factors else normal


def _factors(node: Tree) -> list[Tree]:
    if node.op == "*":
        return [each for side in node.args for each in _factors(side)]
    if node.op == "/" and node.args[1].number:
        return [*_factors(node.args[0]), number(1 / (node.args[1].number or Fraction(1)))]
    return [node]


def _normal(tail: Tree) -> Tree | None:
    """Φ(v) for erfc(−v/√2)."""
    inner = negative(tail.args[0])
    match inner.op, inner.args:
        case "/", (v, Tree(op="sqrt", args=(two,))) if two.number == 2:
            return Tree("Phi", (v,))
    return None
