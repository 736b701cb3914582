"""Accounts for the outputs of jobs whose verdict is in and ends them (domain.md 4.2: Adder). Knows no HTTP.

The pilot's verdict counts, but finished is only what has every output stored with size and checksum.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from core.agents.apart import done_apart
from core.agents.base import Agent
from core.database import Database, Row, Transaction
from core.dataservice.stored_logs import StoredLog, keep_stored_logs
from core.states import JobStatus
from core.taskbuffer.endings import Ending, JobError, end_jobs
from core.taskbuffer.killing import ending_of_killed
from core.taskengine.dialects.execution import optional_outputs
from core.text import clean

log = logging.getLogger("panda.adder")

ADDER_ERROR = 200
"""ddmErrorCode: the outputs do not add up."""

_BATCH = 200
_AGAIN_S = 60
"""How long a job rests whose end meets an error."""
_CHECKSUMS = {
    "adler32": ("ad:", re.compile(r"[0-9a-f]{8}")),
    "md5sum": ("md5:", re.compile(r"[0-9a-f]{32}")),
}
"""Names of checksums in a pilot's report (pilot-wire.md 2.2): how the catalogue writes them, and what they look like."""

# ordered by job, so that the locks of this batch and of an ending elsewhere are taken in the same order
_REPORTS = """
SELECT r.panda_id, r.verdict, r.report, j.command_to_pilot, j.kill_code, j.pilot_error_code, j.exe_error_code,
       j.trans_exit_code
FROM job_output_reports r JOIN jobs_live j USING (panda_id)
WHERE j.job_status IN ('holding', 'transferring') AND r.panda_id <> ALL(%(aside)s::bigint[])
ORDER BY r.panda_id LIMIT %(batch)s FOR UPDATE OF j SKIP LOCKED
"""

# ix_job_files_job; an output that is expected stands here since the submission. `lib` is what a build job makes
_EXPECTED = """
SELECT f.row_id, f.panda_id, f.jedi_task_id, f.type, f.lfn, f.guid, f.pfn, f.endpoint, f.dataset, d.dataset_id
FROM job_files f LEFT JOIN datasets d ON d.name = f.dataset
WHERE f.panda_id = ANY(%(panda_ids)s) AND f.type IN ('output', 'log', 'lib') ORDER BY f.row_id
"""

# primary key
_ITEMS = """
SELECT jedi_task_id, parameters -> 'jobParameters' AS items, parameters -> 'mergeOutput' AS merges
FROM tasks WHERE jedi_task_id = ANY(%(ids)s)
"""
_NOT_MADE = "UPDATE job_files SET status = 'nooutput' WHERE row_id = ANY(%(row_ids)s)"

_STORED = """
UPDATE job_files f SET status = 'ready', guid = v.guid, size_bytes = v.size_bytes, checksum = v.checksum, pfn = v.pfn,
    file_id = v.file_id
FROM unnest(%(row_id)s::bigint[], %(guid)s::text[], %(size_bytes)s::bigint[], %(checksum)s::text[], %(pfn)s::text[],
            %(file_id)s::bigint[]) AS v (row_id, guid, size_bytes, checksum, pfn, file_id)
WHERE f.row_id = v.row_id
"""

# a retried job makes the same logical file again; the last attempt is the one that counts
_CATALOGUE = """
INSERT INTO files (dataset_id, lfn, guid, size_bytes, checksum, panda_id) VALUES %s
ON CONFLICT (dataset_id, lfn) DO UPDATE SET
    guid = excluded.guid, size_bytes = excluded.size_bytes, checksum = excluded.checksum, panda_id = excluded.panda_id
RETURNING file_id, dataset_id, lfn
"""
_REPLICA = """
INSERT INTO replicas (file_id, endpoint, pfn) VALUES %s
ON CONFLICT (file_id, endpoint) DO UPDATE SET pfn = excluded.pfn
"""


@dataclass
class _StoredFile:
    """A file of the report that stands up to a look."""

    expected: Row
    guid: str
    size_bytes: int
    checksum: str
    pfn: str


@dataclass
class _Account:
    """What one report comes to."""

    ending: Ending
    stored: list[_StoredFile] = field(default_factory=list)


class Adder(Agent):
    """Ends jobs whose verdict is in."""

    name = "adder"

    def __init__(self, database: Database, period_s: float) -> None:
        self._database = database
        self.period_s = period_s
        self._aside: dict[int, float] = {}
        """Jobs that could not be ended, and when they are tried again."""

    def cycle(self) -> int:
        """Account for one batch of reports; returns how many jobs ended."""
        now = time.monotonic()
        self._aside = {panda_id: until for panda_id, until in self._aside.items() if until > now}
        with self._database.transaction() as transaction:
            reports = transaction.fetch(_REPORTS, {"batch": _BATCH, "aside": list(self._aside)})
            if not reports:
                return 0
            ended, failures = done_apart(transaction, reports, partial(_end, transaction))
        for report, error in failures:
            self._set_aside(report["panda_id"], error)
        return ended

    def _set_aside(self, panda_id: int, error: Exception) -> None:
        self._aside[panda_id] = time.monotonic() + _AGAIN_S
        log.error(
            "the outputs of job %d cannot be accounted for; tried again in %d s: %s",
            panda_id,
            _AGAIN_S,
            error,
            exc_info=error,
            extra={"component": "adder", "panda_id": panda_id},
        )


def _end(transaction: Transaction, reports: Sequence[Row]) -> int:
    expected: dict[int, list[Row]] = {report["panda_id"]: [] for report in reports}
    for row in transaction.fetch(_EXPECTED, {"panda_ids": list(expected)}):
        expected[row["panda_id"]].append(row)
    _forgive(transaction, reports, expected)
    accounts = [account(report, expected[report["panda_id"]]) for report in reports]
    _store(transaction, [file for entry in accounts for file in entry.stored])
    # before the job ends: whoever hears of a failure finds its log
    keep_stored_logs(transaction, _log_archives(accounts))
    return len(end_jobs(transaction, [entry.ending for entry in accounts]))


def _forgive(transaction: Transaction, reports: Sequence[Row], expected: dict[int, list[Row]]) -> None:
    """Take from `expected` what a finished job did not make and need not: its task says allowNoOutput (client-wire.md 4.5)."""
    missing = [
        row
        for report in reports
        if report["verdict"] == "finished" and isinstance(report["report"], dict)
        for row in expected[report["panda_id"]]
        if row["type"] == "output" and row["jedi_task_id"] is not None and row["lfn"] not in report["report"]
    ]
    if not missing:
        return
    tasks = transaction.fetch(_ITEMS, {"ids": sorted({row["jedi_task_id"] for row in missing})})
    optional = {
        task["jedi_task_id"]: optional_outputs({"jobParameters": task["items"], "mergeOutput": task["merges"]})
        for task in tasks
    }
    forgiven = [row for row in missing if row["dataset"].rstrip("/") in optional.get(row["jedi_task_id"], [])]
    for row in forgiven:
        expected[row["panda_id"]].remove(row)
    transaction.execute(_NOT_MADE, {"row_ids": [row["row_id"] for row in forgiven]})


def _log_archives(accounts: list[_Account]) -> list[StoredLog]:
    """The stored log archives, those of failures first."""
    ordered = sorted(accounts, key=lambda entry: entry.ending.status is JobStatus.FINISHED)
    return [
        StoredLog(entry.ending.panda_id, file.expected["endpoint"], file.pfn)
        for entry in ordered
        for file in _logs(entry.stored)
    ]


def account(report: Row, expected: list[Row]) -> _Account:
    """Compare what the pilot says it stored with what the job was to make."""
    panda_id, said = report["panda_id"], report["report"] if isinstance(report["report"], dict) else {}
    stored: list[_StoredFile] = []
    complaints: list[str] = []
    for row in expected:
        entry = said.get(row["lfn"])
        checked = _checked(row, entry) if isinstance(entry, dict) else None
        if checked is not None:
            stored.append(checked)
        elif isinstance(entry, dict):
            complaints.append(f"{row['lfn']}: size, checksum, guid or surl is missing or wrong in the report")
        elif row["type"] != "log":
            complaints.append(f"{row['lfn']}: was not stored")
    if report["verdict"] == "finished" and not complaints:
        return _Account(Ending(panda_id, JobStatus.FINISHED, "outputs accounted for"), stored)
    killed = ending_of_killed(report, f"pilot reported {report['verdict']}")
    if killed is not None:
        return _Account(killed, _logs(stored))
    if report["verdict"] == "finished":
        return _Account(_unaccounted(panda_id, "; ".join(complaints[:5])), _logs(stored))
    if report["pilot_error_code"] or report["exe_error_code"] or report["trans_exit_code"]:
        return _Account(Ending(panda_id, JobStatus.FAILED, "pilot reported failed"), _logs(stored))
    return _Account(_unaccounted(panda_id, "the pilot reported failed without an error code"), _logs(stored))


def _unaccounted(panda_id: int, diag: str) -> Ending:
    return Ending(panda_id, JobStatus.FAILED, diag, error=JobError("ddm", ADDER_ERROR, clean(diag, 500)))


def _checked(row: Row, entry: dict[str, Any]) -> _StoredFile | None:
    size, checksum = entry.get("fsize"), _checksum(entry)
    if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size < 2**63 or not checksum:
        return None
    guid, surl = entry.get("guid") or row["guid"], entry.get("surl") or row["pfn"]
    if not isinstance(guid, str) or not isinstance(surl, str):
        return None
    guid, surl = clean(guid, 100), clean(surl, 4000)
    return _StoredFile(row, guid, size, checksum, surl.removeprefix("file://localhost").removeprefix("file://"))


def _checksum(entry: dict[str, Any]) -> str:
    """The checksum of a file of the report as the catalogue writes it; empty when there is none that is whole."""
    for name, (prefix, form) in _CHECKSUMS.items():
        value = str(entry.get(name, "")).removeprefix(prefix)
        if form.fullmatch(value):
            return prefix + value
    return ""


def _logs(stored: list[_StoredFile]) -> list[_StoredFile]:
    """Of a job that did not finish only the log is registered: half an output must never look whole."""
    return [file for file in stored if file.expected["type"] == "log"]


def _store(transaction: Transaction, files: list[_StoredFile]) -> None:
    file_ids = _register(transaction, files)
    transaction.execute(
        _STORED,
        {
            "row_id": [file.expected["row_id"] for file in files],
            "guid": [file.guid for file in files],
            "size_bytes": [file.size_bytes for file in files],
            "checksum": [file.checksum for file in files],
            "pfn": [file.pfn for file in files],
            "file_id": [file_ids.get((file.expected["dataset_id"], file.expected["lfn"])) for file in files],
        },
    )


def _register(transaction: Transaction, files: list[_StoredFile]) -> dict[tuple[int, str], int]:
    """Put the files into their datasets, with their replicas; their ids by dataset and name."""
    known = {(file.expected["dataset_id"], file.expected["lfn"]): file for file in files if file.expected["dataset_id"]}
    rows = transaction.insert_returning(
        _CATALOGUE,
        [
            (dataset_id, lfn, file.guid, file.size_bytes, file.checksum, file.expected["panda_id"])
            for (dataset_id, lfn), file in sorted(known.items(), key=lambda item: item[0])
        ],
    )
    file_ids = {(row["dataset_id"], row["lfn"]): row["file_id"] for row in rows}
    replicas = [(file_id, known[key]) for key, file_id in file_ids.items()]
    transaction.insert_many(
        _REPLICA,
        [(file_id, file.expected["endpoint"], file.pfn) for file_id, file in replicas if file.expected["endpoint"]],
    )
    return file_ids
