"""Tells the live streams what changed: topics in batches, about four a second, over LISTEN/NOTIFY. Sends no rows.

A signal is a row of `change_signals`; the notification carries its number only (monitor.md 4.3, rule 6).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable

from core.agents.base import Agent
from core.agents.history_follower import MOST_ROWS, HistoryFollower, newest_history_id
from core.change_signals import CHANNEL, EVERYTHING
from core.database import Database, Row

log = logging.getLogger("panda.emitter")

_MOST_TOPICS = 1000
_MOST_BACKLOG = 50_000
_REMEMBERED_FAILURES = 5000
_CYCLES_PER_LOOK_AT_QUEUES = 8
_CYCLES_PER_LOOK_AT_OTHERS = 4

# live ones by ix_incidents_touched, the others by ix_incidents_modified; xmin tells any change of a row. A candidate is no
# incident yet, and one that lapsed never was
_INCIDENTS = """
SELECT incident_id AS key, xmin::text AS version FROM incidents
WHERE state NOT IN ('candidate', 'resolved')
   OR (state = 'resolved' AND opened_time IS NOT NULL AND modification_time > clock_timestamp() - interval '10 minutes')
"""
# both whole: they are short
_QUEUES = """
SELECT queue_name AS key, xmin::text AS version FROM queues
UNION ALL SELECT 'contact ' || queue_name, xmin::text FROM queue_contacts
"""
# primary key backwards; what commands do to a task shows in no job. A task that drops out of the latest is told once too often
_TASKS = """
SELECT jedi_task_id AS key, max(history_id)::text AS version FROM (
    SELECT jedi_task_id, history_id FROM task_history ORDER BY history_id DESC LIMIT 200
) latest GROUP BY jedi_task_id
"""
# what people do, and what is told them: the newest by primary key, rules and routes whole, silences by ix_silences_live
# beside the newest. A row that drops out of the newest is told once too often
_OTHERS = """
SELECT 'silences ' || silence_id AS key, xmin::text AS version FROM silences WHERE end_time IS NULL
UNION (SELECT 'silences ' || silence_id, xmin::text FROM silences ORDER BY silence_id DESC LIMIT 200)
UNION ALL (SELECT 'deeds ' || deed_id, xmin::text FROM deeds ORDER BY deed_id DESC LIMIT 200)
UNION ALL SELECT 'rules ' || rule_id, xmin::text FROM incident_rules
UNION ALL (SELECT 'shift ' || shift_id, xmin::text FROM shifts ORDER BY shift_id DESC LIMIT 200)
UNION ALL (SELECT 'shift note ' || note_id, xmin::text FROM shift_notes ORDER BY note_id DESC LIMIT 200)
UNION ALL SELECT 'notices route ' || route_id, version::text FROM notice_routes
UNION ALL (SELECT 'notices ' || notice_id, xmin::text FROM incident_notices ORDER BY notice_id DESC LIMIT 200)
UNION ALL SELECT 'agents ' || name, concat_ws(' ', host, process_id, last_error_time) FROM agent_runs
WHERE last_run IS NOT NULL
"""
# primary key
_COVERED = "SELECT panda_id FROM incident_jobs WHERE panda_id = ANY(%(ids)s)"

_CURSOR = "SELECT cursor FROM agent_runs WHERE name = %(name)s"
_SAVE_CURSOR = """
INSERT INTO agent_runs (name, cursor) VALUES (%(name)s, %(cursor)s)
ON CONFLICT (name) DO UPDATE SET cursor = excluded.cursor
"""
_EMIT = "INSERT INTO change_signals (topics) VALUES (%(topics)s::jsonb) RETURNING seq"
# one emitter at a time between number and commit, so that a reader of `seq > n` never misses a smaller one
_ORDER_LOCK = "SELECT pg_advisory_xact_lock(7305, 2)"


class _Versions:
    """Which rows of a short table changed since the last look, whatever wrote them."""

    def __init__(self, database: Database, statement: str) -> None:
        self._database = database
        self._statement = statement
        self._known: dict[object, str] | None = None

    def changed(self) -> set[object]:
        """Keys of new, changed and vanished rows; none at the first look."""
        now = {row["key"]: row["version"] for row in self._database.fetch(self._statement)}
        before, self._known = self._known, now
        if before is None:
            return set()
        return {key for key in now.keys() | before.keys() if now.get(key) != before.get(key)}


class ChangeEmitter(Agent):
    """Looks what changed in the histories of jobs and tasks, the incidents, the queues and what people do, and signals it."""

    name = "emitter"

    def __init__(self, database: Database, period_s: float) -> None:
        self._database = database
        self.period_s = period_s
        self._follower: HistoryFollower | None = None
        self._incidents = _Versions(database, _INCIDENTS)
        self._queues = _Versions(database, _QUEUES)
        self._tasks = _Versions(database, _TASKS)
        self._others = _Versions(database, _OTHERS)
        self._failures: dict[int, None] = {}
        """Failed jobs, in order, whose failing line is not known yet."""
        self._cycles = 0
        self._pending: set[str] = set()
        """Found but not signalled yet; outlives a database that goes away in between."""

    def cycle(self) -> int:
        """Signal everything that changed since the last cycle; 1 when the history holds more than one batch."""
        if self._follower is None:
            self._follower, skipped = self._resume()
            self._pending |= {EVERYTHING} if skipped else set()
        rows = self._follower.read()
        self._pending |= self._job_topics(rows)
        if incidents := self._incidents.changed():
            self._pending |= {"incidents"} | {f"incident:{key}" for key in incidents}
        if tasks := self._tasks.changed():
            self._pending |= {"tasks"} | {f"task:{key}" for key in tasks}
        if self._cycles % _CYCLES_PER_LOOK_AT_QUEUES == 0 and (queues := self._queues.changed()):
            self._pending |= {"queues"} | {f"queue:{str(key).removeprefix('contact ')}" for key in queues}
        if incidents or self._cycles % _CYCLES_PER_LOOK_AT_OTHERS == 0:
            self._look_at_failures()
        if self._cycles % _CYCLES_PER_LOOK_AT_OTHERS == 0:
            self._pending |= {str(key).partition(" ")[0] for key in self._others.changed()}
        self._cycles += 1
        if self._pending:
            self._emit(self._pending, self._follower.safe_id)
            self._pending = set()
        return 1 if len(rows) >= MOST_ROWS else 0

    def _job_topics(self, rows: list[Row]) -> set[str]:
        topics: set[str] = set()
        for row in rows:
            topics |= {"jobs", "queues", f"job:{row['panda_id']}"}
            if row["jedi_task_id"] is not None:
                topics |= {"tasks", f"task:{row['jedi_task_id']}"}
            if row["job_status"] == "failed":
                self._failures[row["panda_id"]] = None
        for panda_id in list(self._failures)[: max(0, len(self._failures) - _REMEMBERED_FAILURES)]:
            del self._failures[panda_id]
        return topics

    def _resume(self) -> tuple[HistoryFollower, bool]:
        row = self._database.fetch_one(_CURSOR, {"name": self.name})
        newest = newest_history_id(self._database)
        cursor = row["cursor"] if row else 0
        if cursor == 0 or newest - cursor > _MOST_BACKLOG or cursor > newest:
            log.info("change signals begin at history id %s, not at %s", newest, cursor)
            return HistoryFollower(self._database, newest), True
        return HistoryFollower(self._database, cursor), False

    def _look_at_failures(self) -> None:
        """The failing line of a job is known once an incident or a candidate covers it: its page has something new."""
        covered = self._database.fetch(_COVERED, {"ids": list(self._failures)}) if self._failures else []
        for row in covered:
            self._pending |= {f"job:{row['panda_id']}", "jobs"}
            del self._failures[row["panda_id"]]

    def _emit(self, topics: set[str], cursor: int) -> None:
        with self._database.transaction() as transaction:
            transaction.execute(_ORDER_LOCK)
            seq = 0
            for batch in _batches(sorted(topics)):
                signal = transaction.fetch_one(_EMIT, {"topics": json.dumps(batch)})
                seq = signal["seq"] if signal else seq
            transaction.execute(_SAVE_CURSOR, {"name": self.name, "cursor": cursor})
            transaction.execute("SELECT pg_notify(%(channel)s, %(seq)s)", {"channel": CHANNEL, "seq": str(seq)})


def _batches(topics: list[str]) -> Iterable[list[str]]:
    return (topics[start : start + _MOST_TOPICS] for start in range(0, len(topics), _MOST_TOPICS))
