"""Follows the job history and folds every failed job into an incident, exactly once. Knows the cursor; what is
known of each job is looked up by logger/examining.py.

Exactly once rests on two things, not on the order of ids (an id is drawn before its transaction commits, so a later
id can become visible first):

- the cursor is a *time*: history rows are stamped when they are written (clock_timestamp()), so every row older than
  the oldest transaction that has written anything is either visible or rolled back. The cursor never passes that
  horizon; what lies beyond it is looked at again in the next round;
- `incident_jobs` has the PandaID as its key, and the cursor moves in the transaction that writes there.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from core.agents.apart import done_apart
from core.clock import Clock
from core.database import Database, Row, Transaction
from core.incident_settings import IncidentSettings
from logger.events import Event
from logger.examining import examine, plain, rows_of_jobs
from logger.folding import fold
from logger.rule_rows import active_rules
from logger.rules import RuleRow
from logger.rules.failure_burst import (
    ExaminedJob,
    FailureBurst,
    RuleOfJobs,
    error_of,
    trouble_of,
    under,
    was_killed_on_request,
)
from logger.rules.job_parameters import JobRuleParameters
from logger.sampling import FailureSampler

log = logging.getLogger("panda.incidents")

CURSOR_OWNER = "incident_builder"
"""The row of agent_runs that holds the cursor, in microseconds since 1970."""

_PAGE = 500
_MARGIN = timedelta(seconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_TEMPLATES = 10_000

_NOW = "SELECT clock_timestamp() AS time"
# transactions that have written something; those of other database roles are hidden, and do not write here
_OLDEST_WRITER = """
SELECT min(xact_start) AS time FROM pg_stat_activity
WHERE backend_xid IS NOT NULL AND datname = current_database() AND pid <> pg_backend_pid()
"""

_HAVE_CURSOR = "INSERT INTO agent_runs (name) VALUES (%(name)s) ON CONFLICT (name) DO NOTHING"
_READ_CURSOR = "SELECT cursor FROM agent_runs WHERE name = %(name)s"
_LOCK_CURSOR = f"{_READ_CURSOR} FOR UPDATE"
_MOVE_CURSOR = "UPDATE agent_runs SET cursor = greatest(cursor, %(cursor)s) WHERE name = %(name)s"

# ix_job_history_time; incident_jobs by primary key
_FAILED = f"""
SELECT h.panda_id, h.history_id, h.modification_time AS time, h.previous_status
FROM job_history h
WHERE h.modification_time >= %(time)s AND (h.modification_time, h.history_id) > (%(time)s, %(history_id)s)
  AND h.job_status = 'failed'
  AND NOT EXISTS (SELECT 1 FROM incident_jobs c WHERE c.panda_id = h.panda_id)
ORDER BY h.modification_time, h.history_id LIMIT {_PAGE}
"""


@dataclass(frozen=True)
class _Position:
    """A place in the history."""

    time: datetime
    history_id: int = 0


class FailureFolder:
    """Folds failed jobs into incidents. Remembers what it learned of floods; one thread at a time."""

    def __init__(self, database: Database, clock: Clock, settings: IncidentSettings | None = None) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings or IncidentSettings()
        self._sampler = FailureSampler()
        self._templates: OrderedDict[str, Event] = OrderedDict()
        self._burst = FailureBurst()

    def fold(self) -> int:
        """Fold the jobs that failed since the last call into incidents and return how many were new."""
        horizon = _horizon(self._database)
        self._database.execute(_HAVE_CURSOR, {"name": CURSOR_OWNER})
        cursor = self._database.fetch(_READ_CURSOR, {"name": CURSOR_OWNER})[0]["cursor"]
        position: _Position | None = _Position(_time(cursor))
        done = 0
        while position is not None:
            rules = active_rules(self._database)
            with self._database.transaction() as transaction:
                # one builder at a time: the next one sees the jobs that this one has covered
                transaction.execute(_LOCK_CURSOR, {"name": CURSOR_OWNER})
                page = transaction.fetch(_FAILED, {"time": position.time, "history_id": position.history_id})
                done += self._fold_page(transaction, page, rules)
                is_last = len(page) < _PAGE
                reached = horizon if is_last else min(horizon, page[-1]["time"])
                transaction.execute(_MOVE_CURSOR, {"name": CURSOR_OWNER, "cursor": _microseconds(reached)})
            position = None if is_last else _Position(page[-1]["time"], page[-1]["history_id"])
        return done

    def _fold_page(self, transaction: Transaction, page: Sequence[Row], rules: Sequence[RuleRow]) -> int:
        """One job that cannot be examined keeps no other from being told of: it is folded by what its row says."""
        if not page:
            return 0
        rows = rows_of_jobs(transaction, page)
        ends = [end for end in page if end["panda_id"] in rows and not _was_wanted(end, rows[end["panda_id"]])]
        wanted = {end["panda_id"] for end in ends if self._sampler.wants(rows[end["panda_id"]])}

        def work(part: Sequence[Row]) -> int:
            return self._fold_jobs(transaction, self._events(transaction, part, rows, wanted), rows, rules)

        done, failed = done_apart(transaction, ends, work) if ends else (0, [])
        for end, error in failed:
            log.error("failed job %s cannot be examined: %s", end["panda_id"], error, exc_info=error, extra=_OURS)

        def simply(part: Sequence[Row]) -> int:
            jobs = [plain(end, rows[end["panda_id"]]) for end in part]
            return self._fold_jobs(transaction, [self._burst.event(job) for job in jobs], rows, rules)

        simple, lost = done_apart(transaction, [end for end, _ in failed], simply) if failed else (0, [])
        for end, error in lost:
            log.error("failed job %s is in no incident: %s", end["panda_id"], error, exc_info=error, extra=_OURS)
        return done + simple

    def _events(
        self, transaction: Transaction, ends: Sequence[Row], rows: dict[int, Row], wanted: set[int]
    ) -> list[Event | None]:
        """First of the jobs that are read; of the others, what those like them were, and they are read where none was."""
        read = [end for end in ends if end["panda_id"] in wanted]
        events = [self._learned(job) for job in examine(transaction, read, rows)]
        unread = [end for end in ends if end["panda_id"] not in wanted]
        alike = {end["panda_id"]: self._sampler.assumed(rows[end["panda_id"]]) for end in unread}
        unknown = [end for end in unread if alike[end["panda_id"]] not in self._templates]
        events += [self._learned(job) for job in examine(transaction, unknown, rows)]
        known = [end for end in unread if alike[end["panda_id"]] in self._templates]
        for job in examine(transaction, known, rows, with_logs=False):
            events.append(self._like(self._templates[alike[job.row["panda_id"]]], job))
        return events

    def _learned(self, job: ExaminedJob) -> Event | None:
        event = self._burst.event(job)
        if event is not None:
            self._sampler.learned(dict(job.row), event.fingerprint)
            self._templates[event.fingerprint] = replace(event, job=None)
            self._templates.move_to_end(event.fingerprint)
            if len(self._templates) > _MOST_TEMPLATES:
                self._templates.popitem(last=False)
        return event

    def _like(self, template: Event, job: ExaminedJob) -> Event | None:
        own = self._burst.event(job)
        if own is None:
            return None
        taken = ("fingerprint", "older_keys", "grouping", "words", "algorithm", "title", "step", "error_class")
        return replace(own, culprit_line="", **{name: getattr(template, name) for name in taken})

    def _fold_jobs(
        self, transaction: Transaction, events: Sequence[Event | None], rows: dict[int, Row], rules: Sequence[RuleRow]
    ) -> int:
        of_jobs = job_rules(rules)
        placed = [
            ruled for event in events if event is not None and (ruled := _ruled(event, rows, of_jobs)) is not None
        ]
        fold(transaction, placed, self._clock(), self._settings)
        return len(placed)


_OURS = {"component": CURSOR_OWNER, "kind": "service"}


def _was_wanted(end: Row, row: Row) -> bool:
    return was_killed_on_request(error_of(row, end["previous_status"]))


def fold_failed_jobs(database: Database, clock: Clock) -> int:
    """Fold the jobs that failed since the last call into incidents, with default settings; returns how many were new."""
    return FailureFolder(database, clock).fold()


def job_rules(rules: Sequence[RuleRow]) -> list[tuple[RuleRow, JobRuleParameters]]:
    """The rules of failed jobs among the active rules, in their order."""
    return [(rule, rule.limits) for rule in rules if isinstance(rule.limits, JobRuleParameters)]


def _ruled(event: Event, rows: dict[int, Row], rules: Sequence[tuple[RuleRow, JobRuleParameters]]) -> Event | None:
    """The event under the first rule that speaks of it; None when no rule does."""
    assert event.job is not None, "events of this module are of jobs"
    trouble = trouble_of(event, rows[event.job.panda_id]["prod_source_label"])
    for rule, parameters in rules:
        if parameters.mean(trouble):
            return under(event, RuleOfJobs(rule.name, rule.kind, rule.severity_floor, rule.version))
    return None


def _horizon(database: Database) -> datetime:
    """No row older than this can still appear. The clock is read first: a transaction that the second look misses
    began to write after it, and stamps its rows later."""
    now: datetime = database.fetch(_NOW)[0]["time"]
    oldest: datetime | None = database.fetch(_OLDEST_WRITER)[0]["time"]
    return min(now, oldest or now) - _MARGIN


def _time(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


def _microseconds(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(microseconds=1)
