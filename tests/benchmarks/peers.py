"""The two alternative services, each on its own port."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks.processes import HOST, Server, free_port, served
from tests.benchmarks.timing import NotRun

MODEL = "sigmoid"
"""The one model that Triton serves, with the same name as ours."""

_CONFIGURATION = """\
backend: "python"
input [{ name: "inputs" data_type: TYPE_FP64 dims: [-1] }]
output [
  { name: "outputs" data_type: TYPE_FP64 dims: [-1] },
  { name: "derivative" data_type: TYPE_FP64 dims: [-1] }
]
instance_group [{ kind: KIND_CPU count: 1 }]
"""


@contextmanager
def torch_service() -> Iterator[Server]:
    """FastAPI with PyTorch: one uvicorn process with default settings, and our parser and event loop."""
    if importlib.util.find_spec("torch") is None:
        raise NotRun("PyTorch is not installed")
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "tests.benchmarks.torch_service:app"]
    command += ["--host", HOST, "--port", str(port)]
    with served("the PyTorch service", command, port, "/readyz") as server:
        yield server


@contextmanager
def triton() -> Iterator[Server]:
    """NVIDIA Triton as packaged by nvidia-pytriton, with one instance of `triton_model`."""
    found = importlib.util.find_spec("pytriton")
    if found is None or found.origin is None:
        raise NotRun("nvidia-pytriton is not installed")
    home = Path(found.origin).parent / "tritonserver"
    libraries = (home.parents[1] / "nvidia_pytriton.libs", sysconfig.get_config_var("LIBDIR"))
    environment = {
        "LD_LIBRARY_PATH": os.pathsep.join(map(str, libraries)),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path.endswith("site-packages")),
    }
    port = free_port()
    with tempfile.TemporaryDirectory() as temporary:
        models, backends = _repository(Path(temporary)), _backends(Path(temporary), home)
        command = [str(home / "bin" / "tritonserver"), f"--model-repository={models}"]
        command += [f"--backend-directory={backends}", f"--http-address={HOST}", f"--http-port={port}"]
        command += ["--allow-grpc=false", "--allow-metrics=false"]
        with served("Triton", command, port, "/v2/health/ready", environment=environment) as server:
            yield server


def _repository(place: Path) -> Path:
    version = place / "models" / MODEL / "1"
    version.mkdir(parents=True)
    shutil.copy(Path(__file__).with_name("triton_model.py"), version / "model.py")
    (version.parent / "config.pbtxt").write_text(_CONFIGURATION)
    return version.parents[1]


def _backends(place: Path, home: Path) -> Path:
    """The directory of the Python backend, with the stub for this Python version."""
    stub = home / "python_backend_stubs" / f"{sys.version_info[0]}.{sys.version_info[1]}"
    if not stub.is_dir():
        raise NotRun(f"nvidia-pytriton has no backend for Python {stub.name}")
    backend = place / "backends" / "python"
    shutil.copytree(home / "backends" / "python", backend)
    shutil.copy(stub / "triton_python_backend_stub", backend)
    for program in (home / "bin" / "tritonserver", backend / "triton_python_backend_stub"):
        program.chmod(0o755)  # installers drop the executable bit
    return backend.parent
