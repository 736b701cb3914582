"""One record: whatever an emitter writes is cut, cleaned or rejected with its field, at a cost that is bounded."""

from __future__ import annotations

import json
import math
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InvalidInput
from logger.records import CUT_MARK, MAX_MESSAGE_CHARACTERS, MAX_TRACEBACK_CHARACTERS, read_record
from tests.logger.builders import record

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
MEGABYTES_5 = 5 * 2**20


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("2026-11-21T10:00:00+00:00", NOW - timedelta(hours=2)),
        ("2026-11-21T10:00:00Z", NOW - timedelta(hours=2)),
        ("2026-11-21 10:00:00", NOW - timedelta(hours=2)),
        ("2026-11-21T11:00:00+02:00", NOW - timedelta(hours=3)),
        ((NOW - timedelta(seconds=5)).timestamp(), NOW - timedelta(seconds=5)),
        ("1970-01-01T00:00:00Z", datetime(1970, 1, 1, tzinfo=UTC)),
        ("2031-01-01T00:00:00Z", NOW),
        (None, NOW),
        ("", NOW),
    ],
)
def test_a_time_is_as_sent_but_never_in_the_future_and_missing_it_is_the_reception(
    sent: object, kept: datetime
) -> None:
    read = read_record(record(time=sent), NOW)
    assert read.time == kept and "time_as_sent" not in read.fields


@pytest.mark.parametrize("sent", ["yesterday", [1], {"a": 1}, True, -5, 1e300, "0001-01-01T00:00:00+14:00", "9" * 5000])
def test_a_time_that_is_none_is_the_reception_and_kept_as_it_was_sent(sent: object) -> None:
    read = read_record(record(time=sent), NOW)
    assert read.time == NOW and str(read.fields["time_as_sent"]) == str(sent)[:100]


@pytest.mark.parametrize("filler", ["x", "\n", "\x1b[2J", "é", "\x1b", "\r", "\ud800"])
def test_a_message_of_five_megabytes_is_one_record_of_four_thousand_characters_in_no_time(filler: str) -> None:
    began = time.thread_time()  # whatever else this machine does
    read = read_record(record("start " + filler * (MEGABYTES_5 // len(filler)), traceback=filler * 2**20), NOW)
    assert time.thread_time() - began < 1.0
    assert len(read.message) <= MAX_MESSAGE_CHARACTERS
    assert read.message.startswith("start ") or filler == "\r"  # which draws over what stood before
    assert read.message.endswith(CUT_MARK) and read.fields["cut_bytes"] > 4_900_000
    assert len(read.traceback) <= MAX_TRACEBACK_CHARACTERS


@pytest.mark.parametrize("message", ["", "   ", "\x1b[0m\x00 \n"])
def test_an_empty_message_says_that_it_is_empty(message: str) -> None:
    assert read_record({"message": message, "level": "ERROR"}, datetime.now(UTC)).message == "(empty message)"


def test_of_a_long_traceback_both_ends_stay() -> None:
    read = read_record(record(traceback="first call\n" + "  again\n" * 10_000 + "OSError: at last"), NOW)
    assert read.traceback.startswith("first call") and read.traceback.endswith("OSError: at last")
    assert "\n[cut]\n" in read.traceback


@pytest.mark.parametrize(
    ("sent", "level", "number"),
    [
        *(("warn", "WARNING", 30), ("FATAL", "CRITICAL", 50), ("err", "ERROR", 40), (40, "ERROR", 40)),
        *((None, "INFO", 20), ("notice", "INFO", 20), ("chatty", "CHATTY", 20), ("x" * 99, "X" * 20, 20)),
    ],
)
def test_levels_have_many_names(sent: object, level: str, number: int) -> None:
    read = read_record(record(level=sent), NOW)
    assert (read.level, read.severity_number) == (level, number)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("panda_id", -1), ("panda_id", 2**63), ("jedi_task_id", "x"), ("panda_id", 1.5), ("panda_id", True)),
        *(("code", "1e5"), ("process", []), ("line", {}), ("host", [1]), ("kind", "nonsense"), ("fields", "x")),
        *(("message", None), ("message", 5), ("fields", [1])),
    ],
)
def test_what_is_wrong_is_named(field: str, value: object) -> None:
    with pytest.raises(InvalidInput) as error:
        read_record(record(**{"message": "m", field: value}), NOW)
    assert error.value.field == field and error.value.remedy


def test_no_id_is_written_as_nothing_or_as_nought() -> None:
    read = read_record(record(panda_id=0, jedi_task_id=""), NOW)
    assert (read.panda_id, read.jedi_task_id) == (None, None)
    assert read_record(record(panda_id="17"), NOW).panda_id == 17


def test_lines_of_a_message_stay_its_own_and_nothing_obeys_it() -> None:
    read = read_record(record("a\n2026-11-21 CRITICAL forged\x1b[31m\x07 <script>", component="x\ny\tz"), NOW)
    assert read.message == "a\n2026-11-21 CRITICAL forged <script>"
    assert read.component == "x y z"


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=300),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(), max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=150)
@given(
    entry=st.fixed_dictionaries(
        {"message": st.text(st.characters())},
        optional=dict.fromkeys(["time", "level", "component", "host", "code", "traceback", "fields", "seq"], anything),
    )
)
def test_whatever_comes_is_rejected_or_fit_for_the_database(entry: dict[str, Any]) -> None:
    try:
        read = read_record(entry, NOW)
    except InvalidInput:
        return
    assert read.time <= NOW and read.time.tzinfo is not None
    for text in (read.message, read.component, read.host, read.level, read.traceback):
        assert "\x00" not in text and "\x1b" not in text
        text.encode()
    stored = orjson.dumps(read.fields)
    assert len(stored) < 20_000 and b"\\u0000" not in stored


def test_fields_are_bounded_in_depth_in_number_and_in_size() -> None:
    deep: Any = "bottom"
    for _ in range(500):
        deep = [deep]
    read = read_record(record(fields={"deep": deep, "huge": 10**4000, "inf": math.inf, "wide": [[1] * 500] * 500}), NOW)
    assert "bottom" not in json.dumps(read.fields)
    assert len(orjson.dumps(read.fields)) < 17_000
    many = read_record(record(fields={f"f{number}": "x" * 1000 for number in range(5000)}), NOW)
    assert list(many.fields) == ["cut"]
