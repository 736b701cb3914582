"""When the generation of jobs of a task is held back because its lane is full (domain.md 3.8). Knows no job of the task.

Asked by the generator, which obeys, and by the answers to "why", which tell.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.database import Row, Transaction
from core.resource_types import resource_type
from core.shares.lanes import Lane, lane_state
from core.taskengine.dialects.reading import definition_of
from core.workload_settings import GenerationSettings

LaneKey = tuple[str, str]
"""Share and resource type."""

# per queue one step into ix_jobs_live_activated; ix_jobs_live_unready. Only of lanes that are full
MOST_URGENT = """
SELECT coalesce(max(w.priority), 0) AS priority FROM (
    SELECT best.current_priority AS priority FROM queues q CROSS JOIN LATERAL (
        SELECT j.current_priority FROM jobs_live j
        WHERE j.job_status = 'activated' AND j.computing_site = q.queue_name AND j.gshare = %(gshare)s
        ORDER BY j.current_priority DESC LIMIT 1
    ) best
    UNION ALL
    SELECT max(current_priority) FROM jobs_live WHERE job_status IN ('defined', 'assigned') AND gshare = %(gshare)s
) w
"""


@dataclass(frozen=True)
class FullLane:
    """A lane in which enough jobs wait already."""

    lane: Lane
    limit: int
    """Jobs that may be queued in any case."""
    most_urgent: int
    """The highest priority among those that wait: what is more urgent passes."""

    def holds(self, task: Row) -> bool:
        """Whether a task of the lane gets no jobs now."""
        return bool(task["current_priority"] <= self.most_urgent)


def lane_of(task: Row) -> LaneKey:
    """The lane that the jobs of a task count for. Raises InvalidInput when its parameters cannot be read."""
    # the row holds memory as it was stated, often per core: what a whole job needs only the definition says
    needs = definition_of(task).needs
    return task["gshare"], resource_type(needs.core_count, needs.ram_mb)


def full_lane(transaction: Transaction, key: LaneKey, settings: GenerationSettings) -> FullLane | None:
    """The lane if it is full, by its own limit or that of the installation; None while there is room."""
    lane = lane_state(transaction, *key)
    if not lane.is_full(default_limit=settings.max_queued_jobs, queued_to_running=settings.queued_to_running):
        return None
    [waiting] = transaction.fetch(MOST_URGENT, {"gshare": lane.gshare})
    return FullLane(lane, settings.max_queued_jobs if lane.limit is None else lane.limit, waiting["priority"])
