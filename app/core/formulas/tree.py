"""A formula without vectors as a tree that can be differentiated, rewritten and printed as text again.

A `Tree` is an operation with its arguments, a number, a constant or a name. Equal trees are the same object
(hash consing), so that shared parts are found and evaluated once.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from typing import ClassVar
from weakref import WeakValueDictionary

from app.core.formulas.language import FUNCTIONS

COMPARISONS: Mapping[type[ast.cmpop], str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}
"""The comparison signs by Python's syntax nodes."""

CONDITIONS = frozenset({*COMPARISONS.values(), "and"})
"""Operations whose value is true or false."""

_OPERATORS: Mapping[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.Pow: "**",
}
_CONSTANTS = ("pi", "inf")
_NUMBER = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(?:[eE]([+-]?\d+))?")


class Tree:
    """``op`` applied to ``args``. Leaves are a "number", a "constant" or a "name"; ``leaf`` says which.

    There is one object for all equal trees: they are compared and looked up by identity.
    """

    __slots__ = ("__weakref__", "args", "leaf", "op")
    _all: ClassVar[WeakValueDictionary[tuple[object, ...], Tree]] = WeakValueDictionary()

    op: str
    args: tuple[Tree, ...]
    leaf: Fraction | str | None

    def __new__(cls, op: str, args: tuple[Tree, ...] = (), leaf: Fraction | str | None = None) -> Tree:
        """The one object for this tree."""
        key = (op, args, leaf)
        found = cls._all.get(key)
        if found is None:
            found = super().__new__(cls)
            found.op, found.args, found.leaf = op, args, leaf
            cls._all[key] = found
        return found

    def __repr__(self) -> str:
        return f"<{self.op} of {len(self.args)}>" if self.args else f"<{self.leaf}>"

    def __reduce__(self) -> tuple[object, ...]:
        return Tree, (self.op, self.args, self.leaf)

    @property
    def number(self) -> Fraction | None:
        """The number that a leaf is, if it is one."""
        return self.leaf if isinstance(self.leaf, Fraction) else None


def number(value: Fraction | int) -> Tree:
    """A number, exactly."""
    return Tree("number", leaf=Fraction(value))


def name(text: str) -> Tree:
    """A variable or parameter."""
    return Tree("name", leaf=text)


PI = Tree("constant", leaf="pi")
ZERO, ONE, TWO = number(0), number(1), number(2)


def tree(source: str, build: Callable[[ast.expr], Tree | None] = lambda _: None) -> Tree:
    """The formula ``source``; ``build`` may build a node itself, or leave it by returning None.

    Raises `SyntaxError` for text that is no expression, `ValueError` for what is no formula of numbers.
    """
    return Reader(source, build).read(ast.parse(source, mode="eval").body)


def decimal(digits: str) -> Fraction:
    """The number that a decimal literal stands for, exactly."""
    return Fraction(digits)


class Reader:
    """Turns Python's syntax nodes of ``source`` into trees."""

    def __init__(self, source: str, build: Callable[[ast.expr], Tree | None]) -> None:
        self._source = source
        self._build = build

    def read(self, node: ast.expr) -> Tree:
        """The syntax node as a tree."""
        built = self._build(node)
        if built is not None:
            return built
        match node:
            case ast.Constant():
                return Tree("number", leaf=decimal(ast.get_source_segment(self._source, node) or ""))
            case ast.Name(id=identifier):
                return Tree("constant" if identifier in _CONSTANTS else "name", leaf=identifier)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return Tree("neg", (self.read(operand),))
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self.read(operand)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
                return Tree(_OPERATORS[type(op)], (self.read(left), self.read(right)))
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return Tree("if", (self._condition(test), self.read(body), self.read(orelse)))
            case ast.Compare():
                return Tree("if", (self._condition(node), ONE, ZERO))
            case ast.Call(func=ast.Name(id=called), args=arguments, keywords=[]) if called in FUNCTIONS:
                return Tree(called, tuple(self.read(each) for each in arguments))
        raise ValueError(f"{ast.unparse(node)} is not part of a formula of numbers")

    def _condition(self, node: ast.expr) -> Tree:
        if not isinstance(node, ast.Compare) or any(type(op) not in COMPARISONS for op in node.ops):
            raise ValueError("a condition compares numbers")
        values = [self.read(each) for each in (node.left, *node.comparators)]
        pairs = [
            Tree(COMPARISONS[type(op)], (a, b))
            for op, a, b in zip(node.ops, values, values[1:], strict=False)
        ]
        return pairs[0] if len(pairs) == 1 else Tree("and", tuple(pairs))


def walk(root: Tree) -> Iterator[Tree]:
    """Every distinct part once, in postorder: arguments before what they are arguments of."""
    seen: set[Tree] = set()
    stack = [(root, False)]
    while stack:
        node, ready = stack.pop()
        if ready:
            yield node
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((each, False) for each in reversed(node.args))


def depth(root: Tree) -> int:
    """The nesting depth."""
    depths: dict[Tree, int] = {}
    for node in walk(root):
        depths[node] = 1 + max((depths[each] for each in node.args), default=0)
    return depths[root]


def written_size(root: Tree) -> int:
    """The number of parts, shared ones counted as often as they occur."""
    sizes: dict[Tree, int] = {}
    for node in walk(root):
        sizes[node] = 1 + sum(sizes[each] for each in node.args)
    return sizes[root]


def names(root: Tree) -> frozenset[str]:
    """The names of variables and parameters in it."""
    return frozenset(str(node.leaf) for node in walk(root) if node.op == "name")


def dependent(root: Tree, on: frozenset[str]) -> frozenset[Tree]:
    """The parts that depend on one of these names."""
    found: set[Tree] = set()
    for node in walk(root):
        if (node.op == "name" and node.leaf in on) or any(each in found for each in node.args):
            found.add(node)
    return frozenset(found)


def substitute(root: Tree, replacements: Mapping[str, Tree]) -> Tree:
    """``root`` with trees for names."""
    made: dict[Tree, Tree] = {}
    for node in walk(root):
        if node.op == "name" and node.leaf in replacements:
            made[node] = replacements[str(node.leaf)]
        elif node.args:
            made[node] = Tree(node.op, tuple(made[each] for each in node.args))
        else:
            made[node] = node
    return made[root]


def with_infinite(root: Tree, infinite: Mapping[str, int]) -> Tree:
    """``root`` with the named parameters at ±∞, given by sign: they vanish from min, max and comparisons.

    Where nothing but such a parameter remains, it is written as ±1 / 0.
    Raises `ValueError` where one occurs anywhere else.
    """
    if not infinite:
        return root
    made: dict[Tree, Tree] = {}
    for node in walk(root):
        rebuilt = Tree(node.op, tuple(made[each] for each in node.args), node.leaf)
        made[node] = _bounded(rebuilt, infinite)
    found = made[root]
    if sign := _sign(found, infinite):
        return Tree("/", (number(sign), number(0)))
    if names(found) & infinite.keys():
        raise ValueError("an infinite parameter is not allowed here")
    return found


_TRUE = Tree("==", (number(0), number(0)))
_FALSE = Tree("==", (number(0), number(1)))
_COMPARED = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


def _bounded(node: Tree, infinite: Mapping[str, int]) -> Tree:
    """The node with infinite arguments of min, max and comparisons, and what they decide, resolved."""
    signs = [_sign(each, infinite) for each in node.args]
    if node.op in {"min", "max"} and any(signs):
        return _extreme(node, signs)
    if node.op in _COMPARED and any(signs):
        return _TRUE if _COMPARED[node.op](*signs) else _FALSE
    if node.op == "and":
        kept = tuple(each for each in node.args if each is not _TRUE)
        return _FALSE if _FALSE in kept else _only(Tree("and", kept)) if kept else _TRUE
    if node.op == "if" and node.args[0] in {_TRUE, _FALSE}:
        return node.args[1] if node.args[0] is _TRUE else node.args[2]
    return node


def _sign(node: Tree, infinite: Mapping[str, int]) -> int:
    """1 and −1 of an infinite parameter, 0 of everything else."""
    return infinite.get(str(node.leaf), 0) if node.op == "name" else 0


def _extreme(node: Tree, signs: list[int]) -> Tree:
    """min or max with an infinite argument: that infinity where it decides, else the finite arguments."""
    winner = -1 if node.op == "min" else 1
    if winner in signs:
        return node.args[signs.index(winner)]
    finite = tuple(each for each, sign in zip(node.args, signs, strict=True) if not sign)
    return _only(Tree(node.op, finite)) if finite else node.args[0]


def _only(node: Tree) -> Tree:
    return node.args[0] if len(node.args) == 1 else node


# Printing

_LEVELS = {"if": 0, "+": 2, "-": 2, "*": 3, "/": 3, "neg": 4, "**": 5} | dict.fromkeys(CONDITIONS, 1)
_LEAF = 6
_SIDES = {"+": (2, 3), "-": (2, 3), "*": (3, 4), "/": (3, 4), "**": (_LEAF, _LEAF)}
_SIDES |= dict.fromkeys(CONDITIONS, (2, 2))
"""The lowest precedence at which each operand stands without brackets."""


def text(root: Tree) -> str:
    """The formula as text of the language, with as few brackets as it takes."""
    return _text(root, 0)


def _text(node: Tree, least: int) -> str:
    written, level = _written(node)
    return written if level >= least else f"({written})"


def _written(node: Tree) -> tuple[str, int]:
    level = _LEVELS.get(node.op, _LEAF)
    match node.op, node.args:
        case "number", _:
            return _digits(node.number or Fraction(0))
        case (("name" | "constant"), _):
            return str(node.leaf), _LEAF
        case "neg", (operand,):
            return f"-{_text(operand, 4)}", level
        case "if", (test, body, orelse):
            return f"{_text(body, 1)} if {_text(test, 1)} else {_text(orelse, 0)}", level
        case "and", _:
            parts = [_text(node.args[0].args[0], 2)]
            parts += [f"{each.op} {_text(each.args[1], 2)}" for each in node.args]
            return " ".join(parts), level
        case op, (a, b) if op in _SIDES:
            left, right = _SIDES[op]
            blank = "" if op == "**" else " "
            return f"{_text(a, left)}{blank}{op}{blank}{_text(b, right)}", level
    return f"{node.op}({', '.join(_text(each, 0) for each in node.args)})", _LEAF


def _digits(value: Fraction) -> tuple[str, int]:
    """The number as decimal digits where these terminate, else as a quotient; with its precedence."""
    twos_and_fives = value.denominator
    for factor in (2, 5):
        while twos_and_fives % factor == 0:
            twos_and_fives //= factor
    if value < 0:
        return f"-{_digits(-value)[0]}", _LEVELS["neg"]
    if value.denominator == 1 and value < 10**16:
        return str(value.numerator), _LEAF
    if twos_and_fives == 1:
        return _decimal_digits(value), _LEAF
    return f"{value.numerator} / {value.denominator}", _LEVELS["/"]


def _decimal_digits(value: Fraction) -> str:
    places = 0
    scaled = value
    while scaled.denominator != 1:
        places += 1
        scaled = value * 10**places
    digits = str(scaled.numerator)
    if places == 0:
        stripped = digits.rstrip("0")
        return f"{stripped}e{len(digits) - len(stripped)}"
    if places > len(digits) + 4:
        return f"{digits}e-{places}"
    padded = digits.rjust(places + 1, "0")
    return f"{padded[:-places]}.{padded[-places:]}"
