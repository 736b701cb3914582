"""The rule for failed jobs: failures with one primary error, one message and one failing step are one trouble."""

from __future__ import annotations

from core.error_codes import error_description, error_name
from core.models.errors import JobError, primary_error
from logger.events import CoveredJob, Event, short_title
from logger.fingerprint import fingerprint
from logger.rules.base import FailedJob, JobRule

PAYLOAD_CODES = frozenset({1203, 1206, 1212, 1220, 1223, 1305, 1310, 1315, 1328, 1349, 1351, 1355})
"""Pilot codes that say the payload itself failed, so that its own words name the cause (domain.md 7.8)."""

KILLED_ON_REQUEST = frozenset({("pilot", 1144), ("pilot", 1205), ("task_buffer", 100)})
"""Somebody wanted these jobs to end: no trouble."""


def is_of_payload(error: JobError | None) -> bool:
    """Whether the payload's own logs tell the cause better than the pilot's."""
    return error is not None and (
        error.component in {"exe", "trans"} or (error.component == "pilot" and abs(error.code) in PAYLOAD_CODES)
    )


class FailureBurst(JobRule):
    """Every failed job, except those killed on request."""

    name = "failure_burst"
    kind = "failure_burst"
    sentence = "A job failed, and nobody had asked for its end."

    def event(self, job: FailedJob) -> Event | None:
        """The failure under its primary error (monitor.md 6.1: the others are shown, never counted)."""
        row = job.row
        error = primary_error(row) or JobError("job", 0, "", "It failed and no component gave an error code")
        if (error.component, abs(error.code)) in KILLED_ON_REQUEST:
            return None
        said = _said_by_payload(job, error)
        made = fingerprint(
            error.component,
            abs(error.code),
            said or error.diag,
            _step(job, error),
            code_name=error_name(error.component, abs(error.code)),
        )
        return Event(
            rule=self.name,
            kind=self.kind,
            fingerprint=made.key,
            grouping=made.grouping,
            title=_title(error, said),
            time=job.time,
            severity="warning",
            component=error.component,
            code=abs(error.code),
            computing_site=row["computing_site"],
            jedi_task_id=row["jedi_task_id"],
            user_name=row["prod_user_name"],
            host=row["modification_host"],
            culprit_line=job.culprit.text if job.culprit else short_title(error.diag),
            job=CoveredJob(
                row["panda_id"],
                lost_core_s=_lost_core_s(job),
                culprit_log=job.culprit_log,
                culprit_line_number=job.culprit.line_number if job.culprit else 0,
            ),
        )


def _said_by_payload(job: FailedJob, error: JobError) -> str:
    """The payload's own complaint, which tells its failures apart. The pilot's log only repeats its diagnosis."""
    is_own = is_of_payload(error) and job.culprit_log.startswith("payload.")
    return job.culprit.text if is_own and job.culprit is not None and not job.culprit.is_guess else ""


def _step(job: FailedJob, error: JobError) -> str:
    """Where it failed, as far as the code does not say it already."""
    if is_of_payload(error):
        name = str(job.row["transformation"]).rsplit("/", 1)[-1]
        return f"payload {(job.culprit.where if job.culprit else '') or name}".strip()
    return "" if error.component in {"pilot", "ddm"} else f"while {job.previous_status}"


def _title(error: JobError, said: str) -> str:
    known = error_description(error.component, abs(error.code)) if error.code else ""
    words = said or error.diag
    return short_title(words if known.lower() in words.lower() else f"{known}: {words}")


def _lost_core_s(job: FailedJob) -> int:
    """Cores times wall-clock time: the work that is lost, in core-seconds."""
    start, end = job.row["start_time"], job.row["end_time"] or job.time
    return max(1, job.row["core_count"]) * max(0, int((end - start).total_seconds())) if start else 0
