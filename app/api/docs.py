"""``GET /docs``: Swagger UI, its files from here, all addresses relative."""

from __future__ import annotations

import re
from base64 import b64encode
from functools import cache
from hashlib import sha256

from fastapi import APIRouter, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html

from app.http.fixed import Fixed

router = APIRouter(include_in_schema=False)

FILES = "static-offline-docs"
"""Where fastapi-offline serves Swagger UI's files."""


@router.get("/docs")
async def get_docs(request: Request) -> Response:
    """The page that sends requests to try the service out."""
    page, policy = _page(request.app.title)
    headers = {"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer"}
    return page.response(request, headers)


@cache
def _page(title: str) -> tuple[Fixed, str]:
    """The page, and what it may do: run Swagger UI and its one script, and talk to its own host."""
    html = bytes(
        get_swagger_ui_html(
            openapi_url="openapi.json",
            title=title,
            swagger_js_url=f"{FILES}/swagger-ui-bundle.js",
            swagger_css_url=f"{FILES}/swagger-ui.css",
            swagger_favicon_url="page/icon.svg",
            swagger_ui_parameters={"tryItOutEnabled": True, "defaultModelsExpandDepth": 0},
        ).body
    )
    scripts = re.findall(rb"<script>(.*?)</script>", html, re.DOTALL)
    hashes = [f"'sha256-{b64encode(sha256(each).digest()).decode()}'" for each in scripts]
    policy = (
        "default-src 'none'",
        f"script-src 'self' {' '.join(hashes)}",
        "style-src 'self' 'unsafe-inline'",  # Swagger UI styles its elements one by one
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
    return Fixed.of(html, "text/html; charset=utf-8"), "; ".join(policy)
