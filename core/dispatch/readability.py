"""Jobs for pilots that read the names of files out of comma-joined lists (pilot-wire.md 3). Knows no HTTP.

A name with a comma would reach such a pilot as two other names. The job ends with a sentence that says so: left alone it
would wait for ever at a queue that only such pilots serve, and nobody would know why.
"""

from __future__ import annotations

from core.database import Database
from core.dispatch.acquire import AcquiredJob, SlotOffer, acquire_jobs
from core.shares.ranking import Ranking
from core.states import JobStatus
from core.taskbuffer.endings import Ending, JobError, end_jobs

DISPATCHER_ERROR = 105
_PATIENCE = 10
"""Unreadable jobs put aside for one request before the pilot hears that there is nothing."""


def acquire_readable_jobs(database: Database, offer: SlotOffer, ranking: Ranking | None = None) -> list[AcquiredJob]:
    """Like `acquire_jobs`, for such a pilot; unreadable jobs that come first end as failed. Raises UnknownObject."""
    for _ in range(_PATIENCE):
        taken = acquire_jobs(database, offer, ranking)
        unreadable = {job.job["panda_id"]: name for job in taken if (name := _unreadable_name(job)) is not None}
        if unreadable:
            _end(database, unreadable)
        readable = [job for job in taken if job.job["panda_id"] not in unreadable]
        if readable or not taken:
            return readable
    return []


def _unreadable_name(job: AcquiredJob) -> str | None:
    return next((file["lfn"] for file in job.files if "," in file["lfn"] or file["lfn"] == "NULL"), None)


def _end(database: Database, unreadable: dict[int, str]) -> None:
    endings = []
    for panda_id, name in unreadable.items():
        diag = (
            f"the pilot of this queue reads file names from comma-joined lists and cannot be given {name[:200]!r}: "
            "rename the file, or choose a queue with pilots of pandascope"
        )
        error = JobError("job_dispatcher", DISPATCHER_ERROR, diag)
        endings.append(Ending(panda_id, JobStatus.FAILED, "a file name that its pilot cannot read", error=error))
    with database.transaction() as transaction:
        end_jobs(transaction, endings)
