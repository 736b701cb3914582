"""Records of decisions are kept for their time and no longer, and go in batches that an index finds."""

from __future__ import annotations

import pytest

from core.agents.partitions import PartitionKeeper
from core.clock import utc_now
from core.database import Database
from core.retention import RULES, forget_old_records
from core.workload_settings import RetentionSettings

SETTINGS = RetentionSettings(brokerage_days=10, retries_days=20, notices_days=30, contacts_days=40, deeds_days=50)
_ADD = {
    "brokerage_decisions": "(jedi_task_id, time) VALUES (1, {time})",
    "retry_log": "(panda_id, time) VALUES (1, {time})",
    "deeds": "(action, state, time) VALUES ('kill', 'done', {time})",
    "task_notices": "(jedi_task_id, state, time) VALUES (1, 'sent', {time})",
    "queue_contact_hours": "(queue_name, hour) VALUES ('Q', {time})",
}
_DAYS = {rule.table: rule.days(SETTINGS) for rule in RULES} | {"queue_contact_hours": 40}


def add(database: Database, table: str, *, hours: int) -> None:
    time = f"clock_timestamp() - interval '{hours} h'"
    database.execute(f"INSERT INTO {table} " + _ADD[table].format(time=time))


def count(database: Database, table: str) -> int:
    return len(database.fetch(f"SELECT 1 FROM {table}"))


def test_every_rule_is_tried_here():
    assert _ADD.keys() == _DAYS.keys()


@pytest.mark.parametrize("table", sorted(_ADD))
def test_what_is_too_old_goes_and_the_rest_stays(database, table):
    for hours in (_DAYS[table] * 24 + 1, _DAYS[table] * 24 - 1):
        add(database, table, hours=hours)
    keeper = PartitionKeeper(database, utc_now, 1, SETTINGS)
    assert (keeper.cycle(), keeper.cycle()) == (1, 0)
    assert count(database, table) == 1


def test_a_batch_at_a_time_until_nothing_is_too_old(database):
    for _ in range(7):
        add(database, "brokerage_decisions", hours=300)
    gone = [forget_old_records(database, SETTINGS, batch=3) for _ in range(4)]
    assert gone == [3, 3, 1, 0]


def test_jobs_lose_what_they_went_through_with_its_decision(database):
    for hours in (300, 300, 1):
        add(database, "brokerage_decisions", hours=hours)
    decisions = [row["decision_id"] for row in database.fetch("SELECT decision_id FROM brokerage_decisions ORDER BY 1")]
    for panda_id, decision in enumerate([*decisions, decisions[2]], start=1):
        database.execute(
            "INSERT INTO job_brokerage (panda_id, decision_id) VALUES (%(job)s, %(decision)s)",
            {"job": panda_id, "decision": decision},
        )
    while forget_old_records(database, SETTINGS, batch=1):
        pass
    assert [row["panda_id"] for row in database.fetch("SELECT panda_id FROM job_brokerage ORDER BY 1")] == [3, 4]


@pytest.mark.parametrize("state", ["waiting", "sending"])
def test_a_letter_that_is_still_to_go_out_is_not_forgotten(database, state):
    add(database, "task_notices", hours=10_000)
    database.execute("UPDATE task_notices SET state = %(state)s", {"state": state})
    assert forget_old_records(database, SETTINGS) == 0


def test_a_deed_is_kept_until_its_rule_has_counted_it(database):
    add(database, "retry_log", hours=10_000)
    database.execute("UPDATE retry_log SET rule_id = 1")
    assert forget_old_records(database, SETTINGS) == 0
    database.execute("UPDATE retry_log SET is_counted = true")
    assert forget_old_records(database, SETTINGS) == 1


def test_deeds_go_with_their_targets_a_batch_at_a_time(database):
    for hours in (2000, 2000, 1):
        add(database, "deeds", hours=hours)
    database.execute(
        "INSERT INTO deed_targets (deed_id, target) SELECT deed_id, g::text FROM deeds, generate_series(1, 4) g"
    )
    gone = [forget_old_records(database, SETTINGS, batch=3) for _ in range(5)]
    assert gone[-1] == 0 and max(gone) <= 6 and sum(gone) == 10
    assert (count(database, "deeds"), count(database, "deed_targets")) == (1, 4)


@pytest.mark.parametrize("column", ["state = 'executing'", "revert_state = 'waiting'"])
def test_what_a_deed_has_still_to_do_is_not_forgotten(database, column):
    add(database, "deeds", hours=10_000)
    database.execute(
        f"INSERT INTO deed_targets (deed_id, target) SELECT deed_id, '1' FROM deeds; UPDATE deeds SET {column}"
    )
    assert forget_old_records(database, SETTINGS) == 0
    assert count(database, "deed_targets") == 1


def test_the_oldest_are_found_without_reading_the_others(database):
    from core.retention import _FORGET, _FORGET_WHICH

    database.execute("INSERT INTO brokerage_decisions (jedi_task_id) SELECT 1 FROM generate_series(1, 20000)")
    database.execute(
        "INSERT INTO job_brokerage (panda_id, decision_id) SELECT decision_id, decision_id FROM brokerage_decisions"
    )
    database.execute("ANALYZE brokerage_decisions, job_brokerage")
    values = {"days": 1, "batch": 100}
    [rule] = [rule for rule in RULES if rule.table == "brokerage_decisions"]
    statement = _FORGET.format(table=rule.table, key=rule.key, condition=rule.condition)
    for text, index in ((statement, "brokerage_decisions_pkey"), (_FORGET_WHICH, "ix_job_brokerage_decision")):
        plan = "\n".join(row["QUERY PLAN"] for row in database.fetch("EXPLAIN " + text, values))
        assert index in plan and "Seq Scan" not in plan, plan
