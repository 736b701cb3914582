"""`task`: what is asked about tasks. The questions are answered in core.taskengine; here are PanDA's names and defaults."""

from __future__ import annotations

from typing import Any

from api.bodies import parse_json
from api.panda.job_record import record_of
from api.panda.kernel import Call, Refusal, Result, Success, endpoint
from core.errors import InvalidInput
from core.taskbuffer.lookup import MAX_LOOKUP, jobs_with_files
from core.taskengine.questions import summary
from core.taskengine.questions.files import datasets_of
from core.taskengine.questions.filters import parse_filters, parse_time
from core.taskengine.questions.jobs import jobs_of, unsuccessful_jobs_of
from core.taskengine.questions.lookup import parent_record, task_record, task_records


@endpoint("GET")
def get_status(call: Call, task_id: int) -> Result:
    """The status of a task."""
    return Success(summary.status_of_task(call.services.database, task_id))


@endpoint("GET")
def get_details(call: Call, task_id: int, include_parameters: bool = False, include_status: bool = False) -> Result:
    """Datasets, job ids and job counts of a task."""
    return Success(
        summary.task_details(
            call.services.read_database, task_id, with_parameters=include_parameters, with_status=include_status
        )
    )


@endpoint("GET")
def get_task_parameters(call: Call, task_id: int) -> Result:
    """The dictionary a task was submitted with."""
    return Success(summary.task_parameters(call.services.database, task_id))


@endpoint("GET")
def get_detailed_info(call: Call, task_id: int) -> Result:
    """The record of a task: its columns, its parameters, the progress of its files."""
    return Success(task_record(call.services.database, task_id))


@endpoint("GET")
def get_parent_detailed_info(call: Call, task_id: int) -> Result:
    """The record of the task that a task hangs on."""
    return Success(parent_record(call.services.database, task_id))


@endpoint("GET")
def get_tasks_modified_since(
    call: Call,
    since: str,
    dn: str | None = None,
    full: bool = False,
    min_task_id: int | None = None,
    prod_source_label: str = "user",
) -> Result:
    """Tasks of a user (the caller) changed after a time, by request id."""
    found = summary.tasks_modified_since(
        call.services.read_database,
        _user_of(dn) if dn else call.caller.user_name,
        parse_time(since, "since"),
        prod_source_label,
        full=full,
        min_task_id=min_task_id or 0,
    )
    return Success(found)


def _user_of(name: str) -> str:
    """The user of a distinguished name: its last CN that is no number, proxy or nickname; other texts as they are."""
    common = [part.partition("/")[0] for part in name.split("/CN=")[1:]]
    people = [part for part in common if not (part.isdigit() or "proxy" in part or part.startswith("nickname:"))]
    return people[-1] if people else name


@endpoint("GET")
def get_tasks_detailed_info_since(
    call: Call, since: str | None = None, filters: str | None = None, n_tasks: int = 500
) -> Result:
    """Records of the caller's tasks, or those of the userName among `filters`, a JSON object of column: value."""
    given = _filters(filters)
    time = parse_time(since, "since") if since else None
    # what a user has just submitted must be there: never from a standby
    database = call.services.database
    return Success(
        task_records(database, parse_filters(given), user_name=call.caller.user_name, since=time, limit=n_tasks)
    )


def _filters(text: str | None) -> dict[str, Any]:
    given = parse_json(text.encode("utf-8", "replace"), field="filters") if text else {}
    if not isinstance(given, dict):
        raise InvalidInput("not a JSON object", field="filters", remedy='as in {"status": "running"}')
    return given


@endpoint("GET")
def get_datasets_and_files(
    call: Call,
    task_id: int,
    dataset_types: list[str] = ["input", "pseudo_input"],  # noqa: B006 - PanDA's default, shown in the OpenAPI document
    dataset_only: bool = False,
) -> Result:
    """Datasets of a task with their files; without the files when `dataset_only`."""
    found = datasets_of(call.services.database, task_id, dataset_types, with_files=not dataset_only)
    return Success(found) if found else Refusal("No data found for the task")


@endpoint("GET")
def get_job_ids(call: Call, task_id: int) -> Result:
    """PandaIDs of a task in any status."""
    return Success(jobs_of(call.services.database, task_id))


@endpoint("GET")
def get_job_descriptions(call: Call, task_id: int, unsuccessful_only: bool = False) -> Result:
    """Records of the jobs of a task, the newest 5500 of them; `unsuccessful_only`: failed, cancelled and closed."""
    database = call.services.database
    if unsuccessful_only:
        panda_ids = unsuccessful_jobs_of(database, task_id, MAX_LOOKUP)
    else:
        panda_ids = jobs_of(database, task_id)[-MAX_LOOKUP:]
    found = jobs_with_files(database, panda_ids)
    return Success([record_of(found[panda_id]) for panda_id in panda_ids if panda_id in found])
