"""What the README shows is what happens."""

from __future__ import annotations

import itertools
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.settings import Settings
from tests.conftest import Server

README = (Path(__file__).parent.parent / "README.md").read_text()
ADDRESS = "http://127.0.0.1:8000"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def calls() -> Iterator[tuple[str, str]]:
    for block in blocks("console"):
        yield from re.findall(r"^\$ (curl [^\n]+)\n([^$]*)", block, flags=re.MULTILINE)


CALLS = list(calls())
PYTHON = blocks("python")
assert len(CALLS) >= 3
assert PYTHON


def curl(command: str, server: Server) -> Any:
    """What curl would send, with the address of the server under test."""
    _, *words = shlex.split(command.replace(ADDRESS, server.url))
    url = next(word for word in words if word.startswith("http"))
    options = dict(itertools.pairwise(words))
    name, _, value = options["-H"].partition(": ")
    return httpx.post(url, headers={name: value}, content=options["-d"]).json()


@pytest.mark.parametrize(("command", "printed"), CALLS)
def test_every_call_answers_as_printed(server: Server, command: str, printed: str) -> None:
    assert curl(command, server) == json.loads(printed)


@pytest.mark.parametrize("code", PYTHON)
def test_python_runs(server: Server, code: str) -> None:
    exec(compile(code.replace(ADDRESS, server.url), "README.md", "exec"), {})


def test_every_setting_is_in_the_table() -> None:
    rows = dict(re.findall(r"^\| `ACTIVATION_LAB_(\w+)` \|[^|]*\| (.*) \|$", README, flags=re.MULTILINE))
    told = {name.upper(): field.description for name, field in Settings.model_fields.items()}
    assert rows == told
