"""Takes deeds back: once, and only while nothing later changed what they left. Knows deeds; what is put back is the action's.

An undo is a deed of its own, with its targets and its row of the audit. An automatic revert is one by the system.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from core import audit
from core.clock import Clock
from core.database import Database, Row, Transaction
from core.errors import Conflict, NotAllowed, UnknownObject
from core.text import clean, json_text
from core.wording import moment
from logger.deeds.base import DONE, Actor, DeedRow, NotUndoable
from logger.deeds.carrying_out import deed_row
from logger.deeds.previews import MAX_REASON
from logger.deeds.table import ACTIONS, WORK

UNDO = "undo"
"""The action of a deed that took another back."""

# primary key; two undos of one deed wait for each other here
_LOCK = "SELECT * FROM deeds WHERE deed_id = %(deed_id)s FOR UPDATE"
_INSERT = """
INSERT INTO deeds (time, who, roles, via, action, incident_id, parameters, reason, target_kind, target_count, state, result)
VALUES (%(now)s, %(who)s, %(roles)s::jsonb, %(via)s, 'undo', %(incident_id)s, %(parameters)s::jsonb, %(reason)s,
        %(target_kind)s, %(count)s, 'done', %(result)s::jsonb)
RETURNING deed_id
"""
_TARGETS = "INSERT INTO deed_targets (deed_id, target, state, note, done_time) VALUES %s"
_UNDONE = """
UPDATE deeds SET undone_time = %(now)s, undone_by = %(who)s, undo_deed_id = %(undo_deed_id)s,
                 revert_state = CASE WHEN revert_state = 'waiting' THEN %(revert_state)s ELSE revert_state END
WHERE deed_id = %(deed_id)s
"""
_END_REVERT = "UPDATE deeds SET revert_state = %(revert_state)s WHERE deed_id = %(deed_id)s"


def undo(database: Database, deed_id: int, actor: Actor, reason: str, clock: Clock) -> Row:
    """Take a deed back, and return the deed that did so.

    Raises UnknownObject, NotAllowed (role), NotUndoable (by its kind, undone before, not done), and Superseded when
    something changed the objects later; nothing is changed then.
    """
    _check_operator(actor)
    now = clock()
    with database.transaction() as transaction:
        deed = locked(transaction, deed_id)
        _check_undoable(deed, now)
        undone = take_back(transaction, deed, actor, clean(reason, MAX_REASON), now, deed["inverse_data"])
    return deed_row(database, undone)


def take_back(
    transaction: Transaction,
    deed: Row,
    actor: Actor,
    reason: str,
    now: datetime,
    changed: Mapping[str, Row],
    *,
    is_automatic: bool = False,
) -> int:
    """Put back what a locked deed changed and write down who did so; returns the number of that deed.

    `changed`: the objects concerned, as kept in `inverse_data`. Raises Superseded.
    """
    deed_id, words = int(deed["deed_id"]), {"deed_id": deed["deed_id"], "action": deed["action"]}
    said = reason or f"{'revert' if is_automatic else 'undo'} of deed {deed_id}"
    row = transaction.fetch_one(
        _INSERT,
        {
            "now": now,
            "who": actor.user_name,
            "roles": json_text(sorted(actor.roles)),
            "via": clean(actor.via, 20),
            "incident_id": deed["incident_id"],
            "parameters": json_text(words),
            "reason": said,
            "target_kind": deed["target_kind"],
            "count": len(changed),
            "result": json_text({DONE: len(changed), "refused": 0, "gone": 0}),
        },
    )
    assert row is not None  # an insert with RETURNING always answers
    number = int(row["deed_id"])
    action = f"{UNDO} {deed['action']}"
    done = DeedRow(number, action, actor.user_name, said, words, actor, now, is_automatic)
    WORK[deed["target_kind"]].undo(transaction, done, sorted(changed), changed)
    transaction.insert_many(_TARGETS, [(number, key, DONE, "", now) for key in sorted(changed)])
    values = {"deed_id": deed_id, "who": actor.user_name, "now": now, "undo_deed_id": number}
    transaction.execute(_UNDONE, {**values, "revert_state": "done" if is_automatic else "cancelled"})
    _note(
        transaction,
        done,
        str(deed_id),
        {"state": deed["state"]},
        {"undone_by_deed": number, "targets": sorted(changed)[:20]},
    )
    return number


def cancel_revert(database: Database, deed_id: int, actor: Actor, reason: str, clock: Clock) -> Row:
    """Let what a deed did stay, though it was to take itself back. Raises UnknownObject, NotAllowed, Conflict."""
    _check_operator(actor)
    with database.transaction() as transaction:
        deed = locked(transaction, deed_id)
        if deed["revert_state"] != "waiting":
            raise Conflict(
                f"deed {deed_id} is not waiting to be reverted",
                field="deed_id",
                remedy="see `panda deeds` for its state",
            )
        done = DeedRow(deed_id, "cancel revert", actor.user_name, clean(reason, MAX_REASON), {}, actor, clock())
        end_revert(transaction, done, deed, "cancelled")
    return deed_row(database, deed_id)


def end_revert(transaction: Transaction, done: DeedRow, deed: Row, state: str) -> None:
    """Have a locked deed not revert any more, with a row of the audit that says why."""
    transaction.execute(_END_REVERT, {"deed_id": deed["deed_id"], "revert_state": state})
    before = {"revert_state": deed["revert_state"], "revert_time": deed["revert_time"]}
    _note(transaction, done, str(deed["deed_id"]), before, {"revert_state": state})


def locked(transaction: Transaction, deed_id: int) -> Row:
    """A deed that nobody else changes until the transaction ends. Raises UnknownObject."""
    row = transaction.fetch_one(_LOCK, {"deed_id": deed_id})
    if row is None:
        raise UnknownObject(f"there is no deed {deed_id}", field="deed_id", remedy="see `panda deeds`")
    return row


def revert_actor(deed_id: int) -> Actor:
    """Who takes a deed back when its time has come."""
    return replace(Actor(f"revert of deed {deed_id}"), via="server")


def _check_operator(actor: Actor) -> None:
    if not actor.is_operator:
        raise NotAllowed(
            "taking back needs the role admin or operator", field="deed_id", remedy="ask for a token with that role"
        )


def _check_undoable(deed: Row, now: datetime) -> None:
    why = _why_not(deed, now)
    if why:
        raise NotUndoable(f"deed {deed['deed_id']} {why[0]}", field="deed_id", remedy=why[1])


def _why_not(deed: Row, now: datetime) -> tuple[str, str] | None:
    if deed["action"] == UNDO:
        return "took another one back", "do again what was taken back"
    action = ACTIONS.get(deed["action"])
    if action is None or not action.inverse:
        return "is not taken back", action.no_inverse if action else "it is of another version"
    if deed["undone_time"] is not None:
        return f"was undone by {deed['undone_by']} at {moment(deed['undone_time'], now)}", "look at what it is now"
    if deed["state"] == "executing":
        return "is not done yet", "wait until it is"
    if not deed["inverse_data"]:
        return "changed nothing", "there is nothing to take back"
    return None


def _note(transaction: Transaction, done: DeedRow, key: str, before: Row, after: Row) -> None:
    audit.note(
        transaction,
        done.who,
        done.action,
        "deed",
        key,
        before,
        after,
        **done.circumstances,
    )
