"""Formulas as data: one text for display (LaTeX), for the tests (mpmath) and to locate kinks (floats).

A formula is a Python expression: ``x if x > 0 else alpha * (exp(x) - 1)``. It is parsed once and never
executed: `Expression.evaluate` walks the tree in whatever arithmetic it is given, with literals passed on as
text, so that ``0.044715`` is that decimal number and not its nearest double. `Expression.latex` prints the
same tree. What a reader sees is therefore what the tests evaluate.

Vectors are written with subscripts, counted from 0; ``sum``, ``min`` and ``max`` run over an index: in
``exp(x[i]) / sum(exp(x[j]) for j in n)``, j = 0 … n − 1. A definition may be a vector too:
``{"s[i]": "exp(x[i]) / sum(exp(x[j]) for j in n)"}`` (see `define`). ``root(f(s) for s in (a, b))`` is the
root of the decreasing function f between a and b.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any, Protocol

from app.core.arithmetic.roots import falling_root

FUNCTIONS: Mapping[str, str] = {
    "exp": r"e^{{{0}}}",
    "expm1": r"\left(e^{{{0}}} - 1\right)",
    "log": r"\ln\left({0}\right)",
    "log1p": r"\ln\left(1 + {0}\right)",
    "log2": r"\log_2\left({0}\right)",
    "log10": r"\log_{{10}}\left({0}\right)",
    "sqrt": r"\sqrt{{{0}}}",
    "abs": r"\left|{0}\right|",
    "sign": r"\operatorname{{sgn}}\left({0}\right)",
    "sinh": r"\sinh\left({0}\right)",
    "cosh": r"\cosh\left({0}\right)",
    "tanh": r"\tanh\left({0}\right)",
    "sech": r"\operatorname{{sech}}\left({0}\right)",
    "asinh": r"\operatorname{{arsinh}}\left({0}\right)",
    "acosh": r"\operatorname{{arcosh}}\left({0}\right)",
    "atanh": r"\operatorname{{artanh}}\left({0}\right)",
    "sin": r"\sin\left({0}\right)",
    "cos": r"\cos\left({0}\right)",
    "tan": r"\tan\left({0}\right)",
    "asin": r"\arcsin\left({0}\right)",
    "acos": r"\arccos\left({0}\right)",
    "atan": r"\arctan\left({0}\right)",
    "erf": r"\operatorname{{erf}}\left({0}\right)",
    "erfc": r"\operatorname{{erfc}}\left({0}\right)",
    "sigmoid": r"\sigma\left({0}\right)",
    "softplus": r"\ln\left(1 + e^{{{0}}}\right)",
    "Phi": r"\Phi\left({0}\right)",
    "phi": r"\varphi\left({0}\right)",
    "min": r"\min\left({0}\right)",
    "max": r"\max\left({0}\right)",
}
"""Every function a formula may call, with the LaTeX it is printed as."""

_CONSTANTS: Mapping[str, str] = {"pi": r"\pi", "inf": r"\infty"}
_RELATIONS: Mapping[type[ast.cmpop], tuple[str, Callable[[Any, Any], bool]]] = {
    ast.Lt: ("<", operator.lt),
    ast.LtE: (r"\le", operator.le),
    ast.Gt: (">", operator.gt),
    ast.GtE: (r"\ge", operator.ge),
    ast.Eq: ("=", operator.eq),
    ast.NotEq: (r"\ne", operator.ne),
}
_OPERATORS: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_SUM, _PRODUCT, _UNARY, _POWER, _ATOM = range(5)


class Arithmetic(Protocol):
    """Numbers and functions to evaluate a formula in: floats here, mpmath in the tests."""

    def number(self, text: str) -> Any:
        """The number that a decimal literal stands for."""

    def function(self, name: str) -> Callable[..., Any]:
        """One of `FUNCTIONS`."""

    def constant(self, name: str) -> Any:
        """``pi`` or ``inf``."""


class FloatArithmetic:
    """Double precision: good enough to locate kinks and to state ranges, never a reference for tests."""

    _functions: Mapping[str, Callable[..., Any]] = {
        "sign": lambda x: math.copysign(1.0, x) if x else 0.0,
        "sech": lambda x: 1 / math.cosh(x),
        "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
        "softplus": lambda x: math.log1p(math.exp(x)),
        "Phi": lambda x: math.erfc(-x / math.sqrt(2)) / 2,
        "phi": lambda x: math.exp(-x * x / 2) / math.sqrt(2 * math.pi),
        "abs": abs,
        "min": min,
        "max": max,
        "root": falling_root,
    }

    def number(self, text: str) -> float:
        """The nearest double."""
        return float(text)

    def function(self, name: str) -> Callable[..., Any]:
        """From `math`, or from here where `math` has none."""
        return self._functions.get(name) or getattr(math, name)

    def constant(self, name: str) -> float:
        """The nearest double."""
        return {"pi": math.pi, "inf": math.inf}[name]


@dataclass(frozen=True)
class Expression:
    """One formula, parsed.

    Raises `SyntaxError` for text that is no expression, `ValueError` for a construct outside the language.
    """

    text: str

    def __post_init__(self) -> None:
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Call) and not (
                isinstance(node.func, ast.Name) and node.func.id in {*FUNCTIONS, "sum", "root"}
            ):
                raise ValueError(f"{ast.unparse(node.func)} is not a function of the formula language")

    @cached_property
    def _tree(self) -> ast.expr:
        return ast.parse(self.text, mode="eval").body

    @cached_property
    def names(self) -> frozenset[str]:
        """Every free name in the text: variables, parameters, index sets."""
        called = {id(node.func) for node in ast.walk(self._tree) if isinstance(node, ast.Call)}
        bound = {
            node.target.id
            for node in ast.walk(self._tree)
            if isinstance(node, ast.comprehension) and isinstance(node.target, ast.Name)
        }
        found = {
            node.id for node in ast.walk(self._tree) if isinstance(node, ast.Name) and id(node) not in called
        }
        return frozenset(found - bound - set(_CONSTANTS))

    def evaluate(self, arithmetic: Arithmetic, values: Mapping[str, Any]) -> Any:
        """The formula's value in ``arithmetic``, with ``values`` for its names."""
        return _Evaluator(arithmetic, self.text).value(self._tree, values)

    def terms(self, arithmetic: Arithmetic, values: Mapping[str, Any]) -> list[Any]:
        """The values of the terms of the outermost sum: what cancels where the sum passes through zero."""
        evaluator = _Evaluator(arithmetic, self.text)
        return [evaluator.value(node, values) for node in _summands(self._tree, evaluator, values)]

    def latex(self, symbols: Mapping[str, str]) -> str:
        """The formula as LaTeX, with ``symbols`` for the names that are not printed as they stand."""
        return _Printer({**_CONSTANTS, **symbols}, self.text).text(self._tree, _SUM)


@dataclass(frozen=True)
class _Family:
    """A vector given by a formula for its elements; subscripting it evaluates one."""

    element: Expression
    indices: tuple[str, ...]
    arithmetic: Arithmetic
    names: Mapping[str, Any]

    def __getitem__(self, place: int | tuple[int, ...]) -> Any:
        places = place if isinstance(place, tuple) else (place,)
        bound = dict(zip(self.indices, places, strict=True))
        return self.element.evaluate(self.arithmetic, {**self.names, **bound})


def define(
    definitions: Mapping[str, Expression], arithmetic: Arithmetic, values: Mapping[str, Any]
) -> dict[str, Any]:
    """``values`` completed by ``definitions``, in order: each may use the ones before it.

    ``s`` defines a number, ``s[i]`` a vector, ``w[p, i]`` a matrix. A name that has a value already keeps it:
    its definition is a default.
    """
    names = dict(values)
    for head, definition in definitions.items():
        tree = ast.parse(head, mode="eval").body
        vector = tree.value if isinstance(tree, ast.Subscript) else tree
        name = ast.unparse(vector)
        if name in names:
            continue
        if isinstance(tree, ast.Subscript):
            parts = tree.slice.elts if isinstance(tree.slice, ast.Tuple) else [tree.slice]
            indices = tuple(ast.unparse(part) for part in parts)
            names[name] = _Family(definition, indices, arithmetic, dict(names))
        else:
            names[name] = definition.evaluate(arithmetic, names)
    return names


def _summands(node: ast.expr, evaluator: _Evaluator, values: Mapping[str, Any]) -> Iterable[ast.expr]:
    if isinstance(node, ast.IfExp):
        branch = node.body if evaluator.value(node.test, values) else node.orelse
        yield from _summands(branch, evaluator, values)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        yield from _summands(node.left, evaluator, values)
        yield from _summands(node.right, evaluator, values)
    else:
        yield node


def _literal(source: str, node: ast.Constant) -> str:
    """The text of a numeric literal; one on the first line is sliced directly, which is faster."""
    if node.end_lineno == 1:
        return source.encode()[node.col_offset : node.end_col_offset].decode()
    return ast.get_source_segment(source, node) or ""


class _Evaluator:
    def __init__(self, arithmetic: Arithmetic, source: str) -> None:
        self._arithmetic = arithmetic
        self._source = source

    def value(self, node: ast.expr, names: Mapping[str, Any]) -> Any:
        match node:
            case ast.Constant():
                return self._arithmetic.number(_literal(self._source, node))
            case ast.Name(id=name):
                return self._arithmetic.constant(name) if name in _CONSTANTS else names[name]
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -self.value(operand, names)
            case ast.BinOp(left=left, op=op, right=right):
                return _OPERATORS[type(op)](self.value(left, names), self.value(right, names))
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return self.value(body if self.value(test, names) else orelse, names)
            case ast.Compare(left=left, ops=ops, comparators=rights):
                return self._compare(left, ops, rights, names)
            case ast.Subscript(value=vector, slice=index):
                return self.value(vector, names)[self._index(index, names)]
            case ast.Call(func=ast.Name(id=name), args=[ast.GeneratorExp() as each]):
                return self._over(name, each, names)
            case ast.Call(func=ast.Name(id=name), args=arguments):
                return self._arithmetic.function(name)(*(self.value(each, names) for each in arguments))
        raise ValueError(f"{ast.unparse(node)} is not part of the formula language")

    def _index(self, node: ast.expr, names: Mapping[str, Any]) -> int | tuple[int, ...]:
        places = _Evaluator(FloatArithmetic(), self._source)  # an index is an integer, never a ball
        if isinstance(node, ast.Tuple):
            return tuple(int(places.value(each, names)) for each in node.elts)
        return int(places.value(node, names))

    def _compare(
        self, left: ast.expr, ops: list[ast.cmpop], rights: list[ast.expr], names: Mapping[str, Any]
    ) -> bool:
        values = [self.value(each, names) for each in (left, *rights)]
        pairs = zip(ops, values, values[1:], strict=False)
        # Not `and`: of arrays it is the comparison of each element.
        return reduce(operator.and_, [_RELATIONS[type(op)][1](a, b) for op, a, b in pairs])

    def _over(self, name: str, each: ast.GeneratorExp, names: Mapping[str, Any]) -> Any:
        if name == "root":
            return self._root(each, names)
        (generator,) = each.generators
        assert isinstance(generator.target, ast.Name)
        variable = generator.target.id
        values = [
            self.value(each.elt, {**names, variable: index})
            for index in range(int(self.value(generator.iter, names)))
            if all(self.value(test, {**names, variable: index}) for test in generator.ifs)
        ]
        if name == "sum":
            return sum(values, self._arithmetic.number("0"))
        return reduce(self._arithmetic.function(name), values)

    def _root(self, each: ast.GeneratorExp, names: Mapping[str, Any]) -> Any:
        variable, (low, high) = _between(each)
        return self._arithmetic.function("root")(
            lambda at: self.value(each.elt, {**names, variable: at}),
            self.value(low, names),
            self.value(high, names),
        )


def _between(each: ast.GeneratorExp) -> tuple[str, tuple[ast.expr, ast.expr]]:
    """The variable of a ``root``, and the ends of its interval."""
    (generator,) = each.generators
    assert isinstance(generator.target, ast.Name)
    assert isinstance(generator.iter, ast.Tuple)
    low, high = generator.iter.elts
    return generator.target.id, (low, high)


class _Printer:
    def __init__(self, symbols: Mapping[str, str], source: str) -> None:
        self._symbols = symbols
        self._source = source

    def text(self, node: ast.expr, level: int) -> str:
        """``node`` as LaTeX, in brackets where its precedence is below ``level``."""
        own, latex = self._print(node)
        return latex if own >= level else rf"\left({latex}\right)"

    def _print(self, node: ast.expr) -> tuple[int, str]:
        match node:
            case ast.Constant():
                return _ATOM, _literal(self._source, node)
            case ast.Name(id=name):
                return _ATOM, self._symbols.get(name, name)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return _UNARY, f"-{self.text(operand, _PRODUCT)}"
            case ast.BinOp(left=left, op=op, right=right):
                return self._operation(left, op, right)
            case ast.IfExp():
                return _ATOM, self._cases(node)
            case ast.Compare(left=left, ops=ops, comparators=rights):
                pairs = zip(ops, rights, strict=True)
                tail = "".join(f" {_RELATIONS[type(op)][0]} {self.text(each, _SUM)}" for op, each in pairs)
                return _SUM, self.text(left, _SUM) + tail
            case ast.Subscript(value=vector, slice=index):
                return _ATOM, f"{self.text(vector, _ATOM)}_{{{self._subscript(index)}}}"
            case ast.Call(func=ast.Name(id=name), args=[ast.GeneratorExp() as each]):
                return _PRODUCT, self._over(name, each)
            case ast.Call(func=ast.Name(id=name), args=arguments):
                printed = ", ".join(self.text(each, _SUM) for each in arguments)
                return _ATOM, FUNCTIONS[name].format(printed)
        raise ValueError(f"{ast.unparse(node)} is not part of the formula language")

    def _operation(self, left: ast.expr, op: ast.operator, right: ast.expr) -> tuple[int, str]:
        match op:
            case ast.Add():
                return _SUM, f"{self.text(left, _SUM)} + {self.text(right, _SUM)}"
            case ast.Sub():
                return _SUM, f"{self.text(left, _SUM)} - {self.text(right, _PRODUCT)}"
            case ast.Mult():
                dot = r" \cdot " if isinstance(right, ast.Constant) else r" \, "
                return _PRODUCT, f"{self.text(left, _PRODUCT)}{dot}{self.text(right, _UNARY)}"
            case ast.Div():
                return _POWER, rf"\frac{{{self.text(left, _SUM)}}}{{{self.text(right, _SUM)}}}"
            case ast.Pow():
                return self._power(left, right)
        raise ValueError(f"{op} is not part of the formula language")

    def _power(self, base: ast.expr, exponent: ast.expr) -> tuple[int, str]:
        # e^{x}^{2} is not LaTeX, so an exponential as a base stands in brackets.
        plain = isinstance(base, ast.Name | ast.Constant | ast.Subscript)
        printed = self.text(base, _ATOM) if plain else rf"\left({self.text(base, _SUM)}\right)"
        return _POWER, f"{printed}^{{{self.text(exponent, _SUM)}}}"

    def _subscript(self, index: ast.expr) -> str:
        parts = index.elts if isinstance(index, ast.Tuple) else [index]
        return ", ".join(self.text(each, _SUM) for each in parts)

    def _cases(self, node: ast.IfExp) -> str:
        rows = []
        rest: ast.expr = node
        while isinstance(rest, ast.IfExp):
            rows.append(rf"{self.text(rest.body, _SUM)} & {self.text(rest.test, _SUM)}")
            rest = rest.orelse
        rows.append(rf"{self.text(rest, _SUM)} & \text{{otherwise}}")
        return r"\begin{cases}" + r" \\ ".join(rows) + r"\end{cases}"

    def _root(self, each: ast.GeneratorExp) -> str:
        variable, ends = _between(each)
        low, high = (self.text(end, _SUM) for end in ends)
        within = rf"{low} \le {self._symbols.get(variable, variable)} \le {high}"
        return rf"\operatorname{{root}}_{{{within}}}\left({self.text(each.elt, _SUM)}\right)"

    def _over(self, name: str, each: ast.GeneratorExp) -> str:
        if name == "root":
            return self._root(each)
        (generator,) = each.generators
        sign = r"\sum" if name == "sum" else rf"\{name}"
        variable, count = self.text(generator.target, _ATOM), self.text(generator.iter, _PRODUCT)
        condition = "".join(rf",\, {self.text(test, _SUM)}" for test in generator.ifs)
        below = rf"0 \le {variable} < {count}{condition}"
        return rf"{sign}_{{{below}}} {self.text(each.elt, _PRODUCT)}"
