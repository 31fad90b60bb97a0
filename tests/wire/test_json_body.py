"""JSON with arrays: valid documents are read exactly, others are refused with the right error."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from app.wire.errors import Malformed, Unsuitable
from app.wire.json_body import loads
from app.wire.json_outline import MOST_KEYS
from app.wire.nested import to_array
from app.wire.numbers import to_json

FIELDS = {"a"}


def parsed(text: bytes) -> Any:
    return to_array(loads(b'{"a":' + text + b"}", FIELDS)["a"])


@given(hnp.arrays(np.float64, hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4)))
def test_every_array_survives_the_round_trip(array: np.ndarray) -> None:
    back = parsed(to_json(array))
    # An axis of length zero hides the lengths after it: shape (0, 3) is written as [].
    visible = array.shape[: array.shape.index(0) + 1] if 0 in array.shape else array.shape
    assert back.shape == visible
    np.testing.assert_array_equal(back.ravel(), array.ravel())
    np.testing.assert_array_equal(
        np.signbit(back.ravel()), np.signbit(array.ravel()) & ~np.isnan(array.ravel())
    )


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_numbers_are_read_as_python_reads_them(values: list[float]) -> None:
    assert parsed(json.dumps(values).encode()).tolist() == values


def test_a_long_array_is_encoded_in_pieces_without_a_seam() -> None:
    array = np.arange(300_000, dtype=np.float64).reshape(3, 100_000) / 7
    assert json.loads(to_json(array)) == array.tolist()
    array[1, 5] = math.nan
    assert parsed(to_json(array))[1, 5] != parsed(to_json(array))[1, 5]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"18446744073709551616", 2.0**64),
        (b"-18446744073709551616", -(2.0**64)),
        (b"18446744073709551615", 2.0**64),
        (b"5e-324", 5e-324),
        (b"1e308", 1e308),
        (b'"Infinity"', math.inf),
        (b'"-Infinity"', -math.inf),
        (b"7", 7.0),
    ],
)
def test_numbers_at_the_edge(text: bytes, value: float) -> None:
    assert parsed(b"[" + text + b"]").tolist() == [value]
    assert parsed(text).tolist() == value


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"a":[1,2}',
        b'{"a":NaN}',
        b'{"a":[Infinity]}',
        b'{"a":1e999}',
        b'{"a":[-1e999]}',
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":' + b"[" * 100_000,
        b'{"b":' + b"[" * 1000 + b"]" * 1000 + b"}",
        b'{"b":' + b'{"a":' * 1000 + b"1" + b"}" * 1001,
        b'{"a":18446744073709551616,"b":' + b"[" * 1020 + b"]" * 1020 + b"}",
        b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        '{"a":1}'.encode("utf-16"),
        b"\xef\xbb\xbf" + b'{"a":1}',
        b'{"a":1,"a":2}',
        b'{"b":{"c":1,"c":2}}',
        b'{"a":18446744073709551616,"a":1}',
        b'{"a":"\\ud800"}',
        b'{"\\ud800":1}',
        b'{"a":"\xff"}',
        b'{"a":1} 2',
    ],
    ids=lambda body: repr(body[:40]),
)
def test_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        loads(body, FIELDS)


@pytest.mark.parametrize(
    "text",
    [
        b"[1,[2]]",
        b"[[1],2]",
        b"[[1,2],[3]]",
        b"[[1,2],[3],[4,5,6]]",
        b"[[[1],[2]],[[3,4]]]",
        b"[1,true]",
        b"[null]",
        b'["nan"]',
        b'["1"]',
        b"{}",
        b"[{}]",
        b"true",
        b"null",
        b"[" * 40 + b"1" + b"]" * 40,
    ],
)
def test_unsuitable(text: bytes) -> None:
    with pytest.raises(Unsuitable):
        parsed(text)


@pytest.mark.parametrize("key", ["\0", "a\0", "a\0b"])
def test_a_null_character_in_a_key(key: str) -> None:
    body = json.dumps({"params": {key: [1.0]}}).encode()
    with pytest.raises(Unsuitable, match="U\\+0000"):
        loads(body, ["params"])


@pytest.mark.parametrize("count", [MOST_KEYS + 1, 300_000])
def test_objects_of_too_many_keys(count: int) -> None:
    """The parser searches all keys for each key; such objects are refused before that."""
    text = b"{" + b",".join(b'"%d":1' % number for number in range(count)) + b"}"
    for body in (text, b'{"b":[{"c":' + text + b"}]}", b'{"a":' + text + b"}"):
        with pytest.raises(Unsuitable, match=f"{count:,} keys; the limit is {MOST_KEYS}"):
            loads(body, FIELDS)
    assert len(loads(b"{" + b",".join(b'"%d":1' % number for number in range(MOST_KEYS)) + b"}")) == MOST_KEYS


def test_brackets_in_strings_do_not_confuse_the_shape() -> None:
    fields = loads(b'{"x":"[[","a":[[1,2],[3,4]]}', FIELDS)
    assert to_array(fields["a"]).tolist() == [[1, 2], [3, 4]]
    assert fields["x"] == "[["


def test_fields_that_hold_objects_have_their_arrays_read() -> None:
    fields = loads(b'{"a":{"w":[[1,2]],"s":true},"n":[1,2]}', FIELDS)
    assert isinstance(fields["a"]["w"], np.ndarray)
    assert fields["a"]["w"].tolist() == [[1.0, 2.0]]
    assert fields["a"]["s"] is True
    assert fields["n"] == [1, 2]


@pytest.mark.parametrize("element", [b"1", b"[]", b"{}", b'{"a":[1]}', b'{"b":1}'])
@pytest.mark.parametrize("field", [b"a", b"b"])
def test_the_limit_on_values(field: bytes, element: bytes) -> None:
    body = b'{"' + field + b'":[' + (element + b",") * 100_000 + element + b"]}"
    if (field, element) in {(b"a", b"1"), (b"a", b"[]")}:  # an array of numbers: the limit does not apply
        assert len(loads(body, FIELDS)["a"]) == 100_001
    else:
        with pytest.raises(Malformed, match="100,000 values"):
            loads(body, FIELDS)


def test_the_limit_on_values_in_objects() -> None:
    row = b"{" + b",".join(b'"%d":1' % key for key in range(150)) + b"}"
    table = b"{" + b",".join(b'"%d":%s' % (key, row) for key in range(150)) + b"}"
    with pytest.raises(Malformed, match="100,000 values"):
        loads(b'{"a":{' + b",".join(b'"%d":%s' % (key, table) for key in range(5)) + b"}}", FIELDS)


def test_lists_of_objects_have_their_arrays_read() -> None:
    fields = loads(b'{"a":[{"n":[2],"a":[3,4]},{"a":[[5],[6]]}]}', FIELDS)
    assert fields["a"][0]["n"] == [2]
    assert fields["a"][0]["a"].tolist() == [3.0, 4.0]
    assert fields["a"][1]["a"].tolist() == [[5.0], [6.0]]
    with pytest.raises(Unsuitable):
        parsed(b'[{"a":1},[2]]')
