"""Formulas drawn at random from the grammar, and their values by mpmath."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from hypothesis import strategies as st

from app.core.formulas.language import FUNCTIONS, Expression
from tests.support.oracle import MpArithmetic

NUMBERS = ("0", "1", "2", "3", "0.5", "0.1", "1.702", "0.044715", "1e-3", "7")
OF_ONE = sorted(set(FUNCTIONS) - {"min", "max", "log2", "log10"})


def formulas(most: int = 12) -> st.SearchStrategy[str]:
    """Texts of formulas in x."""
    leaves = st.sampled_from(["x", "x", "x", "pi", *NUMBERS])

    def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        binary = st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})")
        call = st.tuples(st.sampled_from(OF_ONE), inner).map(lambda t: f"{t[0]}({t[1]})")
        whole = st.tuples(inner, st.sampled_from(["2", "3", "(-1)"])).map(lambda t: f"({t[0]})**{t[1]}")
        # mpmath continues with complex numbers for such a power of a negative one.
        broken = st.tuples(inner, st.sampled_from(["0.5", "(1 / 3)", "2.5"])).map(
            lambda t: f"abs({t[0]})**{t[1]}"
        )
        extreme = st.tuples(st.sampled_from(["min", "max"]), inner, inner).map(
            lambda t: f"{t[0]}({t[1]}, {t[2]})"
        )
        choice = st.tuples(inner, inner, st.sampled_from(["<", "<=", ">", ">=", "=="]), inner, inner).map(
            lambda t: f"({t[0]} if {t[1]} {t[2]} {t[3]} else {t[4]})"
        )
        negative = inner.map(lambda text: f"-({text})")
        return st.one_of(binary, binary, call, call, whole, broken, extreme, choice, negative)

    return st.recursive(leaves, larger, max_leaves=most)


class _Judge(MpArithmetic):
    """mpmath without the points at which it takes hours, such as e^1e900 and its cosine.

    Points with an intermediate result that is not real are left out, too.
    """

    def function(self, name: str) -> Callable[..., Any]:
        inner = super().function(name)
        unbounded = name in ("min", "max", "abs", "sqrt", "log", "log1p", "sign")

        def bounded(*arguments: Any) -> Any:
            if any(not self.context.isfinite(u) or self.context.im(u) for u in arguments):
                raise ValueError("no real number")
            if not unbounded and any(abs(u) > 1e12 for u in arguments):
                raise ValueError("too large to judge")
            value = inner(*arguments)
            if self.context.im(value):
                raise ValueError("no real number")
            return value

        return bounded


_judge = cache(_Judge)


def truth(text: str, x: float, bits: int) -> Any:
    """The formula's value by mpmath with so many bits; None where that is no real number."""
    judge = _judge(bits)
    try:
        value = Expression(text).evaluate(judge, {"x": judge.context.mpf(x)})
        value = judge.context.mpf(value)
    except (ArithmeticError, ValueError, TypeError):
        return None
    return value if judge.context.isfinite(value) else None


def settled(text: str, x: float) -> Any:
    """The value to 60 digits, once two precisions agree on it; None where they do not."""
    values = [truth(text, x, bits) for bits in (300, 2600)]  # the latter tells 1 + 5e-324 from 1
    if values[0] is None or values[1] is None:
        return None
    difference = abs(values[1] - values[0])
    return values[1] if difference <= abs(values[1]) * 2.0**-200 or difference == 0 else None
