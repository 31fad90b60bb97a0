"""One network's signal and gradient: ours against PyTorch eager, which creates the weights."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from app.compute.blocks import Helpers
from app.compute.memory import NETWORK, keep_freed_memory
from app.core.activations import REGISTRY
from app.core.propagation.initialisers import initialiser
from app.core.propagation.network import GaussianInputs, Network
from app.core.propagation.simulation import propagate
from app.core.propagation.statistics import Figures
from tests.benchmarks.processes import REPOSITORY
from tests.benchmarks.report import Table, against, comparison, duration, memory, verdict
from tests.benchmarks.timing import SETTLE, NotRun, Pairs, in_turn, seconds

ACTIVATION = "tanh"
INITIALISER = "lecun_normal"
DEPTH = 50
BATCH = 32
THREADS = 2

BARS: dict[int, float | None] = {256: None, 512: None, 1024: 10.0, 2048: 25.0, 4096: 60.0}
"""By width, how many times faster than PyTorch ours must be; narrow networks are only reported."""

COMPARED = 1024
"""The width at which the two sides' gradients are compared: narrow networks differ from each other."""

AGREEMENT = 0.1
"""Largest difference of the two sides' gradients in any layer, in decades; medians of `NETWORKS` networks."""

NETWORKS = 3


class Wide(NamedTuple):
    """A network whose weights would not fit in memory, with the seconds and bytes that ours may take."""

    width: int
    depth: int
    seconds: float
    bytes: float


WIDE = (Wide(65_536, 50, 6, 3 * 2**30), Wide(1_000_000, 20, 60, 8 * 2**30))


def table(pairs: int, limit: float) -> Table:
    """Ours against PyTorch, width by width."""
    title = f"Gradient flow, one network, float32, depth {DEPTH}, batch {BATCH}, {THREADS} threads"
    result = against(title, "PyTorch eager")
    try:
        import torch  # noqa: PLC0415  - only this benchmark needs it
    except ImportError:
        result.not_run("all", NotRun("PyTorch is not installed"))
        return result
    torch.set_num_threads(THREADS)
    with Helpers(THREADS - 1) as helpers, threadpool_limits(1, user_api="blas"):
        for width, bar in BARS.items():
            try:
                measured = _measure(width, torch, helpers, pairs, limit)
            except NotRun as why:
                result.not_run(f"width {width:,}", why)
            else:
                result.rows.append(comparison(f"width {width:,}", measured, bar))
    result.notes.append(
        "Both draw weights, run forward and backward, and compute every layer's norms; the deferred engine "
        "draws the products with the weights instead of the weights. The gradients agree in every layer to "
        f"{AGREEMENT:g} decades. The linear algebra of both sides chooses its kernels itself, whatever "
        "OPENBLAS_CORETYPE says."
    )
    return result


def _measure(width: int, torch: Any, helpers: Helpers, pairs: int, limit: float) -> Pairs:
    ours = partial(ours_once, width, DEPTH, BATCH, helpers)
    peer = partial(_peer_once, width, torch)
    if width == COMPARED:
        _compare(ours, peer)
    return in_turn(partial(seconds, ours), partial(seconds, peer), pairs=pairs, limit=limit, pause=SETTLE)


def _compare(ours: Callable[..., Figures], peer: Callable[..., list[float]]) -> None:
    mine = [ours(seed=seed).gradient_log10_rms for seed in range(NETWORKS)]
    others = [peer(seed=seed) for seed in range(NETWORKS)]
    apart = np.abs(np.median(mine, axis=0) - np.median(others, axis=0)).max()
    if not apart < AGREEMENT:
        raise NotRun(f"the gradients differ by {apart:.2g} decades")


def ours_once(width: int, depth: int, batch: int, helpers: Helpers, *, seed: int = 0) -> Figures:
    """The figures of one network."""
    keep_freed_memory(NETWORK)  # as a worker does
    network = Network(
        sizes=(width,) * (depth + 1), call=REGISTRY.resolve(ACTIVATION), weights=initialiser(INITIALISER)
    )
    return propagate(
        network,
        GaussianInputs(batch),
        seed=seed,
        dtype=np.dtype(np.float32),
        map_blocks=helpers.mapper(),
    )


def _peer_once(width: int, torch: Any, *, seed: int = 0) -> list[float]:
    """The same in PyTorch: log10 of the gradient's root mean square in every layer."""
    torch.manual_seed(seed)
    function = getattr(torch, ACTIVATION)
    h = torch.randn(BATCH, width)
    signals, norms = [], []
    for _ in range(DEPTH):
        weights = (torch.randn(width, width) / math.sqrt(width)).requires_grad_()
        z = h @ weights.T
        z.retain_grad()
        h = function(z)
        signals.append((weights, z))
        norms.append((z.detach().var(), h.detach().mean(), h.detach().square().mean()))
    h.backward(torch.randn(BATCH, width))
    _ = [weights.grad.norm() for weights, _ in signals]
    return [float(z.grad.square().mean().sqrt().log10()) for _, z in signals]


def wide_table() -> Table:
    """Widths that only the deferred engine can simulate, each in a separate process."""
    result = Table("Gradient flow of very wide networks, float32", ("network", "time", "memory", "bars"))
    for each in WIDE:
        name = f"width {each.width:,}, depth {each.depth}, batch {BATCH}"
        try:
            took, held = _alone(each)
        except NotRun as why:
            result.not_run(name, why)
            continue
        bars = verdict(f"≤ {each.seconds:g} s", met=took <= each.seconds)
        bars += ", " + verdict(f"≤ {memory(each.bytes)}", met=held <= each.bytes)
        result.rows.append((name, duration(took), memory(held), bars))
    return result


def _alone(network: Wide) -> tuple[float, float]:
    """Seconds of the simulation, and the peak memory of the process that ran it."""
    command = [sys.executable, "-m", "tests.benchmarks.flow", str(network.width), str(network.depth)]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    limit = 3 * network.seconds
    try:
        run = subprocess.run(
            command, cwd=REPOSITORY, env=environment, capture_output=True, timeout=limit, check=True
        )
    except subprocess.TimeoutExpired:
        raise NotRun(f"it did not end within {limit:g} s") from None
    except subprocess.CalledProcessError as error:
        raise NotRun(f"it ended with exit code {error.returncode}") from None
    took, held = json.loads(run.stdout)
    return took, held


def main() -> None:
    """Simulates one network of the given width and depth; prints its seconds and the peak memory."""
    width, depth = map(int, sys.argv[1:])
    with Helpers(THREADS - 1) as helpers:
        ours_once(64, 2, BATCH, helpers)  # compiles the loops
        took = seconds(lambda: ours_once(width, depth, BATCH, helpers))
    # Not getrusage: its peak of a child starts at the parent's size.
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert peak is not None
    print(json.dumps([took, 1024 * int(peak[1])]))


if __name__ == "__main__":
    main()
