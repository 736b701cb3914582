"""Statements about jobs that a pilot has, or whose outputs are on their way."""

from __future__ import annotations

from datetime import timedelta

from core.states import JobStatus
from core.why.estimate import duration_of_like_jobs
from core.why.job_case import JobCase
from core.why.reason import Reason, Responsible
from core.wording import duration_words, moment


class IsStarting:
    """A pilot has it and sets it up."""

    id = "starting"
    sentence = "a pilot has it and has not started the payload"

    def reason(self, case: JobCase) -> Reason | None:
        """How long it is so, and until when it may."""
        limits = {
            JobStatus.SENT: case.timeouts.sent_s,
            JobStatus.STARTING: case.timeouts.starting_s,
            JobStatus.STAGEIN: case.timeouts.heartbeat_s,
        }
        if case.status not in limits:
            return None
        limit_s = limits[JobStatus(case.status)]
        node = f" on {case.job['modification_host']}" if case.job["modification_host"] else ""
        doing = {
            JobStatus.SENT: "was given to a pilot, which has not reported yet",
            JobStatus.STARTING: "is being set up by a pilot",
            JobStatus.STAGEIN: "waits for its input to be copied to the worker node",
        }[JobStatus(case.status)]
        counts_from = "modification_time" if case.status == JobStatus.STAGEIN else "state_change_time"
        until = case.job[counts_from] + timedelta(seconds=limit_s)
        return Reason(
            self.id,
            Responsible.SITE,
            clause=doing,
            sentence=f"It {doing}{node}, since {duration_words(case.age_s)}.",
            next_step="the payload starts; a pilot that is not heard of by the time given has lost the job",
            next_time=until,
            advice=("see the pilot's log when it takes long: the job page names the worker",),
            numbers={"age_s": case.age_s, "limit_s": limit_s},
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
        ran_s = (case.as_of - started).total_seconds()
        silent_s = (case.as_of - job["modification_time"]).total_seconds()
        efficiency = _efficiency(job["cpu_consumption_time_s"], (job["modification_time"] - started).total_seconds(),
                                 job["core_count"])  # fmt: skip
        like = duration_of_like_jobs(case.transaction, job)
        ends = started + timedelta(seconds=like.p50_s) if like.p50_s is not None else None
        lost = job["modification_time"] + timedelta(seconds=case.timeouts.heartbeat_s)
        node = f" on {job['modification_host']}" if job["modification_host"] else ""
        said = [f"It runs at {job['computing_site']}{node} since {duration_words(ran_s)}"]
        said.append(f"last heartbeat {duration_words(silent_s)} ago")
        if efficiency is not None:
            said.append(f"CPU efficiency {efficiency:.0%}")
        return Reason(
            self.id,
            Responsible.SYSTEM,
            clause="",
            sentence=f"{', '.join(said)}. {like.prediction(ran_s)}",
            next_step=_next(ends, lost, case),
            next_time=ends if ends is not None and ends > case.as_of else None,
            numbers={
                **{"ran_s": ran_s, "last_heartbeat": job["modification_time"], "cpu_efficiency": efficiency},
                **{"like_jobs": like.sample, "like_p50_s": like.p50_s, "like_p90_s": like.p90_s},
            },
        )


def _efficiency(cpu_s: int, wall_s: float, cores: int) -> float | None:
    """CPU time over wall time and cores; None while nothing was reported."""
    return cpu_s / (wall_s * max(1, cores)) if cpu_s and wall_s > 0 else None


def _next(ends: object, lost: object, case: JobCase) -> str:
    silent = f"without a heartbeat until {moment(lost, case.as_of)} it counts as lost"  # type: ignore[arg-type]
    return f"{'it ends about the time given; ' if ends else ''}{silent}"


class OutputsAreOnTheirWay:
    """The payload has ended."""

    id = "outputs"
    sentence = "its payload has ended, and its outputs are accounted for, merged or moved"

    def reason(self, case: JobCase) -> Reason | None:
        """How long, and until when."""
        times, job = case.timeouts, case.job
        is_quick = job["prod_source_label"] in ("user", "panda") or job["current_priority"] >= times.urgent_priority
        limits = {
            JobStatus.HOLDING: times.holding_user_s if is_quick else times.holding_s,
            JobStatus.MERGING: times.holding_s,
            JobStatus.TRANSFERRING: times.transferring_high_s
            if job["current_priority"] >= times.urgent_priority
            else times.transferring_low_s,
        }
        if case.status not in limits:
            return None
        limit_s = limits[JobStatus(case.status)]
        doing = {
            JobStatus.HOLDING: "its outputs are being accounted for",
            JobStatus.MERGING: "its outputs wait for a merge job",
            JobStatus.TRANSFERRING: "its outputs are moving to their destination",
        }[JobStatus(case.status)]
        return Reason(
            self.id,
            Responsible.DATA if case.status == JobStatus.TRANSFERRING else Responsible.SYSTEM,
            clause=doing,
            sentence=f"It has run; {doing}, since {duration_words(case.age_s)}.",
            next_step="it ends when that is done, or fails at the time given",
            next_time=job["state_change_time"] + timedelta(seconds=limit_s),
            numbers={"age_s": case.age_s, "limit_s": limit_s},
        )
