"""Rules, classes and actions as operators edit them: checked at the door, each change noted with its author.

Every function raises InvalidInput naming the field that will not do, UnknownObject for what does not exist, and changes
nothing then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from core import audit
from core.clock import utc_now
from core.database import Database, Row, Transaction
from core.errors import InvalidInput, UnknownObject
from core.models.errors import ERROR_COMPONENTS
from core.retrial.actions import read_parameters
from core.retrial.patterns import check_pattern, matches_everything
from core.shares.editing import check_share_exists
from core.shares.tagging import UNDEFINED
from core.text import clean

SOURCES = tuple(component.name for component in ERROR_COMPONENTS)
CLASSES = ("system", "user", "unknown")
_NEW_RULE: dict[str, Any] = {
    **dict.fromkeys(("error_source", "error_diag", "architecture", "release", "gshare", "action", "description"), ""),
    "error_code": 0,
    "parameters": {},
    "is_active": True,
    "expiration_time": None,
}
_NEW_CLASS: dict[str, Any] = {
    **dict.fromkeys(("error_source", "error_diag", "description"), ""),
    "error_code": 0,
    "error_class": "",
    "is_active": True,
}
_ACTION = {"is_active": True, "description": ""}

_NOTE = """
INSERT INTO retry_changes (who, kind, key, what, before, after)
VALUES (%(who)s, %(kind)s, %(key)s, %(what)s, %(before)s, %(after)s)
"""


def add_rule(database: Database, given: Mapping[str, Any], who: str) -> Row:
    """Make a rule; a value that is left out matches everything. `who`: the operator."""
    values = _checked_rule(database, {**_NEW_RULE, **given})
    return _insert(database, "retry_rules", "rule_id", "rule", values, who)


def change_rule(database: Database, rule_id: int, given: Mapping[str, Any], who: str) -> Row:
    """Change a rule; what is left out stays. One that was switched off for its expression is on again."""

    def changed(present: Row) -> dict[str, Any]:
        kept = {name: present[name] for name in _NEW_RULE}
        if given.get("action", kept["action"]) != kept["action"] and "parameters" not in given:
            kept["parameters"] = {}
        return {**_checked_rule(database, {**kept, **given}, new=frozenset(given)), "disabled_reason": ""}

    return _update(database, "retry_rules", "rule_id", "rule", rule_id, changed, who)


def remove_rule(database: Database, rule_id: int, who: str) -> Row:
    """Take a rule away; what it did stays in the log."""
    return _delete(database, "retry_rules", "rule_id", "rule", rule_id, who)


def add_class(database: Database, given: Mapping[str, Any], who: str) -> Row:
    """Say whose fault an error is."""
    values = _checked_class(database, {**_NEW_CLASS, **given})
    return _insert(database, "error_classes", "class_id", "class", values, who)


def change_class(database: Database, class_id: int, given: Mapping[str, Any], who: str) -> Row:
    """Change what is said of an error; what is left out stays."""

    def changed(present: Row) -> dict[str, Any]:
        kept = {name: present[name] for name in _NEW_CLASS}
        return {**_checked_class(database, {**kept, **given}), "disabled_reason": ""}

    return _update(database, "error_classes", "class_id", "class", class_id, changed, who)


def remove_class(database: Database, class_id: int, who: str) -> Row:
    """Say nothing of an error any more."""
    return _delete(database, "error_classes", "class_id", "class", class_id, who)


def change_action(database: Database, name: str, given: Mapping[str, Any], who: str) -> Row:
    """Make an action active or passive, for all rules that name it."""

    def changed(present: Row) -> dict[str, Any]:
        values = {**{key: present[key] for key in _ACTION}, **given}
        return {**values, "description": _text(values, "description", 1000)}

    return _update(database, "retry_actions", "name", "action", name, changed, who)


def check_rule(database: Database, given: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a rule to be, as they would be kept."""
    return _checked_rule(database, {**_NEW_RULE, **given})


_EVERY_VALUE = frozenset(_NEW_RULE)
_SAYS_WHICH = frozenset({"error_source", "error_code", "error_diag", "is_active"})


def _checked_rule(database: Database, values: dict[str, Any], *, new: frozenset[str] = _EVERY_VALUE) -> dict[str, Any]:
    """`new`: what was given now; what a rule kept may have been overtaken, and must not keep it from being switched off."""
    checked = {**_checked_pattern(database, values)}
    if values["is_active"] and new & _SAYS_WHICH:
        _check_says_which(database, checked)
    for name in ("architecture", "release", "gshare"):
        checked[name] = _text(values, name, 200)
        if name in new:
            # PanDA's architectures may hold wild cards for parts of the machine; share names are looked up
            _check_exact(checked[name], name, may_be_wild=name != "release")
    if checked["gshare"] not in ("", UNDEFINED) and "gshare" in new:
        check_share_exists(database, checked["gshare"], "gshare")
    checked["description"] = _text(values, "description", 1000)
    checked["action"] = values["action"]
    checked["parameters"] = read_parameters(values["action"], values["parameters"] or {})
    checked["is_active"] = values["is_active"]
    checked["expiration_time"] = _expiration(values["expiration_time"], is_new="expiration_time" in new)
    return checked


def _checked_class(database: Database, values: dict[str, Any]) -> dict[str, Any]:
    if values["error_class"] not in CLASSES:
        raise InvalidInput(
            f"unknown class {str(values['error_class'])[:50]!r}",
            field="error_class",
            remedy="one of " + ", ".join(CLASSES),
        )
    return {
        **_checked_pattern(database, values),
        "description": _text(values, "description", 1000),
        "error_class": values["error_class"],
        "is_active": values["is_active"],
    }


def _checked_pattern(database: Database, values: Mapping[str, Any]) -> dict[str, Any]:
    source, code, diag = values["error_source"], values["error_code"], values["error_diag"] or ""
    if source not in ("", *SOURCES):
        raise InvalidInput(
            f"unknown source {source[:50]!r}", field="error_source", remedy="one of " + ", ".join(SOURCES)
        )
    if diag:
        check_pattern(database, diag)
    if not source and not code:
        if not diag:
            raise InvalidInput(
                "it would match every error of every job",
                field="error_source",
                remedy="give error_source, error_code or error_diag",
            )
        if matches_everything(database, diag):
            raise InvalidInput(
                "the expression matches every message", field="error_diag", remedy="say more, or give error_source"
            )
    return {"error_source": source, "error_code": abs(code) if source == "pilot" else code, "error_diag": diag}


def _check_says_which(database: Database, values: Mapping[str, Any]) -> None:
    """A source alone is half of all errors: such a rule may watch, it may not act."""
    diag = values["error_diag"]
    if values["error_code"] or (diag and not matches_everything(database, diag)):
        return
    raise InvalidInput(
        f"it would act on every error of {values['error_source']}",
        field="error_diag" if diag else "error_code",
        remedy="give error_code, or an error_diag that says more; with is_active false it is only logged",
    )


def _expiration(value: datetime | None, *, is_new: bool) -> datetime | None:
    if value is None:
        return None
    if value.tzinfo is None:
        value = value.replace(tzinfo=UTC)
    if is_new and value <= utc_now():
        raise InvalidInput("is in the past", field="expiration_time", remedy="a time to come, or null for none")
    return value


def _text(values: Mapping[str, Any], name: str, limit: int) -> str:
    value = values[name] or ""
    if len(value) > limit:
        raise InvalidInput(f"longer than {limit} characters", field=name, remedy="shorten it")
    return clean(value, limit)


_WILD = "*?[](){}|^$\\"


def _check_exact(value: str, name: str, *, may_be_wild: bool) -> None:
    """Jobs have to have the value as it is: an expression in its place would wait for ever."""
    wild = "" if may_be_wild else next((character for character in value if character in _WILD), "")
    if wild or value != value.strip():
        what = f"no {name} has {wild!r} in it" if wild else "there are spaces around it"
        raise InvalidInput(what, field=name, remedy="it is compared as it is, not as an expression: write it out")


def _insert(database: Database, table: str, key: str, kind: str, values: dict[str, Any], who: str) -> Row:
    named = {**values, "modified_by": clean(who, 200)}
    columns, marks = ", ".join(named), ", ".join(f"%({name})s" for name in named)
    with database.transaction() as transaction:
        row = transaction.fetch(f"INSERT INTO {table} ({columns}) VALUES ({marks}) RETURNING *", named)[0]
        _note(transaction, kind, row[key], "added", who, {}, row)
    return row


def _update(
    database: Database,
    table: str,
    key: str,
    kind: str,
    number: int | str,
    changed: Callable[[Row], dict[str, Any]],
    who: str,
) -> Row:
    """`changed`: the values to be, from the row as it is. Who else changes it waits, so that neither undoes the other."""
    with database.transaction() as transaction:
        # primary keys
        present = transaction.fetch_one(f"SELECT * FROM {table} WHERE {key} = %(key)s FOR UPDATE", {"key": number})
        if present is None:
            raise UnknownObject(f"there is no {kind} {str(number)[:50]}", field=key, remedy="see `panda rules`")
        named = changed(present)
        if "modified_by" in present:
            named["modified_by"] = clean(who, 200)
        assignments = ", ".join(f"{name} = %({name})s" for name in named)
        if "modification_time" in present:
            assignments += ", modification_time = clock_timestamp()"
        statement = f"UPDATE {table} SET {assignments} WHERE {key} = %(_key)s RETURNING *"
        [row] = transaction.fetch(statement, {**named, "_key": number})
        _note(transaction, kind, number, "changed", who, present, row)
    return row


def _delete(database: Database, table: str, key: str, kind: str, number: int, who: str) -> Row:
    with database.transaction() as transaction:
        rows = transaction.fetch(f"DELETE FROM {table} WHERE {key} = %(key)s RETURNING *", {"key": number})
        if not rows:
            raise UnknownObject(f"there is no {kind} {number}", field=key, remedy="see `panda rules`")
        _note(transaction, kind, number, "removed", who, rows[0], {})
    return rows[0]


def _note(transaction: Transaction, kind: str, key: int | str, what: str, who: str, before: Row, after: Row) -> None:
    """Only what differs is kept."""
    skipped = {"n_matched", "n_acted", "last_matched", "modified_by", "modification_time"}
    names = [name for name in {**before, **after} if name not in skipped and before.get(name) != after.get(name)]
    values = {"who": clean(who, 200), "kind": kind, "key": str(key), "what": what}
    transaction.execute(_NOTE, {**values, "before": _document(before, names), "after": _document(after, names)})
    audit.note_rows(transaction, who, what, f"retry {kind}", str(key), before, after)


def _document(row: Row, names: list[str]) -> dict[str, Any]:
    plain = {name: row[name] for name in names if name in row}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in plain.items()}
