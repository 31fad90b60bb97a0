"""A progress bar for long requests, in a terminal or below a notebook's cell."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

DELAY = 0.5
"""Seconds before the bar is shown."""

_WIDTH = 30


class Bar:
    """Shows the completed fraction, and erases itself at the end."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._length = 0

    @staticmethod
    def has_a_place() -> bool:
        """Whether the bar can be shown: in a terminal or a notebook."""
        return sys.stderr.isatty() or "ipykernel" in sys.modules

    def show(self, part: float, label: str) -> None:
        """Draws the bar with ``part`` of it filled, 0 to 1."""
        if time.monotonic() - self._start < DELAY:
            return
        filled = round(_WIDTH * part)
        text = f"{'█' * filled}{'·' * (_WIDTH - filled)} {100 * part:3.0f} % {label}"
        sys.stderr.write("\r" + text.ljust(self._length))
        sys.stderr.flush()
        self._length = len(text)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._length:
            sys.stderr.write("\r" + " " * self._length + "\r")
            sys.stderr.flush()
