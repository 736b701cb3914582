"""What stands beside an incident: earlier occurrences, what it explains, links, costs. One bounded query each."""

from __future__ import annotations

from typing import Any

from core.database import Database, Row

_MOST_PREVIOUS = 10
_MOST_BELOW = 50

# ix_incidents_fingerprint backwards
_PREVIOUS = """
SELECT incident_id, title, state, severity, owner, first_seen, last_seen, resolved_time, resolution, resolved_by, job_count,
    record_count, lost_core_s, verdict, verdict_value, reopened_count
FROM incidents
WHERE fingerprint = %(fingerprint)s AND incident_id < %(incident_id)s AND opened_time IS NOT NULL
ORDER BY incident_id DESC LIMIT %(limit)s
"""
# ix_incidents_inhibited
_BELOW = """
SELECT incident_id, title, kind, severity, state, computing_site, job_count, record_count, lost_core_s, last_seen, verdict,
    verdict_value
FROM incidents WHERE inhibited_by = %(incident_id)s AND state <> 'resolved'
ORDER BY lost_core_s DESC, incident_id LIMIT %(limit)s
"""
# whole: people make links, tens of them. Titles by primary key
_LINKS = """
SELECT l.link_id, l.kind, l.dimension, l.value, l.incident_id, l.into_incident_id, l.who, l.time, l.comment, l.undone_by,
    l.undone_time, l.moved -> 'counts' AS moved, a.title, b.title AS into_title
FROM fingerprint_links l
LEFT JOIN incidents a ON a.incident_id = l.incident_id LEFT JOIN incidents b ON b.incident_id = l.into_incident_id
WHERE l.incident_id = %(incident_id)s OR l.into_incident_id = %(incident_id)s
    OR l.fingerprint = %(fingerprint)s OR l.target = %(fingerprint)s
ORDER BY l.link_id
"""


def previous_occurrences(database: Database, incident: Row) -> list[Row]:
    """The last ten times that the same trouble was an incident, newest first, with what ended each."""
    return database.fetch(
        _PREVIOUS,
        {
            **{"fingerprint": incident["fingerprint"], "incident_id": incident["incident_id"]},
            "limit": _MOST_PREVIOUS,
        },
    )


def inhibited_below(database: Database, incident_id: int) -> list[Row]:
    """Incidents that this central one explains, the dearest first, at most 50."""
    return database.fetch(_BELOW, {"incident_id": incident_id, "limit": _MOST_BELOW})


def links_of(database: Database, incident: Row) -> list[Row]:
    """Merges and splits that touch an incident or its fingerprint, the oldest first, also those that were undone."""
    return database.fetch(_LINKS, incident)


def grouping_of(incident: Row, grouping: str, links: list[Row]) -> str:
    """Why these events are one incident, in sentences for people."""
    said = [grouping] if grouping else []
    for link in links:
        if link["undone_time"] is not None:
            continue
        if link["kind"] == "merge" and link["into_incident_id"] == incident["incident_id"]:
            said.append(f"{link['who']} merged incident {link['incident_id']} into it.")
        elif link["kind"] == "merge" and link["incident_id"] == incident["incident_id"]:
            said.append(f"{link['who']} merged it into incident {link['into_incident_id']}.")
        elif link["kind"] == "split" and link["incident_id"] == incident["incident_id"]:
            part = f"{link['dimension']} {link['value']}"
            said.append(f"{link['who']} split off those with {part}, as incident {link['into_incident_id']}.")
    return " ".join(said)


def economics(incident: Row) -> dict[str, Any]:
    """What it costs: `jobs` failed, of which the work of `residue` is lost after all attempts and `retried` was or will
    be tried again; lost core-hours of all, and of the residue; `slot_share`: part of the running cores it wastes."""
    return {
        "jobs": incident["job_count"],
        "residue": incident["residue_count"],
        "retried": max(incident["job_count"] - incident["residue_count"], 0),
        "lost_core_h": round(incident["lost_core_s"] / 3600, 4),
        "residue_lost_core_h": round(incident["residue_lost_core_s"] / 3600, 4),
        "slot_share": incident["slot_share"],
    }
