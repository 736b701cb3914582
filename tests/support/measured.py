"""What scouts leave behind in the row of a task, for those who show it."""

from __future__ import annotations

from typing import Any

from core.database import Database

MEASURED: dict[str, Any] = {
    "scouts": {
        "outcome": "scouted",
        "reason": "5 of 10 scouts succeeded",
        "is_over": True,
        "time": "2026-01-02T03:04:05+00:00",
        "values": {"jobs": 5, "ram_mb_per_core": 3380, "cpu_time": 324.123, "short_jobs": 0},
        "changed": {
            "ramCount": {"old": 1000, "new": 3380},
            "cpuTime": {"old": None, "new": 325},
            "cpuTimeUnit": {"old": None, "new": "HS06sPerEvent"},
        },
    },
    "again": {"time": "2026-01-03T03:04:05+00:00", "values": {"ram_mb_per_core": 3400}, "changed": {}},
}


def note_measured(database: Database, task_id: int) -> None:
    """Write MEASURED into a task, and that the system acts on it next in an hour; its goal is 80 %."""
    database.execute(
        "UPDATE tasks SET measured = %(measured)s, goal = 800, "
        "next_try_time = clock_timestamp() + interval '1 hour' WHERE jedi_task_id = %(id)s",
        {"measured": MEASURED, "id": task_id},
    )
