"""A short run of the fuzzer, and its earlier findings."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Server
from tests.fuzz.__main__ import CORPUS, Run
from tests.fuzz.all_kinds import KINDS
from tests.fuzz.exchange import Connection
from tests.fuzz.kinds import Case


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*")), ids=lambda path: path.name)
def test_earlier_findings_stay_fixed(server: Server, path: Path) -> None:
    case = Case(path.read_bytes(), None if path.suffix == ".raw" else 1)
    connection = Connection(server.port)
    assert connection.faults(case) == []
    connection.close()


@pytest.mark.slow
def test_a_short_run_finds_nothing() -> None:
    run = Run(KINDS, count=300, seconds=120, seed=1)
    run.all()
    assert not run.found
    assert all(run.sent.values())
