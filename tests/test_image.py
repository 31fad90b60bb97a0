"""What the container image leaves out is nothing that the service imports."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

WITHOUT = """
import importlib, pkgutil, sys
sys.modules |= dict.fromkeys(sys.argv[1:])
import distributed.cli.dask_scheduler, distributed.cli.dask_worker
import app
for module in pkgutil.walk_packages(app.__path__, "app."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
print(len(sys.modules))
"""


DOCKERFILE = Path(__file__).parent.parent / "Dockerfile"
REMOVED = re.search(r"site-packages \\\n\s*&& rm -r (.*)\)", DOCKERFILE.read_text())


def test_the_service_and_the_cluster_do_without() -> None:
    """SciPy is large, and here for the tests alone; of Dask, Numba and NumPy the image removes parts."""
    assert REMOVED
    parts = [each.replace("/", ".") for each in REMOVED[1].split()]
    assert "dask.array" in parts
    command = (sys.executable, "-W", "ignore", "-c", WITHOUT, "scipy", *parts)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 100
