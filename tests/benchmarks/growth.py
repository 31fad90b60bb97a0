"""How cost grows with size: exponents from log-log fits, and pictures."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import vl_convert
from threadpoolctl import threadpool_limits

from app.compute.blocks import Helpers
from app.core.jobs import in_turn
from app.core.training.course import train
from app.pictures import specifications as plots
from tests.benchmarks.exchanges import (
    Connection,
    Exchange,
    ours_float32,
    ours_json,
    ours_npy,
    ours_proved,
    ours_transformer,
)
from tests.benchmarks.flow import THREADS, ours_once
from tests.benchmarks.processes import REPOSITORY, activation_lab
from tests.benchmarks.report import Table, duration
from tests.benchmarks.timing import NotRun, seconds
from tests.benchmarks.training import ACTIVATIONS, RINGS
from tests.support.trainings import trainings

PICTURES = REPOSITORY / ".readme"

SIZES = tuple(10**power for power in range(1, 8))
WIDTHS = (64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_000_000)
PROVED = (10, 100, 1000, 10_000, 100_000)
RUNS = (1, 2, 4, 8, 16, 32)
BLOCK_WIDTHS = (64, 256, 1024, 4096, 16_384)
DEPTHS = (10, 32, 100, 316, 1000)
BATCHES = (4, 8, 16, 32, 64, 128, 256)

REPEATS = 9
"""Most runs of one point, of which the median is taken."""

TAIL = 100
"""The exponent is fitted over the largest points, down to this fraction of the largest one."""


class Curve(NamedTuple):
    """Seconds against one size."""

    name: str
    sizes: tuple[int, ...]
    seconds: tuple[float, ...]

    @property
    def exponent(self) -> float:
        """p of t ∝ nᵖ for large n, by least squares of logarithms."""
        tail = [
            each for each in zip(self.sizes, self.seconds, strict=True) if each[0] * TAIL >= self.sizes[-1]
        ]
        sizes, times = np.log(np.array(tail).T)
        return float(np.polyfit(sizes, times, 1)[0])


def table(limit: float) -> Table:
    """Exponents, with at most ``limit`` seconds for each point beyond its first run; draws the pictures."""
    result = Table("How cost grows", ("time of", "against", "from", "to", "exponent"))
    for title, axis, measure in (
        ("`POST /activate`, sigmoid with its derivative", "numbers", _activate),
        ("`POST /activate`, sigmoid with its derivative, proved", "proved", _proved),
        ("`POST /training`, seven activations on rings, 100 steps", "runs", _runs),
        ("`POST /gradient-flow`, two transformer blocks, 32 tokens", "block-width", _block_widths),
        ("Gradient flow, depth 10, batch 32", "width", _widths),
        ("Gradient flow, width 1,024, batch 32", "depth", _depths),
        ("Gradient flow, width 4,096, depth 10", "batch", _batches),
    ):
        try:
            curves = list(measure(limit))
        except NotRun as why:
            result.not_run(title, why)
            continue
        result.rows += [_row(title, axis, curve) for curve in curves]
        plain = title.replace("`", "")
        picture = PICTURES / f"growth-{axis}.svg"
        _draw(plain, axis, curves, picture)
        result.notes.append(f"![{plain}](../{picture.relative_to(REPOSITORY)})")
    return result


def _row(title: str, axis: str, curve: Curve) -> tuple[str, ...]:
    ends = [f"{duration(took)} at {size:,}" for size, took in zip(curve.sizes, curve.seconds, strict=True)]
    name = ", ".join(filter(None, (title, curve.name)))
    return (name, axis, ends[0], ends[-1], f"{curve.exponent:.2f}")


def _activate(limit: float) -> Iterator[Curve]:
    x = np.random.default_rng(0).normal(0, 3, SIZES[-1])
    with activation_lab() as server, closing(Connection(server.port)) as connection:
        for name, ask in (("JSON", ours_json), (".npy", ours_npy), (".npy, float32", ours_float32)):

            def work(size: int, ask: Callable[[Any], Exchange] = ask) -> Callable[[], Any]:
                return partial(connection.send, ask(x[:size]))

            yield _curve(name, SIZES, work, limit)


def _proved(limit: float) -> Iterator[Curve]:
    x = np.random.default_rng(0).normal(0, 3, PROVED[-1])
    with activation_lab() as server, closing(Connection(server.port)) as connection:
        yield _curve("", PROVED, lambda size: partial(connection.send, ours_proved(x[:size])), limit)


def _runs(limit: float) -> Iterator[Curve]:
    def work(runs: int) -> Callable[[], Any]:
        described = trainings(**{**RINGS, "steps": 100}, activations=list(ACTIVATIONS), runs=runs)
        return partial(train, described, in_turn, time.process_time, lambda _: None)

    yield _curve("", RUNS, work, limit)


def _block_widths(limit: float) -> Iterator[Curve]:
    with activation_lab() as server, closing(Connection(server.port)) as connection:
        yield _curve("", BLOCK_WIDTHS, lambda width: partial(connection.send, ours_transformer(width)), limit)


def _widths(limit: float) -> Iterator[Curve]:
    yield from _simulated(WIDTHS, limit, lambda width: (width, 10, 32))


def _depths(limit: float) -> Iterator[Curve]:
    yield from _simulated(DEPTHS, limit, lambda depth: (1024, depth, 32))


def _batches(limit: float) -> Iterator[Curve]:
    yield from _simulated(BATCHES, limit, lambda batch: (4096, 10, batch))


def _simulated(
    sizes: tuple[int, ...], limit: float, shape: Callable[[int], tuple[int, int, int]]
) -> Iterator[Curve]:
    with Helpers(THREADS - 1) as helpers, threadpool_limits(1, user_api="blas"):
        yield _curve("", sizes, lambda size: partial(ours_once, *shape(size), helpers), limit)


def _curve(
    name: str, sizes: tuple[int, ...], work: Callable[[int], Callable[[], Any]], limit: float
) -> Curve:
    return Curve(name, sizes, tuple(_typical(work(size), limit) for size in sizes))


def _typical(work: Callable[[], Any], limit: float) -> float:
    """The median of several runs; the first run counts only if there is no time for another."""
    end = time.monotonic() + limit
    taken = [seconds(work)]
    while len(taken) <= REPEATS and time.monotonic() < end:
        taken.append(seconds(work))
    return median(taken[1:] or taken)


def _draw(title: str, axis: str, curves: list[Curve], path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"name": curve.name, "size": size, "seconds": took}
        for curve in curves
        for size, took in zip(curve.sizes, curve.seconds, strict=True)
    ]
    x = _logarithmic("size", axis, [row["size"] for row in rows])
    y = _logarithmic("seconds", "seconds", [row["seconds"] for row in rows])
    legend = {"title": None, "orient": "top"} if len(curves) > 1 else None
    look = plots.Look()
    spec = {
        **plots.frame(look),
        "title": title,
        "width": look.width,
        "height": look.height,
        "data": {"values": rows},
        "mark": {"type": "line", "strokeWidth": 2, "point": {"size": 40}},
        "encoding": {
            "x": x,
            "y": y,
            "color": {"field": "name", "type": "nominal", "sort": None, "legend": legend},
        },
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(vl_convert.vegalite_to_svg(spec))


def _logarithmic(field: str, title: str, values: list[float]) -> dict[str, Any]:
    """A logarithmic axis with whole powers of ten as its ends."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    powers = [10.0**power for power in range(low, high + 1)]
    scale = {"type": "log", "domain": [powers[0], powers[-1]]}
    return {
        "field": field,
        "type": "quantitative",
        "title": title,
        "scale": scale,
        "axis": {"values": powers},
    }
