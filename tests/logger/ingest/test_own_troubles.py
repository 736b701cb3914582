"""What plain users' own programs can make of the list of incidents: nothing critical by word alone, and a bounded number."""

from __future__ import annotations

import itertools

import pytest

from core.clock import utc_now
from core.database import Database, Row
from logger.admission import Sender
from logger.batches import read_batch
from logger.ingest import OURSELVES, RecordIngest
from logger.own_troubles import MOST_OWN, OwnTroubles
from logger.records import read_record
from logger.rules import record_event
from logger.rules.base import RuleRow
from logger.rules.parameters import RecordParameters
from tests.logger.builders import record
from tests.logger.ingest.test_floods import distinct

_tokens = itertools.count()
EVE = Sender("eve", "t-eve")


def opened(database: Database, sender: Sender, *entries: object) -> list[Row]:
    RecordIngest(database).submit(read_batch([*entries]), sender)
    return database.fetch("SELECT * FROM incidents ORDER BY incident_id")


@pytest.mark.parametrize(("level", "severity"), [("CRITICAL", "error"), ("FATAL", "error"), ("ERROR", "error")])
def test_nobody_makes_a_trouble_critical_by_saying_so(database: Database, level: str, severity: str) -> None:
    (incident,) = opened(database, EVE, record("it burns", level=level, component="couplers"))
    assert (incident["severity"], incident["component"]) == (severity, "couplers")
    (kept,) = database.fetch("SELECT level FROM log_records")  # what was said is kept as it was said
    assert kept["level"] == ("CRITICAL" if level == "FATAL" else level)


def test_a_users_word_makes_no_living_incident_worse_than_error(database: Database) -> None:
    entry = {"component": "couplers", "fingerprint": "couplers burn"}
    opened(database, EVE, record("it burns", level="ERROR", **entry))
    (incident,) = opened(database, EVE, record("it burns", level="CRITICAL", **entry))
    assert (incident["severity"], incident["record_count"]) == ("error", 2)


@pytest.mark.parametrize("role", ["pilot", "production", "operator", "admin"])
def test_who_speaks_for_the_system_is_believed(database: Database, role: str) -> None:
    sender = Sender("site", f"t{next(_tokens)}", frozenset({role}))
    (incident,) = opened(database, sender, record("it burns", level="CRITICAL", component="couplers"))
    assert incident["severity"] == "critical"


def test_an_operators_rule_may_call_it_critical() -> None:
    floor = RuleRow(7, "loud", "record", "service", "critical", {}, 1, RecordParameters())
    said = read_record(record("it burns", level="CRITICAL"), utc_now())
    event = record_event([floor], said)
    assert event is not None
    assert OwnTroubles().judged(event, EVE, [floor]).severity == "critical"
    assert OwnTroubles().judged(event, EVE, []).severity == "error"


def test_many_invented_components_are_few_incidents_and_one_that_says_so(database: Database) -> None:
    entries = [{**entry, "component": f"c{number // 20}"} for number, entry in enumerate(distinct(0, 400))]
    incidents = opened(database, EVE, *entries)
    assert len(incidents) == MOST_OWN + 1
    [common] = [row for row in incidents if "Many different troubles" in row["title"]]
    assert common["title"].startswith("Many different troubles of programs of eve: ")
    assert (common["record_count"], common["component"], common["severity"]) == (400 - MOST_OWN, "eve/…", "error")
    assert "more than 50 different troubles within ten minutes" in common["grouping"]
    # nobody else is concerned, and the store itself is not
    assert len(opened(database, Sender("zoe", "t-zoe"), record("other", component="pumps"))) == MOST_OWN + 2
    assert len(opened(database, OURSELVES, record("another", component="api"))) == MOST_OWN + 3


def test_what_is_told_again_keeps_its_place_and_room_comes_back_after_ten_minutes() -> None:
    now = 0.0
    own = OwnTroubles(lambda: now)
    rules = [RuleRow(1, "service_errors", "record", "service", "warning", {}, 1, RecordParameters())]

    def key(number: int) -> str:
        event = record_event(rules, read_record(record(component="x", fingerprint=f"trouble {number}"), utc_now()))
        assert event is not None
        return own.judged(event, EVE, rules).fingerprint

    first = [key(number) for number in range(MOST_OWN)]
    assert len(set(first)) == MOST_OWN and key(99) == key(98) == "v2:eve/…"
    now = 500.0
    assert key(0) == first[0]
    now = 700.0  # the others were told of too long ago
    assert key(99) not in ("v2:eve/…", *first) and key(0) == first[0]
