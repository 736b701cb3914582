"""The largest jobs that queues take, by hand from scratch and time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.brokerage.capacity import capacities, capacities_among, capacity_of
from core.taskengine.dialects.definition import Needs
from core.taskengine.dialects.reading import definition_of
from tests.core.brokerage.describing import ask, queue
from tests.support.builders import make_queue, make_task

NEEDS = Needs(core_count=8, hs06_s_per_event=100.0, cpu_efficiency=90, base_walltime_s=600, work_disk_mb=1000)


def test_time_allows_so_many_events():
    # (86400 - 600) x 8 x 12.5 x 0.9 / 100
    capacity = capacity_of(ask(core_count=8), NEEDS, queue(parameters={"corepower": 12.5}, max_walltime_s=86_400))
    assert (capacity.max_events, capacity.max_input_bytes) == (77_220, None)
    # cores count as 10 HS06 where nobody stated more
    assert capacity_of(ask(core_count=8), NEEDS, queue(max_walltime_s=86_400)).max_events == 61_776


@pytest.mark.parametrize(
    ("changes", "limits"),
    [
        ({"cpu_efficiency": 0}, {"max_walltime_s": 3600}),
        ({"hs06_s_per_event": 0.0}, {"max_walltime_s": 3600}),
        ({}, {}),
    ],
)
def test_time_limits_nothing_where_it_does_not_grow_or_nobody_knows(changes, limits):
    assert capacity_of(ask(core_count=8), replace(NEEDS, **changes), queue(**limits)).max_events is None


def test_scratch_allows_so_much_input_beside_outputs_and_work():
    # 20000 - 1000 work - 500 for outputs
    assert capacity_of(ask(core_count=8), NEEDS, queue(max_disk_mb=20_000)).max_input_bytes == 18_500 * 10**6
    # outputs of 2000 MB stated outright
    large = replace(NEEDS, disk_mb=2000)
    assert capacity_of(ask(core_count=8), large, queue(max_disk_mb=20_000)).max_input_bytes == 17_000 * 10**6
    # outputs as large as the input: half of 19000
    growing = replace(NEEDS, disk_kb_per_input_mb=1000)
    assert capacity_of(ask(core_count=8), growing, queue(max_disk_mb=20_000)).max_input_bytes == 9_500 * 10**6
    # a slot of eight cores, all of them used
    slot = queue(parameters={"maxwdir": 20_000, "corecount": 8})
    assert capacity_of(ask(core_count=8), NEEDS, slot).max_input_bytes == 18_500 * 10**6
    assert capacity_of(ask(core_count=8), NEEDS, queue(max_disk_mb=100)).max_input_bytes == 0


def test_scratch_also_limits_events():
    # (20000 - 1000) MB at 1900 kB each, fewer than the time allows
    writing = replace(NEEDS, disk_kb_per_event=1900)
    capacity = capacity_of(ask(core_count=8), writing, queue(max_disk_mb=20_000, max_walltime_s=86_400))
    assert capacity.max_events == 10_000


def test_input_that_is_opened_in_place_takes_no_scratch():
    opened = ask(core_count=8, needs_direct_access=True)
    there = queue(parameters={"direct_access_lan": True}, max_disk_mb=20_000)
    assert capacity_of(opened, NEEDS, there).max_input_bytes is None


def test_only_queues_that_would_take_the_task_count_best_first():
    grid = [
        queue("BUSY", activated=9, max_disk_mb=2000),
        queue("IDLE", max_disk_mb=9000),
        queue("SMALL", max_core_count=4),
        queue("OFF", status="offline"),
    ]
    found = capacities_among(ask(core_count=8), NEEDS, grid)
    assert [(one.queue_name, one.weight_rank) for one in found] == [("IDLE", 0), ("BUSY", 1)]


def test_a_task_finds_its_queues_in_the_tables(database):
    make_queue(database, "A", max_disk_mb=2500)
    make_queue(database, "B", status="offline")
    task_id = make_task(database, site="")
    with database.transaction() as transaction:
        task = transaction.fetch_one("SELECT * FROM tasks WHERE jedi_task_id = %(id)s", {"id": task_id})
        found = capacities(transaction, task, definition_of(task))
    assert [(one.queue_name, one.max_input_bytes, one.max_events) for one in found] == [("A", 2000 * 10**6, None)]
