"""What is to be told, and how far each notice has come. Knows the tables; sends nothing and knows no channel.

One notice for each route, incident and change (a unique key). A message is marked as being sent before anything leaves,
so it goes out at most once whatever is killed; what may be lost for it is `lost`, and said. Whether a notice is told is
decided when it is due, not when the change is seen: only then the verdict is known, and what silences or explains it.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from core.database import Database, Row, Transaction
from core.text import clean
from logger.notices.grouping import chosen
from logger.notices.matching import heard_by, is_undecided
from logger.notices.message import INCIDENT_COLUMNS, Item, Known, Message, Outcome, Told
from logger.notices.routes import active_routes

LEASE_S = 120.0
"""A message that is being sent for so long is nobody's any more."""
FIRST_RETRY_S = 5.0
LONGEST_RETRY_S = 15 * 60.0
_LONGEST_WISH_S = 3600.0
_JITTER = 0.2
_MOST_DUE = 5000
_PATIENCE_FOR_VERDICT = timedelta(seconds=60)
_HOUR_S = 3600.0

_INCIDENT = ", ".join(INCIDENT_COLUMNS)
_OF_INCIDENT = ", ".join(f"i.{name}" for name in INCIDENT_COLUMNS)

# primary key
_INCIDENTS = f"SELECT {_INCIDENT} FROM incidents WHERE incident_id = ANY(%(ids)s::bigint[])"
# primary key
_QUEUES = """
SELECT incident_id, array_agg(value) AS queues FROM incident_breakdown
WHERE incident_id = ANY(%(ids)s::bigint[]) AND dimension = 'computing_site' GROUP BY incident_id
"""
# uq_incident_notices_change
_PUT = """
INSERT INTO incident_notices (route_id, incident_id, change_seq, change, next_try_time, created_time) VALUES %s
ON CONFLICT (route_id, incident_id, change_seq) DO NOTHING RETURNING notice_id
"""

# ix_incident_notices_due
_DUE_ROUTES = """
SELECT DISTINCT route_id FROM incident_notices WHERE state = 'waiting' AND next_try_time <= %(now)s ORDER BY route_id
"""
# primary key; the bucket fills as time goes by
_LOCK_ROUTE = """
SELECT *, least(max_per_hour, bucket + max_per_hour * greatest(extract(epoch FROM %(now)s - bucket_time), 0) / 3600.0)::float
          AS tokens
FROM notice_routes WHERE route_id = %(route_id)s FOR UPDATE
"""
_SET_BUCKET = "UPDATE notice_routes SET bucket = %(tokens)s, bucket_time = %(now)s WHERE route_id = %(route_id)s"
# ix_incident_notices_due; a receiver that did not take the last message is left alone until that is tried again
_BACKS_OFF = """
SELECT 1 FROM incident_notices
WHERE state = 'waiting' AND route_id = %(route_id)s AND attempts > 0 AND next_try_time > %(now)s LIMIT 1
"""
# ix_incident_notices_due, uq_incident_changes, primary key of incidents; `was_told`: whether
# anything of it was since it last ended, null when there was nothing to tell
_DUE = f"""
SELECT n.notice_id, n.change_seq, n.attempts, n.message_id, n.created_time, c.what, c.time, c.who, c.reason,
       c.previous_state, c.state AS state_then, i.inhibited_by, i.verdict_time, {_OF_INCIDENT},
       since.was_told
FROM incident_notices n
JOIN incident_changes c ON c.incident_id = n.incident_id AND c.change_seq = n.change_seq
JOIN incidents i ON i.incident_id = n.incident_id
CROSS JOIN LATERAL (
    SELECT bool_or(b.state <> 'suppressed') AS was_told FROM incident_notices b
    WHERE b.route_id = n.route_id AND b.incident_id = n.incident_id AND b.change_seq < n.change_seq AND b.state <> 'waiting'
      AND b.change_seq > coalesce((
          SELECT max(r.change_seq) FROM incident_notices r
          WHERE r.route_id = n.route_id AND r.incident_id = n.incident_id AND r.change_seq < n.change_seq
            AND r.change = 'resolved'), 0)) since
WHERE n.state = 'waiting' AND n.route_id = %(route_id)s AND n.next_try_time <= %(now)s
ORDER BY c.change_id LIMIT {_MOST_DUE} FOR UPDATE OF n
"""
_SUPPRESS = """
UPDATE incident_notices n SET state = 'suppressed', reason = given.reason, next_try_time = NULL
FROM unnest(%(ids)s::bigint[], %(reasons)s::text[]) AS given (notice_id, reason) WHERE n.notice_id = given.notice_id
"""
_SUPPRESS_ROUTE = """
UPDATE incident_notices SET state = 'suppressed', reason = %(reason)s, next_try_time = NULL
WHERE state = 'waiting' AND route_id = %(route_id)s
"""
_POSTPONE = "UPDATE incident_notices SET next_try_time = %(until)s WHERE notice_id = ANY(%(ids)s::bigint[])"
_CLAIM = """
UPDATE incident_notices SET state = 'sending', attempts = %(attempts)s, message_id = %(message_id)s,
                            lease_until = %(until)s
WHERE notice_id = ANY(%(ids)s::bigint[])
"""
_MESSAGE = """
INSERT INTO notice_messages (message_id, route_id, notice_count, time) VALUES (%(message_id)s, %(route_id)s, %(count)s, %(now)s)
ON CONFLICT (message_id) DO UPDATE SET time = excluded.time
"""

# ix_incident_notices_message; a notice whose lease went to somebody else is theirs
_DONE = """
UPDATE incident_notices SET state = %(state)s, sent_time = %(sent_time)s, last_error = %(error)s, next_try_time = NULL,
                            lease_until = NULL
WHERE message_id = %(message_id)s AND state = 'sending'
"""
_LATER = """
UPDATE incident_notices SET state = 'waiting', message_id = %(kept_id)s, last_error = %(error)s, lease_until = NULL,
                            next_try_time = %(next_try_time)s
WHERE message_id = %(message_id)s AND state = 'sending'
"""
# ix_incident_notices_due
_GIVE_UP = """
UPDATE incident_notices SET state = 'failed', next_try_time = NULL
WHERE route_id = %(route_id)s AND state = 'waiting' AND attempts > 0 AND created_time < %(oldest)s
"""
_ANSWER = "UPDATE notice_messages SET sent_time = %(sent_time)s, answer = %(answer)s WHERE message_id = %(message_id)s"
_GIVE_BACK = "UPDATE notice_routes SET bucket = least(max_per_hour, bucket + 1) WHERE route_id = %(route_id)s"

# ix_incident_notices_due
_LOSE = """
UPDATE incident_notices n SET lease_until = NULL, last_error = 'whoever sent it was stopped: it may have arrived',
    state = CASE WHEN r.may_repeat THEN 'waiting' ELSE 'lost' END,
    next_try_time = CASE WHEN r.may_repeat THEN %(now)s END
FROM (SELECT s.notice_id, coalesce((r.options ->> 'may_repeat')::boolean, false) AND s.incident_id <> 0 AS may_repeat,
             coalesce(r.name, '') AS name
      FROM incident_notices s LEFT JOIN notice_routes r ON r.route_id = s.route_id
      WHERE s.state = 'sending' AND s.lease_until <= %(now)s FOR UPDATE OF s) r
WHERE n.notice_id = r.notice_id RETURNING n.state, r.name
"""
# the newest by primary key; what explained them is over
_FREED = """
UPDATE incident_notices n SET state = 'waiting', reason = '', next_try_time = %(now)s, created_time = %(now)s
FROM (SELECT notice_id, incident_id, change_seq FROM incident_notices ORDER BY notice_id DESC LIMIT 1000) newest
JOIN incidents i ON i.incident_id = newest.incident_id AND i.inhibited_by IS NULL
                AND i.state IN ('open', 'reopened', 'acknowledged') AND i.change_seq = newest.change_seq
WHERE n.notice_id = newest.notice_id AND n.state = 'suppressed' AND n.reason LIKE 'explained by%%'
"""
# the oldest by primary key
_FORGET = """
DELETE FROM incident_notices WHERE notice_id IN (
    SELECT notice_id FROM (SELECT * FROM incident_notices ORDER BY notice_id LIMIT 5000) oldest
    WHERE created_time < %(oldest)s AND state NOT IN ('waiting', 'sending'))
"""
# ix_incident_notices_due; the change or the incident they tell of is gone
_GIVE_UP_OLD = """
UPDATE incident_notices SET state = 'failed', next_try_time = NULL, last_error = 'it waited for too long'
WHERE state = 'waiting' AND created_time < %(oldest)s
"""
_FORGET_MESSAGES = "DELETE FROM notice_messages WHERE time < %(oldest)s"


def enqueue(transaction: Transaction, changes: Sequence[Row], now: datetime) -> int:
    """Put a notice into the outbox for each change and each route that may tell of it; returns how many are new."""
    routes = active_routes(transaction)
    if not routes:
        return 0
    ids = sorted({change["incident_id"] for change in changes})
    incidents = {row["incident_id"]: row for row in transaction.fetch(_INCIDENTS, {"ids": ids})}
    queues = _queues(transaction, routes, ids)
    rows = []
    for change in changes:
        incident = incidents.get(change["incident_id"])
        if incident is None:
            continue
        for route in heard_by(routes, change["what"], incident, queues.get(change["incident_id"], ()), is_early=True):
            due = max(change["time"], now - timedelta(seconds=1)) + timedelta(seconds=route["group_wait_s"])
            key = (route["route_id"], change["incident_id"], change["change_seq"])
            rows.append((*key, change["what"], due, change["time"]))
    return len(transaction.insert_returning(_PUT, rows))


def _queues(transaction: Transaction, routes: Sequence[Row], ids: list[int]) -> dict[int, list[str]]:
    """All queues of each incident, where a route asks for them."""
    if not any("queue" in route["matcher"] for route in routes):
        return {}
    return {row["incident_id"]: row["queues"] for row in transaction.fetch(_QUEUES, {"ids": ids})}


def due_routes(database: Database, now: datetime) -> list[int]:
    """The routes for which notices are due."""
    return [row["route_id"] for row in database.fetch(_DUE_ROUTES, {"now": now})]


def claim(database: Database, route_id: int, most_changes: Callable[[str], int], now: datetime) -> Message | None:
    """The next message of a route, marked as being sent; None when there is nothing to send now.

    `most_changes`: how many changes fit into one message of a channel.
    """
    with database.transaction() as transaction:
        values = {"route_id": route_id, "now": now}
        route = transaction.fetch_one(_LOCK_ROUTE, values)
        if route is None or not route["is_active"]:
            reason = "the route was removed" if route is None else "the route is switched off"
            transaction.execute(_SUPPRESS_ROUTE, {**values, "reason": reason})
            return None
        # what is due is not looked at every second, thousands of rows, while nothing may go out
        if route["tokens"] < 1 or transaction.fetch_one(_BACKS_OFF, values):
            return None
        rows = _told(transaction, route, transaction.fetch(_DUE, values), now)
        if not rows:
            return None
        rows, is_late = _together(route, rows, now, most_changes(route["channel"]))
        message_id = rows[0]["message_id"] or uuid.uuid4().hex
        attempts = max(row["attempts"] for row in rows) + 1
        mark: Row = {**values, "message_id": message_id, "attempts": attempts, "count": len(rows)}
        mark |= {"until": now + timedelta(seconds=LEASE_S), "ids": [row["notice_id"] for row in rows]}
        transaction.execute(_SET_BUCKET, {**values, "tokens": route["tokens"] - 1})
        transaction.execute(_MESSAGE, mark)
        transaction.execute(_CLAIM, mark)
    items = tuple(
        Item(row["notice_id"], row["what"], row["time"], row["who"], row["reason"], _incident(row)) for row in rows
    )
    return Message(message_id, route, items, now, attempts, is_late)


def _together(route: Row, rows: list[Row], now: datetime, most: int) -> tuple[list[Row], bool]:
    """A message that may have arrived is repeated as it was, under its number; everything else is grouped anew."""
    repeated = next((row["message_id"] for row in rows if row["message_id"]), "")
    if repeated:
        return [row for row in rows if row["message_id"] == repeated], True
    return chosen(route, rows, now, most)


def _incident(row: Row) -> Row:
    return {name: row[name] for name in INCIDENT_COLUMNS}


def _told(transaction: Transaction, route: Row, rows: Sequence[Row], now: datetime) -> list[Row]:
    """Those of the due notices that are told; the others are suppressed with their reason, or wait for a verdict."""
    routes = active_routes(transaction)
    queues = _queues(transaction, routes, sorted({row["incident_id"] for row in rows}))
    told, quiet, early = [], {}, []
    before: dict[int, bool | None] = {}
    for row in rows:
        incident_id = row["incident_id"]
        was_told = before.get(incident_id, row["was_told"])
        heard = heard_by(routes, row["what"], row, queues.get(incident_id, ()))
        if _awaits_verdict(routes, route, row, now):
            early.append(row["notice_id"])
            continue
        reason = _why_quiet(row, was_quiet=was_told is False)
        if not reason and all(one["route_id"] != route["route_id"] for one in heard):
            reason = "it matches no more, or a route before this one is final"
        before[incident_id] = None if row["what"] == "resolved" else bool(was_told) or not reason
        if reason:
            quiet[row["notice_id"]] = reason
        else:
            told.append(row)
    if quiet:
        transaction.execute(_SUPPRESS, {"ids": list(quiet), "reasons": list(quiet.values())})
    if early:
        transaction.execute(_POSTPONE, {"ids": early, "until": now + timedelta(seconds=2)})
    return told


def _awaits_verdict(routes: Sequence[Row], route: Row, row: Row, now: datetime) -> bool:
    """Whether a verdict, which is about to come, decides if this route tells of it."""
    if row["verdict_time"] is not None or now - row["time"] > _PATIENCE_FOR_VERDICT:
        return False
    place = (route["position"], route["route_id"])
    return any(
        is_undecided(one, row) and ((one["position"], one["route_id"]) == place or one["is_final"])
        for one in routes
        if (one["position"], one["route_id"]) <= place
    )


def _why_quiet(row: Row, *, was_quiet: bool) -> str:
    """Why nobody is told of it; empty when people are."""
    if row["inhibited_by"] is not None:
        return f"explained by incident {row['inhibited_by']}"
    if row["what"] == "resolved" and row["previous_state"] == "silenced":
        return "silenced when it ended"
    if row["what"] != "silenced" and "silenced" in (row["state"], row["state_then"]) and row["what"] != "resolved":
        return "silenced"
    return "nothing was told of it before" if row["what"] == "resolved" and was_quiet else ""


def note(database: Database, message: Message, outcome: Outcome, keep_trying_s: float, now: datetime) -> Told:
    """Write down what became of a message. A receiver that did not take it is tried again, later each time."""
    answer = clean(outcome.answer, 500)
    mark: dict[str, Any] = {"message_id": message.message_id, "route_id": message.route["route_id"], "error": answer}
    mark |= {"answer": answer, "sent_time": now if outcome.known is Known.TAKEN else None, "kept_id": ""}
    with database.transaction() as transaction:
        transaction.execute(_ANSWER, mark)
        may_repeat = bool(message.route["options"].get("may_repeat")) and bool(message.items)
        if outcome.known is Known.NOT_NOW or (outcome.known is Known.UNKNOWN and may_repeat):
            if not message.items:
                return Told({"failed": transaction.execute(_DONE, {**mark, "state": "failed"})})
            mark["kept_id"] = message.message_id if outcome.known is Known.UNKNOWN else ""
            mark["next_try_time"] = now + timedelta(seconds=pause_s(message.attempts, outcome.retry_after_s))
            waiting = transaction.execute(_LATER, mark)
            transaction.execute(_GIVE_BACK, mark)
            given_up = transaction.execute(_GIVE_UP, {**mark, "oldest": now - timedelta(seconds=keep_trying_s)})
            return Told({"waiting": max(0, waiting - given_up), "failed": given_up})
        state = {Known.TAKEN: "sent", Known.NEVER: "failed"}.get(outcome.known, "lost")
        mark["error"] = "" if state == "sent" else answer
        return Told({state: transaction.execute(_DONE, {**mark, "state": state})})


def pause_s(attempts: int, wish_s: float = 0.0) -> float:
    """How long a receiver is left alone after so many attempts in a row, in seconds.

    Twice as long each time, a little by chance so that not everything comes at once; not before the receiver wants.
    """
    usual_s = min(FIRST_RETRY_S * 2.0 ** min(attempts - 1, 20), LONGEST_RETRY_S)
    return max(usual_s * random.uniform(1 - _JITTER, 1 + _JITTER), min(wish_s, _LONGEST_WISH_S))


def lose_abandoned(database: Database, now: datetime) -> list[str]:
    """Give up messages whose sender was stopped in the middle; returns the routes of those that may be lost."""
    rows = database.fetch(_LOSE, {"now": now})
    return sorted({row["name"] for row in rows if row["state"] == "lost"})


def tell_freed(database: Database, now: datetime) -> int:
    """Tell of what was explained by another incident, and is no more though it goes on; returns how many notices."""
    return database.execute(_FREED, {"now": now})


def forget(database: Database, oldest: datetime) -> int:
    """Delete some of the notices that were settled before `oldest`, and settle those that still wait since then; returns how
    many went: 0 when nothing is left."""
    database.execute(_FORGET_MESSAGES, {"oldest": oldest})
    forgotten = database.execute(_FORGET, {"oldest": oldest})
    database.execute(_GIVE_UP_OLD, {"oldest": oldest})
    return forgotten
