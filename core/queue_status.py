"""Who set the status of a queue, and the automaton that sets it by test jobs (domain.md 9.3). Knows no agent and no HTTP.

A person beats the automaton: it puts only queues that are online into test, and brings back only what it put there itself;
a queue whose status a person set it leaves alone until a person gives it back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.database import Database, Row, Transaction
from core.text import clean
from core.workload_settings import QueueTestSettings

PERSON = "person"
AUTOMATON = "automaton"
TEST_LABELS = ("test", "prod_test", "ptest", "rc_test", "rc_test2", "rc_alrb")
"""Labels of jobs that try a queue out (domain.md 2.1)."""

# primary keys; a second change at the same microsecond would be the same transaction's
_RECORD = """
WITH changed AS (
    UPDATE queues SET status_set_by = %(set_by)s WHERE queue_name = %(queue)s
)
INSERT INTO queue_status_history (queue_name, time, previous_status, status, who, is_automatic, reason)
VALUES (%(queue)s, clock_timestamp(), %(previous)s, %(status)s, %(who)s, %(is_automatic)s, %(reason)s)
"""


def record_status(
    transaction: Transaction,
    queue: str,
    previous: str,
    status: str,
    *,
    who: str,
    reason: str,
    set_by: str,
    is_automatic: bool = False,
) -> None:
    """Write one row of the history of a queue, and who decides about its status from now on.

    `set_by`: PERSON, AUTOMATON, or empty when nobody insists.
    """
    values = {"queue": queue, "previous": previous, "status": status, "set_by": set_by}
    words = {"who": clean(who, 255), "reason": clean(reason, 1000), "is_automatic": is_automatic}
    transaction.execute(_RECORD, {**values, **words})


# primary key, which begins with the name
_HISTORY = """
SELECT time, previous_status, status, who, is_automatic, reason FROM queue_status_history
WHERE queue_name = %(queue)s ORDER BY time DESC LIMIT %(limit)s
"""


def status_history(database: Database, queue: str, limit: int = 100) -> list[Row]:
    """The changes of a queue's status, the newest first."""
    return database.fetch(_HISTORY, {"queue": queue, "limit": limit})


@dataclass(frozen=True)
class Verdict:
    """What the test jobs say about a queue."""

    queue: str
    status: str
    """The status it shall have."""
    previous_status: str
    reason: str


def judge(queue: str, status: str, set_by: str, results: Sequence[bool], settings: QueueTestSettings) -> Verdict | None:
    """What to do about a queue; None when nothing.

    `results`: whether its test jobs finished, the newest first, of those that ended since its status changed last.
    """
    if set_by == PERSON:
        return None
    if status == "online":
        last = results[: settings.failures]
        if len(last) == settings.failures and not any(last):
            return Verdict(queue, "test", status, f"its last {settings.failures} test jobs failed")
    if status == "test" and set_by == AUTOMATON:
        last = results[: settings.successes]
        if len(last) == settings.successes and all(last):
            return Verdict(queue, "online", status, f"its last {settings.successes} test jobs finished")
    return None


# queues whole: they are short; per queue its last change by primary key and ix_jobs_archive_tests, newest first
_RESULTS = f"""
SELECT q.queue_name, q.status, q.status_set_by, (
    SELECT array_agg(t.ok ORDER BY t.state_change_time DESC) FROM (
        SELECT a.job_status = 'finished' AS ok, a.state_change_time FROM jobs_archive a
        WHERE a.computing_site = q.queue_name
          AND a.prod_source_label IN ({", ".join(f"'{label}'" for label in TEST_LABELS)})
          AND a.job_status IN ('finished', 'failed')
          AND a.state_change_time > greatest(
              clock_timestamp() - make_interval(secs => %(window_s)s),
              (SELECT max(h.time) FROM queue_status_history h WHERE h.queue_name = q.queue_name))
        ORDER BY a.state_change_time DESC LIMIT %(limit)s
    ) t
) AS results
FROM queues q WHERE q.status IN ('online', 'test') AND q.status_set_by <> 'person' ORDER BY q.queue_name
"""
# primary key; whoever changed the queue in between has the last word
_SET_STATUS = """
UPDATE queues SET status = %(status)s, modification_time = clock_timestamp()
WHERE queue_name = %(queue)s AND status = %(previous)s AND status_set_by = %(set_by)s
"""


def judge_queues(database: Database, settings: QueueTestSettings) -> list[Verdict]:
    """Put queues into test and bring them back, as their test jobs say; returns what was changed."""
    limit = max(settings.failures, settings.successes)
    rows = database.fetch(_RESULTS, {"window_s": settings.window_s, "limit": limit})
    done = []
    for row in rows:
        set_by = row["status_set_by"]
        verdict = judge(row["queue_name"], row["status"], set_by, row["results"] or [], settings)
        if verdict is not None and _carry_out(database, verdict, set_by):
            done.append(verdict)
    return done


def _carry_out(database: Database, verdict: Verdict, set_by: str) -> bool:
    with database.transaction() as transaction:
        values = {"queue": verdict.queue, "status": verdict.status, "previous": verdict.previous_status}
        if not transaction.execute(_SET_STATUS, {**values, "set_by": set_by}):
            return False
        # brought back, it is as it was before: nobody insists on anything
        keeps = AUTOMATON if verdict.status == "test" else ""
        record_status(
            transaction,
            verdict.queue,
            verdict.previous_status,
            verdict.status,
            who="queue_tester",
            reason=verdict.reason,
            set_by=keeps,
            is_automatic=True,
        )
    return True
