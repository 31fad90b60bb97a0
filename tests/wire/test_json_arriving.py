"""A document read while it arrives is the document read at the end, however it is cut."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.wire import json_arriving, json_body
from app.wire.errors import Unsuitable, WireError
from app.wire.nested import to_array
from app.wire.numbers import to_json

FIELDS = {"a", "data"}
PIECE = 16


@pytest.fixture(autouse=True, scope="module")
def small_pieces() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        yield patch.setattr(json_arriving, "PIECE", PIECE)


def arriving(body: bytes, size: int) -> Any:
    arrived = BytesIO(body)

    async def read() -> bytes:
        return arrived.read(size)

    return asyncio.run(json_arriving.loads(read, FIELDS))


def outcome(read: Callable[[], Any]) -> Any:
    """What came of it, arrays as their shape and numbers, refusals as their words."""
    try:
        return plain(read())
    except WireError as error:
        return type(error), str(error)


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [plain(each) for each in value]
    try:
        array = to_array(value)
    except Unsuitable as error:
        return str(value) if isinstance(value, str) else str(error)
    return array.shape, array.tobytes()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[",
        b"{",
        b'{"a":[1.5,-2,3e2,4,5,6,7,8,9,10,11,12]}',
        b'{"a":[1.5,-2,3e2,4,5,6,7,8,9,10,11,12],"b":[1,2,3]}',
        b' { "b" : "x" , "a" : [ 1.5 , -2 , 3e2 , 4 , 5 , 6 , 7 ] , "c" : { "a" : [ 1 ] } } ',
        b'{"a":{"w":[1,2,3,4,5,6,7,8,9,10],"v":[1,2]},"b":1}',
        b'{"a":[{"name":"x","shape":[9],"data":[1,2,3,4,5,6,7,8,9]},{"data":[1]}],"b":[{"name":"y"}]}',
        b'{"a":[[1,2,3,4,5,6,7,8,9],[1,2,3,4,5,6,7,8,9]]}',
        b'{"a":[1,2,3,4,5,6,7,8,[9],10,11]}',
        b'{"b":[1,2,3,4,5,6,7,8,9,10,11,12]}',
        b'{"a":[9007199254740993,2,3,4,5,6,7,8,9,18446744073709551616,11],"b":1}',
        b'{"a":[-0.0,-0,1e-324,5e-324,1.7976931348623157e308,0.1,123456789012345678]}',
        b'{"a":[1,2,3,4,5,6,7,8,9,"NaN",11,12,"-Infinity"]}',
        b'{"a":[1,2,3,4,5,6,7,8,9,"no],[, number",11,12]}',
        b'{"a":[1,2,3,4,5,6,7,8,9,null,true]}',
        b'{"a":[1,2,3,4,5,6,7,8,9,{"b":[1,2]}]}',
        b'{"b":"\\"a\\":[1,2,3,4,5,6,7,8,9,10]","a":[1,2,3,4,5,6,7,8]}',
        b'{"b":"[1,2,3,4,5,6,7,8,9,10","a":[1,2,3,4,5,6,7,8]}',
        b'{"a":[1,2,3,4,5,6,7,8,9,10],"a":[1,2,3,4,5,6,7,8,9,10]}',
        b'{"a":[1,2,3,4,5,6,7,8,9,10,]}',
        b'{"a":[1,2,3,4,5,6,7,,8,9,10]}',
        b'{"a":[,1,2,3,4,5,6,7,8,9,10]}',
        b'{"a":[1,2,3,4,5,6,7,8,9,10',
        b'{"a":[1,2,3,4,5,6,7,8,9,10]',
        b'{"a":[1,2,3,4,5,6,7,8,9,10]]}',
        b'{"a":[1,2,3,4,5,6,7,8,9,10]} 2',
        b'{"a":[1,2,3,4,5,6,7,8,9,1e999]}',
        b'{"a":[1,2,3,4,5,6,7,8,9,NaN]}',
        b'{"a":[1,2,3,4,5,6,7,8,9,01]}',
        b'{"a":[1 2,3,4,5,6,7,8,9,10]}',
        b'{"a":1[1,2,3,4,5,6,7,8,9,10]}',
        b'{"a"[1,2,3,4,5,6,7,8,9,10]}',
        b'\xef\xbb\xbf{"a":[1,2,3,4,5,6,7,8,9,10]}',
        b'{"a":[1,2,3,4,5,6,7,8,9,\xff]}',
        b'{"a":[' + b" " * 100 + b"]}",
        b'{"a":[1,' + b"2" * 100 + b",3]}",
        b'{"a":[1,' + b" " * 100 + b"2,3]}",
        b'{"a":[1,2,3],"b":"' + b"x" * 100 + b'"}',
    ],
)
def test_whatever_the_cuts_the_document_is_the_same(body: bytes) -> None:
    whole = outcome(lambda: json_body.loads(body, FIELDS))
    for size in range(1, len(body) + 2):
        assert outcome(partial(arriving, body, size)) == whole


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.integers()), st.integers(1, 100))
def test_every_number_is_read_exactly(values: list[float], size: int) -> None:
    body = b'{"a":' + str(values).encode() + b"}"
    assert outcome(lambda: arriving(body, size)) == outcome(lambda: json_body.loads(body, FIELDS))


@given(st.binary(max_size=3), st.integers(0, 60), st.integers(1, 60))
def test_damage_is_judged_as_in_the_whole(damage: bytes, where: int, size: int) -> None:
    sound = b'{"b":"x","a":[1,2,3,4.5,-6e7,8,9,10],"c":[1,{"data":[1]}]}'
    body = sound[:where] + damage + sound[where + len(damage) :]
    assert outcome(lambda: arriving(body, size)) == outcome(lambda: json_body.loads(body, FIELDS))


def test_the_text_of_a_long_array_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = []
    whole = json_body.loads

    def loads(body: bytes, arrays: Any) -> Any:
        lengths.append(len(body))
        return whole(body, arrays)

    monkeypatch.setattr(json_body, "loads", loads)
    values = np.random.default_rng(0).normal(size=1000)
    fields = arriving(b'{"a":' + to_json(values) + b',"b":1}', 100)
    assert fields["a"].tobytes() == values.tobytes()
    assert max(lengths) < 100
