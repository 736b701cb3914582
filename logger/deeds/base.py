"""What all actions share: who acts, on what, what would follow, what came of it. Knows no table and no action."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict

from core.audit import Circumstances
from core.database import Database, Row, Transaction
from core.errors import Conflict, NotAllowed, UnknownObject
from core.workload_settings import BrokerageSettings

Kind = Literal["incident", "job", "task", "queue"]

MANAGERS = frozenset({"production", "operator", "admin"})
"""Roles that may end and retry the work of others."""
OPERATORS = frozenset({"operator", "admin"})

DONE, REFUSED, GONE, WAITING = "done", "refused", "gone", "waiting"
"""States of a target: carried out; left alone; nothing to do any more; to come."""


@dataclass(frozen=True)
class Actor:
    """Who acts. `token_id`: of the token that the request came with; `via`: api, cli, console or web."""

    user_name: str
    token_id: str = ""
    roles: frozenset[str] = frozenset()
    via: str = "api"

    @property
    def is_manager(self) -> bool:
        """Whether jobs and tasks of others are theirs to end and retry."""
        return bool(self.roles & MANAGERS)

    @property
    def is_operator(self) -> bool:
        """Whether incidents and queues are theirs to change."""
        return bool(self.roles & OPERATORS)


@dataclass(frozen=True)
class Selector:
    """What an action is asked for: ids, or a filter in the words of the monitor's lists. What is given must all hold."""

    incidents: tuple[int, ...] = ()
    jobs: tuple[int, ...] = ()
    tasks: tuple[int, ...] = ()
    queues: tuple[str, ...] = ()
    filter: tuple[tuple[str, str], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """As it is kept with the preview."""
        return {
            "incidents": list(self.incidents),
            "jobs": list(self.jobs),
            "tasks": list(self.tasks),
            "queues": list(self.queues),
            "filter": [list(pair) for pair in self.filter],
        }

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Selector:
        """The selector of a preview that was kept."""
        return cls(
            tuple(stored["incidents"]),
            tuple(stored["jobs"]),
            tuple(stored["tasks"]),
            tuple(stored["queues"]),
            tuple((name, value) for name, value in stored["filter"]),
        )


@dataclass(frozen=True)
class Target:
    """One object of a set, with the class of its state: while none of the classes changes the set is the same."""

    key: str
    state: str
    refusal: str = ""
    """Why it will be left alone, in words; it is part of the set all the same."""

    @property
    def frozen(self) -> str:
        """As it counts for the digest."""
        return f"{self.key} {self.state}{'!' if self.refusal else ''}"


@dataclass(frozen=True)
class Consequence:
    """One thing that would follow: a stable name for programs, a count and a sentence for people."""

    what: str
    count: int
    sentence: str

    def as_dict(self) -> dict[str, Any]:
        """As it is kept and shown."""
        return {"what": self.what, "count": self.count, "sentence": self.sentence}


@dataclass(frozen=True)
class Outcome:
    """What became of one target. `before`, `after`: the columns that were changed, from which an undo puts them back."""

    key: str
    state: str
    note: str = ""
    before: Row = field(default_factory=dict)
    after: Row = field(default_factory=dict)


class Parameters(BaseModel):
    """The parameters of an action; those of most are none."""

    model_config = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class Revert:
    """When a deed takes itself back: at a time, or once so many test jobs finished. `kind` is empty for never."""

    kind: Literal["", "time", "tests"] = ""
    time: datetime | None = None
    count: int = 0


@dataclass(frozen=True)
class Surroundings:
    """What the consequences may look at beside the targets; each statement within a few seconds."""

    database: Database
    now: datetime
    actor: Actor
    brokerage: BrokerageSettings = field(default_factory=BrokerageSettings)


@dataclass(frozen=True)
class DeedRow:
    """The deed that targets are carried out for: its number and who wants it why."""

    deed_id: int
    action: str
    who: str
    reason: str
    parameters: Mapping[str, Any]
    actor: Actor
    now: datetime
    is_automatic: bool = False

    @property
    def circumstances(self) -> Circumstances:
        """The same for the audit."""
        return {
            "roles": self.actor.roles,
            "via": self.actor.via,
            "reason": self.reason,
            "deed_id": self.deed_id,
            "is_automatic": self.is_automatic,
        }


class ActionWork(Protocol):
    """What the actions on one kind of object know: which, what would follow, doing it and taking it back."""

    page: int
    """Targets that one transaction carries out."""

    def resolve(
        self, transaction: Transaction, action: str, selector: Selector, actor: Actor, *, lock: bool
    ) -> list[Target]:
        """The set as it is now, in order of its keys; `lock`: nobody else changes it until the transaction ends."""
        ...

    def consequences(
        self, around: Surroundings, action: str, targets: Sequence[Target], parameters: Mapping[str, Any]
    ) -> list[Consequence]:
        """What the action would do, with counts; changes nothing."""
        ...

    def carry_out(self, transaction: Transaction, deed: DeedRow, keys: Sequence[str]) -> list[Outcome]:
        """Do it to some of the targets within the transaction. To do it again changes nothing."""
        ...

    def undo(self, transaction: Transaction, deed: DeedRow, keys: Sequence[str], changed: Mapping[str, Row]) -> None:
        """Put back what the deed changed: `changed` is {key: {"before", "after"}}. Raises Superseded when it cannot."""
        ...


class PreviewUnknown(UnknownObject):
    """No preview has this token."""

    code = "preview_unknown"


class PreviewUsed(Conflict):
    """The token confirmed its preview before."""

    code = "preview_used"


class PreviewExpired(Conflict):
    """The token was not used in time."""

    code = "preview_expired"


class PreviewNotYours(NotAllowed):
    """The token was given to somebody else, or to another session of the same person."""

    code = "preview_not_yours"


class PreviewOutdated(Conflict):
    """The set is not the one that the preview showed; nothing was done. `preview`: of the set as it is, with a new token;
    None when there is nothing left of it."""

    code = "preview_outdated"

    def __init__(self, difference: Sequence[str], preview: Any) -> None:
        super().__init__(
            f"the set changed since the preview: {', '.join(difference)}",
            field="token",
            remedy="look at the new preview and confirm that" if preview is not None else "nothing is left to do",
        )
        self.difference = list(difference)
        self.preview = preview


class Superseded(Conflict):
    """Something later changed the object, so that nothing is put back."""

    code = "superseded"


class NotUndoable(Conflict):
    """The deed cannot be taken back: by its kind, because it was, or because it is not done yet."""

    code = "not_undoable"
