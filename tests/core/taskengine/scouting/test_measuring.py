"""Values from facts of jobs: each measure by hand, and what jobs do not tell stays unknown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from core.taskengine.dialects.definition import Needs
from core.taskengine.scouting.measuring import JobFacts, measure, percentile
from core.workload_settings import ScoutSettings

SETTINGS = ScoutSettings()
GB_KB = 1024 * 1024


def jobs(count: int = 4, **facts: object) -> list[JobFacts]:
    return [JobFacts(number, **facts) for number in range(count)]  # type: ignore[arg-type]


def test_cpu_time_of_an_event_is_wall_time_times_the_power_that_was_held():
    done = jobs(wall_s=1000, n_events=100, cores=2, core_power=12.0)
    needs = Needs(core_count=2, base_walltime_s=100, cpu_efficiency=80)
    # (1000 - 100) s x 12 HS06 x 2 cores x 0.8 x 1.5 / 100 events
    assert measure(done, needs, SETTINGS).cpu_time == pytest.approx(259.2)


def test_jobs_with_few_events_say_nothing_of_an_event_unless_they_ran_long():
    assert measure(jobs(wall_s=100, n_events=9), Needs(), SETTINGS).cpu_time is None
    assert measure(jobs(wall_s=100, n_events=10), Needs(), SETTINGS).cpu_time is not None
    assert measure(jobs(wall_s=6 * 3600, n_events=1), Needs(), SETTINGS).cpu_time is not None
    assert measure(jobs(wall_s=6 * 3600, n_events=0), Needs(), SETTINGS).cpu_time is None


def test_time_that_does_not_grow_with_events_is_not_measured_by_event():
    assert measure(jobs(wall_s=100, n_events=100), Needs(cpu_efficiency=0), SETTINGS).cpu_time is None


def test_memory_is_per_core_beyond_the_base_with_the_margin():
    done = jobs(max_pss_kb=9 * GB_KB, cores=4)
    # (9216 - 1024) MB / 4 x 1.1
    assert measure(done, Needs(core_count=4, base_ram_mb=1024), SETTINGS).ram_mb_per_core == 2253
    assert measure(jobs(max_pss_kb=3 * GB_KB), Needs(), SETTINGS).ram_mb_per_core == 3380


def test_memory_never_falls_below_the_minimum_and_unknown_stays_unknown():
    assert measure(jobs(max_pss_kb=1), Needs(), SETTINGS).ram_mb_per_core == SETTINGS.min_ram_mb
    assert measure(jobs(), Needs(), SETTINGS).ram_mb_per_core is None


def test_one_job_in_four_may_need_more_memory_than_what_is_taken():
    sizes = [JobFacts(number, max_pss_kb=size * 1024) for number, size in enumerate((1000, 2000, 3000, 9000))]
    assert measure(sizes, Needs(), SETTINGS).ram_mb_per_core == 3300


def test_outputs_are_counted_by_event_else_by_input():
    assert measure(jobs(n_events=10, output_bytes=10**6), Needs(), SETTINGS).out_kb_per_event == 100
    few = measure(jobs(n_events=9, output_bytes=10**6, input_bytes=2 * 10**6), Needs(), SETTINGS)
    assert (few.out_kb_per_event, few.out_kb_per_input_mb) == (None, 500)


def test_scratch_and_traffic_are_the_largest():
    done = [
        JobFacts(1, wall_s=100, work_dir_mb=7, input_bytes=10**6, output_bytes=10**6, disk_io_kb=1000),
        JobFacts(2, wall_s=100, work_dir_mb=9, input_bytes=10**6, disk_io_kb=10**9),
    ]
    found = measure(done, Needs(), SETTINGS)
    assert (found.work_disk_mb, found.io_intensity_kb_s) == (9, 20)
    assert found.disk_io_kb_s == SETTINGS.max_disk_io_kb_s


def test_efficiency_and_cores_come_from_jobs_that_ran_a_while():
    done = [*jobs(wall_s=100, cpu_s=150, cores=2), JobFacts(9, wall_s=5, cpu_s=100)]
    found = measure(done, Needs(core_count=2), SETTINGS)
    assert (found.cpu_efficiency, found.cores_used) == (75, 1.5)


def test_nothing_is_known_of_no_jobs():
    found = measure([], Needs(), SETTINGS)
    assert set(vars(found).values()) == {None, 0}


@given(values=some.lists(some.floats(0, 1e9), min_size=1, max_size=50), rank=some.integers(1, 100))
def test_a_percentile_is_one_of_the_values_and_covers_its_part(values, rank):
    found = percentile(values, rank)
    assert found in values
    assert sum(value <= found for value in values) * 100 >= rank * len(values)


facts = some.builds(
    JobFacts,
    panda_id=some.just(1),
    wall_s=some.floats(0, 1e7),
    cpu_s=some.floats(0, 1e8),
    cores=some.integers(1, 128),
    core_power=some.floats(0.1, 100),
    max_pss_kb=some.integers(0, 10**10),
    n_events=some.integers(0, 10**9),
    input_bytes=some.integers(0, 10**14),
    output_bytes=some.integers(0, 10**14),
    work_dir_mb=some.integers(0, 10**8),
    disk_io_kb=some.integers(0, 10**12),
    leak_kb_s=some.floats(0, 1e6),
)


@given(done=some.lists(facts, max_size=20), base=some.integers(0, 10**6), efficiency=some.integers(0, 100))
def test_whatever_jobs_report_no_value_is_negative(done, base, efficiency):
    found = measure(done, Needs(base_ram_mb=base, cpu_efficiency=efficiency, base_walltime_s=base), SETTINGS)
    assert all(value is None or value >= 0 for value in vars(found).values())
