"""Odd grids: preferences where nobody is left, ties, a thousand queues and none, and what holds of all patterns and slots."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from core.brokerage.broker import broker, places
from core.brokerage.criteria import production_criteria
from core.brokerage.criteria.shares import priority_limits
from core.brokerage.stated import read_stated
from core.brokerage.wildcards import is_like, is_named
from core.workload_settings import BrokerageSettings
from tests.core.brokerage.describing import CRIC, ask, queue, task


def test_preferences_only_count_where_somebody_is_left():
    silent, nvidia = queue("SILENT"), queue("NVIDIA", {"gpu": ["nvidia"]})
    wants = task(architecture="&nvidia")
    assert [one.queue_name for one in broker(wants, [silent, nvidia]).accepted] == ["NVIDIA"]
    alone = broker(wants, [silent])
    assert [one.queue_name for one in alone.accepted] == ["SILENT"]
    assert [step.note for step in alone.steps if step.criterion == "gpu_stated"] == [
        "it would leave no queue, so it does not count"
    ]
    short = production_criteria(BrokerageSettings(work_shortage=True))
    beyond, within, unstated = (
        queue("A", {"pledgedcpu": 0.5}, running_cores=1),
        queue("B", {"pledgedcpu": "1"}, running_cores=1),
        queue("C"),
    )
    decision = broker(ask("managed"), [beyond, within, unstated], short)
    assert [one.queue_name for one in decision.accepted] == ["B", "C"]
    [said] = [entry for step in decision.steps for entry in step.excluded]
    assert said["reason"] == "runs 1 core, its pledge is 0.5, and work is short"
    assert len(broker(ask("managed"), [queue("D", {"pledgedcpu": 0})], short).accepted) == 1
    assert broker(ask(), [queue("E", storage_endpoint="X", storage_is_online=False)]).explanation() == (
        "no queue is left after 'the queue's storage endpoint is online': E: its storage X is offline"
    )


def test_the_part_of_memory_that_must_fit_is_said_and_proposed():
    [memory] = [
        one for one in production_criteria(BrokerageSettings(production_memory_part=0.9)) if one.name == "memory"
    ]
    at = queue(max_ram_mb=3599)
    wants = ask("managed", min_ram_mb=4000)
    assert memory.reason(wants, at) == "allows 3599 MB, the job needs 4000 MB, of which 90 % must fit"
    assert memory.acceptable(wants, at) == 3998
    assert memory.reason(replace(wants, min_ram_mb=3998), at) is None


@given(
    needs=st.fixed_dictionaries(
        {
            **{
                "core_count": st.integers(0, 130),
                "min_ram_mb": st.integers(0, 10**6),
                "max_disk_mb": st.integers(0, 10**6),
            },
            **{
                "max_walltime_s": st.integers(0, 10**6),
                "io_kb_s": st.integers(0, 10**5),
                "disk_io_kb_s": st.integers(0, 10**5),
            },
        }
    ),
    parameters=st.fixed_dictionaries(
        {},
        optional={
            **dict.fromkeys(("maxrss", "minrss", "maxwdir", "maxtime", "mintime"), st.integers(-1, 10**6)),
            **dict.fromkeys(("maxdiskio", "max_io_intensity"), st.floats(0, 10**5)),
            **{"corecount": st.integers(0, 130), "capability": st.sampled_from(["score", "mcore", "ucore"])},
        },
    ),
    part=st.sampled_from([1.0, 0.9, 0.3]),
)
@example(
    needs=dict.fromkeys(("core_count", "min_ram_mb"), 2), parameters={"capability": "mcore", "corecount": 8}, part=1.0
)
def test_what_a_criterion_proposes_it_accepts(needs, parameters, part):
    at = queue(parameters=parameters)
    request = ask("managed", **needs)
    for criterion in production_criteria(BrokerageSettings(production_memory_part=part)):
        value = criterion.acceptable(request, at) if criterion.adjusts else None
        if value is not None and criterion.reason(request, at) is not None:
            assert criterion.reason(replace(request, **{criterion.adjusts: value}), at) is None


@given(st.integers(1, 130), st.integers(1, 130), st.integers(1, 10**5))
def test_a_job_that_takes_its_part_of_a_slot_fits_exactly(cores, slot, each):
    assume(cores <= slot)
    at = queue(parameters={"maxrss": each * slot, "maxwdir": each * slot, "minrss": each * slot, "corecount": slot})
    assert broker(ask(core_count=cores, min_ram_mb=each * cores, max_disk_mb=each * cores), [at]).accepted
    assert not broker(ask(core_count=cores, max_disk_mb=each * cores + 1), [at]).accepted
    assert not broker(ask(core_count=cores, min_ram_mb=each * cores + 1), [at]).accepted
    assert each * cores == 1 or not broker(ask(core_count=cores, min_ram_mb=each * cores - 1), [at]).accepted


def test_priorities_at_which_a_policy_changes_its_mind_divide_jobs():
    assert priority_limits("priority>900.5:0,priority!=-3:0,priority==1e3:0,priority>1e99:0,priority<x:0") == {
        *(900, 901, -3, -2, 1000, 1001)
    }


def test_what_cric_publishes_of_hardware_is_read():
    stated = read_stated({"architectures": [*CRIC, "ppc64le", {"type": "cpu", "arch": [""]}], "gpus": ["amd"]})
    assert stated.architectures == {"x86_64", "ppc64le"}
    assert stated.gpus == {"nvidia-kt100", "nvidia-a100", "amd"}
    assert (stated.only_for_gpus, stated.unreadable) == (False, ())
    odd = read_stated({"architectures": [{"type": "gpu"}, {"type": "gpu", "vendor": 5, "model": ["excl"]}]})
    assert (odd.architectures, odd.gpus, odd.only_for_gpus) == (frozenset(), {"any"}, True)


def test_a_part_of_a_policy_that_nobody_can_read_is_told():
    assert read_stated({"fairsharepolicy": "typ=evgen:0%,type=any:100%"}).unreadable == ("a part of fairsharepolicy",)
    assert read_stated({"fairsharepolicy": "type=evgen:0%, ,type=any:100,"}).unreadable == ()


@pytest.mark.parametrize(
    ("name", "pattern", "fits"),
    [
        *(("a", "a", True), ("a", "A", False), ("ab", "a?", True), ("ab", "a*b*", True), ("a.b", "a.b", True)),
        *(("ab", "(a|b)(b|c)", True), ("ba", "(a|b)(b|c)", False), ("c", "a|b|c", True), ("x-d", "(a|x)-(c|d)", True)),
        *(
            ("a[b]", "a[b]", True),
            ("ab", "a[b]", False),
            ("a(b", "a(b", True),
            ("", "*", True),
            ("anything", ".*", True),
        ),
        ("a" * 5000, "*" + "a*" * 50 + "b", False),
        ("aaaa", "(a|b)" * 4, True),
        # too many to write out: taken as it is written
        ("a" * 40, "(a|b)" * 40, False),
    ],
)
def test_patterns_mean_what_people_mean(name, pattern, fits):
    assert is_like(name, pattern) is fits


@given(st.text(max_size=30), st.text(alphabet="ab(|)*?.[]-", max_size=30))
def test_no_pattern_fails_and_every_name_is_like_itself(name, pattern):
    is_like(name, pattern)
    is_named(name, pattern)
    assert is_like(name, name) and is_named(name, name) and is_named(name, "*") and is_like(name, "*")


def test_a_thousand_queues_and_none():
    assert broker(ask(), []).explanation() == "there is no queue"
    assert broker(ask("managed", pinned_queue="GONE"), []).explanation() == "there is no queue"
    grid = [queue(f"Q{number:04}", max_ram_mb=number, running=number % 7) for number in range(1, 1001)]
    decision = broker(ask(min_ram_mb=991), grid)
    # 991 to 1000 have the memory; of those the ones that run most come first, and names break ties
    best = sorted(range(991, 1001), key=lambda number: (-(number % 7), number))
    assert [one.queue_name for one in decision.accepted] == [f"Q{number:04}" for number in best]
    [step] = [one for one in decision.steps if one.criterion == "memory"]
    assert (step.before, step.after, len(step.excluded)) == (1000, 10, 20)
    assert step.excluded[0] == {"queue": "Q0001", "reason": "allows 1 MB, the job needs 991 MB"}


def test_duplicate_weights_give_every_queue_its_turn_whatever_its_name():
    grid = [queue(name) for name in ("ß", "a", "Z", "科", "é")]
    decision = broker(ask(), grid)
    assert [one.queue_name for one in decision.accepted] == sorted(one.queue_name for one in grid)
    taken = places(decision, 500)
    assert {one.queue_name: one.activated for one in grid} == dict.fromkeys(("ß", "a", "Z", "科", "é"), 100)
    assert len(taken) == 500


def test_huge_loads_weigh_as_numbers_do():
    vast, small = queue("VAST", running=10**15, activated=10**15), queue("SMALL", running=3, activated=1)
    assert [one.queue_name for one in broker(ask("managed"), [vast, small]).accepted] == ["VAST", "SMALL"]
    assert [one.queue_name for one in broker(ask(), [vast, small]).best()] == ["SMALL", "VAST"]
