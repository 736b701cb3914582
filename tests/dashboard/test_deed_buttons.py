"""Which deeds a page offers of a queue, job or task in which state, and to whom: plain values, without a server."""

from __future__ import annotations

import re
from typing import Any

import pytest

from dashboard.callers import Caller
from dashboard.components.deed_buttons import job_buttons, queue_buttons, task_buttons
from dashboard.deeds import WORKS
from dashboard.pages import WORKS as OF_PAGES
from dashboard.works import Question
from tests.dashboard.test_works import _text


def _words(made: Any) -> list[str]:
    return [button.children for button in made.children]


@pytest.mark.parametrize(
    ("status", "offered"),
    [
        ("online", ["Drain", "Test", "Offline"]),
        ("brokeroff", ["Un-drain", "Test", "Offline"]),
        ("test", ["Online", "Drain", "Offline"]),
        ("offline", ["Online", "Test"]),
        ("paused", ["Online", "Drain", "Test", "Offline"]),
    ],
)
def test_a_queue_is_offered_what_changes_its_state(status: str, offered: list[str]) -> None:
    assert _words(queue_buttons({"queue_name": "CERN", "status": status, "status_set_by": ""})) == offered
    held = queue_buttons({"queue_name": "CERN", "status": status, "status_set_by": "person"})
    assert _words(held) == [*offered, "Release"]


def test_a_live_job_is_killed_and_the_task_of_a_failed_one_retried() -> None:
    job = {"panda_id": 7, "jedi_task_id": 8, "job_status": "running", "prod_user_name": "bob"}
    assert _words(job_buttons(job, may_act=True)) == ["Kill"]
    assert _words(job_buttons({**job, "job_status": "failed"}, may_act=True)) == ["Retry its task"]
    assert job_buttons({**job, "job_status": "finished"}, may_act=True) is None
    assert job_buttons({**job, "job_status": "failed", "jedi_task_id": None}, may_act=True) is None
    told = job_buttons(job, may_act=False)
    assert told.children == "Kill: bob or an operator, signed in" and "data-do" not in _text(told)


def test_a_task_is_retried_where_that_is_accepted_and_its_live_jobs_are_killed() -> None:
    task = {"jedi_task_id": 8, "status": "running", "user_name": "bob"}
    assert _words(task_buttons(task, {"activated": 2, "failed": 1}, may_act=True)) == ["Retry", "Kill its jobs"]
    assert _words(task_buttons({**task, "status": "failed"}, {"failed": 3}, may_act=True)) == ["Retry"]
    assert _words(task_buttons({**task, "status": "aborting"}, {"running": 3}, may_act=True)) == ["Kill its jobs"]
    assert task_buttons({**task, "status": "done"}, {"finished": 3, "running": 0}, may_act=True) is None
    assert "Retry and kill its jobs: bob or an operator" in _text(task_buttons(task, {"sent": 1}, may_act=False))


@pytest.mark.parametrize("role", ["production", "operator", "admin"])
def test_managers_may_end_the_work_of_all_and_others_their_own(role: str) -> None:
    assert Caller("otto", frozenset({role})).may_end("bob")
    assert Caller("bob", frozenset({"user"})).may_end("bob")
    assert not Caller("alice", frozenset({"user"})).may_end("bob")
    assert not Caller().may_end("") and not Caller().may_end(None), "nobody owns nothing"


def test_every_button_names_a_work_and_no_two_works_have_one_name() -> None:
    names = [work.name for work in (*OF_PAGES, *WORKS)]
    assert len(set(names)) == len(names)
    queue = {"queue_name": "CERN", "status": "x", "status_set_by": "person"}
    job = {"panda_id": 7, "jedi_task_id": 8, "job_status": "running"}
    task = {"jedi_task_id": 8, "status": "running"}
    shown = [
        *(_text(queue_buttons({**queue, "status": status})) for status in ("online", "brokeroff", "test", "offline")),
        *(_text(job_buttons({**job, "job_status": status}, may_act=True)) for status in ("running", "failed")),
        _text(task_buttons(task, {"running": 1}, may_act=True)),
    ]
    pressed = set(re.findall(r'"data-do": "([\w-]+)"', "".join(shown)))
    assert len(pressed) == 9 and pressed <= set(names)


def test_what_is_offline_is_asked_for_no_test_jobs_and_stays_unless_an_end_is_said() -> None:
    asked: dict[str, Question] = {}
    for work in WORKS:
        if work.name in ("offline-queue", "test-queue", "drain-queue"):
            asked[work.name] = work.questions[0]
    assert not any(value.startswith("tests:") for value, _ in asked["offline-queue"].choices)
    assert any(value.startswith("tests:") for value, _ in asked["test-queue"].choices)
    assert (asked["offline-queue"].value, asked["test-queue"].value) == ("never", "never")
    assert asked["drain-queue"].value == "2h", "a drain has to end"
