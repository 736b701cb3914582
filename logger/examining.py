"""What is known of jobs that have just failed: row, culprit, residue, and the file the failure was about. Reads only.

Knows the tables of jobs and of tasks' files; knows no incident. One statement of each kind for a page of jobs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from core.database import Row, Transaction
from core.models.errors import ERROR_COMPONENTS
from logger.culprit import Context, Culprit, context_of, find_culprit
from logger.rules.failure_burst import ExaminedJob, FailingFile, error_of, is_of_payload, where_and_what

_LOGS_AT_ONCE = 50
"""Jobs whose logs (64 kB each, three per job) are held in memory at the same time."""
_FILES_LOOKED_AT = 200
"""Files of a job among which the one named in its diagnosis is looked for."""

_COLUMNS = ", ".join(
    [
        *("panda_id", "jedi_task_id", "job_index", "computing_site", "prod_user_name", "working_group"),
        *("prod_source_label",),
        *("modification_host", "transformation", "job_name", "destination_dataset", "batch_id", "attempt_nr"),
        *("core_count", "start_time", "end_time", "pilot_timing", "state_change_time"),
        *(component.code_column for component in ERROR_COMPONENTS),
        *(component.diag_column for component in ERROR_COMPONENTS if component.diag_column),
    ]
)

# primary key, in the partitions of the times around the ends
_JOBS = f"""
SELECT {_COLUMNS} FROM jobs_archive
WHERE panda_id = ANY(%(panda_ids)s) AND state_change_time BETWEEN %(first)s AND %(last)s
"""

# primary key
_LOGS = """
SELECT l.panda_id, l.name, l.text
FROM unnest(%(panda_ids)s::bigint[], %(names)s::text[]) AS wanted (panda_id, name)
JOIN job_logs l ON l.panda_id = wanted.panda_id AND l.name = wanted.name
"""

# ix_task_files_job, ix_task_files_status, ix_jobs_live_parent, ix_jobs_archive_parent in the days since. Build jobs are
# not repeated by themselves. When no file names the job any more its input went on to another job already; only a task
# that keeps no files at all makes such a job residue.
_RESIDUE = """
SELECT j.panda_id,
       CASE WHEN j.jedi_task_id IS NULL THEN NOT EXISTS (SELECT 1 FROM jobs_live l WHERE l.parent_id = j.panda_id)
                 AND NOT EXISTS (SELECT 1 FROM jobs_archive a WHERE a.parent_id = j.panda_id
                                 AND a.state_change_time >= %(first)s)
            WHEN j.job_index = 0 THEN true
            WHEN f.files IS NULL THEN NOT EXISTS (SELECT 1 FROM task_files t WHERE t.jedi_task_id = j.jedi_task_id)
            ELSE f.lost END AS is_residue
FROM unnest(%(panda_ids)s::bigint[], %(tasks)s::bigint[], %(indexes)s::bigint[]) AS j (panda_id, jedi_task_id, job_index)
LEFT JOIN LATERAL (
    SELECT count(*) AS files, bool_or(status IN ('failed', 'cancelled')) AS lost
    FROM task_files WHERE panda_id = j.panda_id HAVING count(*) > 0
) f ON true
"""

# ix_job_files_job; queues by primary key. The file that the diagnosis names, else the first
_FILES = f"""
SELECT w.panda_id, f.type, f.lfn, f.dataset,
       coalesce(nullif(f.endpoint, ''), q.storage_endpoint, '') AS endpoint
FROM unnest(%(panda_ids)s::bigint[], %(sites)s::text[], %(said)s::text[], %(inputs)s::boolean[])
     AS w (panda_id, site, said, is_input)
LEFT JOIN queues q ON q.queue_name = w.site
LEFT JOIN LATERAL (
    SELECT * FROM (
        SELECT row_id, type, lfn, dataset, endpoint FROM job_files
        WHERE panda_id = w.panda_id AND (type = 'input') = w.is_input AND type IN ('input', 'output', 'log')
        ORDER BY row_id LIMIT {_FILES_LOOKED_AT}
    ) own ORDER BY strpos(w.said, own.lfn) > 0 DESC, own.type = 'log', own.row_id LIMIT 1
) f ON true
"""

PAYLOAD_LOGS_FIRST = ("payload.stderr", "payload.stdout", "pilot.log")
PILOT_LOG_FIRST = ("pilot.log", "payload.stderr", "payload.stdout")

_OF_FILES = frozenset({"stage-in", "stage-out"})
_CLASSES_OF_FILES = frozenset({"data", "storage"})


@dataclass(frozen=True)
class Finding:
    """The culprit of a job, the log it stands in, and the lines around it."""

    log_name: str
    culprit: Culprit
    context: Context


def rows_of_jobs(transaction: Transaction, page: Sequence[Row]) -> dict[int, Row]:
    """The archived rows of ended jobs. `page`: panda_id and time of each end."""
    times = [row["time"] for row in page]
    found = transaction.fetch(
        _JOBS,
        {
            "panda_ids": [row["panda_id"] for row in page],
            "first": min(times) - timedelta(days=1),
            "last": max(times) + timedelta(days=1),
        },
    )
    return {row["panda_id"]: row for row in found}


def examine(
    transaction: Transaction, ends: Sequence[Row], rows: dict[int, Row], *, with_logs: bool = True
) -> Iterator[ExaminedJob]:
    """Everything known of these jobs. `ends`: panda_id, time and previous_status of each."""
    residue = _residue(transaction, [rows[end["panda_id"]] for end in ends])
    for start in range(0, len(ends), _LOGS_AT_ONCE):
        chunk = ends[start : start + _LOGS_AT_ONCE]
        findings = find_culprits(transaction, chunk, rows) if with_logs else {}
        jobs = []
        for end in chunk:
            panda_id = end["panda_id"]
            finding = findings.get(panda_id)
            jobs.append(
                ExaminedJob(
                    rows[panda_id],
                    end["previous_status"],
                    end["time"],
                    finding.culprit if finding else None,
                    finding.log_name if finding else "",
                    is_residue=residue.get(panda_id, True),
                    context=finding.context if finding else None,
                )
            )
        yield from _with_files(transaction, jobs)


def plain(end: Row, row: Row) -> ExaminedJob:
    """What the job's row alone says, for one that cannot be examined."""
    return ExaminedJob(row, end["previous_status"], end["time"])


def find_culprits(transaction: Transaction, ends: Sequence[Row], rows: dict[int, Row]) -> dict[int, Finding]:
    """The culprits of jobs; jobs without any logs are left out.

    The payload's own words come first when the payload failed, the pilot's when the trouble was around it; a log is
    read only while no line before it looked like an error, because most logs are long and one is enough. A line that
    looks like an error is better than the last line of an earlier log, but of a payload that failed the last words
    say more than the pilot's note of it.
    """
    of_payload = {}
    for end in ends:
        row = rows[end["panda_id"]]
        of_payload[end["panda_id"]] = is_of_payload(error_of(row, end["previous_status"]), row["trans_exit_code"])
    found: dict[int, Finding] = {}
    for names in zip(PAYLOAD_LOGS_FIRST, PILOT_LOG_FIRST, strict=True):
        wanted = {
            panda_id: names[0] if is_payload else names[1]
            for panda_id, is_payload in of_payload.items()
            if panda_id not in found
            or (found[panda_id].culprit.is_guess and not (is_payload and names[0] == "pilot.log"))
        }
        parameters = {"panda_ids": list(wanted), "names": list(wanted.values())}
        for log in transaction.fetch(_LOGS, parameters) if wanted else []:
            culprit = find_culprit(log["text"])
            if culprit is not None and not (culprit.is_guess and log["panda_id"] in found):
                found[log["panda_id"]] = Finding(log["name"], culprit, context_of(log["text"], culprit))
    return found


def _residue(transaction: Transaction, rows: Sequence[Row]) -> dict[int, bool]:
    if not rows:
        return {}
    answers = transaction.fetch(
        _RESIDUE,
        {
            "panda_ids": [row["panda_id"] for row in rows],
            "tasks": [row["jedi_task_id"] for row in rows],
            "indexes": [row["job_index"] for row in rows],
            "first": min(row["state_change_time"] for row in rows),
        },
    )
    return {row["panda_id"]: row["is_residue"] for row in answers}


def _with_files(transaction: Transaction, jobs: Sequence[ExaminedJob]) -> list[ExaminedJob]:
    """The file that each failure of staging was about, with its dataset and storage endpoint."""
    asked: dict[int, tuple[str, str, bool]] = {}
    for job in jobs:
        step, error_class = where_and_what(job, job.error)
        if step in _OF_FILES or error_class in _CLASSES_OF_FILES:
            said = f"{job.error.diag} {job.culprit.text if job.culprit else ''}"
            asked[job.row["panda_id"]] = (job.row["computing_site"], said, step != "stage-out")
    if not asked:
        return list(jobs)
    sites, texts, inputs = (list(values) for values in zip(*asked.values(), strict=True))
    answers = transaction.fetch(_FILES, {"panda_ids": list(asked), "sites": sites, "said": texts, "inputs": inputs})
    files = {
        row["panda_id"]: FailingFile(row["lfn"] or "", row["dataset"] or "", row["endpoint"], row["type"] == "input")
        for row in answers
    }
    return [replace(job, file=_known(files.get(job.row["panda_id"]))) for job in jobs]


def _known(file: FailingFile | None) -> FailingFile | None:
    """Datasets count only of what is read: an output's dataset is the task's own."""
    return file if file is None or file.is_input else replace(file, dataset="")
