"""Runs a request's work off the event loop, and turns its failures into problems."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, TypeVar

from fastapi import Request

from app.compute.simulations import Admission, Simulations
from app.compute.threads import SMALL, Busy, ComputeThreads, DeadlineExceeded
from app.compute.workers import Unavailable, WorkerLost
from app.core.evaluation import Mapper
from app.core.jobs import Job, ignore
from app.http.headers import header
from app.http.problems import Problem, Translation

Result = TypeVar("Result")


async def computed(
    request: Request,
    work: Callable[[Mapper], Result],
    *,
    size: int,
    seconds: float,
    kind: Hashable = None,
) -> Result:
    """`ComputeThreads.run`, its exceptions as problems; large work is cancelled if the client disconnects."""
    threads: ComputeThreads = request.app.state.threads
    if threads.inline(size, kind):
        return work(map)
    running = threads.run(work, size=size, seconds=seconds, kind=kind)
    with failures:
        # Watching for a disconnect costs a small request more than its work.
        return await (running if size <= SMALL else _until_disconnect(request, running))


def admitted(request: Request, seconds: float) -> Admission:
    """`Simulations.admit` for ``seconds`` from now on; raises `Problem` 503 if there is no place."""
    simulations: Simulations = request.app.state.simulations
    with failures:
        return simulations.admit(seconds)


async def prepared(request: Request, admission: Admission, work: Callable[[Admission], Result]) -> Result:
    """`Admission.prepare`, cancelled if the client disconnects."""
    with failures:
        return await _until_disconnect(request, admission.prepare(work))


async def planned(request: Request, admission: Admission, step: Callable[[], Result]) -> Result:
    """The result of ``step`` on the planner thread: it may compute integrals, or walk a million layers."""
    return await prepared(request, admission, lambda own: own.plan(step))


async def answered_by(request: Request, admission: Admission, job: Job[Result]) -> Result:
    """`simulated` for a single job."""
    return await simulated(request, admission, lambda run: next(run([job], ignore)))


def reserve(admission: Admission, job_bytes: float) -> None:
    """`Admission.reserve`; raises `Problem` 503 if there is not enough memory."""
    with failures:
        admission.reserve(job_bytes)


async def simulated(request: Request, admission: Admission, work: Callable[[Admission], Result]) -> Result:
    """`Admission.run`, cancelled if the client disconnects."""
    with failures:
        return await _until_disconnect(request, admission.run(work))


@Translation
def failures(error: BaseException) -> Problem | None:
    """Problems for work that was not admitted, ran out of time or memory, or lost its worker."""
    if isinstance(error, Busy):
        return Problem(503, "the service is busy; try again later", headers={"Retry-After": "1"})
    if isinstance(error, DeadlineExceeded):
        return Problem(504, "the computation did not finish before its deadline")
    if isinstance(error, MemoryError):
        return Problem(422, "the computation took more memory than a worker may use")
    if isinstance(error, Unavailable):
        return Problem(503, "the cluster that computes this does not answer", headers={"Retry-After": "5"})
    if isinstance(error, WorkerLost):
        detail = "the process that computed this died at every attempt; try again later"
        return Problem(503, detail, headers={"Retry-After": "1"})
    return None


async def _until_disconnect(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """The result of ``work``, which is cancelled if the client disconnects."""
    task, disconnect = asyncio.ensure_future(work), asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({task, disconnect}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise Problem(503, "the client has disconnected")
        return await task
    finally:
        task.cancel()
        disconnect.cancel()


async def _disconnected(request: Request) -> None:
    """Waits until the client disconnects."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def timeout(request: Request, longest: float) -> float:
    """Seconds until the deadline: from the client's Request-Timeout, but at most ``longest``."""
    given = header(request.scope, b"request-timeout")
    if given is None:
        return longest
    try:
        seconds = float(given)
    except ValueError:
        seconds = -1.0
    if not seconds > 0:
        raise Problem(422, "Request-Timeout must be a positive number of seconds")
    return min(seconds, longest)
