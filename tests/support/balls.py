"""A second reference: an entry's own formula in ball arithmetic, with proved bounds.

The formula's text is compiled into Python with balls for its literals, so that every value of a 16-bit
format can be checked in minutes. It is compared with mpmath on a sample.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import ml_dtypes
import numpy as np
from flint import arb, ctx

from app.core.activations.definition import Elementwise
from app.core.activations.formula import Expression

SETTLED = 60
"""Bits that are enough to compare with a double."""

PRECISIONS = (120, 400, 1600, 6400, 16_384)
"""Bits to work with until a comparison is certain."""


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + (-x).exp())


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "exp": lambda x: x.exp(),
    "expm1": lambda x: x.expm1(),
    "log": lambda x: x.log(),
    "log1p": lambda x: x.log1p(),
    "sqrt": lambda x: x.sqrt(),
    "abs": abs,
    "sign": lambda x: x.sgn(),
    "tanh": lambda x: x.tanh(),
    "cosh": lambda x: x.cosh(),
    "sech": lambda x: x.sech(),
    "sin": lambda x: x.sin(),
    "cos": lambda x: x.cos(),
    "atan": lambda x: x.atan(),
    "erf": lambda x: x.erf(),
    "erfc": lambda x: x.erfc(),
    "sigmoid": _sigmoid,
    "softplus": lambda x: x.exp().log1p(),
    "Phi": lambda x: (-x / arb(2).sqrt()).erfc() / 2,
    "phi": lambda x: (-x * x / 2).exp() / (2 * arb.pi()).sqrt(),
    "min": lambda *xs: min(xs),
    "max": lambda *xs: max(xs),
}


class _Literals(ast.NodeTransformer):
    """Numbers become calls that make balls of their decimal text."""

    def __init__(self, source: str) -> None:
        self._source = source

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        text = ast.get_source_segment(self._source, node) or ""
        call = ast.Call(ast.Name("ball", ast.Load()), [ast.Constant(text)], [])
        return ast.copy_location(call, node)

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        if isinstance(node.op, ast.Pow) and isinstance(node.right, ast.Constant):
            power = ast.BinOp(self.visit(node.left), node.op, ast.Constant(int(str(node.right.value))))
            return ast.copy_location(power, node)
        return self.generic_visit(node)


@cache
def _literal(text: str, precision: int) -> Any:
    del precision  # the context's, and part of the cache's key
    return arb(text)


@cache
def _compiled(expression: Expression) -> Any:
    tree = ast.parse(expression.text, mode="eval")
    return compile(ast.fix_missing_locations(_Literals(expression.text).visit(tree)), "<formula>", "eval")


def evaluate(entry: Elementwise, expression: Expression, x: float, params: Mapping[str, float]) -> Any:
    """The formula's value at x as a ball, in the precision of the context."""
    names: dict[str, Any] = {
        name: _literal(digits, ctx.prec) for name, (_, digits) in entry.constants.items()
    }
    names |= {name: arb(value) for name, value in params.items()}
    names |= {"x": arb(x), "pi": arb.pi(), "inf": arb("inf"), "ball": lambda text: _literal(text, ctx.prec)}
    for name, definition in entry.formulas.where.items():
        names[name] = _value(definition, names)
    return _value(expression, names)


def _value(expression: Expression, names: Mapping[str, Any]) -> Any:
    return eval(_compiled(expression), {"__builtins__": {}, **FUNCTIONS}, names)


class Undecided(AssertionError):
    """No precision decided on which side of a tie the exact value lies."""


def within(
    entry: Elementwise, expression: Expression, x: float, params: Mapping[str, float], low: float, high: float
) -> tuple[bool, bool]:
    """Whether the exact value certainly lies in [low, high], and whether it certainly is one of the ends."""
    before = ctx.prec
    try:
        for ctx.prec in PRECISIONS:
            value = evaluate(entry, expression, x, params)
            if value < low or value > high:
                return False, False
            if value > low and value < high:
                return True, False
            if value.is_exact() and value in (low, high):
                return True, True
    finally:
        ctx.prec = before
    raise Undecided(f"{expression.text} at {x!r} is too near an end to tell")


def nearest(entry: Elementwise, expression: Expression, x: float, params: Mapping[str, float]) -> float:
    """The exact value to fifteen digits or more; NaN where no precision was enough."""
    before = ctx.prec
    try:
        for ctx.prec in PRECISIONS:
            value = evaluate(entry, expression, x, params)
            if value.is_exact() or value.rel_accuracy_bits() > SETTLED:
                return float(value)
    finally:
        ctx.prec = before
    return float("nan")


def values_of(dtype: np.dtype[Any]) -> np.ndarray:
    """Every finite value of a format with 16 bits or fewer, in float64."""
    count = int(ml_dtypes.finfo(dtype).bits)  # type: ignore[no-untyped-call]
    bits = np.arange(2**count, dtype=f"u{dtype.itemsize}").view(dtype)
    with np.errstate(invalid="ignore"):  # some of the patterns are signalling NaNs
        values = bits.astype(np.float64)
    return values[np.isfinite(values)]


def rounding_intervals(
    answers: np.ndarray, dtype: np.dtype[Any]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The least and the greatest number that rounds to each answer, and whether the ends do so themselves.

    Beyond the largest number of a format without infinities is NaN.
    """
    finite = np.unique(values_of(dtype))
    top = finite[-1] + (finite[-1] - finite[-2]) / 2
    if np.isfinite(np.array(np.inf).astype(dtype).astype(float)):  # what overflows becomes the largest number
        top = np.inf
    ends = np.concatenate([[-np.inf, -top], (finite[1:] + finite[:-1]) / 2, [top, np.inf]])
    given = answers.astype(np.float64)
    overflown = np.where(np.isnan(given), np.inf, given)
    place = np.searchsorted(finite, overflown)
    place = np.where(overflown == -np.inf, -1, place)
    magnitude = np.abs(answers).view(f"u{dtype.itemsize}")
    return ends[place + 1], ends[place + 2], magnitude % 2 == 0
