"""What operators decide about users, groups and queues over HTTP, what is refused then, and what monitors show of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from api.identity.caller import Caller
from api.identity.working_groups import check_working_group, has_group_production_role, production_groups
from core.database import Database
from core.errors import NotAllowed
from tests.api.test_control import refused
from tests.core.accounts.test_priorities import use
from tests.support.builders import make_queue, row_of, submit
from tests.support.system import RunningSystem, eventually
from tests.support.today import now_within_a_day

NOW = datetime.now(UTC)
TOMORROW = (NOW + timedelta(days=1)).isoformat()


@pytest.fixture(autouse=True)
def today(monkeypatch):
    """Tests are collected long before they run: the day may be another by then."""
    now = now_within_a_day()
    monkeypatch.setattr(f"{__name__}.NOW", now)
    monkeypatch.setattr(f"{__name__}.TOMORROW", (now + timedelta(days=1)).isoformat())


@pytest.fixture(scope="module")
def operator(shared_system: RunningSystem) -> httpx.Client:
    make_queue(shared_system.database)
    return shared_system.client("olga", "operator")


def decide(client: httpx.Client, name: str, kind: str = "user", **body: object) -> httpx.Response:
    return client.put(f"/api/control/account/{kind}/{name}", json=body)


def submit_task(client: httpx.Client, **parameters: object) -> dict[str, object]:
    known = {"taskName": "count", "jobParameters": "true", "site": "Q", "nJobs": 1, **parameters}
    response = client.post("/api/v1/task/submit", json={"task_parameters": known})
    assert response.status_code == 200
    return response.json()


def submit_job(client: httpx.Client, **attributes: object) -> dict[str, object]:
    job = {"transformation": "/bin/true", "computingSite": "Q", "prodSourceLabel": "user", **attributes}
    return client.post("/api/v1/job/submit", json={"jobs": json.dumps([job])}).json()


def rows(database: Database) -> dict[str, int]:
    tables = ("account_limits", "jobs_live", "tasks", "datasets")
    # brokerage goes on meanwhile with what is there
    histories = len(database.fetch("SELECT DISTINCT panda_id FROM job_history"))
    return {table: len(database.fetch(f"SELECT 1 FROM {table}")) for table in tables} | {"histories": histories}


def test_what_is_decided_is_kept_and_null_gives_it_back(operator):
    row = decide(operator, "dora", max_running_jobs=7, quota_mode="hold", cpu_hours_7d=100).json()["account"]
    assert (row["max_running_jobs"], row["quota_mode"], row["cpu_hours_7d"], row["modified_by"]) == (
        7,
        "hold",
        100,
        "olga",
    )
    decide(operator, "dora", max_running_jobs=None, max_active_tasks=2)
    answer = operator.get("/api/control/account/user/dora").json()
    assert (answer["account"]["max_running_jobs"], answer["limits"]["max_running_jobs"]) == (None, 10_000)
    assert (answer["limits"]["max_active_tasks"], answer["limits"]["quota_mode"]) == (2, "hold")
    assert operator.get("/api/control/account/group/dora").json()["account"] is None


WRONG = [
    ("max_running_jobs", {"max_running_jobs": -1}),
    ("max_running_jobs", {"max_running_jobs": 10**13}),
    ("max_running_jobs", {"max_running_jobs": "many"}),
    ("cpu_hours_1d", {"cpu_hours_1d": 1.5}),
    ("max_active_tasks", {"max_active_tasks": True}),
    ("banned_until", {"banned_until": "9999-12-31T23:59:59-14:00", "reason": "x"}),
    ("boost_until", {"boost_priority": 1, "boost_until": "9999-12-31T23:59:59Z", "reason": "x"}),
    ("quota_mode", {"quota_mode": "shout"}),
    ("boost_until", {"boost_priority": 1500, "reason": "x"}),
    ("boost_priority", {"boost_until": TOMORROW, "reason": "x"}),
    ("boost_priority", {"boost_priority": 10**9, "boost_until": TOMORROW, "reason": "x"}),
    ("boost_until", {"boost_priority": 1500, "boost_until": "2020-01-01T00:00:00Z", "reason": "x"}),
    ("banned_until", {"banned_until": "2020-01-01T00:00:00Z", "reason": "x"}),
    ("reason", {"banned_until": "forever"}),
    ("reason", {"banned_until": "forever", "reason": "  "}),
    ("is_privileged", {"is_privileged": "yes"}),
    ("is_privileged", {"is_privileged": True}),
    ("surprise", {"surprise": 1}),
]


@pytest.mark.parametrize(("field", "body"), WRONG)
def test_what_cannot_be_is_refused_and_nothing_changes(operator, shared_system, field, body):
    before = shared_system.database.fetch("SELECT * FROM account_limits ORDER BY 1, 2")
    response = decide(operator, "wrong", **body)
    assert response.status_code == 422 and response.json()["field"].split(".")[0] == field, response.json()
    assert response.json()["remedy"]
    assert shared_system.database.fetch("SELECT * FROM account_limits ORDER BY 1, 2") == before


def test_odd_accounts_are_refused(operator):
    refused(decide(operator, "a", kind="team", max_running_jobs=1), 422, "kind")
    refused(decide(operator, "x" * 65, kind="group", max_running_jobs=1), 422, "name")
    refused(decide(operator, "%20", max_running_jobs=1), 422, "name")
    refused(decide(operator, "a%0Ab", max_running_jobs=1), 422, "name")


def test_only_operators_decide(shared_system):
    refused(decide(shared_system.client("eve"), "eve", max_running_jobs=10**6), 403, "Authorization")


def test_a_banned_user_gets_nothing_in_until_the_ban_is_taken_back(shared_system, operator):
    client = shared_system.client("mallory")
    assert submit_job(client)["success"]
    decide(operator, "mallory", banned_until=TOMORROW, reason="mines coins")
    before = rows(shared_system.database)
    for answer in (submit_job(client), submit_task(client)):
        assert not answer["success"]
        expected = f"user_name: user mallory is banned until {NOW + timedelta(days=1):%Y-%m-%d %H:%M} UTC: mines coins"
        assert expected in answer["message"]
    assert rows(shared_system.database) == before
    decide(operator, "mallory", banned_until=None)
    assert submit_job(client)["success"] and submit_task(client)["success"]


def test_a_banned_group_stops_its_members_in_the_group_only(shared_system, operator):
    decide(operator, "miners", kind="group", banned_until="forever", reason="no such experiment")
    client = shared_system.client("gina", "production")
    answer = submit_job(client, workingGroup="miners")
    assert "working_group: group miners is banned for good: no such experiment" in answer["message"]
    assert submit_job(client)["success"]


def test_too_many_tasks_are_refused_with_upstreams_code(shared_system, operator):
    decide(operator, "busy", max_active_tasks=2)
    client = shared_system.client("busy")
    first = submit_task(client)
    assert submit_task(client, taskName="second")["success"]
    refusal = submit_task(client, taskName="third")
    assert (refusal["success"], refusal["data"]) == (False, 10)
    assert "max_active_tasks: user busy has 2 tasks under way, and 2 are allowed" in refusal["message"]
    assert client.post("/api/v1/task/kill", json={"task_id": first["data"]}).json()["success"]
    assert submit_task(client, taskName="third")["success"]


def test_a_used_up_quota_in_mode_reject_says_how_much_and_until_when(shared_system, operator):
    use(shared_system.database, NOW, hours=12.25, user="greedy")
    decide(operator, "greedy", cpu_hours_1d=10, quota_mode="reject")
    client = shared_system.client("greedy")
    midnight = f"{NOW + timedelta(days=1):%Y-%m-%d} 00:00 UTC"
    expected = f"cpu_hours_1d: user greedy has used 12.2 of 10 CPU hours in 1 day; refused until {midnight}"
    for answer in (submit_job(client), submit_task(client)):
        assert not answer["success"] and expected in answer["message"]
    decide(operator, "greedy", quota_mode="lower")
    answer = submit_job(client, currentPriority=1000)
    assert row_of(shared_system.database, answer["data"][0][0])["current_priority"] == 1000 - 122


def test_monitors_show_accounts_with_their_limits_and_use(shared_system, operator):
    use(shared_system.database, NOW, hours=3, user="frida")
    use(shared_system.database, NOW - timedelta(days=5), hours=4, user="frida")
    use(shared_system.database, NOW - timedelta(days=20), hours=5, user="frida")
    use(shared_system.database, NOW, hours=9, user="frida", group="higgs")
    submit(shared_system.database, 2, user="frida", queue="")
    decide(
        operator, "frida", cpu_hours_7d=6, quota_mode="hold", boost_priority=900, boost_until=TOMORROW, reason="talk"
    )
    answer = operator.get("/api/monitor/users", params={"name": "frida"}).json()
    [row] = answer["users"]
    assert (row["kind"], row["queued_jobs"], row["running_jobs"]) == ("user", 2, 0)
    assert [row[f"cpu_hours_{days}d"] for days in (1, 7, 30)] == [3, 7, 12]
    assert (row["limits"]["boost_priority"], row["limits"]["is_banned"]) == (900, False)
    page = operator.get("/api/monitor/users/frida").json()
    assert page["decided"]["modified_by"] == "olga"
    assert page["quotas"][0]["used"] == 7 and page["quotas"][0]["free_again"]
    assert len(page["days"]) == 30 and [day["cpu_hours"] for day in page["days"] if day["cpu_hours"]] == [5, 4, 3]
    assert page["queues"][0]["computing_site"] == "Q" and page["queues"][0]["cpu_hours"] == 12
    group = operator.get("/api/monitor/users/higgs", params={"kind": "group"}).json()
    assert group["user"]["cpu_hours_1d"] == 9
    assert {row["kind"] for row in operator.get("/api/monitor/users").json()["users"]} >= {"user"}


def test_nobody_of_that_name_is_said_so(operator):
    refused(operator.get("/api/monitor/users/nobody%20at%20all"), 404, "name")
    refused(operator.get("/api/monitor/users/x", params={"kind": "team"}), 422, "kind")


def test_timeouts_are_shown_with_what_they_will_end(shared_system, operator):
    database = shared_system.database
    [panda_id] = submit(database, 1, user="slow", queue="")
    database.execute(
        """UPDATE jobs_live SET job_status = 'throttled', state_change_time = clock_timestamp() - interval '4 days'
           WHERE panda_id = %(id)s""",
        {"id": panda_id},
    )
    answer = eventually(
        lambda: (got := operator.get("/api/monitor/timeouts").json())["next_run"] and got, what="the watchdog ran"
    )
    named = {row["name"]: row for row in answer["timeouts"]}
    row = named["throttled too long"]
    assert (row["limit_s"], row["states"], row["older_than_half"]) == (7 * 86400, ["throttled"], 1)
    assert row["effect"] == "closed, its input is processed again (kill code 2)"
    assert named["heartbeat lost"]["effect"] == "failed, jobDispatcherErrorCode 100"
    assert len(named) == len(answer["timeouts"]) == answer["count"]


def test_who_set_a_queue_and_why_can_be_read(shared_system, operator):
    make_queue(shared_system.database, "HIST")
    for status, reason in (("offline", "disk broken"), ("online", "disk replaced")):
        operator.put("/api/control/queue/HIST", json={"status": status, "reason": reason})
    row = operator.put("/api/control/queue/HIST", json={"release": True}).json()["queue"]
    assert (row["status"], row["status_set_by"]) == ("online", "")
    changes = operator.get("/api/monitor/queues/HIST/history").json()["changes"]
    assert [(change["status"], change["who"], change["reason"]) for change in changes] == [
        ("online", "olga", "given back to the automaton"),
        ("online", "olga", "disk replaced"),
        ("offline", "olga", "disk broken"),
    ]
    [shown] = operator.get("/api/monitor/queues", params={"queue_name": "HIST"}).json()["queues"]
    assert (shown["status_who"], shown["status_reason"]) == ("olga", "given back to the automaton")
    refused(operator.get("/api/monitor/queues/NOWHERE/history"), 404, "queue_name")


def test_only_members_and_production_work_for_a_group(shared_system):
    plain = shared_system.client("norbert")
    before = rows(shared_system.database)
    for answer in (submit_job(plain, workingGroup="higgs"), submit_task(plain, workingGroup="higgs")):
        assert not answer["success"]
        assert "workingGroup: norbert is no member of the working group 'higgs'" in answer["message"]
    assert rows(shared_system.database) == before
    assert submit_job(shared_system.client("pia", "production"), workingGroup="higgs")["success"]


def test_only_members_and_production_ask_for_what_is_kept_for_a_country(shared_system):
    plain = shared_system.client("norbert")
    before = rows(shared_system.database)
    for answer in (submit_job(plain, countryGroup="us"), submit_task(plain, countryGroup="us")):
        assert not answer["success"]
        assert "countryGroup: norbert is no member of the country group 'us'" in answer["message"]
    assert rows(shared_system.database) == before
    pia = shared_system.client("pia", "production")
    [[panda_id, *_]] = submit_job(pia, countryGroup="us")["data"]
    [record] = pia.post("/api/v1/job/get_description", json={"job_ids": [panda_id]}).json()["data"]
    assert record["countryGroup"] == "us"
    task = submit_task(pia, taskName="for the country", countryGroup="us", nJobs=2)["data"]
    statement = "SELECT country_group FROM jobs_live WHERE jedi_task_id = %(task)s"
    assert [row["country_group"] for row in shared_system.database.fetch(statement, {"task": task})] == ["us"] * 2


@pytest.mark.parametrize(
    ("groups", "may"),
    [
        (("higgs",), True),
        (("vo/higgs",), True),
        (("/vo/higgs/Role=production",), True),
        (("/vo", "/vo/susy"), False),
        (("higgs/susy",), False),
        ((), False),
    ],
)
def test_a_token_names_the_groups_of_its_bearer(groups, may):
    caller = Caller("norbert", "vo", groups=groups)
    if may:
        check_working_group(caller, "higgs", "workingGroup")
    else:
        with pytest.raises(NotAllowed) as refusal:
            check_working_group(caller, "higgs", "workingGroup")
        assert refusal.value.field == "workingGroup"


def test_the_production_role_of_a_privileged_group_comes_before_all_users(shared_system, operator):
    database, pia = shared_system.database, shared_system.client("pia", "production")
    assert decide(operator, "trigger", kind="group", is_privileged=True).json()["account"]["is_privileged"] is True

    def priority_of_job(group: str, **attributes: object) -> int:
        [[panda_id, *_]] = submit_job(pia, workingGroup=group, **attributes)["data"]
        return row_of(database, panda_id)["current_priority"]

    assert [priority_of_job("trigger") for _ in range(7)] == [3000] * 7, "its live jobs do not lower it"
    assert [priority_of_job("calo") for _ in range(7)] == [1000] * 5 + [999] * 2
    assert priority_of_job("trigger", prodSourceLabel="managed", currentPriority=500) == 500
    task = submit_task(pia, taskName="urgent", workingGroup="trigger", nJobs=2)["data"]
    statement = "SELECT t.current_priority AS task, j.current_priority AS job FROM tasks t JOIN jobs_live j USING (jedi_task_id)"
    assert database.fetch(f"{statement} WHERE jedi_task_id = %(id)s", {"id": task}) == [{"task": 3000, "job": 3000}] * 2
    decide(operator, "trigger", kind="group", is_privileged=None)
    assert priority_of_job("trigger") == 1000 - 9 // 5


def test_nobody_gives_himself_a_priority_above_that_of_users(shared_system):
    database = shared_system.database
    for client, expected in ((shared_system.client("hasty"), 1100), (shared_system.client("pat", "production"), 4000)):
        [[panda_id, *_]] = submit_job(client, currentPriority=4000)["data"]
        assert row_of(database, panda_id)["current_priority"] == expected
        task = submit_task(client, taskName="hurry", taskPriority=4000)["data"]
        row = database.fetch_one("SELECT current_priority FROM tasks WHERE jedi_task_id = %(id)s", {"id": task})
        assert row == {"current_priority": expected}


@pytest.mark.parametrize(
    ("groups", "roles", "has_it"),
    [
        (("/vo/higgs/Role=production",), (), True),
        ((), ("production",), True),
        (("/vo/higgs",), (), False),
        (("higgs", "/vo/susy/Role=production", "/vo/Role=production"), (), False),
        (("/vo/higgs/Role=pilot",), ("pilot",), False),
    ],
)
def test_the_production_role_of_a_group_is_more_than_its_membership(groups, roles, has_it):
    caller = Caller("norbert", "vo", roles=frozenset(roles), groups=groups)
    assert has_group_production_role(caller, "higgs") is has_it
    assert not has_group_production_role(caller, "")


def test_agents_tell_when_they_ran(shared_system, operator):
    answer = eventually(
        lambda: (got := operator.get("/api/monitor/agents").json())["count"] > 15 and got, what="the agents have run"
    )
    named = {row["name"]: row for row in answer["agents"]}
    watchdog = named["watchdog"]
    assert watchdog["last_run"] < watchdog["next_run"] and watchdog["cycle_count"] > 0
    shared_system.database.execute(
        "INSERT INTO agent_runs (name, next_run, last_error) VALUES ('long gone', now() - interval '1 hour', 'disk full')"
    )
    try:
        rows = operator.get("/api/monitor/agents").json()["agents"]
        assert [(row["is_late"], row["last_error"]) for row in rows if row["name"] == "long gone"] == [
            (True, "disk full")
        ]
    finally:
        shared_system.database.execute("DELETE FROM agent_runs WHERE name = 'long gone'")


def test_the_groups_whose_production_role_a_token_names_are_those_with_the_role():
    caller = Caller("alice", groups=("/atlas/higgs/Role=production", "/atlas/top", "/atlas/Role=production", "exotics"))
    assert production_groups(caller) == {"higgs"}
    assert production_groups(Caller("alice", roles=frozenset({"production"}))) == frozenset()
