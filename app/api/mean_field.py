"""``POST /mean-field``: what theory says of infinitely wide networks, a whole phase diagram at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
from fastapi import APIRouter, Request, Response
from numpy.typing import NDArray

from app.api.bodies import JSON, ArrayRoute, negotiate
from app.api.computing import computed, timeout
from app.api.examples import MEAN_FIELD
from app.api.problems import responses
from app.api.schemas import GradientFlowRequest, MeanFieldRequest, MeanFieldResponse
from app.compute.threads import SMALL, ComputeThreads
from app.core.activations import REGISTRY
from app.core.activations.registry import Call
from app.core.errors import InvalidValue, LimitExceeded, UnknownName
from app.core.evaluation import Mapper
from app.core.kernels import Unit, unit_of
from app.core.mean_field import critical_sigma_w, mean_field
from app.settings import Settings
from app.wire.numbers import to_json

router = APIRouter(route_class=ArrayRoute, tags=["gradients"])

DESCRIPTION = """\
Fixed points and depth scales of a random network, weights N(0, σ_w²/fan_in) and biases N(0, σ_b²), for
every pair of `sigma_w` and `sigma_b`. The two broadcast; the arrays of the answer have the broadcast shape
and `critical_sigma_w` that of `sigma_b`.

Where there is no such number the answer says so: `q_star` is `"Infinity"` where signals grow without bound,
`critical_sigma_w` is `"NaN"` where no σ_w puts the network on the edge of chaos.
"""

BLOCK = 250
"""Cells computed at a time: enough to share the work of a quadrature, few enough to stop between."""

ARRAYS = ("q_star", "c_star", "chi_1", "xi_q", "xi_c", "xi_gradient")


@router.post(
    "/mean-field",
    summary="Mean-field theory of a random network",
    description=DESCRIPTION,
    response_model=MeanFieldResponse,
    responses=responses(400, 406, 413, 415, 422, 503, 504),
)
async def post_mean_field(body: MEAN_FIELD, request: Request) -> Response:
    """Checks the size, computes off the event loop."""
    settings: Settings = request.app.state.settings
    threads: ComputeThreads = request.app.state.threads
    negotiate(request, JSON)
    call = resolve(body)
    shape = _broadcast(body.sigma_w, body.sigma_b)
    cells = int(np.prod(shape, dtype=np.float64))
    if cells > settings.max_cells:
        limit = settings.max_cells
        raise LimitExceeded("the diagram", estimate=cells, limit=limit, unit="cells", loc=("sigma_w",))

    def work(map_blocks: Mapper) -> Response:
        answer = {
            "activation": call.activation.name,
            "shape": shape,
            **_diagram(unit_of(call), body.sigma_w, body.sigma_b, shape, map_blocks),
        }
        return Response(orjson.dumps(answer), media_type=JSON)

    # Never inline: a single cell is hundreds of integrals.
    seconds = timeout(request, settings.request_timeout)
    return await computed(threads, work, size=SMALL + cells, seconds=seconds)


def resolve(body: MeanFieldRequest | GradientFlowRequest) -> Call:
    """The activation of the request; an unknown one is reported under the field's own name."""
    try:
        return REGISTRY.resolve(body.activation, body.params)
    except UnknownName as error:
        if error.loc == ("function",):
            error.loc = ("activation",)
        raise


def _broadcast(sigma_w: NDArray[Any], sigma_b: NDArray[Any]) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(sigma_w.shape, sigma_b.shape)
    except ValueError:
        raise InvalidValue("must broadcast with sigma_b", loc=("sigma_w",)) from None


def _diagram(
    unit: Unit, sigma_w: NDArray[Any], sigma_b: NDArray[Any], shape: tuple[int, ...], map_blocks: Mapper
) -> dict[str, Any]:
    """The answer's arrays, block of cells by block of cells."""
    weight, bias = (np.broadcast_to(each, shape).ravel() for each in (sigma_w, sigma_b))
    results = {name: np.empty(weight.size) for name in ARRAYS}
    phase = np.empty(weight.size, "<U8")
    critical = np.empty(sigma_b.size)

    def theory(block: slice) -> None:
        found = mean_field(unit, weight[block], bias[block])
        phase[block] = found.phase
        for name, values in results.items():
            values[block] = getattr(found, name)

    def edge(block: slice) -> None:
        critical[block] = critical_sigma_w(unit, sigma_b.ravel()[block])

    for work, size in ((theory, weight.size), (edge, critical.size)):
        for _ in map_blocks(work, [slice(start, start + BLOCK) for start in range(0, size, BLOCK)]):
            pass
    arrays = {name: orjson.Fragment(to_json(values.reshape(shape))) for name, values in results.items()}
    edges = orjson.Fragment(to_json(critical.reshape(sigma_b.shape)))
    return {**arrays, "phase": phase.reshape(shape).tolist(), "critical_sigma_w": edges}
