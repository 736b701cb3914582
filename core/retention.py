"""How long the system keeps what it wrote down about its own decisions: a table of rules. Knows no agent.

Jobs, tasks and their histories are the record of what was done and stay (docs/decisions.md); why a queue was chosen or a
job tried again is asked for weeks, and makes more rows than the jobs themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from core.database import Database
from core.workload_settings import RetentionSettings

BATCH = 5000
"""Rows that go in one statement: no lock is held for long."""


@dataclass(frozen=True)
class Rule:
    """Rows of `table` for which `condition` holds go once their `time` is older than the setting says."""

    table: str
    key: str
    """A number from a sequence: the order of the keys is, nearly enough, that of the times."""
    days: Callable[[RetentionSettings], int]
    condition: str = "true"


RULES: tuple[Rule, ...] = (
    Rule("brokerage_decisions", "decision_id", lambda settings: settings.brokerage_days),
    # what the counts of its rule do not hold yet would be lost to them
    Rule("retry_log", "deed_id", lambda settings: settings.retries_days, "rule_id IS NULL OR is_counted"),
    # its targets go first; what is still to be done or to be taken back is no past
    Rule(
        "deeds",
        "deed_id",
        lambda settings: settings.deeds_days,
        "state <> 'executing' AND revert_state <> 'waiting'"
        " AND NOT EXISTS (SELECT 1 FROM deed_targets t WHERE t.deed_id = oldest.deed_id)",
    ),
    Rule("task_notices", "notice_id", lambda settings: settings.notices_days, "state NOT IN ('waiting', 'sending')"),
)

# primary key from its beginning, one batch of it: the oldest, of which those go that are old enough
_FORGET = """
DELETE FROM {table} WHERE {key} = ANY(ARRAY(
    SELECT {key} FROM (SELECT * FROM {table} ORDER BY {key} LIMIT %(batch)s) oldest
    WHERE time < clock_timestamp() - make_interval(days => %(days)s) AND ({condition})
))
"""
# primary keys: targets of the oldest deeds, before those go themselves
_FORGET_TARGETS = """
DELETE FROM deed_targets d USING (
    SELECT t.deed_id, t.target FROM (SELECT * FROM deeds ORDER BY deed_id LIMIT %(batch)s) oldest
    JOIN LATERAL (SELECT deed_id, target FROM deed_targets WHERE deed_id = oldest.deed_id LIMIT %(batch)s) t ON true
    WHERE time < clock_timestamp() - make_interval(days => %(days)s) AND state <> 'executing' AND revert_state <> 'waiting'
    LIMIT %(batch)s
) gone WHERE d.deed_id = gone.deed_id AND d.target = gone.target
"""
# ix_job_brokerage_decision; the first decision by primary key. The bound is asked twice: a job that is brokered at this
# moment has got another decision until its row can be locked
_FORGET_WHICH = """
DELETE FROM job_brokerage WHERE panda_id = ANY(ARRAY(
    SELECT panda_id FROM job_brokerage
    WHERE decision_id < (SELECT min(decision_id) FROM brokerage_decisions) ORDER BY decision_id LIMIT %(batch)s
)) AND decision_id < (SELECT min(decision_id) FROM brokerage_decisions)
"""
# whole, once an hour: some hundred queues have a row for each hour
_FORGET_CONTACTS = """
DELETE FROM queue_contact_hours WHERE (queue_name, hour) IN (
    SELECT queue_name, hour FROM queue_contact_hours
    WHERE hour < clock_timestamp() - make_interval(days => %(days)s) LIMIT %(batch)s
)
"""


def forget_old_records(database: Database, settings: RetentionSettings, batch: int = BATCH) -> int:
    """One batch of everything that is too old; how many rows went: 0 when nothing is left."""
    gone = database.execute(_FORGET_TARGETS, {"batch": batch, "days": settings.deeds_days})
    gone += sum(
        # names and conditions come from the table above, never from input
        database.execute(
            _FORGET.format(table=rule.table, key=rule.key, condition=rule.condition),
            {"days": rule.days(settings), "batch": batch},
        )
        for rule in RULES
    )
    gone += database.execute(_FORGET_WHICH, {"batch": batch})
    return gone + database.execute(_FORGET_CONTACTS, {"days": settings.contacts_days, "batch": batch})
