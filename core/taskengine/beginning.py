"""The way of a task from its registration to its first jobs (domain.md 3.3). Knows no account, no door and no HTTP.

Whoever adds a stop on this way adds it here: what must happen before the input is listed, and before jobs are made of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.database import Row, Transaction
from core.errors import Conflict
from core.states import TaskStatus
from core.taskengine.destination import listed
from core.taskengine.dialects.definition import TaskDefinition
from core.taskengine.making.contents import feed_contents
from core.taskengine.making.generation import generate_jobs
from core.taskengine.on_tape import ask_for_tape
from core.taskengine.open_input import is_input_to_come, wait_for_input
from core.taskengine.parents import PARENTS_THAT_STOP, PARENTS_THAT_WORK, wait_for_parent
from core.taskengine.preprocessing_marker import has_mark, leave_mark
from core.taskengine.scouting.gate import DEFAULT_SCOUTS
from core.taskengine.status import change_status, lock_task
from core.workload_settings import ScoutSettings

# primary key
_PARENT = "SELECT jedi_task_id, status FROM tasks WHERE jedi_task_id = %(id)s"


@dataclass(frozen=True)
class Beginner:
    """A task that is registered, and on whose behalf it goes on."""

    task_id: int
    definition: TaskDefinition
    who: str
    parent_tid: int | None = None
    waits_for_parent: bool = True
    """Whether it begins only when its parent has ended (not with noWaitParent)."""


def begin(transaction: Transaction, task: Beginner, scouts: ScoutSettings = DEFAULT_SCOUTS) -> None:
    """Look up the input of a registered task and make its first jobs, unless somebody must make that input first.

    Of a large task that is the beginning: the feeder goes on with its input, the generator with its jobs. Raises Conflict
    when its parent has failed, and what reading the input raises.
    """
    parent = _parent_of(transaction, task)
    if parent is not None and parent["status"] in PARENTS_THAT_STOP:
        raise Conflict(
            f"the parent {parent['jedi_task_id']} is {parent['status']}", field="parent_tid", remedy="retry it first"
        )
    if task.definition.preprocess is not None and not has_mark(transaction, task.task_id):
        leave_mark(transaction, task.task_id, task.definition)
        _become(transaction, task, TaskStatus.TOPREPROCESS, "a job works out its definition first")
        return
    if parent is not None and parent["status"] in PARENTS_THAT_WORK:
        _become(transaction, task, TaskStatus.READY, "its parent makes its input")
        wait_for_parent(transaction, task.task_id, waits=task.waits_for_parent)
        return
    if parent is None and is_input_to_come(transaction, task.definition):
        _become(transaction, task, TaskStatus.READY, "its input is to come")
        wait_for_input(transaction, task.task_id, task.definition)
        return
    if ask_for_tape(transaction, lock_task(transaction, task.task_id), task.definition):
        _become(transaction, task, TaskStatus.STAGING, "its input must come from tape")
        return
    list_input(transaction, task, scouts)


def list_input(transaction: Transaction, task: Beginner, scouts: ScoutSettings = DEFAULT_SCOUTS) -> None:
    """List the input of a task that need not wait for it any longer, and make jobs. Raises what reading the input raises."""
    fed = feed_contents(transaction, task.task_id)
    if not fed.is_complete:
        _become(transaction, task, TaskStatus.DEFINED, "its input is being listed")
        return
    listed(transaction, task.task_id, who=task.who, reason="its input is listed")
    generate_jobs(transaction, task.task_id, scouts=scouts)


def _parent_of(transaction: Transaction, task: Beginner) -> Row | None:
    return transaction.fetch_one(_PARENT, {"id": task.parent_tid}) if task.parent_tid is not None else None


def _become(transaction: Transaction, task: Beginner, status: TaskStatus, why: str) -> None:
    change_status(transaction, task.task_id, status, who=task.who, reason=why)
