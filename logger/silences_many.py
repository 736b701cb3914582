"""Begins and ends the silences of many incidents in a fixed number of statements: for two thousand, one by one, people
waited half a minute.

Writes what `silences` and `life.change` write for one. Knows no filter: who is found is the caller's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from core import audit
from core.database import Row, Transaction
from core.states import INCIDENT_TRANSITIONS, IncidentState, check_transition
from core.text import clean, json_text
from logger.life import MAX_COMMENT_CHARACTERS, Act
from logger.silences import Until

_OF = "unnest(%(ids)s::bigint[], %(states)s::text[]) WITH ORDINALITY AS f (incident_id, state, place)"
_BEFORE = "jsonb_build_object('state', f.state, 'held_by', '')"
_AFTER = "jsonb_build_object('state', 'silenced', 'held_by', %(who)s::text)"

# primary key of incidents in each, whose rows the caller has locked; the silence that one has already: uq_silences_incident
_STATEMENTS = (
    """
    UPDATE incidents SET state = 'silenced', held_by = %(who)s, resolved_time = NULL, resolution = '', resolved_by = '',
        change_seq = change_seq + 1, modification_time = clock_timestamp()
    WHERE incident_id = ANY(%(ids)s::bigint[])
    """,
    f"""
    INSERT INTO incident_activity (incident_id, time, who, action, comment, change_seq, before, after, deed_id)
    SELECT i.incident_id, %(now)s, %(who)s, %(action)s, %(comment)s, i.change_seq, {_BEFORE}, {_AFTER}, %(deed_id)s
    FROM {_OF} JOIN incidents i USING (incident_id) ORDER BY f.place
    """,
    f"""
    INSERT INTO incident_changes (incident_id, change_seq, time, what, previous_state, state, severity, who, is_automatic,
                                  reason)
    SELECT i.incident_id, i.change_seq, %(now)s, 'silenced', f.state, i.state, i.severity, %(who)s, %(is_automatic)s,
        %(comment)s
    FROM {_OF} JOIN incidents i USING (incident_id) ORDER BY f.place
    """,
    """
    UPDATE silences SET end_time = %(now)s, ended_by = %(who)s, end_reason = 'another one took its place'
    WHERE incident_id = ANY(%(ids)s::bigint[]) AND end_time IS NULL
    """,
    f"""
    INSERT INTO silences (incident_id, matcher, until_kind, until_time, shift_id, base_count, base_queues, who, reason,
                          start_time, deed_id)
    SELECT i.incident_id, %(matcher)s::jsonb, %(kind)s, %(time)s, %(shift_id)s, i.job_count + i.record_count, coalesce((
            SELECT jsonb_agg(value) FROM incident_breakdown b
            WHERE b.incident_id = i.incident_id AND b.dimension = 'computing_site'), '[]'),
        %(who)s, %(comment)s, %(now)s, %(deed_id)s
    FROM {_OF} JOIN incidents i USING (incident_id) ORDER BY f.place
    """,
)


def silence_all(
    transaction: Transaction,
    found: Sequence[Row],
    until: Until,
    act: Act,
    now: datetime,
    matcher: Mapping[str, Any],
) -> None:
    """Silence incidents for the author of a `matcher` that found them.

    `found`: their numbers and states; locked, held by nobody and neither silenced nor resolved. `act` is automatic: the
    audit has a row for each incident, and the matcher's own silence has its row already. Raises IllegalTransition.
    """
    for state in {row["state"] for row in found}:
        check_transition(INCIDENT_TRANSITIONS, IncidentState(state), IncidentState.SILENCED)
    values = {
        **{"ids": [row["incident_id"] for row in found], "states": [row["state"] for row in found]},
        **{"kind": until.kind, "time": until.time, "shift_id": until.shift_id, "matcher": json_text(dict(matcher))},
        **{"who": clean(act.who, 200), "action": act.action, "now": now},
        **{"comment": clean(act.comment, MAX_COMMENT_CHARACTERS), "deed_id": act.deed_id},
        "is_automatic": act.is_automatic,
    }
    for statement in _STATEMENTS if found else ():
        transaction.execute(statement, values)
    after = {"state": IncidentState.SILENCED, "held_by": values["who"]}
    _note(transaction, act, act.comment, [(row["incident_id"], _was(row["state"]), after) for row in found])


# primary keys, in the order in which the fold locks incidents
_SILENT = """
SELECT s.silence_id, i.incident_id, i.state, i.owner, i.held_by FROM silences s JOIN incidents i USING (incident_id)
WHERE s.silence_id = ANY(%(silence_ids)s::bigint[]) AND s.end_time IS NULL
ORDER BY i.fingerprint, i.incident_id FOR UPDATE OF i
"""
# primary key
_CLOSE = """
UPDATE silences SET end_time = %(now)s, ended_by = %(who)s, end_reason = left(%(reason)s, 500)
WHERE silence_id = ANY(%(silence_ids)s::bigint[]) AND end_time IS NULL RETURNING silence_id
"""
_FREED = """
    unnest(%(ids)s::bigint[], %(states)s::text[], %(held)s::text[]) WITH ORDINALITY AS f (incident_id, state, held_by, place)
"""
_FREED_BEFORE = """
    jsonb_build_object('state', 'silenced') || CASE f.held_by WHEN '' THEN '{}' ELSE jsonb_build_object('held_by', f.held_by) END
"""
_FREED_AFTER = """
    jsonb_build_object('state', f.state) || CASE f.held_by WHEN '' THEN '{}' ELSE jsonb_build_object('held_by', '') END
"""
# primary key of incidents in each
_FREE = (
    f"""
    UPDATE incidents i SET state = f.state, held_by = '', change_seq = i.change_seq + 1,
        modification_time = clock_timestamp()
    FROM {_FREED} WHERE i.incident_id = f.incident_id
    """,
    f"""
    INSERT INTO incident_activity (incident_id, time, who, action, comment, change_seq, before, after, deed_id)
    SELECT i.incident_id, %(now)s, %(who)s, %(action)s, %(comment)s, i.change_seq, {_FREED_BEFORE}, {_FREED_AFTER},
        %(deed_id)s
    FROM {_FREED} JOIN incidents i USING (incident_id) ORDER BY f.place
    """,
    f"""
    INSERT INTO incident_changes (incident_id, change_seq, time, what, previous_state, state, severity, who, is_automatic,
                                  reason)
    SELECT i.incident_id, i.change_seq, %(now)s, 'unsilenced', 'silenced', i.state, i.severity, %(who)s,
        %(is_automatic)s, %(comment)s
    FROM {_FREED} JOIN incidents i USING (incident_id) ORDER BY f.place
    """,
)


def end_all(transaction: Transaction, silence_ids: Sequence[int], reason: str, act: Act, now: datetime) -> int:
    """End the silences of many incidents for one reason, as `silences.end` ends one; returns how many had not ended yet.

    `act` is automatic. An incident that is still silenced is open again, or acknowledged when it has an owner.
    """
    said = clean(reason, MAX_COMMENT_CHARACTERS)
    values: dict[str, Any] = {
        **{"silence_ids": list(silence_ids), "now": now, "who": clean(act.who, 200), "reason": said},
        **{"action": act.action, "comment": said, "deed_id": act.deed_id, "is_automatic": act.is_automatic},
    }
    silent = transaction.fetch(_SILENT, values)
    ended = {row["silence_id"] for row in transaction.fetch(_CLOSE, values)}
    freed = [row for row in silent if row["silence_id"] in ended and row["state"] == IncidentState.SILENCED]
    values["ids"] = [row["incident_id"] for row in freed]
    values["held"] = [row["held_by"] for row in freed]
    values["states"] = [str(IncidentState.ACKNOWLEDGED if row["owner"] else IncidentState.OPEN) for row in freed]
    for statement in _FREE if freed else ():
        transaction.execute(statement, values)
    changes = zip(freed, values["states"], strict=True)
    _note(transaction, act, said, [(row["incident_id"], *_freed(row["held_by"], state)) for row, state in changes])
    return len(ended)


def _was(state: str) -> Row:
    return {"state": state, "held_by": ""}


def _freed(held_by: str, state: str) -> tuple[Row, Row]:
    """As `life.change` says it: what did not change is not said."""
    before: Row = {"state": IncidentState.SILENCED}
    after: Row = {"state": state}
    return ({**before, "held_by": held_by}, {**after, "held_by": ""}) if held_by else (before, after)


def _note(transaction: Transaction, act: Act, reason: str, changes: Sequence[tuple[int, Row, Row]]) -> None:
    audit.note_many(
        *(transaction, act.who, act.action, "incident"),
        [audit.Changed(str(incident_id), before, after) for incident_id, before, after in changes],
        roles=act.roles,
        via=act.via,
        reason=reason,
        deed_id=act.deed_id,
        is_automatic=act.is_automatic,
    )
