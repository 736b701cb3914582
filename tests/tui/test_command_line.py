"""What is typed after `:` goes where it says, or a sentence says why not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pandascope.addresses import Address, Page
from pandascope.errors import Usage
from tests.tui.conftest import FAILING_NUMBER, console
from tui.command_line import Find, Help, Quit, Theme, completions, parse_command


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", Address(Page.NOW)),
        (":jobs", Address(Page.JOBS)),
        ("jobs site=BNL* 6h", Address(Page.JOBS, filters={"computing_site": "BNL*", "hours": "6"})),
        ("jobs failed running", Address(Page.JOBS, filters={"job_status": "failed|running"})),
        ("jobs 'no space' 2d", Address(Page.JOBS, filters={"days": "2", "q": "no space"})),
        ("job 17", Address(Page.JOB, 17)),
        ("17", Address(Page.JOB, 17)),
        ("log 17 pilot.log 12", Address(Page.LOG, 17, {"name": "pilot.log", "line": "12"})),
        ("inc", Address(Page.INCIDENTS)),
        ("inc 5", Address(Page.INCIDENT, 5)),
        ("inc severity=critical", Address(Page.INCIDENTS, filters={"severity": "critical"})),
        ("incident 5", Address(Page.INCIDENT, 5)),
        ("task 10000000", Address(Page.TASK, 10_000_000)),
        ("sites", Address(Page.QUEUES)),
        ("https://panda.example.org/monitor/incidents/?state=*", Address(Page.INCIDENTS, filters={"state": "*"})),
        ("/job/17/log/?name=payload.stderr&line=9", Address(Page.LOG, 17, {"name": "payload.stderr", "line": "9"})),
        ("find count tokens", Find("count tokens")),
        ("theme nord", Theme("nord")),
        ("help", Help()),
        ("q", Quit()),
    ],
)  # fmt: skip
def test_a_command_means(text, expected):
    assert parse_command(text) == expected


@pytest.mark.parametrize(
    "text", ["", "job", "job x", "incident 5 6", "log", "frobnicate", "http://host/other/", "find"]
)
def test_nonsense_is_refused_with_a_remedy(text):
    with pytest.raises(Usage) as refusal:
        parse_command(text)
    assert refusal.value.remedy


@given(st.text(max_size=60) | st.sampled_from(["jobs ", "job ", "inc ", "log ", "http://h/"]).flatmap(
    lambda head: st.text(max_size=30).map(lambda rest: head + rest)
))  # fmt: skip
def test_no_text_breaks_the_command_line(text):
    try:
        parse_command(text)
    except Usage as refusal:
        assert str(refusal)


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("jo", "jobs"),
        ("jobs comp", "jobs computing_site="),
        ("jobs fai", "jobs failed"),
        ("inc severity=c", "inc severity=critical"),
    ],
)
def test_completion_offers_whole_lines(typed, offered):
    assert completions(typed)[0] == offered


@pytest.mark.anyio
async def test_a_typed_command_and_a_pasted_address_go_there(story):
    async with console(story.system) as seen:
        await seen.go("jobs failed 48h")
        await seen.is_at("/jobs/?job_status=failed&hours=48")
        await seen.shows("1 of 6 jobs", "last 48 h")
        await seen.go(f"https://elsewhere.example.org/monitor/job/{story.failed[1]}/log/?name=payload.stderr&line=9")
        await seen.until(lambda: "/log/" in seen.page and seen.log.line_number == 9, "the line of the address")
        await seen.go(f"log {story.failed[1]}")
        await seen.until(lambda: seen.log.line_number == FAILING_NUMBER, "the failing line")


@pytest.mark.anyio
async def test_find_opens_the_only_hit_and_says_when_there_is_none(story):
    async with console(story.system) as seen:
        await seen.go("find no-such-thing-anywhere")
        await seen.shows("Nothing is called “no-such-thing-anywhere”.")
        await seen.press("escape")
        await seen.go(f"find {story.running[0]}")
        await seen.is_at(f"/job/{story.running[0]}/")


@pytest.mark.anyio
async def test_a_complaint_stands_above_the_line_which_stays_open(story):
    async with console(story.system) as seen:
        await seen.go("frobnicate")
        await seen.shows("there is no command 'frobnicate'")
        await seen.type("theme beautiful")
        await seen.shows("there is no theme 'beautiful'; there are:")
        await seen.type("theme pandascope-light")
        await seen.until(lambda: seen.app.theme == "pandascope-light", "the theme is there")
        await seen.press("4")
        await seen.is_at("/jobs/")


@pytest.mark.anyio
async def test_on_a_small_terminal_a_complaint_has_several_lines_and_a_long_hint_says_that_it_goes_on(story):
    async with console(story.system, size=(50, 24)) as seen:
        await seen.press(":")
        await seen.until(lambda: any(line.rstrip().endswith("…") for line in seen.lines[-4:-1]), "the hint goes on")
        await seen.type("theme beautiful")
        await seen.shows("there is no theme 'beautiful'", "atom-one-light")
        await seen.fills(50, 24)


@pytest.mark.anyio
async def test_tab_completes_what_is_typed(story):
    async with console(story.system) as seen:
        await seen.press(":", *"jo")
        line = seen.app.screen.query_one("#prompt-input")
        await seen.until(lambda: line._suggestion == "jobs", "a completion is offered")
        await seen.press("tab", "enter")
        await seen.is_at("/jobs/")
