"""Numbers as people read them."""

from __future__ import annotations

import pytest

from dashboard import wording


def test_places_in_an_order_are_said_as_people_say_them():
    numbers = (1, 2, 3, 4, 11, 12, 13, 21, 102, 111)
    assert [wording.ordinal(number) for number in numbers] == [
        *("1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "102nd", "111th")
    ]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "–"),
        (-3, "0 s"),
        (0, "0 s"),
        (0.0002, "1 ms"),
        (0.0164, "16 ms"),
        (0.42, "0.4 s"),
        (59.6, "1 min"),
        (200, "3 min 20 s"),
        (3600, "1 h"),
        (187_000, "2 d 3 h"),
        (86_405, "1 d"),
    ],
)
def test_durations(seconds, words):
    assert wording.duration(seconds) == words


@pytest.mark.parametrize(
    ("n_bytes", "words"),
    [(None, "–"), (0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (250_000_000, "250 MB"), (7e18, "7000 PB")],
)
def test_sizes(n_bytes, words):
    assert wording.size(n_bytes) == words


def test_counts_and_plurals():
    assert wording.count(1234567) == "1\u202f234\u202f567"
    assert wording.plural(1, "job") == "1 job"
    assert wording.plural(0, "query") == "0 queries"
    assert wording.plural(2, "day") == "2 days"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 core-h"), (60, "< 0.1 core-h"), (5400, "1.5 core-h"), (3_600_000, "1\u202f000 core-h")],
)
def test_core_hours(seconds, words):
    assert wording.core_hours(seconds) == words


def test_times_outside_of_tables_say_their_zone():
    assert wording.utc("2026-11-21T11:57:34.123+01:00") == "2026-11-21 10:57:34 UTC"
    assert wording.utc(None) == "–"
    assert wording.until("2026-11-21T11:57:34+00:00") == "until 2026-11-21 11:57 UTC"
    assert wording.until("9999-12-31T00:00:00+00:00") == "for good"


def test_hours_show_small_amounts():
    assert [wording.hours(value) for value in (0, 0.01, 0.4, 1234.6)] == ["0", "< 0.1", "0.4", "1\u202f235"]


def test_the_gist_of_a_log_line_is_what_its_logger_did_not_add():
    assert wording.gist("2026-11-21T11:57:34Z WARNING job 40 fails: 1171") == "job 40 fails: 1171"
    assert wording.gist("2026-11-21 11:57:34,123 | ERROR | x") == "| ERROR | x"
    assert wording.gist("ValueError: 2026-11-21 is no number") == "ValueError: 2026-11-21 is no number"
    assert wording.gist(None) == ""


def test_per_cent_shows_small_rates():
    assert [wording.per_cent(value) for value in (None, 0.0, 0.004, 0.116, 1.0)] == [
        "–",
        "0 %",
        "0.4 %",
        "12 %",
        "100 %",
    ]
