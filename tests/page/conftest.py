"""A real browser, Debian's Chromium, that complains about whatever the page should not do."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

from tests.conftest import Server

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]

PATIENCE = 30_000
"""Milliseconds until something that has not happened will not: much, for a machine with other work."""

FAILED = "Failed to load resource"
"""What the browser writes to its console about an answer of 400 and more, whatever the page makes of it."""


class Visitor:
    """Opens the page as somebody would, and writes down errors and requests to other hosts."""

    def __init__(self, browser: Browser, base: str) -> None:
        self.base = base
        self.complaints: list[str] = []
        self.expected: tuple[str, ...] = ()
        self._browser = browser
        self._host = urlsplit(base).netloc

    def page(
        self, *, locale: str = "en-US", theme: str = "light", width: int = 1280, height: int = 900
    ) -> Page:
        """An empty tab of a browser that was never here."""
        context = self._browser.new_context(
            viewport={"width": width, "height": height},
            locale=locale,
            color_scheme="dark" if theme == "dark" else "light",
        )
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self._asked)
        return page

    def open(self, address: str = "", **options: object) -> Page:
        """The page at this address."""
        page = self.page(**options)  # type: ignore[arg-type]
        page.goto(f"{self.base}/{address}")
        return page

    def close(self) -> None:
        """Ends the visit; nothing to complain about is left."""
        for context in self._browser.contexts:
            context.close()
        assert not self.complaints

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not message.text.startswith(self.expected or ("\0",)):
            self.complaints.append(message.text)

    def _asked(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in {"blob", "data"} and parts.netloc != self._host:
            self.complaints.append(f"asked another host: {request.url}")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """For a module at a time: while Playwright is open, its event loop runs in this thread."""
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("there is no Chromium here; .ci/run installs Debian's")
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture
def visitor(browser: Browser, server: Server) -> Iterator[Visitor]:
    visiting = Visitor(browser, server.url)
    yield visiting
    visiting.close()
