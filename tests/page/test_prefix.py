"""The page and Swagger UI below a prefix, as a proxy shows them."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.conftest import started
from tests.page.conftest import Contexts, Visitor
from tests.page.test_views import CURVES


@pytest.fixture
def below(contexts: Contexts) -> Iterator[Visitor]:
    for server in started(root_path="/lab"):
        assert httpx.get(f"{server.url}/lab/healthz").status_code == 200
        assert httpx.get(f"{server.url}/healthz").status_code == 200  # a proxy may take the prefix away
        visitor = Visitor(contexts, f"{server.url}/lab")
        yield visitor
        visitor.close()


def test_the_page_and_its_pictures(below: Visitor) -> None:
    below.open("#/explore").wait_for_selector(CURVES)


def test_swagger_ui_sends_there(below: Visitor) -> None:
    page = below.open("docs")
    block = page.locator(".opblock", has=page.locator("[data-path='/healthz']"))
    block.locator(".opblock-summary-control").click()
    with page.expect_response(f"{below.base}/healthz") as answered:
        block.locator("button.execute").click()
    assert answered.value.status == 200
