"""The audit: a row for whatever people change today, in the transaction that changes it, and no row is ever changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg2.errors
import pytest

from core import audit
from core.accounts.limits import Account, set_limits
from core.clock import utc_now
from core.database import Database
from core.errors import PandaError
from core.identity import set_user
from core.monitor.question import read_question
from core.queues import set_endpoint, set_queue
from core.retrial import editing
from core.shares.editing import remove_share, replace_tree, set_share
from logger.deeds import undo
from logger.reading.audit import AUDIT_GRAMMAR, audit_list
from tests.logger.deeds.builders import OLGA, OTTO, HeldClock, audit_of, do, incident, make_incident


def test_a_queue_that_a_person_sets_has_its_row_and_one_of_a_program_has_none(shared_database: Database) -> None:
    set_queue(shared_database, "AUDITED", {"max_ram_mb": 2000})
    assert not audit_of(shared_database, "queue", "AUDITED")
    set_queue(shared_database, "AUDITED", {"status": "offline", "max_ram_mb": 4000}, who="olga", reason="no power")
    (row,) = audit_of(shared_database, "queue", "AUDITED")
    assert row["before"] == {"status": "online", "max_ram_mb": 2000, "status_set_by": ""}
    assert row["after"] == {"status": "offline", "max_ram_mb": 4000, "status_set_by": "person"}
    assert (row["who"], row["action"], row["reason"]) == ("olga", "set queue", "no power")
    assert row["via"] == "api"  # there is no other way to it


def test_a_refused_change_leaves_no_row(shared_database: Database) -> None:
    with pytest.raises(PandaError):
        set_queue(shared_database, "REFUSED", {"status": "asleep"}, who="olga")
    assert not audit_of(shared_database, "queue", "REFUSED")


def test_endpoints_users_and_accounts_have_theirs(shared_database: Database) -> None:
    set_endpoint(shared_database, "SE1", mover="cp", path="/a", who="olga")
    set_endpoint(shared_database, "SE1", mover="cp", path="/a", state="offline", who="olga")
    set_endpoint(shared_database, "SE1", mover="cp", path="/a", state="offline", who="olga")  # nothing new
    assert [row["after"].get("state") for row in audit_of(shared_database, "endpoint", "SE1")] == ["online", "offline"]
    set_user(shared_database, "mallory", {"status": "disabled"}, who="root")
    (row,) = audit_of(shared_database, "user", "mallory")
    assert row["who"] == "root" and row["after"]["status"] == "disabled"
    limits = {"max_running_jobs": 10, "reason": "too many"}
    set_limits(shared_database, Account("user", "mallory"), limits, who="olga", now=utc_now())
    newest = audit_of(shared_database, "user", "mallory")[-1]
    assert newest["action"] == "set account" and newest["after"]["max_running_jobs"] == 10
    assert (row["via"], newest["via"]) == ("api", "api")


def test_rows_are_found_by_how_it_went(database: Database) -> None:
    clock, numbers = HeldClock(), [make_incident(database) for _ in range(2)]
    partly, undone = (do(database, "acknowledge", OLGA, clock, incidents=[number]) for number in numbers)
    undo(database, undone["deed_id"], OLGA, "a mistake", clock)
    failed = do(database, "acknowledge", OTTO, clock, incidents=[numbers[1]])
    for deed, ended in ((partly, "partly"), (failed, "failed")):
        with database.transaction() as transaction:
            row = {"state": ended, "done": 1, "refused": 1, "gone": 0}
            audit.note(transaction, "olga", f"kill {ended}", "deed", str(deed["deed_id"]), {}, row, via="cli")
    set_queue(database, "WENT", {"status": "test"}, who="olga")

    def actions(outcome: str) -> list[str]:
        asked = read_question([("outcome", outcome)], AUDIT_GRAMMAR, utc_now())
        return [entry["action"] for entry in audit_list(database, asked)["entries"]]

    assert actions("failed") == ["kill failed"] and actions("partly|failed") == ["kill failed", "kill partly"]
    assert {"make queue", "undo acknowledge", "acknowledge"} == set(actions("done")) == set(actions("!partly|!failed"))


def test_shares_have_a_row_each(shared_database: Database) -> None:
    replace_tree(shared_database, [{"name": "a", "value": 1.0, "vo": "x"}, {"name": "b", "value": 2.0}], who="olga")
    set_share(shared_database, "a", {"value": 5.0}, who="otto")
    remove_share(shared_database, "b", who="otto")
    (made, changed) = audit_of(shared_database, "share", "a")
    assert (made["action"], changed["action"]) == ("added", "changed")
    assert (changed["before"], changed["after"]) == ({"value": 1.0}, {"value": 5.0})
    assert [row["action"] for row in audit_of(shared_database, "share", "b")] == ["added", "removed"]


def test_retry_rules_have_theirs(shared_database: Database) -> None:
    row = editing.add_rule(shared_database, {"error_source": "pilot", "error_code": 1305, "action": "no_retry"}, "olga")
    editing.change_rule(shared_database, row["rule_id"], {"is_active": False}, "otto")
    editing.remove_rule(shared_database, row["rule_id"], "otto")
    rows = audit_of(shared_database, "retry rule", row["rule_id"])
    assert [(entry["who"], entry["action"]) for entry in rows] == [
        ("olga", "added"),
        ("otto", "changed"),
        ("otto", "removed"),
    ]
    assert rows[1]["before"] == {"is_active": True} and rows[1]["after"] == {"is_active": False}


@pytest.mark.parametrize("statement", ["UPDATE audit SET who = 'nobody'", "DELETE FROM audit", "TRUNCATE audit"])
def test_no_row_is_changed_or_removed(shared_database: Database, statement: str) -> None:
    set_queue(shared_database, "FINAL", {"status": "test"}, who="olga")
    with pytest.raises(psycopg2.errors.Error, match="never"):
        shared_database.execute(statement)


@pytest.mark.parametrize(
    ("written", "kept"),
    [("a\\u0000b", "a\\u0000b"), ("\\\\u0000", "\\\\u0000"), ("a\x00b\x00\x00", "ab"), ("\\\x00\\u0000", "\\\\u0000")],
)
def test_an_escape_that_somebody_wrote_out_is_text_and_a_real_nul_is_left_out(
    shared_database: Database, written: str, kept: str
) -> None:
    with shared_database.transaction() as transaction:
        audit.note(transaction, "olga", "assign", "nul", "1", {}, {"assigned_to": written})
    row = audit_of(shared_database, "nul", "1")[-1]
    assert row["after"] == {"assigned_to": kept}


def test_a_name_that_looks_like_an_escape_can_be_assigned(shared_database: Database) -> None:
    clock, number = HeldClock(), make_incident(shared_database)
    do(shared_database, "assign", OLGA, clock, {"who": "back\\u0000slash"}, incidents=[number])
    assert incident(shared_database, number)["assigned_to"] == "back\\u0000slash"


def test_many_are_written_in_their_order_as_each_would_be_alone(shared_database: Database) -> None:
    said: dict[str, Any] = {
        "roles": {"operator", "admin"},
        "via": "cli",
        "reason": "fans\x00",
        "deed_id": 7,
        "is_automatic": True,
    }
    changes = [audit.Changed(f"many {number}", {"n": number}, {"n": None, "at": HeldClock()()}) for number in (3, 1, 2)]
    with shared_database.transaction() as transaction:
        audit.note_many(transaction, "olga", "move", "many", [], **said)
        audit.note_many(transaction, "olga", "move", "many", changes, **said)
        for one in changes:
            audit.note(transaction, "olga", "move", "alone", one.key, one.before, one.after, **said)
    many, alone = (
        shared_database.fetch("SELECT * FROM audit WHERE object_kind = %(kind)s ORDER BY audit_id", {"kind": kind})
        for kind in ("many", "alone")
    )
    assert [row["object_id"] for row in many] == ["many 3", "many 1", "many 2"]
    own = ("audit_id", "time", "object_kind")
    assert [{name: row[name] for name in row if name not in own} for row in many] == [
        {name: row[name] for name in row if name not in own} for row in alone
    ]


def test_nobody_else_writes_into_the_audit() -> None:
    found = {
        str(path)
        for root in ("core", "logger", "api")
        for path in Path(root).rglob("*.py")
        if "INSERT INTO audit " in path.read_text()
    }
    assert found == {"core/audit.py"}
