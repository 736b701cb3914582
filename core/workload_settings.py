"""Settings of the brain: how tasks are cut, brokered, shared out, retried and watched (domain.md 2.3, 3.4-3.8, 5, 6).

Knows names, units and defaults only; does not know who obeys them.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt

from core.settings_table import Documented

_MINUTE_S = 60
_HOUR_S = 3600
_DAY_S = 24 * _HOUR_S


class GenerationSettings(Documented):
    """How the generator makes jobs of input, and when it holds back (domain.md 3.8)."""

    jobs_per_cycle: PositiveInt = 500
    """Jobs made of one task before others get their turn."""
    files_per_cycle: PositiveInt = 5000
    """Files of the catalogue or of a task that are read at once: the bound of its memory."""
    max_queued_jobs: PositiveInt = 2000
    """Jobs of one share and resource type that may be queued before the ratio counts."""
    queued_to_running: PositiveFloat = 2.0
    """Beyond `max_queued_jobs`, no further jobs while more than so many are queued for each that runs."""
    throttled_retry_s: PositiveFloat = 10.0
    """When a lane that was full is looked at again."""


class ScoutSettings(Documented):
    """The first jobs of a task, which measure what the others need (domain.md 3.5)."""

    jobs: PositiveInt = 10
    """How many scouts a task has at most."""
    decide_after: float = Field(default=0.5, gt=0, le=1)
    """Part of them that must have finished before the others may come."""
    success_rate: float = Field(default=0.5, ge=0, le=1)
    """Below it, when all have ended, a task is exhausted; with none broken. A task's own scoutSuccessRate (tenths) wins."""
    memory_margin: float = Field(default=0.1, ge=0)
    """Added to the measured memory."""
    min_ram_mb: PositiveInt = 100
    """Memory per core that a measurement never goes below."""
    max_ram_factor: PositiveFloat = 4.0
    """A task whose jobs measure more than so many times the memory it was submitted with is exhausted."""
    max_cpu_factor: PositiveFloat = 10.0
    """The same for the CPU time of an event."""
    max_core_overuse: PositiveFloat = 1.5
    """A task whose jobs keep more than so many times their cores busy is exhausted."""
    max_disk_io_kb_s: PositiveFloat = 50_000.0
    """Traffic on the node's disk that a measurement counts at most, in kB/s."""
    recompute_after_jobs: PositiveInt = 100
    """Finished jobs after the scouts at which the needs are measured once more."""
    short_job_s: PositiveFloat = 10 * _MINUTE_S
    """Jobs below it count as short."""
    max_short_jobs: PositiveInt = 1000
    """A task that would make more short jobs than this is exhausted, if it sets the size of its jobs itself."""
    max_leak_kb_s: PositiveFloat = 1024.0
    """Memory leak per core that exhausts a task, in kB/s."""


class TaskTimes(Documented):
    """How long tasks may wait, in seconds (domain.md 3.3, server-api.md 5.7)."""

    pending_retry_s: PositiveFloat = _HOUR_S
    """Pending tasks are tried again after this."""
    pending_retry_urgent_s: PositiveFloat = 10 * _MINUTE_S
    """The same at priority 950 and more, and of tasks that a cap of account or share holds; at 900 and more half an hour."""
    pending_limit_s: PositiveFloat = 7 * _DAY_S
    """Pending without a single job made for so long; then exhausted."""
    no_queue_limit_s: PositiveFloat = 7 * _DAY_S
    """All its jobs without a queue for so long; then exhausted. Looked at every `goal_check_s`."""
    throttled_retry_s: PositiveFloat = 2 * _HOUR_S
    """Throttled tasks are looked at again after this, unless it was said when: those that a cap holds are sooner."""
    exhausted_limit_s: PositiveFloat = 48 * _HOUR_S
    """An exhausted task that nobody decides about is finished with what it has."""
    goal_check_s: PositiveFloat = _HOUR_S
    """How often running tasks that reached their goal are ended softly."""


class GuardSettings(Documented):
    """What makes a task exhausted until a person decides (domain.md 3.5), beside `[scouts]` and the waits of `[tasks]`."""

    max_failed_retries: PositiveInt = 5
    """A task that was retried so often in a row without a single further file finished is exhausted by the next retry."""
    max_over_queue_cap: float = Field(default=2.0, ge=1)
    """Users' tasks are exhausted instead of waiting while their account has more than so many times the queued jobs or cores
    it may have."""
    max_failed_fraction: float = Field(default=0.8, gt=0, le=1)
    """A running task more of whose ended jobs than this part have failed is stopped; 1: never."""
    failed_fraction_least_jobs: PositiveInt = 200
    """So many of its jobs must have failed before that is asked."""
    max_failed_power_hours: float = Field(default=100_000.0, ge=0)
    """A running task whose failed jobs have used more than so many normalised hours (cores x power x hours: 10 to an hour of
    a usual core) is stopped; 0: never."""
    pause_after_jobs: PositiveInt = 1000
    """Tasks of production are paused instead of exhausted, once so many of their jobs have ended;"""
    pause_least_files: PositiveInt = 100
    """and as long as so many of their files are left."""


class TailSettings(Documented):
    """When the end of a production task is hurried (domain.md 2.6)."""

    done: float = Field(default=0.95, gt=0, lt=1)
    """More than this part of its files must be through;"""
    most_jobs: PositiveInt = 100
    """and no more than so many jobs be left."""
    priority: int = Field(default=900, ge=0, le=10_000)
    """What its priority becomes, if it is lower; 0: never."""
    share: str = "Express"
    """The share that its waiting jobs go to, where the tree has a leaf of this name."""


class BrokerageSettings(Documented):
    """Limits of the criteria (domain.md 5.2, 5.3)."""

    retry_s: PositiveFloat = 10.0
    """Pause before brokerage looks again at jobs that no queue could take."""
    inactive_s: PositiveFloat = 2 * _HOUR_S
    """Urgent jobs and scouts avoid queues that had work and started nothing for so long."""
    nopilot_s: PositiveFloat = 3 * _HOUR_S
    """Queues at which no pilot was seen for so long take no jobs; queues that never saw one are new and are left alone."""
    urgent_priority: int = 800
    """Priority from which jobs avoid slow and opportunistic queues."""
    min_walltime_unknown_s: PositiveFloat = _DAY_S
    """Jobs of unknown walltime go to queues that allow at least this."""
    io_heavy_kb_s: PositiveFloat = 200.0
    """Input rate from which a task goes only where its data is."""
    max_transferring: PositiveInt = 2000
    """Jobs in transferring at a queue (or twice its running ones, whichever is more)."""
    storage_reserve_mb: PositiveInt = 200_000
    """Free space an output endpoint must have, where its queue states any (`space`, in GB)."""
    max_overloaded: PositiveFloat = 2.0
    """A queue with more queued than so many times its running jobs is overloaded (analysis: of twenty at least)."""
    closed_hours: PositiveFloat = 12.0
    """Analysis: the window in which failed and closed jobs of a task at a queue count."""
    closed_minimum: PositiveInt = 20
    """Analysis: so many failed and closed jobs at least before a queue is avoided by the task."""
    user_queue_base: PositiveInt = 100
    """Analysis: queued jobs of one user at one queue that always pass."""
    queue_base: PositiveInt = 1000
    """Analysis: at queues with fewer queued jobs nobody's part is looked at."""
    queue_base_hours: PositiveFloat = 2.0
    """Analysis: nor at queues whose queued jobs would all start within so many hours at the rate of the last six,"""
    queue_max_hours: PositiveFloat = 12.0
    """and jobs for so many hours are shared out among users where they would not."""
    candidates: PositiveInt = 10
    """Queues among which the jobs of a bunch are spread."""
    low_weight: float = Field(default=0.1, ge=0, le=1)
    """Production: queues below this part of the best weight are not among them."""
    max_queued: PositiveInt = 2000
    """Production: queued jobs from which a queue stands back for others, unless it runs half as many."""
    production_memory_part: float = Field(default=1.0, gt=0, le=1)
    """Production: the part of the stated memory that must fit a queue. PanDA takes 0.9; pilots are given only what fits."""
    no_locality_priority: int = 2000
    """Priority from which jobs also go to queues that read their input from elsewhere."""
    work_shortage: bool = False
    """Production: whether work is short, so that queues beyond their pledge stand back."""
    load_s: PositiveFloat = 5.0
    """How long the counts of jobs at queues are kept; what brokerage adds itself is counted at once."""


class TaskBrokerageSettings(Documented):
    """Where the outputs of production tasks are collected (domain.md 5.1), once some storage endpoint is a nucleus."""

    retry_s: PositiveFloat = 30 * _MINUTE_S
    """When a task that no nucleus suits is looked at again."""
    reserved_mb: int = Field(default=0, ge=0)
    """What is kept back of the free room of each nucleus;"""
    min_usable_mb: int = Field(default=200_000, ge=0)
    """more than this must be left of the rest after what tasks already assigned there will still write."""
    locality_min_mb: PositiveInt = 1_000_000
    """Input of more than this size,"""
    locality_min_files: PositiveInt = 10_000
    """or of more than so many files,"""
    locality_part: float = Field(default=0.1, ge=0, le=1)
    """must lie at the nucleus or its site to at least this part."""
    small_input_mb: PositiveInt = 10_000_000
    """Of a task with no more input than this, and light I/O, that is only preferred."""
    io_heavy_kb_s: PositiveFloat = 200.0
    """Input rate from which a task is heavy in I/O."""
    no_locality_priority: int = 2000
    """Priority from which it does not matter where the input lies."""


class ShareSettings(Documented):
    """Global shares (domain.md 6.1)."""

    refresh_s: PositiveFloat = 10.0
    """For how long dispatch keeps what it read of the use of the shares; that is counted every `agents.shares_s`."""
    sloppy: float = Field(default=0.1, ge=0, le=1)
    """Part of requests that are served purely by age, so that nothing starves (domain.md 5.4)."""
    sample_s: PositiveFloat = 5 * _MINUTE_S
    """How often executing power and target are kept for the plot of their deviation."""


class AccountSettings(Documented):
    """What every user and group may use, unless an operator decided otherwise (domain.md 2.6, 6.2)."""

    max_running_jobs: PositiveInt = 10_000
    """Running jobs of one user, and of one working group; beyond, its activated jobs are throttled."""
    max_running_cores: PositiveInt = 20_000
    """Running cores likewise."""
    release_below: float = Field(default=0.9, gt=0, lt=1)
    """Held jobs are released when both are under this part of the limit."""
    max_active_tasks: PositiveInt = 1000
    """Tasks of one user that may be under way."""
    quota_mode: Literal["lower", "hold", "reject"] = "lower"
    """What happens to a user beyond the quota of CPU hours: a lower priority, held jobs, or refused submissions."""
    jobs_per_priority_point: PositiveInt = 5
    """Live jobs of a user that lower the priority of the next one by one."""
    massage_factor: PositiveFloat = 3.0
    """Jobs that the priority massage lifts: the mean less the user's own, over this."""
    massage_window_s: PositiveFloat = _HOUR_S
    """How long a finished job counts for the massage as served."""


class RetentionSettings(Documented):
    """How long the system keeps what it wrote down about its own decisions."""

    brokerage_days: int = Field(default=30, ge=1, le=36_500)
    """Why queues were chosen and refused."""
    retries_days: int = Field(default=90, ge=1, le=36_500)
    """What the rules for failed jobs did."""
    notices_days: int = Field(default=90, ge=1, le=36_500)
    """What became of the letters to the owners of tasks."""
    contacts_days: int = Field(default=90, ge=1, le=36_500)
    """How often pilots came to each queue, hour by hour."""
    deeds_days: int = Field(default=400, ge=1, le=36_500)
    """What people did with a preview, object by object. Who did it stays in the audit."""


class RebrokerageSettings(Documented):
    """When queued jobs are taken back and given to other queues (domain.md 2.3, server-api.md 5.5)."""

    queued_to_running: PositiveFloat = 3.0
    """A share is stuck at a queue when more than so many are queued for each that runs,"""
    part_of_share: float = Field(default=0.3, gt=0, le=1)
    """and more than this part of all its queued jobs wait there,"""
    min_queued: PositiveInt = 100
    """and at least so many."""
    is_dry_run: bool = False
    """Only say what would be taken back."""
    idle_s: PositiveFloat = 12 * _HOUR_S
    """Jobs of users that wait at one queue for so long while nothing of their task moves there are given to another."""


class CarouselSettings(Documented):
    """The data carousel: input that is brought from tape to disk (domain.md 4.9)."""

    requests_per_source: PositiveInt = 10
    """Datasets that are brought from one tape at a time; the others are queued."""
    files_per_source: PositiveInt = 10_000
    """Files that are asked of one tape at a time. A dataset of more is brought when no other one is."""
    copies_per_cycle: PositiveInt = 20
    """Files that the agent copies itself in one cycle, where it can see both storages."""
    max_attempts: PositiveInt = 3
    """So many copies of a file that failed, or were not what the catalogue says, and it is given up."""
    retry_s: PositiveFloat = 10 * _MINUTE_S
    """Pause before a file is tried again, and before a source or destination is looked for again."""
    stuck_s: PositiveFloat = 12 * _HOUR_S
    """A request of which no file arrived for so long is asked for again, and told as an incident."""
    release_after_s: float = Field(default=_DAY_S, ge=0)
    """The copies on disk are deleted so long after the last task that needed them has ended."""


class QueueTestSettings(Documented):
    """Automatic exclusion of queues (domain.md 9): an automaton never overrides what a person set."""

    failures: PositiveInt = 3
    """So many test jobs that failed in a row put an online queue into test."""
    successes: PositiveInt = 2
    """So many that finished in a row bring it back."""
    window_s: PositiveFloat = 6 * _HOUR_S
    """Older test jobs say nothing."""


class MailSettings(Documented):
    """Mail to the owners of tasks when these end; nothing is sent while `server` is empty."""

    server: str = ""
    """SMTP server, as host or host:port."""
    sender: str = "pandascope@localhost"
    """Address in From."""
    domain: str = ""
    """Added with an @ to names of users who have no address; without it they get no mail."""
    tls: Literal["none", "starttls", "tls"] = "none"
    """How the connection to the server is secured."""
    user: str = ""
    """Who logs in at the server; empty: nobody. A password is sent over TLS only, but for a server on this machine."""
    password: str = ""
    """Password of that user."""
