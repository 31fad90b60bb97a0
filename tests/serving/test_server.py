"""When a response is sent: at once if it is the only one, else with others of the same loop iteration."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
from starlette.responses import Response

from app.serving import outbox
from app.serving.outbox import LARGE
from app.serving.protocol import Connection, Service

REQUEST = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"


class Wire(asyncio.Transport):
    """Records what is sent, for all connections in one list."""

    def __init__(self, sent: list[bytes]) -> None:
        super().__init__()
        self._sent = sent

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self._sent.append(b"".join(list_of_data))

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0


class MinimalService(Service):
    """Only what connections need from a server."""

    def __init__(self) -> None:
        self.root_path = ""
        self.idle_timeout = 5.0
        self.state = {}
        self.connections = set()
        self.tasks = set()


def answered(body: bytes, connections: int) -> tuple[list[bytes], list[int]]:
    """What was sent, and how many writes there were when each answer was made."""
    sent: list[bytes] = []
    noted: list[int] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await Response(body)(scope, receive, send)
        noted.append(len(sent))

    async def exchange() -> None:
        loop = asyncio.get_running_loop()
        service = MinimalService()
        service.app = application
        clients = [Connection(service, loop) for _ in range(connections)]
        for each in clients:
            each.connection_made(Wire(sent))
            each.data_received(REQUEST)
        await asyncio.gather(*service.tasks)
        await asyncio.sleep(0)  # the end of the iteration
        for each in clients:
            each.connection_lost(None)

    asyncio.run(exchange())
    return sent, noted


@pytest.mark.parametrize(("connections", "seen"), [(1, [1]), (3, [0, 0, 0])])
def test_an_answer_waits_only_for_others_in_the_making(
    monkeypatch: pytest.MonkeyPatch, connections: int, seen: list[int]
) -> None:
    monkeypatch.setattr(outbox, "LONGEST_WAIT", 60.0)
    sent, noted = answered(b"answer", connections)
    assert noted == seen
    assert all(answer.startswith(b"HTTP/1.1 200 OK\r\n") for answer in sent)
    assert all(answer.endswith(b"\r\n\r\nanswer") for answer in sent)


def test_what_is_large_leaves_at_once_with_its_head() -> None:
    sent, noted = answered(bytes(LARGE + 1), 3)
    assert noted == [1, 2, 3]
    assert all(answer.startswith(b"HTTP/1.1 200 OK\r\n") for answer in sent)
