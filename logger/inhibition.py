"""Which incidents a central one explains: they are folded below it, and nobody is told of them. Knows incidents only.

What a person took, released or holds stands for itself.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from core.database import Row, Transaction
from core.states import IncidentState
from logger import life

WHO = "inhibition"
_AROUND = timedelta(minutes=5)
_RECENT = timedelta(minutes=10)

# A central trouble that others can be an effect of: the database and the API, what is central by its jobs, and what is
# broken for all (network, tokens). A flood of records or a late loop is central too, and explains no failure at a site.
_CENTRAL = """
    c.verdict = 'central' AND c.opened_time IS NOT NULL AND c.state NOT IN ('resolved', 'candidate')
    AND (c.job_count > 0 OR c.component IN ('database', 'api') OR c.error_class IN ('database', 'network', 'auth'))
"""
# ix_incidents_shown: what is open, some tens of rows
_EXPLAINED = f"""
SELECT i.incident_id, min(c.incident_id) AS central_id
FROM incidents i JOIN incidents c ON c.incident_id <> i.incident_id
    AND i.opened_time BETWEEN c.first_seen - %(around)s AND c.last_seen + %(around)s
    AND (i.error_class IN ('network', 'central', 'database') OR i.step IN ('service', 'heartbeat') AND i.error_class <> 'auth'
         OR (i.error_class = 'auth' AND c.error_class = 'auth'))
WHERE {_CENTRAL} AND i.opened_time IS NOT NULL AND i.state IN ('open', 'reopened') AND i.held_by = ''
  AND i.inhibited_by IS NULL AND i.kind <> 'manual' AND i.verdict IN ('site', 'node', 'data', 'unclear')
GROUP BY i.incident_id ORDER BY i.fingerprint
"""
# ix_incidents_inhibited
_FREE = f"""
SELECT i.incident_id, i.inhibited_by FROM incidents i
WHERE i.inhibited_by IS NOT NULL AND i.state <> 'resolved'
  AND NOT EXISTS (SELECT 1 FROM incidents c WHERE c.incident_id = i.inhibited_by AND {_CENTRAL})
ORDER BY i.fingerprint
"""
# primary key; in the order in which rows of incidents are locked (logger/incident_rows.py)
_LOCK = """
SELECT incident_id, state, last_seen, inhibited_by, held_by FROM incidents WHERE incident_id = ANY(%(incident_ids)s::bigint[])
ORDER BY fingerprint, incident_id FOR UPDATE
"""
_UNOWNED = (IncidentState.OPEN, IncidentState.REOPENED)


def apply(transaction: Transaction, now: datetime) -> tuple[list[int], list[int]]:
    """Incidents that a central one explains now, and those that are free again because it is over.

    Of one that still goes on people are told when it is free.
    """
    explained = transaction.fetch(_EXPLAINED, {"around": _AROUND})
    freed = transaction.fetch(_FREE)
    # all of them in one order before any is touched, as whoever folds does; what changed meanwhile waits for the next round
    ids = [row["incident_id"] for row in (*explained, *freed)]
    now_are = {row["incident_id"]: row for row in (transaction.fetch(_LOCK, {"incident_ids": ids}) if ids else ())}
    explained = [row for row in explained if _may_be_explained(now_are[row["incident_id"]])]
    freed = [row for row in freed if now_are[row["incident_id"]]["inhibited_by"] == row["inhibited_by"]]
    for row in explained:
        act = life.Act(WHO, "inhibit", f"incident {row['central_id']} explains it", is_automatic=True)
        life.touch(transaction, row["incident_id"], act, now, inhibited_by=row["central_id"])
    for row in freed:
        found = now_are[row["incident_id"]]
        goes_on = found["last_seen"] >= now - _RECENT and found["state"] in _UNOWNED
        # being explained no more is no decision about it, so a hold does not stand in its way
        act = life.Act(
            WHO, "free", f"incident {row['inhibited_by']} explains it no more", is_automatic=not found["held_by"]
        )
        life.touch(transaction, row["incident_id"], act, now, "opened" if goes_on else "", inhibited_by=None)
    return [row["incident_id"] for row in explained], [row["incident_id"] for row in freed]


def _may_be_explained(row: Row) -> bool:
    return row["state"] in _UNOWNED and not row["held_by"] and row["inhibited_by"] is None
