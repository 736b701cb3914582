"""Holds, releases and moves tasks: pause, resume, release, avalanche, reassign. Knows jobs only as far as they wait."""

from __future__ import annotations

from core.errors import InvalidInput
from core.queues import check_queue_exists
from core.states import AWAITING_PILOT, TASK_HOLDS, JobStatus, TaskStatus
from core.taskengine.commands.answers import Done, counted
from core.taskengine.commands.holding import hold_jobs, release_jobs
from core.taskengine.commands.locking import LockedTask
from core.taskengine.commands.preprocess_first import preprocess_first
from core.taskengine.commands.stopping import end_jobs_of
from core.taskengine.destination import listed, move_outputs
from core.taskengine.making.contents import feed_contents, waits_for_feeder
from core.taskengine.making.generation import generate_jobs
from core.taskengine.making.streams import FOLLOWS_PARENT
from core.taskengine.scouting.verdicts import skip_scouts
from core.taskengine.status import change_status
from core.taskengine.tape import go_on

REASSIGNED = 51
"""Kill code (server-api.md 5.4): closed, its input is processed again."""
MODES = ("kill", "soft", "nokill")

# primary key
_ASK_AGAIN = "UPDATE jobs_live SET brokerage_time = NULL WHERE panda_id = ANY(%(panda_ids)s)"
_MOVE = """
UPDATE tasks SET site = %(site)s, parameters = parameters || %(changes)s::jsonb, modification_time = clock_timestamp()
WHERE jedi_task_id = %(task_id)s
"""
# ix_task_datasets_task
_FOLLOWS = "SELECT 1 FROM task_datasets WHERE jedi_task_id = %(id)s AND status = %(status)s"
# primary key; a hold that was held on goes back to where it came from
_KEEP_WAY_BACK = """
UPDATE tasks SET old_status = %(old_status)s, next_try_time = %(next_try_time)s WHERE jedi_task_id = %(task_id)s
"""


def pause(task: LockedTask) -> Done:
    """Hold a task: jobs that wait for a pilot are throttled, no queue is chosen for others, no further ones are made."""
    _change(task, TaskStatus.PAUSED, "paused")
    count = hold_jobs(task)
    return Done(counted(count, "waiting job", "held")) if count else Done()


def resume(task: LockedTask) -> Done:
    """Let a task go on from the state it was held in."""
    if task.status is TaskStatus.STAGING:
        who = task.issuer.user_name
        go_on(task.transaction, task.task_id, who=who, reason=f"not waiting for tape any longer, told by {who}")
        return Done("what has arrived is gone on with, the rest follows as it arrives")
    _change(task, TaskStatus(task.row["old_status"] or TaskStatus.RUNNING), "resumed")
    count = release_jobs(task)
    _ask_brokerage_again(task)
    generate_jobs(task.transaction, task.task_id)
    return Done(counted(count, "job", "released")) if count else Done()


def release(task: LockedTask) -> Done:
    """Ask brokerage at once for jobs that no queue could take; a pending task looks for input again and goes on.

    One that waits for its parent goes on if there is input by now.
    """
    count = _ask_brokerage_again(task)
    if task.status is TaskStatus.PENDING and preprocess_first(task, f"released by {task.issuer.user_name}") is None:
        fed = feed_contents(task.transaction, task.task_id, further=True)
        if fed.rows or task.transaction.fetch_one(_FOLLOWS, {"id": task.task_id, "status": FOLLOWS_PARENT}) is None:
            listed_later = not fed.is_complete and waits_for_feeder(task.transaction, task.task_id)
            before = TaskStatus(task.row["old_status"] or TaskStatus.READY)
            who = task.issuer.user_name
            if before is TaskStatus.DEFINED and not listed_later:
                # what was still being listed is listed now: no feeder comes by
                listed(task.transaction, task.task_id, who=who, reason=f"released by {who}")
            else:
                _change(task, TaskStatus.DEFINED if listed_later else before, "released")
            generate_jobs(task.transaction, task.task_id)
    return Done(counted(count, "job", "looked at again")) if count else Done()


def avalanche(task: LockedTask) -> Done:
    """Make all jobs without waiting for the rest of the scouts."""
    skip_scouts(task.transaction, task.task_id, task.issuer.user_name)
    for status in (TaskStatus.SCOUTED, TaskStatus.RUNNING):
        _change(task, status, "avalanche asked for")
    return Done(counted(len(generate_jobs(task.transaction, task.task_id)), "job", "made"))


def reassign(
    task: LockedTask,
    site: str | None = None,
    cloud: str | None = None,
    nucleus: str | None = None,
    mode: str | None = None,
) -> Done:
    """Move a task to a queue, or free it from its queue within a cloud or nucleus.

    `mode`: kill (all jobs, the default), soft (those that no pilot has), nokill (only new jobs go there).
    A nucleus is a storage endpoint where outputs of tasks are collected: those of the jobs that are made again go there.
    Raises InvalidInput, and UnknownObject for a queue that does not exist and for what is no nucleus.
    """
    if not (site or cloud or nucleus):
        raise InvalidInput("no destination", field="site", remedy="name a site, a cloud or a nucleus")
    if mode not in (None, "", *MODES):
        raise InvalidInput(f"unknown mode {mode[:50]!r}", field="mode", remedy="one of " + ", ".join(MODES))
    if site:
        check_queue_exists(task.transaction, site, "site")
    move_outputs(task.transaction, task.row, site=site or "", nucleus=nucleus or "")
    given = {"site": site or None, "cloud": cloud, "nucleus": nucleus}
    changes = {name: value for name, value in given.items() if value or name == "site"}
    task.execute(_MOVE, site=site or "", changes=changes)
    where = ", ".join(f"{name} {value}" for name, value in changes.items() if value)
    _change(task, TaskStatus.TOREASSIGN, f"moved to {where}")
    panda_ids = {"soft": task.jobs_in(AWAITING_PILOT), "nokill": []}.get(mode or "kill", task.panda_ids)
    # at once: the input of these jobs goes to the new place in this transaction; their pilots are told with their next report
    count = end_jobs_of(task, panda_ids, REASSIGNED, f"task {task.task_id} moved to {where}", at_once=True)
    # what waited for a nucleus has one; what is held goes on to its jobs when it is let go
    waited = task.status is TaskStatus.PENDING and task.row["old_status"] == TaskStatus.ASSIGNING
    goes_on = bool(nucleus) and (waited or task.status is TaskStatus.ASSIGNING)
    _change(task, TaskStatus.READY if goes_on else task.status, f"moved to {where}")
    if task.status in TASK_HOLDS and not goes_on:
        task.execute(_KEEP_WAY_BACK, old_status=task.row["old_status"], next_try_time=task.row["next_try_time"])
    generate_jobs(task.transaction, task.task_id)
    return Done(counted(count, "job", "made again")) if count else Done()


def _ask_brokerage_again(task: LockedTask) -> int:
    return task.execute(_ASK_AGAIN, panda_ids=task.jobs_in({JobStatus.DEFINED}))


def _change(task: LockedTask, status: TaskStatus, what: str) -> None:
    who = task.issuer.user_name
    change_status(task.transaction, task.task_id, status, who=who, reason=f"{what} by {who}")
