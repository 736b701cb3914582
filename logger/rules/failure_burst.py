"""The rule for failed jobs: failures with one primary error, one message and one failing step are one trouble."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

from core.error_codes import error_description, error_name
from core.models.errors import JobError, primary_error
from logger.culprit import Context
from logger.events import CoveredJob, Event, Kind, Severity, short_title
from logger.fingerprints import NameKind, TroubleFacts, fingerprint, older_keys
from logger.nodes import node_value
from logger.rules.base import FailedJob, JobRule
from logger.rules.job_parameters import JobTrouble
from logger.steps import phase_of, step_and_class
from logger.whose import whose

PAYLOAD_CODES = frozenset({1203, 1206, 1212, 1220, 1223, 1305, 1310, 1315, 1328, 1349, 1351, 1355})
"""Pilot codes that say the payload itself failed, so that its own words name the cause (domain.md 7.8)."""

_KILLED_BY_THE_PILOT = frozenset({1104, 1106, 1144, 1150, 1213, 1235, *range(1200, 1209)})
"""The payload's exit code is then the pilot's doing."""

KILLED_ON_REQUEST = frozenset({("pilot", 1144), ("pilot", 1205), ("task_buffer", 100)})
"""Somebody wanted these jobs to end: no trouble."""

_HAD_VERDICT = frozenset({"holding", "transferring", "merging"})
"""A job that failed from these had its pilot's verdict."""

_NO_ERROR = JobError("job", 0, "", "It failed and no component gave an error code")


@dataclass(frozen=True)
class FailingFile:
    """The file that a failure of staging was about, or the first that it can have been about."""

    lfn: str = ""
    dataset: str = ""
    endpoint: str = ""
    is_input: bool = False


@dataclass(frozen=True)
class ExaminedJob(FailedJob):
    """A failed job with what is known around it. `is_residue`: its work is lost, no other attempt is made by itself."""

    is_residue: bool = True
    file: FailingFile | None = None
    context: Context | None = None

    @cached_property
    def error(self) -> JobError:
        """The error that counts."""
        return error_of(self.row, self.previous_status)


def error_of(row: Mapping[str, Any], previous_status: str) -> JobError:
    """The primary error of a job that failed from this state (core/models/errors.py)."""
    return primary_error(row, previous_status in _HAD_VERDICT) or _NO_ERROR


def was_killed_on_request(error: JobError) -> bool:
    """Whether somebody wanted the job to end."""
    return (error.component, abs(error.code)) in KILLED_ON_REQUEST


def is_of_payload(error: JobError | None, trans_exit_code: int | None = None) -> bool:
    """Whether the payload's own logs tell the cause better than the pilot's: its exit code counts, unless the pilot
    killed it itself."""
    if error is None:
        return False
    if error.component in {"exe", "trans"}:
        return True
    if error.component != "pilot":
        return False
    code = abs(error.code)
    return code in PAYLOAD_CODES or (bool(trans_exit_code) and code not in _KILLED_BY_THE_PILOT)


def where_and_what(job: FailedJob, error: JobError) -> tuple[str, str]:
    """The failing step and the class of the trouble, by its code, the job's phase and its culprit."""
    exit_code = job.row.get("trans_exit_code") if is_of_payload(error, job.row.get("trans_exit_code")) else 0
    phase = phase_of(job.previous_status, str(job.row.get("pilot_timing") or ""), exit_code or 0)
    culprit = job.culprit if job.culprit is not None and not job.culprit.is_guess else None
    return step_and_class(error.component, abs(error.code), phase, culprit)


class FailureBurst(JobRule):
    """Every failed job, except those killed on request."""

    name = "failure_burst"
    kind: Kind = "failure_burst"
    sentence = "A job failed, and nobody had asked for its end."

    def event(self, job: FailedJob) -> Event | None:
        """The failure under its primary error (monitor.md 6.1: the others are shown, never counted)."""
        known = job if isinstance(job, ExaminedJob) else ExaminedJob(**vars(job))
        row, error = job.row, known.error
        if was_killed_on_request(error):
            return None
        said = _said_by_payload(job, error)
        step, error_class = where_and_what(job, error)
        facts = _facts(known, error, said or error.diag)
        made = fingerprint(facts)
        return Event(
            rule=self.name,
            kind=self.kind,
            fingerprint=made.key,
            older_keys=partial(older_keys, facts),
            grouping=made.grouping,
            words=made.words,
            algorithm=made.algorithm,
            title=_title(error, said),
            time=job.time,
            severity="warning",
            component=error.component,
            code=abs(error.code),
            computing_site=row["computing_site"],
            jedi_task_id=row["jedi_task_id"],
            user_name=whose(row),
            host=node_value(row["computing_site"], row["modification_host"]),
            culprit_line=job.culprit.text if job.culprit else short_title(error.diag),
            step=step,
            error_class=error_class,
            opens=False,
            job=covered(known),
        )


@dataclass(frozen=True)
class RuleOfJobs:
    """What a row of rules adds to an event of a failed job."""

    name: str
    kind: Kind
    severity_floor: Severity
    version: int


def under(event: Event, rule: RuleOfJobs) -> Event:
    """The event under the rule that speaks of it."""
    return replace(event, rule=rule.name, kind=rule.kind, severity=rule.severity_floor, rule_version=rule.version)


def trouble_of(event: Event, label: str) -> JobTrouble:
    """What rules are limited to, of an event. `label`: the job's prodSourceLabel."""
    return JobTrouble(event.error_class, event.computing_site, event.user_name, label, event.component, event.code)


def covered(job: ExaminedJob) -> CoveredJob:
    """What is kept of the job itself."""
    file, context, culprit = job.file or FailingFile(), job.context, job.culprit
    return CoveredJob(
        job.row["panda_id"],
        lost_core_s=_lost_core_s(job),
        culprit_log=job.culprit_log,
        culprit_line_number=culprit.line_number if culprit else 0,
        attempt_nr=job.row.get("attempt_nr") or 1,
        is_residue=job.is_residue,
        endpoint=file.endpoint,
        dataset=file.dataset,
        pattern=culprit.pattern if culprit else "",
        context=context.lines if context else "",
        context_first_line=context.first_line_number if context else 1,
    )


def _said_by_payload(job: FailedJob, error: JobError) -> str:
    """The payload's own complaint, which tells its failures apart. The pilot's log only repeats its diagnosis."""
    is_own = is_of_payload(error, job.row.get("trans_exit_code")) and job.culprit_log.startswith("payload.")
    return job.culprit.text if is_own and job.culprit is not None and not job.culprit.is_guess else ""


def _facts(job: ExaminedJob, error: JobError, message: str) -> TroubleFacts:
    code = abs(error.code)
    return TroubleFacts(
        component=error.component,
        code=code,
        message=message,
        step=_step(job, error, is_of_payload(error, job.row.get("trans_exit_code"))),
        names=tuple(_own_names(job)),
        code_name=error_name(error.component, code),
        # as the code alone told it in version 1
        legacy_step=_step(job, error, is_of_payload(error)),
    )


def _own_names(job: ExaminedJob) -> Iterable[tuple[NameKind, str]]:
    """What is called differently in each job and so never divides a trouble."""
    row, file = job.row, job.file or FailingFile()
    names: tuple[tuple[NameKind, Any], ...] = (
        ("queue", row["computing_site"]),
        ("node", row["modification_host"]),
        ("user", row["prod_user_name"]),
        ("task", row.get("job_name")),
        ("dataset", row.get("destination_dataset")),
        ("dataset", file.dataset),
        ("file", file.lfn),
        ("endpoint", file.endpoint),
        ("id", row["panda_id"]),
        ("id", row["jedi_task_id"]),
        ("id", row.get("batch_id")),
    )
    return ((kind, str(name)) for kind, name in names if name)


def _step(job: FailedJob, error: JobError, is_payload: bool) -> str:
    """Where it failed, as far as the code does not say it already."""
    if is_payload:
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
