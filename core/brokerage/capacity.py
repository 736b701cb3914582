"""The largest jobs of a task that its queues can take: scratch and time (domain.md 3.4). Knows no SQL of its own.

For tasks that set no size of their jobs: the generator cuts a piece that fits a queue, and sets it as the queue to be
asked first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from core.brokerage.broker import broker
from core.brokerage.candidates import Candidate, Request
from core.brokerage.criteria import Criterion
from core.brokerage.criteria.hardware import disk_limit_of
from core.brokerage.facts import read_candidates
from core.brokerage.requests import request_of_task
from core.brokerage.task_classes import TaskClasses
from core.core_power import DEFAULT_CORE_POWER
from core.database import Row, Transaction

if TYPE_CHECKING:
    from core.taskengine.dialects.definition import Needs, TaskDefinition

_LEAST_OUTPUT_MB = 500
_BYTES_OF_MB = 10**6


@dataclass(frozen=True)
class Capacity:
    """What one job may have at a queue. None = nothing limits it, or nobody knows the limit."""

    queue_name: str
    max_input_bytes: int | None
    """So much input fits into scratch beside the least of output, if it is copied there."""
    max_events: int | None
    """So many events fit into the time, and their outputs into scratch without any input."""
    weight_rank: int = 0
    """0 for the queue that would get the job today."""


def capacities(transaction: Transaction, task: Row, definition: TaskDefinition) -> list[Capacity]:
    """One for each queue that would take an average job of the task now, best first; empty when none would."""
    candidates = read_candidates(transaction)
    request = request_of_task(transaction, task, definition)
    classes = TaskClasses().read(transaction, [request], candidates)
    request = replace(request, task_class=classes.get(request, ""))
    return capacities_among(request, definition.needs, candidates)


def capacities_among(
    request: Request, needs: Needs, candidates: list[Candidate], criteria: Sequence[Criterion] | None = None
) -> list[Capacity]:
    """The same for candidates at hand."""
    accepted = broker(request, candidates, criteria).accepted
    return [capacity_of(request, needs, queue, rank) for rank, queue in enumerate(accepted)]


def capacity_of(request: Request, needs: Needs, queue: Candidate, rank: int = 0) -> Capacity:
    """S >= inputs + max(0.5 GB, out) + work, and W >= cpuTime x events / (cores x power x efficiency) + base."""
    return Capacity(
        queue.queue_name,
        _input_bytes(request, needs, queue),
        _least(_events_in_time(request, needs, queue), _events_on_disk(request, needs, queue)),
        rank,
    )


def _input_bytes(request: Request, needs: Needs, queue: Candidate) -> int | None:
    limit_mb = disk_limit_of(request, queue)
    if not limit_mb or (queue.stated.reads_lan and request.needs_direct_access):
        return None
    free_mb = limit_mb - needs.work_disk_mb
    beside_mb = max(_LEAST_OUTPUT_MB, needs.disk_mb)
    input_mb = free_mb - beside_mb
    # outputs that grow with the input share the scratch with it once they are more than the least
    grown = needs.disk_kb_per_input_mb / 1000
    if grown and needs.disk_mb + input_mb * grown > beside_mb:
        input_mb = int((free_mb - needs.disk_mb) / (1 + grown))
    return max(0, input_mb) * _BYTES_OF_MB


def _events_in_time(request: Request, needs: Needs, queue: Candidate) -> int | None:
    limit_s = queue.walltime_limit_s
    if not limit_s or not needs.hs06_s_per_event or not needs.cpu_efficiency:
        return None
    power = queue.stated.corepower or DEFAULT_CORE_POWER
    work = max(0, limit_s - needs.base_walltime_s) * request.cores * power * needs.cpu_efficiency / 100
    return math.floor(work / needs.hs06_s_per_event + 1e-9)


def _events_on_disk(request: Request, needs: Needs, queue: Candidate) -> int | None:
    limit_mb = disk_limit_of(request, queue)
    if not limit_mb or not needs.disk_kb_per_event:
        return None
    return max(0, (limit_mb - needs.work_disk_mb - needs.disk_mb) * 1000 // needs.disk_kb_per_event)


def _least(*limits: int | None) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)
