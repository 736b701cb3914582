"""Lists of what is only ever added to: whole and in order over their pages, and cut by a window where one is given."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from core.clock import utc_now
from core.database import Database
from core.errors import InvalidInput
from core.monitor.question import Grammar, Question, read_question
from logger.reading.audit import AUDIT_GRAMMAR, audit_list
from logger.reading.deeds import DEED_GRAMMAR, deed_list
from logger.reading.notices import NOTICE_GRAMMAR, notice_list
from logger.reading.shifts import SHIFT_GRAMMAR, shift_list

_ADD = {
    "entries": "INSERT INTO audit (who, action, time) VALUES ('ann', 'do', %(time)s)",
    "deeds": "INSERT INTO deeds (who, action, time) VALUES ('ann', 'kill', %(time)s)",
    "notices": """
        INSERT INTO incident_notices (route_id, incident_id, change_seq, created_time)
        SELECT 1, 1, coalesce(max(change_seq), 0) + 1, %(time)s FROM incident_notices""",
    "shifts": "INSERT INTO shifts (name, state, start_time) VALUES ('shift', 'handed_over', %(time)s)",
}
_LISTS: dict[str, tuple[Grammar, Callable[[Database, Question], dict[str, Any]], str]] = {
    "entries": (AUDIT_GRAMMAR, audit_list, "audit_id"),
    "deeds": (DEED_GRAMMAR, deed_list, "deed_id"),
    "notices": (NOTICE_GRAMMAR, notice_list, "notice_id"),
    "shifts": (SHIFT_GRAMMAR, lambda database, question: shift_list(database, question, ("07:00",)), "shift_id"),
}


def ask(database: Database, name: str, **filters: str) -> dict[str, Any]:
    grammar, found, _ = _LISTS[name]
    return found(database, read_question(list(filters.items()), grammar, utc_now()))


@pytest.mark.parametrize("name", _LISTS)
def test_pages_hold_each_row_once_newest_first_and_a_window_cuts(shared_database: Database, name: str) -> None:
    key = _LISTS[name][2]
    for hours in (50, 30, 3, 2, 1):
        shared_database.execute(_ADD[name], {"time": utc_now() - timedelta(hours=hours)})
    first = ask(shared_database, name, limit="3")
    second = ask(shared_database, name, limit="3", cursor=first["next_cursor"])
    found = [row[key] for page in (first, second) for row in page[name]]
    assert len(found) == 5 and found == sorted(found, reverse=True) and second["next_cursor"] is None
    lately = ask(shared_database, name, hours="24")
    assert [row[key] for row in lately[name]] == found[:3] and lately["window"] is not None
    with pytest.raises(InvalidInput):
        ask(shared_database, name, limit="3", cursor="nonsense")


def test_who_has_the_watch_is_said_whatever_is_asked_for(shared_database: Database) -> None:
    row = shared_database.fetch_one(
        "INSERT INTO shifts (name, start_time) VALUES ('shift', clock_timestamp()) RETURNING shift_id"
    )
    assert row is not None
    assert ask(shared_database, "shifts", state="handed_over")["running"] == row["shift_id"]
