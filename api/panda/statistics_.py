"""`statistics`: counts of jobs, open to everybody (factories poll them; server-api.md 1.5).

A server without jobs answers with an empty dictionary and success: upstream calls that a database failure.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from api.panda.kernel import Auth, Call, Refusal, Result, Success, endpoint
from core.database import Row
from core.statistics import (
    ANALYSIS_LABELS,
    DEFAULT_WINDOW_MINUTES,
    MAX_WINDOW_MINUTES,
    PRODUCTION_LABELS,
    job_counts_by_cloud,
    job_counts_by_site,
)
from core.taskbuffer.lookup import active_job_counts

_LABELS = {"production": PRODUCTION_LABELS, "analysis": ANALYSIS_LABELS}

_ALWAYS_SAID = ("assigned", "activated", "running")
"""Statuses that factories look up without asking whether they are there."""


@endpoint("GET", auth=Auth.OPEN)
def job_stats_by_cloud(call: Call, type: str = "production") -> Result:
    """Jobs of a kind (production, analysis) per cloud and status, live or ended in the last 12 h."""
    if type not in _LABELS:
        return Refusal('Parameter "type" needs to be either "production" or "analysis" ', {})
    rows = job_counts_by_cloud(call.services.read_database, _LABELS[type])
    return Success(_nested(rows, "cloud", "job_status"))


@endpoint("GET", auth=Auth.OPEN)
def production_job_stats_by_cloud_and_processing_type(call: Call) -> Result:
    """Production jobs per cloud, processing type and status, live or ended in the last 12 h."""
    rows = job_counts_by_cloud(call.services.read_database, PRODUCTION_LABELS)
    return Success(_nested(rows, "cloud", "processing_type", "job_status"))


@endpoint("GET", auth=Auth.OPEN)
def active_job_stats_by_site(call: Call) -> Result:
    """Live jobs per queue and status: {queue: {status: count}}."""
    counts = _nested(active_job_counts(call.services.read_database), "computing_site", "job_status")
    for of_queue in counts.values():
        for status in _ALWAYS_SAID:
            of_queue.setdefault(status, 0)
    return Success(counts)


@endpoint("GET", auth=Auth.OPEN)
def active_job_detailed_stats_by_site(call: Call) -> Result:
    """Live jobs per queue, resource type, label and status."""
    rows = active_job_counts(call.services.read_database)
    return Success(_nested(rows, "computing_site", "resource_type", "prod_source_label", "job_status"))


@endpoint("GET", auth=Auth.OPEN)
def job_stats_by_site_and_resource_type(call: Call, time_window: int | None = None) -> Result:
    """Jobs per queue, resource type and status, live or ended within `time_window` minutes (720)."""
    return _by_site(call, time_window, "computing_site", "resource_type", "job_status")


@endpoint("GET", auth=Auth.OPEN)
def job_stats_by_site_share_and_resource_type(call: Call, time_window: int | None = None) -> Result:
    """Jobs per queue, global share, resource type and status, live or ended within `time_window` minutes (720)."""
    return _by_site(call, time_window, "computing_site", "gshare", "resource_type", "job_status")


def _by_site(call: Call, time_window: int | None, *names: str) -> Result:
    minutes = DEFAULT_WINDOW_MINUTES if time_window is None else time_window
    if not 0 <= minutes <= MAX_WINDOW_MINUTES:
        complaint = (
            f'Parameter "time_window" needs to be a positive integer smaller than {MAX_WINDOW_MINUTES} min (7 days)'
        )
        return Refusal(complaint, {})
    return Success(_nested(job_counts_by_site(call.services.read_database, minutes), *names))


def _nested(rows: Iterable[Row], *names: str) -> dict[str, Any]:
    """Counts as dictionaries within each other, one level per name; what differs elsewhere only is added up."""
    counts: dict[str, Any] = {}
    for row in rows:
        place = counts
        for name in names[:-1]:
            place = place.setdefault(row[name], {})
        last = row[names[-1]]
        place[last] = place.get(last, 0) + row["job_count"]
    return counts
