"""schemathesis drives every operation of the project's own OpenAPI document, bodies included: nothing breaks a server.

What the document promises of an answer (status codes, content types, schemas) is held to it too.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.control import HANDLERS as CONTROL
from api.monitor import HANDLERS as MONITOR
from api.openapi import openapi_document
from api.operations import operations_of
from api.panda import MODULES
from tests.support.builders import activate, make_dataset, make_queue, make_task, start
from tests.support.system import RunningSystem, running_system

EXAMPLES = int(os.environ.get("PANDASCOPE_SCHEMATHESIS_EXAMPLES", "4"))
"""Per operation and kind of input; more of them search deeper."""

ENDPOINTS = {
    (module, name): value.__panda__
    for module, functions in MODULES.items()
    for name, value in vars(functions).items()
    if hasattr(value, "__panda__")
}
DOCUMENT = openapi_document(operations_of([*MONITOR, *CONTROL]), ENDPOINTS, "0")
OPERATIONS = [
    (method.upper(), path)
    for path, methods in DOCUMENT["paths"].items()
    for method in methods
    if not path.endswith("/stream")  # never ends; tests/api/monitor/test_stream.py reads it
]
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def house(module_database_url, tmp_path_factory) -> Iterator[RunningSystem]:
    """A server with a little of everything in it, whose agents rest."""
    with running_system(module_database_url, tmp_path_factory.mktemp("house"), agents=False) as system:
        make_queue(system.database, "Q")
        make_dataset(system.database, "in", ["a.txt"], at=["Q_DISK"])
        activate(system.database, 3)
        start(system.database, 3)
        make_task(system.database, inputDataset="in", jobParameters="cat %IN")
        yield system


@pytest.fixture(scope="module")
def session(house: RunningSystem) -> Iterator[requests.Session]:
    """Kept connections of somebody whom no role keeps out."""
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {house.token('alice', 'admin')}"
        yield session


@pytest.fixture(scope="module")
def document(house: RunningSystem) -> Any:
    """The document as it is served, read by schemathesis."""
    served = requests.get(f"{house.url}/api/openapi.json", timeout=30).json()
    assert served["paths"] == DOCUMENT["paths"]
    return schemathesis.openapi.from_dict(served)


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=[f"{method} {path}" for method, path in OPERATIONS])
def test_no_operation_breaks_and_every_answer_is_as_promised(house, session, document, method, path):
    operation = document[path][method]

    def drive(mode: GenerationMode) -> None:
        @settings(
            max_examples=EXAMPLES, phases=[Phase.generate], suppress_health_check=list(HealthCheck), deadline=None
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def throw(case: Any) -> None:
            response = case.call(base_url=house.url, session=session, timeout=30)
            case.validate_response(response, checks=CHECKS)
            response.json()

        throw()

    drive(GenerationMode.POSITIVE)
    # else there is nothing to get wrong: whatever stands in a path is text
    if operation.body or operation.query or any(not _is_text(entry) for entry in operation.path_parameters):
        drive(GenerationMode.NEGATIVE)


def _is_text(parameter: Any) -> bool:
    schema = parameter.definition.get("schema", {})
    return set(schema) <= {"type", "title", "description"} and schema.get("type") == "string"
