"""What this process may use of its machine: cores and memory, as the kernel's control groups limit them.

A container's limits are those of its control group (v1 or v2) and of all groups above it. What stands there
may be missing, "max", larger than the machine, or wrong: only a limit that can be true is taken.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

LEAST = 64 * 2**20
"""Bytes below which a limit cannot be true: this process takes more already."""

ROOT = Path("/")


def cores(root: Path = ROOT) -> int:
    """The cores that this process may keep busy, one at least."""
    # Affinity is unknown to macOS.
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [round(quota / period) for quota, period in _processor_time(root) if quota > 0 and period > 0]
    return max(1, min([there, *quotas]))


def memory(root: Path = ROOT) -> int:
    """The bytes that this process and those beside it may take together."""
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = [_numbers(each, 1) for group in _groups(root, "memory") for each in _memory_files(group)]
    return min([there, *(limit for found in limits for limit in found if limit >= LEAST)])


def _memory_files(group: Path) -> tuple[Path, ...]:
    return group / "memory.max", group / "memory.limit_in_bytes"


def _processor_time(root: Path) -> Iterator[tuple[int, int]]:
    """Microseconds of processor time, and the period that they are for."""
    for group in _groups(root, "cpu"):
        if len(numbers := _numbers(group / "cpu.max", 2)) == 2:
            yield numbers[0], numbers[1]
        quota, period = (_numbers(group / f"cpu.cfs_{name}_us", 1) for name in ("quota", "period"))
        if quota and period:
            yield quota[0], period[0]


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """The directories of this process's control group and of those above it.

    In a container the group's own path may be the host's, and its directory the one that is mounted.
    """
    mounted = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        if controllers and controller not in controllers.split(","):
            continue
        top = mounted / controllers if controllers else mounted
        if controllers and not top.is_dir():
            top = mounted / controller
        group = top / path.lstrip("/")
        yield from (each for each in (group, *group.parents) if each.is_relative_to(top))


def _numbers(file: Path, count: int) -> list[int]:
    """The numbers in a file, at most ``count``; none where it is missing or says something else."""
    with suppress(ValueError):
        return [int(word) for word in _text(file).split()[:count]]
    return []


def _text(file: Path) -> str:
    with suppress(OSError, ValueError):
        return file.read_text()
    return ""
