"""The calls of the incident store against the contract that the server gives, and both clients at work with them."""

from __future__ import annotations

import asyncio
import inspect
import re
from typing import Any

import pytest

from pandascope import AsyncClient, Client
from pandascope.errors import NotFound, Refused
from pandascope.incident_calls import IncidentCalls
from pandascope.steps import Call
from tests.logger.deeds.builders import make_incident
from tests.support.builders import make_queue
from tests.support.system import RunningSystem

_PART = re.compile(r"\{[^}]+\}")


class Written(IncidentCalls[Call]):
    """A client that sends nothing: what it would send."""

    def _document(self, call: Call) -> Call:
        return call


ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "compare_incidents": (1, 2),
    "assign": (1, "bob", "look"),
    "comment": (1, "seen"),
    "set_severity": (1, "error", "why"),
    "set_links": (1, [{"title": "t", "url": "https://x.example.org"}], "why"),
    "merge_incident": (1, 2, "same"),
    "split_incident": (1, "computing_site", "CERN", "other"),
    "silence_incident": (1, "time", "2h", "known"),
    "silence_matching": ({"class": "network"}, "time", "2h", "known"),
    "confirm_action": ("x" * 43, "why"),
    "undo_deed": (1, "why"),
    "cancel_revert": (1, "why"),
    "add_incident_rule": ({"name": "a", "evaluator": "job", "parameters": {}},),
    "change_incident_rule": (1, 1, {"parameters": {}, "is_active": True}),
    "restore_incident_rule": (1, 2, 1),
    "remove_incident_rule": (1, 1),
    "try_incident_rule": ({"rule_id": 1, "parameters": {}}, 7.0),
    "add_notice_route": ({"name": "a", "channel": "mail", "target": "a@example.org"},),
    "change_notice_route": (1, 1, {"is_active": True}),
    "start_shift": ("shift", ["ann"]),
    "note_shift": (1, "text", 2),
    "edit_draft": (1, "text", "2026-11-26T20:00:00+00:00"),
    "sign_out": (1,),
    "sign_in": (1, ["bob"], "abc"),
    "acknowledge": (1, "why"),
    "reopen": (1, "why"),
    "hold": (1, "why"),
    "release": (1, "why"),
}
NAMED: dict[str, dict[str, Any]] = {
    "resolve": {"incident_id": 1, "comment": "why", "reason": "fixed"},
    "open_incident": {"title": "a", "severity": "error", "queue": "Q", "task": 1, "text": "b", "panda_ids": [1]},
    "preview_action": {
        "action": "kill",
        **{key: [1] for key in ("incidents", "jobs", "tasks")},
        "queues": ["Q"],
        "filter": {"user": "ann"},
        "parameters": {"input": "again"},
        "reason": "why",
        "accept_ended": True,
    },
}
METHODS = [name for name, _ in inspect.getmembers(IncidentCalls, inspect.isfunction) if not name.startswith("_")]
STORE = re.compile(
    r"/api/(control|monitor)/(incident|incidents|silence|silences|fingerprint-link|actions|deed|deeds|audit|incident-rules?"
    r"|notice-routes?|notices|shifts?|records|record-counts|senders)(/|$)"
)


def written(name: str) -> Call:
    """The call of a method, with every argument it has."""
    method = getattr(Written(), name)
    if name in NAMED:
        call = method(**NAMED[name])
    elif name in ARGUMENTS:
        call = method(*ARGUMENTS[name])
    else:
        needed = [one for one in inspect.signature(method).parameters.values() if one.default is one.empty]
        call = method(*[1 for one in needed if one.kind is not one.VAR_KEYWORD])
    assert isinstance(call, Call)
    return call


@pytest.fixture(scope="module")
def contract(shared_system: RunningSystem) -> dict[str, Any]:
    """The document that describes the server's operations."""
    return dict(shared_system.client().get("/api/openapi.json").json())


def operation_of(contract: dict[str, Any], call: Call) -> tuple[str, str, dict[str, Any]]:
    method = call.request.method.lower()
    for path, operations in contract["paths"].items():
        if method in operations and re.fullmatch(_PART.sub("[^/]+", path), call.request.path):
            return method, path, operations[method]
    raise AssertionError(f"the server has no {call.request.method} {call.request.path}")


def fields_of(contract: dict[str, Any], operation: dict[str, Any]) -> set[str]:
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    while "$ref" in schema:
        schema = contract["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return set(schema.get("properties", {}))


@pytest.mark.parametrize("name", METHODS)
def test_every_call_is_one_that_the_server_takes(contract: dict[str, Any], name: str) -> None:
    call = written(name)
    _, _, operation = operation_of(contract, call)
    if call.request.json is not None:
        assert set(call.request.json) <= fields_of(contract, operation), name
    known = {one["name"] for one in operation.get("parameters", [])}
    assert {key for key, value in (call.request.params or {}).items() if value is not None} <= known


def test_whatever_the_server_has_of_incidents_can_be_called(contract: dict[str, Any]) -> None:
    called = {operation_of(contract, written(name))[:2] for name in METHODS}
    there = {
        (method, path) for path, operations in contract["paths"].items() for method in operations if STORE.match(path)
    }
    assert there - called == set()


def test_deeds_say_where_they_come_from() -> None:
    client = Written()
    client.via = "console"
    assert all(
        call.request.json["via"] == "console"
        for call in (
            *(client.preview_action("kill", jobs=[1]), client.confirm_action("x"), client.undo_deed(1)),
            *(client.hold(1), client.silence_incident(1), client.merge_incident(1, 2), client.sign_out()),
            *(client.add_notice_route({"name": "a"}), client.change_notice_route(1, 2, {"name": "b"})),
        )
    )
    for call in (client.remove_notice_route(1), client.test_notice_route(1)):
        assert call.request.params == {"via": "console"} and call.request.json is None


def test_what_is_not_said_is_not_sent() -> None:
    assert written("sign_out").request.json == {"shift_id": 1, "via": "api"}
    assert Written().sign_out().request.json == {"via": "api"}
    assert Written().acknowledge(1).request.json == {"via": "api"}
    assert set(Written().open_incident("a").request.json) == {"title", "severity", "via"}


def test_both_clients_do_the_same_work(shared_system: RunningSystem) -> None:
    token = shared_system.token("ann", "operator")
    make_queue(shared_system.database, "BOTH")
    incident_id = make_incident(shared_system.database, title="both")
    with Client(shared_system.url, token, via="web") as client:
        assert client.acknowledge(incident_id, "mine")["owner"] == "ann"
        made = client.preview_action("drain", queues=["BOTH"], parameters={"until": "never"})
        deed = client.confirm_action(made["token"], "why")
        assert (deed["via"], deed["reason"]) == ("web", "why")

    async def go_on() -> dict[str, Any]:
        async with AsyncClient(shared_system.url, token) as also:
            undone, seen = await asyncio.gather(also.undo_deed(deed["deed_id"]), also.incident(incident_id))
            assert seen["incident"]["owner"] == "ann"
            return undone

    undone = asyncio.run(go_on())
    assert (undone["action"], undone["via"]) == ("undo", "api")


def test_a_handover_comes_as_text_and_a_refusal_of_it_as_a_refusal(shared_system: RunningSystem) -> None:
    with Client(shared_system.url, shared_system.token("ann", "operator")) as client:
        shift = client.start_shift("desk")
        text = client.shift_markdown(shift["shift_id"])["markdown"]
        assert text.startswith("# Handover of desk") and "Not signed yet." in text
        with pytest.raises(NotFound, match="no shift"):
            client.shift_markdown(999_999)
        with pytest.raises(Refused) as refused:
            client.start_shift("desk")
        assert refused.value.problem["code"] == refused.value.code == "conflict"
