"""The architecture: which packages may import which, and where names and clocks may be used."""

from __future__ import annotations

import ast
import io
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.core.activations import REGISTRY
from app.core.formulas.language import FUNCTIONS

ROOT = Path(__file__).parent.parent
CORE = sorted((ROOT / "app" / "core").rglob("*.py"))
INSIDE = {"activations", "vocabularies", "formulas", "arithmetic"}
"""Packages that may name an activation: entries, vocabularies, and functions of the same name."""
OUTSIDE = sorted(path for path in (ROOT / "app").rglob("*.py") if not INSIDE & set(path.parts))
ALLOWED = {"numpy", "numba", "llvmlite", "scipy", "ml_dtypes", "flint", "app"}
OTHER_MEANINGS = {"clip", "gaussian", "step", "threshold"}
"""Words that are an activation's name and something else: a distribution, a step, the edge of a picture, a
cause of errors."""

assert CORE
assert OUTSIDE


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.stem)
def test_core_is_pure(path: Path) -> None:
    for name in imported(path):
        top = name.partition(".")[0]
        assert top in ALLOWED or top in sys.stdlib_module_names, name
        assert top not in {"time", "datetime", "os", "socket", "http", "asyncio", "logging"}, name
        assert top != "app" or name.startswith("app.core"), name
        assert top != "scipy" or name in {"scipy", "scipy.special"}, name


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda path: path.stem)
def test_nothing_outside_the_entries_names_an_activation(path: Path) -> None:
    texts = {
        ast.literal_eval(token.string)
        for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline)
        if token.type == tokenize.STRING and not token.string.lstrip("rb").startswith(('f"', "f'"))
    }
    other = OTHER_MEANINGS
    if "suspects" in path.parts:  # they name the functions of formulas, some of which are activations too
        other = other | set(FUNCTIONS)
    assert not texts & (set(REGISTRY) - other)
    assert not texts & set(REGISTRY.framework_names)


CONTRACT = sorted(path.stem for path in (ROOT / "app" / "contract").glob("*.py"))
assert CONTRACT


@pytest.mark.parametrize("module", [*(f"app.contract.{stem}" for stem in CONTRACT), "app.client"])
def test_requests_and_answers_need_no_server(module: str) -> None:
    """A client of the service must not have to install or load the server's libraries."""
    program = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"fastapi", "starlette", "uvicorn", "numba", "scipy"} & set(loaded.stdout.split())


CLOCKS = {"time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "datetime.today", "date.today"}
"""The wall clock, which jumps when it is set: no deadline and no duration may depend on it."""

MAY_READ_THE_WALL_CLOCK = {
    ("observation/logs.py", "datetime.now"),  # when something was logged
    ("observation/models.py", "time.time_ns"),  # when a model was last asked, as Triton tells it
    ("client/connections.py", "time.time"),  # how far off the date of a Retry-After is
}


@pytest.mark.parametrize("path", sorted((ROOT / "app").rglob("*.py")), ids=lambda path: path.stem)
def test_nothing_is_measured_by_the_wall_clock(path: Path) -> None:
    asked = {
        ast.unparse(node) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)
    }
    name = path.relative_to(ROOT / "app").as_posix()
    assert {(name, each) for each in asked & CLOCKS} <= MAY_READ_THE_WALL_CLOCK
    assert "time" not in {
        alias.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module == "time"
        for alias in node.names
    }
