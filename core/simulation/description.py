"""The file that describes a simulation: a grid, its shares and its work. Knows no database and runs nothing.

TOML; every field is documented below, unknown ones are refused, and so are sizes that no machine could simulate.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from core.labels import LABELS
from core.queues import QUEUE_STATUSES
from core.settings_table import Documented
from core.shares.tree import ShareNode
from core.taskbuffer.submission import JOB_LIMITS
from core.workload_settings import AccountSettings, BrokerageSettings, RebrokerageSettings, ShareSettings

MAX_QUEUES = 2_000
MAX_SLOTS = 1_000_000
MAX_TICKS = 50_000
MAX_JOBS = 5_000_000
_MOST = 10**9
"""Of a limit of a queue, as at the door of real ones."""
_START_YEARS = (1971, 9000)
"""Between which virtual time has a past and a future."""

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.\-]{1,80}$")]
Words = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$", max_length=255)]
"""What columns of jobs hold."""


def _is_status(value: str) -> str:
    if value not in QUEUE_STATUSES:
        raise ValueError("one of " + ", ".join(QUEUE_STATUSES))
    return value


def _is_label(value: str) -> str:
    if value not in LABELS:
        raise ValueError("one of " + ", ".join(sorted(LABELS)))
    return value


Status = Annotated[str, AfterValidator(_is_status)]
Rate = Annotated[float, Field(ge=0, lt=1)]
_PRIORITIES = JOB_LIMITS["currentPriority"]


def names_of(name: str, count: int) -> list[str]:
    """NAME, or NAME_001, NAME_002, ... when there are several."""
    width = max(3, len(str(count)))
    return [name] if count == 1 else [f"{name}_{number:0{width}}" for number in range(1, count + 1)]


class QueueChange(Documented):
    """What happens to a queue during the run."""

    at_hour: float = Field(ge=0)
    """Hours after the start."""
    status: Status = ""
    slots: int | None = Field(default=None, ge=0, le=MAX_SLOTS)
    failure_rate: Rate | None = None

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not self.status and self.slots is None and self.failure_rate is None:
            raise ValueError("names nothing that changes: status, slots or failure_rate")
        return self


class QueueKind(Documented):
    """Queues of one kind. A slot runs one job at a time."""

    name: Name
    """With a count above 1 they are called NAME_001, NAME_002, ..."""
    count: int = Field(default=1, ge=1, le=MAX_QUEUES)
    slots: int = Field(ge=0, le=MAX_SLOTS)
    """Pilots that run at the same time, at each queue."""
    cores: int = Field(default=1, ge=1, le=10_000)
    """Cores of a slot."""
    power: float = Field(default=10.0, gt=0, le=10_000)
    """Power of a core (corepower of schedconfig)."""
    status: Status = "online"
    max_ram_mb: int = Field(default=0, ge=0, le=_MOST)
    max_disk_mb: int = Field(default=0, ge=0, le=_MOST)
    max_walltime_s: int = Field(default=0, ge=0, le=_MOST)
    """Limits of the queue; 0 = none."""
    failure_rate: Rate = 0.0
    """Part of jobs that fail because of the queue."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """Further keys of schedconfig: type, fairsharepolicy, ..."""
    changes: list[QueueChange] = Field(default_factory=list)

    @model_validator(mode="after")
    def _has_one_power(self) -> Self:
        if "corepower" in self.parameters:
            raise ValueError("parameters.corepower: the power of a core has a field of its own: write it as power")
        return self

    @property
    def names(self) -> list[str]:
        """The queues of this kind."""
        return names_of(self.name, self.count)


class Share(Documented):
    """A node of the tree of global shares, as operators edit it."""

    name: str
    parent: str = ""
    """Empty at the top."""
    value: float
    """Weight among its siblings."""
    vo: str = ""
    prod_source_label: str = ""
    working_group: str = ""
    campaign: str = ""
    processing_type: str = ""
    trans_path: str = ""
    rtype: str = ""
    """Regular expressions of the work that belongs here; empty matches everything."""

    def node(self, place: int) -> ShareNode:
        """The node as it is stored; `place` counts from 1 in the order of the file."""
        return ShareNode(**{**self.model_dump(), "position": 10 * place})


class Walltime(Documented):
    """How long jobs run, rounded up to whole ticks."""

    mean_s: float = Field(gt=0, le=30 * 86400)
    distribution: Literal["fixed", "uniform", "exponential", "lognormal"] = "lognormal"
    sigma: float = Field(default=0.5, ge=0, le=3)
    """Of the lognormal distribution; of the uniform one the half-width as part of the mean."""


class Work(Documented):
    """Jobs of one kind: who submits them, when, and what they need. Exactly one of jobs, jobs_per_hour, keep_queued."""

    name: Name
    user: Name = "user"
    users: int = Field(default=1, ge=1, le=10_000)
    """With more than 1 they are called USER_001, ... and take turns, bunch by bunch."""
    jobs: int | None = Field(default=None, ge=1, le=MAX_JOBS)
    """So many at once, at `from_hour`."""
    jobs_per_hour: float | None = Field(default=None, gt=0, le=MAX_JOBS)
    """At random, with this mean."""
    keep_queued: int | None = Field(default=None, ge=1, le=MAX_JOBS)
    """As many as it takes for so many to wait: work without end, made as the task engine makes it."""
    bunch: int | None = Field(default=None, ge=1, le=MAX_JOBS)
    """Jobs that one user submits together; by default all of `jobs` over the users, single ones at a rate, and a tenth of
    `keep_queued`, which is filled up whenever so many are missing."""
    from_hour: float = Field(default=0.0, ge=0)
    until_hour: float | None = Field(default=None, gt=0)
    """Hours after the start between which it comes; until the end when not given."""
    priority: int = Field(default=1000, ge=_PRIORITIES[0], le=_PRIORITIES[1])
    cores: int = Field(default=1, ge=1, le=10_000)
    ram_mb: int = Field(default=2000, ge=0, le=JOB_LIMITS["minRamCount"][1])
    disk_mb: int = Field(default=0, ge=0, le=JOB_LIMITS["maxDiskCount"][1])
    max_walltime_s: int = Field(default=0, ge=0, le=JOB_LIMITS["maxWalltime"][1])
    """What the jobs say they need; 0 = nothing stated."""
    walltime: Walltime
    failure_rate: Rate = 0.0
    """Part of jobs that fail because of what they are."""
    attempts: int = Field(default=3, ge=1, le=100)
    prod_source_label: Annotated[str, AfterValidator(_is_label)] = "managed"
    working_group: Words = ""
    processing_type: Words = ""
    vo: Words = ""
    site: str = ""
    """A queue that the submitter chose."""

    @property
    def bunch_size(self) -> int:
        """Jobs that one user submits together."""
        usual = -(-self.jobs // self.users) if self.jobs else (self.keep_queued or 10) // 10
        return self.bunch or max(1, usual)

    @model_validator(mode="after")
    def _comes_somehow(self) -> Self:
        if sum(way is not None for way in (self.jobs, self.jobs_per_hour, self.keep_queued)) != 1:
            raise ValueError("give exactly one of jobs, jobs_per_hour and keep_queued")
        if self.until_hour is not None and self.until_hour <= self.from_hour:
            raise ValueError("until_hour must come after from_hour")
        return self


class TriedSettings(Documented):
    """Settings of the installation under trial; what is not given has its default."""

    brokerage: BrokerageSettings = Field(default_factory=BrokerageSettings)
    shares: ShareSettings = Field(default_factory=ShareSettings)
    accounts: AccountSettings = Field(default_factory=AccountSettings)
    rebrokerage: RebrokerageSettings = Field(default_factory=RebrokerageSettings)


class Description(Documented):
    """One simulation."""

    title: str = ""
    days: float = Field(gt=0, le=366)
    """Virtual days to run."""
    tick_s: float = Field(default=600, ge=10, le=6 * 3600)
    """Step of the time, in seconds: jobs start and end at its multiples."""
    agent_period_s: float = Field(default=3600, ge=10, le=86400)
    """Timeouts, caps, priority massage and rebrokerage are looked at no more often than this; brokerage and shares each tick."""
    steady_after_hours: float = Field(default=24.0, ge=0)
    """Deviations, utilisation and waste count from here on."""
    max_jobs: int = Field(default=MAX_JOBS, ge=1, le=MAX_JOBS)
    """No further jobs are submitted after so many."""
    seed: int = Field(default=1, ge=0, lt=2**63)
    """The same seed gives the same run."""
    start: datetime = datetime(2030, 1, 7, tzinfo=UTC)
    """Virtual time at the start; without a zone it is UTC."""
    queues: list[QueueKind] = Field(min_length=1, max_length=MAX_QUEUES)
    shares: list[Share] = Field(default_factory=list, max_length=1000)
    work: list[Work] = Field(min_length=1, max_length=10_000)
    settings: TriedSettings = Field(default_factory=TriedSettings)

    @property
    def tick_count(self) -> int:
        """Steps of the whole run."""
        return max(1, round(self.days * 86400 / self.tick_s))

    @property
    def share_nodes(self) -> list[ShareNode]:
        """The tree of shares in the order of the file, which is the order in which work is matched."""
        return [share.node(place) for place, share in enumerate(self.shares, start=1)]

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if not _START_YEARS[0] <= self.start.year <= _START_YEARS[1]:
            raise ValueError(f"start must lie between the years {_START_YEARS[0]} and {_START_YEARS[1]}")
        if self.tick_count > MAX_TICKS:
            raise ValueError(
                f"days and tick_s make {self.tick_count} ticks, more than {MAX_TICKS}: take a longer tick_s"
            )
        if self.steady_after_hours >= self.days * 24:
            raise ValueError("steady_after_hours lies behind the end: make it smaller than 24 x days")
        if sum(kind.count for kind in self.queues) > MAX_QUEUES:
            raise ValueError(f"more than {MAX_QUEUES} queues in all: take fewer")
        if sum(kind.count * kind.slots for kind in self.queues) > MAX_SLOTS:
            raise ValueError(f"more than {MAX_SLOTS} slots in all: take fewer")
        for table, names in (
            ("queues", [kind.name for kind in self.queues]),
            ("work", [work.name for work in self.work]),
        ):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"{table}: the name {twice[0]} stands twice: give each its own")
        expanded = Counter(name for kind in self.queues for name in kind.names)
        twice = sorted(name for name, count in expanded.items() if count > 1)
        if twice:
            raise ValueError(f"queues: two of them are called {twice[0]}, one by its number: give each its own name")
        queues = set(expanded)
        lost = next((work for work in self.work if work.site and work.site not in queues), None)
        if lost is not None:
            raise ValueError(
                f"work.{lost.name}.site: there is no queue {lost.site!r}: name one of queues, with its number"
            )
        if self.start.tzinfo is None:
            object.__setattr__(self, "start", self.start.replace(tzinfo=UTC))
        return self
