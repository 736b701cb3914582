"""From an alert to the failing log line, with the keys counted; and back the way one came."""

from __future__ import annotations

import pytest

from tests.tui.conftest import FAILING_LINE, FAILING_NUMBER, Console, Story, console

pytestmark = pytest.mark.anyio


async def is_on_the_failing_line(seen: Console) -> None:
    """The log is open, its cursor on the failing line, and the line on the screen."""
    await seen.until(lambda: seen.page.partition("?")[0].endswith("/log/"), "the log is open")
    await seen.until(lambda: seen.log.line_number == FAILING_NUMBER, "the cursor is on the failing line")
    await seen.shows(f"{FAILING_NUMBER} ▶ {FAILING_LINE}", "Traceback (most recent call last):")


async def to_the_incident_of_the_failures(seen: Console, story: Story) -> str:
    """Put the cursor of a list on the incident of the failed jobs."""
    number = str(story.incident_of(story.failed[0]))
    await seen.until(lambda: seen.table().has_key(number), "the incident is in the list")
    seen.table().move_to(number)
    return number


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
@pytest.mark.parametrize("start", ["/", "/incidents/"])
async def test_an_incident_of_a_list_is_two_keys_from_the_failing_line(story, start, size):
    async with console(story.system, start, size=size) as seen:
        number = await to_the_incident_of_the_failures(seen, story)
        await seen.press("enter")
        await seen.is_at(f"/incident/{number}/")
        await seen.shows(FAILING_LINE)
        await seen.press("l")
        await is_on_the_failing_line(seen)
        assert seen.pressed == 2


async def test_one_key_leads_from_the_list_straight_to_the_line(story):
    async with console(story.system) as seen:
        await to_the_incident_of_the_failures(seen, story)
        await seen.press("l")
        await is_on_the_failing_line(seen)
        assert seen.pressed == 1


async def test_a_job_of_an_incident_is_two_keys_from_its_line(story):
    async with console(story.system, f"/incident/{story.incident_of(story.failed[0])}/") as seen:
        await seen.until(lambda: len(seen.table("#incident-jobs").rows) == 5, "the sample jobs are there")
        seen.table("#incident-jobs").move_to(str(story.failed[2]))
        await seen.press("enter")
        await seen.is_at(f"/job/{story.failed[2]}/")
        await seen.press("l")
        await is_on_the_failing_line(seen)
        assert seen.pressed == 2


async def test_l_on_a_chosen_sample_job_opens_the_log_of_that_job(story):
    async with console(story.system, f"/incident/{story.incident_of(story.failed[0])}/") as seen:
        table = seen.table("#incident-jobs")
        await seen.until(lambda: len(table.rows) == 5, "the sample jobs are there")
        await seen.press("down" if table.cursor == 0 else "up")
        chosen = table.current_key
        await seen.press("l")
        await is_on_the_failing_line(seen)
        assert seen.page.startswith(f"/job/{chosen}/log/")


async def test_escape_climbs_the_way_one_came_and_the_cursor_is_where_it_was(story):
    async with console(story.system, "/jobs/") as seen:
        await seen.until(lambda: len(seen.table().rows) == 9, "the jobs are there")
        await seen.press("down", "down", "down")
        chosen = seen.table().current_key
        await seen.press("enter")
        await seen.is_at(f"/job/{chosen}/")
        await seen.press("l")
        await seen.until(lambda: "/log/" in seen.page, "the log is open")
        await seen.until(lambda: "Now › Jobs › Job" in seen.lines[1], "the way one came is shown")
        await seen.press("escape")
        await seen.is_at(f"/job/{chosen}/")
        await seen.press("escape")
        await seen.is_at("/jobs/")
        await seen.until(lambda: seen.table().current_key == chosen, "the cursor is on the job one came from")
        await seen.press("escape")
        await seen.is_at("/")


async def test_brackets_walk_the_history_and_minus_changes_between_the_last_two(story):
    async with console(story.system, "/") as seen:
        for key, path in (("2", "/incidents/"), ("4", "/jobs/"), ("[", "/incidents/"), ("[", "/"), ("]", "/incidents/"),
                          ("-", "/jobs/"), ("-", "/incidents/"), ("3", "/queues/"), ("5", "/tasks/"), ("1", "/")):  # fmt: skip
            await seen.press(key)
            await seen.is_at(path)


async def test_e_leads_from_a_job_to_its_incident_and_from_there_to_the_failed_jobs(story):
    number = story.incident_of(story.failed[0])
    async with console(story.system, f"/job/{story.failed[0]}/") as seen:
        await seen.shows(FAILING_LINE)
        await seen.press("e")
        await seen.is_at(f"/incident/{number}/")
        await seen.press("e")
        await seen.is_at(f"/jobs/?incident={number}&job_status=failed")
        assert sorted(int(row["panda_id"]) for row in seen.table().rows) == sorted(story.failed)


async def test_the_log_is_searched_and_its_other_names_are_shown(story):
    async with console(story.system, f"/job/{story.failed[0]}/log/") as seen:
        await is_on_the_failing_line(seen)
        await seen.press("/")
        await seen.type("cleaning up 7")
        await seen.shows("1 line with “cleaning up 7”")
        assert seen.log.line_number == FAILING_NUMBER + 7
        await seen.press("c")
        assert seen.log.line_number == FAILING_NUMBER
        await seen.press("tab")
        await seen.until(lambda: len(seen.log.lines) == 1, "the next log is shown")


async def test_a_copied_link_leads_back_to_the_line(story):
    async with console(story.system, f"/job/{story.failed[0]}/log/") as seen:
        await is_on_the_failing_line(seen)
        await seen.press("down", "down", "y")
        link = seen.app.clipboard
        assert link.startswith(f"{story.system.url}/monitor/job/{story.failed[0]}/log/")
        await seen.press("1")
        await seen.is_at("/")
        await seen.go(link)
        await seen.until(lambda: "/log/" in seen.page and seen.log.line_number == FAILING_NUMBER + 2, "the line again")
