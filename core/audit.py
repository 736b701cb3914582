"""The audit: one row for each thing anybody did, in the transaction that did it. Knows the table, not the deeds.

Rows are never changed: a trigger refuses it. Secrets and tokens have no place in `before` and `after`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypedDict, Unpack

from core.database import Transaction
from core.text import clean, json_text

OBJECT_KINDS = (
    *("incident", "silence", "link", "deed", "shift", "job", "task", "queue", "endpoint", "user", "group", "share"),
    *("rule", "notice_route", "retry rule", "retry action", "retry class", "staging request"),
)
"""What things are done to; a test holds every `note` against it."""

PEOPLES_VIAS = ("api", "cli", "console", "web")
VIAS = (*PEOPLES_VIAS, "server", "")
"""From where things are done; `server` for what the system does by itself, nothing where nobody says it."""

_via: ContextVar[str] = ContextVar("via", default="api")

_NOTE = """
INSERT INTO audit (who, roles, via, action, object_kind, object_id, before, after, reason, deed_id, is_automatic)
SELECT %(who)s, %(roles)s::jsonb, %(via)s, %(action)s, %(kind)s, c.key, c.before::jsonb, c.after::jsonb, %(reason)s,
       %(deed_id)s, %(is_automatic)s
FROM unnest(%(keys)s::text[], %(befores)s::text[], %(afters)s::text[]) WITH ORDINALITY AS c (key, before, after, place)
ORDER BY c.place
"""


@dataclass(frozen=True)
class Changed:
    """One object that was changed: its key, and what of it is different, small."""

    key: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]


class Circumstances(TypedDict, total=False):
    """How and why something was done; what is left out is nothing.

    `via`: one of VIAS. `deed_id`: the deed it was part of. `is_automatic`: nobody asked for it.
    """

    roles: Iterable[str]
    via: str
    reason: str
    deed_id: int | None
    is_automatic: bool


def note(
    transaction: Transaction,
    who: str,
    action: str,
    kind: str,
    key: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    **how: Unpack[Circumstances],
) -> None:
    """Write down that `who` did `action` to the object `kind` (incident, queue, job, task, rule, ...) `key`.

    `before`, `after`: what of it changed, small.
    """
    note_many(transaction, who, action, kind, [Changed(key, before, after)], **how)


def note_many(
    transaction: Transaction,
    who: str,
    action: str,
    kind: str,
    changes: Sequence[Changed],
    **how: Unpack[Circumstances],
) -> None:
    """`note` of many objects of one kind to which the same was done, a row for each in their order, in one statement."""
    if not changes:
        return
    transaction.execute(
        _NOTE,
        {
            "who": clean(who, 255),
            "roles": json_text(sorted(how.get("roles", ()))),
            "via": clean(how.get("via", ""), 50),
            "action": clean(action, 100),
            "kind": clean(kind, 50),
            "keys": [clean(change.key, 255) for change in changes],
            "befores": [json_text(change.before) for change in changes],
            "afters": [json_text(change.after) for change in changes],
            "reason": clean(how.get("reason", ""), 2000),
            "deed_id": how.get("deed_id"),
            "is_automatic": how.get("is_automatic", False),
        },
    )


@contextmanager
def asked_from(via: str) -> Iterator[None]:
    """What is changed in this block was asked for from `via`; from the API itself if it is none of PEOPLES_VIAS."""
    token = _via.set(via if via in PEOPLES_VIAS else "api")
    try:
        yield
    finally:
        _via.reset(token)


def via_now() -> str:
    """From where the present request came."""
    return _via.get()


_BESIDE = frozenset({"modification_time", "modified_by", "last_seen", "n_matched", "n_acted", "last_matched"})
"""Columns that say who and when, or count: they change with everything, or without anybody."""


def note_rows(
    transaction: Transaction,
    who: str,
    action: str,
    kind: str,
    key: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    **how: Unpack[Circumstances],
) -> None:
    """`note` of a row as it was and as it is, of which only what differs is kept; nothing when nothing does.

    People change rows through the API alone: what its caller said of itself is `via` (`asked_from`).
    """
    names = [name for name in {**before, **after} if name not in _BESIDE and before.get(name) != after.get(name)]
    if names:
        was = {name: before[name] for name in names if name in before}
        now = {name: after[name] for name in names if name in after}
        said: Circumstances = {"via": via_now(), **how}
        note(transaction, who, action, kind, key, was, now, **said)
