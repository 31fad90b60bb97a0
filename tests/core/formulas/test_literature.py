"""Activations of the literature, typed as formulas: their values by mpmath, and the page's table."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.core.activations import REGISTRY
from app.core.activations.from_formula import FormulaActivation
from app.core.arithmetic.rounding import Rounding
from app.core.formulas.proving import Part, prove
from app.core.formulas.tree import name, number, substitute, text
from tests.support.formulas import settled
from tests.support.literature import PUBLISHED, Published, row
from tests.support.oracle import nearest_float

PAGE = (Path(__file__).parents[3] / "docs" / "formulas.md").read_text()
POINTS = (-25.0, -7.3, -2.0, -1.0, -0.31, 0.0, 1e-9, 0.5, 1.0, 2.0, 3.9, 25.0)

each_published = pytest.mark.parametrize("published", PUBLISHED, ids=lambda each: each.name)


@each_published
def test_values_are_mpmath_s(published: Published) -> None:
    call = REGISTRY.resolve(f"formula:{published.formula}", published.params)
    assert isinstance(call.activation, FormulaActivation)
    tree = call.activation.formula.tree
    found = prove(Part(tree), {"x": np.array(POINTS), **published.params}, Rounding(np.dtype(np.float64)))
    assert found.proved.all()
    given = {each: number(Fraction(value)) for each, value in published.params.items()}
    written = text(substitute(tree, {**given, "x": name("x")}))
    for place, x in enumerate(POINTS):
        exact = settled(written, x)
        assert exact is not None
        assert found.orders[0, place] == nearest_float(exact), x
        assert call.activation.orders(np.array([x]), 1, **dict[str, Any](published.params))[
            0, 0
        ] == pytest.approx(nearest_float(exact), rel=1e-11, abs=1e-15)


@each_published
def test_the_page_shows_it(published: Published) -> None:
    assert f"`{published.formula}`" in PAGE


@pytest.mark.slow
@each_published
def test_the_page_s_figures_are_what_is_computed(published: Published) -> None:
    assert row(published) in PAGE
