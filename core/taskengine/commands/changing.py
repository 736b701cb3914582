"""Changes of single attributes of tasks and of their jobs that still wait, accepted in every state. Knows no command.

Every function returns how many tasks were changed: 0 when there is none of this id.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from core.database import Database
from core.errors import InvalidInput, Unavailable
from core.resource_types import resource_type
from core.shares.editing import check_share_exists
from core.states import AWAITING_PILOT, TaskStatus
from core.taskbuffer.submission import JOB_LIMITS
from core.taskengine.commands.locking import Issuer, JobsCameMeanwhile, LockedTask, lock_task_with_jobs
from core.taskengine.commands.reopening import more_attempts
from core.taskengine.dialects.definition import Needs
from core.taskengine.dialects.panda import is_panda_dialect
from core.taskengine.dialects.reading import definition_of
from core.taskengine.dialects.split_rules import CHANGEABLE_TAGS, SPLIT_RULE_TAGS
from core.taskengine.status import lock_task
from core.text import clean

_TRIES = 5
_MAX_INCREASE = 1000
_MAX_HOURS = 24 * 365 * 10
_MAX_SHARE = 100

ATTRIBUTES: dict[str, tuple[str, str, tuple[int, int]]] = {
    "ramCount": ("ram_count", "ramCount", JOB_LIMITS["minRamCount"]),
    "wallTime": ("wall_time_s", "maxWalltime", JOB_LIMITS["maxWalltime"]),
    "cpuTime": ("cpu_time", "cpuTime", (0, 10**12)),
    "coreCount": ("core_count", "coreCount", JOB_LIMITS["coreCount"]),
}
"""Changeable attributes, in upstream's order: our column, the parameter that new jobs obey, smallest and largest value."""

INCREASABLE_IN = frozenset({TaskStatus.RUNNING, TaskStatus.SCOUTING, TaskStatus.READY})


def _on_task(database: Database, task_id: int, work: Callable[[LockedTask], object]) -> int:
    nobody = Issuer("")
    for _ in range(_TRIES):
        try:
            with database.transaction() as transaction:
                task = lock_task_with_jobs(transaction, task_id, nobody)
                if task is not None:
                    work(task)
                return 0 if task is None else 1
        except JobsCameMeanwhile:
            continue
    raise Unavailable(f"task {task_id} makes jobs faster than it can be locked", remedy="try again")


# primary keys throughout: the task that is locked, and its live jobs
_PRIORITY = """
UPDATE tasks SET current_priority = %(priority)s,
                 task_priority = CASE WHEN %(for_good)s THEN %(priority)s ELSE task_priority END,
                 modification_time = clock_timestamp()
WHERE jedi_task_id = %(task_id)s
"""
_PRIORITY_OF_JOBS = "UPDATE jobs_live SET current_priority = %(priority)s WHERE panda_id = ANY(%(panda_ids)s)"


def change_priority(database: Database, task_id: int, priority: int) -> int:
    """Set the priority of a task and of its live jobs. Raises InvalidInput."""
    _check_range("priority", priority, JOB_LIMITS["currentPriority"])

    return _on_task(database, task_id, lambda task: set_priority(task, priority))


def set_priority(task: LockedTask, priority: int, *, for_good: bool = True) -> None:
    """The same for a task that is locked; not `for_good`: a retry gives it back what it had before."""
    task.execute(_PRIORITY, priority=priority, for_good=for_good)
    task.execute(_PRIORITY_OF_JOBS, priority=priority, panda_ids=task.panda_ids)


_ATTRIBUTE = """
UPDATE tasks SET {column} = %(value)s, split_rule = split_rule || jsonb_build_object(%(name)s::text, %(given)s::bigint),
                 modification_time = clock_timestamp()
WHERE jedi_task_id = %(task_id)s
"""
# build and merge jobs run on one core, whatever the others need; a file that ran out of memory keeps what it was given
_WAITING_RUN_JOBS = """
SELECT j.panda_id, coalesce(max(f.ram_mb), 0) AS raised_mb FROM jobs_live j
LEFT JOIN task_files f ON f.panda_id = j.panda_id AND f.status = 'running'
WHERE j.panda_id = ANY(%(panda_ids)s) AND j.job_index > 0 AND j.processing_type <> 'pmerge' GROUP BY j.panda_id
"""
_NEEDS_OF_JOBS = """
UPDATE jobs_live j SET core_count = %(cores)s, min_ram_mb = n.min_ram_mb, resource_type = n.resource_type
FROM unnest(%(ids)s::bigint[], %(rams)s::bigint[], %(types)s::text[]) AS n (panda_id, min_ram_mb, resource_type)
WHERE j.panda_id = n.panda_id
"""
_WALLTIME_OF_JOBS = "UPDATE jobs_live SET max_walltime_s = %(walltime)s WHERE panda_id = ANY(%(panda_ids)s)"


def change_attribute(database: Database, task_id: int, name: str, value: int) -> int:
    """Set one of ATTRIBUTES; jobs that no pilot has had yet obey it too. Raises InvalidInput, also for a contradiction.

    `value`: MB (per core where the task counts so), seconds, HS06 seconds per event, or cores.
    """
    if name not in ATTRIBUTES:
        raise InvalidInput(f"{name[:50]} is not a valid attribute. Valid attributes are {list(ATTRIBUTES)}")
    column, parameter, limits = ATTRIBUTES[name]
    _check_range("value", value, limits)

    def change(task: LockedTask) -> None:
        # real clients give the longest time in hours (client-wire.md 4.4)
        is_in_hours = name == "wallTime" and is_panda_dialect(task.row["parameters"])
        given = -(-value // 3600) if is_in_hours else value
        task.execute(_ATTRIBUTE.format(column=column), name=parameter, given=given, value=value)
        needs = definition_of(lock_task(task.transaction, task_id)).needs
        waiting = task.jobs_in(AWAITING_PILOT)
        if name == "wallTime":
            task.execute(_WALLTIME_OF_JOBS, walltime=value, panda_ids=waiting)
        elif name != "cpuTime":
            _need(task, waiting, needs)

    return _on_task(database, task_id, change)


def _need(task: LockedTask, panda_ids: list[int], needs: Needs) -> None:
    """Let run jobs among these ask for the cores and memory that new ones would."""
    waiting = task.transaction.fetch(_WAITING_RUN_JOBS, {"panda_ids": panda_ids})
    rams = [max(needs.ram_mb, job["raised_mb"] * needs.core_count) for job in waiting]
    task.execute(
        _NEEDS_OF_JOBS,
        ids=[job["panda_id"] for job in waiting],
        cores=needs.core_count,
        rams=rams,
        types=[resource_type(needs.core_count, ram) for ram in rams],
    )


_SPLIT_RULE = """
UPDATE tasks SET split_rule = split_rule || %(rule)s::jsonb, modification_time = clock_timestamp()
WHERE jedi_task_id = %(task_id)s
"""


def change_split_rule(database: Database, task_id: int, tag: str, value: str) -> int:
    """Set a changeable splitting rule, by its code or its name, for jobs made from now on.

    Raises InvalidInput, also for one that the task cannot obey.
    """
    names = {SPLIT_RULE_TAGS[known]: known for known in CHANGEABLE_TAGS}
    tag = names.get(tag, tag)
    if tag not in CHANGEABLE_TAGS:
        raise InvalidInput(f"{tag[:50]} is not a valid attribute. Valid attributes are {list(CHANGEABLE_TAGS)}")
    if not value or len(value) > 100 or any(sign in value for sign in ",=\n"):
        raise InvalidInput(f"{value[:50]!r} is no value of a rule", field="value", remedy="a number or a word")
    is_number = value.strip().lstrip("-").isdecimal() and len(value) <= 18
    if tag in ("MF", "NF", "NG", "CC", "ES", "EC", "NJ", "TW") and not (is_number and int(value) >= 0):
        raise InvalidInput(f"{value[:50]!r} is no number", field="value", remedy="a whole number, 0 or more")
    rule: dict[str, Any] = {SPLIT_RULE_TAGS[tag]: int(value) if is_number else value.strip()}

    def change(task: LockedTask) -> None:
        task.execute(_SPLIT_RULE, rule=rule)
        definition_of(lock_task(task.transaction, task_id))

    return _on_task(database, task_id, change)


_TIME = """
UPDATE tasks SET modification_time = clock_timestamp() + make_interval(hours => %(hours)s::int)
WHERE jedi_task_id = %(task_id)s
"""


def change_modification_time(database: Database, task_id: int, hours: int) -> int:
    """Set the time of the last change to now plus `hours`, which may be negative. Raises InvalidInput."""
    _check_range("hour_offset", hours, (-_MAX_HOURS, _MAX_HOURS))
    return _on_task(database, task_id, lambda task: task.execute(_TIME, hours=hours))


_SHARE = """
UPDATE tasks SET gshare = %(share)s, modification_time = clock_timestamp() WHERE jedi_task_id = %(task_id)s
"""
_SHARE_OF_JOBS = "UPDATE jobs_live SET gshare = %(share)s WHERE panda_id = ANY(%(panda_ids)s)"


def reassign_global_share(database: Database, task_ids: list[int], share: str, *, running_too: bool) -> int:
    """Put tasks and their waiting jobs (`running_too`: all live ones) under another share.

    Raises InvalidInput, and UnknownObject or Conflict when there is a tree and no leaf of that name.
    """
    if not share or clean(share, _MAX_SHARE) != share:
        raise InvalidInput("empty or not the name of a share", field="share", remedy=f"at most {_MAX_SHARE} characters")
    check_share_exists(database, share, "share")
    return sum(
        _on_task(database, task_id, lambda task: put_into_share(task, share, running_too=running_too))
        for task_id in sorted(set(task_ids))
    )


def put_into_share(task: LockedTask, share: str, *, running_too: bool) -> None:
    """The same for a task that is locked, and a share that is there."""
    task.execute(_SHARE, share=share)
    panda_ids = task.panda_ids if running_too else task.jobs_in(AWAITING_PILOT)
    task.execute(_SHARE_OF_JOBS, share=share, panda_ids=panda_ids)


def increase_attempts(database: Database, task_id: int, increase: int) -> tuple[int, str]:
    """Let every file of a task that is not through be tried `increase` times more; code and message for the caller.

    0 done, 1 unknown task, 2 not in this status (client-wire.md 5.2, server-api.md 5.6). Raises InvalidInput.
    """
    if not 0 <= increase <= _MAX_INCREASE:
        raise InvalidInput(f"increase must be a positive integer, got {increase}", remedy=f"at most {_MAX_INCREASE}")
    answer: list[tuple[int, str]] = []

    def change(task: LockedTask) -> None:
        status = TaskStatus(task.row["status"])
        before = TaskStatus(task.row["old_status"]) if task.row["old_status"] else status
        if not {status, before} & INCREASABLE_IN:
            answer.append((2, f"command rejected since status={status}"))
            return
        answer.append((0, f"increased attemptNr for {more_attempts(task, increase)} inputs ({status})"))

    _on_task(database, task_id, change)
    return answer[0] if answer else (1, f"jediTaskID={task_id} not found")


def _check_range(name: str, value: int, limits: tuple[int, int]) -> None:
    lowest, highest = limits
    if not lowest <= value <= highest:
        raise InvalidInput(f"{value} is out of range", field=name, remedy=f"between {lowest} and {highest}")
