"""Multipart forms: valid ones are read byte for byte, broken ones are refused at once."""

from __future__ import annotations

import random
import tracemalloc

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.wire.errors import Malformed, Unsuitable
from app.wire.form import LONGEST_HEAD, Part, loads

NAMES = ("request", "weights")
BOUNDARY = "multipart/form-data; boundary=xyz"
JSON = "application/json"


def sent(files: dict[str, tuple[str, bytes, str]]) -> tuple[bytes, str]:
    """Body and Content-Type of a form as httpx sends it."""
    request = httpx.Request("POST", "http://test", files=files)
    return request.read(), request.headers["content-type"]


def part(name: bytes = b"request", data: bytes = b"{}", *headers: bytes) -> bytes:
    lines = [b"--xyz", b'Content-Disposition: form-data; name="' + name + b'"', *headers, b"", data]
    return b"\r\n".join(lines) + b"\r\n"


WEIGHTS = part(b"weights", b"\x00\x01")
END = b"--xyz--\r\n"


def read(body: bytes, content_type: str = BOUNDARY) -> dict[str, Part]:
    return loads(body, content_type, NAMES)


@given(st.binary(max_size=300), st.binary(max_size=300))
@settings(deadline=None)
def test_what_a_client_sends_arrives(request: bytes, weights: bytes) -> None:
    body, content_type = sent(
        {"weights": ('a;b"c.npz', weights, "application/zip"), "request": ("r", request, JSON)}
    )
    parts = loads(body, content_type, NAMES)
    assert bytes(parts["request"].data) == request
    assert bytes(parts["weights"].data) == weights
    assert [parts[name].media_type for name in NAMES] == [JSON, "application/zip"]


@pytest.mark.parametrize(
    "data",
    [b"", b"\r\n", b"\r\n--", b"--xyz", b"\n--xyz--", b"\r\n--xy", b"\r\r\n--\r\n--xy\r\nz", b"\r\n\r\n"],
)
def test_what_looks_like_a_boundary_is_data(data: bytes) -> None:
    parts = read(part(data=data) + WEIGHTS + END)
    assert bytes(parts["request"].data) == data
    assert bytes(parts["weights"].data) == b"\x00\x01"


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        ((), None),
        ((b"Content-Type: application/json; charset=utf-8",), JSON),
        ((b"content-TYPE:Application/JSON",), JSON),
        ((b"X-Unknown: 1", b"Content-Type: image/png"), "image/png"),
    ],
)
def test_media_types(head: tuple[bytes, ...], media_type: str | None) -> None:
    assert read(part(b"request", b"{}", *head) + WEIGHTS + END)["request"].media_type == media_type


@pytest.mark.parametrize("end", [b"--xyz--", END, END + b"an epilogue\r\n--xyz\r\n"])
def test_ends(end: bytes) -> None:
    assert list(read(WEIGHTS + part() + end)) == ["weights", "request"]


@pytest.mark.parametrize(
    "content_type",
    [
        'multipart/form-data; boundary="xyz"',
        "multipart/form-data;charset=utf-8;boundary=xyz",
        "Multipart/Form-Data; Boundary=xyz",
    ],
)
def test_boundaries(content_type: str) -> None:
    assert read(part() + WEIGHTS + END, content_type)


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        "multipart/form-data; boundary=" + "x" * 71,
        "multipart/form-data; boundary*=utf-8''xyz",
        "multipart/form-data; boundary=\xfc",
    ],
)
def test_no_boundary(content_type: str) -> None:
    with pytest.raises(Malformed, match="boundary"):
        read(part() + WEIGHTS + END, content_type)


LONG_HEAD = b"X: " + b"x" * LONGEST_HEAD


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"--xy",
        b"--xyz",
        b"--xyz\r\n",
        b"--xyz\n\n",
        b"a preamble\r\n" + part() + WEIGHTS + END,
        part() + WEIGHTS,
        part() + WEIGHTS + END[:-4],
        part() + WEIGHTS[:-3],
        part() + b"--xyzzy\r\n" + END,
        part() + b"--xyz \r\n" + WEIGHTS + END,
        part(b"request", b"{}", LONG_HEAD) + WEIGHTS + END,
        b"--xyz\r\n" + b"X: y\r\n" * 100_000,
        b"--xyz\r\nContent-Disposition: form-data; name=request\r\n" + END,
    ],
    ids=lambda body: repr(body[-30:]),
)
def test_broken(body: bytes) -> None:
    with pytest.raises(Malformed):
        read(body)


def headed(disposition: bytes) -> bytes:
    return b"--xyz\r\nContent-Disposition: " + disposition + b"\r\n\r\n{}\r\n" + END


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (END, "no part request"),
        (part() + END, "no part weights"),
        (WEIGHTS + END, "no part request"),
        (part() + part() + WEIGHTS + END, "request is given twice"),
        (WEIGHTS + part() + WEIGHTS + END, "weights is given twice"),
        (part() * 10_000 + END, "request is given twice"),
        (part() + WEIGHTS + part(b"more") + END, "request and weights"),
        (part(b"w" * 3_000) + END, "request and weights"),
        (part(b"Request") + WEIGHTS + END, "request and weights"),
        (b"--xyz\r\n\r\n{}\r\n" + WEIGHTS + END, "request and weights"),
        (headed(b"form-data"), "request and weights"),
        (headed(b"form-data; name*=utf-8''request"), "request and weights"),
    ],
    ids=lambda each: repr(each[:40]),
)
def test_other_parts(body: bytes, said: str) -> None:
    with pytest.raises(Unsuitable, match=said) as caught:
        read(body)
    assert len(str(caught.value)) < 100


def test_parts_are_views_of_the_body() -> None:
    body = part() + part(b"weights", bytes(50 * 2**20)) + END
    tracemalloc.start()
    read(body)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20


@given(st.randoms(use_true_random=False))
@settings(max_examples=300, deadline=None)
def test_damaged_forms_are_read_or_refused(chance: random.Random) -> None:
    body = bytearray(part(b"request", b"{}", b"Content-Type: application/json; a*1=b; a*0=c") + WEIGHTS + END)
    for _ in range(chance.randrange(1, 6)):
        body[chance.randrange(len(body))] = chance.choice(b"\r\n-:;=*\"'\\ xyz\x00\xff0")
    try:
        read(bytes(body))
    except (Malformed, Unsuitable):
        return
