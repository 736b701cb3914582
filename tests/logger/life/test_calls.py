"""The calls of incidents over real HTTP: what each answers, who may, and refusals that name field and remedy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from core.clock import utc_now
from core.database import Database
from logger.folding import fold
from tests.logger.life.test_grouping import event
from tests.support.system import RunningSystem, running_system


@pytest.fixture(scope="module")
def house(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    """A server whose agents rest."""
    with running_system(module_database_url, tmp_path_factory.mktemp("life"), agents=False) as system:
        yield system


@pytest.fixture(scope="module")
def olga(house: RunningSystem) -> httpx.Client:
    return house.client("olga", "operator")


@pytest.fixture
def database(house: RunningSystem) -> Database:
    return house.database


def trouble(database: Database, key: str, *sites: str) -> str:
    """The address of a new incident."""
    with database.transaction() as transaction:
        now = utc_now()
        events = [event(key, site, time=now) for site in sites or ("CERN",)]
        return f"/api/control/incident/{fold(transaction, events, now)[0]}"


def post(client: httpx.Client, path: str, status: int = 200, **body: Any) -> dict[str, Any]:
    answer = client.post(path, json=body)
    assert answer.status_code == status, answer.text
    document: dict[str, Any] = answer.json()
    return document


def test_an_incident_from_hand_to_hand(olga: httpx.Client, database: Database) -> None:
    one = trouble(database, "hand")
    assert post(olga, f"{one}/assign", who="bob", comment="please")["incident"]["assigned_to"] == "bob"
    assert post(olga, f"{one}/acknowledge")["incident"]["owner"] == "olga"
    assert post(olga, f"{one}/severity", severity="critical")["incident"]["held_by"] == "olga"
    assert post(olga, f"{one}/release")["incident"]["held_by"] == ""
    assert post(olga, f"{one}/hold")["incident"]["held_by"] == "olga"
    links = [{"title": "ticket", "url": "https://tickets.example/7"}]
    assert post(olga, f"{one}/links", links=links)["incident"]["links"] == links
    post(olga, f"{one}/comment", comment="it is the switch")
    assert post(olga, f"{one}/resolve", reason="fixed", comment="new switch")["incident"]["state"] == "resolved"
    assert post(olga, f"{one}/reopen")["incident"]["state"] == "reopened"
    page = olga.get(one.replace("control", "monitor")).json()
    assert [entry["action"] for entry in page["activity"] if entry["who"] == "olga"] == [
        *("assign", "acknowledge", "severity", "release", "hold", "links", "comment", "resolve", "reopen")
    ]
    audited = database.fetch(
        "SELECT DISTINCT who, via, roles FROM audit WHERE object_kind = 'incident' AND object_id = %(id)s",
        {"id": one.rsplit("/", 1)[1]},
    )
    assert [(row["who"], row["via"]) for row in audited] == [("olga", "api")]
    assert "operator" in audited[0]["roles"]


def test_silences_over_http(olga: httpx.Client, database: Database) -> None:
    one = trouble(database, "quiet", "SARA")
    made = post(olga, f"{one}/silence", 201, until_kind="time", until="2h", reason="downtime")
    assert made["incident"]["state"] == "silenced" and made["silence"]["reason"] == "downtime"
    assert made["silence"]["growth"] == {"events": 0, "factor": 1.0}
    shown = olga.get("/api/monitor/silences", params={"who": "olga"}).json()["silences"]
    assert [row["silence_id"] for row in shown] == [made["silence"]["silence_id"]]
    ended = olga.delete(f"/api/control/silence/{made['silence']['silence_id']}").json()["silence"]
    assert ended["ended_by"] == "olga"
    again = olga.delete(f"/api/control/silence/{made['silence']['silence_id']}")
    assert again.status_code == 409 and again.json()["field"] == "silence_id" and again.json()["remedy"]
    wide = post(olga, "/api/control/silences", 201, matcher={"queue": "SARA"}, until_kind="shift", reason="downtime")
    assert [f"/api/control/incident/{number}" for number in wide["incidents"]] == [one]
    assert wide["silence"]["caught"] == 1
    bad = olga.post("/api/control/silences", json={"matcher": {"colour": "red"}, "until_kind": "shift"})
    assert bad.status_code == 422 and bad.json()["field"] == "colour"


def test_merge_split_and_back_over_http(olga: httpx.Client, database: Database) -> None:
    one, other = trouble(database, "merge me", "CERN", "BNL"), trouble(database, "into me")
    target = int(other.rsplit("/", 1)[1])
    merged = post(olga, f"{one}/merge", into=target, comment="same disk")
    assert (merged["incident"]["incident_id"], merged["incident"]["job_count"]) == (target, 3)
    assert "moved" not in merged["link"]
    refused = olga.post(f"{one}/merge", json={"into": target})
    assert refused.status_code == 409 and refused.json()["field"] == "incident_id"
    part = post(olga, f"{other}/split", dimension="computing_site", value="BNL")
    assert part["incident"]["job_count"] == 1 and part["incident"]["computing_site"] == "BNL"
    for link in (part["link"], merged["link"]):
        taken_back = olga.delete(f"/api/control/fingerprint-link/{link['link_id']}")
        assert taken_back.status_code == 200, taken_back.text
    assert taken_back.json()["incident"]["job_count"] == 2
    compared = olga.get(f"{one.replace('control', 'monitor')}/compare", params={"with": target}).json()
    assert compared["is_same"] is False and compared["sentence"]


def test_opening_by_hand_over_http(olga: httpx.Client) -> None:
    made = post(olga, "/api/control/incidents", 201, title="odd", queue="CERN", text="seen by the site")["incident"]
    assert (made["kind"], made["state"], made["opened_by"]) == ("manual", "open", "olga")
    listed = olga.get("/api/monitor/incidents", params={"kind": "manual", "opened_by": "olga"}).json()["incidents"]
    assert [row["incident_id"] for row in listed] == [made["incident_id"]]


@pytest.mark.parametrize(
    ("call", "body", "status", "field"),
    [
        ("incident/1/resolve", {"reason": "tired"}, 422, "reason"),
        ("incident/999999/hold", {}, 404, "incident_id"),
        ("incident/1/links", {"links": [{"url": "javascript:alert(1)"}]}, 422, "links.0.url"),
        ("incident/1/silence", {"until_kind": "time", "until": "soon"}, 422, "until"),
        ("incident/1/silence", {"until_kind": "time"}, 422, "until"),
        ("incident/1/split", {"dimension": "colour", "value": "red"}, 422, "dimension"),
        ("incident/1/merge", {"into": 1}, 422, "into"),
        ("incident/1/merge", {"into": 2**70}, 422, "into"),
        (f"incident/{2**70}/merge", {"into": 1}, 422, "incident_id"),
        ("incidents", {"title": " "}, 422, "title"),
        ("incidents", {"title": "x", "panda_ids": [17]}, 422, "panda_ids"),
    ],
)
def test_refusals_name_field_and_remedy(
    olga: httpx.Client, database: Database, call: str, body: dict[str, Any], status: int, field: str
) -> None:
    trouble(database, "refused")
    answer = olga.post(f"/api/control/{call}", json=body)
    assert answer.status_code == status, answer.text
    assert answer.json()["field"] == field and answer.json()["remedy"]


def test_only_operators_decide(house: RunningSystem, database: Database) -> None:
    one = trouble(database, "not yours")
    alice = house.client("alice")
    calls = ["assign", "comment", "hold", "release", "severity", "links", "silence", "merge", "split", "acknowledge"]
    bodies: dict[str, dict[str, Any]] = {
        **{"assign": {"who": "x"}, "severity": {"severity": "error"}, "links": {"links": []}, "merge": {"into": 2}},
        "split": {"dimension": "step", "value": "x"},
    }
    for call in calls:
        assert alice.post(f"{one}/{call}", json=bodies.get(call, {})).status_code == 403, call
    assert alice.post("/api/control/incidents", json={"title": "x"}).status_code == 403
    assert alice.post("/api/control/silences", json={"matcher": {"kind": "data"}}).status_code == 403
    assert alice.delete("/api/control/silence/1").status_code == 403
    assert alice.delete("/api/control/fingerprint-link/1").status_code == 403
