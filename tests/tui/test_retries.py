"""The job screen says what rules did about a job that failed."""

from __future__ import annotations

import pytest

from tests.core.retrial.failing import add_rule, fail, judge, make_task
from tests.tui.conftest import Story, console

pytestmark = pytest.mark.anyio


@pytest.fixture(name="story")
def _story(changed_story: Story) -> Story:
    """These tests add rows of their own."""
    return changed_story


async def test_a_failed_job_of_a_task_says_what_the_rules_did(story):
    number = add_rule(story.database, "limit_retry", 1364, parameters={"maxAttempt": 2})
    job = fail(story.database, make_task(story.database, files=1), code=1364)
    judge(story.database, job)
    async with console(story.system, f"job {job}", size=(120, 60)) as seen:
        await seen.shows(
            "Retries", "attempt 1 of 2", f"rule {number}", "limit_retry  at most 2 attempts", "fault of the system"
        )
