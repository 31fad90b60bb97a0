"""Limits of control groups, as containers show them, true or not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.machine import cores, memory

CORES = len(os.sched_getaffinity(0))
MEMORY = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
GIB = 2**30

needs_two = pytest.mark.skipif(CORES < 2, reason="one core cannot be limited further")


def machine(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


V1 = "12:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n1:name=systemd:/docker/abc\n"


@needs_two
@pytest.mark.parametrize(
    "files",
    [
        {
            "proc/self/cgroup": "0::/\n",
            "sys/fs/cgroup/memory.max": "1073741824\n",
            "sys/fs/cgroup/cpu.max": "100000 100000\n",
        },
        {
            "proc/self/cgroup": "0::/pod/container\n",
            "sys/fs/cgroup/pod/container/memory.max": "max\n",
            "sys/fs/cgroup/pod/container/cpu.max": "max 100000\n",
            "sys/fs/cgroup/pod/memory.max": "1073741824\n",
            "sys/fs/cgroup/pod/cpu.max": "50000 50000\n",
        },
        {
            "proc/self/cgroup": V1,  # the host's path; the container's own group is what is mounted
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "1073741824\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "100000\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        },
        {
            "proc/self/cgroup": V1,
            "sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes": "1073741824\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            "sys/fs/cgroup/cpu/docker/abc/cpu.cfs_quota_us": "100000\n",
            "sys/fs/cgroup/cpu/docker/abc/cpu.cfs_period_us": "100000\n",
        },
    ],
)
def test_limits_of_both_versions(tmp_path: Path, files: dict[str, str]) -> None:
    root = machine(tmp_path, files)
    assert memory(root) == GIB
    assert cores(root) == 1


@pytest.mark.parametrize("said", ["max", "", "0", "-1", "4096", "much", "1e9", "9" * 30, "\x00", "½"])
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_what_cannot_be_true_is_no_limit(tmp_path: Path, said: str, version: str) -> None:
    if version == "v2":
        files = {
            "proc/self/cgroup": "0::/\n",
            "sys/fs/cgroup/memory.max": said,
            "sys/fs/cgroup/cpu.max": f"{'max' if said.isdecimal() else said} {said}",
        }
    else:
        files = {
            "proc/self/cgroup": V1,
            "sys/fs/cgroup/memory/memory.limit_in_bytes": said,
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": said,
        }
    root = machine(tmp_path, files)
    assert memory(root) == MEMORY
    assert cores(root) == CORES


@pytest.mark.parametrize("text", [None, "", "nonsense", "0", "::::", "0::/../../..\n", "0::" + "/a" * 3000])
def test_no_control_groups(tmp_path: Path, text: str | None) -> None:
    root = machine(tmp_path, {} if text is None else {"proc/self/cgroup": text})
    assert (cores(root), memory(root)) == (CORES, MEMORY)


def test_a_fraction_of_a_core_is_one(tmp_path: Path) -> None:
    files = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "20000 100000\n"}
    assert cores(machine(tmp_path, files)) == 1
