"""The CPU kernels of PyTorch and ONNX Runtime, judged: the tables of ``docs/kernels.md``.

``python -m tests.peers.kernels`` writes the tables of the installed runtimes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from llvmlite import binding as llvm

from app.core.activations import REGISTRY
from app.core.arithmetic import Array
from app.core.arithmetic.formats import FORMATS, round_to
from app.core.jobs import ignore
from app.core.verification.exact import every_number
from app.core.verification.job import Report, Verification
from app.core.verification.judgement import Judgement
from app.core.verification.reference import hard_inputs

PAGE = Path(__file__).parents[2] / "docs" / "kernels.md"
END = "<!-- end -->\n"


class Runtime(Protocol):
    """A library of kernels.

    ``title`` has its version. ``answers`` gives f, and f′ or None, at numbers of a format, all as doubles.
    The functions in ``by_processor`` have different kernels, with different last digits, on some processors.
    """

    name: str
    title: str
    functions: tuple[str, ...]
    dtypes: tuple[str, ...]
    orders: int
    by_processor: tuple[str, ...]

    def answers(self, function: str, dtype: str, x: Array) -> tuple[Array, Array | None]:
        """By the kernel of this function."""


def processor() -> str:
    """A sentence on the processor's features, which decide what kernels are chosen."""
    features = llvm.get_host_cpu_features()
    there = [each for each in ("avx512f", "avx512bf16", "avx512fp16") if features.get(each)]
    return f"Found on a processor with {', '.join(there) or 'none of AVX-512'}."


class PyTorch:
    """Its kernels, and what ``backward`` gives for a gradient of 1."""

    name = "PyTorch"
    functions: tuple[str, ...] = (
        "sigmoid",
        "tanh",
        "silu",
        "gelu",
        "gelu_tanh",
        "mish",
        "softplus",
        "elu",
        "selu",
        "hard_swish",
    )
    dtypes: tuple[str, ...] = ("float32", "bfloat16", "float16")
    orders = 2
    by_processor: tuple[str, ...] = ("gelu",)  # which is oneDNN's

    def __init__(self) -> None:
        import torch  # noqa: PLC0415

        self._torch = torch
        self.title = f"PyTorch {torch.__version__}"

    def _kernel(self, function: str) -> Callable[[Any], Any]:
        functional = self._torch.nn.functional
        named: dict[str, Callable[[Any], Any]] = {
            "sigmoid": self._torch.sigmoid,
            "tanh": self._torch.tanh,
            "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
            "hard_swish": functional.hardswish,
        }
        kernel: Callable[[Any], Any] = named.get(function) or getattr(functional, function)
        return kernel

    def answers(self, function: str, dtype: str, x: Array) -> tuple[Array, Array | None]:
        """Forward and backward."""
        taken = self._torch.tensor(x).to(getattr(self._torch, dtype)).requires_grad_()
        found = self._kernel(function)(taken)
        found.backward(self._torch.ones_like(found))
        assert taken.grad is not None
        f, slope = (each.detach().to(self._torch.float64).numpy() for each in (found, taken.grad))
        return f, slope


class OnnxRuntime:
    """Its kernels on a CPU: one operator of ONNX a model."""

    name = "ONNX Runtime"
    operators: Mapping[str, tuple[str, Mapping[str, str]]] = {
        "sigmoid": ("Sigmoid", {}),
        "tanh": ("Tanh", {}),
        "silu": ("Swish", {}),
        "gelu": ("Gelu", {}),
        "gelu_tanh": ("Gelu", {"approximate": "tanh"}),
        "mish": ("Mish", {}),
        "softplus": ("Softplus", {}),
        "elu": ("Elu", {}),
        "selu": ("Selu", {}),
        "hard_swish": ("HardSwish", {}),
    }
    functions: tuple[str, ...] = tuple(operators)
    dtypes: tuple[str, ...] = ("float32", "float16")
    orders = 1
    by_processor: tuple[str, ...] = functions

    def __init__(self) -> None:
        import onnxruntime  # noqa: PLC0415
        from onnx import helper  # noqa: PLC0415

        self._runtime, self._helper = onnxruntime, helper
        self.title = f"ONNX Runtime {onnxruntime.__version__}"

    def answers(self, function: str, dtype: str, x: Array) -> tuple[Array, Array | None]:
        """Forward alone."""
        operator, attributes = self.operators[function]
        given = round_to(x, FORMATS[dtype])
        kind = self._helper.np_dtype_to_tensor_dtype(given.dtype)
        ends = [self._helper.make_tensor_value_info(name, kind, [None]) for name in "xy"]
        node = self._helper.make_node(operator, ["x"], ["y"], **attributes)
        graph = self._helper.make_graph([node], operator, ends[:1], ends[1:])
        opset = self._helper.make_opsetid("", 24)
        model = self._helper.make_model(graph, opset_imports=[opset], ir_version=10)
        session = self._runtime.InferenceSession(
            model.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        (found,) = session.run(None, {"x": given})
        return found.astype(np.float64), None


RUNTIMES: tuple[Callable[[], Runtime], ...] = (PyTorch, OnnxRuntime)


class Row(NamedTuple):
    """One kernel in one format."""

    function: str
    dtype: str
    cells: tuple[str, ...]

    @property
    def line(self) -> str:
        return f"| {self.function} | {self.dtype} | {' | '.join(self.cells)} |\n"


def judged(runtime: Runtime, function: str, dtype: str) -> Report:
    """Its values and gradients at all numbers of a short format, or at float32's hard inputs."""
    call = REGISTRY.resolve(entry_of(runtime, function))
    every = every_number(FORMATS[dtype])
    x = hard_inputs(call, FORMATS[dtype], 1) if every is None else every
    outputs = (*runtime.answers(function, dtype, x), None)
    return Verification(call, FORMATS[dtype], x, outputs)(map, ignore)


def entry_of(runtime: Runtime, function: str) -> str:
    """The name of the function that the kernel computes: ONNX's SELU has its own constants."""
    return "onnx:Selu" if (runtime.name, function) == ("ONNX Runtime", "selu") else function


def row(runtime: Runtime, function: str, dtype: str) -> Row:
    """The largest error at finite inputs and the faithful fraction, of f and of f′; then the causes."""
    report = judged(runtime, function, dtype)
    cells = [cell for each in report.orders for cell in (_largest(each), f"{100 * each.faithful:.2f} %")]
    causes = "; ".join(f"{each.cause} ({each.detail})" for each in report.causes[:2]) or "–"
    return Row(function, dtype, (*cells, causes.replace("|", "\\|")))


def _largest(order: Judgement) -> str:
    """The largest error at finite inputs, in ulp."""
    largest = max((each.ulp for each in order.worst if np.isfinite(each.input)), default=order.max_ulp)
    return "NaN or ∞" if np.isinf(largest) else f"{largest:.3g}" if largest < 1e4 else f"{largest:.1e}"


def rows(runtime: Runtime) -> Iterator[Row]:
    """All rows of a runtime's table."""
    for function in runtime.functions:
        for dtype in runtime.dtypes:
            yield row(runtime, function, dtype)


def begin(name: str) -> str:
    """The marker before a runtime's table."""
    return f"<!-- kernels of {name} -->\n"


def table(runtime: Runtime) -> str:
    """A runtime's table, in Markdown."""
    columns = ["f: largest ulp", "faithful", "f′: largest ulp", "faithful"][: 2 * runtime.orders]
    head = f"| function | format | {' | '.join(columns)} | causes |\n"
    lines = "".join(each.line for each in rows(runtime))
    return f"{runtime.title}:\n\n{head}|{' --- |' * (3 + len(columns))}\n{lines}\n{processor()}\n"


if __name__ == "__main__":
    for make in RUNTIMES:
        try:
            found = make()
        except ImportError as missing:
            print(missing)
            continue
        before, _, rest = PAGE.read_text().partition(begin(found.name))
        PAGE.write_text(before + begin(found.name) + table(found) + END + rest.partition(END)[2])
