"""The counts that a verdict needs, read at a cost bounded in time. Knows the tables of jobs and incidents, no arithmetic.

The window of an incident begins well before it, further back the more of all work it is, so that a flood does not become
its own normal. One pass over the jobs that ended in the window gives at most 64 patterns per queue, from which every
contrast between two dimensions follows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import psycopg2.errors

from core.database import Database, Row, Transaction
from logger.bad_nodes import FEWEST_FAILURES, HELD, MOST_NODES
from logger.counts import DIMENSIONS, Counts, Dimension
from logger.whose import WHOSE_SQL

LIMIT_MS = 3000
"""A statement that takes longer is given up, and a shorter window has to do."""
LONGEST = timedelta(hours=24)
_SHORTEST = timedelta(hours=1)
_ENOUGH = 4
"""The window goes back until so many times the incident's failures ended in it."""
_SAMPLED_JOBS = 2000
_EDGE = timedelta(seconds=1)
"""A job's end is stamped a moment before the row of its history, by which failures are dated."""

_BREAKDOWN: Mapping[Dimension, str] = {
    "site": "computing_site",
    "task": "jedi_task_id",
    "user": "prod_user_name",
    "node": "modification_host",
    "storage": "storage",
    "dataset": "dataset",
}
_MEANS = {name: dimension for dimension, name in _BREAKDOWN.items()}

# incident_breakdown by its primary key, at most 2000 values of each dimension
_TOPS = """
SELECT DISTINCT ON (dimension) dimension, value FROM incident_breakdown
WHERE incident_id = %(incident_id)s AND dimension = ANY(%(dimensions)s) AND value <> '…'
ORDER BY dimension, event_count DESC, value
"""
# ix_incident_jobs_incident and ix_incident_jobs_time
_TOPS_BETWEEN = """
SELECT DISTINCT ON (dimension) dimension, value FROM (
    SELECT d.dimension, d.value, count(*) AS jobs FROM incident_jobs c CROSS JOIN LATERAL (VALUES
        ('site', c.computing_site), ('task', c.jedi_task_id::text), ('user', c.user_name), ('node', c.host),
        ('storage', c.endpoint), ('dataset', c.dataset)) AS d (dimension, value)
    WHERE c.incident_id = %(incident_id)s AND c.time BETWEEN %(start)s AND %(end)s AND d.value <> ''
    GROUP BY 1, 2
) counted ORDER BY dimension, jobs DESC, value
"""
# queues: tens to hundreds of rows; ix_task_datasets_name
_QUEUES_OF_STORAGE = "SELECT queue_name FROM queues WHERE storage_endpoint = %(storage)s"
_TASKS_OF_DATASET = """
SELECT DISTINCT jedi_task_id FROM task_datasets
WHERE name = ANY(ARRAY[%(dataset)s, %(dataset)s || '/']) AND type = 'input' LIMIT 10000
"""
# ix_incident_jobs_incident; one row per pattern and queue
_MINE = """
SELECT (c.computing_site = %(site)s)::int + 2 * (c.jedi_task_id IS NOT DISTINCT FROM %(task)s)::int
       + 4 * (c.user_name = %(user)s)::int + 8 * (c.host = %(node_value)s)::int
       + 16 * (c.endpoint = %(storage)s)::int + 32 * (c.dataset = %(dataset)s)::int AS pattern,
       c.computing_site, count(*) AS jobs
FROM incident_jobs c WHERE c.incident_id = %(incident_id)s AND c.time BETWEEN %(start)s AND %(end)s
GROUP BY 1, 2
"""
_OF_A_JOB = f"""
    (a.computing_site = %(site)s)::int + 2 * (a.jedi_task_id IS NOT DISTINCT FROM %(task)s)::int
    + 4 * ({WHOSE_SQL} = %(user)s)::int
    + 8 * (a.computing_site = %(node_site)s AND (
        regexp_replace(a.modification_host, '^.*@', '') = %(node)s
        OR starts_with(regexp_replace(a.modification_host, '^.*@', ''), %(node)s || '.')))::int
    + 16 * (a.computing_site = ANY(%(queues_of_storage)s::text[]))::int
    + 32 * (a.jedi_task_id = ANY(%(tasks_of_dataset)s::bigint[]) AND a.jedi_task_id IS NOT NULL)::int
"""
# ix_jobs_archive_time, in the partitions of the window
_ENDED = f"""
SELECT coalesce({_OF_A_JOB}, 0) AS pattern, a.computing_site, count(*) AS jobs
FROM jobs_archive a
WHERE a.state_change_time BETWEEN %(start)s AND %(end)s AND a.job_status IN ('finished', 'failed')
GROUP BY 1, 2
"""
# ix_incident_jobs_incident: the nodes of the top queue by the incident's failures there
_NODES_MINE = """
SELECT c.host AS node, count(*) AS jobs FROM incident_jobs c
WHERE c.incident_id = %(incident_id)s AND c.computing_site = %(site)s AND c.host <> ''
  AND c.time BETWEEN %(start)s AND %(end)s
GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT %(most)s
"""
# ix_jobs_archive_time as above, once more only where a few nodes hold most of a queue's failures
_NODES_ENDED = """
SELECT n.name, count(*) AS jobs
FROM jobs_archive a
CROSS JOIN LATERAL regexp_replace(a.modification_host, '^.*@', '') AS h (host)
JOIN unnest(%(nodes)s::text[]) AS n (name) ON h.host = n.name OR starts_with(h.host, n.name || '.')
WHERE a.state_change_time BETWEEN %(start)s AND %(end)s AND a.job_status IN ('finished', 'failed')
  AND a.computing_site = %(site)s
GROUP BY 1
"""
# the same of every k-th job, and ix_job_files_job: who read from a storage that is no queue's own
_READERS = f"""
SELECT coalesce({_OF_A_JOB}, 0) AS pattern, count(*) AS jobs
FROM jobs_archive a
WHERE a.state_change_time BETWEEN %(start)s AND %(end)s AND a.job_status IN ('finished', 'failed')
  AND a.panda_id %% %(step)s = 0
  AND EXISTS (SELECT 1 FROM job_files f WHERE f.panda_id = a.panda_id AND f.type = 'input' AND f.endpoint = %(storage)s)
GROUP BY 1
"""
_STORAGE_BIT = 1 << DIMENSIONS.index("storage")


@dataclass(frozen=True)
class _Window:
    start: datetime
    end: datetime


def counts_for(database: Database, incident: Row) -> Counts:
    """The counts of an incident's verdict. `incident`: incident_id, first_seen, last_seen, task_count, user_count.

    Says in its note when the database took too long for the whole window. Raises what the database raises when even a
    window of minutes takes too long.
    """
    tops = _tops(database, incident)
    counted: Counts | None = None
    for window in _windows(incident):
        try:
            counted = _counted(database, incident, tops, window)
        except psycopg2.errors.QueryCanceled:
            if counted is not None:
                return replace(counted, note="jobs further back were not counted: the database took too long")
            return _of_a_shorter_window(database, incident, tops, window)
        if counted.failures * _ENOUGH <= counted.ended:
            break
    assert counted is not None, "there is always a window"
    return counted


def counts_between(database: Database, incident: Row, start: datetime, end: datetime) -> Counts:
    """The same for a window that is given, by the top values of its failures in that window."""
    window = _Window(start, end + _EDGE)
    return _counted(database, incident, _tops_between(database, incident, window), window)


def _windows(incident: Row) -> Iterator[_Window]:
    """Windows that go back further and further, the last of them by a day."""
    first, end = incident["first_seen"], incident["last_seen"] + _EDGE
    reach = max(_SHORTEST, incident["last_seen"] - first)
    while True:
        reach = min(reach, LONGEST)
        yield _Window(max(first - reach, end - max(LONGEST, 2 * _SHORTEST)), end)
        if reach == LONGEST or first - reach <= end - LONGEST:
            return
        reach *= 2


def _of_a_shorter_window(database: Database, incident: Row, tops: Mapping[Dimension, str], window: _Window) -> Counts:
    for _ in range(4):
        window = _Window(window.end - (window.end - window.start) / 2, window.end)
        try:
            counted = _counted(database, incident, tops, window)
        except psycopg2.errors.QueryCanceled:
            continue
        return replace(counted, note="only the last part was counted: the database took too long")
    return _counted(database, incident, tops, _Window(window.end - timedelta(minutes=1), window.end))


def _tops(database: Database, incident: Row) -> dict[Dimension, str]:
    """The top value of each dimension; of an incident that lives longer than any window, of the last day."""
    first, last = incident["first_seen"], incident["last_seen"]
    if last - first > LONGEST:
        return _tops_between(database, incident, _Window(last - LONGEST, last + _EDGE))
    rows = database.fetch(_TOPS, {"incident_id": incident["incident_id"], "dimensions": list(_MEANS)})
    return {_MEANS[row["dimension"]]: row["value"] for row in rows}


def _tops_between(database: Database, incident: Row, window: _Window) -> dict[Dimension, str]:
    between = {"incident_id": incident["incident_id"], "start": window.start, "end": window.end}
    return {row["dimension"]: row["value"] for row in database.fetch(_TOPS_BETWEEN, between)}


def _counted(database: Database, incident: Row, tops: Mapping[Dimension, str], window: _Window) -> Counts:
    with database.transaction() as transaction:
        transaction.execute("SELECT set_config('statement_timeout', %(ms)s, true)", {"ms": str(LIMIT_MS)})
        values = _parameters(transaction, incident, tops, window)
        mine = transaction.fetch(_MINE, values)
        ended = transaction.fetch(_ENDED, values)
        patterns: defaultdict[int, list[int]] = defaultdict(lambda: [0, 0])
        queues: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
        for place, rows in enumerate((mine, ended)):
            for row in rows:
                patterns[row["pattern"]][place] += row["jobs"]
                queues[row["computing_site"]][place] += row["jobs"]
        estimated: tuple[Dimension, ...] = ()
        if tops.get("storage") and not values["queues_of_storage"]:
            _estimate_readers(transaction, values, patterns)
            estimated = ("storage",)
        nodes = _nodes(transaction, values, queues[values["site"]][0]) if values["site"] else {}
    return Counts(
        dict(tops),
        {pattern: (k, b) for pattern, (k, b) in patterns.items()},
        queues={queue: (k, b) for queue, (k, b) in queues.items()},
        nodes=nodes,
        task_count=incident["task_count"],
        user_count=incident["user_count"],
        start=window.start,
        end=window.end,
        estimated=estimated,
    )


def _parameters(
    transaction: Transaction, incident: Row, tops: Mapping[Dimension, str], window: _Window
) -> dict[str, Any]:
    site, _, node = tops.get("node", "").partition(" ")
    storage, dataset, task = tops.get("storage"), tops.get("dataset"), tops.get("task", "")
    return {
        "incident_id": incident["incident_id"],
        "start": window.start,
        "end": window.end,
        "site": tops.get("site", ""),
        # no job has task -1
        "task": int(task) if task.isdecimal() else -1,
        "user": tops.get("user", ""),
        "node_value": tops.get("node", ""),
        "node_site": site if node else "",
        "node": node,
        "storage": storage or "",
        "dataset": dataset or "",
        "queues_of_storage": _column(transaction.fetch(_QUEUES_OF_STORAGE, {"storage": storage}) if storage else []),
        "tasks_of_dataset": _column(transaction.fetch(_TASKS_OF_DATASET, {"dataset": dataset}) if dataset else []),
    }


def _nodes(transaction: Transaction, values: Mapping[str, Any], there: int) -> dict[str, tuple[int, int]]:
    """Failures and ended jobs of the few nodes of the top queue that hold most of its failures; empty when many do."""
    rows = transaction.fetch(_NODES_MINE, {**values, "most": MOST_NODES})
    failures = {row["node"]: row["jobs"] for row in rows if row["jobs"] >= FEWEST_FAILURES}
    if len(failures) < 2 or sum(failures.values()) < HELD * there:
        return {}
    names = {node: node.partition(" ")[2] for node in failures}
    ended = {
        row["name"]: row["jobs"] for row in transaction.fetch(_NODES_ENDED, {**values, "nodes": [*names.values()]})
    }
    return {node: (k, max(k, ended.get(names[node], 0))) for node, k in failures.items()}


def _column(rows: Sequence[Row]) -> list[Any]:
    return [value for row in rows for value in row.values()]


def _estimate_readers(
    transaction: Transaction, values: Mapping[str, Any], patterns: defaultdict[int, list[int]]
) -> None:
    """How many of the ended jobs read from the storage, from some two thousand of them."""
    step = max(1, sum(b for _, b in patterns.values()) // _SAMPLED_JOBS)
    for row in transaction.fetch(_READERS, {**values, "step": step}):
        from_pattern = row["pattern"]
        jobs = min(row["jobs"] * step, patterns[from_pattern][1])
        patterns[from_pattern][1] -= jobs
        patterns[from_pattern | _STORAGE_BIT][1] += jobs
