"""What a task lost at each queue lately, and what its owner has there: for the criteria `closed` and `user_queue`.

Asked only where it can matter: of tasks that lost enough jobs, at queues that are crowded. Knows tables, no rule.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from core.brokerage.candidates import AtQueue, Candidate
from core.brokerage.facts import database_time
from core.database import Transaction
from core.workload_settings import BrokerageSettings

# primary key
_UNLUCKY = """
SELECT jedi_task_id FROM tasks WHERE jedi_task_id = ANY(%(ids)s) AND n_failed + n_cancelled >= %(least)s
"""
# ix_jobs_archive_task in the partitions of the window
_ENDED = """
SELECT jedi_task_id, computing_site, count(*) FILTER (WHERE job_status = 'finished') AS finished,
       count(*) FILTER (WHERE job_status IN ('failed', 'closed')) AS lost
FROM jobs_archive
WHERE jedi_task_id = ANY(%(ids)s) AND state_change_time > clock_timestamp() - make_interval(hours => %(hours)s)
GROUP BY 1, 2
"""
# jobs_live once, whole, on purpose: by ix_jobs_live_status the rows of a crowd take ten times longer (10 s for a
# million). Who has less than what always passes is only counted.
_OF_USERS = """
SELECT computing_site, count(*) AS users,
       coalesce(jsonb_object_agg(prod_user_name, jsonb_build_array(queued, running)) FILTER (WHERE queued > %(least)s), '{}')
           AS heavy
FROM (
    SELECT computing_site, prod_user_name, count(*) FILTER (WHERE job_status <> 'running') AS queued,
           count(*) FILTER (WHERE job_status = 'running') AS running
    FROM jobs_live j JOIN unnest(%(queues)s::text[]) AS crowded (name) ON crowded.name = j.computing_site || ''
    WHERE job_status || '' = ANY(%(statuses)s)
    GROUP BY 1, 2
) u GROUP BY computing_site
"""
_STATUSES = ["assigned", "activated", "sent", "starting", "running"]


@dataclass(frozen=True)
class Owner:
    """Whose jobs are looked at."""

    jedi_task_id: int | None
    user_name: str
    is_user: bool = True
    """Whether these are a user's own jobs."""


@dataclass(frozen=True)
class _Crowd:
    """How many users a queue has, and what those have there who have much: queued, running."""

    users: int = 0
    heavy: Mapping[str, list[int]] = field(default_factory=dict)


class OwnLoad:
    """Keeps what was counted for a minute: both statements read many rows where they read any."""

    def __init__(self, settings: BrokerageSettings, *, kept_s: float = 60.0) -> None:
        self._settings = settings
        self._kept_s = kept_s
        self._now = 0.0
        self._ended: dict[int, tuple[float, dict[str, tuple[int, int]]]] = {}
        self._users: dict[str, tuple[float, _Crowd]] = {}

    def read(
        self, transaction: Transaction, owners: Iterable[Owner], candidates: Sequence[Candidate]
    ) -> dict[Owner, Mapping[str, AtQueue]]:
        """By owner and queue; sets `user_count` of crowded candidates."""
        owners = set(owners)
        self._now = database_time(transaction)
        ended = self._ended_of(transaction, {owner.jedi_task_id for owner in owners if owner.jedi_task_id is not None})
        # only users' jobs are looked at so; a batch of production costs nothing here
        crowded = [queue for queue in candidates if queue.waiting >= self._settings.queue_base]
        users = self._users_at(transaction, crowded if any(owner.is_user for owner in owners) else [])
        for queue in candidates:
            queue.user_count = users[queue.queue_name].users if queue.queue_name in users else 0
        found: dict[Owner, Mapping[str, AtQueue]] = {}
        for owner in owners:
            lost = ended.get(owner.jedi_task_id or 0, {})
            names = set(lost) | {name for name, crowd in users.items() if owner.user_name in crowd.heavy}
            found[owner] = {
                name: AtQueue(*lost.get(name, (0, 0)), *users.get(name, _Crowd()).heavy.get(owner.user_name, (0, 0)))
                for name in names
            }
        return found

    def _ended_of(self, transaction: Transaction, ids: set[int]) -> dict[int, dict[str, tuple[int, int]]]:
        now = self._now
        self._ended = {task: kept for task, kept in self._ended.items() if 0 <= now - kept[0] < self._kept_s}
        asked = sorted(ids - set(self._ended))
        if asked:
            least = {"ids": asked, "least": self._settings.closed_minimum}
            unlucky = [row["jedi_task_id"] for row in transaction.fetch(_UNLUCKY, least)]
            counted: dict[int, dict[str, tuple[int, int]]] = defaultdict(dict)
            if unlucky:
                window = {"ids": unlucky, "hours": int(self._settings.closed_hours)}
                for row in transaction.fetch(_ENDED, window):
                    counted[row["jedi_task_id"]][row["computing_site"]] = (row["finished"], row["lost"])
            self._ended.update({task: (now, counted.get(task, {})) for task in asked})
        return {task: self._ended[task][1] for task in ids}

    def _users_at(self, transaction: Transaction, crowded: list[Candidate]) -> dict[str, _Crowd]:
        now = self._now
        self._users = {name: kept for name, kept in self._users.items() if 0 <= now - kept[0] < self._kept_s}
        names = [queue.queue_name for queue in crowded]
        asked = [name for name in names if name not in self._users]
        if asked:
            least = {"queues": asked, "statuses": _STATUSES, "least": self._settings.user_queue_base}
            counted = {
                row["computing_site"]: _Crowd(row["users"], row["heavy"]) for row in transaction.fetch(_OF_USERS, least)
            }
            self._users.update({name: (now, counted.get(name, _Crowd())) for name in asked})
        return {name: self._users[name][1] for name in names}
