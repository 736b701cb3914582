"""Finds jobs by PandaID, live or archived, for PanDA's own protocol. Reads only."""

from __future__ import annotations

from core.database import Database, Row
from core.models import JobColumns

MAX_LOOKUP = 5500
"""PandaIDs in one question, as upstream (server-api.md 1.1)."""

_COLUMNS = ", ".join(JobColumns.model_fields)

# primary keys on both sides
_JOBS = f"""
SELECT {_COLUMNS} FROM jobs_live WHERE panda_id = ANY(%(panda_ids)s)
UNION ALL
SELECT {_COLUMNS} FROM jobs_archive WHERE panda_id = ANY(%(panda_ids)s)
"""

_STATUSES = """
SELECT panda_id, job_status, attempt_nr, command_to_pilot FROM jobs_live WHERE panda_id = ANY(%(panda_ids)s)
UNION ALL
SELECT panda_id, job_status, attempt_nr, '' FROM jobs_archive WHERE panda_id = ANY(%(panda_ids)s)
"""

# ix_job_files_job, primary keys of job_parameters and job_metadata
_FILES = "SELECT * FROM job_files WHERE panda_id = ANY(%(panda_ids)s) ORDER BY row_id"
_PARAMETERS = "SELECT panda_id, job_parameters FROM job_parameters WHERE panda_id = ANY(%(panda_ids)s)"
_META_DATA = "SELECT panda_id, text FROM job_metadata WHERE panda_id = ANY(%(panda_ids)s)"


def job_statuses(database: Database, panda_ids: list[int]) -> dict[int, Row]:
    """Status, attempt and pending command of the known ones among `panda_ids`."""
    return {row["panda_id"]: row for row in database.fetch(_STATUSES, {"panda_ids": panda_ids})}


def jobs_with_files(database: Database, panda_ids: list[int]) -> dict[int, Row]:
    """Whole job rows, each with `files` (rows), `job_parameters` and `meta_data` (None without); unknown ids are absent."""
    jobs = {
        row["panda_id"]: {**row, "files": [], "job_parameters": "", "meta_data": None}
        for row in database.fetch(_JOBS, {"panda_ids": panda_ids})
    }
    for row in database.fetch(_FILES, {"panda_ids": list(jobs)}):
        jobs[row["panda_id"]]["files"].append(row)
    for row in database.fetch(_PARAMETERS, {"panda_ids": list(jobs)}):
        jobs[row["panda_id"]]["job_parameters"] = row["job_parameters"]
    for row in database.fetch(_META_DATA, {"panda_ids": list(jobs)}):
        jobs[row["panda_id"]]["meta_data"] = row["text"]
    return jobs


# ix_jobs_live_status
_ACTIVE_BY_SITE = """
SELECT computing_site, resource_type, prod_source_label, job_status, count(*) AS job_count FROM jobs_live
GROUP BY computing_site, resource_type, prod_source_label, job_status
"""


def active_job_counts(database: Database) -> list[Row]:
    """Live jobs by queue, resource type, label and status."""
    return database.fetch(_ACTIVE_BY_SITE)


# ix_jobs_archive_task, primary key of job_metadata
_METADATA = """
SELECT m.panda_id, m.text FROM jobs_archive j JOIN job_metadata m USING (panda_id)
WHERE j.jedi_task_id = %(task_id)s AND j.job_status = 'finished' AND j.prod_source_label IN ('user', 'panda')
ORDER BY m.panda_id
"""


def metadata_of_task(database: Database, task_id: int) -> dict[int, str]:
    """PandaID -> what the payload reported of itself, for the finished user jobs of a task that reported something."""
    return {row["panda_id"]: row["text"] for row in database.fetch(_METADATA, {"task_id": task_id})}
