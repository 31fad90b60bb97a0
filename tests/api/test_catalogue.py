"""The catalogue, health and the OpenAPI document."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from app.core.activations import REGISTRY
from app.main import create_app
from app.settings import Settings
from tests.conftest import InProcess
from tests.support.document import document, documented
from tests.support.drawn import without_deadline


def test_every_function_is_listed(client: InProcess) -> None:
    listed = client.get("/functions").json()["functions"]
    assert [each["name"] for each in listed] == list(REGISTRY)
    for each in listed:
        assert each["title"]["en"]
        assert re.search("[가-힣]", each["summary"]["ko"])


@pytest.mark.parametrize("name", REGISTRY)
def test_every_function_has_its_facts(client: InProcess, name: str) -> None:
    answer = client.get(f"/functions/{name}")
    assert answer.status_code == 200, answer.text
    facts = answer.json()
    entry = REGISTRY[name]
    assert len(facts["latex"]) == len(entry.formulas.orders)
    assert all(latex.count("{") == latex.count("}") for latex in facts["latex"])
    assert [each["name"] for each in facts["parameters"]] == [each.name for each in entry.parameters]
    assert len(facts["kinks"]) == len(
        [kink for kink in entry.kinks if abs(entry.number(kink)) < float("inf")]
    )
    assert facts["references"]
    for framework in facts["frameworks"]:
        assert all(each in REGISTRY.framework_names for each in framework["names"])


@pytest.mark.parametrize("name", REGISTRY.framework_names)
def test_every_framework_name_has_its_facts(client: InProcess, name: str) -> None:
    answer = client.get(f"/functions/{name}")
    assert answer.status_code == 200, answer.text
    facts = answer.json()
    binding = REGISTRY.bindings(name)[0]
    framework = name.partition(":")[0]
    assert (facts["name"], facts["function"]) == (name, binding.activation.name)
    assert facts["vocabulary"]["framework"] == framework
    assert facts["vocabulary"]["versions"]
    given = {each["name"]: each["default"] for each in facts["parameters"]}
    for argument in binding.name.arguments:
        default = given.pop(argument.name)
        assert (None if default is None else float(default)) == argument.default
    assert not given
    assert all(name in each["names"] for each in facts["frameworks"])
    assert [each["switches"] for each in facts["frameworks"]] == [
        dict(each.name.options) for each in REGISTRY.bindings(name)
    ]


def test_facts_of_a_framework_name_hold_at_its_defaults(client: InProcess) -> None:
    threshold = client.get("/functions/onnx:ThresholdedRelu").json()
    assert threshold["at"] == {"threshold": 1.0, "value": 0.0}
    assert [each["at"] for each in threshold["kinks"]] == [1.0]
    assert threshold["parameters"][0]["name"] == "alpha"
    leaky = client.get("/functions/keras:LeakyReLU").json()
    assert leaky["at"] == {"negative_slope": 0.3}
    assert leaky["kinks"][0]["derivative"] == 0.3
    # √(2 / (1 + a²)), the gain of He et al. 2015
    assert leaky["gains"]["he"] == pytest.approx(math.sqrt(2 / (1 + 0.3**2)), rel=1e-12)
    # Facts that are stated for the function's own defaults are left out if the framework's defaults differ.
    assert client.get("/functions/keras:PReLU").json()["range"] is None
    assert client.get("/functions/torch:PReLU").json()["range"] is not None


@pytest.mark.parametrize("framework", REGISTRY.vocabularies)
def test_the_names_of_a_framework_are_listed(client: InProcess, framework: str) -> None:
    listed = client.get("/functions", params={"framework": framework}).json()
    assert {each["name"] for each in listed["functions"]} == {
        name for name in REGISTRY.framework_names if name.startswith(f"{framework}:")
    }
    assert all(each["function"] in REGISTRY for each in listed["functions"])
    assert [each["framework"] for each in listed["frameworks"]] == [framework]
    first = listed["functions"][0]
    assert client.get(first["href"]).json()["name"] == first["name"]


def test_every_framework_is_listed(client: InProcess) -> None:
    listed = client.get("/functions").json()
    assert [each["framework"] for each in listed["frameworks"]] == list(REGISTRY.vocabularies)
    assert all(each["sources"] for each in listed["frameworks"])


def test_an_unknown_framework_names_the_near_ones(client: InProcess) -> None:
    answer = client.get("/functions", params={"framework": "tinygrd"})
    assert answer.status_code == 422
    assert "tinygrad" in answer.json()["detail"]
    assert "tinygrd" not in answer.text
    assert answer.json()["errors"][0]["loc"] == ["query", "framework"]
    unknown = client.get("/functions/torch:LeakyRelux")
    assert unknown.status_code == 404
    assert "torch:LeakyReLU" in unknown.json()["detail"]


def test_the_document_declares_frameworks_and_their_names(client: InProcess) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    (framework,) = paths["/functions"]["get"]["parameters"]
    assert framework["schema"]["enum"] == list(REGISTRY.vocabularies)
    assert "422" in paths["/functions"]["get"]["responses"]
    (name,) = paths["/functions/{name}"]["get"]["parameters"]
    assert name["schema"]["enum"] == [*REGISTRY, *REGISTRY.framework_names]


def test_an_unknown_function_names_the_near_ones(client: InProcess) -> None:
    answer = client.get("/functions/sigmoyd")
    assert answer.status_code == 404
    assert "sigmoid" in answer.json()["detail"]
    assert "sigmoyd" not in answer.text


def test_unknown_paths_and_methods_are_problems(client: InProcess) -> None:
    for method, path, status in (("GET", "/nothing", 404), ("DELETE", "/activate", 405)):
        answer = client.request(method, path)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"


def test_health(client: InProcess) -> None:
    assert client.get("/healthz").json() == client.get("/readyz").json() == {"status": "ok"}


def test_not_ready_before_it_is_up() -> None:
    assert create_app(Settings()).state.ready is False


def test_the_document_holds_the_enum_of_function_names(client: InProcess) -> None:
    document = client.get("/openapi.json").json()
    schemas = document["components"]["schemas"]
    assert schemas["ActivateRequest"]["properties"]["function"]["$ref"] == "#/components/schemas/FunctionName"
    named, formula = schemas["FunctionName"]["anyOf"]
    assert named["enum"] == [*REGISTRY, *REGISTRY.framework_names]
    assert re.search(formula["pattern"], "formula:x * tanh(x)")
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_every_reference_in_the_document_resolves(client: InProcess) -> None:
    answer = client.get("/openapi.json")
    names = set(re.findall(r"#/components/schemas/([A-Za-z-]+)", answer.text))
    assert names
    assert names <= answer.json()["components"]["schemas"].keys()


def examples(document: dict[str, Any]) -> list[tuple[str, str, Any]]:
    found = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            content = operation.get("requestBody", {}).get("content", {})
            for key, example in content.get("application/json", {}).get("examples", {}).items():
                found.append((f"{method} {path} {key}", filled(path, operation), example["value"]))
    return found


def filled(path: str, operation: dict[str, Any]) -> str:
    """``path`` with the first example of each of its parameters."""
    parameters = [each for each in operation.get("parameters", []) if each["in"] == "path"]
    values = {each["name"]: next(iter(each["examples"].values()))["value"] for each in parameters}
    return path.format(**values)


EXAMPLES = examples(document())
assert EXAMPLES


@pytest.mark.parametrize(("path", "body"), [row[1:] for row in EXAMPLES], ids=[row[0] for row in EXAMPLES])
def test_every_example_runs_as_it_stands(client: InProcess, path: str, body: Any) -> None:
    assert client.post(path, json=body).status_code == 200


def test_the_documentation_needs_no_other_host(client: InProcess) -> None:
    page = client.get("/docs").text
    assert not re.search(r"""(src|href)=["'](https?:)?//""", page)
    for asset in re.findall(r"""(?:src|href)=["'](/[^"']+)["']""", page):
        assert client.get(asset).status_code == 200


@schemathesis.serializer("application/x-npy")
def _npy_body(_: Any, value: Any) -> bytes:
    """Generated bytes, which are hardly ever an array: the service must report that."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


def routes(schema: BaseSchema) -> BaseSchema:
    """The routes of values and of the catalogue; reference files, seconds each, have their own tests."""
    named = schema.include(path_regex="^/(activate|verify|functions|healthz|v2)")
    return named.exclude(path_regex="reference")


schema = schemathesis.openapi.from_asgi("/openapi.json", documented())
schema.config.phases.coverage.enabled = False  # test_catalogue_bounds.py has it
requests = routes(schema)


def keeps_to_its_document(case: Case[Any]) -> None:
    """All but constraints between fields (a function's parameters, matching shapes).

    OpenAPI cannot express those: requests that match the schema may still be refused.
    """
    checks = [
        not_a_server_error,
        status_code_conformance,
        content_type_conformance,
        response_schema_conformance,
    ]
    # Longer than any computation may take, so that the client does not disconnect before the answer.
    without_deadline(case).call_and_validate(checks=checks, timeout=2 * Settings().request_timeout)


@requests.exclude(path_regex="verify").parametrize()
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_service_keeps_to_its_document(case: Case[Any]) -> None:
    keeps_to_its_document(case)
