"""Limits at exactly their value, of users and groups together; use of 200 jobs as a person adds it up."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.accounts.admission import check_submission
from core.accounts.limits import Account, set_limits
from core.accounts.usage import USAGE_CURSOR, account_usage
from core.database import Database
from core.errors import InvalidInput, NotAllowed
from core.taskbuffer.user_caps import Holder
from tests.core.accounts.test_priorities import Wish, priorities, use
from tests.support.builders import activate, make_queue, start, status_of, submit
from tests.support.today import now_within_a_day

ALICE, HIGGS = Account("user", "alice"), Account("group", "higgs")


@pytest.fixture
def site(shared_database: Database):
    make_queue(shared_database)
    yield shared_database
    for table in ("jobs_live", "account_limits", "account_holds", "usage_days", "agent_runs"):
        shared_database.execute(f"DELETE FROM {table}")


@pytest.fixture
def now() -> datetime:
    return now_within_a_day()


def decide(database: Database, account: Account, now: datetime, **limits: object) -> None:
    set_limits(database, account, limits, who="op", now=now)


def statuses(database: Database, panda_ids: list[int]) -> list[str]:
    return [status_of(database, panda_id) for panda_id in panda_ids]


def test_the_first_sixth_and_five_thousandth_job_have_the_priorities_of_the_formula(site):
    got = priorities(site, *[Wish()] * 5010)
    assert [got[number - 1] for number in (1, 5, 6, 5000, 5001, 5010)] == [1000, 1000, 999, 1, 0, 0]


def test_caps_of_a_user_and_of_a_group_are_apart_though_the_person_is_one(site, now):
    decide(site, ALICE, now, max_running_jobs=2)
    decide(site, HIGGS, now, max_running_jobs=3)
    start(site, 2)
    start(site, 2, working_group="higgs")
    own, of_group = activate(site, 3), activate(site, 3, working_group="higgs")
    Holder(site, 0.9).round(now)
    assert statuses(site, own) == ["throttled"] * 3
    assert statuses(site, of_group) == ["activated"] * 3
    start(site, 1, user="bob", working_group="higgs")
    Holder(site, 0.9).round(now)
    assert set(statuses(site, of_group)) <= {"throttled", "running", "sent", "starting"}
    assert "activated" not in statuses(site, of_group)


def test_what_waits_is_held_by_a_ban_and_goes_on_when_it_is_lifted(site, now):
    waiting, others = activate(site, 4), activate(site, 1, user="bob")
    decide(site, ALICE, now, banned_until=now + timedelta(hours=1), reason="too many logs")
    Holder(site, 0.9).round(now)
    assert statuses(site, waiting + others) == ["throttled"] * 4 + ["activated"]
    with site.transaction() as transaction, pytest.raises(NotAllowed, match="too many logs"):
        check_submission(transaction, user_name="alice", working_group="higgs", label="user", now=now)
    decide(site, ALICE, now, banned_until=None)
    Holder(site, 0.9).round(now)
    assert statuses(site, waiting) == ["activated"] * 4


@pytest.mark.parametrize(("hours", "is_beyond"), [(9.999, False), (10, True)])
def test_a_quota_is_used_up_at_exactly_its_value_in_every_mode(site, now, hours, is_beyond):
    decide(site, ALICE, now, cpu_hours_1d=10, quota_mode="hold")
    use(site, now, hours=hours)
    waiting = activate(site, 1)
    Holder(site, 0.9).round(now)
    assert statuses(site, waiting) == ["throttled" if is_beyond else "activated"]
    decide(site, ALICE, now, quota_mode="reject")
    with site.transaction() as transaction:
        if is_beyond:
            with pytest.raises(NotAllowed, match=r"used 10\.0 of 10 CPU hours in 1 day"):
                check_submission(transaction, user_name="alice", working_group="", label="user", now=now)
        else:
            check_submission(transaction, user_name="alice", working_group="", label="user", now=now)
    decide(site, ALICE, now, quota_mode="lower")
    site.execute("DELETE FROM jobs_live")
    assert priorities(site, Wish(), now=now) == [900 if is_beyond else 901]


def test_a_boost_ends_at_its_instant_and_is_not_renewed_without_a_new_end(site, now):
    end = now + timedelta(hours=1)
    decide(site, ALICE, now, boost_priority=3000, boost_until=end, reason="conference")
    submit(site, 10)
    assert priorities(site, Wish(), now=end - timedelta(microseconds=1)) == [3000]
    assert priorities(site, Wish(), now=end) == [998]
    later = end + timedelta(days=1)
    with pytest.raises(InvalidInput) as refused:
        decide(site, ALICE, later, boost_priority=4000)
    assert refused.value.field == "boost_until" and "is over" in refused.value.detail
    # what has ended hinders no other decision
    decide(site, ALICE, later, max_running_jobs=5)
    decide(site, ALICE, later, boost_priority=4000, boost_until=later + timedelta(hours=1), reason="again")
    assert priorities(site, Wish(), now=later) == [4000]


_POWERS = {"P8": 8.0, "P12": 12.5, "PLAIN": 10.0}
_ENDED = st.tuples(
    st.sampled_from(("alice", "bob", "carol")),
    st.sampled_from(("", "higgs")),
    st.sampled_from(tuple(_POWERS)),
    st.sampled_from(("finished", "failed", "cancelled", "closed")),
    st.sampled_from((1, 8, 64)),
    st.integers(0, 200_000),
    st.integers(0, 100_000),
    st.integers(0, 2),
)
_PUT = """
INSERT INTO jobs_archive (panda_id, job_status, computing_site, prod_user_name, working_group, prod_source_label, core_count,
                          start_time, end_time, state_change_time, modification_time, creation_time, cpu_consumption_time_s)
SELECT nextval('panda_id_seq'), %(status)s, %(queue)s, %(user)s, %(group)s, 'user', %(cores)s,
       t.at - make_interval(secs => %(wall)s), t.at, t.at, t.at, t.at, %(cpu)s
FROM (SELECT %(at)s::timestamptz AS at) t
"""
_FIGURES = (
    *("jobs_finished", "jobs_failed", "jobs_cancelled", "wall_core_s", "cpu_s", "power_s"),
    *("failed_wall_core_s", "failed_power_s"),
)


def _by_hand(jobs: list[tuple], today: date) -> dict[tuple, list[float]]:
    sums: dict[tuple, list[float]] = defaultdict(lambda: [0.0] * len(_FIGURES))
    for user, group, queue, status, cores, wall, cpu, days_ago in jobs:
        core_s = wall * cores
        power_s = core_s * _POWERS[queue]
        is_failed = status == "failed"
        row = sums[(today - timedelta(days=days_ago), user, group, queue)]
        counts = (status == "finished", is_failed, status in ("cancelled", "closed"))
        figures = (*counts, core_s, cpu, power_s, core_s * is_failed, power_s * is_failed)
        for place, figure in enumerate(figures):
            row[place] += figure
    return dict(sums)


@settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(jobs=st.lists(_ENDED, min_size=200, max_size=200))
def test_the_use_of_two_hundred_jobs_is_what_a_person_adds_up(shared_database, jobs):
    for table in ("jobs_archive", "usage_days", "agent_runs"):
        shared_database.execute(f"DELETE FROM {table}")
    for queue, power in _POWERS.items():
        make_queue(shared_database, queue, parameters={} if queue == "PLAIN" else {"corepower": power})
    today = datetime.now(UTC).date() - timedelta(days=1)
    noon = datetime(today.year, today.month, today.day, 12, tzinfo=UTC)
    with shared_database.transaction() as transaction:
        for user, group, queue, status, cores, wall, cpu, days_ago in jobs:
            values = {"user": user, "group": group, "queue": queue, "status": status, "cores": cores, "wall": wall}
            transaction.execute(_PUT, {**values, "cpu": cpu, "at": noon - timedelta(days=days_ago)})
    while account_usage(shared_database):
        pass
    rows = shared_database.fetch("SELECT * FROM usage_days")
    found = {
        (r["day"], r["user_name"], r["working_group"], r["computing_site"]): [r[name] for name in _FIGURES]
        for r in rows
    }
    expected = _by_hand(jobs, today)
    assert set(found) == set(expected)
    for key, figures in expected.items():
        assert found[key] == pytest.approx(figures), key
    account_usage(shared_database)
    cursor = shared_database.fetch_one("SELECT cursor FROM agent_runs WHERE name = %(name)s", {"name": USAGE_CURSOR})
    assert cursor is not None and cursor["cursor"]
    assert len(shared_database.fetch("SELECT 1 FROM usage_days")) == len(rows)
