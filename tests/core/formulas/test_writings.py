"""The equivalent forms of a formula are the same function, checked with mpmath."""

from __future__ import annotations

import numpy as np
import pytest

from app.core.activations import REGISTRY
from app.core.activations.definition import Elementwise
from app.core.activations.formula import Expression
from app.core.activations.from_formula import tree_of
from app.core.arithmetic.formats import FORMATS, round_to
from app.core.formulas.stepwise import stepwise
from app.core.formulas.tree import text
from app.core.formulas.vectorised import stable
from app.core.formulas.writings import MOST, writings
from tests.support.oracle import arithmetic

MP = arithmetic(440)
POINTS = (-2.0, 0.7, 5.25)

FORMULAS = [
    (entry, order)
    for entry in REGISTRY.values()
    if isinstance(entry, Elementwise) and len(entry.defaults) == len(entry.parameters)
    for order in range(len(entry.formulas.orders))
    if all(np.isfinite(list(entry.defaults.values())))
]
assert FORMULAS


@pytest.mark.parametrize(
    ("entry", "order"), FORMULAS, ids=[f"{entry.name}-{order}" for entry, order in FORMULAS]
)
def test_writings_are_the_same_function(entry: Elementwise, order: int) -> None:
    root = tree_of(entry, entry.formulas.orders[order])
    forms = [each for start in (root, stable(root)) for each in writings(start)]
    assert forms[0].tree is root
    assert len(forms) <= 2 * MOST
    own = (entry.writings, entry.slope_writings, ())[order]
    params = {name: MP.context.mpf(value) for name, value in entry.defaults.items()}
    for x in POINTS:
        values = {"x": MP.context.mpf(x), **params}
        right = Expression(text(root)).evaluate(MP, values)
        for expression in [*own, *(Expression(text(each.tree)) for each in forms)]:
            found = expression.evaluate(MP, values)
            assert abs(found - right) <= (abs(right) + 1) * MP.context.mpf(2) ** -400, (x, expression.text)


def test_steps_are_rounded_and_watched() -> None:
    """1 + e^x in bfloat16: what is rounded, what cancels, what overflows, worked out by hand."""
    root = tree_of(REGISTRY["softplus"], Expression("log(1 + exp(x)) - x"))

    def rounded(values: np.ndarray) -> np.ndarray:
        return round_to(np.asarray(values, np.float64), FORMATS["bfloat16"]).astype(np.float64)

    x = np.array([-8.0, 1.0, 4.0, 100.0])
    steps = stepwise(root, {"x": x}, {}, rounded)
    # e^1 is 2.71875; 1 + that 3.71875; its logarithm 1.3125; minus 1
    assert steps.values[1] == 0.3125
    assert steps.values[0] == 8.0  # e^−8 is lost beside 1
    assert np.isinf(steps.values[3])
    assert steps.overflow.tolist() == [False, False, False, True]
    assert steps.cancellation[0] == np.inf  # the logarithm of 1
    assert steps.cancellation[2] >= 64  # 4.03125 − 4
