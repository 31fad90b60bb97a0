"""The service against two alternatives: large arrays on one connection, small ones on many."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np

from app.serving.outbox import LONGEST_WAIT
from tests.benchmarks.exchanges import (
    Array,
    Connection,
    Exchange,
    infer_binary,
    infer_json,
    ours_json,
    ours_npy,
    torch_json,
)
from tests.benchmarks.loopback import copied
from tests.benchmarks.peers import torch_service, triton
from tests.benchmarks.processes import HOST, Server, activation_lab
from tests.benchmarks.report import Table, against, comparison
from tests.benchmarks.timing import NotRun, Pairs, in_turn, seconds

Ask: TypeAlias = Callable[[Array], Exchange]

LARGE = 1_000_000
SMALL = 10
CONNECTIONS = 16

SPREAD = 3.0
"""Standard deviation of the inputs, which are normal."""

AGREEMENT = 1e-9
"""Relative. The peers' s(1 − s) cancels: at the largest of a million such inputs it is off by some 1e-11."""


class Effort(NamedTuple):
    """How long to measure: pairs, seconds for all pairs of a job, seconds of one run of wrk."""

    pairs: int
    limit: float
    crowd: int


@dataclass(frozen=True)
class Job:
    """A request to us and the equivalent one to a peer, and how many times faster ours must be."""

    name: str
    ours: Ask
    peer: Ask
    bar: float


@dataclass(frozen=True)
class Peer:
    """An alternative service, and its jobs."""

    name: str
    start: Callable[[], AbstractContextManager[Server]]
    large: tuple[Job, ...]
    small: Job


PEERS = (
    Peer(
        "(a)",
        torch_service,
        large=(Job("JSON", ours_json, torch_json, 4.5),),
        small=Job("small JSON", ours_json, torch_json, 5),
    ),
    Peer(
        "(b)",
        triton,
        large=(
            Job("JSON", ours_json, infer_json, 3),
            Job("`.npy`, tensors by (b)", ours_npy, infer_binary, 2),
            Job("`/v2` tensors", infer_binary, infer_binary, 2),
        ),
        small=Job("small JSON", ours_json, infer_json, 1),
    ),
)


def table(effort: Effort) -> Table:
    """All jobs, each against its peer."""
    result = against("Sigmoid with its derivative over HTTP, float64", "peer")
    with activation_lab() as ours:
        for peer in PEERS:
            try:
                with peer.start() as theirs:
                    _beside(result, peer, ours, theirs, effort)
            except NotRun as why:
                result.not_run(f"all against {peer.name}", why)
        for name, ask in (("`.npy`", ours_npy), ("`/v2` tensors", infer_binary)):
            _beside_a_copy(result, name, ask, ours, effort)
    result.notes.append(
        f"(a) is FastAPI with PyTorch's autograd, (b) NVIDIA Triton with a model in NumPy. {LARGE:,} numbers "
        "at a time on one connection, from the request's first byte to the answer's last; small: "
        f"{SMALL} at a time on {CONNECTIONS} connections, one server process each, all as they start by "
        f"default. Before the measurement the answers were compared: they agree to {AGREEMENT:g}. Ours "
        "spends most of a large JSON request on one core, parsing 19 MB of digits and writing 39 MB. Its "
        f"small answers are sent together, those of about {1000 * LONGEST_WAIT:g} ms at most, so that a busy "
        "client is woken less often. The peer in the last rows is not a service, but a process that receives "
        "and sends the same bytes: no service can be faster."
    )
    return result


def _beside(result: Table, peer: Peer, ours: Server, theirs: Server, effort: Effort) -> None:
    measures = [(job, _latency) for job in peer.large] + [(peer.small, _crowd)]
    for job, measure in measures:
        name = f"{job.name} against {peer.name}"
        try:
            result.rows.append(comparison(name, measure(job, ours, theirs, effort), job.bar))
        except NotRun as why:
            result.not_run(name, why)


def _latency(job: Job, ours: Server, theirs: Server, effort: Effort) -> Pairs:
    """Seconds from a request's first byte to its answer's last."""
    x = np.random.default_rng(0).normal(0, SPREAD, LARGE)
    exchanges = job.ours(x), job.peer(x)
    with closing(Connection(ours.port)) as first, closing(Connection(theirs.port)) as second:
        _compare(exchanges, (first, second))
        return in_turn(
            lambda: seconds(lambda: first.drain(exchanges[0])),
            lambda: seconds(lambda: second.drain(exchanges[1])),
            pairs=effort.pairs,
            limit=effort.limit,
        )


def _beside_a_copy(result: Table, name: str, ask: Ask, ours: Server, effort: Effort) -> None:
    """Compares the exchange with a mere copy of its bytes over loopback."""
    exchange = ask(np.random.default_rng(0).normal(0, SPREAD, LARGE))
    row = f"{name} beside a copy of its bytes"
    try:
        with closing(Connection(ours.port)) as connection:
            answer = connection.send(exchange)
            with copied(exchange.body, len(answer.body)) as copy:
                pairs = in_turn(
                    lambda: seconds(lambda: connection.drain(exchange)),
                    lambda: seconds(copy),
                    pairs=effort.pairs,
                    limit=effort.limit,
                )
    except NotRun as why:
        result.not_run(row, why)
    else:
        result.rows.append(comparison(row, pairs, None))


def _crowd(job: Job, ours: Server, theirs: Server, effort: Effort) -> Pairs:
    """Requests a second on many connections, from wrk."""
    x = np.random.default_rng(0).normal(0, SPREAD, SMALL)
    exchanges = job.ours(x), job.peer(x)
    with closing(Connection(ours.port)) as first, closing(Connection(theirs.port)) as second:
        _compare(exchanges, (first, second))
    return in_turn(
        lambda: _rate(ours.port, exchanges[0], effort.crowd),
        lambda: _rate(theirs.port, exchanges[1], effort.crowd),
        pairs=effort.pairs,
        limit=effort.limit,
        rates=True,
    )


def _compare(exchanges: tuple[Exchange, Exchange], connections: tuple[Connection, Connection]) -> None:
    """Raises `NotRun` if the two sides' answers differ."""
    mine, other = (each.read(to.send(each)) for each, to in zip(exchanges, connections, strict=True))
    if not np.allclose(mine, other, rtol=AGREEMENT, atol=0):
        raise NotRun("the answers differ")


def _rate(port: int, exchange: Exchange, duration: int) -> float:
    wrk = shutil.which("wrk")
    if wrk is None:
        raise NotRun("wrk is not installed")
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write('wrk.method = "POST"\n')
        script.write(f"wrk.body = {json.dumps(exchange.body.decode())}\n")
        for name, value in exchange.headers.items():
            script.write(f'wrk.headers["{name}"] = "{value}"\n')
        script.flush()
        command = [wrk, "-t1", f"-c{CONNECTIONS}", f"-d{duration}s", "-s", script.name]
        url = f"http://{HOST}:{port}{exchange.path}"
        run = subprocess.run(
            [*command, url], capture_output=True, text=True, timeout=duration + 30, check=False
        )
    found = re.search(r"Requests/sec:\s+([\d.]+)", run.stdout)
    if found is None or "Non-2xx" in run.stdout:
        raise NotRun("wrk got answers that were no success")
    return float(found[1])
