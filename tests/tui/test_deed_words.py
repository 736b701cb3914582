"""How a deed that goes back by itself says so, in its list and in its dialogue."""

from __future__ import annotations

import pytest

from tui.palette import Palette
from tui.render.course import deed_columns
from tui.render.preview import so_far_of, way_of
from tui.screens.audit import AuditScreen

WAITING = {
    "deed_id": 7, "revert_state": "waiting", "revert_kind": "tests", "revert_count": 20, "can_be_undone": True,
    "revert_progress": {"wanted": 20, "finished": 7, "queue": "Q", "last_failed": False, "sentence": "7 of 20"},
}  # fmt: skip
PALETTE = Palette.of_theme({})


def progress(**changed):
    return {**WAITING, "revert_progress": {**WAITING["revert_progress"], **changed}}


@pytest.mark.parametrize(
    ("deed", "words"),
    [
        (WAITING, "goes back after 20 test jobs: 7 of 20 succeeded"),
        (progress(last_failed=True), "goes back after 20 test jobs: 7 of 20 succeeded, the last one failed"),
        (progress(finished=23), "goes back after 20 test jobs: 20 of 20 succeeded"),
        ({**WAITING, "revert_progress": None}, "goes back after 20 test jobs"),
        ({**WAITING, "undone_time": "2026-11-27T03:00:00+00:00", "undone_by": "olga"}, "undone by olga"),
        ({**WAITING, "revert_state": "cancelled"}, "cancelled"),
    ],
)
def test_a_deed_that_waits_for_test_jobs_says_how_far_it_is(deed, words):
    assert way_of(deed) == words


def test_the_list_has_the_numbers_where_there_is_little_room():
    (column,) = [one for one in deed_columns(PALETTE, lambda: None) if one.heading == "back"]
    assert column.render(WAITING).plain == "tests: 7 of 20"
    assert column.render({**WAITING, "revert_progress": None}).plain == "back after 20 test jobs"
    assert so_far_of({**WAITING, "revert_state": "done"}) == ""


def test_the_list_follows_the_jobs_while_a_deed_counts_them():
    class Answered(AuditScreen):
        answer = {"deeds": [WAITING]}

    assert "jobs" in Answered.topics.fget(Answered)
    Answered.answer = {"deeds": [{**WAITING, "revert_progress": None}]}
    assert "jobs" not in Answered.topics.fget(Answered)
