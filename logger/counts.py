"""The counts that a verdict rests on, and the bounds of a share. Knows no SQL, no clock and no verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import sqrt
from typing import Literal

Dimension = Literal["node", "dataset", "task", "user", "site", "storage"]
DIMENSIONS: tuple[Dimension, ...] = ("site", "task", "user", "node", "storage", "dataset")
"""Each is a bit of the patterns of `Counts.cells`, in this order."""

Z = 1.96


@dataclass(frozen=True)
class Counts:
    """Failures of an incident and all jobs that ended in its window, by which of the top values they have.

    `values`: the top value of each dimension that has one. `cells`: pattern -> (failures of the incident, ended jobs), where
    bit i of the pattern says that the job has the top value of DIMENSIONS[i]; the failures are among the ended jobs.
    `queues`: queue -> the same two counts; `nodes`: the same of the few nodes of the top queue that hold most of its failures,
    empty when many do. `note`: what had to be estimated or left out, in words.
    """

    values: Mapping[Dimension, str]
    cells: Mapping[int, tuple[int, int]]
    queues: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    nodes: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    task_count: int = 0
    user_count: int = 0
    start: datetime | None = None
    end: datetime | None = None
    estimated: tuple[Dimension, ...] = ()
    note: str = ""

    @property
    def failures(self) -> int:
        """Failures of the incident in the window: n."""
        return sum(k for k, _ in self.cells.values())

    @property
    def ended(self) -> int:
        """All jobs that ended in the window: B."""
        return max(self.failures, sum(b for _, b in self.cells.values()))

    def of(self, dimension: Dimension) -> tuple[int, int]:
        """Failures and ended jobs with the top value of a dimension: k, b."""
        return self._sum(_bit(dimension), _bit(dimension))

    def outside(self, dimension: Dimension, other: Dimension) -> tuple[int, int]:
        """The same of those that do not have the top value of the other dimension."""
        return self._sum(_bit(dimension) | _bit(other), _bit(dimension))

    def _sum(self, mask: int, wanted: int) -> tuple[int, int]:
        cells = [cell for pattern, cell in self.cells.items() if pattern & mask == wanted]
        k = sum(k for k, _ in cells)
        return k, max(k, sum(b for _, b in cells))


def _bit(dimension: Dimension) -> int:
    return 1 << DIMENSIONS.index(dimension)


def wilson(k: int, n: int, z: float = Z) -> tuple[float, float]:
    """Bounds of a share k of n; (0, 1) for n = 0."""
    if n <= 0:
        return 0.0, 1.0
    p, zz = k / n, z * z
    centre = (p + zz / (2 * n)) / (1 + zz / n)
    half = z * sqrt(p * (1 - p) / n + zz / (4 * n * n)) / (1 + zz / n)
    return max(0.0, centre - half), min(1.0, centre + half)
