"""Orders to factories: given once, taken once, acknowledged. Knows the table of commands; not what a factory does with them."""

from __future__ import annotations

import json
from typing import Any

from core.database import Database, Row
from core.errors import InvalidInput, UnknownObject

KILL_WORKERS = "KILL_WORKERS"
"""Harvester's sweeper takes it: kill the workers that match all of status, computingSite, computingElement, submissionHost."""
EVERYTHING = "ALL"
"""Instead of a list: no filter."""
MAX_COMMANDS = 10_000


def add_sweep_command(
    database: Database,
    queue_name: str,
    *,
    statuses: list[str],
    computing_elements: list[str],
    submission_hosts: list[str],
) -> int:
    """Tell the factory of a queue to kill its workers there; the number of the command.

    Raises UnknownObject when there is no such queue, InvalidInput when no Harvester serves it.
    """
    queue = database.fetch_one("SELECT parameters FROM queues WHERE queue_name = %(name)s", {"name": queue_name})
    if queue is None:
        raise UnknownObject(f"there is no queue {queue_name[:100]!r}", field="panda_queue", remedy="see `panda queues`")
    harvester_id = str(queue["parameters"].get("harvester") or "")
    if not harvester_id:
        raise InvalidInput(
            "Queue not served by any harvester ID", field="panda_queue", remedy="set the queue's parameter 'harvester'"
        )
    params = {
        "status": _filter(statuses),
        "computingSite": [queue_name],
        "computingElement": _filter(_known_elements(queue["parameters"], computing_elements)),
        "submissionHost": _filter(submission_hosts),
    }
    return add_command(database, harvester_id, KILL_WORKERS, params)


# ix_harvester_commands_new for the order that waits already: giving it twice is giving it once
_ADD = """
WITH present AS (
    SELECT command_id FROM harvester_commands
    WHERE harvester_id = %(harvester_id)s AND status = 'new' AND command = %(command)s AND params = %(params)s::jsonb
    LIMIT 1
), added AS (
    INSERT INTO harvester_commands (harvester_id, command, params, ack_requested)
    SELECT %(harvester_id)s, %(command)s, %(params)s::jsonb, %(ack_requested)s
    WHERE NOT EXISTS (SELECT 1 FROM present)
    RETURNING command_id
)
SELECT command_id FROM added UNION ALL SELECT command_id FROM present
"""


def add_command(
    database: Database, harvester_id: str, command: str, params: dict[str, Any], *, ack_requested: bool = False
) -> int:
    """Put an order into the queue of an instance; the same order that still waits there is not given again."""
    row = database.fetch_one(
        _ADD,
        {
            "harvester_id": harvester_id,
            "command": command,
            "params": json.dumps(params),
            "ack_requested": ack_requested,
        },
    )
    assert row is not None  # either added or present
    return int(row["command_id"])


# ix_harvester_commands_new; a row that another request holds is skipped, so that no order is taken twice
_TAKE = """
WITH taken AS (
    UPDATE harvester_commands SET status = 'retrieved', status_time = clock_timestamp()
    WHERE command_id IN (
        SELECT command_id FROM harvester_commands WHERE harvester_id = %(harvester_id)s AND status = 'new'
        ORDER BY command_id LIMIT %(count)s FOR UPDATE SKIP LOCKED
    )
    RETURNING command_id, command, params, ack_requested, creation_time
)
SELECT * FROM taken ORDER BY command_id
"""


def take_commands(database: Database, harvester_id: str, count: int) -> list[Row]:
    """Up to `count` orders of an instance that nobody has taken, oldest first; they count as retrieved from now on."""
    if not 0 <= count <= MAX_COMMANDS:
        raise InvalidInput(f"{count} is out of range", field="n_commands", remedy=f"between 0 and {MAX_COMMANDS}")
    return database.fetch(_TAKE, {"harvester_id": harvester_id, "count": count})


# primary key
_ACKNOWLEDGE = """
UPDATE harvester_commands SET status = 'acknowledged', status_time = clock_timestamp()
WHERE command_id = ANY(%(command_ids)s) AND status <> 'acknowledged'
"""


def acknowledge_commands(database: Database, command_ids: list[int]) -> int:
    """Note that orders were carried out; how many of them were known and not acknowledged before."""
    if len(command_ids) > MAX_COMMANDS:
        raise InvalidInput(
            f"more than {MAX_COMMANDS} at once", field="command_ids", remedy="acknowledge them in several requests"
        )
    return database.execute(_ACKNOWLEDGE, {"command_ids": command_ids})


def _filter(values: list[str]) -> list[str] | str:
    return EVERYTHING if values == [EVERYTHING] else values


def _known_elements(parameters: dict[str, Any], asked: list[str]) -> list[str]:
    """Those of the asked computing elements that the queue has; all of them when the queue does not say which it has."""
    if asked == [EVERYTHING] or not isinstance(parameters.get("queues"), list):
        return asked
    known = {entry.get("ce_endpoint") for entry in parameters["queues"] if isinstance(entry, dict)}
    return [name for name in asked if name in known]
