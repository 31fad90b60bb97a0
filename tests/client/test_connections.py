"""The client with a busy or unreachable service, with long requests, and in a notebook."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any

import httpx
import numpy as np
import pytest

from app.client import (
    AsyncClient,
    Client,
    Exchange,
    ServiceError,
    activate,
    describe,
    gradient_flow,
    mean_field,
    picture,
)
from app.client.progress import Bar
from tests.conftest import Server

BUSY = {"type": "about:blank", "title": "Service Unavailable", "status": 503, "detail": "busy"}
FUNCTION_PICTURE = "<svg/>"


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between retries, which take no time here."""
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr("app.client.connections.time.sleep", pauses.append)
    monkeypatch.setattr("app.client.connections.asyncio.sleep", pause)
    return pauses


def answering(*answers: httpx.Response | Exception) -> httpx.MockTransport:
    """A service that gives these answers in turn."""
    waiting = iter(answers)

    def answer(_: httpx.Request) -> httpx.Response:
        following = next(waiting)
        if isinstance(following, Exception):
            raise following
        return following

    return httpx.MockTransport(answer)


def busy(**headers: str) -> httpx.Response:
    return httpx.Response(503, json=BUSY, headers={"content-type": "application/problem+json", **headers})


def drawn() -> httpx.Response:
    return httpx.Response(200, text=FUNCTION_PICTURE)


def ask(transport: httpx.MockTransport, *, asynchronous: bool, **options: Any) -> str:
    if not asynchronous:
        with Client("http://lab", transport=transport, **options) as lab:
            return lab.send(picture("tanh")).svg

    async def answer() -> str:
        async with AsyncClient("http://lab", transport=transport, **options) as lab:
            return (await lab.send(picture("tanh"))).svg

    return asyncio.run(answer())


both = pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])


@both
def test_a_retry_after_is_respected(slept: list[float], *, asynchronous: bool) -> None:
    transport = answering(busy(**{"retry-after": "7"}), httpx.ConnectError("away"), drawn())
    assert ask(transport, asynchronous=asynchronous) == FUNCTION_PICTURE
    assert slept[0] == 7
    assert 0.75 <= slept[1] <= 1.25  # the second pause doubles the first half second


@both
def test_retries_end(slept: list[float], *, asynchronous: bool) -> None:
    with pytest.raises(ServiceError, match="busy"):
        ask(answering(busy(), busy(), busy(), drawn()), asynchronous=asynchronous)
    assert len(slept) == 2


@both
def test_no_retries_where_none_are_wanted(slept: list[float], *, asynchronous: bool) -> None:
    with pytest.raises(httpx.ConnectError):
        ask(answering(httpx.ConnectError("away"), drawn()), asynchronous=asynchronous, retries=0)
    assert slept == []


@pytest.mark.parametrize("answer", [httpx.Response(504), httpx.Response(422), httpx.ReadTimeout("slow")])
def test_permanent_failures_are_not_retried(slept: list[float], answer: Any) -> None:
    with pytest.raises((httpx.HTTPStatusError, httpx.ReadTimeout)):
        ask(answering(answer, drawn()), asynchronous=False)
    assert slept == []


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("3", 3, 3),
        ("600", 60, 60),
        (formatdate(time.time() + 10**6, usegmt=True), 60, 60),
        ("soon", 0.3, 0.7),
    ],
    ids=["seconds", "many seconds", "a date", "no time"],  # a date in a name differs between processes
)
def test_retry_after_in_both_its_forms(slept: list[float], text: str, low: float, high: float) -> None:
    ask(answering(busy(**{"retry-after": text}), drawn()), asynchronous=False)
    assert low <= slept[0] <= high


class Lines(httpx.SyncByteStream, httpx.AsyncByteStream):
    """An event stream."""

    def __init__(self, *events: tuple[str, str]) -> None:
        self._events = events

    def __iter__(self) -> Iterator[bytes]:
        for kind, data in self._events:
            yield f"event: {kind}\ndata: {data}\n\n".encode()


def test_long_work_shows_how_far_it_is(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = gradient_flow("tanh", depth=4, width=16, networks=2)
    with Client(server.url) as lab:
        plain = lab.send(asked)
        assert capsys.readouterr().err == ""
        monkeypatch.setattr(Bar, "has_a_place", staticmethod(lambda: True))
        monkeypatch.setattr("app.client.progress.DELAY", 0.0)
        followed = lab.send(asked)
    assert followed == plain
    shown = capsys.readouterr().err
    assert "100 %" in shown
    assert shown.endswith("\r")


@pytest.mark.parametrize("ending", ["error", "nothing"])
def test_a_stream_that_fails_says_so(monkeypatch: pytest.MonkeyPatch, ending: str) -> None:
    monkeypatch.setattr(Bar, "has_a_place", staticmethod(lambda: True))
    problem = '{"title": "Gateway Timeout", "status": 504, "detail": "no time left"}'
    events = [("progress", '{"stage": "networks", "percent": 3}')]
    if ending == "error":
        events.append(("error", problem))
    transport = answering(httpx.Response(200, stream=Lines(*events)))
    expected = ServiceError if ending == "error" else httpx.RemoteProtocolError
    with (
        Client("http://lab", transport=transport) as lab,
        pytest.raises(expected, match=r"no time|without a"),
    ):
        lab.send(gradient_flow("tanh"))


def test_a_notebook_shows_pictures(server: Server) -> None:
    asked: list[Exchange[Any]] = [
        activate("leaky_relu", np.linspace(-1, 1, 5), params={"negative_slope": 0.2}),
        activate("tanh", np.zeros(2000)),
        gradient_flow("tanh", depth=4, width=16, networks=2),
        gradient_flow("linear", weights=[np.eye(3)]),
        mean_field("tanh", [[1.0, 1.5, 2.0]], [[0.0], [0.5]]),
        describe("tanh"),
        picture("tanh", "relu"),
    ]
    with Client(server.url) as lab:
        results: list[Any] = [lab.send(each) for each in asked]
    for result in results:
        assert result._repr_svg_().startswith("<svg")


def test_what_has_no_picture_is_shown_as_text(server: Server) -> None:
    with Client(server.url) as lab:
        assert lab.send(activate("softmax", [1.0, 2.0]))._repr_svg_() is None


class Half:
    """A stand-in for PyTorch's tensors of formats that NumPy lacks."""

    def __init__(self, values: list[float]) -> None:
        self._values = values

    def detach(self) -> Half:
        return self

    def cpu(self) -> Half:
        return self

    def numpy(self) -> np.ndarray:
        raise TypeError

    def float(self) -> Any:
        values = self._values

        class Single:
            @staticmethod
            def numpy() -> np.ndarray:
                return np.array(values, dtype=np.float32)

        return Single()


def test_tensors_need_no_pytorch(server: Server) -> None:
    with Client(server.url) as lab:
        assert lab.send(activate("relu", Half([-1.0, 2.0]))).outputs.tolist() == [0.0, 2.0]


@pytest.mark.peers
def test_pytorch_s_own(server: Server) -> None:
    import torch  # noqa: PLC0415

    with Client(server.url) as lab:
        for dtype in (torch.float64, torch.float32, torch.bfloat16, torch.float16, torch.float8_e4m3fn):
            tensor = torch.tensor([-1.0, 2.0]).to(dtype)
            assert lab.send(activate("relu", tensor)).outputs.tolist() == [0.0, 2.0]
        learned = torch.tensor([[0.5]], requires_grad=True)
        report = lab.send(gradient_flow("linear", weights=[learned, learned.bfloat16()]))
        assert report.networks == 1
