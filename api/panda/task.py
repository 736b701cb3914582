"""`task`: submission; what is done to tasks and asked about them is in the two modules beside this one."""

from __future__ import annotations

from typing import Any

from api.identity.access import Access
from api.identity.working_groups import check_country_group, check_working_group, has_group_production_role
from api.panda.kernel import Call, Refusal, Result, Success, endpoint
from api.panda.task_commands import (
    avalanche,
    change_attribute,
    change_modification_time,
    change_priority,
    change_split_rule,
    disable_job_cloning,
    enable_job_cloning,
    enable_jumbo_jobs,
    finish,
    get_jumbo_job_datasets,
    increase_attempts,
    kill,
    kill_unfinished_jobs,
    pause,
    reactivate,
    reassign,
    reassign_global_share,
    release,
    reload_input,
    resume,
    retry,
)
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
from core.accounts.admission import TooManyTasks
from core.errors import PandaError, Unavailable
from core.taskengine.submit import FAILED_TO_REGISTER, TOO_MANY_TASKS, submit_task

__all__ = [
    "avalanche",
    "change_attribute",
    "change_modification_time",
    "change_priority",
    "change_split_rule",
    "disable_job_cloning",
    "enable_job_cloning",
    "enable_jumbo_jobs",
    "finish",
    "get_datasets_and_files",
    "get_detailed_info",
    "get_details",
    "get_job_descriptions",
    "get_job_ids",
    "get_jumbo_job_datasets",
    "get_parent_detailed_info",
    "get_status",
    "get_task_parameters",
    "get_tasks_detailed_info_since",
    "get_tasks_modified_since",
    "increase_attempts",
    "kill",
    "kill_unfinished_jobs",
    "pause",
    "reactivate",
    "reassign",
    "reassign_global_share",
    "release",
    "reload_input",
    "resume",
    "retry",
    "submit",
]


@endpoint("POST")
def submit(call: Call, task_parameters: dict[str, Any], parent_tid: int | None = None) -> Result:
    """Register a task from a parameter dictionary, or take an ended one of the same name up again; data is its id.

    Refusals carry upstream's code: 1 queued, 2 active, 4 not registered, 10 too many active tasks, 11 no such parent,
    60 no production role.
    """
    if task_parameters.get("prodSourceLabel") == "managed" and not call.caller.may(Access.PRODUCTION):
        return Refusal("task_parameters.prodSourceLabel: production role required for managed", data=60)
    try:
        named = task_parameters.get("workingGroup")
        group = named if isinstance(named, str) else ""
        check_working_group(call.caller, group, "task_parameters.workingGroup")
        country = task_parameters.get("countryGroup")
        check_country_group(call.caller, country if isinstance(country, str) else "", "task_parameters.countryGroup")
        submission = submit_task(
            call.services.database,
            task_parameters,
            user_name=call.caller.user_name,
            vo=call.caller.vo,
            is_production=call.is_production,
            has_group_role=has_group_production_role(call.caller, group),
            parent_tid=parent_tid,
            base_url=call.base_url,
            scouts=call.services.settings.scouts,
        )
    except Unavailable:
        raise
    except TooManyTasks as error:
        return Refusal(str(error), data=TOO_MANY_TASKS)
    except PandaError as error:
        return Refusal(str(error), data=FAILED_TO_REGISTER)
    if submission.is_accepted:
        return Success(submission.jedi_task_id, submission.message)
    return Refusal(submission.message, data=submission.code)
