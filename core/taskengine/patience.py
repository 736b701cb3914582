"""What becomes of tasks that wait: tried again, given up, or finished in place of a person (domain.md 3.3).

Every wait has an end that people can see (`next_try_time`). Knows the states of tasks; does not know why one waits.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import timedelta

from core.clock import utc_now
from core.database import Database, Row, Transaction
from core.states import GENERATING_TASK_STATUSES, TaskStatus
from core.taskengine.commands.locking import Issuer, lock_task_with_jobs
from core.taskengine.commands.stopping import finish
from core.taskengine.status import change_status, exhaust_task, lock_task
from core.workload_settings import TaskTimes

WHO = "task watchdog"
_HOUR_S = 3600
_DAY_S = 24 * _HOUR_S
_WEEK_S = 7 * _DAY_S
URGENT_PRIORITY = 950
HIGH_PRIORITY = 900
"""From these on pending tasks are tried again sooner (domain.md 16)."""

# primary key; frozen since the first obstacle that no job came after
_SCHEDULE = """
UPDATE tasks SET next_try_time = clock_timestamp() + make_interval(secs => %(after_s)s),
                 frozen_time = CASE WHEN status = 'pending' THEN coalesce(frozen_time, clock_timestamp()) ELSE frozen_time END
WHERE jedi_task_id = %(id)s AND status = %(status)s
"""
# primary key; not locked here: the command that finishes a task locks its jobs first
_TASK = "SELECT * FROM tasks WHERE jedi_task_id = %(id)s"


# ix_tasks_status; by key and ix_jobs_live_task, ix_task_history_task, ix_brokerage_decisions_task, each until the first row
_WITHOUT_QUEUE = """
SELECT t.jedi_task_id, (SELECT j.brokerage_error_diag FROM jobs_live j
                        WHERE j.jedi_task_id = t.jedi_task_id AND j.job_status = 'defined' LIMIT 1) AS obstacle
FROM tasks t
WHERE t.status = ANY(%(statuses)s) AND (%(id)s::bigint IS NULL OR t.jedi_task_id = %(id)s)
  AND t.creation_time < clock_timestamp() - make_interval(secs => %(limit_s)s)
  AND EXISTS (SELECT 1 FROM jobs_live j WHERE j.jedi_task_id = t.jedi_task_id AND j.job_status = 'defined')
  AND NOT EXISTS (SELECT 1 FROM jobs_live j WHERE j.jedi_task_id = t.jedi_task_id AND j.job_status <> 'pending'
                  AND (j.job_status <> 'defined' OR j.brokerage_error_code <> 100))
  AND NOT EXISTS (SELECT 1 FROM task_history h WHERE h.jedi_task_id = t.jedi_task_id
                  AND h.time > clock_timestamp() - make_interval(secs => %(limit_s)s))
  AND NOT EXISTS (SELECT 1 FROM brokerage_decisions d WHERE d.jedi_task_id = t.jedi_task_id AND d.chosen <> ''
                  AND d.kind <> 'nucleus'
                  AND d.time > clock_timestamp() - make_interval(secs => %(limit_s)s))
ORDER BY t.jedi_task_id LIMIT %(batch)s
"""
_HAVE_JOBS = sorted((GENERATING_TASK_STATUSES - {TaskStatus.DEFINED}) | {TaskStatus.PREPROCESSING})


@dataclass(frozen=True)
class Wait:
    """A state in which tasks wait: how long, and what happens then."""

    status: TaskStatus
    retry_s: Callable[[Row, TaskTimes], float]
    act: Callable[[Transaction, int, TaskTimes], str | None]
    """Does what is due and says what it did; None when nothing had to be done any more."""
    condition: str = "true"
    """Further SQL condition over `t`, the task."""


def pending_retry_s(task: Row, times: TaskTimes) -> float:
    """Seconds until a pending task is tried again: by its priority (domain.md 16)."""
    if task["current_priority"] >= URGENT_PRIORITY:
        return times.pending_retry_urgent_s
    return times.pending_retry_s / 2 if task["current_priority"] >= HIGH_PRIORITY else times.pending_retry_s


def _try_again(transaction: Transaction, task_id: int, times: TaskTimes) -> str | None:
    """Back to where it was, or exhausted when no job came of it for too long."""
    task = lock_task(transaction, task_id)
    status = TaskStatus(task["status"])
    if status not in (TaskStatus.PENDING, TaskStatus.THROTTLED):
        return None
    frozen_since = task["frozen_time"] or utc_now()
    if status is TaskStatus.PENDING and utc_now() - frozen_since > timedelta(seconds=times.pending_limit_s):
        obstacle = task["error_dialog"] or "an obstacle that nothing names"
        reason = f"no job could be made for {times.pending_limit_s / _DAY_S:g} days: {obstacle}"
        change_status(transaction, task_id, TaskStatus.EXHAUSTED, who=WHO, reason=reason)
        return f"is exhausted: {reason}"
    target = TaskStatus(task["old_status"] or TaskStatus.READY)
    change_status(transaction, task_id, target, who=WHO, reason=f"tried again after {status}")
    return f"is tried again, as {target}"


def _finish_for_nobody(transaction: Transaction, task_id: int, times: TaskTimes) -> str | None:
    because = f"nobody decided for {times.exhausted_limit_s / _HOUR_S:g} h"
    return finish_softly(transaction, task_id, because, {TaskStatus.EXHAUSTED})


WAITS: tuple[Wait, ...] = (
    Wait(
        TaskStatus.PENDING,
        pending_retry_s,
        _try_again,
        # ix_task_datasets_task: a child waits for its parent as long as that works
        "NOT EXISTS (SELECT 1 FROM task_datasets d WHERE d.jedi_task_id = t.jedi_task_id AND d.type = 'parent' "
        "AND d.status = 'mutable')",
    ),
    Wait(TaskStatus.THROTTLED, lambda _, times: times.throttled_retry_s, _try_again),
    Wait(
        TaskStatus.EXHAUSTED,
        lambda _, times: times.exhausted_limit_s,
        _finish_for_nobody,
        "lower(coalesce(t.split_rule ->> 'disableAutoFinish', t.parameters ->> 'disableAutoFinish', '')) "
        "NOT IN ('true', '1')",
    ),
)


def due_statement(wait: Wait) -> str:
    """The ids of tasks whose wait is over or has no end yet; ix_tasks_status."""
    return f"""
SELECT t.jedi_task_id FROM tasks t
WHERE t.status = '{wait.status}' AND {wait.condition} AND (t.next_try_time IS NULL
      OR t.next_try_time <= clock_timestamp() OR t.next_try_time > clock_timestamp() + interval '7 days')
ORDER BY t.jedi_task_id LIMIT %(batch)s"""


def end_wait(transaction: Transaction, task_id: int, wait: Wait, times: TaskTimes) -> str | None:
    """Do what is due for a task of `due_statement`, and say it; None when its wait only got its end, or is over already."""
    task = transaction.fetch_one(_TASK, {"id": task_id})
    if task is None or task["status"] != wait.status:
        return None
    wait_s = wait.retry_s(task, times)
    if task["next_try_time"] is None or task["next_try_time"] > utc_now() + timedelta(seconds=max(wait_s, _WEEK_S)):
        # one so far away was written while the clock was wrong
        transaction.execute(_SCHEDULE, {"id": task_id, "after_s": wait_s, "status": wait.status})
        return None
    return wait.act(transaction, task_id, times) if task["next_try_time"] <= utc_now() else None


def without_queue(
    database: Database | Transaction, times: TaskTimes, *, batch: int, task_id: int | None = None
) -> list[Row]:
    """Tasks none of whose jobs had a queue for too long: jedi_task_id, obstacle. Jobs behind a build job wait for one too."""
    values = {"statuses": _HAVE_JOBS, "limit_s": times.no_queue_limit_s, "batch": batch, "id": task_id}
    return database.fetch(_WITHOUT_QUEUE, values)


def give_up_queues(transaction: Transaction, task_id: int, times: TaskTimes) -> str | None:
    """Exhaust a task of `without_queue`; None when it is none any more. Its jobs go on asking brokerage meanwhile."""
    lock_task(transaction, task_id)
    found = without_queue(transaction, times, batch=1, task_id=task_id)
    if not found:
        return None
    reason = f"no queue took any of its jobs for {times.no_queue_limit_s / _DAY_S:g} days: {found[0]['obstacle']}"
    exhaust_task(transaction, task_id, reason, who=WHO)
    return f"is exhausted: {reason}"


def finish_softly(transaction: Transaction, task_id: int, because: str, expected: Collection[TaskStatus]) -> str | None:
    """End a task with what is done when the jobs that pilots have are through; None unless it is in an expected status.

    Raises JobsCameMeanwhile.
    """
    locked = lock_task_with_jobs(transaction, task_id, Issuer(f"{WHO}: {because}", is_production=True))
    if locked is None or locked.status not in expected:
        return None
    finish(locked, soft=True)
    return f"is finished with what it has: {because}"
