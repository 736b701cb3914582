"""Every state and every legal transition, as data. Knows no table and no SQL.

Sources: domain.md 2.2 (jobs), server-api.md 5.2 (what the real server enforces), 5.7 (tasks), 5.9 (files, datasets),
monitor.md 6.1 (incidents).
"""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar

from core.errors import IllegalTransition


class JobStatus(StrEnum):
    """States of a job; the sentences are in `JOB_STATUS_MEANING`."""

    PENDING = "pending"
    DEFINED = "defined"
    WAITING = "waiting"
    ASSIGNED = "assigned"
    THROTTLED = "throttled"
    ACTIVATED = "activated"
    SENT = "sent"
    STARTING = "starting"
    STAGEIN = "stagein"
    RUNNING = "running"
    STAGEOUT = "stageout"
    HOLDING = "holding"
    MERGING = "merging"
    TRANSFERRING = "transferring"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"
    CLOSED = "closed"


JOB_STATUS_MEANING: dict[JobStatus, str] = {
    JobStatus.PENDING: "being inserted, or waiting for a build job",
    JobStatus.DEFINED: "accepted; a queue is being chosen",
    JobStatus.WAITING: "an input is not registered anywhere yet",
    JobStatus.ASSIGNED: "queue chosen; an input is not at its storage yet",
    JobStatus.THROTTLED: "held back",
    JobStatus.ACTIVATED: "ready; waiting for a pilot",
    JobStatus.SENT: "given to a pilot that has not reported yet",
    JobStatus.STARTING: "a pilot is setting it up",
    JobStatus.STAGEIN: "inputs are being copied to the worker node",
    JobStatus.RUNNING: "the payload executes",
    JobStatus.STAGEOUT: "outputs are being stored",
    JobStatus.HOLDING: "payload ended; outputs are being accounted for",
    JobStatus.MERGING: "outputs wait for a merge job",
    JobStatus.TRANSFERRING: "outputs are moving to their destination",
    JobStatus.FINISHED: "success",
    JobStatus.FAILED: "ended with an error",
    JobStatus.CANCELLED: "killed on request",
    JobStatus.CLOSED: "ended by the system before or instead of running",
}

FINAL_JOB_STATUSES = frozenset({JobStatus.FINISHED, JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.CLOSED})
_UNSUCCESSFUL = frozenset({JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.CLOSED})

ON_WORKER_NODE = frozenset(
    {JobStatus.SENT, JobStatus.STARTING, JobStatus.STAGEIN, JobStatus.RUNNING, JobStatus.STAGEOUT}
)
"""States in which a pilot holds the job, so that a kill must travel through its heartbeat."""

JOB_TRANSITIONS: dict[JobStatus, frozenset[JobStatus]] = {
    JobStatus.PENDING: _UNSUCCESSFUL | {JobStatus.DEFINED},
    JobStatus.DEFINED: _UNSUCCESSFUL | {JobStatus.WAITING, JobStatus.ASSIGNED, JobStatus.ACTIVATED},
    JobStatus.WAITING: _UNSUCCESSFUL | {JobStatus.DEFINED},
    JobStatus.ASSIGNED: _UNSUCCESSFUL | {JobStatus.DEFINED, JobStatus.ACTIVATED},
    JobStatus.THROTTLED: _UNSUCCESSFUL | {JobStatus.ACTIVATED},
    JobStatus.ACTIVATED: _UNSUCCESSFUL | {JobStatus.THROTTLED, JobStatus.SENT},
    JobStatus.SENT: _UNSUCCESSFUL | {JobStatus.STARTING, JobStatus.STAGEIN, JobStatus.RUNNING, JobStatus.HOLDING},
    JobStatus.STARTING: _UNSUCCESSFUL
    | {JobStatus.STAGEIN, JobStatus.RUNNING, JobStatus.STAGEOUT, JobStatus.HOLDING, JobStatus.TRANSFERRING},
    JobStatus.STAGEIN: _UNSUCCESSFUL | {JobStatus.RUNNING, JobStatus.STAGEOUT, JobStatus.HOLDING},
    JobStatus.RUNNING: _UNSUCCESSFUL | {JobStatus.STAGEOUT, JobStatus.HOLDING, JobStatus.TRANSFERRING},
    JobStatus.STAGEOUT: _UNSUCCESSFUL | {JobStatus.HOLDING, JobStatus.TRANSFERRING},
    JobStatus.HOLDING: _UNSUCCESSFUL | {JobStatus.FINISHED, JobStatus.MERGING, JobStatus.TRANSFERRING},
    JobStatus.MERGING: _UNSUCCESSFUL | {JobStatus.FINISHED},
    JobStatus.TRANSFERRING: _UNSUCCESSFUL | {JobStatus.FINISHED},
    JobStatus.FINISHED: frozenset(),
    JobStatus.FAILED: frozenset(),
    JobStatus.CANCELLED: frozenset(),
    JobStatus.CLOSED: frozenset(),
}


class TaskStatus(StrEnum):
    """States of a task in its first form; the task engine adds the others of domain.md 3."""

    REGISTERED = "registered"
    READY = "ready"
    RUNNING = "running"
    ABORTING = "aborting"
    DONE = "done"
    FINISHED = "finished"
    FAILED = "failed"
    ABORTED = "aborted"
    BROKEN = "broken"


FINAL_TASK_STATUSES = frozenset(
    {TaskStatus.DONE, TaskStatus.FINISHED, TaskStatus.FAILED, TaskStatus.ABORTED, TaskStatus.BROKEN}
)
_TASK_ENDS = frozenset({TaskStatus.DONE, TaskStatus.FINISHED, TaskStatus.FAILED, TaskStatus.ABORTED})

TASK_TRANSITIONS: dict[TaskStatus, frozenset[TaskStatus]] = {
    TaskStatus.REGISTERED: frozenset({TaskStatus.READY, TaskStatus.BROKEN, TaskStatus.ABORTED}),
    TaskStatus.READY: _TASK_ENDS | {TaskStatus.RUNNING, TaskStatus.ABORTING},
    TaskStatus.RUNNING: _TASK_ENDS | {TaskStatus.ABORTING},
    TaskStatus.ABORTING: _TASK_ENDS,
    **{status: frozenset[TaskStatus]() for status in FINAL_TASK_STATUSES},
}


class FileStatus(StrEnum):
    """States of a file of a job."""

    DEFINED = "defined"
    PENDING = "pending"
    READY = "ready"
    MISSING = "missing"
    FAILED = "failed"
    NO_OUTPUT = "nooutput"


FILE_TRANSITIONS: dict[FileStatus, frozenset[FileStatus]] = {
    FileStatus.DEFINED: frozenset(
        {FileStatus.PENDING, FileStatus.READY, FileStatus.MISSING, FileStatus.FAILED, FileStatus.NO_OUTPUT}
    ),
    FileStatus.PENDING: frozenset({FileStatus.READY, FileStatus.MISSING, FileStatus.FAILED}),
    FileStatus.READY: frozenset(),
    FileStatus.MISSING: frozenset(),
    FileStatus.FAILED: frozenset(),
    FileStatus.NO_OUTPUT: frozenset(),
}


class DatasetStatus(StrEnum):
    """Life of a dataset: files may be added while it is open."""

    OPEN = "open"
    CLOSED = "closed"
    FROZEN = "frozen"
    DELETED = "deleted"


DATASET_TRANSITIONS: dict[DatasetStatus, frozenset[DatasetStatus]] = {
    DatasetStatus.OPEN: frozenset({DatasetStatus.CLOSED, DatasetStatus.DELETED}),
    DatasetStatus.CLOSED: frozenset({DatasetStatus.OPEN, DatasetStatus.FROZEN, DatasetStatus.DELETED}),
    DatasetStatus.FROZEN: frozenset({DatasetStatus.DELETED}),
    DatasetStatus.DELETED: frozenset(),
}


class IncidentState(StrEnum):
    """Life of an incident."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


INCIDENT_TRANSITIONS: dict[IncidentState, frozenset[IncidentState]] = {
    IncidentState.OPEN: frozenset({IncidentState.ACKNOWLEDGED, IncidentState.RESOLVED}),
    IncidentState.ACKNOWLEDGED: frozenset({IncidentState.OPEN, IncidentState.RESOLVED}),
    IncidentState.RESOLVED: frozenset({IncidentState.OPEN}),
}


def job_statuses_before(target: JobStatus) -> tuple[str, ...]:
    """The states from which a job may go to `target`; statements compare against it and so obey the table."""
    return tuple(sorted(status.value for status, targets in JOB_TRANSITIONS.items() if target in targets))


State = TypeVar("State", bound=StrEnum)


def check_transition(table: dict[State, frozenset[State]], current: State, target: State) -> None:
    """Raise IllegalTransition unless `table` knows the step from `current` to `target`."""
    if target not in table[current]:
        legal = ", ".join(sorted(table[current])) or "nothing: it is final"
        raise IllegalTransition(
            f"{type(current).__name__} cannot go from {current} to {target}", field="status", remedy=f"legal: {legal}"
        )
