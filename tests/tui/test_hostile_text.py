"""Names, messages and logs come from strangers. They are shown as they are and do nothing."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tui.conftest import HOSTILE_NAME, console
from tui.text import plain, plain_lines

pytestmark = pytest.mark.anyio

SHOWN = "[red]not red[/red] [@click=app.quit]x[/]"


def nothing_acts(seen):
    """No control character reached the screen, and nothing of a text became a style or a link."""
    for line in seen.app.screen._compositor.render_strips():
        for segment in line:
            assert segment.text.isascii() or all(
                unicodedata.category(each) not in {"Cc", "Cf"} for each in segment.text
            )
            assert "\x1b" not in segment.text
            if segment.style is not None and "not red" in segment.text:
                assert "@click" not in segment.style.meta
    assert seen.app.is_running


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
async def test_hostile_text_stays_text_on_every_screen(story, size):
    number = story.incident_of(story.hostile)
    for address, words in {
        "/": (),
        "/incidents/": (),
        f"incident {number}": (SHOWN,),
        f"job {story.hostile}": (SHOWN,),
        "jobs prod_user_name=mallory": ("1 of 1 job",),
    }.items():
        async with console(story.system, address, size=size) as seen:
            await seen.shows(*words, "● LIVE")
            nothing_acts(seen)


async def test_names_with_brackets_are_shown_whole(story):
    async with console(story.system, f"job {story.hostile}") as seen:
        await seen.shows(HOSTILE_NAME)


async def test_a_log_cannot_paint_move_or_hide(story):
    async with console(story.system, f"log {story.hostile}", size=(160, 40)) as seen:
        await seen.shows(f"RuntimeError: {SHOWN} red", "second Jend".replace(" J", " "))
        nothing_acts(seen)


async def test_hostile_filters_and_commands_are_only_words(story):
    async with console(story.system, "jobs") as seen:
        await seen.shows("of 9 jobs")
        await seen.press("/")
        await seen.type("[red]%_'\\;--")
        await seen.shows("No job matches.", "[red]")
        await seen.go("[@click=app.quit]x")
        await seen.shows("there is no command '[@click=app.quit]x'")
        nothing_acts(seen)


@given(st.text(max_size=200))
def test_plain_text_is_one_line_without_anything_that_acts(text):
    shown = plain(text)
    assert not any(unicodedata.category(each) in {"Cc", "Cf", "Zl", "Zp"} for each in shown)
    assert plain(shown) == shown


@given(st.text(alphabet=st.sampled_from("ab\n\r\t\x1b[31m\x0c\u2028"), max_size=60))
def test_lines_of_a_log_keep_their_numbers(text):
    expected = text.count("\n") + (0 if text.endswith("\n") or not text else 1)
    assert len(plain_lines(text)) == expected


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]52;c;cHduZWQ=\x07after", "after"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("a\nb\r\nc\rd", "a⏎b⏎c⏎d"),
        ("tab\there", "tab    here"),
        ("\x00\x07\x9b2J", "��"),
        ("safe", "safe"),
    ],
)
def test_escape_sequences_vanish_and_control_characters_are_marked(text, shown):
    assert plain(text) == shown
