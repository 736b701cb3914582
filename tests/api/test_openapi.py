"""The OpenAPI document: everything that is served is in it, and it is a document."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from api.control import HANDLERS as CONTROL
from api.identity.access import Access
from api.monitor import HANDLERS as MONITOR
from api.operations import operations_of
from api.panda import MODULES
from api.panda.kernel import Auth
from api.panda.legacy import LEGACY_METHODS
from tests.support.system import RunningSystem

OPERATIONS = operations_of([*MONITOR, *CONTROL])


@pytest.fixture(scope="module")
def document(shared_system: RunningSystem) -> dict[str, Any]:
    with httpx.Client(base_url=shared_system.url) as nobody:
        response = nobody.get("/api/openapi.json")
    assert response.status_code == 200
    return response.json()


def all_of(value: Any) -> list[dict[str, Any]]:
    """Every object in a document."""
    if isinstance(value, dict):
        return [value, *(found for entry in value.values() for found in all_of(entry))]
    return [found for entry in value for found in all_of(entry)] if isinstance(value, list) else []


@dataclass(frozen=True)
class Described:
    """What the document says of one operation of PanDA's protocol."""

    access: str
    is_protected: bool
    names: set[str]
    required: set[str]
    is_multipart: bool


def described(entry: dict[str, Any]) -> Described:
    """An operation in short."""
    query = entry.get("parameters", [])
    content = entry.get("requestBody", {}).get("content", {})
    schemas = [media["schema"] for media in content.values()]
    return Described(
        entry["x-access"],
        "security" in entry,
        {field["name"] for field in query} | {name for schema in schemas for name in schema["properties"]},
        {field["name"] for field in query if field.get("required")}
        | {name for schema in schemas for name in schema["required"]},
        "multipart/form-data" in content,
    )


def test_every_operation_of_ours_is_documented(document):
    assert document["openapi"].startswith("3.1")
    for operation in OPERATIONS:
        entry = document["paths"][operation.path][operation.method.lower()]
        assert entry["summary"], operation.path
        assert entry["x-access"] == operation.access
        named = {parameter["name"] for parameter in entry["parameters"] if parameter["in"] == "path"}
        assert named == set(re.findall(r"{(\w+)}", operation.path))
        assert ("requestBody" in entry) is bool(operation.body_model or operation.raw_types)
        assert ("security" in entry) is (operation.access is not Access.OPEN)


def test_every_function_of_pandas_protocol_is_documented(document):
    for module, functions in MODULES.items():
        for name, value in vars(functions).items():
            if not hasattr(value, "__panda__"):
                continue
            entry = document["paths"][f"/api/v1/{module}/{name}"]
            assert set(entry) == {method.lower() for method in value.__panda__.methods}
            for method in entry:
                assert entry[method]["summary"]
                assert entry[method]["operationId"]
                said = described(entry[method])
                assert (said.access, said.is_protected) == (value.__panda__.auth, value.__panda__.auth is not Auth.OPEN)
                assert set(said.names) == set(value.__panda__.hints) | ({"any"} if value.__panda__.takes_any else set())
                assert said.required == set(value.__panda__.hints) - set(value.__panda__.defaults)
                assert said.is_multipart is bool(value.__panda__.upload_name)


def test_every_old_method_is_documented_under_its_old_names(document):
    for name, old in LEGACY_METHODS.items():
        endpoint = getattr(MODULES[old.module], old.function).__panda__
        entry = document["paths"][f"/server/panda/{name}"]
        assert set(entry) == ({"post", "put"} if endpoint.upload_name else {"get", "post"})
        for method in entry:
            said = described(entry[method])
            assert said.access == endpoint.auth
            assert not said.names & set(old.names.values()) - set(old.names)
            assert len(said.names) == len(endpoint.hints)
            assert said.is_multipart is bool(endpoint.upload_name)
    assert "jobId" in described(document["paths"]["/server/panda/updateJob"]["post"]).required


def test_lists_files_and_defaults_are_documented_as_they_are(document):
    paths = document["paths"]
    by_name = {entry["name"]: entry for entry in paths["/api/v1/task/get_datasets_and_files"]["get"]["parameters"]}
    assert by_name["dataset_types"]["schema"] == {
        "type": "array",
        "items": {"type": "string"},
        "default": ["input", "pseudo_input"],
    }
    assert by_name["dataset_only"]["schema"] == {"type": "boolean", "default": False}
    body = paths["/api/v1/file_server/upload_cache_file"]["post"]["requestBody"]["content"]["multipart/form-data"]
    assert body["schema"]["properties"] == {"file": {"type": "string", "format": "binary"}}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda entry: f"{entry.method} {entry.path}")
def test_no_operation_reads_a_number_that_the_database_cannot_hold(operation):
    models = [model for model in (operation.query_model, operation.body_model) if model is not None]
    schemas = [model.model_json_schema() for model in models]
    schemas += [adapter.json_schema() for adapter in operation.path_types.values()]
    for entry in all_of(schemas):
        if entry.get("type") == "integer":
            most, least = (
                entry.get(f"{word}imum", entry.get(f"exclusive{word.title()}imum")) for word in ("max", "min")
            )
            assert most is not None and least is not None, f"{entry}: without a bound; see Id and Whole of api.strict"
            assert least >= -(2**63) and most <= 2**63


def test_nothing_is_documented_that_is_not_served(document, shared_system):
    client = shared_system.client("alice", "admin")
    for path, methods in document["paths"].items():
        if path.endswith("/stream"):
            continue
        address = re.sub(r"{\w+}", "1", path)
        for method in methods:
            response = client.request(method.upper(), address, **({} if method == "get" else {"json": {}}))
            assert "unknown_operation" not in response.text, (method, path)
            assert f"method {path.rpartition('/')[2]} is forbidden" not in response.text
            assert response.status_code < 500


def test_every_reference_leads_somewhere(document):
    schemas = document["components"]["schemas"]
    references = [entry["$ref"] for entry in all_of(document) if "$ref" in entry]
    assert references
    for reference in references:
        assert reference.removeprefix("#/components/schemas/") in schemas, reference


def test_operation_ids_differ(document):
    ids = [entry["operationId"] for entry in all_of(document["paths"]) if "operationId" in entry]
    assert len(set(ids)) == len(ids)
