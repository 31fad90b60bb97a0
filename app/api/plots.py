"""``/plots``: pictures of the answers, each from one specification, as Vega-Lite JSON, SVG or PNG."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, TypeAlias, TypeVar

import numpy as np
import orjson
from fastapi import APIRouter, Path, Query, Request, Response

from app.api.bodies import DIAGRAM, DRAWN_ANSWERS, GRADIENT_FLOW, TRAINING
from app.api.experiments import complete, described
from app.api.mean_field import checked
from app.api.reports import answer
from app.api.training import answered
from app.api.trainings import Plan
from app.api.trainings import described as planned_training
from app.contract.arrays import Model
from app.contract.gradient_flow import GradientFlowRequest
from app.contract.mean_field import MeanFieldRequest
from app.contract.pictures import (
    AnswersPictureQuery,
    DiagramPictureQuery,
    FunctionsPictureQuery,
    NetworksPictureQuery,
    PictureQuery,
    TrainingPictureQuery,
)
from app.contract.training import TrainingRequest
from app.core.activations import REGISTRY
from app.core.activations.definition import Elementwise
from app.core.activations.registry import Call
from app.core.diagnosis.report import diagnose
from app.core.errors import ActivationLabError, InvalidValue, LimitExceeded
from app.core.evaluation import Mapper
from app.core.jobs import Runner
from app.core.theory.diagram import diagram
from app.http.admission import ComputeRoute
from app.http.array_bodies import ARRAY_FIELDS, ArrayRoute, readable
from app.http.bodies import validated
from app.http.computing import admitted, computed, failures, planned, reserve, simulated, timeout
from app.http.media_types import JSON, negotiate
from app.http.problems import from_core, responses
from app.pictures import specifications as plots
from app.pictures.captions import caption, distinct, label, training_caption
from app.pictures.curves import MOST_POINTS, NO_CURVE, Curve, curves
from app.pictures.film import Points, film
from app.pictures.render import Drawing, Form, Renderer, tag_of
from app.pictures.specifications import Look, Run, Spec
from app.pictures.training import training
from app.settings import Settings
from app.wire import json_body
from app.wire.errors import Unsuitable
from app.wire.spelling import read

Asked = TypeVar("Asked", bound=Model)

FORMS: Mapping[Form, str] = {"svg": "image/svg+xml", "png": "image/png", "vl.json": JSON}
"""The forms of a picture and their media types."""

MOST_PIXELS = 24_000_000
"""Pixels of a PNG: it takes a hundred megabytes while it is drawn."""

HOUR = "max-age=3600"
"""How long a picture is cached without revalidation."""

POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""Content-Security-Policy of an SVG that is opened by itself: no scripts, no requests."""

DESCRIPTION = """\
`vl.json` is a Vega-Lite specification, from which `svg` and `png` are drawn without a browser. The URL works
wherever the URL of an image does; the answer has an ETag.

Text in a PNG is drawn with the fonts of the machine that the service runs on. Without a font for Hangul a
PNG is in English whatever `lang` says, and `Content-Language` says so; an SVG leaves its text to the viewer.
"""

FUNCTIONS = """\
Any number of functions with their parameters, `name` once for each: `name=relu&name=elu(alpha=0.5)`.
Parameters follow by name in brackets, as numbers or a framework's switches: `torch:GELU(approximate=tanh)`.

A curve is interrupted where the function or its derivative jumps: a filled point is the value there, a
hollow one the limit from that side. Functions that mix elements have no such curve.

"""

NETWORKS = """\
The gradients of one or more networks by a URL alone: the body of the POST as JSON in the parameter
`request`, once for each network. A legend names them; the subtitle gives a single network's verdict.

"""

ANSWERS = """\
Draws answers of `POST /gradient-flow` that the client sends back; nothing is simulated. Each is a whole
answer, or only the fields that a picture needs.

"""

PLAIN = """\
The same picture by a URL alone: the body of the POST as JSON in the parameter `request`.

"""

FILM = """\
An animation: the decision boundary between two classes in the plane, a map for each activation, with the
losses below. It is a single SVG without scripts, which plays wherever images are shown; where the viewer
prefers reduced motion, only its last frame is shown. `request` is the body of `POST /training` as JSON:
`frames` is the number of frames, and `"watch": {"boundary": 40}` requests the maps. `width` is that of the
whole picture, `height` that of the losses.

"""

_SVG: dict[str, Any] = {FORMS["svg"]: {"schema": {"type": "string"}}}
_CONTENT = {**_SVG, FORMS["png"]: {"schema": {"type": "string", "format": "binary"}}, JSON: {}}

_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"content": _CONTENT, "description": "The picture."},
    304: {"description": "The copy that If-None-Match names is right."},
}

_POSTED: dict[str, Any] = {
    "response_class": Response,
    "responses": {**_ANSWERS, **responses(400, 406, 413, 415, 422, 503, 504)},
}
"""What all pictures of a body have in the OpenAPI document."""

_ASKED: dict[str, Any] = {
    "response_class": Response,
    "responses": {**_ANSWERS, **responses(400, 406, 422, 503, 504)},
}
"""The same of those whose request is in the query."""

_FILM_ANSWERS = {**_ANSWERS, 200: {"content": _SVG, "description": "The picture."}}

router = APIRouter(route_class=ComputeRoute, tags=["plots"])
posted = APIRouter(route_class=ArrayRoute, tags=["plots"])

FormPath: TypeAlias = Annotated[
    Form,
    Path(
        description="The form of the picture.",
        openapi_examples={form: {"value": form} for form in FORMS},
    ),
]


@router.get(
    "/plots/functions.{form}",
    summary="Draw functions",
    description=FUNCTIONS + DESCRIPTION,
    response_class=Response,
    responses={**_ANSWERS, **responses(406, 422, 503, 504)},
)
async def get_functions(
    form: FormPath, query: Annotated[FunctionsPictureQuery, Query()], request: Request
) -> Response:
    """f, f′ and f″ over a range."""
    if not query.high - query.low >= 1e-6:
        raise from_core(InvalidValue("must lie 1e-6 or more above low", loc=("high",)), "query")
    orders = sorted(set(query.order))
    calls = _calls(query.name)

    def work(_: Mapper) -> dict[str, tuple[Curve, ...]]:
        return {name: curves(call, query.low, query.high, orders[-1]) for name, call in calls.items()}

    size = MOST_POINTS * len(calls) * (orders[-1] + 1)
    left = _time_left(request)
    found = await computed(request, work, size=size, seconds=left())
    draw = partial(plots.functions, found, orders)
    return await _picture(form, query, draw, request, left, panels=len(orders))


@posted.post(
    "/plots/gradient-flow.{form}",
    summary="Draw a network's gradient",
    description="The gradient of each layer, compared with theory. " + DESCRIPTION,
    **_POSTED,
)
async def post_gradient_flow(
    form: FormPath, query: Annotated[PictureQuery, Query()], body: GRADIENT_FLOW, request: Request
) -> Response:
    """What `POST /gradient-flow` answers, as a picture."""
    return await _gradient_flow(form, query, [body], request)


@router.get(
    "/plots/gradient-flow.{form}",
    summary="Draw networks' gradients, by URL",
    description=NETWORKS + DESCRIPTION,
    **_ASKED,
)
async def get_gradient_flow(
    form: FormPath, query: Annotated[NetworksPictureQuery, Query()], request: Request
) -> Response:
    """What `POST /gradient-flow` answers to each of the requests, in one picture."""
    bodies = [_body(GradientFlowRequest, each) for each in query.request]
    return await _gradient_flow(form, query, bodies, request)


@posted.post(
    "/plots/gradient-flow-answers.{form}",
    summary="Draw answers",
    description=ANSWERS + DESCRIPTION,
    **_POSTED,
)
async def post_gradient_flow_answers(
    form: FormPath,
    query: Annotated[AnswersPictureQuery, Query()],
    body: DRAWN_ANSWERS,
    request: Request,
) -> Response:
    """What `POST /gradient-flow` has answered, of several networks in one picture."""
    runs = [Run(each.label, each.answer.model_dump(), each.faint, each.block) for each in body.networks]

    def draw(look: Look) -> Spec:
        labels = distinct(run.label for run in runs)
        named = [replace(run, label=label) for label, run in zip(labels, runs, strict=True)]
        return plots.gradient_flow(named, look, query.figure)

    return await _picture(form, query, draw, request, _time_left(request))


@posted.post(
    "/plots/mean-field.{form}",
    summary="Draw a phase diagram",
    description="The phase diagram over σ_w and σ_b. " + DESCRIPTION,
    **_POSTED,
)
async def post_mean_field(
    form: FormPath, query: Annotated[PictureQuery, Query()], body: DIAGRAM, request: Request
) -> Response:
    """What `POST /mean-field` answers, as a picture."""
    return await _mean_field(form, query, body, request)


@router.get(
    "/plots/mean-field.{form}",
    summary="Draw a phase diagram, by URL",
    description=PLAIN + DESCRIPTION,
    **_ASKED,
)
async def get_mean_field(
    form: FormPath, query: Annotated[DiagramPictureQuery, Query()], request: Request
) -> Response:
    """What `POST /mean-field` answers, as a picture."""
    return await _mean_field(form, query, _body(MeanFieldRequest, query.request), request)


@posted.post(
    "/plots/training.{form}",
    summary="Draw a training",
    description="Loss and accuracy step by step, and the watched decision boundaries. " + DESCRIPTION,
    **_POSTED,
)
async def post_training(
    form: FormPath, query: Annotated[PictureQuery, Query()], body: TRAINING, request: Request
) -> Response:
    """What `POST /training` answers, as a picture."""
    return await _training(form, query, body, request)


@router.get(
    "/plots/training.{form}",
    summary="Draw a training, by URL",
    description=PLAIN + DESCRIPTION,
    **_ASKED,
)
async def get_training(
    form: FormPath, query: Annotated[TrainingPictureQuery, Query()], request: Request
) -> Response:
    """What `POST /training` answers, as a picture."""
    return await _training(form, query, _body(TrainingRequest, query.request), request)


@router.get(
    "/plots/training-film.svg",
    summary="Draw a training as it happens",
    description=FILM,
    response_class=Response,
    responses={**_FILM_ANSWERS, **responses(400, 406, 422, 503, 504)},
)
async def get_training_film(query: Annotated[TrainingPictureQuery, Query()], request: Request) -> Response:
    """What `POST /training` answers, as a moving picture."""
    negotiate(request, FORMS["svg"])
    body = _body(TrainingRequest, query.request)
    left = _time_left(request)
    plan, found = await _trained(body, request, left())
    look = Look(query.theme, query.lang, query.width, query.height)

    def drawn(_: Mapper) -> bytes:
        title = training_caption(body, found["start"]["networks"], look.lang)
        return film(_trained_names(body), title, found, _points(plan), look).encode()

    content = await computed(request, drawn, size=DRAWN * len(found["frames"]), seconds=left())
    headers = _headers(tag_of(content), query.lang)
    if _is_current(request, headers):
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=FORMS["svg"])


def _points(plan: Plan) -> Points | None:
    """The training examples, if they are of two classes in a plane."""
    examples = plan.trainings[0].split.training
    if examples.features != 2 or examples.classes != 2:
        return None
    return Points(examples.inputs, examples.targets[0].astype(np.intp))


def _calls(spelled: list[str]) -> dict[str, Call]:
    """The functions by their labels; duplicates give one line."""
    calls: dict[str, Call] = {}
    for place, text in enumerate(spelled):
        try:
            name, settings = read(text)
            call = REGISTRY.resolve(name, settings)
            calls[label(name, settings)] = call
        except Unsuitable as error:
            raise from_core(InvalidValue(str(error), loc=("name", place)), "query") from None
        except ActivationLabError as error:
            error.loc = ("name", place, *error.loc[1:])
            raise from_core(error, "query") from None
        if not isinstance(call.activation, Elementwise):
            raise from_core(InvalidValue(NO_CURVE, loc=("name", place)), "query")
    return calls


async def _gradient_flow(
    form: Form, query: PictureQuery, bodies: Sequence[GradientFlowRequest], request: Request
) -> Response:
    left = _time_left(request)
    answers = [await _simulated(body, request, left()) for body in bodies]

    def draw(look: Look) -> Spec:
        pairs = zip(map(complete, bodies), answers, strict=True)
        captions = distinct(caption(*each, look.lang) for each in pairs)
        kinds = (None if each.block is None else each.block.kind for each in bodies)
        shown = zip(captions, answers, kinds, strict=True)
        runs = [Run(label, found, block=kind) for label, found, kind in shown]
        return plots.gradient_flow(runs, look)

    return await _picture(form, query, draw, request, left)


async def _simulated(body: GradientFlowRequest, request: Request, seconds: float) -> dict[str, Any]:
    """The answer of `POST /gradient-flow`, without remedies."""
    admission = admitted(request, seconds)
    experiment = await planned(request, admission, partial(described, body, request.app.state.settings))
    reserve(admission, experiment.cost.bytes)

    def work(run: Runner) -> dict[str, Any]:
        return answer(body, experiment.network, diagnose(experiment, run=run, remedies=False))

    return await simulated(request, admission, work)


async def _training(form: Form, query: PictureQuery, body: TrainingRequest, request: Request) -> Response:
    left = _time_left(request)
    _, found = await _trained(body, request, left())
    names = _trained_names(body)

    def draw(look: Look) -> Spec:
        return training(names, training_caption(body, found["start"]["networks"], look.lang), found, look)

    return await _picture(form, query, draw, request, left, panels=3)


async def _trained(body: TrainingRequest, request: Request, seconds: float) -> tuple[Plan, dict[str, Any]]:
    """The plan, and the answer of `POST /training`."""
    admission = admitted(request, seconds)
    plan = await planned(request, admission, partial(planned_training, body, request.app.state.settings))
    reserve(admission, plan.cost.bytes)
    return plan, await simulated(request, admission, partial(answered, plan))


def _trained_names(body: TrainingRequest) -> list[str]:
    return distinct(label(each.activation, each.params) for each in body.activations)


async def _mean_field(form: Form, query: PictureQuery, body: MeanFieldRequest, request: Request) -> Response:
    call, _ = checked(body, request.app.state.settings)
    plots.check_grid(body.sigma_w, body.sigma_b)

    def work(run: Runner) -> dict[str, Any]:
        return diagram(call, body.sigma_w, body.sigma_b, run=run)

    left = _time_left(request)
    found = await simulated(request, admitted(request, left()), work)

    def draw(look: Look) -> Spec:
        title = label(body.activation, body.params)
        return plots.mean_field(title, body.sigma_w, body.sigma_b, found, look)

    return await _picture(form, query, draw, request, left)


DRAWN = 100_000
"""Numbers that a picture's specification counts as in `computed`: enough for it to be made on a thread."""


async def _picture(
    form: Form,
    query: PictureQuery,
    draw: Callable[[Look], Spec],
    request: Request,
    left: Callable[[], float],
    *,
    panels: int = 1,
) -> Response:
    """The specification or the picture drawn from it, or 304 if the client's copy is current."""
    negotiate(request, FORMS[form])
    pixels = query.width * query.height * panels * query.scale**2
    if form == "png" and pixels > MOST_PIXELS:
        raise LimitExceeded("the PNG", estimate=pixels, limit=MOST_PIXELS, unit="pixels", loc=("scale",))
    renderer: Renderer = request.app.state.renderer
    with failures:
        lang = await renderer.language(query.lang, form, left())
    look = Look(query.theme, lang, query.width, query.height)

    def drawn(_: Mapper) -> bytes:
        return orjson.dumps(draw(look))

    specification = await computed(request, drawn, size=DRAWN, seconds=left())
    drawing = Drawing(specification, form, query.scale)
    headers = _headers(drawing.tag, lang)
    if _is_current(request, headers):
        return Response(status_code=304, headers=headers)
    with failures:
        content = await renderer.draw(drawing, left())
    return Response(content, headers=headers, media_type=FORMS[form])


def _headers(tag: str, lang: str) -> dict[str, str]:
    return {
        "ETag": tag,
        "Cache-Control": HOUR,
        "Content-Language": lang,
        "Content-Security-Policy": POLICY,
    }


def _is_current(request: Request, headers: Mapping[str, str]) -> bool:
    """Whether the client's copy is current."""
    return request.method == "GET" and headers["ETag"] in request.headers.get("if-none-match", "")


def _body(model: type[Asked], text: str) -> Asked:
    """The request in a query field, validated like a body."""
    with readable:
        fields = json_body.loads(text.encode(), ARRAY_FIELDS)
    return validated(model, fields, "query", "request")


def _time_left(request: Request) -> Callable[[], float]:
    """A function for the seconds left until the deadline, which simulating and drawing share."""
    settings: Settings = request.app.state.settings
    end = time.monotonic() + timeout(request, settings.request_timeout)
    return lambda: max(0.0, end - time.monotonic())


router.include_router(posted)
