"""`event`: the event service, which this server does not have. Signatures and access as upstream (server-api.md 1.6)."""

from __future__ import annotations

from api.panda.kernel import Auth, Call, Result, endpoint, not_built

_FEATURE = "event service"


@endpoint("GET", auth=Auth.PRODUCTION)
def get_available_event_range_count(call: Call, job_id: int, jobset_id: int, task_id: int, timeout: int = 60) -> Result:
    """How many event ranges of a job are left."""
    return not_built(_FEATURE)


@endpoint("GET")
def get_event_range_statuses(call: Call, job_task_ids: str) -> Result:
    """States of the event ranges of pairs of task and job."""
    return not_built(_FEATURE)


@endpoint("POST", auth=Auth.PRODUCTION)
def acquire_event_ranges(
    call: Call,
    job_id: int,
    jobset_id: int,
    task_id: int | None = None,
    n_ranges: int = 10,
    timeout: int = 60,
    scattered: bool = False,
    segment_id: int | None = None,
) -> Result:
    """Give event ranges to a job."""
    return not_built(_FEATURE)


@endpoint("POST", auth=Auth.PRODUCTION)
def update_single_event_range(
    call: Call,
    event_range_id: str,
    event_range_status: str,
    core_count: int | None = None,
    cpu_consumption_time: float | None = None,
    object_store_id: int | None = None,
    timeout: int = 60,
) -> Result:
    """Take a report on one event range."""
    return not_built(_FEATURE)


@endpoint("POST", auth=Auth.PRODUCTION)
def update_event_ranges(call: Call, event_ranges: str, timeout: int = 120, version: int = 0) -> Result:
    """Take reports on event ranges."""
    return not_built(_FEATURE)
