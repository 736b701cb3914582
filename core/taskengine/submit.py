"""Takes a task in: duplicates, the row, its input, its first jobs, all or nothing (client-wire.md 4.3). Knows no HTTP."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from core.accounts.admission import check_active_tasks, check_submission
from core.accounts.priorities import group_offset
from core.database import Database, Row, Transaction
from core.errors import Conflict, InvalidInput
from core.shares.tagging import ShareFacts, share_of
from core.states import TaskStatus
from core.taskengine.beginning import Beginner, begin
from core.taskengine.commands.going_on import REEXECUTABLE
from core.taskengine.destination import named_nucleus, set_nucleus
from core.taskengine.dialects import fields
from core.taskengine.dialects.definition import TaskDefinition
from core.taskengine.dialects.door import check_at_door
from core.taskengine.dialects.panda import is_panda_dialect
from core.taskengine.dialects.reading import read_definition
from core.taskengine.duplicates import find_duplicate, reexecute
from core.taskengine.named_queues import check_named_queues
from core.taskengine.scouting.gate import DEFAULT_SCOUTS
from core.taskengine.status import log_status
from core.text import clean
from core.workload_settings import ScoutSettings

NEW_TASK = 0
QUEUED = 1
ACTIVE = 2
REACTIVATED = 3
FAILED_TO_REGISTER = 4
TOO_MANY_TASKS = 10
NO_PARENT = 11
_MAX_PARAMETERS_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Submission:
    """What became of a submission: upstream's code and words, and the task it is about."""

    code: int
    message: str
    jedi_task_id: int | None = None

    @property
    def is_accepted(self) -> bool:
        """Whether there is a task now that does what was asked for."""
        return self.code in (NEW_TASK, REACTIVATED)


def submit_task(
    database: Database,
    parameters: dict[str, Any],
    *,
    user_name: str,
    vo: str,
    is_production: bool = False,
    has_group_role: bool = False,
    parent_tid: int | None = None,
    base_url: str = "",
    scouts: ScoutSettings = DEFAULT_SCOUTS,
) -> Submission:
    """Register a task and make its jobs, or take an ended one of the same name up again.

    `has_group_role`: who submits has the production role of the working group, which raises the priority where the group is
    privileged. `base_url` is where workers fetch the sandbox when the parameters do not say. Raises InvalidInput,
    UnknownObject or NotAllowed naming the parameter, and TooManyTasks (upstream's code 10); nothing is kept then.
    """
    _check_size(parameters)
    official = is_production and fields.flag(parameters, "official")
    with database.transaction() as transaction:
        if fields.flag(parameters, "uniqueTaskName"):
            present = find_duplicate(transaction, parameters, user_name="" if official else user_name, vo=vo)
            if present is not None:
                return _again(transaction, present, parameters, user_name, is_production=is_production)
        row = transaction.fetch_one("SELECT nextval('jedi_task_id_seq') AS id")
        assert row is not None
        task_id = int(row["id"])
        definition = read_definition(parameters, task_id=task_id, user_name=user_name, is_production=is_production)
        told = check_at_door(parameters, definition)
        definition = replace(definition, notes=(*definition.notes, *told))
        _check_account(transaction, user_name, definition.working_group, definition.label)
        if has_group_role:
            offset = group_offset(transaction, definition.working_group, definition.label)
            definition = replace(definition, priority=definition.priority + offset)
        check_named_queues(transaction, parameters, definition)
        if parent_tid is not None and _parent(transaction, parent_tid) is None:
            return Submission(NO_PARENT, f"parent task jediTaskID={parent_tid} not found")
        submitted = _Submitted(task_id, parameters, definition, user_name, definition.vo or vo, base_url)
        _insert_task(transaction, submitted, parent_tid)
        set_nucleus(transaction, task_id, named_nucleus(transaction, parameters, definition.label))
        log_status(transaction, task_id, "", TaskStatus.REGISTERED, who=user_name, reason="submitted")
        waits = not fields.flag(parameters, "noWaitParent")
        begin(transaction, Beginner(task_id, definition, user_name, parent_tid, waits_for_parent=waits), scouts)
    return Submission(NEW_TASK, f"succeeded. new jediTaskID={task_id}", task_id)


def _check_size(parameters: dict[str, Any]) -> None:
    if len(json.dumps(parameters, ensure_ascii=False, default=str)) > _MAX_PARAMETERS_BYTES:
        raise InvalidInput("larger than 64 MB", field="jobParameters", remedy="put the data into the sandbox")


def _again(
    transaction: Transaction, task: Row, parameters: dict[str, Any], user_name: str, *, is_production: bool
) -> Submission:
    """A task of the same name is there."""
    task_id, status, name = task["jedi_task_id"], TaskStatus(task["status"]), task["task_name"]
    if status in REEXECUTABLE:
        _check_account(transaction, user_name, task["working_group"], task["prod_source_label"])
        words = reexecute(transaction, task, parameters, user_name, is_production=is_production)
        return Submission(REACTIVATED, words, task_id)
    if status is TaskStatus.REGISTERED:
        words = f"jediTaskID={task_id} is already queued for outDS={name}. You cannot submit duplicated tasks. "
        return Submission(QUEUED, words, task_id)
    words = (
        f"jediTaskID={task_id} is in the {status} state for outDS={name}. You can re-submit the task with new "
        "parameters for the same or another input once it goes into finished/failed/done status. "
        "Or you can retry the task once it goes into running/finished/failed/done status. "
    )
    return Submission(ACTIVE, words, task_id)


def _check_account(transaction: Transaction, user_name: str, working_group: str, label: str) -> None:
    check_submission(transaction, user_name=user_name, working_group=working_group, label=label)
    check_active_tasks(transaction, user_name=user_name, working_group=working_group, label=label)


# primary key
_PARENT = "SELECT jedi_task_id, status FROM tasks WHERE jedi_task_id = %(id)s"


# primary keys; UNION, not UNION ALL, so that a circle ends
_ANCESTORS = """
WITH RECURSIVE line AS (
    SELECT parent_tid FROM tasks WHERE jedi_task_id = %(id)s AND parent_tid <> jedi_task_id
    UNION SELECT t.parent_tid FROM tasks t JOIN line l ON t.jedi_task_id = l.parent_tid WHERE t.parent_tid <> t.jedi_task_id
)
SELECT 1 FROM line WHERE parent_tid = %(id)s
"""


def _parent(transaction: Transaction, parent_tid: int | None) -> Row | None:
    """The parent, None when there is no such task. Raises Conflict when its own parents lead back to it."""
    if parent_tid is None:
        return None
    parent = transaction.fetch_one(_PARENT, {"id": parent_tid})
    if parent is not None and transaction.fetch_one(_ANCESTORS, {"id": parent_tid}) is not None:
        raise Conflict(
            f"the parents of task {parent_tid} lead back to it", field="parent_tid", remedy="choose another parent"
        )
    return parent


@dataclass(frozen=True)
class _Submitted:
    """Everything that the row of a new task is made of."""

    task_id: int
    parameters: dict[str, Any]
    definition: TaskDefinition
    user_name: str
    vo: str
    base_url: str


_INSERT_TASK = """
INSERT INTO tasks (jedi_task_id, req_id, parent_tid, task_name, task_type, status, user_name, vo, working_group,
                   prod_source_label, processing_type, task_priority, current_priority, core_count, ram_count, ram_unit,
                   wall_time_s, cpu_time, cpu_time_unit, site, parameters, split_rule, error_dialog, goal, campaign,
                   gshare)
VALUES (%(task_id)s, nextval('request_id_seq'), %(parent_tid)s, %(name)s, %(task_type)s, 'registered', %(user_name)s, %(vo)s,
        %(working_group)s, %(label)s, %(processing_type)s, %(priority)s, %(priority)s, %(core_count)s, %(ram_count)s,
        %(ram_unit)s, %(walltime_s)s, %(cpu_time)s, %(cpu_time_unit)s, %(site)s, %(parameters)s, %(split_rule)s,
        %(error_dialog)s, %(goal)s, %(campaign)s, %(gshare)s)
"""


def _insert_task(transaction: Transaction, submitted: _Submitted, parent_tid: int | None) -> None:
    definition = submitted.definition
    # where the sandbox is must be known to later jobs too, when no request says it
    split_rule = {} if definition.source_url or not submitted.base_url else {"sourceURL": submitted.base_url}
    transaction.execute(
        _INSERT_TASK,
        {
            "task_id": submitted.task_id,
            "parent_tid": parent_tid,
            "name": definition.name,
            "task_type": "prod" if definition.label == "managed" else "anal",
            "user_name": submitted.user_name,
            "vo": submitted.vo,
            "working_group": definition.working_group,
            "label": definition.label,
            "processing_type": definition.processing_type,
            "priority": definition.priority,
            "core_count": definition.needs.core_count,
            "ram_count": definition.ram_count or definition.needs.ram_mb,
            "ram_unit": definition.ram_unit,
            "walltime_s": definition.needs.walltime_s,
            "cpu_time": definition.needs.cpu_time,
            "cpu_time_unit": definition.cpu_time_unit,
            "site": definition.site,
            "parameters": submitted.parameters,
            "split_rule": split_rule if is_panda_dialect(submitted.parameters) else {},
            "error_dialog": clean("; ".join(definition.notes), 510),
            "goal": definition.goal,
            "campaign": fields.text(submitted.parameters, "campaign", limit=200),
            "gshare": share_of(transaction, _share_facts(submitted)),
        },
    )


def _share_facts(submitted: _Submitted) -> ShareFacts:
    definition = submitted.definition
    return ShareFacts(
        vo=submitted.vo,
        prod_source_label=definition.label,
        working_group=definition.working_group,
        campaign=fields.text(submitted.parameters, "campaign", limit=200),
        processing_type=definition.processing_type,
        trans_path=fields.text(submitted.parameters, "transPath"),
    )
