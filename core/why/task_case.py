"""One task and whatever a statement may ask about it, each read once, by key, and no further than said. Knows no statement."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cached_property

from core.configuration import Settings
from core.database import Row, Transaction
from core.models.job import JobColumns
from core.states import AWAITING_PILOT, FINAL_TASK_STATUSES, ON_WORKER_NODE
from core.taskengine.making.streams import FOLLOWS_PARENT, PARENT
from core.why.job_case import JobCase, job_row_of
from core.why.tape import requests_of

MOST_JOBS = 20_000
"""Live jobs of a task that are looked at: enough to see what most of them wait for."""
MOST_FILES = 10_000
MOST_LISTED = 1_000_000
_PAST_JOBS = 500
_MOST_ANCESTORS = 10

# primary key
_TASK = "SELECT * FROM tasks WHERE jedi_task_id = %(task)s"
# ix_task_datasets_task
_FOLLOWS_PARENT = f"""
SELECT 1 FROM task_datasets WHERE jedi_task_id = %(task)s AND type = 'parent' AND status = '{FOLLOWS_PARENT}' LIMIT 1
"""
# ix_task_datasets_task
_DATASETS = "SELECT * FROM task_datasets WHERE jedi_task_id = %(task)s ORDER BY dataset_id LIMIT 200"
# datasets_name_key; uq_files_dataset_lfn or ix_files_dataset, index only
_IN_CATALOGUE = """
SELECT count(*) AS count FROM (
    SELECT 1 FROM datasets d JOIN files f USING (dataset_id) WHERE d.name = ANY(%(names)s) LIMIT %(most)s) files
"""
# ix_task_files_status
_FILES = """
SELECT count(*) AS count FROM (
    SELECT 1 FROM task_files WHERE jedi_task_id = %(task)s AND status = %(status)s LIMIT %(most)s) files
"""
_NAMES_OF_FILES = """
SELECT lfn FROM task_files WHERE jedi_task_id = %(task)s AND status = %(status)s ORDER BY dataset_id, position LIMIT 3
"""
# ix_jobs_live_task; no further than said
_LIVE_JOBS = """
SELECT job_status, count(*) AS count, min(panda_id) AS first FROM (
    SELECT job_status, panda_id FROM jobs_live WHERE jedi_task_id = %(task)s LIMIT %(most)s) jobs GROUP BY job_status
"""
# ix_jobs_live_task, ix_jobs_archive_task: a task that scouts has few jobs
_SCOUTS = """
SELECT job_status, count(*) AS count FROM (
    SELECT job_status, special_handling FROM (
        SELECT job_status, special_handling FROM jobs_live WHERE jedi_task_id = %(task)s LIMIT %(most)s) live
    UNION ALL
    SELECT job_status, special_handling FROM (
        SELECT job_status, special_handling FROM jobs_archive WHERE jedi_task_id = %(task)s
        ORDER BY panda_id DESC LIMIT %(most)s) ended
) jobs WHERE 'scout' = ANY(string_to_array(special_handling, ',')) GROUP BY job_status
"""
# ix_jobs_archive_task, the last jobs of the task
_FAILED_JOBS = f"""
SELECT {", ".join(JobColumns.model_fields)} FROM (
    SELECT * FROM jobs_archive WHERE jedi_task_id = %(task)s ORDER BY panda_id DESC LIMIT %(most)s
) last WHERE job_status = 'failed'
"""
# ix_retry_log_task
_DEEDS = """
SELECT panda_id, action, effect, is_active, time FROM retry_log WHERE jedi_task_id = %(task)s
ORDER BY deed_id DESC LIMIT 5
"""
# ix_brokerage_decisions_task
_DECISION = """
SELECT * FROM brokerage_decisions WHERE jedi_task_id = %(task)s AND (kind = 'nucleus') = %(for_task)s
ORDER BY decision_id DESC LIMIT 1
"""


class TaskCase:
    """A task as it is now."""

    def __init__(self, transaction: Transaction, task: Row, as_of: datetime, settings: Settings) -> None:
        self.transaction = transaction
        self.task = task
        self.as_of = as_of
        self.settings = settings
        self.task_id = int(task["jedi_task_id"])

    @property
    def status(self) -> str:
        """Of the task."""
        return str(self.task["status"])

    @property
    def n_active(self) -> int:
        """Jobs that have not ended, exactly."""
        ended = self.task["n_finished"] + self.task["n_failed"] + self.task["n_cancelled"]
        return max(0, int(self.task["n_jobs"] - ended))

    @cached_property
    def datasets(self) -> list[Row]:
        """Its datasets, two hundred at most."""
        return self.transaction.fetch(_DATASETS, {"task": self.task_id})

    @property
    def is_following(self) -> bool:
        """Whether input is still to come, from a parent or into a dataset that is open."""
        return any(row["type"] == PARENT and row["status"] == FOLLOWS_PARENT for row in self.datasets)

    @property
    def inputs(self) -> list[Row]:
        """Input datasets."""
        return [row for row in self.datasets if row["type"] == "input"]

    @cached_property
    def parent(self) -> Row | None:
        """The row of its parent."""
        parent = self.task["parent_tid"]
        return self.transaction.fetch_one(_TASK, {"task": parent}) if parent not in (None, self.task_id) else None

    @cached_property
    def waiting_ancestors(self) -> list[Row]:
        """Its parent, and on to the first ancestor that does not wait for a parent of its own, ten at most."""
        found: list[Row] = []
        parent = self.parent
        while parent is not None and len(found) < _MOST_ANCESTORS and parent not in found:
            found.append(parent)
            values = {"task": parent["jedi_task_id"]}
            if self.transaction.fetch_one(_FOLLOWS_PARENT, values) is None or parent["status"] in FINAL_TASK_STATUSES:
                break
            parent = task_row_of(self.transaction, parent["parent_tid"]) if parent["parent_tid"] else None
        return found

    def catalogue_count(self, names: Sequence[str]) -> int:
        """Files that these datasets of the catalogue hold."""
        row = self.transaction.fetch_one(_IN_CATALOGUE, {"names": list(names), "most": MOST_LISTED})
        return int(row["count"]) if row else 0

    def count_files(self, status: str) -> int:
        """Its files in a status, counted up to `MOST_FILES`."""
        row = self.transaction.fetch_one(_FILES, {"task": self.task_id, "status": status, "most": MOST_FILES})
        return int(row["count"]) if row else 0

    def names_of_files(self, status: str) -> list[str]:
        """The first three of them."""
        rows = self.transaction.fetch(_NAMES_OF_FILES, {"task": self.task_id, "status": status})
        return [row["lfn"] for row in rows]

    @cached_property
    def staging_requests(self) -> list[Row]:
        """What is brought from tape for it, twenty datasets at most."""
        return requests_of(self.transaction, self.task_id)

    @cached_property
    def live_jobs(self) -> dict[str, Row]:
        """Its live jobs by status: `count`, and the `first` of those that were looked at."""
        rows = self.transaction.fetch(_LIVE_JOBS, {"task": self.task_id, "most": MOST_JOBS})
        return {row["job_status"]: row for row in rows}

    @property
    def n_on_node(self) -> int:
        """Jobs that pilots have, of those that were looked at."""
        return sum(int(row["count"]) for status, row in self.live_jobs.items() if status in ON_WORKER_NODE)

    @cached_property
    def waiting_job(self) -> JobCase | None:
        """The first job in the state in which most of its jobs wait for a pilot."""
        waiting = [row for status, row in self.live_jobs.items() if status in AWAITING_PILOT]
        if not waiting:
            return None
        most = max(waiting, key=lambda row: (row["count"], -row["first"]))
        job = job_row_of(self.transaction, most["first"])
        if job is None:
            return None
        return JobCase(
            self.transaction, job, self.as_of, timeouts=self.settings.timeouts, accounts=self.settings.accounts
        )

    @cached_property
    def scouts(self) -> dict[str, int]:
        """Its scout jobs by status."""
        rows = self.transaction.fetch(_SCOUTS, {"task": self.task_id, "most": MOST_FILES})
        return {row["job_status"]: int(row["count"]) for row in rows}

    @cached_property
    def failed_jobs(self) -> list[Row]:
        """The failed ones among its last five hundred ended jobs, the latest first."""
        return self.transaction.fetch(_FAILED_JOBS, {"task": self.task_id, "most": _PAST_JOBS})

    @cached_property
    def deeds(self) -> list[Row]:
        """What retry rules did about its jobs last."""
        return self.transaction.fetch(_DEEDS, {"task": self.task_id})

    @cached_property
    def decision(self) -> Row | None:
        """The last brokerage of any of its jobs."""
        return self.transaction.fetch_one(_DECISION, {"task": self.task_id, "for_task": False})

    @cached_property
    def destination(self) -> Row | None:
        """The last choice of a storage that collects its outputs."""
        return self.transaction.fetch_one(_DECISION, {"task": self.task_id, "for_task": True})


def task_row_of(transaction: Transaction, jedi_task_id: int) -> Row | None:
    """The row of a task; None when there is no such task."""
    return transaction.fetch_one(_TASK, {"task": jedi_task_id})
