"""Tasks as the real client sent them (captured/), submitted to a database of a test, and what became of them."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from core.database import Database, Row
from core.taskengine.submit import Submission, submit_task
from tests.support.builders import add_up, broker, jobs_of_task, make_dataset, make_queue, report_finished, row_of

CAPTURED = Path(__file__).parent / "captured"
URL = "http://127.0.0.1:28443"
"""The address under which the captured client found its server."""


def captured(name: str, **changes: Any) -> dict[str, Any]:
    """The parameters of one submission of prun; a change to None that was not there takes the key out."""
    document = json.loads((CAPTURED / f"{name}.json").read_text())
    parameters: dict[str, Any] = copy.deepcopy(document["task_parameters"])
    parameters.update(changes)
    return parameters


def prepare(database: Database) -> None:
    """Queues Q (with everything), Q_A, Q_B, Q_C, and the datasets that the captured tasks read."""
    for name in ("Q", "Q_A", "Q_B", "Q_C"):
        make_queue(database, name)
    make_dataset(database, "user.testuser.one", [f"f{number}.txt" for number in range(1, 6)], at=["Q_DISK"])
    make_dataset(database, "user.testuser.two", [f"s{number}.txt" for number in range(1, 6)], at=["Q_DISK"])
    make_dataset(database, "user.testuser.dbr", ["DBRelease-1.tar.gz"], at=["Q_DISK"])


def send(database: Database, parameters: dict[str, Any], **how: Any) -> Submission:
    """What the engine says to a submission."""
    known = {"user_name": "Test User", "vo": "testvo", "base_url": URL, **how}
    return submit_task(database, parameters, **known)


def accept(database: Database, parameters: dict[str, Any], **how: Any) -> int:
    """The id of a task that must be accepted as a new one."""
    submission = send(database, parameters, **how)
    assert submission.code == 0, submission
    assert submission.jedi_task_id is not None
    return submission.jedi_task_id


def row_of_task(database: Database, task_id: int) -> Row:
    """The row of a task."""
    row = database.fetch_one("SELECT * FROM tasks WHERE jedi_task_id = %(id)s", {"id": task_id})
    assert row is not None
    return row


def jobs(database: Database, task_id: int) -> list[Row]:
    """The rows of the jobs of a task in their order, the build job first."""
    return [row_of(database, panda_id) for panda_id in jobs_of_task(database, task_id)]


def texts(database: Database, task_id: int) -> list[str]:
    """The argument strings of the jobs of a task, in their order."""
    rows = database.fetch(
        "SELECT panda_id, job_parameters FROM job_parameters WHERE panda_id = ANY(%(ids)s)",
        {"ids": jobs_of_task(database, task_id)},
    )
    found = {row["panda_id"]: row["job_parameters"] for row in rows}
    return [found[panda_id] for panda_id in jobs_of_task(database, task_id)]


def files(database: Database, task_id: int, kind: str) -> list[list[str]]:
    """Names of the files of a kind, job by job."""
    rows = database.fetch(
        "SELECT panda_id, lfn FROM job_files WHERE jedi_task_id = %(id)s AND type = %(kind)s ORDER BY row_id",
        {"id": task_id, "kind": kind},
    )
    return [[row["lfn"] for row in rows if row["panda_id"] == job] for job in jobs_of_task(database, task_id)]


def task_files(database: Database, task_id: int, *, stream: str = "") -> list[Row]:
    """The rows of the input of a task; of its master input unless a stream is named."""
    return database.fetch(
        """SELECT f.* FROM task_files f JOIN task_datasets d USING (dataset_id) WHERE f.jedi_task_id = %(id)s
           AND CASE WHEN %(stream)s = '' THEN d.is_master ELSE d.stream = %(stream)s END
           ORDER BY f.dataset_id, f.position, f.file_id""",
        {"id": task_id, "stream": stream},
    )


def place(database: Database) -> None:
    """Brokerage until nothing moves."""
    while broker(database):
        pass


def run(database: Database, *panda_ids: int) -> None:
    """Let pilots bring jobs that are activated to `finished`."""
    for panda_id in panda_ids:
        database.execute("UPDATE jobs_live SET job_status = 'running' WHERE panda_id = %(id)s", {"id": panda_id})
        report_finished(database, panda_id)
    add_up(database)


def history(database: Database, task_id: int) -> list[str]:
    """The states a task went through."""
    rows = database.fetch(
        "SELECT status FROM task_history WHERE jedi_task_id = %(id)s ORDER BY history_id", {"id": task_id}
    )
    return [row["status"] for row in rows]
