"""The rows of `incident_rules`: which rules are in force, and how operators change them. Knows no incident.

Parameters are checked by the model of the evaluator that the row names, when a row is written and again when it is
read: a row that does not fit any more (an older release, a hand in the database) is set aside, never fatal. An edit
names the version that it changes, so that nobody overwrites what he has not seen; every version is kept.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from pydantic import ValidationError

from core import audit
from core.database import Database, Row, Transaction
from core.errors import Conflict, InvalidInput, UnknownObject
from core.text import clean, json_text
from logger.rules import EVALUATORS, Evaluator, RuleRow

log = logging.getLogger("panda.rules")

KEPT_S = 5.0
"""How old the rules of a process may be, in seconds; its own edits it sees at once."""

MAX_TITLE_CHARACTERS = 500
_MAX_NAME_CHARACTERS = 50
_SEVERITIES = ("critical", "error", "warning")
_MUTABLE = ("title", "kind", "parameters", "severity_floor", "is_active")
_COLUMNS = (
    "rule_id, name, evaluator, kind, title, parameters, severity_floor, is_active, version, is_builtin, disabled_reason, "
    "created_time, modified_by, modification_time"
)

# a table of some tens of rows
_ACTIVE = f"SELECT {_COLUMNS} FROM incident_rules WHERE is_active ORDER BY rule_id"
_SET_ASIDE = """
UPDATE incident_rules SET disabled_reason = %(reason)s WHERE rule_id = %(rule_id)s AND disabled_reason <> %(reason)s
"""
_IS_STANDBY = "SELECT pg_is_in_recovery() AS it"
# primary key
_ONE = f"SELECT {_COLUMNS} FROM incident_rules WHERE rule_id = %(rule_id)s"
_LOCK = f"{_ONE} FOR UPDATE"
_ADD = f"""
INSERT INTO incident_rules (name, evaluator, kind, title, parameters, severity_floor, is_active, modified_by)
VALUES (%(name)s, %(evaluator)s, %(kind)s, %(title)s, %(parameters)s::jsonb, %(severity_floor)s, %(is_active)s, %(who)s)
ON CONFLICT (name) DO NOTHING RETURNING {_COLUMNS}
"""
_CHANGE = f"""
UPDATE incident_rules SET
    kind = %(kind)s, title = %(title)s, parameters = %(parameters)s::jsonb, severity_floor = %(severity_floor)s,
    is_active = %(is_active)s, version = version + 1, disabled_reason = '', modified_by = %(who)s,
    modification_time = clock_timestamp()
WHERE rule_id = %(rule_id)s RETURNING {_COLUMNS}
"""
_REMOVE = "DELETE FROM incident_rules WHERE rule_id = %(rule_id)s"
_NOTE = """
INSERT INTO incident_rule_versions (rule_id, version, who, what, document)
VALUES (%(rule_id)s, %(version)s, %(who)s, %(what)s, %(document)s::jsonb)
"""
_OF_VERSION = "SELECT document FROM incident_rule_versions WHERE rule_id = %(rule_id)s AND version = %(version)s"


@dataclass(frozen=True)
class RuleDraft:
    """A rule to be: what a person writes."""

    name: str
    evaluator: str
    kind: str = ""
    """Empty: the evaluator's own."""
    title: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    severity_floor: str = "warning"
    is_active: bool = True


@dataclass(frozen=True)
class Editor:
    """Who edits, from where and with which roles."""

    who: str
    via: str = ""
    roles: Iterable[str] = ()


@dataclass(frozen=True)
class _Kept:
    rules: Sequence[RuleRow]
    until: float


_kept: WeakKeyDictionary[Database, _Kept] = WeakKeyDictionary()
_lock = threading.Lock()


def active_rules(database: Database) -> Sequence[RuleRow]:
    """The active rows in order, at most 5 s old: of an event's rules the first that matches counts.

    A row whose evaluator is unknown or whose parameters do not fit is left out, marked with the reason, and reported
    once.
    """
    with _lock:
        kept = _kept.get(database)
    if kept is not None and time.monotonic() < kept.until:
        return kept.rules
    rules = _read(database)
    with _lock:
        _kept[database] = _Kept(rules, time.monotonic() + KEPT_S)
    return rules


def forget(database: Database) -> None:
    """Read the rows anew with the next question."""
    with _lock:
        _kept.pop(database, None)


def rule_row(database: Database, rule_id: int) -> Row | None:
    """The row of a rule as it is, active or not."""
    return database.fetch_one(_ONE, {"rule_id": rule_id})


def checked(draft: RuleDraft) -> RuleRow:
    """The draft as a rule, with its parameters complete. Raises InvalidInput naming the field that will not do."""
    evaluator = _evaluator(draft.evaluator)
    if not _is_name(draft.name):
        raise InvalidInput(
            f"not a name of a rule: {draft.name[:80]!r}",
            field="name",
            remedy=f"small letters, digits and _, beginning with a letter, at most {_MAX_NAME_CHARACTERS}",
        )
    kind = draft.kind or evaluator.kinds[0]
    if kind not in evaluator.kinds:
        raise InvalidInput(
            f"rules of {evaluator.name} open no incidents of kind {kind[:80]!r}",
            field="kind",
            remedy=f"one of {', '.join(evaluator.kinds)}",
        )
    if draft.severity_floor not in _SEVERITIES:
        raise InvalidInput(
            f"not a severity: {draft.severity_floor[:80]!r}", field="severity_floor", remedy=" or ".join(_SEVERITIES)
        )
    if len(draft.title) > MAX_TITLE_CHARACTERS:
        raise InvalidInput(f"longer than {MAX_TITLE_CHARACTERS} characters", field="title", remedy="shorten it")
    try:
        limits = evaluator.parameters.model_validate(dict(draft.parameters))
    except ValidationError as error:
        raise _refusal(error, evaluator) from error
    return RuleRow(
        *(0, draft.name, draft.evaluator, kind, draft.severity_floor, dict(draft.parameters), 0),  # type: ignore[arg-type]
        limits=limits,
    )


def add_rule(database: Database, draft: RuleDraft, editor: Editor) -> Row:
    """Make a rule and return its row. Raises InvalidInput, and Conflict when the name is taken."""
    rule = checked(draft)
    with database.transaction() as transaction:
        values = {**asdict(draft), "kind": rule.kind, "title": clean(draft.title, MAX_TITLE_CHARACTERS)}
        row = transaction.fetch_one(_ADD, {**values, "parameters": json_text(draft.parameters), "who": _name(editor)})
        if row is None:
            raise Conflict(f"there is a rule {draft.name} already", field="name", remedy="change it, or choose another")
        _note(transaction, row, "added", {}, editor)
    forget(database)
    return row


def change_rule(
    database: Database, rule_id: int, version: int, given: Mapping[str, Any], editor: Editor, what: str = "changed"
) -> Row:
    """Change a rule and return its row; what is left out stays, and `parameters` are given whole.

    `version`: the one that the editor has seen. Raises InvalidInput, UnknownObject, and Conflict when another is in force.
    """
    unknown = given.keys() - set(_MUTABLE)
    if unknown:
        raise InvalidInput("cannot be changed", field=min(unknown), remedy="make another rule and turn this one off")
    with database.transaction() as transaction:
        present = _locked(transaction, rule_id, version)
        wanted = {**{name: present[name] for name in _MUTABLE}, **given}
        draft = RuleDraft(name=present["name"], evaluator=present["evaluator"], **wanted)
        if (
            wanted["is_active"] or "parameters" in given
        ):  # one that does not fit any more may be turned off all the same
            checked(draft)
        values = {
            **wanted,
            "title": clean(draft.title, MAX_TITLE_CHARACTERS),
            "parameters": json_text(draft.parameters),
            "rule_id": rule_id,
            "who": _name(editor),
        }
        row = transaction.fetch_one(_CHANGE, values)
        assert row is not None, "the row is locked"
        _note(transaction, row, what, present, editor)
    forget(database)
    return row


def set_active(database: Database, rule_id: int, version: int, is_active: bool, editor: Editor) -> Row:
    """Turn a rule on or off and return its row. Raises like `change_rule`."""
    what = "activated" if is_active else "deactivated"
    return change_rule(database, rule_id, version, {"is_active": is_active}, editor, what)


def restore_version(database: Database, rule_id: int, version: int, wanted: int, editor: Editor) -> Row:
    """Bring a rule back to what version `wanted` said, as a new version. Raises like `change_rule`."""
    found = database.fetch_one(_OF_VERSION, {"rule_id": rule_id, "version": wanted})
    if found is None:
        raise UnknownObject(
            f"rule {rule_id} has no version {wanted}", field="restore", remedy=f"see `panda alarms history {rule_id}`"
        )
    given = {name: found["document"][name] for name in _MUTABLE}
    return change_rule(database, rule_id, version, given, editor, "restored")


def remove_rule(database: Database, rule_id: int, version: int | None, editor: Editor) -> Row:
    """Take a rule away and return its last row; its versions stay. `version` None: whichever is in force.

    Raises like `change_rule`, and Conflict for a rule that came with the system.
    """
    with database.transaction() as transaction:
        row = _locked(transaction, rule_id, version)
        if row["is_builtin"]:
            raise Conflict(f"{row['name']} came with the system", field="rule_id", remedy="turn it off instead")
        transaction.execute(_REMOVE, {"rule_id": rule_id})
        _note(transaction, {**row, "version": row["version"] + 1, "is_active": False}, "removed", row, editor)
    forget(database)
    return row


def _read(database: Database) -> Sequence[RuleRow]:
    rules = []
    for row in database.fetch(_ACTIVE):
        draft = RuleDraft(
            *(row[name] for name in ("name", "evaluator", "kind", "title", "parameters", "severity_floor"))
        )
        reason = ""
        try:
            rule = checked(draft)
        except InvalidInput as error:
            reason = clean(error, 500)
        else:
            rules.append(
                RuleRow(
                    *(row["rule_id"], rule.name, rule.evaluator, rule.kind, rule.severity_floor, rule.parameters),
                    version=row["version"],
                    limits=rule.limits,
                )
            )
        if reason != row["disabled_reason"]:
            _set_aside(database, row, reason)
    return tuple(rules)


def _set_aside(database: Database, row: Row, reason: str) -> None:
    """Whoever writes the reason reports it; the others find it written. A standby takes no writing."""
    if (database.fetch_one(_IS_STANDBY) or {"it": False})["it"]:
        return
    if database.execute(_SET_ASIDE, {"rule_id": row["rule_id"], "reason": reason}) and reason:
        log.error(
            "the rule %s is not applied: %s",
            row["name"],
            reason,
            extra={"component": "incidents", "kind": "service", "fingerprint": f"rule not applied:{row['name']}"},
        )


def _evaluator(name: str) -> Evaluator:
    found = EVALUATORS.get(name)
    if found is None:
        raise InvalidInput(
            f"there is no evaluator {name[:80]!r}", field="evaluator", remedy=f"one of {', '.join(EVALUATORS)}"
        )
    return found


def _is_name(name: str) -> bool:
    letters = name.replace("_", "a")
    return (
        0 < len(name) <= _MAX_NAME_CHARACTERS
        and letters.isascii()
        and letters.isalnum()
        and name == name.lower()
        and name[0].isalpha()
    )


def _refusal(error: ValidationError, evaluator: Evaluator) -> InvalidInput:
    first = error.errors(include_url=False, include_context=False)[0]
    place = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        names = ", ".join(evaluator.parameters.model_fields)
        return InvalidInput(
            f"{evaluator.name} has no such parameter", field=f"parameters.{place}", remedy=f"it has {names}"
        )
    return InvalidInput(first["msg"], field=f"parameters.{place}".rstrip("."), remedy="see docs/alarms.md")


def _locked(transaction: Transaction, rule_id: int, version: int | None) -> Row:
    row = transaction.fetch_one(_LOCK, {"rule_id": rule_id})
    if row is None:
        raise UnknownObject(f"there is no rule {rule_id}", field="rule_id", remedy="see `panda alarms list`")
    if version is not None and row["version"] != version:
        raise Conflict(
            f"{row['name']} is at version {row['version']} by {row['modified_by']}, not at {version}",
            field="version",
            remedy="look at it and change that one",
        )
    return row


def _note(transaction: Transaction, row: Row, what: str, before: Mapping[str, Any], editor: Editor) -> None:
    values = {"rule_id": row["rule_id"], "version": row["version"], "who": _name(editor), "what": what}
    transaction.execute(_NOTE, {**values, "document": json_text(row)})
    after = {name: row[name] for name in _MUTABLE if not before or what == "removed" or row[name] != before[name]}
    transaction_before = {name: before[name] for name in after if name in before}
    audit.note(
        transaction,
        editor.who,
        f"rule {what}",
        "rule",
        row["name"],
        transaction_before,
        {} if what == "removed" else {**after, "version": row["version"]},
        roles=editor.roles,
        via=editor.via,
    )


def _name(editor: Editor) -> str:
    return clean(editor.who, 200)
