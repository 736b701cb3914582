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
_BY_STATUS = """
SELECT job_status, count(*) AS job_count FROM (
    SELECT job_status FROM jobs_live WHERE jedi_task_id = %(id)s
    UNION ALL
    SELECT job_status FROM jobs_archive WHERE jedi_task_id = %(id)s
) jobs GROUP BY job_status ORDER BY job_status
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


def job_counts_of(database: Database, task_id: int) -> dict[str, int]:
    """How many jobs of a task are in each status."""
    return {row["job_status"]: row["job_count"] for row in database.fetch(_BY_STATUS, {"id": task_id})}
