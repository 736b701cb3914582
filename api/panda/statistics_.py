"""`statistics`: counts of live jobs, open to everybody (factories poll them)."""

from __future__ import annotations

from typing import Any

from api.panda.kernel import Auth, Call, Result, Success, endpoint
from core.taskbuffer.lookup import active_job_counts


@endpoint("GET", auth=Auth.OPEN)
def active_job_stats_by_site(call: Call) -> Result:
    """Live jobs per queue and status: {queue: {status: count}}."""
    counts: dict[str, dict[str, int]] = {}
    for row in active_job_counts(call.services.read_database):
        site = counts.setdefault(row["computing_site"], {})
        site[row["job_status"]] = site.get(row["job_status"], 0) + row["job_count"]
    return Success(counts)


@endpoint("GET", auth=Auth.OPEN)
def active_job_detailed_stats_by_site(call: Call) -> Result:
    """Live jobs per queue, resource type, label and status."""
    counts: dict[str, Any] = {}
    for row in active_job_counts(call.services.read_database):
        labels = counts.setdefault(row["computing_site"], {}).setdefault(row["resource_type"], {})
        labels.setdefault(row["prod_source_label"], {})[row["job_status"]] = row["job_count"]
    return Success(counts)
