"""Hostile arrays in every field that takes one, and the latency of other requests meanwhile.

They have as many elements as a parser's counters can hold, are nested, or have huge shapes without elements.
"""

from __future__ import annotations

import http.client
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.conftest import Server, started
from tests.hostile.test_hostile import assert_problem, connect

MOST = 20_000_000
"""The default limit on numbers or rows of an array."""

EDGE = 2**24
"""One more than simdjson's element counts can hold."""

HEALTHY = 0.25
"""Seconds that GET /healthz may take longer than usual, whatever else the process is doing."""


@pytest.fixture(scope="module")
def roomy() -> Iterator[Server]:
    """A server with its default limits."""
    yield from started()


@contextmanager
def watched(server: Server) -> Iterator[Callable[[], float]]:
    """Polls /healthz; gives by how many seconds its latency exceeded that of the time before.

    Time that threads waited for a processor, because of other processes on the machine, does not count.
    """
    usual, waits = [0.0], [0.0]
    working, done = threading.Event(), threading.Event()

    def ask() -> None:
        connection = http.client.HTTPConnection(server.host, server.port, timeout=60)
        while not done.wait(0.02):
            start = time.monotonic() - delayed(server.process.pid) - delayed(os.getpid())
            connection.request("GET", "/healthz")
            assert connection.getresponse().read()
            end = time.monotonic() - delayed(server.process.pid) - delayed(os.getpid())
            (waits if working.is_set() else usual).append(end - start)
        connection.close()

    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(1.5)
    working.set()
    try:
        yield lambda: max(waits) - max(usual)
    finally:
        done.set()
        asking.join()


def delayed(process: int) -> float:
    """Seconds that a process's threads have waited for a processor, on Linux."""
    seconds = 0.0
    for task in Path(f"/proc/{process}/task").glob("*/schedstat"):
        with suppress(OSError):
            seconds += int(task.read_text().split()[1]) / 1e9
    return seconds


def exchange(server: Server, data: bytes) -> tuple[int, bytes]:
    """The status and body of the answer to a request."""
    received = bytearray()
    with connect(server) as connection:
        connection.settimeout(120)
        connection.sendall(data)
        while piece := connection.recv(1 << 20):
            received += piece
    head, _, body = bytes(received).partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def post(path: str, body: bytes, media_type: str = "application/json", *headers: str) -> bytes:
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: test",
        "Connection: close",
        f"Content-Type: {media_type}",
        *headers,
    ]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


class Place(NamedTuple):
    """A place for an array: the route, and the body before and after it."""

    path: str
    before: bytes
    behind: bytes


PLACES = {
    "inputs": Place("/activate", b'{"function":"relu","order":0,"inputs":', b"}"),
    "upstream": Place("/activate", b'{"function":"relu","inputs":[0],"upstream":', b"}"),
    "params": Place("/activate", b'{"function":"leaky_relu","inputs":[0],"params":{"negative_slope":', b"}}"),
    "v2": Place(
        "/v2/models/relu/infer",
        b'{"inputs":[{"name":"inputs","shape":[1],"datatype":"FP32","data":',
        b'}],"outputs":[{"name":"outputs"}]}',
    ),
    "flow": Place("/gradient-flow", b'{"activation":"tanh","inputs":', b"}"),
    "flow upstream": Place("/gradient-flow", b'{"activation":"tanh","upstream":', b"}"),
    "sigma_w": Place("/mean-field", b'{"activation":"tanh","sigma_w":', b"}"),
    "width": Place("/gradient-flow", b'{"activation":"tanh","width":', b"}"),
    "grid": Place("/gradient-flow/sweep", b'{"base":{"activation":"tanh"},"grid":{"seed":', b"}}"),
    "cells": Place(
        "/gradient-flow/sweep", b'{"base":{"activation":"tanh"},"grid":{"seed":[1]},"cells":', b"}"
    ),
    "unknown": Place("/activate", b'{"function":"relu","inputs":[0],"unknown":', b"}"),
}


def array(element: bytes, count: int, first: bytes | None = None) -> bytes:
    return b"[" + (element if first is None else first) + (b"," + element) * (count - 1) + b"]"


@pytest.mark.slow
@pytest.mark.parametrize("count", [EDGE - 2, EDGE - 1, EDGE, EDGE + 1, EDGE + 2, 18_000_000])
@pytest.mark.parametrize("element", [b"0", b"[]", b"[0]"])
def test_arrays_as_long_as_counters_hold(roomy: Server, element: bytes, count: int) -> None:
    """The answer has the right shape, and other requests are not delayed."""
    place = PLACES["inputs"]
    with watched(roomy) as wait:
        body = place.before + array(element, count) + place.behind
        status, answer = exchange(roomy, post(place.path, body))
    assert status == 200
    shape = {b"0": [count], b"[]": [count, 0], b"[0]": [count, 1]}[element]
    assert b'"shape":' + json.dumps(shape, separators=(",", ":")).encode() in answer[:1000]
    assert wait() < HEALTHY


@pytest.mark.slow
@pytest.mark.parametrize("first", [b"0", b'""', b"[]", b"{}", b"null"])
@pytest.mark.parametrize("name", PLACES)
def test_long_arrays_wherever_one_can_stand(roomy: Server, name: str, first: bytes) -> None:
    """17 million elements after a first one that takes the parser another path."""
    place = PLACES[name]
    body = place.before + array(b"0", 17_000_000, first) + place.behind
    with watched(roomy) as wait:
        status, answer = exchange(roomy, post(place.path, body))
    if (name, first) == ("inputs", b"0"):
        assert status == 200
    else:
        assert status in (400, 422)
        assert len(answer) < 10_000
    assert wait() < HEALTHY


@pytest.mark.slow
@pytest.mark.parametrize(
    "body",
    [
        array(b"[1]", 5_000_000),
        array(b"0", 50_000_000, b"18446744073709551616"),
        array(b"18446744073709551616", 3_000_000),
        array(b'"NaN"', 5_000_000),
        array(b"[[[1]]]", 3_000_000),
        array(b"[[], []]", 3_000_000),
        array(b"1 ", 15_000_000),
        array(b"0", MOST + 1),
        array(b"[]", MOST + 1),
        b"[" * 30 + b"0" + b"]" * 29 + b",[" * 10_000_000,
    ],
    ids=lambda body: f"{bytes(body[:24])!r}",
)
def test_long_bodies_do_not_delay_other_requests(roomy: Server, body: bytes) -> None:
    place = PLACES["inputs"]
    with watched(roomy) as wait:
        status, answer = exchange(roomy, post(place.path, place.before + body + place.behind))
    assert status in (200, 400, 422)
    if status != 200:
        assert_problem(status, answer)
    assert wait() < HEALTHY


def npy(shape: tuple[int, ...], data: bytes = b"") -> bytes:
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


@pytest.mark.parametrize(
    "shape", [(10**9, 0), (10**18, 0), (10**30, 0), (2**62, 0), (2**62, 2**62, 0), (0, 2**62)]
)
def test_npy_shapes_without_elements(server: Server, shape: tuple[int, ...]) -> None:
    start = time.monotonic()
    status, answer = exchange(server, post("/activate?function=relu", npy(shape), "application/x-npy"))
    assert status == 422
    assert_problem(status, answer)
    assert time.monotonic() - start < 1


@pytest.mark.parametrize("shape", [[2**63 - 1, 0], [2**62, 2**62, 0], [0, 2**63 - 1], [10**30, 0]])
@pytest.mark.parametrize("binary", [False, True])
def test_protocol_shapes_without_elements(server: Server, shape: list[int], binary: bool) -> None:
    held: dict[str, Any] = {"parameters": {"binary_data_size": 0}} if binary else {"data": []}
    body = json.dumps({"inputs": [{"name": "inputs", "shape": shape, "datatype": "FP64", **held}]}).encode()
    length = f"Inference-Header-Content-Length: {len(body)}"
    status, answer = exchange(server, post("/v2/models/relu/infer", body, "application/json", length))
    assert status == 400
    assert json.loads(answer)["error"]


@pytest.mark.slow
def test_an_answer_of_empty_rows_does_not_delay_other_requests(roomy: Server) -> None:
    """As many as the limit allows: their text is 60 MB."""
    with watched(roomy) as wait:
        status, answer = exchange(
            roomy, post("/activate?function=relu", npy((10**7, 0)), "application/x-npy")
        )
    assert status == 200
    assert answer.count(b"[]") == 2 * 10**7
    assert wait() < HEALTHY
