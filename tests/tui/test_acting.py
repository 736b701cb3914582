"""What a shifter does in the console is in the database; what the role or the server forbids is said in a sentence."""

from __future__ import annotations

import pytest

from tests.support.system import eventually
from tests.tui.conftest import console

pytestmark = pytest.mark.anyio


@pytest.fixture
def incident(fresh):
    fresh.fail(fresh.running[0])
    (row,) = fresh.incidents()
    return row["incident_id"]


def state_of(story, number):
    return story.database.fetch_one("SELECT state, owner FROM incidents WHERE incident_id = %(id)s", {"id": number})


def deeds(story):
    statement = "SELECT who, action, comment FROM incident_activity WHERE who = 'olga' ORDER BY time"
    return [(row["who"], row["action"], row["comment"]) for row in story.database.fetch(statement)]


@pytest.mark.parametrize("start", ["/", "incident 1"])
async def test_acknowledging_with_a_comment_lands_in_the_database(fresh, incident, start):
    async with console(fresh.system, start.replace("1", str(incident))) as seen:
        await seen.until(seen.app.monitor_screen.incident_row, "the incident is there")
        await seen.press("a")
        await seen.shows(f"acknowledge {incident}:", "enter sends, esc leaves")
        await seen.type("asked the [b]site[/b]")
        await seen.shows(f"Incident {incident} is acknowledged.")
        assert deeds(fresh) == [("olga", "acknowledge", "asked the [b]site[/b]")]
        assert state_of(fresh, incident) == {"state": "acknowledged", "owner": "olga"}
        await seen.hides("○ open")


async def test_resolving_and_reopening(fresh, incident):
    async with console(fresh.system, f"incident {incident}") as seen:
        await seen.shows("○ open", "X resolve")
        assert "U reopen" not in seen.lines[-1]
        await seen.press("X")
        await seen.type("")
        await seen.shows("● resolved", "U reopen", "What was done")
        await seen.press("U")
        await seen.type("again")
        await seen.shows("↻ reopened")
        assert [deed[1:] for deed in deeds(fresh)] == [("resolve", ""), ("reopen", "again")]


async def test_escape_leaves_without_doing_anything(fresh, incident):
    async with console(fresh.system, f"incident {incident}") as seen:
        await seen.shows("○ open")
        await seen.press("a", *"no", "escape")
        await seen.hides("enter sends, esc leaves")
        assert deeds(fresh) == []
        await seen.app.animator.wait_until_complete()
        assert seen.page == f"/incident/{incident}/", "the line is left, not the page"
        await seen.press("l")
        await seen.until(lambda: "/log/" in seen.page, "keys work again")


async def test_a_user_without_the_role_is_told_so(fresh, incident):
    async with console(fresh.system, f"incident {incident}", token=fresh.system.token("alice")) as seen:
        await seen.shows("○ open", "l log")
        await seen.hides("a acknowledge")  # the server has said who alice is
        await seen.press("a")
        sentence = "Not possible now: this needs the role operator or admin, which alice has not."
        await seen.until(lambda: sentence in seen.told, "it is said before anything is typed")
        assert "enter sends" not in seen.text, "nobody types a comment that cannot be sent"
        await seen.press("K")
        await seen.shows("kill · incident")
        assert eventually(lambda: state_of(fresh, incident))["state"] == "open"
