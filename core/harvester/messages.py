"""What a factory says of itself: heartbeat, messages for people, health of its host.

A message of level ERROR also goes through Python's logging and so becomes an incident. Knows the tables of these three.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.database import Database
from core.errors import InvalidInput

log = logging.getLogger("panda.harvester")

MAX_ENTRIES = 10_000
"""Messages or measurements in one report."""


@dataclass(frozen=True)
class Dialog:
    """A message of a factory for people; `diag_id` is unique within the instance."""

    diag_id: int
    module_name: str
    identifier: str
    creation_time: datetime
    message_level: str
    diag_message: str


@dataclass(frozen=True)
class ServiceMetric:
    """A measurement of a factory's host."""

    creation_time: datetime
    host_name: str
    metrics: dict[str, Any]


# primary key
_HEARTBEAT = """
INSERT INTO harvester_instances AS i (harvester_id, owner, host_name, details, last_heartbeat)
VALUES (%(harvester_id)s, %(owner)s, %(host_name)s, %(details)s::jsonb, clock_timestamp())
ON CONFLICT (harvester_id) DO UPDATE SET
    owner = excluded.owner, last_heartbeat = clock_timestamp(), details = i.details || excluded.details,
    host_name = CASE WHEN excluded.host_name <> '' THEN excluded.host_name ELSE i.host_name END
"""


def heartbeat(database: Database, harvester_id: str, owner: str, host_name: str, details: dict[str, Any]) -> None:
    """An instance is alive, a new one included; what it says of itself is added to what it said before."""
    said = {"harvester_id": harvester_id, "owner": owner, "host_name": host_name, "details": json.dumps(details)}
    database.execute(_HEARTBEAT, said)


# primary key; what was told before, word for word, is not told again
_ADD_DIALOGS = """
INSERT INTO harvester_dialogs AS d
    (harvester_id, diag_id, module_name, identifier, creation_time, message_level, diag_message) VALUES %s
ON CONFLICT (harvester_id, diag_id) DO UPDATE SET
    module_name = excluded.module_name, identifier = excluded.identifier, creation_time = excluded.creation_time,
    message_level = excluded.message_level, diag_message = excluded.diag_message
WHERE (d.diag_message, d.message_level, d.creation_time)
      IS DISTINCT FROM (excluded.diag_message, excluded.message_level, excluded.creation_time)
RETURNING diag_id
"""


def add_dialogs(database: Database, harvester_id: str, dialogs: list[Dialog]) -> None:
    """Keep messages; those of level ERROR and above that are new are logged. Raises InvalidInput past MAX_ENTRIES."""
    _check_count(len(dialogs), "dialogs")
    by_id = {dialog.diag_id: dialog for dialog in dialogs}
    rows = [
        (
            harvester_id,
            diag_id,
            dialog.module_name,
            dialog.identifier,
            dialog.creation_time,
            dialog.message_level,
            dialog.diag_message,
        )
        for diag_id, dialog in sorted(by_id.items())
    ]
    with database.transaction() as transaction:
        fresh = {row["diag_id"] for row in transaction.insert_returning(_ADD_DIALOGS, rows)}
    for diag_id in sorted(fresh):
        _log(harvester_id, by_id[diag_id])


def _log(harvester_id: str, dialog: Dialog) -> None:
    level = logging.getLevelNamesMapping().get(dialog.message_level.upper(), logging.INFO)
    if level < logging.ERROR:
        return
    extra = {
        "component": "harvester",
        "harvester_id": harvester_id,
        "harvester_module": dialog.module_name,
        "harvester_identifier": dialog.identifier,
    }
    log.log(level, "%s: %s", dialog.module_name or harvester_id, dialog.diag_message, extra=extra)


# primary key
_ADD_METRICS = """
INSERT INTO harvester_service_metrics (harvester_id, host_name, creation_time, metrics) VALUES %s
ON CONFLICT (harvester_id, host_name, creation_time) DO UPDATE SET metrics = excluded.metrics
"""


def add_service_metrics(database: Database, harvester_id: str, measured: list[ServiceMetric]) -> None:
    """Keep measurements; a second one of the same host and moment replaces the first. Raises InvalidInput past MAX_ENTRIES."""
    _check_count(len(measured), "metrics")
    by_moment = {(entry.host_name, entry.creation_time): entry.metrics for entry in measured}
    with database.transaction() as transaction:
        transaction.insert_many(
            _ADD_METRICS, [(harvester_id, *moment, json.dumps(by_moment[moment])) for moment in sorted(by_moment)]
        )


def _check_count(count: int, field: str) -> None:
    if count > MAX_ENTRIES:
        raise InvalidInput(f"more than {MAX_ENTRIES} at once", field=field, remedy="send them in several requests")
