"""What the container image leaves out is nothing that the service imports."""

from __future__ import annotations

import subprocess
import sys

WITHOUT = """
import importlib, pkgutil, sys
sys.modules["scipy"] = None
import app
for module in pkgutil.walk_packages(app.__path__, "app."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
print(len(sys.modules))
"""


def test_the_service_does_without_scipy() -> None:
    """It is large, and here for the tests alone."""
    command = (sys.executable, "-W", "ignore", "-c", WITHOUT)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 100
