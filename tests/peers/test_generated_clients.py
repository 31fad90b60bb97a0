"""Clients generated from the OpenAPI document: they type-check, and work with the service."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app.main import create_app
from app.settings import Settings
from tests.conftest import Server

pytestmark = pytest.mark.peers

PACKAGES = ("openapi-typescript@7.13.0", "openapi-fetch@0.17.0", "typescript@5.9.3")

PYTHON = """
import io
import numpy as np
from activation_lab_client import Client
from activation_lab_client.api.catalogue import get_function
from activation_lab_client.api.gradients import gradient_flow
from activation_lab_client.api.values import activate
from activation_lab_client.models import ActivateRequest, ActivateResponse, ActivateRounding
from activation_lab_client.models import FunctionFacts, GetFunctionName
from activation_lab_client.models import GradientFlowRequest, GradientFlowResponse
from activation_lab_client.types import File

lab = Client(base_url="{url}")
file = io.BytesIO()
np.save(file, np.array([-1.0, 2.0]))
array = File(payload=io.BytesIO(file.getvalue()), mime_type="application/x-npy")
sent = activate.sync(
    client=lab, body=array, function="elu", parameters='{{"alpha": 2}}', rounding=ActivateRounding.PROVED
)
assert isinstance(sent, ActivateResponse), sent
assert isinstance(sent.outputs, list), sent
assert sent.outputs[1] == 2.0
assert sent.proof
answer = activate.sync(client=lab, body=ActivateRequest(function="relu", inputs=[[-1.0], [2.0]]))
assert isinstance(answer, ActivateResponse), answer
assert answer.outputs == [[0.0], [2.0]]
facts = get_function.sync(GetFunctionName.RELU, client=lab)
assert isinstance(facts, FunctionFacts), facts
network = GradientFlowRequest(activation="relu", depth=3, width=8, networks=1)
report = gradient_flow.sync(client=lab, body=network)
assert isinstance(report, GradientFlowResponse), report
assert len(report.layers) == 3
"""

TYPESCRIPT = """
import createClient from "openapi-fetch";
import type {{ components, paths }} from "./schema.js";

const lab = createClient<paths, "application/json">({{ baseUrl: "{url}" }});
const body: components["schemas"]["ActivateRequest"] = {{ function: "relu", inputs: [-1, "NaN"], order: 1 }};
const {{ data, error }} = await lab.POST("/activate", {{ body }});
if (error || !data) throw new Error(JSON.stringify(error));
console.log(JSON.stringify(data.outputs));
"""


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("document") / "openapi.json"
    file.write_text(json.dumps(create_app(Settings()).openapi()))
    return file


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_openapi_python_client(document: Path, server: Server, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(
        "content_type_overrides: {application/x-npy: application/octet-stream, image/svg+xml: text/plain}\n"
        "post_hooks: []\n"
    )
    program = (sys.executable, "-m", "openapi_python_client", "generate", "--fail-on-warning")
    run(*program, "--path", document, "--output-path", tmp_path / "lab", "--config", config, cwd=tmp_path)
    script = tmp_path / "lab" / "use.py"
    script.write_text(PYTHON.format(url=server.url))
    run(sys.executable, "-m", "mypy", "activation_lab_client", "use.py", cwd=script.parent)
    run(sys.executable, script, cwd=script.parent)


def test_datamodel_code_generator(document: Path, tmp_path: Path) -> None:
    options = "--input-file-type openapi --output-model-type pydantic_v2.BaseModel --output models.py"
    checked = "--field-constraints --set-default-enum-member --target-python-version 3.11"
    program = (sys.executable, "-m", "datamodel_code_generator", "--input", document)
    run(*program, *options.split(), *checked.split(), cwd=tmp_path)
    run(sys.executable, "-m", "mypy", "models.py", cwd=tmp_path)


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm, which brings the generator, is not installed")
def test_openapi_typescript(document: Path, server: Server, tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text('{"type": "module"}')
    run("npm", "install", "--no-audit", "--no-fund", "--silent", *PACKAGES, cwd=tmp_path)
    run("npx", "openapi-typescript", document, "-o", "schema.ts", cwd=tmp_path)
    (tmp_path / "use.ts").write_text(TYPESCRIPT.format(url=server.url))
    compiled = ("npx", "tsc", "--strict", "--module", "nodenext", "--target", "es2022", "use.ts", "schema.ts")
    run(*compiled, cwd=tmp_path)
    assert run("node", "use.js", cwd=tmp_path).strip() == '[0,"NaN"]'
