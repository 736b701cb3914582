"""Keys that come in one read, as terminals deliver what is pasted or delayed: they belong to what the first one opens."""

from __future__ import annotations

import pytest
from textual.events import Key, Paste
from textual.widgets import Input, TextArea

from tests.logger.deeds.builders import incident, make_incident, queue
from tests.support.builders import make_queue
from tests.support.system import running_system
from tests.tui.conftest import console
from tui.screens.leave import LeaveScreen
from tui.screens.preview import PreviewScreen
from tui.typing_order import DROPPED

pytestmark = pytest.mark.anyio

NAMES = {" ": "space", "\r": "enter", ":": "colon", "/": "slash", "\x1b": "escape", "=": "equals_sign"}
COMMANDS = "quit Xz D4 K?"
"""Every letter of it is a command somewhere."""


@pytest.fixture(scope="module")
def site(module_database_url, tmp_path_factory):
    """One server for the file."""
    with running_system(module_database_url, tmp_path_factory.mktemp("bursts"), agents=False) as running:
        yield running


@pytest.fixture
def trouble(site, request):
    """An incident at a queue of its own."""
    name = request.node.name[:40].upper().replace("[", "_").replace("]", "")
    make_queue(site.database, name)
    return make_incident(site.database, title=f"trouble of {name}", computing_site=name), name


def burst(seen, text: str) -> None:
    """All keys at once, as the driver's thread hands them over after one read."""
    for letter in text:
        seen.app.post_message(Key(NAMES.get(letter, letter), letter))


async def line_holds(seen, text: str) -> None:
    """Wait until a text stands in the line to type into; the screen may not have one yet."""

    def holds() -> bool:
        lines = seen.app.screen.query("#prompt-input").results(Input)
        return any(line.value == text and line.has_focus for line in lines)

    await seen.until(holds, f"typed: {text}")


@pytest.mark.parametrize(
    ("key", "words"),
    [("a", "acknowledged"), ("m", "assigned to"), ("C", "commented"), ("H", "held"), ("X", "resolved")],
)
async def test_a_text_behind_its_verb_is_the_text_and_no_command(site, trouble, key, words):
    number, _ = trouble
    async with console(site, f"incident {number}") as seen:
        await seen.shows("trouble of")
        burst(seen, f"{key}{COMMANDS}\r")
        await seen.until(lambda: any(words in notice.message for notice in seen.app._notifications), words)
        assert seen.page == f"/incident/{number}/"
        history = site.client().get(f"/api/monitor/incident/{number}").json()
        assert COMMANDS in str(history)


async def test_further_lines_of_a_pasted_text_are_dropped_and_that_is_said(site, trouble):
    number, _ = trouble
    async with console(site, f"incident {number}") as seen:
        await seen.shows("trouble of")
        burst(seen, "Cfirst line\rquit\rXz\r4")
        await seen.shows("What was typed ahead", "first line")
        seen.app.post_message(Key("C", "C"))
        seen.app.post_message(Paste(f"{COMMANDS}\nquit"))
        await line_holds(seen, COMMANDS)
        assert seen.page == f"/incident/{number}/"


@pytest.mark.parametrize("text", [f"C{COMMANDS}", f":{COMMANDS}", f"s{COMMANDS}", f"m{COMMANDS}"])
async def test_a_text_stays_in_the_line_until_enter(site, trouble, text):
    number, _ = trouble
    async with console(site, f"incident {number}") as seen:
        await seen.shows("trouble of")
        burst(seen, text)
        await line_holds(seen, COMMANDS)
        assert seen.page == f"/incident/{number}/"


async def test_a_filter_and_a_command_line_take_what_follows(site, trouble):
    _, name = trouble
    async with console(site, "queues", size=(80, 24)) as seen:
        await seen.until(lambda: seen.table().move_to(name), "the queue is listed")
        burst(seen, f"/{name}\r:deeds who=quentin\r")
        await seen.until(lambda: seen.page == "/audit/?who=quentin", "there")
        burst(seen, ":queues\r/quit")
        await line_holds(seen, "quit")


async def test_a_preview_is_not_confirmed_by_keys_typed_before_it_was_seen(site, trouble):
    number, name = trouble
    async with console(site, f"incident {number}") as seen:
        await seen.shows("trouble of")
        burst(seen, f"D{COMMANDS}\r")
        await seen.shows("enter drain", DROPPED[:30])
        assert isinstance(seen.app.screen, PreviewScreen)
        burst(seen, f"w{COMMANDS}\r")
        await seen.shows(f"why: {COMMANDS}")
        assert queue(site.database, name)["status"] == "online"
        await seen.press("enter")
        await seen.shows("z takes it back")
        burst(seen, f"z\r{COMMANDS}")
        await seen.shows("Puts back")
        assert queue(site.database, name)["status"] == "brokeroff"


async def test_a_silence_is_asked_for_in_one_go_and_waits_for_its_preview(site, trouble):
    number, _ = trouble
    async with console(site, f"incident {number}") as seen:
        await seen.shows("trouble of")
        burst(seen, f"sdoubles {COMMANDS}\r\rq{COMMANDS}")
        await seen.shows("enter silence 1 incident", f"why: {COMMANDS}")
        assert incident(site.database, number)["state"] == "open"


async def test_a_verb_that_opens_nothing_takes_its_text_with_it(site):
    async with console(site, "deeds who=nobody") as seen:
        await seen.until(lambda: seen.app.monitor_screen._has_shown, "drawn")
        burst(seen, "aquit 4")
        await seen.until(lambda: any(notice.message == DROPPED for notice in seen.app._notifications), "said")
        assert seen.page == "/audit/?who=nobody"
        assert not isinstance(seen.app.screen, LeaveScreen)


async def test_a_note_of_the_shift_is_typed_in_one_go(site):
    site.client("olga", "operator").post("/api/control/shift/start", json={})
    async with console(site, "shift") as seen:
        await seen.shows("O sign out")
        burst(seen, f"C{COMMANDS}\r")
        await seen.shows("Noted.", COMMANDS)
        burst(seen, f"E{COMMANDS}")
        await seen.until(
            lambda: any(COMMANDS in area.text for area in seen.app.screen.query(TextArea)), "in the editor"
        )


async def test_what_a_person_did_elsewhere_is_found_by_the_name_that_the_server_knows(site, trouble):
    _, name = trouble
    client = site.client("olga", "operator")
    body = {"action": "drain", "queues": [name], "parameters": {"until": "2h"}}
    token = client.post("/api/control/actions/preview", json=body).json()["token"]
    deed = client.post("/api/control/actions/confirm", json={"token": token}).json()["deed"]["deed_id"]
    async with console(site, "queues") as seen:
        seen.app.role = "Olga Operatorowa (operator)"
        await seen.until(lambda: seen.table().move_to(name), "the queue is listed")
        await seen.press("z")
        await seen.shows(f"Deed {deed}: drain")
