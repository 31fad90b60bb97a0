"""Formulas as people type them: what is accepted, what is refused, and which column an error names."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.activations import REGISTRY
from app.core.activations.definition import Elementwise
from app.core.activations.from_formula import definitions
from app.core.formulas.reading import Formula, FormulaError, read
from app.core.formulas.tree import text
from tests.support.formulas import formulas

CATALOGUE = definitions(REGISTRY.values())
REFUSED_WITHIN = 0.05
"""Seconds of processor time."""


def reading(source: str) -> Formula:
    return read(source, CATALOGUE)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x*tanh( softplus(x) )", "x * tanh(softplus(x))"),
        ("elu(x, alpha=2)", "x if x > 0 else 2 * expm1(x)"),
        ("(x > 0) * x", "(1 if x > 0 else 0) * x"),
        ("x\n + 1", "x + 1"),
        ("-x**2", "-x**2"),
        ("a - (b - c)", "a - (b - c)"),
        ("0 < x < 1", "1 if 0 < x < 1 else 0"),
        ("1e-3 * x + 2.50", "0.001 * x + 2.5"),
    ],
)
def test_what_is_read(source: str, expected: str) -> None:
    assert text(reading(source).tree) == expected


def test_parameters_are_the_names_beside_x() -> None:
    assert reading("x * sigmoid(beta * x) + gelu(x) - alpha").parameters == ("alpha", "beta")


@pytest.mark.parametrize("entry", [each for each in REGISTRY.values() if isinstance(each, Elementwise)])
def test_every_elementwise_entry_can_be_called(entry: Elementwise) -> None:
    given = ", ".join(f"{each.name}=1" for each in entry.parameters if each.default is None)
    assert reading(f"2 * {entry.name}(x{', ' + given if given else ''})")


@pytest.mark.parametrize(
    ("source", "column", "words"),
    [
        ("9**9**9**9", None, "exponent"),
        ("(" * 300 + "x", 41, "brackets"),
        ("-" * 990 + "x", None, "within one another"),
        ("x" * 1001, None, "1,000 characters"),
        ("+".join(["x"] * 150), None, "within one another"),
        ("ｘ + 1", 1, "character"),
        ("x + \u0445", 5, "character"),
        ("__class__", 1, "name"),
        ("x.__class__", 2, "character"),
        ("1e999999", 1, "exponent"),
        ("x + 1e-401", 5, "exponent"),
        ("x if x else 2", 6, "condition"),
        ("2x", 2, "multiplication"),
        ("x^2", 2, "**"),
        ("lambda: x", 1, "word"),
        ("0 < x and x < 1", 7, "chain"),
        ("gellu(x)", 1, "gelu"),
        ("1 + tanh", 5, "function"),
        ("tanh(x, 2)", 1, "one argument"),
        ("elu(x, beta=1)", 8, "no such parameter"),
        ("elu(x, alpha=x)", 8, "depend"),
        ("max(x)", 1, "2 to 8"),
        ("x[0]", 2, "character"),
        ("sum(x for x in 3)", 7, "word"),
        ("__import__('os')", 12, "character"),
        ("(x", 1, "not closed"),
        ("x)", 2, "never opened"),
        ("x <", None, "not a valid"),
        ("", None, "expected"),
        ("2**((10**1000)**1000)", None, "too large"),
        ("gelu(" * 30 + "x" + ")" * 30, None, "too large"),
        ("exp(*x)", 5, "not part"),
    ],
)
def test_what_is_refused_and_where(source: str, column: int | None, words: str) -> None:
    with pytest.raises(FormulaError) as refused:
        reading(source)
    assert words in refused.value.message
    if column is not None:
        assert f"column {column}:" in refused.value.message
    assert len(refused.value.message) < 300


TOKENS = st.sampled_from(
    [
        *"x+-*/()<>=,. 019",
        "**",
        "if ",
        " else ",
        "tanh(",
        "gelu(",
        "elu(x, alpha=",
        "1e5",
        "__",
        "lambda",
        "\x00",
        "'",
        "\\",
        "é",
        "\u200b",
        "[",
        "{",
        "#",
        "\n",
        "@",
        "max(",
        "inf",
        "9**9",
        "1e99999999999",
        "not ",
        "yield",
        ":=",
    ]
)
SOURCES = st.one_of(st.text(max_size=60), st.lists(TOKENS, max_size=300).map("".join), formulas(40))


def survives(source: str) -> None:
    started = time.process_time()
    try:
        reading(source)
    except FormulaError:
        assert time.process_time() - started < REFUSED_WITHIN


@given(SOURCES)
@settings(max_examples=1000, deadline=None, derandomize=True)
def test_every_text_is_read_or_refused(source: str) -> None:
    survives(source)


@pytest.mark.study
@given(SOURCES)
@settings(max_examples=100_000, deadline=None)
def test_a_hundred_thousand_texts(source: str) -> None:
    survives(source)


@given(formulas(10))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_what_is_printed_is_read_as_the_same_tree(source: str) -> None:
    once = reading(source).tree
    assert reading(text(once)).tree is once
