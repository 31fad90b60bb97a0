"""The picture of functions at the bounds of every field of the OpenAPI document."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case

from tests.api.test_plots import FUNCTIONS, keeps_to_its_document
from tests.support.document import documented

covered = schemathesis.openapi.from_asgi("/openapi.json", documented())


@pytest.mark.slow
@covered.include(path_regex=FUNCTIONS).parametrize()
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_functions_at_the_bounds_of_every_field(case: Case[Any]) -> None:
    keeps_to_its_document(case)
