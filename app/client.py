"""A typed client on httpx: NumPy in and out, binary by itself for big arrays.

An operation is a value, an `Exchange`: what to send and how to read the answer. `Client` sends it and waits,
`AsyncClient` sends it and awaits; nothing else differs, so nothing is written twice.

    with Client("http://127.0.0.1:8000") as lab:
        values = lab.send(activate("tanh", np.linspace(-3, 3, 7), order=2))
        values.derivative
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Generic, Literal, Self, TypeAlias, TypedDict, TypeVar, Unpack

import httpx
import numpy as np
import orjson
from numpy.typing import ArrayLike, NDArray
from safetensors.numpy import save

from app.contract.activate import ActivateResponse
from app.contract.catalogue import FunctionFacts
from app.contract.gradient_flow import GradientFlowResponse
from app.contract.mean_field import MeanFieldResponse
from app.contract.problems import ProblemDocument
from app.contract.sweep import SweepLine
from app.core.arithmetic.formats import FORMATS, number_format
from app.wire import json_body, npy
from app.wire.numbers import to_json

Result = TypeVar("Result")

JSON = "application/json"
NPY = "application/x-npy"
LINES = "application/jsonl"

BIG = 1_000
"""Elements from which on an array travels in binary."""


class ServiceError(Exception):
    """The service said no; ``problem`` says why."""

    def __init__(self, problem: ProblemDocument) -> None:
        where = [f"{'.'.join(map(str, each.loc))}: {each.msg}" for each in problem.errors or ()]
        super().__init__("; ".join([f"{problem.status} {problem.title}: {problem.detail}", *where]))
        self.problem = problem


@dataclass(frozen=True)
class Exchange(Generic[Result]):
    """One request and the way to read its answer."""

    method: str
    path: str
    read: Callable[[httpx.Response], Result]
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    files: Mapping[str, tuple[str, bytes, str]] | None = None


@dataclass(frozen=True)
class Values:
    """f, f′ and f″ as far as they were asked for, in the format asked for, and gradients for an upstream."""

    outputs: NDArray[Any]
    derivative: NDArray[Any] | None = None
    second_derivative: NDArray[Any] | None = None
    input_gradient: NDArray[Any] | None = None
    param_gradients: Mapping[str, NDArray[Any]] | None = None


def activate(
    function: str,
    inputs: ArrayLike,
    *,
    params: Mapping[str, ArrayLike | str | bool] | None = None,
    order: int = 1,
    dtype: str = "float64",
    axis: int | None = None,
    upstream: ArrayLike | None = None,
) -> Exchange[Values]:
    """``POST /activate``: values and derivatives of ``function`` at ``inputs``.

    Parameters and defaults are the service's; arrays of `BIG` elements and more travel as ``.npy``.
    """
    array = np.asarray(inputs, dtype=np.float64)
    fields: dict[str, Any] = {"order": order, "params": _params(params or {})}
    if axis is not None:
        fields["axis"] = axis
    if array.size >= BIG and upstream is None:
        return _binary(function, array, fields, dtype)
    fields |= {"function": function, "dtype": dtype, "inputs": _fragment(array)}
    if upstream is not None:
        fields["upstream"] = _fragment(upstream)
    return Exchange(
        "POST",
        "/activate",
        lambda response: _values(response, dtype),
        headers={"Content-Type": JSON, "Accept": JSON},
        content=orjson.dumps(fields),
    )


class NetworkOptions(TypedDict, total=False):
    """What a network may be told beside its activation: the fields of `GradientFlowRequest`, all optional."""

    params: Mapping[str, ArrayLike | str | bool]
    depth: int
    width: int | Sequence[int]
    batch: int
    init: str | Mapping[str, float]
    sigma_b: float
    normalization: str | None
    residual: Mapping[str, float] | None
    inputs: ArrayLike | Mapping[str, Any]
    upstream: ArrayLike
    networks: int
    seed: int
    dtype: Literal["float64", "float32"]
    engine: Literal["auto", "dense", "deferred"]


Layer: TypeAlias = NDArray[Any] | tuple[NDArray[Any], NDArray[Any] | None]
"""A matrix, outputs × inputs, or a matrix and its bias."""


def gradient_flow(
    activation: str, *, weights: Sequence[Layer] | None = None, **options: Unpack[NetworkOptions]
) -> Exchange[GradientFlowResponse]:
    """``POST /gradient-flow``: does the gradient survive a network of this ``activation``?

    ``weights`` are a real network's own layers, first to last, sent in the format they are in; ``depth``,
    ``width``, ``init``, ``sigma_b`` and ``networks`` are then not given. Defaults are the service's.
    """
    fields: dict[str, Any] = {"activation": activation, **options}
    if "params" in options:
        fields["params"] = _params(options["params"])
    if "inputs" in options and not isinstance(options["inputs"], Mapping):
        fields["inputs"] = _fragment(options["inputs"])
    if "upstream" in options:
        fields["upstream"] = _fragment(options["upstream"])
    request = orjson.dumps(fields, option=orjson.OPT_SERIALIZE_NUMPY)
    if weights is None:
        headers = {"Content-Type": JSON, "Accept": JSON}
        return Exchange("POST", "/gradient-flow", _report, headers=headers, content=request)
    files = {
        "request": ("request.json", request, JSON),
        "weights": ("weights.safetensors", save(_named(weights)), "application/octet-stream"),
    }
    return Exchange("POST", "/gradient-flow", _report, headers={"Accept": JSON}, files=files)


def mean_field(
    activation: str,
    sigma_w: ArrayLike,
    sigma_b: ArrayLike = 0.0,
    *,
    params: Mapping[str, ArrayLike | str | bool] | None = None,
) -> Exchange[MeanFieldResponse]:
    """``POST /mean-field``: fixed points and depth scales at every pair of ``sigma_w`` and ``sigma_b``."""
    fields = {
        "activation": activation,
        "params": _params(params or {}),
        "sigma_w": _fragment(sigma_w),
        "sigma_b": _fragment(sigma_b),
    }
    headers = {"Content-Type": JSON, "Accept": JSON}
    return Exchange("POST", "/mean-field", _diagram, headers=headers, content=orjson.dumps(fields))


def sweep(
    base: Mapping[str, Any], grid: Mapping[str, Sequence[Any]], *, cells: Sequence[int] | None = None
) -> Exchange[list[SweepLine]]:
    """``POST /gradient-flow/sweep``: ``base`` with every combination of the values in ``grid``.

    `Client.send` waits for all lines, `Client.stream` yields them as they come.
    """
    body = {"base": base, "grid": grid, "cells": cells}
    return Exchange(
        "POST",
        "/gradient-flow/sweep",
        lambda response: [_line(each) for each in response.iter_lines()],
        headers={"Content-Type": JSON, "Accept": LINES},
        content=orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY),
    )


def describe(function: str) -> Exchange[FunctionFacts]:
    """``GET /functions/{name}``: formulas, parameters, properties, papers, framework names."""
    return Exchange("GET", f"/functions/{function}", _facts)


class _Connection:
    @staticmethod
    def _request(client: httpx.Client | httpx.AsyncClient, exchange: Exchange[Any]) -> httpx.Request:
        headers, query = dict(exchange.headers), dict(exchange.query)
        return client.build_request(
            exchange.method,
            exchange.path,
            headers=headers,
            params=query or None,
            content=exchange.content,
            files=exchange.files,
        )

    @staticmethod
    def _read(exchange: Exchange[Result], response: httpx.Response) -> Result:
        if response.is_success:
            return exchange.read(response)
        if response.headers.get("content-type") == "application/problem+json":
            raise ServiceError(ProblemDocument.model_validate_json(response.content))
        response.raise_for_status()
        raise httpx.HTTPStatusError("unexpected answer", request=response.request, response=response)


class Client(_Connection):
    """Sends exchanges and waits; ``key`` is an API key, and ``options`` go to `httpx.Client`."""

    def __init__(self, url: str = "http://127.0.0.1:8000", *, key: str | None = None, **options: Any) -> None:
        self._client = httpx.Client(base_url=url, **{"timeout": 60.0, "auth": _bearer(key), **options})

    def send(self, exchange: Exchange[Result]) -> Result:
        """The answer to ``exchange``; raises `ServiceError` and httpx's own errors."""
        return self._read(exchange, self._client.send(self._request(self._client, exchange)))

    def stream(self, exchange: Exchange[list[SweepLine]]) -> Iterator[SweepLine]:
        """The lines of the answer as they come; leaving the loop ends the work. Raises as `send` does."""
        response = self._client.send(self._request(self._client, exchange), stream=True)
        with contextlib.closing(response):
            if not response.is_success:
                response.read()
                self._read(exchange, response)
            yield from map(_line, response.iter_lines())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()


class AsyncClient(_Connection):
    """Sends exchanges and awaits; ``key`` is an API key, and ``options`` go to `httpx.AsyncClient`."""

    def __init__(self, url: str = "http://127.0.0.1:8000", *, key: str | None = None, **options: Any) -> None:
        self._client = httpx.AsyncClient(base_url=url, **{"timeout": 60.0, "auth": _bearer(key), **options})

    async def send(self, exchange: Exchange[Result]) -> Result:
        """The answer to ``exchange``; raises `ServiceError` and httpx's own errors."""
        return self._read(exchange, await self._client.send(self._request(self._client, exchange)))

    async def stream(self, exchange: Exchange[list[SweepLine]]) -> AsyncIterator[SweepLine]:
        """The lines of the answer as they come; leaving the loop ends the work. Raises as `send` does."""
        response = await self._client.send(self._request(self._client, exchange), stream=True)
        async with contextlib.aclosing(response):
            if not response.is_success:
                await response.aread()
                self._read(exchange, response)
            async for line in response.aiter_lines():
                yield _line(line)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()


def _bearer(key: str | None) -> Callable[[httpx.Request], httpx.Request] | None:
    """What puts an API key into each request."""
    if key is None:
        return None

    def signed(request: httpx.Request) -> httpx.Request:
        request.headers["Authorization"] = f"Bearer {key}"
        return request

    return signed


def _params(params: Mapping[str, ArrayLike | str | bool]) -> dict[str, Any]:
    return {
        name: value if isinstance(value, str | bool) else _fragment(value) for name, value in params.items()
    }


def _fragment(values: ArrayLike) -> orjson.Fragment:
    return orjson.Fragment(to_json(np.asarray(values, dtype=np.float64)))


def _binary(
    function: str, array: NDArray[np.float64], fields: Mapping[str, Any], dtype: str
) -> Exchange[Values]:
    query = {key: orjson.dumps(value).decode() for key, value in fields.items()}
    return Exchange(
        "POST",
        "/activate",
        lambda response: _values(response, dtype),
        headers={"Content-Type": NPY, "Accept": f"{NPY}, {JSON};q=0.5"},
        query={**query, "function": function, "dtype": dtype},
        content=npy.dumps(array),
    )


def _values(response: httpx.Response, dtype: str) -> Values:
    rounded = number_format(dtype)
    if response.headers["content-type"] == NPY:
        return Values(*np.load(io.BytesIO(response.content), allow_pickle=False).astype(rounded))
    arrays = ("outputs", "derivative", "second_derivative", "input_gradient", "param_gradients", "params")
    answer = ActivateResponse.model_validate(json_body.loads(response.content, arrays))
    gradients = answer.param_gradients
    return Values(
        answer.outputs.astype(rounded),
        _rounded(answer.derivative, rounded),
        _rounded(answer.second_derivative, rounded),
        _rounded(answer.input_gradient, rounded),
        None if gradients is None else {name: each.astype(rounded) for name, each in gradients.items()},
    )


def _rounded(array: NDArray[Any] | None, dtype: np.dtype[Any]) -> NDArray[Any] | None:
    return None if array is None else array.astype(dtype)


def _named(weights: Sequence[Layer]) -> dict[str, NDArray[Any]]:
    """The tensors, named as PyTorch would: layer 0 is ``0.weight`` and ``0.bias``."""
    tensors: dict[str, NDArray[Any]] = {}
    for number, layer in enumerate(weights):
        matrix, bias = layer if isinstance(layer, tuple) else (layer, None)
        tensors[f"{number}.weight"] = _plain(matrix)
        if bias is not None:
            tensors[f"{number}.bias"] = _plain(bias)
    return tensors


def _plain(values: ArrayLike) -> NDArray[Any]:
    """``values`` in rows, in a format that safetensors and the service share."""
    array = np.asarray(values)
    travels = array.dtype in map(FORMATS.get, ("float64", "float32", "float16", "bfloat16"))
    return np.ascontiguousarray(array if travels else array.astype(np.float64))


def _report(response: httpx.Response) -> GradientFlowResponse:
    return GradientFlowResponse.model_validate_json(response.content)


def _diagram(response: httpx.Response) -> MeanFieldResponse:
    return MeanFieldResponse.model_validate_json(response.content)


def _line(text: str) -> SweepLine:
    return SweepLine.model_validate(json_body.loads(text.encode()))


def _facts(response: httpx.Response) -> FunctionFacts:
    return FunctionFacts.model_validate_json(response.content)
