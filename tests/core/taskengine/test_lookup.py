"""Records of tasks: names, filters, patterns, counts, parents; and that the question of `pbook show` stays cheap."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.database import Database
from core.errors import InvalidInput, UnknownObject
from core.states import FINAL_TASK_STATUSES, SUPER_STATUS, TaskStatus
from core.taskengine.dialects.split_rules import split_rule_text
from core.taskengine.questions import summary
from core.taskengine.questions.columns import TASK_COLUMNS
from core.taskengine.questions.files import datasets_of
from core.taskengine.questions.filters import parse_filters, parse_time
from core.taskengine.questions.lookup import parent_record, records_question, task_record, task_records
from tests.core.taskengine.rows import insert_files, insert_task


def found(database: Database, user: str = "alice", since: datetime | None = None, limit: int = 500, **filters: object):
    records = task_records(database, parse_filters(filters), user_name=user, since=since, limit=limit)
    return [record["jediTaskID"] for record in records]


def test_a_record_has_every_column_under_pandas_name_and_what_pbook_prints(shared_database):
    parameters = {
        "cliParams": "prun --exec x",
        "architecture": "@el9",
        "nFilesPerJob": 3,
        "noLoopingCheck": True,
        "jobParameters": [
            {"type": "constant", "value": "-j", "padding": False},
            {"type": "constant", "value": "x"},
            {"type": "constant", "value": "hidden", "hidden": True},
            {"type": "template", "value": "${IN}"},
        ],
    }
    task_id = insert_task(
        shared_database,
        parameters=parameters,
        n_files=4,
        n_files_finished=1,
        n_files_failed=2,
        split_rule={"nFilesPerJob": 5},
    )
    insert_files(shared_database, task_id, ["finished", "failed", "failed", "missing"])
    record = task_record(shared_database, task_id)
    assert set(TASK_COLUMNS) <= set(record)
    assert (record["status"], record["superStatus"], record["userName"]) == ("running", "running", "alice")
    assert [record[f"nFiles{kind}"] for kind in ("", "Finished", "Failed", "Missing")] == [4, 1, 2, 1]
    assert (record["pctFinished"], record["pctFailed"]) == (25, 50)
    assert record["raw_task_params"] == parameters
    assert record["task_creation_arguments"] == "prun --exec x"
    assert record["job_execution_params"] == "-jx ${IN}"
    assert record["splitRule"] == "NF=5,LC=1"
    assert record["architecture"] == "@el9"
    assert record["parent_tid"] == task_id
    assert record["creationDate"].tzinfo is not None


def test_a_list_holds_the_callers_tasks_in_order_unless_a_user_is_named(shared_database):
    mine = [insert_task(shared_database, user_name="carol") for _ in range(3)]
    other = insert_task(shared_database, user_name="dave")
    assert found(shared_database, "carol") == mine
    assert found(shared_database, "carol", userName="dave") == [other]
    # an id alone does not open the tasks of others (client-wire.md 5.2: pbook says "Permission denied" then)
    assert found(shared_database, "carol", jediTaskID=str(other)) == []
    assert found(shared_database, "carol", limit=2) == mine[1:]
    assert found(shared_database, "carol", limit=0) == []
    assert found(shared_database, "carol", limit=-5) == []
    assert found(shared_database, "carol", limit=10**30) == mine


def test_every_kind_of_filter_finds_what_equals_it(shared_database):
    task_id = insert_task(
        shared_database,
        user_name="erin",
        task_name="user.erin.x/",
        status="pending",
        req_id=77,
        gshare="g",
        parameters={"campaign": "mc"},
    )
    insert_task(shared_database, user_name="erin", status="done")
    for filters in (
        *({"jediTaskID": str(task_id)}, {"jediTaskID": task_id}, {"reqID": "77"}, {"status": "pending"}),
        *({"superStatus": "running"}, {"taskName": "user.erin.x/"}, {"gshare": "g"}, {"campaign": "mc"}),
        *({"TASKNAME": "user.erin.x/"}, {"status": "pending", "reqID": "77"}),
    ):
        assert found(shared_database, "erin", **filters) == [task_id], filters
    for filters in ({"reqID": "78"}, {"jediTaskID": "9" * 40}, {"superStatus": "nothing"}, {"taskName": "user.erin.x"}):
        assert found(shared_database, "erin", **filters) == [], filters


def test_the_super_status_of_a_row_is_that_of_the_table(shared_database):
    for status in TaskStatus:
        task_id = insert_task(shared_database, user_name="frank", status=status)
        assert task_record(shared_database, task_id)["superStatus"] == SUPER_STATUS[status]
        assert task_id in found(shared_database, "frank", superStatus=SUPER_STATUS[status])
    shown = [
        task
        for word in ("running", "submitting", "registered", "ready")
        for task in found(shared_database, "frank", superStatus=word)
    ]
    assert len(shown) == len(set(TaskStatus) - FINAL_TASK_STATUSES)


def test_patterns_are_searched_in_what_the_limit_left(shared_database):
    first = insert_task(shared_database, user_name="gina", task_name="user.gina.aaa/", status="failed")
    second = insert_task(shared_database, user_name="gina", task_name="user.gina.bbb/")
    assert found(shared_database, "gina", taskName=r"a+/$") == [first]
    assert found(shared_database, "gina", taskName="aaa|bbb") == [first, second]
    assert found(shared_database, "gina", taskName="aaa|bbb", status="failed") == [first]
    assert found(shared_database, "gina", status="^fail") == [first]
    assert found(shared_database, "gina", limit=1, taskName="aaa|bbb") == [second]
    assert found(shared_database, "gina", superStatus="(failed|running)") == [first, second]


@pytest.mark.parametrize("pattern", ["(", "a**", "[a(", "(?P<n>a)", "\\"])
def test_a_pattern_that_is_none_is_refused(shared_database, pattern):
    insert_task(shared_database, user_name="hal")
    with pytest.raises(InvalidInput) as refused:
        found(shared_database, "hal", taskName=pattern)
    assert (refused.value.field, bool(refused.value.remedy)) == ("filters", True)


def test_a_pattern_that_explodes_ends_soon(shared_database):
    for _ in range(20):
        insert_task(shared_database, user_name="ivan", task_name="a" * 200 + "!")
    begun = datetime.now(UTC)
    try:
        assert found(shared_database, "ivan", taskName=r"^(a+)+(a+)+\1\2(a|aa)*\1(b|\2)+$") == []
    except InvalidInput as refusal:
        assert refusal.field == "filters"
    assert datetime.now(UTC) - begun < timedelta(seconds=10)


@pytest.mark.parametrize(
    ("filters", "field"),
    [
        ({"nonsense": "x"}, "filters.nonsense"),
        ({"jediTaskID": "x"}, "filters.jediTaskID"),
        ({"jediTaskID": None}, "filters.jediTaskID"),
        ({"status": ["a"]}, "filters.status"),
        ({"status": True}, "filters.status"),
        ({"status": "x" * 1001}, "filters.status"),
        ({"creationDate": "yesterday"}, "filters.creationDate"),
        ({"status; DROP TABLE tasks": "x"}, "filters.status; DROP TABLE tasks"),
    ],
    ids=str,
)
def test_a_filter_that_makes_no_sense_is_named(filters, field):
    with pytest.raises(InvalidInput) as refused:
        parse_filters(filters)
    assert (refused.value.field, bool(refused.value.remedy)) == (field, True)


@given(
    st.dictionaries(
        st.sampled_from([*TASK_COLUMNS, "x"]),
        st.one_of(st.text(max_size=20), st.integers(), st.floats(), st.none(), st.booleans()),
        max_size=4,
    )
)
def test_any_filters_are_answered_or_refused_by_name(shared_database, filters):
    try:
        parsed = parse_filters(
            {name: value.replace("\x00", "") if isinstance(value, str) else value for name, value in filters.items()}
        )
        task_records(shared_database, parsed, user_name="nobody")
    except InvalidInput as refusal:
        assert refusal.field.startswith("filters")
    except UnicodeEncodeError:
        # lone surrogates cannot come in: bodies and queries are read as UTF-8
        assert any(re.search("[\ud800-\udfff]", str(value)) for value in filters.values())


def test_since_cuts_by_the_last_change(shared_database):
    old = insert_task(shared_database, user_name="judy", modification_time=datetime(2026, 1, 1, tzinfo=UTC))
    new = insert_task(shared_database, user_name="judy")
    assert found(shared_database, "judy") == [old, new]
    assert found(shared_database, "judy", since=parse_time("2026-06-01 00:00:00", "since")) == [new]
    assert found(shared_database, "judy", since=parse_time("2025-12-31T23:59:59Z", "since")) == [old, new]


@pytest.mark.parametrize("text", ["", "x", "2026-13-01", "99999-01-01 00:00:00", "2026-01-01 00:00:00 PST"])
def test_a_time_that_is_none_is_refused(text):
    with pytest.raises(InvalidInput) as refused:
        parse_time(text, "since")
    assert refused.value.field == "since"


def test_the_parent_is_found_or_it_is_said_why_not(shared_database):
    parent = insert_task(shared_database)
    child = insert_task(shared_database, parent_tid=parent)
    assert parent_record(shared_database, child)["jediTaskID"] == parent
    itself = insert_task(shared_database)
    shared_database.execute("UPDATE tasks SET parent_tid = jedi_task_id WHERE jedi_task_id = %(id)s", {"id": itself})
    orphan = insert_task(shared_database, parent_tid=5)
    messages = set()
    for task_id in (-1, 6, parent, itself, orphan):
        with pytest.raises(UnknownObject) as refused:
            parent_record(shared_database, task_id)
        messages.add(str(refused.value))
    assert len(messages) == 5


def test_datasets_come_with_their_files_or_without(shared_database):
    task_id = insert_task(shared_database)
    dataset_id = insert_files(shared_database, task_id, ["finished", "ready"])
    log_id = insert_files(shared_database, task_id, [], name="logs/", type="log", is_master=False)
    shared_database.execute(
        "INSERT INTO job_files (panda_id, jedi_task_id, type, lfn, scope, dataset, status) "
        "VALUES (1, %(id)s, 'log', 'a.tgz', 's', 'logs', 'ready')",
        {"id": task_id},
    )
    [entry] = datasets_of(shared_database, task_id, ["input", "pseudo_input"])
    assert entry["dataset"] == {"name": f"in.{task_id}", "id": dataset_id}
    assert [(file["lfn"], file["scope"], file["status"]) for file in entry["files"]] == [
        ("f1", "user.alice", "finished"),
        ("f2", "user.alice", "ready"),
    ]
    assert set(entry["files"][0]) == {"lfn", "scope", "id", "status"}
    [entry] = datasets_of(shared_database, task_id, ["log"])
    assert (entry["dataset"]["id"], [file["lfn"] for file in entry["files"]]) == (log_id, ["a.tgz"])
    assert [entry["files"] for entry in datasets_of(shared_database, task_id, ["input", "log"], with_files=False)] == [
        [],
        [],
    ]
    assert datasets_of(shared_database, 5, ["input"]) == []


def test_older_clients_get_their_shapes(shared_database):
    task_id = insert_task(
        shared_database, user_name="kate", req_id=900, parameters={"cliParams": "prun", "transUses": ""}
    )
    insert_files(shared_database, task_id, ["ready"], name="in/", container="in/")
    since = datetime(2020, 1, 1, tzinfo=UTC)
    tasks = summary.tasks_modified_since(shared_database, "kate", since, "user")
    assert set(tasks) == {900}
    assert (tasks[900]["jediTaskID"], tasks[900]["status"]) == (task_id, "running")
    assert "PandaID" not in tasks[900]
    full = summary.tasks_modified_since(shared_database, "kate", since, "user", full=True)
    assert (full[900]["inDS"], full[900]["PandaID"], full[900]["taskName"]) == ("in/", [], tasks[900]["taskName"])
    assert summary.tasks_modified_since(shared_database, "kate", since, "managed") == {}
    assert summary.tasks_modified_since(shared_database, "kate", since, "user", min_task_id=task_id) == {}
    details = summary.task_details(shared_database, task_id, with_parameters=True, with_status=True)
    assert (details["cliParams"], details["status"], details["mergePandaID"]) == ("prun", "running", [])
    assert "status" not in summary.task_details(shared_database, task_id)


def test_rules_are_written_as_panda_writes_them():
    assert (
        split_rule_text({"nFilesPerJob": 3, "useBuild": True, "avoidVP": False, "nGBPerJob": 0, "other": 1})
        == "NF=3,UB=1"
    )


def test_the_question_of_pbook_show_reads_the_users_tasks_only(database):
    """100 000 tasks of 1000 users: the page is found through the index of the user, and no sort of all tasks."""
    database.execute(
        "INSERT INTO tasks (jedi_task_id, task_name, user_name, status, req_id) "
        "SELECT nextval('jedi_task_id_seq'), 'user.u' || n % 1000 || '.t' || n, 'u' || n % 1000, 'done', n "
        "FROM generate_series(1, 100000) n"
    )
    database.execute("ANALYZE tasks")
    plans = []
    for filters in ({}, {"superStatus": "running"}, {"jediTaskID": "10000500"}, {"reqID": "500"}):
        statement, values = records_question(parse_filters(filters), user_name="u7")
        plan = database.fetch(f"EXPLAIN (FORMAT JSON) {statement}", values)[0]["QUERY PLAN"]
        plans.append(json.dumps(plan))
        assert plan[0]["Plan"]["Total Cost"] < 2000, plan
    assert all("Seq Scan" not in plan for plan in plans)
    assert len(found(database, "u7", limit=1000)) == 100
