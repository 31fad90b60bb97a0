"""Messages between processes: a pickled value behind its length, on a connection that two processes share.

Nothing is locked, so that a process may be killed at any instruction: whoever is at the other end reads the
end of the stream, and knows a message that was cut off by its length.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable
from socket import socket
from typing import Any, TypeAlias

_LENGTH = struct.Struct("!Q")

Idle: TypeAlias = Callable[[], None]
"""Called whenever the connection's timeout has passed without a byte; what it raises ends the exchange."""


def packed(value: Any) -> bytes:
    """``value`` as a message."""
    body = pickle.dumps(value, protocol=5)
    return _LENGTH.pack(len(body)) + body


def send(connection: socket, message: bytes, idle: Idle) -> None:
    """Sends what `packed` made. Raises `ConnectionError` where nobody reads any more."""
    left = memoryview(message)
    while left:
        try:
            left = left[connection.send(left) :]
        except TimeoutError:
            idle()


def receive(connection: socket, idle: Idle) -> Any:
    """The next message's value. Raises `EOFError` or `ConnectionError` where the other end is closed.

    Both ends are processes of this service: nothing that a client sent is ever unpickled.
    """
    (length,) = _LENGTH.unpack(_exactly(connection, _LENGTH.size, idle))
    return pickle.loads(_exactly(connection, length, idle))  # noqa: S301


def _exactly(connection: socket, length: int, idle: Idle) -> bytearray:
    received = bytearray(length)
    left = memoryview(received)
    while left:
        try:
            count = connection.recv_into(left)
        except TimeoutError:
            idle()
            continue
        if not count:
            raise EOFError
        left = left[count:]
    return received
