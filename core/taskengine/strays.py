"""Finds tasks that the engine has lost sight of, and goals that are reached. Knows tables; decides nothing else.

Whoever makes input ready or ends a job says so in the same transaction, so there should be none: this is the net below.
"""

from __future__ import annotations

from core.database import Database, Row, Transaction
from core.states import GENERATING_TASK_STATUSES, TaskStatus
from core.taskengine.making.closing import end_if_idle, settle
from core.taskengine.status import lock_task, wake
from core.wording import counted

_UNDER_WAY = sorted(status.value for status in GENERATING_TASK_STATUSES - {TaskStatus.ASSIGNING})
_MAKING = sorted(status.value for status in GENERATING_TASK_STATUSES - {TaskStatus.DEFINED, TaskStatus.ASSIGNING})
"""Input that is still being listed is not cut: the feeder has such a task in its hands, and task brokerage one that is
being assigned."""
_CLOSING = ("aborting", "finishing")
WORKING = frozenset({TaskStatus.RUNNING, TaskStatus.THROTTLED, TaskStatus.MERGING})
"""States in which a goal may be reached while there is more to do."""

_NOBODY_LOOKS = "(t.generate_at IS NULL OR t.generate_at > clock_timestamp() + interval '1 day')"
"""Nobody is told to look later than in a while: a time as far away as that was written while the clock was wrong."""

# ix_task_datasets_task, ix_task_files_status, which the order keeps: files that go along with others are always ready
_HAS_READY_INPUT = """EXISTS (
    SELECT 1 FROM task_datasets d CROSS JOIN LATERAL (
        SELECT 1 FROM task_files f
        WHERE f.jedi_task_id = t.jedi_task_id AND f.status = 'ready' AND f.dataset_id = d.dataset_id
        ORDER BY f.position LIMIT 1) AS first
    WHERE d.jedi_task_id = t.jedi_task_id AND (d.is_master OR d.type = 'merge_input'))"""

# ix_tasks_status, ix_jobs_live_task, ix_task_files_status, ix_task_datasets_task; scouts hold back the rest of their task on
# purpose, and the beginning of a piece waits for the rest of it: whatever comes from tape or a parent, or never will, wakes it
_ASLEEP = f"""
SELECT t.jedi_task_id FROM tasks t
WHERE t.status = ANY(%(making)s) AND {_NOBODY_LOOKS} AND {_HAS_READY_INPUT}
  AND (t.status <> 'scouting' OR NOT EXISTS (SELECT 1 FROM jobs_live j WHERE j.jedi_task_id = t.jedi_task_id))
  AND NOT EXISTS (SELECT 1 FROM task_files f WHERE f.jedi_task_id = t.jedi_task_id AND f.status = 'staging')
  AND NOT EXISTS (SELECT 1 FROM task_datasets d WHERE d.jedi_task_id = t.jedi_task_id
                  AND d.type = 'parent' AND d.status <> 'ready')
ORDER BY t.jedi_task_id LIMIT %(batch)s
"""
# the same indexes; what is young may be on its way
_STRANDED = f"""
SELECT t.jedi_task_id FROM tasks t
WHERE t.status = ANY(%(statuses)s) AND {_NOBODY_LOOKS}
  AND t.modification_time < clock_timestamp() - make_interval(secs => %(age_s)s)
  AND NOT EXISTS (SELECT 1 FROM jobs_live j WHERE j.jedi_task_id = t.jedi_task_id)
  AND NOT EXISTS (SELECT 1 FROM task_datasets d WHERE d.jedi_task_id = t.jedi_task_id
                  AND d.status IN ('mutable', 'toupdate'))
  AND NOT (t.status = ANY(%(waiting)s)
           AND EXISTS (SELECT 1 FROM task_files f WHERE f.jedi_task_id = t.jedi_task_id AND f.status = 'staging'))
ORDER BY t.jedi_task_id LIMIT %(batch)s
"""
# ix_task_files_status, ix_jobs_live_task
_RELEASE_FILES = """
UPDATE task_files f SET status = 'ready' FROM task_datasets d
WHERE f.jedi_task_id = %(id)s AND f.status = 'running' AND d.dataset_id = f.dataset_id
  AND (d.is_master OR d.type = 'merge_input')
  AND NOT EXISTS (SELECT 1 FROM jobs_live j WHERE j.panda_id = f.panda_id)
"""
_IS_READY = f"SELECT 1 FROM tasks t WHERE t.jedi_task_id = %(id)s AND {_HAS_READY_INPUT}"
_IS_LIVE = "SELECT 1 FROM jobs_live WHERE jedi_task_id = %(id)s LIMIT 1"
# ix_tasks_status, ix_task_datasets_task; what is still being listed may change what the goal means
_GOAL_REACHED = """
SELECT t.jedi_task_id, t.goal, t.n_files, t.n_files_finished FROM tasks t
WHERE t.status = ANY(%(working)s) AND t.goal < 1000 AND t.n_files > 0
  AND t.n_files_finished < t.n_files AND t.n_files_finished * 1000 >= t.n_files * t.goal
  AND NOT EXISTS (SELECT 1 FROM task_datasets d WHERE d.jedi_task_id = t.jedi_task_id
                  AND d.status IN ('mutable', 'toupdate'))
ORDER BY t.jedi_task_id LIMIT %(batch)s
"""


def asleep(database: Database, *, batch: int) -> list[int]:
    """Tasks that have ready input and that the generator will not look at."""
    return [row["jedi_task_id"] for row in database.fetch(_ASLEEP, {"making": _MAKING, "batch": batch})]


def stranded(database: Database, *, age_s: float, batch: int) -> list[int]:
    """Tasks unchanged for `age_s` that have no live job, nothing to wait for, and have not ended."""
    values = {"statuses": [*_UNDER_WAY, *_CLOSING], "waiting": _UNDER_WAY, "age_s": age_s, "batch": batch}
    return [row["jedi_task_id"] for row in database.fetch(_STRANDED, values)]


def rescue(transaction: Transaction, task_id: int) -> str | None:
    """Give a stranded task back to the engine, or end it by its counts; says what was done, None if nothing had to be."""
    task = lock_task(transaction, task_id)
    status = task["status"]
    if status not in (*_UNDER_WAY, *_CLOSING) or transaction.fetch_one(_IS_LIVE, {"id": task_id}):
        return None
    if status in _CLOSING:
        return f"was {status} without a job: it is {settle(transaction, task_id)} now"
    released = transaction.execute(_RELEASE_FILES, {"id": task_id})
    if released:
        wake(transaction, task_id)
        return f"had {counted(released, 'file')} at jobs that are gone: processed again"
    if transaction.fetch_one(_IS_READY, {"id": task_id}):
        # one of more sleepers than are woken at once
        wake(transaction, task_id)
        return "has ready input that nobody looked at: woken"
    end_if_idle(transaction, task)
    now = TaskStatus(lock_task(transaction, task_id)["status"])
    return None if now == status else f"was {status} and had nothing left to do: it is {now} now"


def goals_reached(database: Database, *, batch: int) -> list[Row]:
    """Tasks whose goal is reached and that still work on the rest: jedi_task_id, goal, n_files, n_files_finished."""
    return database.fetch(_GOAL_REACHED, {"working": sorted(WORKING), "batch": batch})
