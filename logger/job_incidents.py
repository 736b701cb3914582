"""The loop over incidents of failed jobs and of records: bursts open, quiet candidates lapse, and what is over ends.

Opening by lost work happens where jobs are folded (logger/opening.py); here is what needs a look at all that ended.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from core.clock import Clock
from core.database import Database, Row, Transaction
from core.errors import Unavailable
from core.incident_settings import IncidentSettings
from core.states import IncidentState
from logger import life
from logger.judging import counts_between
from logger.opening import BURST_WITHIN, JobRuleInForce, Opened, is_burst, open_candidates, rules_of
from logger.rules.refused_pilots import REFUSED_PILOTS, refused_queue

log = logging.getLogger("panda.incidents")

_MOST_AT_ONCE = 200
_SHORTEST_QUIET_S = 60.0
"""No rule lets a candidate lapse sooner (JobRuleParameters.quiet_s)."""
_UNREFUSED = timedelta(minutes=10)
"""Refusals of pilots within so long are one trouble (api/panda/refused_pilots.py), also when some pilots are served."""
_ENDS_EVERY = timedelta(seconds=30)
_MOST_COUNTED = 1000

# ix_incidents_candidates, the latest first
_CANDIDATES = f"""
SELECT incident_id, rule_name, first_seen, last_seen, job_count, task_count, user_count
FROM incidents WHERE state = 'candidate' AND job_count >= 2 AND last_seen >= %(since)s
ORDER BY last_seen DESC LIMIT {_MOST_AT_ONCE}
"""
# primary key
_HOLD_CANDIDATE = """
SELECT incident_id, rule_name FROM incidents WHERE incident_id = %(incident_id)s AND state = 'candidate' FOR UPDATE
"""
# ix_incidents_candidates, the oldest first; whoever folds into one at this moment keeps it alive
_QUIET = f"""
SELECT incident_id, rule_name, last_seen FROM incidents WHERE state = 'candidate' AND last_seen < %(before)s
ORDER BY last_seen LIMIT {_MOST_AT_ONCE} FOR UPDATE SKIP LOCKED
"""
# ix_incidents_shown: what is open, some tens of rows; what is silenced and held by nobody is silenced until it is fixed
_PERHAPS_OVER = f"""
SELECT incident_id FROM incidents
WHERE opened_time IS NOT NULL AND state IN ('open', 'reopened', 'acknowledged', 'silenced')
  AND held_by = '' AND kind <> 'manual'
  AND last_seen < CASE WHEN job_count > 0 THEN %(before)s WHEN starts_with(fingerprint, %(refused)s) THEN %(unrefused)s
                       ELSE %(forgotten)s END
  AND (rule_name = '' OR NOT starts_with(fingerprint, 'v1:' || rule_name || ':'))
ORDER BY last_seen LIMIT {_MOST_AT_ONCE}
"""
_INCIDENT = """
SELECT incident_id, fingerprint, job_count, last_seen, verdict, verdict_value, held_by, rule_name FROM incidents
WHERE incident_id = %(incident_id)s
"""
# incident_breakdown by its primary key
_QUEUES = """
SELECT value FROM incident_breakdown WHERE incident_id = %(incident_id)s AND dimension = 'computing_site'
ORDER BY event_count DESC LIMIT 100
"""
# ix_jobs_archive_site, ix_jobs_archive_task or ix_jobs_archive_time, a thousand rows at most
_FINISHED = """
SELECT count(*) AS count FROM (
    SELECT 1 FROM jobs_archive WHERE job_status = 'finished' AND state_change_time > %(since)s AND {scope} LIMIT {limit}
) some_of_them
"""
# primary key
_SERVED = "SELECT last_request_time AS time FROM queue_contacts WHERE queue_name = %(queue)s AND last_request_time > %(since)s"
_NODE = "regexp_replace(modification_host, '^.*@', '')"
_SCOPES = {
    "site": ("computing_site = %(value)s", "at {}"),
    "task": ("jedi_task_id = %(number)s", "in task {}"),
    "user": ("(prod_user_name = %(value)s AND working_group = '' OR working_group = %(value)s)", "of {}"),
    "node": (
        f"computing_site = %(site)s AND ({_NODE} = %(node)s OR starts_with({_NODE}, %(node)s || '.'))",
        "on {}",
    ),
    "central": ("true", "in all"),
}
_AT_ITS_QUEUES = ("computing_site = ANY(%(queues)s)", "at its queues")


class JobIncidents:
    """Looks after candidates and incidents of failed jobs. Remembers what it saw; one thread at a time."""

    def __init__(self, database: Database, clock: Clock, settings: IncidentSettings | None = None) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings or IncidentSettings()
        self._seen: dict[int, int] = {}
        self._next_ends: datetime | None = None

    def look(self) -> int:
        """One round; returns how many candidates and incidents changed."""
        changed = self.open_bursts() + self.lapse()
        now = self._clock()
        if self._next_ends is None or now >= self._next_ends:
            changed += self.end_what_is_over()
            self._next_ends = now + _ENDS_EVERY
        return changed

    def open_bursts(self) -> int:
        """Open candidates whose failures are a large part of what ended at one node, queue, or of one task or user."""
        now = self._clock()
        candidates = self._database.fetch(_CANDIDATES, {"since": now - timedelta(hours=24)})
        grown = [row for row in candidates if row["job_count"] > self._seen.get(row["incident_id"], 0)]
        self._seen = {row["incident_id"]: row["job_count"] for row in candidates}
        if not grown:
            return 0
        with self._database.transaction() as transaction:
            rules = rules_of(transaction, grown)
        return sum(self._opened(row, rules, now) for row in grown)

    def _opened(self, row: Row, rules: dict[str, JobRuleInForce], now: datetime) -> bool:
        """One candidate that cannot be counted keeps no other from opening."""
        parameters = rules.get(row["rule_name"], JobRuleInForce()).parameters
        if row["job_count"] < parameters.burst_jobs:
            return False
        start = max(row["first_seen"], row["last_seen"] - BURST_WITHIN)
        try:
            reason = is_burst(counts_between(self._database, row, start, row["last_seen"]), parameters)
        except Unavailable:
            raise
        except Exception:
            log.exception("candidate %s cannot be counted", row["incident_id"], extra=_OURS)
            return False
        return reason is not None and self._open(row["incident_id"], reason, rules, now)

    def _open(self, incident_id: int, reason: Opened, rules: dict[str, JobRuleInForce], now: datetime) -> bool:
        with self._database.transaction() as transaction:
            row = transaction.fetch_one(_HOLD_CANDIDATE, {"incident_id": incident_id})
            return row is not None and bool(open_candidates(transaction, [(row, reason)], rules, now))

    def lapse(self) -> int:
        """End the candidates that have been quiet for as long as their rule says; nobody hears of it."""
        now = self._clock()
        with self._database.transaction() as transaction:
            quiet = transaction.fetch(_QUIET, {"before": now - timedelta(seconds=_SHORTEST_QUIET_S)})
            rules = rules_of(transaction, quiet) if quiet else {}
            lapsed = 0
            for row in quiet:
                rule = rules.get(row["rule_name"], JobRuleInForce())
                if row["last_seen"] >= now - timedelta(seconds=rule.parameters.quiet_s):
                    continue
                act = life.Act(f"rule {row['rule_name']}", "lapse", "below the threshold", is_automatic=True)
                life.change(transaction, row["incident_id"], IncidentState.RESOLVED, act, now)
                lapsed += 1
        return lapsed

    def end_what_is_over(self) -> int:
        """Resolve incidents of failed jobs without an event for an hour where work succeeds again, of refused pilots whose
        queue is served again, and what was quiet for a day."""
        now = self._clock()
        limits = {
            "before": now - timedelta(seconds=self._settings.quiet_s),
            "forgotten": now - timedelta(seconds=self._settings.forgotten_s),
            "unrefused": now - _UNREFUSED,
            "refused": REFUSED_PILOTS,
        }
        return sum(self._ended(row["incident_id"], now) for row in self._database.fetch(_PERHAPS_OVER, limits))

    def _ended(self, incident_id: int, now: datetime) -> bool:
        with self._database.transaction() as transaction:
            life.locked(transaction, incident_id)
            reason = why_over(transaction, incident_id, now, self._settings)
            if not reason:
                return False
            rule = transaction.fetch(_INCIDENT, {"incident_id": incident_id})[0]["rule_name"]
            act = life.Act(f"rule {rule}", "resolve", reason, is_automatic=True)
            try:
                life.change(transaction, incident_id, IncidentState.RESOLVED, act, now)
            except life.Held:
                return False
        return True


_OURS = {"component": "incident_opener", "kind": "service"}


def why_over(transaction: Transaction, incident_id: int, now: datetime, settings: IncidentSettings) -> str:
    """Why an incident of failed jobs or of records is over, in words; empty while it is not.

    Over is what had no event for a day; of failed jobs for an hour while jobs finished where it was (its verdict says where);
    of refused pilots for ten minutes when one was served after the last refusal.
    """
    row = transaction.fetch(_INCIDENT, {"incident_id": incident_id})[0]
    quiet_s = (now - row["last_seen"]).total_seconds()
    since = f"{row['last_seen']:%H:%M}" if quiet_s < 86_400 else f"{row['last_seen']:%Y-%m-%d %H:%M}"
    if quiet_s >= settings.forgotten_s:
        return f"nothing since {since}"
    if not row["job_count"]:
        return _why_served(transaction, row, quiet_s)
    if quiet_s < settings.quiet_s:
        return ""
    scope, where = _SCOPES.get(row["verdict"], _AT_ITS_QUEUES)
    finished = transaction.fetch(_FINISHED.format(scope=scope, limit=_MOST_COUNTED), _values(transaction, row))[0][
        "count"
    ]
    if finished < settings.quiet_after_jobs:
        return ""
    many = f"{finished} jobs" if finished < _MOST_COUNTED else f"{_MOST_COUNTED} jobs or more"
    return f"no failure since {since}, {many} finished {where.format(row['verdict_value'])}"


def _why_served(transaction: Transaction, row: Row, quiet_s: float) -> str:
    """Why pilots are refused no more; empty for what is no refusal of pilots."""
    queue = refused_queue(row["fingerprint"])
    if not queue or quiet_s < _UNREFUSED.total_seconds():
        return ""
    served = transaction.fetch_one(_SERVED, {"queue": queue, "since": row["last_seen"]})
    return f"a pilot of {queue} was served at {served['time']:%H:%M}, none was refused since" if served else ""


def _values(transaction: Transaction, row: Row) -> dict[str, Any]:
    value = row["verdict_value"]
    site, _, node = value.partition(" ")
    return {
        "since": row["last_seen"],
        "value": value,
        "number": int(value) if value.isdecimal() else -1,
        "site": site,
        "node": node,
        "queues": [one["value"] for one in transaction.fetch(_QUEUES, {"incident_id": row["incident_id"]})],
    }
