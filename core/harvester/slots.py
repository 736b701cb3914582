"""How many slots somebody wants filled at a queue, for a while or until told otherwise. Knows the table of slots."""

from __future__ import annotations

from datetime import datetime

from core.database import Database, Row
from core.errors import InvalidInput

NO_TARGET = -1
"""As a number of slots: forget what was wanted."""
_MOST = 10_000_000

# primary key
_SET = """
INSERT INTO harvester_slots (computing_site, gshare, resource_type, slots, expiration_time)
VALUES (%(site)s, %(gshare)s, %(resource_type)s, %(slots)s, %(expiration_time)s)
ON CONFLICT (computing_site, gshare, resource_type) DO UPDATE SET
    slots = excluded.slots, expiration_time = excluded.expiration_time, modification_time = clock_timestamp()
"""
_FORGET = """
DELETE FROM harvester_slots
WHERE computing_site = %(site)s AND gshare = %(gshare)s AND resource_type = %(resource_type)s
"""


def set_target_slots(
    database: Database,
    computing_site: str,
    slots: int,
    *,
    gshare: str = "",
    resource_type: str = "",
    expiration_time: datetime | None = None,
) -> None:
    """Want `slots` slots at a queue, for one share or resource type or (empty) for all; -1 takes the wish back.

    Raises InvalidInput for any other negative number.
    """
    if not NO_TARGET <= slots <= _MOST:
        raise InvalidInput(
            f"{slots} is out of range", field="slots", remedy=f"between 0 and {_MOST}, or {NO_TARGET} for no target"
        )
    wanted = {"site": computing_site, "gshare": gshare, "resource_type": resource_type, "slots": slots}
    if slots == NO_TARGET:
        database.execute(_FORGET, wanted)
    else:
        database.execute(_SET, {**wanted, "expiration_time": expiration_time})


def target_slots(database: Database) -> list[Row]:
    """All wishes that have not expired: computing_site, gshare, resource_type, slots, expiration_time."""
    # the table whole: a row per wish
    return database.fetch(
        "SELECT computing_site, gshare, resource_type, slots, expiration_time FROM harvester_slots "
        "WHERE expiration_time IS NULL OR expiration_time > clock_timestamp() ORDER BY 1, 2, 3"
    )
