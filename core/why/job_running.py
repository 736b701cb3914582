"""Statements about jobs that a pilot has, or whose outputs are on their way."""

from __future__ import annotations

from datetime import datetime, timedelta

from core.harvester.states import FINAL_WORKER_STATUSES
from core.states import JobStatus
from core.why.estimate import duration_of_like_jobs
from core.why.job_case import JobCase
from core.why.reason import Reason, Responsible
from core.why.resting import unless_it_rests
from core.wording import duration_words

_REPORTING = (JobStatus.STARTING, JobStatus.STAGEIN, JobStatus.RUNNING, JobStatus.STAGEOUT)
_SILENT, _SOON = 0.25, 0.05
"""The parts of what a pilot may be silent that are worth a word: by itself, and when its worker has ended."""


class IsStarting:
    """A pilot has it and sets it up."""

    id = "starting"
    sentence = "a pilot has it and has not started the payload"

    def reason(self, case: JobCase) -> Reason | None:
        """How long it is so, and until when it may."""
        if case.status not in (JobStatus.SENT, JobStatus.STARTING, JobStatus.STAGEIN):
            return None
        node = f" on {case.job['modification_host']}" if case.job["modification_host"] else ""
        doing = {
            JobStatus.SENT: "was given to a pilot, which has not reported yet",
            JobStatus.STARTING: "is being set up by a pilot",
            JobStatus.STAGEIN: "waits for its input to be copied to the worker node",
        }[JobStatus(case.status)]
        return Reason(
            self.id,
            Responsible.SITE,
            clause=doing,
            sentence=f"It {doing}{node}, for {duration_words(case.age_s)} now.",
            next_step="; ".join(filter(None, ("the payload starts", case.unless("its pilot reports")))),
            next_time=case.ending_time,
            advice=("see the pilot's log when it takes long: the job page names the worker",),
            numbers={"age_s": case.age_s, "limit_s": _limit_s(case)},
        )


def _limit_s(case: JobCase) -> float | None:
    """How long it may be as it is; None when nothing ends it."""
    return case.ending.rule.limit_s(case.timeouts) if case.ending else None


class PilotIsSilent:
    """Nobody knows whether it still runs."""

    id = "silent"
    sentence = "its pilot has not been heard of for long"

    def reason(self, case: JobCase) -> Reason | None:
        """Compare its last report with a part of what it may be silent; ask what its factory knows of its worker."""
        if case.status not in _REPORTING:
            return None
        job = case.job
        silent_s = (case.as_of - job["modification_time"]).total_seconds()
        limit_s = _limit_s(case) or case.timeouts.heartbeat_s
        worker = case.worker
        is_gone = worker is not None and worker["status"] in FINAL_WORKER_STATUSES
        if silent_s < min(limit_s, case.timeouts.heartbeat_s) * (_SOON if is_gone else _SILENT):
            return None
        node = f" on {job['modification_host']}" if job["modification_host"] else ""
        clause = f"its pilot at {job['computing_site']}{node} has not been heard of for {duration_words(silent_s)}"
        told = ""
        if worker is not None:
            said = f": {worker['diag_message'][:200].rstrip('.')}" if worker["diag_message"] else ""
            told = (
                f" Worker {worker['worker_id']} of {worker['harvester_id']}, which has it, is {worker['status']}{said}."
            )
        return Reason(
            self.id,
            Responsible.SITE,
            clause=clause,
            sentence=f"{clause[:1].upper()}{clause[1:]}.{told}",
            next_step=case.unless("it reports") or "nothing ends it while its queue is paused",
            next_time=case.ending_time,
            advice=(f"ask the site of {job['computing_site']} what became of the node",),
            numbers={
                **{"silent_s": silent_s, "last_heartbeat": job["modification_time"]},
                **({"worker_id": worker["worker_id"], "worker_status": worker["status"]} if worker else {}),
            },
        )


class IsRunning:
    """The payload executes."""

    id = "running"
    sentence = "it runs"

    def reason(self, case: JobCase) -> Reason | None:
        """Last heartbeat, CPU efficiency, and the end as like jobs predict it."""
        if case.status not in (JobStatus.RUNNING, JobStatus.STAGEOUT):
            return None
        job = case.job
        started = job["start_time"] or job["state_change_time"]
        ran_s = max(0.0, (case.as_of - started).total_seconds())
        silent_s = (case.as_of - job["modification_time"]).total_seconds()
        efficiency = _efficiency(job["cpu_consumption_time_s"], (job["modification_time"] - started).total_seconds(),
                                 job["core_count"])  # fmt: skip
        like = duration_of_like_jobs(case.transaction, job)
        ends = started + timedelta(seconds=like.p50_s) if like.p50_s is not None else None
        node = f" on {job['modification_host']}" if job["modification_host"] else ""
        said = [f"It has run at {job['computing_site']}{node} for {duration_words(ran_s)}"]
        said.append(f"last heartbeat {duration_words(silent_s)} ago")
        if efficiency is not None:
            said.append(f"CPU efficiency {efficiency:.0%}")
        return Reason(
            self.id,
            Responsible.SYSTEM,
            clause="",
            sentence=f"{', '.join(said)}. {like.prediction(ran_s)}",
            next_step=_next(ends, case),
            next_time=ends if ends is not None and ends > case.as_of else case.ending_time,
            numbers={
                **{"ran_s": ran_s, "last_heartbeat": job["modification_time"], "cpu_efficiency": efficiency},
                **{"like_jobs": like.sample, "like_p50_s": like.p50_s, "like_p90_s": like.p90_s},
            },
        )


def _efficiency(cpu_s: int, wall_s: float, cores: int) -> float | None:
    """CPU time over wall time and cores; None while nothing was reported."""
    return cpu_s / (wall_s * max(1, cores)) if cpu_s and wall_s > 0 else None


def _next(ends: datetime | None, case: JobCase) -> str:
    about = ""
    if ends is not None:
        about = "it ends about the time given" if ends > case.as_of else "it ends later than like jobs did"
    return "; ".join(filter(None, (about, case.unless("its pilot reports"))))


class OutputsAreOnTheirWay:
    """The payload has ended."""

    id = "outputs"
    sentence = "its payload has ended, and its outputs are accounted for, merged or moved"

    def reason(self, case: JobCase) -> Reason | None:
        """How long, and until when."""
        if case.status not in (JobStatus.HOLDING, JobStatus.MERGING, JobStatus.TRANSFERRING):
            return None
        doing = {
            JobStatus.HOLDING: "its outputs are being accounted for",
            JobStatus.MERGING: "its outputs wait for a merge job",
            JobStatus.TRANSFERRING: "its outputs are moving to their destination",
        }[JobStatus(case.status)]
        reason = Reason(
            self.id,
            Responsible.DATA if case.status == JobStatus.TRANSFERRING else Responsible.SYSTEM,
            clause=doing,
            sentence=f"It has run; {doing}, for {duration_words(case.age_s)} now.",
            next_step="; ".join(filter(None, ("it ends when that is done", case.unless("that is so")))),
            next_time=case.ending_time,
            numbers={"age_s": case.age_s, "limit_s": _limit_s(case)},
        )
        return unless_it_rests(reason, case.transaction, "adder", case.as_of)
