"""What pilots report, in PanDA's names and units: one job at a time, or many for a Harvester. Knows no rule of a job's life.

A report is never lost over a figure: numbers that make no sense count as not said, unknown fields are ignored
(pilot-wire.md 2.2).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from api.bodies import parse_json
from api.panda.kernel import Auth, Call, Endpoint, Refusal, Result, Success, bind, endpoint
from core.dispatch.update import DEBUG_LOG, JobReport
from core.errors import InvalidInput, PandaError, Unavailable

Figure = float | str | None
"""A measurement as it may come: a number, or a text that should be one."""

IO_FIGURES = (
    "tot_rchar",
    "tot_wchar",
    "tot_rbytes",
    "tot_wbytes",
    "rate_rchar",
    "rate_wchar",
    "rate_rbytes",
    "rate_wbytes",
)
"""Sent in bytes, kept in kB and capped (server-api.md 1.15)."""
_MEMORY_FIGURES = ("max_vmem", "max_swap", "avg_rss", "avg_vmem", "avg_swap", "avg_pss")
_OTHER_FIGURES = ("n_input_files", "core_count", "mean_core_count", "cpu_conversion_factor")
_TEXTS: dict[str, int] = {
    "scheduler_id": 128,
    "site_name": 100,
    "grid": 50,
    "source_site": 36,
    "destination_site": 36,
    "cpu_architecture_level": 20,
    "corrupted_files": 4000,
}
"""Texts kept among the metrics, each with its longest form."""
_AS_THEY_ARE = (
    "job_status",
    "attempt_nr",
    "node",
    "pilot_id",
    "batch_id",
    "worker_id",
    "trans_exit_code",
    "pilot_error_code",
    "pilot_error_diag",
    "exe_error_code",
    "exe_error_diag",
    "cpu_consumption_unit",
    "job_metrics",
    "pilot_timing",
)
"""Parameters that core knows by the same name and in the same form."""
_LARGEST_IO_KB = 10**10 - 1
_BULK_MOST = 5000
_INVALID = 50
"""The protocol's word for a value that will not do, inside data (server-api.md 1.15)."""


@endpoint("POST", auth=Auth.PRODUCTION, takes_binary=True)
def update_job(
    call: Call,
    job_id: int,
    job_status: str,
    job_output_report: str | dict[str, Any] | None = None,
    node: str | None = None,
    cpu_consumption_time: Figure = None,
    cpu_consumption_unit: str | None = None,
    scheduler_id: str | None = None,
    pilot_id: str | None = None,
    site_name: str | None = None,
    pilot_log: str | None = None,
    meta_data: str | dict[str, Any] | list[Any] | None = None,
    cpu_conversion_factor: Figure = None,
    trans_exit_code: int | None = None,
    pilot_error_code: int | None = None,
    pilot_error_diag: str | None = None,
    exe_error_code: int | None = None,
    exe_error_diag: str | None = None,
    pilot_timing: str | None = None,
    start_time: str | None = None,
    end_time: str | None = None,
    n_events: Figure = None,
    n_input_files: Figure = None,
    batch_id: str | None = None,
    attempt_nr: int | None = None,
    job_metrics: str | None = None,
    stdout: str | None = None,
    job_sub_status: str | None = None,
    core_count: Figure = None,
    mean_core_count: Figure = None,
    max_rss: Figure = None,
    max_vmem: Figure = None,
    max_swap: Figure = None,
    max_pss: Figure = None,
    avg_rss: Figure = None,
    avg_vmem: Figure = None,
    avg_swap: Figure = None,
    avg_pss: Figure = None,
    tot_rchar: Figure = None,
    tot_wchar: Figure = None,
    tot_rbytes: Figure = None,
    tot_wbytes: Figure = None,
    rate_rchar: Figure = None,
    rate_wchar: Figure = None,
    rate_rbytes: Figure = None,
    rate_wbytes: Figure = None,
    corrupted_files: str | None = None,
    cpu_architecture_level: str | None = None,
    grid: str | None = None,
    source_site: str | None = None,
    destination_site: str | None = None,
    work_dir_size_mb: Figure = None,
    payload_stdout: str | None = None,
    payload_stderr: str | None = None,
    worker_id: str | None = None,
    timeout: int = 60,
) -> Result:
    """Heartbeat or final report of a pilot; the answer carries the command for it.

    The last four before `timeout` are ours. The server sets the times of a job itself: start_time and end_time are taken
    and not believed.
    """
    report = _report_of(locals())
    try:
        command = call.services.pilot_reports.update_job(report)
    except InvalidInput as error:  # a state that pilots do not report
        return Refusal(str(error), {"StatusCode": _INVALID, "command": None})
    if site_name:
        call.services.contacts.note_update(call.services.database, site_name[:100])
    return Success({"StatusCode": 0, "command": command})


UPDATE_JOB: Endpoint = update_job.__panda__  # type: ignore[attr-defined]


@endpoint("POST", auth=Auth.PRODUCTION, takes_binary=True)
def update_jobs_bulk(call: Call, job_list: list[Any], harvester_id: str | None = None) -> Result:
    """Many reports of a Harvester at once, each a dictionary of update_job's parameters; one whole envelope for each."""
    if len(job_list) > _BULK_MOST:
        return Refusal(f"job_list: {len(job_list)} reports (at most {_BULK_MOST} at once)")
    results = [report_one(call, entry) for entry in job_list]
    return Success(
        [{"success": isinstance(result, Success), "message": result.message, "data": result.data} for result in results]
    )


def report_one(call: Call, entry: Any) -> Success | Refusal:
    """One report of a list: what is wrong with it harms it alone. Raises Unavailable, which concerns them all."""
    if not isinstance(entry, dict):
        return Refusal("job_list: not an object (send a dictionary of update_job's parameters)")
    arguments = bind(UPDATE_JOB, entry)
    if isinstance(arguments, Refusal):
        return arguments
    try:
        result = update_job(call, **arguments)
    except Unavailable:
        raise
    except PandaError as error:
        return Refusal(str(error))
    assert isinstance(result, Success | Refusal)
    return result


def _report_of(said: Mapping[str, Any]) -> JobReport:
    """What core is told, in its units, out of the arguments of update_job. Raises InvalidInput for a bad output report."""
    logs = {
        "payload.stderr": said["payload_stderr"],
        "payload.stdout": said["payload_stdout"],
        "pilot.log": said["pilot_log"],
        DEBUG_LOG: said["stdout"],
    }
    return JobReport(
        panda_id=said["job_id"],
        sub_status=said["job_sub_status"],
        cpu_consumption_time_s=_whole(said["cpu_consumption_time"]),
        max_rss_kb=_whole(said["max_rss"]),
        max_pss_kb=_whole(said["max_pss"]),
        work_dir_mb=_whole(said["work_dir_size_mb"]),
        n_events=_whole(said["n_events"]),
        output_report=_output_report(said["job_output_report"]),
        metrics=_metrics(said),
        meta_data=_text(said["meta_data"]),
        logs={name: text for name, text in logs.items() if text},
        **{name: said[name] for name in _AS_THEY_ARE},
    )


def _output_report(given: str | dict[str, Any] | None) -> dict[str, Any]:
    report = (
        parse_json(given.encode(errors="replace"), field="job_output_report", takes_binary=True)
        if isinstance(given, str)
        else given
    )
    if not report:
        return {}
    if not isinstance(report, dict):
        raise InvalidInput(
            "not an object", field="job_output_report", remedy='send {lfn: {"guid", "fsize", "adler32"}}'
        )
    return report


def _metrics(said: Mapping[str, Any]) -> dict[str, int | float | str]:
    """The measurements that have no column of their own, out of the arguments of update_job."""
    metrics: dict[str, int | float | str] = {}
    for name in (*_MEMORY_FIGURES, *_OTHER_FIGURES):
        if (figure := _figure(said[name])) is not None:
            metrics[name] = figure
    for name in IO_FIGURES:
        if (figure := _figure(said[name])) is not None:
            metrics[name] = min(int(figure / 1024), _LARGEST_IO_KB)
    for name, longest in _TEXTS.items():
        if said[name]:
            metrics[name] = str(said[name])[:longest]
    return metrics


def _figure(given: Figure) -> int | float | None:
    """A measurement as a number of reasonable size; nonsense counts as not said, and so does a negative one."""
    if given is None:
        return None
    try:
        value = float(given)
    except (ValueError, OverflowError):
        return None
    if not -1 < value < 2**53:
        return None
    return int(value) if value.is_integer() else value


def _whole(given: Figure) -> int | None:
    figure = _figure(given)
    return None if figure is None else int(figure)


def _text(meta_data: str | dict[str, Any] | list[Any] | None) -> str | None:
    """The payload's report as text, also when it came as a document; an empty one is none."""
    if not meta_data:
        return None
    return meta_data if isinstance(meta_data, str) else orjson.dumps(meta_data).decode()
