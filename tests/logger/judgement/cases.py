"""What the tests of judgement share: jobs whose input others try again, tasks that keep their files, incidents as rows."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from core.clock import utc_now
from core.database import Database
from tests.logger.builders import end_jobs

_FILE = """
INSERT INTO task_files (jedi_task_id, dataset_id, position, status, panda_id)
VALUES (%(task)s, 1, %(position)s, %(status)s, %(panda_id)s)
"""


class HeldClock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = utc_now()

    def __call__(self) -> datetime:
        return self.now

    def move(self, **span: float) -> None:
        self.now += timedelta(**span)


def keep_file(database: Database, task: int, status: str = "ready", panda_id: int | None = None) -> None:
    """A file of a task: with a job, or without one because it waits for another."""
    database.execute(_FILE, {"task": task, "position": panda_id or 0, "status": status, "panda_id": panda_id})


def number(database: Database, panda_ids: Iterable[int]) -> None:
    """They are run jobs of their tasks, not build jobs."""
    database.execute("UPDATE jobs_archive SET job_index = 1 WHERE panda_id = ANY(%(ids)s)", {"ids": list(panda_ids)})


def retried_jobs(database: Database, count: int = 1, *, task: int = 77, **more: Any) -> range:
    """Jobs that failed and whose input went on to other jobs."""
    keep_file(database, task)
    ids = end_jobs(database, count, task=task, **more)
    number(database, ids)
    return ids


def finished_jobs(database: Database, count: int, **more: Any) -> range:
    """Jobs that did what they should."""
    return end_jobs(database, count, status="finished", **{"code": 0, "diag": "", "exit_code": 0, **more})


def incidents(database: Database) -> list[dict[str, Any]]:
    return database.fetch("SELECT * FROM incidents ORDER BY incident_id")


def changes(database: Database, incident_id: int | None = None) -> list[tuple[str, str]]:
    """What people were told of: (what, state)."""
    rows = database.fetch(
        "SELECT what, state FROM incident_changes WHERE %(id)s::bigint IS NULL OR incident_id = %(id)s ORDER BY change_id",
        {"id": incident_id},
    )
    return [(row["what"], row["state"]) for row in rows]


def set_rule(database: Database, name: str = "failure_burst", **parameters: Any) -> None:
    """Change a rule past its door."""
    database.execute(
        "UPDATE incident_rules SET parameters = parameters || %(parameters)s::jsonb WHERE name = %(name)s",
        {"name": name, "parameters": parameters},
    )
