"""How long news of factories is kept: a table of rules, one per kind of row. Knows the tables and their times."""

from __future__ import annotations

from dataclasses import dataclass

from core.database import Database

_BATCH = 5000
"""Rows that go in one statement: a lock is never held for long."""


@dataclass(frozen=True)
class Rule:
    """Rows of `table` for which `condition` holds go once their `column` is older than `days`."""

    table: str
    column: str
    days: int
    condition: str = "true"


_IS_LIVE = "status IN ('pending', 'submitted', 'ready', 'running', 'idle')"

RULES: tuple[Rule, ...] = (
    # a factory that is gone leaves its workers as they were: nobody asks for them after two weeks
    Rule("harvester_workers", "last_update", 14, _IS_LIVE),
    Rule("harvester_workers", "last_update", 60),
    Rule("harvester_worker_jobs", "last_update", 60),
    Rule("harvester_worker_counts", "last_update", 7),
    Rule("harvester_dialogs", "creation_time", 30),
    Rule("harvester_service_metrics", "creation_time", 30),
    Rule("harvester_commands", "status_time", 30),
    Rule("harvester_slots", "expiration_time", 7),
    Rule("worker_nodes", "last_seen", 180),
    Rule("worker_node_queues", "last_seen", 180),
    Rule("worker_node_gpus", "last_seen", 180),
)

# workers, dialogs and metrics by their index on the time; the others are short, or read once an hour
_FORGET = """
DELETE FROM {table} WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM {table}
    WHERE {column} < clock_timestamp() - make_interval(days => %(days)s) AND {condition} LIMIT %(batch)s
))
"""


def forget_old_news(database: Database) -> int:
    """One batch of every rule; how many rows went."""
    return sum(
        database.execute(
            # names and conditions come from the table above, never from input
            _FORGET.format(table=rule.table, column=rule.column, condition=rule.condition),
            {"days": rule.days, "batch": _BATCH},
        )
        for rule in RULES
    )
