"""f and f′ of a million numbers: ours against PyTorch's forward and backward pass."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from app.compute.blocks import Helpers
from app.compute.memory import keep_freed_memory
from app.core.activations import REGISTRY
from app.core.evaluation import Evaluation, Mapper, activate
from tests.benchmarks.report import Table, against, at_least, duration, times
from tests.benchmarks.timing import SETTLE, NotRun, Pairs, in_turn, seconds, spread

SIZE = 1_000_000
THREADS = 2

MEAN_BARS = {"float64": 1.6, "float32": 1.2}
LEAST_BARS = {"float64": 0.9, "float32": 0.7}

REHEARSALS = 2

AGREEMENT = {"float64": 1e-7, "float32": 1e-5}
"""Relative to 1 and to the value. PyTorch's Softplus is off by 2e-9 from 20 on, where it returns x."""


class Function(NamedTuple):
    """One of torch.nn's modules, by name and arguments."""

    name: str
    arguments: Mapping[str, Any] = MappingProxyType({})
    weight: float | None = None

    def __str__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())
        return f"{self.name}({given})"


MOST_USED = (
    Function("Sigmoid"),
    Function("Tanh"),
    Function("ReLU"),
    Function("LeakyReLU"),
    Function("PReLU", weight=0.25),
    Function("ReLU6"),
    Function("ELU"),
    Function("SELU"),
    Function("CELU"),
    Function("GELU"),
    Function("GELU", {"approximate": "tanh"}),
    Function("SiLU"),
    Function("Mish"),
    Function("Softplus"),
    Function("Softsign"),
    Function("LogSigmoid"),
    Function("Hardsigmoid"),
    Function("Hardswish"),
    Function("Hardtanh"),
    Function("Softshrink"),
)


def table(pairs: int, limit: float, dtype: str) -> Table:
    """A row for each function, slowest first, and their geometric mean."""
    result = against(f"f and f′ of {SIZE:,} numbers, {dtype}, {THREADS} threads", "PyTorch")
    try:
        import torch  # noqa: PLC0415  - only this benchmark needs it
    except ImportError:
        result.not_run("all", NotRun("PyTorch is not installed"))
        return result
    torch.set_num_threads(THREADS)
    keep_freed_memory()  # as the service does
    measured: dict[str, Pairs] = {}
    with Helpers(THREADS - 1) as helpers:
        for function in MOST_USED:
            try:
                measured[str(function)] = _measure(function, torch, helpers.mapper(), pairs, limit, dtype)
            except NotRun as why:
                result.not_run(str(function), why)
    slowest_first = sorted(measured.items(), key=lambda each: each[1].faster.median)
    result.rows += [_row(name, each, LEAST_BARS[dtype]) for name, each in slowest_first]
    ratios = [each.faster.median for each in measured.values()]
    mean = spread([math.exp(sum(map(math.log, ratios)) / len(ratios))])
    result.rows.append(
        ("geometric mean", "", "", f"{mean.median:.2f}", at_least(mean.median, MEAN_BARS[dtype]))
    )
    if dtype != "float64":
        return result
    result.notes.append(
        f"Each run is timed directly after {REHEARSALS} untimed ones, so that the threads of both are awake. "
        "PyTorch's forward and backward pass are a vectorised loop each, with derivatives such as s(1 − s). "
        "Ours is one loop for f and f′, with twice a double's digits where such formulas lose some: "
        "functions made of exponentials are bound by that arithmetic, those made of straight lines by memory."
    )
    return result


def _row(name: str, pairs: Pairs, least: float) -> tuple[str, ...]:
    ours, peer = spread(pairs.ours).median, spread(pairs.peer).median
    ratio = pairs.faster
    bar = at_least(ratio.median, least)
    return (f"`{name}`", duration(ours), duration(peer), times(ratio), bar)


def _measure(
    function: Function, torch: Any, map_blocks: Mapper, pairs: int, limit: float, dtype: str
) -> Pairs:
    x = np.random.default_rng(0).normal(0, 3, SIZE).astype(dtype)
    ours = _ours(function, x, map_blocks)
    peer = _peer(function, x, torch)
    for mine, other in zip(ours().orders, peer(), strict=True):
        if not np.allclose(mine, other.detach().numpy(), rtol=AGREEMENT[dtype], atol=AGREEMENT[dtype]):
            raise NotRun("the answers differ")
    measures = [partial(_in_full_swing, ours), partial(_in_full_swing, peer)]
    return in_turn(*measures, pairs=pairs, limit=limit, warm_up=3, pause=SETTLE)


def _in_full_swing(work: Callable[[], object]) -> float:
    """Seconds of ``work`` directly after itself, with its threads awake and each on its own core.

    After a pause PyTorch's threads may wake on one core, and then take six times as long (measured).
    """
    for _ in range(REHEARSALS):
        work()
    return seconds(work)


def _ours(function: Function, x: Any, map_blocks: Mapper) -> Callable[[], Evaluation]:
    weight = {} if function.weight is None else {"weight": function.weight}
    call = REGISTRY.resolve(f"torch:{function.name}", {**function.arguments, **weight})
    return lambda: activate(call, x, order=1, dtype=x.dtype, map_blocks=map_blocks)


def _peer(function: Function, x: Any, torch: Any) -> Callable[[], tuple[Any, Any]]:
    """Forward and backward pass, with a learnable weight fixed: our side computes only f and f′."""
    leaf = torch.tensor(x, requires_grad=True)
    module = getattr(torch.nn, function.name)(**function.arguments).to(leaf.dtype).requires_grad_(False)
    ones = torch.ones_like(leaf)

    def run() -> tuple[Any, Any]:
        y = module(leaf)
        return y, torch.autograd.grad(y, leaf, ones)[0]

    return run
