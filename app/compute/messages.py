"""Messages between two processes over a socket: a length, and a pickled value.

There are no locks, so that a process may be killed at any instruction: the other end then reads the end of
the stream, and detects a truncated message by its length.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable
from socket import socket
from typing import Any, TypeAlias

_LENGTH = struct.Struct("!Q")

Idle: TypeAlias = Callable[[], None]
"""Called whenever the connection's timeout has passed without a byte; what it raises is passed on."""


def packed(value: Any) -> bytes:
    """``value`` as a message."""
    body = pickle.dumps(value, protocol=5)
    return _LENGTH.pack(len(body)) + body


def send(connection: socket, message: bytes, idle: Idle) -> None:
    """Sends what `packed` made. Raises `ConnectionError` if the other end is closed."""
    left = memoryview(message)
    while left:
        try:
            left = left[connection.send(left) :]
        except TimeoutError:
            idle()


def receive(connection: socket, idle: Idle) -> Any:
    """The next message's value. Raises `EOFError` or `ConnectionError` if the other end is closed.

    Both ends are processes of this service: data from clients is never unpickled.
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
