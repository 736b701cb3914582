"""Where a global share stands: its place in the line of shares, what it uses and what it is due. Asks core.shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.database import Transaction
from core.shares.ranking import rank
from core.shares.reading import read_loads, read_tree
from core.wording import counted


@dataclass(frozen=True)
class ShareStanding:
    """A share among all; power is cores times the power of a core."""

    name: str
    rank: int
    """1 is served first."""
    count: int
    executing: float
    queued: float
    target: float | None
    """None for a share that is in no tree."""

    @property
    def sentence(self) -> str:
        """For people."""
        of_target = ""
        if self.target:
            of_target = f" and uses {self.executing / self.target:.0%} of its target ({self.executing:.0f} of {self.target:.0f})"
        elif self.target is not None:
            of_target = f" and uses {self.executing:.0f}, with nothing due to it now"
        return f"Share {self.name} is number {self.rank} of {counted(self.count, 'share')} in line{of_target}."

    @property
    def numbers(self) -> dict[str, Any]:
        """For programs."""
        return {
            **{"share_rank": self.rank, "share_count": self.count, "share_executing": self.executing},
            **{"share_queued": self.queued, "share_target": self.target},
        }


def share_standing(transaction: Transaction, name: str) -> ShareStanding:
    """The standing of a share as last counted, by the objects that dispatch ranks with (global_shares, share_usage whole)."""
    tree, loads = read_tree(transaction), read_loads(transaction)
    order = rank(tree, loads)
    place = order.index(name) + 1 if name in order else len(order) + 1
    standing = tree.standings(loads).get(name)
    load = loads.get(name)
    return ShareStanding(
        name,
        place,
        max(place, len(order)),
        standing.executing if standing else load.executing if load else 0.0,
        standing.queued if standing else load.queued if load else 0.0,
        standing.target if standing else None,
    )
