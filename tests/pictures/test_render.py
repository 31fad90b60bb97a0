"""Drawing in a worker process: the cache, and the errors without a free place, time or a worker."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from socket import socket
from typing import Any

import orjson
import pytest

from app.compute.processes import Pool, WorkerProcesses
from app.compute.threads import Busy, DeadlineExceeded
from app.compute.workers import Workers
from app.core.evaluation import Mapper
from app.core.jobs import Progress
from app.pictures.render import Drawing, Renderer, _Cache

MARKS = {"data": {"name": "rows"}, "datasets": {"rows": [{"x": 1}, {"x": 2}]}, "mark": "point"}


def drawing(form: Any = "svg", **fields: Any) -> Drawing:
    encoding = {"x": {"field": "x", "type": "quantitative"}}
    return Drawing(orjson.dumps({**MARKS, "encoding": encoding, **fields}), form)


@dataclass(frozen=True)
class WhoAmI:
    def __call__(self, _map_blocks: Mapper, _progress: Progress) -> int:
        return os.getpid()


@pytest.fixture(scope="module")
def renderer() -> Iterator[Renderer]:
    with closing(WorkerProcesses({"pictures": Pool(1, 2**31)})) as processes:
        made = Renderer(Workers(processes.dispatch["pictures"], 1), places=4, kept_bytes=10**6)
        yield made
        made.close()


def test_svg_and_png(renderer: Renderer) -> None:
    async def both() -> tuple[bytes, bytes]:
        return await renderer.draw(drawing("svg"), 30), await renderer.draw(drawing("png"), 30)

    svg, png = asyncio.run(both())
    assert svg.startswith(b"<svg")
    assert png.startswith(b"\x89PNG\r\n\x1a\n")


def test_the_event_loop_runs_on(renderer: Renderer) -> None:
    """While a picture that takes a second is drawn, the event loop is not blocked."""
    rows = [{"x": number} for number in range(40_000)]

    async def ticks() -> int:
        picture = asyncio.create_task(renderer.draw(drawing("png", datasets={"rows": rows}), 60))
        count = 0
        while not picture.done():
            await asyncio.sleep(0.01)
            count += 1
        return count

    assert asyncio.run(ticks()) > 5


def test_a_picture_is_drawn_once(renderer: Renderer, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = drawing(title="kept")
    first = asyncio.run(renderer.draw(wanted, 30))
    monkeypatch.setattr(renderer, "_run", None)
    assert asyncio.run(renderer.draw(wanted, 30)) is first


def test_the_cache_is_bounded() -> None:
    kept = _Cache(most=10)
    kept.put("a", b"12345")
    kept.put("b", b"12345")
    assert kept.get("a") == b"12345"
    kept.put("c", b"123")
    assert kept.get("b") is None
    assert kept.get("a") == b"12345"
    kept.put("d", b"12345678901")
    assert kept.get("d") is None
    assert kept.get("c") == b"123"


def test_tags_tell_content_apart() -> None:
    tags = {drawing("svg").tag, drawing("png").tag, drawing("svg", title="other").tag}
    tags.add(Drawing(drawing("png").specification, "png", 2.0).tag)
    assert len(tags) == 4
    assert drawing("svg").tag == Drawing(drawing("svg").specification, "svg", 2.0).tag


def test_no_room() -> None:
    with socket() as unused, pytest.raises(Busy):
        asyncio.run(Renderer(Workers(unused, 1), places=0, kept_bytes=0).draw(drawing(), 1))


def test_an_expired_deadline_and_a_retry(renderer: Renderer) -> None:
    rows = [{"x": number} for number in range(20_000)]
    with pytest.raises(DeadlineExceeded):
        asyncio.run(renderer.draw(drawing("png", datasets={"rows": rows}), 0.05))
    assert asyncio.run(renderer.draw(drawing(title="after"), 30)).startswith(b"<svg")


def test_a_killed_worker_costs_nothing(renderer: Renderer) -> None:
    async def interrupted() -> bytes:
        await renderer.draw(drawing(title="before"), 30)
        os.kill(await renderer._run(WhoAmI(), 30), signal.SIGKILL)
        return await renderer.draw(drawing(title="behind"), 30)

    assert asyncio.run(interrupted()).startswith(b"<svg")


def test_no_data_from_elsewhere(renderer: Renderer) -> None:
    with pytest.raises(ValueError, match="not allowed"):
        asyncio.run(renderer.draw(drawing(data={"url": "http://127.0.0.1:9/rows.json"}), 30))
