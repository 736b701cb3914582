"""Which ends of tasks are news, and what became of the letters about them. Knows the tables; sends nothing.

A task that ends is in the index of news by that alone, so an end cannot be forgotten. News are taken and letters put into
the outbox in one transaction; a letter is marked before it is sent, so it is sent at most once whatever is killed.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.database import Database, Row
from core.notices.addresses import address_of
from core.workload_settings import MailSettings

_BATCH = 100
_SENDING_LIMIT_S = 600.0
"""A letter that was being sent for so long is lost: whoever sent it is gone, and may have done it."""
_FIRST_RETRY_S = 60.0
_LONGEST_RETRY_S = 6 * 3600.0
MOST_ATTEMPTS = 20

_NO_MAIL = "lower(coalesce(t.split_rule ->> 'noEmail', t.parameters ->> 'noEmail', '')) IN ('true', '1')"
_COLUMNS = f"t.jedi_task_id, t.status, t.user_name, {_NO_MAIL} AS wants_no_mail"

# ix_tasks_news, in order of ids as everybody locks tasks
_ENDED = f"""
SELECT {_COLUMNS} FROM tasks t WHERE t.end_time IS NOT NULL AND t.end_time IS DISTINCT FROM t.announced_end
ORDER BY t.jedi_task_id LIMIT %(batch)s FOR UPDATE SKIP LOCKED
"""
_ANNOUNCE = "UPDATE tasks SET announced_end = end_time WHERE jedi_task_id = ANY(%(ids)s)"
# ix_tasks_status, ix_task_history_task, ix_task_notices_task; a task may be exhausted several times
_EXHAUSTED = f"""
SELECT {_COLUMNS} FROM tasks t
CROSS JOIN LATERAL (SELECT time FROM task_history h WHERE h.jedi_task_id = t.jedi_task_id AND h.status = 'exhausted'
                    ORDER BY h.history_id DESC LIMIT 1) h
WHERE t.status = 'exhausted' AND NOT EXISTS (
    SELECT 1 FROM task_notices n WHERE n.jedi_task_id = t.jedi_task_id AND n.status = 'exhausted' AND n.time >= h.time)
ORDER BY t.jedi_task_id LIMIT %(batch)s FOR UPDATE OF t SKIP LOCKED
"""
_PUT = """
INSERT INTO task_notices (jedi_task_id, status, address, state, next_try_time)
SELECT *, clock_timestamp() FROM unnest(%(ids)s::bigint[], %(statuses)s::text[], %(addresses)s::text[], %(states)s::text[])
"""
# ix_task_notices_due
_CLAIM = """
UPDATE task_notices n SET state = 'sending', attempts = n.attempts + 1,
                          next_try_time = clock_timestamp() + make_interval(secs => %(limit_s)s)
WHERE n.notice_id = (
    SELECT notice_id FROM task_notices WHERE state = 'waiting' AND next_try_time <= clock_timestamp()
    ORDER BY next_try_time LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING n.*
"""
_LOSE = """
UPDATE task_notices SET state = 'lost', last_error = 'whoever sent it was stopped: it may have arrived'
WHERE state = 'sending' AND next_try_time <= clock_timestamp() RETURNING jedi_task_id
"""
# primary key
_SENT = (
    "UPDATE task_notices SET state = 'sent', sent_time = clock_timestamp(), last_error = '' WHERE notice_id = %(id)s"
)
_GIVE_UP = "UPDATE task_notices SET state = %(state)s, last_error = %(error)s WHERE notice_id = %(id)s"
_LATER = """
UPDATE task_notices SET state = 'waiting', last_error = %(error)s,
                        next_try_time = clock_timestamp() + make_interval(secs => %(after_s)s)
WHERE notice_id = %(id)s
"""


@dataclass(frozen=True)
class News:
    """A task that ended or waits for a decision, and where its owner is written to; no address: nowhere."""

    jedi_task_id: int
    status: str
    user_name: str
    address: str


def take_news(database: Database, mail: MailSettings) -> list[News]:
    """Tasks whose owners are to be told now; never the same end twice. Their letters are in the outbox."""
    with database.transaction() as transaction:
        ended = transaction.fetch(_ENDED, {"batch": _BATCH})
        exhausted = transaction.fetch(_EXHAUSTED, {"batch": _BATCH})
        news = [_news(row, mail) for row in (*ended, *exhausted)]
        transaction.execute(_ANNOUNCE, {"ids": [row["jedi_task_id"] for row in ended]})
        # the row of an exhausted task stands for having told it, letter or not
        letters = [item for item in news if item.address or item.status == "exhausted"]
        transaction.execute(
            _PUT,
            {
                "ids": [item.jedi_task_id for item in letters],
                "statuses": [item.status for item in letters],
                "addresses": [item.address for item in letters],
                "states": ["waiting" if item.address else "none" for item in letters],
            },
        )
    return news


def _news(row: Row, mail: MailSettings) -> News:
    is_written_to = bool(mail.server) and not row["wants_no_mail"]
    address = address_of(row["user_name"], mail.domain) if is_written_to else ""
    return News(row["jedi_task_id"], row["status"], row["user_name"], address)


def claim(database: Database) -> Row | None:
    """The next letter that is due, marked as being sent; None when there is none."""
    return database.fetch_one(_CLAIM, {"limit_s": _SENDING_LIMIT_S})


def lose_abandoned(database: Database) -> list[int]:
    """Give up letters whose sender was stopped in the middle; returns their tasks."""
    return [row["jedi_task_id"] for row in database.fetch(_LOSE)]


def note_sent(database: Database, notice_id: int) -> None:
    """The server has taken the letter."""
    database.execute(_SENT, {"id": notice_id})


def note_given_up(database: Database, notice_id: int, error: str, *, state: str) -> None:
    """The letter is not sent again: `failed`, or `lost` when nobody knows whether it arrived."""
    database.execute(_GIVE_UP, {"id": notice_id, "error": error, "state": state})


def note_later(database: Database, notice: Row, error: str) -> bool:
    """Try a claimed letter again, later each time; False when it was tried often enough and is given up."""
    if notice["attempts"] >= MOST_ATTEMPTS:
        note_given_up(database, notice["notice_id"], error, state="failed")
        return False
    after_s = min(_FIRST_RETRY_S * 2 ** (notice["attempts"] - 1), _LONGEST_RETRY_S)
    database.execute(_LATER, {"id": notice["notice_id"], "error": error, "after_s": after_s})
    return True
