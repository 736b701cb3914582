"""Keeps the verdicts of incidents up to date: of what opened or changed, at once and then as often as its cost allows.

Knows which incidents are to be judged and what is written; the counts are read by logger/judging.py, the arithmetic is in
logger/verdict.py. What a central trouble explains is settled in the same round (logger/inhibition.py).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import orjson
import psycopg2.errors

from core.clock import Clock
from core.database import Database, Row, Transaction
from core.errors import Unavailable
from core.incident_settings import IncidentSettings
from logger import inhibition, life
from logger.judging import counts_for
from logger.severity import FEWEST_CORES, SEVERITIES, loss_rate, severity_of_impact
from logger.unspoken import verdict_without_jobs
from logger.verdict import Verdict, judge, stated

log = logging.getLogger("panda.incidents")

WHO = "incident_judge"

FINAL_AFTER = timedelta(hours=6)
"""Without event for so long a verdict stays as it is."""
_LEAST_PAUSE_S = 2.0
_TIMES_ITS_COST = 20
"""An incident is judged again after so many times what its last judgement took."""
_PAUSE_AFTER_ERROR_S = 60.0
_AT_ONCE = 100
_CORES_KEPT_S = 30.0

# ix_incidents_touched: what lives and changed lately; of those, what has other counts than its verdict rests on
_TO_JUDGE = f"""
SELECT incident_id, fingerprint, kind, rule_name, component, error_class, computing_site, jedi_task_id, first_seen, last_seen,
       job_count, record_count, queue_count, task_count, user_count, lost_core_s, severity, held_by, verdict, verdict_value,
       job_count + record_count AS events
FROM incidents
WHERE state NOT IN ('resolved', 'candidate') AND modification_time >= %(since)s AND kind <> 'manual'
  AND job_count + record_count <> coalesce((verdict_document ->> 'events')::bigint, -1)
ORDER BY verdict_time NULLS FIRST, incident_id LIMIT {_AT_ONCE}
"""
# primary key
_WRITE = """
UPDATE incidents SET verdict = %(verdict)s, verdict_value = %(value)s, verdict_score = %(score)s,
    verdict_document = %(document)s::jsonb, verdict_time = clock_timestamp(), slot_share = %(slot_share)s,
    modification_time = clock_timestamp()
WHERE incident_id = %(incident_id)s
"""
# ix_incident_jobs_incident
_LOST_LATELY = """
SELECT coalesce(sum(lost_core_s), 0)::bigint AS lost FROM incident_jobs
WHERE incident_id = %(incident_id)s AND time > %(since)s
"""
_AT_MOST_A_MOMENT = "SET LOCAL lock_timeout = '200ms'; SET LOCAL statement_timeout = '1s'"
# ix_jobs_live_status
_RUNNING_CORES = """
SELECT coalesce(sum(greatest(core_count, 1)), 0)::bigint AS cores FROM jobs_live WHERE job_status = 'running'
"""


class VerdictKeeper:
    """Judges incidents, round after round. Remembers what each judgement cost; one thread at a time."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: IncidentSettings | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings or IncidentSettings()
        self._monotonic = monotonic
        self._due: dict[int, float] = {}
        self._cores = (0.0, 0)
        """Until when the running cores are known, and how many they are."""

    def look(self) -> int:
        """Judge what is due and settle what central troubles explain; returns how many incidents changed."""
        since = self._clock() - FINAL_AFTER
        waiting = self._database.fetch(_TO_JUDGE, {"since": since})
        self._due = {row["incident_id"]: self._due.get(row["incident_id"], 0.0) for row in waiting}
        changed = 0
        for row in waiting:
            if self._monotonic() >= self._due[row["incident_id"]]:
                changed += self._judged(row)
        with self._database.transaction() as transaction:
            explained, freed = inhibition.apply(transaction, self._clock())
        return changed + len(explained) + len(freed)

    def _judged(self, row: Row) -> bool:
        """One incident that cannot be judged keeps no other from it."""
        began = self._monotonic()
        try:
            verdict = self.verdict_of(row)
            self._write(row, verdict)
        except Unavailable:
            raise
        except Exception:
            log.exception("incident %s cannot be judged", row["incident_id"], extra=_OURS)
            self._due[row["incident_id"]] = self._monotonic() + _PAUSE_AFTER_ERROR_S
            return False
        cost_s = self._monotonic() - began
        self._due[row["incident_id"]] = self._monotonic() + max(_LEAST_PAUSE_S, _TIMES_ITS_COST * cost_s)
        return True

    def verdict_of(self, row: Row) -> Verdict:
        """Who or what an incident is, by what is counted now."""
        if row["kind"] == "manual":
            return stated("unclear", "", "a person wrote it down", confidence="weak")
        if not row["job_count"]:
            return verdict_without_jobs(self._database, row, self._settings)
        return judge(counts_for(self._database, row), row["error_class"], self._settings)

    def _write(self, row: Row, verdict: Verdict) -> None:
        now = self._clock()
        document = {**verdict.document, "events": row["events"]}
        cores = self._running_cores()
        with self._database.transaction() as transaction:
            lost = transaction.fetch(_LOST_LATELY, {**row, "since": now - timedelta(hours=1)})[0]["lost"]
            slot_share = min(1.0, lost / 3600 / cores) if cores else 0.0
            transaction.execute(
                _WRITE,
                {
                    "incident_id": row["incident_id"],
                    "verdict": verdict.verdict,
                    "value": verdict.value[:200],
                    "score": verdict.score,
                    "document": orjson.dumps(document).decode(),
                    "slot_share": slot_share,
                },
            )
            if cores >= FEWEST_CORES:
                _raise_severity(transaction, row, slot_share, now)

    def _running_cores(self) -> int:
        """A lock on the jobs keeps no verdict waiting: the stall that it makes has to be judged, too."""
        if self._monotonic() < self._cores[0]:
            return self._cores[1]
        cores = self._cores[1]
        try:
            with self._database.transaction() as transaction:
                transaction.execute(_AT_MOST_A_MOMENT)
                cores = transaction.fetch(_RUNNING_CORES)[0]["cores"]
        except (Unavailable, psycopg2.errors.QueryCanceled) as error:
            log.info("running cores are not counted now: %s", error)
        self._cores = (self._monotonic() + _CORES_KEPT_S, cores)
        return cores


_OURS = {"component": WHO, "kind": "service"}


def _raise_severity(transaction: Transaction, row: Mapping[str, object], slot_share: float, now: datetime) -> None:
    """An incident that wastes a large part of the running cores is worse than its jobs alone tell."""
    incident_id = int(str(row["incident_id"]))
    current = life.locked(transaction, incident_id)
    wanted = severity_of_impact(loss_rate(0, 0), 1, 1, slot_share)
    if current["held_by"] or SEVERITIES.index(wanted) >= SEVERITIES.index(current["severity"]):
        return
    act = life.Act(WHO, "worse", f"it wastes {slot_share:.0%} of the running cores", is_automatic=True)
    life.touch(transaction, incident_id, act, now, "worse", severity=wanted)
