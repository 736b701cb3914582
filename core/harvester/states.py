"""Every state of a worker and every legal transition, as data (domain.md 8.3, server-api.md 5.9). Knows no table."""

from __future__ import annotations

from enum import StrEnum


class WorkerStatus(StrEnum):
    """States of a worker as its factory sees it."""

    PENDING = "pending"
    SUBMITTED = "submitted"
    READY = "ready"
    RUNNING = "running"
    IDLE = "idle"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"
    MISSED = "missed"


WORKER_STATUS_MEANING: dict[WorkerStatus, str] = {
    WorkerStatus.PENDING: "announced; not in a batch queue yet",
    WorkerStatus.SUBMITTED: "in the batch queue",
    WorkerStatus.READY: "its input is there; waits in the batch queue",
    WorkerStatus.RUNNING: "on a node",
    WorkerStatus.IDLE: "on a node, without work",
    WorkerStatus.FINISHED: "ended well",
    WorkerStatus.FAILED: "ended with an error",
    WorkerStatus.CANCELLED: "removed from the batch queue",
    WorkerStatus.MISSED: "gone before it started",
}

FINAL_WORKER_STATUSES = frozenset(
    {WorkerStatus.FINISHED, WorkerStatus.FAILED, WorkerStatus.CANCELLED, WorkerStatus.MISSED}
)
LIVE_WORKER_STATUSES = frozenset(WorkerStatus) - FINAL_WORKER_STATUSES

WORKER_TRANSITIONS: dict[WorkerStatus, frozenset[WorkerStatus]] = {
    WorkerStatus.PENDING: frozenset(WorkerStatus) - {WorkerStatus.PENDING},
    WorkerStatus.SUBMITTED: FINAL_WORKER_STATUSES | {WorkerStatus.READY, WorkerStatus.RUNNING, WorkerStatus.IDLE},
    WorkerStatus.READY: FINAL_WORKER_STATUSES | {WorkerStatus.SUBMITTED, WorkerStatus.RUNNING, WorkerStatus.IDLE},
    # no way back into the batch queue
    WorkerStatus.RUNNING: FINAL_WORKER_STATUSES | {WorkerStatus.IDLE},
    WorkerStatus.IDLE: FINAL_WORKER_STATUSES | {WorkerStatus.RUNNING},
    **{status: frozenset[WorkerStatus]() for status in FINAL_WORKER_STATUSES},
}
"""A report of any other step leaves the status alone; what else it says is taken."""

FINAL_IS_KEPT_S = 3 * 3600
"""A final status is kept when the worker was updated within this time; later news may revive it (server-api.md 5.9)."""
