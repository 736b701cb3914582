"""Change signals as a reader of the live stream needs them: those after a number, and whether some are lost for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from core.change_signals import CHANNEL, EVERYTHING
from core.database import Database

MOST_SIGNALS = 500
"""A reader further behind reads everything anew, which is cheaper for both."""

# primary key
_AFTER = f"SELECT seq, time, topics FROM change_signals WHERE seq > %(seq)s ORDER BY seq LIMIT {MOST_SIGNALS + 1}"
# primary key from either end; the sequence tells how far the numbers went before old signals were forgotten
_BOUNDS = """
SELECT (SELECT min(seq) FROM change_signals) AS oldest, (SELECT max(seq) FROM change_signals) AS newest,
       (SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM change_signals_seq_seq) AS given
"""


@dataclass(frozen=True)
class Signal:
    """Topics that changed together. `is_everything`: more changed than was worth telling."""

    seq: int
    time: datetime
    topics: frozenset[str]

    @property
    def is_everything(self) -> bool:
        """Whether every reader must read everything anew."""
        return EVERYTHING in self.topics

    def topics_for(self, wanted: frozenset[str]) -> list[str]:
        """The topics that a reader of `wanted` cares for; an empty `wanted` means all."""
        return sorted(self.topics & wanted if wanted else self.topics)


def newest_signal(database: Database) -> int:
    """The number of the last signal; where a new reader begins."""
    bounds = database.fetch_one(_BOUNDS) or {"newest": 0, "given": 0}
    return int(bounds["newest"] or bounds["given"])


def signals_after(database: Database, seq: int) -> list[Signal] | None:
    """The signals after `seq`, oldest first; None when some of them are gone or there are too many."""
    bounds = database.fetch_one(_BOUNDS) or {"oldest": None, "given": 0}
    rows = database.fetch(_AFTER, {"seq": seq})
    newest = max(bounds["given"], rows[-1]["seq"] if rows else 0)
    is_foreign = seq > newest
    is_forgotten = seq < bounds["given"] and (bounds["oldest"] is None or bounds["oldest"] > seq + 1)
    if is_foreign or is_forgotten or len(rows) > MOST_SIGNALS:
        return None
    return [Signal(row["seq"], row["time"], frozenset(row["topics"])) for row in rows]


def listen(database: Database, timeout_s: float) -> Iterator[bool]:
    """Whether signals were announced, as it happens, and False after each `timeout_s` without any.

    Raises Unavailable when the connection breaks.
    """
    for payloads in database.listen(CHANNEL, timeout_s):
        yield bool(payloads)
