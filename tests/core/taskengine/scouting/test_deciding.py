"""The verdict on scouts: how many must succeed, and each guard that stops a task with a sentence."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as some

from core.taskengine.dialects.definition import InputStream, Needs, SplitRule, TaskDefinition
from core.taskengine.scouting.deciding import GUARDS, ScoutCounts, Situation, decide_by_success, guard
from core.taskengine.scouting.measuring import Measurement
from core.workload_settings import ScoutSettings

SETTINGS = ScoutSettings()


@pytest.mark.parametrize(
    ("counts", "rate", "outcome"),
    [
        (ScoutCounts(10, 0, 0), None, "wait"),
        (ScoutCounts(6, 4, 0), None, "wait"),
        (ScoutCounts(5, 5, 0), None, "scouted"),
        (ScoutCounts(0, 5, 5), None, "scouted"),
        (ScoutCounts(1, 4, 5), None, "wait"),
        (ScoutCounts(0, 4, 6), None, "exhausted"),
        (ScoutCounts(0, 0, 10), None, "broken"),
        (ScoutCounts(1, 0, 9), None, "wait"),
        (ScoutCounts(0, 0, 0), None, "wait"),
        (ScoutCounts(5, 5, 0), 0.8, "wait"),
        (ScoutCounts(2, 8, 0), 0.8, "scouted"),
        (ScoutCounts(0, 7, 3), 0.8, "exhausted"),
        (ScoutCounts(0, 1, 9), 0.0, "scouted"),
        (ScoutCounts(0, 0, 10), 0.0, "broken"),
    ],
)
def test_enough_scouts_must_succeed(counts, rate, outcome):
    assert decide_by_success(counts, rate, SETTINGS).outcome == outcome


def test_a_refusal_says_how_many_and_why():
    verdict = decide_by_success(ScoutCounts(0, 2, 8), None, SETTINGS, "exit code 3")
    assert verdict.reason == "only 2 of 10 scouts succeeded, 50% are wanted: exit code 3"
    assert not verdict.is_over
    assert "none of the 10 scouts" in decide_by_success(ScoutCounts(0, 0, 10), None, SETTINGS).reason


@given(
    under_way=some.integers(0, 20),
    finished=some.integers(0, 20),
    failed=some.integers(0, 20),
    rate=some.none() | some.floats(0, 1),
)
def test_every_count_has_a_verdict_and_nobody_waits_for_nothing(under_way, finished, failed, rate):
    verdict = decide_by_success(ScoutCounts(under_way, finished, failed), rate, SETTINGS)
    if not under_way and finished + failed:
        assert verdict.outcome != "wait"
    if verdict.outcome == "scouted":
        assert finished > 0
    if verdict.outcome in ("broken", "exhausted"):
        assert verdict.reason and not under_way


DEFINITION = TaskDefinition(
    *("t", "", "user", None, "x", (InputStream("IN", "input", ("d",), "d"),), ()),  # type: ignore[arg-type]
    split=SplitRule(files_per_job=1),
    needs=Needs(core_count=2, min_cpu_efficiency=30),
)
FINE = Situation(
    Measurement(
        cpu_time=10, ram_mb_per_core=2000, cpu_efficiency=80, cores_used=1.9, leak_kb_s=1, short_jobs=9, jobs=10
    ),
    Needs(core_count=2, ram_mb=2000, hs06_s_per_event=5),
    DEFINITION,
    jobs_to_come=1000,
    settings=SETTINGS,
)


def measured(**values: object) -> Situation:
    return replace(FINE, measured=replace(FINE.measured, **values))  # type: ignore[arg-type]


def test_nothing_objects_to_ordinary_jobs():
    assert guard(FINE) is None
    assert guard(replace(FINE, measured=Measurement())) is None


@pytest.mark.parametrize(
    ("situation", "words"),
    [
        (measured(leak_kb_s=2000), "leak 2000 kB"),
        (measured(ram_mb_per_core=4001), "need 4001 MB per core, more than 4 times the 1000 MB"),
        (measured(cpu_time=51), "takes 51 HS06 s, more than 10 times the 5"),
        (measured(cores_used=3.1), "keep 3.1 cores busy and asked for 2"),
        (measured(cpu_efficiency=29), "use 29 % of their cores, less than minCpuEfficiency, 30 %"),
        (replace(FINE, jobs_to_come=1001), "1001 more would follow"),
    ],
)
def test_each_guard_stops_exactly_what_it_should(situation, words):
    objections = list(filter(None, (objects(situation) for objects in GUARDS)))
    assert len(objections) == 1
    assert words in objections[0]
    assert guard(situation) == objections[0]


def test_short_jobs_are_nobodys_fault_where_the_engine_chooses_their_size():
    by_engine = replace(DEFINITION, split=SplitRule())
    assert guard(replace(FINE, jobs_to_come=10**6, definition=by_engine)) is None
    assert guard(replace(measured(short_jobs=5), jobs_to_come=10**6)) is None


def test_there_is_a_case_for_every_guard():
    assert len(GUARDS) == 6
