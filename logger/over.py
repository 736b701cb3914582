"""The end of a trouble as the part says it that told of it: a record whose extra `over` names its key.

Knows incidents by their fingerprint; knows no rule. Only programs of the system may end an incident so.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from core.database import Transaction
from core.states import IncidentState
from logger import life
from logger.fingerprints import TroubleFacts, fingerprint
from logger.records import Record

OVER = "over"
"""The extra that says so: the key of the trouble (the `fingerprint` of its records), or a list of keys."""
MOST_KEYS = 20
"""So many in one record; what is beyond is not looked at."""

# uq_incidents_unresolved; locked in the order in which folding locks. What a rule measures, and what jobs fail of, ends by
# what is measured and by jobs that finish, whatever a program says
_OF_KEY = """
SELECT incident_id, fingerprint, last_seen FROM incidents
WHERE fingerprint = ANY(%(keys)s::text[]) AND state <> 'resolved' AND kind <> 'manual' AND job_count = 0
  AND (rule_name = '' OR NOT starts_with(fingerprint, 'v1:' || rule_name || ':'))
ORDER BY fingerprint FOR UPDATE
"""
# ix_log_records_incident: newest first, and somebody's own are among the first
_TOLD_IT = """
SELECT 1 FROM log_records WHERE incident_id = %(incident_id)s AND emitter = %(emitter)s
ORDER BY received_time DESC LIMIT 1
"""


def end_what_is_told_over(transaction: Transaction, said: Sequence[tuple[Record, str]], now: datetime) -> list[int]:
    """Resolve the incidents whose end the records tell, unless they had an event since or are held by a person.

    `said`: records of programs of the system, each with the emitter that must have told of the trouble itself; empty for
    those that may speak for every part. What they told in the same batch is stored before. Returns the incidents that ended.
    """
    told: dict[str, tuple[Record, str]] = {}
    for record, emitter in said:
        for name in _keys(record):
            key = fingerprint(TroubleFacts(record.component, None, "", explicit=name)).key
            if key not in told or told[key][0].time < record.time:
                told[key] = record, emitter
    ended = []
    for row in transaction.fetch(_OF_KEY, {"keys": sorted(told)}) if told else ():
        record, emitter = told[row["fingerprint"]]
        teller = {"incident_id": row["incident_id"], "emitter": emitter}
        if emitter and transaction.fetch_one(_TOLD_IT, teller) is None:
            continue
        if row["last_seen"] > record.time:  # it happened again since; the records may have come late
            continue
        act = life.Act(f"component {record.component}", "resolve", record.message, is_automatic=True)
        try:
            life.change(transaction, row["incident_id"], IncidentState.RESOLVED, act, now)
        except life.Held:
            continue
        ended.append(row["incident_id"])
    return ended


def _keys(record: Record) -> Sequence[str]:
    said = record.fields.get(OVER)
    names = said if isinstance(said, list) else [said]
    return [name for name in names[:MOST_KEYS] if isinstance(name, str) and name.strip()]
