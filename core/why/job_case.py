"""One job and whatever a statement may ask about it, each read once and by key. Knows no statement."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cached_property

from core.configuration import Timeouts
from core.database import Row, Transaction
from core.models.job import JobColumns
from core.why.closing import Ending, ending_of
from core.why.queue_facts import QueueFacts
from core.why.resting import rests_since
from core.why.share_facts import ShareStanding, share_standing
from core.wording import moment
from core.workload_settings import AccountSettings

NAMED_FILES = 3
_EARLIER = 20

_COLUMNS = ", ".join(JobColumns.model_fields)
# live by primary key; archive by primary key in each partition
_JOB = f"""
SELECT {_COLUMNS} FROM jobs_live WHERE panda_id = %(panda_id)s
UNION ALL SELECT {_COLUMNS} FROM jobs_archive WHERE panda_id = %(panda_id)s
"""
# primary key
_TASK = "SELECT * FROM tasks WHERE jedi_task_id = %(task)s"
# job_brokerage and brokerage_decisions by primary key
_DECISION = """
SELECT d.* FROM job_brokerage b JOIN brokerage_decisions d USING (decision_id) WHERE b.panda_id = %(panda_id)s
"""
# ix_job_files_job, primary key of replicas
_MISSING_INPUT = """
SELECT f.lfn, count(*) OVER () AS count FROM job_files f
WHERE f.panda_id = %(panda_id)s AND f.type IN ('input', 'sandbox') AND NOT EXISTS (
    SELECT 1 FROM replicas r JOIN storage_endpoints e ON e.name = r.endpoint
    WHERE r.file_id = f.file_id AND r.endpoint = %(endpoint)s AND e.kind = 'disk')
ORDER BY f.row_id LIMIT %(named)s
"""
# ix_harvester_worker_jobs_job; primary key
_WORKER = """
SELECT w.harvester_id, w.worker_id, w.status, w.end_time, w.diag_message
FROM harvester_worker_jobs l JOIN harvester_workers w USING (harvester_id, worker_id)
WHERE l.panda_id = %(panda_id)s ORDER BY w.last_update DESC LIMIT 1
"""
# ix_jobs_live_task; a build job has no number
_BUILD = """
SELECT panda_id, job_status, computing_site FROM jobs_live WHERE jedi_task_id = %(task)s AND job_index = 0
ORDER BY panda_id DESC LIMIT 1
"""
# ix_job_history_job, the last step
_LAST_STEP = """
SELECT reason, modification_time, host FROM job_history WHERE panda_id = %(panda_id)s
ORDER BY modification_time DESC, history_id DESC LIMIT 1
"""
# the chain of jobs that had its input before: archive by primary key in each partition, twenty at most
_EARLIER_JOBS = f"""
WITH RECURSIVE earlier AS (
    SELECT %(parent)s::bigint AS panda_id, 1 AS n
    UNION ALL
    SELECT j.parent_id, e.n + 1 FROM earlier e JOIN jobs_archive j ON j.panda_id = e.panda_id
    WHERE e.n < %(most)s
)
SELECT {", ".join(f"j.{name}" for name in JobColumns.model_fields)} FROM earlier e
JOIN jobs_archive j ON j.panda_id = e.panda_id ORDER BY e.n
"""
# ix_jobs_live_parent, ix_jobs_archive_parent
_FOLLOWING_JOBS = """
SELECT panda_id FROM jobs_live WHERE parent_id = %(panda_id)s
UNION ALL SELECT panda_id FROM jobs_archive WHERE parent_id = %(panda_id)s ORDER BY panda_id LIMIT %(most)s
"""
# ix_task_files_job
_ATTEMPTS = """
SELECT max(attempt_nr) AS attempt_nr, max(failed_attempt) AS failed_attempt, min(max_attempt) AS max_attempt,
       min(max_failure) AS max_failure
FROM task_files WHERE panda_id = %(panda_id)s
"""
# ix_retry_log_job
_DEEDS = """
SELECT panda_id, action, effect, is_active, error_source, error_code, time FROM retry_log
WHERE panda_id = ANY(%(ids)s) ORDER BY deed_id DESC LIMIT 5
"""


class JobCase:
    """A job as it is now. Raises nothing: what is not there is None."""

    def __init__(
        self,
        transaction: Transaction,
        job: Row,
        as_of: datetime,
        *,
        timeouts: Timeouts | None = None,
        accounts: AccountSettings | None = None,
    ) -> None:
        """`job`: all its columns. The settings name limits and times in sentences."""
        self.transaction = transaction
        self.job = job
        self.as_of = as_of
        self.timeouts = timeouts or Timeouts()
        self.accounts = accounts or AccountSettings()
        self.panda_id = int(job["panda_id"])

    @property
    def status(self) -> str:
        """job_status."""
        return str(self.job["job_status"])

    @property
    def age_s(self) -> float:
        """Seconds since the last change of its state; none when a clock is behind the database's."""
        return max(0.0, float((self.as_of - self.job["state_change_time"]).total_seconds()))

    @cached_property
    def task(self) -> Row | None:
        """The row of its task; None for a job without one."""
        return (
            self.transaction.fetch_one(_TASK, {"task": self.job["jedi_task_id"]}) if self.job["jedi_task_id"] else None
        )

    @cached_property
    def queue(self) -> QueueFacts:
        """Its queue."""
        return QueueFacts(self.transaction, self.job["computing_site"], self.as_of)

    @cached_property
    def worker(self) -> Row | None:
        """The entry in a batch queue that has it, as its factory told last; None where no factory told of any."""
        return self.transaction.fetch_one(_WORKER, {"panda_id": self.panda_id})

    @cached_property
    def share(self) -> ShareStanding | None:
        """Where its global share stands; None without one."""
        return share_standing(self.transaction, self.job["gshare"]) if self.job["gshare"] else None

    @cached_property
    def setupper_rests_since(self) -> datetime | None:
        """When brokerage last ran anywhere, if it does not any more."""
        return rests_since(self.transaction, "setupper", self.as_of)

    @cached_property
    def ending(self) -> Ending | None:
        """How the watchdog ends it if nothing else happens, and when."""
        return ending_of(self.transaction, self.job, self.timeouts)

    @property
    def ending_time(self) -> datetime | None:
        """When that is; None when nothing ends it."""
        return self.ending.time if self.ending else None

    def unless(self, what: str) -> str:
        """`unless it starts before 10:04 UTC, it is closed, ...`; empty when nothing ends it. `what`: as `it starts`."""
        if self.ending is None:
            return ""
        return f"unless {what} before {moment(self.ending.time, self.as_of)}, {self.ending.words}"

    @cached_property
    def decision(self) -> Row | None:
        """The brokerage that it went through last, with its funnel."""
        return self.transaction.fetch_one(_DECISION, {"panda_id": self.panda_id})

    @cached_property
    def missing_input(self) -> list[Row]:
        """Some of its inputs that are not at the storage of its queue; each row has the whole `count`."""
        endpoint = self.queue.row["storage_endpoint"] if self.queue.row else ""
        values = {"panda_id": self.panda_id, "endpoint": endpoint, "named": NAMED_FILES}
        return self.transaction.fetch(_MISSING_INPUT, values)

    @cached_property
    def build_job(self) -> Row | None:
        """The live build job of its task."""
        return self.transaction.fetch_one(_BUILD, {"task": self.job["jedi_task_id"]})

    @cached_property
    def last_step(self) -> Row | None:
        """The last row of its history: reason, time, host."""
        return self.transaction.fetch_one(_LAST_STEP, {"panda_id": self.panda_id})

    @cached_property
    def earlier_jobs(self) -> Sequence[Row]:
        """The ended jobs that had its input before it, the latest first, twenty at most."""
        if self.job["parent_id"] is None:
            return []
        return self.transaction.fetch(_EARLIER_JOBS, {"parent": self.job["parent_id"], "most": _EARLIER})

    @cached_property
    def following_jobs(self) -> list[int]:
        """The jobs that took up its input after it, a few at most."""
        rows = self.transaction.fetch(_FOLLOWING_JOBS, {"panda_id": self.panda_id, "most": NAMED_FILES})
        return [int(row["panda_id"]) for row in rows]

    @cached_property
    def attempts(self) -> Row | None:
        """Counters of its master input: attempt_nr, failed_attempt, max_attempt, max_failure; None without a task."""
        row = self.transaction.fetch_one(_ATTEMPTS, {"panda_id": self.panda_id})
        return row if row is not None and row["attempt_nr"] is not None else None

    def deeds(self, panda_ids: Sequence[int]) -> list[Row]:
        """What retry rules did about these failed jobs, the latest first."""
        return self.transaction.fetch(_DEEDS, {"ids": list(panda_ids)}) if panda_ids else []


def job_row_of(transaction: Transaction, panda_id: int) -> Row | None:
    """All columns of a job, live or ended; None when there is no such job."""
    return transaction.fetch_one(_JOB, {"panda_id": panda_id})
