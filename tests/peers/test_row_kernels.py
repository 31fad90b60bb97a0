"""PyTorch's own kernels of the softmax and GLU families, judged by rows: no false cause is named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from app.core.activations import REGISTRY  # noqa: E402
from app.core.arithmetic import Array  # noqa: E402
from app.core.arithmetic.formats import FORMATS, round_to  # noqa: E402
from app.core.jobs import ignore  # noqa: E402
from app.core.verification.exact import doubles  # noqa: E402
from app.core.verification.rows import RowVerification  # noqa: E402

pytestmark = pytest.mark.peers

KERNELS: dict[str, Callable[[Any], Any]] = {
    "softmax": lambda x: torch.softmax(x, -1),
    "softmin": lambda x: torch.nn.functional.softmin(x, -1),
    "log_softmax": lambda x: torch.log_softmax(x, -1),
    "glu": lambda x: torch.nn.functional.glu(x, -1),
    "swiglu": lambda x: torch.nn.functional.silu(x[:, :64]) * x[:, 64:],
    "geglu": lambda x: torch.nn.functional.gelu(x[:, :64]) * x[:, 64:],
}

FAITHFUL = {"softmax", "softmin", "glu"}
"""Faithful in short formats; log_softmax has errors up to 2.1 ulp here."""

IN_TURN = {"swiglu", "geglu"}
"""Two kernels in sequence, which round the gate to the format in between: that is the cause."""


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("name", KERNELS)
def test_no_false_cause_is_named(name: str, dtype: str) -> None:
    x: Array = np.random.default_rng(0).normal(scale=3.0, size=(64, 128))
    x = doubles(round_to(x, FORMATS[dtype]))
    outputs = KERNELS[name](torch.tensor(x, dtype=getattr(torch, dtype))).double().numpy()
    report = RowVerification(REGISTRY.resolve(name, {}), FORMATS[dtype], x, outputs)(map, ignore)
    (order,) = report.orders
    assert order.unproved == 0
    found = {each[:2] for each in report.causes}
    between = {("low_precision", f"{dtype} gate")} if name in IN_TURN and dtype != "float32" else set()
    assert between <= found
    assert found - between <= ({("cancellation", "1 + erf in float32")} if name == "geglu" else set())
    if (name, dtype) == ("geglu", "bfloat16"):
        assert report.causes, "torch's GELU is 0.5x(1 + erf) in float32, whose digits cancel"
    if dtype != "float32" and name in FAITHFUL:
        assert order.faithful == 1
