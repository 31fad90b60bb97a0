"""Worker processes under SIGKILL and SIGSTOP at any instant: the job is retried, others are unaffected."""

from __future__ import annotations

import os
import platform
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest

from app.compute.processes import Pool, WorkerProcesses
from app.compute.workers import Running, Workers
from app.core.evaluation import Mapper
from app.core.jobs import Progress

LARGE = 2**25
"""Bytes of an answer that takes many writes to send, so that a kill is likely between two of them."""


@dataclass(frozen=True)
class Answer:
    """Writes its process id to a file, and answers with many equal bytes."""

    number: int
    started: Path
    size: int = LARGE

    def __call__(self, _map_blocks: Mapper, _progress: Progress) -> bytes:
        written = self.started.with_suffix(".new")
        written.write_text(str(os.getpid()))
        written.replace(self.started)
        return bytes([self.number % 256]) * self.size


@dataclass(frozen=True)
class WhoAmI:
    def __call__(self, _map_blocks: Mapper, _progress: Progress) -> int:
        return os.getpid()


@dataclass(frozen=True)
class Sleep:
    seconds: float

    def __call__(self, _map_blocks: Mapper, _progress: Progress) -> int:
        time.sleep(self.seconds)
        return os.getpid()


@pytest.fixture(scope="module")
def processes() -> Iterator[WorkerProcesses]:
    with closing(WorkerProcesses({"jobs": Pool(2, 2**31)})) as made:
        yield made


@pytest.fixture(scope="module")
def workers(processes: WorkerProcesses) -> Iterator[Workers]:
    made = Workers(processes.dispatch["jobs"], 2)
    yield made
    made.close()


def until(condition: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def begun(running: Running[bytes], started: Path) -> int:
    """Waits until the job runs; the process id of its worker."""
    until(lambda: started.exists() or running.future.done(), 20)
    return int(started.read_text())


def fork_server(workers: Workers) -> psutil.Process:
    """The fork server of these workers."""
    worker = workers.submit(WhoAmI(), 1).future.result(timeout=30)
    return psutil.Process(psutil.Process(worker).ppid())


@dataclass(frozen=True)
class Allocate:
    """Uses and frees 100 MB in pieces, which glibc keeps; answers its process id and size in bytes."""

    def __call__(self, _map_blocks: Mapper, _progress: Progress) -> tuple[int, int]:
        held = [np.ones(8192) for _ in range(100 * 16)]
        del held
        return os.getpid(), psutil.Process().memory_info().rss


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="other C libraries keep less, and by other rules"
)
def test_an_idle_worker_returns_the_memory_that_it_freed(workers: Workers) -> None:
    worker, held = workers.submit(Allocate(), 1).future.result(timeout=30)
    until(lambda: psutil.Process(worker).memory_info().rss < held - 90 * 2**20, 20)


@pytest.mark.slow
def test_forty_kills_while_answers_are_sent_lose_nothing(workers: Workers, tmp_path: Path) -> None:
    source = random.Random(5)
    assert workers.submit(WhoAmI(), 1).future.result(timeout=30)  # starts the workers before the first kill
    before = workers.restarts
    for number in range(40):
        started = tmp_path / str(number)
        running = workers.submit(Answer(number, started), 1)
        worker = begun(running, started)
        time.sleep(source.uniform(0.0, 0.03))  # the answer is made in 10 ms and sent in another 20
        with suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)
        beside = workers.submit(WhoAmI(), 1)
        assert beside.future.result(timeout=5) != worker
        assert running.future.result(timeout=10) == bytes([number % 256]) * LARGE
    assert workers.restarts - before >= 10  # most of them hit


def test_a_kill_in_the_middle_of_an_answer_is_seen_by_its_length(workers: Workers, tmp_path: Path) -> None:
    """The answer is larger than all buffers between the processes, and is not read before the kill."""
    started = tmp_path / "started"
    running = workers.submit(Answer(7, started, 2**28), 1)
    worker = begun(running, started)
    process = psutil.Process(worker)
    until(lambda: process.memory_info().rss > 2**29, 10)  # the answer, and its message
    process.kill()
    assert running.future.result(timeout=30) == bytes([7]) * 2**28


@pytest.mark.slow
def test_a_stopped_worker_is_replaced_and_its_job_done_by_another(workers: Workers) -> None:
    parent = fork_server(workers)
    running = [workers.submit(Sleep(0.5), 1) for _ in range(2)]
    until(lambda: all(each.begun() for each in running), 20)
    stopped = {each.pid for each in parent.children()}
    for worker in stopped:
        os.kill(worker, signal.SIGSTOP)
    assert {each.future.result(timeout=15) for each in running}.isdisjoint(stopped)


def test_a_stopped_worker_does_not_outlive_its_job(workers: Workers) -> None:
    parent = fork_server(workers)
    running = [workers.submit(Sleep(60), 1) for _ in range(2)]
    until(lambda: all(each.begun() for each in running), 20)
    for worker in parent.children():
        worker.suspend()
    for each in running:
        each.future.cancel()
    begin = time.monotonic()
    assert workers.submit(WhoAmI(), 1).future.result(timeout=10)
    assert time.monotonic() - begin < 3


@pytest.mark.parametrize("fault", [signal.SIGKILL, pytest.param(signal.SIGSTOP, marks=pytest.mark.slow)])
def test_the_fork_server_may_die(workers: Workers, fault: signal.Signals) -> None:
    parent = fork_server(workers)
    running = workers.submit(Sleep(1.0), 1)
    until(running.begun, 20)
    old = parent.children()
    before = workers.restarts
    parent.send_signal(fault)
    assert running.future.result(timeout=5)
    assert workers.restarts == before  # the running job continues
    for each in old:
        with suppress(psutil.NoSuchProcess):
            each.kill()
    begin = time.monotonic()
    assert workers.submit(WhoAmI(), 1).future.result(timeout=15)
    assert time.monotonic() - begin < 10


OWNER = """
import time
from app.compute.processes import Pool, WorkerProcesses
from app.compute.workers import Workers
from tests.compute.test_processes import Sleep
workers = Workers(WorkerProcesses({"jobs": Pool(2, 2**31)}).dispatch["jobs"], 2)
running = [workers.submit(Sleep(600), 1) for _ in range(2)]
while not all(each.begun() for each in running):
    time.sleep(0.01)
print("begun", flush=True)
time.sleep(600)
"""


def test_nothing_is_left_of_a_service_that_was_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"begun\n"
        below = psutil.Process(owner.pid).children(recursive=True)
        assert len(below) == 3
        owner.kill()
        _, left = psutil.wait_procs(below, timeout=5)
        assert not left
