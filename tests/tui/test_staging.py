"""The console shows what comes from tape, for whom, and what of it stands still; and every status of a task by a sign."""

from __future__ import annotations

import pytest

from core.agents.data_carousel import DataCarousel
from core.queues import set_endpoint
from core.states import StagingStatus, TaskStatus
from core.workload_settings import CarouselSettings
from tests.support import builders
from tests.tui.conftest import Story, console
from tui.palette import _STAGING_STATUSES, _TASK_STATUSES

pytestmark = pytest.mark.anyio

_STILL = "UPDATE data_carousel_requests SET n_asked = 2, trouble = 'the robot stands still'"


@pytest.fixture(name="story")
def _story(changed_story: Story) -> Story:
    """These tests add rows of their own."""
    return changed_story


async def test_every_status_has_a_sign():
    assert set(_TASK_STATUSES) == set(TaskStatus)
    assert set(_STAGING_STATUSES) == set(StagingStatus)


async def test_what_comes_from_tape_leads_to_the_task_that_waits_for_it(story):
    set_endpoint(story.database, "ARCHIVE", mover="cp", path="/nowhere/tape", kind="tape")
    builders.make_queue(story.database, "NEAR")
    builders.make_dataset(story.database, "raw.482", ["raw.1", "raw.2"], at=["ARCHIVE"])
    parameters = {"inputDataset": "raw.482", "nFilesPerJob": 1, "jobParameters": "cat %IN"}
    task = builders.make_task(story.database, site="NEAR", **parameters)
    DataCarousel(story.database, CarouselSettings(), 1).cycle()
    story.database.execute(_STILL)
    async with console(story.system, "staging", size=(140, 40)) as seen:
        await seen.shows("raw.482", "✗ stuck", "ARCHIVE", str(task), "1 dataset from tape")
        await seen.press("enter")
        await seen.shows(f"Task {task}", "⇣ staging", "Input from tape", "0 of 2 files", "the robot stands still")
