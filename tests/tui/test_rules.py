"""The console lists rules with what they did, and agents with the timeouts; digits lead to both."""

from __future__ import annotations

import pytest

from tests.core.retrial.failing import add_rule, fail, judge, make_task, no_rules
from tests.tui.conftest import HOSTILE, Story, console

pytestmark = pytest.mark.anyio


@pytest.fixture(name="story")
def _story(changed_story: Story) -> Story:
    """These tests add rows of their own."""
    return changed_story


async def test_rules_say_what_they_did_and_lead_to_the_job(story):
    database = story.database
    no_rules(database)
    add_rule(database, "limit_retry", 1364, parameters={"maxAttempt": 2}, description=HOSTILE)
    add_rule(database, "no_retry", 1305, is_active=False)
    add_rule(database, "no_retry", 1212, error_diag="(", disabled_reason="invalid expression")
    job = fail(database, make_task(database, files=1), code=1364)
    judge(database, job)
    async with console(story.system, size=(150, 40)) as seen:
        await seen.press("8")
        await seen.shows(
            "3 rules", "limit retry maxAttempt 2", "● active", "◌ passive", "✗ disabled: inv", "pilot:1212"
        )
        await seen.shows("What rules did lately", "at most 2 attempts", "failed in 24 h", "[red]not red")
        await seen.press("tab", "home", "enter")
        await seen.is_at(f"/job/{job}/")


async def test_without_rules_the_screen_says_what_decides(story):
    no_rules(story.database)
    async with console(story.system, "rules", size=(80, 24)) as seen:
        await seen.shows("There is no rule: the limits of tasks decide alone")


async def test_the_system_shows_agents_in_trouble_first_and_what_timeouts_ended(story):
    story.database.execute(
        "INSERT INTO agent_runs (name, host, last_run, last_error, last_error_time) "
        "VALUES ('zz_agent', 'node8', now(), 'disk [b]full[/b]', now()) ON CONFLICT (name) DO NOTHING"
    )
    try:
        async with console(story.system, size=(150, 40)) as seen:
            await seen.press("9")
            await seen.shows("zz agent", "✗ failing", "disk [b]full[/b]", "activator", "Timeouts", "heartbeat lost")
            assert seen.table().rows[0]["name"] == "zz_agent"
            await seen.go("agents")
            await seen.is_at("/system/")
    finally:
        story.database.execute("DELETE FROM agent_runs WHERE name = 'zz_agent'")


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
@pytest.mark.parametrize("key", ["6", "7", "8", "9"])
async def test_the_digits_lead_to_every_list(story, size, key):
    page = {"6": "/users/", "7": "/shares/", "8": "/rules/", "9": "/system/"}[key]
    async with console(story.system, size=size) as seen:
        await seen.press(key)
        await seen.is_at(page)
