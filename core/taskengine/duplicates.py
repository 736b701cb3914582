"""Finds the task of the same name and takes it up again with other parameters (client-wire.md 4.3). Knows no HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.database import Row, Transaction
from core.errors import Unavailable
from core.taskengine.commands.going_on import REEXECUTABLE
from core.taskengine.commands.locking import Issuer, JobsCameMeanwhile, lock_task_with_jobs
from core.taskengine.commands.reopening import resubmit
from core.taskengine.dialects.panda import task_name

TAKEN_OVER = frozenset(
    {
        *("site", "cloud", "includedSite", "excludedSite", "cliParams", "nFiles", "nEvents", "fixedSandbox"),
        *("priority", "currentPriority", "ramCount", "loopingCheck", "forceStaged"),
        # the splitting rules that may change between executions
        *("nFilesPerJob", "nMaxFilesPerJob", "nGBPerJob", "nEventsPerJob", "nEventsPerFile", "maxCoreCount"),
        *("maxWalltime", "maxAttempt", "maxFailure", "avoidVP", "ignoreMissingInDS"),
    }
)
"""What a second submission changes in the task that exists; every key beginning with dsFor is taken over too."""

# ix_tasks_name; a task whose definition was unusable stands in nobody's way
_FIND = """
SELECT jedi_task_id, task_name, status, working_group, prod_source_label FROM tasks
WHERE task_name = %(name)s AND (%(user)s = '' OR user_name = %(user)s) AND vo = %(vo)s
  AND prod_source_label = %(label)s AND status <> 'broken'
ORDER BY jedi_task_id DESC LIMIT 1
"""


def find_duplicate(transaction: Transaction, parameters: Mapping[str, Any], *, user_name: str, vo: str) -> Row | None:
    """The latest task of this name, VO and label, and of this user unless that is empty.

    Holds back others that submit the same name until this transaction has ended.
    """
    key = {
        "name": task_name(parameters),
        "user": user_name,
        "vo": parameters.get("vo") or vo,
        "label": parameters.get("prodSourceLabel") or "user",
    }
    transaction.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended(%(key)s, 0))", {"key": "\n".join(map(str, key.values()))}
    )
    return transaction.fetch_one(_FIND, {name: str(value) for name, value in key.items()})


def reexecute(
    transaction: Transaction, task: Row, parameters: Mapping[str, Any], user_name: str, *, is_production: bool
) -> str:
    """Go on with what failed or is new, under the changed parameters; a task with nothing to do ends as it was.

    Returns what to tell the user.
    """
    changes = {name: value for name, value in parameters.items() if name in TAKEN_OVER or name.startswith("dsFor")}
    if "fixedSandbox" in changes and "sourceURL" in parameters:
        changes["sourceURL"] = parameters["sourceURL"]
    try:
        locked = lock_task_with_jobs(transaction, task["jedi_task_id"], Issuer(user_name, is_production))
    except JobsCameMeanwhile as error:
        raise Unavailable("the task is making jobs", remedy="submit again") from error
    if locked is None or locked.status not in REEXECUTABLE:
        raise Unavailable("the task has changed meanwhile", remedy="submit again")
    return resubmit(locked, changes).message
