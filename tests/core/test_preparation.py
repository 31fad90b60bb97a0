"""Trainings need no loops but those that are compiled at set-up."""

from __future__ import annotations

import subprocess
import sys

import pytest

FRESH = """
from app.core import preparation
from app.core.activations import REGISTRY
from app.core.activations.definition import Elementwise
from app.core.arithmetic import compiled
from app.core.jobs import in_turn
from app.core.training.course import train
from tests.support.trainings import trainings

activations = ["sigmoid", "tanh", "relu", "leaky_relu", "prelu", "elu", "maxout"]
preparation._compile_declared()
for name in (*activations, "softplus"):  # the logistic loss
    if isinstance(REGISTRY[name], Elementwise):
        preparation._compile_entry(name, preparation._MOST_USED)

asked = []
found = compiled._Kept.load_overload
def noted(self, signature, target):
    asked.append((self._name, str(signature)))
    return found(self, signature, target)
compiled._Kept.load_overload = noted

described = trainings(activations=activations, data={"kind": "rings"}, hidden=[16, 16], steps=3, frames=3)
assert len(train(described, in_turn, lambda: 0.0, lambda _: None)) == len(activations)
assert not asked, asked
"""


@pytest.mark.slow
def test_trainings_find_all_their_loops() -> None:
    subprocess.run([sys.executable, "-c", FRESH], check=True, timeout=240)
