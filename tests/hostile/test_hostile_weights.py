"""Hostile forms and weight files over a real socket, each followed by a valid form that must be answered."""

from __future__ import annotations

import io
import json
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from safetensors.numpy import save

from tests.conftest import Server
from tests.hostile.test_hostile import RECEIVE_TIMEOUT, assert_problem, connect, exchange, rest
from tests.wire.test_weights import BROKEN_ARCHIVES, BROKEN_SAFETENSORS, OURS_ALONE, deflated, header_of

REQUEST = b'{"activation":"tanh","inputs":[[0.5,-0.5]]}'
GOOD = save({"0.weight": np.eye(2), "0.bias": np.zeros(2)})
FORM = "Content-Type: multipart/form-data; boundary=xyz"
END = b"--xyz--\r\n"


def part(name: bytes, data: bytes, media_type: bytes = b"application/json") -> bytes:
    head = b'Content-Disposition: form-data; name="' + name + b'"\r\nContent-Type: ' + media_type
    return b"--xyz\r\n" + head + b"\r\n\r\n" + data + b"\r\n"


def weights(data: bytes) -> bytes:
    return part(b"weights", data, b"application/octet-stream")


def post(body: bytes, *headers: str) -> bytes:
    lines = ["POST /gradient-flow HTTP/1.1", "Host: test", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def form(body: bytes) -> bytes:
    return post(body, FORM, f"Content-Length: {len(body)}")


def sent(server: Server, body: bytes, status: int) -> str:
    """The detail of the problem with which this form is answered."""
    found, answer = exchange(server, form(body))
    assert found == status, answer[:300]
    assert_problem(status, answer)
    detail: str = json.loads(answer)["detail"]
    return detail


@pytest.fixture(autouse=True)
def alive_after_it(server: Server) -> Iterator[None]:
    yield
    assert exchange(server, form(part(b"request", REQUEST) + weights(GOOD) + END))[0] == 200


FILES = {**BROKEN_SAFETENSORS, **OURS_ALONE, **BROKEN_ARCHIVES}


@pytest.mark.parametrize("name", FILES)
def test_invalid_weight_files(server: Server, name: str) -> None:
    start = time.monotonic()
    sent(server, part(b"request", REQUEST) + weights(FILES[name]) + END, 422)
    assert time.monotonic() - start < RECEIVE_TIMEOUT


def square(length: int) -> bytes:
    """A small archive that declares a matrix of so many rows and columns."""
    declared = min(128 + 8 * length**2, 2**32 - 1)
    return deflated(header_of(b"%d, %d" % (length, length)), declared=declared)


def zeros() -> bytes:
    return header_of(b"8192, 2048") + bytes(128 * 2**20)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: square(10_000), "100,000,000 numbers; the limit is 20,000,000"),
        (lambda: square(4_000), "do not agree"),
        (lambda: square(10**6), "do not agree"),
        (lambda: deflated(zeros(), declared=160), "broken"),
        (lambda: deflated(header_of(b"2, 2") + zeros(), declared=160), "broken"),
        (lambda: np.array([2**40], "<u8").tobytes() + b"{}", "neither"),
    ],
    ids=["over the limit", "nothing behind it", "absurd", "another size", "more behind it", "header"],
)
def test_bombs(server: Server, make: Callable[[], bytes], said: str) -> None:
    """They are refused, and the declared size is never allocated."""
    file = make()
    before = peak_memory(server)
    assert said in sent(server, part(b"request", REQUEST) + weights(file) + END, 422)
    assert peak_memory(server) - before < 64 * 2**20


def peak_memory(server: Server) -> int:
    status = Path(f"/proc/{server.process.pid}/status")
    if not status.exists():
        pytest.skip("only Linux reports a process's peak memory")
    kilobytes = next(line.split()[1] for line in status.read_text().splitlines() if "VmHWM" in line)
    return 1024 * int(kilobytes)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        GOOD,
        b"--xyz",
        b"--xyz\r\n" * 1_000_000,
        b"\r\n--xyzz" * 1_000_000,
        part(b"request", REQUEST),
        part(b"request", REQUEST) + weights(GOOD),
        part(b"request", REQUEST) + weights(GOOD) + END[:-4],
        part(b"request", REQUEST) + weights(GOOD)[:-9],
        b"--xyz\r\n" + b"X-More: 1\r\n" * 1_000_000,
        b"--xyz\r\nX-Long: " + b"x" * 10_000_000,
        b"--xyz\r\n" + b"x" * 10_000_000 + END,
        part(b"request", b"{") + weights(GOOD) + END,
        part(b"request", b'{"activation":NaN}') + weights(GOOD) + END,
        part(b"request", b"[" * 100_000) + weights(GOOD) + END,
        part(b"request", REQUEST.decode().encode("utf-16")) + weights(GOOD) + END,
    ],
    ids=lambda body: repr(body[-30:]),
)
def test_broken_forms(server: Server, body: bytes) -> None:
    sent(server, body, 400)


@pytest.mark.parametrize(
    "body",
    [
        END,
        part(b"request", REQUEST) + END,
        part(b"request", REQUEST)[:-2] + weights(GOOD) + END,
        weights(GOOD) + END,
        part(b"request", REQUEST) * 2 + weights(GOOD) + END,
        part(b"request", REQUEST) + weights(GOOD) * 2 + END,
        weights(GOOD) * 10_000 + END,
        b"".join(part(b"%d" % number, b"") for number in range(10_000)) + END,
        part(b"request", REQUEST) + weights(GOOD) + part(b"extra", b"") + END,
        part(b"k" * 4_000, REQUEST) + weights(GOOD) + END,
        part(b"request", REQUEST, b"image/png") + weights(GOOD) + END,
        part(b"request", GOOD, b"application/octet-stream") + part(b"weights", REQUEST) + END,
        part(b"request", REQUEST) + part(b"weights", b"[[1.0]]") + END,
        part(b"request", b"[]") + weights(GOOD) + END,
        part(b"request", REQUEST[:-1] + b',"' + b"k" * 1_000_000 + b'":1}') + weights(GOOD) + END,
    ],
    ids=lambda body: repr(body[-40:]),
)
def test_forms_of_other_parts(server: Server, body: bytes) -> None:
    assert "kkkk" not in sent(server, body, 422)


def test_nothing_of_a_name_is_repeated(server: Server) -> None:
    """Clients choose names: they may be a path, a secret, or a million letters."""
    for name in ("../../secret.weight", "secret" * 50):
        file = save({name: np.eye(2), f"{name}.other": np.eye(2)})
        answer = exchange(server, form(part(b"request", REQUEST) + weights(file) + END))[1]
        assert b"secret" not in answer


def test_a_name_is_no_path(server: Server, tmp_path: Path) -> None:
    """Names with path components are only names: nothing is written to disk."""
    matrix = header_of(b"2, 2") + np.eye(2).tobytes()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(f"{tmp_path}/1.npy", matrix)
        archive.writestr(f"../../../../../..{tmp_path}/2.npy", matrix)
    body = part(b"request", REQUEST) + weights(stream.getvalue()) + END
    assert exchange(server, form(body))[0] == 200
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=" + "x" * 5_000,
        "multipart/form-data; boundary=\xff",
    ],
)
def test_no_usable_boundary(server: Server, content_type: str) -> None:
    body = part(b"request", REQUEST) + weights(GOOD) + END
    data = post(b"", f"Content-Length: {len(body)}") + body
    data = data.replace(b"Connection", b"Content-Type: " + content_type.encode("latin-1") + b"\r\nConnection")
    status, answer = exchange(server, data)
    assert status == 400
    assert_problem(status, answer)


@pytest.mark.parametrize(
    "kind", ["multipart/mixed", "multipart/related", "application/x-www-form-urlencoded"]
)
def test_other_forms(server: Server, kind: str) -> None:
    body = part(b"request", REQUEST) + weights(GOOD) + END
    status, answer = exchange(
        server, post(body, f"Content-Type: {kind}; boundary=xyz", f"Content-Length: {len(body)}")
    )
    assert status == 415
    assert_problem(status, answer)


def test_a_form_over_the_limit(server: Server) -> None:
    status, answer = exchange(server, post(b"--xyz", FORM, f"Content-Length: {2**40}"))
    assert status == 413
    assert_problem(status, answer)


def test_a_form_that_never_ends_is_closed_in_time(server: Server) -> None:
    with connect(server) as connection:
        connection.sendall(post(part(b"request", REQUEST), FORM, "Content-Length: 100000"))
        start = time.monotonic()
        rest(connection)
        assert time.monotonic() - start < RECEIVE_TIMEOUT + 3


def test_small_requests_are_served_while_a_large_file_is_read(server: Server) -> None:
    """Twenty million numbers are inflated off the event loop; the request fails at the last matrix."""
    stream = io.BytesIO()
    np.savez_compressed(stream, *[np.zeros((1000, 1000))] * 19, np.zeros((1, 999)))
    body = form(part(b"request", b'{"activation":"tanh"}') + weights(stream.getvalue()) + END)
    slowest = 0.0
    reader = threading.Thread(target=exchange, args=(server, body))
    reader.start()
    while reader.is_alive():
        start = time.monotonic()
        assert httpx.get(f"{server.url}/healthz").status_code == 200
        slowest = max(slowest, time.monotonic() - start)
    assert slowest < 0.25
