"""The tables of ``docs/kernels.md`` are reproduced by judging the kernels of PyTorch and ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import product

import pytest

from tests.peers.kernels import (
    END,
    PAGE,
    RUNTIMES,
    OnnxRuntime,
    PyTorch,
    Runtime,
    begin,
    processor,
    row,
)

pytestmark = pytest.mark.peers

CASES = [
    pytest.param(make, function, dtype, id=f"{make.name}-{function}-{dtype}")
    for make in (PyTorch, OnnxRuntime)
    for function, dtype in product(make.functions, make.dtypes)
]
assert {PyTorch, OnnxRuntime} == set(RUNTIMES)


@cache
def runtime(make: Callable[[], Runtime]) -> Runtime:
    return make()


@pytest.mark.parametrize(("make", "function", "dtype"), CASES)
def test_the_tables_are_reproduced(make: Callable[[], Runtime], function: str, dtype: str) -> None:
    try:
        kernels = runtime(make)
    except ImportError as missing:
        pytest.skip(str(missing))
    table = PAGE.read_text().partition(begin(kernels.name))[2].partition(END)[0]
    if not table.startswith(f"{kernels.title}:"):
        pytest.skip(f"the table is of another version than {kernels.title}")
    found = row(kernels, function, dtype)
    chosen = function in kernels.by_processor and processor() not in table
    if dtype == "float32" or chosen:  # last digits depend on the processor
        assert f"| {function} | {dtype} |" in table
    else:
        assert found.line in table
