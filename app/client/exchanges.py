"""Requests as values: what to send, and how to read the response, as a whole or as a stream."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Literal, TypeAlias, TypedDict, TypeVar, Unpack

import httpx
import numpy as np
from numpy.typing import NDArray

from app.client.arrays import Param, format_name, numbers, numpy, safetensors
from app.client.arrays import Values as Given
from app.client.arrays import params as sent
from app.client.results import Diagram, Facts, FormulaFacts, Judgement, Network, Picture, Training, Values
from app.contract.activate import ActivateResponse, Proof
from app.contract.problems import ProblemDocument
from app.contract.sweep import SweepLine
from app.contract.training import (
    TrainingError,
    TrainingFrame,
    TrainingLine,
    TrainingResult,
    TrainingStart,
)
from app.core.arithmetic.formats import number_format
from app.wire.spelling import spell

Result = TypeVar("Result")
Line = TypeVar("Line")

TrainingEvent: TypeAlias = TrainingStart | TrainingFrame | TrainingResult
"""A line of a training's stream."""

JSON = "application/json"
NPY = "application/x-npy"
LINES = "application/jsonl"
EVENTS = "text/event-stream"
SVG = "image/svg+xml"

BIG = 1_000
"""Elements from which on an array is sent in binary."""


class ServiceError(Exception):
    """The service answered with an error, described by ``problem``."""

    def __init__(self, problem: ProblemDocument) -> None:
        errors = problem.errors or ()
        said = [f"{'.'.join(map(str, each.loc))}: {each.msg}" for each in errors]
        if problem.detail not in {each.msg for each in errors}:
            said.insert(0, problem.detail)
        super().__init__(f"{problem.status} {problem.title}: {'; '.join(said)}")
        self.problem = problem


@dataclass(frozen=True)
class Exchange(Generic[Result]):
    """One request, and the function that reads its response.

    ``picture`` is the request for a picture of the answer. ``streams`` means that the answer may also be sent
    as events, which report progress.
    """

    method: str
    path: str
    read: Callable[[httpx.Response], Result]
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    files: Mapping[str, tuple[str, bytes, str]] | None = None
    picture: Exchange[Picture] | None = None
    streams: bool = False


@dataclass(frozen=True, kw_only=True)
class Lines(Exchange[Result], Generic[Result, Line]):
    """An exchange whose answer may be streamed line by line; ``line`` parses one."""

    line: Callable[[str], Line]


class Policy(TypedDict, total=False):
    """How numbers are rounded: fields of `ActivateRequest`, all optional."""

    rounding: Literal["fast", "proved"]
    overflow: Literal["format", "saturate"]
    subnormals: Literal["keep", "flush"]


def activate(
    function: str,
    inputs: Given,
    *,
    params: Mapping[str, Param] | None = None,
    order: int = 1,
    dtype: str = "float64",
    axis: int | None = None,
    upstream: Given | None = None,
    **policy: Unpack[Policy],
) -> Exchange[Values]:
    """``POST /activate``: values and derivatives of ``function`` at ``inputs``.

    ``function`` may be ``formula:`` and an expression in x. Parameters and defaults are the service's; arrays
    of `BIG` elements and more are sent as ``.npy``.
    """
    array = numpy(inputs).astype(np.float64)
    fields: dict[str, Any] = {"order": order, "params": sent(params or {}), **policy}
    if axis is not None:
        fields["axis"] = axis
    drawing = picture(function, params=params)
    if array.size >= BIG and upstream is None:
        return replace(_binary(function, array, fields, dtype), picture=drawing)
    fields |= {"function": function, "dtype": dtype, "inputs": numbers(array)}
    if upstream is not None:
        fields["upstream"] = numbers(upstream)
    return _json("/activate", fields, lambda response: _values(response, dtype), picture=drawing)


class NetworkOptions(TypedDict, total=False):
    """Options of a network besides its activation: the fields of `GradientFlowRequest`, all optional."""

    params: Mapping[str, Param]
    depth: int
    width: int | Sequence[int]
    batch: int
    init: str | Mapping[str, float]
    sigma_b: float
    normalization: str | None
    residual: Mapping[str, float] | None
    dropout: Mapping[str, Any] | None
    block: Mapping[str, Any] | None
    inputs: Given | Mapping[str, Any]
    upstream: Given
    memory: Given
    networks: int
    seed: int
    dtype: Literal["float64", "float32"]
    engine: Literal["auto", "dense", "deferred"]
    train: bool


Layer: TypeAlias = Given | tuple[Given, Given | None]
"""A matrix, outputs × inputs, or a matrix and its bias."""

Weights: TypeAlias = Sequence[Layer] | Mapping[str, Given]
"""Layers, first to last, or a state dict for blocks."""


def gradient_flow(
    activation: str, *, weights: Weights | None = None, **options: Unpack[NetworkOptions]
) -> Exchange[Network]:
    """``POST /gradient-flow``: simulates and diagnoses a network with this ``activation``.

    ``weights`` are a real network's layers, first to last, or with ``block`` its state dict, sent in their
    own format; ``depth``, ``width``, ``init``, ``sigma_b`` and ``networks`` must then be left out. Defaults
    are the service's.
    """
    fields: dict[str, Any] = {"activation": activation, **options}
    if "params" in options:
        fields["params"] = sent(options["params"])
    if "inputs" in options and not isinstance(options["inputs"], Mapping):
        fields["inputs"] = numbers(options["inputs"])
    if "upstream" in options:
        fields["upstream"] = numbers(options["upstream"])
    if "memory" in options:
        fields["memory"] = numbers(options["memory"])
    plain = _with_weights(_json("/gradient-flow", fields, _report, streams=True), weights)
    return replace(plain, picture=_picture_of(plain, "/plots/gradient-flow.svg"))


def mean_field(
    activation: str,
    sigma_w: Given,
    sigma_b: Given = 0.0,
    *,
    params: Mapping[str, Param] | None = None,
) -> Exchange[Diagram]:
    """``POST /mean-field``: fixed points and depth scales at every pair of ``sigma_w`` and ``sigma_b``."""
    fields = {
        "activation": activation,
        "params": sent(params or {}),
        "sigma_w": numbers(sigma_w),
        "sigma_b": numbers(sigma_b),
    }
    plain = _json("/mean-field", fields, _diagram)
    return replace(plain, picture=_picture_of(plain, "/plots/mean-field.svg"))


def sweep(
    base: Mapping[str, Any], grid: Mapping[str, Sequence[Any]], *, cells: Sequence[int] | None = None
) -> Lines[list[SweepLine], SweepLine]:
    """``POST /gradient-flow/sweep``: ``base`` with every combination of the values in ``grid``.

    `Client.send` waits for all lines, `Client.stream` yields them as they arrive.
    """
    body = {"base": base, "grid": grid, "cells": cells}
    plain = _json("/gradient-flow/sweep", body, _lines)
    headers = {"Content-Type": JSON, "Accept": LINES}
    return Lines(plain.method, plain.path, plain.read, headers, content=plain.content, line=_sweep_line)


class TrainingOptions(TypedDict, total=False):
    """Options of a training besides its activations: the fields of `TrainingRequest`, all optional."""

    data: Mapping[str, Any]
    hidden: Sequence[int]
    init: str | Mapping[str, float]
    normalization: str | None
    residual: Mapping[str, float] | None
    loss: str
    optimizer: Mapping[str, Any]
    steps: int
    runs: int
    seed: int
    frames: int
    watch: Mapping[str, Any]


def training(
    activations: Sequence[str | Mapping[str, Any]],
    *,
    weights: Sequence[Layer] | None = None,
    **options: Unpack[TrainingOptions],
) -> Lines[Training, TrainingEvent]:
    """``POST /training``: networks of these ``activations`` trained side by side.

    `Client.send` waits for the whole answer; `Client.stream` yields the start, every frame as it arrives, and
    the result. If ``weights`` are given, the head's last, all runs start from them; ``hidden`` and ``init``
    must then be left out. Defaults are the service's.
    """
    fields = {"activations": activations, **options}
    plain = _with_weights(_json("/training", fields, _trained), weights)
    drawing = _picture_of(plain, "/plots/training.svg")
    return Lines(
        plain.method,
        plain.path,
        plain.read,
        plain.headers,
        content=plain.content,
        files=plain.files,
        picture=drawing,
        line=_training_line,
    )


class VerifyOptions(TypedDict, total=False):
    """Options of a verification besides the arrays: the fields of `VerifyRequest`, all optional."""

    params: Mapping[str, Param]
    dtype: str
    axis: int | Sequence[int]
    compute_dtype: str
    subnormals: Literal["keep", "flush"]
    tolerance_ulp: float


def verify(
    function: str | None,
    outputs: Given,
    inputs: Given | None = None,
    *,
    derivative: Given | None = None,
    second_derivative: Given | None = None,
    **options: Unpack[VerifyOptions],
) -> Exchange[Judgement]:
    """``POST /verify``: judges a kernel's numbers; if ``function`` is None, also finds out which it computes.

    Without ``inputs`` the outputs are those for every number of the format, in the order of the bit patterns.
    The format is ``dtype``, by default that of the outputs.
    """
    given = {
        "outputs": outputs,
        "inputs": inputs,
        "derivative": derivative,
        "second_derivative": second_derivative,
    }
    if "dtype" not in options:
        options = {**options, "dtype": format_name(outputs)}
    arrays = {name: values for name, values in given.items() if values is not None}
    return verify_file(function, safetensors(arrays), **options)


def verify_file(function: str | None, arrays: bytes, **options: Unpack[VerifyOptions]) -> Exchange[Judgement]:
    """`verify` for a safetensors file or a NumPy archive with the members ``outputs``, ``inputs``, …."""
    fields: dict[str, Any] = {"function": function, **options}
    if "params" in options:
        fields["params"] = sent(options["params"])
    plain = _json("/verify", fields, _judged)
    files = {
        "request": ("request.json", plain.content or b"", JSON),
        "arrays": ("arrays", arrays, "application/octet-stream"),
    }
    return replace(plain, content=None, files=files, headers={"Accept": JSON})


def describe(function: str) -> Exchange[Facts]:
    """``GET /functions/{name}``: formulas, parameters, properties, papers, framework names."""
    return Exchange("GET", f"/functions/{function}", _facts, picture=picture(function))


def describe_formula(function: str, *, params: Mapping[str, Param] | None = None) -> Exchange[FormulaFacts]:
    """``POST /functions/describe``: the facts about ``formula:…``, found by computation."""
    fields = {"function": function, "params": sent(params or {})}
    return _json("/functions/describe", fields, _formula_facts, picture=picture(function, params=params))


def picture(*functions: str, params: Mapping[str, Param] | None = None, order: int = 1) -> Exchange[Picture]:
    """``GET /plots/functions.svg``: the curves of ``functions`` and of their derivatives up to ``order``.

    ``params`` apply to all functions; arrays cannot be given in a picture's address and are left out.
    """
    given = {name: numpy_or_text(value) for name, value in (params or {}).items()}
    scalars = {name: _number(value) for name, value in given.items() if np.ndim(value) == 0}
    names = [spell(function, scalars) for function in functions]
    query = httpx.QueryParams([("name", name) for name in names] + [("order", n) for n in range(order + 1)])
    return Exchange("GET", f"/plots/functions.svg?{query}", _svg, headers={"Accept": SVG})


def _sweep_line(text: str) -> SweepLine:
    return SweepLine.model_validate(json.loads(text))


def _training_line(text: str) -> TrainingEvent:
    """A line of a training's stream; raises `ServiceError` for an error."""
    found = TrainingLine.model_validate(json.loads(text)).root
    if isinstance(found, TrainingError):
        raise ServiceError(ProblemDocument.model_validate(found.problem))
    return found


def refused(response: httpx.Response) -> Exception:
    """The exception for a ``response`` that is not a success."""
    if response.headers.get("content-type") == "application/problem+json":
        return ServiceError(ProblemDocument.model_validate_json(response.content))
    message = f"unexpected answer: {response.status_code}"
    return httpx.HTTPStatusError(message, request=response.request, response=response)


def numpy_or_text(value: Param) -> Any:
    """``value`` as an array, unless it is a switch."""
    return value if isinstance(value, str | bool) else numpy(value)


def _number(value: Any) -> Any:
    """``value`` as a Python number, unless it is a switch."""
    return value if isinstance(value, str | bool) else float(value)


def _json(
    path: str,
    fields: Mapping[str, Any],
    read: Callable[[httpx.Response], Result],
    *,
    picture: Exchange[Picture] | None = None,
    streams: bool = False,
) -> Exchange[Result]:
    headers = {"Content-Type": JSON, "Accept": JSON}
    content = json.dumps(fields, default=_plain).encode()
    return Exchange("POST", path, read, headers=headers, content=content, picture=picture, streams=streams)


def _plain(value: Any) -> Any:
    """JSON for a NumPy number or array, or a tensor, within fields that are passed on unchanged."""
    return numbers(value)


def _picture_of(exchange: Exchange[Any], path: str) -> Exchange[Picture]:
    return replace(exchange, path=path, read=_svg, headers={**exchange.headers, "Accept": SVG}, streams=False)


def _binary(
    function: str, array: NDArray[np.float64], fields: Mapping[str, Any], dtype: str
) -> Exchange[Values]:
    query = {key: json.dumps(value) for key, value in fields.items()}
    file = io.BytesIO()
    np.save(file, array)
    return Exchange(
        "POST",
        "/activate",
        lambda response: _values(response, dtype),
        headers={"Content-Type": NPY, "Accept": f"{NPY}, {JSON};q=0.5"},
        query={**query, "function": function, "dtype": dtype},
        content=file.getvalue(),
    )


def _values(response: httpx.Response, dtype: str) -> Values:
    rounded = number_format(dtype)
    if response.headers["content-type"] == NPY:
        orders = np.load(io.BytesIO(response.content), allow_pickle=False).astype(rounded)
        counts = response.headers.get("proof", "").split("/")
        proof = Proof(proved=int(counts[0]), unproved=int(counts[1])) if len(counts) == 2 else None
        outputs, derivative, second = (*orders[:3], None, None)[:3]
        return Values(outputs, derivative, second, higher_derivatives=tuple(orders[3:]), proof=proof)
    answer = ActivateResponse.model_validate(json.loads(response.content))
    gradients = answer.param_gradients
    return Values(
        answer.outputs.astype(rounded),
        _rounded(answer.derivative, rounded),
        _rounded(answer.second_derivative, rounded),
        _rounded(answer.input_gradient, rounded),
        None if gradients is None else {name: each.astype(rounded) for name, each in gradients.items()},
        tuple(each.astype(rounded) for each in answer.higher_derivatives or ()),
        answer.proof,
    )


def _rounded(array: NDArray[Any] | None, dtype: np.dtype[Any]) -> NDArray[Any] | None:
    return None if array is None else array.astype(dtype)


def _with_weights(exchange: Exchange[Result], weights: Weights | None) -> Exchange[Result]:
    """The exchange as a form with ``weights``, if given."""
    if weights is None:
        return exchange
    tensors = weights if isinstance(weights, Mapping) else _named(weights)
    files = {
        "request": ("request.json", exchange.content or b"", JSON),
        "weights": ("weights.safetensors", safetensors(tensors), "application/octet-stream"),
    }
    return replace(exchange, content=None, files=files, headers={"Accept": JSON})


def _named(weights: Sequence[Layer]) -> dict[str, Given]:
    """The tensors by PyTorch's names: layer 0 has ``0.weight`` and ``0.bias``."""
    tensors: dict[str, Given] = {}
    for number, layer in enumerate(weights):
        matrix, bias = layer if isinstance(layer, tuple) else (layer, None)
        tensors[f"{number}.weight"] = matrix
        if bias is not None:
            tensors[f"{number}.bias"] = bias
    return tensors


def _report(response: httpx.Response) -> Network:
    return Network.model_validate_json(response.content)


def _diagram(response: httpx.Response) -> Diagram:
    return Diagram.model_validate_json(response.content)


def _lines(response: httpx.Response) -> list[SweepLine]:
    return [_sweep_line(each) for each in response.iter_lines()]


def _judged(response: httpx.Response) -> Judgement:
    return Judgement.model_validate(json.loads(response.content))


def _trained(response: httpx.Response) -> Training:
    return Training.model_validate_json(response.content)


def _facts(response: httpx.Response) -> Facts:
    return Facts.model_validate_json(response.content)


def _formula_facts(response: httpx.Response) -> FormulaFacts:
    return FormulaFacts.model_validate_json(response.content)


def _svg(response: httpx.Response) -> Picture:
    return Picture(response.text)
