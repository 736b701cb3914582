"""What the run jobs that wait for a build job will need: the build must go where they can follow. Knows no queue.

The library lies at the storage of the queue that built it, and work goes to its data.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from core.brokerage.candidates import Request
from core.database import Row, Transaction

# ix_jobs_live_task, ix_job_files_job, primary key of replicas
_NEEDS = """
WITH waiting AS (
    SELECT jedi_task_id, panda_id, core_count, min_ram_mb, max_disk_mb, max_walltime_s FROM jobs_live
    WHERE jedi_task_id = ANY(%(ids)s) AND job_status = 'pending'
), input AS (
    SELECT DISTINCT w.jedi_task_id, f.file_id FROM waiting w JOIN job_files f USING (panda_id)
    WHERE f.type IN ('input', 'sandbox') AND f.file_id IS NOT NULL
), total AS (
    SELECT jedi_task_id, count(*) AS n FROM input GROUP BY jedi_task_id
), held AS (
    SELECT i.jedi_task_id, r.endpoint, count(*) AS n FROM input i JOIN replicas r USING (file_id)
    JOIN storage_endpoints e ON e.name = r.endpoint WHERE e.kind = 'disk' GROUP BY 1, 2
), complete AS (
    SELECT t.jedi_task_id, array_agg(h.endpoint) AS endpoints FROM total t
    JOIN held h ON h.jedi_task_id = t.jedi_task_id AND h.n = t.n GROUP BY t.jedi_task_id
)
SELECT w.jedi_task_id, max(w.core_count) AS core_count, max(w.min_ram_mb) AS min_ram_mb,
       max(w.max_disk_mb) AS max_disk_mb, max(w.max_walltime_s) AS max_walltime_s,
       coalesce((SELECT c.endpoints FROM complete c WHERE c.jedi_task_id = w.jedi_task_id), '{}') AS endpoints
FROM waiting w GROUP BY w.jedi_task_id
"""


@dataclass(frozen=True)
class Followers:
    """The largest needs among run jobs, and where the input of all of them lies."""

    core_count: int
    min_ram_mb: int
    max_disk_mb: int
    max_walltime_s: int
    complete_at: frozenset[str]

    def added_to(self, request: Request) -> Request:
        """The request of the build job. Where no storage holds everything the input decides nothing."""
        return replace(
            request,
            core_count=max(request.core_count, self.core_count),
            min_ram_mb=max(request.min_ram_mb, self.min_ram_mb),
            max_disk_mb=max(request.max_disk_mb, self.max_disk_mb),
            max_walltime_s=max(request.max_walltime_s, self.max_walltime_s),
            has_input=request.has_input or bool(self.complete_at),
            complete_at=request.complete_at | self.complete_at,
        )


def is_build_job(job: Row) -> bool:
    """Run jobs of a task are numbered from 1; its build jobs have no number."""
    return job["jedi_task_id"] is not None and job["job_index"] == 0


def needs_of_waiting(transaction: Transaction, task_ids: Iterable[int]) -> dict[int, Followers]:
    """What waits for the build jobs of these tasks, by jediTaskID."""
    ids = sorted(task_ids)
    rows = transaction.fetch(_NEEDS, {"ids": ids}) if ids else []
    return {
        row["jedi_task_id"]: Followers(
            row["core_count"],
            row["min_ram_mb"],
            row["max_disk_mb"],
            row["max_walltime_s"],
            frozenset(row["endpoints"]),
        )
        for row in rows
    }
