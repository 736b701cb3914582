"""Who the person is to the server: what is not for guests and users is not offered, a token that ends is said and replaced."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest

from pandascope.client import AsyncClient
from pandascope.environment import Credentials
from pandascope.transport import Manners
from tests.tui.conftest import Console, console
from tui.app import ConsoleApp
from tui.identity import EVERYBODY, Caller
from tui.start import Renewing

pytestmark = pytest.mark.anyio


async def test_a_guest_reads_and_is_told_how_to_do_more(story):
    async with console(story.system, "incidents", token="") as seen:
        await seen.shows("l log", "● LIVE")
        await seen.hides("a acknowledge")
        for key in ("a", "K", "D", "z"):
            await seen.press(key)
            await seen.until(lambda: "you are a guest here; quit, set PANDA_TOKEN" in seen.told, f"{key} is refused")
            assert seen.app.screen is seen.app.monitor_screen, "no dialogue is opened"
            seen.app.clear_notifications()
            await seen.until(lambda: not seen.told, "the notice is gone")


async def test_an_operator_is_offered_what_operators_do(story):
    async with console(story.system, "incidents") as seen:
        await seen.until(lambda: seen.app.caller is not EVERYBODY, "the server has said who it is")
        assert seen.app.caller == Caller("olga", frozenset({"operator"}))
        await seen.shows("a acknowledge", "s silence")


@pytest.mark.parametrize(
    ("caller", "action", "is_possible"),
    [
        (Caller(), "log", True),
        (Caller(), "kill", False),
        (Caller("ann"), "kill", True),
        (Caller("ann"), "retry", True),
        (Caller("ann"), "preview", True),
        (Caller(), "preview", False),
        (Caller("ann"), "drain", False),
        (Caller("ann"), "", False),
        (Caller("ann", frozenset({"pilot"})), "silence", False),
        (Caller("ann", frozenset({"admin"})), "silence", True),
        (EVERYBODY, "silence", True),
    ],
)
def test_what_is_not_even_tried(caller, action, is_possible):
    assert (caller.why_not(action) == "") is is_possible


async def test_a_token_that_is_refused_is_said_and_one_that_is_found_later_is_taken(story):
    url = story.system.url
    found = Credentials(url, "no.such.token", "a file")
    async with AsyncExitStack() as clients:
        client = await clients.enter_async_context(AsyncClient(url, found.token, manners=Manners(tries=1)))
        renewing = Renewing(found, lambda: found, clients)
        app = ConsoleApp(client, role="", renew=renewing.again)
        async with app.run_test(size=(120, 40), notifications=True) as pilot:
            seen = Console(app, pilot)
            await seen.shows("✗ REFUSED", "✗ The token was refused", "There is nothing to show yet.", "To go on: ")
            assert "as of" not in seen.lines[0], "nothing was ever said that could have an age"
            await seen.press("a")
            assert "enter sends" not in seen.text
            found = Credentials(url, story.system.token("olga", "operator"), "a file")
            await seen.shows("● LIVE", "olga (operator)", "3 running", "a acknowledge")
            await seen.hides("token was refused")


def test_a_token_for_another_address_is_never_taken(story):
    used = Credentials(story.system.url, "one", "a file")
    clients = AsyncExitStack()
    assert Renewing(used, lambda: Credentials("http://elsewhere:1", "two", "a file"), clients).again() is None
    assert Renewing(used, lambda: used, clients).again() is None
