"""The ranking that a process keeps: read once in a while, by one thread, and corrected by what was given."""

from __future__ import annotations

from core.shares.ranking import Ranking
from core.shares.usage import refresh
from tests.core.shares.conftest import flat, plant, put_jobs


class _Time:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_order_is_kept_for_its_time_and_read_again_after(site):
    plant(site, *flat(["a", "b"]))
    time = _Time()
    ranking = Ranking(refresh_s=10, clock=time)
    assert ranking.order_at(site, "Q").leaves == ["a", "b", ""]
    put_jobs(site, "a", status="running")
    put_jobs(site, "b")
    refresh(site)
    time.now = 9.9
    assert ranking.order_at(site, "Q").leaves == ["a", "b", ""]
    time.now = 10.0
    assert ranking.order_at(site, "Q").leaves == ["b", "a", ""]


def test_a_changed_tree_counts_at_once_where_it_was_forgotten(site):
    ranking = Ranking(refresh_s=3600)
    assert ranking.order_at(site, "Q").leaves == [""]
    plant(site, *flat(["a"]))
    assert ranking.order_at(site, "Q").leaves == [""]
    ranking.forget()
    assert ranking.order_at(site, "Q").leaves == ["a", ""]


def test_shares_in_use_that_are_in_no_tree_come_last_the_least_used_first(site):
    plant(site, *flat(["a"]))
    put_jobs(site, "heavy", 3, status="running")
    put_jobs(site, "light", status="running")
    refresh(site)
    assert Ranking().order_at(site, "Q").leaves == ["a", "", "light", "heavy"]


def test_jobs_that_were_given_count_with_the_power_of_their_queue(site):
    site.execute("""UPDATE queues SET parameters = '{"corepower": 20}'""")
    plant(site, *flat(["a", "b"]))
    put_jobs(site, "a", 39, status="running")
    put_jobs(site, "b", 20, status="running")
    for name in ("a", "b"):
        put_jobs(site, name, 100)
    refresh(site)
    ranking = Ranking(refresh_s=3600)
    assert ranking.order_at(site, "Q").leaves[0] == "b"
    ranking.note_given("Q", [("b", 1)] * 20)
    assert ranking.order_at(site, "Q").leaves[0] == "a"
