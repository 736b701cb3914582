"""What must hold of tasks, jobs and files, whatever was killed: counters equal rows, no file is in two hands, nothing hangs."""

from __future__ import annotations

from core.database import Database, Row

_JOBS = """
WITH job AS (
    SELECT panda_id, jedi_task_id, job_index, job_status, true AS is_live FROM jobs_live
    UNION ALL SELECT panda_id, jedi_task_id, job_index, job_status, false FROM jobs_archive
)
"""

RULES: dict[str, str] = {
    "the counters of a task are those of its jobs": f"""{_JOBS}
        SELECT t.jedi_task_id, t.status, t.n_jobs, t.n_finished, t.n_failed, t.n_cancelled FROM tasks t LEFT JOIN (
            SELECT jedi_task_id, count(*) AS jobs, count(*) FILTER (WHERE NOT is_live AND job_status = 'finished') AS finished,
                   count(*) FILTER (WHERE NOT is_live AND job_status = 'failed') AS failed,
                   count(*) FILTER (WHERE NOT is_live AND job_status IN ('cancelled', 'closed')) AS cancelled
            FROM job GROUP BY jedi_task_id
        ) j USING (jedi_task_id)
        WHERE (t.n_jobs, t.n_finished, t.n_failed, t.n_cancelled)
           IS DISTINCT FROM (coalesce(j.jobs, 0), coalesce(j.finished, 0), coalesce(j.failed, 0), coalesce(j.cancelled, 0))""",
    "the counters of a task are those of its files": """
        SELECT t.jedi_task_id, t.status, t.n_files, t.n_files_finished, t.n_files_failed, f.* FROM tasks t JOIN (
            SELECT d.jedi_task_id AS id, count(*) AS files, count(*) FILTER (WHERE f.status = 'finished') AS finished,
                   count(*) FILTER (WHERE f.status = 'failed') AS failed
            FROM task_files f JOIN task_datasets d USING (dataset_id) WHERE d.is_master GROUP BY d.jedi_task_id
        ) f ON f.id = t.jedi_task_id
        WHERE (t.n_files, t.n_files_finished, t.n_files_failed) IS DISTINCT FROM (f.files, f.finished, f.failed)""",
    "no piece of input is in the hands of two live jobs": """
        SELECT f.jedi_task_id, f.file_id, count(*) FROM job_files f JOIN jobs_live j USING (panda_id)
        WHERE f.type = 'input' AND f.file_id IS NOT NULL AND f.dataset NOT LIKE '%%.lib' AND f.jedi_task_id IS NOT NULL
        GROUP BY 1, 2 HAVING count(*) > 1""",
    "what a task gave to a job is with a live job": """
        SELECT f.jedi_task_id, f.file_id, f.panda_id FROM task_files f LEFT JOIN jobs_live j USING (panda_id)
        WHERE f.status = 'running' AND j.panda_id IS NULL""",
    "a live job has input of its task": """
        SELECT j.jedi_task_id, j.panda_id FROM jobs_live j WHERE j.jedi_task_id IS NOT NULL AND j.job_index > 0
          AND NOT EXISTS (SELECT 1 FROM task_files f WHERE f.panda_id = j.panda_id AND f.status = 'running')""",
    "a job is whole": """
        SELECT j.jedi_task_id, j.panda_id FROM jobs_live j WHERE NOT EXISTS (
                SELECT 1 FROM job_parameters p WHERE p.panda_id = j.panda_id)
           OR NOT EXISTS (SELECT 1 FROM job_files f WHERE f.panda_id = j.panda_id AND f.type = 'log')""",
    "no job number of a task is used twice": f"""{_JOBS}
        SELECT jedi_task_id, job_index, count(*) FROM job WHERE job_index > 0 AND jedi_task_id IS NOT NULL
        GROUP BY 1, 2 HAVING count(*) > 1""",
    "no job is live and archived": """
        SELECT panda_id FROM jobs_live JOIN jobs_archive USING (panda_id)""",
    "a job ends once": """
        SELECT panda_id, count(*) FROM job_history WHERE job_status IN ('finished', 'failed', 'cancelled', 'closed')
        GROUP BY panda_id HAVING count(*) > 1""",
    "a task that has ended has no live job, and one that is under way has one or input for more": """
        SELECT t.jedi_task_id, t.status FROM tasks t CROSS JOIN LATERAL (
            SELECT EXISTS (SELECT 1 FROM jobs_live j WHERE j.jedi_task_id = t.jedi_task_id) AS has_jobs,
                   EXISTS (SELECT 1 FROM task_files f JOIN task_datasets d USING (dataset_id)
                           WHERE f.jedi_task_id = t.jedi_task_id AND f.status = 'ready' AND d.is_master) AS has_input
        ) s
        WHERE (t.status IN ('done', 'finished', 'failed', 'aborted', 'broken') AND s.has_jobs)
           OR (t.status IN ('ready', 'scouting', 'running', 'aborting', 'finishing') AND NOT (s.has_jobs OR s.has_input))""",
    "a name is one task": """
        SELECT task_name, user_name, count(*) FROM tasks WHERE (parameters ->> 'uniqueTaskName')::boolean
        GROUP BY 1, 2 HAVING count(*) > 1""",
}
"""What is broken by a row of each statement."""


def broken_rules(database: Database) -> dict[str, list[Row]]:
    """The rules that do not hold, with some of what breaks them."""
    found = {rule: database.fetch(statement, {}) for rule, statement in RULES.items()}
    return {rule: rows[:5] for rule, rows in found.items() if rows}
