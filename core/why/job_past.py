"""Statements about what lies behind a job: how it ended, and the attempts that failed before it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from core.database import Row
from core.models.errors import primary_error
from core.retrial.classifying import classifier
from core.retrial.facts import failures_of
from core.states import FINAL_JOB_STATUSES, JobStatus
from core.why.job_case import JobCase
from core.why.reason import Reason, Responsible
from core.wording import counted, duration_words, moment

_USERS_OWN = frozenset({"exe", "trans"})
"""Errors of these components are the payload's."""


_ENDED = {
    JobStatus.FINISHED: "finished",
    JobStatus.FAILED: "failed",
    JobStatus.CANCELLED: "was cancelled",
    JobStatus.CLOSED: "was closed",
}


class HasEnded:
    """Nothing is waited for any more."""

    id = "ended"
    sentence = "it has ended"

    def reason(self, case: JobCase) -> Reason | None:
        """How it ended, and whether its input is tried again."""
        if case.status not in FINAL_JOB_STATUSES:
            return None
        job, error = case.job, primary_error(case.job)
        said = str(case.last_step["reason"]).rstrip(".") if case.last_step else ""
        if case.status == JobStatus.FAILED and error is not None:
            line = (error.diag.strip().splitlines() or [error.name])[0]
            said = f"{line[:200].rstrip('.')} ({error.component} {error.code})"
        ran = ""
        if job["start_time"] is not None and job["end_time"] is not None:
            ran = f" after running for {duration_words((job['end_time'] - job['start_time']).total_seconds())}"
        clause = f"it {_ENDED[JobStatus(case.status)]}" + (
            f": {said}" if said and case.status != JobStatus.FINISHED else ""
        )
        at = moment(job["state_change_time"], case.as_of)
        deeds = case.deeds([case.panda_id])
        return Reason(
            self.id,
            _fault_of(case, error.component if error else ""),
            clause=clause,
            sentence=f"{clause[:1].upper()}{clause[1:]}{ran}, at {at}.",
            next_step=_what_follows(case, deeds),
            advice=self._advice(case),
            numbers={
                "error": f"{error.component}:{error.code}" if error else "",
                "ended": job["state_change_time"],
                "rules": [deed["action"] for deed in deeds],
            },
        )

    def _advice(self, case: JobCase) -> tuple[str, ...]:
        if case.status == JobStatus.FAILED:
            return (f"read its log at the failing line: panda logs {case.panda_id}",)
        return ()


def _fault_of(case: JobCase, component: str) -> Responsible:
    """Who can do something about it: what the classes of errors say, else by the component that reported the error."""
    if case.status in (JobStatus.FINISHED, JobStatus.CLOSED):
        return Responsible.SYSTEM
    if case.status == JobStatus.CANCELLED or component in _USERS_OWN:
        return Responsible.USER
    failures = failures_of(case.job)
    if classifier(case.transaction, failures)(failures) == "user":
        return Responsible.USER
    return Responsible.DATA if component == "ddm" else Responsible.SITE


def _what_follows(case: JobCase, deeds: Sequence[Row]) -> str:
    if case.status == JobStatus.FINISHED:
        return "nothing: it is done"
    rule = "; ".join(_deed_words(deed) for deed in deeds[:2])
    tail = f" ({rule})" if rule else ""
    left = case.attempts
    if case.task is None:
        return f"nothing: jobs without a task are not tried again{tail}"
    if left is None:
        jobs = case.following_jobs
        went = f"its input went into {'job' if len(jobs) == 1 else 'jobs'} {', '.join(map(str, jobs))}"
        return f"{went if jobs else 'nothing: its task needs its input no more'}{tail}"
    tries = int(left["max_attempt"]) - int(left["attempt_nr"])
    failures = int(left["max_failure"]) - int(left["failed_attempt"])
    if tries <= 0 or failures <= 0:
        return (
            f"nothing: its input has had {left['attempt_nr']} of {left['max_attempt']} attempts, "
            f"{left['failed_attempt']} of {left['max_failure']} allowed failures{tail}"
        )
    return f"its input goes into another job: {counted(tries, 'attempt')} left, {counted(failures, 'failure')} allowed{tail}"


class FailedBefore:
    """Its input has been tried already."""

    id = "failed_attempts"
    sentence = "earlier attempts with the same input failed"

    def reason(self, case: JobCase) -> Reason | None:
        """The attempts before it, their most common error, what is left, and the rule that was applied last."""
        earlier = [row for row in case.earlier_jobs if row["job_status"] == JobStatus.FAILED]
        if not earlier:
            return None
        errors = Counter(_error_words(row) for row in earlier)
        common, times = errors.most_common(1)[0]
        deeds = case.deeds([row["panda_id"] for row in earlier])
        rule = f"; rule applied: {_deed_words(deeds[0])}" if deeds else ""
        left = case.attempts
        limits = (
            f" It is attempt {left['attempt_nr']} of {left['max_attempt']}; {left['failed_attempt']} of "
            f"{left['max_failure']} allowed failures are used."
            if left
            else ""
        )
        return Reason(
            self.id,
            Responsible.USER if common.startswith(("exe", "trans")) else Responsible.SITE,
            clause=f"{counted(len(earlier), 'earlier attempt')} failed, mostly with {common}",
            sentence=f"{counted(len(earlier), 'earlier attempt')} with the same input failed, {times} of them with "
            f"{common}.{limits}",
            next_step=f"if it fails too, its input is tried again while attempts last{rule}",
            advice=(f"read the log of the last one: panda logs {earlier[0]['panda_id']}",),
            numbers={
                **{"failed": len(earlier), "error": common, "error_count": times},
                **({name: left[name] for name in left} if left else {}),
                **{"rules": [deed["action"] for deed in deeds]},
            },
        )


def _error_words(row: Row) -> str:
    error = primary_error(row)
    return f"{error.component}:{error.code} {error.name}".strip() if error else "no reported error"


def _deed_words(deed: Row) -> str:
    done = deed["effect"] or deed["action"]
    return f"{deed['action']}: {done}" if deed["is_active"] else f"{deed['action']} (passive): {done}"
