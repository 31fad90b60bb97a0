"""Kernels of functions that mix elements whose numbers are rounded, truncated, flushed or clamped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from app.core.activations.definition import Text
from app.core.arithmetic import Array
from app.core.verification.evidence import Evidence, Mask, Places, Suspect
from app.core.verification.suspects.ends import onset
from app.core.verification.suspects.insides import (
    SHORT,
    SHORTEST,
    TF32,
    TF32_CUT,
    Inside,
    cut_answers,
    exactly,
    holds,
    mantissa_bits,
    own_format,
    passing,
)
from app.core.verification.suspects.numbers import flushed
from app.core.verification.suspects.rows import RowKernel, gated


def rounded_rows(kernel: RowKernel, seen: Evidence) -> Iterator[Suspect]:
    """Inputs, or answers, that were rounded to a shorter format."""
    own = mantissa_bits(kernel.dtype)
    for inside in (*SHORT, TF32, TF32_CUT, *SHORTEST):
        if inside.bits >= own:
            continue
        short = holds(seen, inside)
        if short:
            yield passing(inside, "answers", "결과", partial(_at, inside.rounded(seen.exact)))
        if kernel.is_light:
            values = kernel.of_rows(inside.rounded(kernel.rows))[kernel.use]
            yield passing(inside, "inputs", "입력", partial(_at, values))
            if short:
                both = partial(_at, inside.rounded(values))
                yield passing(inside, "inputs and answers", "입력과 결과", both)
    yield from cut_answers(seen)


def flushing_rows(kernel: RowKernel, seen: Evidence) -> Iterator[Suspect]:
    """Subnormal inputs taken, or answers given, as zero."""
    tiny = seen.smallest_normal
    summaries = {
        "outputs": Text("Subnormal answers are flushed to zero.", "준정규수인 결과를 0으로 처리합니다."),
        "inputs": Text("Subnormal inputs are flushed to zero.", "준정규수인 입력을 0으로 처리합니다."),
    }
    answers = {"outputs": flushed(seen.right, tiny)}
    if kernel.is_light:
        answers["inputs"] = kernel.of_rows(flushed(kernel.rows, tiny))[kernel.use]
    for detail, values in answers.items():
        yield Suspect("flushed_subnormals", detail, summaries[detail], partial(_at, values))


def held_halves(kernel: RowKernel, remaining: Mask) -> Iterator[Suspect]:
    """One half of a gated unit clamped between bounds."""
    if not kernel.gates:
        return
    for place, (name, korean) in enumerate((("first", "앞쪽"), ("second", "뒤쪽"))):
        half = kernel.pairs[place].ravel()[kernel.use]
        bounds = {sign: onset(sign * half, remaining) for sign in (1, -1)}
        for sign, bound in bounds.items():
            if bound is None:
                continue
            for low, high in ((-bound, bound), (-np.inf, bound) if sign > 0 else (-bound, np.inf)):
                pairs = list(kernel.pairs)
                pairs[place] = np.clip(pairs[place], low, high)
                sign_text = "±" if np.isfinite(low + high) else "" if sign > 0 else "−"
                summary = Text(
                    f"The {name} half is clamped at {sign_text}{bound:.10g}.",
                    f"{korean} 절반이 {sign_text}{bound:.10g}에서 잘립니다.",
                )
                detail = f"{name} half at {sign_text}{bound:.10g}"
                yield kernel.suspect("clamp", detail, summary, kernel.of_pairs(*pairs), 0.02)


def short_gates(kernel: RowKernel, seen: Evidence) -> Iterator[Suspect]:
    """The gate rounded before it multiplies the value, as where two kernels run one after the other."""
    own = own_format(kernel.dtype)
    insides = [each for each in (own, *SHORT, TF32) if each.bits <= own.bits and each.bits < SHORT[0].bits]
    for call, gate, value in gated(kernel, seen):
        answers = exactly(replace(seen, call=call).base, gate)
        with np.errstate(all="ignore"):
            alone = np.where(gate == 0, np.nan, answers / gate * value)
        summary = Text(
            "The step is not multiplied by the gate's input.",
            "게이트의 계단 함수에 그 입력을 곱하지 않았습니다.",
        )
        yield Suspect("other_variant", "the step alone", summary, partial(_at, alone), price=0.02)
        for inside in dict.fromkeys(insides):
            summary = Text(
                f"The gate is rounded to {inside.name} before it is multiplied.",
                f"게이트를 곱하기 전에 {inside.name}(으)로 반올림했습니다.",
            )
            values = partial(_times, inside, answers, value)
            yield Suspect("low_precision", f"{inside.name} gate", summary, values, price=0.01)
            with np.errstate(all="ignore"):
                step = np.where(gate == 0, 0.0, answers / gate)
            summary = Text(
                f"The step that the gate's input is multiplied by is rounded to {inside.name}.",
                f"게이트 입력에 곱하는 값을 {inside.name}(으)로 반올림했습니다.",
            )
            values = partial(_times, inside, step, gate * value)
            yield Suspect("low_precision", f"{inside.name} step of the gate", summary, values, price=0.02)


def _times(inside: Inside, gate: Array, value: Array, places: Places) -> Array:
    with np.errstate(all="ignore"):
        found: Array = inside.rounded(gate[places]) * value[places]
    return found


def _at(values: Array, places: Places) -> Array:
    found: Array = values[places]
    return found
