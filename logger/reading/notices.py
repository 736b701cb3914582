"""What the monitors read of notices: the routes, and what was told of which incident. Shapes are those of docs/api.md."""

from __future__ import annotations

from typing import Any

from core.database import Database, Row
from core.models.incident import CHANGES
from core.monitor.closed import closed_column
from core.monitor.filters import number_column, text_column
from core.monitor.question import Grammar, Question
from logger.notices.routes import all_routes, shown
from logger.reading.paging import newest_first

STATES = ("waiting", "sending", "sent", "failed", "lost", "suppressed")
"""Of a notice, as ck_incident_notices_state has them."""

NOTICE_GRAMMAR = Grammar(
    filters={
        "incident_id": number_column("incident_id", "n.incident_id"),
        "route_id": number_column("route_id", "n.route_id"),
        "route": text_column("route", "r.name"),
        "state": closed_column("state", STATES, "n.state"),
        "change": closed_column("change", (*CHANGES, "test"), "n.change"),
    },
)

# primary key backwards, or ix_incident_notices_incident
_NOTICES = """
SELECT n.notice_id, n.route_id, coalesce(r.name, '') AS route, coalesce(r.channel, '') AS channel, n.incident_id, n.change,
       n.change_seq, n.state, n.reason, n.message_id, n.attempts, n.next_try_time, n.sent_time, n.last_error,
       n.created_time, coalesce(i.title, '') AS title, coalesce(i.severity, '') AS severity, coalesce(m.answer, '') AS answer
FROM incident_notices n
LEFT JOIN notice_routes r ON r.route_id = n.route_id
LEFT JOIN incidents i ON i.incident_id = n.incident_id
LEFT JOIN notice_messages m ON m.message_id = n.message_id
WHERE n.notice_id < %(before)s AND {where} ORDER BY n.notice_id DESC LIMIT %(limit)s
"""
# one pass over the waiting ones by ix_incident_notices_due, and over the newest by primary key
_COUNTS = """
SELECT route_id, count(*) FILTER (WHERE state IN ('waiting', 'sending')) AS waiting,
       count(*) FILTER (WHERE state IN ('failed', 'lost')) AS failed,
       max(sent_time) AS sent_time,
       min(created_time) FILTER (WHERE state IN ('waiting', 'sending')) AS oldest_waiting,
       (array_agg(last_error ORDER BY notice_id DESC) FILTER (WHERE last_error <> ''))[1] AS last_error
FROM (SELECT * FROM incident_notices WHERE state IN ('waiting', 'sending')
      UNION SELECT * FROM (SELECT * FROM incident_notices ORDER BY notice_id DESC LIMIT 1000) newest) n
GROUP BY route_id
"""
_NOTHING = {"waiting": 0, "failed": 0, "sent_time": None, "oldest_waiting": None, "last_error": None}


def notice_list(database: Database, question: Question) -> dict[str, Any]:
    """A page of notices, newest first; tests have the incident 0. Raises InvalidInput for a cursor that is not ours."""
    rows, answer = newest_first(database, _NOTICES, question, "notice_id", time="n.created_time")
    return {**answer, "notices": rows}


def route_list(database: Database) -> list[Row]:
    """The routes in order, each with how it goes: waiting, failed or lost of the newest thousand, the last that was sent
    and the last error. Secrets are named only."""
    counts = {row.pop("route_id"): row for row in database.fetch(_COUNTS)}
    return [{**shown(route), **(counts.get(route["route_id"]) or _NOTHING)} for route in all_routes(database)]
