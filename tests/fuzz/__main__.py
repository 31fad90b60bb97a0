"""``python -m tests.fuzz``: sends mutated requests over persistent connections, up to a time or count.

It starts a server and watches its memory and descriptors. A finding is a wrong answer: a status 500, an echo
of the input, invalid HTTP, no answer, or more than five seconds. Findings are minimised and written to
``tests/fuzz/corpus``, which the tests send every time.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from tests.benchmarks.processes import Server, activation_lab, resident
from tests.fuzz.all_kinds import KINDS
from tests.fuzz.exchange import Connection
from tests.fuzz.kinds import Case
from tests.fuzz.minimise import smaller

CORPUS = Path(__file__).parent / "corpus"

WARM_UP = 10_000
"""Cases before memory is first measured: by then loops are loaded and workers started."""

MOST_GROWTH = 0.05
"""By what fraction memory may grow after the warm-up."""

SETTINGS = {"receive_timeout": 3, "request_timeout": 4, "max_body_bytes": 32 * 2**20, "log_level": "error"}


def main() -> None:
    """Draws and sends cases, and reports; exits with 1 if there are findings."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)}; all by default")
    parser.add_argument("--count", type=int, default=1000, help="cases of each kind (1000)")
    parser.add_argument("--seconds", type=float, default=600, help="time for all of them (600)")
    parser.add_argument("--seed", type=int, default=0, help="draws other cases (0)")
    chosen = parser.parse_args()
    if unknown := set(chosen.kinds) - set(KINDS):
        parser.error(f"no kind is called {', '.join(sorted(unknown))}")
    run = Run(chosen.kinds or list(KINDS), chosen.count, chosen.seconds, chosen.seed)
    run.all()
    sys.exit(bool(run.found))


class Run:
    """A run over some kinds of requests, and its findings."""

    def __init__(self, kinds: Iterable[str], count: int, seconds: float, seed: int) -> None:
        self._kinds = list(kinds)
        self._count = count
        self._end = time.monotonic() + seconds
        self._seed = seed
        self.found: Counter[tuple[str, str]] = Counter()
        self.sent: Counter[str] = Counter()

    def all(self) -> None:
        """Sends all cases, alternating between kinds, so that each gets its share of the time."""
        with activation_lab(**SETTINGS) as server:
            sources = {kind: random.Random(f"{self._seed} {kind}") for kind in self._kinds}
            connection = Connection(server.port)
            for kind in self._kinds:  # loops are compiled at first use
                warm = random.Random(0)
                for _ in range(50):
                    connection.faults(KINDS[kind](warm)._replace(timeout=60))
            first = memory = 0
            for _ in range(self._count):
                if time.monotonic() > self._end or server.process.poll() is not None:
                    break
                if memory == 0 and sum(self.sent.values()) >= WARM_UP:
                    first, memory = descriptors(server), resident(server.process.pid)
                for kind in self._kinds:
                    self._try(kind, KINDS[kind](sources[kind]), connection, server)
            connection.close()
            self._report(server, first, memory)

    def _try(self, kind: str, case: Case, connection: Connection, server: Server) -> None:
        self.sent[kind] += 1
        for fault in connection.faults(case):
            self.found[kind, fault] += 1
            if self.found[kind, fault] <= 3:
                print(f"{kind}: {fault}", flush=True)
                keep(kind, smaller(case, fault, server.port))
        if server.process.poll() is not None:
            self.found[kind, "the server died"] += 1
            keep(kind, case)

    def _report(self, server: Server, first: int, memory: int) -> None:
        for kind in self._kinds:
            faults = {fault: count for (of, fault), count in self.found.items() if of == kind}
            print(f"{kind:12} {self.sent[kind]:7,} sent  {faults or 'nothing found'}")
        if server.process.poll() is not None:
            print("the server died")
        elif memory:
            grown = resident(server.process.pid) / memory - 1
            print(
                f"memory {memory / 2**20:,.0f} MB, {grown:+.1%}; descriptors {first} to {descriptors(server)}"
            )
            if grown > MOST_GROWTH:
                self.found["all", "memory grows"] += 1


def descriptors(server: Server) -> int:
    """Open descriptors of the server process."""
    with suppress(OSError):
        return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))
    return 0


def keep(kind: str, case: Case) -> None:
    """Writes a case to the corpus."""
    CORPUS.mkdir(exist_ok=True)
    name = f"{kind}-{sha256(case.sent).hexdigest()[:12]}{'' if case.answers == 1 else '.raw'}"
    (CORPUS / name).write_bytes(case.sent)


if __name__ == "__main__":
    main()
