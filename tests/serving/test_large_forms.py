"""A kernel's arrays in a file as large as a body may be, and larger: refused, in bounded memory."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator

import httpx
import psutil
import pytest

from tests.conftest import Server, started
from tests.support.raw_http import exchanged, request

LIMIT = 256 * 2**20
"""Bytes of a body, by default."""

COPIES = 2.25
"""Of a body that arrives: its pieces, the whole made of them, and a little."""

BOUNDARY = "between"


@pytest.fixture(scope="module")
def service() -> Iterator[Server]:
    yield from started(workers="1", max_body_bytes=str(LIMIT), max_elements="20000000")


class Watch:
    """The most resident bytes of a server and its workers, beyond those at the start."""

    def __init__(self, service: Server) -> None:
        self._process = psutil.Process(service.process.pid)
        self._before = self.now()
        self._ended = threading.Event()
        self.peak = 0
        self._thread = threading.Thread(target=self._watch)

    def now(self) -> int:
        total = 0
        for each in (self._process, *self._process.children(recursive=True)):
            try:
                total += each.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        return total

    def _watch(self) -> None:
        while not self._ended.wait(0.02):
            self.peak = max(self.peak, self.now() - self._before)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


def form(size: int) -> bytes:
    """Of ``size`` bytes in all, nearly: as many float32 outputs of GELU as fill it, all zero."""
    numbers = size // 4
    entry = {"outputs": {"dtype": "F32", "shape": [numbers], "data_offsets": [0, 4 * numbers]}}
    table = json.dumps(entry).encode()
    parts = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="request"\r\n\r\n'.encode(),
        b'{"function": "gelu", "dtype": "float32"}',
        f'\r\n--{BOUNDARY}\r\nContent-Disposition: form-data; name="arrays"; filename="a"\r\n\r\n'.encode(),
        len(table).to_bytes(8, "little"),
        table,
        bytes(4 * numbers),
        f"\r\n--{BOUNDARY}--\r\n".encode(),
    )
    return b"".join(parts)


def posted(service: Server, body: bytes) -> tuple[int, str]:
    """The status, and what the answer says."""
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    answer = httpx.post(f"{service.url}/verify", content=body, headers=headers, timeout=60)
    assert len(answer.content) < 10_000
    return answer.status_code, answer.text


@pytest.mark.slow
def test_a_file_within_the_limit_of_a_body(service: Server) -> None:
    """Its numbers are more than a request may hold: no array is made of them."""
    body = form(LIMIT - 2**20)
    posted(service, form(1000))
    with Watch(service) as watch:
        status, text = posted(service, body)
    assert status == 422
    assert "20,000,000" in text
    assert watch.peak < COPIES * LIMIT, f"{watch.peak / 2**20:.0f} MiB"
    assert httpx.get(f"{service.url}/readyz", timeout=30).status_code == 200


@pytest.mark.slow
def test_a_file_beyond_it_is_not_held(service: Server) -> None:
    """Whether the client says how long it is or not."""
    posted(service, form(1000))
    address = service.host, service.port
    kind = f"Content-Type: multipart/form-data; boundary={BOUNDARY}"
    declared = request("POST", "/verify", kind, f"Content-Length: {LIMIT + 1}", "Connection: close")
    with Watch(service) as watch:
        (answer,) = exchanged(address, declared)
    assert answer.status == 413
    assert watch.peak < 20 * 2**20
    assert refused_midway(service, kind) == 413
    assert httpx.get(f"{service.url}/readyz", timeout=30).status_code == 200


def refused_midway(service: Server, kind: str) -> int:
    """The status of a body in pieces that goes on beyond the limit; memory stays within what is taken."""
    piece = bytes(2**20)
    with Watch(service) as watch, socket.create_connection((service.host, service.port), timeout=60) as sent:
        sent.sendall(request("POST", "/verify", kind, "Transfer-Encoding: chunked"))
        try:
            for _ in range(LIMIT // len(piece) + 16):
                sent.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
        except (BrokenPipeError, ConnectionResetError):
            pass
        head = sent.recv(64)
    assert watch.peak < COPIES * LIMIT, f"{watch.peak / 2**20:.0f} MiB"
    return int(head.split()[1])
