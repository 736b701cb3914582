"""The rule for what does not happen: a queue has work and no pilot asks for it."""

from __future__ import annotations

from datetime import datetime, timedelta

from core.database import Row
from logger.events import Kind
from logger.rules.base import Facts, Look, Measurement, MeasureRule
from logger.rules.parameters import SilentQueueParameters
from logger.rules.ready_queues import READY_QUEUES
from logger.rules.refused_pilots import REFUSED_PILOTS

_MANY = 3
"""So many queues silent together, and none heard, are one trouble: nobody reaches the server."""

# of those that were not heard of for a while the jobs made first (ix_jobs_live_oldest) and the heartbeats of those that
# run (ix_jobs_live_status), a thousand at most; queue_contacts and queues by primary key, incidents by uq_incidents_unresolved
_SILENT = f"""
WITH {READY_QUEUES}
SELECT p.name, c.last_request_time, w.oldest, w.job_count,
       greatest(w.oldest, c.last_request_time, h.last_heartbeat) AS silent_since,
       EXISTS (SELECT 1 FROM incidents i WHERE i.fingerprint = %(refused)s || p.name
               AND i.state NOT IN ('resolved', 'candidate')) AS is_refused
FROM places p
LEFT JOIN queue_contacts c ON c.queue_name = p.name
LEFT JOIN queues q ON q.queue_name = p.name
CROSS JOIN LATERAL (
    SELECT min(state_change_time) AS oldest, count(*) AS job_count FROM (
        SELECT state_change_time FROM jobs_live WHERE job_status = 'activated' AND computing_site = p.name
        ORDER BY panda_id LIMIT 1000) first
) w
CROSS JOIN LATERAL (
    SELECT max(modification_time) AS last_heartbeat FROM (
        SELECT modification_time FROM jobs_live
        WHERE job_status IN ('running', 'starting', 'stagein', 'stageout') AND computing_site = p.name LIMIT 1000) r
) h
WHERE p.name IS NOT NULL AND coalesce(q.status, '') NOT IN ('offline', 'paused')
  AND coalesce(c.last_request_time < %(before)s, true) AND w.oldest < %(before)s
"""
# some hundred rows, whole
_LAST_OF_ALL = "SELECT max(last_request_time) AS time FROM queue_contacts"


class SilentQueue(MeasureRule[SilentQueueParameters]):
    """Counts from the latest of the last request, the last heartbeat of a job there, and the moment when the oldest
    waiting job became ready: a queue whose pilots come on demand is not blamed for the first seconds of its work, nor one
    whose slots are full of long jobs, whose pilots have no reason to ask. A queue whose pilots come and are refused has
    that incident already.

    Nobody can ask a server that is down: it must have run for as long as the limit before it complains. When many queues
    are silent and no pilot of any is heard, that is one trouble.
    """

    name = "silent_queue"
    kind: Kind = "absence"
    sentence = "A queue has activated jobs and no pilot has asked for one."
    model = SilentQueueParameters
    is_quick = True

    def measure(self, look: Look, parameters: SilentQueueParameters) -> list[Measurement]:
        """Queues that have been silent for half of the limit or more, in seconds."""
        before = look.now - timedelta(seconds=parameters.limit_s / 2)
        rows = look.transaction.fetch(_SILENT, {"before": before, "refused": REFUSED_PILOTS})
        may_open = look.up_s >= parameters.limit_s
        found = [_of_queue(row, look.now, parameters.limit_s, may_open) for row in rows]
        unheard = {row["name"] for row in rows if not row["is_refused"]}
        silent = [one for one in found if one.value >= parameters.limit_s and one.subject in unheard]
        if len(silent) < _MANY:
            return found
        heard = (look.transaction.fetch_one(_LAST_OF_ALL) or {"time": None})["time"]
        since = max(filter(None, (heard, look.up_since, min(row["oldest"] for row in rows))))
        value = (look.now - since).total_seconds()
        if value < parameters.limit_s:
            return found
        everywhere = Measurement(
            subject="",
            value=value,
            limit=parameters.limit_s,
            title=f"No pilot of any queue has asked for work since {since:%Y-%m-%d %H:%M} UTC; {len(silent)} queues wait",
            grouping="No pilot of any queue reaches the server.",
            note=_last_contact(heard),
            since=since,
            facts=Facts(component="pilot"),
            severity="critical",
            may_open=may_open,
        )
        return [everywhere, *(_of_queue(row, look.now, parameters.limit_s, False) for row in rows)]

    def limit(self, parameters: SilentQueueParameters, subject: str, usual: float) -> float:
        """The same for every queue."""
        return parameters.limit_s


def _of_queue(row: Row, now: datetime, limit_s: float, may_open: bool) -> Measurement:
    name, since = row["name"], row["silent_since"]
    jobs = f"{row['job_count']}{'' if row['job_count'] < 1000 else ' or more'}"
    return Measurement(
        subject=name,
        value=(now - since).total_seconds(),
        limit=limit_s,
        title=f"No pilot at {name} since {since:%Y-%m-%d %H:%M} UTC; {jobs} activated jobs wait",
        grouping=f"It is one queue, {name}, that no pilot asks for work.",
        note=_last_contact(row["last_request_time"]),
        since=since,
        facts=Facts(computing_site=name, component="pilot"),
        may_open=may_open and not row["is_refused"],
    )


def _last_contact(time: datetime | None) -> str:
    return f"last request for work: {time:%Y-%m-%d %H:%M:%S} UTC" if time else "no pilot has ever asked for work here"
