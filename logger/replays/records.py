"""Replays the log records of the past, minute by minute: how many alike there were under a rule for records."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from psycopg2.errors import QueryCanceled

from core.database import Row, Transaction
from logger.replays.base import Limit, Opening, Replay
from logger.rules import RuleRow
from logger.rules.parameters import RecordParameters
from logger.rules.selecting import selects

_CHUNK = timedelta(hours=6)
_OVER_S = 3600.0
"""A trouble of records without another one for so long is over."""
_LEVELS = {"WARNING": 30, "ERROR": 40, "CRITICAL": 50}

# ix_log_records_time, six hours at a time. Evidence of pilots about jobs is left out as it is when records are judged; a
# record that was no trouble is alike the others of its component that say the same first words. Keys that emitters gave
# are version 1's without a digest (logger/fingerprints).
_MINUTES = """
SELECT time, incident_id, component, computing_site, alike, key, title, sum(repeat_count)::bigint AS records
FROM (
    SELECT date_trunc('minute', r.received_time) AS time, i.incident_id, r.component, r.computing_site, r.repeat_count,
           coalesce(nullif(r.fingerprint, ''), r.component || ':' || left(r.message, 60)) AS alike,
           CASE WHEN starts_with(r.fingerprint, 'v1:') AND r.fingerprint !~ ':[0-9a-f]{16}$' THEN substr(r.fingerprint, 4)
                ELSE '' END AS key,
           coalesce(i.title, left(r.message, 60)) AS title, r.severity_number
    FROM log_records r
    LEFT JOIN incidents i ON i.incident_id = r.incident_id AND i.opened_time IS NOT NULL
    WHERE r.received_time >= %(start)s AND r.received_time < %(end)s
      AND (r.severity_number >= %(level)s OR r.fingerprint <> '')
      AND NOT (r.panda_id IS NOT NULL AND r.fingerprint = '' AND r.traceback = '' AND 'pilot' IN (
          split_part(r.component, '.', 1), split_part(r.name, '.', 1)))
) heard
WHERE severity_number >= %(level)s OR key <> ''
GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY 1
"""


@dataclass
class _Trouble:
    title: str
    subject: str
    last: datetime
    recent: deque[tuple[datetime, int]] = field(default_factory=deque)
    opened: datetime | None = None
    value: int = 0
    incident_id: int | None = None


def replay_records(transaction: Transaction, rule: RuleRow, start: datetime, end: datetime, limit: Limit) -> Replay:
    """What the rule would have opened, of as much of the past as ten seconds allow, the latest first."""
    parameters = rule.limits
    assert isinstance(parameters, RecordParameters), "checked by its evaluator"
    replay = Replay(exact_from=end)
    rows = _read(transaction, parameters, start, end, limit, replay)
    troubles: dict[str, _Trouble] = {}
    for row in rows:
        replay.looked_at += row["records"]
        if (
            selects(parameters.components, row["component"])
            and selects(parameters.queues, row["computing_site"])
            and selects(parameters.keys, row["key"])
        ):
            _take(troubles, row, parameters, replay)
    for trouble in troubles.values():
        _close(trouble, replay)
    replay.openings.sort(key=lambda one: one.time)
    return replay


def _read(
    transaction: Transaction, parameters: RecordParameters, start: datetime, end: datetime, limit: Limit, replay: Replay
) -> list[Row]:
    chunks: list[list[Row]] = []
    until = end
    while until > start:
        since = max(start, until - _CHUNK)
        try:
            with transaction.savepoint():
                if not limit.set(transaction):
                    replay.is_complete = False
                    break
                values = {"start": since, "end": until, "level": _LEVELS[parameters.level]}
                chunks.append(transaction.fetch(_MINUTES, values))
        except QueryCanceled:
            replay.is_complete = False
            break
        until = replay.exact_from = since
    return [row for chunk in reversed(chunks) for row in chunk]


def _take(troubles: dict[str, _Trouble], row: Row, parameters: RecordParameters, replay: Replay) -> None:
    key = row["alike"]
    trouble = troubles.get(key)
    if trouble is not None and (row["time"] - trouble.last).total_seconds() > max(_OVER_S, parameters.window_s):
        _close(troubles.pop(key), replay)
        trouble = None
    if trouble is None:
        subject = row["computing_site"] or row["component"]
        trouble = troubles[key] = _Trouble(row["title"], subject, row["time"], incident_id=row["incident_id"])
    trouble.last = row["time"]
    trouble.incident_id = row["incident_id"] or trouble.incident_id
    trouble.recent.append((row["time"], row["records"]))
    while trouble.recent[0][0] < row["time"] - timedelta(seconds=parameters.window_s):
        trouble.recent.popleft()
    count = sum(records for _, records in trouble.recent)
    if trouble.opened is None and (count >= parameters.min_records or row["key"]):
        trouble.opened, trouble.value = row["time"], count


def _close(trouble: _Trouble, replay: Replay) -> None:
    if trouble.opened is None:
        return
    lasted_s = (trouble.last - trouble.opened).total_seconds()
    replay.openings.append(
        Opening(trouble.opened, trouble.subject, trouble.value, lasted_s, trouble.title, trouble.incident_id)
    )
