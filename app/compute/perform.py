"""Runs a job in the process that received it: a worker process of this service, or one on another machine."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from threadpoolctl import threadpool_limits

from app.compute.blocks import Helpers, unchecked
from app.compute.memory import NETWORK, keep_freed_memory
from app.core.jobs import Job, Progress, Result, ignore


def perform(
    job: Job[Result],
    threads: int,
    progress: Progress = ignore,
    check: Callable[[], None] = unchecked,
) -> Result:
    """The job's result, its blocks spread over ``threads``.

    ``check`` is called before each block; an exception from it or from ``progress`` ends the job.
    """
    pin_blas()
    keep_freed_memory(NETWORK)
    with Helpers(threads - 1) as helpers:
        return job(helpers.mapper(check), progress)


@cache
def pin_blas() -> Any:
    """Limits BLAS to one thread for good: its own threads are slow on thin matrices and change last bits."""
    return threadpool_limits(1, user_api="blas")
