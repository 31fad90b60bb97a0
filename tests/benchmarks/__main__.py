"""``python -m tests.benchmarks``: everything timed, its tables printed and written into the README."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from tests.benchmarks import arithmetic, flow, growth, report, served, startup
from tests.benchmarks.report import Table

LAST_START = 12 * 60.0
"""Seconds after which nothing new is begun, so that all ends within a quarter of an hour."""


def main() -> None:
    """Runs what was chosen; only a run of everything is written into the README."""
    sections: dict[str, Callable[[], list[Table]]] = {
        "start": lambda: [startup.table(starts=5)],
        "served": lambda: [served.table(served.Effort(pairs=9, limit=20, crowd=2))],
        "arithmetic": lambda: [arithmetic.table(pairs=11, limit=4)],
        "flow": lambda: [flow.table(pairs=5, limit=30), flow.wide_table()],
        "growth": lambda: [growth.table(limit=1)],
    }
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("sections", nargs="*", help=f"{', '.join(sections)}; all by default")
    chosen = parser.parse_args().sections or list(sections)
    begin = time.monotonic()
    tables: list[Table] = []
    for name in chosen:
        if time.monotonic() - begin > LAST_START:
            tables.append(Table(name, (name, "")))
            tables[-1].rows.append(("all", "not run: no time was left"))
            continue
        for table in sections[name]():
            print(f"{table}\n", flush=True)
            tables.append(table)
    print(f"All in {time.monotonic() - begin:.0f} s.")
    if chosen == list(sections):
        report.write("bench", tables)


if __name__ == "__main__":
    main()
