"""The table of worst errors in docs/numerics.md has every function, and the errors that are measured."""

from __future__ import annotations

import pytest

from app.core.activations.definition import Elementwise
from tests.core.activations.test_promise import BOUND, ELEMENTWISE
from tests.support.accuracy import BEGIN, DOCUMENT, END, rows, worst

TABLE = DOCUMENT.read_text().partition(BEGIN)[2].partition(END)[0].strip().splitlines()


def test_every_function_is_in_the_table_and_within_the_promise() -> None:
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in TABLE[2:]]
    assert [line[0] for line in lines] == [entry.name for entry in ELEMENTWISE]
    for _, *errors in lines:
        assert all(float(error) <= bound for error, bound in zip(errors, BOUND, strict=True))


@pytest.mark.parametrize("entry", ELEMENTWISE[::9], ids=lambda entry: entry.name)
def test_some_lines_are_the_measured_errors(entry: Elementwise) -> None:
    errors = [f"{worst(entry, order)[0]:.3f}" for order in range(3)]
    assert f"| {entry.name} | {' | '.join(errors)} |" in TABLE


@pytest.mark.slow
def test_the_table_is_the_measured_errors() -> None:
    assert list(rows()) == TABLE
