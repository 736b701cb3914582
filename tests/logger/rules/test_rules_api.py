"""Rules over HTTP: read by everybody, edited by operators with the version they saw, tried before they act."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support.system import RunningSystem


@pytest.fixture(scope="module")
def operator(shared_system: RunningSystem) -> httpx.Client:
    return shared_system.client("ann", "operator")


def rule_named(client: httpx.Client, name: str) -> dict[str, Any]:
    answer = client.get("/api/monitor/incident-rules", params={"name": name})
    assert answer.status_code == 200, answer.text
    (rule,) = answer.json()["rules"]
    return dict(rule)


def test_rules_are_listed_with_what_their_parameters_mean(operator: httpx.Client) -> None:
    answer = operator.get("/api/monitor/incident-rules").json()
    rules = {rule["name"]: rule for rule in answer["rules"]}
    assert answer["count"] == len(rules) >= 13 and rules["silent_queue"]["parameters"]["limit_s"] == 600
    assert {"n_open", "n_opened", "last_opened"} <= rules["silent_queue"].keys()
    evaluators = {one["name"]: one for one in answer["evaluators"]}
    assert {rule["evaluator"] for rule in rules.values()} <= evaluators.keys()
    parameters = {one["name"]: one for one in evaluators["task_stalled"]["parameters"]}
    assert parameters["limit_s"]["default"] == 3600 and parameters["for_s"]["at_least"] == 0
    assert all(one["meaning"] or one["name"].endswith("_s") for one in parameters.values())
    (only,) = operator.get("/api/monitor/incident-rules", params={"evaluator": "expiry"}).json()["rules"]
    assert only["name"] == "expiry"


def test_a_rule_is_made_changed_turned_off_restored_and_removed(operator: httpx.Client) -> None:
    new = {
        "name": "cern_silent",
        "evaluator": "silent_queue",
        "parameters": {"limit_s": 60, "queues": "CERN*"},
        "via": "web",
    }
    made = operator.post("/api/control/incident-rules", json=new)
    assert made.status_code == 201, made.text
    rule = made.json()["rule"]
    path = f"/api/control/incident-rule/{rule['rule_id']}"
    assert (rule["version"], rule["kind"], rule["modified_by"]) == (1, "absence", "ann")
    changed = operator.put(path, json={"version": 1, "parameters": {"limit_s": 90}, "severity_floor": "error"})
    assert changed.json()["rule"]["version"] == 2
    stale = operator.put(path, json={"version": 1, "title": "mine"})
    assert (stale.status_code, stale.json()["field"]) == (409, "version")
    assert operator.put(path, json={"version": 2, "is_active": False}).json()["rule"]["is_active"] is False
    both = operator.put(path, json={"version": 3, "restore": 1, "title": "x"})
    assert (both.status_code, both.json()["field"]) == (422, "restore")
    restored = operator.put(path, json={"version": 3, "restore": 1}).json()["rule"]
    assert restored["parameters"]["queues"] == "CERN*" and restored["is_active"]
    seen = operator.get(f"/api/monitor/incident-rule/{rule['rule_id']}/versions").json()
    assert [one["what"] for one in seen["versions"]] == ["restored", "deactivated", "changed", "added"]
    assert seen["rule"]["version"] == 4
    assert operator.delete(path, params={"version": 3}).status_code == 409
    assert operator.delete(path, params={"version": 4}).json()["rule"]["name"] == "cern_silent"
    assert operator.get(f"/api/monitor/incident-rule/{rule['rule_id']}/versions").json()["rule"] is None
    assert operator.put(path, json={"version": 4, "title": "x"}).status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "x", "evaluator": "nothing"}, "evaluator"),
        ({"name": "X y", "evaluator": "silent_queue"}, "name"),
        ({"name": "x", "evaluator": "silent_queue", "parameters": {"limit": 1}}, "parameters.limit"),
        ({"name": "x", "evaluator": "silent_queue", "parameters": {"limit_s": "1"}}, "parameters.limit_s"),
        ({"name": "x", "evaluator": "job", "parameters": {"burst_rate": 2}}, "parameters.burst_rate"),
        ({"name": "x", "evaluator": "job", "kind": "absence"}, "kind"),
        ({"name": "x", "evaluator": "job", "colour": "red"}, "colour"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_field(operator: httpx.Client, body: dict[str, Any], field: str) -> None:
    answer = operator.post("/api/control/incident-rules", json=body)
    assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text


def test_a_rule_is_tried_before_it_acts(operator: httpx.Client) -> None:
    rule = rule_named(operator, "silent_queue")
    present = {"rule_id": rule["rule_id"], "parameters": {"limit_s": 300}, "days": 2}
    answer = operator.post("/api/control/incident-rules/try", json=present)
    assert answer.status_code == 200, answer.text
    tried = answer.json()
    assert tried["count"] == 0 and "would not have fired in the last 2 days" in tried["sentence"]
    assert {"openings", "missed", "is_complete", "exact_from", "looked_at", "cautions"} <= tried.keys()
    fresh = operator.post("/api/control/incident-rules/try", json={"evaluator": "job", "parameters": {"queues": "A"}})
    assert fresh.json()["is_complete"]
    another = {"rule_id": rule["rule_id"], "evaluator": "job"}
    for body, field in (
        *(({}, "evaluator"), (another, "evaluator")),
        *(({"evaluator": "job", "days": 31}, "days"), ({"rule_id": 10**9}, "rule_id")),
    ):
        refused = operator.post("/api/control/incident-rules/try", json=body)
        assert refused.json()["field"] == field, refused.text


def test_only_operators_edit(shared_system: RunningSystem) -> None:
    user = shared_system.client("bob")
    rule = rule_named(user, "expiry")
    assert user.put(f"/api/control/incident-rule/{rule['rule_id']}", json={"version": 1}).status_code == 403
    assert user.post("/api/control/incident-rules/try", json={"evaluator": "job"}).status_code == 403
