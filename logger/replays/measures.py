"""Replays what was measured: the worst value of each subject in five minutes, under other limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from core.database import Row, Transaction
from logger.folding import BIN_S
from logger.replays.base import Limit, Opening, Replay
from logger.rules import MEASURES, MeasureRule, RuleRow
from logger.rules.database import KEY
from logger.rules.parameters import MeasureParameters
from logger.rules.selecting import selects
from logger.watch_samples import samples_of

_BIN = timedelta(seconds=BIN_S)
_DAY = timedelta(days=1)
_MOST_A_DAY = 200_000
_NEAR = timedelta(minutes=10)
_OF_QUEUES = frozenset({"silent_queue", "throughput_low", "wait_percentile", "long_wait"})
"""Evaluators whose subjects name a queue."""

# a handful of rows; watch_samples by primary key for each
_SOURCES = """
SELECT r.name FROM incident_rules r
WHERE r.evaluator = %(evaluator)s AND EXISTS (SELECT 1 FROM watch_samples w WHERE w.rule_name = r.name)
ORDER BY r.name <> %(name)s, r.rule_id LIMIT 1
"""
# ix_incidents_shown: what was seen since then, of all that were opened
_INCIDENTS = """
SELECT incident_id, fingerprint, opened_time, coalesce(resolved_time, 'infinity') AS end_time FROM incidents
WHERE opened_time IS NOT NULL AND last_seen >= %(start)s AND opened_time < %(end)s
  AND (starts_with(fingerprint, %(prefix)s) OR fingerprint = %(key)s)
"""


@dataclass
class _Run:
    """A subject that is beyond its limit bin after bin."""

    last: datetime
    bins: int = 1
    worst: float = 0
    opened: datetime | None = None


class MeasureReplay:
    """One replay; `run` it once. `present`: the rule as it is in force, for what values were kept at all."""

    def __init__(
        self,
        transaction: Transaction,
        rule: RuleRow,
        present: RuleRow | None,
        start: datetime,
        end: datetime,
        limit: Limit,
    ) -> None:
        self._transaction, self._start, self._end, self._limit = transaction, start, end, limit
        self._row, self._present = rule, present
        self._measure: MeasureRule[Any] = next(one for one in MEASURES if one.name == rule.evaluator)()
        self._runs: dict[str, _Run] = {}
        self.replay = Replay()

    def run(self) -> Replay:
        """Go through the bins in order of time."""
        parameters: Any = self._row.limits
        values = {"evaluator": self._row.evaluator, "name": self._row.name}
        source = self._transaction.fetch_one(_SOURCES, values)
        if source is None:
            self.replay.exact_from = self._end
            self.replay.cautions.append("nothing has been measured yet")
            return self.replay
        if parameters.queues and self._row.evaluator not in _OF_QUEUES:
            self.replay.cautions.append("queues were not compared: what was measured is not kept by queue")
        is_kept = True
        day = self._start
        while day < self._end:
            if not self._limit.set(self._transaction):
                self.replay.is_complete = False
                break
            until = min(day + _DAY, self._end)
            for time, subject, value, usual in samples_of(self._transaction, source["name"], day, until, _MOST_A_DAY):
                self.replay.exact_from = self.replay.exact_from or time
                self.replay.looked_at += 1
                is_kept = is_kept and self._was_kept(subject, usual)
                if _is_meant(self._row, subject):
                    self._take(time, subject, value, self._measure.limit(parameters, subject, usual))
            day = until
        for subject in list(self._runs):
            self._close(subject)
        if not is_kept:
            self.replay.cautions.append(
                "values beyond half of the present limit are kept of all, of others only the worst: there may have been more"
            )
        self.replay.openings = self._with_incidents(source["name"])
        return self.replay

    def _was_kept(self, subject: str, usual: float) -> bool:
        """Whether all values near the new limit were kept under the present one."""
        if self._present is None:
            return True
        new = self._measure.limit(self._row.limits, subject, usual)
        old = self._measure.limit(self._present.limits, subject, usual)
        return new <= 2 * old if self._measure.is_low else new >= old / 2

    def _take(self, time: datetime, subject: str, value: float, limit: float) -> None:
        parameters: Any = self._row.limits
        run = self._runs.get(subject)
        if run is not None and time - run.last > _BIN:
            self._close(subject)
            run = None
        beyond = self._measure.is_beyond(value, limit)
        clear = limit / parameters.clear_part if self._measure.is_low else limit * parameters.clear_part
        if not beyond and not (run is not None and run.opened and self._measure.is_beyond(value, clear)):
            self._close(subject)
            return
        if run is None:
            run = self._runs[subject] = _Run(time, worst=value)
        else:
            run.bins += 1
            run.last = time
            run.worst = (min if self._measure.is_low else max)(run.worst, value)
        # what lasts less than a bin is seen in one
        if run.opened is None and run.bins - 1 >= parameters.for_s // BIN_S:
            run.opened = time

    def _close(self, subject: str) -> None:
        run = self._runs.pop(subject, None)
        if run is not None and run.opened is not None:
            lasted_s = (run.last + _BIN - run.opened).total_seconds()
            self.replay.openings.append(Opening(run.opened, subject, run.worst, lasted_s))

    def _with_incidents(self, name: str) -> list[Opening]:
        """The openings in order, each with the real incident of its subject and time."""
        key = KEY if self._row.evaluator == "database_slow" else ""
        prefix = f"v1:{name}:"
        rows = self._transaction.fetch(
            _INCIDENTS, {"start": self._start, "end": self._end, "prefix": prefix, "key": key}
        )
        return [
            replace(one, incident_id=_match(rows, key or prefix + one.subject, one))
            for one in sorted(self.replay.openings, key=lambda one: one.time)
        ]


def _match(rows: Sequence[Row], fingerprint: str, one: Opening) -> int | None:
    end = one.time + timedelta(seconds=one.would_last_s)
    for row in rows:
        is_near = row["opened_time"] <= end + _NEAR and row["end_time"] >= one.time - _NEAR
        if row["fingerprint"] == fingerprint and is_near:
            return int(row["incident_id"])
    return None


def _is_meant(rule: RuleRow, subject: str) -> bool:
    limits = rule.limits
    if not isinstance(limits, MeasureParameters) or not limits.queues or rule.evaluator not in _OF_QUEUES:
        return True
    return selects(limits.queues, subject.partition(":")[2] if rule.evaluator == "long_wait" else subject)
