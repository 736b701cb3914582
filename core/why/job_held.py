"""Statements about jobs that are held back: killed, paused with their task, over a cap, waiting for their build job."""

from __future__ import annotations

from datetime import timedelta

from core.accounts.limits import GROUP, account_of, read_limits
from core.states import ON_WORKER_NODE, JobStatus, TaskStatus
from core.taskbuffer.killing import TO_BE_KILLED
from core.taskbuffer.user_caps import Load, judge, over_quota
from core.why.holding import last_task_step
from core.why.job_case import JobCase
from core.why.reason import Reason, Responsible
from core.why.resting import unless_it_rests
from core.wording import counted, moment

_MOST_OF_ACCOUNT = 50_000
# ix_jobs_live_user, no further than said
_RUNNING_OF_USER = """
SELECT count(*) AS jobs, coalesce(sum(core_count), 0)::bigint AS cores FROM (
    SELECT core_count FROM jobs_live
    WHERE prod_user_name = %(name)s AND working_group = '' AND job_status = ANY(%(on_node)s) LIMIT %(most)s
) running
"""
# ix_jobs_live_group, no further than said
_RUNNING_OF_GROUP = """
SELECT count(*) AS jobs, coalesce(sum(core_count), 0)::bigint AS cores FROM (
    SELECT core_count FROM jobs_live
    WHERE working_group = %(name)s AND working_group <> '' AND job_status = ANY(%(on_node)s) LIMIT %(most)s
) running
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


class AccountIsOverLimit:
    """An activated job is throttled while its user or group has too much running, is over quota or banned."""

    id = "user_cap"
    sentence = "its user, or working group, has as much running as may run at once, or is over quota"

    def reason(self, case: JobCase) -> Reason | None:
        """Count what runs of its account and compare with what may, of a job that is throttled."""
        job = case.job
        if case.status != JobStatus.THROTTLED:
            return None
        user = account_of(job["prod_user_name"], "")
        account = account_of(job["prod_user_name"], job["working_group"])
        table = read_limits(case.transaction, {user, account})
        if table.of(user).is_banned(case.as_of):
            account = user
        limits = table.of(account)
        statement = _RUNNING_OF_GROUP if account.kind == GROUP else _RUNNING_OF_USER
        values = {"name": account.name, "on_node": [str(status) for status in ON_WORKER_NODE], "most": _MOST_OF_ACCOUNT}
        running = case.transaction.fetch_one(statement, values) or {"jobs": 0, "cores": 0}
        load = Load(int(running["jobs"]), int(running["cores"]))
        quota = over_quota(case.transaction, table, [account], case.as_of).get(account, "")
        hold = judge(limits, load, account=account, quota_reason=quota, now=case.as_of)
        said = str(case.last_step["reason"]).rstrip(".") if case.last_step else ""
        clause = hold.reason if hold else said or f"{account} had too much running"
        is_banned = limits.is_banned(case.as_of)
        advice: tuple[str, ...] = ("ask the operators",)
        numbers, goes_on = "", "it goes on when that is over"
        if not is_banned and not quota:
            numbers = (
                f" {counted(load.running_jobs, 'job')} run on {counted(load.running_cores, 'core')}; at most "
                f"{counted(limits.max_running_jobs, 'job')} and {counted(limits.max_running_cores, 'core')} may."
            )
            goes_on = f"it goes on when both are below {case.accounts.release_below:.0%} of that"
            advice = (
                "wait for your running jobs, or kill those you do not need",
                "ask the operators for a higher limit",
            )
        return Reason(
            self.id,
            Responsible.OPERATORS if is_banned else Responsible.USER,
            clause=clause,
            sentence=f"It is held back: {clause}.{numbers}",
            next_step="; ".join(filter(None, (goes_on, case.unless("that happens")))),
            next_time=case.ending_time,
            advice=advice,
            numbers={
                **{"running_jobs": load.running_jobs, "running_cores": load.running_cores},
                **{"max_running_jobs": limits.max_running_jobs, "max_running_cores": limits.max_running_cores},
            },
        )


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
            ended = Reason(
                self.id,
                Responsible.SYSTEM,
                clause="its build job has just ended",
                sentence="Its build job has ended; it is released, or cancelled with it, next.",
                next_step="an agent (releaser) looks at what the build job made",
                numbers={"build_job": None},
            )
            return unless_it_rests(ended, case.transaction, "releaser", case.as_of)
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
        if case.status == JobStatus.PENDING and case.job["jedi_task_id"]:
            return None
        is_waiting = case.status == JobStatus.WAITING
        return Reason(
            self.id,
            Responsible.DATA if is_waiting else Responsible.SYSTEM,
            clause="an input is registered nowhere yet" if is_waiting else "it is being inserted",
            sentence="An input of it is registered nowhere yet." if is_waiting else "It is being inserted.",
            next_step="; ".join(filter(None, ("it goes on by itself", case.unless("it does")))),
            next_time=case.ending_time,
            advice=("register the input: POST /api/control/datasets",) if is_waiting else (),
        )
