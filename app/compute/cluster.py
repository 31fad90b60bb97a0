"""Jobs on a Dask cluster: the same `Executor` as the worker processes here, on other machines."""

from __future__ import annotations

from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from functools import partial

from distributed import Client, KilledWorker

from app.compute.perform import perform
from app.compute.workers import Running, WorkerLost
from app.core.jobs import Job, Result


class Cluster:
    """An `Executor` on the workers of the Dask scheduler at ``address``.

    A worker that dies has its tasks done by another; Dask gives a task up after three workers. A running task
    cannot be ended there, only forgotten: jobs are short. Raises `OSError` where no scheduler answers.
    """

    restarts = 0
    """Dask starts its own workers again, and tells nobody."""

    def __init__(self, address: str) -> None:
        self._client = Client(address, set_as_default=False, name="activation-lab")  # type: ignore[no-untyped-call]
        self._executor = self._client.get_executor(pure=False)  # type: ignore[no-untyped-call]

    @property
    def capacity(self) -> int:
        """Threads of all workers there are now, one at least: the first may be on its way."""
        workers = self._client.scheduler_info(n_workers=-1)["workers"]
        return max(1, sum(int(each["nthreads"]) for each in workers.values()))

    def submit(self, job: Job[Result], threads: int) -> Running[Result]:
        """Starts a job on one thread of some worker: Dask counts threads, and tells nothing of the way."""
        del threads
        outcome: Future[Result] = Future()
        inner = self._executor.submit(perform, job, 1)
        outcome.add_done_callback(lambda _: inner.cancel())
        inner.add_done_callback(partial(_settle, outcome))
        return Running(outcome, lambda: 0.0, lambda: True)

    def close(self) -> None:
        """Forgets all jobs and says goodbye."""
        self._executor.shutdown(wait=False)
        self._client.close()  # type: ignore[no-untyped-call]


def _settle(outcome: Future[Result], inner: Future[Result]) -> None:
    """Gives ``outcome`` what became of ``inner``."""
    if inner.cancelled():
        return
    with suppress(InvalidStateError):  # cancelled itself
        if (failure := inner.exception()) is not None:
            outcome.set_exception(WorkerLost() if isinstance(failure, KilledWorker) else failure)
        else:
            outcome.set_result(inner.result())
