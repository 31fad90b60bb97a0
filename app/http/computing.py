"""Running a request's work off the event loop, with what can come of that as problems."""

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
    """`ComputeThreads.run`, its exceptions as problems; large work is cancelled when the client has gone."""
    threads: ComputeThreads = request.app.state.threads
    running = threads.run(work, size=size, seconds=seconds, kind=kind)
    with failures:
        # A look at the client costs a small request more than its work.
        return await (running if size <= SMALL else _while_there(request, running))


def admitted(request: Request, seconds: float) -> Admission:
    """A place among the simulations for ``seconds`` from now on; a full house is a problem."""
    simulations: Simulations = request.app.state.simulations
    with failures:
        return simulations.admit(seconds)


async def prepared(request: Request, admission: Admission, work: Callable[[Admission], Result]) -> Result:
    """`Admission.prepare`, cancelled when the client has gone."""
    with failures:
        return await _while_there(request, admission.prepare(work))


async def planned(request: Request, admission: Admission, step: Callable[[], Result]) -> Result:
    """What is asked for, by ``step`` in its turn: integrals may be behind it, or a million layers."""
    return await prepared(request, admission, lambda own: own.plan(step))


async def answered_by(request: Request, admission: Admission, job: Job[Result]) -> Result:
    """`simulated`, of one job and nothing besides."""
    return await simulated(request, admission, lambda run: next(run([job], ignore)))


def reserve(admission: Admission, job_bytes: float) -> None:
    """`Admission.reserve`; no memory left is a problem."""
    with failures:
        admission.reserve(job_bytes)


async def simulated(request: Request, admission: Admission, work: Callable[[Admission], Result]) -> Result:
    """`Admission.run`, cancelled when the client has gone."""
    with failures:
        return await _while_there(request, admission.run(work))


@Translation
def failures(error: BaseException) -> Problem | None:
    """Problems for work that found no room, ran out of time or memory, or lost its worker."""
    if isinstance(error, Busy):
        return Problem(503, "the service is busy; try again later", headers={"Retry-After": "1"})
    if isinstance(error, DeadlineExceeded):
        return Problem(504, "the computation did not end in the time it had")
    if isinstance(error, MemoryError):
        return Problem(422, "the computation took more memory than a worker may use")
    if isinstance(error, Unavailable):
        return Problem(503, "the cluster that computes this does not answer", headers={"Retry-After": "5"})
    if isinstance(error, WorkerLost):
        detail = "the process that computed this died each time it was tried; try again later"
        return Problem(503, detail, headers={"Retry-After": "1"})
    return None


async def _while_there(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """The result of ``work``, which is cancelled when the client has gone."""
    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise Problem(503, "the client has gone")
        return await task
    finally:
        task.cancel()
        gone.cancel()


async def _gone(request: Request) -> None:
    """Returns once the client has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def timeout(request: Request, longest: float) -> float:
    """The client's own deadline in seconds, where it is shorter than the service's."""
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
