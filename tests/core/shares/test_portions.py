"""Several jobs asked for at once are divided among the shares as if they were asked for one by one."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from core.dispatch.acquire import SlotOffer, acquire_jobs
from core.shares.portions import portions
from core.shares.ranking import Ranking
from core.shares.tree import Load, ShareNode, ShareTree
from core.shares.usage import refresh
from tests.core.shares.conftest import flat, plant, put_jobs, strict
from tests.support.builders import make_queue

# domain.md 6.1: production (MC and groups, half each) and analysis
TREE = ShareTree(
    [
        ShareNode("Production", value=4, position=1),
        ShareNode("Analysis", value=1, position=2),
        ShareNode("MC", "Production", 30, 3),
        ShareNode("Groups", "Production", 30, 4),
    ]
)
EVEN = {"MC": Load(400, 1e6), "Groups": Load(400, 1e6), "Analysis": Load(200, 1e6)}
"""Everybody has exactly what is due."""
MANY = {"MC": 100, "Groups": 100, "Analysis": 100}


def divided(loads, available, count, power=10.0, **more):
    return portions(TREE, TREE.standings(loads, 1.0), available, count, power, **more)


def test_who_has_its_due_gets_its_part_of_the_request():
    assert divided(EVEN, MANY, 10) == {"MC": 4, "Groups": 4, "Analysis": 2}


def test_who_is_behind_gets_all_until_it_has_caught_up():
    behind = EVEN | {"Analysis": Load(100, 1e6)}
    # due 180 of 900; the others have 400 of 360: with 200 it is where they are, ten jobs of 10 later
    assert divided(behind, MANY, 10) == {"Analysis": 10}
    assert divided(behind, MANY, 20) == {"Analysis": 12, "MC": 4, "Groups": 4}


def test_what_a_share_lacks_here_goes_to_its_sibling_first():
    assert divided(EVEN, {"MC": 0, "Groups": 100, "Analysis": 100}, 10) == {"Groups": 8, "Analysis": 2}
    assert divided(EVEN, {"Analysis": 3, "stranger": 9}, 10) == {"Analysis": 3}
    assert divided(EVEN, {}, 10) == {}


def test_what_was_given_since_counts():
    # production 900 of 800: analysis catches up to 225 of 200, then the groups have their turn
    assert divided(EVEN, MANY, 4, given={"MC": 100.0, "stranger": 5.0}) == {"Analysis": 3, "Groups": 1}


def test_an_idle_grid_divides_its_first_request():
    assert divided({name: Load(0, 1e6) for name in MANY}, MANY, 10) == {"MC": 4, "Groups": 4, "Analysis": 2}


@given(
    executing=st.lists(st.integers(0, 1000), min_size=3, max_size=3),
    available=st.lists(st.integers(0, 30), min_size=3, max_size=3),
    count=st.integers(0, 60),
)
def test_the_portions_are_those_of_single_requests(executing, available, count):
    names = ("MC", "Groups", "Analysis")
    standings = TREE.standings({name: Load(used, 1e6) for name, used in zip(names, executing, strict=True)}, 1.0)
    jobs = dict(zip(names, available, strict=True))
    used: dict[str, float] = {}
    left, singly = dict(jobs), Counter()
    for _ in range(count):
        [*one] = portions(TREE, standings, left, 1, 10.0, used)
        for leaf in one:
            singly[leaf] += 1
            left[leaf] -= 1
            used[leaf] = used.get(leaf, 0.0) + 10.0
    assert portions(TREE, standings, jobs, count, 10.0) == singly
    assert singly.total() == min(count, sum(available))


def taken_at_once(site, ranking, count, queue="Q"):
    return Counter(one.job["gshare"] for one in acquire_jobs(site, SlotOffer(queue, "user", job_count=count), ranking))


def test_one_request_for_many_serves_every_share(site):
    plant(site, *flat(["a", "b", "c", "d"]))
    for name in ("a", "b", "c", "d"):
        put_jobs(site, name, 20, status="running")
        put_jobs(site, name, 50)
    assert taken_at_once(site, strict(site), 20) == {"a": 5, "b": 5, "c": 5, "d": 5}


def test_where_the_counts_are_old_the_rest_goes_by_the_order_and_nothing_twice(site):
    plant(site, *flat(["a", "b"]))
    jobs = {name: put_jobs(site, name, 30) for name in ("a", "b")}
    ranking = strict(site)
    ranking.order_at(site, "Q")
    site.execute("DELETE FROM jobs_live WHERE panda_id = ANY(%(ids)s)", {"ids": jobs["a"][2:]})
    assert taken_at_once(site, ranking, 20) == {"a": 2, "b": 18}
    assert taken_at_once(site, ranking, 50) == {"b": 12}


def test_urgent_jobs_and_barred_shares_are_as_for_one_job(site):
    make_queue(site, "GRID", parameters={"resource_type": "grid"})
    hpc = {"name": "hpc", "value": 1, "working_group": "hpc", "rtype": "hpc"}
    plant(site, hpc, *flat(["a", "b"]))
    for name in ("hpc", "a", "b"):
        put_jobs(site, name, 20, queue="GRID")
    put_jobs(site, "b", 4, queue="GRID", priority=2000)
    assert taken_at_once(site, strict(site), 14, "GRID") == {"b": 7, "a": 7}


def test_jobs_of_no_share_come_after_the_tree(site):
    plant(site, *flat(["a"]))
    put_jobs(site, "stranger", 5)
    put_jobs(site, "a", 5)
    refresh(site)
    ranking = Ranking(sloppy=0.0)
    assert taken_at_once(site, ranking, 5) == {"a": 5}
    assert taken_at_once(site, ranking, 9) == {"stranger": 5}
