"""Which queues have jobs that are ready: the beginning of the statements of several measures."""

from __future__ import annotations

# ix_jobs_live_oldest, by leaping from one name to the next: hundreds of steps in an index, however many jobs wait
READY_QUEUES = """
RECURSIVE places (name) AS (
    (SELECT computing_site FROM jobs_live WHERE job_status = 'activated' AND computing_site > ''
     ORDER BY computing_site LIMIT 1)
    UNION ALL
    SELECT (SELECT computing_site FROM jobs_live WHERE job_status = 'activated' AND computing_site > places.name
            ORDER BY computing_site LIMIT 1)
    FROM places WHERE places.name IS NOT NULL
)
"""
"""A common table expression `places (name)`; its last name is null."""
