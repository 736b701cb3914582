"""Partitions are there before the first row of a month needs one, and nothing is ever refused for want of one."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from core.agents.partitions import PartitionKeeper
from core.clock import utc_now
from core.database import Database
from core.errors import Unavailable
from core.states import JobStatus
from core.taskbuffer.endings import Ending, end_jobs
from core.taskbuffer.transitions import advance_jobs
from tests.support.builders import activate, archived, make_queue, status_of, submit
from tests.support.races import waiting


def partitions(database: Database, table: str) -> set[str]:
    rows = database.fetch(
        """SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
           JOIN pg_class p ON p.oid = i.inhparent WHERE p.relname = %(table)s""",
        {"table": table},
    )
    return {row["relname"] for row in rows}


def keep(database: Database, *at: int) -> int:
    return PartitionKeeper(database, lambda: datetime(*at, tzinfo=UTC), 1).cycle()


def test_this_month_and_the_three_that_follow(database):
    assert keep(database, 2026, 11, 30, 23, 59) == 0
    expected = {"default", "2026_11", "2026_12", "2027_01", "2027_02"}
    for table in ("jobs_archive", "job_history"):
        assert partitions(database, table) == {f"{table}_{name}" for name in expected}


def test_again_makes_nothing_new_and_the_next_month_makes_one(database):
    for month in (1, 1, 2):
        keep(database, 2027, month, 15)
    assert len(partitions(database, "jobs_archive")) == 6


def test_rows_go_into_the_partition_of_their_month(database):
    make_queue(database)
    PartitionKeeper(database, utc_now, 1).cycle()
    [panda_id] = submit(database)
    with database.transaction() as transaction:
        end_jobs(transaction, [Ending(panda_id, JobStatus.FAILED, "r")])
    name = f"jobs_archive_{utc_now():%Y_%m}"
    assert len(database.fetch(f"SELECT 1 FROM {name}")) == 1
    assert database.fetch("SELECT 1 FROM jobs_archive_default") == []
    assert archived(database, panda_id) is not None


def test_a_month_that_has_begun_without_its_partition_goes_on_without(database):
    make_queue(database)
    [panda_id] = submit(database)
    with database.transaction() as transaction:
        end_jobs(transaction, [Ending(panda_id, JobStatus.FAILED, "r")])
    PartitionKeeper(database, utc_now, 1).cycle()
    assert f"jobs_archive_{utc_now():%Y_%m}" not in partitions(database, "jobs_archive")
    assert len(partitions(database, "jobs_archive")) == 4
    assert archived(database, panda_id) is not None


def test_a_job_that_ends_while_partitions_are_made_neither_waits_for_ever_nor_is_refused(database):
    make_queue(database)
    [panda_id] = activate(database)
    database.execute("DELETE FROM job_history")
    keeper = PartitionKeeper(database, utc_now, 1)
    with database.transaction() as transaction:
        advance_jobs(transaction, [panda_id], JobStatus.THROTTLED, reason="written into the history")
        # the keeper has the archive by now, or waits for the history that this transaction writes
        with waiting(database, keeper.cycle, "LOCK TABLE|PARTITION OF"):
            end_jobs(transaction, [Ending(panda_id, JobStatus.FAILED, "r")])
            transaction.execute("COMMIT")
    assert status_of(database, panda_id) == "failed"
    assert len(database.fetch("SELECT 1 FROM jobs_archive")) == 1
    assert len(partitions(database, "jobs_archive")) == 5


def test_a_row_that_is_on_its_way_while_its_month_is_made_is_waited_for(database):
    make_queue(database)
    [panda_id] = activate(database)
    database.execute("DELETE FROM job_history")
    with database.transaction() as transaction:
        advance_jobs(transaction, [panda_id], JobStatus.THROTTLED, reason="on its way")
        with waiting(database, PartitionKeeper(database, utc_now, 1).cycle, "LOCK TABLE|PARTITION OF"):
            transaction.execute("COMMIT")
    assert len(database.fetch("SELECT 1 FROM job_history_default")) == 1
    assert f"job_history_{utc_now():%Y_%m}" not in partitions(database, "job_history")


def test_a_partition_that_is_attached_under_a_row_is_a_matter_of_trying_again(database):
    """As an administrator may do who brings a month back: ATTACH PARTITION holds up nobody who writes."""
    make_queue(database)
    [panda_id] = activate(database)
    database.execute("DELETE FROM job_history")

    def end() -> None:
        with database.transaction() as transaction:
            end_jobs(transaction, [Ending(panda_id, JobStatus.FAILED, "r")])

    with database.transaction() as by_hand:
        by_hand.execute("CREATE TABLE brought_back (LIKE jobs_archive INCLUDING ALL)")
        by_hand.execute(
            "ALTER TABLE jobs_archive ATTACH PARTITION brought_back FOR VALUES FROM ('2000-01-01') TO ('2100-01-01')"
        )
        with pytest.raises(Unavailable, match="a partition was made meanwhile"), waiting(database, end, "jobs_live"):
            by_hand.execute("COMMIT")
    assert status_of(database, panda_id) == "activated", "refused, and nothing was changed"
    end()
    assert len(database.fetch("SELECT 1 FROM brought_back")) == 1
