"""What the server refuses is a sentence on the screen, and the console goes on."""

from __future__ import annotations

import pytest

from tests.tui.conftest import console
from tui.start import role_of

pytestmark = pytest.mark.anyio


def jobs_of(story) -> int:
    """How many jobs the session's story has by now: other files may have added theirs."""
    (row,) = story.system.database.fetch(
        "SELECT (SELECT count(*) FROM jobs_live) + (SELECT count(*) FROM jobs_archive) AS n"
    )
    return int(row["n"])


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("job 999999999", "there is no job 999999999"),
        ("log 999999999", "there is no job 999999999"),
        ("incident 999999", "there is no incident 999999"),
        ("task 99999999", "there is no task 99999999"),
        ("jobs hours=x", "hours"),
        ("jobs jedi_task_id=x", "jedi_task_id"),
        ("inc severity=[red]", "there is no '[red]'"),
        ("inc q=[blue]", "No incident matches."),
    ],
)
async def test_what_is_not_there_is_told_in_a_sentence_and_keys_work_on(story, address, sentence):
    async with console(story.system, address) as seen:
        await seen.shows(sentence, "● LIVE")
        await seen.press("l", "4")
        await seen.is_at("/jobs/")
        await seen.until(lambda: len(seen.table().rows) == jobs_of(story), "the jobs are there")
        assert sentence not in seen.lines[2]


async def test_a_refused_token_is_told_in_a_sentence(story):
    async with console(story.system, token="no.such.token") as seen:
        await seen.shows("token")
        assert "Traceback" not in seen.text


async def test_an_unknown_filter_is_told(story):
    async with console(story.system, "jobs colour=red") as seen:
        await seen.shows("ignored: colour", f"of {jobs_of(story)} jobs")


async def test_a_log_that_is_not_kept_is_told(story):
    async with console(story.system, f"log {story.running[0]}") as seen:
        await seen.until(lambda: "log" in seen.lines[2].lower(), "a sentence about the log")
        assert str(story.running[0]) in seen.lines[2]


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "a.eyJ9.c", "a..c", "ä.ö.ü"])
def test_any_token_has_some_words_for_the_status_line(token):
    assert role_of(token) in {"", "guest"}


def test_the_highest_role_is_named(story):
    assert role_of(story.system.token("olga", "operator", "admin")) == "olga (admin)"
