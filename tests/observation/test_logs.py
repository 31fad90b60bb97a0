"""The line of each request is the one that structlog's logger would write."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

BOTH = """
import structlog

from app.observation import logs

logs.configure({form!r}, {level!r})
event = {{"method": "POST", "status": 200, "duration": 0.25, "function": "gelu"}}
logs.request_id.set("an-id")
for level in ("info", "warning"):
    logs.Lines().write(level, {{"event": "request", **event}})
    getattr(structlog.get_logger(), level)("request", **event)
"""


def lines(form: str, level: str) -> list[str]:
    script = BOTH.format(form=form, level=level)
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    return run.stdout.splitlines()


def without_time(line: str) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(line)
    del fields["timestamp"]
    return fields


@pytest.mark.parametrize(("level", "count"), [("info", 4), ("warning", 2), ("error", 0)])
def test_a_request_s_line_is_structlog_s_at_every_level(level: str, count: int) -> None:
    found = [without_time(line) for line in lines("json", level)]
    assert len(found) == count
    assert found[::2] == found[1::2]
    assert all(each["message"] == "request" and each["request_id"] == "an-id" for each in found)


def test_for_people_too() -> None:
    found = [line.split(" ", 1)[1] for line in lines("console", "info")]  # after the time
    assert len(found) == 4
    assert found[::2] == found[1::2]
