"""Fills the live tables with jobs in a wanted state, straight by SQL."""

from __future__ import annotations

from core.database import Database

QUEUES = 100

_CLEAR = (
    "TRUNCATE jobs_live, job_parameters, job_files, job_output_reports, job_logs, job_history, queues, jobs_archive"
)

_QUEUES = """
INSERT INTO queues (queue_name, site, storage_endpoint)
SELECT 'BENCH_' || n, 'bench', '' FROM generate_series(0, %(queues)s - 1) AS n
"""

_JOBS = """
INSERT INTO jobs_live (panda_id, job_name, job_status, computing_site, prod_source_label, prod_user_name, vo,
                       current_priority, min_ram_mb, max_walltime_s, transformation)
SELECT n, 'bench.' || n, %(status)s, 'BENCH_' || (n %% %(queues)s), 'user', 'user' || (n %% 50), 'bench',
       1000 + (n * 7919) %% 100, 1000 + (n %% 4) * 500, 3600, 'runShell'
FROM generate_series(1, %(jobs)s) AS n
"""

_PARAMETERS = """
INSERT INTO job_parameters (panda_id, job_parameters)
SELECT n, 'wc -w input.txt > counts.txt # ' || repeat('x', 200) FROM generate_series(1, %(jobs)s) AS n
"""

_FILES = """
INSERT INTO job_files (panda_id, type, lfn, local_name, scope, dataset, guid, size_bytes, checksum, status, pfn)
SELECT n, kind, kind || '.' || n, kind, 'bench', 'bench', gen_random_uuid()::text, 1000, 'ad:01c2009c', 'ready',
       '/bench/' || n
FROM generate_series(1, %(jobs)s) AS n, unnest(ARRAY['input', 'output', 'log']) AS kind
"""


def populate(database: Database, *, jobs: int, status: str, queues: int = QUEUES) -> None:
    """Replace everything by `jobs` jobs of `status` spread over `queues` queues, three files each; vacuumed."""
    values = {"jobs": jobs, "status": status, "queues": queues}
    with database.transaction() as transaction:
        for statement in (_CLEAR, _QUEUES, _JOBS, _PARAMETERS, _FILES):
            transaction.execute(statement, values)
    for statement in (
        "VACUUM ANALYZE jobs_live",
        "VACUUM ANALYZE job_files",
        "VACUUM ANALYZE job_parameters",
        "CHECKPOINT",
    ):
        database.execute(statement)
