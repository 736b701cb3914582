"""What would open further queues, counted by the same criteria."""

from __future__ import annotations

from core.brokerage.broker import broker
from core.brokerage.what_if import relaxations
from tests.core.brokerage.describing import ask, queue

GRID = [
    *(queue(f"BIG{number}", max_ram_mb=6000) for number in range(2)),
    *(queue(f"MIDDLE{number}", max_ram_mb=3000) for number in range(59)),
    *(queue(f"SMALL{number}", max_ram_mb=2000) for number in range(49)),
    *(queue(f"OFF{number}", status="offline", max_ram_mb=6000) for number in range(10)),
]


def test_less_memory_is_counted_by_the_queues_that_would_then_take_the_jobs():
    found = relaxations(broker(ask(min_ram_mb=6000), GRID), GRID)
    assert [one.sentence() for one in found] == [
        "accepted by 2 of 120 queues; with 3000 MB by 61",
        "accepted by 2 of 120 queues; with 2000 MB by 110",
    ]
    assert (found[0].criterion, found[0].attribute, found[0].asked) == ("memory", "min_ram_mb", 6000)


def test_the_binding_criterion_comes_first():
    grid = [queue("A", max_ram_mb=1000, max_core_count=8), queue("B", max_ram_mb=4000, max_core_count=2)]
    decision = broker(ask(min_ram_mb=4000, core_count=8), grid)
    assert decision.binding_step.criterion == "memory"
    found = relaxations(decision, grid)
    assert [(one.criterion, one.proposed, one.accepted_then) for one in found] == [("memory", 1000, 1), ("cores", 2, 1)]


def test_a_time_too_short_for_a_queue_can_be_raised():
    grid = [queue("LONG", {"mintime": 3600})]
    found = relaxations(broker(ask(max_walltime_s=60), grid), grid)
    assert [(one.attribute, one.proposed, one.accepted_then) for one in found] == [("max_walltime_s", 3600, 1)]


def test_nothing_is_proposed_where_no_number_helps():
    grid = [queue(status="offline")]
    assert relaxations(broker(ask(min_ram_mb=10), grid), grid) == []
    assert relaxations(broker(ask(pinned_queue="GONE"), grid), grid) == []


def test_of_many_steps_the_nearest_and_the_farthest_are_tried():
    grid = [queue(f"Q{number:03}", max_ram_mb=1000 + number) for number in range(100)]
    found = relaxations(broker(ask(min_ram_mb=5000), grid), grid)
    assert [(one.proposed, one.accepted_then) for one in found] == [(1099, 1), (1000, 100)]
