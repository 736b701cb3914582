"""The console follows the system by push, moves nothing under the cursor, and says how old its knowledge is."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from logger.agents import build_agents
from tests.support import builders
from tests.support.system import free_port, running_system
from tests.tui.conftest import Story, console

pytestmark = pytest.mark.anyio


def as_of_s(text: str) -> int:
    """How many seconds old what is shown is, as the console says it."""
    found = re.search(r"as of (\d+) (s|min) ago", text)
    assert found is not None, text
    return int(found[1]) * (60 if found[2] == "min" else 1)


async def test_the_first_incident_appears_without_a_key(fresh):
    async with console(fresh.system) as seen:
        await seen.shows("No incident is open: nothing needs you now.", "3 running", "✓ no open incident", "● LIVE")
        fresh.fail(fresh.running[0])
        await seen.shows("1 of 1 incident", "no such column", "● 1 warning", "1 failed", "2 running")
        assert seen.pressed == 0


async def test_further_incidents_wait_and_the_cursor_stays(fresh):
    fresh.fail(fresh.running[0])
    fresh.incidents(1)
    async with console(fresh.system, "/incidents/") as seen:
        await seen.shows("1 of 1 incident")
        key = seen.table().current_key
        fresh.fail(fresh.running[1], "MemoryError: none left", pilot_error_code=1212)
        await seen.shows("1 new, press u", "u show new")
        assert [str(row["incident_id"]) for row in seen.table().rows] == [key]
        await seen.press("u")
        await seen.shows("of 2 incidents", "MemoryError")
        assert seen.table().current_key == key
        await seen.hides("press u")


async def test_jobs_change_in_place_and_new_ones_wait(fresh):
    async with console(fresh.system, "/jobs/") as seen:
        await seen.shows("1 of 3 jobs")
        await seen.press("down")
        chosen = seen.table().current_key
        fresh.finish(fresh.running[0])
        fresh.start(2)
        await seen.shows("2 new, press u", "✓ finished", "2 of 5 jobs")
        assert [row["panda_id"] for row in seen.table().rows] == sorted(fresh.running, reverse=True)
        assert seen.table().current_key == chosen
        await seen.press("u")
        await seen.until(lambda: len(seen.table().rows) == 5, "all jobs are shown")
        assert seen.table().current_key == chosen


async def test_a_job_follows_its_states(fresh):
    async with console(fresh.system, f"job {fresh.running[0]}") as seen:
        await seen.shows("◑ running")
        fresh.finish(fresh.running[0])
        await seen.shows("✓ finished", "holding")


async def test_a_paused_console_stays_as_it_is_until_it_goes_on(fresh):
    async with console(fresh.system) as seen:
        await seen.shows("3 running")
        await seen.press("p")
        await seen.shows("‖ PAUSED")
        mark = seen.app.feed.mark
        fresh.fail(fresh.running[0])
        fresh.incidents(1)
        await seen.until(lambda: seen.app.feed.mark > mark, "the stream reported it")
        await seen.pilot.pause(1.0)
        assert "3 running" in seen.text
        await seen.press("p")
        await seen.shows("2 running", "● LIVE", "no such column")


async def test_a_server_that_goes_away_and_comes_back(database_url, tmp_path):
    port = free_port()
    with running_system(database_url, tmp_path, listen_on=port, further_agents=build_agents) as system:
        told = Story(system)
        told.running = told.start(2)
        told.fail(told.running[0])
        told.incidents(1)
        opened = console(system)
        seen = await opened.__aenter__()
        await seen.shows("1 running", "1 of 1 incident", "● LIVE", "a acknowledge")
    try:
        await seen.shows("✗ DISCONNECTED", "The server is away", "actions are off", "1 running", "1 of 1 incident")
        await seen.press("a")
        assert "enter sends" not in seen.text
        await seen.until(lambda: "as of " in seen.text, "the age is there")  # stopping the server may have taken long
        begin = as_of_s(seen.text)
        await seen.until(lambda: as_of_s(seen.text) >= begin + 2, "the age grows")
        with running_system(database_url, tmp_path, listen_on=port, further_agents=build_agents) as system:
            told.system = system
            await seen.shows("● LIVE")
            await seen.hides("The server is away")
            told.finish(told.running[1])
            await seen.shows("1 finished")
            await seen.press("a")
            await seen.shows("enter sends")
    finally:
        await opened.__aexit__(None, None, None)


async def test_a_console_that_starts_before_its_server_waits_for_it(database_url, tmp_path):
    port = free_port()
    with running_system(database_url, tmp_path, listen_on=port) as system:
        builders.start(system.database, 2, queue="LOCAL")
    async with console(system) as seen:
        await seen.shows("✗ DISCONNECTED", "to show yet")
        with running_system(database_url, tmp_path, listen_on=port):
            await seen.shows("2 running", "● LIVE")


async def test_agents_are_judged_by_the_time_of_the_answer_that_told_of_them(story):
    async with console(story.system, size=(120, 60)) as seen:
        await seen.shows("╭─ Agents ")
        await seen.until(lambda: seen.app.monitor_screen.answer, "the first answer")
        await seen.press("p")
        await seen.shows("‖ PAUSED")
        agents = seen.app.monitor_screen.query_one("#agents")
        told = [strip.text for strip in agents.render_lines(agents.size.region)]
        seen.app._server_ahead += timedelta(minutes=10)  # as if no change had come for ten minutes
        seen.app.monitor_screen.redraw_ages()
        assert [strip.text for strip in agents.render_lines(agents.size.region)] == told


@pytest.mark.parametrize("page", ["/", "queues", "system"])
async def test_what_the_stream_does_not_tell_of_is_asked_for(story, page):
    async with console(story.system, page) as seen:
        await seen.shows("● LIVE")
        await seen.until(lambda: seen.app.monitor_screen.answer, "the first answer")
        screen = seen.app.monitor_screen
        first = screen.answer["as_of"]
        seen.app._asked_at_s -= screen.ASKS_EVERY_S
        await seen.until(lambda: screen.answer["as_of"] != first, "it has asked again")
