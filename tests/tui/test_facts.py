"""Every screen says what the database holds."""

from __future__ import annotations

import pytest

from tests.support import builders
from tests.tui.conftest import FAILING_LINE, console, log_text

pytestmark = pytest.mark.anyio


async def test_now_counts_jobs_and_names_the_incidents(story):
    async with console(story.system) as seen:
        await seen.shows("6 failed", "3 running", "1 of 2 incidents", "no such column")
        await seen.shows("Queues", "LOCAL", "✓ 0 finished · ✗ 6 failed", "● LIVE")
        expected = sorted([*story.failed, story.hostile])
        rows = seen.table("#now-failed")
        await seen.until(
            lambda: sorted(int(row["panda_id"]) for row in rows.rows) == expected, "the failed jobs are there"
        )


async def test_jobs_lists_every_job_of_the_database_with_its_state(story):
    statement = """SELECT panda_id, job_status FROM jobs_live UNION ALL SELECT panda_id, job_status FROM jobs_archive"""
    expected = {row["panda_id"]: row["job_status"] for row in story.database.fetch(statement)}
    async with console(story.system, "/jobs/") as seen:
        await seen.shows("1 of 9 jobs", "6 failed", "3 running")
        assert {row["panda_id"]: row["job_status"] for row in seen.table().rows} == expected
        assert [row["panda_id"] for row in seen.table().rows] == sorted(expected, reverse=True)


async def test_a_job_tells_its_course_its_error_and_its_failing_line(story):
    panda_id = story.failed[0]
    async with console(story.system, f"job {panda_id}", size=(120, 60)) as seen:
        await seen.shows("✗ failed", FAILING_LINE, "pilot:1305", "a plain job", "payload.stderr")
        await seen.shows(*builders.history_of(story.database, panda_id))


async def test_incidents_lists_them_worst_first_as_the_database_has_them(story):
    expected = {row["incident_id"]: row["job_count"] for row in story.database.fetch("SELECT * FROM incidents")}
    async with console(story.system, "/incidents/") as seen:
        await seen.shows("1 of 2 incidents")
        assert {row["incident_id"]: row["job_count"] for row in seen.table().rows} == expected


async def test_an_incident_tells_extent_reason_and_failing_line(story):
    number = story.incident_of(story.failed[0])
    async with console(story.system, f"incident {number}", size=(120, 60)) as seen:
        await seen.shows(
            "5 jobs of 0 tasks and 1 user at 1 queue", FAILING_LINE, "Why it is one incident", "5 of 5 jobs"
        )
        jobs = seen.table("#incident-jobs")
        await seen.until(lambda: {int(row["panda_id"]) for row in jobs.rows} == set(story.failed), "its jobs are there")


async def test_a_log_is_shown_line_by_line_as_it_was_kept(story):
    async with console(story.system, f"log {story.failed[0]} payload.stderr 1") as seen:
        await seen.until(lambda: seen.log.lines, "the log is there")
        assert list(seen.log.lines) == log_text(FAILING_LINE).splitlines()
        assert seen.log.line_number == 1


async def test_queues_and_tasks_have_lists(story):
    async with console(story.system, "/queues/") as seen:
        await seen.shows("LOCAL", "● online")
        row = seen.table().rows[0]
        assert (row["jobs"]["running"], row["failed_last_hour"]) == (3, 6)
        await seen.press("5")
        await seen.shows("There are no tasks.")


async def test_a_task_shows_its_progress_and_parameters(fresh):
    task_id = builders.make_task(fresh.database, nJobs=3, jobParameters="echo [hello]", site="LOCAL")
    async with console(fresh.system, f"task {task_id}") as seen:
        await seen.shows(f"Task {task_id}", "count", "echo [hello]", "Task", "0 done, 0 failed of 3", "submitted")


async def test_help_names_the_keys_of_what_is_in_focus(story):
    async with console(story.system, "/incidents/", size=(120, 60)) as seen:
        await seen.shows("1 of 2 incidents")
        await seen.press("?")
        await seen.shows("Say that you have seen it, with a comment.", "Bring in the rows that wait", "DISCONNECTED")
        await seen.press("escape")
        await seen.hides("Say that you have seen it")


async def test_q_asks_before_it_leaves(story):
    async with console(story.system) as seen:
        await seen.press("q")
        await seen.shows("Leave the console?")
        await seen.press("n")
        await seen.hides("Leave the console?")
        await seen.press("q", "y")
        await seen.until(lambda: not seen.app.is_running or seen.app._exit, "the console has closed")
