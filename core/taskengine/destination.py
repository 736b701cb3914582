"""Whether a task waits for a storage endpoint that collects its outputs (a nucleus), and which may be named. Knows no rule
of task brokerage, which chooses one (core.taskbrokerage).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.brokerage.facts import read_queues
from core.database import Row, Transaction
from core.errors import InvalidInput, UnknownObject
from core.states import TaskStatus
from core.task_ends import is_set
from core.taskengine.dialects import fields
from core.taskengine.dialects.reading import effective_parameters
from core.taskengine.status import change_status, lock_task

COLLECTED_LABEL = "managed"
"""prodSourceLabel of the tasks whose outputs are collected: production, no user's."""

_STAYS = "stayOutputOnSite"

# a short table
_ANY_NUCLEUS = "SELECT 1 FROM storage_endpoints WHERE is_nucleus LIMIT 1"
# primary key
_ENDPOINT = "SELECT is_nucleus FROM storage_endpoints WHERE name = %(name)s"
_SET = "UPDATE tasks SET nucleus = %(nucleus)s WHERE jedi_task_id = %(id)s"


def listed(transaction: Transaction, task_id: int, *, who: str, reason: str) -> TaskStatus:
    """Bring a task whose input is listed to where it goes on, and return that: `assigning` if its destination must be
    chosen before jobs are made, else `ready`. Raises what `change_status` raises.
    """
    task = lock_task(transaction, task_id)
    if not awaits_destination(transaction, task):
        change_status(transaction, task_id, TaskStatus.READY, who=who, reason=reason)
        return TaskStatus.READY
    if task["status"] in (TaskStatus.REGISTERED, TaskStatus.STAGED):
        change_status(transaction, task_id, TaskStatus.DEFINED, who=who, reason=reason)
    change_status(transaction, task_id, TaskStatus.ASSIGNING, who=who, reason=reason)
    return TaskStatus.ASSIGNING


def awaits_destination(transaction: Transaction, task: Row) -> bool:
    """Whether a nucleus must be chosen for a task: for production that names none, does not keep its outputs where they are
    made (stayOutputOnSite) and has made no job of its input yet, where there are any. What has begun goes on as it began.
    """
    if task["prod_source_label"] != COLLECTED_LABEL or task["nucleus"] or task["n_pieces"]:
        return False
    if is_set(effective_parameters(task), _STAYS):
        return False
    return transaction.fetch_one(_ANY_NUCLEUS) is not None


def check_nucleus(transaction: Transaction, name: str, field: str) -> None:
    """Raise UnknownObject naming `field` unless outputs of tasks may be collected at a storage endpoint of this name."""
    endpoint = transaction.fetch_one(_ENDPOINT, {"name": name})
    if endpoint is None or not endpoint["is_nucleus"]:
        what = "there is no storage endpoint" if endpoint is None else "no outputs are collected at"
        raise UnknownObject(
            f"{what} {name[:100]!r}", field=field, remedy="see is_nucleus in GET /api/control/endpoints"
        )


def named_nucleus(transaction: Transaction, parameters: Mapping[str, Any], label: str) -> str:
    """The nucleus that a task to be names; empty where it names none.

    Raises InvalidInput for work that is no production, and UnknownObject for what is no nucleus.
    """
    name = fields.text(parameters, "nucleus", limit=200).strip()
    if name and label != COLLECTED_LABEL:
        raise InvalidInput(
            "only outputs of production tasks are collected", field="nucleus", remedy="submit without it"
        )
    if name and is_set(parameters, _STAYS):
        raise InvalidInput(
            "outputs cannot stay where they are made and be collected",
            field=_STAYS,
            remedy="leave it out, or the nucleus",
        )
    if name:
        check_nucleus(transaction, name, "nucleus")
    return name


def set_nucleus(transaction: Transaction, task_id: int, name: str) -> None:
    """Where jobs of a task that are activated from now on store outputs and logs; empty: at the storage of their queue."""
    transaction.execute(_SET, {"id": task_id, "nucleus": name})


def move_outputs(transaction: Transaction, task: Row, *, site: str, nucleus: str) -> None:
    """Have the outputs of a task collected elsewhere when it is moved to a queue or a nucleus; either may be empty.

    A queue that cannot store them where they were collected keeps them, unless another nucleus is named. Raises InvalidInput
    for a nucleus of what is no production, or one that the queue cannot write to, UnknownObject for what is no nucleus.
    """
    name = named_nucleus(transaction, {"nucleus": nucleus}, task["prod_source_label"])
    if site and (name or task["nucleus"]) and not _can_write_to(transaction, site, name or task["nucleus"]):
        if name:
            raise InvalidInput(
                f"queue {site} does not write to {name}",
                field="nucleus",
                remedy="set write_wan of the queue, or name another",
            )
        set_nucleus(transaction, task["jedi_task_id"], "")
    elif name:
        set_nucleus(transaction, task["jedi_task_id"], name)


def _can_write_to(transaction: Transaction, queue_name: str, nucleus: str) -> bool:
    """Whether jobs at a queue may store outputs at a nucleus."""
    queues = {queue.queue_name: queue for queue in read_queues(transaction)}
    return queue_name in queues and queues[queue_name].writes_to(nucleus)
