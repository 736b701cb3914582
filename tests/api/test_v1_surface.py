"""The whole of PanDA's v1 API is here: every endpoint with its method, its access and its parameters (server-api.md 1).

`v1_surface.csv` is that section as data; a parameter with a `!` is required. More optional parameters are fine.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, get_args, get_origin

import httpx
import pytest

from api.panda import MODULES
from api.panda.kernel import NOT_IMPLEMENTED, Auth, Endpoint
from api.uploads import Upload
from tests.support.builders import everything
from tests.support.system import RunningSystem

ENDPOINTS: dict[tuple[str, str], Endpoint] = {
    (module, name): value.__panda__
    for module, functions in MODULES.items()
    for name, value in vars(functions).items()
    if hasattr(value, "__panda__")
}


@dataclass(frozen=True)
class Expected:
    """One endpoint as the published server has it."""

    module: str
    function: str
    methods: tuple[str, ...]
    auth: Auth
    tier: int
    required: frozenset[str]
    optional: dict[str, Any]
    """Name -> default."""

    @property
    def path(self) -> str:
        return f"{self.module}/{self.function}"


def surface() -> list[Expected]:
    """The rows of `v1_surface.csv`; parameters there are `name!`, `name` (null when left out) or `name=default`."""
    with (Path(__file__).parent / "v1_surface.csv").open(newline="") as file:
        return [_expected(row) for row in csv.DictReader(file)]


def _expected(row: dict[str, str]) -> Expected:
    words = row["parameters"].split()
    optional = [word.partition("=") for word in words if not word.endswith("!")]
    return Expected(
        module=row["module"],
        function=row["function"],
        methods=tuple(row["methods"].split()),
        auth=Auth(row["auth"]),
        tier=int(row["tier"]),
        required=frozenset(word[:-1] for word in words if word.endswith("!")),
        optional={name: json.loads(default) if default else None for name, _, default in optional},
    )


SURFACE = surface()
OWNED_HERE = {"task/reassign", "task/reload_input", "task/kill_unfinished_jobs"}
"""Upstream forgets to ask who owns the task (server-api.md 1.16 and 7.3); here its owner or a production role is needed."""
NOT_BUILT_MODULES = ("event", "workflow", "idds", "async_process")
every_endpoint = pytest.mark.parametrize("expected", SURFACE, ids=lambda entry: entry.path)


def found(expected: Expected) -> Endpoint:
    endpoint = ENDPOINTS.get((expected.module, expected.function))
    assert endpoint is not None, f"there is no {expected.path}"
    return endpoint


def sample(kind: Any) -> Any:
    """A value that passes for a type."""
    options = [option for option in get_args(kind) if option is not type(None)]
    if get_origin(kind) is None and kind is not dict:
        return {int: 1, float: 1.5, bool: True, str: "1"}.get(kind, 1)
    if get_origin(kind) is list:
        return [sample(options[0])]
    return {} if kind is dict or get_origin(kind) is dict else sample(options[0])


NONSENSE: dict[Any, Any] = {int: "x", float: [1], bool: "maybe", str: {"a": 1}, dict: "x", list: {"a": [None]}}
"""Values that no leniency makes sense of."""
NONSENSE_IN_A_QUERY: dict[Any, Any] = {int: "x", float: ["1", "1"], bool: ["true", "false"], str: ["a", "b"]}


def nonsense(kind: Any, method: str) -> Any:
    """A value that does not pass for a type; None when everything does."""
    options = [option for option in get_args(kind) if option is not type(None)]
    if get_origin(kind) is list and (options == [Any] or method == "GET"):
        return "x" if options in ([Any], [int]) else None
    if get_origin(kind) in (None, list, dict):
        known = NONSENSE_IN_A_QUERY if method == "GET" else NONSENSE
        return known.get(get_origin(kind) or kind)
    return nonsense(options[0], method) if len(options) == 1 else None


def call(client: httpx.Client, expected: Expected) -> httpx.Response:
    """A request with everything that is required."""
    endpoint = found(expected)
    path = f"/api/v1/{expected.path}"
    values = {name: sample(endpoint.hints[name]) for name in expected.required if endpoint.hints[name] is not Upload}
    if endpoint.methods[0] == "GET":
        return client.get(path, params=values)
    if endpoint.upload_name:
        return client.post(path, data=values, files={endpoint.upload_name: ("1_1", b"x")})
    return client.post(path, json=values)


def test_the_list_is_the_whole_of_the_reference():
    assert len(SURFACE) == len({entry.path for entry in SURFACE}) == 108
    assert Counter(entry.auth for entry in SURFACE) == {"secure": 58, "production": 37, "owner": 4, "open": 9}
    assert Counter(entry.tier for entry in SURFACE) == {1: 39, 2: 39, 3: 30}


@every_endpoint
def test_an_endpoint_is_called_as_the_published_one(expected):
    endpoint = found(expected)
    assert set(endpoint.methods) == set(expected.methods)
    assert endpoint.auth is (Auth.OWNER if expected.path in OWNED_HERE else expected.auth)
    assert {name for name in endpoint.hints if name not in endpoint.defaults} == expected.required
    ours = {name: endpoint.defaults[name] for name in expected.optional}
    # an empty list of options is no options
    assert {name: default or None for name, default in ours.items()} == {
        name: default or None for name, default in expected.optional.items()
    }


@pytest.mark.parametrize("module", MODULES)
def test_what_is_missing_or_makes_no_sense_is_named_and_changes_nothing(module, shared_system: RunningSystem):
    client = shared_system.client("root", "admin")
    before = everything(shared_system.database)
    for expected in (entry for entry in SURFACE if entry.module == module):
        endpoint = found(expected)
        kinds = {} if endpoint.upload_name else endpoint.hints  # files: tests/api/test_file_server.py
        good = {name: sample(kinds[name]) for name in expected.required & kinds.keys()}
        for method, (name, kind) in product(endpoint.methods, kinds.items()):
            if name in expected.required:
                answer = send(client, method, expected, {key: value for key, value in good.items() if key != name})
                assert answer == refusal(f"Argument error: missing a required argument: '{name}'")
            if (value := nonsense(kind, method)) is not None:
                answer = send(client, method, expected, {**good, name: value})
                assert answer == refusal(answer["message"]), (expected.path, answer)
                assert answer["message"].startswith(f"Type error: '{name}' must be "), (expected.path, answer)
    assert everything(shared_system.database) == before


def send(client: httpx.Client, method: str, expected: Expected, values: dict[str, Any]) -> dict[str, Any]:
    """The envelope that answers `values`."""
    sent = {"params": values} if method == "GET" else {"json": values}
    response = client.request(method, f"/api/v1/{expected.path}", **sent)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def refusal(message: str) -> dict[str, Any]:
    """An envelope that says no."""
    return {"success": False, "message": message, "data": None}


@pytest.mark.parametrize(
    "expected", [entry for entry in SURFACE if entry.auth is not Auth.OPEN], ids=lambda entry: entry.path
)
def test_access_is_asked_before_anything_else(expected, shared_system: RunningSystem):
    found(expected)
    with httpx.Client(base_url=shared_system.url, timeout=30) as nobody:
        answer = nobody.request(expected.methods[0], f"/api/v1/{expected.path}").json()
    assert (answer["success"], answer["data"]) == (False, None)
    assert answer["message"].startswith("SSL secure connection is required")
    if expected.auth is Auth.PRODUCTION:
        answer = call(shared_system.client("alice"), expected).json()
        assert answer["message"] == "production or pilot role required"


@pytest.mark.parametrize("expected", [entry for entry in SURFACE if entry.tier == 3], ids=lambda entry: entry.path)
def test_what_is_advanced_works_or_says_that_it_is_not_there(expected, shared_system: RunningSystem):
    response = call(shared_system.client("root", "admin"), expected)
    assert response.status_code == 200, response.text
    answer = response.json()
    if isinstance(answer, str):
        assert answer
        return
    assert set(answer) == {"success", "message", "data"}
    assert answer["success"] or answer["message"]
    if expected.module in NOT_BUILT_MODULES:
        assert answer["success"] is False
        assert answer["data"]["code"] == NOT_IMPLEMENTED
        assert answer["data"]["feature"] in answer["message"]


def test_the_user_clients_question_for_a_workflow_is_refused_with_a_type(shared_system: RunningSystem):
    answer = shared_system.client("alice").get("/api/v1/workflow/get_workflow_details?workflow_id=1").json()
    assert (answer["success"], answer["data"]["code"]) == (False, NOT_IMPLEMENTED)
