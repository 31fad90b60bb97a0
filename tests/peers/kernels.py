"""PyTorch's own CPU kernels, judged: the table of ``docs/kernels.md``.

``python -m tests.peers.kernels`` writes it there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional

from app.core.activations import REGISTRY
from app.core.arithmetic import Array
from app.core.arithmetic.formats import FORMATS
from app.core.jobs import ignore
from app.core.verification.exact import every_number
from app.core.verification.job import Report, Verification
from app.core.verification.judgement import Judgement
from app.core.verification.reference import hard_inputs

PAGE = Path(__file__).parents[2] / "docs" / "kernels.md"
BEGIN, END = "<!-- PyTorch's kernels -->\n", "<!-- end -->\n"

KERNELS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "silu": functional.silu,
    "gelu": functional.gelu,
    "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "mish": functional.mish,
    "softplus": functional.softplus,
    "elu": functional.elu,
    "selu": functional.selu,
    "hard_swish": functional.hardswish,
}
TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class Row(NamedTuple):
    """One kernel in one format."""

    function: str
    dtype: str
    cells: tuple[str, ...]

    @property
    def line(self) -> str:
        return f"| {self.function} | {self.dtype} | {' | '.join(self.cells)} |\n"


def judged(function: str, dtype: str) -> Report:
    """PyTorch's values and gradient at all numbers of a short format, at hard inputs of float32."""
    call = REGISTRY.resolve(function)
    every = every_number(FORMATS[dtype])
    x = hard_inputs(call, FORMATS[dtype], 1) if every is None else every
    taken = torch.tensor(x).to(TYPES[dtype]).requires_grad_()
    answers = KERNELS[function](taken)
    answers.backward(torch.ones_like(answers))
    assert taken.grad is not None
    outputs = (_doubles(answers), _doubles(taken.grad), None)
    return Verification(call, FORMATS[dtype], x, outputs)(map, ignore)


def _doubles(values: torch.Tensor) -> Array:
    found: Array = values.detach().to(torch.float64).numpy()
    return found


def row(function: str, dtype: str) -> Row:
    """The largest error at a finite input, the share that is faithful, and the causes; of f, then of f′."""
    report = judged(function, dtype)
    cells = [cell for each in report.orders for cell in (_largest(each), f"{100 * each.faithful:.2f} %")]
    causes = "; ".join(f"{each.cause} ({each.detail})" for each in report.causes[:2]) or "–"
    return Row(function, dtype, (*cells, causes.replace("|", "\\|")))


def _largest(order: Judgement) -> str:
    """At finite inputs."""
    largest = max((each.ulp for each in order.worst if np.isfinite(each.input)), default=order.max_ulp)
    return "NaN or ∞" if np.isinf(largest) else f"{largest:.3g}" if largest < 1e4 else f"{largest:.1e}"


def rows() -> Iterator[Row]:
    """All of them."""
    for function in KERNELS:
        for dtype in TYPES:
            yield row(function, dtype)


def table() -> str:
    """Markdown."""
    head = "| function | format | f: largest ulp | faithful | f′: largest ulp | faithful | causes |\n"
    lines = "".join(each.line for each in rows())
    return f"PyTorch {torch.__version__}:\n\n{head}|{' --- |' * 7}\n{lines}"


if __name__ == "__main__":
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(before + BEGIN + table() + END + rest.partition(END)[2])
