"""Kernels that handle the numbers of their format wrongly: subnormals, other formats' bits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import ml_dtypes
import numpy as np

from app.core.activations.definition import Text
from app.core.arithmetic import Array
from app.core.arithmetic.formats import FORMATS, round_to
from app.core.formulas.stepwise import stepwise
from app.core.formulas.vectorised import stable
from app.core.verification.evidence import Base, Evidence, Places, Suspect
from app.core.verification.exact import doubles
from app.core.verification.suspects.insides import SHORT, exactly_at, own_format

DIGITS = 0.8
"""The share of the errors' digits that misread bits must predict."""

_FLUSHED = {
    "outputs": Text("answers", "결과"),
    "inputs": Text("inputs", "입력"),
    "inputs and outputs": Text("inputs and answers", "입력과 결과"),
    "inside": Text("intermediate results", "중간 결과"),
}


def flushed(values: Array, smallest: float) -> Array:
    """The values, with those below the ``smallest`` flushed to zero."""
    return np.where(np.abs(values) < smallest, 0.0, values)


def flushing_kernels(seen: Evidence, base: Base) -> Iterator[Suspect]:
    """Kernels that flush subnormal inputs, answers or intermediate results to zero."""
    tiny = seen.smallest_normal

    def outputs(places: Places) -> Array:
        return flushed(seen.right[places], tiny)

    def inputs(places: Places) -> Array:
        x = seen.x[places]
        at_zero = exactly_at(seen, base, places, np.zeros_like(x))
        return np.where(flushed(x, tiny) == x, seen.right[places], at_zero)

    def both(places: Places) -> Array:
        return flushed(inputs(places), tiny)

    kinds: dict[str, Callable[[Places], Array]] = {
        "outputs": outputs,
        "inputs": inputs,
        "inputs and outputs": both,
    }
    for detail, predicted in kinds.items():
        yield _flushing(detail, predicted, 0.0, (detail, *base.key))
    single = float(np.finfo(np.float32).tiny)
    smallest = max(seen.smallest_normal, single if seen.dtype != FORMATS["float64"] else 0.0)
    inside = own_format(seen.dtype) if seen.dtype == FORMATS["float64"] else SHORT[0]

    def step(values: Array) -> Array:
        rounded = inside.rounded(values)
        return np.where(np.abs(rounded) < smallest, 0.0, rounded)

    for root in dict.fromkeys((base.tree, stable(base.tree))):
        other = Base(root, base.params)
        yield _flushing("inside", partial(_steps, seen, other, step), 0.01, ("inside", *other.key))


def _steps(seen: Evidence, base: Base, step: Callable[[Array], Array], places: Places) -> Array:
    """The answers of a kernel that flushes intermediate results, where that changes more than a digit."""
    right = seen.right[places]
    found = stepwise(base.tree, seen.variables(base, places), base.params, step).values
    return np.where((found == 0) & (right != 0), found, right)


MOST_LEVELS = 4096
"""The most different answers that are recognised as fixed-point numbers: 12 bits."""


def fixed_point_answers(seen: Evidence) -> Iterator[Suspect]:
    """The exact answers as whole steps from a least to a largest one."""
    levels = np.unique(seen.output[np.isfinite(seen.output)])
    if not 2 < levels.size <= MOST_LEVELS:
        return
    low, high = float(levels[0]), float(levels[-1])
    with np.errstate(all="ignore"):
        step = (high - low) / np.rint((high - low) / np.diff(levels).min())
        counts = (levels - low) / step
    if not np.isfinite(counts).all() or (np.abs(counts - np.rint(counts)) > 2.0**-10).any():
        return
    top = np.abs(seen.output) == max(-low, high)
    if step <= float(seen.unit[top].max(initial=0.0)):  # steps no wider than the format's own spacing
        return

    def predicted(places: Places) -> Array:
        with np.errstate(all="ignore"):
            found: Array = np.clip(low + np.rint((seen.exact[places] - low) / step) * step, low, high)
        return found

    detail = f"steps of {step:.10g} from {low:.10g} to {high:.10g}"
    summary = Text(
        f"The answers are fixed-point numbers: {detail}.",
        f"결과가 고정소수점 수입니다. {low:.10g}부터 {high:.10g}까지 {step:.10g} 간격입니다.",
    )
    yield Suspect("low_precision", detail, summary, predicted)


def _flushing(
    detail: str, predicted: Callable[[Places], Array], price: float, key: tuple[object, ...]
) -> Suspect:
    what = _FLUSHED[detail]
    summary = Text(
        f"Subnormal {what.en} are flushed to zero.", f"준정규수인 {what.ko}을(를) 0으로 처리합니다."
    )
    return Suspect("flushed_subnormals", detail, summary, predicted, price=price, key=("flushed", *key))


def other_formats(seen: Evidence, base: Base) -> Iterator[Suspect]:
    """Inputs or answers whose bits are those of another format of the same size."""
    bits = {2: np.uint16, 1: np.uint8}.get(seen.dtype.itemsize)
    if bits is None:
        return
    for name, other in FORMATS.items():
        facts: Any = ml_dtypes.finfo(other)  # type: ignore[no-untyped-call]
        if other == seen.dtype or other.itemsize != seen.dtype.itemsize or facts.bits != 8 * other.itemsize:
            continue

        def taken(places: Places, other: np.dtype[Any] = other) -> Array:
            patterns = round_to(seen.x[places], seen.dtype).view(bits)
            return exactly_at(seen, base, places, doubles(patterns.view(other)))

        def given(values: Array, other: np.dtype[Any] = other) -> Array:
            return doubles(round_to(values, other).view(bits).view(seen.dtype))

        ways: dict[str, Callable[[Places], Array]] = {
            "inputs": taken,
            "outputs": lambda places, given=given: given(seen.exact[places]),  # type: ignore[misc]
            "inputs and outputs": lambda places, given=given, taken=taken: given(taken(places)),  # type: ignore[misc]
        }
        for what, predicted in ways.items():
            summary = Text(
                f"The {what} are those of {name}: their bits were taken for {seen.dtype.name}.",
                f"{_KOREAN[what]}이 실제로는 {name} 형식인데 그 비트를 {seen.dtype.name}(으)로 읽었습니다.",
            )
            key = ("bits", name, what, *base.key)
            detail = f"{name} {what}"
            yield Suspect("wrong_dtype", detail, summary, predicted, key=key, least_gain=DIGITS)


_KOREAN = {"inputs": "입력", "outputs": "출력", "inputs and outputs": "입력과 출력"}
