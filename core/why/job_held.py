"""Statements about jobs that are held back: killed, paused with their task, over a cap, waiting for their build job."""

from __future__ import annotations

from datetime import timedelta

from core.database import Row
from core.states import ON_WORKER_NODE, JobStatus, TaskStatus
from core.taskbuffer.killing import TO_BE_KILLED
from core.why.holding import last_task_step
from core.why.job_case import JobCase
from core.why.reason import Reason, Responsible
from core.wording import are, counted, moment

# ix_jobs_live_user, no further than said
_RUNNING_OF_USER = """
SELECT count(*) AS jobs, coalesce(sum(core_count), 0)::bigint AS cores FROM (
    SELECT core_count FROM jobs_live WHERE prod_user_name = %(user)s AND job_status = ANY(%(on_node)s) LIMIT %(most)s
) running
"""
_MOST_OF_USER = 50_000
# primary key
_LIMITS = """
SELECT max_running_jobs, max_running_cores, reason FROM account_limits
WHERE kind = %(kind)s AND name = %(name)s
"""


class KillRequested:
    """Somebody asked for its end while a pilot holds it."""

    id = "kill_requested"
    sentence = "its end was requested, and its pilot learns of it with its next heartbeat"

    def reason(self, case: JobCase) -> Reason | None:
        """Look at the command for the pilot."""
        if case.status not in ON_WORKER_NODE or TO_BE_KILLED not in case.job["command_to_pilot"]:
            return None
        lost = case.job["modification_time"] + timedelta(seconds=case.timeouts.heartbeat_s)
        return Reason(
            self.id,
            Responsible.USER,
            clause="its end was requested",
            sentence=f"Its end was requested; its pilot last reported at {moment(case.job['modification_time'])}.",
            next_step="its pilot learns of it with its next heartbeat and stops the payload; without any, it is ended",
            next_time=lost,
            numbers={"last_heartbeat": case.job["modification_time"]},
        )


class TaskIsPaused:
    """Nothing of a paused task starts."""

    id = "task_paused"
    sentence = "its task is paused"

    def reason(self, case: JobCase) -> Reason | None:
        """Look at its task, unless a pilot has the job already."""
        waits = case.status in (JobStatus.DEFINED, JobStatus.THROTTLED, JobStatus.ASSIGNED, JobStatus.PENDING)
        if not waits or case.task is None or case.task["status"] != TaskStatus.PAUSED:
            return None
        step = last_task_step(case.transaction, case.task["jedi_task_id"], TaskStatus.PAUSED)
        who, since = (step["who"], step["time"]) if step else ("somebody", case.task["modification_time"])
        task_id = case.task["jedi_task_id"]
        return Reason(
            self.id,
            Responsible.USER,
            clause=f"its task {task_id} was paused by {who}",
            sentence=f"Its task {task_id} was paused by {who} at {moment(since, case.as_of)}; nothing of it starts meanwhile.",
            next_step="nothing, until the task is resumed",
            advice=(f"resume the task: `pbook` resume({task_id}), or POST /api/v1/task/resume",),
            numbers={"who": who, "since": since},
        )


class UserIsOverCap:
    """An activated job is throttled while its user or group has too much running."""

    id = "user_cap"
    sentence = "its user, or working group, has as much running as may run at once"

    def reason(self, case: JobCase) -> Reason | None:
        """Count what runs of its user and compare with the cap, of a job that is throttled."""
        if case.status != JobStatus.THROTTLED:
            return None
        job, user = case.job, case.job["prod_user_name"]
        values = {"user": user, "on_node": [str(status) for status in ON_WORKER_NODE], "most": _MOST_OF_USER}
        running = case.transaction.fetch_one(_RUNNING_OF_USER, values) or {"jobs": 0, "cores": 0}
        limits = self._limits(case, "user", user) or self._limits(case, "group", job["working_group"]) or {}
        jobs = limits.get("max_running_jobs") or case.accounts.max_running_jobs
        cores = limits.get("max_running_cores") or case.accounts.max_running_cores
        said = str(case.last_step["reason"]) if case.last_step else ""
        part = f"{case.accounts.release_below:.0%}"
        expires = job["state_change_time"] + timedelta(seconds=case.timeouts.throttled_s)
        return Reason(
            self.id,
            Responsible.USER,
            clause=said or f"{user} has too much running",
            sentence=f"It is held back ({said or 'over a cap'}): {are(running['jobs'], 'job')} running for {user} on "
            f"{counted(running['cores'], 'core')}; allowed are {jobs:,} jobs and {cores:,} cores.",
            next_step=f"it goes on when both are below {part} of that; at the latest time given it is closed",
            next_time=expires,
            advice=("wait for your running jobs, or kill those you do not need", "ask the operators for a higher cap"),
            numbers={
                **{"running_jobs": running["jobs"], "running_cores": running["cores"]},
                **{"max_running_jobs": jobs, "max_running_cores": cores},
            },
        )

    def _limits(self, case: JobCase, kind: str, name: str) -> Row | None:
        row = case.transaction.fetch_one(_LIMITS, {"kind": kind, "name": name}) if name else None
        return row if row and (row["max_running_jobs"] or row["max_running_cores"]) else None


class WaitsForBuild:
    """A run job of a task that builds first."""

    id = "build_job"
    sentence = "the build job of its task has not finished"

    def reason(self, case: JobCase) -> Reason | None:
        """Look for the live build job of a pending job's task."""
        if case.status != JobStatus.PENDING or not case.job["jedi_task_id"]:
            return None
        build = case.build_job
        if build is None:
            return Reason(
                self.id,
                Responsible.SYSTEM,
                clause="its build job has just ended",
                sentence="Its build job has ended; it is released, or cancelled with it, next.",
                next_step="an agent (releaser) looks at what the build job made",
                numbers={"build_job": None},
            )
        where = f" at {build['computing_site']}" if build["computing_site"] else ""
        return Reason(
            self.id,
            Responsible.SYSTEM,
            clause=f"its build job {build['panda_id']} is {build['job_status']}{where}",
            sentence=f"It needs the library of build job {build['panda_id']}, which is {build['job_status']}{where}.",
            next_step="when the build job has finished a queue is chosen; when it fails, this job is cancelled",
            advice=(f"see why that one does not run: panda why {build['panda_id']}",),
            numbers={"build_job": build["panda_id"], "build_status": build["job_status"]},
        )


class BeingInserted:
    """Pending without a task, or waiting for an input to be registered."""

    id = "being_inserted"
    sentence = "it is being inserted, or an input of it is registered nowhere yet"

    def reason(self, case: JobCase) -> Reason | None:
        """Look at the state."""
        if case.status not in (JobStatus.PENDING, JobStatus.WAITING):
            return None
        limit = case.timeouts.pending_s if case.status == JobStatus.PENDING else case.timeouts.defined_s
        is_waiting = case.status == JobStatus.WAITING
        return Reason(
            self.id,
            Responsible.DATA if is_waiting else Responsible.SYSTEM,
            clause="an input is registered nowhere yet" if is_waiting else "it is being inserted",
            sentence="An input of it is registered nowhere yet." if is_waiting else "It is being inserted.",
            next_step="it goes on by itself, or is closed and made anew at the time given",
            next_time=case.job["state_change_time"] + timedelta(seconds=limit),
            advice=("register the input: POST /api/control/datasets",) if is_waiting else (),
        )
