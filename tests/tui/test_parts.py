"""The parts below the screens: how fresh the data is, where one is, how counts are drawn."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pandascope.addresses import Address, Page
from tui.keys import KEYS, offered
from tui.live import SILENCE_S, UNSEEN_S, LiveFeed, LiveState
from tui.navigation import Trail, title_of
from tui.palette import Palette
from tui.render.now import agents, figures
from tui.text import age, bar, duration, moment, number, sparkline
from tui.widgets.ribbon import shares
from tui.widgets.status_line import Status, status_text
from tui.widgets.throughput_chart import Course, chart_lines

PALETTE = Palette.of_theme({})


@pytest.mark.parametrize(
    ("silent", "words"),
    [([], "pilots call in"), (["BNL"], "BNL"), (["BNL", "CERN", "DESY"], "BNL and 2 more")],
)
def test_the_tile_of_silent_queues_says_how_many_it_does_not_name(silent, words):
    tile = figures({"silent_queues": silent}, PALETTE)[3]
    assert tile.below.plain == words


def test_a_feed_is_live_while_the_stream_gives_signs_of_life():
    feed = LiveFeed(started_s=0.0)
    assert feed.state(1.0) is LiveState.CONNECTING
    feed.answered(1.0)
    feed.signal(2.0)
    assert feed.state(2.0 + SILENCE_S) is LiveState.LIVE
    assert feed.data_age_s(3.0) == 1.0
    assert feed.state(2.1 + SILENCE_S) is LiveState.LAGGING


def test_a_change_that_cannot_be_shown_makes_the_feed_lag():
    feed = LiveFeed()
    feed.answered(1.0)
    feed.signal(1.0, ["jobs"])
    feed.waits(1.0)
    assert feed.state(1.1 + UNSEEN_S) is LiveState.LAGGING
    feed.answered(7.0)
    assert feed.state(7.0) is LiveState.LIVE


def test_a_server_that_is_away_is_said_before_everything_else():
    feed = LiveFeed(paused=True)
    feed.answered(1.0)
    assert feed.state(1.0) is LiveState.PAUSED
    feed.stream_lost("no route")
    assert feed.state(2.0) is LiveState.DISCONNECTED
    assert feed.why_not(2.0) == "the server does not answer (no route)"
    assert feed.data_age_s(4.0) == 3.0
    feed.answered(5.0)
    assert feed.why_not(5.0) == ""


def test_a_refusal_makes_nothing_on_the_screen_newer():
    feed = LiveFeed()
    feed.answered(1.0)
    feed.signal(2.0)
    feed.refused()
    feed.signal(9.0)
    assert feed.state(9.0) is LiveState.LIVE
    assert feed.data_age_s(9.0) == 8.0
    feed.answered(10.0)
    assert feed.data_age_s(11.0) == 1.0


def test_a_refused_token_is_a_state_of_its_own_until_an_answer_comes():
    feed = LiveFeed()
    feed.denied("it has expired")
    feed.signal(1.0)
    assert feed.state(2.0) is LiveState.REFUSED
    assert feed.data_age_s(2.0) is None
    assert feed.why_not(2.0) == "the server does not take the token (it has expired)"
    feed.answered(3.0)
    assert (feed.state(3.0), feed.why_not(3.0)) == (LiveState.LIVE, "")


def test_only_watched_topics_are_remembered():
    feed = LiveFeed()
    feed.watch(["job:1"])
    feed.signal(1.0, ["job:1", "job:2", "jobs"])
    assert feed.changed_since(0, ["job:1"])
    assert not feed.changed_since(0, ["job:2"])
    feed.watch(["job:2"])
    assert not feed.changed_since(0, ["job:1"])
    assert feed.changed_since(0, ["jobs"])


class Walk(RuleBasedStateMachine):
    """Whatever way one goes, there is a place to show, and its path begins at home."""

    def __init__(self) -> None:
        super().__init__()
        self.trail = Trail(Address(Page.NOW))

    @rule(number=st.integers(1, 5))
    def jump(self, number: int) -> None:
        place = self.trail.jump(Address(Page.JOB, number))
        assert place.address == Address(Page.JOB, number)
        assert len(self.trail.crumbs) == 2

    @rule(number=st.integers(1, 5))
    def drill(self, number: int) -> None:
        above = self.trail.here
        here = self.trail.drill(Address(Page.INCIDENT, number))
        assert self.trail.crumbs[-2:] == (above, here)

    @rule()
    def climb(self) -> None:
        before = self.trail.crumbs
        place = self.trail.climb()
        assert (place is None) == (len(before) == 1)
        assert self.trail.here is (before[-1] if place is None else before[-2])

    @rule()
    def back_and_forward(self) -> None:
        before = self.trail.here
        if self.trail.back() is not None:
            assert self.trail.forward() is before

    @rule()
    def toggle_twice(self) -> None:
        if self.trail.toggle() is not None:
            self.trail.toggle()

    @invariant()
    def begins_at_home(self) -> None:
        assert self.trail.crumbs[0].address == Address(Page.NOW)


TestWalk = Walk.TestCase


def test_titles_carry_filters():
    assert title_of(Address(Page.JOBS, filters={"q": "a b", "hours": "6"})) == 'Jobs q="a b" hours=6'
    assert title_of(Address(Page.LOG, 17, {"name": "pilot.log", "line": "3"})) == "Log of job 17 pilot.log"


def test_one_key_is_one_action_within_a_screen_and_every_action_has_a_sentence():
    assert len({key.action for key in KEYS}) == len(KEYS)
    assert all(key.sentence.endswith((".", "?")) for key in KEYS)
    letters = [each for key in KEYS for each in key.keys.split(",") if each not in {"tab", "shift+tab"}]
    assert len(set(letters)) == len(letters)
    with pytest.raises(LookupError):
        offered("no_such_action")


COUNTS = st.lists(st.tuples(*[st.integers(0, 10**6)] * 3), min_size=1, max_size=800)


@given(COUNTS, st.integers(20, 200), st.integers(1, 30))
@example([(10**6, 10**6, 10**6)] * 800, 20, 1)  # numbers so wide that the first time has no room
def test_the_chart_fills_its_room_and_no_more(counts, width, height):
    failed, cancelled, finished = (list(column) for column in zip(*counts, strict=True))
    course = Course(["2026-11-21T10:00:00+00:00"] * len(counts), finished, failed, cancelled)
    lines = chart_lines(course, PALETTE, width, height)
    assert len(lines) == height + 1
    assert all(line.cell_len <= width for line in lines)
    assert sum(course.folded(50).totals) == sum(course.totals)


def test_failures_are_seen_however_few():
    course = Course(["", ""], [100_000, 5], [1, 0], [0, 0])
    foot = chart_lines(course, PALETTE, 40, 5)[-2]
    assert any(
        span.style == PALETTE.bad or getattr(span.style, "color", None) == PALETTE.bad.color for span in foot.spans
    )


def test_a_young_history_is_shown_at_full_width():
    course = Course([str(n) for n in range(100)], [0] * 90 + [1] * 10, [0] * 100, [0] * 100)
    assert len(course.since_first(60).bins) == 60
    assert len(course.since_first(5).bins) == 10


@given(
    st.dictionaries(st.sampled_from(["failed", "finished", "running", "odd"]), st.integers(0, 10**9)),
    st.integers(4, 200),
)
def test_shares_fill_the_ribbon(counts, width):
    cells = shares(counts, width)
    assert sum(cells.values()) == (width if any(counts.values()) else 0)
    assert all(cells.values())


@pytest.mark.parametrize("width", [10, 40, 80, 120, 200])
@pytest.mark.parametrize("state", list(LiveState))
def test_the_status_line_fits(width, state):
    status = Status("panda.example.org", "olga (operator)", "last 24 h", state, 3.0, {"critical": 1, "error": 2})
    line = status_text(status, PALETTE, width)
    assert line.cell_len <= width
    if width >= len(str(state)) + 5:
        assert str(state) in line.plain, "whether it is live goes last"
    if width >= 80:
        assert "1" in line.plain


def test_an_agent_that_is_late_or_failed_stands_out():
    now = moment("2026-11-21T12:00:00+00:00")
    row = {"last_run": "2026-11-21T11:50:00+00:00", "next_run": "2026-11-21T11:50:10+00:00", "last_error": None}
    fine = {**row, "name": "adder", "next_run": "2026-11-21T12:00:10+00:00"}
    failed = {**fine, "name": "emitter", "last_error": "no [such] table"}
    table = agents([fine, failed, {**row, "name": "watchdog"}], PALETTE, now)
    cells = [cell.plain for column in table.columns for cell in column._cells]
    assert cells == ["✗ emitter", "✗ watchdog", "✓ 1 agent", "10 min ago: no [such] table", "late: last run 10 min ago",
                     "the others run"]  # fmt: skip


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (age(59.9), "59 s"), (age(3600), "1 h"), (age(180_000), "2 d"), (age(-5), "0 s"),
        (duration(None), "–"), (duration(4.21), "4.2 s"), (duration(185), "3 min 05 s"), (duration(7800), "2 h 10 min"),
        (number(1234567), "1 234 567"), (number(None), "–"),
        (sparkline([]), ""), (sparkline([0, 0]), "▁▁"), (sparkline([0, 1, 8]), "▁▂█"),
        (bar(0.5, 4), "██"), (bar(2, 3), "███"), (moment("yesterday"), None),
    ],
)  # fmt: skip
def test_figures_as_people_read_them(shown, expected):
    assert shown == expected
