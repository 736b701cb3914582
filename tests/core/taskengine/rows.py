"""Tasks in whatever state a test begins with, put into the tables by hand."""

from __future__ import annotations

from itertools import count
from typing import Any

from core.database import Database, Row

_numbers = count(1)


def insert_task(database: Database, **columns: Any) -> int:
    """A task of alice's with these columns; its id."""
    number = next(_numbers)
    values = {
        "task_name": f"user.alice.t{number}/",
        "user_name": "alice",
        "vo": "testvo",
        "status": "running",
        "req_id": number,
        "parameters": {},
        **columns,
    }
    names = ", ".join(values)
    row = database.fetch(
        f"INSERT INTO tasks (jedi_task_id, {names}) VALUES (nextval('jedi_task_id_seq'), "
        f"{', '.join(f'%({name})s' for name in values)}) RETURNING jedi_task_id",
        values,
    )[0]
    return int(row["jedi_task_id"])


def insert_files(database: Database, task_id: int, statuses: list[str], **columns: Any) -> int:
    """A master input dataset of a task with one file per status; the dataset's id."""
    values = {"name": f"in.{task_id}", "type": "input", "is_master": True, **columns}
    names = ", ".join(values)
    dataset = database.fetch(
        f"INSERT INTO task_datasets (jedi_task_id, {names}) VALUES (%(id)s, "
        f"{', '.join(f'%({name})s' for name in values)}) RETURNING dataset_id",
        {**values, "id": task_id},
    )[0]["dataset_id"]
    for position, status in enumerate(statuses, start=1):
        database.execute(
            "INSERT INTO task_files (jedi_task_id, dataset_id, position, lfn, scope, status) "
            "VALUES (%(task)s, %(dataset)s, %(position)s, %(lfn)s, 'user.alice', %(status)s)",
            {"task": task_id, "dataset": dataset, "position": position, "lfn": f"f{position}", "status": status},
        )
    return int(dataset)


def task_row(database: Database, task_id: int) -> Row:
    """The row of a task."""
    return database.fetch("SELECT * FROM tasks WHERE jedi_task_id = %(id)s", {"id": task_id})[0]


def history(database: Database, task_id: int) -> list[tuple[str, str]]:
    """The steps of a task: from, to."""
    rows = database.fetch(
        "SELECT previous_status, status FROM task_history WHERE jedi_task_id = %(id)s ORDER BY history_id",
        {"id": task_id},
    )
    return [(row["previous_status"], row["status"]) for row in rows]


def file_statuses(database: Database, task_id: int) -> list[str]:
    """What became of the input of a task, in its order."""
    rows = database.fetch(
        "SELECT f.status FROM task_files f JOIN task_datasets d USING (dataset_id) "
        "WHERE f.jedi_task_id = %(id)s AND d.is_master ORDER BY f.position, f.file_id",
        {"id": task_id},
    )
    return [row["status"] for row in rows]
