"""A task counts for the lane that its jobs count for, however its memory is stated (domain.md 3.8)."""

from __future__ import annotations

import pytest

from core.database import Database
from core.taskengine.lanes import lane_of
from tests.core.taskengine.submitting import accept, captured, jobs, prepare, row_of_task


@pytest.mark.parametrize(
    ("unit", "ram", "base", "cores", "kind"),
    [
        ("MBPerCore", 3000, 0, 8, "MCORE_HIMEM"),
        ("MBPerCoreFixed", 1500, 0, 8, "MCORE"),
        ("MB", 3000, 0, 8, "MCORE"),
        ("MB", 3000, 0, 1, "SCORE_HIMEM"),
        ("MBPerCore", 1900, 16_000, 8, "MCORE_HIMEM"),
    ],
)
def test_a_task_is_in_the_lane_of_its_jobs(database: Database, unit: str, ram: int, base: int, cores: int, kind: str):
    prepare(database)
    needs = {"ramCount": ram, "ramCountUnit": unit, "baseRamCount": base, "coreCount": cores}
    task_id = accept(database, captured("njobs", **needs))
    assert {job["resource_type"] for job in jobs(database, task_id)} == {kind}
    assert lane_of(row_of_task(database, task_id)) == ("", kind)
