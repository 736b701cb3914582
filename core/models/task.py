"""Tasks: one scientific goal, the files it consumes and makes, and every state it went through."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, Sequence
from sqlalchemy import text as sql
from sqlmodel import Field, SQLModel

from core.models.columns import BIGINT, document, number, number_or_none, time_now, time_or_none, words

TASK_ID_SEQUENCE = Sequence("jedi_task_id_seq", start=10_000_000, metadata=SQLModel.metadata)
"""The real client takes smaller numbers for request ids (design.md, Names)."""
REQUEST_ID_SEQUENCE = Sequence("request_id_seq", start=1, maxvalue=9_999_999, cycle=True, metadata=SQLModel.metadata)
"""Begins again after ten million tasks: the real client takes larger numbers for task ids."""


class Task(SQLModel, table=True):
    """A task and its counters; the counters change in the transaction that ends a job."""

    __tablename__ = "tasks"
    __table_args__ = (
        Index("ix_tasks_user", "user_name", "jedi_task_id"),
        Index("ix_tasks_status", "status"),
        # the search for a task of the same name when one is submitted (server-api.md 5.8)
        Index("ix_tasks_name", "task_name", "user_name"),
        Index("ix_tasks_request", "req_id"),
        Index("ix_tasks_parent", "parent_tid", postgresql_where=sql("parent_tid IS NOT NULL")),
        # notices: ends that nobody was told of; whoever ends a task puts it here by that
        Index(
            "ix_tasks_news",
            "jedi_task_id",
            postgresql_where=sql("end_time IS NOT NULL AND end_time IS DISTINCT FROM announced_end"),
        ),
        # the generator: tasks that have something to be made of
        Index("ix_tasks_generate", "generate_at", postgresql_where=sql("generate_at IS NOT NULL")),
    )

    jedi_task_id: int = Field(primary_key=True, sa_type=BIGINT, sa_column_kwargs={"autoincrement": False})
    req_id: int = number(0)
    """Request id, below 10 000 000."""
    parent_tid: int | None = number_or_none()
    task_name: str = words()
    task_type: str = words("anal")
    """anal or prod."""
    status: str = words("registered")
    old_status: str = words()
    """The state to return to from pending, paused and throttled."""
    user_name: str = words()
    vo: str = words()
    working_group: str = words()
    prod_source_label: str = words("user")
    processing_type: str = words()
    task_priority: int = number(1000)
    current_priority: int = number(1000)
    gshare: str = words()
    core_count: int = number(1)
    ram_count: int = number(0)
    """MB, per core unless `ram_unit` says otherwise."""
    ram_unit: str = words()
    wall_time_s: int = number(0)
    cpu_time: int = number(0)
    cpu_time_unit: str = words()
    site: str = words()
    """The queue the submitter asked for."""
    nucleus: str = words()
    """The storage endpoint where its outputs are collected; empty: they stay at the storage of each job's queue."""
    parameters: dict[str, object] = document()
    """The dictionary as submitted, with what was changed at later resubmissions merged into it."""
    split_rule: dict[str, object] = document()
    """Splitting rules by PanDA's parameter names, as changed since the submission; they win over `parameters`."""
    next_serial: int = number(1)
    """The next serial number of its jobs (`${SN}`); never reused, so that names of outputs are unique."""
    n_input_files: int = number(0)
    n_files: int = number(0)
    """Files of the master input, pseudo input included."""
    n_files_finished: int = number(0)
    n_files_failed: int = number(0)
    n_jobs: int = number(0)
    n_finished: int = number(0)
    n_failed: int = number(0)
    n_cancelled: int = number(0)
    """cancelled and closed"""
    error_dialog: str = words()
    campaign: str = words()
    goal: int = number(1000)
    """Per mille of the master input that must succeed for the task to count as done enough."""
    n_pieces: int = number(0)
    """Pieces of input that jobs were made of, a piece that is tried again counted once: what maxNumJobs limits."""
    generate_at: datetime | None = time_or_none()
    """When the generator shall look at it; set in the transaction that makes input ready, None while there is nothing to do."""
    next_try_time: datetime | None = time_or_none()
    """Of pending, throttled, exhausted tasks: when the system acts next."""
    frozen_time: datetime | None = time_or_none()
    """Since when it meets obstacles without having made a job."""
    failed_retries: int = number(0)
    """Retries in a row that finished no further file, up to the last one that began."""
    files_at_retry: int | None = number_or_none()
    """How many files were finished when it was retried last; None: not yet, or under other parameters."""
    measured: dict[str, object] = document()
    """What its scouts, or its first hundred jobs, needed, and how that changed its parameters."""
    announced_end: datetime | None = time_or_none()
    """The `end_time` of which its owner was told."""
    creation_time: datetime = time_now()
    modification_time: datetime = time_now()
    start_time: datetime | None = time_or_none()
    end_time: datetime | None = time_or_none()


class TaskDataset(SQLModel, table=True):
    """A stream of a task: an input, pseudo input, output, log or lib dataset with its rules (client-wire.md 4.5)."""

    __tablename__ = "task_datasets"
    __table_args__ = (
        Index("ix_task_datasets_task", "jedi_task_id"),
        Index("ix_task_datasets_name", "name"),
        # children whose parents still work, or whose output is being read: asked for twice a second
        Index(
            "ix_task_datasets_following",
            "jedi_task_id",
            postgresql_where=sql("type = 'parent' AND status IN ('mutable', 'toupdate')"),
        ),
    )

    dataset_id: int | None = Field(default=None, primary_key=True, sa_type=BIGINT)
    jedi_task_id: int = Field(sa_type=BIGINT, nullable=False)
    name: str = words()
    container: str = words()
    stream: str = words()
    """IN, IN2, SEQNUMBER, OUTPUT0, LOG0, LIB ..."""
    type: str = words("input")
    """input, pseudo_input, output, log or lib."""
    is_master: bool = Field(default=False, sa_column_kwargs={"server_default": sql("false")})
    """The input that drives splitting."""
    status: str = words("defined")
    """Of input: toupdate until all of it is in `task_files`, then ready; of the marker `parent`, mutable while that works."""
    template: str = words()
    """Of outputs and logs: the file name with its placeholders."""
    attributes: dict[str, object] = document()
    """The rest of the submitted item: offset, nFilesPerJob, ratio, include, exclude, reusable, ..."""
    feed_cursor: int = number(0)
    """How far it has been read: the last file_id of the catalogue's dataset; of numbers and given PFNs, how many."""
    n_files: int = number(0)
    """Rows of `task_files` that were fed."""
    n_events: int = number(0)
    """The sum of their events."""
    n_skipped: int = number(0)
    """Files that were left out at the beginning, because an offset asks for it."""
    creation_time: datetime = time_now()


class TaskFile(SQLModel, table=True):
    """A file (or range of events of a file, or pseudo file) that a task consumes, and what became of it."""

    __tablename__ = "task_files"
    __table_args__ = (
        # job generation: what is ready, in order; progress: counts by status
        Index("ix_task_files_status", "jedi_task_id", "status", "dataset_id", "position"),
        # the end of a job: its files
        Index("ix_task_files_job", "panda_id", postgresql_where=sql("panda_id IS NOT NULL")),
        # companions: those used least first
        Index("ix_task_files_dataset", "dataset_id", "attempt_nr", "position"),
        # feeding: what is there already; given PFNs are longer than an index takes
        Index("ix_task_files_lfn", "dataset_id", "lfn", postgresql_where=sql("catalogue_file_id IS NOT NULL")),
        # how many files of a task errors of memory have raised
        Index("ix_task_files_ram", "jedi_task_id", "ram_mb", postgresql_where=sql("ram_mb > 0")),
    )

    file_id: int | None = Field(default=None, primary_key=True, sa_type=BIGINT)
    jedi_task_id: int = Field(sa_type=BIGINT, nullable=False)
    dataset_id: int = Field(sa_type=BIGINT, nullable=False)
    position: int = number(0)
    """Order within the dataset, from 1; of pseudo files the sequence number."""
    catalogue_file_id: int | None = number_or_none()
    """The catalogue's file (`files`); none for pseudo input."""
    lfn: str = words()
    scope: str = words()
    guid: str = words()
    size_bytes: int | None = number_or_none()
    checksum: str = words()
    n_events: int = number(0)
    start_event: int | None = number_or_none()
    end_event: int | None = number_or_none()
    status: str = words("ready")
    """ready, running, finished, failed, missing, cancelled, or staging while it comes from tape."""
    attempt_nr: int = number(0)
    """Jobs that have had it."""
    failed_attempt: int = number(0)
    """Of these, the ones that failed (server-api.md 5.6)."""
    max_attempt: int = number(3)
    panda_id: int | None = number_or_none()
    """The last job that had it."""
    first_event: int = number(0)
    """Events of the master input before it."""
    max_failure: int = number(3)
    """It gives up when so many attempts have failed by the fault of the job (server-api.md 5.6)."""
    ram_mb: int = number(0)
    """Memory per core for its next attempt, when errors of memory raised it; 0 = as the task says."""
    boundary_id: str = words()
    """The catalogue's: what it must not be mixed across, where the task cares."""


class TaskHistory(SQLModel, table=True):
    """One row per change of state of a task, written in the transaction that makes it."""

    __tablename__ = "task_history"
    __table_args__ = (Index("ix_task_history_task", "jedi_task_id"),)

    history_id: int | None = Field(default=None, primary_key=True, sa_type=BIGINT)
    jedi_task_id: int = Field(sa_type=BIGINT, nullable=False)
    time: datetime = time_now()
    previous_status: str = words()
    status: str = words()
    who: str = words()
    reason: str = words()
