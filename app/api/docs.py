"""``GET /docs``: Swagger UI, its files from here, all addresses relative."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from app.api.page import Page

router = APIRouter(include_in_schema=False)

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",  # Swagger UI styles its elements one by one
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""What the page may do: run Swagger UI, and talk to its own host."""

HEADERS = {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer"}


@router.get("/docs")
async def get_docs(request: Request) -> Response:
    """The page that sends requests to try the service out."""
    page: Page = request.app.state.page
    return (await page.file("docs/index.html")).response(request, HEADERS)
