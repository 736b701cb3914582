"""The priority massage lifts those who have less than others, here and everywhere, and nobody else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.accounts.limits import Account
from core.accounts.massage import Lift, Use, lifts
from core.agents.massage import PriorityMassage
from core.database import Database
from core.workload_settings import AccountSettings
from tests.support.builders import activate, live, make_queue, start

ALICE, BOB, CAROL = (Account("user", name) for name in ("alice", "bob", "carol"))


def test_below_both_means_is_lifted_by_the_distance_over_the_factor():
    uses = [Use(ALICE, "Q", 100, 50), Use(BOB, "Q", 10, 50), Use(BOB, "R", 30, 20), Use(CAROL, "R", 4, 7)]
    mean = (100 + 40 + 4) / 3
    assert lifts(uses, 3) == [Lift(BOB, "Q", int((mean - 40) / 3), 40, mean), Lift(CAROL, "R", 7, 4, mean)]


def test_whoever_has_nothing_waiting_or_is_above_one_mean_is_left_alone():
    above_here = [Use(ALICE, "Q", 1, 5), Use(BOB, "Q", 0, 0), Use(CAROL, "R", 90, 5)]
    assert lifts(above_here, 3) == []
    assert lifts([Use(ALICE, "Q", 0, 9)], 3) == []
    assert lifts([], 3) == []


USES = st.lists(
    st.builds(
        Use,
        st.sampled_from([ALICE, BOB, CAROL]),
        st.sampled_from(["Q", "R", "S"]),
        st.integers(0, 1000),
        st.integers(0, 1000),
    ),
    unique_by=lambda use: (use.account, use.queue),
)


@given(USES, st.floats(0.5, 10))
def test_whoever_has_most_is_never_lifted(uses, factor):
    served = {use.account: sum(other.served for other in uses if other.account == use.account) for use in uses}
    for lift in lifts(uses, factor):
        assert served[lift.account] < max(served.values())
        assert 1 <= lift.count <= next(u.waiting for u in uses if (u.account, u.queue) == (lift.account, lift.queue))


@pytest.fixture
def site(shared_database: Database):
    make_queue(shared_database)
    yield shared_database
    shared_database.execute("DELETE FROM jobs_live")


def test_the_best_jobs_get_a_thousand_and_one_less_for_every_five(site):
    start(site, 60, user="alice")
    crowd = activate(site, 3, user="alice", current_priority=100)
    jobs = activate(site, 12, user="bob", current_priority=100)
    urgent = activate(site, 1, user="bob", current_priority=1200)
    PriorityMassage(site, AccountSettings(massage_factor=3), 1).cycle()
    # mean 30, own 0: ten jobs, of which the urgent one is the best and needs no lift
    assert live(site, urgent[0])["current_priority"] == 1200
    priorities = [live(site, panda_id)["current_priority"] for panda_id in jobs]
    assert priorities == [1000] * 4 + [999] * 5 + [99, 98, 98]
    assert [live(site, panda_id)["current_priority"] for panda_id in crowd] == [88] * 3
