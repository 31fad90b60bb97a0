"""``python -m tests.support.answers`` writes what the OpenAPI document shows: answers.json, texts.json.

Each is the service's answer to the first example of an operation. Long lists are truncated, which the
document's models accept as well; what is cut shows nothing that the beginning does not. Texts are pictures,
streams and metrics.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import orjson

from app.core.activations import REGISTRY
from app.http import openapi

LONGEST = 2
"""Elements of a list that are kept."""

NAMED = {"name": next(iter(REGISTRY)), "version": "1"}
"""The values of path parameters."""


FORMS = {"application/json": "vl.json", "image/svg+xml": "svg"}
"""The file extensions of pictures."""

TEXTS = ("image/svg+xml", "application/jsonl", "text/event-stream", "text/plain")


def questions(
    document: dict[str, Any], media_type: str = "application/json"
) -> Iterator[tuple[str, str, str, Any]]:
    """Method, path template, path to request, and body or None, of each operation that answers so."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if media_type in operation["responses"].get("200", {}).get("content", {}):
                asked = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
                examples = list(asked.get("examples", {}).values())
                fields = [each for each in operation.get("parameters", ()) if each["in"] == "query"]
                given = {each["name"]: each["example"] for each in fields if "example" in each}
                query = f"?{urlencode(given, doseq=True)}" if given and not examples else ""
                at = path.format(**NAMED, form=FORMS.get(media_type, "")) + query
                yield method, path, at, examples[0]["value"] if examples else None


def sample(media_type: str, text: str) -> str:
    """A text's beginning; of a stream its first pieces and its last, shortened."""
    if media_type == "image/svg+xml":
        return f"{text[:MOST]}…"
    if media_type == "text/plain":
        return "\n".join(text.splitlines()[:9])
    gap = "\n\n" if media_type == "text/event-stream" else "\n"
    found = text.strip().split(gap)
    return gap.join(_shorter(each) for each in [*found[:LONGEST], found[-1]])


MOST = 400
"""Characters of a picture."""


def _shorter(piece: str) -> str:
    """One line, or one event, whose data are JSON."""
    head, found, data = piece.partition("data: ")
    words = json.dumps(shortened(json.loads(data or head)), ensure_ascii=False)
    return f"{head}{found}{words}" if found else words


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
    texts: dict[str, Any] = {}
    with TestClient(app) as client:
        for media_type in ("application/json", *TEXTS):
            for method, path, asked, body in questions(app.openapi(), media_type):
                answer = client.request(method, asked, json=body, headers={"Accept": media_type})
                assert answer.status_code == 200, f"{method} {path}: {answer.text[:300]}"
                if media_type == "application/json":
                    answers.setdefault(path, {})[method] = shortened(json.loads(answer.text))
                else:
                    kept = texts.setdefault(path, {}).setdefault(method, {})
                    kept[media_type] = sample(media_type, answer.text)
    for file, found in ((openapi.ANSWERS, answers), (openapi.TEXTS, texts)):
        file.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2) + b"\n")


if __name__ == "__main__":
    main()
