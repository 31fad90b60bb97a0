"""An example of each kind of error response, for the OpenAPI document; a test provokes each."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

_REFUSALS: Mapping[int, Mapping[str, Any]] = {
    400: {"type": "urn:activation-lab:malformed", "detail": "the body is not valid JSON in UTF-8"},
    404: {
        "type": "urn:activation-lab:unknown-name",
        "detail": "unknown function; did you mean relu or rrelu or relu6?",
    },
    406: {
        "type": "about:blank",
        "detail": "this answer is offered as application/json or application/x-npy",
    },
    413: {"type": "about:blank", "detail": "the body may hold at most 268,435,456 bytes"},
    415: {
        "type": "about:blank",
        "detail": "the Content-Type must be application/json or application/x-npy",
    },
    422: {
        "type": "urn:activation-lab:invalid-request",
        "detail": "1 field does not match the schema",
        "errors": [
            {
                "loc": ["body", "order"],
                "msg": "Input should be less than or equal to 8",
                "type": "less_than_equal",
            }
        ],
    },
    503: {"type": "about:blank", "detail": "the service is busy; try again later"},
    504: {"type": "about:blank", "detail": "the computation did not finish before its deadline"},
}

REFUSALS: Mapping[int, Mapping[str, Any]] = {
    status: {"title": HTTPStatus(status).phrase, "status": status, **refusal}
    for status, refusal in _REFUSALS.items()
}
"""By status; titles are the phrases of this Python's `HTTPStatus`."""
