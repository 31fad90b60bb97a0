"""Logs: one line per event, as JSON for programs, in colour at a terminal.

uvicorn and every other library log through the standard library; those records are written the same way.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Literal

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from app.settings import LogFormat, LogLevel

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id of the request being answered; every line logged meanwhile carries it."""


def configure(form: LogFormat, level: LogLevel) -> None:
    """Sends structlog's and the standard library's records to standard output, as lines of this form.

    ``"auto"`` is ``"console"`` at a terminal and ``"json"`` elsewhere.
    """
    readable = form == "console" or (form == "auto" and sys.stdout.isatty())
    threshold = logging.getLevelNamesMapping()[level.upper()]
    rendering = _for_people() if readable else _for_programs()
    structlog.configure(
        processors=rendering,
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.PrintLoggerFactory() if readable else structlog.BytesLoggerFactory(),
        cache_logger_on_first_use=True,
    )
    remove = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    formatter = structlog.stdlib.ProcessorFormatter(
        processors=[remove, *rendering[:-1], _text(rendering[-1])]
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=threshold, force=True)


class Lines:
    """Writes lines as structlog's loggers do, in half the time: they copy each event once more.

    It is for the line that every request has.
    """

    def __init__(self) -> None:
        logger, chosen = structlog.get_logger().bind(), structlog.get_config()
        self._enabled = {"info": logger.is_enabled_for(logging.INFO)}
        self._enabled["warning"] = logger.is_enabled_for(logging.WARNING)
        self._processors = chosen["processors"]
        self._write = chosen["logger_factory"]().msg

    def write(self, level: Literal["info", "warning"], event: EventDict) -> None:
        """Writes an event, whose name is under ``event``, if lines of this ``level`` are asked for."""
        if not self._enabled[level]:
            return
        line: Any = event
        for process in self._processors:
            line = process(None, level, line)
        self._write(line)


def flush() -> None:
    """Writes the buffered lines."""
    sys.stdout.flush()


def _for_people() -> list[Processor]:
    # structlog's default exception formatter prints local variables, which may hold a request's body.
    return [
        structlog.processors.add_log_level,
        _add_request_id,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]


def _for_programs() -> list[Processor]:
    return [_json]


def _json(logger: WrappedLogger, level: str, event: EventDict) -> bytes:
    """A line: the event's own fields, then those of every line. One processor, as each takes time."""
    if "exc_info" in event:
        event = structlog.processors.format_exc_info(logger, level, event)
    event["level"] = level
    _add_request_id(logger, level, event)
    event["timestamp"] = datetime.now(UTC)
    event["message"] = event.pop("event")
    return orjson.dumps(event, option=orjson.OPT_UTC_Z)


def _text(render: Processor) -> Callable[[WrappedLogger, str, EventDict], str]:
    """``render`` for the standard library, whose streams take text."""

    def rendered(logger: WrappedLogger, name: str, event: EventDict) -> str:
        line: Any = render(logger, name, event)
        return line.decode() if isinstance(line, bytes) else line

    return rendered


def _add_request_id(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    if (own := request_id.get()) is not None:
        event["request_id"] = own
    return event
