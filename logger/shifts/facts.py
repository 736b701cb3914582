"""What happened during a shift: reads the store for the draft of a handover. Knows tables, no Markdown.

Every list has a bound, and says how many more there are: a night of trouble must still make a page that people read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from core.database import Database, Row
from core.monitor.queues import live_counts, silent_queues
from core.monitor.throughput import count_changes

MOST = 50
"""Rows of a list in a draft."""

# a short range of ix_incidents_shown
_OPEN = """
SELECT incident_id, title, severity, state, verdict, verdict_value, owner, assigned_to, computing_site, job_count,
       record_count, culprit_line, first_seen, inhibited_by
FROM incidents
WHERE opened_time IS NOT NULL AND state IN ('open', 'reopened', 'acknowledged', 'silenced')
ORDER BY inhibited_by IS NOT NULL, array_position(ARRAY['critical', 'error', 'warning'], severity), lost_core_s DESC,
         incident_id
LIMIT %(most)s
"""
# ix_incident_changes_time; incidents by primary key
_CHANGES = """
SELECT c.incident_id, c.what, c.time, c.who, c.is_automatic, c.reason, i.title, i.severity, i.resolution
FROM incident_changes c JOIN incidents i USING (incident_id)
WHERE c.time >= %(start)s AND c.time < %(end)s AND c.what IN ('opened', 'reopened', 'resolved')
ORDER BY c.change_id LIMIT %(most)s
"""
# ix_deeds_time; targets by primary key
_DEEDS = """
SELECT d.*, ARRAY(SELECT t.target FROM deed_targets t WHERE t.deed_id = d.deed_id ORDER BY t.target LIMIT 5) AS targets
FROM deeds d WHERE d.time >= %(start)s AND d.time < %(end)s ORDER BY d.deed_id LIMIT %(most)s
"""
# ix_audit_time: what people did without a preview. Links and silences of incidents stand in the rows of those
_DIRECT = """
SELECT audit_id, time, who, action, object_kind, object_id, before, after, reason FROM audit
WHERE time >= %(start)s AND time < %(end)s AND NOT is_automatic AND deed_id IS NULL
  AND object_kind NOT IN ('deed', 'shift', 'link')
  AND NOT (object_kind = 'silence' AND (before ? 'incident_id' OR after ? 'incident_id'))
ORDER BY audit_id LIMIT %(most)s
"""
# ix_silences_live; incidents by primary key
_SILENCES = """
SELECT s.silence_id, s.incident_id, s.matcher, s.until_kind, s.until_time, s.who, s.reason, s.base_count,
       i.title, i.job_count + i.record_count AS count
FROM silences s LEFT JOIN incidents i USING (incident_id)
WHERE s.end_time IS NULL AND (s.incident_id IS NULL OR NOT s.matcher ? 'silence_id') ORDER BY s.silence_id LIMIT %(most)s
"""
# ix_deeds_revert, which is short
_REVERTS = """
SELECT deed_id, action, who, revert_kind, revert_time, revert_count,
       ARRAY(SELECT t.target FROM deed_targets t WHERE t.deed_id = d.deed_id ORDER BY t.target LIMIT 5) AS targets
FROM deeds d WHERE revert_state = 'waiting' ORDER BY revert_time NULLS LAST, deed_id LIMIT %(most)s
"""
# the newest by primary key
_NOTICES = """
SELECT coalesce(r.name, '') AS route, n.state, count(*) AS count, max(n.last_error) AS last_error
FROM (SELECT * FROM incident_notices ORDER BY notice_id DESC LIMIT 5000) n LEFT JOIN notice_routes r USING (route_id)
WHERE n.state IN ('failed', 'lost') AND n.created_time >= %(start)s AND n.created_time < %(end)s
GROUP BY 1, 2 ORDER BY 3 DESC LIMIT %(most)s
"""
# ix_shift_notes_shift
_NOTES = "SELECT * FROM shift_notes WHERE shift_id = %(shift_id)s ORDER BY note_id"


@dataclass(frozen=True)
class Figures:
    """Jobs that ended during the shift, and in the same hours a week before."""

    finished: int
    failed: int
    finished_last_week: int
    failed_last_week: int


@dataclass(frozen=True)
class ShiftFacts:
    """Everything that a draft is made of. Lists may hold one row more than is shown: there were more."""

    shift: Row
    end: datetime
    open_incidents: Sequence[Row]
    changes: Sequence[Row]
    deeds: Sequence[Row]
    direct: Sequence[Row]
    silences: Sequence[Row]
    reverts: Sequence[Row]
    notices: Sequence[Row]
    notes: Sequence[Row]
    figures: Figures
    silent_queues: Sequence[str] = field(default_factory=tuple)

    def at_rest(self) -> ShiftFacts:
        """The same without what moves by itself: the clock, the figures, and how often each trouble was counted."""
        return replace(
            self,
            end=self.shift["start_time"],
            figures=Figures(0, 0, 0, 0),
            open_incidents=sorted(
                ({**row, "job_count": 0, "record_count": 0} for row in self.open_incidents),
                key=lambda row: int(row["incident_id"]),
            ),
            silences=[{**row, "count": 0} for row in self.silences],
            notices=sorted(({**row, "count": 0} for row in self.notices), key=lambda row: (row["route"], row["state"])),
        )


def read_facts(database: Database, shift: Row, now: datetime) -> ShiftFacts:
    """What happened from the beginning of a shift until its end, or until now."""
    end = shift["end_time"] or now
    values = {"start": shift["start_time"], "end": end, "most": MOST + 1}
    return ShiftFacts(
        shift,
        end,
        database.fetch(_OPEN, values),
        database.fetch(_CHANGES, values),
        database.fetch(_DEEDS, values),
        database.fetch(_DIRECT, values),
        database.fetch(_SILENCES, values),
        database.fetch(_REVERTS, values),
        database.fetch(_NOTICES, values),
        notes_of(database, shift["shift_id"]),
        _figures(database, shift["start_time"], end),
        silent_queues(database, live_counts(database), now),
    )


def notes_of(database: Database, shift_id: int) -> list[Row]:
    """The notes of a shift, in order."""
    return database.fetch(_NOTES, {"shift_id": shift_id})


def _figures(database: Database, start: datetime, end: datetime) -> Figures:
    week = timedelta(days=7)
    finished, failed = _ended(database, start, end)
    finished_then, failed_then = _ended(database, start - week, end - week)
    return Figures(finished, failed, finished_then, failed_then)


def _ended(database: Database, start: datetime, end: datetime) -> tuple[int, int]:
    if end <= start:
        return 0, 0
    rows = count_changes(database, start, end, ("finished", "failed"))
    finished = sum(row["count"] for row in rows if row["job_status"] == "finished")
    return finished, sum(row["count"] for row in rows) - finished
