"""Rules for failed jobs over HTTP and from the command line: edited by operators, refused by field, read by everybody."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from core.database import Database
from pandascope.cli import main
from tests.core.retrial.failing import fail, judge, make_task, no_rules
from tests.support.system import RunningSystem

RULES = "/api/control/retry-rules"
GOOD = {"error_source": "pilot", "error_code": 1305, "action": "no_retry"}


@pytest.fixture(scope="module")
def operator(shared_system: RunningSystem) -> httpx.Client:
    return shared_system.client("olga", "operator")


@pytest.fixture(scope="module")
def alice(shared_system: RunningSystem) -> httpx.Client:
    return shared_system.client("alice")


@pytest.fixture
def site(shared_system: RunningSystem) -> Database:
    no_rules(shared_system.database)
    return shared_system.database


def rules_of(client: httpx.Client) -> list[dict[str, Any]]:
    return client.get(RULES).json()["rules"]


def test_a_rule_is_made_changed_seen_and_taken_away(operator, alice, site):
    made = operator.post(RULES, json=GOOD)
    assert made.status_code == 201, made.json()
    rule_id = made.json()["rule"]["rule_id"]
    changed = operator.put(f"/api/control/retry-rule/{rule_id}", json={"is_active": False}).json()["rule"]
    assert (changed["is_active"], changed["modified_by"]) == (False, "olga")
    [seen] = alice.get("/api/monitor/retry-rules").json()["rules"]
    assert (seen["rule_id"], seen["acts"], seen["n_matched"]) == (rule_id, False, 0)
    document = alice.get(RULES).json()
    assert {row["name"] for row in document["actions"]} >= {"no_retry", "limit_retry"}
    assert [row["what"] for row in document["changes"][:2]] == ["changed", "added"]
    assert operator.delete(f"/api/control/retry-rule/{rule_id}").json()["rule"]["rule_id"] == rule_id
    assert rules_of(alice) == []


@pytest.mark.parametrize(
    ("field", "body"),
    [
        ("action", {**GOOD, "action": "dance"}),
        ("error_source", {"action": "no_retry"}),
        ("error_code", {"action": "no_retry", "error_source": "pilot"}),
        ("error_diag", {**GOOD, "error_diag": "("}),
        ("error_code", {**GOOD, "error_code": "many"}),
        ("error_code", {**GOOD, "error_code": 2**31}),
        ("parameters", {**GOOD, "parameters": 3}),
        ("parameters.maxAttempt", {**GOOD, "action": "limit_retry", "parameters": {"maxAttempt": 1e9}}),
        ("expiration_time", {**GOOD, "expiration_time": "2001-01-01T00:00:00Z"}),
        ("colour", {**GOOD, "colour": "red"}),
    ],
)
def test_what_will_not_do_is_refused_with_its_field(operator, site, field, body):
    for path in (RULES, f"{RULES}/try"):
        problem = operator.post(path, json=body)
        assert (problem.status_code, problem.json()["field"]) == (422, field), problem.json()
        assert problem.json()["remedy"]
    assert rules_of(operator) == []


def test_only_operators_edit(alice, site):
    assert alice.post(RULES, json=GOOD).status_code == 403
    assert alice.put("/api/control/retry-rule/1", json={}).status_code == 403
    assert alice.delete("/api/control/retry-rule/1").status_code == 403
    assert alice.put("/api/control/retry-action/no_retry", json={"is_active": False}).status_code == 403
    assert alice.post("/api/control/error-classes", json={}).status_code == 403
    assert rules_of(alice) == []


def test_what_does_not_exist_is_unknown(operator, site):
    for path in ("retry-rule/999999", "retry-action/dance", "error-class/999999"):
        assert operator.put(f"/api/control/{path}", json={}).status_code == 404
    for path in ("retry-rule/999999", "error-class/999999"):
        assert operator.delete(f"/api/control/{path}").status_code == 404


def test_an_end_of_validity_is_taken_away_with_null(operator, site):
    rule_id = operator.post(RULES, json={**GOOD, "expiration_time": "2099-01-01T00:00:00Z"}).json()["rule"]["rule_id"]
    assert rules_of(operator)[0]["expiration_time"].startswith("2099")
    operator.put(f"/api/control/retry-rule/{rule_id}", json={"expiration_time": None})
    assert rules_of(operator)[0]["expiration_time"] is None


def test_classes_are_edited_over_http(operator, site):
    made = operator.post(
        "/api/control/error-classes", json={"error_source": "trans", "error_code": 3, "error_class": "user"}
    )
    number = made.json()["error_class"]["class_id"]
    changed = operator.put(f"/api/control/error-class/{number}", json={"error_class": "system"}).json()["error_class"]
    assert (changed["error_class"], changed["error_code"]) == ("system", 3)
    assert operator.delete(f"/api/control/error-class/{number}").status_code == 200


def test_the_log_is_read_by_rule_task_and_job(operator, alice, site):
    rule_id = operator.post(RULES, json=GOOD).json()["rule"]["rule_id"]
    task_id = make_task(site, files=1)
    job = fail(site, task_id)
    judge(site, job)
    for filters in ({"rule_id": rule_id}, {"jedi_task_id": task_id}, {"panda_id": job}):
        [deed] = alice.get("/api/monitor/retry-log", params=filters).json()["deeds"]
        assert (deed["panda_id"], deed["action"], deed["has_acted"]) == (job, "no_retry", True)
    assert alice.get("/api/monitor/retry-log", params={"cursor": "x", "rule_id": rule_id}).status_code == 422
    assert alice.get(f"/api/monitor/job/{job}").json()["retries"]["deeds"][0]["rule_id"] == rule_id
    assert alice.get(f"/api/monitor/task/{task_id}").json()["retries"][0]["n_acted"] == 1
    tried = operator.post(f"{RULES}/try", json={**GOOD, "days": 1}).json()
    assert tried["jobs"] == 1
    assert tried["examples"][0]["panda_id"] == job


def test_whose_fault_failures_were_is_counted(operator, alice, site):
    for entry in ({"error_class": "user"}, {"error_class": "system", "error_diag": "disk"}):
        body = {"error_source": "pilot", "error_code": 1386, **entry}
        assert operator.post("/api/control/error-classes", json=body).status_code == 201
    ran = {"start_time": "2026-01-01T00:00:00Z", "end_time": "2026-01-01T01:00:00Z", "core_count": 2}
    for diag in ("disk full", "disk gone", "oops"):
        fail(site, make_task(site, files=1), code=1386, pilot_error_diag=diag, computing_site="FAULTY", **ran)
    fail(site, make_task(site, files=1), code=1385, computing_site="FAULTY")
    answer = alice.get("/api/monitor/faults", params={"computing_site": "FAULTY"}).json()
    assert answer["classes"] == {
        "system": {"jobs": 2, "lost_core_s": 14_400},
        "user": {"jobs": 1, "lost_core_s": 7200},
        "unclassified": {"jobs": 1, "lost_core_s": 0},
    }
    assert answer["count"] == 4
    first = {"component": "pilot", "code": 1386, "name": "PANDAQUEUENOTONLINE", "error_class": "system", "jobs": 2}
    assert answer["errors"][0] == first
    assert alice.get("/api/monitor/faults", params={"hours": "x"}).status_code == 422


@pytest.fixture
def panda(shared_system: RunningSystem, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """The command as it is typed; what it printed and its exit code."""
    monkeypatch.setenv("PANDA_URL", shared_system.url)
    monkeypatch.setenv("PANDA_TOKEN", shared_system.token("olga", "operator"))

    def run(*words: str) -> tuple[str, int]:
        code = main._run(list(words))
        captured = capsys.readouterr()
        return captured.out + captured.err, code

    return run


def test_rules_are_edited_from_the_command_line(panda, site):
    words, code = panda("rules", "add", "limit_retry", "--error", "pilot:1305", "--max-attempt", "2", "--passive")
    assert code == 0, words
    [row] = site.fetch("SELECT * FROM retry_rules")
    assert words.strip() == f"rule {row['rule_id']} made: pilot:1305 limit_retry 2 (passive)"
    number = str(row["rule_id"])
    assert panda("rules", "activate", number)[1] == 0
    assert panda("rules", "change", number, "--diag", "bad", "--until", "2099-01-01")[1] == 0
    listed, _ = panda("rules", "list")
    assert all(
        word in listed for word in (number, "pilot:1305", "limit_retry 2", "active", "says bad", "until 2099-01-01")
    )
    assert panda("rules", "change", number, "--until", "never")[1] == 0
    assert site.fetch("SELECT expiration_time AS t FROM retry_rules")[0]["t"] is None
    assert panda("rules", "passive", number)[1] == 0
    assert site.fetch("SELECT is_active FROM retry_rules")[0]["is_active"] is False
    assert panda("rules", "remove", number)[1] == 0
    assert "no rules" in panda("rules", "list")[0]


def test_rules_are_tried_and_their_log_is_shown(panda, site):
    assert panda("rules", "add", "no_retry", "--error", "pilot:1306")[1] == 0
    job = fail(site, make_task(site, files=1), code=1306, pilot_error_diag="no container")
    judge(site, job)
    said, code = panda("rules", "try", "--error", "pilot:1306", "--days", "1")
    assert (code, "would have matched 1 of" in said, "no container" in said) == (0, True, True)
    said, _ = panda("rules", "log", "--job", str(job))
    assert "is not tried again after attempt 1 of 10" in said
    said, _ = panda("job", str(job))
    assert "pilot:1306 no_retry: the input is not tried again" in said


def test_classes_are_edited_from_the_command_line(panda, site):
    assert panda("rules", "classify", "trans:3", "system", "--diag", "disk")[1] == 0
    [row] = site.fetch("SELECT * FROM error_classes")
    assert (row["error_source"], row["error_code"], row["error_class"], row["error_diag"]) == (
        "trans",
        3,
        "system",
        "disk",
    )
    assert "trans:3" in panda("rules", "classes")[0]
    fail(site, make_task(site, files=1), code=0, trans_exit_code=3, computing_site="HERE")
    said, code = panda("rules", "faults", "computing_site=HERE")
    assert (code, "unclassified" in said, "trans:3" in said) == (0, True, True)
    assert panda("rules", "declassify", str(row["class_id"]))[1] == 0
    assert site.fetch("SELECT 1 FROM error_classes") == []


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("rules", "add", "dance", "--error", "pilot:1"), 1, "unknown action"),
        (("rules", "add", "no_retry"), 1, "it would match every error"),
        (("rules", "add", "no_retry", "--error", "1305"), 2, "is no error"),
        (("rules", "add", "no_retry", "--error", "pilot:--5"), 2, "is no error"),
        (("rules", "add", "no_retry", "--error", "pilot:" + "9" * 5000), 2, "is no error"),
        (("rules", "add", "no_retry", "--error", "pilot:99999999999"), 1, "error_code"),
        (("rules", "add", "no_retry", "--error", "pilot:1", "--until", "5"), 1, "expiration_time"),
        (("rules", "add", "no_retry", "--error", "pilot:1", "--release", "2.*"), 1, "no release has '*'"),
        (("rules", "add", "no_retry", "--error", "pilot:1", "--diag", "a^"), 1, "can match no text"),
        (("rules", "add", "reduce_input_per_job", "--error", "pilot:1", "--steps", "9" * 5000), 2, "are no steps"),
        (("rules", "add", "reduce_input_per_job", "--error", "pilot:1", "--steps", "a,b"), 2, "are no steps"),
        (("rules", "change", "1"), 2, "nothing to change"),
        (("rules", "remove", "999999"), 1, "there is no rule"),
    ],
)
def test_the_command_line_says_what_is_wrong(panda, site, words, code, said):
    answer = panda(*words)
    assert (answer[1], said in answer[0]) == (code, True), answer
