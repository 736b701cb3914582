"""How tasks end: by the counts, the parent and the goal; the same in Python and in SQL."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as some

from core.database import Database
from core.errors import InvalidInput
from core.states import TaskStatus
from core.taskengine.dialects.definition import Goal
from core.taskengine.dialects.goals import ending_flags, read_goal
from core.taskengine.goals import end_status, end_status_sql, is_goal_reached


@pytest.mark.parametrize(
    ("files", "finished", "parent", "goal", "end"),
    [
        (10, 10, "", Goal(), "done"),
        (10, 10, "done", Goal(), "done"),
        (10, 10, "finished", Goal(), "finished"),
        (10, 10, "running", Goal(), "finished"),
        (10, 10, "failed", Goal(), "failed"),
        (10, 10, "aborted", Goal(), "failed"),
        (10, 0, "", Goal(), "failed"),
        (0, 0, "", Goal(), "failed"),
        (10, 5, "", Goal(), "finished"),
        (10, 5, "", Goal(fails_below=True), "failed"),
        (10, 5, "", Goal(500, fails_below=True), "finished"),
        (10, 4, "", Goal(500, fails_below=True), "failed"),
        (10, 4, "", Goal(500, exhausts_below=True), "exhausted"),
        (10, 4, "", Goal(500, fails_below=True, exhausts_below=True), "exhausted"),
        (10, 0, "", Goal(exhausts_below=True), "failed"),
        (10, 4, "", Goal(500, allows_partial=True), "finished"),
    ],
)
def test_counts_parent_and_goal_decide(files, finished, parent, goal, end):
    assert end_status(files, finished, parent, goal) == end


def test_an_end_that_was_asked_for_asks_nobody_again():
    goal = Goal(exhausts_below=True)
    assert end_status(10, 4, goal=goal, is_asked_for=True) is TaskStatus.FINISHED
    assert end_status(10, 4, goal=Goal(fails_below=True, exhausts_below=True), is_asked_for=True) is TaskStatus.FAILED


def test_the_statement_of_the_end_of_jobs_says_the_same(shared_database: Database):
    cases = [
        {
            "files": files,
            "finished": finished,
            "parent": parent,
            "goal": goal,
            "split_rule": changed,
            "parameters": given,
        }
        for files, finished in ((0, 0), (1, 0), (4, 1), (4, 2), (4, 4))
        for parent in ("", "done", "finished", "broken", "running")
        for goal in (1000, 500)
        for given, changed in itertools.product(
            ({}, {"failGoalUnreached": True}, {"failWhenGoalUnreached": 1}, {"useExhausted": "True"}),
            ({}, {"failGoalUnreached": False}, {"useExhausted": 1}),
        )
    ]
    statement = f"""
        SELECT {end_status_sql("c.files", "c.finished", "c.parent", "c")} AS status
        FROM jsonb_to_recordset(%(cases)s::jsonb)
             AS c (files int, finished int, parent text, goal int, split_rule jsonb, parameters jsonb)"""
    found = [row["status"] for row in shared_database.fetch(statement, {"cases": cases})]
    assert len(found) == len(cases)
    for case, status in zip(cases, found, strict=True):
        flags = read_goal({**case["parameters"], **case["split_rule"]})
        goal = Goal(case["goal"], flags.fails_below, flags.exhausts_below, flags.allows_partial)
        assert status == end_status(case["files"], case["finished"], case["parent"], goal), case


@given(files=some.integers(1, 10**6), part=some.floats(0, 1), goal=some.integers(1, 1000))
def test_more_success_never_ends_worse(files, part, goal):
    finished = int(files * part)
    rule = Goal(goal, fails_below=True)
    order = [TaskStatus.FAILED, TaskStatus.FINISHED, TaskStatus.DONE]
    now, later = (order.index(end_status(files, count, goal=rule)) for count in (finished, min(files, finished + 1)))
    assert now <= later
    assert is_goal_reached(files, files, rule)


@pytest.mark.parametrize(
    ("value", "per_mille"), [(None, 1000), ("", 1000), (100, 1000), (95.5, 955), ("80", 800), (0.01, 1)]
)
def test_a_goal_is_given_in_percent(value, per_mille):
    assert read_goal({"goal": value}).per_mille == per_mille


@pytest.mark.parametrize("value", [0, -1, 101, "many", True, [], "9" * 30, float("nan")])
def test_a_goal_that_is_none_is_refused(value):
    with pytest.raises(InvalidInput) as caught:
        read_goal({"goal": value})
    assert caught.value.field == "goal"
    assert caught.value.remedy


@pytest.mark.parametrize("other", ["failGoalUnreached", "useExhausted"])
def test_a_part_cannot_be_welcome_and_not(other):
    with pytest.raises(InvalidInput) as caught:
        read_goal({"allowPartialFinish": True, other: True})
    assert caught.value.field == "allowPartialFinish"
    assert other in str(caught.value)


def test_flags_of_the_end_are_read():
    flags = ending_flags({"noEmail": True, "disableAutoFinish": 1})
    assert (flags["sends_mail"], flags["finishes_by_itself"]) == (False, False)
    assert ending_flags({}) == {"goal": Goal(), "finishes_by_itself": True, "sends_mail": True}
