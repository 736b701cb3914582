"""Reads what became of the scouts of a task and what its finished jobs reported. Knows tables; judges nothing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from core.core_power import core_power
from core.database import Row, Transaction
from core.taskengine.scouting.deciding import ScoutCounts
from core.taskengine.scouting.gate import SCOUT
from core.taskengine.scouting.measuring import JobFacts
from core.text import clean

_MOST_JOBS = 500
"""Jobs that are read at most: the bound of memory, and more tell nothing new."""
_LEAK = re.compile(r"(?:^|\s)leak=(-?[0-9.]+(?:[eE][-+]?[0-9]+)?)(?=\s|$)")
_WORK_DIR = re.compile(r"(?:^|\s)workDirSize=([0-9]{1,15})(?=\s|$)")

# ix_jobs_live_task, ix_jobs_archive_task: until the verdict a task has no jobs but its scouts and their build job
_SCOUTS = f"""
SELECT panda_id FROM jobs_live
WHERE jedi_task_id = %(id)s AND '{SCOUT}' = ANY(string_to_array(special_handling, ','))
UNION ALL
SELECT panda_id FROM jobs_archive
WHERE jedi_task_id = %(id)s AND '{SCOUT}' = ANY(string_to_array(special_handling, ','))
"""
# ix_task_files_job: each file under the last job that had it, so a scout that is tried again counts once
_PLACES = """
SELECT f.panda_id,
       CASE WHEN bool_or(f.status IN ('ready', 'running')) THEN 'under way'
            WHEN bool_and(f.status = 'finished') THEN 'finished' ELSE 'failed' END AS fate,
       count(*) AS files
FROM task_files f JOIN task_datasets d USING (dataset_id)
WHERE f.panda_id = ANY(%(ids)s) AND d.is_master GROUP BY 1
"""
# ix_jobs_archive_task
_ERRORS = """
SELECT job_status, pilot_error_code, pilot_error_diag, exe_error_code, exe_error_diag, trans_exit_code,
       ddm_error_diag, task_buffer_error_diag, job_dispatcher_error_diag, brokerage_error_diag, sup_error_diag
FROM jobs_archive WHERE jedi_task_id = %(id)s AND job_status <> 'finished' ORDER BY panda_id DESC LIMIT 100
"""
# ix_jobs_archive_task, primary key of queues, ix_task_files_job, ix_job_files_job
_FINISHED = """
SELECT j.panda_id, coalesce(extract(epoch FROM j.end_time - j.start_time), 0)::float AS wall_s, j.cpu_consumption_time_s,
       j.core_count, j.max_pss_kb, j.max_rss_kb, j.n_events, j.work_dir_mb, j.job_metrics, j.metrics,
       q.parameters ->> 'corepower' AS power, f.events, f.files, b.input_bytes, b.output_bytes
FROM (
    SELECT * FROM jobs_archive WHERE jedi_task_id = %(id)s AND job_status = 'finished' AND job_index > 0
    ORDER BY panda_id DESC LIMIT %(most)s
) j LEFT JOIN queues q ON q.queue_name = j.computing_site
CROSS JOIN LATERAL (
    SELECT coalesce(sum(f.n_events), 0)::bigint AS events, count(*) AS files
    FROM task_files f JOIN task_datasets d USING (dataset_id) WHERE f.panda_id = j.panda_id AND d.is_master
) f CROSS JOIN LATERAL (
    SELECT coalesce(sum(size_bytes) FILTER (WHERE type = 'input'), 0)::bigint AS input_bytes,
           coalesce(sum(size_bytes) FILTER (WHERE type = 'output'), 0)::bigint AS output_bytes
    FROM job_files WHERE panda_id = j.panda_id
) b
"""


def count_scouts(transaction: Transaction, task_id: int) -> ScoutCounts:
    """The scouts of a task by what became of their input."""
    scouts = [row["panda_id"] for row in transaction.fetch(_SCOUTS, {"id": task_id})]
    fates = Counter(row["fate"] for row in transaction.fetch(_PLACES, {"ids": scouts})) if scouts else Counter[str]()
    return ScoutCounts(fates["under way"], fates["finished"], fates["failed"])


def frequent_error(transaction: Transaction, task_id: int) -> str:
    """The sentence that most of the failed jobs of a task end with; empty when none says anything."""
    sentences = Counter(filter(None, (_error(row) for row in transaction.fetch(_ERRORS, {"id": task_id}))))
    return clean(sentences.most_common(1)[0][0], 200) if sentences else ""


def _error(row: Row) -> str:
    diags = (value for name, value in row.items() if name.endswith("_diag") and value)
    first = next(diags, "")
    return str(first) or (
        f"the program ended with exit code {row['trans_exit_code']}" if row["trans_exit_code"] else ""
    )


def finished_jobs(transaction: Transaction, task_id: int) -> list[JobFacts]:
    """What the last finished jobs of a task reported, build jobs left out; at most 500."""
    rows = transaction.fetch(_FINISHED, {"id": task_id, "most": _MOST_JOBS})
    return [_facts(row) for row in rows]


def _facts(row: Row) -> JobFacts:
    metrics: Mapping[str, Any] = row["metrics"] or {}
    return JobFacts(
        panda_id=row["panda_id"],
        wall_s=max(0.0, row["wall_s"]),
        cpu_s=float(row["cpu_consumption_time_s"]),
        cores=max(1, row["core_count"]),
        core_power=core_power(row["power"]),
        # of payloads that ended before they were looked at only the kernel's account is known
        max_pss_kb=row["max_pss_kb"] or row["max_rss_kb"],
        n_events=row["events"] or row["n_events"],
        n_files=row["files"] or 1,
        input_bytes=row["input_bytes"],
        output_bytes=row["output_bytes"],
        work_dir_mb=row["work_dir_mb"] or _work_dir_mb(row["job_metrics"]),
        # kept in kB, as the old server did (api/panda/pilot_reports.py)
        disk_io_kb=int(_positive(metrics.get("tot_rbytes")) + _positive(metrics.get("tot_wbytes"))),
        leak_kb_s=max(0.0, _leak(row["job_metrics"])),
    )


def _positive(value: Any) -> float:
    """A number that a pilot or an operator wrote; 0 for anything else."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return 0.0
    return number if 0 < number < 1e15 else 0.0


def _leak(job_metrics: str) -> float:
    found = _LEAK.search(job_metrics)
    return _positive(found.group(1)) if found else 0.0


def _work_dir_mb(job_metrics: str) -> int:
    found = _WORK_DIR.search(job_metrics)
    return -(-int(found.group(1)) // 10**6) if found else 0
