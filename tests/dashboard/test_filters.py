"""Filters: address, chips, facets and titles say the same, whatever the values hold."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.monitor.filters import parse_text
from dashboard.components import filters
from dashboard.components.incident_list import keep_order
from dashboard.links import Links, having
from pandascope.addresses import Address, Page, parse_address

LINKS = Links("/monitor/")
VALUES = st.text(min_size=1, max_size=30).filter(
    lambda text: "\0" not in text and text not in ("*", "all", "Not specified")
)


@given(value=VALUES)
def test_a_facet_value_becomes_a_filter_that_means_exactly_it(value):
    parsed = parse_text(filters.literally(value), "computing_site")
    assert not parsed.is_negated
    assert [pattern.pieces for pattern in parsed.patterns] == [(value,)]


@given(values=st.lists(VALUES, min_size=2, max_size=4))
def test_values_are_excluded_one_after_the_other(values):
    current = None
    for value in values:
        current = filters._excluding(current, filters.literally(value))
    parsed = parse_text(current, "computing_site")
    assert parsed.is_negated
    assert [pattern.pieces for pattern in parsed.patterns] == [(value,) for value in values]


def _links_in(component):
    found = [component.href] if getattr(component, "href", None) else []
    children = getattr(component, "children", None)
    for child in children if isinstance(children, list) else [children]:
        if child is not None and not isinstance(child, (str, int)):
            found += _links_in(child)
    return found


@given(value=VALUES.filter(lambda text: text.isprintable()))
def test_a_chosen_facet_leads_back_to_where_it_was(value):
    start = Address(Page.JOBS, None, {"hours": "6"})
    rail = filters.facet_rail({"computing_site": [{"value": value, "count": 3}]}, start, LINKS)
    (narrow,) = _links_in(rail)
    chosen = LINKS.parse(f"http://host{narrow}")
    assert chosen == having(start, "computing_site", filters.literally(value))
    rail = filters.facet_rail({"computing_site": [{"value": value, "count": 3}]}, chosen, LINKS)
    (widen,) = _links_in(rail)
    assert LINKS.parse(f"http://host{widen}") == start


def test_each_chip_takes_off_its_own_filter():
    address = parse_address("/jobs/?job_status=failed&computing_site=!BNL&hours=6")
    targets = [LINKS.parse(f"http://host{link}") for link in _links_in(filters.chips(address, LINKS))]
    assert [set(target.filters) for target in targets] == [
        {"computing_site", "hours"},
        {"job_status", "hours"},
        {"job_status", "computing_site"},
        set(),
    ]


def test_the_title_says_the_filters():
    address = parse_address("/jobs/?job_status=failed|closed&computing_site=!BNL&hours=6")
    assert filters.sentence(address.filters) == "State failed or closed, Queue not BNL"


def test_addresses_outside_the_monitor_are_no_pages():
    assert LINKS.parse(None) is None
    assert LINKS.parse("http://host/monitor/nonsense/") is None
    assert LINKS.parse("http://host/monitor/job/17/").number == 17


def test_shown_incidents_keep_their_places_and_new_ones_wait():
    rows = [{"incident_id": number} for number in (9, 2, 1, 3)]
    kept, waiting = keep_order([1, 2, 7, 3], rows)
    assert [row["incident_id"] for row in kept] == [1, 2, 3]
    assert waiting == 1
