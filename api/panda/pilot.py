"""`pilot`: hand out jobs and take reports. PanDA's parameters in, core's offers and reports out."""

from __future__ import annotations

from typing import Any

from api.bodies import parse_json
from api.identity.access import Access
from api.panda.job_dictionary import pilot_dictionary
from api.panda.kernel import Auth, Call, Refusal, Result, Success, endpoint
from core.dispatch.acquire import SlotOffer
from core.dispatch.acquire import acquire_jobs as take_jobs
from core.dispatch.update import JobReport
from core.errors import InvalidInput
from core.taskbuffer.lookup import MAX_LOOKUP, job_statuses

NO_JOBS = "No jobs in PanDA"
_MAX_JOBS = 100


@endpoint("POST")
def acquire_jobs(
    call: Call,
    site_name: str,
    timeout: int = 60,
    memory: int | None = None,
    disk_space: int | None = None,
    prod_source_label: str | None = None,
    node: str | None = None,
    computing_element: str | None = None,
    prod_user_id: str | None = None,
    task_id: int | None = None,
    n_jobs: int = 1,
    resource_type: str | None = None,
    harvester_id: str | None = None,
    worker_id: str | None = None,
    scheduler_id: str | None = None,
    remaining_time: int | None = None,
    cores: int | None = None,
    batch_id: str | None = None,
) -> Result:
    """Hand out activated jobs (activated -> sent), best first."""
    if not 1 <= n_jobs <= _MAX_JOBS:
        return Refusal(f"n_jobs: {n_jobs} is out of range (between 1 and {_MAX_JOBS})")
    is_pilot = call.caller.may(Access.PILOT)
    label = prod_source_label or ""
    if not is_pilot and label != "user":
        return Refusal("production or pilot role required to ask for other jobs than your own (prod_source_label=user)")
    offer = SlotOffer(
        site_name=site_name,
        prod_source_label=label,
        memory_mb=memory,
        disk_mb=disk_space,
        cores=cores,
        remaining_s=remaining_time,
        resource_type=resource_type or "",
        jedi_task_id=task_id,
        user_name="" if is_pilot else call.caller.user_name,
        node=(node or "")[:128],
        worker_id=(worker_id or "")[:80],
        batch_id=(batch_id or "")[:80],
        job_count=n_jobs,
    )
    jobs = take_jobs(call.services.database, offer)
    call.services.contacts.note(call.services.database, site_name, len(jobs))
    if not jobs:
        return Refusal(NO_JOBS)
    return Success({"StatusCode": 0, "jobs": [pilot_dictionary(job) for job in jobs]})


@endpoint("POST", auth=Auth.PRODUCTION, takes_binary=True)
def update_job(
    call: Call,
    job_id: int,
    job_status: str,
    job_output_report: str | dict[str, Any] | None = None,
    node: str | None = None,
    cpu_consumption_time: float | None = None,
    cpu_consumption_unit: str | None = None,
    scheduler_id: str | None = None,
    pilot_id: str | None = None,
    site_name: str | None = None,
    pilot_log: str | None = None,
    meta_data: str | dict[str, Any] | None = None,
    trans_exit_code: int | None = None,
    pilot_error_code: int | None = None,
    pilot_error_diag: str | None = None,
    exe_error_code: int | None = None,
    exe_error_diag: str | None = None,
    pilot_timing: str | None = None,
    start_time: str | None = None,
    end_time: str | None = None,
    n_events: int | None = None,
    n_input_files: int | None = None,
    batch_id: str | None = None,
    attempt_nr: int | None = None,
    job_metrics: str | None = None,
    stdout: str | None = None,
    job_sub_status: str | None = None,
    core_count: int | None = None,
    max_rss: float | None = None,
    max_pss: float | None = None,
    work_dir_size_mb: float | None = None,
    payload_stdout: str | None = None,
    payload_stderr: str | None = None,
    worker_id: str | None = None,
    timeout: int = 60,
) -> Result:
    """Heartbeat or final report of a pilot; the answer carries the command for it."""
    logs = {"payload.stderr": payload_stderr, "payload.stdout": payload_stdout, "pilot.log": pilot_log}
    report = JobReport(
        panda_id=job_id,
        job_status=job_status,
        attempt_nr=attempt_nr,
        node=node,
        pilot_id=pilot_id,
        batch_id=batch_id,
        worker_id=worker_id,
        sub_status=job_sub_status,
        core_count=core_count,
        trans_exit_code=trans_exit_code,
        pilot_error_code=pilot_error_code,
        pilot_error_diag=pilot_error_diag,
        exe_error_code=exe_error_code,
        exe_error_diag=exe_error_diag,
        cpu_consumption_time_s=_whole(cpu_consumption_time),
        cpu_consumption_unit=cpu_consumption_unit,
        max_rss_kb=_whole(max_rss),
        max_pss_kb=_whole(max_pss),
        work_dir_mb=_whole(work_dir_size_mb),
        n_events=n_events,
        job_metrics=job_metrics,
        pilot_timing=pilot_timing,
        output_report=_output_report(job_output_report),
        logs={name: text for name, text in logs.items() if text},
    )
    return Success({"StatusCode": 0, "command": call.services.pilot_reports.update_job(report)})


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


def _output_report(given: str | dict[str, Any] | None) -> dict[str, Any]:
    report = (
        parse_json(given.encode(), field="job_output_report", takes_binary=True) if isinstance(given, str) else given
    )
    if not report:
        return {}
    if not isinstance(report, dict):
        raise InvalidInput(
            "not an object", field="job_output_report", remedy='send {lfn: {"guid", "fsize", "adler32"}}'
        )
    return report


def _whole(value: float | None) -> int | None:
    """A measured figure as a whole number that fits the column; nonsense counts as not said."""
    if value is None or not -1 < value < 2**53:
        return None
    return int(value)
