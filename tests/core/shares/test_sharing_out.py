"""Dispatch by share: the order of leaves, what comes before it, what is given by age, and never twice."""

from __future__ import annotations

import random
import threading
from collections import Counter

import pytest

from core.database import Database
from core.dispatch.acquire import SlotOffer, acquire_jobs
from core.queues import set_queue
from core.shares.ranking import Ranking, ranked_leaves
from core.shares.usage import refresh
from tests.core.shares.conftest import flat, plant, put_jobs, strict
from tests.support.builders import make_queue


def take(database: Database, ranking: Ranking, queue: str = "Q", label: str = "user", **offer: object) -> list[int]:
    offered = SlotOffer(queue, label, **offer)  # type: ignore[arg-type]
    return [taken.job["panda_id"] for taken in acquire_jobs(database, offered, ranking)]


def test_one_job_of_each_of_thirty_leaves_is_given_in_the_order_of_executing_over_target(site):
    names = [f"S{number:02}" for number in range(30)]
    plant(site, *flat(names))
    order = random.Random(4).sample(names, 30)
    for executing, name in enumerate(order, start=1):
        put_jobs(site, name, executing, status="running")
    waiting = {name: put_jobs(site, name)[0] for name in names}
    ranking = strict(site)
    assert ranked_leaves(site) == [*order, ""]
    assert [take(site, ranking) for _ in names] == [[waiting[name]] for name in order]
    assert take(site, ranking) == []


def test_priority_and_age_decide_within_a_share_only(site):
    plant(site, *flat(["under", "over"]))
    put_jobs(site, "over", 5, status="running")
    important = put_jobs(site, "over", priority=1400)
    low, high, old = (put_jobs(site, "under", priority=priority)[0] for priority in (900, 1100, 900))
    assert [take(site, strict(site)) for _ in range(4)] == [[high], [low], [old], important]


def test_several_jobs_for_one_request_keep_the_order_of_shares(site):
    plant(site, *flat(["a", "b", "c"]))
    put_jobs(site, "a", 9, status="running")
    put_jobs(site, "b", 3, status="running")
    jobs = {name: put_jobs(site, name, 2) for name in ("a", "b", "c")}
    stranger = put_jobs(site, "stranger")
    urgent = put_jobs(site, "a", priority=2000)
    expected = urgent + jobs["c"] + jobs["b"] + jobs["a"] + stranger
    assert take(site, strict(site), job_count=50) == expected


def test_what_is_given_counts_before_the_use_is_read_again(site):
    plant(site, {"name": "big", "value": 3, "working_group": "big"}, {"name": "small", "value": 1})
    for name in ("big", "small"):
        put_jobs(site, name, 400)
    ranking = strict(site)
    taken = Counter(
        job.job["gshare"] for _ in range(400) for job in acquire_jobs(site, SlotOffer("Q", "user"), ranking)
    )
    assert taken["big"] == pytest.approx(300, abs=25)


@pytest.mark.parametrize("label", ["test", "prod_test"])
def test_test_work_is_first_whatever_its_share_and_priority(site, label):
    plant(site, *flat(["under", "over"]))
    put_jobs(site, "over", 9, status="running")
    urgent = put_jobs(site, "under", priority=5000)
    test = put_jobs(site, "over", label=label, priority=0)
    ranking = strict(site)
    assert [take(site, ranking, label="unified") for _ in range(2)] == [test, urgent]


def test_urgent_jobs_of_users_come_before_the_shares_and_those_of_production_do_not(site):
    plant(site, *flat(["under", "over"]))
    put_jobs(site, "over", 9, status="running")
    production = put_jobs(site, "over", label="managed", priority=1500)
    ordinary = put_jobs(site, "under", priority=1499)
    urgent = put_jobs(site, "over", priority=1500)
    ranking = strict(site)
    assert [take(site, ranking, label="unified") for _ in range(3)] == [urgent, ordinary, production]


@pytest.mark.parametrize("has_tree", [True, False])
def test_a_job_of_a_share_that_nobody_knows_is_found_after_the_others(site, has_tree):
    if has_tree:
        plant(site, *flat(["known"]))
    ranking = strict(site)
    assert take(site, ranking) == []
    stranger = put_jobs(site, "removed long ago")
    known = put_jobs(site, "known" if has_tree else "")
    assert [take(site, ranking) for _ in range(3)] == [known, stranger, []]


def test_a_tenth_of_the_requests_is_served_purely_by_age(site):
    plant(site, *flat(["under", "over"]))
    put_jobs(site, "over", 500, status="running")
    oldest = put_jobs(site, "under", 400, priority=-1000)
    put_jobs(site, "under", 400)
    refresh(site)
    ranking = Ranking(sloppy=0.1, draw=random.Random(1).random)
    taken = [take(site, ranking)[0] for _ in range(300)]
    by_age = [panda_id for panda_id in taken if panda_id in oldest]
    assert by_age == oldest[: len(by_age)]
    assert 15 <= len(by_age) <= 50  # 30 expected; five standard deviations are 26


@pytest.mark.parametrize("job_count", [1, 3])
def test_age_serves_no_share_that_has_its_due(site, job_count):
    plant(site, *flat(["under", "over"]))
    put_jobs(site, "over", 500, status="running")
    put_jobs(site, "over", 300)
    under = put_jobs(site, "under", 20)
    refresh(site)
    ranking = Ranking(sloppy=1.0)
    assert [job for _ in range(6) for job in take(site, ranking, job_count=job_count)] == under[: 6 * job_count]


def test_age_serves_even_a_share_that_has_its_due_when_there_is_nothing_else(site):
    plant(site, *flat(["under", "over"]))
    put_jobs(site, "under", 3, queue="ELSEWHERE")
    put_jobs(site, "over", 500, status="running")
    over = put_jobs(site, "over", 2)
    refresh(site)
    assert [take(site, Ranking(sloppy=1.0)) for _ in over] == [[job] for job in over]


@pytest.mark.parametrize("name", ["idle hands", "removed long ago"])
def test_age_gives_a_share_that_is_due_nothing_a_hundredth_and_no_tenth(site, name):
    plant(site, {"name": "due", "value": 1, "working_group": "g"}, {"name": "idle hands", "value": 0})
    oldest = put_jobs(site, name, 60)
    put_jobs(site, "due", 1000, status="running")
    due = put_jobs(site, "due", 60)
    refresh(site)
    ranking = Ranking(sloppy=1.0, again_after=1)
    taken = [take(site, ranking)[0] for _ in range(31)]
    # 11 of 1011 are more than a hundredth
    assert taken == [*oldest[:11], *due[:20]]


def test_nothing_starves_in_a_share_that_is_always_over_its_target(site):
    plant(site, {"name": "greedy", "value": 1000, "working_group": "g"}, {"name": "poor", "value": 0})
    poor = put_jobs(site, "poor", priority=-100)[0]
    put_jobs(site, "greedy", 2000)
    refresh(site)
    ranking = Ranking(draw=random.Random(2).random)
    assert any(take(site, ranking) == [poor] for _ in range(200))


def test_without_a_tree_priority_decides_alone(site):
    refresh(site)
    ranking = Ranking(sloppy=1.0)
    low, high = put_jobs(site, "", priority=900), put_jobs(site, "", priority=1000)
    assert [take(site, ranking) for _ in range(2)] == [high, low]


def test_racing_pilots_get_every_job_of_thirty_shares_exactly_once(site):
    names = [f"S{number}" for number in range(30)]
    plant(site, *flat(names))
    jobs = [panda_id for name in names for panda_id in put_jobs(site, name, 20)]
    jobs += put_jobs(site, "stranger", 20) + put_jobs(site, "S3", 20, priority=1600)
    refresh(site)
    ranking = Ranking(sloppy=0.2)
    taken: list[int] = []
    lock, begin = threading.Lock(), threading.Barrier(16)

    def pilot(job_count: int) -> None:
        begin.wait()
        misses = 0
        while misses < 3:  # rows that another holds for a moment are passed over
            got = take(site, ranking, job_count=job_count)
            misses = 0 if got else misses + 1
            with lock:
                taken.extend(got)

    threads = [threading.Thread(target=pilot, args=(1 + number % 3,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(taken) == Counter(jobs)


def test_a_share_of_one_kind_of_resource_is_not_given_elsewhere(site):
    make_queue(site, "HPC", parameters={"resource_type": "hpc"})
    make_queue(site, "GRID", parameters={"resource_type": "grid"})
    plant(site, {"name": "massive", "value": 1, "working_group": "m", "rtype": "hpc.*"}, {"name": "rest", "value": 1})
    jobs = {queue: put_jobs(site, "massive", queue=queue) for queue in ("HPC", "GRID", "Q")}
    put_jobs(site, "massive", queue="GRID", priority=2000)
    refresh(site)
    for sloppy in (0.0, 1.0):
        assert take(site, Ranking(sloppy=sloppy), "GRID") == take(site, Ranking(sloppy=sloppy), "Q") == []
    assert take(site, strict(site), "HPC") == jobs["HPC"]


def test_a_queue_that_uses_more_memory_than_its_mean_gets_light_jobs_only(site):
    make_queue(site, "PUSH", parameters={"meanrss": 2000})
    put_jobs(site, "", queue="PUSH", status="running", cores=1, ram_mb=3000)
    put_jobs(site, "", queue="PUSH", priority=1200, cores=2, ram_mb=4001)
    light = put_jobs(site, "", queue="PUSH", cores=2, ram_mb=4000)
    ranking = strict(site)
    assert [take(site, ranking, "PUSH") for _ in range(2)] == [light, []]
    # mean memory per core of what runs now is within the limit
    put_jobs(site, "", 4, queue="PUSH", status="running", cores=1, ram_mb=500)
    assert len(take(site, strict(site), "PUSH")) == 1


@pytest.mark.parametrize("wrong", ["many", -1, 0, 1e300, None, [2000]])
def test_a_mean_memory_that_is_none_limits_nothing(site, wrong):
    set_queue(site, "Q", {"parameters": {"meanrss": wrong, "corepower": wrong}})
    put_jobs(site, "", status="running", ram_mb=3000)
    job = put_jobs(site, "", ram_mb=10_000)
    assert take(site, strict(site)) == job


def test_a_pilot_of_a_working_group_gets_its_jobs_only(site):
    put_jobs(site, "")
    wanted = put_jobs(site, "")[0]
    site.execute("UPDATE jobs_live SET working_group = 'phys' WHERE panda_id = %(id)s", {"id": wanted})
    assert take(site, strict(site), working_group="phys", job_count=5) == [wanted]
