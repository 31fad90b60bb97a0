"""Running a request's work on the compute threads, with what can come of that as problems."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from fastapi import Request

from app.api.problems import Problem
from app.compute.threads import Busy, ComputeThreads, DeadlineExceeded
from app.core.evaluation import Mapper

Result = TypeVar("Result")


async def computed(
    threads: ComputeThreads, work: Callable[[Mapper], Result], *, size: int, seconds: float
) -> Result:
    """`ComputeThreads.run`; raises `Problem` 503 where there is no room and 504 after ``seconds``."""
    try:
        return await threads.run(work, size=size, seconds=seconds)
    except Busy:
        raise Problem(503, "the service is busy; come back", headers={"Retry-After": "1"}) from None
    except DeadlineExceeded:
        raise Problem(504, "the computation did not end in the time it had") from None


def timeout(request: Request, longest: float) -> float:
    """The client's own deadline in seconds, where it is shorter than the service's."""
    given = request.headers.get("request-timeout")
    if given is None:
        return longest
    try:
        seconds = float(given)
    except ValueError:
        seconds = -1.0
    if not seconds > 0:
        raise Problem(422, "Request-Timeout must be a positive number of seconds")
    return min(seconds, longest)
