"""Reading the live stream: any way of cutting it into lines, breaks, resuming."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pandascope.errors import NotAuthorised, ServerUnreachable
from pandascope.events import EventParser, Position

STREAM = """: comment

id: 7
event: change
data: {"seq": 7, "topics": ["jobs"]}

event: heartbeat
data: {"seq":
data: 8}

data: plain words

event: resync

"""


def test_events_are_read_with_ids_names_and_joined_data() -> None:
    parser = EventParser()
    events = [event for line in STREAM.split("\n") if (event := parser.feed(line))]
    assert events == [
        {"event": "change", "id": "7", "seq": 7, "topics": ["jobs"]},
        {"event": "heartbeat", "id": "7", "seq": 8},
        {"event": "message", "id": "7", "data": "plain words"},
        {"event": "resync", "id": "7"},
    ]


@given(st.lists(st.text(max_size=30), max_size=20))
def test_no_line_breaks_the_parser(lines: list[str]) -> None:
    parser = EventParser()
    for line in [*lines, ""]:
        parser.feed(line)


def test_a_reader_comes_back_where_it_stood() -> None:
    position = Position(["jobs", "job:17"])
    assert position.params() == {"topics": "jobs,job:17"}
    assert position.headers() == {}
    position.passed({"event": "change", "id": "41"})
    assert position.headers() == {"Last-Event-ID": "41"}


def test_a_reader_that_saw_only_heartbeats_resumes_from_the_first_of_them() -> None:
    position = Position()
    position.passed({"event": "heartbeat", "id": None, "seq": 12})
    position.passed({"event": "heartbeat", "id": None, "seq": 13})
    assert position.headers() == {"Last-Event-ID": "12"}


def test_pauses_grow_and_shrink_again_after_success() -> None:
    position = Position()
    pauses = [position.broken(ServerUnreachable("away"))["retry_in_s"] for _ in range(8)]
    assert pauses[0] <= 0.5 and 7.0 <= pauses[-1] <= 10.0
    position.passed({"event": "heartbeat", "id": None})
    assert position.broken(None)["retry_in_s"] <= 0.5


def test_no_access_is_no_reason_to_come_back() -> None:
    with pytest.raises(NotAuthorised):
        Position().broken(NotAuthorised("no", status=403))
