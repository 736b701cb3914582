"""The shares of a simulation: entered as described, and where each stands from tick to tick.

What a share is due is worked out by the same tree that ranks them; here is only the sum of what runs. Knows no queue.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from core.database import Database, Transaction
from core.shares.reading import read_loads, read_tree
from core.shares.tagging import ShareFacts, shares_of
from core.shares.tree import Load, ShareTree
from core.simulation.description import Share
from core.simulation.record import ShareState
from core.taskbuffer.submission import NewJob

_COLUMNS = (
    *("name", "parent", "value", "position", "vo", "prod_source_label", "working_group", "campaign"),
    *("processing_type", "trans_path", "rtype"),
)


class SharesInUse:
    """Power of running jobs by share, and of those that wait as last counted."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tree = ShareTree([])
        self._executing: dict[str, float] = defaultdict(float)
        self._queued: dict[str, float] = {}

    def enter(self, shares: Sequence[Share]) -> None:
        """Make the tree."""
        rows = [
            tuple(position if column == "position" else getattr(share, column) for column in _COLUMNS)
            for position, share in enumerate(shares)
        ]
        with self._database.transaction() as transaction:
            transaction.insert_many(f"INSERT INTO global_shares ({', '.join(_COLUMNS)}) VALUES %s", rows)
        self._tree = read_tree(self._database)

    def tagged(self, transaction: Transaction, jobs: list[NewJob]) -> list[NewJob]:
        """The jobs, each with the share that it counts against."""
        facts = [
            ShareFacts(
                vo=job.vo,
                prod_source_label=job.prod_source_label,
                working_group=job.working_group,
                processing_type=job.processing_type,
            )
            for job in jobs
        ]
        for job, share in zip(jobs, shares_of(transaction, facts), strict=True):
            job.gshare = share
        return jobs

    def read(self) -> None:
        """Take over what was counted of waiting jobs."""
        self._queued = {name: load.queued for name, load in read_loads(self._database).items()}

    def started(self, share: str, power: float) -> None:
        """A job of so much power has got a slot."""
        self._executing[share] += power
        self._queued[share] = max(0.0, self._queued.get(share, 0.0) - power)

    def ended(self, share: str, power: float) -> None:
        """It has left it."""
        self._executing[share] -= power

    def states(self) -> dict[str, ShareState]:
        """Every leaf as it stands now."""
        names: Iterable[str] = {*self._executing, *self._queued}
        loads = {name: Load(self._executing.get(name, 0.0), self._queued.get(name, 0.0)) for name in names}
        return {
            name: ShareState(standing.executing, standing.target, standing.queued)
            for name, standing in self._tree.standings(loads).items()
            if standing.is_leaf
        }
