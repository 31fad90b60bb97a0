"""Derivatives of an expression tree, simplified: no terms that are 0, no factors that are 1."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import lru_cache, reduce
from typing import NamedTuple

from app.core.formulas.tree import CONDITIONS, ONE, PI, TWO, ZERO, Tree, number, walk


def negative(a: Tree) -> Tree:
    """−a."""
    return times(number(-1), a)


def plus(a: Tree, b: Tree) -> Tree:
    """a + b, like terms collected."""
    return _sum([*_terms(a), *_terms(b)])


def minus(a: Tree, b: Tree) -> Tree:
    """a − b."""
    return plus(a, negative(b))


def times(a: Tree, b: Tree) -> Tree:
    """a·b, equal factors collected into powers, the numeric factor first."""
    return _product(_joined(_factors(a), _factors(b)))


def over(a: Tree, b: Tree) -> Tree:
    """a/b."""
    return _product(_joined(_factors(a), _power(_factors(b), Fraction(-1))))


def to_the(base: Tree, exponent: Tree) -> Tree:
    """base^exponent."""
    power = exponent.number
    if power is None:
        return Tree("**", (base, exponent))
    return _product(_power(_factors(base), power))


class _Factors(NamedTuple):
    """coefficient · Π base^power."""

    coefficient: Fraction
    powers: dict[Tree, Fraction]


def _factors(node: Tree) -> _Factors:
    match node.op, node.args:
        case "number", _:
            return _Factors(node.number or Fraction(0), {})
        case "neg", (a,):
            inner = _factors(a)
            return _Factors(-inner.coefficient, inner.powers)
        case "*", (a, b):
            return _joined(_factors(a), _factors(b))
        case "/", (a, b) if b is not ZERO:
            return _joined(_factors(a), _power(_factors(b), Fraction(-1)))
        case "**", (base, Tree(op="number") as exponent):
            return _power(_factors(base), exponent.number or Fraction(0))
        case "sqrt", (a,):
            return _Factors(Fraction(1), {a: Fraction(1, 2)})
    return _Factors(Fraction(1), {node: Fraction(1)})


def _joined(a: _Factors, b: _Factors) -> _Factors:
    powers = dict(a.powers)
    for base, power in b.powers.items():
        powers[base] = powers.get(base, Fraction(0)) + power
    return _Factors(a.coefficient * b.coefficient, {base: power for base, power in powers.items() if power})


def _power(inner: _Factors, power: Fraction) -> _Factors:
    """The factors raised to a power; a fractional one is not distributed over possibly negative factors."""
    coefficient = inner.coefficient
    whole = power.denominator == 1
    if coefficient == 0 and power > 0:
        return _Factors(Fraction(0), {})
    if whole and coefficient and abs(power) <= _LARGEST_POWER:
        return _Factors(
            coefficient ** int(power), {base: each * power for base, each in inner.powers.items()}
        )
    if coefficient == 1 and len(inner.powers) == 1 and next(iter(inner.powers.values())) == 1:
        return _Factors(Fraction(1), dict.fromkeys(inner.powers, power))
    return _Factors(Fraction(1), {_product(inner): power})


def _product(factors: _Factors) -> Tree:
    """The factors as a quotient of products, its sign in front."""
    if not factors.coefficient:
        return ZERO
    size = abs(factors.coefficient)
    numerator = [_raised(base, power) for base, power in factors.powers.items() if power > 0]
    denominator = [_raised(base, -power) for base, power in factors.powers.items() if power < 0]
    if not numerator and not denominator:
        return number(factors.coefficient)
    if not denominator and size.denominator != 1 and _is_short(size):
        numerator.insert(0, number(size))
    else:
        if size.numerator != 1 or not numerator:
            numerator.insert(0, number(size.numerator))
        if size.denominator != 1:
            denominator.insert(0, number(size.denominator))
    whole = _multiplied(numerator)
    if denominator:
        whole = Tree("/", (whole, _multiplied(denominator)))
    return Tree("neg", (whole,)) if factors.coefficient < 0 else whole


def _is_short(value: Fraction) -> bool:
    """Whether it is a decimal number such as 0.044715, rather than a quotient such as 1/3 or 1/2."""
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    return rest == 1 and value.numerator != 1


def _multiplied(parts: list[Tree]) -> Tree:
    return reduce(lambda a, b: Tree("*", (a, b)), parts)


def _raised(base: Tree, power: Fraction) -> Tree:
    if power == 1:
        return base
    if power == Fraction(1, 2):
        return Tree("sqrt", (base,))
    return Tree("**", (base, number(power)))


def _terms(node: Tree) -> list[tuple[Fraction, Tree]]:
    """The terms of a sum, each with its coefficient."""
    match node.op, node.args:
        case "number", _:
            return [(node.number or Fraction(0), ONE)]
        case "+", (a, b):
            return [*_terms(a), *_terms(b)]
        case "-", (a, b):
            return [*_terms(a), *((-factor, term) for factor, term in _terms(b))]
        case "neg", (a,):
            return [(-factor, term) for factor, term in _terms(a)]
    factors = _factors(node)
    if not factors.coefficient:
        return []
    return [(factors.coefficient, _product(_Factors(Fraction(1), factors.powers)))]


def _sum(terms: list[tuple[Fraction, Tree]]) -> Tree:
    joined: dict[Tree, Fraction] = {}
    for factor, term in terms:
        joined[term] = joined.get(term, Fraction(0)) + factor
    parts = [(factor, term) for term, factor in joined.items() if factor]
    parts.sort(key=lambda part: part[0] < 0)  # positive terms first: no leading minus unless all are negative
    if not parts:
        return ZERO
    whole = times(number(parts[0][0]), parts[0][1])
    for factor, term in parts[1:]:
        whole = Tree("+" if factor > 0 else "-", (whole, times(number(abs(factor)), term)))
    return whole


_LARGEST_POWER = 64
"""Largest exponent that a product is multiplied out for; with a larger one it stays a power."""


def call(function: str, *args: Tree) -> Tree:
    """A function of trees."""
    return Tree(function, args)


def _square(a: Tree) -> Tree:
    return to_the(a, TWO)


_OUTER: Mapping[str, Callable[[Tree], Tree]] = {
    "exp": lambda u: call("exp", u),
    "expm1": lambda u: call("exp", u),
    "log": lambda u: over(ONE, u),
    "log1p": lambda u: over(ONE, plus(ONE, u)),
    "log2": lambda u: over(ONE, times(u, call("log", TWO))),
    "log10": lambda u: over(ONE, times(u, call("log", number(10)))),
    "sqrt": lambda u: over(ONE, times(TWO, call("sqrt", u))),
    "abs": lambda u: call("sign", u),
    "sign": lambda _: ZERO,
    "sinh": lambda u: call("cosh", u),
    "cosh": lambda u: call("sinh", u),
    "tanh": lambda u: _square(call("sech", u)),
    "sech": lambda u: negative(times(call("sech", u), call("tanh", u))),
    "asinh": lambda u: over(ONE, call("sqrt", plus(_square(u), ONE))),
    "acosh": lambda u: over(ONE, call("sqrt", minus(_square(u), ONE))),
    "atanh": lambda u: over(ONE, minus(ONE, _square(u))),
    "sin": lambda u: call("cos", u),
    "cos": lambda u: negative(call("sin", u)),
    "tan": lambda u: plus(ONE, _square(call("tan", u))),
    "asin": lambda u: over(ONE, call("sqrt", minus(ONE, _square(u)))),
    "acos": lambda u: negative(over(ONE, call("sqrt", minus(ONE, _square(u))))),
    "atan": lambda u: over(ONE, plus(ONE, _square(u))),
    "erf": lambda u: times(over(TWO, call("sqrt", PI)), call("exp", negative(_square(u)))),
    "erfc": lambda u: negative(times(over(TWO, call("sqrt", PI)), call("exp", negative(_square(u))))),
    "sigmoid": lambda u: times(call("sigmoid", u), call("sigmoid", negative(u))),
    "softplus": lambda u: call("sigmoid", u),
    "Phi": lambda u: call("phi", u),
    "phi": lambda u: negative(times(u, call("phi", u))),
}
"""The derivative of each function of one number."""


@lru_cache(maxsize=16)
def derivative(root: Tree, variable: str = "x") -> Tree:
    """∂root/∂variable. At a kink it is that of the branch that holds at the point.

    The last ones are cached: a formula is proved block by block, and each block needs the same ones.
    """
    derivatives: dict[Tree, Tree] = {}
    for node in walk(root):
        if node.op not in CONDITIONS and node.op != "and":
            derivatives[node] = _derivative(node, derivatives, variable)
    return derivatives[root]


def _derivative(node: Tree, derivatives: Mapping[Tree, Tree], variable: str) -> Tree:
    match node.op, node.args:
        case (("number" | "constant"), _):
            return ZERO
        case "name", _:
            return ONE if node.leaf == variable else ZERO
        case "if", (test, body, orelse):
            return choice(test, derivatives[body], derivatives[orelse])
        case (("min" | "max"), _):
            return _of_extreme(node, derivatives)
        case "**", (base, exponent):
            return _of_power(node, base, exponent, derivatives)
        case (("neg" | "+" | "-" | "*" | "/"), _):
            return _of_operation(node, derivatives)
    (inner,) = node.args
    return times(_OUTER[node.op](inner), derivatives[inner]) if derivatives[inner] is not ZERO else ZERO


def _of_operation(node: Tree, derivatives: Mapping[Tree, Tree]) -> Tree:
    match node.op, node.args:
        case "neg", (a,):
            return negative(derivatives[a])
        case "+", (a, b):
            return plus(derivatives[a], derivatives[b])
        case "-", (a, b):
            return minus(derivatives[a], derivatives[b])
        case "*", (a, b):
            return plus(times(derivatives[a], b), times(a, derivatives[b]))
    a, b = node.args
    if derivatives[b] is ZERO:
        return over(derivatives[a], b)
    return minus(over(derivatives[a], b), over(times(a, derivatives[b]), _square(b)))


def _of_power(node: Tree, base: Tree, exponent: Tree, derivatives: Mapping[Tree, Tree]) -> Tree:
    if derivatives[exponent] is ZERO:
        if derivatives[base] is ZERO:
            return ZERO
        return times(times(exponent, to_the(base, minus(exponent, ONE))), derivatives[base])
    growth = times(derivatives[exponent], call("log", base))
    if derivatives[base] is not ZERO:
        growth = plus(growth, times(exponent, over(derivatives[base], base)))
    return times(node, growth)


def _of_extreme(node: Tree, derivatives: Mapping[Tree, Tree]) -> Tree:
    """The derivative of min or max: that of the first argument that attains it."""
    relation = ">=" if node.op == "max" else "<="
    *before, last = node.args
    if not before:
        return derivatives[last]
    rest = before[0] if len(before) == 1 else Tree(node.op, tuple(before))
    inner = derivatives[rest] if len(before) == 1 else _of_extreme(rest, derivatives)
    return choice(Tree(relation, (rest, last)), inner, derivatives[last])


def choice(test: Tree, body: Tree, orelse: Tree) -> Tree:
    """``body`` where the test holds, else ``orelse``."""
    return body if body is orelse else Tree("if", (test, body, orelse))
