"""The routes of values and of the catalogue at the bounds of every field of the OpenAPI document."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case

from tests.api.test_catalogue import keeps_to_its_document, routes
from tests.support.document import documented

covered = schemathesis.openapi.from_asgi("/openapi.json", documented())
drawn = schemathesis.openapi.from_asgi("/openapi.json", documented())
drawn.config.phases.coverage.enabled = False


@pytest.mark.slow
@routes(covered).parametrize()
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_bounds_keep_to_the_document(case: Case[Any]) -> None:
    """Each field left out, at its bounds, just beyond them and of a wrong type, besides what is drawn."""
    keeps_to_its_document(case)


@pytest.mark.study
@routes(drawn).parametrize()
@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
def test_ten_thousand_requests_keep_to_the_document(case: Case[Any]) -> None:
    keeps_to_its_document(case)
