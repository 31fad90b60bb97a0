"""Jobs on a Dask cluster: an `Executor` like the local worker processes, on other machines.

The cluster may become unreachable at any time. A thread keeps a connection to the scheduler and polls its
list of workers every second. While the scheduler does not answer, every job fails with `Unavailable`, at once
and not at its deadline; once it answers again, jobs are accepted again.
"""

from __future__ import annotations

import platform
import threading
from collections.abc import Callable, Collection
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import structlog
from distributed import Client, KilledWorker, get_worker
from threadpoolctl import threadpool_info

from app import __version__
from app.compute.perform import perform
from app.compute.workers import Running, Unavailable, WorkerLost
from app.core.jobs import Job, Result

INTERVAL = 1.0
"""Seconds between two polls of the scheduler."""

SILENCE = 5.0
"""Seconds that a scheduler has to answer; then it counts as lost."""

FIRST_ANSWER = 30.0
"""Seconds that workers have to report their `Kind`: the first call makes them import everything."""


class Kind(NamedTuple):
    """What decides whether a worker can run our jobs, and whether its results agree to the last bit."""

    versions: tuple[str, ...]
    arithmetic: tuple[str, ...]


def kind() -> Kind:
    """The kind of this process: its versions, and the kernels that NumPy and BLAS chose for the processor."""
    kernels = sorted(str(each.get("architecture")) for each in threadpool_info())
    python = platform.python_version_tuple()[:2]
    return Kind((__version__, np.__version__, ".".join(python)), (platform.machine(), *kernels))


class Cluster:
    """An `Executor` on the workers of the Dask scheduler at ``address``, which need not be running yet.

    Dask runs the tasks of a worker that dies on another one, and gives up on a task after three workers.
    Workers whose versions differ from this service's get no jobs.
    """

    restarts = 0
    """Always 0: Dask restarts its own workers without reporting it."""

    def __init__(self, address: str) -> None:
        self.capacity = 1
        self._address = address
        self._client: Any = None
        self._workers: frozenset[str] = frozenset()
        self._unfit: frozenset[str] = frozenset()
        self._scheduler: str | None = None
        self._outcomes: dict[Future[Any], frozenset[str]] = {}  # with the workers that each may run on
        self._closed = threading.Event()
        self._polled = threading.Event()
        self._cancelling = ThreadPoolExecutor(1, "cancel")
        self._thread = threading.Thread(target=self._poll_until_closed, name="cluster", daemon=True)
        self._thread.start()
        self._polled.wait(2 * SILENCE)

    @property
    def available(self) -> bool:
        """Whether the scheduler answers, and has workers that can run our jobs."""
        return bool(self._workers)

    def submit(self, job: Job[Result], threads: int) -> Running[Result]:
        """Starts a job on one thread of some worker: Dask schedules by threads, and reports no progress."""
        del threads
        outcome: Future[Result] = Future()
        client, workers = self._client, self._workers
        self._outcomes[outcome] = workers
        outcome.add_done_callback(lambda _: self._outcomes.pop(outcome, None))
        if not workers:
            outcome.set_exception(Unavailable())
            return Running(outcome, lambda: 0.0, lambda: False)
        inner = client.submit(_perform, job, workers=list(workers), pure=False)
        outcome.add_done_callback(lambda _: self._cancelling.submit(inner.cancel))
        inner.add_done_callback(partial(_settle, outcome))
        return Running(outcome, lambda: 0.0, lambda: True)

    def close(self) -> None:
        """Abandons all jobs and disconnects."""
        self._closed.set()
        self._thread.join(2 * SILENCE)
        self._cancelling.shutdown(wait=False, cancel_futures=True)

    def _poll_until_closed(self) -> None:
        """Polls the scheduler every `INTERVAL` seconds."""
        while not self._closed.is_set():
            try:
                self._poll()
            except Exception as error:  # noqa: BLE001  whatever Dask raises: the scheduler is unreachable
                self._lose(type(error).__name__)
            self._polled.set()
            self._closed.wait(INTERVAL)
        self._lose(None)

    def _poll(self) -> None:
        if self._client is None:
            self._client = Client(self._address, timeout=SILENCE, set_as_default=False, name="activation-lab")  # type: ignore[no-untyped-call]
        client = self._client
        identity = client.sync(client.scheduler.identity, n_workers=-1, callback_timeout=SILENCE)
        if self._scheduler not in (None, identity["id"]):
            raise _Restarted  # the new scheduler at this address does not know our jobs
        self._scheduler, there = identity["id"], identity["workers"]
        if there.keys() != self._workers | self._unfit:
            asked = client._run  # noqa: SLF001  `run` itself has no timeout
            self._sort(client.sync(asked, kind, on_error="return", callback_timeout=FIRST_ANSWER))
            # Dask would keep a job for workers that have gone, in case they return at the same address.
            self._abandon({each for each, able in list(self._outcomes.items()) if not able & self._workers})
        self.capacity = max(1, sum(int(there[each]["nthreads"]) for each in self._workers if each in there))

    def _sort(self, kinds: dict[str, Any]) -> None:
        """Updates the sets of usable and unusable workers, and logs where they differ."""
        own = kind()
        alike = {
            each for each, its in kinds.items() if isinstance(its, Kind) and its.versions == own.versions
        }
        self._unfit = frozenset(kinds.keys() - alike)
        if self._unfit:
            structlog.get_logger().warning(
                "workers of another version get no jobs", count=len(self._unfit), wanted=own.versions
            )
        processors = {kinds[each].arithmetic for each in alike}
        if len(processors) > 1:
            structlog.get_logger().warning(
                "the cluster's processors are unlike: last bits depend on which of them computes",
                processors=sorted(processors),
            )
        if not self._workers and alike:
            structlog.get_logger().info("the cluster is there", workers=len(alike))
        self._workers = frozenset(alike)

    def _lose(self, reason: str | None) -> None:
        """Drops the connection to a scheduler that does not answer, and fails all jobs."""
        client, self._client, self._scheduler = self._client, None, None
        if self._workers and reason is not None:
            structlog.get_logger().warning("the cluster's scheduler does not answer", reason=reason)
        self._workers = self._unfit = frozenset()
        self._abandon(list(self._outcomes))
        if client is not None:  # closing waits for a scheduler that may not be there
            threading.Thread(target=partial(client.close, timeout=SILENCE), daemon=True).start()

    @staticmethod
    def _abandon(outcomes: Collection[Future[Any]]) -> None:
        """Fails these jobs: no worker is left to run them."""
        for outcome in outcomes:
            with suppress(InvalidStateError):
                outcome.set_exception(Unavailable())


class _Restarted(Exception):
    """Another scheduler answers at the address."""


def _perform(job: Job[Result]) -> Result:
    """On a worker: the job's result; stops between two blocks once the task is cancelled."""
    return perform(job, 1, check=_cancellation_check())


def _cancellation_check() -> Callable[[], None]:
    # Dask has no public way to ask whether a running task was cancelled.
    worker = get_worker()
    tasks, key = worker.state.tasks, worker.get_current_task()

    def check() -> None:
        task = tasks.get(key)
        if task is None or task.state == "cancelled":
            raise _Cancelled

    return check


class _Cancelled(Exception):
    """The task was cancelled."""


def _settle(outcome: Future[Result], inner: Any) -> None:
    """Copies the result or error of Dask's future to ``outcome``."""
    with suppress(InvalidStateError):  # cancelled
        try:
            if inner.status == "finished":
                outcome.set_result(inner.result(timeout=SILENCE * 10))
            elif inner.status == "error":
                failure = inner.exception(timeout=SILENCE)
                outcome.set_exception(WorkerLost() if isinstance(failure, KilledWorker) else failure)
            else:  # cancelled because the scheduler ended
                outcome.set_exception(Unavailable())
        except InvalidStateError:
            raise
        except Exception:  # noqa: BLE001  the result could not be fetched
            outcome.set_exception(Unavailable())
