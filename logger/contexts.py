"""Keeps the lines around the culprits of an incident's first records, for when the records themselves are gone.

Knows `record_contexts` alone.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from core.database import Transaction
from logger.collapsing import Classified
from logger.culprit import context_of, find_culprit

KEPT_OF_AN_INCIDENT = 20
_MOST_INCIDENTS = 10_000

# primary key
_COUNT = """
SELECT incident_id, count(*) AS n FROM record_contexts WHERE incident_id = ANY(%(incident_ids)s) GROUP BY incident_id
"""
_KEEP = "INSERT INTO record_contexts (incident_id, time, lines) VALUES %s ON CONFLICT (incident_id, time) DO NOTHING"


class ContextKeeper:
    """Remembers how much is kept of each incident, so that most batches ask nothing. One thread at a time."""

    def __init__(self) -> None:
        self._kept: OrderedDict[int, int] = OrderedDict()

    def keep(self, transaction: Transaction, entries: Sequence[tuple[Classified, int]]) -> None:
        """Keep the tracebacks of records, given with their incidents, until there are 20 of an incident."""
        wanted = [(entry, incident_id) for entry, incident_id in entries if entry.record.traceback]
        if not wanted:
            return
        self._learn(transaction, {incident_id for _, incident_id in wanted})
        rows = []
        for entry, incident_id in wanted:
            if self._kept[incident_id] < KEPT_OF_AN_INCIDENT:
                self._kept[incident_id] += 1
                rows.append((incident_id, entry.record.time, _lines(entry.record.traceback)))
        transaction.insert_many(_KEEP, rows)

    def _learn(self, transaction: Transaction, incident_ids: set[int]) -> None:
        unknown = incident_ids - self._kept.keys()
        if unknown:
            found = {row["incident_id"]: row["n"] for row in transaction.fetch(_COUNT, {"incident_ids": list(unknown)})}
            # forgotten before new ones come: what this batch needs has to be there when it is done
            for _ in range(len(self._kept) + len(unknown) - _MOST_INCIDENTS):
                oldest = next((number for number in self._kept if number not in incident_ids), None)
                if oldest is not None:
                    del self._kept[oldest]
            self._kept |= {incident_id: found.get(incident_id, 0) for incident_id in unknown}


def _lines(traceback: str) -> str:
    culprit = find_culprit(traceback)
    return context_of(traceback, culprit).lines if culprit else ""
