"""Jobs enter: checked, numbered and inserted in bulk. Knows jobs and their files; does not know PanDA's wire names."""

from __future__ import annotations

import posixpath
import uuid
from dataclasses import dataclass, field

from core.accounts.priorities import priorities_of
from core.database import Transaction
from core.errors import InvalidInput
from core.labels import LABELS
from core.names import check_file_name
from core.resource_types import resource_type
from core.states import JobStatus
from core.text import clean

MAX_PARAMETERS_BYTES = 16 * 2**20
MAX_JOBS_PER_REQUEST = 5000
"""As upstream (server-api.md 1.1), except that more are refused instead of dropped."""

_TEN_YEARS_S = 10 * 365 * 86400
JOB_LIMITS: dict[str, tuple[int, int]] = {
    "coreCount": (1, 100_000),
    "attemptNr": (0, 10_000),
    "minRamCount": (0, 100_000_000),
    "maxDiskCount": (0, 1_000_000_000),
    "maxWalltime": (0, _TEN_YEARS_S),
    "loopingLimit": (0, _TEN_YEARS_S),
    "currentPriority": (-1_000_000, 1_000_000),
}
"""Smallest and largest value of a job's numbers, in PanDA's names and units (MB, s)."""


@dataclass
class NewFile:
    """A file of a job to be. Inputs name a file of the catalogue (`file_id`); outputs are named here."""

    type: str
    lfn: str
    local_name: str
    dataset: str = ""
    scope: str = ""
    file_id: int | None = None
    guid: str = ""
    size_bytes: int | None = None
    checksum: str = ""


@dataclass
class NewJob:
    """A job to be. Numbers of 0 mean that nothing is stated."""

    transformation: str
    job_parameters: str = ""
    job_name: str = ""
    jedi_task_id: int | None = None
    job_index: int = 0
    job_definition_id: int = 0
    parent_id: int | None = None
    computing_site: str = ""
    prod_source_label: str = "user"
    processing_type: str = ""
    working_group: str = ""
    country_group: str = ""
    vo: str = ""
    prod_user_name: str = ""
    current_priority: int = 1000
    attempt_nr: int = 1
    max_attempt: int = 1
    core_count: int = 1
    min_ram_mb: int = 0
    max_disk_mb: int = 0
    max_walltime_s: int = 0
    max_cpu_s: int = 0
    looping_limit_s: int = 0
    destination_dataset: str = ""
    container_name: str = ""
    special_handling: str = ""
    gshare: str = ""
    n_input_data_files: int = 0
    site_is_pinned: bool | None = None
    """Whether `computing_site` is a must; None: it is, where one is named."""
    initial_status: JobStatus = JobStatus.DEFINED
    """`pending` while another job must make its input first."""
    files: list[NewFile] = field(default_factory=list)


_JOB_COLUMNS = (
    "panda_id, jedi_task_id, job_index, job_definition_id, parent_id, job_name, job_status, computing_site, "
    "site_is_pinned, prod_source_label, processing_type, working_group, vo, prod_user_name, current_priority, "
    "attempt_nr, max_attempt, core_count, min_ram_mb, max_disk_mb, max_walltime_s, max_cpu_s, looping_limit_s, "
    "resource_type, transformation, destination_dataset, container_name, special_handling, gshare, n_input_data_files, "
    "country_group"
)
_FILE_COLUMNS = (
    "panda_id, jedi_task_id, file_id, type, lfn, local_name, scope, dataset, guid, size_bytes, checksum, status"
)

# the sequence hands out a block at once: job and file rows need the number before they are written
_NEXT_IDS = "SELECT nextval('panda_id_seq') AS panda_id FROM generate_series(1, %(count)s)"

_FIRST_HISTORY = """
INSERT INTO job_history (panda_id, jedi_task_id, attempt_nr, job_status, computing_site, prod_source_label, host, reason)
SELECT panda_id, jedi_task_id, attempt_nr, job_status, computing_site, prod_source_label, '', 'submitted'
FROM jobs_live WHERE panda_id = ANY(%(panda_ids)s)
"""


def insert_jobs(transaction: Transaction, jobs: list[NewJob]) -> list[int]:
    """Insert checked jobs in their initial status and return their PandaIDs in the same order.

    `current_priority` is what the job was given; jobs of users get less, the more their account has live (domain.md 2.6).
    """
    if not jobs:
        return []
    panda_ids = sorted(row["panda_id"] for row in transaction.fetch(_NEXT_IDS, {"count": len(jobs)}))
    numbered = list(zip(panda_ids, jobs, strict=True))
    priorities = priorities_of(transaction, jobs)
    transaction.insert_many(
        f"INSERT INTO jobs_live ({_JOB_COLUMNS}) VALUES %s",
        [_job_row(*row) for row in zip(panda_ids, jobs, priorities, strict=True)],
    )
    transaction.insert_many(
        "INSERT INTO job_parameters (panda_id, job_parameters) VALUES %s",
        [(panda_id, job.job_parameters) for panda_id, job in numbered],
    )
    transaction.insert_many(
        f"INSERT INTO job_files ({_FILE_COLUMNS}) VALUES %s",
        [_file_row(panda_id, job, file) for panda_id, job in numbered for file in job.files],
    )
    transaction.execute(_FIRST_HISTORY, {"panda_ids": panda_ids})
    return panda_ids


def check_job(job: NewJob, position: str) -> None:
    """Raise InvalidInput naming the field unless `job` can run somewhere; `position` says which job it is."""
    if not job.transformation:
        raise InvalidInput("empty", field=f"{position}transformation", remedy="name an executable, or runShell")
    if "\x00" in job.transformation or "\x00" in job.job_parameters:
        raise InvalidInput("holds a NUL character", field=f"{position}jobParameters", remedy="remove it")
    if len(job.job_parameters.encode("utf-8", "replace")) > MAX_PARAMETERS_BYTES:
        raise InvalidInput(
            "larger than 16 MB", field=f"{position}jobParameters", remedy="put the data into an input file"
        )
    if job.prod_source_label not in LABELS:
        known = ", ".join(sorted(LABELS))
        raise InvalidInput(
            f"unknown label {job.prod_source_label!r}", field=f"{position}prodSourceLabel", remedy=f"one of {known}"
        )
    numbers = {
        "coreCount": job.core_count,
        "attemptNr": job.attempt_nr,
        "minRamCount": job.min_ram_mb,
        "maxDiskCount": job.max_disk_mb,
        "maxWalltime": job.max_walltime_s,
        "loopingLimit": job.looping_limit_s,
        "currentPriority": job.current_priority,
    }
    for name, value in numbers.items():
        lowest, highest = JOB_LIMITS[name]
        if not lowest <= value <= highest:
            raise InvalidInput(
                f"{value} is out of range", field=f"{position}{name}", remedy=f"between {lowest} and {highest}"
            )
    _check_files(job, position)


def _check_files(job: NewJob, position: str) -> None:
    local_names: set[str] = set()
    for number, file in enumerate(job.files):
        check_file_name(file.lfn, f"{position}Files.{number}.lfn")
        check_file_name(file.local_name, f"{position}Files.{number}.local_name")
        place = posixpath.normpath(file.local_name)
        if place in local_names:
            raise InvalidInput(
                f"{file.local_name!r} twice", field=f"{position}Files.{number}.lfn", remedy="give each its own name"
            )
        local_names.add(place)


def new_guid() -> str:
    """A GUID made by the server: pilots send none for outputs (pilot-wire.md 2.2)."""
    return str(uuid.uuid4())


def _job_row(panda_id: int, job: NewJob, priority: int) -> tuple[object, ...]:
    return (
        panda_id,
        job.jedi_task_id,
        job.job_index,
        job.job_definition_id or panda_id,
        job.parent_id,
        clean(job.job_name, 255) or f"job.{panda_id}",
        job.initial_status.value,
        job.computing_site,
        bool(job.computing_site) if job.site_is_pinned is None else job.site_is_pinned,
        job.prod_source_label,
        clean(job.processing_type, 64),
        clean(job.working_group, 64),
        clean(job.vo, 64),
        clean(job.prod_user_name, 255),
        priority,
        job.attempt_nr,
        job.max_attempt,
        job.core_count,
        job.min_ram_mb,
        job.max_disk_mb,
        job.max_walltime_s,
        job.max_cpu_s,
        job.looping_limit_s,
        resource_type(job.core_count, job.min_ram_mb),
        job.transformation,
        job.destination_dataset,
        clean(job.container_name, 4000),
        clean(job.special_handling, 255),
        clean(job.gshare, 100),
        job.n_input_data_files,
        clean(job.country_group, 64),
    )


def _file_row(panda_id: int, job: NewJob, file: NewFile) -> tuple[object, ...]:
    is_input = file.type in ("input", "sandbox")
    return (
        panda_id,
        job.jedi_task_id,
        file.file_id,
        file.type,
        # the PandaID is not known before the insert, so names may ask for it
        file.lfn.replace("$PANDAID", str(panda_id)),
        file.local_name.replace("$PANDAID", str(panda_id)),
        file.scope,
        file.dataset,
        file.guid or ("" if is_input else new_guid()),
        file.size_bytes,
        file.checksum,
        "pending" if is_input else "defined",
    )
