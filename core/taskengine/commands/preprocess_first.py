"""What taking a task up again means while its definition is still to be worked out. Knows no job."""

from __future__ import annotations

from core.taskengine.commands.answers import Done
from core.taskengine.commands.locking import LockedTask
from core.taskengine.dialects.reading import definition_of
from core.taskengine.preprocessing_marker import preprocess_again


def preprocess_first(task: LockedTask, reason: str) -> Done | None:
    """Bring the task back to its preprocessing; None when that is over, or was not asked for. Whoever asks does no more then.

    A task whose definition is there is never preprocessed again, whatever is done with it.
    """
    attempts = definition_of(task.row).max_attempt
    if not preprocess_again(task.transaction, task.row, attempts, who=task.issuer.user_name, reason=reason):
        return None
    return Done("a job works out its definition first")
