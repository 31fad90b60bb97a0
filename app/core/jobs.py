"""Pieces of work that may be done elsewhere: values that are called, and the runners that call them.

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
"""Called now and then with the part of the work that is done, 0 to 1; what it raises ends the work."""


class Job(Protocol[Result_co]):
    """Work to be done once, here or elsewhere."""

    def __call__(self, map_blocks: Mapper, progress: Progress, /) -> Result_co:
        """Does it. ``map_blocks`` is as the built-in ``map`` and may run the calls side by side."""


class Runner(Protocol):
    """Runs jobs, perhaps side by side and from now on, and yields their results in the jobs' order."""

    def __call__(self, jobs: Sequence[Job[Result]], progress: Progress) -> Iterator[Result]:
        """``progress`` hears of the jobs together."""


def ignore(_: float) -> None:
    """Progress that nobody watches."""


def in_turn(jobs: Sequence[Job[Result]], progress: Progress = ignore) -> Iterator[Result]:
    """The plain runner: one job after the other, here."""
    for number, job in enumerate(jobs):

        def report(part: float, before: int = number) -> None:
            progress((before + part) / len(jobs))

        report(0.0)
        yield job(map, report)
