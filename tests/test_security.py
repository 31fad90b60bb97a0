"""SECURITY.md agrees with the code."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

from app.serving import protocol
from app.settings import Settings
from app.wire import json_outline

TEXT = (Path(__file__).parent.parent / "SECURITY.md").read_text()


def test_versions_are_those_that_are_installed_and_locked() -> None:
    named = re.findall(r"^\| ([\w-]+)[^|]*\| (\d+\.\d+\.\d+) \|", TEXT, re.MULTILINE)
    locked = (Path(__file__).parent.parent / "requirements.txt").read_text()
    assert len(named) == 5
    for library, said in named:
        assert version(library) == said, library
        assert f"\n{library}=={said} " in f"\n{locked}", library


def test_limits_are_those_of_the_code() -> None:
    for sentence in (
        f"{protocol.MOST_HEAD:,} bytes, {protocol.MOST_HEADERS} headers",
        f"a request target | {protocol.LONGEST_TARGET:,} bytes",
        f"wait for their answers | {protocol.MOST_WAITING} |",
        f"{protocol.MOST_FRAMING:,} bytes and {protocol.FRAMING_OF_A_CHUNK} a chunk",
        f"descriptors, less {protocol.OWN_DESCRIPTORS} and two for each simulator",
        f"{json_outline.LONGEST // 2**20} MB of the rest",
    ):
        assert sentence in TEXT, sentence
    assert protocol.LEAST_TAKEN == 2**20  # a megabyte


def test_settings_that_are_named_exist() -> None:
    named = set(re.findall(r"ACTIVATION_LAB_([A-Z_]+)", TEXT))
    assert named
    assert named <= {name.upper() for name in Settings.model_fields}
