"""Every page of incidents and of what is done about them refuses a word that its column never holds."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import get_args

import pytest

from core import audit
from core.clock import utc_now
from core.database import Database
from core.errors import InvalidInput
from core.models.incident import CHANGES, ONE_OF
from core.monitor.question import Grammar, read_question
from logger.deeds.table import ACTIONS
from logger.events import KINDS, Severity
from logger.life import Act
from logger.manual import ManualIncident
from logger.reading import INCIDENT_GRAMMAR, SILENCE_GRAMMAR, incident_list, silence_list
from logger.reading.audit import AUDIT_GRAMMAR
from logger.reading.deeds import DEED_GRAMMAR
from logger.reading.notices import NOTICE_GRAMMAR
from logger.reading.records import COUNT_GRAMMAR, RECORD_GRAMMAR
from logger.reading.rules import RULE_GRAMMAR
from logger.reading.shifts import SHIFT_GRAMMAR
from logger.selecting import select
from logger.silences import UNTIL_KINDS
from logger.store import IncidentStore
from tests.logger.deeds.builders import make_incident

CLOSED: list[tuple[Grammar, str, tuple[str, ...]]] = [
    *((INCIDENT_GRAMMAR, name, values) for name, values in ONE_OF.items()),
    (AUDIT_GRAMMAR, "object_kind", audit.OBJECT_KINDS),
    (AUDIT_GRAMMAR, "via", audit.VIAS),
    (AUDIT_GRAMMAR, "is_automatic", ("true", "false")),
    (AUDIT_GRAMMAR, "outcome", ("done", "partly", "failed")),
    (SILENCE_GRAMMAR, "until_kind", UNTIL_KINDS),
    (NOTICE_GRAMMAR, "state", ("waiting", "sending", "sent", "failed", "lost", "suppressed")),
    (NOTICE_GRAMMAR, "change", (*CHANGES, "test")),
    (RULE_GRAMMAR, "kind", KINDS),
    (RULE_GRAMMAR, "severity_floor", get_args(Severity)),
    (DEED_GRAMMAR, "action", (*ACTIONS, "undo")),
    (DEED_GRAMMAR, "state", ("executing", "done", "partly", "failed")),
    (DEED_GRAMMAR, "target_kind", ("incident", "job", "task", "queue")),
    (DEED_GRAMMAR, "revert_state", ("", "waiting", "done", "cancelled", "superseded")),
    (DEED_GRAMMAR, "via", audit.VIAS),
    (SHIFT_GRAMMAR, "state", ("running", "handed_over")),
    (COUNT_GRAMMAR, "level", ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")),
]


@pytest.mark.parametrize(("grammar", "name", "values"), CLOSED)
def test_a_wrong_word_is_refused_and_every_right_one_is_taken(
    grammar: Grammar, name: str, values: tuple[str, ...]
) -> None:
    for value in values:
        read_question([(name, value or "Not specified")], grammar, utc_now())
    read_question([(name, "*")], grammar, utc_now())
    with pytest.raises(InvalidInput) as caught:
        read_question([(name, "nonsense")], grammar, utc_now())
    assert caught.value.field == name and all(value in str(caught.value.remedy) for value in values)


def test_what_the_table_may_hold_is_what_its_filter_takes(database: Database) -> None:
    checks = {
        row["name"]: re.findall(r"'([^']*)'::text", row["words"])
        for row in database.fetch("SELECT conname AS name, pg_get_constraintdef(oid) AS words FROM pg_constraint")
    }
    held = {
        "ck_deeds_state": (DEED_GRAMMAR, "state"),
        "ck_deeds_revert_state": (DEED_GRAMMAR, "revert_state"),
        "ck_incident_notices_state": (NOTICE_GRAMMAR, "state"),
        "ck_shifts_state": (SHIFT_GRAMMAR, "state"),
        "ck_silences_until_kind": (SILENCE_GRAMMAR, "until_kind"),
    }
    for check, (grammar, name) in held.items():
        known = next(values for one, column, values in CLOSED if one is grammar and column == name)
        assert set(checks[check]) == set(known), check


def test_what_is_written_into_the_audit_is_of_a_kind_that_can_be_asked_for() -> None:
    written = set()
    for folder in ("core", "logger", "api"):
        for path in Path(folder).rglob("*.py"):
            written |= {kind for kind in map(_kind_noted, ast.walk(ast.parse(path.read_text()))) if kind}
    assert written <= set(audit.OBJECT_KINDS)
    assert {"deed", "queue", "task", "rule", "notice_route", "shift", "share", "incident", "silence", "link"} <= written


def _kind_noted(node: ast.AST) -> str:
    """The kind of object that a call writes down, where it stands there as a word."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return ""
    called = f"{ast.unparse(node.func.value)}.{node.func.attr}"
    place = {"audit.note": 3, "audit.note_rows": 3, "audit.note_many": 3, "life.note": 2}.get(called)
    if place is None or len(node.args) <= place or any(isinstance(one, ast.Starred) for one in node.args):
        return ""
    kind = node.args[place]
    return str(kind.value) if isinstance(kind, ast.Constant) else ""


def test_an_option_that_is_neither_on_nor_off_is_refused(database: Database) -> None:
    for grammar, listed, name in (
        (INCIDENT_GRAMMAR, incident_list, "candidates"),
        (SILENCE_GRAMMAR, silence_list, "ended"),
    ):
        for value in ("0", "1", "yes", ""):
            listed(database, read_question([(name, value)], grammar, utc_now()))
        with pytest.raises(InvalidInput, match="neither 0 nor 1"):
            listed(database, read_question([(name, "maybe")], grammar, utc_now()))


def test_a_level_is_found_however_it_is_written_and_may_be_one_that_a_program_made_up() -> None:
    for grammar, value, wanted in (
        (RECORD_GRAMMAR, "error", "ERROR"),
        (RECORD_GRAMMAR, "Audit", "AUDIT"),
        (COUNT_GRAMMAR, "info", "INFO"),
    ):
        (condition,) = read_question([("level", value)], grammar, utc_now()).conditions
        assert list(condition.parameters.values()) == [[wanted]]


def test_filters_of_silences_and_of_bulk_actions_are_refused_alike() -> None:
    with pytest.raises(InvalidInput, match="there is no 'eror'") as caught:
        select({"severity": "eror"}, utc_now())
    assert caught.value.field == "severity" and str(caught.value.remedy).startswith("did you mean error?")


def test_an_incident_that_a_person_opened_for_a_queue_is_found_by_that_queue(database: Database) -> None:
    store = IncidentStore(database)
    here = store.open_manually(ManualIncident("tape robot", computing_site="TAPES"), Act("ann", "open"))["incident_id"]
    there = store.open_manually(ManualIncident("cooling", computing_site="HALL"), Act("ann", "open"))["incident_id"]
    nowhere = store.open_manually(ManualIncident("coffee"), Act("ann", "open"))["incident_id"]
    for value, wanted in {
        "TAPES": {here},
        "TA*|HALL": {here, there},
        "!TAPES": {there, nowhere},
        "Not specified": {nowhere},
        "!Not specified": {here, there},
        "TAPES|Not specified": {here, nowhere},
    }.items():
        asked = read_question([("computing_site", value)], INCIDENT_GRAMMAR, utc_now())
        assert {row["incident_id"] for row in incident_list(database, asked)["incidents"]} == wanted, value


def test_the_list_still_finds_by_alternatives_negations_and_wildcards(database: Database) -> None:
    keys = {name: make_incident(database, severity=name, component="closed") for name in ONE_OF["severity"]}
    for value, wanted in {
        "error|critical": ("critical", "error"),
        "!warning": ("critical", "error"),
        "!warning|!error": ("critical",),
        "*r*": ("critical", "error", "warning"),
        "e*|warning": ("error", "warning"),
    }.items():
        asked = read_question([("severity", value), ("component", "closed")], INCIDENT_GRAMMAR, utc_now())
        found = {row["incident_id"] for row in incident_list(database, asked)["incidents"]}
        assert found == {keys[name] for name in wanted}, value
