"""A what-if is a claim: over random grids and requests, whoever follows it gets what it says, and less would not do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as some

from core.brokerage.broker import Decision, broker
from core.brokerage.candidates import Candidate, Request
from core.brokerage.criteria import criteria_for
from core.brokerage.criterion import Criterion
from core.why.what_if import Change, changes_that_help
from core.workload_settings import BrokerageSettings
from tests.core.brokerage.describing import ask, queue

DISKS = ("D1", "D2", "D3")
NUMBERS = {
    "memory": "min_ram_mb",
    "cores": "core_count",
    "scratch": "max_disk_mb",
    "walltime": "max_walltime_s",
    "network I/O": "io_kb_s",
    "local I/O": "disk_io_kb_s",
}
MOST = 40
"""No number of a request or a queue is larger, so that every other value can be tried."""

amounts = some.one_of(some.just(0), some.integers(1, MOST))
stated = some.fixed_dictionaries(
    {},
    optional={
        **{name: some.integers(1, MOST) for name in ("mintime", "corecount")},
        # of a whole slot, so that the part of one core is not rounded to nothing
        **{name: some.integers(MOST, MOST * MOST) for name in ("minrss", "maxrss", "maxwdir")},
        **{name: some.floats(0.5, MOST) for name in ("maxdiskio", "max_io_intensity")},
        "capability": some.sampled_from(("score", "mcore", "ucore")),
        "direct_access_lan": some.booleans(),
        "allow_wan": some.booleans(),
    },
)


@some.composite
def grids(draw: some.DrawFn, most: int = 6, load: bool = True) -> list[Candidate]:
    """Queues of which most differ in what they allow."""
    return [
        queue(
            f"Q{number}",
            draw(stated),
            status=draw(some.sampled_from(("online", "online", "online", "online", "offline"))),
            storage_endpoint=draw(some.sampled_from(DISKS)),
            **{name: draw(amounts) for name in ("max_ram_mb", "max_disk_mb", "max_core_count", "max_walltime_s")},
            activated=draw(some.sampled_from((0, 0, 5000))) if load else 0,
        )
        for number in range(draw(some.integers(1, most)))
    ]


@some.composite
def requests(draw: some.DrawFn) -> Request:
    """Jobs with any needs and wishes."""
    names = some.sampled_from(("Q0", "Q1", "Q2", "Q*", "NONE", "AUTO"))
    return ask(
        draw(some.sampled_from(("user", "managed"))),
        core_count=draw(some.integers(0, 16)),
        **{name: draw(amounts) for name in NUMBERS.values() if name != "core_count"},
        has_input=draw(some.booleans()),
        complete_at=draw(some.frozensets(some.sampled_from(DISKS), max_size=2)),
        is_everywhere=draw(some.booleans()),
        needs_direct_access=draw(some.booleans()),
        allows_wan=draw(some.booleans()),
        included=tuple(draw(some.lists(names, max_size=2))),
        excluded=tuple(draw(some.lists(some.sampled_from(("Q0", "Q1", "NONE")), max_size=1))),
        pinned_queue=draw(some.sampled_from(("", "", "", "Q0", "NONE"))),
    )


def asked(
    request: Request, grid: list[Candidate], limits: BrokerageSettings | None = None
) -> tuple[Decision, Sequence[Criterion], list[Change]]:
    """What brokerage says, by what, and what would help."""
    criteria = criteria_for(request.kind, limits)
    decision = broker(request, grid, criteria)
    return decision, criteria, changes_that_help(decision, grid, criteria, request)


def followed(request: Request, words: str) -> Request:
    """The request of somebody who reads the words and does what they say."""
    for part in words.split(" and "):
        if part.startswith("without naming queue"):
            request = replace(request, pinned_queue="")
        elif part.startswith("without"):
            request = replace(
                request, **{{"includedSite": "included", "excludedSite": "excluded"}[part.split()[-1]]: ()}
            )
        elif part == "with its input at every storage":
            request = replace(request, complete_at=frozenset(DISKS), is_everywhere=True)
        elif part.startswith("with its input at"):
            request = replace(request, complete_at=request.complete_at | {part.split()[-1]}, is_everywhere=True)
        else:
            request = replace(request, **{attribute_of(part): int(part.split()[1])})
    return request


def attribute_of(part: str) -> str:
    """Which number `with 4 cores` or `with 10 MB of scratch` is about."""
    unit = part.split()[2]
    of = part.partition(" of ")[2] or {"core": "cores", "cores": "cores", "MB": "memory"}[unit]
    return NUMBERS[of]


@given(grids(), requests())
@settings(max_examples=250, deadline=None)
def test_whoever_follows_it_is_accepted_by_as_many_queues_as_it_says(grid, request):
    decision, criteria, changes = asked(request, grid)
    for change in changes:
        assert change.accepted_now == len(decision.accepted)
        assert change.queue_count == len(grid)
        assert len(broker(followed(request, change.words), grid, criteria).accepted) == change.accepted_then
        assert change.accepted_then > change.accepted_now or request.pinned_queue


@given(grids(load=False), requests())
@settings(max_examples=150, deadline=None)
def test_no_smaller_step_of_the_same_kind_helps(grid, request):
    # of unknown walltime, losing the queues that are preferred lets others in: no help
    request = replace(request, has_input=False, max_walltime_s=request.max_walltime_s or 1)
    decision, criteria, changes = asked(request, grid)
    now = len(decision.accepted)
    for name, attribute in NUMBERS.items():
        first = next((change for change in changes if change.dimension == name), None)
        if first is None:
            continue
        start = getattr(request, attribute)
        for value in range(1, MOST * 16):
            if abs(value - start) < abs(first.proposed - start):
                then = broker(replace(request, **{attribute: value}), grid, criteria)
                assert len(then.accepted) <= now, (name, value)


@given(grids(most=4, load=False), requests())
@settings(max_examples=150, deadline=None)
def test_of_several_changes_none_can_be_left_out(grid, request):
    _, criteria, changes = asked(request, grid)
    for change in changes:
        parts = change.words.split(" and ")
        for fewer in combinations(parts, len(parts) - 1):
            left = (
                broker(followed(request, " and ".join(fewer)), grid, criteria)
                if fewer
                else broker(request, grid, criteria)
            )
            if change.dimension == "several":
                assert not left.accepted, fewer


@given(grids(most=4, load=False), requests(), some.data())
@settings(max_examples=150, deadline=None)
def test_where_it_says_that_nothing_helps_nothing_does(grid, request, data):
    request = replace(request, pinned_queue="", has_input=False, included=(), excluded=())
    decision, criteria, changes = asked(request, grid)
    if changes or decision.accepted:
        return
    attributes = some.sampled_from(sorted(NUMBERS.values()))
    values: dict[str, Any] = data.draw(some.dictionaries(attributes, some.integers(1, MOST), max_size=3))
    assert not broker(replace(request, **values), grid, criteria).accepted


def test_of_hundreds_of_limits_the_nearest_that_helps_is_named():
    # 26 queues nearer than the first that has the walltime: evenly spread values missed it
    near = [queue(f"N{n:03}", max_ram_mb=5000 - n, max_walltime_s=60) for n in range(100)]
    far = [queue(f"F{n:03}", max_ram_mb=4000 - n) for n in range(100)]
    _, _, changes = asked(ask(min_ram_mb=6000, max_walltime_s=3600), near + far)
    assert [(one.words, one.accepted_then) for one in changes] == [("with 4000 MB", 1), ("with 3901 MB", 100)]


def test_what_is_a_part_of_the_need_is_a_step_too():
    limits = BrokerageSettings(production_memory_part=0.9)
    _, _, changes = asked(ask("managed", min_ram_mb=6000), [queue("A", max_ram_mb=3000)], limits)
    assert [(one.words, one.accepted_then) for one in changes] == [("with 3333 MB", 1)]


def test_whole_slots_of_eight_are_had_for_eight_cores_though_sixteen_fit():
    grid = [queue("A", {"capability": "mcore", "corecount": 8}, max_core_count=16)]
    _, _, changes = asked(ask(core_count=1), grid)
    assert [one.words for one in changes] == ["with 8 cores"]


def test_a_queue_that_has_the_input_ends_reading_from_elsewhere():
    elsewhere = [queue(f"E{n}", {"allow_wan": True}, storage_endpoint="D2") for n in range(5)]
    grid = [*elsewhere, queue("HERE", storage_endpoint="D1", max_ram_mb=1000)]
    decision, _, changes = asked(ask(min_ram_mb=2000, has_input=True, complete_at=frozenset({"D1"})), grid)
    assert (len(decision.accepted), decision.is_without_locality) == (5, True)
    assert "memory" not in [one.dimension for one in changes]


def test_two_changes_are_found_though_the_nearest_first_one_leads_nowhere():
    # 5000 MB is nearest, but that queue ends in a wish for containers that nothing can change
    dead_end = queue("DEAD", {"container_type": "none"}, max_ram_mb=5000, max_walltime_s=60)
    grid = [dead_end, queue("GOOD", max_ram_mb=4000, max_walltime_s=3600)]
    _, _, changes = asked(ask(min_ram_mb=6000, max_walltime_s=7200, needs_container=True), grid)
    assert [one.words for one in changes] == ["with 4000 MB and with 3600 s of walltime"]


def test_with_fewer_cores_the_queues_count_what_they_have_of_the_other_kind():
    # what is queued of single cores is too much at FULL, so it stands back; of eight cores it is not
    full = queue("FULL", max_core_count=1, by_resource_type={"SCORE": (9000, 1)})
    request = ask("managed", core_count=8, min_ram_mb=1000, resource_type="MCORE")
    _, _, changes = asked(request, [full, queue("FREE", max_core_count=1)])
    assert [(one.words, one.accepted_then) for one in changes] == [("with 1 core", 1)]


def test_memory_that_comes_with_the_slot_is_had_for_more_cores():
    # 16000 MB for a slot of eight: two cores bring 4000
    grid = [queue(f"S{n}", {"corecount": 8, "maxrss": 16000}) for n in range(3)]
    _, _, changes = asked(ask(core_count=1, min_ram_mb=4000), grid)
    assert [(one.words, one.accepted_then) for one in changes] == [("with 2000 MB", 3), ("with 2 cores", 3)]
