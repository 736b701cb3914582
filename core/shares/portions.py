"""How several jobs asked for at once are divided among the shares (domain.md 5.4). Knows the tree; reads nothing.

A request for many that was served from the one share that is first just then would give each share whole requests, seldom:
at one queue a small share would have its turn hours apart, and so would whoever waits first in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from core.shares.tree import ShareTree, Standing, ratio


def portions(
    tree: ShareTree,
    standings: Mapping[str, Standing],
    available: Mapping[str, int],
    count: int,
    power: float,
    given: Mapping[str, float] | None = None,
) -> dict[str, int]:
    """How many of `count` jobs each leaf gets, as if they were asked for one after the other.

    `standings` of the tree; `given`: what leaves were given since, in the same units; `available`: jobs by share where
    it is asked; `power`: what one job adds to the use of its share. Leaves without jobs are not in the answer, and
    fewer than `count` are divided when there are not enough.
    """
    walk = _Walk(tree, standings, available)
    for leaf, used in (given or {}).items():
        walk.use(leaf, used)
    chosen: Counter[str] = Counter()
    for _ in range(min(count, walk.jobs)):
        leaf = walk.most_under_served()
        walk.take(leaf)
        walk.use(leaf, power)
        chosen[leaf] += 1
    return dict(chosen)


class _Walk:
    """Use of every node, and how many jobs are left below it, while jobs are given out in thought."""

    def __init__(self, tree: ShareTree, standings: Mapping[str, Standing], available: Mapping[str, int]) -> None:
        self._tree = tree
        self._standings = standings
        self._executing = {name: standing.executing for name, standing in standings.items()}
        self._left: Counter[str] = Counter()
        for leaf in tree.leaves:
            if available.get(leaf.name, 0) > 0:
                for name in self._upwards(leaf.name):
                    self._left[name] += available[leaf.name]

    @property
    def jobs(self) -> int:
        """Jobs left in the whole tree."""
        return self._left[""]

    def most_under_served(self) -> str:
        """The leaf with jobs that a walk from the top comes to; there must be one."""
        name = ""
        while children := [node.name for node in self._tree.children(name) if self._left[node.name]]:
            name = min(children, key=self._urgency)
        return name

    def take(self, leaf: str) -> None:
        """One job of the leaf is no longer to be had."""
        for name in self._upwards(leaf):
            self._left[name] -= 1

    def use(self, leaf: str, power: float) -> None:
        """The leaf executes so much more."""
        if leaf in self._executing:
            for name in self._upwards(leaf):
                if name:
                    self._executing[name] += power

    def _urgency(self, name: str) -> tuple[float, float, int, str]:
        standing = self._standings[name]
        now = ratio(self._executing[name], standing.target, standing.percent)
        return (now, -standing.percent, standing.node.position, name)

    def _upwards(self, name: str) -> list[str]:
        """The node, those above it, and the top."""
        way = [name]
        while way[-1]:
            way.append(self._standings[way[-1]].node.parent)
        return way
