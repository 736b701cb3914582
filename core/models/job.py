"""Jobs: the slim live table, the archive partitioned by time, and what belongs to one job.

A job is in exactly one of `jobs_live` and `jobs_archive`; the move happens in the transaction that ends it (design.md).
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, Sequence
from sqlalchemy import text as sql
from sqlmodel import Field, SQLModel

from core.models.columns import BIGINT, TIMESTAMP, document, number, number_or_none, time_now, time_or_none, words

PANDA_ID_SEQUENCE = Sequence("panda_id_seq", metadata=SQLModel.metadata)


class JobColumns(SQLModel):
    """What is known of a job (domain.md 2.1). The same columns in the same order live and archived."""

    panda_id: int = Field(primary_key=True, sa_type=BIGINT, sa_column_kwargs={"autoincrement": False})
    jedi_task_id: int | None = number_or_none()
    job_index: int = number(0)
    """The job's number within its task, from 1; 0 without a task."""
    job_definition_id: int = number(0)
    parent_id: int | None = number_or_none()
    job_name: str = words()
    job_status: str = words("defined")
    job_sub_status: str = words()
    computing_site: str = words()
    site_is_pinned: bool = Field(default=False, sa_column_kwargs={"server_default": sql("false")})
    """relocationFlag=1: the submitter chose the queue, brokerage only checks that it exists."""
    prod_source_label: str = words("user")
    processing_type: str = words()
    working_group: str = words()
    vo: str = words()
    prod_user_name: str = words()
    current_priority: int = number(1000)
    attempt_nr: int = number(1)
    max_attempt: int = number(1)
    core_count: int = number(1)
    min_ram_mb: int = number(0)
    """Memory the whole job needs; 0 = not stated."""
    max_disk_mb: int = number(0)
    """Scratch the job may fill; 0 = not stated."""
    max_walltime_s: int = number(0)
    max_cpu_s: int = number(0)
    looping_limit_s: int = number(0)
    resource_type: str = words("SCORE")
    transformation: str = words()
    destination_dataset: str = words()
    creation_time: datetime = time_now()
    modification_time: datetime = time_now()
    """Last update of any kind, so the age of the last heartbeat while a pilot holds the job."""
    state_change_time: datetime = time_now()
    start_time: datetime | None = time_or_none()
    end_time: datetime | None = time_or_none()
    brokerage_time: datetime | None = time_or_none()
    """When brokerage last looked at it; it is asked again after a pause while nothing fits."""
    modification_host: str = words()
    pilot_id: str = words()
    worker_id: str = words()
    batch_id: str = words()
    command_to_pilot: str = words()
    kill_code: int | None = number_or_none()
    trans_exit_code: int | None = number_or_none()
    pilot_error_code: int = number(0)
    pilot_error_diag: str = words()
    exe_error_code: int = number(0)
    exe_error_diag: str = words()
    sup_error_code: int = number(0)
    sup_error_diag: str = words()
    ddm_error_code: int = number(0)
    ddm_error_diag: str = words()
    brokerage_error_code: int = number(0)
    brokerage_error_diag: str = words()
    job_dispatcher_error_code: int = number(0)
    job_dispatcher_error_diag: str = words()
    task_buffer_error_code: int = number(0)
    task_buffer_error_diag: str = words()
    cpu_consumption_time_s: int = number(0)
    cpu_consumption_unit: str = words()
    max_rss_kb: int = number(0)
    max_pss_kb: int = number(0)
    work_dir_mb: int = number(0)
    n_events: int = number(0)
    job_metrics: str = words()
    pilot_timing: str = words()
    container_name: str = words()
    special_handling: str = words()
    """Flags, comma-separated (domain.md 2.1): debug."""
    gshare: str = words()
    """The global share it counts against."""
    n_input_data_files: int = number(0)
    country_group: str = words()
    """Whose resources may be kept for it: what pilots with a `countryGroup` ask for."""
    metrics: dict[str, object] = document()
    """What a pilot measured beyond the columns, by the names of the v1 API (server-api.md 1.15: max_vmem, tot_rbytes, ...)."""


class LiveJob(JobColumns, table=True):
    """A job that has not ended. Free space in each page keeps heartbeats heap-only; no index holds a time."""

    __tablename__ = "jobs_live"
    __table_args__ = (
        # dispatch: the best activated job of a share at a queue, and the oldest of all shares, without sorting
        Index(
            "ix_jobs_live_activated",
            "computing_site",
            "gshare",
            sql("current_priority DESC"),
            "panda_id",
            postgresql_where=sql("job_status = 'activated'"),
        ),
        Index("ix_jobs_live_oldest", "computing_site", "panda_id", postgresql_where=sql("job_status = 'activated'")),
        # dispatch: test work first, then users' jobs that jump over all others (domain.md 2.6): few, so an index of their own
        Index(
            "ix_jobs_live_urgent",
            "computing_site",
            sql("(prod_source_label IN ('test', 'prod_test')) DESC"),
            sql("current_priority DESC"),
            "panda_id",
            postgresql_where=sql(
                "job_status = 'activated' AND (prod_source_label IN ('test', 'prod_test') "
                "OR (prod_source_label IN ('user', 'panda') AND current_priority >= 1500))"
            ),
        ),
        # setupper and activator: jobs that still need a queue or their input
        Index(
            "ix_jobs_live_unready",
            "job_status",
            "panda_id",
            postgresql_where=sql("job_status IN ('pending', 'defined', 'waiting', 'assigned')"),
        ),
        # watchdog, statistics and monitor: counts by status and queue
        Index("ix_jobs_live_status", "job_status", "computing_site"),
        Index("ix_jobs_live_task", "jedi_task_id"),
        Index("ix_jobs_live_user", "prod_user_name", "panda_id"),
        # what became of a job that was tried again
        Index("ix_jobs_live_parent", "parent_id", postgresql_where=sql("parent_id IS NOT NULL")),
        # priorities and caps of working groups
        Index("ix_jobs_live_group", "working_group", "panda_id", postgresql_where=sql("working_group <> ''")),
        Index("ix_jobs_live_worker", "worker_id", postgresql_where=sql("worker_id <> ''")),
        {"postgresql_with": {"fillfactor": "70"}},
    )


class ArchivedJob(JobColumns, table=True):
    """A job that has ended; never changes again. Partitioned by the time it ended."""

    __tablename__ = "jobs_archive"
    __table_args__ = (
        Index("ix_jobs_archive_time", "state_change_time"),
        Index("ix_jobs_archive_task", "jedi_task_id", "panda_id"),
        Index("ix_jobs_archive_site", "computing_site", "state_change_time"),
        Index("ix_jobs_archive_user", "prod_user_name", "state_change_time"),
        Index("ix_jobs_archive_status", "job_status", "state_change_time"),
        Index("ix_jobs_archive_parent", "parent_id", postgresql_where=sql("parent_id IS NOT NULL")),
        # exclusion of queues: their last test jobs
        Index(
            "ix_jobs_archive_tests",
            "computing_site",
            "state_change_time",
            postgresql_where=sql(
                "prod_source_label IN ('test', 'prod_test', 'ptest', 'rc_test', 'rc_test2', 'rc_alrb') "
                "AND job_status IN ('finished', 'failed')"
            ),
        ),
        {"postgresql_partition_by": "RANGE (state_change_time)"},
    )

    state_change_time: datetime = Field(primary_key=True, sa_type=TIMESTAMP, nullable=False)


class JobParameters(SQLModel, table=True):
    """The argument string of a job: long, written once, read once, so kept out of the hot row."""

    __tablename__ = "job_parameters"

    panda_id: int = Field(primary_key=True, sa_type=BIGINT, sa_column_kwargs={"autoincrement": False})
    job_parameters: str = words()


class JobFile(SQLModel, table=True):
    """A file of a job: input, sandbox, output or log (`type`), with where it is or shall be."""

    __tablename__ = "job_files"
    __table_args__ = (
        Index("ix_job_files_job", "panda_id"),
        Index("ix_job_files_task", "jedi_task_id", "type"),
        # activator: which jobs wait for this catalogue file
        Index("ix_job_files_waiting", "file_id", postgresql_where=sql("status = 'pending'")),
    )

    row_id: int | None = Field(default=None, primary_key=True, sa_type=BIGINT)
    panda_id: int = Field(sa_type=BIGINT, nullable=False)
    jedi_task_id: int | None = number_or_none()
    file_id: int | None = number_or_none()
    """The catalogue's file (`files`), for inputs from the start, for outputs once they are stored."""
    type: str = words()
    lfn: str = words()
    local_name: str = words()
    """Path inside the job directory."""
    scope: str = words()
    dataset: str = words()
    guid: str = words()
    size_bytes: int | None = number_or_none()
    checksum: str = words()
    """`ad:` and 8 hexadecimal digits (domain.md 4.1)."""
    status: str = words("defined")
    endpoint: str = words()
    pfn: str = words()


class JobHistory(SQLModel, table=True):
    """One row per state change, written in the transaction that makes it; the source of every throughput number."""

    __tablename__ = "job_history"
    __table_args__ = (
        Index("ix_job_history_job", "panda_id"),
        Index("ix_job_history_time", "modification_time"),
        {"postgresql_partition_by": "RANGE (modification_time)"},
    )

    history_id: int | None = Field(
        default=None, primary_key=True, sa_type=BIGINT, sa_column_kwargs={"autoincrement": True}
    )
    modification_time: datetime = Field(
        primary_key=True,
        sa_type=TIMESTAMP,
        nullable=False,
        sa_column_kwargs={"server_default": sql("clock_timestamp()")},
    )
    panda_id: int = Field(sa_type=BIGINT, nullable=False)
    jedi_task_id: int | None = number_or_none()
    attempt_nr: int = number(1)
    previous_status: str = words()
    job_status: str = words()
    computing_site: str = words()
    prod_source_label: str = words()
    host: str = words()
    reason: str = words()


class JobOutputReport(SQLModel, table=True):
    """The pilot's verdict and its list of stored files, until the adder has accounted for them."""

    __tablename__ = "job_output_reports"

    panda_id: int = Field(primary_key=True, sa_type=BIGINT, sa_column_kwargs={"autoincrement": False})
    attempt_nr: int = number(1)
    verdict: str = words()
    """finished or failed, as the pilot said."""
    report: dict[str, object] = document()
    """{lfn: {"guid", "fsize", "adler32", "surl"}} (pilot-wire.md 2.2)."""
    received_time: datetime = time_now()


class JobLog(SQLModel, table=True):
    """The last 64 kB of a log of a job, sent by the pilot with its final update."""

    __tablename__ = "job_logs"

    panda_id: int = Field(primary_key=True, sa_type=BIGINT, sa_column_kwargs={"autoincrement": False})
    name: str = Field(primary_key=True)
    text: str = words()
    is_truncated: bool = Field(default=False, sa_column_kwargs={"server_default": sql("false")})
    received_time: datetime = time_now()


class JobMetadata(SQLModel, table=True):
    """What the payload wrote into its jobReport.json, as the pilot sent it; often large, so apart from the job."""

    __tablename__ = "job_metadata"

    panda_id: int = Field(primary_key=True, sa_type=BIGINT, sa_column_kwargs={"autoincrement": False})
    text: str = words()
    received_time: datetime = time_now()
