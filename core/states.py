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

AWAITING_PILOT = frozenset(
    {
        *(JobStatus.PENDING, JobStatus.DEFINED, JobStatus.WAITING),
        *(JobStatus.ASSIGNED, JobStatus.THROTTLED, JobStatus.ACTIVATED),
    }
)
"""States of a job that no pilot has had in its hands."""

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
    JobStatus.ACTIVATED: _UNSUCCESSFUL | {JobStatus.THROTTLED, JobStatus.SENT, JobStatus.DEFINED},
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
    """States of a task; the sentences are in `TASK_STATUS_MEANING`."""

    REGISTERED = "registered"
    STAGING = "staging"
    STAGED = "staged"
    DEFINED = "defined"
    ASSIGNING = "assigning"
    TOPREPROCESS = "topreprocess"
    PREPROCESSING = "preprocessing"
    READY = "ready"
    PENDING = "pending"
    SCOUTING = "scouting"
    SCOUTED = "scouted"
    RUNNING = "running"
    THROTTLED = "throttled"
    PAUSED = "paused"
    MERGING = "merging"
    EXHAUSTED = "exhausted"
    PREPARED = "prepared"
    FINISHING = "finishing"
    PASSED = "passed"
    ABORTING = "aborting"
    TOABORT = "toabort"
    TORETRY = "toretry"
    TOINCEXEC = "toincexec"
    REREFINE = "rerefine"
    TOREASSIGN = "toreassign"
    REASSIGNING = "reassigning"
    TOBROKEN = "tobroken"
    DONE = "done"
    FINISHED = "finished"
    FAILED = "failed"
    ABORTED = "aborted"
    BROKEN = "broken"


TASK_STATUS_MEANING: dict[TaskStatus, str] = {
    TaskStatus.REGISTERED: "accepted; its definition is read next",
    TaskStatus.STAGING: "input is being brought from tape",
    TaskStatus.STAGED: "input has come from tape",
    TaskStatus.DEFINED: "definition read; its input is being listed",
    TaskStatus.ASSIGNING: "a destination is being chosen",
    TaskStatus.TOPREPROCESS: "a job that works out the real definition is to be made",
    TaskStatus.PREPROCESSING: "a job works out the real definition",
    TaskStatus.READY: "jobs can be made, or wait for a queue",
    TaskStatus.PENDING: "a temporary obstacle, named in the error dialog; tried again",
    TaskStatus.SCOUTING: "a few first jobs measure what the others will need",
    TaskStatus.SCOUTED: "enough of the first jobs succeeded",
    TaskStatus.RUNNING: "jobs run, or wait for pilots",
    TaskStatus.THROTTLED: "no further jobs are made for a while",
    TaskStatus.PAUSED: "held on request; jobs that run go on, no further ones start",
    TaskStatus.MERGING: "outputs are being merged",
    TaskStatus.EXHAUSTED: "the system gave up; a person decides: retry, change or kill",
    TaskStatus.PREPARED: "all input processed; the end is being worked out",
    TaskStatus.FINISHING: "ends on request with what is done",
    TaskStatus.PASSED: "its last job has ended; the end is being worked out",
    TaskStatus.ABORTING: "being killed; jobs on worker nodes end first",
    TaskStatus.TOABORT: "killed; the end is being worked out",
    TaskStatus.TORETRY: "what failed is being opened again",
    TaskStatus.TOINCEXEC: "is to go on with old and new input",
    TaskStatus.REREFINE: "definition and input are read again",
    TaskStatus.TOREASSIGN: "is being moved to another destination",
    TaskStatus.REASSIGNING: "another destination is being chosen",
    TaskStatus.TOBROKEN: "its definition cannot be used; being closed",
    TaskStatus.DONE: "everything succeeded",
    TaskStatus.FINISHED: "a part succeeded",
    TaskStatus.FAILED: "nothing succeeded",
    TaskStatus.ABORTED: "killed on request",
    TaskStatus.BROKEN: "its definition cannot be used",
}

FINAL_TASK_STATUSES = frozenset(
    {TaskStatus.DONE, TaskStatus.FINISHED, TaskStatus.FAILED, TaskStatus.ABORTED, TaskStatus.BROKEN}
)
"""States in which a task rests; only a command takes it out of them again, and none out of broken."""
TASK_HOLDS = frozenset({TaskStatus.PENDING, TaskStatus.THROTTLED, TaskStatus.PAUSED})
"""States that remember in `old_status` where to go back to."""
GENERATING_TASK_STATUSES = frozenset(
    {
        *(TaskStatus.DEFINED, TaskStatus.ASSIGNING, TaskStatus.READY, TaskStatus.SCOUTING, TaskStatus.SCOUTED),
        *(TaskStatus.RUNNING, TaskStatus.MERGING),
    }
)
"""States in which jobs may be made from files that are ready."""

SUPER_STATUS: dict[TaskStatus, str] = {
    **dict.fromkeys(TaskStatus, "running"),
    **dict.fromkeys((TaskStatus.REGISTERED, TaskStatus.STAGING, TaskStatus.STAGED), "registered"),
    **dict.fromkeys(
        (TaskStatus.DEFINED, TaskStatus.ASSIGNING, TaskStatus.TOPREPROCESS, TaskStatus.PREPROCESSING), "submitting"
    ),
    TaskStatus.READY: "ready",
    **{status: status.value for status in FINAL_TASK_STATUSES},
}
"""PanDA's superStatus: `pbook show run` asks for running, submitting, registered and ready (client-wire.md 5.1)."""

_CLOSING = frozenset({TaskStatus.ABORTING, TaskStatus.FINISHING})
_TASK_ENDS = frozenset({TaskStatus.DONE, TaskStatus.FINISHED, TaskStatus.FAILED})
_UNDER_WAY = frozenset(
    {
        *(TaskStatus.REGISTERED, TaskStatus.STAGING, TaskStatus.STAGED, TaskStatus.DEFINED, TaskStatus.ASSIGNING),
        *(TaskStatus.TOPREPROCESS, TaskStatus.PREPROCESSING, TaskStatus.READY, TaskStatus.PENDING),
        *(TaskStatus.SCOUTING, TaskStatus.SCOUTED, TaskStatus.RUNNING, TaskStatus.THROTTLED, TaskStatus.MERGING),
        TaskStatus.EXHAUSTED,
    }
)
"""May be held, moved, killed and finished; may meet an obstacle; ends when its last file is through or gives up."""
_OUT_OF_WORK = _TASK_ENDS | {TaskStatus.PREPARED, TaskStatus.EXHAUSTED, TaskStatus.TOBROKEN, TaskStatus.BROKEN}
_ANYTIME = _CLOSING | _OUT_OF_WORK | {TaskStatus.READY, TaskStatus.PAUSED, TaskStatus.PENDING, TaskStatus.TOREASSIGN}

_FORWARD: dict[TaskStatus, frozenset[TaskStatus]] = {
    TaskStatus.REGISTERED: frozenset(
        {TaskStatus.STAGING, TaskStatus.TOPREPROCESS, TaskStatus.DEFINED, TaskStatus.READY, TaskStatus.ABORTED}
    ),
    TaskStatus.STAGING: frozenset({TaskStatus.STAGED}),
    TaskStatus.STAGED: frozenset({TaskStatus.DEFINED, TaskStatus.READY}),
    TaskStatus.DEFINED: frozenset({TaskStatus.ASSIGNING, TaskStatus.READY}),
    TaskStatus.ASSIGNING: frozenset({TaskStatus.READY}),
    TaskStatus.TOPREPROCESS: frozenset({TaskStatus.PREPROCESSING, TaskStatus.READY}),
    TaskStatus.PREPROCESSING: frozenset({TaskStatus.REGISTERED, TaskStatus.DEFINED, TaskStatus.READY}),
    TaskStatus.READY: frozenset({TaskStatus.SCOUTING, TaskStatus.RUNNING, TaskStatus.PREPROCESSING}),
    TaskStatus.PENDING: _UNDER_WAY | {TaskStatus.REREFINE, TaskStatus.REASSIGNING},
    TaskStatus.SCOUTING: frozenset({TaskStatus.SCOUTED}),
    TaskStatus.SCOUTED: frozenset({TaskStatus.RUNNING}),
    TaskStatus.RUNNING: frozenset({TaskStatus.THROTTLED, TaskStatus.MERGING, TaskStatus.DEFINED, TaskStatus.READY}),
    TaskStatus.THROTTLED: _UNDER_WAY,
    TaskStatus.MERGING: frozenset({TaskStatus.RUNNING, TaskStatus.THROTTLED}),
    TaskStatus.EXHAUSTED: frozenset({TaskStatus.TORETRY, TaskStatus.TOINCEXEC, TaskStatus.READY}),
}
"""The way of a task without obstacles and commands; `_ANYTIME` comes to each."""

TASK_TRANSITIONS: dict[TaskStatus, frozenset[TaskStatus]] = {
    **{status: (targets | _ANYTIME) - {status} for status, targets in _FORWARD.items()},
    TaskStatus.PAUSED: _UNDER_WAY | _CLOSING | _OUT_OF_WORK | {TaskStatus.TOREASSIGN},
    TaskStatus.PREPARED: _TASK_ENDS
    | {TaskStatus.EXHAUSTED, TaskStatus.PENDING, TaskStatus.DEFINED, TaskStatus.REGISTERED},
    TaskStatus.FINISHING: _TASK_ENDS | {TaskStatus.PASSED, TaskStatus.ABORTING},
    TaskStatus.PASSED: _TASK_ENDS | _CLOSING | {TaskStatus.EXHAUSTED},
    TaskStatus.ABORTING: frozenset({TaskStatus.TOABORT, TaskStatus.ABORTED}),
    TaskStatus.TOABORT: frozenset({TaskStatus.ABORTED}),
    TaskStatus.TORETRY: _CLOSING | {TaskStatus.READY, TaskStatus.RUNNING, TaskStatus.SCOUTING, TaskStatus.EXHAUSTED},
    TaskStatus.TOINCEXEC: _CLOSING | {TaskStatus.REREFINE},
    TaskStatus.REREFINE: _CLOSING
    | {TaskStatus.DEFINED, TaskStatus.READY, TaskStatus.PENDING, TaskStatus.TOBROKEN, TaskStatus.BROKEN}
    | {TaskStatus.TOPREPROCESS},
    TaskStatus.TOREASSIGN: _UNDER_WAY | _CLOSING | {TaskStatus.REASSIGNING, TaskStatus.PAUSED},
    TaskStatus.REASSIGNING: _UNDER_WAY | _CLOSING | {TaskStatus.PAUSED},
    TaskStatus.TOBROKEN: _CLOSING | {TaskStatus.BROKEN},
    TaskStatus.DONE: frozenset({TaskStatus.TOINCEXEC, TaskStatus.READY}),
    TaskStatus.FINISHED: frozenset({TaskStatus.TORETRY, TaskStatus.TOINCEXEC, TaskStatus.READY}),
    TaskStatus.FAILED: frozenset({TaskStatus.TORETRY, TaskStatus.TOINCEXEC, TaskStatus.READY}),
    TaskStatus.ABORTED: frozenset({TaskStatus.TORETRY, TaskStatus.TOINCEXEC, TaskStatus.READY}),
    TaskStatus.BROKEN: frozenset(),
}


def way_of_task(current: TaskStatus, target: TaskStatus) -> tuple[TaskStatus, ...]:
    """The states a task takes on its way from `current` to `target`, that last: what upstream's agents do one after the
    other happens in one transaction here, so nobody finds a task at the stops between, and its history names them.

    prepared before an end, passed before one by command, toabort before aborted, reassigning after toreassign
    (server-api.md 5.7).
    """
    if current is TaskStatus.TOREASSIGN and target not in _CLOSING | {TaskStatus.REASSIGNING}:
        return TaskStatus.REASSIGNING, target
    if current is TaskStatus.ABORTING and target is TaskStatus.ABORTED:
        return TaskStatus.TOABORT, target
    if target in _TASK_ENDS and current not in _ON_ITS_WAY_OUT:
        return TaskStatus.PASSED if current is TaskStatus.FINISHING else TaskStatus.PREPARED, target
    return (target,)


_ON_ITS_WAY_OUT = FINAL_TASK_STATUSES | {TaskStatus.PREPARED, TaskStatus.PASSED}


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


class StagingStatus(StrEnum):
    """Life of a request of the data carousel: one dataset that is brought from tape (server-api.md 5.9)."""

    QUEUED = "queued"
    STAGING = "staging"
    DONE = "done"
    CANCELLED = "cancelled"
    RETIRED = "retired"


STAGING_TRANSITIONS: dict[StagingStatus, frozenset[StagingStatus]] = {
    StagingStatus.QUEUED: frozenset({StagingStatus.STAGING, StagingStatus.CANCELLED}),
    StagingStatus.STAGING: frozenset({StagingStatus.DONE, StagingStatus.CANCELLED}),
    StagingStatus.DONE: frozenset({StagingStatus.QUEUED, StagingStatus.RETIRED}),
    StagingStatus.CANCELLED: frozenset(),
    StagingStatus.RETIRED: frozenset(),
}
"""Done is queued again when a task needs files of the dataset that are, by then, on tape only."""
LIVING_STAGING_STATUSES = frozenset({StagingStatus.QUEUED, StagingStatus.STAGING, StagingStatus.DONE})
"""Of a dataset one request at a time is in one of them."""


class IncidentState(StrEnum):
    """Life of an incident. A candidate is a trouble that is counted and not yet, or never, an incident."""

    CANDIDATE = "candidate"
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    SILENCED = "silenced"
    REOPENED = "reopened"
    RESOLVED = "resolved"


_LIVING = {IncidentState.ACKNOWLEDGED, IncidentState.SILENCED, IncidentState.RESOLVED}

INCIDENT_TRANSITIONS: dict[IncidentState, frozenset[IncidentState]] = {
    IncidentState.CANDIDATE: frozenset({IncidentState.OPEN, IncidentState.SILENCED, IncidentState.RESOLVED}),
    IncidentState.OPEN: frozenset(_LIVING),
    IncidentState.REOPENED: frozenset(_LIVING),
    IncidentState.ACKNOWLEDGED: frozenset({IncidentState.OPEN, IncidentState.SILENCED, IncidentState.RESOLVED}),
    IncidentState.SILENCED: frozenset(
        {IncidentState.OPEN, IncidentState.ACKNOWLEDGED, IncidentState.REOPENED, IncidentState.RESOLVED}
    ),
    IncidentState.RESOLVED: frozenset({IncidentState.REOPENED}),
}
"""Who may take which step is said in logger/life.py."""


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
