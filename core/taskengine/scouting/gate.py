"""How many jobs of a task may be made now: its scouts first, the others after the verdict (domain.md 3.5).

Knows the files of a task and its status; does not know how jobs are cut nor what scouts measure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from core.database import Row, Transaction
from core.states import TaskStatus
from core.taskbuffer.submission import NewJob
from core.taskengine.dialects.definition import TaskDefinition
from core.taskengine.status import change_status
from core.wording import counted
from core.workload_settings import ScoutSettings

SCOUT = "scout"
"""The flag in `special_handling` of jobs that measure."""
LEAST_SCOUT_PRIORITY = 901
"""Scouts start before the ordinary jobs of everybody: the rest of their task waits for them."""

DEFAULT_SCOUTS = ScoutSettings()
"""For commands, which know no settings."""
_BEFORE_SCOUTS = frozenset({TaskStatus.REGISTERED, TaskStatus.DEFINED, TaskStatus.ASSIGNING, TaskStatus.READY})

# ix_task_files_status: each status apart, so that the files nobody has touched are never read
_PLACES = """
SELECT count(DISTINCT f.panda_id) AS taken FROM task_files f JOIN task_datasets d USING (dataset_id)
WHERE f.jedi_task_id = %(id)s AND d.is_master AND f.status = ANY(%(statuses)s)
"""
# ix_task_files_dataset: of what is ready only what had a job before
_TO_BE_TRIED_AGAIN = """
SELECT count(*) AS n FROM task_datasets d JOIN task_files f USING (dataset_id)
WHERE d.jedi_task_id = %(id)s AND d.is_master AND f.attempt_nr > 0 AND f.status = 'ready'
"""
# ix_jobs_live_task
_LIVE_SCOUT = f"""
SELECT 1 FROM jobs_live
WHERE jedi_task_id = %(id)s AND '{SCOUT}' = ANY(string_to_array(special_handling, ',')) LIMIT 1
"""


def jobs_allowed(
    transaction: Transaction, task: Row, definition: TaskDefinition, settings: ScoutSettings = DEFAULT_SCOUTS
) -> int | None:
    """How many jobs may be made of a task now, build jobs not counted; None = as many as there are, 0 = wait.

    A number other than 0 means: if ready input is left after so many jobs, they are scouts (`as_scouts`), and the task
    goes to `scouting` (`begin_scouting`); if none is left, they are ordinary jobs of a small task. In `scouting`,
    whatever is made is a scout: input of one that is tried again, or a place that was never filled. 0 elsewhere: all its
    scouts are still out (somebody reactivated it), and it goes back to `scouting` too.

    `task`: the whole row, locked. Scouts that gave up keep their place while the others run; a task that a person opens
    again after its scouts failed gets places for new ones.
    """
    if not is_scout_phase(task, definition):
        return None
    is_scouting = task["status"] == TaskStatus.SCOUTING
    statuses = ["running", "finished", "failed", "cancelled"] if is_scouting else ["running", "finished"]
    row = transaction.fetch_one(_PLACES, {"id": task["jedi_task_id"], "statuses": statuses})
    free = settings.jobs - (row["taken"] if row is not None else 0)
    if is_scouting and free <= 0:
        # more scouts went out than are wanted now (the setting was another): the verdict waits for those tried again
        again = transaction.fetch_one(_TO_BE_TRIED_AGAIN, {"id": task["jedi_task_id"]})
        return min(again["n"], settings.jobs) if again is not None else 0
    if free <= 0 and not is_scouting and transaction.fetch_one(_LIVE_SCOUT, {"id": task["jedi_task_id"]}) is not None:
        return 0
    return max(free, 0 if is_scouting else 1)


def is_scout_phase(task: Row, definition: TaskDefinition) -> bool:
    """Whether the jobs of a task are limited to scouts now, without a look at its files."""
    if task["status"] == TaskStatus.SCOUTING:
        return True
    if not definition.uses_scouts or task["status"] not in _BEFORE_SCOUTS:
        return False
    verdict = task["measured"].get("scouts")
    if verdict is not None:
        return not verdict.get("is_over", True)
    # what its former jobs needed is known by whoever opened it again
    return not task["n_files_finished"]


def as_scouts(jobs: Iterable[NewJob]) -> list[NewJob]:
    """The same jobs, marked and hurried."""
    return [
        replace(
            job,
            special_handling=",".join(filter(None, (job.special_handling, SCOUT))),
            current_priority=max(LEAST_SCOUT_PRIORITY, job.current_priority + 1),
        )
        for job in jobs
    ]


def begin_scouting(transaction: Transaction, task_id: int, count: int) -> None:
    """Bring a task whose scouts were just made to `scouting`; without effect when it is there."""
    first = f"{counted(count, 'job')} first, to measure what the others need"
    reason = first if count else "its scouts are out already"
    change_status(transaction, task_id, TaskStatus.SCOUTING, who="task engine", reason=reason)
