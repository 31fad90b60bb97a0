"""A lower bound on the time of an exchange: the same bytes over loopback between two processes.

``python -m tests.benchmarks.loopback PORT RECEIVED SENT`` is the other side.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from tests.benchmarks.processes import HOST, free_port, served

PIECE = 2**20
READY = b"GET "


@contextmanager
def copied(request: bytes, taken: int) -> Iterator[Callable[[], None]]:
    """A function that sends ``request`` and receives ``taken`` bytes."""
    port = free_port()
    command = [sys.executable, "-m", "tests.benchmarks.loopback", *map(str, (port, len(request), taken))]
    with (
        served("the other side", command, port, "/"),
        closing(socket.create_connection((HOST, port))) as connection,
    ):
        buffer = bytearray(PIECE)

        def exchange() -> None:
            connection.sendall(request)
            _take(connection, buffer, taken)

        yield exchange


def _take(connection: socket.socket, buffer: bytearray, count: int) -> bool:
    """Receives so many bytes and discards them; False if the other side has disconnected."""
    view = memoryview(buffer)
    while count:
        got = connection.recv_into(view[: min(count, len(view))])
        if not got:
            return False
        count -= got
    return True


def main() -> None:
    """Answers a GET, which shows that it is ready, and then exchanges bytes on each connection."""
    port, taken, sent = map(int, sys.argv[1:])
    answer = bytes(sent)
    buffer = bytearray(PIECE)
    with socket.create_server((HOST, port)) as listener:
        while True:
            connection, _ = listener.accept()
            with connection:
                if connection.recv(len(READY), socket.MSG_PEEK) == READY:
                    connection.recv(PIECE)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                    continue
                while _take(connection, buffer, taken):
                    connection.sendall(answer)


if __name__ == "__main__":
    main()
