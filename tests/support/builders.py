"""Queues, datasets and jobs in whatever state a test begins with, made by the same functions the server uses."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from typing import Any

from core.agents.adder import Adder
from core.agents.setupper import Setupper
from core.database import Database, Row
from core.dataservice.catalogue import NewCatalogueFile, NewReplica, register_dataset
from core.direct_submission import submit_jobs
from core.dispatch.acquire import AcquiredJob, SlotOffer, acquire_jobs
from core.dispatch.update import JobReport, PilotReports
from core.errors import Conflict, NotAllowed, UnknownObject
from core.queues import set_endpoint, set_queue
from core.states import JobStatus
from core.taskbuffer.killing import Killer
from core.taskbuffer.submission import NewFile, NewJob
from core.taskengine.commands.locking import Issuer
from core.taskengine.commands.table import run_command
from core.tasks import submit_task

ADLER32 = "0a1b2c3d"
_PATIENCE_S = 60
"""After which brokerage finds no queue any more."""


def make_queue(database: Database, name: str = "Q", *, endpoint: str | None = None, **attributes: Any) -> str:
    """An online queue with a storage endpoint of its own (`<name>_DISK`) unless another is given."""
    endpoint = f"{name}_DISK" if endpoint is None else endpoint
    if endpoint:
        set_endpoint(database, endpoint, mover="cp", path=f"/storage/{endpoint}")
    set_queue(database, name, {"storage_endpoint": endpoint, **attributes})
    return name


def make_dataset(
    database: Database,
    name: str,
    lfns: Sequence[str],
    *,
    at: Sequence[str] = (),
    kind: str = "input",
    owner: str = "alice",
) -> list[str]:
    """A dataset with a replica of every file at each endpoint of `at`."""
    files = [
        NewCatalogueFile(
            lfn, 3, f"ad:{ADLER32}", replicas=[NewReplica(endpoint, f"/{endpoint}/{lfn}") for endpoint in at]
        )
        for lfn in lfns
    ]
    register_dataset(database, name=name, scope=f"user.{owner}", kind=kind, owner=owner, vo="testvo", files=files)
    return list(lfns)


def new_job(queue: str = "Q", *, user: str = "alice", outputs: Sequence[str] = (), **attributes: Any) -> NewJob:
    """A job to be, pinned to `queue` unless that is empty."""
    job = NewJob("/bin/true", computing_site=queue, prod_user_name=user, vo="testvo", **attributes)
    job.files += [NewFile("output", name, name) for name in outputs]
    return job


def submit(database: Database, count: int = 1, **job: Any) -> list[int]:
    """Jobs as `defined`."""
    return submit_jobs(database, [new_job(**job) for _ in range(count)])


def broker(database: Database) -> int:
    """One cycle of brokerage over everything that is defined."""
    return Setupper(database, 1).cycle()


def activate(database: Database, count: int = 1, **job: Any) -> list[int]:
    """Jobs as `activated`, and with them whatever else brokerage finds."""
    panda_ids = submit(database, count, **job)
    waiting = "SELECT brokerage_error_diag FROM jobs_live WHERE job_status = 'defined' AND panda_id = ANY(%(ids)s)"
    left = database.fetch(waiting, {"ids": panda_ids})
    deadline = time.monotonic() + _PATIENCE_S
    while broker(database) or left:
        assert time.monotonic() < deadline, f"no queue takes {len(left)} of the jobs: {left[:1]}"
        left = database.fetch(waiting, {"ids": panda_ids})
    return panda_ids


def acquire(database: Database, queue: str = "Q", *, label: str = "user", **offer: Any) -> list[AcquiredJob]:
    """What a pilot with this offer gets."""
    return acquire_jobs(database, SlotOffer(queue, label, **offer))


def take(database: Database, queue: str = "Q", *, count: int = 1, **offer: Any) -> list[AcquiredJob]:
    """So many jobs, to a pilot that asks until it has them: dispatch passes over a row that an agent holds just then."""
    taken: list[AcquiredJob] = []
    deadline = time.monotonic() + _PATIENCE_S
    while len(taken) < count:
        assert time.monotonic() < deadline, f"dispatch gave {len(taken)} jobs of {queue} instead of {count}"
        taken += acquire(database, queue, job_count=count - len(taken), **offer)
    return taken


def report(database: Database, panda_id: int, status: str, **said: Any) -> str | None:
    """What the server answers to a report of a pilot."""
    return PilotReports(database).update_job(JobReport(panda_id, status, **said))


def start(database: Database, count: int = 1, *, queue: str = "Q", worker_id: str = "", **job: Any) -> list[int]:
    """Jobs as `running`, taken and reported by a pilot; ahead of others that wait at the queue."""
    job.setdefault("current_priority", 10_000)
    panda_ids = activate(database, count, queue=queue, **job)
    label = str(job.get("prod_source_label", "user"))
    missing = set(panda_ids)
    deadline = time.monotonic() + _PATIENCE_S
    # Dispatch skips a row that an agent of a running system holds at that moment; like a pilot, ask again.
    while missing:
        assert time.monotonic() < deadline, f"dispatch did not give {sorted(missing)}"
        taken = acquire(database, queue, label=label, job_count=len(missing), worker_id=worker_id)
        given = {entry.job["panda_id"] for entry in taken}
        assert given <= missing, f"dispatch gave {sorted(given - missing)} before {sorted(missing)}"
        missing -= given
    for panda_id in panda_ids:
        report(database, panda_id, "running")
    return panda_ids


def stored(lfns: Sequence[str], **changes: Any) -> dict[str, Any]:
    """A pilot's output report for files it stored."""
    return {lfn: {"guid": "", "fsize": 3, "adler32": ADLER32, "surl": f"/stored/{lfn}", **changes} for lfn in lfns}


def outputs_of(database: Database, panda_id: int) -> list[str]:
    """The names of what a job has to store: outputs, library and log."""
    statement = "SELECT lfn FROM job_files WHERE panda_id = %(id)s AND type IN ('output', 'log', 'lib') ORDER BY row_id"
    return [row["lfn"] for row in database.fetch(statement, {"id": panda_id})]


def report_finished(database: Database, panda_id: int) -> None:
    """The verdict of a pilot that stored everything."""
    assert report(database, panda_id, "finished", output_report=stored(outputs_of(database, panda_id))) is None


# Without SKIP LOCKED: it waits until whoever holds such a job has ended it
_WHAT_IS_ADDED_UP = """
SELECT j.panda_id FROM job_output_reports r JOIN jobs_live j USING (panda_id)
WHERE j.job_status IN ('holding', 'transferring') ORDER BY j.panda_id FOR UPDATE OF j
"""


def add_up(database: Database) -> int:
    """Adder cycles until there is nothing left to account for, neither here nor in the adder of a running system."""
    adder = Adder(database, 1)
    done = _until_idle(adder.cycle)
    with database.transaction() as transaction:
        transaction.fetch(_WHAT_IS_ADDED_UP, {})
    return done + _until_idle(adder.cycle)


def _until_idle(cycle: Callable[[], int]) -> int:
    done = 0
    while count := cycle():
        done += count
    return done


def make_task(database: Database, *, user: str = "alice", **parameters: Any) -> int:
    """A task of jobs without input, pinned to Q unless told otherwise."""
    known = {"taskName": "count", "jobParameters": "true", "site": "Q", **parameters}
    return submit_task(database, known, user_name=user, vo="testvo")


def kill_task(database: Database, task_id: int, killer: Killer) -> int:
    """Kill a task; returns how many jobs were told to end, and raises what a refusal means."""
    outcome = run_command(database, "kill", task_id, Issuer(killer.user_name, killer.is_manager))
    if not outcome.is_accepted:
        raise {2: UnknownObject, 3: NotAllowed, 4: Conflict}[outcome.code](outcome.message, field="task_id")
    told = re.search(r"\((\d+) jobs? ", outcome.message)
    return int(told.group(1)) if told else 0


def jobs_of_task(database: Database, task_id: int) -> list[int]:
    """PandaIDs of a task by job number, live or archived."""
    statement = """SELECT panda_id, job_index FROM jobs_live WHERE jedi_task_id = %(id)s
                   UNION ALL SELECT panda_id, job_index FROM jobs_archive WHERE jedi_task_id = %(id)s ORDER BY job_index"""
    return [row["panda_id"] for row in database.fetch(statement, {"id": task_id})]


def live(database: Database, panda_id: int) -> Row | None:
    """The row of a job that has not ended."""
    return database.fetch_one("SELECT * FROM jobs_live WHERE panda_id = %(id)s", {"id": panda_id})


def archived(database: Database, panda_id: int) -> Row | None:
    """The row of a job that has ended."""
    return database.fetch_one("SELECT * FROM jobs_archive WHERE panda_id = %(id)s", {"id": panda_id})


def row_of(database: Database, panda_id: int) -> Row:
    """The one row of a job."""
    rows = [row for row in (live(database, panda_id), archived(database, panda_id)) if row is not None]
    assert len(rows) == 1, f"job {panda_id} is in {len(rows)} tables"
    return rows[0]


def status_of(database: Database, panda_id: int) -> str:
    """The state of a job."""
    return str(row_of(database, panda_id)["job_status"])


def history_of(database: Database, panda_id: int) -> list[str]:
    """The states a job went through."""
    statement = "SELECT job_status FROM job_history WHERE panda_id = %(id)s ORDER BY modification_time, history_id"
    return [row["job_status"] for row in database.fetch(statement, {"id": panda_id})]


def put_into(database: Database, panda_id: int, status: JobStatus | str, **columns: Any) -> None:
    """Put a live job into a state by hand, for rules that look at states no pilot of ours reports."""
    values = {"job_status": str(status), **columns}
    assignments = ", ".join(f"{name} = %({name})s" for name in values)
    database.execute(f"UPDATE jobs_live SET {assignments} WHERE panda_id = %(id)s", {"id": panda_id, **values})


def make_older(database: Database, panda_id: int, column: str, seconds: float) -> None:
    """Move a time of a live job into the past."""
    database.execute(
        f"UPDATE jobs_live SET {column} = {column} - make_interval(secs => %(s)s) WHERE panda_id = %(id)s",
        {"id": panda_id, "s": seconds},
    )


def everything(database: Database) -> dict[str, list[Row]]:
    """All rows that a refused request must leave alone."""
    tables = (
        *("jobs_live", "jobs_archive", "job_history", "job_files", "job_parameters", "job_logs", "job_output_reports"),
        *("tasks", "datasets", "files", "replicas", "queues", "storage_endpoints"),
    )
    return {table: database.fetch(f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables}
