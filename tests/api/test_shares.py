"""Shares over HTTP: the tree is edited by operators, shown to readers, and what is refused names its field."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from core.shares.usage import keep_sample, refresh
from tests.api.test_control import refused
from tests.support.builders import make_queue
from tests.support.system import RunningSystem, eventually

TREE = [
    {"name": "Production", "value": 80},
    {"name": "MC", "parent": "Production", "value": 1, "prod_source_label": "managed", "max_queued_jobs": 3},
    {"name": "User Analysis", "value": 20, "prod_source_label": "user|panda"},
]


@pytest.fixture(scope="module")
def operator(shared_system: RunningSystem) -> httpx.Client:
    return shared_system.client("olga", "operator")


@pytest.fixture
def tree(operator: httpx.Client) -> list[dict[str, Any]]:
    """The stored form of TREE, put in place."""
    response = operator.put("/api/control/shares", json={"shares": TREE})
    assert response.status_code == 200, response.text
    return list(response.json()["shares"])


def test_a_whole_tree_goes_in_and_comes_out_the_same(operator, tree):
    assert [(share["name"], share["position"]) for share in tree] == [
        ("Production", 10),
        ("MC", 20),
        ("User Analysis", 30),
    ]
    assert operator.get("/api/control/shares").json() == {"shares": tree}
    assert operator.put("/api/control/shares", json={"shares": tree}).json()["shares"] == tree


def test_whoever_changes_a_share_hears_of_leaves_that_can_never_match(shared_system, operator, tree):
    late = {"name": "Late", "value": 1, "prod_source_label": "user"}
    operator.put("/api/control/share/Late", json={"value": 1, "prod_source_label": "test"}).raise_for_status()
    # as a tree that was made when nobody looked
    shared_system.database.execute(
        "UPDATE global_shares SET prod_source_label = %(prod_source_label)s WHERE name = %(name)s", late
    )
    answer = operator.put("/api/control/share/MC", json={"value": 2})
    assert answer.status_code == 200, answer.text
    assert [warning for warning in answer.json()["warnings"] if warning.startswith("Late: can never match")]
    operator.delete("/api/control/share/Late").raise_for_status()


def test_one_share_is_made_changed_and_removed(operator, tree):
    made = operator.put("/api/control/share/Beyond%20Pledge", json={"value": 1, "working_group": "x.*"})
    assert made.json()["share"]["position"] == 40
    changed = operator.put("/api/control/share/Beyond%20Pledge", json={"value": 2}).json()["share"]
    assert (changed["value"], changed["working_group"]) == (2, "x.*")
    assert operator.delete("/api/control/share/Beyond%20Pledge").json() == {"removed": "Beyond Pledge"}
    assert operator.get("/api/control/shares").json() == {"shares": tree}


def test_refusals_name_the_field_and_change_nothing(operator, tree):
    put = operator.put
    refused(put("/api/control/share/MC", json={"campaign": "mc["}), 422, "MC.campaign")
    refused(put("/api/control/share/MC", json={"value": -1}), 422, "MC.value")
    refused(put("/api/control/share/MC", json={"value": "much"}), 422, "value")
    refused(put("/api/control/share/MC", json={"value": True}), 422, "value")
    refused(put("/api/control/share/MC", json={"position": True}), 422, "position")
    refused(put("/api/control/share/MC", json={"campaign": r"(mc+)(mc+)\1\2"}), 422, "MC.campaign")
    refused(put("/api/control/share/MC", json={"weight": 1}), 422, "weight")
    refused(put("/api/control/share/MC", json={"campaign": "mc^16"}), 422, "MC.campaign")
    refused(put("/api/control/share/MC", json={"rtype": "(?=hpc)cloud"}), 422, "MC.rtype")
    refused(put("/api/control/shares", json={"shares": [*TREE, {"name": "x", "vo": "$x"}]}), 422, "x.vo")
    refused(put("/api/control/share/MC", json={"parent": "Nowhere"}), 404, "MC.parent")
    refused(put("/api/control/share/Production", json={"parent": "MC"}), 409, "Production.parent")
    refused(put("/api/control/shares", json={"shares": [*TREE, {"name": "x", "vo": "*"}]}), 422, "x.vo")
    refused(put("/api/control/shares", json={"shares": [{"value": 1}]}), 422, "shares.0.name")
    refused(operator.delete("/api/control/share/Production"), 409, "name")
    refused(operator.delete("/api/control/share/Nowhere"), 404, "name")
    assert operator.get("/api/control/shares").json() == {"shares": tree}


def test_only_operators_change_shares(shared_system, tree):
    alice = shared_system.client("alice")
    for response in (
        alice.put("/api/control/shares", json={"shares": []}),
        alice.put("/api/control/share/MC", json={}),
        alice.delete("/api/control/share/MC"),
        alice.post("/api/control/shares/retag", json={}),
    ):
        assert response.status_code == 403
    assert alice.get("/api/control/shares").json() == {"shares": tree}


def test_what_no_work_matches_is_answered_with_a_warning_and_shown(shared_system, operator, tree):
    make_queue(shared_system.database, "NO_PILOT")
    shared_system.database.execute(
        """INSERT INTO tasks (jedi_task_id, status, user_name, prod_source_label, working_group)
           VALUES (nextval('jedi_task_id_seq'), 'done', 'x', 'user', 'higgs')"""
    )
    made = operator.put("/api/control/share/MC", json={"working_group": "susy", "rtype": "hpc"}).json()
    expected = [
        "MC: no label seen so far matches 'managed'",
        "MC: no working group seen so far matches 'susy'",
        "MC: no queue's parameters.resource_type matches 'hpc': its jobs would run nowhere",
    ]
    assert made["warnings"] == expected
    shares = operator.get("/api/control/shares").json()["shares"]
    assert operator.put("/api/control/shares", json={"shares": shares}).json()["warnings"] == expected
    document = operator.get("/api/monitor/shares").json()
    assert set(expected) <= set(document["warnings"])
    assert {row["name"]: row["unmatched"] for row in document["shares"]} == {
        "Production": [],
        "MC": ["prod_source_label", "rtype", "working_group"],
        "User Analysis": [],
    }
    other = operator.put("/api/control/share/User%20Analysis", json={"working_group": "higgs"}).json()
    assert other["warnings"] == []


_JOBS = """
INSERT INTO jobs_live (panda_id, job_status, gshare, computing_site, prod_source_label, core_count)
SELECT nextval('panda_id_seq'), s, g, 'NO_PILOT', 'managed', 1 FROM generate_series(1, %(n)s)
CROSS JOIN (VALUES (%(status)s, %(share)s)) AS v (s, g)
"""


def test_the_monitor_shows_the_tree_with_its_use_and_what_is_in_no_share(shared_system, operator, tree):
    database = shared_system.database
    for share, status, count in (("MC", "running", 1), ("MC", "activated", 8), ("", "running", 2)):
        database.execute(_JOBS, {"n": count, "status": status, "share": share})
    refresh(database)
    document = operator.get("/api/monitor/shares").json()
    rows = {row["name"]: row for row in document["shares"]}
    assert list(rows) == ["Production", "MC", "User Analysis"]
    assert {name: row["percent"] for name, row in rows.items()} == {"Production": 80, "MC": 80, "User Analysis": 20}
    assert [row["level"] for row in rows.values()] == [1, 2, 1]
    production, mc, users = rows.values()
    assert (mc["executing_power"], mc["target_power"], mc["queued_power"], mc["deviation"]) == (10, 10, 80, 0)
    assert (production["executing_jobs"], production["queued_jobs"]) == (1, 8)
    assert (mc["throttled"], users["throttled"], production["rank"]) == (["SCORE"], [], None)
    assert sorted((mc["rank"], users["rank"])) == [1, 2]
    assert (mc["modified_by"], users["deviation"]) == ("olga", None)
    [unlisted] = document["unlisted"]
    assert (unlisted["name"], unlisted["executing_jobs"], unlisted["executing_power"]) == ("", 2, 20)
    assert document["executing_power"] == 10

    def is_sampled() -> bool:
        database.execute("DELETE FROM share_samples")
        return keep_sample(database, 300) == 2  # unless the share keeper of the running system was first

    eventually(is_sampled, what="the shares are sampled")
    samples = operator.get("/api/monitor/shares/samples", params={"hours": 1}).json()["samples"]
    assert {row["gshare"]: (row["executing_power"], row["target_power"]) for row in samples} == {
        "MC": (10, 10),
        "User Analysis": (0, 0),
    }
    assert operator.get("/api/monitor/shares").json()["shares"][1]["deviation_24h"] == 0
    for hours in (0, -1, 1e9, "many"):
        assert operator.get("/api/monitor/shares/samples", params={"hours": hours}).status_code == 422


def test_live_work_is_tagged_anew_on_demand(shared_system, operator, tree):
    [row] = shared_system.database.fetch(
        "INSERT INTO jobs_live (panda_id, job_status, gshare, computing_site, prod_source_label) "
        "VALUES (nextval('panda_id_seq'), 'running', 'old', 'NO_PILOT', 'managed') RETURNING panda_id"
    )
    share = "SELECT gshare FROM jobs_live WHERE panda_id = %(panda_id)s"
    operator.post("/api/control/shares/retag", json={})
    assert shared_system.database.fetch_one(share, row) == {"gshare": "old"}
    changed = operator.post("/api/control/shares/retag", json={"running_too": True}).json()
    assert changed["jobs"] >= 1
    assert shared_system.database.fetch_one(share, row) == {"gshare": "MC"}
