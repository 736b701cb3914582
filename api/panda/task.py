"""`task`: submit, status, kill, in their first form."""

from __future__ import annotations

from typing import Any

from api.identity.access import Access
from api.panda.kernel import Call, Refusal, Result, Success, endpoint
from api.panda.task_lookup import (
    get_datasets_and_files,
    get_detailed_info,
    get_details,
    get_job_descriptions,
    get_job_ids,
    get_parent_detailed_info,
    get_status,
    get_task_parameters,
    get_tasks_detailed_info_since,
    get_tasks_modified_since,
)
from core.errors import Conflict, NotAllowed, UnknownObject
from core.taskbuffer.killing import Killer
from core.tasks import kill_task, submit_task

__all__ = [
    "get_datasets_and_files",
    "get_detailed_info",
    "get_details",
    "get_job_descriptions",
    "get_job_ids",
    "get_parent_detailed_info",
    "get_status",
    "get_task_parameters",
    "get_tasks_detailed_info_since",
    "get_tasks_modified_since",
    "kill",
    "submit",
]


@endpoint("POST")
def submit(call: Call, task_parameters: dict[str, Any], parent_tid: int | None = None) -> Result:
    """Register a task from a parameter dictionary and cut it into jobs."""
    if task_parameters.get("prodSourceLabel") == "managed" and not call.caller.may(Access.PRODUCTION):
        return Refusal("task_parameters.prodSourceLabel: production role required for managed", data=60)
    task_id = submit_task(call.services.database, task_parameters, user_name=call.caller.user_name, vo=call.caller.vo)
    return Success(task_id, f"succeeded. new jediTaskID={task_id}")


@endpoint("POST")
def kill(call: Call, task_id: int, broadcast: bool = False) -> Result:
    """Kill a task: data is 0 done, 2 unknown, 3 not yours, 4 already ended."""
    killer = Killer(call.caller.user_name, call.caller.may(Access.PRODUCTION) or call.caller.may(Access.OPERATOR))
    try:
        count = kill_task(call.services.database, task_id, killer)
    except UnknownObject as error:
        return Refusal(str(error), data=2)
    except NotAllowed as error:
        return Refusal(str(error), data=3)
    except Conflict as error:
        return Refusal(str(error), data=4)
    return Success(0, f"command is registered: {count} jobs are being killed")
