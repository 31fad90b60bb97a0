"""Tables of measurements: printed, and written to docs/benchmarks.md between markers."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from llvmlite.binding import get_host_cpu_name
from numba import njit

from app.core.arithmetic import compiled  # noqa: F401  it says what to compile for
from app.machine import cores
from tests.benchmarks.timing import NotRun, Pairs, Spread

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"


@dataclass
class Table:
    """A Markdown table with a title above it and notes below."""

    title: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def not_run(self, job: str, why: NotRun) -> None:
        """Adds a row for a job that could not be measured."""
        self.rows.append((job, f"not run: {why}", *[""] * (len(self.header) - 2)))

    def __str__(self) -> str:
        lines = [self.header, ("---",) * len(self.header), *self.rows]
        table = "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
        return "\n\n".join([f"**{self.title}**", table, *self.notes])


def against(title: str, peer: str) -> Table:
    """A table of comparisons with a peer."""
    return Table(title, ("job", "Activation Lab", peer, "times faster (range)", "bar"))


def comparison(job: str, pairs: Pairs, bar: float | None) -> tuple[str, ...]:
    """A row of `against`: both medians, the ratio's median and range, and whether the bar is met."""
    measure = rate if pairs.rates else duration
    ours, peer = (measure(median(values)) for values in (pairs.ours, pairs.peer))
    return (job, ours, peer, times(pairs.faster), at_least(pairs.faster.median, bar))


def times(ratio: Spread) -> str:
    """A ratio with its range."""
    return f"{ratio.median:.2f} ({ratio.low:.2f}–{ratio.high:.2f})"


def at_least(value: float, bar: float | None) -> str:
    """Whether ``value`` reaches ``bar``."""
    return "" if bar is None else verdict(f"≥ {bar:g}×", met=value >= bar)


def verdict(bar: str, *, met: bool) -> str:
    """The bar, and whether it is met."""
    return f"{bar}: met" if met else f"{bar}: **missed**"


def duration(value: float) -> str:
    """Seconds with three digits, in a suitable unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value * 1e6:.3g} µs"


def rate(value: float) -> str:
    """Requests a second."""
    return f"{value:,.0f}/s"


def memory(size: float) -> str:
    """Bytes in MiB, or GiB from one on."""
    return f"{size / 2**30:.2f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"


def machine() -> str:
    """The machine and date of the measurement."""
    model = next(iter(re.findall(r"model name\s*: (.*)", _read("/proc/cpuinfo"))), platform.machine())
    today = datetime.now(UTC).date()
    kind = f"{model} ({get_host_cpu_name()}), vectors of {vector_bits()} bits"
    return f"Measured on {today}: {cores()} cores of {kind}, Python {platform.python_version()}."


def vector_bits() -> int:
    """The width of the vectors to which a loop over float64 is compiled here, in bits."""

    def add(x: Any, out: Any) -> None:
        for i in range(x.size):
            out[i] = x[i] + 1.0

    loop: Any = njit("void(f8[::1], f8[::1])", error_model="numpy")(add)
    (assembly,) = loop.inspect_asm().values()
    return next((bits for bits, register in ((512, "%zmm"), (256, "%ymm")) if register in assembly), 128)


def _read(path: str) -> str:
    file = Path(path)
    return file.read_text() if file.exists() else ""


def write(name: str, tables: Iterable[Table], path: Path = PAGE) -> None:
    """Writes the tables between the markers ``<!-- name:begin -->`` and ``<!-- name:end -->``."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    text = path.read_text()
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise LookupError(f"{path.name} has no markers {begin} … {end}")
    content = "\n\n".join([machine(), *map(str, tables)])
    path.write_text(f"{before}{begin}\n{content}\n{end}{after}")
