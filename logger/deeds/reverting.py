"""Deeds that take themselves back: at a time, or once test jobs have finished at their queue. Knows queues and their tests.

What a person changed since has the last word: that queue is left alone, and a deed of which no queue is as it left it does
not revert any more.
"""

from __future__ import annotations

import logging
from datetime import datetime

from core.clock import Clock
from core.database import Database, Row
from core.errors import PandaError, Unavailable
from core.queue_status import TEST_LABELS
from logger.deeds.base import DeedRow
from logger.deeds.undoing import end_revert, locked, revert_actor, take_back

log = logging.getLogger("panda.deeds")

# ix_deeds_revert, which is short; primary keys of queues and of their history
_WAITING = """
SELECT d.deed_id, d.revert_kind, d.revert_time, d.revert_count, d.time,
       array_agg(c.key ORDER BY c.key) FILTER (WHERE s.is_as_left) AS as_left,
       array_agg(c.key ORDER BY c.key) FILTER (WHERE NOT s.is_as_left) AS changed
FROM deeds d CROSS JOIN LATERAL jsonb_each(d.inverse_data) c CROSS JOIN LATERAL (
    SELECT coalesce((
        SELECT q.status = c.value -> 'after' ->> 'status' AND q.status_set_by = c.value -> 'after' ->> 'status_set_by'
               AND (SELECT max(h.time) FROM queue_status_history h WHERE h.queue_name = q.queue_name)
                   = (c.value -> 'after' ->> 'history_time')::timestamptz
        FROM queues q WHERE q.queue_name = c.key), false) AS is_as_left
) s
WHERE d.revert_state = 'waiting' AND d.state <> 'executing'
GROUP BY d.deed_id ORDER BY d.deed_id
"""
# ix_jobs_archive_tests, newest first
_TESTS = f"""
SELECT count(*) FILTER (WHERE job_status = 'finished') AS finished,
       coalesce((array_agg(job_status ORDER BY state_change_time DESC, panda_id DESC))[1] = 'finished', false) AS last_is_good
FROM jobs_archive
WHERE computing_site = %(queue)s AND prod_source_label IN ({", ".join(f"'{label}'" for label in TEST_LABELS)})
  AND job_status IN ('finished', 'failed') AND state_change_time > %(since)s
"""


def revert_due(database: Database, clock: Clock) -> int:
    """Take back what is due, and let go what people changed; returns how many deeds were dealt with."""
    done = 0
    for deed in database.fetch(_WAITING):
        try:
            done += _look_at(database, deed, clock())
        except Unavailable:
            raise
        except PandaError as error:  # the next look finds what changed; no other deed waits for it
            log.warning("deed %d is not reverted yet: %s", deed["deed_id"], error, extra={"component": "deeds"})
        except Exception:
            log.exception("deed %d cannot be reverted", deed["deed_id"], extra={"component": "deeds"})
    return done


def _look_at(database: Database, deed: Row, now: datetime) -> int:
    if not deed["as_left"]:
        _let_go(database, deed, now)
        return 1
    if not _is_due(database, deed, now):
        return 0
    with database.transaction() as transaction:
        row = locked(transaction, deed["deed_id"])
        if row["revert_state"] != "waiting":
            return 0
        changed = {key: row["inverse_data"][key] for key in deed["as_left"]}
        why = f"revert of deed {deed['deed_id']}: {_because(deed, now)}"
        if deed["changed"]:
            why += f"; left alone, because they were changed since: {', '.join(deed['changed'][:5])}"
        take_back(transaction, row, revert_actor(deed["deed_id"]), why, now, changed, is_automatic=True)
    return 1


def _is_due(database: Database, deed: Row, now: datetime) -> bool:
    if deed["revert_kind"] == "time":
        return bool(deed["revert_time"] <= now)
    for queue in deed["as_left"]:
        found = database.fetch(_TESTS, {"queue": queue, "since": deed["time"]})[0]
        if found["finished"] < deed["revert_count"] or not found["last_is_good"]:
            return False
    return True


def _because(deed: Row, now: datetime) -> str:
    if deed["revert_kind"] == "time":
        return f"until {deed['revert_time']:%Y-%m-%d %H:%M} UTC, as was said"
    return f"{deed['revert_count']} test jobs have finished"


def _let_go(database: Database, deed: Row, now: datetime) -> None:
    with database.transaction() as transaction:
        row = locked(transaction, deed["deed_id"])
        if row["revert_state"] != "waiting":
            return
        words = f"changed since: {', '.join(deed['changed'][:5])}"
        actor = revert_actor(deed["deed_id"])
        done = DeedRow(deed["deed_id"], "supersede revert", actor.user_name, words, {}, actor, now, is_automatic=True)
        end_revert(transaction, done, row, "superseded")
