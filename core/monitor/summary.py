"""The state of everything in one answer, for the page Now; the incident rows come from the incident store."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from core.database import Database
from core.monitor.question import Grammar, Question
from core.monitor.queues import live_counts, silent_queues
from core.monitor.throughput import count_changes
from core.states import FINAL_JOB_STATUSES

SUMMARY_GRAMMAR = Grammar(filters={}, default_hours=24)

SPARKLINE_BIN_S = 300
SPARKLINE_BINS = 12

# ix_job_history_time for the newest that started; ix_job_history_job for when they were activated
_WAITS = """
SELECT extract(epoch FROM percentile_cont(0.5) WITHIN GROUP (ORDER BY wait))::float AS p50_s,
       extract(epoch FROM percentile_cont(0.95) WITHIN GROUP (ORDER BY wait))::float AS p95_s
FROM (
    SELECT started.modification_time - activated.modification_time AS wait
    FROM (
        SELECT panda_id, modification_time FROM job_history
        WHERE modification_time >= %(since)s AND job_status = 'running'
        ORDER BY modification_time DESC LIMIT 1000
    ) started CROSS JOIN LATERAL (
        SELECT modification_time FROM job_history
        WHERE panda_id = started.panda_id AND job_status = 'activated' AND modification_time <= started.modification_time
        ORDER BY modification_time DESC LIMIT 1
    ) activated
) waits
"""

_AGENTS = "SELECT name, host, last_run, next_run, last_error FROM agent_runs ORDER BY name"


def summary(database: Database, question: Question) -> dict[str, Any]:
    """`jobs`, `throughput`, `waits`, `silent_queues`, `agents` and `sparkline` of docs/api.md."""
    now = question.as_of
    live = live_counts(database)
    return {
        "jobs": _jobs(database, question, live),
        "throughput": _rates(database, now),
        "waits": database.fetch_one(_WAITS, {"since": now - timedelta(hours=1)}) or {"p50_s": None, "p95_s": None},
        "silent_queues": silent_queues(database, live, now),
        "agents": database.fetch(_AGENTS),
        "sparkline": _sparkline(database, now),
    }


def _jobs(database: Database, question: Question, live: dict[str, dict[str, int]]) -> dict[str, int]:
    assert question.window is not None
    counts: dict[str, int] = {}
    for jobs in live.values():
        for status, count in jobs.items():
            counts[status] = counts.get(status, 0) + count
    for row in count_changes(
        database, question.window.start, question.window.end, [status.value for status in FINAL_JOB_STATUSES]
    ):
        counts[row["job_status"]] = counts.get(row["job_status"], 0) + row["count"]
    return counts


def _rates(database: Database, now: datetime) -> dict[str, Any]:
    finished, failed = _ended(database, now - timedelta(hours=1), now)
    week_ago = now - timedelta(days=7)
    finished_then, _ = _ended(database, week_ago - timedelta(hours=1), week_ago)
    ended = finished + failed
    return {
        "finished_last_hour": finished,
        "failed_last_hour": failed,
        "finished_same_hour_last_week": finished_then,
        "failure_rate": failed / ended if ended else None,
    }


def _ended(database: Database, start: datetime, end: datetime) -> tuple[int, int]:
    rows = count_changes(database, start, end, ("finished", "failed"))
    finished = sum(row["count"] for row in rows if row["job_status"] == "finished")
    return finished, sum(row["count"] for row in rows) - finished


def _sparkline(database: Database, now: datetime) -> dict[str, Any]:
    last_s = int(now.timestamp()) // SPARKLINE_BIN_S * SPARKLINE_BIN_S
    first = now.fromtimestamp(last_s - (SPARKLINE_BINS - 1) * SPARKLINE_BIN_S, tz=now.tzinfo)
    series = {"finished": [0] * SPARKLINE_BINS, "failed": [0] * SPARKLINE_BINS}
    for row in count_changes(database, first, now, tuple(series)):
        place = int((row["bin_time"] - first).total_seconds()) // SPARKLINE_BIN_S
        series[row["job_status"]][min(place, SPARKLINE_BINS - 1)] += row["count"]
    return {"bin_s": SPARKLINE_BIN_S, **series}
