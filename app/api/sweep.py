"""``POST /gradient-flow/sweep``: diagnoses many networks, and streams each cell as it completes."""

from __future__ import annotations

import math
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import ValidationError

from app.api.bodies import SWEEP
from app.api.experiments import described
from app.api.reports import accuracy_fields, gradient, verdict
from app.compute.simulations import Admission
from app.contract.gradient_flow import GradientFlowRequest
from app.contract.sweep import SweepLine, SweepRequest
from app.core.diagnosis.experiment import Experiment
from app.core.diagnosis.report import Cell, Report
from app.core.errors import ActivationLabError, InvalidValue, LimitExceeded, UnknownName
from app.http.array_bodies import ArrayRoute
from app.http.computing import admitted, failures, prepared, reserve, timeout
from app.http.media_types import negotiate
from app.http.problems import Problem, from_core, from_validation, responses
from app.http.streaming import EVENTS, LINES, Emit, streamed
from app.settings import Settings

router = APIRouter(route_class=ArrayRoute, tags=["gradients"])

DESCRIPTION = """\
Diagnoses every combination of the grid's values and answers line by line, each a JSON object with a `type`:
one `start`, one `cell` or `failed` for each cell as it completes, in any order, `progress` now and then, and
`end`. With `Accept: text/event-stream` the lines come as events of those names.

A cell's figures are those of `POST /gradient-flow` for its request, without remedies. Nothing is stored: if
the stream is interrupted, request the missing `cells`. A value of the grid that is longer than 200 bytes is
not repeated: `point` has `{"value": n}` instead, its index in the grid's list.
"""

HEARTBEAT = 1.0
"""Least seconds between two lines of progress."""


LONGEST_VALUE = 200
"""Bytes of a grid's value, as JSON, up to which every line of a cell repeats it."""

LONGEST_PATH = 100
"""Characters of a path."""


class Lines(Response):
    """The response in the OpenAPI document: one `SweepLine` per line."""

    media_type = LINES


VARIED = {name: each for name, each in GradientFlowRequest.model_fields.items() if name != "weights"}


@router.post(
    "/gradient-flow/sweep",
    summary="Simulate and judge many networks",
    description=DESCRIPTION,
    response_model=SweepLine,
    response_class=Lines,
    responses={200: {"content": {EVENTS: {}}}, **responses(400, 406, 413, 415, 422, 503, 504)},
)
async def post_sweep(body: SWEEP, request: Request) -> Response:
    """Estimates the cost of all cells, then computes them on the workers and streams the results."""
    settings: Settings = request.app.state.settings
    media_type = negotiate(request, LINES, EVENTS)
    admission = admitted(request, timeout(request, settings.sweep_timeout))
    grid, job_bytes = await prepared(request, admission, partial(_planned, body, settings))
    reserve(admission, job_bytes)

    def swept(emit: Emit) -> Coroutine[Any, Any, None]:
        return admission.run(partial(_sweep, grid, emit))

    return streamed(swept, media_type, _error)


def _planned(body: SweepRequest, settings: Settings, admission: Admission) -> tuple[_Grid, float]:
    """The grid, and the bytes of its largest cell."""
    grid = admission.plan(partial(_Grid, body, settings))
    return grid, grid.estimate(admission)


class _Grid:
    """The cells of a request, created on demand."""

    def __init__(self, body: SweepRequest, settings: Settings) -> None:
        self._body = body
        self._settings = settings
        self._shape = [len(values) for values in body.grid.values()]
        for path in body.grid:
            _check_path(path)
        total = math.prod(self._shape)
        limit = settings.max_sweep_cells
        if total > limit:
            raise LimitExceeded("the sweep", estimate=total, limit=limit, unit="cells", loc=("grid",))
        self.indices = range(total) if body.cells is None else sorted(set(body.cells))
        if self.indices and self.indices[-1] >= total:
            raise InvalidValue(f"must be below {total}, the number of cells", loc=("cells",))
        self._shown = {path: list(map(_shown, count(), values)) for path, values in body.grid.items()}

    def point(self, index: int) -> dict[str, Any]:
        """The grid's values at a cell, as they are shown in a line."""
        return {path: self._shown[path][place] for path, place in self._places(index).items()}

    def experiment(self, index: int) -> Experiment:
        """The experiment of a cell; raises `Problem`."""
        values = {path: self._body.grid[path][place] for path, place in self._places(index).items()}
        try:
            request = _placed(self._body.base, values)
            return described(GradientFlowRequest.model_validate(request), self._settings)
        except ValidationError as error:
            raise from_validation(error.errors()) from None
        except ActivationLabError as error:
            raise from_core(error) from None

    def estimate(self, admission: Admission) -> float:
        """The bytes of the largest cell; raises `LimitExceeded` once the cells add up to too much work."""
        work = size = 0.0
        limit = self._settings.max_sweep_work
        for index in self.indices:
            try:
                experiment = admission.plan(partial(self.experiment, index))
            except Problem:
                continue  # reported as a failed cell later
            work += experiment.cost.work * experiment.networks
            size = max(size, experiment.cost.bytes)
            if work > limit:
                raise LimitExceeded("the sweep", estimate=work, limit=limit, unit="operations", loc=("grid",))
        return size

    def _places(self, index: int) -> dict[str, int]:
        """The index of a cell's value in each of the grid's lists; that of the last field changes fastest."""
        places = {}
        for path, length in reversed(list(zip(self._body.grid, self._shape, strict=True))):
            index, places[path] = divmod(index, length)
        return dict(reversed(places.items()))


def _shown(place: int, value: Any) -> Any:
    """A grid's value as shown in a line: itself, or if it is long, its index in the grid's list."""
    if value is None or isinstance(value, bool | float):
        return value
    try:
        short = len(orjson.dumps(value)) <= LONGEST_VALUE
    except TypeError:
        short = False
    return value if short else {"value": place}


def _check_path(path: str) -> None:
    if len(path) > LONGEST_PATH:
        raise InvalidValue(f"a path has at most {LONGEST_PATH} characters", loc=("grid",))
    head, _, inner = path.partition(".")
    if head not in VARIED:
        raise UnknownName("field", head, VARIED, loc=("grid",))
    if "." in inner:
        raise InvalidValue("a path has at most two parts, such as init.sigma_w", loc=("grid",))


def _placed(base: dict[str, Any], point: dict[str, Any]) -> dict[str, Any]:
    """``base`` with the values of ``point`` at their paths."""
    request = dict(base)
    for path, value in point.items():
        head, _, inner = path.partition(".")
        if inner:
            outer = request.get(head)
            value = {**(outer if isinstance(outer, dict) else {}), inner: value}  # noqa: PLW2901
        request[head] = value
    return request


@dataclass
class _Tally:
    """Counts of completed and failed cells, and the lines of the stream."""

    emit: Emit
    cells: int
    completed: int = 0
    failed: int = 0
    last_sent: float = field(default_factory=time.monotonic)

    def line(self, kind: str, **fields: Any) -> None:
        self.emit(kind, orjson.dumps({"type": kind, **fields}))

    def failure(self, index: int, point: dict[str, Any], problem: Problem) -> None:
        self.failed += 1
        document = orjson.Fragment(bytes(problem.response().body))
        self.line("failed", index=index, point=point, problem=document)

    def success(self, index: int, point: dict[str, Any], report: Report) -> None:
        self.completed += 1
        found = {"gradient": gradient(report), "verdict": verdict(report)}
        if report.accuracy is not None:
            found["formula"] = accuracy_fields(report.accuracy)
        self.line("cell", index=index, point=point, **found)

    def heartbeat(self, _: float) -> None:
        if time.monotonic() - self.last_sent > HEARTBEAT:
            self.last_sent = time.monotonic()
            self.line("progress", cells=self.cells, completed=self.completed, failed=self.failed)


def _sweep(grid: _Grid, emit: Emit, admission: Admission) -> None:
    tally = _Tally(emit, len(grid.indices))
    tally.line("start", cells=tally.cells)
    submitted: list[int] = []

    def jobs() -> Iterator[Cell]:
        for index in grid.indices:
            try:
                job = Cell(admission.plan(partial(grid.experiment, index)))
            except Problem as problem:
                tally.failure(index, grid.point(index), problem)
                continue
            submitted.append(index)
            yield job

    for number, future in admission.completed(jobs(), progress=tally.heartbeat):
        index = submitted[number]
        try:
            tally.success(index, grid.point(index), _report(future))
        except Problem as problem:
            tally.failure(index, grid.point(index), problem)
    tally.line("end", completed=tally.completed, failed=tally.failed)


def _report(future: Future[Report]) -> Report:
    """The result of the cell's job; raises `Problem`."""
    try:
        with failures:
            return future.result()
    except (Problem, CancelledError):
        raise
    except ActivationLabError as error:
        raise from_core(error) from None
    except Exception:  # noqa: BLE001  an unexpected error fails its cell, not the whole sweep
        raise Problem(500, "an internal error; this cell may be requested again") from None


def _error(problem: Problem) -> tuple[str, bytes]:
    document = orjson.Fragment(bytes(problem.response().body))
    return "error", orjson.dumps({"type": "error", "problem": document})
