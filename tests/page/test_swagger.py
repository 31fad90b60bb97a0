"""Swagger UI's form for a network's own weights, filled in and sent as a visitor of /docs does."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import expect
from safetensors.numpy import save_file

from tests.page.conftest import Visitor


def test_a_file_chosen_in_the_form_is_diagnosed(visitor: Visitor, tmp_path: Path) -> None:
    """The example request as it stands, and a file."""
    file = tmp_path / "model.safetensors"
    save_file({"0.weight": np.ones((3, 2)), "2.weight": np.ones((1, 3))}, file)
    page = visitor.open("docs")
    block = page.locator(".opblock", has=page.locator("[data-path='/gradient-flow']"))
    block.locator(".opblock-summary-control").click()
    block.locator(".opblock-section-request-body select.content-type").select_option("multipart/form-data")
    block.locator("input[type=file]").set_input_files(file)
    with page.expect_response(f"{visitor.base}/gradient-flow") as answered:
        block.locator("button.execute").click()
    assert answered.value.status == 200
    layers = json.loads(answered.value.body())["layers"]
    assert [(each["fan_in"], each["fan_out"]) for each in layers] == [(2, 3), (3, 1)]


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_no_fault(visitor: Visitor, theme: str) -> None:
    page = visitor.open("docs", theme=theme)
    page.locator(".opblock-summary-control").first.click()
    page.wait_for_selector(".opblock-body textarea")
    expect(page.locator("html")).to_have_class("dark-mode" if theme == "dark" else "")
    assert [each["id"] for each in Axe().run(page).response["violations"]] == []
    page.get_by_role("link", name="Activation Lab").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()


@pytest.mark.slow
def test_every_route_runs_with_its_example_when_execute_is_pressed(visitor: Visitor) -> None:
    """With the values that the form is filled with."""
    page = visitor.open("docs")
    page.wait_for_selector(".opblock")
    refused = {}
    blocks = page.locator(".opblock").all()
    assert len(blocks) > 25
    for block in blocks:
        block.locator(".opblock-summary-control").click()
        execute = block.locator("button.execute")
        execute.scroll_into_view_if_needed()
        with page.expect_response(lambda answer: answer.request.resource_type == "fetch") as answered:
            execute.click()
        assert "cannot be generated" not in block.inner_text()
        if answered.value.status != 200:
            refused[answered.value.url] = answered.value.status
        block.locator(".opblock-summary-control").click()
    assert refused == {}
