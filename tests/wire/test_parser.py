"""The fallback for simdjson passes the same tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent

WITHOUT = """
import sys
sys.modules["simdjson"] = None
import pytest
from app.wire import parser
assert parser.Parser.__module__ == "app.wire.parser"
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", *sys.argv[1:]]))
"""


@pytest.mark.slow
def test_everything_holds_without_simdjson() -> None:
    files = (HERE / "test_json_body.py", HERE / "test_json_arrays.py")
    command = (sys.executable, "-c", WITHOUT, *files)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
