"""Rows of the audit in words: verbs, objects, and what changed, for somebody who has never seen the table."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from dashboard.components import audit_words
from logger.deeds.table import ACTIONS

ROOT = Path(__file__).parents[2]


def entry(action: str, kind: str, key: str, before: Any = None, after: Any = None) -> dict[str, Any]:
    return {"action": action, "object_kind": kind, "object_id": key, "before": before or {}, "after": after or {}}


def shown(row: dict[str, Any]) -> list[str]:
    return [
        f"{one.name}: {one.before} -> {one.after}" if one.before is not None else f"{one.name}: {one.after}"
        for one in audit_words.changes(row)
        if not one.is_aside
    ]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (entry("acknowledge", "incident", "7"), "acknowledged incident"),
        (entry("hold", "incident", "7"), "took in hand incident"),
        (entry("begin silence", "silence", "2"), "began silence"),
        (entry("rule changed", "rule", "failure_burst"), "changed alarm rule"),
        (entry("test", "notice_route", "1"), "sent a test to notice route"),
        (entry("test", "queue", "CERN"), "set to test queue"),
        (entry("undo drain", "deed", "4"), "took back deed"),
        (entry("undo drain", "queue", "CERN"), "took back (drain) of queue"),
        (entry("merge", "link", "1"), "made merge"),
        (entry("undo split", "link", "1"), "took back split"),
        (entry("something_new", "odd_thing", "1"), "something new odd thing"),
    ],
)
def test_what_was_done_is_said_in_the_past_with_the_kind_of_object(row, words):
    assert f"{audit_words.did(row)} {audit_words.kind_words(row)}" == words


def test_every_action_with_a_preview_and_its_undo_has_words():
    assert set(ACTIONS) <= set(audit_words.DID)


def test_every_action_that_the_server_writes_down_literally_has_words():
    written = set()
    for path in [*(ROOT / "core").rglob("*.py"), *(ROOT / "logger").rglob("*.py")]:
        written |= set(re.findall(r"audit\.note(?:_rows)?\(\s*transaction,\s*who,\s*\"([a-z ]+)\"", path.read_text()))
    assert written  # at least the limits of accounts, endpoints, users
    assert written <= set(audit_words.DID)


def test_only_what_changed_is_said_with_units_and_without_microseconds():
    row = entry(
        "silence",
        "incident",
        "7",
        {"state": "open", "held_by": "", "group_wait_s": 10},
        {"state": "silenced", "held_by": "olga", "group_wait_s": 90, "until_time": "2026-11-27T04:50:09.115460+00:00"},
    )
    assert shown(row) == [
        "state: open -> silenced",
        "held by: olga",
        "group wait: 10 s -> 1 min 30 s",
        "until: 2026-11-27 04:50:09 UTC",
    ]


def test_a_document_inside_differs_field_by_field():
    before = {"parameters": {"burst_jobs": 10, "quiet_s": 1800}, "severity_floor": "warning"}
    after = {"parameters": {"burst_jobs": 20, "quiet_s": 1800}, "severity_floor": "error", "version": 2}
    assert shown(entry("rule changed", "rule", "x", before, after)) == [
        "burst jobs: 10 -> 20",
        "severity at least: warning -> error",
    ]


def test_a_new_thing_says_only_what_is_set_and_nothing_of_its_own_name():
    after = {"kind": "user", "name": "mallory", "quota_mode": "", "is_privileged": False, "max_running_jobs": 5}
    assert shown(entry("set account", "user", "mallory", {}, after)) == ["max running jobs: 5"]


def test_a_deed_says_to_what_and_how_it_went_where_it_was_not_simply_done():
    after = {"state": "done", "target_kind": "job", "done": 2, "refused": 0, "gone": 0, "targets": ["9", "10"]}
    row = entry("kill", "deed", "2", {}, {**after, "parameters": {"input": "cancel"}})
    assert (audit_words.targets(row), audit_words.outcome(row)) == ("2 jobs: 9, 10", "")
    assert shown(row) == ["input of the jobs: cancel"]
    partly = entry("kill", "deed", "2", {}, {**after, "refused": 3, "gone": 1})
    assert audit_words.targets(partly) == "6 jobs: 9, 10"
    assert audit_words.outcome(partly) == "2 done, 3 refused, 1 had ended or gone"
    assert audit_words.outcome(entry("kill", "deed", "3", {}, {**after, "done": 0})) == "nothing to do"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("until", "tests:20", "20 test jobs have finished"),
        ("digest", "a" * 64, "aaaaaaaa…"),
        ("people", ["olga", "otto"], "olga, otto"),
        ("people", [str(number) for number in range(14)], "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 2 more"),
        ("matcher", {"computing_site": "T3_*"}, "computing site T3_*"),
        ("is_active", False, "no"),
        ("share", 0.1, "0.1"),
        ("owner", None, "nothing"),
        ("text", "<b>not bold</b>", "<b>not bold</b>"),
    ],
)
def test_values_are_said_as_people_say_them(name, value, words):
    assert audit_words.value_words(name, value) == words


def test_what_is_no_document_is_shown_whole():
    assert shown(entry("x", "y", "1", "old", "new")) == ["value: old -> new"]
