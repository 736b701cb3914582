"""The tree of shares as plain values: what each node is due, what it uses, and who is served first (domain.md 6.1).

Knows arithmetic only; does not know where nodes and loads come from.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

WHOLE = 100.0
"""What the top is worth; values below it are parts of it, in percent."""

MAX_DEPTH = 10
"""Levels below the top; what lies deeper, or in a circle, is not part of a tree."""


@dataclass(frozen=True)
class ShareNode:
    """A node as operators wrote it; the words of the seven expressions are explained in `core.models.shares`."""

    name: str
    parent: str = ""
    value: float = 0.0
    position: int = 0
    vo: str = ""
    prod_source_label: str = ""
    working_group: str = ""
    campaign: str = ""
    processing_type: str = ""
    trans_path: str = ""
    rtype: str = ""
    max_queued_jobs: int = 0
    description: str = ""


@dataclass(frozen=True)
class Load:
    """What a leaf uses and could use, in cores times power of a core."""

    executing: float = 0.0
    queued: float = 0.0

    @property
    def demand(self) -> float:
        """What it would use if every slot were its own."""
        return self.executing + self.queued


@dataclass(frozen=True)
class Standing:
    """Where a node stands now."""

    node: ShareNode
    level: int
    """1 for the children of the top."""
    is_leaf: bool
    percent: float
    """Its part of the whole while everybody has work."""
    executing: float
    queued: float
    target: float
    """Its part of what is executing now, with what others leave unused."""

    @property
    def ratio(self) -> float:
        """Executing over target: below 1 is under-served. Infinite for who is due nothing."""
        return ratio(self.executing, self.target, self.percent)

    @property
    def deviation(self) -> float | None:
        """(executing - target) / target; None without a target."""
        return (self.executing - self.target) / self.target if self.target > 0 else None


def ratio(executing: float, target: float, percent: float) -> float:
    """What `Standing.ratio` says, for figures at hand."""
    if target > 0:
        return executing / target
    return 0.0 if percent > 0 and executing <= 0 else float("inf")


class ShareTree:
    """Nodes below one top. Nodes that hang on nothing are left out: what was validated has none."""

    def __init__(self, nodes: Iterable[ShareNode]) -> None:
        self._children: dict[str, list[ShareNode]] = defaultdict(list)
        for node in sorted(nodes, key=lambda entry: (entry.position, entry.name)):
            self._children[node.parent].append(node)
        self.nodes: tuple[ShareNode, ...] = tuple(self._below("", MAX_DEPTH))

    def children(self, name: str = "") -> Sequence[ShareNode]:
        """Nodes right below `name` in order of position; of the top without a name."""
        return self._children.get(name, [])

    @cached_property
    def leaves(self) -> tuple[ShareNode, ...]:
        """Nodes without children, in the order in which work is tagged: position, then name."""
        found = [node for node in self.nodes if not self.children(node.name)]
        return tuple(sorted(found, key=lambda node: (node.position, node.name)))

    @cached_property
    def percents(self) -> dict[str, float]:
        """What each node is due of the whole: values of siblings normalised to their parent's."""
        percents = {"": WHOLE}
        for node in self.nodes:  # parents come before their children
            total = sum(sibling.value for sibling in self.children(node.parent))
            percents[node.name] = percents[node.parent] * node.value / total if total > 0 else 0.0
        del percents[""]
        return percents

    def standings(self, loads: Mapping[str, Load], at_least: float = 0.0) -> dict[str, Standing]:
        """Use and target of every node, parents before children. `loads` by leaf; who is absent has none.

        Targets divide what executes, or `at_least` so much: where nothing does, they still say who is due how much.

        A node is never due more than it could use. What it leaves goes to its siblings by their values, and what all
        of them leave goes one level up, so that the targets of the leaves add up to all that is executing in the tree.
        """
        summed = self._summed(loads)
        targets = {"": max(at_least, sum(summed[node.name].executing for node in self.children()))}
        for parent in ("", *(node.name for node in self.nodes)):
            siblings = self.children(parent)
            wishes = [(node.value, summed[node.name].demand) for node in siblings]
            for node, part in zip(siblings, pour(targets[parent], wishes), strict=True):
                targets[node.name] = part
        levels = {"": 0}
        standings = {}
        for node in self.nodes:
            levels[node.name] = levels[node.parent] + 1
            standings[node.name] = Standing(
                node,
                levels[node.name],
                not self.children(node.name),
                self.percents[node.name],
                summed[node.name].executing,
                summed[node.name].queued,
                targets[node.name],
            )
        return standings

    def ranked_leaves(self, loads: Mapping[str, Load]) -> list[str]:
        """Names of all leaves, the most under-served first: at every level children by executing/target, walked down."""
        standings = self.standings(loads)

        def urgency(node: ShareNode) -> tuple[float, float, int, str]:
            standing = standings[node.name]
            return (standing.ratio, -standing.percent, node.position, node.name)

        def walk(parent: str) -> list[str]:
            ranked: list[str] = []
            for node in sorted(self.children(parent), key=urgency):
                ranked += walk(node.name) if self.children(node.name) else [node.name]
            return ranked

        return walk("")

    def _below(self, parent: str, depth: int) -> Iterable[ShareNode]:
        if depth == 0:
            return
        for node in self.children(parent):
            yield node
            yield from self._below(node.name, depth - 1)

    def _summed(self, loads: Mapping[str, Load]) -> dict[str, Load]:
        """Loads of all nodes: of a leaf its own, above it those of the children."""
        summed: dict[str, Load] = {}
        for node in reversed(self.nodes):  # children come before their parents
            below = [summed[child.name] for child in self.children(node.name)]
            summed[node.name] = (
                Load(sum(load.executing for load in below), sum(load.queued for load in below))
                if below
                else loads.get(node.name, Load())
            )
        return summed


def pour(amount: float, wishes: Sequence[tuple[float, float]]) -> list[float]:
    """Divide `amount` among wishes of (weight, most it can take), by weight; what one cannot take goes to the others.

    Those of weight 0 get what the others leave. Gives out min(amount, sum of what can be taken).
    """
    given = [0.0] * len(wishes)
    left = amount
    weighted = [index for index, (weight, most) in enumerate(wishes) if weight > 0 and most > 0]
    unweighted = [index for index, (weight, most) in enumerate(wishes) if weight <= 0 and most > 0]
    for group, weights in ((weighted, [wish[0] for wish in wishes]), (unweighted, [1.0] * len(wishes))):
        thirsty = group
        while thirsty and left > 0:
            total = sum(weights[index] for index in thirsty)
            full = [index for index in thirsty if wishes[index][1] <= left * weights[index] / total]
            for index in full or thirsty:
                given[index] = wishes[index][1] if full else left * weights[index] / total
            left = left - sum(given[index] for index in full) if full else 0.0
            thirsty = [index for index in thirsty if index not in full] if full else []
    return given
