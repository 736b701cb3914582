"""The window grammar."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as some

from core.errors import InvalidInput
from core.monitor.window import read_window

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def test_without_parameters_the_default_of_the_page_reaches_now():
    window = read_window({}, NOW, 24)
    assert (window.start, window.end, window.reaches_now) == (NOW - timedelta(days=1), NOW, True)
    assert read_window({}, NOW, None) is None


@pytest.mark.parametrize(
    ("parameters", "start", "end", "reaches_now"),
    [
        ({"hours": "6"}, NOW - timedelta(hours=6), NOW, True),
        ({"days": "0.5"}, NOW - timedelta(hours=12), NOW, True),
        ({"date_from": "2026-11-20"}, datetime(2026, 11, 20, tzinfo=UTC), NOW, True),
        (
            {"date_to": "2026-11-20", "days": "1"},
            datetime(2026, 11, 20, tzinfo=UTC),
            datetime(2026, 11, 21, tzinfo=UTC),
            False,
        ),
        (
            {"date_from": "2026-11-20T10:00", "hours": "2"},
            datetime(2026, 11, 20, 10, tzinfo=UTC),
            datetime(2026, 11, 20, 12, tzinfo=UTC),
            False,
        ),
        ({"date_from": "2026-11-20T10:00:00 01:00"}, datetime(2026, 11, 20, 9, tzinfo=UTC), NOW, True),
        (
            {"date_from": "2026-11-20T10:00:00Z", "date_to": "2026-11-20 11:00"},
            datetime(2026, 11, 20, 10, tzinfo=UTC),
            datetime(2026, 11, 20, 11, tzinfo=UTC),
            False,
        ),
    ],
)
def test_windows_people_ask_for(parameters, start, end, reaches_now):
    window = read_window(parameters, NOW, 24)
    assert (window.start, window.end, window.reaches_now) == (start, end, reaches_now)


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"hours": "six"}, "hours"),
        ({"hours": "-1"}, "hours"),
        ({"hours": "nan"}, "hours"),
        ({"days": "1e9"}, "days"),
        ({"hours": "1", "days": "1"}, "hours"),
        ({"date_from": "yesterday"}, "date_from"),
        ({"date_to": "0001-01-01"}, "date_to"),
        ({"date_from": "2026-11-22"}, "date_from"),
        ({"date_from": "2026-11-20", "date_to": "2026-11-19T00:00"}, "date_from"),
        ({"date_from": "2026-11-19", "date_to": "2026-11-20", "hours": "3"}, "hours"),
    ],
)
def test_a_window_that_makes_no_sense_is_refused_by_name(parameters, field):
    with pytest.raises(InvalidInput) as refusal:
        read_window(parameters, NOW, 24)
    assert refusal.value.field == field and refusal.value.remedy


@given(
    some.dictionaries(
        some.sampled_from(["hours", "days", "date_from", "date_to"]),
        some.text(alphabet="0123456789-T:Z+ .e", max_size=20),
    )
)
def test_every_input_is_a_window_or_a_refusal(parameters):
    try:
        window = read_window(parameters, NOW, 12)
    except InvalidInput as error:
        assert error.field in parameters
    else:
        assert window.start <= window.end and window.start.tzinfo is UTC
