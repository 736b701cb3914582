"""What brokerage looks at: a request (jobs that need the same) and the queues as they are now. Knows no SQL, no rule."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Request:
    """Needs shared by a group of jobs. Numbers of 0 mean that nothing is stated."""

    core_count: int
    min_ram_mb: int
    max_disk_mb: int
    max_walltime_s: int
    prod_source_label: str
    has_input: bool
    complete_at: frozenset[str]
    """Storage endpoints that hold every input of each job."""
    pinned_queue: str = ""
    included: tuple[str, ...] = ()
    """If not empty, only queues of these names; patterns with * and ? count. With AUTO among them: rather these."""
    excluded: tuple[str, ...] = ()


@dataclass
class Candidate:
    """A queue with its limits (0 = none) and its present load."""

    queue_name: str
    status: str
    storage_endpoint: str
    max_ram_mb: int
    max_disk_mb: int
    max_core_count: int
    max_walltime_s: int
    storage_is_online: bool = True
    """Whether the endpoint exists and is online."""
    running: int = 0
    waiting: int = 0


@dataclass(frozen=True)
class Step:
    """One criterion of a decision: who was there before and after, and why the others left."""

    criterion: str
    sentence: str
    before: int
    after: int
    excluded: list[dict[str, str]] = field(default_factory=list)

    def as_dict(self) -> dict[str, object]:
        """The step as it is stored and shown."""
        return {
            "criterion": self.criterion,
            "sentence": self.sentence,
            "before": self.before,
            "after": self.after,
            "excluded": self.excluded,
        }
