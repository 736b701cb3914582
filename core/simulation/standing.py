"""The shares of a simulation: entered as described, and where each stands from tick to tick.

What a share is due is worked out by the same tree that ranks them; here is only the sum of what runs. Knows no queue.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from core.database import Database, Transaction
from core.direct_submission import facts_of_job
from core.shares.editing import replace_tree
from core.shares.reading import read_loads, read_tree
from core.shares.tagging import shares_of
from core.shares.tree import Load, ShareNode, ShareTree
from core.simulation.record import ShareState
from core.taskbuffer.submission import NewJob

# share_usage whole
_WAITING = """
SELECT computing_site, gshare, sum(queued_jobs)::bigint AS jobs FROM share_usage WHERE queued_jobs > 0 GROUP BY 1, 2
"""


class SharesInUse:
    """Power of running jobs by share, and of those that wait as last counted."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tree = ShareTree([])
        self._executing: dict[str, float] = defaultdict(float)
        self._queued: dict[str, float] = {}

    def enter(self, nodes: Sequence[ShareNode]) -> None:
        """Make the tree; raises as `core.shares.editing` does."""
        replace_tree(self._database, [asdict(node) for node in nodes], who="simulation")
        self._tree = read_tree(self._database)

    def tagged(self, transaction: Transaction, jobs: list[NewJob]) -> list[NewJob]:
        """The jobs, each with the share that it counts against."""
        facts = [facts_of_job(job) for job in jobs]
        for job, share in zip(jobs, shares_of(transaction, facts), strict=True):
            job.gshare = share
        return jobs

    def read(self) -> None:
        """Take over what was counted of waiting jobs."""
        self._queued = {name: load.queued for name, load in read_loads(self._database).items()}

    def waiting(self) -> dict[str, dict[str, int]]:
        """Jobs that wait for pilots by queue and share, as last counted."""
        jobs: dict[str, dict[str, int]] = defaultdict(dict)
        for row in self._database.fetch(_WAITING):
            jobs[row["computing_site"]][row["gshare"]] = row["jobs"]
        return jobs

    def started(self, share: str, power: float) -> None:
        """A job of so much power has got a slot."""
        self._executing[share] += power
        self._queued[share] = max(0.0, self._queued.get(share, 0.0) - power)

    def ended(self, share: str, power: float) -> None:
        """It has left it."""
        self._executing[share] -= power

    def states(self) -> dict[str, ShareState]:
        """Every leaf as it stands now, and what is in no tree: that is due nothing."""
        names: Iterable[str] = {*self._executing, *self._queued}
        loads = {name: Load(self._executing.get(name, 0.0), self._queued.get(name, 0.0)) for name in names}
        outside = {name: ShareState(load.executing, 0.0, load.queued) for name, load in loads.items()}
        standings = self._tree.standings(loads)
        inside = {
            name: ShareState(standing.executing, standing.target, standing.queued)
            for name, standing in standings.items()
            if standing.is_leaf
        }
        return {**{name: state for name, state in outside.items() if name not in standings}, **inside}
