"""Agents and timeouts in a real browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.dashboard.conftest import comes_to
from tests.dashboard.test_pictures import _HEADER_OVERLAPS, PICTURES

pytestmark = pytest.mark.browser
_FITS = "document.documentElement.scrollWidth <= window.innerWidth"
_TROUBLE = """
INSERT INTO agent_runs (name, host, last_run, next_run, duration_ms, last_error, last_error_time)
VALUES ('gone_agent', 'node7', now() - interval '2 hours', now() - interval '2 hours', 90000, '', NULL),
       ('sick_agent', 'node8', now(), now() + interval '1 day', 12, %(error)s, now())
ON CONFLICT (name) DO NOTHING
"""


@pytest.fixture(scope="module")
def troubled(story):
    """One agent that nobody runs any more, one whose runs fail with a long error."""
    database = story.system.database
    database.execute(_TROUBLE, {"error": "could not extend file: no space left on device <b>here</b> " * 6})
    database.execute(
        "INSERT INTO timeout_counts (name, ended_total, last_ended, last_ended_time, last_panda_id) "
        "VALUES ('heartbeat lost', 12, 3, now() - interval '1 hour', %(job)s) "
        "ON CONFLICT (name) DO UPDATE SET ended_total = 12, last_panda_id = excluded.last_panda_id, "
        "last_ended_time = excluded.last_ended_time",
        {"job": story.failed[0]},
    )
    return story


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_trouble_stands_first_and_timeouts_say_what_they_ended(troubled, tab, scheme):
    page = tab.open("system/")
    if scheme == "dark":
        page.locator("#scheme-toggle").click()
    expect(page.locator("h1")).to_contain_text("1 failing, 1 late")
    rows = page.locator("#system-agents tbody tr")
    expect(rows.nth(0)).to_contain_text("no space left on device <b>here</b>")
    expect(rows.nth(1)).to_contain_text("gone agent")
    expect(page.locator("#system-agents tr", has_text="watchdog").first).to_contain_text("runs")
    ended = page.locator("#system-timeouts tr", has_text="heartbeat lost")
    expect(ended).to_contain_text("12")
    expect(ended.locator("a")).to_have_attribute("href", f"/monitor/job/{troubled.failed[0]}/")
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        page.screenshot(path=PICTURES / f"system-{width}-{scheme}.png", full_page=True)
        comes_to(page, _FITS, True, width)
        if width >= 1280:
            comes_to(page, _HEADER_OVERLAPS, False)
    if scheme == "dark":
        page.locator("#scheme-toggle").click()


def test_the_page_asks_again_by_itself(troubled, tab):
    page = tab.open("system/")
    expect(page.locator("h1")).to_contain_text("failing")
    troubled.system.database.execute("DELETE FROM agent_runs WHERE name = 'sick_agent'")
    expect(page.locator("h1")).not_to_contain_text("failing")
