"""A document read in pieces is the same as read as a whole, wherever the pieces end."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from app.core.errors import LimitExceeded
from app.wire import json_arrays, json_body, json_outline, parser
from app.wire.errors import Malformed, Unsuitable, WireError
from app.wire.nested import to_array
from app.wire.numbers import to_json

FIELDS = {"a", "data"}
PIECES = (40, 48, 64, 100, 1000)


def in_pieces(body: bytes, size: int, most: int | None = None) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_body, "PIECE", 0)
        patch.setattr(json_arrays, "PIECE", size)
        return json_body.loads(body, FIELDS, most)


def outcome(read: Callable[[], Any]) -> Any:
    """The result, arrays as shape and bytes, or the type of the error."""
    try:
        return plain(read())
    except WireError as error:
        return type(error)


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [plain(each) for each in value]
    if isinstance(value, str):
        return value
    array = to_array(value)
    return array.shape, array.tobytes()


DOCUMENTS = [
    b"[",
    b"{",
    b'{"a":[1.5,-2,3e2,4,5,6,7,8,9,10,11,12]}',
    b'{"a":[1.5,-2,3e2,4,5,6,7,8,9,10,11,12],"b":[1,2,3]}',
    b' { "b" : "x" , "a" : [ 1.5 , -2 , 3e2 , 4 , 5 , 6 , 7 ] , "c" : { "a" : [ 1 ] } } ',
    b'{"a":{"w":[1,2,3,4,5,6,7,8,9,10],"v":[1,2]},"b":1}',
    b'{"a":[{"name":"x","shape":[9],"data":[1,2,3,4,5,6,7,8,9]},{"data":[1]}],"b":[{"name":"y"}]}',
    b'{"a":[[1,2,3,4,5,6,7,8,9],[1,2,3,4,5,6,7,8,9]]}',
    b'{"a":[[1,2,3],[4,5,6],[7,8,9],[1,2,3],[4,5,6],[7,8,9],[1,2,3],[4,5,6],[7,8,9]]}',
    b'{"a":[[[1],[2]],[[3],[4]],[[5],[6]],[[7],[8]]],"b":"]]]"}',
    b'{"a":[[[1],[2]],[[3],[4]],[[5],[6]],[[7],[8,9]]]}',
    b'{"a":[[[1],[2]],[[3],[4]],[[5],[6]],[[7]]]}',
    b'{"a":[[],[],[],[],[],[],[],[],[],[],[],[],[],[],[]]}',
    b'{"a":[[ ],[\t],[],[[]],[],[]]}',
    b'{"a":[[[],[],[]],[[],[],[]],[[],[],[]],[[],[],[]],[[],[],[]]]}',
    b'{"a":[[[],[],[]],[[],[],[]],[[],[]],[[],[],[],[]],[[],[],[]]]}',
    b'{"a":[[],[],[],[],[],[],[1],[],[],[]]}',
    b'{"a":[1,2,3,4,5,6,7,8,9,10,11,12,[],13]}',
    b'{"a":[ ]}',
    b'{"a":[,]}',
    b'{"a":[[,],[,]]}',
    b'{"a":[[],]}',
    b'{"a":[1,2,3,4,5,6,7,8,[9],10,11]}',
    b'{"a":[1[,2,3,4,5,6,7,8,9],10]}',
    b'{"a":[[1,2]3,[4,5]]}',
    b'{"a":[[1,2],[3,4]],[5,6]]}',
    b'{"a":[[1,2],[3,4]}',
    b'{"a":[[1,2],[3,4,]]}',
    b'{"a":[[1,2],,[3,4]]}',
    b'{"a":[[1,2][3,4]]}',
    b'{"a":[[1,[2]],3]}',
    b'{"a":[[[1]],[[2]],[[3]],[[4]]]}',
    b'{"a":[[[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15]]]}',
    b'{"a":[\n  [1, 2],\n  [3, 4],\n  [5, 6],\n  [7, 8]\n],\n"b": [1, 2]}',
    b'{"a":[9007199254740993,2,3,4,5,6,7,8,9,18446744073709551616,11],"b":1}',
    b'{"a":[-0.0,-0,1e-324,5e-324,1.7976931348623157e308,0.1,123456789012345678]}',
    b'{"a":[1,2,3,4,5,6,7,8,9,"NaN",11,12,"-Infinity"]}',
    b'{"a":[["NaN","Infinity"],[1,"-Infinity"],["\\u004eaN",2]],"b":"NaN"}',
    b'{"a":[1,2,3,4,5,6,7,8,9,"no],[, number",11,12]}',
    b'{"a":[1,2,3,4,5,6,7,8,9,"\\"]",11,12]}',
    b'{"a":[1,2,3,4,5,6,7,8,9,null,true]}',
    b'{"a":[1,2,3,4,5,6,7,8,9,{"b":[1,2]}]}',
    b'{"b":"\\"a\\":[1,2,3,4,5,6,7,8,9,10]","a":[1,2,3,4,5,6,7,8]}',
    b'{"b":"[1,2,3,4,5,6,7,8,9,10","a":[1,2,3,4,5,6,7,8]}',
    b'{"b":"\\\\","a":[1,2,3,4,5,6,7,8],"\\u0061":[1]}',
    b'{"\\u0061":[1,2,3,4,5,6,7,8],"c":{"a":[[[1]]]}}',
    b'{"a":[1,2,3,4,5,6,7,8,9,10],"a":[1,2,3,4,5,6,7,8,9,10]}',
    b'{"a":[1,2,3,4,5,6,7,8,9,10,]}',
    b'{"a":[1,2,3,4,5,6,7,,8,9,10]}',
    b'{"a":[,1,2,3,4,5,6,7,8,9,10]}',
    b'{"a":[1,2,3,4,5,6,7,8,9,10',
    b'{"a":[1,2,3,4,5,6,7,8,9,10]',
    b'{"a":[1,2,3,4,5,6,7,8,9,10]]}',
    b'{"a":[1,2,3,4,5,6,7,8,9,10]} 2',
    b'{"a":[1,2,3,4,5,6,7,8,9,10]}}',
    b'{"a":[1,2,3,4,5,6,7,8,9,1e999]}',
    b'{"a":[1,2,3,4,5,6,7,8,9,NaN]}',
    b'{"a":[1,2,3,4,5,6,7,8,9,01]}',
    b'{"a":[1,2,3,4,5,6,7,8,9,0x1]}',
    b'{"a":[1 2,3,4,5,6,7,8,9,10]}',
    b'{"a":1[1,2,3,4,5,6,7,8,9,10]}',
    b'{"a"[1,2,3,4,5,6,7,8,9,10]}',
    b'{"a":[1,2,3,4,5,6,7,8,9,\xff]}',
    b'{"a":[1,2,3],"b":"' + b"x" * 100 + b'"}',
    b'{"a":[1,2,3],"b":"' + b"[,]" * 100 + b'"}',
    b'{"a":' + b"[" * 40 + b"1" + b"]" * 40 + b"}",
    b'{"a":' + b"[" * 2000 + b"1" + b"]" * 2000 + b"}",
    b'{"a":{"b":' * 1500 + b"1" + b"}" * 3000,
]


@pytest.mark.parametrize("body", DOCUMENTS, ids=lambda body: repr(body[:40]))
def test_wherever_the_pieces_end_the_document_is_the_same(body: bytes) -> None:
    whole = outcome(lambda: json_body.loads(body, FIELDS))
    for size in PIECES:
        assert outcome(lambda size=size: in_pieces(body, size)) == whole  # type: ignore[misc]


@settings(deadline=None)
@given(
    hnp.arrays(np.float64, hnp.array_shapes(min_dims=1, max_dims=6, min_side=0, max_side=5)),
    st.sampled_from(PIECES),
    st.booleans(),
)
def test_every_array_is_read_exactly(array: np.ndarray, size: int, spaced: bool) -> None:
    text = to_json(array)
    body = b'{"a":' + (text.replace(b",", b" ,\n ") if spaced else text) + b',"b":[[1],2]}'
    assert outcome(lambda: in_pieces(body, size)) == outcome(lambda: json_body.loads(body, FIELDS))


@settings(deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from(PIECES))
def test_broken_arrays_are_refused_as_in_the_whole(source: random.Random, size: int) -> None:
    """Brackets, commas or numbers are replaced, inserted or left out."""
    sound = bytearray(b'{"a":[[[1,2.5],[3,4]],[[5,6],[7,8]],[[9,10],[-11,12]]],"b":1}')
    inside = range(5, len(sound) - 7)
    for _ in range(source.randrange(1, 3)):
        place = source.choice(inside)
        sound[place : place + source.randrange(2)] = source.choice([b"", b"[", b"]", b",", b"7", b"[]", b" "])
    body = bytes(sound)
    in_whole = outcome(lambda: json_body.loads(body, FIELDS))
    found = outcome(lambda: in_pieces(body, size))
    if in_whole in (Malformed, Unsuitable):  # a text may be both; which is found first depends on the pieces
        assert found in (Malformed, Unsuitable)
    else:
        assert found == in_whole


def test_integers_and_names_among_many_numbers() -> None:
    values = np.random.default_rng(0).normal(size=50_000)
    text = orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY)[:-1] + b',18446744073709551616,"NaN"]'
    array = json_body.loads(b'{"a":' + text + b"}", FIELDS)["a"]
    assert array[:-2].tobytes() == values.tobytes()
    assert array[-2] == 2.0**64
    assert np.isnan(array[-1])


@pytest.mark.parametrize("row", [b"0", b"[]", b"[[]]"])
def test_the_limit_counts_numbers_and_rows(row: bytes) -> None:
    body = b'{"a":[' + b",".join([row] * 50_000) + b"]}"
    assert len(json_body.loads(body, FIELDS, 50_000)["a"]) == 50_000
    with pytest.raises(LimitExceeded, match=r"the limit is 49,999") as refused:
        json_body.loads(body, FIELDS, 49_999)
    assert refused.value.loc == ("a",)


def test_the_limit_on_text_besides_arrays() -> None:
    for body in (
        b'{"b":"' + b"x" * json_outline.LONGEST + b'"}',
        b'{"b":[' + b"0," * json_outline.LONGEST + b"0]}",
        b"[" + b"0," * json_outline.LONGEST + b"0]",
        b'{"a":[1],' + b" " * json_outline.LONGEST + b'"b":1}',
        b" " * json_outline.LONGEST * 2,
    ):
        with pytest.raises(Malformed, match="not an array of numbers takes more than"):
            json_body.loads(body, FIELDS)


def test_a_value_longer_than_a_piece() -> None:
    for text in (b"1" * 100_000, b" " * 100_000 + b"1", b'"' + b"x" * 100_000 + b'"'):
        with pytest.raises((Malformed, Unsuitable)):
            json_body.loads(b'{"a":[1,' + text + b",2]}", FIELDS)


def test_many_short_arrays() -> None:
    body = json.dumps({"a": [{"data": [number]} for number in range(5000)]}).encode()
    found = json_body.loads(body, FIELDS)["a"]
    assert [each["data"].tolist() for each in found] == [[number] for number in range(5000)]


@pytest.fixture
def parsed_lengths(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    lengths: list[int] = []
    real = parser.Parser

    class Parser:
        def __init__(self) -> None:
            self._real = real()

        def parse(self, text: bytes) -> Any:
            lengths.append(len(text))
            return self._real.parse(text)

    monkeypatch.setattr(parser, "Parser", Parser)
    return lengths


def test_the_parser_never_sees_more_than_a_piece(parsed_lengths: list[int]) -> None:
    """Its element counts are limited to 2²⁴ − 1, and memory is sized by them."""
    rows = b",".join([b"[0,0]"] * 100_000)
    json_body.loads(b'{"a":[' + rows + b'],"b":{"a":[' + rows[:995] + b"]}}", FIELDS)
    assert max(parsed_lengths) <= json_arrays.PIECE + 2
