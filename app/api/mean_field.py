"""``POST /mean-field``: the theory of infinitely wide networks, up to a whole phase diagram at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
from fastapi import APIRouter, Request, Response
from numpy.typing import NDArray

from app.api.bodies import MEAN_FIELD
from app.api.reports import accuracy_fields
from app.contract.mean_field import MeanFieldRequest, MeanFieldResponse
from app.core.activations import REGISTRY
from app.core.activations.from_formula import label
from app.core.activations.registry import Call
from app.core.errors import ActivationLabError, InvalidValue, LimitExceeded
from app.core.jobs import Runner
from app.core.theory.diagram import accuracy, diagram
from app.http.array_bodies import ArrayRoute
from app.http.computing import admitted, simulated, timeout
from app.http.media_types import JSON, negotiate
from app.http.problems import responses
from app.settings import Settings
from app.wire.numbers import to_json

router = APIRouter(route_class=ArrayRoute, tags=["gradients"])

DESCRIPTION = """\
Fixed points and depth scales of a random network, weights N(0, σ_w²/fan_in) and biases N(0, σ_b²), for
every pair of `sigma_w` and `sigma_b`. The two broadcast; the arrays of the answer have the broadcast shape
and `critical_sigma_w` that of `sigma_b`.

Where there is no such number, the answer says so: `q_star` is `"Infinity"` where signals grow without bound,
`critical_sigma_w` is `"NaN"` where no σ_w puts the network on the edge of chaos.
"""


@router.post(
    "/mean-field",
    summary="Mean-field theory of a random network",
    description=DESCRIPTION,
    response_model=MeanFieldResponse,
    responses=responses(400, 406, 413, 415, 422, 503, 504),
)
async def post_mean_field(body: MEAN_FIELD, request: Request) -> Response:
    """Checks the size, and computes on the workers."""
    settings: Settings = request.app.state.settings
    negotiate(request, JSON)
    call, shape = checked(body, settings)
    request.state.function = label(call.activation)

    def work(run: Runner) -> Response:
        arrays = diagram(call, body.sigma_w, body.sigma_b, run=run)
        fields = {name: _json(values) for name, values in arrays.items()}
        answer = {"activation": call.activation.name, "shape": shape, **fields}
        checked = accuracy(call, arrays["q_star"], run=run)
        if checked is not None:
            answer["formula"] = accuracy_fields(checked)
        return Response(orjson.dumps(answer), media_type=JSON)

    admission = admitted(request, timeout(request, settings.request_timeout))
    return await simulated(request, admission, work)


def checked(body: MeanFieldRequest, settings: Settings) -> tuple[Call, tuple[int, ...]]:
    """The activation and the shape of the diagram; raises `LimitExceeded` for too many cells."""
    call = resolve(body)
    shape = _broadcast(body.sigma_w, body.sigma_b)
    cells = int(np.prod(shape, dtype=np.float64))
    if cells > settings.max_cells:
        limit = settings.max_cells
        raise LimitExceeded("the diagram", estimate=cells, limit=limit, unit="cells", loc=("sigma_w",))
    return call, shape


def resolve(body: MeanFieldRequest) -> Call:
    """The activation of the request."""
    return named(body.activation, body.params)


def named(name: str, params: Mapping[str, Any]) -> Call:
    """The activation called ``name``; errors are reported in the field ``activation``."""
    try:
        return REGISTRY.resolve(_canonical(name), params)
    except ActivationLabError as error:
        if error.loc == ("function",):
            error.loc = ("activation",)
        raise


def _canonical(name: str) -> str:
    """``name``, or the activation that it has in all frameworks, if these agree."""
    if name in REGISTRY or ":" in name:
        return name
    theirs = [each for each in REGISTRY.framework_names if each.partition(":")[2] == name]
    meant = {REGISTRY.resolve(each).activation.name for each in theirs}
    return meant.pop() if len(meant) == 1 else name


def _broadcast(sigma_w: NDArray[Any], sigma_b: NDArray[Any]) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(sigma_w.shape, sigma_b.shape)
    except ValueError:
        raise InvalidValue("must broadcast with sigma_b", loc=("sigma_w",)) from None


def _json(values: NDArray[Any]) -> Any:
    return values.tolist() if values.dtype.kind == "U" else orjson.Fragment(to_json(values))
