"""A tree compiled to nested closures, in any arithmetic; no text is ever executed.

Constant subexpressions are evaluated once, when the closures are made. A subexpression that occurs more than
once is evaluated once a call, and of a condition only the branch that is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

from app.core.formulas.tree import CONDITIONS, Tree, walk

Closure: TypeAlias = Callable[[list[Any]], Any]
"""Evaluates a subexpression, from the variables' values and then those of shared parts (None until known)."""


@dataclass(frozen=True)
class Arithmetic:
    """What a tree is evaluated in.

    ``varying`` and ``fixed`` are the operations on parts that depend on the series' variable and on those
    that do not; ``compare`` the comparisons. With ``choose`` both branches of a condition are evaluated and
    it selects between them elementwise; ``every`` is then the logical and of conditions. An operand that
    raises ``undefined`` compares like NaN: only != is true.
    """

    number: Callable[[Fraction], Any]
    pi: Callable[[], Any]
    fixed: Mapping[str, Callable[..., Any]]
    varying: Mapping[str, Callable[..., Any]]
    compare: Mapping[str, Callable[[Any, Any], Any]]
    choose: Callable[[Any, Any, Any], Any] | None = None
    every: Callable[..., Any] | None = None
    undefined: type[ArithmeticError] | None = None


def function(
    root: Tree,
    arithmetic: Arithmetic,
    variables: Sequence[str],
    varying: frozenset[str],
    constants: Mapping[str, Any],
) -> Callable[[Sequence[Any]], Any]:
    """``root`` as a function of ``variables``, in this order, with values for its ``constants``.

    ``varying`` names the variables that are passed as series, for the arithmetic's ``varying`` operations.
    """
    builder = _Builder(root, arithmetic, variables, varying, constants)
    body = builder.closure(root)
    empty = [None] * builder.shared

    def call(values: Sequence[Any]) -> Any:
        return body([*values, *empty])

    return call


class _Constant:
    """A closure that returns a known value, which the builder reads to fold constants."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __call__(self, _: list[Any]) -> Any:
        return self.value


class _Builder:
    def __init__(
        self,
        root: Tree,
        arithmetic: Arithmetic,
        variables: Sequence[str],
        varying: frozenset[str],
        constants: Mapping[str, Any],
    ) -> None:
        self._arithmetic = arithmetic
        self._places = {name: place for place, name in enumerate(variables)}
        self._varying_names = varying
        self._constants = constants
        self._varies: dict[Tree, bool] = {}
        self._made: dict[Tree, Closure] = {}
        uses: dict[Tree, int] = {}
        for node in walk(root):
            self._varies[node] = self._is_varying(node)
            for each in node.args:
                uses[each] = uses.get(each, 0) + 1
        self._uses = uses
        self._first_slot = len(variables)
        self.shared = 0

    def _is_varying(self, node: Tree) -> bool:
        if node.op == "name":
            return node.leaf in self._varying_names
        return any(self._varies[each] for each in node.args)

    def closure(self, node: Tree) -> Closure:
        """The subexpression's closure, one for all its occurrences."""
        made = self._made.get(node)
        if made is None:
            made = self._closure(node)
            if self._uses.get(node, 0) > 1 and node.args and not isinstance(made, _Constant):
                made = self._remembered(made)
            self._made[node] = made
        return made

    def _remembered(self, inner: Closure) -> Closure:
        slot = self._first_slot + self.shared
        self.shared += 1

        def shared(values: list[Any]) -> Any:
            value = values[slot]
            if value is None:
                value = values[slot] = inner(values)
            return value

        return shared

    def _closure(self, node: Tree) -> Closure:
        match node.op:
            case "number":
                return _Constant(self._arithmetic.number(node.number or Fraction(0)))
            case "constant":
                return _Constant(self._arithmetic.pi())
            case "name":
                return self._name(str(node.leaf))
            case "if":
                return self._choice(*map(self.closure, node.args))
            case "list":
                parts = [self.closure(each) for each in node.args]
                return lambda values: [part(values) for part in parts]
            case "and":
                return self._all([self.closure(each) for each in node.args])
            case op if op in CONDITIONS:
                sides = [self.closure(each) for each in node.args]
                return self._condition(op, _applied(self._arithmetic.compare[op], sides))
        table = self._arithmetic.varying if self._varies[node] else self._arithmetic.fixed
        return _applied(table[node.op], [self.closure(each) for each in node.args])

    def _name(self, name: str) -> Closure:
        if name not in self._places:
            return _Constant(self._constants[name])
        place = self._places[name]
        return lambda values: values[place]

    def _condition(self, op: str, compare: Closure) -> Closure:
        undefined = self._arithmetic.undefined
        if undefined is None or isinstance(compare, _Constant):
            return compare

        def holds(values: list[Any]) -> Any:
            try:
                return compare(values)
            except undefined:
                return op == "!="

        return holds

    def _choice(self, test: Closure, body: Closure, orelse: Closure) -> Closure:
        if self._arithmetic.choose is not None:
            return _applied(self._arithmetic.choose, [test, body, orelse])
        if isinstance(test, _Constant):
            return body if test.value else orelse
        return lambda values: body(values) if test(values) else orelse(values)

    def _all(self, tests: list[Closure]) -> Closure:
        if self._arithmetic.every is not None:
            return _applied(self._arithmetic.every, tests)
        if all(isinstance(test, _Constant) for test in tests):
            return _Constant(all(test([]) for test in tests))
        return lambda values: all(test(values) for test in tests)


def _applied(operation: Callable[..., Any], arguments: list[Closure]) -> Closure:
    if all(isinstance(each, _Constant) for each in arguments):
        try:
            return _Constant(operation(*(each([]) for each in arguments)))
        except ArithmeticError:  # perhaps in a branch that is never taken: left to the call
            pass
    if len(arguments) == 1:
        (only,) = arguments
        return lambda values: operation(only(values))
    if len(arguments) == 2:
        return _binary(operation, *arguments)
    return lambda values: operation(*(each(values) for each in arguments))


def _binary(operation: Callable[..., Any], first: Closure, second: Closure) -> Closure:
    if isinstance(first, _Constant):
        left = first.value
        return lambda values: operation(left, second(values))
    if isinstance(second, _Constant):
        right = second.value
        return lambda values: operation(first(values), right)
    return lambda values: operation(first(values), second(values))
