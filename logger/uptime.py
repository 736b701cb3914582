"""Since when the system runs without a break: what nobody could do while it was down is nobody's trouble.

A break is any time of more than some minutes without a look: a server that was stopped, a computer that slept, a database
that was away. The moment is kept in the row of the agent that looks, so that a quick restart is no break.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from core.database import Database

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BREAK = timedelta(seconds=150)
_NOTED_EVERY = timedelta(seconds=30)

AGENT = "rule_watcher"

# primary key; the cursor is the moment since which it runs, last_run the last look
_READ = "SELECT cursor, last_run FROM agent_runs WHERE name = %(name)s"
_NOTE = """
INSERT INTO agent_runs (name, cursor, last_run) VALUES (%(name)s, %(cursor)s, %(now)s)
ON CONFLICT (name) DO UPDATE SET cursor = excluded.cursor, last_run = greatest(agent_runs.last_run, excluded.last_run)
"""


class Uptime:
    """`since`: the moment; `watching_since`: since when this process looks. Valid after the first tick."""

    def __init__(self, database: Database, since: datetime | None = None) -> None:
        self._database = database
        self._is_given = since is not None
        self.since = self.watching_since = since or _EPOCH
        self._last: datetime | None = None
        self._noted: datetime | None = None

    def tick(self, now: datetime) -> None:
        """Tell that the system runs at `now`. Raises Unavailable."""
        if self._is_given:
            return
        if self._last is None:
            self.watching_since = now
            row = self._database.fetch_one(_READ, {"name": AGENT})
            is_known = row is not None and row["cursor"] > 0 and row["last_run"] is not None
            self._last = row["last_run"] if row and is_known else None
            self.since = _EPOCH + timedelta(microseconds=row["cursor"]) if row and is_known else now
        if self._last is not None and now - self._last > _BREAK:
            self.since = self.watching_since = now
            self._noted = None
        self._last = now
        if self._noted is None or now - self._noted >= _NOTED_EVERY:
            microseconds = (self.since - _EPOCH) // timedelta(microseconds=1)
            self._database.execute(_NOTE, {"name": AGENT, "cursor": microseconds, "now": now})
            self._noted = now
