"""``GET /functions/{name}/reference.safetensors`` and ``.npz``: reference values to test a kernel against."""

from __future__ import annotations

import json
from collections import OrderedDict
from functools import partial
from typing import Annotated, Literal, TypeAlias

import numpy as np
from fastapi import APIRouter, Path, Query, Request, Response

from app import __version__
from app.api.catalogue import NAME, check_name
from app.contract.names import DtypeName
from app.core.activations import REGISTRY
from app.core.activations.definition import Elementwise
from app.core.activations.registry import Call
from app.core.arithmetic.formats import number_format, round_to
from app.core.errors import ActivationLabError, InvalidValue
from app.core.evaluation import Mapper
from app.core.verification.reference import Reference, ReferenceValues
from app.http.computing import admitted, answered_by, computed, reserve, timeout
from app.http.fixed import Fixed
from app.http.problems import from_core, responses
from app.http.queries import StrictRoute
from app.settings import Settings
from app.wire.tensor_files import archive, safetensors_file

Form: TypeAlias = Literal["safetensors", "npz"]

MEDIA: dict[Form, str] = {"safetensors": "application/octet-stream", "npz": "application/zip"}

KEPT = 16
"""Files in the cache, those most recently requested: half a megabyte each."""

NUMBERS = 65_536
BYTES_PER_NUMBER = 300.0

router = APIRouter(route_class=StrictRoute, tags=["values"])

_BINARY = {"type": "string", "format": "binary"}

DESCRIPTION = """\
`inputs`, `outputs` and, as far as `order` goes, `derivative` and `second_derivative`: every input of an 8- or
16-bit format, in the order of the bit patterns; of float32 and float64 a set of hard ones, which the file's
metadata states. Each answer is the exact one, correctly rounded.

safetensors holds bfloat16 and float8 as they are; formats that a kind of file does not know travel as
float32, exactly. Metadata: `function`, `params`, `dtype`, `order`, `inputs`, `rounding`, `unproved`,
`version`; in an `.npz` they are the member `metadata`, JSON in a string.
"""


@router.get(
    "/functions/{name}/reference.{form}",
    summary="Reference values as a file",
    description=DESCRIPTION,
    response_class=Response,
    responses={
        200: {
            "content": {media: {"schema": {"type": "string", "format": "binary"}} for media in MEDIA.values()}
        },
        304: {"description": "The client's copy is right."},
        **responses(404, 422, 503, 504),
    },
)
async def get_reference(
    name: Annotated[str, NAME],
    form: Annotated[Form, Path(description="The kind of file.")],
    request: Request,
    dtype: Annotated[DtypeName, Query(description="The kernel's format.")] = "bfloat16",
    order: Annotated[int, Query(ge=0, le=2, description="The highest derivative.")] = 2,
) -> Response:
    """Answers from the cache, or has a worker compute the file."""
    check_name(name)
    call = _call(name)
    kept: OrderedDict[tuple[str, str, int, str], Fixed] = request.app.state.references
    key = (name, dtype, order, form)
    if key not in kept:
        kept[key] = await _made(call, dtype, order, form, request)
        while len(kept) > KEPT:
            kept.popitem(last=False)
    kept.move_to_end(key)
    file = f'attachment; filename="{call.activation.name}-{dtype}.{form}"'
    return kept[key].response(request, {"Content-Disposition": file})


def _call(name: str) -> Call:
    try:
        call = REGISTRY.resolve(name)
    except ActivationLabError as error:
        raise from_core(error, "query") from None
    if not isinstance(call.activation, Elementwise):
        raise from_core(InvalidValue("reference files are of elementwise functions", loc=("name",)), "query")
    return call


async def _made(call: Call, dtype: str, order: int, form: Form, request: Request) -> Fixed:
    settings: Settings = request.app.state.settings
    seconds = timeout(request, settings.request_timeout)
    try:
        job = ReferenceValues(call, number_format(dtype), order)
    except ActivationLabError as error:
        raise from_core(error, "query") from None

    admission = admitted(request, seconds)
    reserve(admission, BYTES_PER_NUMBER * (order + 1) * NUMBERS)
    found = await answered_by(request, admission, job)
    return await computed(request, partial(_file, call, job, found, form), size=NUMBERS, seconds=seconds)


def _file(call: Call, job: ReferenceValues, found: Reference, form: Form, _: Mapper) -> Fixed:
    names = ("inputs", "outputs", "derivative", "second_derivative")
    values = (found.inputs, *found.orders)
    arrays = {name: round_to(each, job.dtype) for name, each in zip(names, values, strict=False)}
    params = {name: float(value) for name, value in call.params.items() if not np.ndim(value)}
    statement = {
        "function": call.activation.name,
        "params": json.dumps(params),
        "dtype": job.dtype.name,
        "order": str(job.order),
        "inputs": found.which,
        "rounding": "to nearest, ties to even",
        "unproved": str(found.unproved),
        "version": f"activation-lab {__version__}",
    }
    body = (
        safetensors_file(arrays, statement)
        if form == "safetensors"
        else archive(arrays, json.dumps(statement))
    )
    return Fixed.of(body, MEDIA[form])
