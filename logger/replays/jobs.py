"""Replays the failed jobs of the past through the conditions that open candidates (logger/opening.py).

All failures are there, those of candidates too. Bursts are, as live, of what failed in the hour before (BURST_WITHIN), but of
queues only: how many jobs ended at each node, of each task and each user is not kept by the hour. Where that may matter
the replay says so.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any

from core.database import Row, Transaction
from core.incident_settings import IncidentSettings
from logger.counts import wilson
from logger.opening import BURST_SHARE, BURST_WITHIN, LOST_WITHIN, decide
from logger.replays.base import Limit, Opening, Replay
from logger.rules import RuleRow
from logger.rules.job_parameters import JobRuleParameters, JobTrouble

MOST_JOBS = 1_000_000
_PAGE = 10_000
_HOUR = timedelta(hours=1)

# ix_incident_jobs_time, a page at a time; incidents by primary key; of what was merged its own key counts
_JOBS = f"""
SELECT j.panda_id, j.time, j.computing_site, j.user_name, j.lost_core_s, j.is_residue, j.error_class,
       coalesce(nullif(j.own_fingerprint, ''), i.fingerprint) AS fingerprint, i.title, i.component, i.code,
       CASE WHEN i.opened_time IS NOT NULL THEN i.incident_id END AS incident_id
FROM incident_jobs j JOIN incidents i USING (incident_id)
WHERE j.time >= %(time)s AND j.time < %(end)s AND (j.time, j.panda_id) > (%(time)s, %(panda_id)s)
ORDER BY j.time, j.panda_id LIMIT {_PAGE}
"""
# throughput_totals by primary key, which begins with the time
_ENDED = """
SELECT bin_time, sum(job_count)::bigint AS count FROM throughput_totals
WHERE bin_time >= %(start)s AND bin_time < %(end)s AND job_status IN ('finished', 'failed') GROUP BY 1 ORDER BY 1
"""
# throughput_hours by primary key, which begins with the time: hours times queues, once, when the first burst may be one
_ENDED_AT = """
SELECT computing_site, bin_time, sum(job_count)::bigint AS count FROM throughput_hours
WHERE bin_time >= %(start)s AND bin_time < %(end)s AND job_status IN ('finished', 'failed')
GROUP BY 1, 2 ORDER BY 1, 2
"""


class Sums:
    """Counts over time, of which any span is quickly summed."""

    def __init__(self, rows: list[Row]) -> None:
        self._times = [row["bin_time"] for row in rows]
        self._sums = [0]
        for row in rows:
            self._sums.append(self._sums[-1] + row["count"])

    def between(self, start: datetime, end: datetime) -> int:
        """The sum of the bins that begin from `start` on and before `end`."""
        return self._sums[bisect_left(self._times, end)] - self._sums[bisect_left(self._times, start)]


class _Recent:
    """Failures of a moving span, counted by queue."""

    def __init__(self) -> None:
        self._failures: deque[tuple[datetime, str]] = deque()
        self.queues: Counter[str] = Counter()

    def take(self, time: datetime, queue: str, since: datetime) -> None:
        """Count a failure, and no longer those before `since`."""
        self._failures.append((time, queue))
        self.queues[queue] += 1
        while self._failures[0][0] < since:
            self.queues[self._failures.popleft()[1]] -= 1

    def __len__(self) -> int:
        return len(self._failures)


@dataclass
class _Trouble:
    """One fingerprint on its way."""

    first: datetime
    last: datetime
    title: str
    lost: deque[tuple[datetime, int]] = field(default_factory=deque)
    """When lost jobs failed lately, and the core-seconds of each."""
    lost_core_s: int = 0
    failures: int = 0
    within: _Recent = field(default_factory=_Recent)
    """What failed so lately that it may be one burst."""
    since_full_hour: _Recent = field(default_factory=_Recent)
    """The same from the full hour on in which that began: jobs that ended are kept by the hour."""
    is_many: bool = False
    """Whether as many failed within an hour as make a burst somewhere."""
    queues: Counter[str] = field(default_factory=Counter)
    opened: datetime | None = None
    value: float = 0
    incident_id: int | None = None

    def lose(self, row: Row) -> None:
        """Count a lost job, and no longer those of long before."""
        if row["is_residue"]:
            self.lost.append((row["time"], row["lost_core_s"]))
            self.lost_core_s += row["lost_core_s"]
        while self.lost and self.lost[0][0] <= row["time"] - LOST_WITHIN:
            self.lost_core_s -= self.lost.popleft()[1]

    def fail(self, row: Row) -> None:
        """Count a failed job for bursts."""
        time, queue = row["time"], row["computing_site"]
        self.within.take(time, queue, time - BURST_WITHIN)
        self.since_full_hour.take(time, queue, self.full_hour(time))

    def full_hour(self, time: datetime) -> datetime:
        """In which a burst that is one at a time may have begun."""
        return max(self.first, time - BURST_WITHIN).replace(minute=0, second=0, microsecond=0)


class JobReplay:
    """One replay; `run` it once."""

    def __init__(self, transaction: Transaction, rule: RuleRow, start: datetime, end: datetime, limit: Limit) -> None:
        assert isinstance(rule.limits, JobRuleParameters), "checked by its evaluator"
        self._transaction, self._start, self._end, self._limit = transaction, start, end, limit
        self._parameters = rule.limits
        self._settings = IncidentSettings()
        self._troubles: dict[str, _Trouble] = {}
        self._ended_at: dict[str, Sums] | None = None
        self._unsure = 0
        self._without_labels = rule.limits.model_copy(update={"labels": ""})
        self._spoken: dict[tuple[Any, ...], bool] = {}
        self.replay = Replay(exact_from=start)

    def run(self) -> Replay:
        """Go through the failures in order of time."""
        if self._parameters.labels:
            self.replay.cautions.append("labels were not compared: they are not kept with failures")
        ended = Sums(self._transaction.fetch(_ENDED, {"start": self._start - _HOUR, "end": self._end}))
        for row in self._jobs():
            self.replay.looked_at += 1
            if self._speaks_of(row):
                self._take(row, ended)
        for fingerprint in list(self._troubles):
            self._close(fingerprint)
        if self._unsure:
            self.replay.cautions.append(
                f"{self._unsure} trouble{' had' if self._unsure == 1 else 's had'} {self._parameters.burst_jobs} failures "
                "or more within an hour, which may be a burst at a node, of a task or of a user: only queues are counted here"
            )
        self.replay.openings.sort(key=lambda one: one.time)
        return self.replay

    def _speaks_of(self, row: Row) -> bool:
        """Remembered, because failures come in floods of the same."""
        key = (row["error_class"], row["computing_site"], row["user_name"], row["component"], row["code"])
        known = self._spoken.get(key)
        if known is None:
            error_class, site, user, component, code = key
            trouble = JobTrouble(error_class, site, user, component=component, code=code)
            known = self._spoken[key] = self._without_labels.mean(trouble)
        return known

    def _jobs(self) -> Iterator[Row]:
        place = {"time": self._start, "panda_id": 0}
        while True:
            if self.replay.looked_at >= MOST_JOBS or not self._limit.set(self._transaction):
                self.replay.is_complete = False
                return
            page = self._transaction.fetch(_JOBS, {**place, "end": self._end})
            yield from page
            if len(page) < _PAGE:
                return
            place = {"time": page[-1]["time"], "panda_id": page[-1]["panda_id"]}

    def _take(self, row: Row, ended: Sums) -> None:
        time, key = row["time"], row["fingerprint"]
        known = self._troubles.get(key)
        if known is not None and (time - known.last).total_seconds() > self._quiet_s(known):
            self._close(key)
            known = None
        if known is None:
            known = self._troubles[key] = _Trouble(time, time, row["title"])
        known.last = time
        known.failures += 1
        known.queues[row["computing_site"]] += 1
        known.incident_id = row["incident_id"] or known.incident_id
        if known.opened is None:
            known.lose(row)
            known.fail(row)
            counts = {"residue_count": len(known.lost), "residue_lost_core_s": known.lost_core_s}
            if decide(counts, ended.between(time - _HOUR, time), self._parameters) is not None:
                known.opened, known.value = time, len(known.lost)
            elif self._is_burst(known):
                known.opened, known.value = time, known.failures

    def _quiet_s(self, trouble: _Trouble) -> float:
        """After how long without a failure a candidate lapses, an incident ends."""
        return self._parameters.quiet_s if trouble.opened is None else self._settings.quiet_s

    def _is_burst(self, trouble: _Trouble) -> bool:
        within = trouble.within
        if len(within) < self._parameters.burst_jobs:
            return False
        trouble.is_many = True
        [(queue, failures)] = within.queues.most_common(1)
        if wilson(failures, len(within))[0] < BURST_SHARE:
            return False
        if self._ended_at is None:
            if not self._limit.set(self._transaction):
                self.replay.is_complete = False
                return False
            rows = self._transaction.fetch(_ENDED_AT, {"start": self._start - _HOUR, "end": self._end})
            self._ended_at = {
                site: Sums(list(of_site)) for site, of_site in groupby(rows, itemgetter("computing_site"))
            }
        failures = trouble.since_full_hour.queues[queue]
        known = self._ended_at.get(queue)
        ended = max(failures, known.between(trouble.full_hour(trouble.last), trouble.last) if known else 0)
        return wilson(failures, ended)[0] >= self._parameters.burst_rate

    def _close(self, fingerprint: str) -> None:
        trouble = self._troubles.pop(fingerprint)
        self._unsure += trouble.is_many and trouble.opened is None
        if trouble.opened is not None:
            self.replay.openings.append(
                Opening(
                    time=trouble.opened,
                    subject=trouble.queues.most_common(1)[0][0] or fingerprint,
                    value=trouble.value,
                    would_last_s=(trouble.last - trouble.opened).total_seconds(),
                    title=trouble.title,
                    incident_id=trouble.incident_id,
                )
            )
