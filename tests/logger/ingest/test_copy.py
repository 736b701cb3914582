"""COPY writes what INSERT would: every text, number, time and document comes back as it was."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import psycopg2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.database import Database

_COLUMNS = ("t", "n", "x", "b", "d", "j")
_TABLE = (
    "CREATE TEMP TABLE copied (t text, n bigint, x double precision, b boolean, d timestamptz, j jsonb) ON COMMIT DROP"
)

texts = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))
awkward = st.text(st.sampled_from("\\\t\n\r.N\x01\x7fé\u2028'\",{}"), max_size=12)
documents = st.dictionaries(
    texts, texts | awkward | st.integers(-(2**53), 2**53) | st.none() | st.booleans(), max_size=4
)


def copied(database: Database, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    with database.transaction() as transaction:
        transaction.execute(_TABLE)
        assert transaction.copy_rows("copied", _COLUMNS, rows) == len(rows)
        return [tuple(row.values()) for row in transaction.fetch("SELECT * FROM copied ORDER BY ctid")]


@settings(max_examples=60)
@given(
    rows=st.lists(
        st.tuples(
            st.none() | texts | awkward,
            st.none() | st.integers(-(2**63), 2**63 - 1),
            st.none() | st.floats(allow_nan=False),
            st.none() | st.booleans(),
            st.none() | st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)),
            st.none() | documents,
        ),
        max_size=5,
    )
)
def test_what_is_copied_comes_back_as_it_was(shared_database: Database, rows: list[tuple[Any, ...]]) -> None:
    assert copied(shared_database, rows) == rows


def test_numbers_that_are_none_and_times_of_other_zones_arrive(shared_database: Database) -> None:
    there = datetime(2026, 11, 21, 10, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    [row] = copied(shared_database, [("\\N", 0, math.nan, True, there, [1, {"a\\": "\n"}])])
    assert row[0] == "\\N" and math.isnan(row[2]) and row[4] == there and row[5] == [1, {"a\\": "\n"}]


def test_what_no_column_holds_is_refused_before_anything_is_sent(shared_database: Database) -> None:
    with pytest.raises(TypeError, match="object"):
        copied(shared_database, [(object(), 1, 1.0, True, None, {})])
    with pytest.raises(UnicodeEncodeError):
        copied(shared_database, [("\ud800", 1, 1.0, True, None, {})])
    with pytest.raises(psycopg2.DataError):
        copied(shared_database, [("a\x00b", 1, 1.0, True, None, {})])
    assert shared_database.fetch("SELECT 1 AS one") == [{"one": 1}]
