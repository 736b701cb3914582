"""Which share is served first, kept for some seconds in each process that hands out jobs (domain.md 5.4, 6.1).

Knows the tree and its use; does not know how jobs are found. Between two readings of the database the jobs given out by
this process count as executing, so that one under-served share does not get everything until the next reading.
"""

from __future__ import annotations

import random
import threading
import time
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from core.core_power import CORE_POWER, DEFAULT_CORE_POWER
from core.database import Database
from core.shares.portions import portions
from core.shares.reading import Reader, read_loads, read_tree
from core.shares.tree import Load, ShareTree, Standing

_RANK_AGAIN_AFTER = 20
"""Jobs given out after which the order is worked out anew from what is known."""

_PART_BY_AGE = 0.01
"""Of all that executes, what the shares that are due nothing get while the others have work: far below the 5 % by which a
share may be off."""

_LEAST_POWER = 1.0
"""So that an idle grid divides its first request too."""

# leaves that want a kind of resource, and the queues that are none
_BARRED = """
SELECT q.queue_name, s.name AS share FROM global_shares s
JOIN queues q ON coalesce(q.parameters ->> 'resource_type', '') !~ ('^(?:' || s.rtype || ')$')
WHERE s.rtype <> ''
"""
# share_usage and queues whole; only queues that state a mean memory per core (parameters.meanrss, MB) and are beyond it
_TOO_HEAVY = """
SELECT q.queue_name, floor((q.parameters ->> 'meanrss')::numeric)::bigint AS mean_mb
FROM queues q JOIN (
    SELECT computing_site, sum(executing_cores) AS cores, sum(executing_ram_mb) AS ram_mb FROM share_usage GROUP BY 1
) used ON used.computing_site = q.queue_name
WHERE jsonb_typeof(q.parameters -> 'meanrss') = 'number' AND (q.parameters ->> 'meanrss')::numeric BETWEEN 1 AND 100000000
  AND used.ram_mb > (q.parameters ->> 'meanrss')::numeric * used.cores
"""
# share_usage whole
_AVAILABLE = """
SELECT computing_site, gshare, sum(queued_jobs)::bigint AS jobs FROM share_usage WHERE queued_jobs > 0 GROUP BY 1, 2
"""
_POWERS = f"SELECT q.queue_name, {CORE_POWER} AS power FROM queues q WHERE q.parameters ? 'corepower'"


def barred_shares(reader: Reader) -> dict[str, list[str]]:
    """By queue, the shares whose jobs pilots of it are never given."""
    barred: dict[str, list[str]] = defaultdict(list)
    for row in reader.fetch(_BARRED):
        barred[row["queue_name"]].append(row["share"])
    return barred


def ranked_leaves(reader: Reader) -> list[str]:
    """All shares, the most under-served first: the leaves of the tree, then shares in use that no leaf stands for."""
    return rank(read_tree(reader), read_loads(reader))


def rank(tree: ShareTree, loads: Mapping[str, Load]) -> list[str]:
    """The same for a tree and loads at hand. Work without a share (the empty name) is always in the list."""
    leaves = tree.ranked_leaves(loads)
    others = {"", *loads} - set(leaves)
    return leaves + sorted(others, key=lambda name: (loads.get(name, Load()).executing, name))


def served_shares(standings: Mapping[str, Standing], loads: Mapping[str, Load]) -> list[str]:
    """Shares that have what they are due, or more. `loads`: those of shares in no tree too.

    Who is due nothing has age alone, which shall let nothing starve and give nobody a part: once all of these together
    execute `_PART_BY_AGE` of everything, they are served.
    """
    leaves = {name: standing for name, standing in standings.items() if standing.is_leaf}
    served = [name for name, standing in leaves.items() if 0 < standing.target < standing.executing]
    undue = {name: load.executing for name, load in loads.items() if name not in standings}
    undue |= {name: standing.executing for name, standing in leaves.items() if standing.target <= 0}
    whole = sum(load.executing for load in loads.values())
    is_enough = sum(undue.values()) > _PART_BY_AGE * whole
    return served + (sorted(undue) if is_enough else [])


@dataclass(frozen=True)
class DispatchOrder:
    """In which order one request is served at one queue."""

    leaves: list[str] = field(default_factory=lambda: [""])
    barred: list[str] = field(default_factory=list)
    """Shares that may not run at this queue."""
    max_ram_per_core_mb: int | None = None
    """Set while jobs at the queue use more memory than it wants on the average."""
    is_by_age: bool = False
    served: list[str] = field(default_factory=list)
    """Shares that have their due, or are due nothing and have enough; requests by age leave them out."""
    portions: Mapping[str, int] = field(default_factory=dict)
    """For a request of several jobs, how many each share gets of them; what that leaves goes by the order."""


@dataclass(frozen=True)
class _Known:
    """What was read at once, and the order that follows from it."""

    tree: ShareTree
    loads: Mapping[str, Load]
    leaves: list[str]
    barred: Mapping[str, list[str]]
    mean_mb: Mapping[str, int]
    powers: Mapping[str, float]
    served: list[str]
    standings: Mapping[str, Standing]
    available: Mapping[str, Mapping[str, int]]
    """By queue, the activated jobs of each share."""


class Ranking:
    """The order of the shares of one database, for one process. Safe to share between threads."""

    def __init__(
        self,
        *,
        refresh_s: float = 10.0,
        sloppy: float = 0.1,
        again_after: int = _RANK_AGAIN_AFTER,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """`refresh_s`: how long what was read is kept; `sloppy`: part of requests served purely by age (domain.md 5.4).

        `again_after`: jobs given out after which the order is worked out anew from what is known. `clock` gives seconds,
        `draw` a number from 0 to 1 for each request.
        """
        self._refresh_s = refresh_s
        self._sloppy = sloppy
        self._again_after = again_after
        self._clock = clock
        self._draw = draw
        self._reading = threading.Lock()
        self._counting = threading.Lock()
        self._known: _Known | None = None
        self._read_at = 0.0
        self._given: dict[str, float] = defaultdict(float)
        self._given_jobs = 0

    def order_at(self, database: Database, queue: str, count: int = 1) -> DispatchOrder:
        """The order for a request of a pilot of `queue` for `count` jobs."""
        known = self._current(database)
        barred = known.barred.get(queue, [])
        return DispatchOrder(
            [name for name in known.leaves if name not in barred] if barred else known.leaves,
            barred,
            known.mean_mb.get(queue),
            # without a tree nobody asked for anything but priority
            bool(known.tree.nodes) and self._draw() < self._sloppy,
            known.served,
            self._portions(known, queue, count) if count > 1 and known.tree.nodes else {},
        )

    def _portions(self, known: _Known, queue: str, count: int) -> dict[str, int]:
        barred = known.barred.get(queue, [])
        available = {name: jobs for name, jobs in known.available.get(queue, {}).items() if name not in barred}
        with self._counting:
            given = dict(self._given)
        power = known.powers.get(queue, DEFAULT_CORE_POWER)
        return portions(known.tree, known.standings, available, count, power, given)

    def note_given(self, queue: str, jobs: Iterable[tuple[str, int]]) -> None:
        """Count jobs (share, cores) that a pilot of `queue` was given as executing from now on."""
        known = self._known
        if known is None or not known.tree.nodes:
            return
        power = known.powers.get(queue, DEFAULT_CORE_POWER)
        with self._counting:
            for share, cores in jobs:
                self._given[share] += cores * power
                self._given_jobs += 1
            if self._given_jobs >= self._again_after and self._known is known:
                self._known = _ranked_again(known, self._given)
                self._given, self._given_jobs = defaultdict(float), 0

    def forget(self) -> None:
        """Read everything again for the next request."""
        self._known = None

    def _current(self, database: Database) -> _Known:
        known = self._known
        if known is not None and self._clock() - self._read_at < self._refresh_s:
            return known
        # one reads, the others go on with what they have; the very first wait
        if not self._reading.acquire(blocking=known is None):
            assert known is not None
            return known
        try:
            if self._known is not known and self._known is not None:
                return self._known
            read = _read(database)
            with self._counting:
                self._known, self._read_at = read, self._clock()
                self._given, self._given_jobs = defaultdict(float), 0
            return read
        finally:
            self._reading.release()


_rankings: weakref.WeakKeyDictionary[Database, Ranking] = weakref.WeakKeyDictionary()


def ranking_of(database: Database) -> Ranking:
    """The ranking that this process keeps for a database, with the settings as they come."""
    return _rankings.setdefault(database, Ranking())


def _read(database: Database) -> _Known:
    tree, loads = read_tree(database), read_loads(database)
    standings = tree.standings(loads, _LEAST_POWER)
    available: dict[str, dict[str, int]] = defaultdict(dict)
    for row in database.fetch(_AVAILABLE) if tree.nodes else ():
        available[row["computing_site"]][row["gshare"]] = row["jobs"]
    return _Known(
        tree,
        loads,
        rank(tree, loads),
        barred_shares(database),
        {row["queue_name"]: row["mean_mb"] for row in database.fetch(_TOO_HEAVY)},
        {row["queue_name"]: row["power"] for row in database.fetch(_POWERS)},
        served_shares(standings, loads),
        standings,
        available,
    )


def _ranked_again(known: _Known, given: Mapping[str, float]) -> _Known:
    loads = dict(known.loads)
    for share, power in given.items():
        before = loads.get(share, Load())
        loads[share] = Load(before.executing + power, max(0.0, before.queued - power))
    standings = known.tree.standings(loads, _LEAST_POWER)
    leaves = rank(known.tree, loads)
    return replace(known, loads=loads, leaves=leaves, served=served_shares(standings, loads), standings=standings)
