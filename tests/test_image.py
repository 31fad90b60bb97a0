"""What the container image leaves out is nothing that the service imports."""

from __future__ import annotations

import subprocess
import sys

LISTED = """
import importlib, pkgutil, sys
import app
from scipy.special import ndtr, owens_t  # which are imported when they are needed
for module in pkgutil.walk_packages(app.__path__, "app."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
print(*sorted({name.split(".")[1] for name in sys.modules if name.startswith("scipy.")}))
"""


def test_of_scipy_the_service_imports_its_special_functions_alone() -> None:
    done = subprocess.run(
        (sys.executable, "-W", "ignore", "-c", LISTED), capture_output=True, text=True, check=True
    )
    assert {name for name in done.stdout.split() if not name.startswith("_")} == {"special", "version"}
