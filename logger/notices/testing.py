"""The test button: one message to a route at once, with the receiver's own answer. Leaves a row like any notice."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from core import audit
from core.clock import Clock
from core.configuration import Settings
from core.database import Database
from core.errors import TooMany
from logger.notices.channels import channels_of
from logger.notices.message import Known, Message
from logger.notices.outbox import LEASE_S, note
from logger.notices.routes import route_of_locked
from logger.notices.sending import addressed, timed

_PAUSE_S = 5.0

# ix_incident_notices_incident: all tests have the incident 0
_LAST = "SELECT max(created_time) AS time FROM incident_notices WHERE incident_id = 0 AND route_id = %(route_id)s"
_PUT = """
INSERT INTO incident_notices (notice_id, route_id, incident_id, change_seq, change, state, message_id, attempts, lease_until,
                              created_time)
SELECT id, %(route_id)s, 0, id, 'test', 'sending', %(message_id)s, 1, %(until)s, %(now)s
FROM nextval(pg_get_serial_sequence('incident_notices', 'notice_id')) AS id
"""
_MESSAGE = "INSERT INTO notice_messages (message_id, route_id, time) VALUES (%(message_id)s, %(route_id)s, %(now)s)"


def send_test(
    database: Database,
    settings: Settings,
    route_id: int,
    who: str,
    clock: Clock,
    *,
    via: str = "api",
    roles: Iterable[str] = (),
) -> dict[str, Any]:
    """Send a test to a route and say what its receiver answered: `known`, `status`, `answer`, `ms`.

    Raises UnknownObject, and TooMany within five seconds of the last test.
    """
    now = clock()
    message_id = uuid.uuid4().hex
    with database.transaction() as transaction:
        route = route_of_locked(transaction, route_id)
        last = (transaction.fetch_one(_LAST, {"route_id": route_id}) or {"time": None})["time"]
        if last is not None and last > now - timedelta(seconds=_PAUSE_S):
            wait_s = _PAUSE_S - (now - last).total_seconds()
            raise TooMany("this route was tested just now", retry_after_s=wait_s, remedy="one test in five seconds")
        mark = {"route_id": route_id, "message_id": message_id, "now": now, "until": now + timedelta(seconds=LEASE_S)}
        transaction.execute(_MESSAGE, mark)
        transaction.execute(_PUT, mark)
        audit.note(transaction, who, "test", "notice_route", str(route_id), {}, {}, via=via, roles=roles)
    message = addressed(Message(message_id, route, (), now, tested_by=who), settings)
    outcome, duration_ms = timed(message, channels_of(settings), settings.notices.secrets)
    note(database, message, outcome, settings.notices.keep_trying_s, clock())
    return {
        "is_taken": outcome.known is Known.TAKEN,
        "known": outcome.known.value,
        "status": outcome.status,
        "answer": outcome.answer,
        "ms": duration_ms,
    }
