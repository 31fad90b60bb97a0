"""The worst error of every function and order, as a table: ``python -m tests.support.accuracy`` writes it.

It is part of docs/numerics.md. Errors are in ulp of the exact value, or of the largest term of its sum where
the terms cancel to less than an eighth of it; exact values come from the entry's formula in ball arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from flint import arb, ctx

from app.core.activations.definition import Elementwise
from app.core.activations.registry import Call
from app.core.evaluation import activate
from tests.core.activations.test_promise import ELEMENTWISE, example, hard_points, random_points
from tests.support.balls import PRECISIONS, SETTLED, evaluate
from tests.support.oracle import exact, nearest_float

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "numerics.md"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
COUNT = 400
NORMAL = 2.3e-308


def error_of(entry: Elementwise, order: int, x: float, got: float, params: dict[str, float]) -> float:
    """The error in ulp; 0 where the exact value is no normal number."""
    expression = entry.formulas.orders[order]
    before = ctx.prec
    try:
        for ctx.prec in PRECISIONS:
            value = evaluate(entry, expression, x, params)
            if value.is_exact() or value.rel_accuracy_bits() > SETTLED:
                break
        truth = float(value)
        if not math.isfinite(truth) or not math.isfinite(got) or abs(truth) < NORMAL:
            return 0.0
        distance = float(abs(arb(got) - value))
    finally:
        ctx.prec = before
    error = distance / math.ulp(truth)
    if error > 1 and order:  # a sum may cancel here
        largest = nearest_float(exact(entry, expression, {"x": x, **params}, terms=True))
        error = distance / math.ulp(largest) if abs(truth) < abs(largest) / 8 else error
    return error


def worst(entry: Elementwise, order: int) -> tuple[float, float]:
    """The largest error and where it is."""
    params = example(entry)
    x = np.array([*hard_points(entry, params), *random_points(entry, COUNT)])
    answers = activate(Call(entry, dict(params)), x, order=2).orders[order]
    return max(
        (error_of(entry, order, point, got, params), point)
        for point, got in zip(x.tolist(), answers.tolist(), strict=True)
    )


def rows() -> Iterator[str]:
    """The table's lines."""
    yield "| function | f | f′ | f″ |"
    yield "|---|---:|---:|---:|"
    for entry in ELEMENTWISE:
        errors = [f"{worst(entry, order)[0]:.3f}" for order in range(3)]
        yield f"| {entry.name} | {' | '.join(errors)} |"


def main() -> None:
    """Puts the table into the document."""
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    DOCUMENT.write_text(f"{before}{BEGIN}\n{chr(10).join(rows())}\n{END}{after}")


if __name__ == "__main__":
    main()
