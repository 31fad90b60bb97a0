"""The wheel's package is `activation_lab`, made of the folder `app`: imports of `app` are written anew.

A folder's name that says what the project is inside its repository would be anybody's in site-packages.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NAME = "activation_lab"

IMPORT = re.compile(r"^(\s*)(from|import) app(?=[. ])", flags=re.MULTILINE)


class Renamed(BuildHookInterface[Any]):
    """Puts a copy of ``app`` under its other name into the wheel."""

    def initialize(self, _version: str, build_data: dict[str, Any]) -> None:
        """Makes the copy."""
        self._made = Path(tempfile.mkdtemp())
        copy = self._made / NAME
        shutil.copytree(Path(self.root) / "app", copy, ignore=shutil.ignore_patterns("__pycache__"))
        for module in copy.rglob("*.py"):
            module.write_text(IMPORT.sub(rf"\1\2 {NAME}", module.read_text("utf-8")), "utf-8")
        build_data["force_include"][str(copy)] = NAME

    def finalize(self, _version: str, _build_data: dict[str, Any], _artifact: str) -> None:
        """Removes the copy."""
        shutil.rmtree(self._made)
