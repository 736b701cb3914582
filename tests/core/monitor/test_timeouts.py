"""How many jobs are past half of a limit is counted once for everybody who reads."""

from __future__ import annotations

import threading

import pytest

from core.configuration import Timeouts
from core.database import Database
from core.monitor.timeouts import OldJobs
from core.taskbuffer.timeouts import RULES
from tests.support.system import eventually

RULE = "throttled too long"


class HeldClock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def add_old_jobs(database: Database, count: int) -> None:
    database.execute(
        """INSERT INTO jobs_live (panda_id, job_status, state_change_time)
           SELECT nextval('panda_id_seq'), 'throttled', clock_timestamp() - interval '4 days'
           FROM generate_series(1, %(count)s)""",
        {"count": count},
    )


def test_a_count_is_kept_for_ten_seconds_and_then_made_anew(database):
    clock = HeldClock()
    old_jobs = OldJobs(Timeouts(), clock=clock)
    add_old_jobs(database, 2)
    assert old_jobs.counts(database) == {rule.name: 2 if rule.name == RULE else 0 for rule in RULES}
    add_old_jobs(database, 3)
    clock.now += 9.9
    assert old_jobs.counts(database)[RULE] == 2
    clock.now += 0.2
    assert old_jobs.counts(database)[RULE] == 5


def test_while_one_counts_the_others_are_told_the_last_count(database):
    clock = HeldClock()
    old_jobs = OldJobs(Timeouts(), clock=clock)
    add_old_jobs(database, 1)
    assert old_jobs.counts(database)[RULE] == 1
    add_old_jobs(database, 1)
    clock.now += 20
    found: list[int] = []
    counter = threading.Thread(target=lambda: found.append(old_jobs.counts(database)[RULE]))
    with database.transaction() as transaction:
        transaction.execute("LOCK TABLE jobs_live IN ACCESS EXCLUSIVE MODE")
        counter.start()
        waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'jobs_live'::regclass"
        eventually(lambda: database.fetch(waiting), what="somebody counts")
        assert old_jobs.counts(database)[RULE] == 1
    counter.join(30)
    assert found == [2]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_limit_is_a_setting(rule):
    assert rule.limit in Timeouts.model_fields and rule.limit_s(Timeouts()) > 0
