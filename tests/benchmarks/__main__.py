"""``python -m tests.benchmarks``: runs all benchmarks, prints their tables, writes docs/benchmarks.md."""

from __future__ import annotations

import argparse
import time
import traceback
from collections.abc import Callable

from tests.benchmarks import arithmetic, flow, growth, report, served, startup
from tests.benchmarks.report import Table
from tests.benchmarks.timing import NotRun

FORMATS = ("float64", "float32")
LAST_START = 12 * 60.0
"""Seconds after which no section is started, so that the whole run takes less than a quarter of an hour."""


def main() -> None:
    """Runs the chosen sections; only a run of all is written to docs/benchmarks.md."""
    sections: dict[str, Callable[[], list[Table]]] = {
        "start": lambda: [startup.table(starts=5)],
        "served": lambda: [served.table(served.Effort(pairs=9, limit=20, crowd=2))],
        "arithmetic": lambda: [arithmetic.table(pairs=11, limit=4, dtype=each) for each in FORMATS],
        "flow": lambda: [flow.table(pairs=11, limit=25), flow.wide_table()],
        "growth": lambda: [growth.table(limit=1)],
    }
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("sections", nargs="*", help=f"{', '.join(sections)}; all by default")
    chosen = parser.parse_args().sections or list(sections)
    begin = time.monotonic()
    tables: list[Table] = []
    for name in chosen:
        if time.monotonic() - begin > LAST_START:
            tables.append(_missing(name, "no time was left"))
            continue
        for table in _measured(name, sections[name]):
            print(f"{table}\n", flush=True)
            tables.append(table)
    print(f"All in {time.monotonic() - begin:.0f} s.")
    if chosen == list(sections):
        report.write("bench", tables)


def _measured(name: str, section: Callable[[], list[Table]]) -> list[Table]:
    """The section's tables, or one with the reason of its failure, so that the other sections still run."""
    try:
        return section()
    except Exception as error:  # noqa: BLE001 - any error is shown in the table
        traceback.print_exc()
        return [_missing(name, f"it broke ({type(error).__name__})")]


def _missing(name: str, why: str) -> Table:
    table = Table(name, ("figure", ""))
    table.not_run("all", NotRun(why))
    return table


if __name__ == "__main__":
    main()
