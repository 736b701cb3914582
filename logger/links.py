"""Merges and splits that people made, as links from key to key, and the key each event goes under because of them.

Applied to fingerprints before folding. Knows keys and links, no count and no rule: none ever makes or undoes a link.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from core.database import Row, Transaction
from core.errors import Conflict
from core.text import clean, json_text
from logger import life
from logger.events import Event
from logger.fingerprints import is_of_older_version
from logger.life import Act

DIMENSIONS = (
    *("computing_site", "jedi_task_id", "prod_user_name", "modification_host", "storage", "dataset"),
    *("step", "code"),
)
"""By which of an event's values a trouble can be split."""

MOST_STEPS = 8
"""Links that one event follows at most."""

# Folding takes the lock shared and a merge takes it alone: no event folds by links that are being changed, which would
# open an incident that was merged away a moment before. Links are read anew for every batch: tens of rows, 0.1 ms
_LOCK_KEY = 7307
_SHARE = f"SELECT pg_advisory_xact_lock_shared({_LOCK_KEY})"
LOCK_LINKS = f"SELECT pg_advisory_xact_lock({_LOCK_KEY})"
# uq_fingerprint_links_merge, uq_fingerprint_links_split
_LIVE = """
SELECT link_id, kind, fingerprint, target, dimension, value FROM fingerprint_links WHERE undone_time IS NULL
"""


@dataclass(frozen=True)
class Step:
    """From one key to another. `link_id`: the link that says so."""

    link_id: int
    target: str


@dataclass(frozen=True)
class Links:
    """The links that are in force. `splits`: by key, then by (dimension, value), in the order they were made."""

    merges: Mapping[str, Step] = field(default_factory=dict)
    splits: Mapping[str, Mapping[tuple[str, str], Step]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.merges or self.splits)

    @cached_property
    def has_older(self) -> bool:
        """Whether a link is of a key that an older algorithm made."""
        return any(is_of_older_version(key) for key in (*self.merges, *self.splits))

    def way(self, key: str, values: Mapping[str, str]) -> list[Step]:
        """The links that an event of this key and these values follows, at most eight; a split wins over a merge."""
        steps: list[Step] = []
        while len(steps) < MOST_STEPS:
            of_key = self.splits.get(key, {})
            step = next((step for pair, step in of_key.items() if values.get(pair[0]) == pair[1]), None)
            step = step or self.merges.get(key)
            if step is None or any(step.link_id == taken.link_id for taken in steps):
                break
            steps.append(step)
            key = step.target
        return steps

    def steps_from(self, key: str) -> list[Step]:
        """All that may be followed from a key."""
        merged = self.merges.get(key)
        return [*self.splits.get(key, {}).values(), *([merged] if merged else [])]

    def leading_to(self, key: str) -> set[str]:
        """All keys whose events may come to a key, and itself."""
        found, known = {key}, set[str]()
        starts = {*self.merges, *self.splits}
        while found - known:
            known |= found
            found |= {start for start in starts if any(step.target in known for step in self.steps_from(start))}
        return found

    def key(self, key: str, values: Mapping[str, str]) -> str:
        """The key that an event of this key and these values goes under."""
        steps = self.way(key, values)
        return steps[-1].target if steps else key


def live_links(transaction: Transaction) -> Links:
    """The links in force, which stay so until the transaction ends."""
    transaction.execute(_SHARE)
    return read_links(transaction)


def read_links(transaction: Transaction, without: int = 0) -> Links:
    """The links in force, but one of them; for whoever holds the lock already."""
    rows = [row for row in transaction.fetch(_LIVE) if row["link_id"] != without]
    rows.sort(key=lambda row: row["link_id"])
    splits: dict[str, dict[tuple[str, str], Step]] = {}
    for row in rows:
        if row["kind"] == "split":
            of_key = splits.setdefault(row["fingerprint"], {})
            of_key[row["dimension"], row["value"]] = Step(row["link_id"], row["target"])
    merges = {row["fingerprint"]: Step(row["link_id"], row["target"]) for row in rows if row["kind"] == "merge"}
    return Links(merges, splits)


def resolve(events: Sequence[Event], links: Links) -> list[Event]:
    """Each event under the key that people decided, with its own key beside it.

    An event whose key under an algorithm before has a link follows that, as long as its present key has none.
    """
    return [_resolved(event, links) for event in events] if links else list(events)


def _resolved(event: Event, links: Links) -> Event:
    values = values_of(event)
    for own in (event.fingerprint, *(event.older_keys() if links.has_older else ())):
        key = links.key(own, values)
        if key != own:
            return replace(event, fingerprint=key, own_fingerprint=own, older_keys=tuple)
    return event


def values_of(event: Event) -> dict[str, str]:
    """What an event can be split by, as its breakdown counts it."""
    code = "" if event.code is None else str(event.code)
    return {**dict(event.breakdown()), "step": event.step, "code": code}


def link_row(transaction: Transaction, link_id: int) -> Row | None:
    """One link, in force or not; None when there is none."""
    return transaction.fetch_one(
        "SELECT * FROM fingerprint_links WHERE link_id = %(link_id)s FOR UPDATE", {"link_id": link_id}
    )


_ADD = """
INSERT INTO fingerprint_links (kind, fingerprint, target, dimension, value, incident_id, into_incident_id, moved, who,
                               time, comment)
VALUES (%(kind)s, %(fingerprint)s, %(target)s, %(dimension)s, %(value)s, %(incident_id)s, %(into)s, %(moved)s::jsonb,
        %(who)s, %(now)s, %(comment)s)
RETURNING *
"""
# primary key
_END = "UPDATE fingerprint_links SET undone_by = %(who)s, undone_time = %(now)s WHERE link_id = %(link_id)s"


def add_link(
    transaction: Transaction,
    kind: str,
    source: Row,
    target: str,
    into: int,
    act: Act,
    now: datetime,
    *,
    part: tuple[str, str] = ("", ""),
    moved: Mapping[str, Any] | None = None,
) -> Row:
    """From now on what an incident (`source`) counts goes to the key `target` of another, of a split its `part` (dimension,
    value). `moved`: what an undo needs. Returns the link, which has its row in the audit."""
    made = {
        **{"kind": kind, "fingerprint": source["fingerprint"], "target": target},
        **{"dimension": part[0], "value": part[1], "incident_id": source["incident_id"], "into": into},
        **{"moved": json_text(dict(moved or {})), "who": clean(act.who, 200), "now": now},
        "comment": clean(act.comment, life.MAX_COMMENT_CHARACTERS),
    }
    link = transaction.fetch(_ADD, made)[0]
    life.note(transaction, act, "link", link["link_id"], {}, _said(link), kind)
    return link


def end_link(transaction: Transaction, link: Row, act: Act, now: datetime) -> None:
    """A link is in force no longer, which has its row in the audit."""
    transaction.execute(_END, {"link_id": link["link_id"], "who": clean(act.who, 200), "now": now})
    life.note(transaction, act, "link", link["link_id"], _said(link), {}, f"undo {link['kind']}")


def _said(link: Row) -> Row:
    names = ("incident_id", "into_incident_id", "fingerprint", "target", "dimension", "value")
    return {name: link[name] for name in names if link[name] not in ("", None)}


def check_link(links: Links, source: str, target: str) -> None:
    """Raise Conflict when the target leads to the source, or when the way would be longer than events follow."""
    with_it = replace(links, merges={**links.merges, source: Step(0, target)})
    starts = {*with_it.merges, *with_it.splits}

    def depth(key: str, above: tuple[str, ...]) -> int:
        if key in above:
            raise Conflict(
                "the incident that stays goes into the other one already",
                field="into",
                remedy="undo that merge or split instead; the links are on the incident's page",
            )
        return max((1 + depth(step.target, (*above, key)) for step in with_it.steps_from(key)), default=0)

    if max(depth(start, ()) for start in starts) > MOST_STEPS:
        raise Conflict(
            f"more than {MOST_STEPS} merges and splits would follow one another",
            field="into",
            remedy="merge into the last of them",
        )
