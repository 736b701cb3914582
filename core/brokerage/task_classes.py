"""Of which class tasks of users are (domain.md 5.3): nearly done, or by the slots their user has on quick queues.

Asked only where queues differ in how long jobs wait there. Knows tasks and jobs, no rule.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from core.brokerage.candidates import ANALYSIS, Candidate, Request
from core.brokerage.facts import database_time
from core.brokerage.site_classes import HI, LO, MID
from core.database import Row, Transaction

_ALMOST_DONE = 0.9
SLOTS_OF_A = 1000
"""Cores a user may have running on hi queues before their tasks are of class B (PanDA's USER_USAGE_THRESHOLD_A)."""
SLOTS_OF_B = 8000
"""Cores on hi and mid queues before they are of class C (USER_USAGE_THRESHOLD_B)."""

# primary key
_PROGRESS = """
SELECT jedi_task_id, n_files, n_files_finished, n_files_failed FROM tasks WHERE jedi_task_id = ANY(%(ids)s)
"""
# ix_jobs_live_user or, for many users, ix_jobs_live_status
_RUNNING = """
SELECT prod_user_name, computing_site, sum(greatest(core_count, 1))::bigint AS slots FROM jobs_live
WHERE prod_user_name = ANY(%(names)s) AND job_status IN ('stagein', 'running', 'stageout') AND working_group = ''
GROUP BY 1, 2
"""


def is_almost_done(task: Row) -> bool:
    """Whether at least nine of ten files of a task are through. `task`: its counts of files."""
    total = task["n_files"]
    return bool(total) and task["n_files_finished"] + task["n_files_failed"] >= _ALMOST_DONE * total


def class_by_slots(on_hi: int, on_mid: int) -> str:
    """A, B or C: the more a user has running on good queues, the longer their further jobs may wait."""
    if on_hi <= SLOTS_OF_A:
        return "A"
    return "B" if on_hi + on_mid <= SLOTS_OF_B else "C"


class TaskClasses:
    """Keeps what users have running for a minute: that many jobs are dear to count."""

    def __init__(self, *, kept_s: float = 60.0) -> None:
        self._kept_s = kept_s
        self._slots: dict[str, tuple[float, Mapping[str, int]]] = {}

    def read(
        self, transaction: Transaction, requests: Iterable[Request], candidates: Sequence[Candidate]
    ) -> dict[Request, str]:
        """The class of each request that has one: of users' own jobs, while some queue is hi or lo."""
        own = [request for request in requests if request.kind == ANALYSIS and not request.working_group]
        site_classes = {queue.queue_name: queue.site_class for queue in candidates}
        if not own or not set(site_classes.values()) & {HI, LO}:
            return {}
        ids = sorted({request.jedi_task_id for request in own if request.jedi_task_id is not None})
        rows = transaction.fetch(_PROGRESS, {"ids": ids}) if ids else []
        done = {row["jedi_task_id"] for row in rows if is_almost_done(row)}
        users = {request.user_name for request in own if request.jedi_task_id not in done}
        by_user = {
            name: class_by_slots(_slots_at(slots, site_classes, HI), _slots_at(slots, site_classes, MID))
            for name, slots in self._running(transaction, users).items()
        }
        return {request: "S" if request.jedi_task_id in done else by_user[request.user_name] for request in own}

    def _running(self, transaction: Transaction, users: set[str]) -> dict[str, Mapping[str, int]]:
        now = database_time(transaction)
        self._slots = {name: kept for name, kept in self._slots.items() if 0 <= now - kept[0] < self._kept_s}
        asked = sorted(users - set(self._slots))
        if asked:
            counted: dict[str, dict[str, int]] = defaultdict(dict)
            for row in transaction.fetch(_RUNNING, {"names": asked}):
                counted[row["prod_user_name"]][row["computing_site"]] = row["slots"]
            self._slots.update({name: (now, counted.get(name, {})) for name in asked})
        return {name: self._slots[name][1] for name in users}


def _slots_at(slots: Mapping[str, int], site_classes: Mapping[str, str], wanted: str) -> int:
    return sum(count for name, count in slots.items() if site_classes.get(name) == wanted)
