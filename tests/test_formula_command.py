"""``activation-lab`` and a formula, answered in this process."""

from __future__ import annotations

import json

import pytest

from app.client import FormulaFacts
from app.command import main


def test_the_facts_of_a_formula(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe", "formula:max(0, b * x)", "--param", "b=2"]) == 0
    shown = {line[:14].strip(): line[14:].strip() for line in capsys.readouterr().out.splitlines()}
    assert shown["range"] == "0.0 to inf"
    assert shown["limits"] == "0.0 and inf"
    assert shown["largest slope"] == "2.0"
    assert shown["kinks at"] == "0.0"
    assert shown["zero-centred"] == "no"


def test_the_same_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe", "formula:x / (1 + exp(-x))", "--json"]) == 0
    assert FormulaFacts.model_validate(json.loads(capsys.readouterr().out)).same_as == "silu"


def test_derivatives_to_the_third(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["values", "formula:x**3 / 6", "1", "--order", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["f^(3)(x)"] == [1.0]
