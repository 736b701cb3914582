"""What a job asks for, in PanDA's keys and units: units, sums, estimates, and what is refused with the key named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from core.errors import InvalidInput
from core.taskengine.dialects.definition import Needs
from core.taskengine.dialects.needs import read_needs
from core.taskengine.dialects.scouting import scout_success_rate, uses_scouts


def test_memory_is_the_base_and_what_each_core_takes():
    needs = read_needs({"ramCount": 1000, "ramCountUnit": "MBPerCore", "baseRamCount": 500, "coreCount": 8})
    assert (needs.ram_mb, needs.base_ram_mb, needs.core_count) == (8500, 500, 8)
    assert read_needs({"ramCount": 1000, "ramCountUnit": "MB", "coreCount": 8}).ram_mb == 1000


@pytest.mark.parametrize(
    ("unit", "per_event", "per_mb"),
    [
        ("", 5, 0),
        ("kB", 0, 5),
        ("kBFixed", 0, 5),
        ("MB", 0, 5000),
        ("kBPerEvent", 5, 0),
        ("MBPerEventFixed", 5000, 0),
        ("kBPerMB", 0, 5),
        ("MBPerMBFixed", 0, 5000),
        ("MBFixed", 0, 5000),
    ],
)
def test_outputs_are_counted_by_their_unit(unit, per_event, per_mb):
    needs = read_needs({"outDiskCount": 5, "outDiskUnit": unit})
    assert (needs.disk_kb_per_event, needs.disk_kb_per_input_mb, needs.disk_mb) == (per_event, per_mb, 0)
    assert needs.counts_input_on_disk


def test_what_prun_calls_the_size_of_outputs_is_per_mb_of_input():
    # prun --outDiskCount 800: "expected output size in kB per 1 MB of input"
    needs = read_needs({"outDiskCount": 800, "outDiskUnit": "kBFixed"})
    assert needs.fixed == {"outDiskCount"}
    # 2500 MB of input and 800 kB for each of them
    assert needs.disk_for(0, 2500 * 10**6) == 2500 + 2000
    # a job that only gets a number counts as one with a MB
    assert read_needs({"outDiskCount": 700, "outDiskUnit": "MB"}).disk_for(0, 0) == 700


@pytest.mark.parametrize(
    ("parameters", "mb", "is_fixed"),
    [
        # as production and iDDS write it
        ({"ramUnit": "MBPerCore"}, 8500, False),
        ({"ramUnit": "MBPerCoreFixed"}, 8500, True),
        ({"ramUnit": "MB"}, 1500, False),
        ({"ramUnit": None, "ramCountUnit": "MBPerCore"}, 8500, False),
        ({"ramUnit": "MBPerCore", "ramCountUnit": "MBPerCore"}, 8500, False),
        # memory of a job divided by its cores
        ({"ramUnit": "MBPerCore", "ramCount": 1000.0}, 8500, False),
        ({"ramUnit": "MBPerCore", "ramCount": 8001 / 8}, 8508, False),
    ],
)
def test_the_unit_of_memory_has_two_names(parameters, mb, is_fixed):
    needs = read_needs({"ramCount": 1000, "baseRamCount": 500, "coreCount": 8, **parameters})
    assert needs.ram_mb == mb
    assert ("ramCount" in needs.fixed) is is_fixed


def test_scratch_is_input_outputs_and_work():
    needs = read_needs({"outDiskCount": 100, "outDiskUnit": "kBPerEvent", "workDiskCount": 300, "workDiskUnit": "MB"})
    # 2000 MB of input, 100 kB x 10000 events, 300 MB of work
    assert needs.disk_for(10_000, 2 * 10**9) == 3300
    # half a gigabyte is kept for outputs at least
    assert needs.disk_for(0, 0) == 800
    assert read_needs({}).disk_for(10_000, 2 * 10**9) == 0


def test_the_time_of_a_job_follows_from_its_events():
    needs = read_needs({"cpuTime": 50, "cpuTimeUnit": "HS06sPerEvent", "baseWalltime": 600, "coreCount": 2})
    # 50 x 20000 / (2 x 10 x 0.9) + 600
    assert needs.walltime_for(20_000) == 56156
    assert needs.walltime_for(20_000, core_power=20) == 28378
    milli = read_needs({"cpuTime": 50_000, "cpuTimeUnit": "mHS06sPerEvent", "baseWalltime": 600, "coreCount": 2})
    assert milli.walltime_for(20_000) == 56156


def test_a_stated_time_wins_and_an_unknown_one_stays_unknown():
    stated = read_needs({"cpuTime": 50, "maxWalltime": 3})
    assert stated.walltime_for(10**6) == 3 * 3600
    assert read_needs({"cpuTime": 50}).walltime_for(0) == 0
    assert read_needs({}).walltime_for(10**6) == 0
    # pilots take limits at their word: a few events make no limit of seconds
    assert read_needs({"cpuTime": 1}).walltime_for(10) == 1800
    assert read_needs({"cpuTime": 50, "cpuEfficiency": 0, "baseWalltime": 700}).walltime_for(10**6) == 700


def test_a_time_in_seconds_is_refused_where_hours_are_meant_and_says_so():
    with pytest.raises(InvalidInput) as caught:
        read_needs({"maxWalltime": 90_000})
    assert (caught.value.field, caught.value.remedy) == ("maxWalltime", "a whole number between 0 and 87600 hours")


def test_what_is_fixed_is_known_by_its_unit():
    needs = read_needs(
        {"ramCount": 1, "ramCountUnit": "MBPerCoreFixed", "cpuTime": 1, "cpuTimeUnit": "mHS06sPerEventFixed"}
    )
    assert needs.fixed == {"ramCount", "cpuTime"}


def test_rates_are_kept_in_kilobytes():
    needs = read_needs({"ioIntensity": 2, "ioIntensityUnit": "MBPerS", "diskIO": 7})
    assert (needs.io_intensity_kb_s, needs.disk_io_kb_s) == (2000, 7)


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"coreCount": 0}, "coreCount"),
        ({"coreCount": 8, "maxCoreCount": 4}, "coreCount"),
        ({"ramCount": -1}, "ramCount"),
        ({"ramCount": 10**8, "ramCountUnit": "MBPerCore", "coreCount": 2}, "ramCount"),
        ({"ramCount": 10**8, "baseRamCount": 1}, "ramCount"),
        ({"baseRamCount": "much"}, "baseRamCount"),
        ({"ramCountUnit": "GB"}, "ramCountUnit"),
        ({"ramUnit": "GB"}, "ramUnit"),
        ({"ramUnit": "MB", "ramCountUnit": "MBPerCore"}, "ramUnit"),
        ({"ramCount": float("inf")}, "ramCount"),
        ({"ramCount": 1e300}, "ramCount"),
        ({"outDiskUnit": "GB"}, "outDiskUnit"),
        ({"outDiskCount": -5}, "outDiskCount"),
        ({"workDiskCount": 10**12, "workDiskUnit": "MB"}, "workDiskCount"),
        ({"workDiskUnit": "GB"}, "workDiskUnit"),
        ({"cpuTime": 1.5}, "cpuTime"),
        ({"cpuTimeUnit": "s"}, "cpuTimeUnit"),
        ({"cpuEfficiency": 101}, "cpuEfficiency"),
        ({"cpuEfficiency": 50, "minCpuEfficiency": 60}, "minCpuEfficiency"),
        ({"baseWalltime": -1}, "baseWalltime"),
        ({"baseWalltime": 7200, "maxWalltime": 1}, "baseWalltime"),
        ({"ioIntensity": True}, "ioIntensity"),
        ({"ioIntensityUnit": "x"}, "ioIntensityUnit"),
        ({"diskIO": 10**10}, "diskIO"),
    ],
)
def test_absurd_and_contradictory_needs_are_refused(parameters, field):
    with pytest.raises(InvalidInput) as caught:
        read_needs(parameters)
    assert caught.value.field == field
    assert caught.value.remedy


_KEYS = (
    *(
        "coreCount",
        "maxCoreCount",
        "ramCount",
        "ramCountUnit",
        "ramUnit",
        "baseRamCount",
        "outDiskCount",
        "outDiskUnit",
    ),
    *("workDiskCount", "workDiskUnit", "cpuTime", "cpuTimeUnit", "cpuEfficiency", "minCpuEfficiency", "baseWalltime"),
    *("ioIntensity", "ioIntensityUnit", "diskIO", "diskIOUnit", "maxWalltime", "wallTime"),
)
_VALUES = some.none() | some.booleans() | some.integers(-5, 10**13) | some.floats() | some.text(max_size=12)


@given(parameters=some.dictionaries(some.sampled_from(_KEYS), _VALUES))
def test_whatever_comes_is_understood_or_refused_by_name(parameters):
    try:
        needs = read_needs(parameters)
    except InvalidInput as refusal:
        assert refusal.field in _KEYS
        assert refusal.remedy
    else:
        assert needs.walltime_for(10**6) >= 0
        assert needs.disk_for(10**6, 10**12) >= 0


def test_needs_without_anything_ask_for_one_core():
    assert read_needs({}) == Needs()


def test_scouts_are_asked_for_or_not():
    assert uses_scouts({}, by_default=True) and not uses_scouts({}, by_default=False)
    assert not uses_scouts({"skipScout": True}, by_default=True)
    assert uses_scouts({"useScout": 1}, by_default=False)
    assert not uses_scouts({"useScout": False}, by_default=True)
    with pytest.raises(InvalidInput) as caught:
        uses_scouts({"useScout": True, "skipScout": True}, by_default=True)
    assert caught.value.field == "skipScout"


def test_the_rate_of_success_is_given_in_tenths():
    assert scout_success_rate({}) is None
    assert scout_success_rate({"scoutSuccessRate": 8}) == 0.8
    with pytest.raises(InvalidInput) as caught:
        scout_success_rate({"scoutSuccessRate": 11})
    assert caught.value.field == "scoutSuccessRate"
