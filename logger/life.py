"""Every change of an incident's state: checks the table of steps and the hold, and writes row, activity, change and audit.

The one way to change an incident by hand or by rule; knows no rule, no silence and no notice. All of a change is in the
caller's transaction. A person's decision (`held_by`) beats automation until it is released (monitor.md 6.1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from core import audit
from core.database import Row, Transaction
from core.errors import Conflict, UnknownObject
from core.states import INCIDENT_TRANSITIONS, IncidentState, check_transition
from core.text import clean

MAX_COMMENT_CHARACTERS = 2000

_MUTABLE = (
    *("owner", "assigned_to", "held_by", "acknowledged_time", "resolved_time", "resolution", "resolved_by"),
    *("severity", "links", "inhibited_by", "merged_into", "reopened_count", "opened_time", "opened_by", "previous_id"),
    *("rule_name", "rule_version", "title"),
)
"""Columns that a change may set beside the state."""

# primary key
_LOCK = f"""
SELECT incident_id, fingerprint, state, change_seq, computing_site, {", ".join(_MUTABLE)}
FROM incidents WHERE incident_id = %(incident_id)s FOR UPDATE
"""
_ACTIVITY = """
INSERT INTO incident_activity (incident_id, time, who, action, comment, change_seq, before, after, deed_id)
VALUES (%(incident_id)s, %(now)s, %(who)s, %(action)s, %(comment)s, %(change_seq)s, %(before)s::jsonb, %(after)s::jsonb,
        %(deed_id)s)
"""
_CHANGE = """
INSERT INTO incident_changes (incident_id, change_seq, time, what, previous_state, state, severity, who, is_automatic, reason)
VALUES (%(incident_id)s, %(change_seq)s, %(now)s, %(what)s, %(previous_state)s, %(state)s, %(severity)s, %(who)s,
        %(is_automatic)s, %(comment)s)
"""
_OPENED = """
INSERT INTO incident_changes (incident_id, change_seq, time, what, previous_state, state, severity, who, is_automatic, reason)
VALUES %s
"""
_OPENED_ACTIVITY = "INSERT INTO incident_activity (incident_id, time, who, action, comment, change_seq) VALUES %s"


# uq_incidents_unresolved
_TWIN = "SELECT incident_id FROM incidents WHERE fingerprint = %(fingerprint)s AND state <> 'resolved'"


class Held(Conflict):
    """Automation wanted to change what a person holds."""

    code = "held"


@dataclass(frozen=True)
class Act:
    """Who does what, why and from where. `via`: api, cli, console or web; `deed_id`: the deed that it is part of."""

    who: str
    action: str
    comment: str = ""
    is_automatic: bool = False
    via: str = ""
    roles: frozenset[str] = frozenset()
    deed_id: int | None = None


@dataclass(frozen=True)
class Opening:
    """An incident that was just inserted as open, or as silenced, with change number 1."""

    incident_id: int
    state: str
    severity: str
    who: str
    reason: str = ""
    is_automatic: bool = True


def change(
    transaction: Transaction,
    incident_id: int,
    target: IncidentState,
    act: Act,
    now: datetime,
    *,
    ends_hold: bool = False,
    **columns: Any,
) -> Row:
    """Bring an incident into a state and return its row as it was before, with `change_seq` as it is now.

    `ends_hold`: the person's own condition for that has come (the end of a silence). `columns`: values that win over
    what the step sets by itself. Raises UnknownObject, IllegalTransition, Held when automation meets a person's
    decision, and Conflict when a resolved incident cannot come back.
    """
    row = locked(transaction, incident_id)
    current = IncidentState(row["state"])
    check_transition(INCIDENT_TRANSITIONS, current, target)
    if current is IncidentState.RESOLVED:
        _must_be_free(transaction, row)
    if act.is_automatic and row["held_by"] and not ends_hold:
        raise Held(
            f"incident {incident_id} is held by {row['held_by']}",
            field="incident_id",
            remedy="it stays as it is until that is released",
        )
    values = {**_of_step(row, current, target, act, now), **columns}
    what = _told_as(current, target)
    return _write(transaction, row, {"state": target.value, **values}, what, act, now)


def restore(
    transaction: Transaction, incident_id: int, state: IncidentState, act: Act, now: datetime, **columns: Any
) -> Row:
    """Undo: put back a state and columns as they were, whatever the table of steps says of it.

    Returns the row as it was. Raises UnknownObject, and Conflict when the same trouble has another incident meanwhile.
    """
    row = locked(transaction, incident_id)
    current = IncidentState(row["state"])
    is_again_alive = current is IncidentState.RESOLVED and state is not IncidentState.RESOLVED
    if is_again_alive and transaction.fetch_one(_TWIN, {"fingerprint": row["fingerprint"]}):
        raise twin_conflict(incident_id)
    values = {**(_NOT_RESOLVED if is_again_alive else {}), **columns, "state": state.value}
    what = "" if state in (current, IncidentState.CANDIDATE) else _told_as(current, state)
    return _write(transaction, row, values, what, act, now)


def _must_be_free(transaction: Transaction, row: Row) -> None:
    """Raise Conflict when a resolved incident cannot come back: it was merged, or its trouble has a newer incident."""
    incident_id, into = row["incident_id"], row["merged_into"]
    if into is not None:
        raise Conflict(
            f"incident {incident_id} is part of incident {into}",
            field="incident_id",
            remedy=f"work on {into}, or undo the merge: its link is on the page of the incident",
        )
    if transaction.fetch_one(_TWIN, {"fingerprint": row["fingerprint"]}):
        raise twin_conflict(incident_id)


def twin_conflict(incident_id: int) -> Conflict:
    """Why a resolved incident cannot come back to life."""
    return Conflict(
        f"incident {incident_id} has a newer one of the same fingerprint that is not resolved",
        field="incident_id",
        remedy="work on the newer one, which is among those that are not resolved",
    )


def touch(transaction: Transaction, incident_id: int, act: Act, now: datetime, what: str = "", **columns: Any) -> Row:
    """Change an incident but not its state: owner, assignment, severity, hold, links, or just a comment.

    `what`: assigned or worse, when people are to be told of it. Returns the row as it was. Raises UnknownObject, and Held.
    """
    row = locked(transaction, incident_id)
    if act.is_automatic and row["held_by"] and columns:
        raise Held(
            f"incident {incident_id} is held by {row['held_by']}", field="incident_id", remedy="release it first"
        )
    return _write(transaction, row, columns, what, act, now)


def locked(transaction: Transaction, incident_id: int) -> Row:
    """The row of an incident, locked until the transaction ends. Raises UnknownObject."""
    row = transaction.fetch_one(_LOCK, {"incident_id": incident_id})
    if row is None:
        raise no_incident(incident_id)
    return row


def no_incident(incident_id: int) -> UnknownObject:
    """There is none of this number."""
    return UnknownObject(
        f"there is no incident {incident_id}", field="incident_id", remedy="see `panda incidents state=*`"
    )


def note_openings(transaction: Transaction, openings: Sequence[Opening], now: datetime) -> None:
    """Write activity and change number 1 of incidents that were inserted open (with change_seq 1 in their rows)."""
    opened = IncidentState.OPEN.value
    transaction.insert_many(
        _OPENED,
        [
            (
                one.incident_id,
                1,
                now,
                "opened",
                "",
                one.state,
                one.severity,
                one.who,
                one.is_automatic,
                clean(one.reason, 500),
            )
            for one in openings
        ],
    )
    transaction.insert_many(
        _OPENED_ACTIVITY,
        [
            (
                one.incident_id,
                now,
                one.who,
                "open" if one.state == opened else one.state,
                clean(one.reason, MAX_COMMENT_CHARACTERS),
                1,
            )
            for one in openings
        ],
    )


def _of_step(row: Row, current: IncidentState, target: IncidentState, act: Act, now: datetime) -> dict[str, Any]:
    """What a step sets beside the state."""
    who = clean(act.who, 200)
    if target is IncidentState.ACKNOWLEDGED:
        return {"owner": row["owner"] if act.is_automatic else who, "acknowledged_time": now, **_NOT_RESOLVED}
    if target is IncidentState.SILENCED:
        opened = {"opened_time": now, "opened_by": who} if current is IncidentState.CANDIDATE else {}
        return {"held_by": "" if act.is_automatic else who, **opened, **_NOT_RESOLVED}
    if target is IncidentState.RESOLVED:
        return {
            "resolved_time": now,
            "resolution": clean(act.comment, MAX_COMMENT_CHARACTERS),
            "resolved_by": who,
            "held_by": "" if act.is_automatic else who,
            "inhibited_by": None,
        }
    if target is IncidentState.REOPENED:
        is_again = current is IncidentState.RESOLVED
        return {
            "owner": row["owner"] if act.is_automatic else "",
            "held_by": "" if act.is_automatic else who,
            "reopened_count": row["reopened_count"] + is_again,
            **_NOT_RESOLVED,
        }
    if current is IncidentState.CANDIDATE:
        return {"opened_time": now, "opened_by": who}
    return {"owner": row["owner"] if act.is_automatic else "", **_NOT_RESOLVED}


_NOT_RESOLVED: dict[str, Any] = {"resolved_time": None, "resolution": "", "resolved_by": ""}

_TOLD_AS = {
    IncidentState.ACKNOWLEDGED: "acknowledged",
    IncidentState.SILENCED: "silenced",
    IncidentState.RESOLVED: "resolved",
    IncidentState.REOPENED: "reopened",
    IncidentState.OPEN: "reopened",
}


def _told_as(current: IncidentState, target: IncidentState) -> str:
    """As which change people hear of the step; empty when of none: a candidate comes and goes unheard."""
    if current is IncidentState.CANDIDATE:
        return "" if target is IncidentState.RESOLVED else "opened"
    if current is IncidentState.SILENCED and target is not IncidentState.RESOLVED:
        return "unsilenced"
    return _TOLD_AS[target]


def _write(transaction: Transaction, row: Row, columns: Mapping[str, Any], what: str, act: Act, now: datetime) -> Row:
    unknown = columns.keys() - {*_MUTABLE, "state"}
    if unknown:
        raise TypeError(f"{', '.join(sorted(unknown))}: no change sets this")
    changed = {name: value for name, value in columns.items() if value != row[name]}
    seq = row["change_seq"] + 1 if what else row["change_seq"]
    values = {name: _stored(value) for name, value in changed.items()}
    # the names come from _MUTABLE, never from input
    sets = "".join(f"{name} = %({name})s{'::jsonb' if name == 'links' else ''}, " for name in changed)
    transaction.execute(
        f"UPDATE incidents SET {sets} change_seq = %(change_seq)s, modification_time = clock_timestamp()"
        " WHERE incident_id = %(incident_id)s",
        {**values, "change_seq": seq, "incident_id": row["incident_id"]},
    )
    before = {name: row[name] for name in changed}
    noted = {
        "incident_id": row["incident_id"],
        "now": now,
        "who": clean(act.who, 200),
        "action": act.action,
        "comment": clean(act.comment, MAX_COMMENT_CHARACTERS),
        "change_seq": seq if what else None,
        "before": _json(before),
        "after": _json(changed),
        "deed_id": act.deed_id,
    }
    transaction.execute(_ACTIVITY, noted)
    if what:
        told = {"what": what, "previous_state": row["state"], "is_automatic": act.is_automatic}
        after = {"state": columns.get("state", row["state"]), "severity": columns.get("severity", row["severity"])}
        transaction.execute(_CHANGE, {**noted, **told, **after})
    if what or not act.is_automatic:
        note(transaction, act, "incident", row["incident_id"], before, changed)
    return {**row, "change_seq": seq}


def note(
    transaction: Transaction,
    act: Act,
    kind: str,
    key: int,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    action: str = "",
) -> None:
    """Write into the audit what an act did to the object `kind` (incident, silence, link, shift) `key`.

    `action`: instead of the act's own.
    """
    audit.note(
        transaction,
        *(act.who, action or act.action, kind, str(key), before, after),
        roles=act.roles,
        via=act.via,
        reason=act.comment,
        deed_id=act.deed_id,
        is_automatic=act.is_automatic,
    )


def _stored(value: Any) -> Any:
    return _json(value) if isinstance(value, list | dict) else value


def _json(value: Any) -> str:
    return orjson.dumps(value, default=str).decode()
