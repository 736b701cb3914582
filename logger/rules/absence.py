"""The rule for what does not happen: a queue has work and no pilot asks for it."""

from __future__ import annotations

from datetime import datetime, timedelta

from core.database import Transaction
from logger.events import Event, short_title
from logger.rules.base import WatchRule

SILENCE_S = 600
"""How long no pilot may ask while jobs are ready, in seconds."""

# ix_jobs_live_activated for the jobs that are ready; queue_contacts by primary key
_SILENT = """
SELECT w.computing_site, w.job_count, greatest(w.oldest, c.last_request_time) AS silent_since, c.last_request_time
FROM (
    SELECT computing_site, count(*) AS job_count, min(state_change_time) AS oldest
    FROM jobs_live WHERE job_status = 'activated' AND computing_site <> '' GROUP BY 1
) w LEFT JOIN queue_contacts c ON c.queue_name = w.computing_site
WHERE greatest(w.oldest, c.last_request_time) < %(limit)s
"""


class SilentQueue(WatchRule):
    """Counts from the later of the last request and the moment when the oldest waiting job became ready, so that a
    queue whose pilots come on demand is not blamed for the first seconds of its work."""

    name = "silent_queue"
    kind = "absence"
    sentence = f"A queue has had activated jobs for {SILENCE_S // 60} minutes and no pilot has asked for one."

    def find(self, transaction: Transaction, now: datetime) -> list[Event]:
        """One event per silent queue."""
        rows = transaction.fetch(_SILENT, {"limit": now - timedelta(seconds=SILENCE_S)})
        return [
            Event(
                rule=self.name,
                kind=self.kind,
                fingerprint=f"{self.prefix}{row['computing_site']}",
                grouping=f"It is one queue, {row['computing_site']}, that no pilot asks for work.",
                title=short_title(
                    f"No pilot at {row['computing_site']} since {row['silent_since']:%Y-%m-%d %H:%M} UTC; "
                    f"{row['job_count']} activated jobs wait"
                ),
                time=row["silent_since"],
                severity="error",
                component="pilot",
                computing_site=row["computing_site"],
                culprit_line=_last_contact(row["last_request_time"]),
            )
            for row in rows
        ]


def _last_contact(time: datetime | None) -> str:
    return f"last request for work: {time:%Y-%m-%d %H:%M:%S} UTC" if time else "no pilot has ever asked for work here"
