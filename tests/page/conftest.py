"""A real browser, Debian's Chromium, and a visitor who records whatever the page should not do."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from functools import cache
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    expect,
    sync_playwright,
)

from tests.conftest import Server

Contexts: TypeAlias = Callable[[str], BrowserContext]

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]

PATIENCE = 30_000
"""Timeout in milliseconds for whatever the page should do: long, since the machine has other work."""

FAILED = "Failed to load resource"
"""How the browser's console message begins on a status of 400 or more, however the page handles it."""


class Visitor:
    """Opens the page as a user does, and records errors and requests to other hosts."""

    def __init__(self, contexts: Contexts, base: str) -> None:
        self.base = base
        self.complaints: list[str] = []
        self.expected: tuple[str, ...] = ()
        self._contexts = contexts
        self._host = urlsplit(base).netloc
        self._pages: list[Page] = []

    def page(
        self, *, locale: str = "en-US", theme: str = "light", width: int = 1280, height: int = 900
    ) -> Page:
        """An empty tab of a browser set to this language."""
        scheme: Literal["dark", "light"] = "dark" if theme == "dark" else "light"
        page = self._contexts(locale).new_page()
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme)
        self._pages.append(page)
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
        """Closes all tabs; fails where an error or a request to another host was recorded."""
        for page in self._pages:
            page.close()
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
    """One per module: while Playwright is open, its event loop runs in this thread."""
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("there is no Chromium here; .ci/run installs Debian's")
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def contexts(browser: Browser) -> Contexts:
    """One per language, so that cached files, Vega above all, are not loaded again by every test."""
    return cache(lambda locale: browser.new_context(locale=locale))


@pytest.fixture
def visitor(contexts: Contexts, server: Server) -> Iterator[Visitor]:
    visiting = Visitor(contexts, server.url)
    yield visiting
    visiting.close()
