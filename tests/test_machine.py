"""Limits of control groups, as containers show them, true or not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app import settings
from app.api.experiments import described
from app.contract.gradient_flow import GradientFlowRequest
from app.core.errors import LimitExceeded
from app.machine import cores, memory
from app.serving.server import serve
from app.settings import Settings

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


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_server_processes_share_what_there_is(monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    monkeypatch.setattr(settings, "memory", lambda: 2 * GIB)
    monkeypatch.setattr(settings, "cores", lambda: 2)
    own = Settings(workers=workers)
    assert own.threads == max(1, 2 // workers)
    assert own.simulators == 2  # of the whole service
    assert workers * own.max_flow_bytes == GIB
    assert own.max_worker_bytes > own.max_flow_bytes
    assert workers * own.max_elements * settings.ELEMENT_BYTES <= 0.15 * 2 * GIB
    assert workers * own.max_body_bytes == 256 * 2**20
    assert own.impossible() is None


def test_explicit_settings_are_not_divided_among_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "memory", lambda: GIB)
    own = Settings(workers=4, threads=7, simulators=9, max_flow_bytes=5e9, max_elements=11)
    assert (own.threads, own.simulators, own.max_flow_bytes, own.max_elements) == (7, 9, 5e9, 11)


def test_more_server_processes_than_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "memory", lambda: 2 * GIB)
    assert Settings(workers=64).impossible() == (
        "64 server processes take 9,600 MiB of memory at rest; there are 2,048, enough for 6"
    )


def test_less_memory_than_one_process_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A control group may say so, in error or not: the service does not begin what the kernel would end."""
    monkeypatch.setattr(settings, "memory", lambda: 100 * 2**20)
    assert Settings().impossible() == ("one server process takes 150 MiB of memory at rest; there are 100")


@pytest.mark.parametrize("workers", [1, 64])
def test_impossible_settings_end_the_server_with_a_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], workers: int
) -> None:
    monkeypatch.setattr(settings, "memory", lambda: 100 * 2**20)
    with pytest.raises(SystemExit) as ended:
        serve(Settings(workers=workers, port=0))
    assert ended.value.code not in (0, None)
    assert "of memory at rest" in capsys.readouterr().out


def test_a_network_that_does_not_fit_is_refused_with_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """In two gigabytes, as the compose file gives: a million units, twenty layers."""
    monkeypatch.setattr(settings, "memory", lambda: 2 * GIB)
    body = GradientFlowRequest(activation="tanh", width=1_000_000, depth=20, networks=1)
    with pytest.raises(LimitExceeded, match=r"would take [\d,]+ bytes; the limit is 1,073,741,824"):
        described(body, Settings())
