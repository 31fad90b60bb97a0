"""OpenAPI documentation of forms: a JSON part ``request`` and a file."""

from __future__ import annotations

from typing import Any

from app.http.bodies import FORM, JSON


def form_with(model: str, part: str, description: str, example: dict[str, Any]) -> dict[str, Any]:
    """``openapi_extra`` of an operation whose request is ``model``; ``part`` is the file's part."""
    request = {"$ref": f"#/components/schemas/{model}", "example": example}
    file = {"type": "string", "format": "binary", "description": description}
    schema = {
        "type": "object",
        "required": ["request", part],
        "properties": {"request": request, part: file},
        "additionalProperties": False,
    }
    encoding = {"request": {"contentType": JSON}, part: {"contentType": "application/octet-stream"}}
    return {"requestBody": {"content": {FORM: {"schema": schema, "encoding": encoding}}}}
