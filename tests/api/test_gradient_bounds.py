"""Conformance of /gradient-flow and /mean-field to the OpenAPI document, with valid and invalid requests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.conftest import Server, started
from tests.support.document import document
from tests.support.drawn import without_deadline

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
SMALL = {"depth": 3, "width": 8, "batch": 4, "networks": 2}

ROUTES = "^/(gradient-flow|mean-field)$"

drawn = schemathesis.openapi.from_dict(document())
drawn.config.phases.coverage.enabled = False
covered = schemathesis.openapi.from_dict(document())
covered.config.phases.fuzzing.enabled = False


@pytest.fixture(scope="module")
def limited() -> Iterator[Server]:
    """A server that refuses what would take more than a second, so that any request may be drawn."""
    yield from started(max_flow_work="3e10")


def affordable(body: Any) -> Any:
    """The request with small defaults: the service's own are 50 layers of 512 units."""
    if not isinstance(body, dict) or "activation" not in body or "sigma_w" in body:
        return body
    missing = {name: most for name, most in SMALL.items() if name not in body}
    if isinstance(body.get("width"), list):
        missing.pop("depth", None)
    return {**missing, **body}


def check(case: Case[Any], limited: Server) -> None:
    case.body = affordable(case.body)
    without_deadline(case).call_and_validate(base_url=limited.url, checks=CHECKS, timeout=90)


@pytest.mark.slow
@drawn.include(path_regex=ROUTES).parametrize()
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_routes_conform_to_their_document(case: Case[Any], limited: Server) -> None:
    check(case, limited)


@pytest.mark.slow
@covered.include(path_regex=ROUTES).parametrize()
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
def test_at_the_bounds_of_every_field_too(case: Case[Any], limited: Server) -> None:
    """Each field left out, at its bounds, just beyond them and of a wrong type: a thousand requests."""
    check(case, limited)
