"""The examples in the README and the documents it links to run and answer as printed."""

from __future__ import annotations

import itertools
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import httpx
import numpy as np
import pytest
from safetensors.numpy import save_file

from app.core.diagnosis import remedies, verdict
from app.core.propagation import units
from app.settings import Settings
from tests.conftest import Server

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
NETWORKS = (ROOT / "docs" / "networks.md").read_text()
CLIENTS = (ROOT / "docs" / "clients.md").read_text()
KOREAN = (ROOT / "README.ko.md").read_text()
DOCUMENTS = "\n".join((README, NETWORKS, CLIENTS, KOREAN))
"""All text whose examples are run."""

OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
ADDRESS = "http://127.0.0.1:8000"
LEFT_OUT = "…"


def blocks(language: str, text: str = DOCUMENTS) -> list[str]:
    """The code blocks in a language, each once: the Korean README repeats them."""
    return list(dict.fromkeys(re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)))


def calls() -> Iterator[tuple[str, str]]:
    for block in blocks("console"):
        yield from re.findall(r"^\$ (curl [^\n]+)\n([^$]*)", block, flags=re.MULTILINE)


CALLS = list(calls())
FORMS = [
    line
    for block in blocks("sh")
    for line in block.splitlines()
    if line.startswith("curl") and " -F " in line
]
IN_TORCH = [code for code in blocks("python") if "import torch" in code]
PYTORCH = [code for code in IN_TORCH if "save_file" in code]
PYTHON = [code for code in blocks("python") if code not in IN_TORCH]
assert len(CALLS) >= 3
assert PYTHON
assert len(IN_TORCH) > len(PYTORCH)
assert len(PYTORCH) == len(FORMS) == 1


def curl(command: str, server: Server) -> Any:
    """What curl would send, with the address of the server under test."""
    _, *words = shlex.split(command.replace(ADDRESS, server.url))
    url = next(word for word in words if word.startswith("http"))
    options = dict(itertools.pairwise(words))
    name, _, value = options["-H"].partition(": ")
    answer = httpx.post(url, headers={name: value}, content=options["-d"], timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()


def agrees(printed: Any, answer: Any) -> bool:
    """Whether ``printed`` is a shortened ``answer``: `…` for what is left out, floats of four digits."""
    match printed:
        case dict():
            named = printed.keys() - {LEFT_OUT}
            complete = isinstance(answer, dict) and (LEFT_OUT in printed or named == answer.keys())
            return complete and all(agrees(printed[name], answer.get(name)) for name in named)
        case [*first, str(last)] if last == LEFT_OUT:
            longer = isinstance(answer, list) and len(answer) > len(first)
            return longer and all(map(agrees, first, answer))
        case list():
            as_long = isinstance(answer, list) and len(answer) == len(printed)
            return as_long and all(map(agrees, printed, answer))
        case str() if isinstance(answer, str):
            start, cut, _ = printed.partition(LEFT_OUT)
            return answer.startswith(start) if cut else answer == printed
        case float() if isinstance(answer, float):
            return f"{answer:.4g}" == f"{printed:.4g}"
    return bool(answer == printed)


@pytest.mark.parametrize(("command", "printed"), CALLS)
def test_every_call_answers_as_printed(server: Server, command: str, printed: str) -> None:
    answer, expected = curl(command, server), json.loads(printed)
    assert agrees(expected, answer) if LEFT_OUT in printed else answer == expected


def run(code: str, server: Server) -> None:
    here = code.replace(ADDRESS.removeprefix("http://"), f"{server.host}:{server.port}")
    exec(compile(here, "README.md", "exec"), {})


@pytest.mark.parametrize("code", PYTHON)
def test_python_runs(server: Server, code: str) -> None:
    run(code, server)


def send_form(command: str, server: Server) -> list[tuple[int, int]]:
    """The layers that the service saw when curl sent this form from here."""
    words = shlex.split(command.replace(ADDRESS, server.url))
    files: dict[str, Any] = {}
    for option, word in itertools.pairwise(words):
        if option == "-F":
            name, _, value = word.partition("=")
            text, _, media_type = value.partition(";type=")
            content = Path(text[1:]).read_bytes() if text.startswith("@") else text.encode()
            files[name] = (name, content, media_type or "application/octet-stream")
    answer = httpx.post(next(word for word in words if word.startswith("http")), files=files, timeout=30)
    assert answer.status_code == 200, answer.text[:300]
    return [(each["fan_in"], each["fan_out"]) for each in answer.json()["layers"]]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("command", FORMS)
def test_the_form_sends_a_file_of_layers(server: Server, command: str) -> None:
    save_file(
        {"0.weight": np.ones((3, 2)), "0.bias": np.ones(3), "2.weight": np.ones((1, 3))}, "model.safetensors"
    )
    assert send_form(command, server) == [(2, 3), (3, 1)]


@pytest.mark.peers
@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(("code", "command"), [*zip(PYTORCH, FORMS, strict=True)])
def test_the_form_sends_what_pytorch_exports(server: Server, code: str, command: str) -> None:
    run(code, server)
    assert send_form(command, server) == [(64, 32), (32, 10)]


@pytest.mark.peers
@pytest.mark.parametrize("code", [code for code in IN_TORCH if code not in PYTORCH])
def test_python_with_pytorch_runs(server: Server, code: str) -> None:
    run(code, server)


def test_every_setting_is_in_the_table() -> None:
    rows = dict(re.findall(r"^\| `ACTIVATION_LAB_(\w+)` \|[^|]*\| (.*) \|$", OPERATIONS, flags=re.MULTILINE))
    described = {name.upper(): field.description for name, field in Settings.model_fields.items()}
    assert rows == described


def test_a_shortened_answer_is_still_held_to_what_it_shows() -> None:
    answer = {"a": 1.23456, "b": [1, 2, 3], "c": "long words"}
    for right in ({"a": 1.235, "…": "…"}, {"a": 1.235, "b": [1, "…"], "c": "long …"}):
        assert agrees(right, answer)
    for wrong in (
        {"a": 1.234, "…": "…"},
        {"a": 1.235},
        {"b": [2, "…"], "…": "…"},
        {"d": 1, "…": "…"},
        {"d": {"e": [1.5, "…"]}, "…": "…"},
    ):
        assert not agrees(wrong, answer)


def test_the_verdict_s_thresholds_are_those_of_the_code() -> None:
    rows = {
        "dying": f"more than {100 * verdict.DYING:.0f} % of the units",
        "exploding": f"more than 10^{verdict.GROWING:g} from .* more than 10^{verdict.EXPLODING:g} times",
        "saturated": f"more than {100 * verdict.SATURATED:.0f} % of the activations have a slope below "
        f"{100 * units.SATURATED:.0f} % of the largest, on a side where the function is flat",
        "vanishing": f"less than D · 10^−{verdict.VANISHING:g} of the last .*D = {verdict.DEEPEST} "
        f".* above {verdict.NARROW:g}",
        "collapsed": f"more than {verdict.COLLAPSED} layers still to go",
    }
    for state, words in rows.items():
        pattern = words.replace("10^", r"10\^")
        assert re.search(rf"^\| `{state}` \| .*{pattern}", NETWORKS, flags=re.MULTILINE), state
    flowing = " ".join(NETWORKS.split())
    assert (
        f"At most {remedies.REMEDIES} remedies are shown, each tried on {remedies.REMEDY_NETWORKS} networks"
        in flowing
    )
    assert remedies.BETTER == 0.5  # "halve"
    assert f"takes more than {remedies.REMEDY_WORK / 5e10:.0f} seconds of a core" in flowing
    listed = set(re.findall(r"^\| `(\w+)` \| [A-Z]", NETWORKS, flags=re.MULTILINE))
    assert listed == {"healthy", *get_args(verdict.Illness)}


def test_the_korean_readme_shows_the_same() -> None:
    """The same calls in the same order, its links, and all code of the English one."""
    shown = [re.findall(r"^\$ .*", text, flags=re.MULTILINE) for text in (README, KOREAN)]
    assert shown[0] == shown[1]
    assert set(blocks("python", README)) <= set(blocks("python", KOREAN))
    linked = [set(re.findall(r"\]\(([^)#]+)", text)) for text in (README, KOREAN)]
    assert linked[0] - {"README.ko.md"} == linked[1] - {"README.md"}
