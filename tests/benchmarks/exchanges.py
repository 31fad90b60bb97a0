"""One job, the sigmoid with its derivative, as a request to each service, and the parsers of the answers."""

from __future__ import annotations

import http.client
import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeAlias

import numpy as np
import orjson
from numpy.typing import NDArray

from tests.benchmarks.peers import MODEL
from tests.benchmarks.processes import HOST
from tests.benchmarks.timing import NotRun

Array: TypeAlias = NDArray[np.float64]

TIMEOUT = 120.0
"""Seconds that an answer may take."""

_JSON = "application/json"
_NPY = "application/x-npy"
_HEADER_LENGTH = "Inference-Header-Content-Length"
_ORDERS = ("outputs", "derivative")


class Answer(NamedTuple):
    """A successful answer; its headers' names are in lower case."""

    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Exchange:
    """A request, and the function that reads f and f′ from its answer."""

    path: str
    body: bytes
    read: Callable[[Answer], Array]
    headers: Mapping[str, str] = field(default_factory=dict)


class Connection:
    """One persistent connection."""

    def __init__(self, port: int) -> None:
        self._http = http.client.HTTPConnection(HOST, port, timeout=TIMEOUT)
        self._buffer = bytearray(2**20)

    def send(self, exchange: Exchange) -> Answer:
        """The answer; raises `NotRun` unless it is successful."""
        with self._answered(exchange) as response:
            headers = {name.lower(): value for name, value in response.getheaders()}
            return Answer(headers, response.read())

    def drain(self, exchange: Exchange) -> None:
        """Reads the whole answer and discards it.

        `send` joins the pieces of a long answer. That is the client's work, and took a quarter of the time
        for a million numbers in JSON.
        """
        with self._answered(exchange) as response:
            while response.readinto(self._buffer):
                pass

    @contextmanager
    def _answered(self, exchange: Exchange) -> Iterator[http.client.HTTPResponse]:
        try:
            self._http.request("POST", exchange.path, exchange.body, dict(exchange.headers))
            response = self._http.getresponse()
            if response.status != 200:
                response.read()
                raise NotRun(f"{exchange.path} answers {response.status}")
            yield response
        except (OSError, http.client.HTTPException) as error:
            raise NotRun(f"{exchange.path} broke off ({type(error).__name__})") from None

    def close(self) -> None:
        """Closes it."""
        self._http.close()


def ours_json(x: Array) -> Exchange:
    """`POST /activate` in JSON."""
    body = orjson.dumps({"function": MODEL, "inputs": x}, option=orjson.OPT_SERIALIZE_NUMPY)
    return Exchange("/activate", body, _read_json, {"Content-Type": _JSON})


def ours_npy(x: Array) -> Exchange:
    """`POST /activate`, `.npy` in both directions."""
    stream = io.BytesIO()
    np.save(stream, x)
    headers = {"Content-Type": _NPY, "Accept": _NPY}
    return Exchange(f"/activate?function={MODEL}", stream.getvalue(), _read_npy, headers)


def ours_float32(x: Array) -> Exchange:
    """`POST /activate` in float32, `.npy` in both directions."""
    exchange = ours_npy(x)
    return replace(exchange, path=f"{exchange.path}&dtype=float32")


def ours_proved(x: Array) -> Exchange:
    """`POST /activate` in JSON, every number proved."""
    body = orjson.dumps(
        {"function": MODEL, "inputs": x, "rounding": "proved"}, option=orjson.OPT_SERIALIZE_NUMPY
    )
    return Exchange("/activate", body, _read_json, {"Content-Type": _JSON})


def ours_transformer(width: int) -> Exchange:
    """`POST /gradient-flow`: two pre-norm transformer blocks, 32 tokens."""
    block = {"kind": "transformer", "heads": 4, "mlp_ratio": 4, "norm": "pre", "causal": True}
    request = {"activation": "gelu", "depth": 2, "width": width, "batch": 32, "block": block}
    body = orjson.dumps({**request, "init": "lecun_normal", "networks": 1})
    return Exchange("/gradient-flow", body, _read_json, {"Content-Type": _JSON})


def torch_json(x: Array) -> Exchange:
    """The PyTorch service."""
    body = orjson.dumps({"inputs": x}, option=orjson.OPT_SERIALIZE_NUMPY)
    return Exchange("/activate", body, _read_json, {"Content-Type": _JSON})


def infer_json(x: Array) -> Exchange:
    """The Open Inference Protocol in JSON, for Triton and for us."""
    tensor = {"name": "inputs", "shape": x.shape, "datatype": "FP64", "data": x}
    request = {"inputs": [tensor], "outputs": [{"name": name} for name in _ORDERS]}
    body = orjson.dumps(request, option=orjson.OPT_SERIALIZE_NUMPY)
    return Exchange(f"/v2/models/{MODEL}/infer", body, _read_infer, {"Content-Type": _JSON})


def infer_binary(x: Array) -> Exchange:
    """The same with its binary tensors."""
    parameters = {"binary_data_size": x.nbytes}
    tensor = {"name": "inputs", "shape": x.shape, "datatype": "FP64", "parameters": parameters}
    wanted = [{"name": name, "parameters": {"binary_data": True}} for name in _ORDERS]
    header = json.dumps({"inputs": [tensor], "outputs": wanted}).encode()
    headers = {"Content-Type": "application/octet-stream", _HEADER_LENGTH: str(len(header))}
    return Exchange(f"/v2/models/{MODEL}/infer", header + x.tobytes(), _read_binary, headers)


def _read_json(answer: Answer) -> Array:
    fields = orjson.loads(answer.body)
    return np.array([fields[name] for name in _ORDERS])


def _read_npy(answer: Answer) -> Array:
    array: Array = np.load(io.BytesIO(answer.body))
    return array


def _read_infer(answer: Answer) -> Array:
    tensors = {tensor["name"]: tensor["data"] for tensor in orjson.loads(answer.body)["outputs"]}
    return np.array([tensors[name] for name in _ORDERS])


def _read_binary(answer: Answer) -> Array:
    length = int(answer.headers[_HEADER_LENGTH.lower()])
    named = [tensor["name"] for tensor in orjson.loads(answer.body[:length])["outputs"]]
    values = np.frombuffer(answer.body[length:]).reshape(len(named), -1)
    return values[[named.index(name) for name in _ORDERS]]
