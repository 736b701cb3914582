"""Counting the use of the shares: statuses, power of queues, what is gone, samples, lanes, and the agent that does it."""

from __future__ import annotations

import pytest

from core.agents.share_keeper import ShareKeeper
from core.shares.lanes import Lane, lane_state
from core.shares.usage import keep_sample, refresh
from core.states import JobStatus
from tests.core.shares.conftest import flat, plant, put_jobs
from tests.support.builders import make_queue


def _usage(database):
    rows = database.fetch("SELECT * FROM share_usage ORDER BY gshare, computing_site, resource_type")
    return {(row["gshare"], row["computing_site"]): row for row in rows}


def test_jobs_count_by_what_their_status_means(site):
    for status in JobStatus:
        put_jobs(site, "s", status=status)
    refresh(site)
    [row] = _usage(site).values()
    assert (row["executing_jobs"], row["queued_jobs"], row["waiting_jobs"]) == (5, 1, 5)


def test_power_is_cores_times_what_a_core_of_the_queue_can_do(site):
    make_queue(site, "FAST", parameters={"corepower": 12.5})
    make_queue(site, "WORDS", parameters={"corepower": "very fast"})
    for queue in ("Q", "FAST", "WORDS", ""):
        put_jobs(site, "s", 2, queue=queue, status="running", cores=4, ram_mb=100)
        put_jobs(site, "s", queue=queue, cores=3)
    refresh(site)
    used = {queue: (row["executing_power"], row["queued_power"]) for (_, queue), row in _usage(site).items()}
    assert used == {"Q": (80, 30), "FAST": (100, 37.5), "WORDS": (80, 30), "": (80, 30)}
    assert {(row["executing_cores"], row["executing_ram_mb"]) for row in _usage(site).values()} == {(8, 200)}


def test_what_is_gone_is_forgotten_and_what_stays_is_not_written_again(site):
    gone, kept = put_jobs(site, "gone")[0], put_jobs(site, "kept")[0]
    assert refresh(site) == 2
    before = _usage(site)
    site.execute("DELETE FROM jobs_live WHERE panda_id = %(id)s", {"id": gone})
    assert refresh(site) == 0
    assert _usage(site) == {key: row for key, row in before.items() if key[0] == "kept"}
    site.execute("UPDATE jobs_live SET job_status = 'running' WHERE panda_id = %(id)s", {"id": kept})
    assert refresh(site) == 1


def test_samples_keep_power_and_target_of_every_leaf_once_in_a_while(site):
    plant(site, *flat(["a", "b"]))
    put_jobs(site, "a", 3, status="running")
    put_jobs(site, "b", 9)
    put_jobs(site, "b", status="running")
    refresh(site)
    assert keep_sample(site, 300) == 2
    assert keep_sample(site, 300) == 0
    rows = site.fetch("SELECT gshare, executing_power, target_power, queued_jobs FROM share_samples ORDER BY gshare")
    assert [tuple(row.values()) for row in rows] == [("a", 30, 20, 0), ("b", 10, 20, 9)]
    site.execute("UPDATE share_samples SET time = time - interval '31 days'")
    keep_sample(site, 300)
    assert site.fetch("SELECT count(*) AS n FROM share_samples") == [{"n": 2}]


@pytest.mark.parametrize(
    ("queued", "running", "is_full"),
    [(0, 0, False), (10, 0, False), (11, 0, True), (11, 5, True), (11, 6, False), (100, 49, True), (100, 50, False)],
)
def test_a_lane_is_full_beyond_its_limit_and_so_many_for_each_that_runs(queued, running, is_full):
    lane = Lane("s", "SCORE", queued // 2, queued - queued // 2, running, 10)
    assert lane.is_full(default_limit=1, queued_to_running=2.0) is is_full


def test_a_lane_is_one_share_and_one_resource_type_at_all_queues(site):
    plant(site, {"name": "s", "max_queued_jobs": 7})
    make_queue(site, "Q2")
    for queue in ("Q", "Q2"):
        put_jobs(site, "s", 2, queue=queue)
        put_jobs(site, "s", 3, queue=queue, status="defined")
        put_jobs(site, "s", queue=queue, status="running")
    put_jobs(site, "other")
    refresh(site)
    assert lane_state(site, "s", "SCORE") == Lane("s", "SCORE", 4, 6, 2, 7)
    assert lane_state(site, "s", "MCORE") == Lane("s", "MCORE", 0, 0, 0, 7)
    assert lane_state(site, "", "SCORE") == Lane("", "SCORE", 0, 0, 0, None)


def test_the_keeper_counts_and_rests_longer_after_a_long_count(site):
    plant(site, *flat(["a"]))
    put_jobs(site, "a")
    keeper = ShareKeeper(site, 0.0001, 300)
    assert keeper.cycle() == 0
    assert keeper.period_s > 0.0001
    assert set(_usage(site)) == {("a", "Q")}
    assert site.fetch("SELECT count(*) AS n FROM share_samples") == [{"n": 1}]
