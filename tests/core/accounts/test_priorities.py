"""The more jobs an account has live, the later its next ones come; what was given on purpose stays."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.accounts.limits import Account, publish_settings, set_limits
from core.accounts.priorities import MOST_COUNTED, priorities_of
from core.database import Database
from core.workload_settings import AccountSettings
from tests.support.builders import acquire, live, make_queue, new_job, submit

NOW = datetime(2026, 5, 5, 12, tzinfo=UTC)


@dataclass
class Wish:
    """What the rule looks at."""

    prod_user_name: str = "alice"
    current_priority: int = 1000
    prod_source_label: str = "user"
    working_group: str = ""
    special_handling: str = ""


def priorities(database: Database, *wishes: Wish, now: datetime | None = None) -> list[int]:
    with database.transaction() as transaction:
        return priorities_of(transaction, list(wishes), now)


@pytest.fixture
def site(shared_database: Database):
    make_queue(shared_database)
    yield shared_database
    for table in ("jobs_live", "account_limits", "usage_days"):
        shared_database.execute(f"DELETE FROM {table}")


def test_priority_falls_by_one_for_five_jobs_of_the_same_user(site):
    assert priorities(site, *[Wish()] * 12) == [1000] * 5 + [999] * 5 + [998] * 2
    panda_ids = submit(site, 7)
    assert [live(site, panda_id)["current_priority"] for panda_id in panda_ids] == [1000] * 5 + [999] * 2
    assert priorities(site, *[Wish()] * 4) == [999, 999, 999, 998]
    assert priorities(site, Wish("bob")) == [1000]


def test_users_in_one_insertion_are_counted_apart(site):
    mixed = [Wish("alice"), Wish("bob")] * 6
    assert priorities(site, *mixed) == [1000] * 10 + [999, 999]


def test_a_working_group_counts_instead_of_its_members(site):
    submit(site, 6, user="alice", working_group="higgs")
    submit(site, 6, user="bob", working_group="higgs")
    assert priorities(site, Wish("carol", working_group="higgs"), Wish("alice")) == [998, 999]


def test_what_was_given_on_purpose_stays(site):
    submit(site, 50)
    kept = [
        Wish(current_priority=5000),
        Wish(current_priority=2000),
        Wish(current_priority=1001, special_handling="debug,scout"),
        Wish(current_priority=500, prod_source_label="managed"),
    ]
    assert priorities(site, *kept) == [5000, 2000, 1001, 500]
    assert priorities(site, Wish(current_priority=1100), Wish(current_priority=-3)) == [1090, -13]


def test_jobs_beyond_those_that_are_counted_all_wait_alike(site):
    wishes = [Wish()] * (MOST_COUNTED + 20)
    assert priorities(site, *wishes)[-20:] == [1000 - MOST_COUNTED // 5] * 20


def test_a_boost_is_a_fixed_priority_until_its_end(site):
    boost = {"boost_priority": 1500, "boost_until": NOW + timedelta(days=1), "reason": "conference"}
    set_limits(site, Account("user", "alice"), boost, who="op", now=NOW)
    submit(site, 30)
    assert priorities(site, Wish(), Wish("bob"), now=NOW) == [1500, 1000]
    assert priorities(site, Wish(), now=NOW + timedelta(days=2)) == [994]


def test_the_step_is_a_setting_and_an_accounts_own(site):
    publish_settings(site, AccountSettings(jobs_per_priority_point=2))
    set_limits(site, Account("group", "calib"), {"jobs_per_priority_point": 0}, who="op", now=NOW)
    assert priorities(site, *[Wish()] * 4) == [1000, 1000, 999, 999]
    assert priorities(site, *[Wish(working_group="calib")] * 400) == [1000] * 400


@pytest.mark.parametrize(("mode", "expected"), [("lower", 850), ("hold", 1000), ("reject", 1000), ("", 850)])
def test_a_used_quota_lowers_by_a_hundred_for_each_time_it_was_used(site, mode, expected):
    use(site, NOW, hours=15)
    set_limits(site, Account("user", "alice"), {"cpu_hours_1d": 10, "quota_mode": mode}, who="op", now=NOW)
    assert priorities(site, Wish(), Wish("bob"), now=NOW) == [expected, 1000]
    assert priorities(site, Wish(), now=NOW + timedelta(days=1)) == [1000]


def use(database: Database, when: datetime, *, hours: float, user: str = "alice", group: str = "") -> None:
    database.execute(
        """INSERT INTO usage_days (day, user_name, working_group, computing_site, prod_source_label, cpu_s)
           VALUES (%(day)s, %(user)s, %(group)s, 'Q', 'user', %(s)s)""",
        {"day": when.date(), "user": user, "group": group, "s": hours * 3600},
    )


def test_one_statement_counts_however_many_jobs_and_reads_no_more_than_it_must(site):
    site.execute(
        """INSERT INTO jobs_live (panda_id, prod_user_name, computing_site)
           SELECT 10000000 + n, 'mass', 'Q' FROM generate_series(1, 20000) n"""
    )
    from core.accounts.priorities import _COUNT

    plan = site.fetch(
        "EXPLAIN (ANALYZE, TIMING OFF, COSTS OFF) " + _COUNT,
        {"kinds": ["user"], "names": ["mass"], "most": MOST_COUNTED, "labels": ["user", "panda"]},
    )
    text = "\n".join(row["QUERY PLAN"] for row in plan)
    assert "ix_jobs_live_user" in text and "Seq Scan" not in text
    assert "rows=20000" not in text


@given(
    batches=st.lists(st.integers(0, 30), min_size=1, max_size=6),
    step=st.integers(0, 9),
    given_to=st.integers(-50, 1100),
)
def test_a_users_later_job_never_comes_before_an_earlier_one(shared_database, batches, step, given_to):
    database = shared_database
    database.execute("DELETE FROM jobs_live")
    set_limits(database, Account("user", "zoe"), {"jobs_per_priority_point": step}, who="op", now=NOW)
    got: list[int] = []
    for size in batches:
        got += priorities(database, *[Wish("zoe", given_to)] * size)
        database.execute(
            """INSERT INTO jobs_live (panda_id, prod_user_name)
               SELECT nextval('panda_id_seq'), 'zoe' FROM generate_series(1, %(n)s)""",
            {"n": size},
        )
    assert got == sorted(got, reverse=True)
    assert all(priority <= given_to for priority in got)
    if step:
        assert got == [given_to - number // step for number in range(len(got))]


def test_ten_jobs_behind_ten_thousand_are_among_the_first(site):
    site.execute("DELETE FROM account_limits")
    for _ in range(2):
        submit_all(site, "crowd", 5000)
    submit_all(site, "small", 10)
    site.execute("UPDATE jobs_live SET job_status = 'activated' WHERE job_status = 'defined'")
    order = [entry.job["prod_user_name"] for entry in acquire(site, job_count=100)]
    assert order.count("small") == 10
    assert max(position for position, name in enumerate(order) if name == "small") < 20


def submit_all(database: Database, user: str, count: int) -> None:
    from core.taskbuffer.submission import insert_jobs

    with database.transaction() as transaction:
        insert_jobs(transaction, [new_job(user=user) for _ in range(count)])
