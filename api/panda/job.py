"""`job`: submit without a task, look up, kill."""

from __future__ import annotations

from typing import Any

from api.bodies import parse_json
from api.identity.access import Access
from api.panda.job_record import job_from_record, record_of
from api.panda.kernel import Call, Refusal, Result, Success, endpoint
from core.direct_submission import submit_jobs
from core.errors import InvalidInput
from core.taskbuffer.killing import Killer, kill_jobs
from core.taskbuffer.lookup import MAX_LOOKUP, job_statuses, jobs_with_files
from core.taskbuffer.submission import MAX_JOBS_PER_REQUEST


@endpoint("POST")
def submit(call: Call, jobs: str | list[Any]) -> Result:
    """Create jobs directly; `jobs` is a JSON text (or list) of job dictionaries, each with a Files list."""
    records = _records(jobs)
    parsed = [job_from_record(record, f"jobs.{position}.") for position, record in enumerate(records)]
    if any(job.prod_source_label == "managed" for job in parsed) and not call.caller.may(Access.PRODUCTION):
        return Refusal("production role required to submit with prodSourceLabel=managed")
    for job in parsed:
        job.prod_user_name = call.caller.user_name
        job.vo = job.vo or call.caller.vo
    panda_ids = submit_jobs(call.services.database, parsed)
    return Success([(panda_id, panda_id, {"jobsetID": panda_id}) for panda_id in panda_ids])


@endpoint("GET")
def get_status(call: Call, job_ids: list[int], timeout: int = 60) -> Result:
    """Status and pending pilot command per job, in the order asked."""
    if len(job_ids) > MAX_LOOKUP:
        return _too_many()
    found = job_statuses(call.services.database, job_ids)
    unknown = {"job_status": "unknown", "command_to_pilot": "tobekilled"}
    rows = [found.get(panda_id, unknown) for panda_id in job_ids]
    return Success([{"status": row["job_status"], "command": row["command_to_pilot"] or None} for row in rows])


@endpoint("GET", "POST")
def get_description(call: Call, job_ids: list[int]) -> Result:
    """Full job records with files and parameters, null for unknown ones, in the order asked."""
    if len(job_ids) > MAX_LOOKUP:
        return _too_many()
    found = jobs_with_files(call.services.database, job_ids)
    return Success([record_of(found[panda_id]) if panda_id in found else None for panda_id in job_ids])


@endpoint("POST")
def kill(
    call: Call,
    job_ids: list[int],
    code: int | None = None,
    use_email_as_id: bool = False,
    kill_options: list[str] | None = None,
) -> Result:
    """Ask for the end of jobs with a kill code; one true or false per job."""
    if len(job_ids) > MAX_LOOKUP:
        return _too_many()
    is_manager = call.caller.may(Access.PRODUCTION) or call.caller.may(Access.OPERATOR)
    return Success(kill_jobs(call.services.database, job_ids, Killer(call.caller.user_name, is_manager), code))


def _too_many() -> Refusal:
    return Refusal(f"job_ids: more than {MAX_LOOKUP} at once (ask in several requests)")


def _records(jobs: str | list[Any]) -> list[dict[str, Any]]:
    records = parse_json(jobs.encode(), field="jobs") if isinstance(jobs, str) else jobs
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise InvalidInput("not a list of objects", field="jobs", remedy="send a JSON list of job dictionaries")
    if not 1 <= len(records) <= MAX_JOBS_PER_REQUEST:
        raise InvalidInput(
            f"{len(records)} jobs", field="jobs", remedy=f"between 1 and {MAX_JOBS_PER_REQUEST} in a request"
        )
    return records
