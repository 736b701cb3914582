"""`job`: submit without a task, look up, kill, command."""

from __future__ import annotations

from typing import Any

import orjson

from api.bodies import parse_json
from api.identity.access import Access
from api.identity.working_groups import (
    check_country_group,
    check_working_group,
    has_group_production_role,
    production_groups,
)
from api.panda.job_attributes import job_dictionary
from api.panda.job_record import job_from_record, record_of
from api.panda.kernel import Auth, Bare, Call, Refusal, Result, Success, endpoint
from api.panda.offline_script import offline_script
from core.direct_submission import submit_jobs
from core.errors import InvalidInput
from core.taskbuffer.commanding import reassign_jobs
from core.taskbuffer.commanding import set_command as store_command
from core.taskbuffer.commanding import set_debug_mode as store_debug_mode
from core.taskbuffer.killing import Killer, kill_jobs
from core.taskbuffer.lookup import MAX_LOOKUP, job_statuses, jobs_with_files, metadata_of_task
from core.taskbuffer.submission import MAX_JOBS_PER_REQUEST
from core.taskengine.dialects.panda import HIGHEST_USER_PRIORITY


@endpoint("POST")
def submit(call: Call, jobs: str | list[Any]) -> Result:
    """Create jobs directly; `jobs` is a JSON text (or list) of job dictionaries or positional lists with their files."""
    records = _records(jobs)
    parsed = [job_from_record(record, f"jobs.{position}.") for position, record in enumerate(records)]
    if not call.caller.may(Access.PRODUCTION):
        for name in ("prodSourceLabel", "job_label"):
            if any(record.get(name) == "managed" for record in records):
                return Refusal(f"production role required to submit with {name}=managed")
    for position, job in enumerate(parsed):
        check_working_group(call.caller, job.working_group, f"jobs.{position}.workingGroup")
        check_country_group(call.caller, job.country_group, f"jobs.{position}.countryGroup")
        job.prod_user_name = call.caller.user_name
        job.vo = job.vo or call.caller.vo
    groups = {job.working_group for job in parsed if has_group_production_role(call.caller, job.working_group)}
    # as in tasks: more is the server's to give
    highest = None if call.is_production else HIGHEST_USER_PRIORITY
    panda_ids = submit_jobs(call.services.database, parsed, production_groups=groups, highest_priority=highest)
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


@endpoint("GET", "POST")
def get_description_incl_archive(call: Call, job_ids: list[int]) -> Result:
    """The same as get_description, which looks in the archive too."""
    return get_description(call, job_ids)


@endpoint("POST")
def kill(
    call: Call,
    job_ids: list[int],
    code: int | None = None,
    use_email_as_id: bool = False,
    kill_options: list[str] | None = None,
) -> Result:
    """Ask for the end of jobs with a kill code; one true or false per job.

    Who calls is known by the token, so `use_email_as_id` changes nothing; `kill_options` concern merging, which jobs here
    do not do.
    """
    if len(job_ids) > MAX_LOOKUP:
        return _too_many()
    return Success(kill_jobs(call.services.database, job_ids, _killer(call), code))


@endpoint("POST")
def reassign(call: Call, job_ids: list[int]) -> Result:
    """Set up anew those of the caller's jobs that no pilot has; always succeeds."""
    if len(job_ids) > MAX_LOOKUP:
        return _too_many()
    reassign_jobs(call.services.database, job_ids, _killer(call))
    return Success()


@endpoint("POST", auth=Auth.PRODUCTION)
def set_command(call: Call, job_id: int, command: str) -> Result:
    """Leave a command for the pilot of a live job."""
    store_command(call.services.database, job_id, command)
    return Success(message=f"command={command} was registered for job {job_id}")


@endpoint("POST", auth=Auth.PRODUCTION)
def set_debug_mode(call: Call, job_id: int, mode: bool) -> Result:
    """Turn debug mode of a live job on or off; `pbook debug` prints the data."""
    store_debug_mode(call.services.database, job_id, mode)
    return Success("Succeeded", message=f"debug mode of job {job_id} is {'on' if mode else 'off'}")


@endpoint("GET")
def get_metadata_for_analysis_jobs(call: Call, task_id: int) -> Result:
    """{PandaID: what the payload reported of itself} for the finished user jobs of a task."""
    found = metadata_of_task(call.services.database, task_id)
    metadata = {str(panda_id): _document(text) for panda_id, text in found.items()}
    return Success(metadata, message="" if metadata else "No metadata found")


@endpoint("GET", auth=Auth.OPEN)
def generate_offline_execution_script(call: Call, job_id: int, days: int | None = None) -> Bare:
    """A shell script that runs a job again by hand; `days` is not needed, the archive is looked through whole."""
    job = jobs_with_files(call.services.database, [job_id]).get(job_id)
    if job is None:
        return Bare(f"ERROR: there is no job {job_id}")
    return Bare(offline_script(job, call.base_url))


def _killer(call: Call) -> Killer:
    return Killer(call.caller.user_name, call.is_production, production_groups(call.caller))


def _document(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def _too_many() -> Refusal:
    return Refusal(f"job_ids: more than {MAX_LOOKUP} at once (ask in several requests)")


def _records(jobs: str | list[Any]) -> list[dict[str, Any]]:
    records = parse_json(jobs.encode(), field="jobs") if isinstance(jobs, str) else jobs
    if not isinstance(records, list):
        raise InvalidInput("not a list", field="jobs", remedy="send a JSON list of job dictionaries")
    if not 1 <= len(records) <= MAX_JOBS_PER_REQUEST:
        raise InvalidInput(
            f"{len(records)} jobs", field="jobs", remedy=f"between 1 and {MAX_JOBS_PER_REQUEST} in a request"
        )
    return [job_dictionary(record, f"jobs.{number}") for number, record in enumerate(records)]
