"""Parses and validates a formula that a client sent; errors name the column.

The text is parsed, never executed. Its characters, numbers and brackets are checked before Python's parser
sees it, so that this meets no long numbers, no deep nesting and no characters from outside the language.
"""

from __future__ import annotations

import ast
import keyword
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from app.core.errors import ActivationLabError, nearest
from app.core.formulas.language import FUNCTIONS
from app.core.formulas.tree import (
    COMPARISONS,
    Reader,
    Tree,
    depth,
    names,
    number,
    substitute,
    walk,
    with_infinite,
    written_size,
)

PREFIX = "formula:"
"""What marks a formula where a function's name is taken."""

LONGEST = 1000
"""Characters of a formula."""

MOST_NODES = 200
"""Numbers, names, operations and calls of a formula."""

MOST_PARTS = 5000
"""Parts once the catalogue's functions are written out."""

MOST_BRACKETS = 40
"""Nesting depth of brackets."""

DEEPEST = 100
"""Nesting depth of operations; each further term of a sum adds one level."""

DEEPEST_WRITTEN_OUT = 300

LARGEST_EXPONENT = 400
"""Largest decimal exponent of a number, in magnitude."""

MOST_DIGITS = 60
LARGEST_POWER = 1000
"""Largest constant exponent of a power, in magnitude."""

VARIABLE = "x"

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<sign>\*\*|<=|>=|==|!=|[-+*/(),<>=]))",
    re.ASCII,
)
_ARITY = {"min": (2, 8), "max": (2, 8)}
_WORDS = frozenset({"if", "else"})


class FormulaError(ActivationLabError):
    """What is wrong with a formula, and in which column, counted from 1."""

    code = "invalid_formula"

    def __init__(self, message: str, column: int | None = None) -> None:
        where = "" if column is None else f"column {column}: "
        super().__init__(f"{where}{message}", loc=("function",))


@dataclass(frozen=True)
class Definition:
    """A function that a formula may call by its name: its tree in x and its parameters' defaults."""

    tree: Tree
    defaults: Mapping[str, float | None]


@dataclass(frozen=True)
class Formula:
    """A formula that was read: its text, its tree, and the parameters in it, sorted."""

    text: str
    tree: Tree
    parameters: tuple[str, ...]


def read(source: str, catalogue: Mapping[str, Definition]) -> Formula:
    """The formula ``source``, functions of the ``catalogue`` written out.

    Raises `FormulaError`.
    """
    _check_tokens(source)
    parsed = _parsed(source)
    _check_size(parsed)
    root = _Builder(source, catalogue).whole(parsed)
    if written_size(root) > MOST_PARTS or depth(root) > DEEPEST_WRITTEN_OUT:
        raise FormulaError("with the catalogue's functions written out, the formula is too large")
    for node in walk(root):
        _check_power(node)
    return Formula(source.strip(), root, tuple(sorted(names(root) - {VARIABLE})))


def _check_tokens(source: str) -> None:
    """Refuses what is no formula before anything is parsed."""
    if len(source) > LONGEST:
        raise FormulaError(f"a formula may have {LONGEST:,} characters; this one has {len(source):,}")
    if not source.strip():
        raise FormulaError(f"a formula is expected here, such as {VARIABLE} * tanh({VARIABLE})")
    before = ""
    opened: list[int] = []
    for token in _tokens(source):
        kind, start = str(token.lastgroup), token.start(str(token.lastgroup))
        if {kind, before} == {"name", "number"} and token.start() == start:
            raise FormulaError("a multiplication sign or a space is missing", start + 1)
        _CHECKS[kind](token[kind], start)
        _follow_brackets(token[kind], start, opened)
        before = kind
    if opened:
        raise FormulaError("this bracket is not closed", opened[-1] + 1)


def _tokens(source: str) -> Iterator[re.Match[str]]:
    place, end = 0, len(source.rstrip())
    while place < end:
        found = _TOKEN.match(source, place)
        if found is None:
            raise FormulaError(_unexpected_character(source, place), _first(source, place) + 1)
        yield found
        place = found.end()


def _follow_brackets(sign: str, start: int, opened: list[int]) -> None:
    if sign == "(":
        opened.append(start)
    if len(opened) > MOST_BRACKETS:
        raise FormulaError(f"more than {MOST_BRACKETS} brackets within one another", start + 1)
    if sign == ")":
        if not opened:
            raise FormulaError("this bracket was never opened", start + 1)
        opened.pop()


def _first(source: str, place: int) -> int:
    """The first place from here on that is not blank."""
    while source[place].isspace():
        place += 1
    return place


def _unexpected_character(source: str, place: int) -> str:
    if source[_first(source, place)] == "^":
        return "powers are written with **"
    return "this character is not allowed in a formula; letters, digits and + - * / ** ( ) , < > = ! . are"


def _check_word(word: str, start: int) -> None:
    if word in {"and", "or", "not"}:
        raise FormulaError("conditions are joined as a chain, 0 < x < 1, or one inside another", start + 1)
    if keyword.iskeyword(word) and word not in _WORDS:
        raise FormulaError("this word cannot be a name", start + 1)


def _check_number(digits: str, start: int) -> None:
    mantissa, _, exponent = digits.lower().partition("e")
    if len(mantissa) > MOST_DIGITS:
        raise FormulaError(f"a number may have {MOST_DIGITS} digits", start + 1)
    if exponent and (len(exponent) > 6 or abs(int(exponent)) > LARGEST_EXPONENT):
        raise FormulaError(f"a number's exponent lies between ±{LARGEST_EXPONENT}", start + 1)


_CHECKS: Mapping[str, Callable[[str, int], None]] = {
    "number": _check_number,
    "name": _check_word,
    "sign": lambda _, __: None,
}


def _parsed(source: str) -> ast.expr:
    # All whitespace becomes blanks: line ends and indentation have a meaning of their own in Python.
    plain = re.sub(r"\s", " ", source).strip()
    skipped = len(source) - len(source.lstrip())
    try:
        return ast.parse(plain, mode="eval").body
    except SyntaxError as error:
        column = min(max(error.offset or 1, 1), len(plain)) + skipped
        raise FormulaError("this is not a valid formula", column) from None
    except (RecursionError, MemoryError, ValueError):
        raise FormulaError("the formula is nested too deeply") from None


def _check_size(parsed: ast.expr) -> None:
    count = 0
    stack: list[tuple[ast.AST, int]] = [(parsed, 1)]
    while stack:
        node, depth = stack.pop()
        if isinstance(node, ast.expr):
            count += 1
        if depth > DEEPEST:
            column = getattr(node, "col_offset", 0) + 1
            raise FormulaError(f"more than {DEEPEST} operations within one another", column)
        stack.extend((child, depth + 1) for child in ast.iter_child_nodes(node) if _counts(child))
    if count > MOST_NODES:
        raise FormulaError(f"a formula may have {MOST_NODES} parts; this one has {count}")


def _counts(node: ast.AST) -> bool:
    return isinstance(node, ast.expr | ast.keyword)


class _Builder:
    """Builds the nodes that need the catalogue, and refuses those outside the language."""

    def __init__(self, source: str, catalogue: Mapping[str, Definition]) -> None:
        self._source = re.sub(r"\s", " ", source).strip()
        self._skipped = len(source) - len(source.lstrip())
        self._catalogue = catalogue
        self._reader = Reader(self._source, self.build)

    def whole(self, parsed: ast.expr) -> Tree:
        """The whole formula."""
        return self._reader.read(parsed)

    def build(self, node: ast.expr) -> Tree | None:
        match node:
            case ast.Call():
                return self._call(node)
            case ast.Name(id=identifier) if identifier == "inf" or identifier.startswith("__"):
                raise self._error("is not a name for a parameter", node)
            case ast.Name(id=identifier) if self._is_function(identifier):
                raise self._error("this is a function: its argument follows in brackets", node)
            case ast.IfExp(test=test) if not isinstance(test, ast.Compare):
                raise self._error("a condition compares two numbers", test)
            case ast.Compare(ops=ops) if all(type(op) in COMPARISONS for op in ops):
                return None
            case ast.UnaryOp(op=ast.UAdd() | ast.USub()) | ast.IfExp() | ast.Name() | ast.Constant():
                return None
            case ast.BinOp(op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div() | ast.Pow()):
                return None
        raise self._error("this is not part of the formula language", node)

    def _error(self, message: str, node: ast.AST) -> FormulaError:
        return FormulaError(message, getattr(node, "col_offset", 0) + 1 + self._skipped)

    def _is_function(self, identifier: str) -> bool:
        return identifier in FUNCTIONS

    def _call(self, node: ast.Call) -> Tree:
        if not isinstance(node.func, ast.Name):
            raise self._error("only a function's name can stand before a bracket", node)
        called = node.func.id
        if called in FUNCTIONS and not node.keywords:
            return Tree(called, self._arguments(node, *_ARITY.get(called, (1, 1))))
        definition = self._catalogue.get(called)
        if definition is None:
            known = [*FUNCTIONS, *self._catalogue]
            near = nearest(called, known)
            advice = f"did you mean {' or '.join(near)}?" if near else "GET /functions lists the catalogue's"
            raise self._error(f"there is no such function; {advice}", node)
        return self._written_out(definition, node)

    def _arguments(self, node: ast.Call, least: int, most: int) -> tuple[Tree, ...]:
        if not least <= len(node.args) <= most:
            wanted = f"{least} to {most} arguments" if most > least else "one argument"
            raise self._error(f"this function takes {wanted}", node)
        return tuple(self._reader.read(each) for each in node.args)

    def _written_out(self, definition: Definition, node: ast.Call) -> Tree:
        (argument,) = self._arguments(node, 1, 1)
        defaults = {each: value for each, value in definition.defaults.items() if value is not None}
        values = {each: number(Fraction(value)) for each, value in defaults.items() if math.isfinite(value)}
        for given in node.keywords:
            if given.arg is None or given.arg not in definition.defaults:
                near = nearest(given.arg or "", definition.defaults)
                advice = f"; did you mean {' or '.join(near)}?" if near else ""
                raise self._error(f"this function has no such parameter{advice}", given)
            value = self._reader.read(given.value)
            if VARIABLE in names(value):
                raise self._error(f"a parameter does not depend on {VARIABLE}", given)
            values[given.arg] = value
        infinite = {
            each: 1 if value > 0 else -1
            for each, value in defaults.items()
            if each not in values and math.isinf(value)
        }
        for parameter in definition.defaults.keys() - values.keys() - infinite.keys():
            raise self._error(f"this function's parameter {parameter} must be given", node)
        return substitute(with_infinite(definition.tree, infinite), {**values, VARIABLE: argument})


def _check_power(node: Tree) -> None:
    if node.op != "**":
        return
    exponent = constant(node.args[1])
    if exponent is not None and abs(exponent) > LARGEST_POWER:
        raise FormulaError(f"an exponent lies between ±{LARGEST_POWER:,}")


def constant(node: Tree) -> Fraction | None:
    """The value of a part without names, where it is rational and not too large."""
    if node.op == "number":
        return node.number
    values = [constant(each) for each in node.args]
    if not values or any(value is None for value in values):
        return None
    a, b = (*values, Fraction(0))[:2]
    assert a is not None
    assert b is not None
    match node.op:
        case "neg":
            return -a
        case "+":
            return a + b
        case "-":
            return a - b
        case "*":
            return a * b
        case "/" if b:
            return a / b
        case "**" if b.denominator == 1 and abs(b) <= LARGEST_POWER and (a or b > 0):
            return _power(a, int(b))
    return None


def _power(base: Fraction, exponent: int) -> Fraction:
    bits = max(base.numerator.bit_length(), base.denominator.bit_length()) * abs(exponent)
    if bits > 20_000:
        raise FormulaError("a number in the formula is too large to work with")
    return base**exponent
