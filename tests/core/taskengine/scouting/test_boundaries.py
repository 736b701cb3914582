"""Scouts at the edge: each measure from jobs that differ, computed by hand, and each guard at its limit and just beyond."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.taskengine.dialects.definition import InputStream, Needs, SplitRule, TaskDefinition
from core.taskengine.dialects.needs import read_needs
from core.taskengine.scouting.deciding import ScoutCounts, Situation, decide_by_success, guard
from core.taskengine.scouting.learning import learned
from core.taskengine.scouting.measuring import JobFacts, Measurement, measure
from core.workload_settings import ScoutSettings

SETTINGS = ScoutSettings()
SIX_HOURS_S = 6 * 3600


def test_each_value_of_ten_unlike_jobs_is_the_one_computed_by_hand():
    # 8 cores of 10 HS06; job n ran n x 1000 s over 100 events, held n x 800 MB, wrote n x 2 MB of 10 MB read
    done = [
        JobFacts(
            number,
            wall_s=number * 1000.0,
            cpu_s=number * 4000.0,
            cores=8,
            core_power=10.0,
            max_pss_kb=number * 800 * 1024,
            n_events=100,
            input_bytes=10 * 10**6,
            output_bytes=number * 2 * 10**6,
            work_dir_mb=number * 30,
            disk_io_kb=(11 - number) * 10**6,
            leak_kb_s=number * 80.0,
        )
        for number in range(1, 11)
    ]
    needs = Needs(core_count=8, base_walltime_s=500, base_ram_mb=400, cpu_efficiency=90)
    found = measure(done, needs, SETTINGS)
    # 95 % of ten jobs are ten: (10 000 - 500) x 10 x 8 x 0.9 x 1.5 / 100
    assert found.cpu_time == pytest.approx(10_260)
    # 75 % of ten jobs are eight: (6400 - 400) / 8 x 1.1
    assert found.ram_mb_per_core == 825
    # the eighth: 16 MB over 100 events, 16 MB over 10 MB of input
    assert (found.out_kb_per_event, found.out_kb_per_input_mb) == (160, 1600)
    assert found.work_disk_mb == 300
    # the first: (10 + 2) MB in 1000 s; and 10 GB of traffic in 1000 s
    assert (found.io_intensity_kb_s, found.disk_io_kb_s) == (12, 10_000)
    # 10 000 s x 1.5
    assert found.walltime_s == 15_000
    # every job kept 4 of its 8 cores busy
    assert (found.cpu_efficiency, found.cores_used) == (50, 4.0)
    # the eighth: 640 kB/s over 8 cores
    assert found.leak_kb_s == 80
    assert (found.short_jobs, found.jobs) == (0, 10)


@pytest.mark.parametrize(
    ("events", "wall_s", "tells"),
    [
        (79, SIX_HOURS_S - 1, False),
        (80, 100, True),
        (79, SIX_HOURS_S, True),
        (1, SIX_HOURS_S, True),
        (0, SIX_HOURS_S, False),
    ],
)
def test_eight_cores_need_eighty_events_or_six_hours_to_tell_of_an_event(events, wall_s, tells):
    job = JobFacts(1, wall_s=wall_s, n_events=events, cores=8)
    assert (measure([job], Needs(core_count=8), SETTINGS).cpu_time is not None) is tells


def test_a_job_that_was_all_start_leaves_nothing_for_its_events():
    needs = Needs(base_walltime_s=1000)
    assert measure([JobFacts(1, wall_s=1000, n_events=10)], needs, SETTINGS).cpu_time == 0
    assert measure([JobFacts(1, wall_s=900, n_events=10)], needs, SETTINGS).cpu_time == 0
    assert measure([JobFacts(1, wall_s=1001, n_events=10)], needs, SETTINGS).cpu_time == pytest.approx(1.35)


@pytest.mark.parametrize(
    ("counts", "rate", "outcome"),
    [
        # half of an odd number of scouts
        (ScoutCounts(4, 3, 0), None, "wait"),
        (ScoutCounts(3, 4, 0), None, "scouted"),
        (ScoutCounts(0, 3, 4), None, "exhausted"),
        # seven tenths
        (ScoutCounts(0, 7, 3), 0.7, "scouted"),
        (ScoutCounts(0, 6, 4), 0.7, "exhausted"),
        (ScoutCounts(4, 6, 0), 0.7, "wait"),
        # all, and none
        (ScoutCounts(0, 9, 1), 1.0, "exhausted"),
        (ScoutCounts(0, 10, 0), 1.0, "scouted"),
        (ScoutCounts(5, 5, 0), 0.0, "scouted"),
        (ScoutCounts(6, 4, 0), 0.0, "wait"),
        # one scout
        (ScoutCounts(0, 1, 0), None, "scouted"),
        (ScoutCounts(0, 0, 1), None, "broken"),
    ],
)
def test_success_is_counted_to_the_scout(counts, rate, outcome):
    assert decide_by_success(counts, rate, SETTINGS).outcome == outcome


DEFINITION = TaskDefinition(
    *("t", "", "user", None, "x", (InputStream("IN", "input", ("d",), "d"),), ()),  # type: ignore[arg-type]
    split=SplitRule(events_per_job=100),
    needs=Needs(core_count=4, min_cpu_efficiency=30),
)
PRESET = Needs(core_count=4, ram_mb=4500, base_ram_mb=500, hs06_s_per_event=5)
"""1000 MB per core beside the base."""


def at(jobs_to_come: int = 1000, **values: object) -> Situation:
    return Situation(Measurement(**values), PRESET, DEFINITION, jobs_to_come, SETTINGS)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("passes", "stops"),
    [
        (at(leak_kb_s=1024.0), at(leak_kb_s=1024.1)),
        (at(ram_mb_per_core=4000), at(ram_mb_per_core=4001)),
        (at(cpu_time=50.0), at(cpu_time=50.1)),
        (at(cores_used=6.0), at(cores_used=6.1)),
        (at(cpu_efficiency=30), at(cpu_efficiency=29)),
        (at(1000, short_jobs=10, jobs=10), at(1001, short_jobs=10, jobs=10)),
        (at(5000, short_jobs=5, jobs=10), at(5000, short_jobs=6, jobs=10)),
    ],
)
def test_a_guard_lets_its_limit_pass_and_stops_what_is_beyond(passes, stops):
    assert guard(passes) is None
    assert guard(stops)


def test_what_was_not_stated_or_not_measured_stops_nobody():
    unstated = replace(at(ram_mb_per_core=10**6, cpu_time=1e9), preset=Needs(core_count=4))
    assert guard(unstated) is None
    # a base alone says nothing of the cores
    assert guard(replace(unstated, preset=Needs(core_count=4, ram_mb=500, base_ram_mb=500))) is None


@pytest.mark.parametrize(
    ("unit", "count"),
    [
        ({"ramUnit": "MBPerCore"}, 1500),
        ({"ramCountUnit": "MBPerCore"}, 1500),
        ({"ramUnit": "MB"}, 12_000),
        ({}, 12_000),
        ({"ramUnit": "MBPerCoreFixed"}, None),
        ({"ramUnit": "MBFixed"}, None),
    ],
)
def test_memory_is_learned_in_the_unit_of_the_task_under_either_name(unit, count):
    parameters = {"jobParameters": [], "ramCount": 1000, "coreCount": 8, **unit}
    task = {"parameters": parameters, "split_rule": {}}
    changes = learned(task, read_needs(parameters), Measurement(ram_mb_per_core=1500))
    assert changes.get("ramCount") == count
