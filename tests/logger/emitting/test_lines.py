"""Lines of text as records: syslog of both kinds, key=value, anything; and the frames of a stream."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logger.events import KINDS
from logger.lines import _KINDS, MAX_LINE_BYTES, Frames, read_line, read_token

NOW = datetime(2026, 11, 26, 20, 0, tzinfo=UTC)


def read(line: str, **defaults: str) -> dict[str, Any]:
    return read_line(line.encode(), defaults, NOW)


def test_rfc_5424_with_the_extras_in_its_structured_data() -> None:
    line = (
        '<165>1 2026-11-26T10:00:00.123Z wn042 mover 12 ID47 [panda@53595 panda_id="17" jedi_task_id="10000001" '
        'computing_site="CERN" component="stager" code="1137" user="ann" fingerprint="f" kind="data" step="stage-out" '
        'mount="/a\\"b\\]"][timeQuality tzKnown="1"][origin ip="10.0.0.1"] \ufeffdisk full'
    )
    assert read(line) == {
        "time": "2026-11-26T10:00:00.123000+00:00",
        "level": "INFO",
        "host": "wn042",
        "name": "mover",
        "process": 12,
        "panda_id": 17,
        "jedi_task_id": 10000001,
        "computing_site": "CERN",
        "component": "stager",
        "code": 1137,
        "user": "ann",
        "fingerprint": "f",
        "kind": "data",
        "step": "stage-out",
        "message": "disk full",
        "fields": {"msgid": "ID47", "origin.ip": "10.0.0.1", "mount": '/a"b]'},
    }


@pytest.mark.parametrize(
    ("priority", "level"),
    [(0, "CRITICAL"), (10, "CRITICAL"), (27, "ERROR"), (28, "WARNING"), (13, "INFO"), (14, "INFO"), (191, "DEBUG")],
)
def test_the_level_is_the_severity_in_the_priority(priority: int, level: str) -> None:
    assert read(f"<{priority}>1 - - - - - - x")["level"] == level
    assert read(f"<{priority}>x")["level"] == level


def test_nil_values_of_rfc_5424_say_nothing() -> None:
    assert read("<14>1 - - - - - - hello") == {"time": NOW.isoformat(), "level": "INFO", "message": "hello"}
    assert read("<14>1 - - - - - -")["message"] == ""


def test_structured_data_that_is_none_stays_in_the_message() -> None:
    assert read("<14>1 - - - - - [x y=1] hello")["message"] == "[x y=1] hello"


def test_rfc_3164_with_and_without_host_and_with_an_iso_time() -> None:
    first = read("<34>Oct 11 22:14:15 mymachine su[12]: 'su root' failed")
    assert (first["time"], first["host"], first["name"], first["process"], first["message"]) == (
        *("2026-10-11T22:14:15+00:00", "mymachine", "su", 12),
        "'su root' failed",
    )
    local = read("<13>Nov  6 10:00:00 backup: tape 7 cannot be read")
    assert "host" not in local and local["name"] == "backup" and local["message"] == "tape 7 cannot be read"
    relayed = read("<13>2026-11-26T10:00:00+01:00 fe80::1 backup: x")
    assert (relayed["time"], relayed["host"], relayed["name"]) == ("2026-11-26T09:00:00+00:00", "fe80::1", "backup")


def test_the_year_of_rfc_3164_is_the_one_nearest_to_now() -> None:
    new_year = datetime(2027, 1, 1, 0, 5, tzinfo=UTC)
    assert read_line(b"<13>Dec 31 23:59:59 h t: x", {}, new_year)["time"] == "2026-12-31T23:59:59+00:00"
    old_year = datetime(2026, 12, 31, 23, 59, tzinfo=UTC)
    assert read_line(b"<13>Jan  1 00:01:00 h t: x", {}, old_year)["time"] == "2027-01-01T00:01:00+00:00"
    leap = datetime(2028, 3, 1, 0, 7, tzinfo=UTC)
    assert read_line(b"<13>Feb 29 12:00:00 h t: x", {}, leap)["time"] == "2028-02-29T12:00:00+00:00"
    no_time = read_line(b"<13>Feb 30 12:00:00 h t: x", {}, leap)
    assert no_time["message"] == "Feb 30 12:00:00 h t: x" and no_time["time"] == leap.isoformat()


def test_a_local_time_of_just_now_is_just_now_and_any_other_is_utc() -> None:
    at_noon = datetime(2026, 11, 26, 12, 0, 30, tzinfo=UTC)
    for stamp, time in (
        ("Nov 26 12:00:10", "12:00:10"),
        ("Nov 26 07:00:10", "12:00:10"),  # New York
        ("Nov 26 17:30:12", "12:00:12"),  # Delhi
        ("Nov 26 07:03:10", "07:03:10"),  # five hours late, in UTC
        ("Nov 25 12:00:30", "12:00:30"),  # a day late
    ):
        record = read_line(f"<13>{stamp} h t: x".encode(), {}, at_noon)
        assert record["time"][11:19] == time, stamp
    assert read_line(b"<13>Nov 25 12:00:30 h t: x", {}, at_noon)["time"].startswith("2026-11-25")


def test_key_values_before_a_colon() -> None:
    record = read('ERROR component=mover panda_id=17 mount="/my \\"disk\\"" time=late : disk full: 3 MB left')
    assert record == {
        "time": NOW.isoformat(),
        "level": "ERROR",
        "component": "mover",
        "panda_id": 17,
        "message": "disk full: 3 MB left",
        "fields": {"mount": '/my "disk"', "time": "late"},
    }
    assert read("ERROR a=b")["message"] == "a=b"  # no colon: only a level and a message


@pytest.mark.parametrize(
    ("line", "level", "message"),
    [
        ("ERROR: disk full", "ERROR", "disk full"),
        ("WARN 7 tapes", "WARNING", "7 tapes"),
        ("[error] no answer", "ERROR", "no answer"),
        ("[Warning]: hot", "WARNING", "hot"),
        ("fatal: not a repository", "CRITICAL", "not a repository"),
        ("Error in x", "INFO", "Error in x"),
        ("INFORMATION desk", "INFO", "INFORMATION desk"),
        ("ERROR", "ERROR", "ERROR"),
        ("tape 7 cannot be read\r\n", "INFO", "tape 7 cannot be read"),
        ("<999>x", "INFO", "<999>x"),
    ],
)
def test_anything_else_is_the_message_with_the_level_it_begins_with(line: str, level: str, message: str) -> None:
    record = read(line)
    assert (record["level"], record["message"]) == (level, message)


def test_defaults_hold_for_what_the_line_does_not_say() -> None:
    record = read("tape 7 cannot be read", component="backup", level="error", panda_id="5", shelf="3")
    assert record["component"] == "backup" and record["level"] == "ERROR" and record["panda_id"] == 5
    assert record["fields"] == {"shelf": "3"}
    assert read("WARN component=mine : x", component="backup", level="ERROR")["component"] == "mine"
    assert read("WARN x", level="ERROR")["level"] == "WARNING"


def test_a_value_that_does_not_fit_its_place_is_kept_among_the_fields() -> None:
    record = read("ERROR panda_id=x17 code=99999999999999999999 kind=party jedi_task_id=-3 : x", panda_id="5")
    assert record["panda_id"] == 5 and record["jedi_task_id"] == -3 and "code" not in record and "kind" not in record
    assert record["fields"] == {"panda_id": "x17", "code": "99999999999999999999", "kind": "party"}
    assert _KINDS == KINDS  # written twice, because this module travels alone


def test_bytes_that_are_no_utf_8_are_replaced() -> None:
    assert read_line(b"ERROR: caf\xe9 \xff", {}, NOW)["message"] == "caf\ufffd \ufffd"


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.text(alphabet='<>0123456789 [panda@53595="\\]:-JanTZ', max_size=80)))
def test_no_line_is_refused(line: bytes | str) -> None:
    record = read_line(line if isinstance(line, bytes) else line.encode(), {"component": "c"}, NOW)
    assert isinstance(record["message"], str) and record["component"]
    assert isinstance(record.get("panda_id", 0), int)


def test_five_megabytes_are_cut_first() -> None:
    for head in (b"", b"ERROR: ", b"<13>", b'<13>1 - - - - - [panda@53595 a="', b'ERROR a="'):
        line = head + b'ab\\"= ' * 900_000
        record = read_line(line, {}, NOW)
        assert 60_000 < len(record["message"]) <= MAX_LINE_BYTES
        assert record["fields"]["cut_bytes"] == len(line) - MAX_LINE_BYTES


def test_a_token_is_read_and_never_kept() -> None:
    assert read_token(b'[panda@53595 token="abc.DEF-1"]\n') == "abc.DEF-1"
    assert read_token(b'<13>1 - - - - - [panda@53595 token="t"] hello') == "t"
    assert read_token(b"hello") == ""
    assert "t0k" not in str(read('<13>1 - - - - - [panda@53595 token="t0k"] hello'))


class TestFrames:
    def test_newlines_end_lines_and_the_rest_comes_at_the_end(self) -> None:
        frames = Frames()
        assert frames.feed(b"one\ntw") == [b"one"]
        assert frames.feed(b"o\n\nthree") == [b"two"]
        assert frames.end() == [b"three"] and frames.end() == []

    def test_octet_counting(self) -> None:
        frames = Frames()
        assert frames.feed(b"7 <13>a\nb5 <1>xy7 ta") == [b"<13>a\nb", b"<1>xy"]
        assert frames.feed(b"pes\n") == [b"7 tapes"]

    @pytest.mark.parametrize("size", [1, 2, 3, 7])
    def test_pieces_of_any_size_give_the_same_lines(self, size: int) -> None:
        stream = b"8 <13>a\nbcplain\n12345678 <13>no\n4 <1>711 <13>hello w\n"
        frames, lines = Frames(), []
        for start in range(0, len(stream), size):
            lines += frames.feed(stream[start : start + size])
        lines += frames.end()
        whole = Frames()
        assert lines == [*whole.feed(stream), *whole.end()] and len(lines) == 5 and lines[0] == b"<13>a\nbc"

    def test_a_long_line_is_cut_and_its_rest_thrown_away(self) -> None:
        frames = Frames(limit=10)
        assert frames.feed(b"x" * 25) == [b"x" * 10]
        assert frames.feed(b"y" * 25 + b"\nnext\n") == [b"next"]
        assert frames.feed(b"20 <13>" + b"z" * 16 + b"after\n") == [b"<13>zzzzzz", b"after"]
        assert frames.cut == 2

    def test_the_count_alone_never_holds_memory(self) -> None:
        frames = Frames(limit=100)
        assert frames.feed(b"9999999 <13>" + b"a" * 200_000) == [b"<13>" + b"a" * 96]
        assert len(frames._waiting) == 0


@pytest.mark.parametrize(
    ("line", "time", "level", "message"),
    [
        (
            "2026-11-26 09:59:30,123 ERROR mover: disk full",
            "2026-11-26T09:59:30.123000+00:00",
            "ERROR",
            "mover: disk full",
        ),
        ("2026-11-26T10:59:30+01:00 WARN x", "2026-11-26T09:59:30+00:00", "WARNING", "x"),
        ("[2026-11-26 10:59:30] [error] x", "2026-11-26T09:59:30+00:00", "ERROR", "x"),
        ("2026-11-25 10:59:30 ERROR code=5 : x", "2026-11-25T10:59:30+00:00", "ERROR", "x"),
        ("2026-11-25 10:59:30 errors are few", None, "INFO", "2026-11-25 10:59:30 errors are few"),
        ("2026-13-45 10:59:30 ERROR x", None, "INFO", "2026-13-45 10:59:30 ERROR x"),
        ("<11>Nov 26 2026 09:59:30 host app: x", "2026-11-26T09:59:30+00:00", "ERROR", "x"),
        ("<11>Nov 26 2026 09:59:30: %ASA-6-302013: x", "2026-11-26T09:59:30+00:00", "ERROR", "x"),
        ("<11>Nov 26 09:59:30.123 host app[1]: x", "2026-11-26T09:59:30+00:00", "ERROR", "x"),
        ("<11>Jun 30 23:59:60 host app: x", "2026-06-30T23:59:59+00:00", "ERROR", "x"),
    ],
)
def test_lines_as_log_files_and_routers_have_them(line: str, time: str | None, level: str, message: str) -> None:
    received = datetime(2026, 11, 26, 10, 0, tzinfo=UTC)
    record = read_line(line.encode(), {}, received)
    assert (record["time"], record["level"], record["message"]) == (time or received.isoformat(), level, message)
