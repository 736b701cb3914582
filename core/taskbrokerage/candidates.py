"""What task brokerage looks at: a task to be given a destination, and the nuclei as they are now. Knows no SQL, no rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.brokerage.candidates import Request

KIND = "nucleus"
"""Of the decisions that are kept (`brokerage_decisions`): for a task, not for jobs."""
DISK, TAPE = "disk", "tape"


@dataclass(frozen=True)
class Amount:
    """Input of a task: how much, in how many files."""

    mb: float = 0.0
    files: int = 0


@dataclass
class Nucleus:
    """A storage endpoint that may collect the outputs of tasks; None = nobody reports it."""

    name: str
    is_online: bool = True
    kind: str = DISK
    free_mb: int | None = None
    total_mb: int | None = None
    near: frozenset[str] = frozenset()
    """All storage endpoints of its site, itself among them."""
    remaining_jobs: float = 0.0
    """Work of tasks assigned to it that is still to do, in jobs as these tasks are cut."""
    projected_mb: float = 0.0
    """What those will still write."""


@dataclass(frozen=True)
class Need:
    """A task that needs a destination."""

    jedi_task_id: int
    request: Request
    """What an average job of it asks of a queue."""
    input_at: Mapping[frozenset[str], Amount] = field(default_factory=dict)
    """Its input by the storage endpoints that hold it, all of them online."""
    tapes: frozenset[str] = frozenset()
    """Which of these endpoints are tape."""
    jobs: float = 0.0
    """Jobs it will have, as far as that can be said."""
    output_mb: float = 0.0
    """What they will write, as far as that can be said."""

    @property
    def input(self) -> Amount:
        """All of it."""
        return _sum(list(self.input_at.values()))

    def input_near(self, nucleus: Nucleus) -> Amount:
        """The part that lies at the nucleus or its site, on disk or tape."""
        return _sum([amount for places, amount in self.input_at.items() if places & nucleus.near])

    def input_on_disk(self, nucleus: Nucleus) -> Amount:
        """The part of it that is on disk there."""
        disks = nucleus.near - self.tapes
        return _sum([amount for places, amount in self.input_at.items() if places & disks])


def _sum(amounts: list[Amount]) -> Amount:
    return Amount(sum(amount.mb for amount in amounts), sum(amount.files for amount in amounts))
