"""SIGKILL of every kind of process under load; `make load` does the same more often."""

from __future__ import annotations

import asyncio

import pytest

from tests.benchmarks.deaths import RECOVERY, SETTINGS, Toll, dask, deaths, kinds_of
from tests.benchmarks.processes import activation_lab

pytestmark = pytest.mark.slow

TIMES = 2


def check(toll: Toll) -> None:
    assert toll.lost == 0
    assert len(toll.recoveries) == TIMES
    assert max(toll.recoveries) < RECOVERY


@pytest.mark.parametrize("kind", ["worker", "fork server", "renderer", "one of two servers"])
def test_only_requests_of_the_killed_process_are_lost(kind: str) -> None:
    with activation_lab(**SETTINGS) as server:
        check(asyncio.run(deaths(kinds_of(server)[kind], server, TIMES)))


def test_the_scheduler_of_a_cluster() -> None:
    with dask() as (address, scheduler), activation_lab(dask_scheduler=address, **SETTINGS) as server:
        toll = asyncio.run(deaths(scheduler, server, TIMES))
    check(toll)
    assert toll.refused > 0
