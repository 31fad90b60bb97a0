"""``python -m tests.support.answers`` writes app/http/answers.json: real answers for the OpenAPI document.

Each is what the service says to the first example of an operation. Long lists are cut to their beginning,
which the document's models take as well; what is cut shows nothing that the beginning does not.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import orjson
from fastapi import FastAPI

from app.core.activations import REGISTRY
from app.http import openapi

LONGEST = 2
"""Elements of a list that are kept."""

NAMED = {"name": next(iter(REGISTRY)), "version": "1"}
"""What stands in a path."""


def questions(app: FastAPI) -> Iterator[tuple[str, str, str, Any]]:
    """Method, path with its fields, path to ask, and body or None, of each operation that answers in JSON."""
    for path, methods in app.openapi()["paths"].items():
        for method, operation in methods.items():
            content = operation["responses"].get("200", {}).get("content", {})
            if "application/json" in content and "{form}" not in path:
                asked = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
                examples = list(asked.get("examples", {}).values())
                body = examples[0]["value"] if examples else None
                if method == "get" or body is not None:
                    yield method, path, path.format(**NAMED), body


def shortened(value: Any) -> Any:
    """The same with long lists cut."""
    if isinstance(value, dict):
        return {name: shortened(each) for name, each in value.items()}
    if isinstance(value, list):
        return [shortened(each) for each in value[:LONGEST]]
    return value


def main() -> None:
    """Asks the service in this process, and writes."""
    from fastapi.testclient import TestClient  # noqa: PLC0415

    from app.main import create_app  # noqa: PLC0415
    from app.settings import Settings  # noqa: PLC0415

    app = create_app(Settings(log_level="error", request_timeout=600))
    answers: dict[str, Any] = {}
    with TestClient(app) as client:
        for method, path, asked, body in questions(app):
            answer = client.request(method, asked, json=body)
            assert answer.status_code == 200, f"{method} {path}: {answer.text[:300]}"
            answers.setdefault(path, {})[method] = shortened(json.loads(answer.text))
    openapi.ANSWERS.write_bytes(orjson.dumps(answers, option=orjson.OPT_INDENT_2) + b"\n")


if __name__ == "__main__":
    main()
