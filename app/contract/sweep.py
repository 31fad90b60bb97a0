"""``POST /gradient-flow/sweep``: its request and the lines of its answer."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema

from app.contract.arrays import Model
from app.contract.gradient_flow import AccuracyFields, GradientFields, VerdictFields


class SweepRequest(Model):
    """A network, and the fields that are varied: every combination is a cell."""

    base: Annotated[
        dict[str, Any], WithJsonSchema({"allOf": [{"$ref": "#/components/schemas/GradientFlowRequest"}]})
    ] = Field(description="A request for `POST /gradient-flow`; fields that the grid gives may be left out.")
    grid: dict[str, Annotated[list[Any], Field(min_length=1)]] = Field(
        min_length=1,
        max_length=10,
        description="The values of each field, by the field's name, or by a path such as `init.sigma_w`. "
        "Cells are numbered with the last field's values changing fastest.",
    )
    cells: list[Annotated[int, Field(ge=0, strict=True)]] | None = Field(
        None, description="Only these cells, by number: those missing from an interrupted stream."
    )


class SweepLine(Model):
    """One line of a sweep's answer; ``type`` says which of the fields are there."""

    type: Literal["start", "cell", "failed", "progress", "end", "error"]
    cells: int | None = Field(None, description="start, progress: how many cells were asked for.")
    index: int | None = Field(None, description="cell, failed: the cell's number.")
    point: dict[str, Any] | None = Field(None, description="cell, failed: the grid's values there.")
    gradient: GradientFields | None = Field(None, description="cell.")
    verdict: VerdictFields | None = Field(None, description="cell.")
    formula: AccuracyFields | None = Field(None, description="cell, where the activation is a formula.")
    problem: dict[str, Any] | None = Field(None, description="failed, error: a problem document.")
    completed: int | None = Field(None, description="progress, end: cells computed.")
    failed: int | None = Field(None, description="progress, end: cells that cannot be computed.")
