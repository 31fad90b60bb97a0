"""Minimum quality of the causes: on kernels whose fault is known, and kernels without one."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from app.core.activations import REGISTRY
from app.core.activations.definition import Rowwise
from app.core.arithmetic import Array
from app.core.arithmetic.formats import FORMATS, round_to
from app.core.arithmetic.rounding import Rounding
from app.core.jobs import ignore
from app.core.verification.exact import doubles, exact_orders
from app.core.verification.job import Report, Verification
from app.core.verification.rows import RowVerification
from tests.core.verification import (
    planted,
    planted_afterwards,
    planted_examiner,
    planted_fresh,
    planted_public,
)
from tests.core.verification.planted import Planted, inputs, outputs
from tests.core.verification.planted_afterwards import Row, Slope
from tests.core.verification.planted_examiner import Examined, answers
from tests.core.verification.planted_others import OTHER_FAULTS, OTHER_RIGHT
from tests.core.verification.planted_public import Specimen

FAULTS = (*planted.FAULTS, *OTHER_FAULTS)
RIGHT = (*planted.RIGHT, *OTHER_RIGHT)

ALLOWED = 27 / 30
"""Least fraction of the faults whose right cause is named first."""

assert len(FAULTS) >= 30
assert len(RIGHT) >= 10


def judged(kernel: Planted) -> Report:
    x, answers = outputs(kernel)
    call = REGISTRY.resolve(kernel.function, kernel.params)
    return Verification(call, FORMATS[kernel.dtype], x, (answers, None, None))(map, ignore)


@pytest.fixture(scope="module")
def reports() -> list[tuple[Planted, Report]]:
    return [(each, judged(each)) for each in FAULTS]


@pytest.mark.slow
def test_faults_are_caught(reports: list[tuple[Planted, Report]]) -> None:
    missed = [each for each, report in reports if not report.causes]
    assert len(missed) <= len(FAULTS) // 30, missed


@pytest.mark.slow
def test_the_right_cause_is_named_first(reports: list[tuple[Planted, Report]]) -> None:
    wrong = [
        (each.name, each.function, each.dtype, report.causes[:1])
        for each, report in reports
        if not report.causes or report.causes[0].cause != each.cause
    ]
    assert len(wrong) <= (1 - ALLOWED) * len(FAULTS), wrong


@pytest.mark.slow
def test_shares_are_shares(reports: list[tuple[Planted, Report]]) -> None:
    for each, report in reports:
        assert all(0 < cause.explains <= 1 for cause in report.causes), each
        assert all(cause.summary.en and cause.summary.ko and cause.detail for cause in report.causes), each
        assert not any(re.search(r"\((를|가|는|와|으)\)", cause.summary.ko) for cause in report.causes), each


@pytest.mark.parametrize("kernel", RIGHT, ids=lambda each: f"{each.name} {each.function} {each.dtype}")
def test_right_kernels_are_not_accused(kernel: Planted) -> None:
    assert not judged(kernel).causes


def test_three_right_kernels_are_not_correctly_rounded() -> None:
    states = [judged(each).verdict.state for each in RIGHT]
    assert sum(state != "correctly_rounded" for state in states) >= 3


# Kernels of an examiner


def examined(kernel: Examined) -> Report:
    x, found = answers(kernel)
    call = REGISTRY.resolve(kernel.planted.function, kernel.planted.params)
    return Verification(call, FORMATS[kernel.planted.dtype], x, (found, None, None))(map, ignore)


@pytest.mark.slow
def test_an_examiner_s_faults_are_caught_and_named() -> None:
    missed, wrong = [], []
    for each in planted_examiner.FAULTS:
        report = examined(each)
        if report.verdict.state in {"correctly_rounded", "faithful"} and not report.causes:
            missed.append(each.planted[:4])
        first = report.causes[0].cause if report.causes else None
        if first != each.planted.cause and first not in each.also:
            wrong.append((*each.planted[:4], first))
    assert not missed
    assert len(wrong) <= (1 - ALLOWED) * len(planted_examiner.FAULTS), wrong


@pytest.mark.parametrize(
    "kernel",
    planted_examiner.RIGHT,
    ids=lambda each: f"{each.planted.name} {each.planted.function} {each.planted.dtype}",
)
def test_an_examiner_s_right_kernels_are_not_accused(kernel: Examined) -> None:
    assert not examined(kernel).causes


# Kernels that were written after the causes


def held(values: NDArray[Any], dtype: str) -> Array:
    with np.errstate(all="ignore"):
        return doubles(round_to(values.astype(np.float64), FORMATS[dtype]))


def judged_row(kernel: Row) -> Report:
    x, call = kernel.x, REGISTRY.resolve(kernel.function, kernel.params)
    assert kernel.outputs is not None
    with np.errstate(all="ignore"):
        found = held(kernel.outputs(x), kernel.dtype)
        jacobian = None if kernel.jacobian is None else held(kernel.jacobian(x), kernel.dtype)
    return RowVerification(call, FORMATS[kernel.dtype], x, found, jacobian=jacobian)(map, ignore)


def judged_slope(kernel: Slope) -> Report:
    x, dtype = inputs(kernel.dtype), FORMATS[kernel.dtype]
    call = REGISTRY.resolve(kernel.function, {})
    value = exact_orders(call, doubles(x), 1, Rounding(dtype))[0].rounded
    with np.errstate(all="ignore"):
        found = held(kernel.kernel(x), kernel.dtype)
    return Verification(call, dtype, doubles(x), (value, found, None))(map, ignore)


@pytest.mark.slow
def test_rows_and_slopes_are_named() -> None:
    reports = [(each, judged_row(each)) for each in planted_afterwards.ROWS]
    reports += [(each, judged_slope(each)) for each in planted_afterwards.SLOPES]  # type: ignore[misc]
    assert all(report.verdict.state == "faulty" for _, report in reports)
    wrong = [
        (*each[:3], report.causes[:1])
        for each, report in reports
        if not report.causes or report.causes[0].cause not in each.causes
    ]
    assert len(wrong) <= (1 - ALLOWED) * len(reports), wrong


@pytest.mark.parametrize("kernel", planted_afterwards.RIGHT_ROWS, ids=lambda each: f"{each[1]} {each[2]}")
def test_right_rows_are_not_accused(kernel: Row) -> None:
    assert not judged_row(kernel).causes


# Kernels as public repositories have them


def judged_specimen(kernel: Specimen) -> Report:
    x, said = kernel.answers()
    call, dtype = REGISTRY.resolve(kernel.function, kernel.params), np.dtype(kernel.dtype)
    if not isinstance(call.activation, Rowwise):
        return Verification(call, dtype, x, said)(map, ignore)
    value, jacobian = (*said, None)[:2]
    assert value is not None
    return RowVerification(call, dtype, x, value, jacobian=jacobian)(map, ignore)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kernels", "least"),
    [
        (planted_public.FIRST, ALLOWED),
        (planted_public.SECOND, ALLOWED),
        (planted_public.THIRD, ALLOWED),
        (planted_fresh.FOURTH, ALLOWED),
        (planted_fresh.FIFTH, ALLOWED),
        (planted_fresh.SIXTH, 25 / 30),
    ],
    ids=["first", "second", "third", "fourth", "fifth", "sixth"],
)
def test_public_kernels_faults_are_caught_and_named(kernels: tuple[Specimen, ...], least: float) -> None:
    reports = [(each, judged_specimen(each)) for each in kernels]
    assert all(report.verdict.state == "faulty" for _, report in reports)
    wrong = [
        (each.name, each.function, report.causes[:1])
        for each, report in reports
        if not report.causes or report.causes[0].cause not in each.causes
    ]
    assert len(kernels) - len(wrong) >= least * len(kernels), wrong


@pytest.mark.parametrize(
    "kernel",
    [
        *planted_public.RIGHT,
        *planted_fresh.FRESH_RIGHT,
        *planted_fresh.FRESH_RIGHT_AGAIN,
        *planted_fresh.FRESH_RIGHT_LAST,
    ],
    ids=lambda each: f"{each.name} {each.function} {np.dtype(each.dtype)}",
)
def test_public_right_kernels_are_not_accused(kernel: Specimen) -> None:
    assert not judged_specimen(kernel).causes
