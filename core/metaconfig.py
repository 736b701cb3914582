"""What anybody may ask of the system's own configuration: queues whole, who is banned. Reads only."""

from __future__ import annotations

from core.database import Database, Row

# queues whole: they are short
_QUEUES = """
SELECT queue_name, site, status, comment, max_ram_mb, max_disk_mb, max_core_count, max_walltime_s, storage_endpoint,
       parameters, modification_time
FROM queues ORDER BY queue_name
"""


def all_queues(database: Database) -> list[Row]:
    """Every queue with its limits and parameters, by name."""
    return database.fetch(_QUEUES)


def banned_users(database: Database) -> list[str]:
    """Names of the users whose every call is refused."""
    # the whole table, which holds people, not jobs
    rows = database.fetch("SELECT user_name FROM users WHERE status = 'disabled' ORDER BY user_name")
    return [row["user_name"] for row in rows]
