"""Causes among the special inputs: NaN answered with numbers, zeros with the wrong sign."""

from __future__ import annotations

import numpy as np

from app.core.activations.definition import Elementwise, Text
from app.core.activations.registry import Call
from app.core.verification.evidence import Cause
from app.core.verification.judgement import Errors

NEAR_ZERO = 2.0**-20

SIGNS = 2
"""The most different answers to NaN that are reported: one, or one for each sign bit."""

RARE = 0.01
"""The share of wrong numbers above which the sign of a zero is chance."""


def special_cause(call: Call, order: int, found: Errors) -> Cause | None:
    """NaN that gives a number, or a zero of the wrong sign; its share is that of all wrong numbers."""
    wrong = found.judged & ~found.faithful
    swallowed = np.isnan(found.x) & wrong & ~np.isnan(found.output)
    given = np.unique(found.output[swallowed])
    if 0 < given.size <= SIGNS and swallowed.sum() > np.isnan(found.x).sum() / 2:
        shown = " or ".join(f"{each:.10g}" for each in given)
        summary = Text(
            f"For NaN the kernel answers {shown}.",
            f"입력이 NaN이면 커널이 {shown.replace(' or', ',')}을(를) 내놓습니다.",
        )
        return Cause("special_values", f"NaN: {shown}", float(swallowed.sum() / wrong.sum()), summary)
    if wrong.mean() < RARE and turns_zero(call, order, found):
        summary = Text("For +0 the kernel answers −0.", "입력이 +0이면 커널이 −0을 내놓습니다.")
        return Cause("special_values", "+0: -0", 1 / max(1, int(wrong.sum())), summary)
    return None


def turns_zero(call: Call, order: int, found: Errors) -> bool:
    """Whether +0 gives −0 where the function rises through zero."""
    assert isinstance(call.activation, Elementwise)
    zero = (found.x == 0) & ~np.signbit(found.x) & (found.exact.rounded == 0)
    turned = zero & (found.output == 0) & np.signbit(found.output)
    if not turned.any() or len(call.scalars) < len(call.params):
        return False
    sides = call.activation.orders(np.array([-NEAR_ZERO, NEAR_ZERO]), order + 1, **call.scalars)[order]
    return bool(sides[0] < 0 < sides[1])
