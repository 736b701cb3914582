"""Workers as factories and pilots report them. Knows the workers' table and their jobs; no wire names.

A report says what it says: what is empty in it leaves the row alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

from core.database import Database, Transaction
from core.errors import InvalidInput
from core.harvester.ended_workers import EndedWorker, settle_jobs_of
from core.harvester.states import FINAL_IS_KEPT_S, FINAL_WORKER_STATUSES, WORKER_TRANSITIONS, WorkerStatus

MAX_WORKERS_PER_REPORT = 10_000
PILOT_STATUSES = ("started", "finished")
"""What a pilot may say of its own worker (server-api.md 1.3)."""

TEXT_LIMITS: dict[str, int] = {
    **{"computing_site": 100, "batch_id": 255, "queue_name": 255, "node_id": 255, "computing_element": 255},
    **{"submission_host": 255, "harvester_host": 255, "job_type": 64, "resource_type": 64, "native_status": 255},
    **{"diag_message": 500, "std_out": 1000, "std_err": 1000, "batch_log": 1000, "jdl": 1000},
}
"""Texts of a worker and the characters of them that are kept."""
NUMBERS = ("n_core", "n_jobs", "min_ram_mb", "native_exit_code", "error_code")
TIMES = ("submit_time", "start_time", "end_time")


@dataclass(frozen=True)
class WorkerReport:
    """What a factory says of one worker. Times are aware; limits of texts are the caller's business (TEXT_LIMITS)."""

    worker_id: int
    status: WorkerStatus | None = None
    computing_site: str = ""
    batch_id: str = ""
    queue_name: str = ""
    node_id: str = ""
    computing_element: str = ""
    submission_host: str = ""
    harvester_host: str = ""
    job_type: str = ""
    resource_type: str = ""
    native_status: str = ""
    diag_message: str = ""
    std_out: str = ""
    std_err: str = ""
    batch_log: str = ""
    jdl: str = ""
    n_core: int | None = None
    n_jobs: int | None = None
    min_ram_mb: int | None = None
    native_exit_code: int | None = None
    error_code: int | None = None
    submit_time: datetime | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    panda_ids: tuple[int, ...] = ()
    ends_its_jobs: bool = False
    """syncLevel 1: once the worker has ended, so have its jobs, whatever their pilot last said (server-api.md 5.2)."""


_COLUMNS = ("status", *TEXT_LIMITS, *NUMBERS, *TIMES)
_LEGAL = ", ".join(f"('{before}', '{after}')" for before, targets in WORKER_TRANSITIONS.items() for after in targets)
_FINAL = ", ".join(f"'{status}'" for status in sorted(FINAL_WORKER_STATUSES))
_SET = ",\n    ".join(
    [f"{name} = CASE WHEN excluded.{name} <> '' THEN excluded.{name} ELSE w.{name} END" for name in TEXT_LIMITS]
    + [f"{name} = coalesce(excluded.{name}, w.{name})" for name in (*NUMBERS, *TIMES)]
)

# primary key; a report without a status comes as 'pending', to which nothing leads
_UPSERT = f"""
INSERT INTO harvester_workers AS w (harvester_id, worker_id, {", ".join(_COLUMNS)}) VALUES %s
ON CONFLICT (harvester_id, worker_id) DO UPDATE SET
    status = CASE WHEN (w.status, excluded.status) IN ({_LEGAL})
                    OR (w.status IN ({_FINAL}) AND excluded.status <> 'pending'
                        AND w.last_update < clock_timestamp() - interval '{FINAL_IS_KEPT_S} s')
             THEN excluded.status ELSE w.status END,
    {_SET},
    last_update = clock_timestamp()
RETURNING worker_id, status, diag_message, error_code
"""

# primary key; the list of a report is the whole truth about its worker
_FORGET_JOBS = """
DELETE FROM harvester_worker_jobs
WHERE harvester_id = %(harvester_id)s AND worker_id = ANY(%(workers)s)
  AND (worker_id, panda_id) NOT IN (SELECT * FROM unnest(%(worker_ids)s::bigint[], %(panda_ids)s::bigint[]))
"""
_LINK_JOBS = """
INSERT INTO harvester_worker_jobs (harvester_id, worker_id, panda_id)
SELECT DISTINCT %(harvester_id)s, t.worker_id, t.panda_id
FROM unnest(%(worker_ids)s::bigint[], %(panda_ids)s::bigint[]) AS t (worker_id, panda_id)
ON CONFLICT (harvester_id, worker_id, panda_id) DO UPDATE SET last_update = clock_timestamp()
"""


def update_workers(database: Database, harvester_id: str, reports: Iterable[WorkerReport]) -> list[int]:
    """Take what a factory says of its workers, in one transaction, and return the PandaIDs that ended by it.

    Several reports of one worker count as one, the later over the earlier.
    """
    merged: dict[int, WorkerReport] = {}
    for report in reports:
        merged[report.worker_id] = _over(merged.get(report.worker_id), report)
    if not merged:
        return []
    ordered = [merged[worker_id] for worker_id in sorted(merged)]
    with database.transaction() as transaction:
        rows = transaction.insert_returning(_UPSERT, [_row(harvester_id, report) for report in ordered])
        _set_jobs(transaction, harvester_id, [report for report in ordered if report.panda_ids])
        ended = [
            EndedWorker(
                row["worker_id"],
                row["status"],
                row["diag_message"],
                row["error_code"] or 0,
                merged[row["worker_id"]].ends_its_jobs,
            )
            for row in rows
            if row["status"] in FINAL_WORKER_STATUSES
        ]
        return settle_jobs_of(transaction, harvester_id, ended)


# primary key
_PILOT_STATUS = """
UPDATE harvester_workers SET
    pilot_status = %(status)s,
    node_id = CASE WHEN %(node_id)s <> '' THEN %(node_id)s ELSE node_id END,
    pilot_start_time = CASE WHEN %(status)s = 'started' THEN clock_timestamp() ELSE pilot_start_time END,
    pilot_end_time = CASE WHEN %(status)s = 'finished' THEN clock_timestamp() ELSE pilot_end_time END
WHERE harvester_id = %(harvester_id)s AND worker_id = %(worker_id)s
"""


def note_pilot_status(database: Database, harvester_id: str, worker_id: int, status: str, node_id: str = "") -> bool:
    """A pilot says that its worker is `started` or `finished`; True when the factory has told of that worker.

    Raises InvalidInput for any other status.
    """
    if status not in PILOT_STATUSES:
        raise InvalidInput(
            f"unknown status {status[:40]!r}", field="status", remedy=f"one of {', '.join(PILOT_STATUSES)}"
        )
    said = {"harvester_id": harvester_id, "worker_id": worker_id, "status": status, "node_id": node_id}
    return database.execute(_PILOT_STATUS, said) > 0


def largest_worker_id(database: Database, harvester_id: str) -> int:
    """The highest worker id an instance has used; 0 before its first."""
    # primary key, from its end
    statement = "SELECT max(worker_id) AS largest FROM harvester_workers WHERE harvester_id = %(harvester_id)s"
    row = database.fetch_one(statement, {"harvester_id": harvester_id})
    return (row and row["largest"]) or 0


def _over(earlier: WorkerReport | None, later: WorkerReport) -> WorkerReport:
    if earlier is None:
        return later
    said: dict[str, Any] = {
        entry.name: getattr(later, entry.name)
        for entry in fields(later)
        if getattr(later, entry.name) not in (None, "", (), False)
    }
    return replace(earlier, **said)


def _row(harvester_id: str, report: WorkerReport) -> tuple[object, ...]:
    status = (report.status or WorkerStatus.PENDING).value
    return (harvester_id, report.worker_id, status, *(getattr(report, name) for name in _COLUMNS[1:]))


def _set_jobs(transaction: Transaction, harvester_id: str, reports: list[WorkerReport]) -> None:
    if not reports:
        return
    pairs = [(report.worker_id, panda_id) for report in reports for panda_id in report.panda_ids]
    said = {
        "harvester_id": harvester_id,
        "workers": [report.worker_id for report in reports],
        "worker_ids": [worker_id for worker_id, _ in pairs],
        "panda_ids": [panda_id for _, panda_id in pairs],
    }
    transaction.execute(_FORGET_JOBS, said)
    transaction.execute(_LINK_JOBS, said)
