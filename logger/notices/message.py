"""What travels between the outbox and the channels: a message of changes, and what is known of it after it was sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from core.database import Row


@dataclass(frozen=True)
class Item:
    """One change of one incident. `incident` is its row as it is now, `what` is what happened then."""

    notice_id: int
    what: str
    time: datetime
    who: str
    reason: str
    incident: Row


@dataclass(frozen=True)
class Message:
    """What goes out at once to one route; without items it is a test by `tested_by`."""

    message_id: str
    route: Row
    items: tuple[Item, ...]
    time: datetime
    attempts: int = 1
    is_late: bool = False
    """It joins what had to wait: the receiver was away, or the route may not send so much."""
    tested_by: str = ""
    monitor_url: str = ""
    """Address of the web monitor, without a slash at its end."""

    def url_of(self, incident_id: int) -> str:
        """The page of an incident in the web monitor."""
        return f"{self.monitor_url}/incident/{incident_id}/"


class Known(StrEnum):
    """What is known of a message that was sent."""

    TAKEN = "taken"
    NOT_NOW = "not_now"
    """It was not taken, and may be later."""
    NEVER = "never"
    """It was refused for good."""
    UNKNOWN = "unknown"
    """The connection broke after it was given: it may have been taken."""


@dataclass(frozen=True)
class Outcome:
    """What became of a message, with the receiver's words. `status`: the code of HTTP or SMTP, 0 when there was none."""

    known: Known
    answer: str = ""
    status: int = 0
    retry_after_s: float = 0.0
    """The receiver asks to be left alone for so long."""


class Channel(Protocol):
    """A way to tell people."""

    most_changes: int
    """How many changes fit into one message."""

    def send(self, message: Message, secret: str) -> Outcome:
        """Deliver one message and say what is known of it; never raises for what a receiver or a network does."""


@dataclass(frozen=True)
class Told:
    """Notices of one message by the state they came to, for whoever reports it."""

    counts: dict[str, int] = field(default_factory=dict)

    def __getitem__(self, state: str) -> int:
        """How many came to `state`."""
        return self.counts.get(state, 0)


def incident_document(incident: Row) -> dict[str, Any]:
    """The incident as receivers get it."""
    return {name: incident[name] for name in INCIDENT_COLUMNS}


INCIDENT_COLUMNS = (
    *("incident_id", "title", "kind", "severity", "state", "owner", "assigned_to", "component", "code"),
    *("computing_site", "verdict", "verdict_value", "step", "error_class", "job_count", "record_count", "queue_count"),
    *(
        "task_count",
        "user_count",
        "lost_core_s",
        "first_seen",
        "last_seen",
        "opened_time",
        "culprit_line",
        "fingerprint",
    ),
)
