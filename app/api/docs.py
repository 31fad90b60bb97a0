"""``GET /docs``: Swagger UI, served from here with relative addresses; ``GET /openapi.json``."""

from __future__ import annotations

import orjson
from fastapi import APIRouter, Request, Response

from app.api.page import Page
from app.http.fixed import Fixed
from app.http.media_types import JSON

router = APIRouter(include_in_schema=False)

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",  # Swagger UI sets inline styles
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""Content-Security-Policy of the page: its own scripts, and requests to its own host."""

HEADERS = {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer"}


@router.get("/docs")
async def get_docs(request: Request) -> Response:
    """The page with Swagger UI."""
    page: Page = request.app.state.page
    return (await page.file("docs/index.html")).response(request, HEADERS)


@router.get("/openapi.json")
async def get_document(request: Request) -> Response:
    """The OpenAPI document, made at the first request; FastAPI's own route would not compress it."""
    state = request.app.state
    if state.document is None:
        state.document = Fixed.of(orjson.dumps(request.app.openapi()), JSON)
    made: Fixed = state.document
    return made.response(request)
