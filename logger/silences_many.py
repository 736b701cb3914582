"""Begins the silences of all incidents that a matcher found, in a fixed number of statements: of two thousand, one by one,
people waited for half a minute.

Writes what `silences.silence` and `life.change` write for one. Knows no filter: who is found is the caller's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

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
    # as core.audit.note writes it
    f"""
    INSERT INTO audit (who, roles, via, action, object_kind, object_id, before, after, reason, deed_id, is_automatic)
    SELECT %(who)s, %(roles)s::jsonb, %(via)s, %(action)s, 'incident', f.incident_id::text, {_BEFORE}, {_AFTER},
        %(comment)s, %(deed_id)s, %(is_automatic)s
    FROM {_OF} ORDER BY f.place
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
        **{"roles": json_text(sorted(act.roles)), "via": act.via, "is_automatic": act.is_automatic},
        **{"comment": clean(act.comment, MAX_COMMENT_CHARACTERS), "deed_id": act.deed_id},
    }
    for statement in _STATEMENTS if found else ():
        transaction.execute(statement, values)
