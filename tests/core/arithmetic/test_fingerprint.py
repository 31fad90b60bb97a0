"""The hash of what a loop is compiled from: the same in every process, different after a relevant change."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numba import njit

from app.core.arithmetic.compiled import DECLARED
from app.core.arithmetic.double_double import DoubleDouble, fma, scalar
from app.core.arithmetic.fingerprint import fingerprint

FACTOR = 2.0
TABLE = np.array([1.0, 2.0])


@scalar
def doubled(x: float) -> float:
    return FACTOR * x


def made(offset: float) -> Callable[[float], float]:
    return lambda x: doubled(x) + offset


def calls_itself(n: int) -> int:
    return n * calls_itself(n - 1) if n else 1


def looks_up(x: float) -> float:
    return x + float(TABLE[0])


def asks_a_set(kind: str) -> bool:
    return kind in {"nearest", "odd", "high", "low"}


def refers_to_an_object(x: float) -> float:
    return x if DECLARED else 0.0


def all_of_them() -> str:
    functions: list[Callable[..., Any]] = [
        made(1.0),
        calls_itself,
        looks_up,
        asks_a_set,
        lambda a: fma(a, a, a),
    ]
    return " ".join(fingerprint(each).hex() for each in functions)


def test_another_process_finds_the_same() -> None:
    code = f"import {__name__} as t; print(t.all_of_them())"
    for seed in ("1", "2"):
        env = {**os.environ, "PYTHONHASHSEED": seed}
        run = subprocess.run(
            [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
        )
        assert run.stdout.strip() == all_of_them()


def test_a_constant_that_a_called_function_looks_up_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint(made(1.0))
    fingerprint.cache_clear()
    with monkeypatch.context() as changed:
        changed.setitem(globals(), "FACTOR", 3.0)
        assert fingerprint(made(1.0)) != before
    fingerprint.cache_clear()
    assert fingerprint(made(1.0)) == before


def test_what_a_function_closes_over_counts() -> None:
    assert fingerprint(made(1.0)) == fingerprint(made(1.0)) != fingerprint(made(2.0))


def test_an_array_counts_with_its_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint(looks_up)
    fingerprint.cache_clear()
    monkeypatch.setitem(globals(), "TABLE", np.array([1.0, 3.0]))
    assert fingerprint(looks_up) != before


def test_how_a_function_is_compiled_counts() -> None:
    def body(x: float) -> float:
        return x + 1

    def with_options(**options: Any) -> bytes:
        inner = njit(body, **options)

        def outer(x: float) -> Any:
            return 2 * inner(x)

        return fingerprint(outer)

    assert with_options() == with_options() != with_options(fastmath=True)


def test_a_named_tuple_differs_from_a_tuple() -> None:
    plain, named = (1.0, 2.0), DoubleDouble(1.0, 2.0)
    assert fingerprint(lambda: plain) != fingerprint(lambda: named)


def test_an_object_without_a_hashable_value_is_refused() -> None:
    with pytest.raises(TypeError, match="refers to a Compiled"):
        fingerprint(refers_to_an_object)
