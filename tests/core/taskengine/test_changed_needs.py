"""Changed cores and memory of a task: what its jobs that wait ask for then (server-api.md 1.2)."""

from __future__ import annotations

import pytest

from core.database import Database
from core.errors import InvalidInput
from core.taskengine.commands import changing
from tests.core.taskengine.submitting import accept, captured, prepare
from tests.support.builders import everything, jobs_of_task


@pytest.fixture
def site(database: Database) -> Database:
    prepare(database)
    return database


def test_jobs_that_wait_need_what_new_ones_would_and_others_are_left_alone(site):
    task_id = accept(site, captured("build", ramCount=2000, ramCountUnit="MBPerCore", baseRamCount=500, coreCount=1))
    build, *runs = jobs_of_task(site, task_id)
    # the first one ran out of memory once
    site.execute("UPDATE task_files SET ram_mb = 6000 WHERE panda_id = %(id)s", {"id": runs[0]})
    needs = "SELECT core_count, min_ram_mb, resource_type FROM jobs_live WHERE panda_id = %(id)s"
    before = site.fetch_one(needs, {"id": build})
    changing.change_attribute(site, task_id, "coreCount", 4)
    changing.change_attribute(site, task_id, "ramCount", 3000)
    first, second = (site.fetch_one(needs, {"id": panda_id}) for panda_id in runs[:2])
    assert first == {"core_count": 4, "min_ram_mb": 24_000, "resource_type": "MCORE_HIMEM"}
    assert second == {"core_count": 4, "min_ram_mb": 12_500, "resource_type": "MCORE_HIMEM"}
    assert site.fetch_one(needs, {"id": build}) == before, "a build job compiles on one core, whatever the others need"


def test_a_change_that_contradicts_the_task_is_refused_with_its_field(site):
    task_id = accept(site, captured("njobs", coreCount=2, maxCoreCount=4))
    before = everything(site)
    with pytest.raises(InvalidInput) as refused:
        changing.change_attribute(site, task_id, "coreCount", 8)
    assert refused.value.field == "coreCount"
    assert everything(site) == before


@pytest.mark.parametrize(
    ("tag", "value", "field"),
    [("nFilesPerJob", "999999999", "nFilesPerJob"), ("MF", "999999999", "nMaxFilesPerJob"), ("TW", "x", "value")],
)
def test_a_rule_that_no_job_can_obey_is_refused_with_its_field(site, tag, value, field):
    task_id = accept(site, captured("files"))
    before = everything(site)
    with pytest.raises(InvalidInput) as refused:
        changing.change_split_rule(site, task_id, tag, value)
    assert refused.value.field == field
    assert everything(site) == before
