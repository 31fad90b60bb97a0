"""Which fields of a request are read as arrays, however long."""

from __future__ import annotations

import json

import pytest
from fastapi import FastAPI

from app.http.array_bodies import ARRAY_FIELDS


@pytest.mark.parametrize(
    "model",
    ["ActivateRequest", "GradientFlowRequest", "MeanFieldRequest", "TrainingRequest", "VerifyRequest"],
)
def test_every_field_of_numbers_is_read_as_an_array(application: FastAPI, model: str) -> None:
    """As anything else it would be refused from 4 MiB on."""
    properties = application.openapi()["components"]["schemas"][model]["properties"]
    numbers = {name for name, each in properties.items() if "schemas/Numbers" in json.dumps(each)}
    assert numbers <= ARRAY_FIELDS
    assert numbers or model == "TrainingRequest"
