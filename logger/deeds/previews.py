"""Previews: the set that an action would meet, frozen by a digest, what would follow, and the token that confirms it once.

Knows the table of previews; the actions are in `logger.deeds.table`. The token is nowhere but in the answer.
"""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson
import psycopg2.errors

from core.clock import Clock
from core.database import Database, Row, Transaction
from core.errors import InvalidInput, TooMany
from core.monitor.reading import TooSlow
from core.queue_status import PERSON
from core.text import clean, json_text
from core.wording import counted
from core.workload_settings import BrokerageSettings
from logger.deeds.base import Actor, Consequence, Selector, Surroundings, Target
from logger.deeds.table import WORK, Action, action_named

PREVIEW_S = 600.0
MOST_OPEN = 50
"""Previews of one person that can still be confirmed."""
SHOWN_TARGETS = 100
MAX_REASON = 2000

# ix_previews_who
_OPEN = """
SELECT count(*) AS count, min(expiry_time) AS first_end FROM previews
WHERE who = %(who)s AND used_time IS NULL AND expiry_time > %(now)s
"""
_INSERT = """
INSERT INTO previews (token_hash, preview_id, action, who, token_id, via, created_time, expiry_time, target_kind, selector,
                      targets, digest, parameters, consequences, accept_ended, reason)
VALUES (%(token_hash)s, %(preview_id)s, %(action)s, %(who)s, %(token_id)s, %(via)s, %(now)s, %(expiry_time)s,
        %(target_kind)s, %(selector)s::jsonb, %(targets)s::jsonb, %(digest)s, %(parameters)s::jsonb,
        %(consequences)s::jsonb, %(accept_ended)s, %(reason)s)
"""
# ix_previews_expiry
_FORGET = "DELETE FROM previews WHERE expiry_time < %(before)s"
_EMPTY = "UPDATE previews SET targets = '[]' WHERE expiry_time < %(now)s AND targets <> '[]'"
_KEPT = timedelta(days=1)
_LONGEST_MS = "10000"
"""For finding a set."""


@dataclass(frozen=True)
class PreviewRequest:
    """What somebody would do to what. `accept_ended`: jobs that end meanwhile are left out instead of changing the set."""

    action: str
    selector: Selector
    parameters: Mapping[str, Any] = field(default_factory=dict)
    accept_ended: bool = False
    reason: str = ""


@dataclass(frozen=True)
class Preview:
    """What an action would do, and the token that confirms it."""

    token: str
    preview_id: str
    action: str
    target_kind: str
    created_time: datetime
    expiry_time: datetime
    target_count: int
    refused_count: int
    targets: Sequence[Target]
    """The first of them."""
    consequences: Sequence[Consequence]
    parameters: Mapping[str, Any]
    inverse: str
    """What an undo would do; empty when nothing takes it back."""
    no_inverse: str
    digest: str

    def as_dict(self) -> dict[str, Any]:
        """As it is answered (docs/api.md)."""
        return {
            "token": self.token,
            "preview_id": self.preview_id,
            "action": self.action,
            "target_kind": self.target_kind,
            "as_of": self.created_time,
            "expires": self.expiry_time,
            "target_count": self.target_count,
            "refused_count": self.refused_count,
            "targets": [
                {"target": target.key, "state": target.state, "refusal": target.refusal} for target in self.targets
            ],
            "consequences": [one.as_dict() for one in self.consequences],
            "parameters": dict(self.parameters),
            "inverse": self.inverse,
            "no_inverse": self.no_inverse,
            "digest": self.digest,
        }


@dataclass(frozen=True)
class PreviewRules:
    """How long a preview may be confirmed, in seconds; what the consequences ask brokerage by, and where they read; when
    shifts change, HH:MM UTC."""

    preview_s: float = PREVIEW_S
    brokerage: BrokerageSettings = field(default_factory=BrokerageSettings)
    read_database: Database | None = None
    shift_changes: Sequence[str] = ("07:00", "15:00", "23:00")


_RULES = PreviewRules()


def preview(
    database: Database, request: PreviewRequest, actor: Actor, clock: Clock, rules: PreviewRules = _RULES
) -> Preview:
    """Freeze the set and say what would follow; nothing is changed but that the preview can be confirmed.

    Raises NotAllowed (role), InvalidInput (action, parameters, filter, nothing chosen), UnknownObject, and TooMany when the
    person has too many previews open.
    """
    action = action_named(request.action)
    action.check_allowed(actor)
    now = clock()
    given = _with_incident(action, request)
    parameters = action.read_parameters(given, now, rules.shift_changes)
    _check_room(database, actor, now)
    targets = _found(database, action, request.selector, actor)
    _check_some(targets, action)
    around = Surroundings(rules.read_database or database, now, actor, rules.brokerage)
    consequences = WORK[action.target_kind].consequences(around, action.name, targets, parameters)
    token = secrets.token_urlsafe(32)
    made = Preview(
        token,
        str(uuid.uuid4()),
        action.name,
        action.target_kind,
        now,
        now + timedelta(seconds=rules.preview_s),
        len(targets),
        sum(1 for target in targets if target.refusal),
        targets[:SHOWN_TARGETS],
        consequences,
        parameters,
        action.inverse,
        action.no_inverse,
        digest_of(action.name, parameters, targets),
    )
    database.execute(_INSERT, _row(made, request, targets, actor))
    return made


def hash_of(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def digest_of(action: str, parameters: Mapping[str, Any], targets: Sequence[Target]) -> str:
    """The same for the same action on the same targets in the same states, and for nothing else."""
    frozen = [action, dict(parameters), sorted([target.key, target.frozen] for target in targets)]
    return hashlib.sha256(orjson.dumps(frozen, option=orjson.OPT_SORT_KEYS, default=str)).hexdigest()


def difference(before: Sequence[str], targets: Sequence[Target], thing: str) -> list[str]:
    """What changed since a preview, in words: who is gone, who came, whose state is another. `before`: as it was frozen."""
    then = {words.split(" ", 1)[0]: words for words in before}
    now = {target.key: target.frozen for target in targets}
    gone = [key for key in then if key not in now]
    came = [key for key in now if key not in then]
    other = [key for key in now if key in then and now[key] != then[key]]
    found = []
    if gone:
        found.append(f"{counted(len(gone), thing)} no longer among them{_named(gone)}")
    if came:
        found.append(f"{counted(len(came), thing)} came{_named(came)}")
    if other:
        changes = [_changed(key, then[key], now[key], thing) for key in other[:3]]
        found.append(f"{counted(len(other), thing)} changed: {', '.join(changes)}")
    return found or ["the parameters mean something else now"]


def _changed(key: str, before: str, after: str, thing: str) -> str:
    """`17 is acknowledged by otto`, `CERN is test, set by a person`: a state as it is frozen, for people."""
    (was, of), (is_now, more) = _parts(before), _parts(after)
    state = {"with_pilot": "with a pilot"}.get(is_now, is_now)
    if thing == "queue" and more:
        return f"{key} is {state}, set by {'a person' if more == PERSON else more}"
    had, has = (
        each.split(":", 1)[0] if thing == "incident" and is_now == "acknowledged" else "" for each in (of, more)
    )
    if was == is_now and had == has:
        return f"{key} is still {state}, but was changed"
    return f"{key} is {state}{f' by {has}' if has else ''}"


def _parts(frozen: str) -> tuple[str, str]:
    """The state of a frozen target, and what else of it counts."""
    state, _, more = frozen.split(" ", 1)[1].removesuffix("!").partition(":")
    return state, more


def forget_old(transaction: Transaction, now: datetime) -> int:
    """Remove the previews that ended a day ago, and of those that ended the targets; returns how many were removed."""
    transaction.execute(_EMPTY, {"now": now})
    return transaction.execute(_FORGET, {"before": now - _KEPT})


def _named(keys: Sequence[str]) -> str:
    return f" ({', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''})"


def _with_incident(action: Action, request: PreviewRequest) -> dict[str, Any]:
    """The parameters as given; to retry the tasks of one incident means the files that it lost, unless that is said."""
    given, incidents = dict(request.parameters), request.selector.incidents
    if action.name == "retry" and len(incidents) == 1 and "of_incident" not in given:
        given["of_incident"] = incidents[0]
    return given


def _found(database: Database, action: Action, selector: Selector, actor: Actor) -> list[Target]:
    try:
        with database.transaction() as transaction:
            transaction.execute("SELECT set_config('statement_timeout', %(ms)s, true)", {"ms": _LONGEST_MS})
            return WORK[action.target_kind].resolve(transaction, action.name, selector, actor, lock=False)
    except psycopg2.errors.QueryCanceled as error:
        raise TooSlow(
            "finding these takes longer than 10 s", field="filter", remedy="choose by more filters"
        ) from error


def _check_room(database: Database, actor: Actor, now: datetime) -> None:
    found = database.fetch_one(_OPEN, {"who": actor.user_name, "now": now})
    if found is not None and found["count"] >= MOST_OPEN:
        wait_s = max(1.0, (found["first_end"] - now).total_seconds())
        raise TooMany(
            f"{MOST_OPEN} previews of yours are open",
            retry_after_s=wait_s,
            field="action",
            remedy="confirm them, or wait until they end",
        )


def _check_some(targets: Sequence[Target], action: Action) -> None:
    """Raise InvalidInput when there is nothing that the action could do anything to."""
    if not targets:
        is_kill = action.target_kind == "job"
        raise InvalidInput(
            f"no {action.target_kind} is meant by this{', or all of them have ended' if is_kill else ''}",
            field=f"{action.target_kind}s",
            remedy="look at the list first" + ("; work that was lost is done again by `retry`" if is_kill else ""),
        )
    if all(target.refusal for target in targets):
        first = targets[0]
        more = f", and {len(targets) - 1} more likewise" if len(targets) > 1 else ""
        raise InvalidInput(
            f"nothing to {action.name}: {action.target_kind} {first.key} {first.refusal}{more}",
            field=f"{action.target_kind}s",
            remedy="choose others",
        )


def _row(made: Preview, request: PreviewRequest, targets: Sequence[Target], actor: Actor) -> Row:
    return {
        "token_hash": hash_of(made.token),
        "preview_id": made.preview_id,
        "action": made.action,
        "who": actor.user_name,
        "token_id": actor.token_id,
        "via": clean(actor.via, 20),
        "now": made.created_time,
        "expiry_time": made.expiry_time,
        "target_kind": made.target_kind,
        "selector": json_text(request.selector.as_dict()),
        "targets": json_text([target.frozen for target in targets]),
        "digest": made.digest,
        "parameters": json_text(dict(made.parameters)),
        "consequences": json_text([one.as_dict() for one in made.consequences]),
        "accept_ended": request.accept_ended,
        "reason": clean(request.reason, MAX_REASON),
    }
