"""Who submits what and when: as described, the same for the same seed, in bunches, with further attempts."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.simulation.workload import Fate, Workload
from tests.core.simulation.describing import SMALL, described

HEAD = SMALL[: SMALL.index("[[work]]")]


def _work(directory: Path, text: str, changes: tuple[str, ...] = ()) -> Workload:
    return Workload(described(directory, f'{HEAD}\n[[work]]\nname = "w"\n{text}\n', changes))


def _facts(fates: list[Fate]) -> list[tuple[object, ...]]:
    return [(fate.work.name, fate.user, fate.ticks, fate.luck, fate.failing_part) for fate in fates]


def test_the_same_seed_gives_the_same_jobs_and_another_one_others(tmp_path: Path) -> None:
    runs = [
        [_facts(workload.due(tick)) for tick in range(20)]
        for workload in (Workload(described(tmp_path, changes=[f"seed={seed}"])) for seed in (1, 1, 2))
    ]
    assert runs[0] == runs[1] != runs[2]


def test_a_fixed_number_comes_at_its_hour_in_one_bunch_for_each_user(tmp_path: Path) -> None:
    workload = _work(tmp_path, 'jobs = 8\nfrom_hour = 2\nuser = "u"\nusers = 2\nwalltime = { mean_s = 600 }')
    counts = {tick: workload.due(tick) for tick in range(20)}
    assert [tick for tick, fates in counts.items() if fates] == [12]
    assert [fate.user for fate in counts[12]] == ["u_001"] * 4 + ["u_002"] * 4


def test_a_rate_is_kept_on_the_average_and_between_its_hours(tmp_path: Path) -> None:
    workload = _work(
        tmp_path, "jobs_per_hour = 60\nbunch = 5\nfrom_hour = 1\nuntil_hour = 101\nwalltime = { mean_s = 600 }"
    )
    counts = [len(workload.due(tick)) for tick in range(700)]
    assert not any(counts[:6]) and not any(counts[606:])
    assert all(count % 5 == 0 for count in counts)
    assert sum(counts) == pytest.approx(6000, rel=0.1)


def test_a_backlog_is_filled_up_in_bunches(tmp_path: Path) -> None:
    workload = _work(tmp_path, "keep_queued = 100\nbunch = 20\nwalltime = { mean_s = 600 }")
    assert len(workload.due(0)) == 100
    workload.waiting["w"] -= 19
    assert workload.due(1) == []
    workload.waiting["w"] -= 1
    assert len(workload.due(2)) == 20


@pytest.mark.parametrize(
    ("distribution", "spread"), [("fixed", 0.0), ("uniform", 0.5), ("exponential", 0.5), ("lognormal", 0.5)]
)
def test_walltimes_have_the_described_mean(tmp_path: Path, distribution: str, spread: float) -> None:
    walltime = f'{{ mean_s = 60000, distribution = "{distribution}", sigma = {spread} }}'
    fates = _work(tmp_path, f"jobs = 4000\nwalltime = {walltime}").due(0)
    ticks = [fate.ticks for fate in fates]
    assert sum(ticks) / len(ticks) == pytest.approx(100.5, rel=0.06)
    assert (len(set(ticks)) == 1) is (spread == 0.0)


def test_failures_of_job_and_queue_add_up(tmp_path: Path) -> None:
    fates = _work(tmp_path, "jobs = 4000\nfailure_rate = 0.2\nwalltime = { mean_s = 6000 }").due(0)
    assert sum(fate.fails_at(0.0) for fate in fates) / 4000 == pytest.approx(0.2, abs=0.02)
    assert sum(fate.fails_at(0.5) for fate in fates) / 4000 == pytest.approx(0.6, abs=0.02)
    assert all(1 <= fate.ticks_at(0.5) <= fate.ticks for fate in fates)


def test_a_failed_job_is_tried_again_until_its_attempts_are_used_up(tmp_path: Path) -> None:
    workload = _work(tmp_path, "jobs = 1\nattempts = 2\nwalltime = { mean_s = 6000 }")
    [first] = workload.due(0)
    assert workload.try_again(first, 5)
    [second] = workload.due(6)
    assert (second.attempt, second.user, second.ticks, second.first_submitted_tick) == (2, first.user, first.ticks, 0)
    assert not workload.try_again(second, 9)
    assert workload.due(10) == []


def test_no_more_jobs_than_the_most_that_are_wanted(tmp_path: Path) -> None:
    workload = _work(tmp_path, "jobs = 500\nwalltime = { mean_s = 60 }", ("max_jobs=120",))
    assert len(workload.due(0)) == workload.submitted == workload.waiting["w"] == 120
