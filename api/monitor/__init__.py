"""The monitor's operations, listed once (`HANDLERS`), and what runs beside them in each API process (`running`)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.concurrency import run_in_threadpool

from api.monitor.agents import agents
from api.monitor.audit import audit
from api.monitor.deeds import deed, deeds
from api.monitor.incident_notices import notice_routes, notices
from api.monitor.incident_rules import incident_rule_versions, incident_rules
from api.monitor.incidents import compare, incident, incidents
from api.monitor.jobs import job, job_log_text, jobs
from api.monitor.queues import queue_changes, queues
from api.monitor.records import counts_of_records, records, senders
from api.monitor.retries import retry_deeds, retry_rules_seen, whose_faults
from api.monitor.search import search_everything
from api.monitor.shares import samples_of_shares, shares
from api.monitor.shifts import shift, shifts
from api.monitor.silences import silences
from api.monitor.staging import staging
from api.monitor.stream import stream
from api.monitor.summary import summary_now
from api.monitor.tasks import task, tasks
from api.monitor.throughput import throughput_bins
from api.monitor.users import timeouts, user, users
from api.monitor.why import why_job_is_so, why_task_is_so
from api.operations import Handler, Services

HANDLERS: list[Handler] = [
    summary_now,
    jobs,
    job,
    job_log_text,
    queues,
    queue_changes,
    shares,
    samples_of_shares,
    users,
    user,
    timeouts,
    staging,
    agents,
    tasks,
    task,
    incidents,
    incident,
    compare,
    silences,
    deeds,
    deed,
    audit,
    shifts,
    shift,
    notices,
    notice_routes,
    incident_rules,
    incident_rule_versions,
    throughput_bins,
    records,
    counts_of_records,
    senders,
    retry_rules_seen,
    retry_deeds,
    whose_faults,
    search_everything,
    why_job_is_so,
    why_task_is_so,
    stream,
]


@asynccontextmanager
async def running(services: Services) -> AsyncIterator[None]:
    """Hold what the monitor needs while the API runs: the hub of the live stream."""
    try:
        yield
    finally:
        await run_in_threadpool(services.live.close)
