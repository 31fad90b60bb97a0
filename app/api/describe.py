"""``POST /functions/describe``: the facts of a formula, found by computation."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response

from app.api.bodies import DESCRIBE
from app.api.catalogue import mathml
from app.contract.describe import DescribeResponse
from app.core.activations import REGISTRY
from app.core.activations.from_formula import FormulaActivation, label
from app.core.card import Card, Description
from app.core.errors import InvalidValue
from app.http.answers import whole
from app.http.array_bodies import ArrayRoute
from app.http.computing import admitted, answered_by, planned, timeout
from app.http.media_types import JSON, negotiate
from app.http.problems import responses

router = APIRouter(route_class=ArrayRoute, tags=["catalogue"])

QUICK = 0.4
"""Seconds of processor time that a card may take in this process; longer ones are computed by a worker."""


@router.post(
    "/functions/describe",
    summary="Describe a formula",
    response_model=DescribeResponse,
    responses=responses(400, 406, 413, 415, 422, 503, 504),
)
async def post_describe(body: DESCRIBE, request: Request) -> Response:
    """The facts that `GET /functions/{name}` gives for an entry, computed for a formula."""
    negotiate(request, JSON)
    call = REGISTRY.resolve(body.function, body.params)
    if not isinstance(call.activation, FormulaActivation):
        raise InvalidValue("must be a formula; GET /functions/{name} describes an entry", loc=("function",))
    for name, value in call.params.items():
        if np.ndim(value):
            raise InvalidValue("must be one number here", loc=("params", name))
    request.state.function = label(call.activation)
    job = Description(call.activation)
    admission = admitted(request, timeout(request, request.app.state.settings.request_timeout))
    found = await planned(request, admission, partial(_computed_here, job))
    if found is None:
        found = await answered_by(request, admission, job)
    admission.end()
    return Response(whole(_fields(call.activation, found)), media_type=JSON)


class _TakesLong(Exception):
    """The card takes longer than `QUICK`."""


def _computed_here(job: Description) -> Card | None:
    """The card, or None if it takes longer than `QUICK`, which is less than starting a worker takes."""
    end = time.thread_time() + QUICK

    def in_time(_: float) -> None:
        if time.thread_time() > end:
            raise _TakesLong

    try:
        return job(map, in_time)
    except _TakesLong:
        return None


def _fields(activation: FormulaActivation, found: Card) -> dict[str, Any]:
    """The fields of a `DescribeResponse`."""
    gains = (
        None
        if found.gains is None
        else {name: _number(value) for name, value in found.gains._asdict().items()}
    )
    return {
        "function": activation.name,
        "params": activation.defaults,
        "computed": True,
        "same_as": found.same_as,
        "latex": list(found.latex),
        "parameters": list(activation.formula.parameters),
        "range": None if found.range is None else _range(found),
        "limits": [None if each is None else _number(each) for each in found.limits],
        "largest_slope": found.largest_slope,
        "zero_centred": found.zero_centred,
        "monotone": found.monotone,
        "smoothness": _number(found.smoothness),
        "saturates": sorted(found.saturates),
        "kinks": [
            {
                "at": each.at,
                "derivative": _number(each.derivative),
                "second_derivative": _number(each.second_derivative),
            }
            for each in found.kinks
        ],
        "gains": gains,
        "mathml": {latex: mathml(latex) for latex in found.latex if latex is not None},
    }


def _range(found: Card) -> dict[str, Any]:
    assert found.range is not None
    return {
        **found.range._asdict(),
        "low": _number(found.range.low),
        "high": _number(found.range.high),
    }


def _number(value: float) -> Any:
    """A number that may be infinite, as an array, which `whole` can encode."""
    return np.asarray(float(value))
