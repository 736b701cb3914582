"""`task`: what is done to tasks. The rules are in core.taskengine; here are PanDA's names, defaults and codes."""

from __future__ import annotations

from typing import Any

from api.panda.kernel import Auth, Call, Refusal, Result, Success, endpoint, not_built
from core.errors import InvalidInput
from core.taskbuffer.killing import Killer, kill_jobs
from core.taskengine.commands import changing
from core.taskengine.commands.locking import Issuer
from core.taskengine.commands.table import Outcome, run_command
from core.taskengine.questions.jobs import live_jobs_of


def _run(call: Call, name: str, task_id: int, **options: Any) -> Result:
    issuer = Issuer(call.caller.user_name, call.is_production)
    return _answer(run_command(call.services.database, name, task_id, issuer, **options))


def _answer(outcome: Outcome) -> Result:
    answer = Success if outcome.is_accepted else Refusal
    return answer(data=outcome.code, message=outcome.message)


def _changed(count: int) -> Result:
    return Success(message=f"{count} tasks changed") if count else Refusal("Task not found")


@endpoint("POST", auth=Auth.OWNER)
def retry(
    call: Call,
    task_id: int,
    new_parameters: dict[str, Any] | None = None,
    no_child_retry: bool = False,
    discard_events: bool = False,
    disable_staging_mode: bool = False,
    keep_gshare_priority: bool = False,
    ignore_hard_exhausted: bool = False,
) -> Result:
    """Open again what failed: data is 0, with new parameters 3, refused 2 or 4 (client-wire.md 5.3)."""
    if new_parameters:
        return _run(call, "resubmit", task_id, new_parameters=new_parameters, prefix="new_parameters.")
    limits = {
        "max_failed_retries": call.services.settings.guards.max_failed_retries,
        "ignores_limits": ignore_hard_exhausted and call.is_production,
    }
    qualifiers = {"sole": no_child_retry, "keep": keep_gshare_priority, "staged": disable_staging_mode}
    return _run(call, "retry", task_id, **qualifiers, **limits)


@endpoint("POST", auth=Auth.OWNER)
def kill(call: Call, task_id: int, broadcast: bool = False) -> Result:
    """Kill a task and its jobs; pilots learn it with their next report, with or without `broadcast`."""
    return _run(call, "kill", task_id)


@endpoint("POST", auth=Auth.OWNER)
def finish(call: Call, task_id: int, soft: bool = False, broadcast: bool = False) -> Result:
    """End a task with what is done; `soft` waits for jobs that run."""
    return _run(call, "finish", task_id, soft=soft)


@endpoint("POST", auth=Auth.OWNER)
def reload_input(call: Call, task_id: int, ignore_hard_exhausted: bool = False) -> Result:
    """Look up the input again and go on with old and new."""
    return _run(call, "incexec", task_id)


@endpoint("POST", auth=Auth.OWNER)
def reassign(
    call: Call,
    task_id: int,
    site: str | None = None,
    cloud: str | None = None,
    nucleus: str | None = None,
    mode: str | None = None,
) -> Result:
    """Move a task to a site, a cloud or a nucleus; `mode` says what becomes of its jobs: kill, soft, nokill."""
    return _run(call, "reassign", task_id, site=site, cloud=cloud, nucleus=nucleus, mode=mode)


@endpoint("POST", auth=Auth.PRODUCTION)
def pause(call: Call, task_id: int) -> Result:
    """Hold a task."""
    return _run(call, "pause", task_id)


@endpoint("POST", auth=Auth.PRODUCTION)
def resume(call: Call, task_id: int) -> Result:
    """Let a held task go on."""
    return _run(call, "resume", task_id)


@endpoint("POST", auth=Auth.PRODUCTION)
def release(call: Call, task_id: int) -> Result:
    """Ask brokerage again at once."""
    return _run(call, "release", task_id)


@endpoint("POST", auth=Auth.PRODUCTION)
def avalanche(call: Call, task_id: int) -> Result:
    """Skip the rest of the scouts."""
    return _run(call, "avalanche", task_id)


@endpoint("POST", auth=Auth.PRODUCTION)
def reactivate(call: Call, task_id: int, keep_attempt_nr: bool = False, trigger_job_generation: bool = False) -> Result:
    """Process all input of a task once more; its jobs are made at once in any case."""
    return _run(call, "reactivate", task_id, keep_attempt_nr=keep_attempt_nr)


@endpoint("POST", auth=Auth.OWNER)
def kill_unfinished_jobs(call: Call, task_id: int, code: int | None = None, use_email_as_id: bool = False) -> Result:
    """Kill every live job of a task with a kill code; one true or false per job."""
    database = call.services.database
    killer = Killer(call.caller.user_name, call.is_production)
    return Success(kill_jobs(database, live_jobs_of(database, task_id), killer, code))


@endpoint("POST", auth=Auth.PRODUCTION)
def increase_attempts(call: Call, task_id: int, increase: int) -> Result:
    """Let what is not through be tried more often: data is 0, unknown 1, not in this status 2."""
    code, message = changing.increase_attempts(call.services.database, task_id, increase)
    return Refusal(message, data=code) if code else Success(code, message)


@endpoint("POST", auth=Auth.PRODUCTION)
def change_priority(call: Call, task_id: int, priority: int) -> Result:
    """Set the priority of a task and of its live jobs."""
    return _changed(changing.change_priority(call.services.database, task_id, priority))


@endpoint("POST", auth=Auth.PRODUCTION)
def change_attribute(call: Call, task_id: int, attribute_name: str, value: int) -> Result:
    """Set ramCount, wallTime, cpuTime or coreCount, of jobs that wait too."""
    return _changed(changing.change_attribute(call.services.database, task_id, attribute_name, value))


@endpoint("POST", auth=Auth.PRODUCTION)
def change_split_rule(call: Call, task_id: int, attribute_name: str, value: str) -> Result:
    """Set a changeable splitting rule by its two-letter code; data is 2 for one that is none."""
    try:
        return _changed(changing.change_split_rule(call.services.database, task_id, attribute_name, value))
    except InvalidInput as error:
        return Refusal(str(error), data=2)


@endpoint("POST", auth=Auth.PRODUCTION)
def change_modification_time(call: Call, task_id: int, hour_offset: int) -> Result:
    """Set the time of the last change to now plus some hours."""
    return _changed(changing.change_modification_time(call.services.database, task_id, hour_offset))


@endpoint("POST", auth=Auth.PRODUCTION)
def reassign_global_share(call: Call, task_id_list: list[int], share: str, reassign_running_jobs: bool) -> Result:
    """Put tasks, their waiting jobs and, if wanted, the running ones under another share."""
    database = call.services.database
    count = changing.reassign_global_share(database, task_id_list, share, running_too=reassign_running_jobs)
    if count < len(set(task_id_list)):
        return Refusal(f"{len(set(task_id_list)) - count} of the tasks do not exist, {count} were reassigned", data=1)
    return Success(0, f"{count} tasks reassigned to {share}")


@endpoint("POST", auth=Auth.PRODUCTION)
def enable_jumbo_jobs(
    call: Call, task_id: int, jumbo_jobs_total: int, jumbo_jobs_per_site: int | None = None
) -> Result:
    """Event service; not built."""
    return not_built("jumbo jobs")


@endpoint("GET")
def get_jumbo_job_datasets(call: Call, from_offset: int, to_offset: int = 0) -> Result:
    """Event service; not built."""
    return not_built("jumbo jobs")


@endpoint("POST", auth=Auth.PRODUCTION)
def enable_job_cloning(
    call: Call,
    jedi_task_id: int,
    mode: str | None = None,
    multiplicity: int | None = None,
    num_sites: int | None = None,
) -> Result:
    """Event service; not built."""
    return not_built("job cloning")


@endpoint("POST", auth=Auth.PRODUCTION)
def disable_job_cloning(call: Call, jedi_task_id: int) -> Result:
    """Event service; not built."""
    return not_built("job cloning")
