"""When the server sends an answer: at once where it is alone, else with those of the same turn."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uvicorn
from starlette.responses import Response
from uvicorn.server import ServerState

from app.serving.server import PatientProtocol
from tests.serving.test_outbox import Wire

REQUEST = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"


@pytest.mark.parametrize(("connections", "seen"), [(1, [1]), (3, [0, 0, 0])])
def test_an_answer_waits_only_for_others_in_the_making(connections: int, seen: list[int]) -> None:
    sent: list[bytes] = []
    noted: list[int] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await Response(b"answer")(scope, receive, send)
        noted.append(len(sent))

    async def exchange() -> None:
        loop = asyncio.get_running_loop()
        config = uvicorn.Config(application, ws="none", log_config=None, access_log=False)
        state = ServerState()
        protocols = [PatientProtocol(config, state, {}, loop) for _ in range(connections)]
        for each in protocols:
            each.connection_made(Wire(sent))
            each.data_received(REQUEST)
        await asyncio.gather(*state.tasks)
        await asyncio.sleep(0)  # the end of the turn
        for each in protocols:
            each.connection_lost(None)

    asyncio.run(exchange())
    assert noted == seen
    assert all(answer.startswith(b"HTTP/1.1 200 OK\r\n") for answer in sent)
    assert all(answer.endswith(b"\r\n\r\nanswer") for answer in sent)
