"""The final report of a job: what is in it, and sending it until the server has it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pandascope.errors import ClientError, Refused
from pilot.description import JobDescription
from pilot.directory import JobDirectory
from pilot.errors import TRANSFORM_DOWNLOAD_FAILED, JobFailure
from pilot.line import CALL_TIMEOUT_S
from pilot.logs import JobLog, tail
from pilot.meter import Meter
from pilot.options import PilotOptions
from pilot.orders import Orders
from pilot.payload import PayloadEnd
from pilot.server import Server
from pilot.staging import StoredFile

TIMINGS = ("getjob", "stagein", "payload", "stageout", "initial_setup", "setup")
"""The order of pilot_timing on the wire (pilot-wire.md 2.2)."""

LAST_WORD_S = 6.0
"""How long a pilot that was told to end tries to deliver its report."""

NO_TRANSFORMATION = 200
"""The exit code of a payload that never began for want of its program."""
MAX_JOB_REPORT_BYTES = 1_000_000

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 60.0
_MAX_METRICS_CHARACTERS = 500


@dataclass
class Account:
    """What has happened to a job so far; filled in as it goes on."""

    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    timings_s: dict[str, float] = field(default_factory=dict)
    end: PayloadEnd | None = None
    stored: list[StoredFile] = field(default_factory=list)
    failure: JobFailure | None = None
    reached_server: bool = True
    """False when the final report could not be delivered."""

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the time of the block to a stage of TIMINGS."""
        begin = time.monotonic()
        try:
            yield
        finally:
            self.timings_s[stage] = self.timings_s.get(stage, 0.0) + time.monotonic() - begin

    @property
    def status(self) -> str:
        """How the job ended, as the server is told."""
        return "failed" if self.failure else "finished"


def figures(meter: Meter, work_dir_size_mb: int) -> dict[str, Any]:
    """What every report says about the payload's consumption (CPU in s, memory in kB)."""
    now = meter.last
    return {
        "cpu_consumption_time": int(now.cpu_time_s),
        "max_rss": now.max_rss_kb,
        "max_pss": now.max_pss_kb,
        "work_dir_size_mb": work_dir_size_mb,
    }


def final_fields(account: Account, job: JobDescription, directory: JobDirectory | None) -> dict[str, Any]:
    """The fields of a final report beyond those of a heartbeat (server-api.md 1.15)."""
    failure, ended = account.failure, datetime.now(UTC)
    fields = {
        "job_output_report": json.dumps({stored.lfn: stored.on_wire() for stored in account.stored}),
        "pilot_error_code": failure.error.code if failure else 0,
        "pilot_error_diag": failure.diagnosis if failure else "",
        "trans_exit_code": _trans_exit_code(account),
        "start_time": _panda_time(account.started),
        "end_time": _panda_time(ended),
        "pilot_timing": "|".join(str(round(account.timings_s.get(stage, 0.0))) for stage in TIMINGS),
        "job_metrics": _metrics(account, job),
        "n_input_files": len(job.inputs),
    }
    if directory is not None:
        fields |= {
            "payload_stdout": tail(directory.stdout),
            "payload_stderr": tail(directory.stderr),
            "pilot_log": tail(directory.pilot_log),
            **_job_report(directory),
        }
    return fields


def deliver(
    server: Server,
    job: JobDescription,
    status: str,
    fields: dict[str, Any],
    options: PilotOptions,
    orders: Orders,
    log: JobLog,
) -> bool:
    """Send the final report until the server has answered it; False when the time for that is over.

    A refusal is an answer: the server knows better than this pilot what has become of the job, and says why.
    """
    begin, pause_s = time.monotonic(), _FIRST_PAUSE_S
    while True:
        try:
            command = server.update(job, status, fields, LAST_WORD_S if orders.pilot_must_end else CALL_TIMEOUT_S)
        except Refused as refusal:
            log.error("the server refused the final report of job %d: %s", job.panda_id, refusal)
            return True
        except ClientError as error:
            waited_s = time.monotonic() - begin
            if waited_s + pause_s > (LAST_WORD_S if orders.pilot_must_end else options.report_limit_s):
                log.error("the final report of job %d was not delivered in %.0f s: %s", job.panda_id, waited_s, error)
                return False
            log.warning("the final report was not delivered, trying again in %.1f s: %s", pause_s, error)
        else:
            log.info("the server has the final report%s", f" and says {command}" if command else "")
            return True
        if orders.pilot_must_end:
            time.sleep(pause_s)
        else:
            orders.sleep(pause_s)
        pause_s = min(_LONGEST_PAUSE_S, 2 * pause_s)


def _trans_exit_code(account: Account) -> int:
    """How the payload ended; for a program that could not be had what the real pilot says (pilot-wire.md 7)."""
    if account.end:
        return account.end.trans_exit_code
    is_download = account.failure is not None and account.failure.error == TRANSFORM_DOWNLOAD_FAILED
    return NO_TRANSFORMATION if is_download else 0


def _job_report(directory: JobDirectory) -> dict[str, str]:
    """What the payload itself says of its work, for the job's metadata (pilot-wire.md 6), if it is no nonsense."""
    path = directory.work / "jobReport.json"
    if not path.is_file() or path.stat().st_size > MAX_JOB_REPORT_BYTES:
        return {}
    try:
        json.loads(text := path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return {"meta_data": text}


def _metrics(account: Account, job: JobDescription) -> str:
    """Space-separated name=value pairs (jobMetrics)."""
    stored_bytes = sum(stored.size_bytes for stored in account.stored)
    values: dict[str, int | float] = {
        "nInputFiles": len(job.inputs),
        "inputBytes": sum(file.size_bytes or 0 for file in job.inputs),
        "nStoredFiles": len(account.stored),
        "storedBytes": stored_bytes,
        **{f"{stage}_s": round(seconds, 3) for stage, seconds in account.timings_s.items()},
    }
    return " ".join(f"{name}={value}" for name, value in values.items())[:_MAX_METRICS_CHARACTERS]


def _panda_time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S")
