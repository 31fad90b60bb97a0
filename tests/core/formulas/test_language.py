"""The formula language: what it evaluates to, how it prints, and what it refuses."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest

from app.core.activations import REGISTRY
from app.core.activations.definition import Activation
from app.core.formulas.language import FUNCTIONS, Expression, FloatArithmetic, define
from tests.support.oracle import arithmetic

FLOAT = FloatArithmetic()
EXACT = arithmetic(220)


def value(text: str, **names: Any) -> Any:
    return Expression(text).evaluate(FLOAT, names)


def latex(text: str, **symbols: str) -> str:
    return Expression(text).latex(symbols)


# Values


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * 3", 7.0),
        ("(1 + 2) * 3", 9.0),
        ("2 - 3 - 4", -5.0),
        ("8 / 4 / 2", 1.0),
        ("2**3**2", 512.0),
        ("-2**2", -4.0),
        ("1 if 2 > 1 else 0", 1.0),
        ("1 if 0 < 1 < 0 else 2 if 1 != 1 else 3", 3.0),
        ("max(1, 3, 2) - min(1, 3, 2)", 2.0),
        ("abs(-2) + sign(-3) + sign(0)", 1.0),
        ("pi", math.pi),
        ("inf", math.inf),
        ("sum(i**2 for i in 4)", 14.0),
        ("sum(i for i in 5 if i != 3)", 7.0),
        ("max(i * (3 - i) for i in 4)", 2.0),
        ("sum(i for i in 0)", 0.0),
    ],
)
def test_values(text: str, expected: float) -> None:
    assert value(text) == expected
    assert Expression(text).evaluate(EXACT, {}) == EXACT.context.mpf(expected) or text == "pi"


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_both_arithmetics_mean_the_same_by_every_function(name: str) -> None:
    text = f"{name}(x, y)" if name in ("min", "max") else f"{name}(x)"
    for x in (0.3, 0.9):
        names = {"x": 1 + x if name == "acosh" else x, "y": 0.5}
        assert value(text, **names) == pytest.approx(
            float(Expression(text).evaluate(EXACT, names)), rel=1e-14
        )


def test_literals_are_the_decimal_numbers_they_say() -> None:
    one_tenth = Expression("0.1").evaluate(EXACT, {})
    assert one_tenth * 10 == 1
    assert one_tenth != EXACT.context.mpf(0.1)
    assert Expression("0.044715").evaluate(FLOAT, {}) == 0.044715


def test_only_the_branch_taken_is_evaluated() -> None:
    assert value("x if x > 0 else log(x)", x=2.0) == 2.0
    assert value("1 / x if x != 0 else 0", x=0.0) == 0.0


def test_subscripts() -> None:
    row, matrix = np.array([1.0, 2.0, 4.0]), np.array([[1.0, 2.0], [3.0, 4.0]])
    assert value("x[i] / sum(x[j] for j in n)", x=row, i=2, n=3) == 4 / 7
    assert value("w[p, i] * 10 + w[1, 0]", w=matrix, p=0, i=1) == 23.0
    assert value("x[i + n / 2]", x=row, i=0, n=4) == 4.0


def test_definitions() -> None:
    texts = {"s": "a + 1", "t[i]": "s * x[i]", "u[i, j]": "t[i] - t[j]"}
    names = define(
        {head: Expression(text) for head, text in texts.items()}, FLOAT, {"a": 1.0, "x": [1.0, 5.0]}
    )
    assert names["s"] == 2.0
    assert names["t"][1] == 10.0
    assert names["u"][1, 0] == 8.0


def test_a_given_name_keeps_its_value() -> None:
    assert define({"s": Expression("1")}, FLOAT, {"s": 5.0}) == {"s": 5.0}


def test_terms_are_those_of_the_outermost_sum() -> None:
    assert Expression("a - (b + c * d)").terms(FLOAT, {"a": 1, "b": 2, "c": 3, "d": 4}) == [1, 2, 12]
    assert Expression("a + b if a > 0 else a").terms(FLOAT, {"a": 1.0, "b": 2.0}) == [1.0, 2.0]
    assert Expression("a * (b + c)").terms(FLOAT, {"a": 2.0, "b": 1.0, "c": 1.0}) == [4.0]


def test_names_are_the_free_ones() -> None:
    assert Expression("exp(x[i]) / sum(exp(x[j]) for j in n) + pi").names == {"x", "i", "n"}
    assert Expression("x if x > lambd else 0").names == {"x", "lambd"}
    assert Expression("1").names == frozenset()


# LaTeX


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("x + 1", "x + 1"),
        ("a - (b - c)", r"a - \left(b - c\right)"),
        ("a - b - c", "a - b - c"),
        ("(a + b) * c", r"\left(a + b\right) \, c"),
        ("a * 2", r"a \cdot 2"),
        ("x / (1 + abs(x))", r"\frac{x}{1 + \left|x\right|}"),
        ("x**2", "x^{2}"),
        ("(x + 1)**2", r"\left(x + 1\right)^{2}"),
        ("exp(x)**2", r"\left(e^{x}\right)^{2}"),
        ("exp(-x**2)", "e^{-x^{2}}"),
        ("-x * y", r"-x \, y"),
        ("sqrt(x)", r"\sqrt{x}"),
        ("sigmoid(x)", r"\sigma\left(x\right)"),
        ("max(0, x)", r"\max\left(0, x\right)"),
        ("x if x > 0 else 0", r"\begin{cases}x & x > 0 \\ 0 & \text{otherwise}\end{cases}"),
        ("1 if 0 < x <= 6 else 0", r"\begin{cases}1 & 0 < x \le 6 \\ 0 & \text{otherwise}\end{cases}"),
        ("x[i]", "x_{i}"),
        ("w[p, i]", "w_{p, i}"),
        ("sum(x[j] for j in n)", r"\sum_{0 \le j < n} x_{j}"),
        ("sum(x[j] for j in n if j != i)", r"\sum_{0 \le j < n,\, j \ne i} x_{j}"),
        ("max(x[j] for j in n)", r"\max_{0 \le j < n} x_{j}"),
        ("2 * pi", r"2 \, \pi"),
        ("inf", r"\infty"),
    ],
)
def test_latex(text: str, printed: str) -> None:
    assert latex(text) == printed


def test_symbols_stand_for_names() -> None:
    assert latex("negative_slope * x", negative_slope="a") == r"a \, x"
    assert latex("exp(beta * x)", beta=r"\beta") == r"e^{\beta \, x}"


def balanced(text: str) -> bool:
    r"""Whether braces, \left and \right, \begin and \end pair up."""
    depth = 0
    for brace in re.findall(r"[{}]", text):
        depth += 1 if brace == "{" else -1
        if depth < 0:
            return False
    pairs = ((r"\\left(?![a-z])", r"\\right(?![a-z])"), (r"\\begin", r"\\end"))
    return depth == 0 and all(len(re.findall(a, text)) == len(re.findall(b, text)) for a, b in pairs)


def formulas_of(entry: Activation) -> list[Expression]:
    gradients = [each.gradient for each in entry.parameters if each.gradient is not None]
    facts = [*entry.range[1:-1].split(","), *filter(None, entry.limits), entry.largest_slope, *entry.kinks]
    stated = [*entry.formulas.orders, *entry.formulas.where.values(), *gradients, *entry.constraints]
    return [*stated, *map(entry.expression, facts)]


@pytest.mark.parametrize("entry", REGISTRY.values(), ids=lambda entry: entry.name)
def test_every_formula_prints(entry: Activation) -> None:
    for expression in formulas_of(entry):
        printed = expression.latex(entry.symbols)
        assert printed
        assert balanced(printed), printed
        # A name of more than one letter would be set as a product of letters.
        for name in expression.names:
            assert len(entry.symbols.get(name, name)) == 1 or "\\" in entry.symbols.get(name, ""), name


@pytest.mark.parametrize("entry", REGISTRY.values(), ids=lambda entry: entry.name)
def test_every_name_in_a_formula_means_something(entry: Activation) -> None:
    defined = {re.match(r"\w+", head)[0] for head in entry.formulas.where}  # type: ignore[index]
    indices = {"x", "n", "m", "i", "k"} | {
        index for head in entry.formulas.where for index in re.findall(r"\w+", head)
    }
    known = {each.name for each in entry.parameters} | entry.constants.keys() | defined | indices
    for expression in formulas_of(entry):
        assert expression.names <= known, expression.text


# Refusals


@pytest.mark.parametrize("text", ["", "x +", "x = 1", "import os", "x; y", "(", "1 if x"])
def test_what_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(SyntaxError):
        Expression(text)


@pytest.mark.parametrize(
    "text", ["open('x')", "eval(x)", "gamma(x)", "x.real()", "exp(x)(y)", "(lambda: 1)()", "__import__('os')"]
)
def test_a_function_outside_the_language_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a function of the formula language"):
        Expression(text)


@pytest.mark.parametrize("text", ["x and y", "[x]", "x.real", "lambda: x", "not x", "{x}", "f'{x}'"])
def test_a_construct_outside_the_language_is_refused(text: str) -> None:
    expression = Expression(text)
    with pytest.raises(ValueError, match="not part of the formula language"):
        expression.evaluate(FLOAT, {"x": 1.0, "y": 1.0})
    with pytest.raises(ValueError, match="not part of the formula language"):
        expression.latex({})


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(KeyError):
        value("y", x=1.0)
