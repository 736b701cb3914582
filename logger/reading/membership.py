"""Which incidents a filter of the live stream finds: those among some that changed, and all that a page may show."""

from __future__ import annotations

from collections.abc import Collection

from core.database import Database
from core.monitor.question import Question
from core.monitor.reading import read
from logger.selecting import IS_LIVING, IS_SHOWN

_LIMIT_S = 2.0

# primary key
_AMONG = """
SELECT incident_id FROM incidents
WHERE incident_id = ANY(%(ids)s::bigint[]) AND opened_time IS NOT NULL AND {where}
"""
# ix_incidents_shown: of the states that a page shows unless it is asked for others, a short range
_NEWEST = """
SELECT incident_id FROM incidents WHERE {shown} AND {where} ORDER BY last_seen DESC LIMIT %(limit)s
"""


def incidents_among(database: Database, question: Question, ids: Collection[int]) -> frozenset[int]:
    """Those of `ids` that the question finds. Raises Unavailable."""
    statement = _AMONG.replace("{where}", question.where())
    rows = read(database, statement, {**question.parameters, "ids": sorted(ids)}, limit_s=_LIMIT_S)
    return frozenset(row["incident_id"] for row in rows)


def incidents_found(database: Database, question: Question, limit: int) -> list[int]:
    """What the question finds, newest first. Raises Unavailable."""
    shown = IS_SHOWN if "state" in question.filtered else IS_LIVING
    statement = _NEWEST.replace("{shown}", shown).replace("{where}", question.where())
    rows = read(database, statement, {**question.parameters, "limit": limit}, limit_s=_LIMIT_S)
    return [row["incident_id"] for row in rows]
