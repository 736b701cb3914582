"""Every screen is usable at 80x24, uses 200x60, and follows the terminal when it is resized."""

from __future__ import annotations

import pytest

from tests.tui.conftest import FAILING_LINE, console

pytestmark = pytest.mark.anyio

SIZES = [(80, 24), (200, 60), (40, 10)]


@pytest.mark.parametrize("page", ["/", "/incidents/", "/jobs/", "incident", "job", "log"])
async def test_resizing_keeps_everything_in_place(story, page):
    objects = {
        "incident": f"/incident/{story.incident_of(story.failed[0])}/",
        "job": f"/job/{story.failed[0]}/",
        "log": f"/job/{story.failed[0]}/log/",
    }
    async with console(story.system, objects.get(page, page), size=(120, 40)) as seen:
        await seen.is_at(objects.get(page, page))
        for width, height in SIZES:
            await seen.pilot.resize_terminal(width, height)
            await seen.fills(width, height)
            await seen.until(lambda: "pandascope" in seen.lines[0] and "? help" in seen.lines[-1], "head and foot")
            for widget in seen.app.screen.query(".panel").results():
                if widget.is_on_screen and widget.region:
                    assert widget.region.right <= width, f"{widget} sticks out at {width}x{height}"


async def test_a_small_terminal_shows_the_failing_line_of_an_incident(story):
    async with console(story.system, f"incident {story.incident_of(story.failed[0])}", size=(80, 24)) as seen:
        await seen.shows(FAILING_LINE, "5 jobs of", "Sample jobs", "l log", "a acknowledge")
        assert any(line.lstrip("│ ").startswith("304 ▶") for line in seen.lines)


async def test_a_screen_that_grows_asks_for_what_it_can_show(story):
    async with console(story.system, "/", size=(80, 24)) as seen:
        await seen.shows("1 of 2 incidents")
        assert "Queues" not in seen.text
        await seen.pilot.resize_terminal(160, 48)
        await seen.shows("Queues", "Failed last", "✗ 6 failed", "Agents")


async def test_a_job_that_grows_shows_its_log_beside_it(story):
    async with console(story.system, f"job {story.failed[0]}", size=(80, 24)) as seen:
        await seen.shows(FAILING_LINE)
        await seen.pilot.resize_terminal(200, 60)
        await seen.shows("Log payload.stderr", f"304 ▶ {FAILING_LINE}", "cleaning up 1")


async def test_an_incident_on_a_huge_screen_shows_the_log_at_its_line(story):
    async with console(story.system, f"incident {story.incident_of(story.failed[0])}", size=(200, 60)) as seen:
        await seen.shows("Log payload.stderr", "344 lines")
        await seen.until(lambda: seen.log.line_number == 304, "the log is at the failing line")


async def test_tab_goes_through_the_lists_of_now(story):
    async with console(story.system, "/", size=(160, 48)) as seen:
        await seen.shows("Failed last")
        await seen.press("tab")
        await seen.until(lambda: seen.table("#now-queues").has_focus, "the queues have the focus")
        await seen.press("enter")
        await seen.is_at("/jobs/?computing_site=LOCAL")


async def test_the_theme_can_be_light_on_every_screen(story):
    async with console(story.system) as seen:
        await seen.go("theme pandascope-light")
        for key in "12345":
            await seen.press(key)
            await seen.shows("● LIVE")
        assert seen.app.theme == "pandascope-light"
