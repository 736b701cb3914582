"""Commands on tasks: which is accepted in which state, by whom, and what it answers; the effects are in the modules it names.

Executed at once, in one transaction (upstream queues them for about a minute). Knows no HTTP.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from core.database import Database, Row
from core.errors import Unavailable
from core.states import TaskStatus
from core.taskengine.commands import reopening, steering, stopping
from core.taskengine.commands.answers import Done
from core.taskengine.commands.going_on import REEXECUTABLE
from core.taskengine.commands.locking import Issuer, JobsCameMeanwhile, lock_task_with_jobs

REGISTERED = 0
STILL_ACTIVE = 2
"""New parameters for a task that is under way (client-wire.md 4.3)."""
UNKNOWN = 2
REEXECUTED = 3
"""New parameters were taken."""
NOT_ALLOWED = 3
WRONG_STATUS = 4


@dataclass(frozen=True)
class Outcome:
    """What became of a command; `code` as in client-wire.md 5.2."""

    is_accepted: bool
    code: int
    message: str


@dataclass(frozen=True)
class Command:
    """A command, the states in which it is accepted and its effect."""

    name: str
    meaning: str
    accepted_in: frozenset[TaskStatus]
    effect: Callable[..., Done]
    """Called with the locked task and the options."""
    production_only_in: frozenset[TaskStatus] = frozenset()
    for_descendants_too: bool = False
    accepted_code: int = REGISTERED
    refused_code: int = WRONG_STATUS
    refused: str = "Command rejected: the {name} command is not accepted if the task is in {status} status "


_ALL = frozenset(TaskStatus)
_ENDED = frozenset({TaskStatus.FINISHED, TaskStatus.DONE, TaskStatus.BROKEN, TaskStatus.ABORTED, TaskStatus.FAILED})
_ENDING = frozenset({TaskStatus.PREPARED, TaskStatus.PASSED, TaskStatus.TOABORT, TaskStatus.TOBROKEN})
_CLOSING = frozenset({TaskStatus.ABORTING, TaskStatus.FINISHING})
_PASSED_THROUGH = frozenset(
    {
        *(TaskStatus.TORETRY, TaskStatus.TOINCEXEC, TaskStatus.REREFINE),
        *(TaskStatus.TOREASSIGN, TaskStatus.REASSIGNING),
    }
)
"""Where a task never rests here: commands are carried out at once."""
_HOLDABLE = _ALL - _ENDED - _ENDING - _CLOSING - _PASSED_THROUGH - {TaskStatus.PAUSED}
_STOPPABLE = _ALL - _ENDED - {TaskStatus.PREPARED, TaskStatus.TOABORT, TaskStatus.ABORTING}
_MOVABLE = frozenset(
    {
        *(TaskStatus.DEFINED, TaskStatus.ASSIGNING, TaskStatus.READY, TaskStatus.PENDING),
        *(TaskStatus.SCOUTING, TaskStatus.SCOUTED, TaskStatus.RUNNING),
    }
)
_MOVABLE_HELD = frozenset({TaskStatus.PAUSED, TaskStatus.THROTTLED, TaskStatus.MERGING, TaskStatus.EXHAUSTED})
"""Upstream takes a site in any state, as the task returns to where it was; here in those where jobs are or may come."""

COMMANDS: dict[str, Command] = {
    command.name: command
    for command in (
        Command("kill", "end it and all its jobs", _STOPPABLE, stopping.kill, for_descendants_too=True),
        Command("finish", "end it with what is done", _STOPPABLE, stopping.finish),
        Command(
            "retry",
            "open again what failed; under way, give what failed more attempts",
            frozenset({TaskStatus.FINISHED, TaskStatus.FAILED, TaskStatus.EXHAUSTED}) | reopening.MORE_ATTEMPTS_IN,
            reopening.retry,
            production_only_in=frozenset({TaskStatus.EXHAUSTED}),
            for_descendants_too=True,
        ),
        Command(
            "resubmit",
            "open again what failed, with other parameters",
            REEXECUTABLE,
            reopening.resubmit,
            accepted_code=REEXECUTED,
            refused_code=STILL_ACTIVE,
            refused="jediTaskID={task_id} is in the {status} state for outDS={task_name}. You can re-submit the task with "
            "new parameters for the same or another input once it goes into finished/failed/done status. ",
        ),
        Command("incexec", "look up the input again, go on with old and new", REEXECUTABLE, reopening.incexec),
        Command(
            "reactivate",
            "do all of it once more",
            _HOLDABLE | {TaskStatus.PAUSED} | (_ENDED - {TaskStatus.BROKEN}),
            reopening.reactivate,
        ),
        Command("reassign", "move it elsewhere", _MOVABLE | _MOVABLE_HELD, steering.reassign),
        Command("pause", "hold it", _HOLDABLE, steering.pause),
        Command(
            "resume",
            "let it go on",
            frozenset({TaskStatus.PAUSED, TaskStatus.THROTTLED, TaskStatus.STAGING}),
            steering.resume,
        ),
        Command("avalanche", "skip the rest of the scouts", frozenset({TaskStatus.SCOUTING}), steering.avalanche),
        Command("release", "ask brokerage again at once", _MOVABLE - {TaskStatus.SCOUTED}, steering.release),
    )
}
"""As server-api.md 5.8, both checks of upstream in one: what is being closed is neither held nor done once more. Retry in
the states of a task under way is upstream's code 5."""

_TRIES = 5

# primary key
_TASK = "SELECT jedi_task_id, task_name, status, user_name FROM tasks WHERE jedi_task_id = %(id)s"


def run_command(database: Database, name: str, task_id: int, issuer: Issuer, **options: Any) -> Outcome:
    """Carry out one of COMMANDS, as `run` does."""
    return run(database, COMMANDS[name], task_id, issuer, **options)


def run(database: Database, command: Command, task_id: int, issuer: Issuer, **options: Any) -> Outcome:
    """Carry out a command. A refusal changes nothing and says why.

    Raises InvalidInput or UnknownObject for options that make no sense, Unavailable when the task never stands still.
    """
    # most refusals are found without waiting for locks that somebody holds
    seen = database.fetch_one(_TASK, {"id": task_id})
    if (refusal := _refusal(command, task_id, seen, issuer)) is not None:
        return refusal
    for _ in range(_TRIES):
        try:
            return _carry_out(database, command, task_id, issuer, options)
        except JobsCameMeanwhile:
            continue
    raise Unavailable(f"task {task_id} makes jobs faster than it can be locked", remedy="send the command again")


def _carry_out(database: Database, command: Command, task_id: int, issuer: Issuer, options: dict[str, Any]) -> Outcome:
    with database.transaction() as transaction:
        locked = lock_task_with_jobs(transaction, task_id, issuer, with_descendants=command.for_descendants_too)
        refusal = _refusal(command, task_id, None if locked is None else locked.row, issuer)
        if refusal is not None or locked is None:
            return refusal or _unknown(task_id)
        done = command.effect(locked, **options)
    registered = f"command={command.name} is registered for task ID {task_id}. will be executed in a few minutes"
    message = done.message or (f"{registered} ({done.note})" if done.note else registered)
    return Outcome(True, command.accepted_code, message)


def _unknown(task_id: int) -> Outcome:
    return Outcome(False, UNKNOWN, f"jediTaskID={task_id} not found")


def _refusal(command: Command, task_id: int, row: Row | None, issuer: Issuer) -> Outcome | None:
    """Why a command cannot be carried out on this row, or None."""
    if row is None:
        return _unknown(task_id)
    if not issuer.is_production and row["user_name"] != issuer.user_name:
        return Outcome(False, NOT_ALLOWED, "not the task owner or no production role")
    status = TaskStatus(row["status"])
    accepted = command.accepted_in - (frozenset() if issuer.is_production else command.production_only_in)
    if status in accepted:
        return None
    text = command.refused.format(name=command.name, status=status, task_id=task_id, task_name=row["task_name"])
    return Outcome(False, command.refused_code, text)
