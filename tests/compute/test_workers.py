"""Worker processes: retries when a worker dies, cancellation, and results that are the same everywhere."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.compute.processes import Pool, WorkerProcesses
from app.compute.simulations import PROGRESS_INTERVAL, Simulations
from app.compute.threads import Busy, DeadlineExceeded
from app.compute.workers import ATTEMPTS, Running, WorkerLost, Workers
from app.core.activations import REGISTRY
from app.core.diagnosis.experiment import Experiment, Simulation
from app.core.errors import InvalidValue
from app.core.evaluation import Mapper
from app.core.jobs import Job, Progress, Result, Runner, ignore, in_turn
from app.core.propagation.initialisers import initialiser
from app.core.propagation.network import GaussianInputs, Network


@dataclass(frozen=True)
class Double:
    number: int

    def __call__(self, _map_blocks: Mapper, _progress: Progress) -> int:
        return 2 * self.number


@dataclass(frozen=True)
class WhoAmI:
    def __call__(self, _map_blocks: Mapper, _progress: Progress) -> int:
        return os.getpid()


@dataclass(frozen=True)
class Sleep:
    seconds: float

    def __call__(self, _map_blocks: Mapper, progress: Progress) -> int:
        progress(0.5)
        time.sleep(self.seconds)
        return os.getpid()


@dataclass(frozen=True)
class Touch:
    path: Path

    def __call__(self, _map_blocks: Mapper, _progress: Progress) -> int:
        self.path.touch()
        return os.getpid()


@dataclass(frozen=True)
class WaitFor:
    path: Path

    def __call__(self, _map_blocks: Mapper, _progress: Progress) -> int:
        while not self.path.exists():
            time.sleep(0.01)
        return os.getpid()


@dataclass(frozen=True)
class Die:
    """Is killed as often as the file has characters, of which each attempt removes one."""

    lives: Path

    def __call__(self, _map_blocks: Mapper, _progress: Progress) -> str:
        left = self.lives.read_text()
        if not left:
            return "alive"
        self.lives.write_text(left[1:])
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


@dataclass(frozen=True)
class Fail:
    def __call__(self, _map_blocks: Mapper, _progress: Progress) -> None:
        raise InvalidValue("must be sane", loc=("width", 3))


@dataclass(frozen=True)
class Allocate:
    size: int

    def __call__(self, _map_blocks: Mapper, _progress: Progress) -> int:
        return int(np.ones(self.size, np.uint8).sum())


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with closing(WorkerProcesses({"jobs": Pool(2, 2**30)})) as processes:
        made = Workers(processes.dispatch["jobs"], 2)
        yield made
        made.close()


def result(workers: Workers, job: Any) -> Any:
    return workers.submit(job, 1).future.result(timeout=30)


def test_networks_are_the_same_bits_wherever_they_are_made(workers: Workers) -> None:
    network = Network(
        sizes=(300,) * 6, call=REGISTRY.resolve("tanh"), weights=initialiser("torch_default"), residual=0.5
    )
    experiment = Experiment(network=network, inputs=GaussianInputs(4), networks=3)
    jobs = [Simulation(experiment, index) for index in range(3)]
    for here, number in zip(in_turn(jobs), range(3), strict=True):
        for threads in (1, 2):
            there = workers.submit(jobs[number], threads).future.result(timeout=30)
            assert vars(here).keys() == vars(there).keys()
            for name, values in vars(here).items():
                np.testing.assert_array_equal(values, getattr(there, name), err_msg=name)


def test_a_killed_worker_s_task_is_tried_again(workers: Workers, tmp_path: Path) -> None:
    (lives := tmp_path / "lives").write_text("x")
    beside = workers.submit(Sleep(0.5), 1)
    assert result(workers, Die(lives)) == "alive"
    assert beside.future.result(timeout=30)


def test_a_job_that_kills_each_worker_is_reported(workers: Workers, tmp_path: Path) -> None:
    (lives := tmp_path / "lives").write_text("x" * ATTEMPTS)
    before = workers.restarts
    with pytest.raises(WorkerLost):
        result(workers, Die(lives))
    assert workers.restarts == before + ATTEMPTS
    assert result(workers, Double(4)) == 8


def test_idle_workers_may_be_killed(workers: Workers) -> None:
    for _ in range(3):
        os.kill(result(workers, WhoAmI()), signal.SIGKILL)
        time.sleep(0.3)
        assert result(workers, Double(3)) == 6


def test_a_cancelled_task_frees_its_worker(workers: Workers) -> None:
    running = [workers.submit(Sleep(60), 1) for _ in range(2)]
    while not all(each.part() for each in running):
        time.sleep(0.02)
    start = time.monotonic()
    for each in running:
        each.future.cancel()
    assert result(workers, Double(5)) == 10
    assert time.monotonic() - start < 2


@dataclass(frozen=True)
class Count:
    """Reports progress a hundred times a second, for a minute."""

    def __call__(self, _map_blocks: Mapper, progress: Progress) -> None:
        for step in range(6000):
            time.sleep(0.01)
            progress(step / 6000)


def test_cancelling_a_task_that_reports_progress_keeps_its_worker(workers: Workers) -> None:
    before = {result(workers, Sleep(0.1)) for _ in range(4)}
    running = workers.submit(Count(), 1)
    while not running.part():
        time.sleep(0.02)
    running.future.cancel()
    time.sleep(0.6)
    after = [workers.submit(Sleep(0.3), 1) for _ in range(2)]
    assert {each.future.result(timeout=5) for each in after} >= before


def test_errors_come_back_whole(workers: Workers) -> None:
    with pytest.raises(InvalidValue, match="must be sane") as caught:
        result(workers, Fail())
    assert caught.value.loc == ("width", 3)


def test_memory_is_capped(workers: Workers) -> None:
    with pytest.raises(MemoryError):
        result(workers, Allocate(2**31))
    assert result(workers, Allocate(2**20)) == 2**20


def simulations(workers: Workers, **limits: Any) -> Simulations:
    return Simulations(workers, **{"places": 2, "max_bytes": 100.0, "threads": 2, **limits})


def test_results_come_in_order_and_progress_grows(workers: Workers) -> None:
    seen: list[float] = []

    def work(run: Runner) -> list[int]:
        return list(run([Sleep(0.7), Sleep(0.1), Sleep(0.4)], seen.append))

    pids = asyncio.run(simulations(workers).admit(30).run(work))
    assert len(set(pids)) == 2
    assert len(seen) >= 3
    assert seen == sorted(seen)
    assert 0 <= seen[0] < seen[-1] <= 1


def test_a_run_begins_before_its_results_are_requested(workers: Workers, tmp_path: Path) -> None:
    def work(run: Runner) -> list[int]:
        beside = run([Touch(tmp_path / "done")], ignore)
        (waited,) = run([WaitFor(tmp_path / "done")], ignore)
        return [waited, *beside]

    assert all(asyncio.run(simulations(workers).admit(10).run(work)))


class Stuck:
    """An executor that never finishes a job."""

    capacity = 2
    restarts = 0
    available = True

    def __init__(self) -> None:
        self.taken = 0

    def submit(self, job: Job[Result], threads: int) -> Running[Result]:
        del job, threads
        self.taken += 1
        return Running(Future(), lambda: 0.0, lambda: True)

    def close(self) -> None:
        pass


def test_jobs_wait_until_there_is_room() -> None:
    stuck = Stuck()
    room = Simulations(stuck, places=1, max_bytes=0, threads=2)
    with pytest.raises(DeadlineExceeded):
        asyncio.run(room.admit(3.5 * PROGRESS_INTERVAL).run(lambda run: list(run([Double(1)] * 9, ignore))))
    assert stuck.taken == stuck.capacity
    room.close()


def test_more_requests_or_bytes_than_fit_are_refused_at_once(workers: Workers) -> None:
    room = simulations(workers)

    def work(run: Runner) -> list[int]:
        return list(run([Sleep(0.5)], ignore))

    first = room.admit(30, 10.0)  # may run two jobs at a time: it reserves 20
    with pytest.raises(Busy):
        room.admit(30, 85.0)
    second = room.admit(30, 80.0)
    with pytest.raises(Busy):
        room.admit(30)  # no third place
    assert room.rejected == 2
    for admission in (first, second):
        assert asyncio.run(admission.run(work))
    assert asyncio.run(room.admit(30, 100.0).run(work))


def test_a_deadline_ends_the_jobs(workers: Workers) -> None:
    room = simulations(workers)

    def work(run: Runner) -> list[int]:
        return list(run([Sleep(60)] * 5, ignore))

    start = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        asyncio.run(room.admit(0.3).run(work))
    assert result(workers, Double(1)) == 2
    assert time.monotonic() - start < 3
    assert room.running == room.waiting == 0
