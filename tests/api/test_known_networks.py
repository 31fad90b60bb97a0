"""Published networks: their verdicts are those in docs/verdicts.md."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.api.experiments import described
from app.contract.gradient_flow import GradientFlowRequest
from app.settings import Settings
from tests.conftest import InProcess, started

DOCUMENT = (Path(__file__).parents[2] / "docs" / "verdicts.md").read_text()
SHOWN = re.findall(r"```json\n(.*?)```\n\n((?:> [^\n]*\n)+)", DOCUMENT, flags=re.DOTALL)
GPT_2, RESNET = ((json.loads(request), answer.replace("> ", "").split()) for request, answer in SHOWN)

PLAIN_GPT_2: dict[str, Any] = {
    "block": {"kind": "transformer", "heads": 12, "causal": True, "norm": "pre"},
    "width": 768,
    "depth": 12,
    "batch": 1024,
    "activation": "gelu_tanh",
}


@pytest.mark.parametrize("networks", [1, 2, 8])
def test_gpt_2_is_within_the_service_s_limits(networks: int) -> None:
    asked = GradientFlowRequest.model_validate({**PLAIN_GPT_2, "networks": networks})
    # With Gram matrices of 1,024 tokens just for norms it would be 1.5e12.
    assert described(asked, Settings()).cost.work < 1.1e12


@pytest.mark.slow
def test_gpt_2_small_as_it_was_published() -> None:
    """With a longer deadline than by default, as the machine may be busy."""
    with contextmanager(started)(request_timeout="300") as server:
        reply = httpx.post(f"{server.url}/gradient-flow", json=GPT_2[0], timeout=300)
    assert reply.status_code == 200, reply.text
    answer = reply.json()
    verdict = answer["verdict"]
    assert [*f"{verdict['state']}:".split(), *verdict["summary"]["en"].split()] == GPT_2[1]
    layers = answer["layers"]
    assert len(layers) == 12
    assert f"rises from 0 to {layers[-1]['correlation']['median']:.2g} in" in DOCUMENT
    # At initialisation attention is nearly uniform over the i keys of token i: entropy is the mean of ln i.
    for layer in layers:
        assert layer["attention_entropy"]["median"] == pytest.approx(5.91, abs=0.05)


def test_resnet_50_s_bottlenecks_as_they_were_published(client: InProcess) -> None:
    verdict = client.post("/gradient-flow", json=RESNET[0]).json()["verdict"]
    assert [*f"{verdict['state']}:".split(), *verdict["summary"]["en"].split()] == RESNET[1]
