"""`pilot`: hand out jobs, say how they stand. PanDA's parameters in, core's offers out; reports are in pilot_reports."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from api.identity.access import Access
from api.panda.job_dictionary import pilot_dictionary
from api.panda.kernel import Auth, Call, Refusal, Result, Success, endpoint
from api.panda.pilot_nodes import update_worker_node, update_worker_node_gpu
from api.panda.pilot_reports import update_job, update_jobs_bulk
from core.credentials import secrets_of
from core.dispatch.acquire import AcquiredJob, SlotOffer
from core.dispatch.acquire import acquire_jobs as take_jobs
from core.dispatch.readability import acquire_readable_jobs
from core.dispatch.workers import worker_name
from core.harvester.workers import note_pilot_status
from core.taskbuffer.lookup import MAX_LOOKUP, job_statuses

__all__ = [
    "acquire_jobs",
    "get_job_status",
    "update_job",
    "update_jobs_bulk",
    "update_worker_node",
    "update_worker_node_gpu",
    "update_worker_status",
]

NO_JOBS = "No jobs in PanDA"
ROLE_NEEDED = "production or pilot role required to ask for other jobs than your own (prod_source_label=user)"
MAX_JOBS = 100
"""Jobs handed out at once; who asks for more gets these and may ask again."""


@endpoint("POST")
def acquire_jobs(
    call: Call,
    site_name: str,
    timeout: int = 60,
    memory: float | None = None,
    disk_space: float | None = None,
    prod_source_label: str | None = None,
    node: str | None = None,
    computing_element: str | None = None,
    prod_user_id: str | None = None,
    get_proxy_key: str | None = None,
    task_id: int | None = None,
    n_jobs: int = 1,
    background: bool | None = None,
    resource_type: str | None = None,
    harvester_id: str | None = None,
    worker_id: str | None = None,
    scheduler_id: str | None = None,
    job_type: str | None = None,
    via_topic: bool | None = None,
    remaining_time: Any = None,
    cores: int | None = None,
    batch_id: str | None = None,
    working_group: str | None = None,
    country_group: str | None = None,
    allow_other_country: bool | None = None,
) -> Result:
    """Hand out activated jobs (activated -> sent), best first.

    `cores` and `batch_id` are ours; `working_group`, `country_group` (several with commas) and `allow_other_country` are of
    the old protocol. Taken and without effect: timeout, computing_element, get_proxy_key, background, scheduler_id, job_type,
    via_topic.
    """
    if n_jobs < 1:
        return Refusal(f"n_jobs: {n_jobs} is out of range (1 or more; at most {MAX_JOBS} are given at once)")
    if not call.caller.may(Access.PILOT) and prod_source_label != "user":
        return Refusal(ROLE_NEEDED)
    offer = _offer_of(call, locals())
    take = acquire_readable_jobs if call.is_legacy else take_jobs
    jobs = take(call.services.database, offer, call.services.ranking)
    call.services.contacts.note(call.services.database, offer, len(jobs))
    if not jobs:
        return Refusal(NO_JOBS)
    return Success({"StatusCode": 0, "jobs": [_described(call, job) for job in jobs]})


def _offer_of(call: Call, said: Mapping[str, Any]) -> SlotOffer:
    """What core is offered, out of the arguments of acquire_jobs; who is no pilot gets jobs of their own only."""
    is_pilot = call.caller.may(Access.PILOT)
    return SlotOffer(
        site_name=said["site_name"],
        prod_source_label=said["prod_source_label"] or "",
        memory_mb=_whole(said["memory"]),
        disk_mb=_whole(said["disk_space"]),
        cores=said["cores"],
        remaining_s=_whole(said["remaining_time"]),
        resource_type=said["resource_type"] or "",
        jedi_task_id=said["task_id"],
        user_name=(said["prod_user_id"] or "") if is_pilot else call.caller.user_name,
        working_group=said["working_group"] or "",
        country_groups=tuple(filter(None, (word.strip() for word in (said["country_group"] or "").split(",")))),
        takes_other_countries=bool(said["allow_other_country"]),
        node=(said["node"] or "")[:128],
        worker_id=worker_name(said["harvester_id"], said["worker_id"]),
        batch_id=(said["batch_id"] or "")[:80],
        job_count=min(said["n_jobs"], MAX_JOBS),
    )


def _described(call: Call, acquired: AcquiredJob) -> dict[str, Any]:
    job = acquired.job
    task = call.services.task_facts.of(job["jedi_task_id"])
    wants_secrets = task.get("useSecrets") in (True, 1)
    secrets = secrets_of(call.services.database, job["prod_user_name"]) if wants_secrets else None
    base = call.services.settings.pilot_transformation_base if call.is_legacy else f"{call.base_url}/trf/user"
    return pilot_dictionary(acquired, transformation_base=base, task=task, secrets=secrets)


@endpoint("GET")
def get_job_status(call: Call, job_ids: list[int], timeout: int = 60) -> Result:
    """Status and attempt number of each job, in the order asked."""
    if len(job_ids) > MAX_LOOKUP:
        return Refusal(f"job_ids: more than {MAX_LOOKUP} at once (ask in several requests)")
    found = job_statuses(call.services.database, job_ids)
    unknown = {"job_status": "not found", "attempt_nr": 0}
    rows = [(panda_id, found.get(panda_id, unknown)) for panda_id in job_ids]
    return Success(
        [
            {"job_id": panda_id, "status": row["job_status"], "attempt_number": row["attempt_nr"]}
            for panda_id, row in rows
        ]
    )


@endpoint("POST", auth=Auth.PRODUCTION)
def update_worker_status(
    call: Call, worker_id: Any, harvester_id: Any, status: Any, timeout: Any = 60, node_id: Any = None
) -> Result:
    """A pilot says that its worker has `started` or `finished`; of a worker nobody told of nothing is kept."""
    try:
        number = int(worker_id)
    except (TypeError, ValueError, OverflowError):
        number = 2**63
    if not harvester_id or abs(number) >= 2**63:
        given = f"{str(harvester_id)[:50]!r}, {str(worker_id)[:50]!r}"
        return Refusal(f"harvester_id, worker_id: {given} name no worker (send those the factory gave the pilot)")
    node = "" if node_id is None else str(node_id)[:128]
    note_pilot_status(call.services.database, str(harvester_id)[:200], number, str(status), node)
    return Success()


def _whole(offered: Any) -> int | None:
    """A figure of an offer as a whole number; nonsense counts as not said, as 0 does."""
    try:
        value = float(offered)
    except (TypeError, ValueError, OverflowError):
        return None
    return int(value) if math.isfinite(value) and 0 <= value < 2**62 else None
