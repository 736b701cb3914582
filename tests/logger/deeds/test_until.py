"""Until when: what people write, what it means, and that it means the same when it is read again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from logger.deeds.table import ACTIONS
from logger.deeds.until import canonical, read_until, until_words

NOW = datetime(2026, 11, 26, 17, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("words", "end"),
    [
        ("18:00", NOW.replace(hour=18, minute=0)),
        ("7:05", NOW.replace(hour=7, minute=5) + timedelta(days=1)),
        ("17:30", NOW + timedelta(days=1)),
        ("18:00 UTC", NOW.replace(hour=18, minute=0)),
        ("2h", NOW + timedelta(hours=2)),
        ("1d12h", NOW + timedelta(hours=36)),
        ("2026-11-27T10:00+01:00", datetime(2026, 11, 27, 9, tzinfo=UTC)),
        ("2026-11-27T10:00", datetime(2026, 11, 27, 10, tzinfo=UTC)),
    ],
)
def test_a_time(words: str, end: datetime) -> None:
    read = read_until(words, NOW)
    assert (read.kind, read.time) == ("time", end)
    assert read_until(canonical(read), NOW) == read


def test_tests_and_never() -> None:
    assert (read_until("tests:20", NOW).kind, read_until("tests:20", NOW).count) == ("tests", 20)
    assert read_until("never", NOW).kind == "" and until_words(read_until("never", NOW), NOW).startswith(
        "until somebody"
    )
    assert until_words(read_until("tests:1", NOW), NOW) == "until 1 test job has finished there"
    assert until_words(read_until("18:00", NOW), NOW) == "until 2026-11-26 18:00 UTC" or "18:00 UTC" in until_words(
        read_until("18:00", NOW), NOW
    )


@given(words=st.text(max_size=30))
def test_any_text_means_something_that_comes_or_is_refused_by_name(words: str) -> None:
    try:
        read = read_until(words, NOW)
    except InvalidInput as error:
        assert error.field == "parameters.until" and error.remedy
        return
    assert read.time is None or read.time > NOW
    assert read_until(canonical(read), NOW) == read


@pytest.mark.parametrize("words", ["soon", "2020-01-01T00:00", "tests:0", "tests:20"])
def test_what_is_no_end_is_refused_where_it_stands_and_offline_is_told_of_no_tests(words: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        ACTIONS["offline"].read_parameters({"until": words}, NOW, ())
    assert caught.value.field == "parameters.until"
    assert "tests:" not in str(caught.value.remedy)


def test_who_drains_is_told_of_tests() -> None:
    with pytest.raises(InvalidInput, match=r"tests:20|understand|until|means") as caught:
        ACTIONS["drain"].read_parameters({"until": "soon"}, NOW, ())
    assert "tests:20" in str(caught.value.remedy)


def test_every_action_says_what_takes_it_back_or_why_nothing_does() -> None:
    assert len(ACTIONS) == 12
    for action in ACTIONS.values():
        assert bool(action.inverse) != bool(action.no_inverse), action.name
        assert action.sentence and action.parameters.__doc__
