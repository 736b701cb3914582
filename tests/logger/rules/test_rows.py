"""Rows of rules: what operators may write, who saw which version, and a row that fits no more stops nothing."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from core.database import Database
from core.database.migrations.incident_rule_defaults import RULES as INSTALLED
from core.errors import Conflict, InvalidInput, UnknownObject
from logger.rule_rows import (
    Editor,
    RuleDraft,
    active_rules,
    add_rule,
    change_rule,
    forget,
    remove_rule,
    restore_version,
    set_active,
)
from logger.rules import EVALUATORS
from logger.rules.parameters import SilentQueueParameters
from logger.rules.selecting import selects

ANN = Editor("ann", "cli", ("operator",))


def second(name: str, **fields: Any) -> RuleDraft:
    return RuleDraft(name, "silent_queue", **{"parameters": {"limit_s": 60, "queues": "CERN*"}, **fields})


def versions(database: Database, rule_id: int) -> list[tuple[int, str, str]]:
    rows = database.fetch(
        "SELECT version, who, what FROM incident_rule_versions WHERE rule_id = %(id)s ORDER BY version", {"id": rule_id}
    )
    return [(row["version"], row["who"], row["what"]) for row in rows]


def test_an_installation_begins_with_rules_that_all_fit(shared_database: Database) -> None:
    known = [row for row in INSTALLED if row["evaluator"] in EVALUATORS]
    assert [rule.name for rule in active_rules(shared_database)] == [row["name"] for row in known]
    assert len(known) >= 11


def test_parameters_that_are_left_out_have_their_defaults(shared_database: Database) -> None:
    row = add_rule(shared_database, second("defaults", parameters={}), ANN)
    rule = next(rule for rule in active_rules(shared_database) if rule.rule_id == row["rule_id"])
    assert isinstance(rule.limits, SilentQueueParameters) and rule.limits.limit_s == 600
    assert (rule.kind, rule.severity_floor, rule.version, rule.parameters) == ("absence", "warning", 1, {})


@pytest.mark.parametrize(
    ("draft", "field"),
    [
        (second("Upper"), "name"),
        (second(""), "name"),
        (second("é"), "name"),
        (second("a" * 51), "name"),
        (RuleDraft("x", "nothing"), "evaluator"),
        (second("x", kind="data"), "kind"),
        (second("x", kind="manual"), "kind"),
        (second("x", severity_floor="bad"), "severity_floor"),
        (second("x", title="a" * 501), "title"),
        (second("x", parameters={"limit_z": 1}), "parameters.limit_z"),
        (second("x", parameters={"limit_s": -1}), "parameters.limit_s"),
        (second("x", parameters={"limit_s": True}), "parameters.limit_s"),
        (second("x", parameters={"limit_s": "60"}), "parameters.limit_s"),
        (second("x", parameters={"limit_s": float("nan")}), "parameters.limit_s"),
        (second("x", parameters={"clear_part": 0}), "parameters.clear_part"),
        (second("x", parameters={"queues": "a\x00"}), "parameters.queues"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_field(shared_database: Database, draft: RuleDraft, field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        add_rule(shared_database, draft, ANN)
    assert refused.value.field == field and refused.value.remedy
    assert not shared_database.fetch("SELECT 1 FROM incident_rules WHERE name IN ('x', '')")


def test_a_name_is_given_once(shared_database: Database) -> None:
    with pytest.raises(Conflict):
        add_rule(shared_database, second("silent_queue"), ANN)


def test_an_edit_names_the_version_that_it_changes_and_every_version_is_kept(shared_database: Database) -> None:
    row = add_rule(shared_database, second("edited"), ANN)
    rule_id = row["rule_id"]
    changed = change_rule(shared_database, rule_id, 1, {"parameters": {"limit_s": 90}}, ANN)
    assert (changed["version"], changed["parameters"], changed["modified_by"]) == (2, {"limit_s": 90}, "ann")
    with pytest.raises(Conflict) as refused:
        change_rule(shared_database, rule_id, 1, {"title": "mine"}, Editor("bob"))
    assert refused.value.field == "version" and "by ann" in refused.value.detail
    set_active(shared_database, rule_id, 2, False, ANN)
    assert "edited" not in [rule.name for rule in active_rules(shared_database)]
    restored = restore_version(shared_database, rule_id, 3, 1, Editor("bob"))
    assert (restored["version"], restored["is_active"], restored["parameters"]["limit_s"]) == (4, True, 60)
    remove_rule(shared_database, rule_id, 4, ANN)
    assert versions(shared_database, rule_id) == [
        *((1, "ann", "added"), (2, "ann", "changed"), (3, "ann", "deactivated"), (4, "bob", "restored")),
        (5, "ann", "removed"),
    ]


def test_every_edit_is_in_the_audit_with_what_changed(shared_database: Database) -> None:
    row = add_rule(shared_database, second("audited"), ANN)
    change_rule(shared_database, row["rule_id"], 1, {"severity_floor": "error"}, ANN)
    rows = shared_database.fetch(
        "SELECT * FROM audit WHERE object_kind = 'rule' AND object_id = 'audited' ORDER BY audit_id"
    )
    assert [(one["who"], one["action"], one["via"], one["roles"]) for one in rows] == [
        ("ann", "rule added", "cli", ["operator"]),
        ("ann", "rule changed", "cli", ["operator"]),
    ]
    assert (rows[1]["before"], rows[1]["after"]) == (
        {"severity_floor": "warning"},
        {"severity_floor": "error", "version": 2},
    )


def test_what_cannot_be_changed_is_refused(shared_database: Database) -> None:
    row = add_rule(shared_database, second("fixed"), ANN)
    with pytest.raises(InvalidInput) as refused:
        change_rule(shared_database, row["rule_id"], 1, {"name": "other"}, ANN)
    assert refused.value.field == "name"
    with pytest.raises(UnknownObject):
        change_rule(shared_database, 10**9, 1, {}, ANN)
    with pytest.raises(UnknownObject):
        restore_version(shared_database, row["rule_id"], 1, 7, ANN)
    (builtin,) = shared_database.fetch("SELECT rule_id, version FROM incident_rules WHERE name = 'expiry'")
    with pytest.raises(Conflict):
        remove_rule(shared_database, builtin["rule_id"], builtin["version"], ANN)


def test_a_row_that_fits_no_more_is_set_aside_reported_once_and_stops_nothing(
    shared_database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    rule_id = add_rule(shared_database, second("broken"), ANN)["rule_id"]
    shared_database.execute(
        """UPDATE incident_rules SET parameters = '{"limit_s": "soon"}' WHERE rule_id = %(id)s""", {"id": rule_id}
    )
    with caplog.at_level(logging.ERROR, "panda.rules"):
        for _ in range(3):
            forget(shared_database)
            names = [rule.name for rule in active_rules(shared_database)]
            assert "broken" not in names and "expiry" in names
    said = [record for record in caplog.records if "broken" in record.getMessage()]
    assert len(said) == 1 and said[0].__dict__["fingerprint"] == "rule not applied:broken"
    (row,) = shared_database.fetch("SELECT * FROM incident_rules WHERE rule_id = %(id)s", {"id": rule_id})
    assert "limit_s" in row["disabled_reason"]
    set_active(shared_database, rule_id, row["version"], False, ANN)  # it may be turned off as it is
    mended = change_rule(shared_database, rule_id, 2, {"parameters": {}, "is_active": True}, ANN)
    assert mended["disabled_reason"] == "" and "broken" in [rule.name for rule in active_rules(shared_database)]


def test_rows_are_read_once_in_a_while_and_own_edits_are_seen_at_once(shared_database: Database) -> None:
    before = active_rules(shared_database)
    assert active_rules(shared_database) is before
    add_rule(shared_database, second("seen"), ANN)
    assert "seen" in [rule.name for rule in active_rules(shared_database)]


@pytest.mark.parametrize(
    ("selector", "value", "is_one"),
    [
        *(("", "CERN", True), ("CERN", "CERN", True), ("CERN", "CERN2", False), ("CERN*", "CERN2", True)),
        *(("A|CERN", "CERN", True), ("!A|CERN", "CERN", False), ("!A|CERN", "BNL", True), ("!A", "", True)),
        *(("Not specified", "", True), ("Not specified", "A", False), ("a.c", "abc", False), ("*", "", True)),
    ],
)
def test_selectors_mean_what_filters_of_the_monitor_mean(selector: str, value: str, is_one: bool) -> None:
    assert selects(selector, value) is is_one
