"""The end of a trouble as the part says it that told of it: a record with the trouble's own key and the extra `over`.

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
"""The extra that says so; it has to be true."""

# uq_incidents_unresolved; locked in the order in which folding locks
_OF_KEY = """
SELECT incident_id, fingerprint, last_seen FROM incidents
WHERE fingerprint = ANY(%(keys)s::text[]) AND state <> 'resolved' AND kind <> 'manual'
ORDER BY fingerprint FOR UPDATE
"""


def tells_of_an_end(record: Record) -> bool:
    """Whether a record says that the trouble of its key is over; then it tells of no trouble itself."""
    return bool(record.fingerprint) and record.fields.get(OVER) is True


def end_what_is_told_over(transaction: Transaction, records: Sequence[Record], now: datetime) -> list[int]:
    """Resolve the incidents whose end the records tell, unless they had an event since or are held by a person.

    `records`: those of programs of the system for which `tells_of_an_end`. Returns the incidents that ended.
    """
    told: dict[str, Record] = {}
    for record in records:
        key = fingerprint(TroubleFacts(record.component, record.code, "", explicit=record.fingerprint)).key
        if key not in told or told[key].time < record.time:
            told[key] = record
    ended = []
    for row in transaction.fetch(_OF_KEY, {"keys": sorted(told)}) if told else ():
        record = told[row["fingerprint"]]
        if row["last_seen"] > record.time:  # it happened again since; the records may have come late
            continue
        act = life.Act(f"component {record.component}", "resolve", record.message, is_automatic=True)
        try:
            life.change(transaction, row["incident_id"], IncidentState.RESOLVED, act, now)
        except life.Held:
            continue
        ended.append(row["incident_id"])
    return ended
