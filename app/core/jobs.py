"""Jobs, which can be executed in another process or on another machine, and runners, which execute them.

A job is a frozen dataclass with everything that it needs; it can be sent to another process or machine. What
it returns depends on the job alone, never on where it ran or on how its blocks were spread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeAlias, TypeVar

from app.core.evaluation import Mapper

Result = TypeVar("Result")
Result_co = TypeVar("Result_co", covariant=True)

Progress: TypeAlias = Callable[[float], None]
"""Called now and then with the fraction of the work that is done; an exception from it ends the work."""


class Job(Protocol[Result_co]):
    """Work to be done once, here or elsewhere."""

    def __call__(self, map_blocks: Mapper, progress: Progress, /) -> Result_co:
        """Executes it. ``map_blocks`` is as the built-in ``map`` and may run the calls in parallel."""


class Runner(Protocol):
    """Executes jobs, perhaps in parallel, starting at once, and yields their results in the jobs' order."""

    def __call__(self, jobs: Sequence[Job[Result]], progress: Progress) -> Iterator[Result]:
        """``progress`` is called with the fraction that is done of all jobs together."""


def ignore(_: float) -> None:
    """A `Progress` that does nothing."""


def in_turn(jobs: Sequence[Job[Result]], progress: Progress = ignore) -> Iterator[Result]:
    """The sequential runner: one job after the other, in this process."""
    for number, job in enumerate(jobs):

        def report(part: float, before: int = number) -> None:
            progress((before + part) / len(jobs))

        report(0.0)
        yield job(map, report)
