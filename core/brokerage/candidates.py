"""What brokerage looks at: a request (jobs that need the same) and the queues as they are now. Knows no SQL, no rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.brokerage.site_classes import MID
from core.brokerage.stated import Stated

PRODUCTION, ANALYSIS = "production", "analysis"
_ANALYSIS_LABELS = ("user", "panda")
_UNSTATED = Stated()


@dataclass(frozen=True)
class AtQueue:
    """What a task and its owner have at one queue."""

    finished: int = 0
    """Jobs of the task that finished there lately."""
    lost: int = 0
    """Jobs of the task that failed or were closed there lately."""
    user_queued: int = 0
    user_running: int = 0


@dataclass(frozen=True)
class Request:
    """Needs shared by a group of jobs. Numbers of 0 mean that nothing is stated.

    What is left out of comparisons may differ within a group; the first job speaks for all.
    """

    core_count: int
    min_ram_mb: int
    """Of the whole job."""
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
    jedi_task_id: int | None = None
    user_name: str = ""
    working_group: str = ""
    processing_type: str = ""
    gshare: str = ""
    resource_type: str = ""
    priority_class: int = 0
    """Among which limits of priority it lies: jobs of one class are treated alike."""
    priority: int = field(default=1000, compare=False)
    is_scout: bool = False
    is_merge: bool = False
    is_everywhere: bool = True
    """Whether each input has a replica at some storage that is online."""
    ignores_locality: bool = False
    """Whether queues that read from elsewhere are good enough, though somebody has the input."""
    io_kb_s: int = 0
    """Input and output over the network, kB/s."""
    disk_io_kb_s: int = 0
    """Reading and writing of the local disk, kB/s."""
    needs_direct_access: bool = False
    allows_wan: bool = True
    """Whether inputs may be read from storages elsewhere."""
    network: str = ""
    """What payloads reach: full, http or nothing."""
    ip_version: str = ""
    """IPv4 or IPv6."""
    release: str = ""
    architecture: str = ""
    """Platform or processor, as in x86_64-el9-gcc13-opt; * counts."""
    needs_container: bool = False
    gpu: str = ""
    """A model, or any; empty = none is needed."""
    nucleus: str = ""
    """The storage endpoint where the outputs of the whole task are collected; empty: at the storage of the queue."""
    nucleus_is_online: bool = True
    """Whether that endpoint exists and is online."""
    first_queue: str = ""
    """A queue that the jobs were cut for: it is asked before all others."""
    input_count: int = field(default=0, compare=False)
    """Input files of one job."""
    at_queues: Mapping[str, AtQueue] = field(default_factory=dict, compare=False)
    """What task and owner have where, by the name of the queue."""
    task_class: str = field(default="", compare=False)
    """S, A, B or C where queues differ in how long users' jobs wait there; empty = it makes no difference."""

    @property
    def kind(self) -> str:
        """Which list of criteria decides: production or analysis."""
        return ANALYSIS if self.prod_source_label in _ANALYSIS_LABELS else PRODUCTION

    @property
    def may_lack_locality(self) -> bool:
        """Whether queues that read from elsewhere will do where no other is left: of users, and of tasks whose outputs
        are collected at one storage, where few queues may be."""
        return self.kind == ANALYSIS or bool(self.nucleus)

    @property
    def cores(self) -> int:
        """At least one."""
        return max(self.core_count, 1)

    def at(self, queue: Candidate) -> AtQueue:
        """What task and owner have at this queue."""
        return self.at_queues.get(queue.queue_name) or _NO_TRACE


_NO_TRACE = AtQueue()


@dataclass
class Candidate:
    """A queue with its limits (0 = none), what was stated of it, and its present load in jobs."""

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
    """running, with those staging in and out"""
    defined: int = 0
    """pending, defined, waiting or throttled, with this queue in mind"""
    assigned: int = 0
    activated: int = 0
    starting: int = 0
    """sent and starting"""
    transferring: int = 0
    """holding and transferring"""
    running_cores: int = 0
    """As last counted."""
    by_resource_type: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Queued and running jobs of each resource type, as last counted."""
    user_count: int = 0
    """Users with running or queued jobs; 0 = not counted."""
    started_lately: int = 0
    """Jobs that started in the last six hours."""
    pilot_age_s: float | None = None
    """Since a pilot asked for work; None = never."""
    job_age_s: float | None = None
    """Since a pilot was given a job, or since the queue exists."""
    oldest_activated_s: float | None = None
    """Since when the oldest activated job waits; None = none waits."""
    usual_wait_s: float | None = None
    """Nineteen of twenty jobs started within so many seconds lately; None = nothing is known of waits."""
    starts_of_day: int = 0
    """Jobs that started in the last 24 hours, as far as waits are counted."""
    site_class: str = MID
    """hi, mid or lo, by the expected wait among those of all queues."""
    workers: int = 0
    """Workers that factories have running there."""
    slots: int | None = None
    """Cores that somebody wants filled there; None = nobody said."""
    barred_shares: frozenset[str] = frozenset()
    """Shares whose jobs its pilots are never given (`rtype` of the share)."""
    free_storage_mb: int | None = None
    """What the endpoint reports; None = nothing."""
    site: str = ""
    site_endpoints: frozenset[str] = frozenset()
    """Storage endpoints of its site: those of all queues there, and those that these name."""
    stated: Stated = _UNSTATED

    def writes_to(self, endpoint: str) -> bool:
        """Whether its jobs may store outputs there: at its own storage and those of its site, elsewhere if it says so."""
        return endpoint == self.storage_endpoint or endpoint in self.site_endpoints or bool(self.stated.writes_wan)

    @property
    def waiting(self) -> int:
        """Jobs that are there and do not run."""
        return self.defined + self.assigned + self.activated + self.starting

    @property
    def expected_wait_s(self) -> float | None:
        """What a job must be ready to wait: what is usual, or what the oldest one waits now if that is more."""
        return None if self.usual_wait_s is None else max(self.usual_wait_s, self.oldest_activated_s or 0.0)

    @property
    def ram_limit_mb(self) -> int:
        """Memory of a job at most; 0 = no limit."""
        return self.max_ram_mb or self.stated.maxrss or 0

    @property
    def disk_limit_mb(self) -> int:
        """Scratch of a job at most; 0 = no limit."""
        return self.max_disk_mb or self.stated.maxwdir or 0

    @property
    def core_limit(self) -> int:
        """Cores of a job at most; 0 = no limit."""
        return self.max_core_count or self.stated.corecount or 0

    @property
    def walltime_limit_s(self) -> int:
        """Seconds a job may run; 0 = no limit."""
        return self.max_walltime_s or self.stated.maxtime or 0


@dataclass(frozen=True)
class Step:
    """One criterion of a decision: who was there before and after, and why the others left."""

    criterion: str
    sentence: str
    before: int
    after: int
    excluded: list[dict[str, str]] = field(default_factory=list)
    """Examples: queue and reason."""
    is_temporary: bool = False
    """Whether the reason goes by itself."""
    parameters: Mapping[str, object] = field(default_factory=dict)
    """The limits it applied."""
    note: str = ""
    """What else is to be said of it: that it left nobody and so did not count."""

    def as_dict(self) -> dict[str, object]:
        """The step as it is stored and shown."""
        return {
            "criterion": self.criterion,
            "sentence": self.sentence,
            "before": self.before,
            "after": self.after,
            "excluded": self.excluded,
            "is_temporary": self.is_temporary,
            **({"parameters": dict(self.parameters)} if self.parameters else {}),
            **({"note": self.note} if self.note else {}),
        }
