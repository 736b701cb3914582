"""Rows for the tests of the read side: put where they belong, through one helper per table, without the server."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

from core.database import Database
from core.states import FINAL_JOB_STATUSES, JobStatus

NOW = datetime(2026, 11, 21, 12, 0, 30, tzinfo=UTC)

LIVE_STATUSES = [status.value for status in JobStatus if status not in FINAL_JOB_STATUSES]
ENDED_STATUSES = [status.value for status in JobStatus if status in FINAL_JOB_STATUSES]


def insert(database: Database, table: str, rows: list[dict[str, Any]]) -> None:
    """Insert dictionaries of columns; all of one call have the same keys."""
    if not rows:
        return
    names = list(rows[0])
    values = [
        [json.dumps(row[name]) if isinstance(row[name], (list, dict)) else row[name] for name in names] for row in rows
    ]
    with database.transaction() as transaction:
        transaction.insert_many(f"INSERT INTO {table} ({', '.join(names)}) VALUES %s", values)


def random_job(choice: random.Random, panda_id: int, *, now: datetime = NOW) -> dict[str, Any]:
    """Columns of a job as any of the tables may hold it, with empty and missing values among them."""
    status = choice.choice([*LIVE_STATUSES, *ENDED_STATUSES * 4])
    changed = now - timedelta(seconds=choice.uniform(0, 48 * 3600))
    failed = status == "failed"
    return {
        "panda_id": panda_id,
        "jedi_task_id": choice.choice([None, 10_000_001, 10_000_002, 10_000_003]),
        "job_name": choice.choice(["", "count words", "100%_sure", "back\\slash", "pipe|d", "star*red", "!bang"]),
        "job_status": status,
        "computing_site": choice.choice(["", "CERN", "BNL", "CERN-T0", "LOCAL_1"]),
        "prod_source_label": choice.choice(["user", "managed"]),
        "processing_type": choice.choice(["", "panda-client"]),
        "prod_user_name": choice.choice(["Ada", "Grace", "ada"]),
        "modification_host": choice.choice(["", "node1", "node2"]),
        "current_priority": choice.choice([-5, 1000, 2000]),
        "state_change_time": changed,
        "modification_time": changed,
        "creation_time": changed - timedelta(hours=1),
        "end_time": changed if status in ENDED_STATUSES else None,
        "trans_exit_code": choice.choice([None, 0, 3]) if failed else None,
        "pilot_error_code": choice.choice([0, 1305, 1099]) if failed else 0,
        "pilot_error_diag": "exit code 3: boom" if failed else "",
        "ddm_error_code": choice.choice([0, 200]) if failed else 0,
        "job_dispatcher_error_code": choice.choice([0, 100]) if failed else 0,
    }


def insert_jobs(database: Database, jobs: list[dict[str, Any]]) -> None:
    """Each job into the table that its state says."""
    insert(database, "jobs_live", [job for job in jobs if job["job_status"] in LIVE_STATUSES])
    insert(database, "jobs_archive", [job for job in jobs if job["job_status"] in ENDED_STATUSES])


def random_jobs(database: Database, count: int, *, seed: int = 1) -> list[dict[str, Any]]:
    """Insert `count` random jobs with PandaIDs from 1 and return their columns."""
    choice = random.Random(seed)
    jobs = [random_job(choice, panda_id) for panda_id in range(1, count + 1)]
    insert_jobs(database, jobs)
    return jobs
