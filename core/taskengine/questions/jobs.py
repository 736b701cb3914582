"""Finds the jobs of a task, live and ended. Reads only."""

from __future__ import annotations

from core.database import Database

# ix_jobs_live_task
_LIVE = "SELECT panda_id FROM jobs_live WHERE jedi_task_id = %(id)s ORDER BY panda_id"

# ix_jobs_live_task, ix_jobs_archive_task
_ALL = """
SELECT panda_id FROM jobs_live WHERE jedi_task_id = %(id)s
UNION ALL
SELECT panda_id FROM jobs_archive WHERE jedi_task_id = %(id)s
ORDER BY panda_id
"""

# ix_jobs_archive_task; the newest, as many as one answer holds
_UNSUCCESSFUL = """
SELECT panda_id FROM (
    SELECT panda_id FROM jobs_archive
    WHERE jedi_task_id = %(id)s AND job_status IN ('failed', 'cancelled', 'closed')
    ORDER BY panda_id DESC LIMIT %(limit)s
) newest ORDER BY panda_id
"""

# ix_jobs_live_task, ix_jobs_archive_task
_STATUSES = """
SELECT jedi_task_id, panda_id, job_status FROM jobs_live WHERE jedi_task_id = ANY(%(ids)s)
UNION ALL
SELECT jedi_task_id, panda_id, job_status FROM jobs_archive WHERE jedi_task_id = ANY(%(ids)s)
ORDER BY panda_id
"""


def live_jobs_of(database: Database, task_id: int) -> list[int]:
    """PandaIDs of the jobs of a task that have not ended, in order."""
    return [row["panda_id"] for row in database.fetch(_LIVE, {"id": task_id})]


def jobs_of(database: Database, task_id: int) -> list[int]:
    """All PandaIDs of a task in order; none for a task that does not exist."""
    return [row["panda_id"] for row in database.fetch(_ALL, {"id": task_id})]


def unsuccessful_jobs_of(database: Database, task_id: int, limit: int) -> list[int]:
    """PandaIDs of the newest `limit` failed, cancelled and closed jobs of a task, in order."""
    return [row["panda_id"] for row in database.fetch(_UNSUCCESSFUL, {"id": task_id, "limit": limit})]


def job_statuses_of(database: Database, task_ids: list[int]) -> dict[int, dict[int, str]]:
    """The status of every job of these tasks: `{jediTaskID: {PandaID: status}}`, in order of PandaID."""
    statuses: dict[int, dict[int, str]] = {task_id: {} for task_id in task_ids}
    for row in database.fetch(_STATUSES, {"ids": task_ids}):
        statuses[row["jedi_task_id"]][row["panda_id"]] = row["job_status"]
    return statuses
