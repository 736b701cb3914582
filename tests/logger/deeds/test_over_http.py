"""Actions, deeds, the audit and the shift log over real HTTP, with the agents of a running server."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from logger.agents import build_agents
from tests.logger.deeds.builders import make_incident, queue
from tests.support.builders import activate, make_queue
from tests.support.system import RunningSystem, eventually, running_system


@pytest.fixture(scope="module")
def site(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    directory = tmp_path_factory.mktemp("deeds")
    with running_system(module_database_url, directory, further_agents=build_agents) as running:
        yield running


def ok(response: httpx.Response, status: int = 200) -> dict[str, Any]:
    assert response.status_code == status, response.text
    answer: dict[str, Any] = response.json()
    return answer


def preview(client: httpx.Client, action: str, **body: Any) -> dict[str, Any]:
    return ok(client.post("/api/control/actions/preview", json={"action": action, **body}))


def test_a_drain_is_previewed_confirmed_listed_and_undone(site: RunningSystem) -> None:
    make_queue(site.database, "HTTP")
    olga = site.client("olga", "operator")
    made = preview(olga, "drain", queues=["HTTP"], parameters={"until": "2h"}, reason="fans", via="cli")
    assert made["target_count"] == 1 and made["inverse"] and made["targets"][0]["target"] == "HTTP"
    assert {"what", "count", "sentence"} == set(made["consequences"][0]) and made["expires"] > made["as_of"]
    deed = ok(olga.post("/api/control/actions/confirm", json={"token": made["token"]}), 201)["deed"]
    assert (deed["state"], deed["via"], deed["can_be_undone"], deed["revert_state"]) == ("done", "cli", True, "waiting")
    assert queue(site.database, "HTTP")["status"] == "brokeroff"

    again = olga.post("/api/control/actions/confirm", json={"token": made["token"]})
    assert (again.status_code, again.json()["code"]) == (409, "preview_used")

    listed = ok(olga.get("/api/monitor/deeds", params={"target": "HTTP"}))
    assert listed["deeds"][0]["deed_id"] == deed["deed_id"] and len(listed["actions"]) == 12
    one = ok(olga.get(f"/api/monitor/deed/{deed['deed_id']}"))
    assert one["targets"][0]["state"] == "done" and one["target_states"] == {"done": 1}
    entries = ok(olga.get("/api/monitor/audit", params={"object_kind": "queue", "object_id": "HTTP"}))["entries"]
    assert entries[0]["after"] == {"status": "brokeroff", "status_set_by": "person"} and entries[0]["reason"] == "fans"

    undone = ok(olga.post(f"/api/control/deed/{deed['deed_id']}/undo", json={"reason": "repaired"}))["deed"]
    assert undone["action"] == "undo" and queue(site.database, "HTTP")["status"] == "online"
    twice = olga.post(f"/api/control/deed/{deed['deed_id']}/undo", json={})
    assert (twice.status_code, twice.json()["code"]) == (409, "not_undoable")


def test_a_changed_set_is_answered_with_what_is_different_and_a_fresh_preview(site: RunningSystem) -> None:
    make_queue(site.database, "CHANGED")
    olga = site.client("olga", "operator")
    made = preview(olga, "offline", queues=["CHANGED"])
    ok(olga.put("/api/control/queue/CHANGED", json={"status": "test"}))
    answer = olga.post("/api/control/actions/confirm", json={"token": made["token"]})
    body = answer.json()
    assert (answer.status_code, body["code"]) == (409, "preview_outdated")
    assert answer.headers["content-type"] == "application/problem+json"
    assert body["difference"] == ["1 queue changed: CHANGED is test, set by a person"]
    assert body["preview"]["token"] != made["token"] and body["remedy"]
    ok(olga.post("/api/control/actions/confirm", json={"token": body["preview"]["token"]}), 201)
    assert queue(site.database, "CHANGED")["status"] == "offline"


def test_another_session_of_the_same_person_cannot_confirm(site: RunningSystem) -> None:
    key = make_incident(site.database)
    made = preview(site.client("olga", "operator"), "resolve", incidents=[key])
    other = site.client("olga", "operator").post("/api/control/actions/confirm", json={"token": made["token"]})
    assert (other.status_code, other.json()["code"]) == (403, "preview_not_yours")


def test_users_end_their_own_jobs_and_nothing_else(site: RunningSystem) -> None:
    make_queue(site.database, "OWN")
    mine, bobs = (activate(site.database, 1, queue="OWN", user=user) for user in ("alice", "bob"))
    alice = site.client("alice")
    made = preview(alice, "kill", jobs=mine + bobs)
    assert made["refused_count"] == 1 and made["inverse"] == "" and made["no_inverse"]
    deed = ok(alice.post("/api/control/actions/confirm", json={"token": made["token"]}), 201)["deed"]
    assert (deed["state"], deed["result"]["done"], deed["can_be_undone"]) == ("partly", 1, False)
    refused = alice.post("/api/control/actions/preview", json={"action": "drain", "queues": ["OWN"]})
    assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")
    nobody = httpx.post(f"{site.url}/api/control/actions/preview", json={"action": "kill", "jobs": mine})
    assert nobody.status_code == 401


def test_the_agents_take_back_what_was_to_end(site: RunningSystem) -> None:
    make_queue(site.database, "REVERTS")
    olga = site.client("olga", "operator")
    made = preview(olga, "drain", queues=["REVERTS"], parameters={"until": "18:00"})
    deed = ok(olga.post("/api/control/actions/confirm", json={"token": made["token"]}), 201)["deed"]
    past = "UPDATE deeds SET revert_time = clock_timestamp() - interval '1 second' WHERE deed_id = %(id)s"
    site.database.execute(past, {"id": deed["deed_id"]})
    eventually(lambda: queue(site.database, "REVERTS")["status"] == "online", what="the drain ends")
    address = f"/api/monitor/deed/{deed['deed_id']}"
    eventually(lambda: ok(olga.get(address))["deed"]["revert_state"] == "done", what="the deed says so")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"action": "drain", "queues": ["LOCAL"]}, "parameters.until"),
        ({"action": "explode", "queues": ["LOCAL"]}, "action"),
        ({"action": "kill", "jobs": ["5"]}, "jobs.0"),
        ({"action": "kill", "jobs": [2**70]}, "jobs.0"),
        ({"action": "kill", "filter": {"color": "red"}}, "filter.color"),
        ({"action": "kill"}, "jobs"),
        ({"action": "resolve", "incidents": [1], "colour": "red"}, "colour"),
    ],
)
def test_what_makes_no_sense_is_a_422_that_names_the_field(
    site: RunningSystem, body: dict[str, Any], field: str
) -> None:
    answer = site.client("olga", "operator").post("/api/control/actions/preview", json=body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["field"] == field


def test_a_shift_from_its_beginning_to_the_document(site: RunningSystem) -> None:
    olga, otto = site.client("olga", "operator"), site.client("otto", "operator")
    nothing = olga.post("/api/control/shift/note", json={"text": "x"})
    assert (nothing.status_code, nothing.json()["code"]) == (409, "conflict")
    shift = ok(olga.post("/api/control/shift/start", json={}), 201)["shift"]
    assert shift["people"] == ["olga"]
    ok(olga.post("/api/control/shift/note", json={"text": "cooling is *broken*"}), 201)
    number = shift["shift_id"]
    listed = ok(olga.get("/api/monitor/shifts"))
    assert listed["running"] == number and listed["watch"]["changes"] == ["07:00", "15:00", "23:00"]
    seen = ok(olga.get(f"/api/monitor/shift/{number}"))
    assert seen["notes"][0]["text"] == "cooling is *broken*" and r"cooling is \*broken\*" in seen["draft"]
    signed = ok(olga.post("/api/control/shift/sign-out", json={}))["shift"]
    same = olga.post("/api/control/shift/sign-in", json={"shift_id": number})
    assert same.status_code == 409
    body = {"shift_id": number, "digest": signed["digest"], "people": ["otto"]}
    following = ok(otto.post("/api/control/shift/sign-in", json=body), 201)["shift"]
    assert following["previous_id"] == number
    document = olga.get(f"/api/monitor/shift/{number}", params={"format": "markdown"})
    assert document.headers["content-type"] == "text/markdown; charset=utf-8"
    assert "Taken over by otto" in document.text and signed["digest"] in document.text
    assert site.client("alice").post("/api/control/shift/start", json={}).status_code == 403
