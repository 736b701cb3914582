"""Tasks in the shapes of older clients: changed since a time, and one with its datasets and jobs. Reads only."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from core.database import Database, Row
from core.errors import UnknownObject
from core.taskengine.questions.columns import TASK_COLUMNS
from core.taskengine.questions.jobs import job_statuses_of

MOST_TASKS = 10_000
MOST_FULL_TASKS = 500
"""As upstream (server-api.md 1.2)."""

_NAMES = (
    *("jediTaskID", "modificationTime", "status", "processingType", "transUses", "transHome", "architecture"),
    *("reqID", "creationDate", "site", "cloud", "taskName"),
)
_COLUMNS = ", ".join(f'{TASK_COLUMNS[name].shown or TASK_COLUMNS[name].expression} AS "{name}"' for name in _NAMES)

# ix_tasks_user from min_task_id on
_SINCE = f"""
SELECT {_COLUMNS} FROM tasks t
WHERE t.user_name = %(user_name)s AND t.modification_time > %(since)s AND t.jedi_task_id > %(min_task_id)s
  AND t.prod_source_label = %(label)s
ORDER BY t.jedi_task_id DESC LIMIT %(limit)s
"""

# primary key
_ONE = f"SELECT {_COLUMNS}, t.parameters FROM tasks t WHERE t.jedi_task_id = %(id)s"
_STATUS_AND_PARAMETERS = "SELECT status, parameters FROM tasks WHERE jedi_task_id = %(id)s"

# ix_task_datasets_task
_DATASETS = """
SELECT jedi_task_id, name, container, type FROM task_datasets WHERE jedi_task_id = ANY(%(ids)s) ORDER BY dataset_id
"""


def tasks_modified_since(
    database: Database, user_name: str, since: datetime, label: str, *, full: bool = False, min_task_id: int = 0
) -> dict[int, dict[str, Any]]:
    """Tasks of a user by request id; `full`: with datasets and jobs, at most 500 of the newest."""
    values = {"user_name": user_name, "since": since, "label": label, "min_task_id": min_task_id}
    rows = database.fetch(_SINCE, {**values, "limit": MOST_FULL_TASKS if full else MOST_TASKS})
    tasks = {row["reqID"]: row for row in reversed(rows)}
    if not full:
        return tasks
    details = _details(database, [row["jediTaskID"] for row in rows])
    return {key: {**task, **details[task["jediTaskID"]]} for key, task in tasks.items()}


def task_details(
    database: Database, task_id: int, *, with_parameters: bool = False, with_status: bool = False
) -> dict[str, Any]:
    """Datasets, job ids and counts of a task; with its parameters, with its columns. Raises UnknownObject."""
    row = database.fetch_one(_ONE, {"id": task_id})
    if row is None:
        raise UnknownObject("Task not found or error retrieving the details")
    parameters = row.pop("parameters")
    return {
        **_details(database, [task_id])[task_id],
        **({"cliParams": parameters.get("cliParams"), "taskParams": parameters} if with_parameters else {}),
        **(row if with_status else {}),
    }


def _details(database: Database, task_ids: list[int]) -> dict[int, dict[str, Any]]:
    datasets: dict[int, list[Row]] = {task_id: [] for task_id in task_ids}
    for row in database.fetch(_DATASETS, {"ids": task_ids}):
        datasets[row["jedi_task_id"]].append(row)
    return {
        task_id: {
            "inDS": _names(datasets[task_id], ("input",)),
            "outDS": _names(datasets[task_id], ("output", "log")),
            "statistics": ",".join(f"{status}*{count}" for status, count in sorted(Counter(jobs.values()).items())),
            "PandaID": list(jobs),
            "mergeStatus": None,
            "mergePandaID": [],
        }
        for task_id, jobs in job_statuses_of(database, task_ids).items()
    }


def _names(datasets: list[Row], kinds: tuple[str, ...]) -> str:
    names = (dataset["container"] or dataset["name"] for dataset in datasets if dataset["type"] in kinds)
    return ",".join(dict.fromkeys(names))


def task_parameters(database: Database, task_id: int) -> dict[str, Any]:
    """The dictionary a task was submitted with, later changes merged into it. Raises UnknownObject."""
    row = database.fetch_one(_STATUS_AND_PARAMETERS, {"id": task_id})
    if row is None:
        raise UnknownObject("Task not found")
    return dict(row["parameters"])


def status_of_task(database: Database, task_id: int) -> str:
    """The status of a task. Raises UnknownObject."""
    row = database.fetch_one(_STATUS_AND_PARAMETERS, {"id": task_id})
    if row is None:
        raise UnknownObject("Task not found")
    return str(row["status"])
