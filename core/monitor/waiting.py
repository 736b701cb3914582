"""Why a job does not run yet, in one clause, from what the server knows. Reads by key; knows no page."""

from __future__ import annotations

from datetime import datetime, timedelta

from core.database import Row, Transaction
from core.dispatch.acquire import LABEL_FAMILIES, QUEUES_WITH_DISPATCH
from core.states import ON_WORKER_NODE, JobStatus

_FRESH_S = 600
"""An incident that was last seen before says nothing about now."""
_AGENT_PATIENCE_S = 60
_NAMED_FILES = 3

# primary key
_BROKERAGE_AGENT = "SELECT max(last_run) AS last_run FROM agent_runs WHERE name = 'setupper'"

# ix_job_files_job, primary key of replicas
_MISSING_INPUT = """
SELECT f.lfn, count(*) OVER () AS count FROM job_files f
WHERE f.panda_id = %(panda_id)s AND f.type IN ('input', 'sandbox') AND NOT EXISTS (
    SELECT 1 FROM replicas r WHERE r.file_id = f.file_id AND r.endpoint = %(endpoint)s)
ORDER BY f.row_id LIMIT %(named)s
"""

# queues and queue_contacts by primary key
_QUEUE = """
SELECT q.queue_name, q.status, q.comment, q.storage_endpoint, c.last_request_time, c.last_job_time
FROM queues q LEFT JOIN queue_contacts c USING (queue_name) WHERE q.queue_name = %(queue)s
"""

# ix_incidents_state: those that are not resolved are few. What pilots say themselves tells more than that they died
_TROUBLE = """
SELECT title FROM incidents
WHERE state IN ('open', 'acknowledged') AND computing_site = %(queue)s AND kind IN ('service', 'absence')
  AND last_seen >= %(since)s
ORDER BY kind = 'service' DESC, component = 'pilot' DESC, last_seen DESC LIMIT 1
"""

# ix_jobs_live_status and ix_jobs_live_activated, no further than a thousand
_BUSY = """
SELECT (SELECT count(*) FROM jobs_live WHERE computing_site = %(queue)s AND job_status = ANY(%(on_node)s)) AS on_node,
       (SELECT count(*) FROM (
            SELECT 1 FROM jobs_live WHERE computing_site = %(queue)s AND job_status = 'activated'
              AND (current_priority > %(priority)s OR (current_priority = %(priority)s AND panda_id < %(panda_id)s))
            LIMIT 1000) ahead) AS ahead
"""


def waiting_reason(transaction: Transaction, job: Row, as_of: datetime) -> str:
    """What keeps a job from a pilot: brokerage's reason, missing input, its queue's trouble.

    A clause without a full stop that stays the same while nothing changes. Empty when the job does not wait or nothing
    is known.
    """
    match job["job_status"]:
        case JobStatus.DEFINED:
            return _for_a_queue(transaction, job, as_of)
        case JobStatus.ASSIGNED:
            return _for_input(transaction, job)
        case JobStatus.ACTIVATED:
            return _for_a_pilot(transaction, job, as_of)
    return ""


def _for_a_queue(transaction: Transaction, job: Row, as_of: datetime) -> str:
    if job["brokerage_error_diag"]:
        return str(job["brokerage_error_diag"]).strip().rstrip(".")
    agent = transaction.fetch_one(_BROKERAGE_AGENT)
    last_run = agent["last_run"] if agent else None
    if last_run is not None and as_of - last_run > timedelta(seconds=_AGENT_PATIENCE_S):
        return f"the agent that chooses queues (setupper) last ran at {last_run:%Y-%m-%d %H:%M} UTC"
    return ""


def _for_input(transaction: Transaction, job: Row) -> str:
    queue = transaction.fetch_one(_QUEUE, {"queue": job["computing_site"]})
    if queue is None:
        return f"there is no queue {job['computing_site']}"
    if not queue["storage_endpoint"]:
        return f"queue {queue['queue_name']} has no storage endpoint, so input cannot get there"
    parameters = {"panda_id": job["panda_id"], "endpoint": queue["storage_endpoint"], "named": _NAMED_FILES}
    missing = transaction.fetch(_MISSING_INPUT, parameters)
    if not missing:
        return ""
    count = missing[0]["count"]
    names = ", ".join(row["lfn"] for row in missing) + (", ..." if count > len(missing) else "")
    files = "1 input file is" if count == 1 else f"{count} input files are"
    return f"{files} not at {queue['storage_endpoint']}: {names}"


def _for_a_pilot(transaction: Transaction, job: Row, as_of: datetime) -> str:
    name = job["computing_site"]
    queue = transaction.fetch_one(_QUEUE, {"queue": name})
    if queue is None:
        return f"there is no queue {name}"
    if queue["status"] not in QUEUES_WITH_DISPATCH:
        return f"queue {name} is {queue['status']}" + (f" ({queue['comment']})" if queue["comment"] else "")
    if queue["status"] == "test" and job["prod_source_label"] not in LABEL_FAMILIES["test"]:
        return f"queue {name} is in test, where production pilots ask for test jobs only"
    since = as_of - timedelta(seconds=_FRESH_S)
    trouble = transaction.fetch_one(_TROUBLE, {"queue": name, "since": since})
    if trouble is not None:
        return f"no pilot takes it: {trouble['title']}"
    key = {"queue": name, "priority": job["current_priority"], "panda_id": job["panda_id"]}
    busy = transaction.fetch_one(_BUSY, {**key, "on_node": [str(status) for status in ON_WORKER_NODE]})
    if busy is not None and (busy["on_node"] or busy["ahead"]):
        return f"the pilots of {name} are busy: {_jobs(busy['on_node'])} with them, {_jobs(busy['ahead'])} ahead of it"
    asked = queue["last_request_time"]
    if asked is None:
        return f"no pilot of {name} has ever asked for a job"
    if asked < job["state_change_time"]:
        return f"no pilot of {name} has asked for a job since it is ready"
    if queue["last_job_time"] is not None and queue["last_job_time"] >= asked:
        return f"the last pilot of {name} that asked got another job, and none has asked since"
    return f"the pilots of {name} that ask do not fit it: it needs {_needs(job)}"


def _jobs(count: int) -> str:
    return "1 job is" if count == 1 else f"{count:,} jobs are"


def _needs(job: Row) -> str:
    stated = (
        (job["core_count"], f"{job['core_count']} {'core' if job['core_count'] == 1 else 'cores'}"),
        (job["min_ram_mb"], f"{job['min_ram_mb']} MB of memory"),
        (job["max_disk_mb"], f"{job['max_disk_mb']} MB of disk"),
        (job["max_walltime_s"], f"{job['max_walltime_s']} s of walltime"),
    )
    needs = [text for value, text in stated if value]
    return ", ".join([*needs, f"a pilot for label {job['prod_source_label']}"])
