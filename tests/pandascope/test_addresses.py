"""Addresses mean the same page as text and as a value."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pandascope.addresses import PATHS, Address, Page, log_address, parse_address
from pandascope.errors import Usage

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_FILTERS = st.dictionaries(_TEXT.filter(bool), _TEXT, max_size=4)


@st.composite
def addresses(draw: st.DrawFn) -> Address:
    page = draw(st.sampled_from(Page))
    number = draw(st.integers(0, 10**17)) if "{number}" in PATHS[page] else None
    return Address(page, number, draw(_FILTERS))


@given(addresses())
def test_what_is_written_is_read_back(address: Address) -> None:
    assert parse_address(str(address)) == address
    assert parse_address(address.url("https://panda.example:8443")) == address


@given(st.text())
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        parse_address(text)
    except Usage as error:
        assert error.code == "unknown_address"


@pytest.mark.parametrize(
    ("text", "page", "number", "filters"),
    [
        ("/", Page.NOW, None, {}),
        ("", Page.NOW, None, {}),
        ("/jobs/?job_status=failed&hours=6", Page.JOBS, None, {"job_status": "failed", "hours": "6"}),
        ("/jobs?job_status=a|b&x=%7C", Page.JOBS, None, {"job_status": "a|b", "x": "|"}),
        ("/job/17/", Page.JOB, 17, {}),
        ("/job/17", Page.JOB, 17, {}),
        ("/job/17/log/?name=payload.stderr&line=12", Page.LOG, 17, {"name": "payload.stderr", "line": "12"}),
        ("http://host:1/monitor/incident/5/", Page.INCIDENT, 5, {}),
        ("http://host:1/monitor", Page.NOW, None, {}),
        ("/monitor/tasks/", Page.TASKS, None, {}),
        ("/task/10000000/", Page.TASK, 10_000_000, {}),
        ("/queues/", Page.QUEUES, None, {}),
    ],
)
def test_addresses_people_type(text: str, page: Page, number: int | None, filters: dict[str, str]) -> None:
    assert parse_address(text) == Address(page, number, filters)


@pytest.mark.parametrize("text", ["/nonsense/", "/job/", "/job/x/", "/job/-1/", "/job/1e3/", "/job/٣/", "/jobs/7/"])
def test_other_paths_are_refused_with_the_pages_there_are(text: str) -> None:
    with pytest.raises(Usage, match="/incidents/"):
        parse_address(text)


def test_a_log_address_points_to_a_line() -> None:
    assert str(log_address(17, "payload.stderr", 12)) == "/job/17/log/?name=payload.stderr&line=12"
    assert log_address(17, line=12).line == 12
    assert parse_address("/job/17/log/?line=soon").line is None


def test_filters_are_set_and_removed() -> None:
    address = parse_address("/jobs/?a=1&b=2")
    assert str(address.with_filters(b=None, c="3|4")) == "/jobs/?a=1&c=3|4"


def test_filter_signs_stay_readable() -> None:
    assert str(Address(Page.JOBS, None, {"job_status": "!finished|closed", "q": "a b&c"})) == (
        "/jobs/?job_status=!finished|closed&q=a%20b%26c"
    )
