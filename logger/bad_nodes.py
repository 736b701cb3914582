"""Several bad nodes of one queue: when they, and not the queue, are what a trouble is. Knows counts, no SQL and no rule.

Two broken machines hold more of the failures than either alone, so that their queue would be the verdict; but a queue
whose other machines are well must not be taken offline.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from logger.counts import Counts, wilson

MOST_NODES = 5
"""More of them are the queue's trouble."""
FEWEST_FAILURES = 3
"""Of each: one failure more is no bad node."""
HELD = 0.8
"""So much of the queue's failures is theirs."""
EXPLAINED_RATE = 0.2
EXPLAINED_JOBS = 5
"""Of the other jobs, so many at least, less than this part fails like this (upper bound)."""


@dataclass(frozen=True)
class BadNodes:
    """Two to five nodes of one queue, the worst first. `rest`: failures and ended jobs of the queue's others."""

    nodes: Mapping[str, tuple[int, int]]
    rest: tuple[int, int]
    site: str
    failures: int
    ended: int

    @property
    def worst(self) -> str:
        """The node with most of the failures: of one value at a time people ask and jobs are counted."""
        return next(iter(self.nodes))

    @property
    def score(self) -> float:
        """Lower bound of their share of the failures / upper bound of their share of all work."""
        k, b = self._sums()
        return wilson(k, self.failures)[0] / wilson(b, self.ended)[1]

    @property
    def sentence(self) -> str:
        """Their names, and that the others of the queue are well."""
        *first, last = self.nodes
        counts = ", ".join(str(k) for k, _ in self.nodes.values())
        k, b = self._sums()
        held = f"all {k}" if k == self.failures else f"{k} of {self.failures}"
        return (
            f"the nodes {', '.join(first)} and {last}: {held} failures are there ({counts}), {b} of {self.ended} jobs are; "
            f"{self.rest[0]} of {self.rest[1]} other jobs of the queue {self.site} failed like this"
        )

    def document(self) -> list[dict[str, Any]]:
        """The same as the pages show it."""
        return [{"value": name, "k": k, "b": b} for name, (k, b) in self.nodes.items()]

    def _sums(self) -> tuple[int, int]:
        return sum(k for k, _ in self.nodes.values()), sum(b for _, b in self.nodes.values())


def bad_nodes(counts: Counts) -> BadNodes | None:
    """The bad nodes of the top queue, when there are several and the rest of it is well."""
    site = counts.values.get("site", "")
    bad = {
        name: (k, b)
        for name, (k, b) in sorted(counts.nodes.items(), key=lambda one: (-one[1][0], one[0]))
        if k >= FEWEST_FAILURES and wilson(k, b)[0] >= EXPLAINED_RATE
    }
    if not 2 <= len(bad) <= MOST_NODES:
        return None
    there_k, there_b = counts.of("site")
    k, b = sum(k for k, _ in bad.values()), sum(b for _, b in bad.values())
    rest = max(0, there_k - k), max(0, there_b - b)
    is_well = rest[1] >= EXPLAINED_JOBS and wilson(*rest)[1] < EXPLAINED_RATE
    if k < HELD * there_k or not is_well:
        return None
    return BadNodes(bad, rest, site, counts.failures, counts.ended)
