"""What the retry of a task means for those that read what it makes: they are taken up again, and follow it.

Knows parents and children by the ids in their rows; which datasets they share does not matter here.
"""

from __future__ import annotations

from collections.abc import Iterator

from core.errors import PandaError, Unavailable
from core.states import FINAL_TASK_STATUSES, TaskStatus
from core.taskengine.commands import fruitless, share_and_priority
from core.taskengine.commands.answers import counted
from core.taskengine.commands.going_on import go_on, reopen_failed
from core.taskengine.commands.locking import LockedTask
from core.taskengine.commands.preprocess_first import preprocess_first
from core.taskengine.following import hold_until_it_comes, say
from core.taskengine.parents import follow_again
from core.taskengine.preprocessing_marker import is_to_be_preprocessed

_RETRIED_FROM = frozenset({TaskStatus.FINISHED, TaskStatus.FAILED})
_WAITS = "waiting for what the parent task makes now"
_LEFT_ALONE = frozenset(
    {
        *(TaskStatus.ABORTED, TaskStatus.BROKEN, TaskStatus.TOBROKEN),
        *(TaskStatus.ABORTING, TaskStatus.TOABORT, TaskStatus.FINISHING, TaskStatus.PASSED),
    }
)
"""What somebody ended, or nobody can take up."""


def retry_children(task: LockedTask, *, keeps_share: bool) -> str:
    """Take up the children of a task that was just retried, theirs likewise, and say what became of them.

    Those that had ended open what failed and wait for what the parent makes now; those under way, and those that wait for
    a person, take it as well. Tasks of others are theirs to retry, unless production asks. One that cannot go on is named
    and keeps nobody from it.
    """
    taken, refused = 0, []
    for child in _in_order(task):
        try:
            with child.transaction.savepoint():
                taken += _take_up(child, task.task_id, keeps_share=keeps_share)
        except Unavailable:
            raise
        except PandaError as error:
            refused.append(f"task {child.task_id} is left as it is: {error.detail}")
    said = [counted(taken, "child task", "taken up again")] if taken else []
    return "; ".join([*said, *refused])


def _in_order(task: LockedTask) -> Iterator[LockedTask]:
    """Children before theirs, as each follows its parent only once that works; none below one that is left alone."""
    below: dict[int, list[LockedTask]] = {}
    for child in task.children:
        below.setdefault(int(child.row["parent_tid"]), []).append(child)
    parents = [task.task_id]
    for parent in parents:
        for child in below.get(parent, []):
            if child.status not in _LEFT_ALONE and _may(child):
                parents.append(child.task_id)
                yield child


def _may(child: LockedTask) -> bool:
    return child.issuer.is_production or child.row["user_name"] == child.issuer.user_name


def _take_up(child: LockedTask, root: int, *, keeps_share: bool) -> bool:
    """Whether it had ended and goes on."""
    reason = f"task {root} above it was retried by {child.issuer.user_name}"
    if is_to_be_preprocessed(child.transaction, child.task_id):
        return child.status in FINAL_TASK_STATUSES and preprocess_first(child, reason) is not None
    follows = follow_again(child.transaction, child.task_id)
    if child.status not in FINAL_TASK_STATUSES:
        return False
    if not keeps_share:
        share_and_priority.reset(child)
    fruitless.forget_retries(child)
    reopen_failed(child)
    is_retry = child.status in _RETRIED_FROM
    via = (TaskStatus.TORETRY,) if is_retry else (TaskStatus.TOINCEXEC, TaskStatus.REREFINE)
    go_on(child, via, reason)
    if follows and not child.row["n_files"]:
        hold_until_it_comes(child.transaction, child.task_id, reason=reason, dialog=_WAITS)
    elif follows:
        say(child.transaction, child.task_id, _WAITS)
    return True
