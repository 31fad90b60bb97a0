"""Requirements of client generators on the OpenAPI document."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from app.contract.activate import ActivateRequest
from tests.support.document import document


@pytest.fixture(scope="module", name="document")
def _document() -> dict[str, Any]:
    return document()


def schemas(part: Any) -> Iterator[dict[str, Any]]:
    if isinstance(part, dict):
        yield part
        part = list(part.values())
    if isinstance(part, list):
        for each in part:
            yield from schemas(each)


def test_operations_have_names_of_their_own_and_one_tag(document: dict[str, Any]) -> None:
    operations = [each for methods in document["paths"].values() for each in methods.values()]
    counts = Counter(each["operationId"] for each in operations)
    assert {name for name, count in counts.items() if count > 1} == set()
    assert all(name.isidentifier() for name in counts)
    assert all(len(each["tags"]) == 1 for each in operations)


def test_every_reference_leads_to_a_schema(document: dict[str, Any]) -> None:
    """Those of request bodies are added to FastAPI's: one that was forgotten would be missed here."""
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    referred = {each["$ref"] for each in schemas(document) if "$ref" in each}
    assert referred <= known
    bodies = [operation for each in document["paths"].values() for operation in each.values()]
    content = [each["requestBody"]["content"] for each in bodies if "requestBody" in each]
    assert len(content) == 13
    assert all(each["application/json"]["schema"]["$ref"] in known for each in content)


def test_no_member_of_an_enumeration_hides_a_method_of_strings(document: dict[str, Any]) -> None:
    """Generated clients turn an enumeration into a subclass of ``str``, with a member for each value."""
    listed = [
        each for each in schemas(document["components"]["schemas"]) if isinstance(each.get("enum"), list)
    ]
    assert len(listed) > 10
    for each in listed:
        members = each.get("x-enum-varnames", each["enum"])
        assert len(members) == len(each["enum"])
        assert [name for name in members if isinstance(name, str) and hasattr(str, name)] == []


def test_the_query_of_a_binary_request_is_declared(document: dict[str, Any]) -> None:
    """Every field but the array, which is the body; none is required, as JSON bodies contain them.

    ``params`` has its alias: openapi-python-client has a variable ``params`` in every function.
    """
    parameters = document["paths"]["/activate"]["post"]["parameters"]
    queried = {each["name"]: each for each in parameters if each["in"] == "query"}
    assert queried.keys() == ActivateRequest.model_fields.keys() - {"inputs", "params"} | {"parameters"}
    assert not any(each["required"] for each in queried.values())
    assert queried["rounding"]["schema"] == {"type": "string", "enum": ["fast", "proved"]}


def test_no_two_members_of_an_enumeration_are_alike(document: dict[str, Any]) -> None:
    """Generators make an identifier of each value, in which case and punctuation are lost."""
    for each in schemas(document):
        if isinstance(each.get("enum"), list):
            names = each.get("x-enum-varnames", each["enum"])
            identifiers = [re.sub(r"\W+", "_", str(name)).upper() for name in names]
            assert len(set(identifiers)) == len(each["enum"])
            assert all(name.isidentifier() for name in each.get("x-enum-varnames", ()))


def test_no_object_has_typed_fields_beside_others_of_another_type(document: dict[str, Any]) -> None:
    """TypeScript has no type for it, and orval's clients of such a document do not compile."""
    for each in schemas(document["components"]["schemas"]):
        if each.get("type") == "object" and each.get("properties"):
            assert isinstance(each.get("additionalProperties", False), bool)
