"""Which routes tell of a change: pure, no database."""

from __future__ import annotations

import pytest

from core.errors import InvalidInput
from logger.notices.matching import checked_changes, checked_matcher, heard_by, matches

INCIDENT = {
    "severity": "error",
    "kind": "failure_burst",
    "computing_site": "CERN-T0",
    "owner": "",
    "assigned_to": "ann",
    "verdict": "site",
    "error_class": "storage",
    "component": "pilot",
}


def route(route_id=1, **columns):
    return {
        "route_id": route_id,
        "position": 0,
        "matcher": {},
        "changes": [],
        "is_final": False,
        **columns,
    }


@pytest.mark.parametrize(
    ("matcher", "fits"),
    [
        ({}, True),
        ({"severity": "warning"}, True),
        ({"severity": "error"}, True),
        ({"severity": "critical"}, False),
        ({"severity": "critical|warning"}, False),
        ({"severity": "!critical"}, True),
        ({"kind": "absence|failure_burst"}, True),
        ({"queue": "CERN*"}, True),
        ({"queue": "*-T0"}, True),
        ({"queue": "C*N-T*"}, True),
        ({"queue": "CERN"}, False),
        ({"queue": "BNL"}, True),  # it hit that queue as well
        ({"queue": "!BNL"}, False),
        ({"owner": "Not specified"}, True),
        ({"owner": "ann"}, False),
        ({"assigned_to": "ann"}, True),
        ({"verdict": "site", "class": "storage"}, True),
        ({"verdict": "site", "class": "network"}, False),
        ({"component": "!pilot"}, False),
        ({"component": "*"}, True),
    ],
)
def test_a_matcher_speaks_the_grammar_of_the_monitor(matcher, fits):
    assert matches(route(matcher=matcher), INCIDENT, ["BNL"]) is fits


@pytest.mark.parametrize(
    ("matcher", "field"),
    [({"colour": "red"}, "matcher.colour"), ({"kind": 3}, "matcher.kind"), ({"kind": "x" * 501}, "matcher.kind")],
)
def test_what_cannot_match_is_refused_by_name(matcher, field):
    with pytest.raises(InvalidInput) as refusal:
        checked_matcher(matcher)
    assert refusal.value.field == field


def test_changes_are_checked_and_put_in_order():
    assert checked_changes(["resolved", "opened", "opened"]) == ["opened", "resolved"]
    with pytest.raises(InvalidInput):
        checked_changes(["exploded"])


def test_the_end_of_a_silence_is_told_like_a_reopening_and_others_only_when_asked_for():
    heard = {what: bool(heard_by([route()], what, INCIDENT)) for what in ("opened", "unsilenced", "acknowledged")}
    assert heard == {"opened": True, "unsilenced": True, "acknowledged": False}
    assert heard_by([route(changes=["acknowledged"])], "acknowledged", INCIDENT)


def test_routes_are_asked_by_position_until_one_is_final():
    routes = [route(1, position=2), route(2, position=1, is_final=True), route(3, position=0)]
    assert [found["route_id"] for found in heard_by(routes, "opened", INCIDENT)] == [3, 2]


def test_a_verdict_that_is_not_known_yet_keeps_a_route_in_and_stops_no_other():
    routes = [route(1, matcher={"verdict": "site"}, is_final=True), route(2)]
    fresh = {**INCIDENT, "verdict": ""}
    assert [found["route_id"] for found in heard_by(routes, "opened", fresh, is_early=True)] == [1, 2]
    assert [found["route_id"] for found in heard_by(routes, "opened", fresh)] == [2]
    assert [found["route_id"] for found in heard_by(routes, "opened", INCIDENT)] == [1]
