"""Rules, classes and actions as operators edit them: what is refused, what is noted, and what a rule would have met."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from core.clock import utc_now
from core.database import Database
from core.database.migrations.retry_defaults import ACTIONS as WRITTEN_ACTIONS
from core.database.migrations.retry_defaults import CLASSES, RULES
from core.error_codes import known_error_codes
from core.errors import Conflict, InvalidInput, UnknownObject
from core.monitor.retries import retry_log, rule_list
from core.retrial import editing
from core.retrial.actions import ACTIONS, read_parameters
from core.retrial.counting import count_deeds
from core.retrial.trying import try_rule
from core.shares.editing import replace_tree
from tests.core.retrial.failing import add_rule as insert_rule
from tests.core.retrial.failing import fail, held, judge, log_of, make_task, no_rules


@pytest.fixture(scope="module")
def site(shared_database: Database) -> Database:
    return shared_database


def everything(database: Database) -> list[Any]:
    tables = ("retry_rules", "retry_actions", "error_classes", "retry_changes")
    return [database.fetch(f"SELECT * FROM {table} ORDER BY 1") for table in tables]


GOOD = {"error_source": "pilot", "error_code": 1305, "action": "no_retry"}


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("action", {"action": "dance"}),
        ("action", {"action": ""}),
        ("error_source", {"error_source": "moon"}),
        ("error_source", {"error_source": "", "error_code": 0}),
        ("error_diag", {"error_source": "", "error_code": 0, "error_diag": ".*"}),
        ("error_diag", {"error_source": "", "error_code": 0, "error_diag": "|a"}),
        ("error_diag", {"error_source": "", "error_code": 0, "error_diag": "."}),
        ("error_diag", {"error_source": "", "error_code": 0, "error_diag": "(?i)[^q]|q"}),
        ("error_diag", {"error_source": "", "error_code": 0, "error_diag": r"[\s\S]+"}),
        ("error_code", {"error_code": 0}),
        ("error_diag", {"error_code": 0, "error_diag": ".*"}),
        ("error_diag", {"error_diag": "no space^left"}),
        ("error_diag", {"error_diag": "$disk"}),
        ("error_diag", {"error_diag": "(?=disk)tape"}),
        ("error_diag", {"error_diag": r"(a+)(b+)\1\2"}),
        ("error_diag", {"error_diag": "("}),
        ("release", {"release": "24.*"}),
        ("release", {"release": "24.0 "}),
        ("architecture", {"architecture": " x86_64"}),
        ("error_diag", {"error_diag": "a)|(b"}),
        ("error_diag", {"error_diag": "a{70000}"}),
        ("error_diag", {"error_diag": "***=x"}),
        ("error_diag", {"error_diag": "(?q)x"}),
        ("error_diag", {"error_diag": "x" * 1001}),
        ("parameters.maxAttempt", {"action": "limit_retry"}),
        ("parameters.maxAttempt", {"action": "limit_retry", "parameters": {"maxAttempt": 0}}),
        ("parameters.maxAttempt", {"action": "limit_retry", "parameters": {"maxAttempt": "3"}}),
        ("parameters.maxAttempt", {"action": "limit_retry", "parameters": {"maxAttempt": True}}),
        ("parameters.maxAttempts", {"action": "limit_retry", "parameters": {"maxAttempts": 3}}),
        ("parameters.maxAttempt", {"parameters": {"maxAttempt": 3}}),
        ("parameters.steps", {"action": "reduce_input_per_job", "parameters": {"steps": [4, 2, 7]}}),
        ("parameters.steps", {"action": "reduce_input_per_job", "parameters": {"steps": [2, 4]}}),
        ("parameters.excluded_rules", {"action": "reduce_input_per_job", "parameters": {"excluded_rules": "x"}}),
        ("parameters.excluded_rules", {"action": "reduce_input_per_job", "parameters": {"excluded_rules": ["a b"]}}),
        ("parameters.excluded_rules", {"action": "reduce_input_per_job", "parameters": {"excluded_rules": ["a" * 61]}}),
        ("expiration_time", {"expiration_time": utc_now() - timedelta(hours=1)}),
    ],
)
def test_what_cannot_be_a_rule_is_refused_with_its_field_and_nothing_changes(site, field, changes):
    before = everything(site)
    with pytest.raises(InvalidInput) as refused:
        editing.add_rule(site, {**GOOD, **changes}, "olga")
    assert (refused.value.field, bool(refused.value.remedy)) == (field, True)
    rule_id = editing.add_rule(site, GOOD, "olga")["rule_id"]
    with pytest.raises(InvalidInput) as refused:
        editing.change_rule(site, rule_id, changes, "olga")
    assert refused.value.field == field
    editing.remove_rule(site, rule_id, "olga")
    assert everything(site)[:3] == before[:3]


def test_a_rule_about_all_errors_of_a_source_may_watch_and_not_act(site):
    watching = editing.add_rule(site, {**GOOD, "error_code": 0, "is_active": False}, "olga")["rule_id"]
    with pytest.raises(InvalidInput, match="every error of pilot") as refused:
        editing.change_rule(site, watching, {"is_active": True}, "olga")
    assert refused.value.field == "error_code"
    assert editing.change_rule(site, watching, {"is_active": True, "error_diag": "no space"}, "olga")["is_active"]
    editing.remove_rule(site, watching, "olga")


def test_a_rule_about_all_errors_of_a_source_that_is_there_stays_and_can_be_switched_off(site):
    rule_id = insert_rule(site, "no_retry", code=0)
    assert editing.change_rule(site, rule_id, {"description": "older"}, "olga")["is_active"] is True
    assert editing.change_rule(site, rule_id, {"is_active": False}, "olga")["is_active"] is False
    editing.remove_rule(site, rule_id, "olga")


def test_a_rule_names_a_leaf_of_the_tree_or_the_work_in_none(site):
    rule_id = editing.add_rule(site, {**GOOD, "gshare": "anything"}, "olga")["rule_id"]
    replace_tree(site, [{"name": "Top"}, {"name": "MC", "parent": "Top", "vo": "x"}], who="olga")
    before = everything(site)
    for name, refusal in (("Nowhere", UnknownObject), ("Top", Conflict)):
        for ask in (
            lambda given: editing.add_rule(site, {**GOOD, **given}, "olga"),
            lambda given: editing.change_rule(site, rule_id, given, "olga"),
            lambda given: try_rule(site, {**GOOD, **given}, days=1, clock=utc_now),
        ):
            with pytest.raises(refusal) as refused:
                ask({"gshare": name})
            assert (refused.value.field, bool(refused.value.remedy)) == ("gshare", True)
    assert everything(site) == before
    # what the tree lost may still be switched off, and is pointed at
    assert editing.change_rule(site, rule_id, {"is_active": False}, "olga")["gshare"] == "anything"
    said = f"rule {rule_id} matches nothing: there is no leaf 'anything' in the tree of shares"
    assert rule_list(site, utc_now())["warnings"] == [said]
    for name in ("MC", "Undefined", ""):
        editing.change_rule(site, rule_id, {"gshare": name}, "olga")
        assert rule_list(site, utc_now())["warnings"] == []
    editing.remove_rule(site, rule_id, "olga")
    replace_tree(site, [], who="olga")


def test_a_release_that_was_written_before_does_not_keep_a_rule_on(site):
    rule_id = insert_rule(site, "no_retry", error_source="pilot", error_code=1305, release="24.*")
    row = editing.change_rule(site, rule_id, {"is_active": False}, "olga")
    assert (row["release"], row["is_active"]) == ("24.*", False)
    editing.remove_rule(site, rule_id, "olga")


def test_an_architecture_may_hold_wild_cards(site):
    row = editing.add_rule(site, {**GOOD, "architecture": "x86_64-*-gcc13-opt#x86_64-*-avx2&nvidia"}, "olga")
    assert row["architecture"] == "x86_64-*-gcc13-opt#x86_64-*-avx2&nvidia"
    editing.remove_rule(site, row["rule_id"], "olga")


def test_each_change_is_noted_with_its_author(site):
    row = editing.add_rule(site, {**GOOD, "description": "why"}, "olga")
    assert (row["modified_by"], row["is_active"]) == ("olga", True)
    editing.change_rule(site, row["rule_id"], {"is_active": False}, "otto")
    editing.remove_rule(site, row["rule_id"], "olga")
    notes = site.fetch(
        "SELECT * FROM retry_changes WHERE kind = 'rule' AND key = %(id)s ORDER BY change_id",
        {"id": str(row["rule_id"])},
    )
    assert [(note["who"], note["what"]) for note in notes] == [
        *(("olga", "added"), ("otto", "changed"), ("olga", "removed"))
    ]
    assert (notes[1]["before"], notes[1]["after"]) == ({"is_active": True}, {"is_active": False})
    assert notes[2]["before"]["description"] == "why"


def test_a_change_keeps_the_rest_and_switches_a_rule_on_again(site):
    rule_id = insert_rule(site, "limit_retry", parameters={"maxAttempt": 4}, error_diag="(", disabled_reason="bad")
    row = editing.change_rule(site, rule_id, {"error_diag": "fine"}, "olga")
    assert (row["error_diag"], row["disabled_reason"], row["parameters"]) == ("fine", "", {"maxAttempt": 4})
    row = editing.change_rule(site, rule_id, {"action": "no_retry"}, "olga")
    assert (row["action"], row["parameters"]) == ("no_retry", {})
    editing.remove_rule(site, rule_id, "olga")


def test_two_operators_do_not_undo_each_other(site):
    rule_id = editing.add_rule(site, {**GOOD, "description": "before"}, "olga")["rule_id"]
    waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%%retry_rules%%'"
    with ThreadPoolExecutor(1) as omar:
        with site.transaction() as olga:
            olga.execute("UPDATE retry_rules SET description = 'olga was here' WHERE rule_id = %(id)s", {"id": rule_id})
            change = omar.submit(editing.change_rule, site, rule_id, {"is_active": False}, "omar")
            while not site.fetch(waits, {}):
                assert not change.done()
        row = change.result(timeout=30)
    assert (row["description"], row["is_active"]) == ("olga was here", False)


@pytest.mark.parametrize(
    "ask",
    [
        lambda database: editing.change_rule(database, 10**9, {}, "olga"),
        lambda database: editing.remove_rule(database, 10**9, "olga"),
        lambda database: editing.change_class(database, 10**9, {}, "olga"),
        lambda database: editing.remove_class(database, 10**9, "olga"),
        lambda database: editing.change_action(database, "dance", {}, "olga"),
    ],
)
def test_what_does_not_exist_cannot_be_changed(site, ask):
    before = everything(site)
    with pytest.raises(UnknownObject):
        ask(site)
    assert everything(site) == before


@pytest.mark.parametrize(
    ("field", "changes"),
    [("error_class", {"error_class": "mine"}), ("error_source", {"error_source": "", "error_code": 0})],
)
def test_what_cannot_be_a_class_is_refused(site, field, changes):
    with pytest.raises(InvalidInput) as refused:
        editing.add_class(site, {"error_source": "pilot", "error_code": 1, "error_class": "user", **changes}, "olga")
    assert refused.value.field == field


def test_classes_and_actions_are_edited_like_rules(site):
    row = editing.add_class(site, {"error_source": "trans", "error_code": 3, "error_class": "user"}, "olga")
    row = editing.change_class(site, row["class_id"], {"error_class": "system"}, "otto")
    assert (row["error_class"], row["modified_by"]) == ("system", "otto")
    assert editing.remove_class(site, row["class_id"], "olga")["error_code"] == 3
    assert editing.change_action(site, "no_retry", {"is_active": False}, "olga")["is_active"] is False
    assert editing.change_action(site, "no_retry", {"is_active": True}, "olga")["is_active"] is True


def test_what_an_installation_begins_with_is_made_of_known_codes_and_actions(site):
    known = known_error_codes()
    named = [*RULES, *CLASSES]
    assert [
        row for row in named if row["error_source"] != "trans" and (row["error_source"], row["error_code"]) not in known
    ] == []
    assert dict(WRITTEN_ACTIONS).keys() == ACTIONS.keys()
    for rule in RULES:
        read_parameters(rule["action"], rule["parameters"])
    errors = [(row["error_source"], row["error_code"]) for row in CLASSES]
    assert len(errors) == len(set(errors))


def test_counts_are_exact_before_and_after_they_were_written(site):
    no_rules(site)
    rule_id = insert_rule(site, "no_retry")
    jobs = [fail(site, make_task(site)) for _ in range(3)]
    judge(site, *jobs[:2])
    count_deeds(site)
    judge(site, jobs[2])
    [row] = rule_list(site, utc_now())["rules"]
    assert (row["n_matched"], row["n_acted"], row["acts"]) == (3, 3, True)
    assert count_deeds(site) == 1
    assert count_deeds(site) == 0
    [row] = site.fetch("SELECT * FROM retry_rules WHERE rule_id = %(id)s", {"id": rule_id})
    assert (row["n_matched"], row["n_acted"]) == (3, 3)
    assert rule_list(site, utc_now())["rules"][0]["n_matched"] == 3


def test_the_log_is_read_page_by_page_of_a_rule_a_task_or_a_job(site):
    no_rules(site)
    rule_id, task_id = insert_rule(site, "no_retry"), make_task(site)
    jobs = [fail(site, task_id) for _ in range(3)]
    judge(site, *jobs)
    now = utc_now()
    first = retry_log(site, now, filters={"rule_id": rule_id}, limit=2, cursor="")
    second = retry_log(site, now, filters={"rule_id": rule_id}, limit=2, cursor=first["next_cursor"])
    assert [row["panda_id"] for row in first["deeds"] + second["deeds"]] == jobs[::-1]
    assert second["next_cursor"] is None
    assert len(retry_log(site, now, filters={"jedi_task_id": task_id}, limit=10, cursor="")["deeds"]) == 3
    assert len(retry_log(site, now, filters={"panda_id": jobs[0]}, limit=10, cursor="")["deeds"]) == 1
    with pytest.raises(InvalidInput):
        retry_log(site, now, filters={"rule_id": rule_id + 1}, limit=2, cursor=first["next_cursor"])


def test_a_rule_is_tried_on_what_has_failed_and_changes_nothing(site):
    no_rules(site)
    task_id = make_task(site)
    jobs = [fail(site, task_id, code=1364, pilot_error_diag=f"no key {number}") for number in range(3)]
    before = [held(site, job) for job in jobs]
    given = {"error_source": "pilot", "error_code": 1364, "action": "no_retry"}
    answer = try_rule(site, given, days=1, clock=utc_now)
    assert (answer["jobs"], answer["tasks"], answer["is_complete"]) == (3, 1, True)
    assert answer["sentence"].startswith("It would have matched 3 of the ")
    assert answer["sentence"].endswith("that failed in the last day, of 1 task at 1 queue.")
    assert {row["panda_id"] for row in answer["examples"]} == set(jobs)
    assert try_rule(site, {**given, "error_diag": "no key [01]"}, days=1, clock=utc_now)["jobs"] == 2
    assert try_rule(site, {**given, "gshare": "Nowhere"}, days=1, clock=utc_now)["jobs"] == 0
    assert try_rule(site, {**given, "release": "23.0.1"}, days=1, clock=utc_now)["jobs"] == 0
    assert try_rule(site, given, days=1, clock=lambda: utc_now() + timedelta(days=2))["jobs"] == 0
    with pytest.raises(InvalidInput):
        try_rule(site, {**given, "error_code": 0, "error_source": ""}, days=1, clock=utc_now)
    assert [held(site, job) for job in jobs] == before
    assert [log_of(site, job) for job in jobs] == [[], [], []]
