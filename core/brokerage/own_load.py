"""What a task lost at each queue lately, and what its owner has there: for the criteria `closed` and `user_queue`.

Asked only where it can matter: of tasks that lost enough jobs, at queues that are crowded. Knows tables, no rule.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

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
# ix_jobs_live_status for each state and crowded queue, then the rows
_OF_USERS = """
SELECT computing_site, prod_user_name, count(*) FILTER (WHERE job_status <> 'running') AS queued,
       count(*) FILTER (WHERE job_status = 'running') AS running
FROM jobs_live
WHERE job_status IN ('assigned', 'activated', 'sent', 'starting', 'running') AND computing_site = ANY(%(queues)s)
GROUP BY 1, 2
"""


@dataclass(frozen=True)
class Owner:
    """Whose jobs are looked at."""

    jedi_task_id: int | None
    user_name: str


class OwnLoad:
    """Keeps what was counted for a minute: both statements read many rows where they read any."""

    def __init__(self, settings: BrokerageSettings, *, kept_s: float = 60.0) -> None:
        self._settings = settings
        self._kept_s = kept_s
        self._now = 0.0
        self._ended: dict[int, tuple[float, dict[str, tuple[int, int]]]] = {}
        self._users: dict[str, tuple[float, dict[str, tuple[int, int]]]] = {}

    def read(
        self, transaction: Transaction, owners: Iterable[Owner], candidates: Sequence[Candidate]
    ) -> dict[Owner, Mapping[str, AtQueue]]:
        """By owner and queue; sets `user_count` of crowded candidates."""
        owners = set(owners)
        self._now = database_time(transaction)
        ended = self._ended_of(transaction, {owner.jedi_task_id for owner in owners if owner.jedi_task_id is not None})
        users = self._users_at(
            transaction, [queue for queue in candidates if queue.waiting >= self._settings.queue_base]
        )
        for queue in candidates:
            queue.user_count = len(users.get(queue.queue_name, ()))
        found: dict[Owner, Mapping[str, AtQueue]] = {}
        for owner in owners:
            lost = ended.get(owner.jedi_task_id or 0, {})
            names = set(lost) | {name for name, counts in users.items() if owner.user_name in counts}
            found[owner] = {
                name: AtQueue(*lost.get(name, (0, 0)), *users.get(name, {}).get(owner.user_name, (0, 0)))
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

    def _users_at(self, transaction: Transaction, crowded: list[Candidate]) -> dict[str, dict[str, tuple[int, int]]]:
        now = self._now
        self._users = {name: kept for name, kept in self._users.items() if 0 <= now - kept[0] < self._kept_s}
        names = [queue.queue_name for queue in crowded]
        asked = [name for name in names if name not in self._users]
        if asked:
            counted: dict[str, dict[str, tuple[int, int]]] = defaultdict(dict)
            for row in transaction.fetch(_OF_USERS, {"queues": asked}):
                counted[row["computing_site"]][row["prod_user_name"]] = (row["queued"], row["running"])
            self._users.update({name: (now, counted.get(name, {})) for name in asked})
        return {name: self._users[name][1] for name in names}
