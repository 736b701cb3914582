"""Rules for log records: which records are troubles, under which rule, and how many alike make one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from core.database import Database
from logger.folding import fold
from logger.records import Record
from logger.rule_rows import Editor, RuleDraft, active_rules, add_rule, checked, remove_rule
from logger.rules import RuleRow, record_event
from logger.rules.service_errors import ServiceErrors
from tests.logger.rules.watched import NOW, Watched

ANN = Editor("ann")


def rule(name: str = "r", **fields: Any) -> RuleRow:
    kept = {field: fields.pop(field) for field in ("severity_floor", "kind") if field in fields}
    return checked(RuleDraft(name, "record", parameters=fields, **kept))


def said(message: str = "it broke", level: str = "ERROR", component: str = "adder", **fields: Any) -> Record:
    return Record(NOW, level, f"panda.{component}", component, message, **fields)


@pytest.mark.parametrize(
    ("record", "is_trouble"),
    [
        (said(), True),
        (said(level="CRITICAL"), True),
        (said(level="WARNING"), False),
        (said(level="INFO", fingerprint="mine"), True),
        (said(level="INFO", kind="data"), True),
        (said(component="pilot", panda_id=7), False),
        (said(component="pilot", panda_id=7, traceback="Traceback\nValueError: x"), True),
        (said(component="pilot"), True),
    ],
)
def test_errors_and_what_is_named_are_troubles_and_evidence_about_a_job_is_none(
    record: Record, is_trouble: bool
) -> None:
    assert (record_event((rule(),), record) is not None) is is_trouble
    assert (ServiceErrors().event(record) is not None) is is_trouble


def test_the_first_rule_that_speaks_of_a_record_counts_it() -> None:
    rules = (
        rule("quiet", components="mover", level="CRITICAL"),
        rule("loud", components="mover|adder", queues="CERN*", severity_floor="critical"),
        rule("all", level="WARNING", components="!mover"),
    )
    named = {
        record_event(rules, record): None
        for record in (said(computing_site="CERN1"), said(level="WARNING"), said(component="mover"))
    }
    assert [event and (event.rule, event.severity) for event in named] == [
        ("loud", "critical"),
        ("all", "warning"),
        None,
    ]


def test_rules_may_speak_of_keys_only() -> None:
    keys = rule("refusals", keys="pilots refused:*", kind="service")
    assert record_event((keys,), said(level="WARNING", fingerprint="pilots refused:F")) is not None
    assert record_event((keys,), said(level="WARNING", fingerprint="other")) is None
    assert record_event((keys,), said()) is None


def test_an_event_says_where_and_what_as_the_emitter_or_the_text_tells() -> None:
    told = record_event((rule(),), said("write failed: No space left on device"))
    assert told is not None and (told.step, told.error_class) == ("service", "disk")
    named = record_event((rule(),), said("No space left on device", step="stage-out", error_class="storage"))
    assert named is not None and (named.step, named.error_class) == ("stage-out", "storage")
    assert told.opens and told.fingerprint.startswith("v3:adder:")


def test_the_queue_and_host_of_a_record_do_not_divide_its_trouble() -> None:
    events = [
        record_event((rule(),), said(f"{site} on {host} is lost", computing_site=site, host=host))
        for site, host in (("CERN-PROD", "wn1.cern.ch"), ("BNL-ATLAS", "acas2.bnl.gov"))
    ]
    assert len({event.fingerprint for event in events if event}) == 1


@pytest.fixture
def many(shared_database: Database) -> Iterator[Watched]:
    """A rule that wants five alike in ten minutes, of one component."""
    draft = RuleDraft("many_alike", "record", parameters={"min_records": 5, "window_s": 600, "components": "chatter"})
    row = add_rule(shared_database, draft, ANN)
    yield Watched(shared_database)
    remove_rule(shared_database, row["rule_id"], 1, ANN)


def test_several_alike_within_the_window_are_an_incident_and_few_are_none(many: Watched) -> None:
    def hear(count: int) -> None:
        rules = [row for row in active_rules(many.database) if row.name == "many_alike"]
        events = [record_event(rules, said(component="chatter"))] * count
        with many.database.transaction() as transaction:
            fold(transaction, [event for event in events if event], many.now)

    hear(4)
    many.look(only_quick=True)
    assert many.incidents() == []
    hear(1)
    many.look(only_quick=True)
    (incident,) = many.incidents()
    assert (incident["state"], incident["record_count"]) == ("open", 5)
    assert incident["opened_by"].startswith("rule many_alike")


def test_an_explicit_key_needs_no_company(many: Watched) -> None:
    rules = [row for row in active_rules(many.database) if row.name == "many_alike"]
    event = record_event(rules, said(component="chatter", fingerprint="my trouble"))
    assert event is not None and event.opens and event.fingerprint == "v1:my trouble"
    assert event.time == datetime(2026, 11, 26, 12, 2, tzinfo=UTC)
