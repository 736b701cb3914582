"""Confirms previews and carries deeds out: the token's use first, then the same set again, then the work, in pages.

Knows deeds and their targets; what is done to a target is the action's. A deed that is too large for one transaction is
carried out page by page under a lease, so that whoever is killed in the middle is followed by another.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from core import audit
from core.clock import Clock
from core.database import Database, Row, Transaction
from core.errors import InvalidInput, UnknownObject
from core.text import clean, json_text
from core.wording import moment
from logger.deeds.base import (
    DONE,
    GONE,
    REFUSED,
    WAITING,
    Actor,
    DeedRow,
    Outcome,
    PreviewExpired,
    PreviewNotYours,
    PreviewOutdated,
    PreviewUnknown,
    PreviewUsed,
    Selector,
    Target,
)
from logger.deeds.previews import (
    MAX_REASON,
    Preview,
    PreviewRequest,
    PreviewRules,
    difference,
    digest_of,
    hash_of,
    preview,
)
from logger.deeds.table import ACTIONS, WORK, Action

AT_ONCE = 200
"""Targets that are carried out in the transaction that confirms."""
PATIENCE_S = 2.0
"""How long a request goes on with a larger deed before it leaves the rest to the agent."""
LEASE_S = 30.0

# primary key; commits by itself: whatever happens after it, this token is used
_USE = """
UPDATE previews SET used_time = %(now)s
WHERE token_hash = %(token_hash)s AND used_time IS NULL AND expiry_time > %(now)s AND who = %(who)s
  AND token_id = %(token_id)s
RETURNING *
"""
_PREVIEW = "SELECT who, token_id, used_time, expiry_time, deed_id FROM previews WHERE token_hash = %(token_hash)s"
# the deed has the targets from now on
_NOTE_DEED = "UPDATE previews SET deed_id = %(deed_id)s, targets = '[]' WHERE token_hash = %(token_hash)s"
_INSERT = """
INSERT INTO deeds (time, who, roles, via, action, incident_id, parameters, reason, target_kind, target_count, inverse,
                   revert_kind, revert_time, revert_count, revert_state, lease_until)
VALUES (%(now)s, %(who)s, %(roles)s::jsonb, %(via)s, %(action)s, %(incident_id)s, %(parameters)s::jsonb, %(reason)s,
        %(target_kind)s, %(target_count)s, %(inverse)s, %(revert_kind)s, %(revert_time)s, %(revert_count)s,
        %(revert_state)s, %(lease_until)s)
RETURNING deed_id
"""
_TARGETS = "INSERT INTO deed_targets (deed_id, target, state, note, done_time) VALUES %s"
# primary key
DEED = "SELECT * FROM deeds WHERE deed_id = %(deed_id)s"
_HOLD = "SELECT state FROM deeds WHERE deed_id = %(deed_id)s FOR UPDATE"
# primary key; who has the lease is let work, unless it is over
_LEASE = """
UPDATE deeds SET lease_until = %(until)s
WHERE deed_id = %(deed_id)s AND state = 'executing' AND (%(is_mine)s OR lease_until IS NULL OR lease_until <= %(now)s)
RETURNING *
"""
# ix_deed_targets_waiting; who has the deed's row is alone with its targets
_PAGE = """
SELECT target FROM deed_targets WHERE deed_id = %(deed_id)s AND state = 'waiting' LIMIT %(most)s FOR UPDATE
"""
NEXT_ALONE = """
SELECT target FROM deed_targets WHERE deed_id = %(deed_id)s AND state = 'waiting' ORDER BY target LIMIT %(most)s FOR UPDATE
"""
"""The same in an order, for those that are done one by one: whoever gives one up has to mean the one that failed. Primary
key."""
_MARK = """
UPDATE deed_targets t SET state = o.state, note = o.note, done_time = %(now)s
FROM unnest(%(keys)s::text[], %(states)s::text[], %(notes)s::text[]) AS o (target, state, note)
WHERE t.deed_id = %(deed_id)s AND t.target = o.target
"""
_KEEP = """
UPDATE deeds SET inverse_data = inverse_data || %(changed)s::jsonb WHERE deed_id = %(deed_id)s
"""
# primary key, which begins with the deed
_COUNTS = "SELECT state, count(*) AS count FROM deed_targets WHERE deed_id = %(deed_id)s GROUP BY 1"
_NOTES = """
SELECT target, state, note FROM deed_targets WHERE deed_id = %(deed_id)s AND (note <> '' OR state = 'done')
ORDER BY state = 'done', length(target), target LIMIT 20
"""
_END = """
UPDATE deeds SET state = %(state)s, result = %(result)s::jsonb, lease_until = NULL,
                 revert_state = CASE WHEN inverse_data = '{}' AND revert_state = 'waiting' THEN 'cancelled'
                                     ELSE revert_state END
WHERE deed_id = %(deed_id)s
"""


def confirm(
    database: Database, token: str, actor: Actor, clock: Clock, reason: str = "", rules: PreviewRules | None = None
) -> Row:
    """Carry out what a preview showed, once, and return the deed; `executing` when it goes on in the background.

    Raises PreviewUnknown, PreviewNotYours, PreviewUsed, PreviewExpired; PreviewOutdated when the set is another now: then
    nothing was done, the token is used, and the error brings a fresh preview with what is different.
    """
    used = _use(database, token, actor, clock())
    action = ACTIONS[used["action"]]
    action.check_allowed(actor)
    selector = Selector.read(used["selector"])
    actor = replace(actor, via=actor.via or used["via"])
    with database.transaction() as transaction:
        targets = WORK[action.target_kind].resolve(transaction, action.name, selector, actor, lock=True)
        ended = _ended_meanwhile(used, targets)
        if _digest_with(used, targets, ended) != used["digest"]:
            changes = difference(used["targets"], targets, action.target_kind)
        else:
            changes = []
            deed = _begin(transaction, used, action, actor, clock(), clean(reason, MAX_REASON) or used["reason"])
            _freeze(transaction, deed.deed_id, targets, ended, deed.now)
            transaction.execute(_NOTE_DEED, {"deed_id": deed.deed_id, "token_hash": used["token_hash"]})
            is_small = len(targets) <= AT_ONCE and WORK[action.target_kind].page > 1
            if is_small:
                _carry_out_page(transaction, deed, action, AT_ONCE)
                _finish(transaction, deed, action)
    if changes:
        raise PreviewOutdated(changes, _preview_again(database, used, actor, clock, rules or PreviewRules()))
    if not is_small:
        go_on(database, deed.deed_id, clock, is_mine=True, patience_s=PATIENCE_S)
    return deed_row(database, deed.deed_id)


def deed_row(database: Database | Transaction, deed_id: int) -> Row:
    """A deed. Raises UnknownObject."""
    found = database.fetch_one(DEED, {"deed_id": deed_id})
    if found is None:
        raise UnknownObject(f"there is no deed {deed_id}", field="deed_id", remedy="see `panda deeds`")
    return found


def go_on(
    database: Database,
    deed_id: int,
    clock: Clock,
    *,
    is_mine: bool = False,
    patience_s: float | None = None,
    page: int | None = None,
) -> int:
    """Carry out what waits of a deed, a transaction per page; returns how many targets.

    `is_mine`: the deed has just been begun here; everybody else waits for the end of the lease. `patience_s`: after which
    the rest is left to others.
    """
    began, done, mine = time.monotonic(), 0, is_mine
    while True:
        count = _one_page(database, deed_id, clock, mine, page)
        if count is None:
            return done
        done, mine = done + count, True
        if patience_s is not None and time.monotonic() - began > patience_s:
            database.execute("UPDATE deeds SET lease_until = NULL WHERE deed_id = %(deed_id)s", {"deed_id": deed_id})
            return done


def _one_page(database: Database, deed_id: int, clock: Clock, is_mine: bool, page: int | None) -> int | None:
    """Carry out one page under the lease; None when there is nothing (left) to do here."""
    now = clock()
    lease = {"deed_id": deed_id, "now": now, "until": now + timedelta(seconds=LEASE_S), "is_mine": is_mine}
    row = database.fetch_one(_LEASE, lease)
    if row is None:
        return None
    deed, action = as_deed(row, now), ACTIONS[row["action"]]
    with database.transaction() as transaction:
        # two whose leases overlap take turns
        held = transaction.fetch_one(_HOLD, {"deed_id": deed_id})
        if held is None or held["state"] != "executing":
            return None
        count = _carry_out_page(transaction, deed, action, page or WORK[action.target_kind].page)
        if not count:
            _finish(transaction, deed, action)
            return None
    return count


def as_deed(row: Row, now: datetime) -> DeedRow:
    """What the actions need of a deed that is kept."""
    actor = Actor(row["who"], "", frozenset(row["roles"]), row["via"])
    return DeedRow(row["deed_id"], row["action"], row["who"], row["reason"], row["parameters"], actor, now)


def _use(database: Database, token: str, actor: Actor, now: datetime) -> Row:
    key = {"token_hash": hash_of(token)}
    used = database.fetch_one(_USE, {**key, "now": now, "who": actor.user_name, "token_id": actor.token_id})
    if used is not None:
        return used
    found = database.fetch_one(_PREVIEW, key)
    if found is None:
        raise PreviewUnknown("there is no such preview", field="token", remedy="ask for a preview first")
    if found["who"] != actor.user_name or found["token_id"] != actor.token_id:
        raise PreviewNotYours(
            "the preview was made for somebody else, or in another session",
            field="token",
            remedy="ask for one of your own",
        )
    if found["used_time"] is not None:
        what = f"; it is deed {found['deed_id']}" if found["deed_id"] else "; nothing was done by it"
        raise PreviewUsed(
            f"was confirmed at {moment(found['used_time'], now)}{what}", field="token", remedy="ask for a new preview"
        )
    raise PreviewExpired(f"ended at {moment(found['expiry_time'], now)}", field="token", remedy="ask for a new preview")


def _ended_meanwhile(used: Row, targets: Sequence[Target]) -> list[str]:
    """Of a preview that allows it: the targets that are not there any more, as they were frozen."""
    if not used["accept_ended"] or used["target_kind"] != "job":
        return []
    present = {target.key for target in targets}
    return [words for words in used["targets"] if words.split(" ", 1)[0] not in present]


def _digest_with(used: Row, targets: Sequence[Target], ended: Sequence[str]) -> str:
    """The digest of the set as it is now, with those that ended by themselves as if they were still there."""
    kept = []
    for words in ended:
        key, state = words.split(" ", 1)
        kept.append(Target(key, state.removesuffix("!"), "ended" if state.endswith("!") else ""))
    return digest_of(used["action"], used["parameters"], [*targets, *kept])


def _begin(transaction: Transaction, used: Row, action: Action, actor: Actor, now: datetime, reason: str) -> DeedRow:
    revert = action.revert_of(used["parameters"], now)
    incidents = used["selector"]["incidents"]
    row = transaction.fetch_one(
        _INSERT,
        {
            "now": now,
            "who": actor.user_name,
            "roles": json_text(sorted(actor.roles)),
            "via": clean(actor.via, 20),
            "action": action.name,
            "incident_id": incidents[0] if len(incidents) == 1 else None,
            "parameters": json_text(used["parameters"]),
            "reason": reason,
            "target_kind": action.target_kind,
            "target_count": len(used["targets"]),
            "inverse": action.inverse,
            "revert_kind": revert.kind,
            "revert_time": revert.time,
            "revert_count": revert.count,
            "revert_state": "waiting" if revert.kind else "",
            "lease_until": now + timedelta(seconds=LEASE_S),
        },
    )
    assert row is not None  # an insert with RETURNING always answers
    return DeedRow(row["deed_id"], action.name, actor.user_name, reason, used["parameters"], actor, now)


def _freeze(
    transaction: Transaction, deed_id: int, targets: Sequence[Target], ended: Sequence[str], now: datetime
) -> None:
    rows = [
        (deed_id, target.key, REFUSED if target.refusal else WAITING, target.refusal, now if target.refusal else None)
        for target in targets
    ]
    rows += [(deed_id, words.split(" ", 1)[0], GONE, "ended by itself", now) for words in ended]
    transaction.insert_many(_TARGETS, rows)


def _carry_out_page(transaction: Transaction, deed: DeedRow, action: Action, most: int) -> int:
    """Carry out the next targets and mark them; returns how many there were."""
    waiting = transaction.fetch(NEXT_ALONE if most == 1 else _PAGE, {"deed_id": deed.deed_id, "most": most})
    keys = sorted((row["target"] for row in waiting), key=lambda key: (len(key), key))
    if not keys:
        return 0
    outcomes = WORK[action.target_kind].carry_out(transaction, deed, keys)
    mark(transaction, deed.deed_id, outcomes, deed.now)
    return len(keys)


def finish_if_nothing_waits(transaction: Transaction, deed: DeedRow) -> None:
    """End a deed of which every target was dealt with."""
    if not transaction.fetch(_PAGE, {"deed_id": deed.deed_id, "most": 1}):
        _finish(transaction, deed, ACTIONS[deed.action])


def mark(transaction: Transaction, deed_id: int, outcomes: Sequence[Outcome], now: datetime) -> None:
    """Write down what became of targets, and what an undo needs."""
    transaction.execute(
        _MARK,
        {
            "deed_id": deed_id,
            "now": now,
            "keys": [outcome.key for outcome in outcomes],
            "states": [outcome.state for outcome in outcomes],
            "notes": [clean(outcome.note, 500) for outcome in outcomes],
        },
    )
    changed = {
        outcome.key: {"before": outcome.before, "after": outcome.after}
        for outcome in outcomes
        if outcome.state == DONE and outcome.after
    }
    if changed:
        transaction.execute(_KEEP, {"deed_id": deed_id, "changed": json_text(changed)})


@dataclass(frozen=True)
class _Result:
    done: int
    refused: int
    gone: int
    notes: list[dict[str, Any]]

    @property
    def state(self) -> str:
        """done when all that was left to do was done; partly when something was refused; failed when nothing was done."""
        if not self.done:
            return "done" if self.gone and not self.refused else "failed"
        return "partly" if self.refused else "done"


def _finish(transaction: Transaction, deed: DeedRow, action: Action) -> None:
    """End a deed that has no waiting targets, with its audit row."""
    counts = {row["state"]: int(row["count"]) for row in transaction.fetch(_COUNTS, {"deed_id": deed.deed_id})}
    notes = transaction.fetch(_NOTES, {"deed_id": deed.deed_id})
    result = _Result(counts.get(DONE, 0), counts.get(REFUSED, 0), counts.get(GONE, 0), notes)
    kept: Mapping[str, Any] = {
        "done": result.done,
        "refused": result.refused,
        "gone": result.gone,
        "notes": [note for note in notes if note["note"]],
    }
    values = {"deed_id": deed.deed_id, "state": result.state, "result": json_text(kept)}
    transaction.execute(_END, values)
    audit.note(
        transaction,
        deed.who,
        deed.action,
        "deed",
        str(deed.deed_id),
        {},
        {
            "state": result.state,
            "target_kind": action.target_kind,
            "parameters": dict(deed.parameters),
            "done": result.done,
            "refused": result.refused,
            "gone": result.gone,
            "targets": [note["target"] for note in notes if note["state"] == DONE],
        },
        **deed.circumstances,
    )


def _preview_again(database: Database, used: Row, actor: Actor, clock: Clock, rules: PreviewRules) -> Preview | None:
    """The same preview of what is there now; None when there is nothing left to do."""
    selector = Selector.read(used["selector"])
    request = PreviewRequest(used["action"], selector, used["parameters"], used["accept_ended"], used["reason"])
    try:
        return preview(database, request, actor, clock, rules)
    except (InvalidInput, UnknownObject):
        return None
