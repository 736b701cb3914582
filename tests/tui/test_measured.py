"""The screen of a task tells what its scouts measured."""

from __future__ import annotations

import pytest

from tests.support.builders import make_task
from tests.support.measured import note_measured
from tests.tui.conftest import Story, console

pytestmark = pytest.mark.anyio


@pytest.fixture(name="story")
def _story(changed_story: Story) -> Story:
    """These tests add rows of their own."""
    return changed_story


async def test_a_task_tells_what_its_scouts_measured_and_when_the_system_acts(story):
    task_id = make_task(story.database, site="LOCAL", jobParameters="true")
    note_measured(story.database, task_id)
    async with console(story.system, f"task {task_id}", size=(140, 70)) as seen:
        await seen.shows(
            "Measured needs", "5 of 10 scouts succeeded", "memory per core: 3,380 MB", "ramCount: 1000 -> 3380"
        )
        await seen.shows("acts next")
