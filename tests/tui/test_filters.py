"""Lists are narrowed by what is typed and by the facets at their side."""

from __future__ import annotations

import pytest

from tests.tui.conftest import console
from tui.local_filter import matches

pytestmark = pytest.mark.anyio


async def test_slash_asks_the_server_for_jobs_with_a_text(story):
    async with console(story.system, "/jobs/") as seen:
        await seen.shows("of 9 jobs")
        await seen.press("/")
        await seen.type("no such column")
        await seen.is_at("/jobs/?q=no%20such%20column")
        await seen.shows("1 of 5 jobs")
        await seen.press("/")
        await seen.type("job_status=running")
        await seen.shows("No job matches.", "backspace removes the last filter (job_status=running).")
        await seen.press("backspace")
        await seen.shows("1 of 5 jobs")
        await seen.press("backspace")
        await seen.is_at("/jobs/")
        await seen.shows("of 9 jobs")


async def test_enter_on_a_facet_narrows_and_enter_again_widens(story):
    async with console(story.system, "/jobs/") as seen:
        await seen.shows("of 9 jobs")
        await seen.press("tab")
        facets = seen.table("#facets")
        assert facets.has_focus
        assert facets.current["value"] == "failed"
        await seen.press("enter")
        await seen.is_at("/jobs/?job_status=failed")
        await seen.shows("1 of 6 jobs", "▸ ✗ failed")
        assert {row["job_status"] for row in seen.table().rows} == {"failed"}
        facets.move_to("job_status=failed")
        await seen.press("enter")
        await seen.is_at("/jobs/")
        await seen.shows("of 9 jobs")


async def test_an_excluded_facet_value_is_left_out(story):
    async with console(story.system, "/jobs/") as seen:
        await seen.shows("of 9 jobs")
        await seen.press("tab")
        seen.table("#facets").move_to("prod_user_name=mallory")
        await seen.press("!")
        await seen.is_at("/jobs/?prod_user_name=!mallory")
        await seen.shows("of 8 jobs")


async def test_facets_come_and_go_on_a_narrow_screen(story):
    async with console(story.system, "/jobs/", size=(80, 24)) as seen:
        await seen.shows("of 9 jobs")
        assert "In common" not in seen.text
        await seen.press("tab")
        await seen.shows("In common", "✗ failed")
        await seen.press("tab")
        await seen.hides("In common")
        assert seen.table().has_focus


async def test_the_order_of_jobs_is_turned_round(story):
    async with console(story.system, "/jobs/") as seen:
        await seen.shows("of 9 jobs")
        newest = seen.table().rows[0]["panda_id"]
        await seen.press("o")
        await seen.until(lambda: seen.table().rows[-1]["panda_id"] == newest, "oldest first")


async def test_a_list_that_is_loaded_whole_is_filtered_at_once_and_keeps_it_on_coming_back(story):
    async with console(story.system, "/incidents/") as seen:
        await seen.shows("1 of 2 incidents")
        await seen.press("/")
        await seen.type("no such column")
        await seen.shows("1 of 1 incident", "filter no such column")
        await seen.press("enter")
        await seen.until(lambda: seen.page.startswith("/incident/"), "the incident is open")
        await seen.press("escape")
        await seen.is_at("/incidents/")
        await seen.shows("1 of 1 incident", "filter no such column")
        await seen.press("/")
        await seen.type("!no such column")
        await seen.shows("1 of 1 incident", "RuntimeError")


@pytest.mark.parametrize(
    ("wanted", "is_shown"),
    [("", True), ("alpha", True), ("ALPHA", True), ("!alpha", False), ("gamma", False), ("!gamma", True),
     ("name=lph", True), ("name=gamma", False), ("~aha", True), ("~ahx", False), ("17", True), ("!", True)],
)  # fmt: skip
def test_a_local_filter(wanted, is_shown):
    row = {"name": "Alpha beta", "number": 17, "flag": True, "nothing": None}
    assert matches(row, wanted) is is_shown
