"""Takes up again what failed, was not reached or came since: retry, resubmission, reload of input, reactivation.

Knows files of tasks and who makes jobs of them; does not know jobs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.states import TaskStatus
from core.taskengine.commands import fruitless, share_and_priority
from core.taskengine.commands.answers import Done
from core.taskengine.commands.children import retry_children
from core.taskengine.commands.fruitless import MAX_FAILED_RETRIES
from core.taskengine.commands.going_on import go_on, list_what_was_not, reopen, reopen_failed
from core.taskengine.commands.holding import release_jobs
from core.taskengine.commands.locking import LockedTask
from core.taskengine.commands.new_parameters import take_over
from core.taskengine.commands.preprocess_first import preprocess_first
from core.taskengine.dialects.reading import definition_of
from core.taskengine.making.contents import feed_contents, waits_for_feeder
from core.taskengine.making.generation import generate_jobs
from core.taskengine.making.progress import recount
from core.taskengine.making.reopened import ALL, FAILED
from core.taskengine.on_tape import hold_opened
from core.taskengine.parents import follow_again
from core.taskengine.status import wake
from core.taskengine.tape import leave_out

MORE_ATTEMPTS_IN = frozenset({TaskStatus.RUNNING, TaskStatus.SCOUTING, TaskStatus.PENDING})
"""Where a retry gives what failed more attempts instead (client-wire.md 5.3)."""
RETRY_ATTEMPTS = 5

# ix_task_files_status, primary key of task_datasets; `tried_only`: what was never tried keeps its limit
_MORE_ATTEMPTS = """
UPDATE task_files f SET status = CASE WHEN f.status = 'failed' THEN 'ready' ELSE f.status END,
                        max_attempt = greatest(f.max_attempt, f.attempt_nr) + %(increase)s, failed_attempt = 0
FROM task_datasets d
WHERE f.jedi_task_id = %(task_id)s AND f.status IN ('ready', 'running', 'failed')
  AND (f.status = 'failed' OR f.attempt_nr > 0 OR NOT %(tried_only)s)
  AND (%(only_jobs)s::bigint[] IS NULL OR f.panda_id = ANY(%(only_jobs)s::bigint[]))
  AND d.dataset_id = f.dataset_id AND d.type IN ('input', 'pseudo_input', 'merge_input')
"""

# ix_task_datasets_task, ix_task_files_dataset; what is made anew is merged anew
_FORGET_MERGES = """
DELETE FROM task_files f USING task_datasets d
WHERE d.jedi_task_id = %(task_id)s AND d.type = 'merge_input' AND f.dataset_id = d.dataset_id AND f.status <> 'running'
"""
# primary key; what maxNumJobs counts
_FROM_BEGINNING = "UPDATE tasks SET n_pieces = 0 WHERE jedi_task_id = %(task_id)s"

# ix_task_files_status
_READY = """
SELECT 1 FROM task_files f JOIN task_datasets d USING (dataset_id)
WHERE f.jedi_task_id = %(task_id)s AND f.status = 'ready' AND (d.is_master OR d.type = 'merge_input') LIMIT 1
"""


def retry(
    task: LockedTask,
    *,
    max_failed_retries: int = MAX_FAILED_RETRIES,
    ignores_limits: bool = False,
    only_jobs: Sequence[int] | None = None,
    sole: bool = False,
    keep: bool = False,
    staged: bool = False,
) -> Done:
    """Open failed and cancelled files again and make jobs of them; with `only_jobs` those that one of these jobs had last.

    Of a task under way the failed files get more attempts. A task that `max_failed_retries` retries in a row did not help
    is exhausted instead, unless `ignores_limits`. Children that wait for a person or have ended are taken up again too,
    unless the task alone is meant (`sole`); share and priority are those of the submission again, unless `keep`. `staged`:
    what is still on tape is not waited for, and left out.
    """
    if task.status in MORE_ATTEMPTS_IN:
        _leave_out_tape(task, staged)
        more_attempts(task, RETRY_ATTEMPTS, tried_only=True, only_jobs=only_jobs)
        return Done(message=f"retry has been triggered for failed jobs while the task is still {task.status}")
    if (
        task.status is not TaskStatus.EXHAUSTED
        and not ignores_limits
        and fruitless.failed_retries(task) >= max_failed_retries
    ):
        return Done(note=fruitless.exhaust(task))
    reason = f"retried by {task.issuer.user_name}"
    first = preprocess_first(task, reason)
    if first is None and not _opens_anything(task, only_jobs, staged):
        return Done(note="nothing is left to retry")
    fruitless.begin_retry(task)
    if not keep:
        share_and_priority.reset(task)
    done = first or go_on(task, (TaskStatus.TORETRY,), reason)
    children = "" if sole else retry_children(task, keeps_share=keep)
    return Done("; ".join(filter(None, (done.note, children))))


def _opens_anything(task: LockedTask, only_jobs: Sequence[int] | None, staged: bool) -> bool:
    """Open what failed; whether there is something to go on with."""
    follows = follow_again(task.transaction, task.task_id)
    opened = reopen_failed(task, only_jobs) or (0 if follows else list_what_was_not(task))
    opened -= _leave_out_tape(task, staged)
    waits = follows or waits_for_feeder(task.transaction, task.task_id)
    return bool(opened or waits) or _was_held_back(task)


def _leave_out_tape(task: LockedTask, staged: bool) -> int:
    count = leave_out(task.transaction, task.task_id) if staged else 0
    if count:
        recount(task.transaction, task.task_id)
        wake(task.transaction, task.task_id)
    return count


def resubmit(task: LockedTask, new_parameters: dict[str, Any], *, prefix: str = "") -> Done:
    """Go on with what failed or is new, under other parameters (client-wire.md 5.3).

    Raises InvalidInput or UnknownObject naming the parameter, with `prefix` before it.
    """
    definition = take_over(task, new_parameters, prefix=prefix)
    fruitless.forget_retries(task)
    names = ", ".join(sorted(new_parameters))
    reason = f"resubmitted by {task.issuer.user_name} with {names}"
    if preprocess_first(task, reason) is None:
        follow_again(task.transaction, task.task_id)
        feed_contents(task.transaction, task.task_id, again=True)
        reopen(task, FAILED, definition.max_attempt)
        go_on(task, (TaskStatus.TOINCEXEC, TaskStatus.REREFINE), reason)
    return Done(
        message=f"reactivation accepted. jediTaskID={task.task_id} (currently in {task.status} state) "
        "will be re-executed with old and/or new input"
    )


def incexec(task: LockedTask) -> Done:
    """Look up the input datasets again; new files and what failed become jobs. Without either nothing changes."""
    if (first := preprocess_first(task, f"input loaded again by {task.issuer.user_name}")) is not None:
        return first
    follows = follow_again(task.transaction, task.task_id)
    fed = feed_contents(task.transaction, task.task_id, again=True)
    if not fed.rows + reopen_failed(task) and fed.is_complete and not follows:
        return Done(note="no new input, and nothing is left to retry")
    fruitless.forget_retries(task)
    reason = f"input loaded again by {task.issuer.user_name}, {fed.rows} new files"
    return go_on(task, (TaskStatus.TOINCEXEC, TaskStatus.REREFINE), reason)


def reactivate(task: LockedTask, keep_attempt_nr: bool = False) -> Done:
    """Process all input once more, as if nothing had been done; what live jobs have goes on."""
    if (first := preprocess_first(task, f"reactivated by {task.issuer.user_name}")) is not None:
        release_jobs(task)
        return first
    follow_again(task.transaction, task.task_id)
    task.execute(_FORGET_MERGES)
    fruitless.forget_retries(task)
    if not reopen(task, ALL, definition_of(task.row).max_attempt, keeps_attempts=keep_attempt_nr):
        list_what_was_not(task)
    if not keep_attempt_nr:
        task.execute(_FROM_BEGINNING)
    done = go_on(task, (), f"reactivated by {task.issuer.user_name}")
    release_jobs(task)
    return done


def more_attempts(
    task: LockedTask, increase: int, *, tried_only: bool = False, only_jobs: Sequence[int] | None = None
) -> int:
    """Raise the limit of attempts of all input that is not through, open what failed; returns how many files.

    `tried_only`: only of what was tried before; what failed was. `only_jobs`: only of what one of these jobs had last.
    """
    only = None if only_jobs is None else list(only_jobs)
    count = task.execute(_MORE_ATTEMPTS, increase=increase, tried_only=tried_only, only_jobs=only)
    hold_opened(task.transaction, task.row)
    recount(task.transaction, task.task_id)
    if task.status is not TaskStatus.PENDING:
        generate_jobs(task.transaction, task.task_id)
    return count


def _was_held_back(task: LockedTask) -> bool:
    """Whether an exhausted task has input that the system only did not go on with: a retry accepts what it objected to."""
    found = task.transaction.fetch_one(_READY, {"task_id": task.task_id})
    return task.status is TaskStatus.EXHAUSTED and (found is not None or bool(task.jobs))
