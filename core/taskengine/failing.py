"""Stops tasks most of whose work fails: a budget of failed jobs and of what they cost (domain.md 6.2). Knows counts, no cause.

A task that a person lets go on is counted anew from there: whoever retries or resumes it has read the sentence.
"""

from __future__ import annotations

from core.accounts.limits import USER_LABELS
from core.database import Database, Row, Transaction
from core.states import TaskStatus
from core.taskengine.commands.locking import Issuer, lock_task_with_jobs
from core.taskengine.commands.steering import pause
from core.taskengine.following import say
from core.taskengine.status import exhaust_task
from core.workload_settings import GuardSettings

_HOUR_S = 3600
_WHO = "task watchdog"

# ix_tasks_status, primary key of task_costs; what was counted when it was stopped last stands in `measured`
_COUNTED = """
SELECT t.jedi_task_id, t.prod_source_label, t.n_files - t.n_files_finished - t.n_files_failed AS files_left,
       t.n_finished + t.n_failed AS ended_in_all, t.n_failed, t.n_finished, coalesce(c.failed_power_s, 0) AS failed_power_s,
       t.n_failed - coalesce((t.measured #>> '{stopped_at,failed}')::bigint, 0) AS failed,
       t.n_finished - coalesce((t.measured #>> '{stopped_at,finished}')::bigint, 0) AS finished,
       coalesce(c.failed_power_s, 0) - coalesce((t.measured #>> '{stopped_at,failed_power_s}')::float, 0) AS lost_power_s
FROM tasks t LEFT JOIN task_costs c USING (jedi_task_id)
"""
_OVER_BUDGET = f"""
SELECT jedi_task_id FROM ({_COUNTED} WHERE t.status = 'running') counted
WHERE failed >= %(least_jobs)s AND failed > %(fraction)s * (failed + finished)
   OR %(power_s)s > 0 AND lost_power_s > %(power_s)s
ORDER BY jedi_task_id LIMIT %(batch)s
"""
_ONE = f"{_COUNTED} WHERE t.jedi_task_id = %(id)s"
# primary key
_REMEMBER = """
UPDATE tasks SET measured = measured || jsonb_build_object('stopped_at', jsonb_build_object(
    'failed', %(failed)s::bigint, 'finished', %(finished)s::bigint, 'failed_power_s', %(power_s)s::float))
WHERE jedi_task_id = %(id)s
"""


def over_budget(database: Database, guards: GuardSettings, *, batch: int) -> list[int]:
    """Running tasks whose failures are more than the settings allow."""
    values = {
        "least_jobs": guards.failed_fraction_least_jobs,
        "fraction": guards.max_failed_fraction,
        "power_s": guards.max_failed_power_hours * _HOUR_S,
        "batch": batch,
    }
    return [row["jedi_task_id"] for row in database.fetch(_OVER_BUDGET, values)]


def stop_failing(transaction: Transaction, task_id: int, guards: GuardSettings) -> str | None:
    """Stop a task of `over_budget`, and say it; None when it is none any more.

    Users' tasks are exhausted. Those of production are paused, with what waits, once they are far and much is left. Raises
    JobsCameMeanwhile.
    """
    locked = lock_task_with_jobs(transaction, task_id, Issuer(_WHO, is_production=True))
    row = transaction.fetch_one(_ONE, {"id": task_id})
    reason = "" if row is None else _reason(row, guards)
    if locked is None or row is None or locked.status is not TaskStatus.RUNNING or not reason:
        return None
    transaction.execute(
        _REMEMBER,
        {"id": task_id, "failed": row["n_failed"], "finished": row["n_finished"], "power_s": row["failed_power_s"]},
    )
    if row["prod_source_label"] in USER_LABELS or not _is_worth_pausing(row, guards):
        exhaust_task(transaction, task_id, reason, who=_WHO)
        return f"is exhausted: {reason}"
    pause(locked)
    say(transaction, task_id, reason)
    return f"is paused: {reason}"


def _reason(row: Row, guards: GuardSettings) -> str:
    """For people; empty while the task is within its budget."""
    failed, ended = row["failed"], row["failed"] + row["finished"]
    if failed >= guards.failed_fraction_least_jobs and failed > guards.max_failed_fraction * ended:
        return (
            f"{failed:,} of the {ended:,} jobs that ended have failed, more than {100 * guards.max_failed_fraction:.0f} %: "
            "see why before it goes on"
        )
    hours = row["lost_power_s"] / _HOUR_S
    if 0 < guards.max_failed_power_hours < hours:
        return (
            f"its failed jobs have used {hours:,.0f} normalised hours, {guards.max_failed_power_hours:,.0f} are allowed: "
            "see why before it goes on"
        )
    return ""


def _is_worth_pausing(row: Row, guards: GuardSettings) -> bool:
    return bool(row["ended_in_all"] >= guards.pause_after_jobs and row["files_left"] >= guards.pause_least_files)
