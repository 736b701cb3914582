"""The OpenAPI document: everything that is served is in it, and it is a document."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from api.control import HANDLERS as CONTROL
from api.identity.access import Access
from api.monitor import HANDLERS as MONITOR
from api.operations import operations_of
from api.panda import MODULES
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


def test_every_operation_of_ours_is_documented(document):
    assert document["openapi"].startswith("3.1")
    for operation in OPERATIONS:
        entry = document["paths"][operation.path][operation.method.lower()]
        assert entry["summary"], operation.path
        assert entry["x-access"] == operation.access
        named = {parameter["name"] for parameter in entry["parameters"] if parameter["in"] == "path"}
        assert named == set(re.findall(r"{(\w+)}", operation.path))
        assert ("requestBody" in entry) is (operation.body_model is not None)
        assert ("security" in entry) is (operation.access is not Access.OPEN)


def test_every_function_of_pandas_protocol_is_documented(document):
    for module, functions in MODULES.items():
        for name, value in vars(functions).items():
            if not hasattr(value, "__panda__"):
                continue
            entry = document["paths"][f"/api/v1/{module}/{name}"]
            for method in value.__panda__.methods:
                assert entry[method.lower()]["summary"]
                assert entry[method.lower()]["operationId"]


def test_nothing_is_documented_that_is_not_served(document, shared_system):
    client = shared_system.client("alice", "admin")
    for path, methods in document["paths"].items():
        if path.endswith("/stream"):
            continue
        address = re.sub(r"{\w+}", "1", path)
        for method in methods:
            response = client.request(method.upper(), address, **({} if method == "get" else {"json": {}}))
            assert response.json().get("code") != "unknown_operation", (method, path)
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
