"""The console lists the shares as a tree, and enter leads to the jobs of one."""

from __future__ import annotations

import pytest

from core.shares.editing import replace_tree
from core.shares.usage import refresh
from tests.core.shares.conftest import put_jobs
from tests.tui.conftest import Story, console

pytestmark = pytest.mark.anyio


@pytest.fixture(name="story")
def _story(changed_story: Story) -> Story:
    """These tests add rows of their own."""
    return changed_story


async def test_the_shares_show_what_each_uses_and_lead_to_their_jobs(story):
    replace_tree(
        story.database,
        [
            {"name": "Production", "value": 3},
            {"name": "MC", "parent": "Production", "value": 1, "prod_source_label": "managed", "max_queued_jobs": 1},
            {"name": "Analysis", "value": 1, "prod_source_label": "user"},
        ],
        who="olga",
    )
    put_jobs(story.database, "MC", 5, queue="ELSEWHERE")
    put_jobs(story.database, "MC", 1, status="running", queue="ELSEWHERE")
    put_jobs(story.database, "Analysis", 3, status="running", queue="ELSEWHERE")
    refresh(story.database)
    async with console(story.system, "shares", size=(140, 40)) as seen:
        # 40 units execute, three quarters of them are due to production
        await seen.shows("Production", "  MC", "75.0", "-67 %", "Analysis", "+200 %", "SCORE")
        await seen.press("down", "enter")
        await seen.shows("gshare=MC", "6 jobs")
