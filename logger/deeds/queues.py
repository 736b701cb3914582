"""Sets the status of queues by a person's word, and gives it back as it was. Knows queues, not how a status is used.

A status that a person sets stays until a person sets another: the automaton of test jobs leaves it alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core import audit
from core.database import Row, Transaction
from core.errors import InvalidInput, UnknownObject
from core.monitor.closed import closed_column
from core.monitor.filters import text_column
from core.monitor.question import Grammar
from core.queue_status import PERSON, record_status
from core.queues import QUEUE_STATUSES
from core.wording import moment
from logger.deeds.base import (
    DONE,
    GONE,
    Actor,
    Consequence,
    DeedRow,
    Outcome,
    Selector,
    Superseded,
    Surroundings,
    Target,
)
from logger.deeds.queue_effects import effects
from logger.deeds.selecting import check_size, chosen

GRAMMAR = Grammar(
    filters={
        **{name: text_column(name) for name in ("queue_name", "site")},
        "status": closed_column("status", QUEUE_STATUSES),
    }
)
MOST_QUEUES = 2000

# short table, or its primary key
_QUEUES = """
SELECT queue_name, status, status_set_by FROM queues WHERE {where} ORDER BY queue_name LIMIT %(most)s
"""
_OF_INCIDENTS = """
queue_name IN (SELECT CASE WHEN verdict = 'site' AND verdict_value <> '' THEN verdict_value ELSE computing_site END
               FROM incidents WHERE incident_id = ANY(%(incidents)s::bigint[]))
"""
_CHOICES = {"queues": "queue_name = ANY(%(queues)s)", "incidents": _OF_INCIDENTS}
# primary keys
_LOCK = "SELECT queue_name, status, status_set_by FROM queues WHERE queue_name = %(queue)s FOR UPDATE"
_SET = "UPDATE queues SET status = %(status)s, modification_time = clock_timestamp() WHERE queue_name = %(queue)s"
_LAST = """
SELECT time, status, who FROM queue_status_history WHERE queue_name = %(queue)s ORDER BY time DESC LIMIT 1
"""

# ix_audit_object: the deeds that ever changed the queue; who waits for one of them waits here
_LEFT_SO = """
SELECT deed_id, revert_state FROM deeds
WHERE deed_id IN (SELECT a.deed_id FROM audit a
                  WHERE a.object_kind = 'queue' AND a.object_id = %(queue)s AND a.deed_id IS NOT NULL)
  AND undone_time IS NULL AND inverse_data -> %(queue)s -> 'after' ->> 'history_time' = %(left)s
ORDER BY deed_id FOR UPDATE
"""
_STANDS_AGAIN = """
UPDATE deeds SET inverse_data = jsonb_set(inverse_data, ARRAY[%(queue)s, 'after', 'history_time'], to_jsonb(%(now_left)s::text)),
                 revert_state = CASE WHEN revert_state = 'superseded' THEN 'waiting' ELSE revert_state END
WHERE deed_id = %(deed_id)s
"""


class QueueWork:
    """The actions on queues."""

    page = 200

    def resolve(
        self, transaction: Transaction, action: str, selector: Selector, actor: Actor, *, lock: bool
    ) -> list[Target]:
        """The queues that were meant: by name, by filter, or those that incidents are about."""
        where, values = chosen(selector, GRAMMAR, "queue", _CHOICES)
        statement = _QUEUES.format(where=where) + (" FOR UPDATE" if lock else "")
        rows = transaction.fetch(statement, {**values, "most": MOST_QUEUES + 1})
        check_size(len(rows), "queue", MOST_QUEUES)
        missing = set(selector.queues) - {row["queue_name"] for row in rows}
        if missing and not selector.filter and not selector.incidents:
            raise UnknownObject(
                f"there is no queue {min(missing)[:100]!r}", field="queues", remedy="see `panda queues` for the names"
            )
        return [_target(row, action) for row in rows]

    def consequences(
        self, around: Surroundings, action: str, targets: Sequence[Target], parameters: Mapping[str, Any]
    ) -> list[Consequence]:
        """What runs and waits there, where that could go, and until when it would be so."""
        queues = [target.key for target in targets if not target.refusal]
        if str(parameters.get("until", "")).startswith("tests:") and len(queues) > 1:
            raise InvalidInput(
                f"{len(queues)} queues at once",
                field="parameters.until",
                remedy="each has its own test jobs: one by one",
            )
        said = effects(around, action, queues, parameters)
        for target in targets:
            if target.refusal:
                said.append(Consequence("refused", 1, f"{target.key} left alone: it {target.refusal}"))
        return said

    def carry_out(self, transaction: Transaction, deed: DeedRow, keys: Sequence[str]) -> list[Outcome]:
        """Set the status, each with its row of the history and of the audit."""
        status = status_of(deed.action, str(deed.parameters.get("until", "")))
        outcomes = []
        for queue in sorted(keys):
            row = transaction.fetch_one(_LOCK, {"queue": queue})
            if row is None:
                outcomes.append(Outcome(queue, GONE, "is no queue any more"))
                continue
            before = {"status": row["status"], "status_set_by": row["status_set_by"]}
            before["history_time"] = _last_time(transaction, queue)
            after = _set(transaction, deed, row, status, PERSON)
            outcomes.append(Outcome(queue, DONE, "", before, after))
        return outcomes

    def undo(self, transaction: Transaction, deed: DeedRow, keys: Sequence[str], changed: Mapping[str, Row]) -> None:
        """Give back status and holder."""
        for queue in sorted(changed):
            before, after = changed[queue]["before"], changed[queue]["after"]
            row = transaction.fetch_one(_LOCK, {"queue": queue})
            if row is None:
                raise UnknownObject(f"there is no queue {queue!r} any more", field="deed_id", remedy="make it again")
            if (later := later_change(transaction, queue, row, after)) is not None:
                raise Superseded(later, field="deed_id", remedy="set the status that it should have now")
            again = _set(transaction, deed, row, str(before["status"]), str(before["status_set_by"]))
            _stands_again(transaction, deed, queue, before.get("history_time", ""), again["history_time"])


def _stands_again(transaction: Transaction, deed: DeedRow, queue: str, left: str, now_left: str) -> None:
    """What an earlier deed had done to a queue is so again: it can be undone, and takes itself back when its end comes."""
    values = {"queue": queue, "left": left, "now_left": now_left}
    for earlier in transaction.fetch(_LEFT_SO, values) if left else ():
        transaction.execute(_STANDS_AGAIN, {**values, "deed_id": earlier["deed_id"]})
        if earlier["revert_state"] == "superseded":
            audit.note(
                transaction,
                deed.who,
                "revert is due again",
                "deed",
                str(earlier["deed_id"]),
                {"revert_state": "superseded"},
                {"revert_state": "waiting"},
                **deed.circumstances,
            )


def status_of(action: str, until: str = "") -> str:
    """The status that an action sets. Until test jobs have finished a queue has to get them, which brokeroff keeps away."""
    if action == "drain":
        return "test" if until.startswith("tests:") else "brokeroff"
    found = {"undrain": "online", "online": "online", "test": "test", "offline": "offline"}.get(action)
    if found is None:
        raise InvalidInput(f"{action} sets no status", field="action", remedy="drain, undrain, online, test, offline")
    return found


def later_change(transaction: Transaction, queue: str, row: Row | None, after: Mapping[str, Any]) -> str | None:
    """What changed a queue since a deed left it as `after`, in words; None when nothing did. `row`: as it is."""
    if row is None:
        return f"{queue} is no queue any more"
    last = transaction.fetch_one(_LAST, {"queue": queue})
    is_same = row["status"] == after["status"] and row["status_set_by"] == after["status_set_by"]
    if is_same and (last is None or last["time"].isoformat() == after["history_time"]):
        return None
    if last is None or last["time"].isoformat() == after["history_time"]:
        return f"{queue} was changed later: it is {row['status']} now"
    who = last["who"] or "a program"
    return f"{queue} was changed later: {last['status']} by {who} at {moment(last['time'])}"


def _set(transaction: Transaction, deed: DeedRow, row: Row, status: str, set_by: str) -> Row:
    """Write status, history and audit; returns what an undo compares with."""
    queue = str(row["queue_name"])
    transaction.execute(_SET, {"queue": queue, "status": status})
    record_status(
        transaction,
        queue,
        row["status"],
        status,
        who=deed.who,
        reason=deed.reason,
        set_by=set_by,
        is_automatic=deed.is_automatic,
    )
    before = {"status": row["status"], "status_set_by": row["status_set_by"]}
    after = {"status": status, "status_set_by": set_by}
    audit.note(
        transaction,
        deed.who,
        deed.action,
        "queue",
        queue,
        before,
        after,
        **deed.circumstances,
    )
    return {**after, "history_time": _last_time(transaction, queue)}


def _last_time(transaction: Transaction, queue: str) -> str:
    last = transaction.fetch_one(_LAST, {"queue": queue})
    return last["time"].isoformat() if last else ""


def _target(row: Row, action: str) -> Target:
    return Target(row["queue_name"], f"{row['status']}:{row['status_set_by']}", _refusal(row, action))


def _refusal(row: Row, action: str) -> str:
    """A status that a person has set already is not set again."""
    if action == "undrain" and row["status"] == "online":
        return "is online"
    is_so = action in ("online", "test", "offline") and row["status"] == action
    is_drained = action == "drain" and row["status"] in ("brokeroff", "offline")
    if (is_so or is_drained) and row["status_set_by"] == PERSON:
        return f"is {row['status']} already, by a person's word"
    return ""
