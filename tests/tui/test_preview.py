"""Actions in the console: what would follow is shown before it is done, what was done can be undone, what is refused is said."""

from __future__ import annotations

import orjson
import pytest
from rich.cells import cell_len

from pandascope.errors import Usage
from tests.logger.deeds.builders import incident, make_incident, queue
from tests.support.builders import activate, make_queue, status_of
from tests.support.system import running_system
from tests.tui.conftest import HOSTILE, console
from tui.palette import Palette
from tui.start import start_address
from tui.widgets.key_line import key_lines

pytestmark = pytest.mark.anyio

DOCUMENT = {
    "n": 24, "ended": 400, "confidence": "strong", "hint": "", "estimated": [], "note": "",
    "sentence": "the node wn042: all 24 failures are there, 6 % of all work is",
    "dimensions": [
        {"dimension": "node", "value": "wn042", "k": 24, "p": 1.0, "b": 26, "q": 0.065, "score": 9.22, "rate": 0.92,
         "is_candidate": True, "explained_by": "", "others_failed": 0, "others": 0},
        {"dimension": "site", "value": "NODES", "k": 24, "p": 1.0, "b": 80, "q": 0.2, "score": 3.56, "rate": 0.3,
         "is_candidate": True, "explained_by": "wn042", "others_failed": 0, "others": 54},
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def site(module_database_url, tmp_path_factory):
    """One server for the file; every test has queues and incidents of its own."""
    with running_system(module_database_url, tmp_path_factory.mktemp("preview"), agents=False) as running:
        yield running


@pytest.fixture
def trouble(site, request):
    """An incident at a queue of its own, by the name of the test."""
    name = request.node.name[:40].upper().replace("[", "_").replace("]", "")
    make_queue(site.database, name)
    return make_incident(site.database, title=f"trouble of {name}", computing_site=name), name


async def test_a_queue_is_drained_in_two_keys_and_undone_in_two(site, trouble):
    number, name = trouble
    activate(site.database, 1, queue=name)
    async with console(site, f"incident {number}") as seen:
        await seen.shows(f"trouble of {name}", "D drain")
        await seen.press("D")
        await seen.shows("no new work until", "1 job waiting for a pilot", "Frozen: 1", "z puts back", "enter drain")
        assert queue(site.database, name)["status"] == "online"
        await seen.press("enter")
        assert seen.pressed == 2
        await seen.shows("z takes it back")
        assert queue(site.database, name)["status"] == "brokeroff"
        deed = site.database.fetch_one("SELECT * FROM deeds ORDER BY deed_id DESC LIMIT 1", {})
        assert (deed["action"], deed["who"], deed["via"], deed["incident_id"]) == ("drain", "olga", "console", number)
        await seen.shows("Deeds", "goes back at")
        await seen.press("z")
        await seen.shows(f"Deed {deed['deed_id']}: drain", "Puts back: the status it had")
        await seen.press("enter")
        await seen.shows("Taken back.", "undone by olga")
        assert queue(site.database, name)["status"] == "online"


async def test_a_set_that_changed_is_not_touched_and_the_difference_is_shown(site, trouble):
    _, name = trouble
    async with console(site, "queues", size=(80, 24)) as seen:
        await seen.until(lambda: seen.table().move_to(name), "the queue is listed")
        await seen.press("D")
        await seen.shows("enter drain")
        site.client("otto", "operator").put(
            f"/api/control/queue/{name}", json={"status": "test", "reason": "looks odd"}
        )
        await seen.press("enter")
        await seen.shows("Nothing was done: the set changed.", "1 queue changed", "enter drain 1")
        assert queue(site.database, name)["status"] == "test"
        await seen.press("enter")
        await seen.shows("drain: 1 done")
        assert queue(site.database, name)["status"] == "brokeroff"


async def test_the_end_and_the_status_are_changed_before_anything_is_done(site, trouble):
    _, name = trouble
    async with console(site, "queues", size=(80, 24)) as seen:
        await seen.until(lambda: seen.table().move_to(name), "the queue is listed")
        await seen.press("D")
        await seen.shows("no new work until", "u until")
        await seen.press("u")
        await seen.type("soon")
        await seen.shows("Not possible:", "tests:20")
        await seen.press("u")
        await seen.type("tests:20 [b]fans[/b] are changed")
        await seen.shows("until 20 test jobs", "why: [b]fans[/b] are changed")
        await seen.press("s")
        await seen.shows("test jobs only", "enter test 1")
        assert [cell_len(line) for line in seen.lines] == [80] * 24
        await seen.press("escape")
        await seen.hides("test jobs only")
        assert queue(site.database, name)["status"] == "online"


@pytest.mark.parametrize("key", ["D", "K"])
async def test_who_lacks_the_role_is_told_why_not(site, trouble, key):
    number, _ = trouble
    async with console(site, f"incident {number}", token=site.token("alice")) as seen:
        await seen.shows("trouble of")
        await seen.press(key)
        await seen.shows("Not possible:", "needs the role" if key == "D" else "no job")
        await seen.press("enter", "escape")
        await seen.hides("Not possible:")


async def test_a_silence_says_what_it_does_and_is_ended_in_its_list(site, trouble):
    number, name = trouble
    async with console(site, f"incident {number}") as seen:
        await seen.shows(f"trouble of {name}")
        await seen.press("s")
        await seen.type("")
        await seen.shows("until when?")
        await seen.type("doubles known for days")
        await seen.shows("enter silence 1 incident", "Frozen: 1", "why: known for days")
        await seen.press("enter")
        await seen.shows("◌ silenced", "until twice as many", "U ends the one that is in force")
        assert incident(site.database, number)["state"] == "silenced"
        await seen.go("silences")
        await seen.until(lambda: len(seen.table().rows) == 1, "the silence is listed")
        await seen.shows("twice as many", "known for days", "x end silence")
        await seen.press("x")
        await seen.shows("is heard again", "Nothing is silenced.")
        assert incident(site.database, number)["state"] == "open"
        await seen.go(f"incident {number}")
        await seen.shows("○ open", "until twice as many", "ended it")
        assert "U ends" not in seen.text


async def test_marked_incidents_are_one_deed_with_one_preview(site, trouble):
    numbers = [
        make_incident(site.database, title=f"one of three, {trouble[1]}", computing_site=trouble[1]) for _ in range(3)
    ]
    async with console(site, f"inc q={trouble[1]}") as seen:
        await seen.until(lambda: len(seen.table().rows) == 4, "they are listed")
        await seen.press("*", "a")
        await seen.shows("acknowledge 4 incidents:")
        await seen.type("all mine")
        await seen.shows("enter acknowledge 4 incidents", "why: all mine")
        await seen.press("enter")
        await seen.shows("4 done")
        assert {incident(site.database, number)["owner"] for number in numbers} == {"olga"}
        await seen.hides("marked")
        await seen.press("z")
        await seen.shows("acknowledge, 4 incidents")
        await seen.press("enter")
        await seen.shows("Taken back.")
        assert {incident(site.database, number)["state"] for number in numbers} == {"open"}


async def test_marked_incidents_are_merged_into_the_one_under_the_cursor_and_apart_again(site, trouble):
    into, name = trouble
    other = make_incident(site.database, title=f"the same as {name}", computing_site=name)
    async with console(site, f"inc q={name}", size=(80, 24)) as seen:
        await seen.until(lambda: seen.table().move_to(str(other)), "they are listed")
        await seen.press("space")
        await seen.shows("1 marked")
        seen.table().move_to(str(into))
        await seen.press("M")
        await seen.shows(f"merge {other} into {into}:")
        await seen.type("one disk")
        await seen.shows(f"{other} merged into incident {into}")
        assert incident(site.database, other)["merged_into"] == into
        await seen.press("z")
        await seen.shows("Merge or split")
        await seen.press("enter")
        await seen.shows("Taken back")
        assert incident(site.database, other)["merged_into"] is None


async def test_assigning_commenting_and_holding(site, trouble):
    number, _ = trouble
    async with console(site, f"incident {number}") as seen:
        await seen.shows("trouble of")
        for key, text, words in (
            ("m", "otto", "assigned to otto"), ("C", "asked the site", "asked the site"), ("H", "", "held by olga"),
            ("H", "", "released"),
        ):  # fmt: skip
            await seen.press(key)
            await seen.type(text)
            await seen.shows(words)
        row = incident(site.database, number)
        assert (row["assigned_to"], row["held_by"]) == ("otto", "")


async def test_marked_jobs_are_killed_as_the_preview_says(site, trouble):
    _, name = trouble
    jobs = activate(site.database, 3, queue=name)
    async with console(site, f"jobs computing_site={name}", size=(80, 24)) as seen:
        await seen.until(lambda: len(seen.table().rows) == 3, "the jobs are there")
        await seen.press("space", "space", "K")
        await seen.shows("enter kill 2 jobs", "Cannot be taken back")
        await seen.press("i")
        await seen.until(lambda: "enter kill" in seen.text, "asked again")
        await seen.press("enter")
        await seen.shows("2 done")
        assert sorted(status_of(site.database, job) for job in jobs) == ["activated", "closed", "closed"]


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
async def test_whose_it_is_stands_one_key_behind_the_alert(site, trouble, size):
    number, _ = trouble
    site.database.execute(
        "UPDATE incidents SET verdict = 'node', verdict_value = 'wn042', verdict_document = %(document)s::jsonb, "
        "severity = 'critical', title = %(title)s WHERE incident_id = %(id)s",
        {"document": orjson.dumps(DOCUMENT).decode(), "title": HOSTILE, "id": number},
    )
    async with console(site, f"inc incident_id={number}", size=size) as seen:
        await seen.until(lambda: len(seen.table().rows) == 1, "it is listed")
        await seen.press("enter")
        await seen.shows("node wn042 (strong): the node wn042: all 24 failures")
        assert seen.pressed == 1
        assert "\x1b" not in seen.text and "[red]not red[/red]" in seen.text
        if size[1] > 24:
            await seen.shows("24 · 100 %", "26 · 6.5 %", "9.22", "the verdict", "explained: 0 of 54 others")


async def test_a_shift_is_begun_noted_signed_out_and_taken_over(site):
    async with console(site, "shift", size=(80, 24)) as seen:
        await seen.shows("Nobody has the watch")
        await seen.press("a")
        await seen.shows("The shift has begun", "O sign out")
        await seen.press("C")
        await seen.type("the [b]fans[/b] are loud")
        await seen.shows("Notes", "the [b]fans[/b] are loud")
        await seen.press("O")
        await seen.shows("out by olga", "a acknowledge")
        await seen.press("a")
        await seen.shows("Refused:")
    async with console(site, "/", token=site.token("otto", "operator")) as seen:
        await seen.press("0")
        await seen.shows("out by olga", "takes the watch over")
        await seen.press("a")
        await seen.shows("Signed.", "shift 2")
    rows = site.database.fetch("SELECT state, incoming_by FROM shifts ORDER BY shift_id")
    assert [(row["state"], row["incoming_by"]) for row in rows] == [("handed_over", "otto"), ("running", "")]


async def test_the_deeds_are_listed_with_their_objects_and_a_revert_is_called_off(site, trouble):
    _, name = trouble
    client = site.client("otto", "operator")
    body = {"action": "drain", "queues": [name], "parameters": {"until": "2h"}, "reason": HOSTILE}
    token = client.post("/api/control/actions/preview", json=body).json()["token"]
    deed = client.post("/api/control/actions/confirm", json={"token": token}).json()["deed"]["deed_id"]
    async with console(site, f"deeds target={name}", size=(100, 30)) as seen:
        await seen.shows("drain 1 queue", "back at", "Audit", "v let it stay")
        await seen.press("enter")
        await seen.shows(f"Deed {deed}", name, "done")
        assert "\x1b" not in seen.text
        await seen.press("escape", "v")
        await seen.shows(f"What deed {deed} did stays.")
        await seen.press("z")
        await seen.shows("by otto")
        await seen.press("enter")
        await seen.shows("Taken back.")
        assert queue(site.database, name)["status"] == "online"


async def test_a_page_that_only_the_web_monitor_has_is_said_to_be_there(site):
    async with console(site, "silences", size=(160, 24)) as seen:
        await seen.shows("Silences")
        await seen.go("/alarms/")
        await seen.shows("the console has no such page", "/monitor/alarms/")
    with pytest.raises(Usage, match="no page /alarms/"):
        start_address("/alarms/")


async def test_the_new_screens_fit_every_size(site):
    async with console(site, "silences") as seen:
        for page, path in [
            ("shift", "/shift/"),
            ("deeds", "/audit/"),
            ("queues", "/queues/"),
            ("silences", "/silences/"),
        ]:
            await seen.go(page)
            await seen.is_at(path)
            for width, height in [(80, 24), (200, 60), (40, 10)]:
                await seen.pilot.resize_terminal(width, height)
                await seen.fills(width, height)
                await seen.until(lambda: "? help" in seen.lines[-1], "the foot")


async def test_what_is_refused_shows_the_keys_that_are_left(site, trouble):
    number, _ = trouble
    nora = site.token("nora", "operator")  # who did nothing yet
    async with console(site, f"incident {number}", size=(80, 24), token=nora) as seen:
        await seen.shows("○ open")
        await seen.press("K")
        await seen.shows("Not possible:", "r again  esc leave")
        assert not [word for word in ("i input", "e leave out", "w why", "enter kill") if word in seen.text]
        await seen.press("i", "e", "w")
        assert "why: " not in seen.text
        await seen.press("escape", "z")
        await seen.shows("There is nothing here that can be taken back.", "─ esc leaves ─")
        assert "enter takes it back" not in seen.text


async def test_a_tiny_terminal_shows_every_key_of_a_preview(site, trouble):
    number, _ = trouble
    async with console(site, f"incident {number}", size=(40, 10)) as seen:
        await seen.shows("trouble", "● LIVE")
        await seen.press("s")
        await seen.type("2h")
        await seen.shows("1 incident: silenced", "enter silence 1 incident", "u until", "w why", "r again", "esc leave")
        await seen.press("u")
        await seen.type("shift")
        await seen.shows("until the shift ends", "esc leave")


def test_a_key_never_stands_apart_from_its_word():
    keys = [("enter", "kill 1 job"), ("i", "input"), ("esc", "leave")]
    palette = Palette.of_theme({})
    assert [line.plain for line in key_lines(keys, palette, 32)] == ["enter kill 1 job  i input", "esc leave"]
    assert [line.plain for line in key_lines(keys, palette, 99)] == ["enter kill 1 job  i input  esc leave"]
    assert len(key_lines(keys, palette, 5)) == 3
