"""Moves jobs and records between incidents with their counts, breakdown and bins, so that both sides stay exact.

Knows the tables of incidents and who belongs where is said by the caller, which holds both incidents' rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from core.database import Row, Transaction
from logger.incident_rows import OLDEST

BIN_S = 300
"""Width of the bins of an incident's trend, in seconds."""
OTHERS = "…"
"""Under this value the breakdown counts what is beyond its most values."""

_COUNTS = ("job_count", "record_count", "lost_core_s", "residue_count", "residue_lost_core_s")


@dataclass
class Amount:
    """What some events add to an incident's counts. `breakdown` by (dimension, value), `bins` by their beginning.

    `first`, `last`: when the first and the last of them happened.
    """

    counts: Counter[str] = field(default_factory=Counter)
    breakdown: Counter[tuple[str, str]] = field(default_factory=Counter)
    bins: Counter[datetime] = field(default_factory=Counter)
    first: datetime | None = None
    last: datetime | None = None

    def __add__(self, other: Amount) -> Amount:
        return Amount(
            *(self.counts + other.counts, self.breakdown + other.breakdown, self.bins + other.bins),
            min(filter(None, (self.first, other.first)), default=None),
            max(filter(None, (self.last, other.last)), default=None),
        )

    def __sub__(self, other: Amount) -> Amount:
        return Amount(
            *(self.counts - other.counts, self.breakdown - other.breakdown, self.bins - other.bins),
            *(self.first, self.last),
        )

    def as_document(self) -> dict[str, Any]:
        """For a JSON column."""
        return {
            "counts": dict(self.counts),
            "breakdown": [[*key, count] for key, count in sorted(self.breakdown.items())],
            "bins": [[time.isoformat(), count] for time, count in sorted(self.bins.items())],
            "first": self.first and self.first.isoformat(),
            "last": self.last and self.last.isoformat(),
        }

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> Amount:
        """What `as_document` wrote."""
        return cls(
            Counter(document["counts"]),
            Counter({(dimension, value): count for dimension, value, count in document["breakdown"]}),
            Counter({datetime.fromisoformat(time): count for time, count in document["bins"]}),
            *(document[name] and datetime.fromisoformat(document[name]) for name in ("first", "last")),
        )


# primary keys; at most 2000 values per dimension and 288 bins a day
_BREAKDOWN_OF = "SELECT dimension, value, event_count FROM incident_breakdown WHERE incident_id = %(incident_id)s"
_BINS_OF = "SELECT bin_time, event_count FROM incident_bins WHERE incident_id = %(incident_id)s"


def all_of(transaction: Transaction, incident: Row) -> Amount:
    """Everything an incident counts. `incident`: a row with the counts."""
    key = {"incident_id": incident["incident_id"]}
    return Amount(
        Counter({name: incident[name] for name in _COUNTS}),
        Counter(
            {(row["dimension"], row["value"]): row["event_count"] for row in transaction.fetch(_BREAKDOWN_OF, key)}
        ),
        Counter({row["bin_time"]: row["event_count"] for row in transaction.fetch(_BINS_OF, key)}),
        *(incident["first_seen"], incident["last_seen"]),
    )


# incident_jobs by ix_incident_jobs_incident: all of an incident
JOBS_OF = """
SELECT panda_id, time, computing_site, jedi_task_id, user_name, host, endpoint, dataset, step, lost_core_s, is_residue,
    own_fingerprint
FROM incident_jobs WHERE incident_id = %(incident_id)s
"""
# ix_log_records_incident
RECORDS_OF = """
SELECT record_id, received_time, time, fingerprint, computing_site, jedi_task_id, user_name, host, code, step,
    repeat_count
FROM log_records WHERE incident_id = %(incident_id)s
"""


def values_of_job(row: Row) -> dict[str, str]:
    """What a job can be split by, as `Event.breakdown` names it."""
    return {
        "computing_site": row["computing_site"][:200],
        "jedi_task_id": _text(row["jedi_task_id"]),
        "prod_user_name": row["user_name"][:200],
        "modification_host": row["host"][:200],
        "storage": row["endpoint"][:200],
        "dataset": row["dataset"][:200],
        "step": row["step"],
        "code": row.get("code", ""),
    }


def values_of_record(row: Row) -> dict[str, str]:
    """The same of a record."""
    return {
        "computing_site": row["computing_site"][:200],
        "jedi_task_id": _text(row["jedi_task_id"]),
        "prod_user_name": row["user_name"][:200],
        "modification_host": row["host"][:200],
        "step": row["step"],
        "code": _text(row["code"]),
    }


def _text(number: int | None) -> str:
    return "" if number is None else str(number)


def bin_start(time: datetime) -> datetime:
    """The beginning of the five minutes that `time` lies in."""
    return time - timedelta(seconds=time.timestamp() % BIN_S)


def of_jobs(rows: Iterable[Row]) -> Amount:
    """What jobs count: rows of `JOBS_OF`."""
    amount = Amount()
    for row in rows:
        amount.counts["job_count"] += 1
        amount.counts["lost_core_s"] += row["lost_core_s"]
        if row["is_residue"]:
            amount.counts["residue_count"] += 1
            amount.counts["residue_lost_core_s"] += row["lost_core_s"]
        _count(amount, values_of_job(row), row["time"], 1)
    return amount


def of_records(rows: Iterable[Row]) -> Amount:
    """What records count: rows of `RECORDS_OF`."""
    amount = Amount()
    for row in rows:
        amount.counts["record_count"] += row["repeat_count"]
        _count(amount, values_of_record(row), max(row["time"], row["received_time"] - OLDEST), row["repeat_count"])
    return amount


def _count(amount: Amount, values: Mapping[str, str], time: datetime, count: int) -> None:
    for dimension, value in values.items():
        if value and dimension not in ("step", "code"):
            amount.breakdown[dimension, value] += count
    amount.bins[bin_start(time)] += count
    amount.first = min(amount.first or time, time)
    amount.last = max(amount.last or time, time)


# What came under another key than those that lead here (one of an older algorithm, one too many of a component's new ones)
# goes by the incident's from now on
_OWN = """
    CASE WHEN {key} = ANY(%(leading)s::text[]) OR (%(leading)s::text[] IS NULL AND {key} <> '') THEN {key} ELSE %(own)s END
"""
# primary key
_MOVE_JOBS = f"""
UPDATE incident_jobs SET incident_id = %(target)s, own_fingerprint = {_OWN.format(key="own_fingerprint")}
WHERE panda_id = ANY(%(panda_ids)s::bigint[])
"""
# primary key of each partition
_MOVE_RECORDS = f"""
UPDATE log_records r SET incident_id = %(target)s, fingerprint = {_OWN.format(key="r.fingerprint")}
FROM unnest(%(record_ids)s::bigint[], %(times)s::timestamptz[]) AS moved (record_id, received_time)
WHERE r.record_id = moved.record_id AND r.received_time = moved.received_time
"""
# primary key; two incidents may have lines of the same moment, of which one is enough
_MOVE_CONTEXTS = """
UPDATE record_contexts c SET incident_id = %(target)s
WHERE c.incident_id = %(source)s AND c.time = ANY(%(times)s::timestamptz[]) AND NOT EXISTS (
    SELECT 1 FROM record_contexts there WHERE there.incident_id = %(target)s AND there.time = c.time)
"""
# ix_incident_jobs_incident, ix_log_records_incident, primary key: all at once
_MOVE_ALL = (
    f"""
    UPDATE incident_jobs SET incident_id = %(target)s, own_fingerprint = {_OWN.format(key="own_fingerprint")}
    WHERE incident_id = %(source)s
    """,
    f"""
    UPDATE log_records SET incident_id = %(target)s, fingerprint = {_OWN.format(key="fingerprint")}
    WHERE incident_id = %(source)s
    """,
    """
    UPDATE record_contexts c SET incident_id = %(target)s
    WHERE c.incident_id = %(source)s AND NOT EXISTS (
        SELECT 1 FROM record_contexts there WHERE there.incident_id = %(target)s AND there.time = c.time)
    """,
)


def move_all(transaction: Transaction, source: Row, target: int, amount: Amount, leading: Collection[str]) -> None:
    """Everything of an incident to another. `amount`: what `all_of` said of it; `leading`: keys whose events go there."""
    ids = {"source": source["incident_id"], "target": target, "own": source["fingerprint"]}
    for statement in _MOVE_ALL:
        transaction.execute(statement, {**ids, "leading": sorted(leading)})
    _shift(transaction, source["incident_id"], target, amount)


def move(
    transaction: Transaction,
    source: Row,
    target: int,
    jobs: Sequence[Row],
    records: Sequence[Row],
    amount: Amount,
    leading: Collection[str] | None = None,
) -> None:
    """Some jobs and records of an incident to another. `amount`: what they count; `leading` as for `move_all`, None: their
    own keys are known to."""
    ids: dict[str, Any] = {"source": source["incident_id"], "target": target, "own": source["fingerprint"]}
    ids["leading"] = None if leading is None else sorted(leading)
    transaction.execute(_MOVE_JOBS, {**ids, "panda_ids": [row["panda_id"] for row in jobs]})
    moved = {
        "record_ids": [row["record_id"] for row in records],
        "times": [row["received_time"] for row in records],
    }
    if records:
        transaction.execute(_MOVE_RECORDS, {**ids, **moved})
        transaction.execute(_MOVE_CONTEXTS, {**ids, "times": [row["time"] for row in records]})
    _shift(transaction, source["incident_id"], target, amount)


# primary keys
_TAKE_VALUES = """
UPDATE incident_breakdown b SET event_count = b.event_count - taken.event_count
FROM (VALUES %s) AS taken (incident_id, dimension, value, event_count)
WHERE b.incident_id = taken.incident_id AND b.dimension = taken.dimension AND b.value = taken.value
RETURNING b.dimension, b.value
"""
_DROP_VALUES = "DELETE FROM incident_breakdown WHERE incident_id = %(incident_id)s AND event_count <= 0"
_GIVE_VALUES = """
INSERT INTO incident_breakdown (incident_id, dimension, value, event_count) VALUES %s
ON CONFLICT (incident_id, dimension, value)
    DO UPDATE SET event_count = incident_breakdown.event_count + excluded.event_count
"""
_TAKE_BINS = """
UPDATE incident_bins b SET event_count = b.event_count - taken.event_count
FROM (VALUES %s) AS taken (incident_id, bin_time, event_count)
WHERE b.incident_id = taken.incident_id AND b.bin_time = taken.bin_time
"""
_DROP_BINS = "DELETE FROM incident_bins WHERE incident_id = %(incident_id)s AND event_count <= 0"
_GIVE_BINS = """
INSERT INTO incident_bins (incident_id, bin_time, event_count) VALUES %s
ON CONFLICT (incident_id, bin_time) DO UPDATE SET event_count = incident_bins.event_count + excluded.event_count
"""
# primary keys, and ix_incident_jobs_incident for the newest job; distinct values are counted where they stand
_RECKON = """
UPDATE incidents i SET
    job_count = greatest(i.job_count + %(sign)s * %(job_count)s, 0),
    record_count = greatest(i.record_count + %(sign)s * %(record_count)s, 0),
    lost_core_s = greatest(i.lost_core_s + %(sign)s * %(lost_core_s)s, 0),
    residue_count = greatest(i.residue_count + %(sign)s * %(residue_count)s, 0),
    residue_lost_core_s = greatest(i.residue_lost_core_s + %(sign)s * %(residue_lost_core_s)s, 0),
    queue_count = d.queues, task_count = d.tasks, user_count = d.users, node_count = d.nodes, storage_count = d.storages,
    jedi_task_id = CASE d.tasks WHEN 0 THEN i.jedi_task_id WHEN 1 THEN d.task::bigint END,
    computing_site = coalesce((
        SELECT value FROM incident_breakdown b WHERE b.incident_id = i.incident_id AND b.dimension = 'computing_site'
        ORDER BY event_count DESC, value LIMIT 1), i.computing_site),
    sample_panda_id = (SELECT max(panda_id) FROM incident_jobs j WHERE j.incident_id = i.incident_id),
    modification_time = clock_timestamp()
FROM (
    SELECT count(*) FILTER (WHERE dimension = 'computing_site') AS queues,
        count(*) FILTER (WHERE dimension = 'jedi_task_id') AS tasks,
        count(*) FILTER (WHERE dimension = 'prod_user_name') AS users,
        count(*) FILTER (WHERE dimension = 'modification_host') AS nodes,
        count(*) FILTER (WHERE dimension = 'storage') AS storages,
        max(value) FILTER (WHERE dimension = 'jedi_task_id') AS task
    FROM incident_breakdown WHERE incident_id = %(incident_id)s
) d WHERE i.incident_id = %(incident_id)s
"""
# ix_incident_jobs_incident and the primary key of the bins: from when to when what is left was seen. Of records only
# the five minutes are known, so that the times as they stood win within those
_SPAN_OF_REST = """
UPDATE incidents i SET
    first_seen = CASE WHEN i.record_count > 0 THEN greatest(i.first_seen, s.first_seen) ELSE s.first_seen END,
    last_seen = CASE WHEN i.record_count > 0 THEN least(i.last_seen, s.last_seen + interval '5 minutes')
        ELSE s.last_seen END
FROM (
    SELECT min(time) AS first_seen, max(time) AS last_seen FROM (
        SELECT time FROM incident_jobs WHERE incident_id = %(incident_id)s
        UNION ALL
        SELECT bin_time FROM incident_bins b
        WHERE b.incident_id = %(incident_id)s
          AND (SELECT record_count FROM incidents WHERE incident_id = %(incident_id)s) > 0
    ) seen
) s WHERE i.incident_id = %(incident_id)s AND s.first_seen IS NOT NULL
"""

# primary key; least and greatest pass over what is not known
_WIDEN = """
UPDATE incidents SET first_seen = least(first_seen, %(first)s::timestamptz),
    last_seen = greatest(last_seen, %(last)s::timestamptz)
WHERE incident_id = %(incident_id)s
"""


def _shift(transaction: Transaction, source: int, target: int, amount: Amount) -> None:
    """Take an amount from one incident's counts and give it to another's."""
    _take(transaction, source, amount)
    give(transaction, target, amount)


def give(transaction: Transaction, target: int, amount: Amount) -> None:
    """Add an amount to an incident's counts; its jobs and records are there already."""
    transaction.insert_many(_GIVE_VALUES, [(target, *key, count) for key, count in sorted(amount.breakdown.items())])
    transaction.insert_many(_GIVE_BINS, [(target, *row) for row in sorted(amount.bins.items())])
    _reckon(transaction, target, amount, 1)
    transaction.execute(_WIDEN, {"incident_id": target, "first": amount.first, "last": amount.last})


def _take(transaction: Transaction, source: int, amount: Amount) -> None:
    values = [(*key, count) for key, count in sorted(amount.breakdown.items())]
    taken = transaction.insert_returning(_TAKE_VALUES, [(source, *row) for row in values])
    found = {(row["dimension"], row["value"]) for row in taken}
    beyond: Counter[str] = Counter()
    for dimension, value, count in values:
        if (dimension, value) not in found:
            beyond[dimension] += count
    transaction.insert_many(
        _TAKE_VALUES, [(source, dimension, OTHERS, count) for dimension, count in sorted(beyond.items())]
    )
    transaction.execute(_DROP_VALUES, {"incident_id": source})
    transaction.insert_many(_TAKE_BINS, [(source, *row) for row in sorted(amount.bins.items())])
    transaction.execute(_DROP_BINS, {"incident_id": source})
    _reckon(transaction, source, amount, -1)
    transaction.execute(_SPAN_OF_REST, {"incident_id": source})


def _reckon(transaction: Transaction, incident_id: int, amount: Amount, sign: int) -> None:
    counts = {name: amount.counts[name] for name in _COUNTS}
    transaction.execute(_RECKON, {**counts, "sign": sign, "incident_id": incident_id})
