"""What the store itself says of those who send: what they lost, what was refused, and that this is over. No SQL.

Each is a record like others, with a key of the system's own (`logger/trust.py`), and becomes an incident as others do.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from core.text import clean
from logger.admission import Calm, Refused
from logger.over import OVER
from logger.records import Record

NO_LOSS_FOR = timedelta(minutes=10)
"""A sender that reports and lost nothing for so long is well again."""
_MOST_SOURCES = 10_000


def loss(dropped: int, emitter: str, records: Sequence[Record], received: datetime, *, is_trusted: bool) -> Record:
    """The loss as a record of its own, so that nobody takes silence for peace."""
    component = (records[0].component if records else "") or emitter
    return Record(
        *(received, "WARNING", "panda.logger", component),
        message=f"{dropped} log records of {component or 'an emitter'} were lost: its buffer was full",
        host=records[0].host if records else "",
        user_name="" if is_trusted else emitter,
        fingerprint=f"records lost:{component}"[:200],
        kind="service",
        fields={"dropped": dropped},
    )


class Losses:
    """Who lost records lately, by source; bounded. Safe from any thread."""

    def __init__(self) -> None:
        self._told: OrderedDict[str, Record] = OrderedDict()
        self._lock = threading.Lock()

    def told(self, source: str, record: Record) -> None:
        """A loss of a source that says who it is."""
        with self._lock:
            self._told.pop(source, None)
            self._told[source] = record
            if len(self._told) > _MOST_SOURCES:
                self._told.popitem(last=False)

    def over(self, source: str, received: datetime) -> Record | None:
        """That a source, of which a batch without a loss came now, is well again; None when it is too early or was never ill.

        It is said as of the loss: what another process of the component lost since then is not over.
        """
        if source not in self._told:
            return None
        with self._lock:
            lost = self._told.get(source)
            if lost is None or received - lost.time < NO_LOSS_FOR:
                return None
            del self._told[source]
        return Record(
            *(lost.time, "INFO", "panda.logger", lost.component),
            message=f"no log records of {lost.component or 'it'} were lost for {NO_LOSS_FOR.seconds // 60} minutes",
            host=lost.host,
            user_name=lost.user_name,
            fields={OVER: lost.fingerprint},
        )


def flood(refused: Refused) -> dict[str, Any]:
    """What was refused of a sender, as a record."""
    who = clean(refused.sender.subject, 100)
    return {
        **{"level": "WARNING", "name": "panda.logger", "component": "logger", "kind": "service"},
        "fingerprint": f"flood:{who}",
        # without the counts: it becomes the title of an incident, which goes on
        "message": f"{who} sends more log records than one token may: what is beyond is refused",
        "user": who,
        "fields": {"refused_batches": refused.batches, "refused_records": refused.records},
    }


def calm(of: Calm, now: datetime) -> dict[str, Any]:
    """The end of a flood, as of when it ended: another process of the API may have refused something since."""
    who = clean(of.sender.subject, 100)
    return {
        **{"level": "INFO", "name": "panda.logger", "component": "logger", "user": who},
        "time": (now - timedelta(seconds=of.since_s)).isoformat(),
        "message": f"nothing of {who} has been refused for {of.since_s / 60:.0f} minutes",
        "fields": {OVER: f"flood:{who}"},
    }
