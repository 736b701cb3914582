"""Resource types: classes of jobs by cores and memory per core, as one table (domain.md 1). Knows no table of the database."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ResourceType:
    """A class of jobs. Memory is MB per core; None = no limit."""

    resource_name: str
    mincore: int
    maxcore: int | None
    minrampercore: int
    maxrampercore: int | None

    def holds(self, core_count: int, ram_mb_per_core: float) -> bool:
        """Whether a job of so many cores and so much memory per core belongs here, or would without a lower bound."""
        return (
            self.mincore <= core_count
            and (self.maxcore is None or core_count <= self.maxcore)
            and (self.maxrampercore is None or ram_mb_per_core <= self.maxrampercore)
        )


_HIGH_MEMORY_MB = 2000

RESOURCE_TYPES: tuple[ResourceType, ...] = (
    ResourceType("SCORE", 1, 1, 0, _HIGH_MEMORY_MB),
    ResourceType("SCORE_HIMEM", 1, 1, _HIGH_MEMORY_MB + 1, None),
    ResourceType("MCORE", 2, None, 0, _HIGH_MEMORY_MB),
    ResourceType("MCORE_HIMEM", 2, None, _HIGH_MEMORY_MB + 1, None),
)
"""In the order in which a job looks for its class: it takes the first that holds it."""


def resource_type(core_count: int, min_ram_mb: int) -> str:
    """The class of a job of `core_count` cores (at least 1) that needs `min_ram_mb` in all."""
    cores = max(core_count, 1)
    return next(entry.resource_name for entry in RESOURCE_TYPES if entry.holds(cores, min_ram_mb / cores))
