"""The row of an incident as every list, page and answer shows it, with its trend. Knows columns, no page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from core.database import Database, Row
from logger import life
from logger.folding import BIN_S, bin_start

TREND_BINS = 12

ROW = """
    incident_id, title, kind, severity, state, owner, component, code, computing_site, jedi_task_id, queue_count, job_count,
    task_count, user_count, record_count, lost_core_s, first_seen, last_seen, culprit_line, fingerprint, sample_panda_id,
    opened_time, opened_by, rule_name, step, error_class, residue_count, residue_lost_core_s, node_count, storage_count,
    verdict, verdict_value, verdict_score, slot_share, assigned_to, held_by, acknowledged_time, inhibited_by, merged_into,
    previous_id, reopened_count, resolved_time, resolution, resolved_by, change_seq, links, (
        SELECT count(*) FROM incidents below WHERE below.inhibited_by = incidents.incident_id AND below.state <> 'resolved'
    ) AS inhibits
"""
"""Of the table `incidents`; what an incident inhibits is counted by ix_incidents_inhibited."""

# primary key
_ONE = f"SELECT {ROW} FROM incidents WHERE incident_id = %(incident_id)s"

# primary key of incident_bins
_TREND = """
SELECT incident_id, bin_time, event_count FROM incident_bins
WHERE incident_id = ANY(%(incident_ids)s::bigint[]) AND bin_time >= %(first)s
"""


def incident_row(database: Database, incident_id: int, now: datetime) -> Row:
    """The row of one incident with its trend. Raises UnknownObject when there is none of this id."""
    row = database.fetch_one(_ONE, {"incident_id": incident_id})
    if row is None:
        raise life.no_incident(incident_id)
    return with_trends(database, [row], now)[0]


def with_trends(database: Database, rows: Sequence[Row], now: datetime) -> list[Row]:
    """The rows with `trend`: events per five minutes in the last hour, oldest first."""
    first = bin_start(now) - timedelta(seconds=(TREND_BINS - 1) * BIN_S)
    trends = {row["incident_id"]: [0] * TREND_BINS for row in rows}
    for row in database.fetch(_TREND, {"incident_ids": list(trends), "first": first}) if trends else []:
        place = int((row["bin_time"] - first).total_seconds()) // BIN_S
        trends[row["incident_id"]][min(place, TREND_BINS - 1)] += row["event_count"]
    return [{**row, "trend": trends[row["incident_id"]]} for row in rows]
