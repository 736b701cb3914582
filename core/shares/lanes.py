"""How full a lane is: one share and one resource type. The generator holds back when it is (domain.md 3.8)."""

from __future__ import annotations

from dataclasses import dataclass

from core.database import Row
from core.shares.reading import Reader

# primary key of share_usage, which begins with the share
_LANE = """
SELECT coalesce(sum(queued_jobs), 0) AS queued, coalesce(sum(waiting_jobs), 0) AS waiting,
       coalesce(sum(executing_jobs), 0) AS running,
       (SELECT max_queued_jobs FROM global_shares WHERE name = %(gshare)s) AS allowed
FROM share_usage WHERE gshare = %(gshare)s AND resource_type = %(resource_type)s
"""


@dataclass(frozen=True)
class Lane:
    """The jobs of a share and resource type at all queues, as last counted."""

    gshare: str
    resource_type: str
    queued: int
    """activated"""
    waiting: int
    """not yet activated, or held"""
    running: int
    """with a pilot"""
    limit: int | None
    """Queued jobs beyond which operators want no further ones; None: the installation's own limit
    (GenerationSettings.max_queued_jobs) holds."""

    def is_full(self, *, default_limit: int, queued_to_running: float) -> bool:
        """Whether no further jobs shall be made: more queued than the limit, and than so many for each that runs."""
        limit = default_limit if self.limit is None else self.limit
        unstarted = self.queued + self.waiting
        return unstarted > limit and unstarted > queued_to_running * self.running


def lane_state(reader: Reader, gshare: str, resource_type: str) -> Lane:
    """The lane of a share; of work without one when `gshare` is empty."""
    [row] = reader.fetch(_LANE, {"gshare": gshare, "resource_type": resource_type})
    return lane_of(gshare, resource_type, row)


def lane_of(gshare: str, resource_type: str, row: Row) -> Lane:
    """A lane out of its sums: queued, waiting, running, and allowed (0 or None: no limit of its own)."""
    return Lane(
        gshare, resource_type, int(row["queued"]), int(row["waiting"]), int(row["running"]), row["allowed"] or None
    )
