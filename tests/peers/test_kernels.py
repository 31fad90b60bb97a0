"""PyTorch's own kernels, judged, are what ``docs/kernels.md`` says of them."""

from __future__ import annotations

import re

import pytest

torch = pytest.importorskip("torch")

from tests.peers.kernels import BEGIN, END, KERNELS, PAGE, TYPES, row  # noqa: E402

pytestmark = pytest.mark.peers

TABLE = PAGE.read_text().partition(BEGIN)[2].partition(END)[0]


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("function", KERNELS)
def test_the_table_is_what_is_found(function: str, dtype: str) -> None:
    version = re.search(r"PyTorch (\S+):", TABLE)
    if version is None or version[1] != torch.__version__:
        pytest.skip("the table is of another version of PyTorch")
    found = row(function, dtype)
    if dtype == "float32":  # whose last digits depend on the processor
        assert f"| {function} | {dtype} |" in TABLE
    else:
        assert found.line in TABLE
