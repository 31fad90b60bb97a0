"""The Kubernetes manifest is valid under Kubernetes' schema."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

MANIFEST = Path(__file__).parents[2] / "docs" / "kubernetes.yaml"
pytestmark = pytest.mark.peers


def test_the_manifest_is_valid() -> None:
    program = (Path(sys.executable).with_name("kubernetes-validate"), "--strict", MANIFEST)
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    printed = done.stdout + done.stderr
    for kind in ("deployment", "service", "horizontalpodautoscaler"):
        assert f"passed for resource {kind}/activation-lab" in printed
