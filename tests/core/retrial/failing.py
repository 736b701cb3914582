"""Tasks whose jobs fail, put into the tables by hand, and rules about them."""

from __future__ import annotations

import json
from typing import Any

from core.database import Database, Row
from core.retrial.applying import apply_rules
from tests.core.taskengine.rows import insert_files, insert_task


def no_rules(database: Database) -> None:
    """Away with the rules and classes that an installation begins with."""
    for table in ("retry_rules", "error_classes"):
        database.execute(f"DELETE FROM {table}")


def add_rule(database: Database, action: str, code: int = 1305, *, source: str = "pilot", **columns: Any) -> int:
    """A rule as it stands in the table; `parameters` as a dictionary."""
    values = {"action": action, "error_code": code, "error_source": source, **columns}
    return _insert(database, "retry_rules", "rule_id", values)


def add_class(database: Database, code: int = 1305, error_class: str = "system", **columns: Any) -> int:
    """A class as it stands in the table."""
    values = {"error_source": "pilot", "error_code": code, "error_class": error_class, **columns}
    return _insert(database, "error_classes", "class_id", values)


def _insert(database: Database, table: str, key: str, values: dict[str, Any]) -> int:
    names = ", ".join(values)
    marks = ", ".join(f"%({name})s" for name in values)
    return int(database.fetch(f"INSERT INTO {table} ({names}) VALUES ({marks}) RETURNING {key}", values)[0][key])


def make_task(database: Database, files: int = 10, **columns: Any) -> int:
    """A running task with so many ready files."""
    task_id = insert_task(database, n_files=files, **columns)
    insert_files(database, task_id, ["ready"] * files)
    return task_id


def fail(
    database: Database,
    task_id: int,
    *,
    files: int = 1,
    attempt: int = 1,
    max_attempt: int = 10,
    max_failure: int = 3,
    code: int = 1305,
    **columns: Any,
) -> int:
    """A job of the task that has just failed while it held some of the files; its PandaID. The rules are not applied."""
    panda_id = int(database.fetch("SELECT nextval('panda_id_seq') AS id")[0]["id"])
    values = {
        "panda_id": panda_id,
        "jedi_task_id": task_id,
        "job_index": 1,
        "job_status": "failed",
        "state_change_time": "now",
        "pilot_error_code": code,
        **columns,
    }
    names, marks = ", ".join(values), ", ".join(f"%({name})s" for name in values)
    database.execute(f"INSERT INTO jobs_archive ({names}) VALUES ({marks})", values)
    database.execute(
        """UPDATE task_files SET status = 'running', panda_id = %(job)s, attempt_nr = %(attempt)s,
                                 max_attempt = %(max_attempt)s, max_failure = %(max_failure)s
           WHERE file_id IN (SELECT file_id FROM task_files WHERE jedi_task_id = %(task)s AND status = 'ready'
                             ORDER BY file_id LIMIT %(files)s)""",
        {
            "job": panda_id,
            "task": task_id,
            "files": files,
            "attempt": attempt,
            "max_attempt": max_attempt,
            "max_failure": max_failure,
        },
    )
    return panda_id


def judge(database: Database, *panda_ids: int) -> None:
    """Apply the rules to jobs that have failed."""
    rows = database.fetch(
        "SELECT panda_id, jedi_task_id FROM jobs_archive WHERE panda_id = ANY(%(ids)s)", {"ids": list(panda_ids)}
    )
    with database.transaction() as transaction:
        apply_rules(transaction, rows)


def held(database: Database, panda_id: int) -> tuple[int, int, int]:
    """Attempts and failures allowed, and memory per core, of the input of a job."""
    rows = database.fetch(
        "SELECT DISTINCT max_attempt, max_failure, ram_mb FROM task_files WHERE panda_id = %(id)s", {"id": panda_id}
    )
    assert len(rows) == 1, rows
    return rows[0]["max_attempt"], rows[0]["max_failure"], rows[0]["ram_mb"]


def log_of(database: Database, panda_id: int) -> list[Row]:
    """What was noted about a job, in order."""
    return database.fetch("SELECT * FROM retry_log WHERE panda_id = %(id)s ORDER BY deed_id", {"id": panda_id})


def settings_of(database: Database, task_id: int) -> dict[str, Any]:
    """What was changed of a task since its submission."""
    row = database.fetch("SELECT split_rule FROM tasks WHERE jedi_task_id = %(id)s", {"id": task_id})[0]
    return json.loads(json.dumps(row["split_rule"]))
