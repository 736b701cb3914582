"""Silences: nobody is told of an incident, or of what a matcher finds, until a reason ends it that its author chose.

Knows incidents, their life and the running shift; knows no notice and no loop (`silence_keeper`). Whoever ends the silence
of an incident locks that first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from typing import Any, Literal, get_args

from core.database import Row, Transaction
from core.errors import Conflict, InvalidInput, UnknownObject
from core.states import IncidentState
from core.text import clean, json_text
from logger import life
from logger.life import Act
from logger.selecting import IS_SHOWN, select

UntilKind = Literal["time", "shift", "doubles", "second_queue", "fixed"]
UNTIL_KINDS: tuple[UntilKind, ...] = get_args(UntilKind)

LONGEST = timedelta(days=90)
"""A silence until a time is never longer."""

GRACE = timedelta(hours=2)
"""So long a shift may overrun its change before a silence that waits for its end ends all the same."""

_LEAST_GROWTH = 10
"""Twice nothing is nothing: a silence until the count doubles waits for ten more events at least."""

AT_ONCE = 200
"""Incidents that begin or end to be silent in one transaction because of a matcher; the keeper goes on with the others."""

_LONGEST_MATCHER = 4000
"""Characters of a matcher, which stands in the row of each silence that it makes."""


@dataclass(frozen=True)
class Until:
    """What ends a silence: a moment, the end of the shift, twice the count, a second queue, or only the end of it all."""

    kind: UntilKind
    time: datetime | None = None
    shift_id: int | None = None


# uq_shifts_running
_RUNNING = "SELECT shift_id FROM shifts WHERE state = 'running' ORDER BY start_time DESC LIMIT 1"


def read_until(
    transaction: Transaction, kind: str, moment: datetime | None, changes: Sequence[str], now: datetime
) -> Until:
    """What a person asks for. `changes`: when shifts change, HH:MM UTC. Raises InvalidInput naming the field."""
    if kind not in UNTIL_KINDS:
        raise InvalidInput(
            f"{kind[:40]!r} ends no silence", field="until_kind", remedy=f"one of {', '.join(UNTIL_KINDS)}"
        )
    if kind == "time":
        if moment is None:
            raise InvalidInput(
                "it has to end at some time", field="until", remedy="for example 2h, or an ISO 8601 time"
            )
        if not now < moment <= now + LONGEST:
            raise InvalidInput(
                f"{moment.isoformat()} is not within the next {LONGEST.days} days",
                field="until",
                remedy="take a time that is to come, such as 2h",
            )
        return Until("time", moment)
    if moment is not None:
        raise InvalidInput(f"a silence until {kind} has no time", field="until", remedy="leave it out")
    if kind == "shift":
        running = transaction.fetch_one(_RUNNING)
        return Until("shift", next_change(changes, now), running["shift_id"] if running else None)
    return Until(next(known for known in UNTIL_KINDS if known == kind))


_CLOCK = re.compile(r"\d{1,2}:\d\d")
_LENGTH = re.compile(r"(?:(\d{1,4})d)?(?:(\d{1,5})h)?(?:(\d{1,6})m(?:in)?)?", re.IGNORECASE)


def read_moment(text: str, now: datetime) -> datetime | None:
    """A moment as people write it: 30m, 2h, 1d12h, 18:00 (the next one), or ISO 8601; UTC when no zone is said; None for
    nothing.

    Raises InvalidInput.
    """
    said = "".join(text.split())
    if not said:
        return None
    length = _LENGTH.fullmatch(said)
    try:
        if length is not None:
            days, hours, minutes = (int(part or 0) for part in length.groups())
            return now + timedelta(days=days, hours=hours, minutes=minutes)
        if _CLOCK.fullmatch(said):
            return next_change([said.zfill(5)], now)
        read = datetime.fromisoformat(text.strip())
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        remedy = "for example 30m, 2h, 1d12h, 18:00 (UTC) or 2026-12-31T12:00"
        raise InvalidInput(f"{text[:40]!r} is no time", field="until", remedy=remedy) from error


def next_change(changes: Sequence[str], now: datetime) -> datetime:
    """When the shift changes next. `changes`: HH:MM, UTC."""
    today = now.astimezone(UTC).date()
    moments = [
        datetime.combine(today + timedelta(days=ahead), time.fromisoformat(change), UTC)
        for ahead in (0, 1)
        for change in changes or ("00:00",)
    ]
    return min(moment for moment in moments if moment > now)


# uq_silences_incident
_LIVE_OF = "SELECT silence_id FROM silences WHERE incident_id = %(incident_id)s AND end_time IS NULL FOR UPDATE"
# primary key
_BASE = """
SELECT i.job_count + i.record_count AS count, coalesce((
    SELECT jsonb_agg(value) FROM incident_breakdown b
    WHERE b.incident_id = i.incident_id AND b.dimension = 'computing_site'), '[]') AS queues
FROM incidents i WHERE i.incident_id = %(incident_id)s
"""
_ADD = """
INSERT INTO silences (incident_id, matcher, until_kind, until_time, shift_id, base_count, base_queues, who, reason,
                      start_time, deed_id)
VALUES (%(incident_id)s, %(matcher)s::jsonb, %(kind)s, %(time)s, %(shift_id)s, %(base_count)s, %(base_queues)s::jsonb,
        %(who)s, %(reason)s, %(now)s, %(deed_id)s)
RETURNING *
"""


def silence(transaction: Transaction, incident_id: int, until: Until, act: Act, now: datetime) -> Row:
    """Silence an incident until a reason ends it; returns the silence. One that it has already is replaced.

    The incident is held by the author, but when only its end ends the silence: that comes by itself.
    Raises UnknownObject, and IllegalTransition for what is resolved or no incident yet.
    """
    held = "" if until.kind == "fixed" else clean(act.who, 200)
    if life.locked(transaction, incident_id)["state"] == IncidentState.SILENCED:
        life.touch(transaction, incident_id, act, now, held_by=held)
    else:
        life.change(transaction, incident_id, IncidentState.SILENCED, act, now, held_by=held)
    close_live(transaction, incident_id, "another one took its place", act, now)
    base = transaction.fetch(_BASE, {"incident_id": incident_id})[0]
    return _add(transaction, incident_id, {}, until, act, now, base)


def silence_matching(
    transaction: Transaction, matcher: Mapping[str, str], until: Until, act: Act, now: datetime
) -> Row:
    """Silence what a matcher finds now and what it will find until then; returns the silence.

    `matcher`: filters of the incident list. Raises InvalidInput for filters that are none or too long, and for an end that
    belongs to one incident: such a silence would never end.
    """
    select(matcher, now)
    length = len(json_text(dict(matcher)))
    if length > _LONGEST_MATCHER:
        raise InvalidInput(
            f"the filters have {length} characters of at most {_LONGEST_MATCHER}",
            field="matcher",
            remedy="silence by fewer values, or by wildcards such as CERN_*",
        )
    if until.time is None:
        raise InvalidInput(
            "a silence of whatever comes needs a time at which it ends",
            field="until_kind",
            remedy="time or shift",
        )
    return _add(transaction, None, matcher, until, act, now, {"count": 0, "queues": []})


def _add(
    transaction: Transaction,
    incident_id: int | None,
    matcher: Mapping[str, Any],
    until: Until,
    act: Act,
    now: datetime,
    base: Row,
) -> Row:
    row = transaction.fetch(
        _ADD,
        {
            **{"incident_id": incident_id, "matcher": json_text(dict(matcher)), "kind": until.kind, "time": until.time},
            **{"shift_id": until.shift_id, "base_count": base["count"], "base_queues": json_text(base["queues"])},
            **{"who": clean(act.who, 200), "reason": clean(act.comment, life.MAX_COMMENT_CHARACTERS), "now": now},
            "deed_id": act.deed_id,
        },
    )[0]
    kept = {name: row[name] for name in ("until_kind", "until_time", "shift_id") if row[name] is not None}
    _note(transaction, "begin silence", row, {}, {**_what(row), **kept}, act)
    return row


def _what(row: Row) -> Row:
    """What a silence is of, as the audit names it."""
    return {name: row[name] for name in ("incident_id", "matcher") if row[name]}


def _note(transaction: Transaction, action: str, row: Row, before: Row, after: Row, act: Act) -> None:
    """A row of the audit; what automation does to the silence of one incident stands in the row of that already."""
    if act.is_automatic and row["incident_id"] is not None:
        return
    life.note(transaction, act, "silence", row["silence_id"], before, after, action)


# primary key
_ONE = "SELECT * FROM silences WHERE silence_id = %(silence_id)s"
# primary key
_CLOSE = """
UPDATE silences SET end_time = %(now)s, ended_by = %(who)s, end_reason = %(reason)s
WHERE silence_id = %(silence_id)s AND end_time IS NULL RETURNING silence_id, incident_id, matcher, end_reason
"""
# ix_silences_live: those that a matcher made; incidents by primary key, in the order in which the fold locks them
_CHILDREN = """
SELECT s.silence_id, s.incident_id, s.matcher FROM silences s JOIN incidents i USING (incident_id)
WHERE s.end_time IS NULL AND s.matcher @> %(parent)s::jsonb ORDER BY i.fingerprint, i.incident_id LIMIT %(limit)s
"""


def end(transaction: Transaction, silence_id: int, reason: str, act: Act, now: datetime) -> Row:
    """End a silence, and with a matcher's also those it made (of very many the keeper ends the rest); returns the silence.

    An incident that is still silenced is open again, or acknowledged when it has an owner. It is held no longer, unless a
    person ended what filters would silence again the next moment. `reason`: in words. Raises UnknownObject, and Conflict
    when it has ended.
    """
    row = transaction.fetch_one(_ONE, {"silence_id": silence_id})
    if row is None:
        raise UnknownObject(
            f"there is no silence {silence_id}", field="silence_id", remedy="look at the silences that there are"
        )
    if row["incident_id"] is not None:
        is_ended = _speak_again(transaction, row, reason, act, now, is_wanted=not act.is_automatic)
    else:
        is_ended = close(transaction, silence_id, reason, act, now)
    if not is_ended:
        raise Conflict(f"silence {silence_id} has ended", field="silence_id", remedy="there is nothing to do")
    if row["incident_id"] is None:
        made = {"parent": json_text({"silence_id": silence_id}), "limit": AT_ONCE}
        for child in transaction.fetch(_CHILDREN, made):
            _speak_again(transaction, child, reason, act, now)
    return transaction.fetch(_ONE, {"silence_id": silence_id})[0]


def _speak_again(
    transaction: Transaction, row: Row, reason: str, act: Act, now: datetime, *, is_wanted: bool = False
) -> bool:
    """End the silence of one incident; False when that had ended. `is_wanted`: somebody wants to hear of this one."""
    incident = life.locked(transaction, row["incident_id"])
    if not close(transaction, row["silence_id"], reason, act, now):
        return False
    if incident["state"] == IncidentState.SILENCED:
        target = IncidentState.ACKNOWLEDGED if incident["owner"] else IncidentState.OPEN
        held = clean(act.who, 200) if is_wanted and _is_matched(transaction, row["incident_id"], now) else ""
        kept = {"owner": incident["owner"], "acknowledged_time": incident["acknowledged_time"], "held_by": held}
        told = replace(act, comment=": ".join(filter(None, (reason, act.comment))))
        life.change(transaction, row["incident_id"], target, told, now, ends_hold=True, **kept)
    return True


def close(transaction: Transaction, silence_id: int, reason: str, act: Act, now: datetime) -> bool:
    """End the row of a silence, whose incident the caller has locked; False when it had ended."""
    values = {"silence_id": silence_id, "now": now, "who": clean(act.who, 200), "reason": clean(reason, 500)}
    row = transaction.fetch_one(_CLOSE, values)
    if row is not None:
        _note(transaction, "end silence", row, _what(row), {"end_reason": row["end_reason"]}, act)
    return row is not None


def close_live(transaction: Transaction, incident_id: int, reason: str, act: Act, now: datetime) -> int | None:
    """End the row of the silence that an incident has; returns its number, None when there is none."""
    row = transaction.fetch_one(_LIVE_OF, {"incident_id": incident_id})
    if row is None or not close(transaction, row["silence_id"], reason, act, now):
        return None
    return int(row["silence_id"])


# primary key
_REVIVE = """
UPDATE silences SET end_time = NULL, ended_by = '', end_reason = '' WHERE silence_id = %(silence_id)s AND end_time IS NOT NULL
RETURNING silence_id, incident_id, matcher
"""


def revive(transaction: Transaction, silence_id: int, act: Act) -> None:
    """Have a silence go on as if it had not been ended; the caller puts the incident's state back."""
    row = transaction.fetch_one(_REVIVE, {"silence_id": silence_id})
    if row is not None:
        _note(transaction, "revive silence", row, {}, _what(row), act)


# ix_silences_live; incidents, shifts, the matcher's own and breakdown by primary key
_LIVE = """
SELECT s.*, i.state, i.job_count + i.record_count AS count, h.state AS shift_state, p.end_reason AS matcher_end, (
    SELECT min(b.value) FROM incident_breakdown b
    WHERE s.until_kind = 'second_queue' AND b.incident_id = s.incident_id AND b.dimension = 'computing_site'
      AND NOT s.base_queues ? b.value) AS new_queue
FROM silences s LEFT JOIN incidents i USING (incident_id) LEFT JOIN shifts h USING (shift_id)
LEFT JOIN silences p ON p.silence_id = (s.matcher -> 'silence_id')::bigint AND p.end_time IS NOT NULL
WHERE s.end_time IS NULL ORDER BY s.silence_id
"""


def due(transaction: Transaction, now: datetime) -> list[tuple[Row, str]]:
    """Live silences whose reason to end has come, with that reason in words."""
    return [(row, reason) for row in transaction.fetch(_LIVE) if (reason := reason_to_end(row, now))]


def reason_to_end(row: Row, now: datetime) -> str:
    """Why a silence ends now; empty while it does not. `row`: of the live ones, with what has become of the incident."""
    kind = row["until_kind"]
    if row["incident_id"] is not None and row["state"] != IncidentState.SILENCED:
        return f"the incident is {row['state']}"
    if row["matcher_end"] is not None:  # it was made while that one ended, or is one of very many
        return str(row["matcher_end"])
    if row["incident_id"] is None:
        try:
            select(row["matcher"], now)
        except InvalidInput as error:  # written by a release that knew other filters
            return f"its filters are not understood: {error}"
    if kind == "time" and row["until_time"] <= now:
        return "its time is up"
    if kind == "shift":
        limit = row["until_time"] + (GRACE if row["shift_state"] == "running" else timedelta(0))
        if row["shift_state"] == "handed_over" or limit <= now:
            return "the shift is over"
    if kind == "doubles" and row["count"] >= max(2 * row["base_count"], row["base_count"] + _LEAST_GROWTH):
        return f"there are {row['count']} events, {row['base_count']} when it was silenced"
    if kind == "second_queue" and row["new_queue"]:
        return f"it is at {row['new_queue']} too"
    return ""


# short: ix_silences_live
MATCHERS = "SELECT * FROM silences WHERE end_time IS NULL AND incident_id IS NULL ORDER BY silence_id"
# primary key
_MATCHES = "SELECT 1 FROM incidents WHERE {shown} AND incident_id = %(incident_id)s AND {where}"


def _is_matched(transaction: Transaction, incident_id: int, now: datetime) -> bool:
    """Whether filters in force find the incident."""
    for row in transaction.fetch(MATCHERS):
        try:
            question = select(row["matcher"], now)
        except InvalidInput:
            continue  # the keeper ends it
        statement = _MATCHES.format(shown=IS_SHOWN, where=question.where())
        if transaction.fetch_one(statement, {**question.parameters, "incident_id": incident_id}):
            return True
    return False
