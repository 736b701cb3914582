"""The shares as pages show them: the tree with targets and use, how well each held over a day, samples for the plot."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from core.database import Database, Row
from core.monitor.reading import FACET_LIMIT_S, TooSlow, envelope, read
from core.shares.lanes import lane_of
from core.shares.ranking import rank
from core.shares.reading import read_loads, read_nodes
from core.shares.tree import ShareNode, ShareTree, Standing
from core.shares.unseen import Unseen, unseen_by, warnings_of
from core.workload_settings import GenerationSettings

HELD_OVER_H = 24
"""The quality of a share is looked at over so many hours (domain.md 6.1)."""

MOST_HOURS = 24 * 30
_POINTS = 288
"""Points of a curve at most: one every five minutes of a day."""

# share_usage whole
_USE = """
SELECT gshare, resource_type, sum(executing_jobs) AS running, sum(queued_jobs) AS queued, sum(waiting_jobs) AS waiting,
       sum(executing_power) AS executing_power, sum(queued_power) AS queued_power
FROM share_usage GROUP BY gshare, resource_type
"""
# primary key of share_samples, which begins with the time
_HELD = """
SELECT gshare, (sum(executing_power) - sum(target_power)) / nullif(sum(target_power), 0) AS deviation
FROM share_samples WHERE time > %(since)s GROUP BY gshare
"""
_SAMPLES = """
SELECT date_bin(make_interval(secs => %(bin_s)s), time, TIMESTAMPTZ '2000-01-01') AS bin_time, gshare,
       avg(executing_power) AS executing_power, avg(target_power) AS target_power, avg(queued_jobs)::float AS queued_jobs
FROM share_samples WHERE time > %(since)s GROUP BY 1, 2 ORDER BY 1, 2
"""
_WRITTEN = "SELECT name, modified_by, modification_time FROM global_shares"


def share_overview(database: Database, generation: GenerationSettings, as_of: datetime) -> dict[str, Any]:
    """Every node, parents before children, with value, percent, target and use; then the shares in use that have no leaf.

    `deviation` is (executing - target) / target now, `deviation_24h` the same of the sums over a day; null without a target.
    A leaf has `rank` 1 when it is served first, and names the resource types for which no further jobs are made; `unmatched`
    names its expressions that nothing seen so far matches, with "" when only all of them together match nothing.
    """
    nodes = read_nodes(database)
    tree, loads = ShareTree(nodes), read_loads(database)
    unseen = _unseen(database, nodes)
    use: dict[str, list[Row]] = defaultdict(list)
    for row in read(database, _USE, {}):
        use[row["gshare"]].append(row)
    held = {
        row["gshare"]: row["deviation"]
        for row in read(database, _HELD, {"since": as_of - timedelta(hours=HELD_OVER_H)})
    }
    written = {row["name"]: row for row in read(database, _WRITTEN, {})}
    ranks = {name: place for place, name in enumerate(rank(tree, loads), start=1)}
    shares = [
        {
            **_described(standing),
            **_jobs_below(tree, standing.node, use),
            "deviation_24h": held.get(standing.node.name),
            "rank": ranks[standing.node.name] if standing.is_leaf else None,
            "unmatched": sorted({entry.field for entry in unseen if entry.share == standing.node.name}),
            "throttled": _full_lanes(standing.node, use, generation) if standing.is_leaf else [],
            **{name: written.get(standing.node.name, {}).get(name) for name in ("modified_by", "modification_time")},
        }
        for standing in tree.standings(loads).values()
    ]
    leaves = {leaf.name for leaf in tree.leaves}
    unlisted = [
        {"name": name, **_sums(rows), "executing_power": loads[name].executing, "queued_power": loads[name].queued}
        for name, rows in sorted(use.items())
        if name not in leaves
    ]
    total = sum(loads[name].executing for name in leaves & set(loads))
    warnings = [f"{row['name']} takes part in no share" for row in unlisted if row["name"]] if leaves else []
    warnings += warnings_of(unseen)
    return envelope(
        as_of, count=len(shares), warnings=warnings, shares=shares, unlisted=unlisted, executing_power=total
    )


def share_samples(database: Database, hours: float, as_of: datetime) -> dict[str, Any]:
    """Power and target of every leaf over the last hours, averaged so that a curve has some hundred points."""
    bin_s = max(60.0, hours * 3600 / _POINTS)
    rows = read(database, _SAMPLES, {"since": as_of - timedelta(hours=hours), "bin_s": bin_s})
    return envelope(as_of, count=len(rows), bin_s=bin_s, samples=rows)


@dataclass(frozen=True)
class _Hurried:
    """A reader with little time."""

    database: Database

    def fetch(self, statement: str, parameters: Any = None) -> list[Row]:
        return read(self.database, statement, parameters or {}, limit_s=FACET_LIMIT_S)


def _unseen(database: Database, nodes: list[ShareNode]) -> list[Unseen]:
    """What nothing matches; a tree for which that takes too long is shown without."""
    try:
        return unseen_by(_Hurried(database), nodes)
    except TooSlow:
        return []


def _described(standing: Standing) -> dict[str, Any]:
    return {
        **asdict(standing.node),
        "level": standing.level,
        "is_leaf": standing.is_leaf,
        "percent": standing.percent,
        "target_power": standing.target,
        "executing_power": standing.executing,
        "queued_power": standing.queued,
        "deviation": standing.deviation,
    }


def _jobs_below(tree: ShareTree, node: ShareNode, use: dict[str, list[Row]]) -> dict[str, int]:
    below = tree.children(node.name)
    if not below:
        return _sums(use.get(node.name, []))
    parts = [_jobs_below(tree, child, use) for child in below]
    return {name: sum(part[name] for part in parts) for name in parts[0]}


def _sums(rows: list[Row]) -> dict[str, int]:
    names = {"executing_jobs": "running", "queued_jobs": "queued", "waiting_jobs": "waiting"}
    return {name: int(sum(row[column] for row in rows)) for name, column in names.items()}


def _full_lanes(node: ShareNode, use: dict[str, list[Row]], generation: GenerationSettings) -> list[str]:
    lanes = [
        lane_of(node.name, row["resource_type"], {**row, "allowed": node.max_queued_jobs})
        for row in use.get(node.name, [])
    ]
    return sorted(
        lane.resource_type
        for lane in lanes
        if lane.is_full(default_limit=generation.max_queued_jobs, queued_to_running=generation.queued_to_running)
    )
