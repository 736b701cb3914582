"""The jobs that people submit as time goes by, and what will become of each. Knows the description; no database, no queue.

Chance enters here only, from one generator in order of submission: the same seed gives the same jobs with the same fates.
"""

from __future__ import annotations

import math
import random
from collections import deque
from dataclasses import dataclass

from core.simulation.description import Description, Walltime, Work, names_of
from core.taskbuffer.submission import NewJob

URGENT_PRIORITY = 1500
"""From which on jobs of users come before all shares."""


@dataclass(slots=True)
class Fate:
    """A job that was submitted: of which work and user it is, and what will happen in its slot."""

    work: Work
    user: str
    submitted_tick: int
    ticks: int
    """How long it runs if it does not fail."""
    luck: float
    """From 0 to 1: it fails where the rate of failure of work and queue together is above."""
    failing_part: float
    """Part of its time after which it fails."""
    attempt: int = 1
    first_submitted_tick: int = 0

    @property
    def passes_shares(self) -> bool:
        """Whether dispatch serves it before all shares (domain.md 2.6)."""
        label = self.work.prod_source_label
        return label in ("test", "prod_test") or (label in ("user", "panda") and self.work.priority >= URGENT_PRIORITY)

    def fails_at(self, queue_failure_rate: float) -> bool:
        """Whether it fails at a queue with this rate of failure."""
        return self.luck < 1 - (1 - self.work.failure_rate) * (1 - queue_failure_rate)

    def ticks_at(self, queue_failure_rate: float) -> int:
        """How long it occupies a slot of such a queue."""
        part = self.failing_part if self.fails_at(queue_failure_rate) else 1.0
        return max(1, math.ceil(self.ticks * part))


class Workload:
    """Makes the jobs that are due; told of starts and ends, it knows how many of each work wait."""

    def __init__(self, description: Description) -> None:
        self._description = description
        self._chance = random.Random(description.seed)
        self._users = {work.name: names_of(work.user, work.users) for work in description.work}
        self._turns = dict.fromkeys(self._users, 0)
        self._again: deque[Fate] = deque()
        self.waiting = dict.fromkeys(self._users, 0)
        """Jobs of each work that were submitted and have not started."""
        self.submitted = 0

    def due(self, tick: int) -> list[Fate]:
        """The jobs to submit at this tick: further attempts first, then the bunches of all work in an order by chance."""
        fates = [*self._again]
        self._again.clear()
        bunches = [
            (work, min(work.bunch_size, count - done))
            for work in self._description.work
            for count in (self._count(work, tick),)
            for done in range(0, count, work.bunch_size)
        ]
        self._chance.shuffle(bunches)
        for work, size in bunches:
            users = self._users[work.name]
            user = users[self._turns[work.name] % len(users)]
            self._turns[work.name] += 1
            fates += [self._new(work, user, tick) for _ in range(size)]
        fates = fates[: max(0, self._description.max_jobs - self.submitted)]
        self.submitted += len(fates)
        for fate in fates:
            self.waiting[fate.work.name] += 1
        return fates

    def try_again(self, fate: Fate, tick: int) -> bool:
        """Submit another attempt of a job with the next ones, if it has any left."""
        if fate.attempt >= fate.work.attempts:
            return False
        again = self._new(fate.work, fate.user, tick)
        again.attempt, again.ticks, again.first_submitted_tick = fate.attempt + 1, fate.ticks, fate.first_submitted_tick
        self._again.append(again)
        return True

    def _new(self, work: Work, user: str, tick: int) -> Fate:
        seconds = _walltime_s(work.walltime, self._chance)
        ticks = max(1, math.ceil(seconds / self._description.tick_s))
        luck, part = self._chance.random(), self._chance.random()
        return Fate(work, user, tick, ticks, luck, part, first_submitted_tick=tick)

    def _count(self, work: Work, tick: int) -> int:
        """Jobs of a work that come now: whole bunches, except the last one of a fixed number."""
        hour_ticks = 3600 / self._description.tick_s
        if work.jobs is not None:
            return work.jobs if tick == round(work.from_hour * hour_ticks) else 0
        is_time = tick >= work.from_hour * hour_ticks and (
            work.until_hour is None or tick < work.until_hour * hour_ticks
        )
        if not is_time:
            return 0
        size = work.bunch_size
        if work.keep_queued is not None:
            return max(0, (work.keep_queued - self.waiting[work.name]) // size) * size
        return _poisson((work.jobs_per_hour or 0.0) / hour_ticks / size, self._chance) * size


def job_of(fate: Fate) -> NewJob:
    """The job as it is submitted."""
    work = fate.work
    return NewJob(
        "simulated",
        job_name=work.name,
        computing_site=work.site,
        prod_source_label=work.prod_source_label,
        processing_type=work.processing_type,
        working_group=work.working_group,
        vo=work.vo,
        prod_user_name=fate.user,
        current_priority=work.priority,
        attempt_nr=fate.attempt,
        max_attempt=work.attempts,
        core_count=work.cores,
        min_ram_mb=work.ram_mb,
        max_disk_mb=work.disk_mb,
        max_walltime_s=work.max_walltime_s,
    )


def _walltime_s(walltime: Walltime, chance: random.Random) -> float:
    match walltime.distribution:
        case "fixed":
            return walltime.mean_s
        case "uniform":
            half = min(1.0, walltime.sigma)
            return walltime.mean_s * chance.uniform(1 - half, 1 + half)
        case "exponential":
            return chance.expovariate(1 / walltime.mean_s)
        case "lognormal":
            # of the same mean, whatever the width
            return walltime.mean_s * chance.lognormvariate(-(walltime.sigma**2) / 2, walltime.sigma)


def _poisson(mean: float, chance: random.Random) -> int:
    if mean > 500:  # as good as normal
        return max(0, round(chance.gauss(mean, math.sqrt(mean))))
    count, product, limit = 0, chance.random(), math.exp(-mean)
    while product > limit:
        count += 1
        product *= chance.random()
    return count
