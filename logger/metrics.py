"""Numbers for Prometheus as (name, labels, value), read from the database. Knows SQL and the bounds of labels, no HTTP.

Labels never hold a job, task, user, message, node or fingerprint, and each is bounded: what is beyond is `other`. Counters
count since midnight UTC, which every API process and every host computes alike; to Prometheus midnight is a restart.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import psycopg2

from core.database import Database, Row
from core.errors import PandaError
from core.monitor.queues import SILENCE_S, live_counts
from core.monitor.reading import read
from core.monitor.throughput import PROGRESS
from core.states import FINAL_JOB_STATUSES
from logger.failures import CURSOR_OWNER

log = logging.getLogger("panda.metrics")

MOST = {"queue": 500, "component": 100, "route": 100, "agent": 100, "label": 8, "level": 20, "action": 50}
"""How many values of a label are told apart; those further down the alphabet are `other`. All other labels have few."""

_LIMIT_S = 2.0


@dataclass(frozen=True)
class Sample:
    """A number of a family."""

    name: str
    labels: Mapping[str, str]
    value: float


FAMILIES: dict[str, tuple[str, str]] = {
    "panda_jobs": ("gauge", "Live jobs."),
    "panda_jobs_ended_total": ("counter", "Jobs that ended since midnight UTC, in whole minutes."),
    "panda_queue_silent_seconds": ("gauge", "Since the last pilot asked, where work waits for one; 0 elsewhere."),
    "panda_wait_seconds": ("gauge", "How long jobs that started in the last full hour had waited for a pilot."),
    "panda_incidents": ("gauge", "Incidents that are not resolved."),
    "panda_incidents_by_verdict": ("gauge", "Incidents that are not resolved, by whose fault it is."),
    "panda_incidents_opened_total": ("counter", "Incidents opened since midnight UTC."),
    "panda_incident_candidates": ("gauge", "Troubles that are counted and no incident yet."),
    "panda_incident_unacknowledged_seconds": ("gauge", "Age of the oldest incident that nobody has taken."),
    "panda_incident_lost_core_seconds": ("gauge", "Core seconds that incidents not resolved have cost."),
    "panda_agent_late_seconds": ("gauge", "How much later than promised an agent has not run."),
    "panda_event_lag_seconds": ("gauge", "How far the incident builder is behind the failed jobs."),
    "panda_log_records_total": ("counter", "Log records received since midnight UTC."),
    "panda_log_records_missing": ("gauge", "Records that the senders of the last day lost or were refused."),
    "panda_log_senders": ("gauge", "Processes that sent log records in the last five minutes."),
    "panda_notices": ("gauge", "Notices of incidents: all that wait, and the newest thousand."),
    "panda_notice_oldest_seconds": ("gauge", "Age of the oldest notice that waits."),
    "panda_deeds_total": ("counter", "Actions since midnight UTC."),
    "panda_database_probe_seconds": ("gauge", "How long the database takes to answer nothing."),
    "panda_scrape_complete": ("gauge", "Whether a part of these numbers could be read."),
}
"""Name -> kind and meaning."""

_ENDED = f"""
WITH {PROGRESS}, hours AS (SELECT greatest(date_trunc('hour', counted_until), %(day)s) AS until FROM progress)
SELECT computing_site AS queue, job_status AS state, prod_source_label AS label, sum(job_count)::bigint AS value
FROM (
    SELECT computing_site, job_status, prod_source_label, job_count FROM throughput_hours
    WHERE bin_time >= %(day)s AND bin_time < (SELECT until FROM hours)
    UNION ALL
    SELECT computing_site, job_status, prod_source_label, job_count FROM throughput_minutes
    WHERE bin_time >= (SELECT until FROM hours) AND bin_time < (SELECT counted_until FROM progress)
) ended WHERE job_status = ANY(%(final)s) GROUP BY 1, 2, 3
"""
# both whole: they are short
_CONTACTS = """
SELECT q.queue_name AS queue, extract(epoch FROM %(now)s - coalesce(c.last_request_time, q.creation_time))::float AS value
FROM queues q LEFT JOIN queue_contacts c USING (queue_name)
"""
# primary key, which begins with the queue: a short table of at most some days
_WAITS = """
SELECT w.computing_site AS queue, v.percentile, v.value FROM wait_hours w
CROSS JOIN LATERAL (VALUES ('50', p50_s), ('90', p90_s), ('95', p95_s)) v (percentile, value)
WHERE w.hour = date_trunc('hour', %(now)s) - interval '1 hour'
"""
# ix_incidents_shown, of which what is not resolved is a short range
_LIVE = "opened_time IS NOT NULL AND state IN ('open', 'reopened', 'acknowledged', 'silenced')"
_INCIDENTS = f"SELECT severity, state, kind, count(*) AS value FROM incidents WHERE {_LIVE} GROUP BY 1, 2, 3"
_VERDICTS = f"SELECT verdict, count(*) AS value FROM incidents WHERE {_LIVE} GROUP BY 1"
_LOST = f"SELECT kind, sum(lost_core_s)::bigint AS value FROM incidents WHERE {_LIVE} GROUP BY 1"
_UNTAKEN = """
SELECT severity, max(extract(epoch FROM %(now)s - opened_time))::float AS value FROM incidents
WHERE opened_time IS NOT NULL AND state IN ('open', 'reopened') AND owner = '' AND inhibited_by IS NULL GROUP BY 1
"""
# what was modified today by ix_incidents_modified: whatever was opened today was
_OPENED = """
SELECT kind, count(*) AS value FROM incidents WHERE modification_time >= %(day)s AND opened_time >= %(day)s GROUP BY 1
"""
# ix_incidents_candidates
_CANDIDATES = "SELECT count(*) AS value FROM incidents WHERE state = 'candidate'"
_AGENTS = """
SELECT name AS agent, greatest(0, extract(epoch FROM %(now)s - next_run))::float AS value FROM agent_runs
WHERE next_run IS NOT NULL
"""
_LAG = """
SELECT greatest(0, extract(epoch FROM %(now)s) - cursor / 1e6)::float AS value FROM agent_runs
WHERE name = %(builder)s AND cursor > 0
"""
# primary key
_RECORDS = """
SELECT component, level, sum(record_count)::bigint AS value FROM log_hours WHERE hour >= %(day)s GROUP BY 1, 2
"""
# ix_log_sources_seen
_MISSING = """
SELECT v.reason, sum(v.value)::bigint AS value FROM log_sources s
CROSS JOIN LATERAL (VALUES ('dropped', s.dropped_count), ('refused', s.refused_count)) v (reason, value)
WHERE s.last_seen > %(now)s - interval '1 day' GROUP BY 1
"""
_SENDERS = "SELECT count(*) AS value FROM log_sources WHERE last_seen > %(now)s - interval '5 minutes'"
# ix_incident_notices_due, and the newest by primary key
_NOTICES = """
SELECT coalesce(r.name, 'removed') AS route, n.state, count(*) AS value
FROM (SELECT notice_id, route_id, state FROM incident_notices WHERE state IN ('waiting', 'sending')
      UNION SELECT * FROM (SELECT notice_id, route_id, state FROM incident_notices ORDER BY notice_id DESC LIMIT 1000) newest) n
LEFT JOIN notice_routes r USING (route_id) GROUP BY 1, 2
"""
_OLDEST_NOTICE = """
SELECT r.name AS route, coalesce(extract(epoch FROM %(now)s - min(n.created_time)), 0)::float AS value
FROM notice_routes r LEFT JOIN incident_notices n ON n.route_id = r.route_id AND n.state IN ('waiting', 'sending')
GROUP BY 1
"""
# ix_deeds_time
_DEEDS = """
SELECT action, state AS outcome, count(*) AS value FROM deeds WHERE time >= %(day)s AND state <> 'executing' GROUP BY 1, 2
"""

_PARTS: dict[str, dict[str, str]] = {
    "throughput": {"panda_jobs_ended_total": _ENDED},
    "waits": {"panda_wait_seconds": _WAITS},
    "incidents": {
        "panda_incidents": _INCIDENTS,
        "panda_incidents_by_verdict": _VERDICTS,
        "panda_incident_lost_core_seconds": _LOST,
        "panda_incident_unacknowledged_seconds": _UNTAKEN,
        "panda_incidents_opened_total": _OPENED,
        "panda_incident_candidates": _CANDIDATES,
    },
    "agents": {"panda_agent_late_seconds": _AGENTS, "panda_event_lag_seconds": _LAG},
    "records": {
        "panda_log_records_total": _RECORDS,
        "panda_log_records_missing": _MISSING,
        "panda_log_senders": _SENDERS,
    },
    "notices": {"panda_notices": _NOTICES, "panda_notice_oldest_seconds": _OLDEST_NOTICE},
    "deeds": {"panda_deeds_total": _DEEDS},
}
"""Part -> family -> its statement: columns are labels, `value` is the number."""


def samples(database: Database, now: datetime) -> Iterator[Sample]:
    """Everything that /metrics says of the database. A part that cannot be read is left out, and says so."""
    values = {
        "now": now,
        "day": now.replace(hour=0, minute=0, second=0, microsecond=0),
        "final": [status.value for status in FINAL_JOB_STATUSES],
        "builder": CURSOR_OWNER,
    }
    parts: dict[str, Callable[[], list[Sample]]] = {
        "database": lambda: _probe(database),
        "jobs": lambda: _jobs(database, values),
        **{name: _reader(database, statements, values) for name, statements in _PARTS.items()},
    }
    for part, ask in parts.items():
        try:
            found, is_complete = ask(), True
        except (PandaError, psycopg2.Error) as error:
            log.warning("no numbers of %s for Prometheus: %s", part, error, extra={"component": "api"})
            found, is_complete = [], False
        yield from found
        yield Sample("panda_scrape_complete", {"part": part}, int(is_complete))


def _reader(database: Database, statements: Mapping[str, str], values: Row) -> Callable[[], list[Sample]]:
    def ask() -> list[Sample]:
        return [
            sample
            for name, statement in statements.items()
            for sample in _samples(name, read(database, statement, values, limit_s=_LIMIT_S))
        ]

    return ask


def _samples(name: str, rows: list[Row]) -> list[Sample]:
    """One sample for each set of labels; what is beyond the bound of a label is added up (of ages: the oldest)."""
    together: Callable[[float, float], float] = max if name.endswith("_seconds") and "lost" not in name else _sum
    labels = [label for label in rows[0] if label != "value"] if rows else []
    told = {label: set(sorted({str(row[label]) for row in rows})[: MOST.get(label, 50)]) for label in labels}
    found: dict[tuple[str, ...], float] = {}
    for row in rows:
        key = tuple(value if (value := str(row[label])) in told[label] else "other" for label in labels)
        number = float(row["value"] or 0)
        found[key] = together(found[key], number) if key in found else number
    return [Sample(name, dict(zip(labels, key, strict=True)), value) for key, value in found.items()]


def _sum(one: float, other: float) -> float:
    return one + other


def _jobs(database: Database, values: Row) -> list[Sample]:
    """Live jobs by queue and state, and queues with work that no pilot asks for."""
    live = live_counts(database)
    rows = [
        {"queue": queue or "none", "state": state, "value": count}
        for queue, states in live.items()
        for state, count in states.items()
    ]
    silences = [
        {
            **row,
            "value": row["value"] if live.get(row["queue"], {}).get("activated") and row["value"] > SILENCE_S else 0,
        }
        for row in read(database, _CONTACTS, values, limit_s=_LIMIT_S)
    ]
    return [*_samples("panda_jobs", rows), *_samples("panda_queue_silent_seconds", silences)]


def _probe(database: Database) -> list[Sample]:
    started = time.perf_counter()
    database.ping()
    return [Sample("panda_database_probe_seconds", {}, time.perf_counter() - started)]
