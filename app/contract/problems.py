"""Errors: RFC 9457 problem documents, and the error object of the Open Inference Protocol."""

from __future__ import annotations

from pydantic import BaseModel, Field


class FieldError(BaseModel):
    """One field at fault."""

    loc: list[str | int] = Field(description="Path to the field, outermost first.")
    msg: str = Field(description="What is wrong and what is allowed.")
    type: str = Field(description="A stable name for this kind of error.")


class ProblemDocument(BaseModel):
    """An RFC 9457 problem document."""

    type: str = Field("about:blank", description="A stable name for this kind of problem.")
    title: str = Field(description="The status in words.")
    status: int = Field(description="The HTTP status code.")
    detail: str = Field(description="What went wrong, in a sentence.")
    errors: list[FieldError] | None = Field(None, description="The fields at fault, at most 20.")


class ProtocolError(BaseModel):
    """An error of the Open Inference Protocol."""

    error: str = Field(description="What went wrong, in a sentence.")
