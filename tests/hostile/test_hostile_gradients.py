"""Hostile inputs for /gradient-flow and /mean-field, over a real socket."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import httpx
import pytest

from tests.conftest import Server
from tests.hostile.test_hostile import assert_problem, connect, exchange, rest

LONG = b"k" * 1_000_000


class Route(NamedTuple):
    """A route with a valid body, which has the number 7 in an array."""

    path: str
    good: bytes

    def request(self, body: bytes, *headers: str) -> bytes:
        lines = [f"POST {self.path} HTTP/1.1", "Host: test", "Connection: close", *headers]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    def json(self, body: bytes) -> bytes:
        return self.request(body, "Content-Type: application/json", f"Content-Length: {len(body)}")

    def number(self, text: bytes) -> bytes:
        """The valid body with ``text`` in place of the number."""
        return self.good.replace(b"7", text)

    def named(self, activation: bytes) -> bytes:
        """The valid body with another activation."""
        return self.good.replace(json.loads(self.good)["activation"].encode(), activation)

    def field(self, text: bytes) -> bytes:
        """The valid body with an additional field."""
        return self.good[:-1] + b"," + text + b"}"


FLOW = Route(
    "/gradient-flow",
    b'{"activation":"tanh","width":[3,4,2],"networks":1,"inputs":[[7,0.5,1],[2,0.5,1]]}',
)
FIELD = Route("/mean-field", b'{"activation":"relu","sigma_w":[7,1]}')
routes = pytest.mark.parametrize("route", [FLOW, FIELD], ids=lambda route: route.path)
Make = Callable[[Route], bytes]


@pytest.fixture(autouse=True)
def alive_after_it(server: Server) -> Iterator[None]:
    yield
    for route in (FLOW, FIELD):
        assert exchange(server, route.json(route.good))[0] == 200


MALFORMED: dict[str, Make] = {
    "empty": lambda _: b"",
    "cut off": lambda route: route.good[:-1],
    "NaN": lambda route: route.number(b"NaN"),
    "-Infinity": lambda route: route.number(b"-Infinity"),
    "1e999": lambda route: route.number(b"1e999"),
    "5,000 digits": lambda route: route.number(b"7" * 5000),
    "brackets": lambda route: route.number(b"[" * 100_000 + b"]" * 100_000),
    "UTF-16": lambda route: route.good.decode().encode("utf-16"),
    "BOM": lambda route: b"\xef\xbb\xbf" + route.good,
    "twice": lambda route: route.field(b'"activation":"relu"'),
    "surrogate": lambda route: route.named(b"\\ud800"),
    "surrogate key": lambda route: route.field(b'"\\udfff":1'),
}


@routes
@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_json(server: Server, route: Route, name: str) -> None:
    status, answer = exchange(server, route.json(MALFORMED[name](route)))
    assert status == 400
    assert_problem(status, answer)


WRONG: dict[str, Make] = {
    "true": lambda route: route.number(b"true"),
    "null": lambda route: route.number(b"null"),
    "word": lambda route: route.number(b'"seven"'),
    "ragged": lambda route: route.number(b"[7,7]"),
    "object": lambda route: route.number(b"{}"),
    "a million": lambda route: route.number(b'"x",' * 1_000_000 + b'"x"'),
    "unknown field": lambda route: route.field(b'"colour":1'),
    "long field": lambda route: route.field(b'"' + LONG + b'":1'),
    "long name": lambda route: route.named(LONG),
    "long parameter": lambda route: route.field(b'"params":{"' + LONG + b'":1}'),
    "parameters in a list": lambda route: route.field(b'"params":[1]'),
    "array": lambda route: b"[" + route.good + b"]",
    "null document": lambda _: b"null",
}


@routes
@pytest.mark.parametrize("name", WRONG)
def test_well_formed_and_wrong(server: Server, route: Route, name: str) -> None:
    status, answer = exchange(server, route.json(WRONG[name](route)))
    assert status == 422
    assert_problem(status, answer)
    assert LONG[:20] not in answer


@routes
@pytest.mark.parametrize(
    ("activation", "params", "message"),
    [
        (b"tahn", b"{}", b"tanh"),
        (b"leaky_relu", b'{"negative_slop":0.1}', b"negative_slope"),
        (b"celu", b'{"alpha":0}', b"other than 0"),
        (b"celu", b'{"alpha":"NaN"}', b"other than 0"),
        (b"maxout", b'{"pieces":1.5}', b"whole number"),
        (b"softmax", b"{}", b"activation"),
    ],
)
def test_the_answer_names_what_is_allowed(
    server: Server, route: Route, activation: bytes, params: bytes, message: bytes
) -> None:
    body = route.named(activation)[:-1] + b',"params":' + params + b"}"
    status, answer = exchange(server, route.json(body))
    assert status == 422
    assert_problem(status, answer)
    assert message in answer


@routes
def test_media_types(server: Server, route: Route) -> None:
    length = f"Content-Length: {len(route.good)}"
    plain = "Content-Type: application/json"
    for headers, expected in (
        ((length,), 415),
        (("Content-Type: text/csv", length), 415),
        ((plain, "Content-Encoding: gzip", length), 415),
        ((plain, "Accept: image/png", length), 406),
        ((plain, "Accept: */*;q=0", length), 406),
    ):
        status, answer = exchange(server, route.request(route.good, *headers))
        assert status == expected, headers
        assert_problem(status, answer)


@routes
def test_a_body_over_the_limit(server: Server, route: Route) -> None:
    headers = ("Content-Type: application/json", f"Content-Length: {2**40}")
    status, answer = exchange(server, route.request(b"{", *headers))
    assert status == 413
    assert_problem(status, answer)
    with connect(server) as connection:
        connection.sendall(route.request(b"", "Content-Type: application/json", "Transfer-Encoding: chunked"))
        try:
            for _ in range(64):
                connection.sendall(b"100000\r\n" + b" " * 2**20 + b"\r\n")
        except (BrokenPipeError, ConnectionResetError):
            pass
        early = rest(connection)
    assert early == b"" or early.split()[1] == b"413"


HUGE = 31_623
"""Two axes of this length make a diagram of 10⁹ cells."""


@pytest.mark.parametrize(
    "fields",
    [
        {"depth": 10**9},
        {"width": 10**12},
        {"depth": 10**12, "width": 10**12, "batch": 10**12, "networks": 1000},
        {"depth": 10**9, "width": 1, "batch": 1, "networks": 1},
        {"width": [10**12] * 3},
        {"width": [1] * 90_000, "networks": 1000},
        {"batch": 10**9},
        {"depth": 10_000, "width": 10_000, "networks": 1000},
        {"depth": 10**6, "width": 4, "batch": 2, "init": "he_uniform", "residual": {"scale": 1.0}},
        {"width": 10**7, "depth": 2, "init": "orthogonal", "engine": "dense"},
    ],
    ids=lambda fields: json.dumps(fields)[:60],
)
def test_too_large_simulations_are_refused_with_estimate_and_limit(
    server: Server, fields: dict[str, Any]
) -> None:
    start = time.monotonic()
    answer = httpx.post(f"{server.url}/gradient-flow", json={"activation": "tanh", **fields}, timeout=30)
    assert time.monotonic() - start < 1.5
    assert answer.status_code == 422
    assert_problem(422, answer.content)
    assert "the limit is" in answer.json()["detail"]


def test_a_diagram_of_a_billion_cells(server: Server) -> None:
    line = [1.0] * HUGE
    body = {"activation": "tanh", "sigma_w": [line], "sigma_b": [[each] for each in line]}
    start = time.monotonic()
    answer = httpx.post(f"{server.url}/mean-field", json=body, timeout=30)
    assert time.monotonic() - start < 1.5
    assert answer.status_code == 422
    assert f"{HUGE**2:,} cells; the limit is 20,000" in answer.json()["detail"]


@pytest.mark.parametrize("seed", ["-1", str(2**64), "1.5", "true", '"1"', "null"])
def test_seeds(server: Server, seed: str) -> None:
    status, answer = exchange(server, FLOW.json(FLOW.field(f'"seed":{seed}'.encode())))
    assert status == 422
    assert_problem(status, answer)
    assert json.loads(answer)["errors"][0]["loc"] == ["body", "seed"]


@pytest.mark.parametrize(
    "fields",
    [
        b'"depth":2',
        b'"batch":3',
        b'"init":"critcal"',
        b'"init":{"sigma_w":-1}',
        b'"init":{"sigma_w":"NaN"}',
        b'"init":{}',
        b'"sigma_b":0.5',
        b'"normalization":"layernorm"',
        b'"residual":{"scale":"Infinity"}',
        b'"residual":0.5',
        b'"dtype":"float16"',
        b'"engine":"fast"',
        b'"engine":"deferred","init":"he_uniform"',
        b'"params":{"alpha":1}',
    ],
)
def test_fields_that_do_not_fit(server: Server, fields: bytes) -> None:
    status, answer = exchange(server, FLOW.json(FLOW.field(fields)))
    assert status == 422
    assert_problem(status, answer)
    assert json.loads(answer)["errors"]


@pytest.mark.parametrize(
    ("upstream", "message"),
    [
        (b"1", "batch × units: [2, 2]"),
        (b"[]", "batch × units: [2, 2]"),
        (b"[[1,2]]", "batch × units: [2, 2]"),
        (b"[[1,2,3],[1,2,3]]", "batch × units: [2, 2]"),
        (b"[[[1,2],[1,2]]]", "batch × units: [2, 2]"),
        (b"[" + b"1," * 1_000_000 + b"1]", "batch × units: [2, 2]"),
        (b'[[1,2],[1,"NaN"]]', "finite"),
        (b'[[1,2],[1,"-Infinity"]]', "finite"),
        (b"[[0,0],[-0.0,0]]", "not 0 everywhere"),
    ],
    ids=lambda each: each[:20],
)
def test_loss_gradients_that_do_not_fit(server: Server, upstream: bytes, message: str) -> None:
    status, answer = exchange(server, FLOW.json(FLOW.field(b'"upstream":' + upstream)))
    assert status == 422
    assert_problem(status, answer)
    (error,) = json.loads(answer)["errors"]
    assert error["loc"] == ["body", "upstream"]
    assert message in error["msg"]


@pytest.mark.parametrize("number", [b"5e-324", b"-1e308"])
def test_extreme_loss_gradients_are_carried_back(server: Server, number: bytes) -> None:
    upstream = b"[[0,0],[0," + number + b"]]"
    status, answer = exchange(server, FLOW.json(FLOW.field(b'"upstream":' + upstream)))
    assert status == 200
    report = json.loads(answer)
    gradients = [layer["gradient_log10_rms"]["median"] for layer in report["layers"]]
    assert all(abs(each - math.log10(abs(float(number)))) < 3 for each in gradients)


@pytest.mark.parametrize("number", [b"-0.0", b"5e-324", b"1e308", b"18446744073709551616"])
def test_extreme_inputs_are_simulated(server: Server, number: bytes) -> None:
    """tanh of a finite input is a number in [−1, 1], whatever the pre-activation is."""
    status, answer = exchange(server, FLOW.json(FLOW.number(number)))
    assert status == 200
    for layer in json.loads(answer)["layers"]:
        assert 0 <= layer["activation_mean_square"]["median"] <= 1


@pytest.mark.parametrize(
    ("sigma", "phase"), [(b"-0.0", "ordered"), (b"5e-324", "ordered"), (b"1e6", "chaotic")]
)
def test_extreme_deviations_have_a_theory(server: Server, sigma: bytes, phase: str) -> None:
    status, answer = exchange(server, FIELD.json(FIELD.number(sigma)))
    assert status == 200
    assert json.loads(answer)["phase"][0] == phase


@pytest.mark.parametrize("sigma", [b"-1", b"1e308", b"18446744073709551616", b'"Infinity"'])
def test_deviations_outside_their_domain(server: Server, sigma: bytes) -> None:
    status, answer = exchange(server, FIELD.json(FIELD.number(sigma)))
    assert status == 422
    assert "[0, 1e+06]" in json.loads(answer)["errors"][0]["msg"]


def test_a_scalar_and_an_empty_diagram(server: Server) -> None:
    for sigma, shape in ((b"1.5", []), (b"[]", [0]), (b"[[],[]]", [2, 0])):
        status, answer = exchange(server, FIELD.json(FIELD.good.replace(b"[7,1]", sigma)))
        assert status == 200
        assert json.loads(answer)["shape"] == shape


@routes
def test_deadlines(server: Server, route: Route) -> None:
    """Work that takes seconds, with a deadline of 50 milliseconds."""
    heavy = {
        FLOW: {"activation": "tanh", "depth": 2000},
        FIELD: {"activation": "gelu", "sigma_w": [[1 + each / 1000 for each in range(140)]] * 140},
    }[route]
    start = time.monotonic()
    answer = httpx.post(
        f"{server.url}{route.path}", json=heavy, headers={"Request-Timeout": "0.05"}, timeout=30
    )
    assert answer.status_code == 504
    assert_problem(504, answer.content)
    assert time.monotonic() - start < 2


@routes
@pytest.mark.parametrize("given", ["0", "-1", "nan", "soon", ""])
def test_invalid_deadlines(server: Server, route: Route, given: str) -> None:
    length = f"Content-Length: {len(route.good)}"
    data = route.request(route.good, "Content-Type: application/json", length, f"Request-Timeout: {given}")
    status, answer = exchange(server, data)
    assert status == 422
    assert_problem(status, answer)
