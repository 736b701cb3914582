"""Records of tasks for clients: one, its parent's, many (client-wire.md 5.1). Reads only; knows no HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from core.database import Database, Row
from core.errors import UnknownObject
from core.patterns import users_patterns
from core.taskengine.dialects.split_rules import split_rule_text
from core.taskengine.questions.columns import SHOWN_COLUMNS
from core.taskengine.questions.filters import TaskFilters

MAX_TASKS = 10_000
"""Records in one answer; upstream names no limit."""
_PATTERN_LIMIT_S = 3.0

# ix_task_files_status: what is missing is rare, and counted for the tasks shown only
_RECORD = f"""
SELECT {SHOWN_COLUMNS}, t.n_files AS "nFiles", t.n_files_finished AS "nFilesFinished",
       t.n_files_failed AS "nFilesFailed", t.split_rule AS split_rule_changes, t.parameters AS raw_task_params,
       (SELECT count(*) FROM task_files f WHERE f.jedi_task_id = t.jedi_task_id AND f.status = 'running') AS "nFilesUsed",
       (SELECT count(*) FROM task_files f WHERE f.jedi_task_id = t.jedi_task_id AND f.status = 'missing') AS "nFilesMissing"
"""

# primary key
_ONE = f"{_RECORD} FROM tasks t WHERE t.jedi_task_id = %(task_id)s"

_MANY = f"""{_RECORD} FROM (
    SELECT t.* FROM tasks t WHERE {{conditions}} ORDER BY t.jedi_task_id DESC LIMIT %(limit)s
) t WHERE {{patterns}} ORDER BY t.jedi_task_id
"""
"""The newest tasks, oldest first. ix_tasks_user backwards, as every question is about one user's tasks; a task's id goes by
the primary key, ix_tasks_request and ix_tasks_name serve when they are narrower."""


def task_record(database: Database, task_id: int) -> dict[str, Any]:
    """The record of one task. Raises UnknownObject."""
    row = database.fetch_one(_ONE, {"task_id": task_id})
    if row is None:
        raise UnknownObject("Task not found")
    return _record(row)


def task_records(
    database: Database, filters: TaskFilters, *, user_name: str, since: datetime | None = None, limit: int = 500
) -> list[dict[str, Any]]:
    """Records of the newest `limit` tasks that fit, in order of their ids; those of `user_name` unless a user is named.

    `since`: modified at or after. Patterns are searched among these only, as upstream does. Raises InvalidInput for a
    pattern that is none or takes too long.
    """
    statement, values = records_question(filters, user_name=user_name, since=since, limit=limit)
    rows = _search(database, statement, values) if filters.patterns else database.fetch(statement, values)
    return [_record(row) for row in rows]


def records_question(
    filters: TaskFilters, *, user_name: str, since: datetime | None = None, limit: int = 500
) -> tuple[str, dict[str, Any]]:
    """The statement that `task_records` asks, with its values."""
    if not filters.names_user:
        filters.require("t.user_name = %(user_name)s", user_name=user_name)
    if since is not None:
        filters.require("t.modification_time >= %(since)s", since=since)
    statement = _MANY.format(
        conditions=" AND ".join(filters.conditions) or "true", patterns=" AND ".join(filters.patterns) or "true"
    )
    return statement, {**filters.values, "limit": max(0, min(limit, MAX_TASKS))}


def _search(database: Database, statement: str, values: dict[str, Any]) -> list[Row]:
    with database.transaction() as transaction, users_patterns(transaction, "filters", _PATTERN_LIMIT_S):
        return transaction.fetch(statement, values)


def parent_record(database: Database, task_id: int) -> dict[str, Any]:
    """The record of the task that a task hangs on. Raises UnknownObject; each of its reasons has a message of its own."""
    if task_id <= 0:
        raise UnknownObject("Invalid task ID")
    row = database.fetch_one("SELECT parent_tid FROM tasks WHERE jedi_task_id = %(id)s", {"id": task_id})
    if row is None:
        raise UnknownObject("Task not found")
    if row["parent_tid"] is None:
        raise UnknownObject("Task has no parent task")
    if row["parent_tid"] == task_id:
        raise UnknownObject("Task is its own parent")
    try:
        return task_record(database, row["parent_tid"])
    except UnknownObject as error:
        raise UnknownObject(f"Parent task {row['parent_tid']} not found") from error


def _record(row: Row) -> dict[str, Any]:
    total = row["nFiles"]
    parameters, changes = row["raw_task_params"], row.pop("split_rule_changes")
    return {
        **row,
        "pctFinished": 100 * row["nFilesFinished"] // total if total else 0,
        "pctFailed": 100 * row["nFilesFailed"] // total if total else 0,
        "nFilesToBeUsed": total,
        "splitRule": split_rule_text({**parameters, **changes}),
        "task_creation_arguments": parameters.get("cliParams"),
        "job_execution_params": _template(parameters.get("jobParameters")),
    }


def _template(items: Any) -> str:
    """The argument template of the jobs as one text (client-wire.md 4.5)."""
    if not isinstance(items, list):
        return items if isinstance(items, str) else ""
    shown = [item for item in items if isinstance(item, dict) and not item.get("hidden")]
    return "".join(f"{item.get('value', '')}{'' if item.get('padding') is False else ' '}" for item in shown).strip()
