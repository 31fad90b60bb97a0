"""The formula language, under the name that entries import it by."""

from app.core.formulas.language import FUNCTIONS, Expression, FloatArithmetic, define

__all__ = ["FUNCTIONS", "Expression", "FloatArithmetic", "define"]
