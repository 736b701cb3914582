"""What the monitors read of deeds: the list, one with its targets, those of an incident. Shapes are those of docs/api.md."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from core.audit import VIAS
from core.database import Database, Row
from core.errors import UnknownObject
from core.monitor.closed import closed_column
from core.monitor.filters import Condition, number_column, text_column
from core.monitor.question import Grammar, Question
from core.monitor.reading import envelope
from logger.deeds.progress import progress_of
from logger.deeds.table import ACTIONS, WORK
from logger.deeds.undoing import UNDO
from logger.reading.paging import newest_first

MOST_TARGETS = 500

_ROW = """
    deed_id, time, who, via, action, incident_id, parameters, reason, target_kind, target_count, state, result, inverse,
    inverse_data <> '{}'::jsonb AS has_changed, undone_time, undone_by, undo_deed_id, revert_kind, revert_time,
    revert_count, revert_state
"""


def _with_target(value: str, prefix: str) -> Condition:
    """Deeds that met an object; primary key of deed_targets for each deed of the page."""
    wanted = text_column("target", "t.target")(value, prefix)
    found = f"EXISTS (SELECT 1 FROM deed_targets t WHERE t.deed_id = deeds.deed_id AND {wanted.sql})"
    return Condition(found, wanted.parameters)


_STATES = ("executing", "done", "partly", "failed")
"""As ck_deeds_state has them."""
_REVERT_STATES = ("", "waiting", "done", "cancelled", "superseded")
"""As ck_deeds_revert_state has them."""

DEED_GRAMMAR = Grammar(
    filters={
        "who": text_column("who"),
        "action": closed_column("action", (*ACTIONS, UNDO)),
        "state": closed_column("state", _STATES),
        "target_kind": closed_column("target_kind", tuple(WORK)),
        "revert_state": closed_column("revert_state", _REVERT_STATES),
        "via": closed_column("via", VIAS),
        **{name: number_column(name) for name in ("deed_id", "incident_id")},
        "target": _with_target,
    }
)

# primary key backwards, ix_deeds_incident, or ix_deeds_time
_DEEDS = f"SELECT {_ROW} FROM deeds WHERE deed_id < %(before)s AND {{where}} ORDER BY deed_id DESC LIMIT %(limit)s"
# primary key
_ONE = f"SELECT {_ROW} FROM deeds WHERE deed_id = %(deed_id)s"
_TARGETS = """
SELECT target, state, note, done_time FROM deed_targets WHERE deed_id = %(deed_id)s
ORDER BY state = 'done', length(target), target LIMIT %(limit)s
"""
_COUNTS = "SELECT state, count(*) AS count FROM deed_targets WHERE deed_id = %(deed_id)s GROUP BY 1"
# ix_deeds_incident; of those that met many incidents ix_incident_activity_incident, then the primary key
_OF_INCIDENT = f"""
SELECT {_ROW} FROM deeds WHERE deed_id IN (
    SELECT deed_id FROM deeds WHERE incident_id = %(incident_id)s
    UNION SELECT deed_id FROM incident_activity WHERE incident_id = %(incident_id)s AND deed_id IS NOT NULL)
ORDER BY deed_id DESC LIMIT 50
"""


def deed_list(database: Database, question: Question) -> dict[str, Any]:
    """A page of deeds, newest first; a window cuts them by the time they were done."""
    rows, answer = newest_first(database, _DEEDS, question, "deed_id")
    return {**answer, "deeds": _shown(database, rows), "actions": [_shown_action(name) for name in ACTIONS]}


def deed_detail(database: Database, deed_id: int, as_of: datetime) -> dict[str, Any]:
    """One deed with its targets, those that were not done first. Raises UnknownObject."""
    row = database.fetch_one(_ONE, {"deed_id": deed_id})
    if row is None:
        raise UnknownObject(f"there is no deed {deed_id}", field="deed_id", remedy="see `panda deeds`")
    counts = {found["state"]: found["count"] for found in database.fetch(_COUNTS, {"deed_id": deed_id})}
    targets = database.fetch(_TARGETS, {"deed_id": deed_id, "limit": MOST_TARGETS})
    return envelope(as_of, count=1, deed=_shown(database, [row])[0], targets=targets, target_states=counts)


def deeds_of_incident(database: Database, incident_id: int) -> list[Row]:
    """What was done about one incident, newest first, at most 50."""
    return _shown(database, database.fetch(_OF_INCIDENT, {"incident_id": incident_id}))


def _shown(database: Database, rows: list[Row]) -> list[Row]:
    progress = progress_of(database, rows)
    return [shown_deed(row, progress.get(row["deed_id"])) for row in rows]


def shown_deed(row: Row, progress: Row | None = None) -> Row:
    """A deed as it is answered; `can_be_undone`: whether an undo would be tried at all. `progress`: of one that waits for
    test jobs."""
    has_changed = row["has_changed"] if "has_changed" in row else bool(row["inverse_data"])
    hidden = ("inverse_data", "has_changed", "lease_until", "roles")
    is_open = row["undone_time"] is None and row["state"] != "executing"
    shown = {name: value for name, value in row.items() if name not in hidden}
    can_be_undone = bool(is_open and row["inverse"] and has_changed)
    return {**shown, "can_be_undone": can_be_undone, "revert_progress": progress}


def _shown_action(name: str) -> Row:
    action = ACTIONS[name]
    return {
        "action": name,
        "target_kind": action.target_kind,
        "needs": action.needs,
        "sentence": action.sentence,
        "inverse": action.inverse,
        "parameters": list(action.parameters.model_fields),
    }
