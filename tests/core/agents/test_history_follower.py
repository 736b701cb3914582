"""The follower of the history: every committed row once, in whatever order the transactions commit."""

from __future__ import annotations

import psycopg2
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from sqlalchemy import make_url

from core.agents.history_follower import HistoryFollower, newest_history_id
from core.database import Database


def connect(url: str):
    return psycopg2.connect(make_url(url).set(drivername="postgresql").render_as_string(hide_password=False))


def write(connection) -> int:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO job_history (panda_id, job_status) VALUES (1, 'running') RETURNING history_id")
        return cursor.fetchone()[0]


def test_a_row_that_commits_after_a_later_one_is_not_lost(database, database_url):
    slow, fast = connect(database_url), connect(database_url)
    follower = HistoryFollower(database, newest_history_id(database))
    first = write(slow)
    second = write(fast)
    fast.commit()
    assert [row["history_id"] for row in follower.read()] == [second]
    assert follower.read() == [] and follower.safe_id == first - 1
    slow.commit()
    assert [row["history_id"] for row in follower.read()] == [first]
    assert follower.safe_id == second
    slow.close()
    fast.close()


def test_ids_that_were_rolled_back_are_given_up(database, database_url):
    connection = connect(database_url)
    follower = HistoryFollower(database, 0)
    write(connection)
    connection.rollback()
    last = write(connection)
    connection.commit()
    for _ in range(4):
        follower.read()
    assert follower.safe_id == last
    connection.close()


class Writers(RuleBasedStateMachine):
    """Three writers that insert, commit and roll back as they like, and a reader in between."""

    url = ""

    def __init__(self):
        super().__init__()
        self.door = Database(self.url)
        self.follower = HistoryFollower(self.door, newest_history_id(self.door))
        self.connections = [connect(self.url) for _ in range(3)]
        self.open: list[list[int]] = [[], [], []]
        self.committed: list[int] = []
        self.seen: list[int] = []

    @rule(who=some.integers(0, 2))
    def insert(self, who):
        self.open[who].append(write(self.connections[who]))

    @rule(who=some.integers(0, 2))
    def commit(self, who):
        self.connections[who].commit()
        self.committed += self.open[who]
        self.open[who] = []

    @rule(who=some.integers(0, 2))
    def roll_back(self, who):
        self.connections[who].rollback()
        self.open[who] = []

    @rule()
    def read(self):
        self.seen += [row["history_id"] for row in self.follower.read()]
        assert sorted(self.seen) == sorted(self.committed)

    def teardown(self):
        for connection in self.connections:
            connection.close()
        self.door.close()


def test_every_committed_row_is_handed_out_exactly_once(database_url):
    Writers.url = database_url
    quiet = settings(max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(Writers, settings=quiet)


@pytest.mark.parametrize("position", ["before", "after"])
def test_a_restart_begins_where_nothing_is_lost(database, database_url, position):
    slow, fast = connect(database_url), connect(database_url)
    follower = HistoryFollower(database, 0)
    first, _ = write(slow), write(fast)
    fast.commit()
    follower.read()
    if position == "before":
        slow.commit()
    successor = HistoryFollower(database, follower.safe_id)
    if position == "after":
        successor.read()
        slow.commit()
    assert first in [row["history_id"] for row in successor.read()]
    slow.close()
    fast.close()
